//! What happens when a container ends: it is written down, what it had is taken back, and its restart policy decides.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::engine::container::membership;
use crate::engine::container::restart::Run;
use crate::engine::container::start::Starter;
use crate::engine::container::state::Change;
use crate::engine::runtime::task::{ExitRecord, Task};
use crate::resource::container::{ContainerState, HealthStatus, MountSource};

impl Engine {
    /// Watches over a container that runs, until it is removed or stays ended.
    pub(super) fn supervise(&self, container: Arc<Container>, task: Task) {
        let engine = self.clone();
        let whole: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move { engine.attend(container, task).await });
        tokio::spawn(whole);
    }

    async fn attend(self, container: Arc<Container>, task: Task) {
        let end = tokio::select! {
            end = task.wait() => end,
            () = self.probe(&container, &task) => task.wait().await,
        };
        let turn = container.turn().await;
        let pause = self.ended(&container, &end).await;
        let stays = container.life().restarted_by_hand;
        drop(turn);
        match pause {
            Some(pause) => self.start_again(container, pause),
            None if container.record().spec.auto_remove && !stays => self.remove_soon(container),
            None => {}
        }
    }

    /// Writes an end down and takes back what the container had; the caller holds its turn. Returns the pause before its next life.
    pub(super) async fn ended(&self, container: &Arc<Container>, end: &ExitRecord) -> Option<Duration> {
        let before = container.life();
        self.take_down(container).await;
        for endpoint in &before.endpoints {
            self.tell_network(container, "disconnect", &endpoint.network.to_string(), &endpoint.network_name);
        }
        self.tell_bare_network(container, "disconnect");
        let record = container.record();
        for resolved in &record.mounts {
            if let MountSource::Volume { name: Some(name), .. } = &resolved.mount.source {
                self.tell_volume(container, "unmount", name, &[]);
            }
        }
        let at_rest = membership::at_rest(&record.networks, &self.shared.networks);
        let length = end.finished_at.since(end.started_at);
        let pause = container.update(|life| {
            let stopped_by_hand = life.stopped_by_hand || life.stopped_to_leave;
            let run = Run { code: end.status.code, length, stopped_by_hand };
            let pause = life.restarts.after_run(record.spec.restart, run);
            let change = Change::Ended { status: end.status.clone(), at: end.finished_at, again: pause.is_some() };
            if let Err(error) = life.change(change) {
                tracing::error!(container = %container.id(), %error, "the state of a container is not what it should be");
            }
            life.task = None;
            life.layers = None;
            // Nobody looks after it any more; Docker calls that unhealthy, too.
            if let Some(health) = &mut life.health {
                health.status = HealthStatus::Unhealthy;
            }
            life.endpoints = at_rest;
            life.published = Vec::new();
            life.last = end.status.clone();
            life.ends += 1;
            pause
        });
        if end.status.out_of_memory {
            self.tell(container, "oom", &[]);
        }
        let lasted = length.as_secs().to_string();
        self.tell(container, "die", &[("execDuration", lasted), ("exitCode", end.status.code.to_string())]);
        pause
    }

    /// Starts a container again after a pause, unless it is stopped or started by hand meanwhile.
    pub(super) fn start_again(&self, container: Arc<Container>, pause: Duration) {
        let engine = self.clone();
        tokio::spawn(async move {
            let waits = |state: &ContainerState| matches!(state, ContainerState::Restarting { .. });
            let mut watch = container.watch();
            // Time is the subject here; what ends the wait early is that somebody called the restart off.
            let called_off = tokio::time::timeout(pause, watch.wait_for(|life| !waits(&life.state))).await.is_ok();
            if called_off {
                return;
            }
            let _turn = container.turn().await;
            if waits(&container.life().state)
                && let Err(failure) = engine.start_held(&container, Starter::Policy).await
            {
                tracing::warn!(container = %container.id(), %failure, "a container could not be started again");
            }
        });
    }
}
