//! Waiting for a container to run, to be healthy or to complete: subscribed first, looked at second, never by a ticker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use crate::api::client::Client;
use crate::cli::error::{About, CommandError};
use crate::cli::follow;
use crate::resource::container::{ContainerInfo, ContainerState, ExitStatus, HealthState, HealthStatus};
use crate::resource::event::{Event, EventFilter, EventKind};
use crate::resource::failure::Failure;
use crate::resource::log::LogOptions;
use crate::resource::operation::Condition;
use crate::resource::time::Timestamp;

/// How long the process of a container without a health check must have lived before `--wait` calls it running.
///
/// What runs is known when exec succeeded, so this only has to cover a program that starts and gives up.
const SETTLED: Duration = Duration::from_millis(20);
/// A program that is still at work then, for it does much or the machine gives it no turn, is looked at again until now. Docker Compose
/// first looks after as long: a command that ends at once is not running there, and must not be here.
const SETTLED_AT_WORK: Duration = Duration::from_millis(500);

/// So many of a failed job's last lines are shown.
const LAST_LINES: u64 = 10;

/// One subscription to a project's events, shared by everyone who waits.
#[derive(Clone)]
pub(crate) struct Watch {
    client: Client,
    events: broadcast::WeakSender<Arc<Event>>,
}

impl Watch {
    /// Subscribes. What happens after this call returned is seen.
    pub(crate) async fn begin(client: &Client, project: &str) -> Result<Self, Failure> {
        let mut filters = crate::compose::plan::label::project_filter(project);
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        let mut filter = EventFilter { since: None, until: None, filters };
        let mut stream = client.events(&filter).await?;
        filter.since = Some(follow::now());
        let (sender, _) = broadcast::channel(4096);
        let events = sender.downgrade();
        let again = client.clone();
        tokio::spawn(async move {
            loop {
                match stream.next().await {
                    Some(Ok(event)) => {
                        filter.since = Some(event.time.after(Duration::from_nanos(1)));
                        // Nobody may be listening just now.
                        let _ = sender.send(Arc::new(event));
                    }
                    // The engine was killed. Its successor knows what happened, and is waited for like any that starts.
                    Some(Err(_)) => match again.events(&filter).await {
                        Ok(resumed) => stream = resumed,
                        Err(_) => return,
                    },
                    // It left because it was told to.
                    None => return,
                }
            }
        });
        Ok(Self { client: client.clone(), events })
    }

    /// The events from now on; at their end at once where the engine has left.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.upgrade().map_or_else(|| broadcast::channel(1).1, |sender| sender.subscribe())
    }

    /// Returns when the container is as wanted.
    ///
    /// `waiter` is the service that depends on it; when it is empty the caller of `--wait` does, for whom any end is a failure, and
    /// running means healthy where the image brings a check.
    pub(crate) async fn container(&self, name: &str, condition: Condition, waiter: &str) -> Result<(), CommandError> {
        let mut events = self.subscribe();
        // The life of it that was seen last, and when that began.
        let mut life = (None, Instant::now());
        loop {
            let info = self.client.container(name).await?;
            match verdict(&info, condition, waiter.is_empty()) {
                Verdict::Good => return Ok(()),
                Verdict::Settling(started_at) => {
                    if life.0 != Some(started_at) {
                        // Told once by the clock on the wall, which may be set; then by one that may not.
                        let age = follow::now().since(started_at);
                        life = (Some(started_at), Instant::now().checked_sub(age).unwrap_or_else(Instant::now));
                    }
                    if self.settles(&mut events, &info, life.1).await? {
                        return Ok(());
                    }
                }
                Verdict::Wait => next_of(&mut events, &info).await?,
                Verdict::Bad(why) => return Err(Box::pin(self.explain(&info, why, condition, waiter)).await),
            }
        }
    }

    /// Whether nothing happens to a container until it has run for long enough. `false` asks for another look at it.
    async fn settles(
        &self,
        events: &mut broadcast::Receiver<Arc<Event>>,
        info: &ContainerInfo,
        runs_since: Instant,
    ) -> Result<bool, CommandError> {
        let mut looks_at = runs_since + SETTLED;
        loop {
            if let Ok(happened) = tokio::time::timeout_at(looks_at.into(), next_of(events, info)).await {
                return happened.map(|()| false);
            }
            if runs_since.elapsed() >= SETTLED_AT_WORK || self.client.container_is_busy(&info.id.to_string()).await? == Some(false) {
                // Unless it has ended while that was asked.
                let happened = tokio::time::timeout(Duration::ZERO, next_of(events, info)).await;
                return happened.map_or(Ok(true), |happened| happened.map(|()| false));
            }
            looks_at = Instant::now() + SETTLED;
        }
    }

    async fn explain(&self, info: &ContainerInfo, why: String, condition: Condition, waiter: &str) -> CommandError {
        let service = info.spec.labels.get(crate::compose::plan::label::SERVICE).map_or(info.name.as_str(), String::as_str);
        let error = match (condition, &info.state) {
            (Condition::Completed, ContainerState::Exited { status, .. }) => CommandError::new(format!(
                "service \"{service}\" didn't complete successfully: exit {}{}",
                status.code,
                out_of_memory(status)
            ))
            .hint(format!("`gantry logs {service}` shows all it wrote; `gantry up` runs it again")),
            (_, state) => {
                let error = CommandError::new(if waiter.is_empty() { why } else { format!("dependency failed to start: {why}") });
                let has_ended = matches!(state, ContainerState::Exited { .. });
                if has_ended {
                    error.hint(format!("`gantry logs {service}` shows all it wrote"))
                } else if condition == Condition::Healthy && info.health.is_none() {
                    error.hint("give it a `healthcheck:`, or wait for it with `condition: service_started`")
                } else {
                    error
                }
            }
        };
        match (&info.health, &info.state) {
            (Some(health), ContainerState::Running { .. }) => error.detail(last_probe(health)),
            (_, ContainerState::Exited { status, .. }) => {
                let error = if status.error.is_empty() { error } else { error.detail(status.error.clone()) };
                let error = if status.out_of_memory {
                    error.detail("out of memory: the kernel ended it at its limit, or the machine's")
                } else {
                    error
                };
                // Its end is to blame, not what was waited for.
                let error = error.about(About::Container(info.name.to_string()));
                match last_lines(&self.client, info).await {
                    Some(lines) => error.detail(lines),
                    None => error,
                }
            }
            _ => error,
        }
    }
}

/// What a container wrote last, if anything.
pub(crate) async fn last_lines(client: &Client, info: &ContainerInfo) -> Option<String> {
    let options =
        LogOptions { stdout: true, stderr: true, follow: false, timestamps: false, tail: Some(LAST_LINES), since: None, until: None };
    let mut log = client.logs(info.name.as_str(), &options).await.ok()?;
    let mut text = String::new();
    while let Some(Ok(line)) = log.next().await {
        text.push_str("| ");
        text.push_str(String::from_utf8_lossy(&line.text).trim_end_matches(['\r', '\n']));
        text.push('\n');
    }
    (!text.is_empty()).then(|| format!("its last lines:\n{text}"))
}

/// What is said behind the exit code of a container that ran out of memory.
pub(crate) const fn out_of_memory(status: &ExitStatus) -> &'static str {
    if status.out_of_memory { ": out of memory" } else { "" }
}

/// Returns when anything happened to the container, or events may have been missed.
async fn next_of(events: &mut broadcast::Receiver<Arc<Event>>, info: &ContainerInfo) -> Result<(), CommandError> {
    let id = info.id.to_string();
    loop {
        match events.recv().await {
            Ok(event) if event.kind != EventKind::Container || event.actor != id || event.action.starts_with("exec_") => {}
            // Its own start, told late; before any other one it would have ended.
            Ok(event) if event.action == "start" && info.state.is_running() => {}
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return Ok(()),
            Err(broadcast::error::RecvError::Closed) => {
                return Err(CommandError::new(format!("the engine left while container {} was waited for", info.name)));
            }
        }
    }
}

pub(crate) fn last_probe(health: &HealthState) -> String {
    match health.log.last() {
        Some(probe) if probe.output.trim().is_empty() => format!("its last probe ended with code {} and wrote nothing", probe.exit_code),
        Some(probe) => format!("its last probe ended with code {}: {}", probe.exit_code, probe.output.trim()),
        None => "no probe has ended yet".to_owned(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Good, if the life that began then lasts for a moment.
    Settling(Timestamp),
    Wait,
    Bad(String),
}

fn verdict(info: &ContainerInfo, condition: Condition, for_caller: bool) -> Verdict {
    let name = &info.name;
    let health = info.health.as_ref().map(|health| health.status);
    match (&info.state, condition) {
        (ContainerState::Exited { status, .. }, Condition::Completed) if status.code == 0 => Verdict::Good,
        (ContainerState::Exited { status, .. }, _) => {
            Verdict::Bad(format!("container {name} exited ({}){}", status.code, out_of_memory(status)))
        }
        (ContainerState::Removing | ContainerState::Dead, _) => Verdict::Bad(format!("container {name} is {}", info.state.word())),
        // Whoever waits with `--wait` is content while a job still runs; nobody can depend on it before it ends.
        (ContainerState::Running { .. }, Condition::Completed) => Verdict::Wait,
        (ContainerState::Created | ContainerState::Restarting { .. }, _) => Verdict::Wait,
        (ContainerState::Running { started_at, .. }, Condition::Started | Condition::Healthy) => match health {
            Some(HealthStatus::Healthy) => Verdict::Good,
            Some(HealthStatus::Unhealthy) if condition == Condition::Healthy || for_caller => {
                Verdict::Bad(format!("container {name} is unhealthy"))
            }
            Some(_) if condition == Condition::Healthy || for_caller => Verdict::Wait,
            None if condition == Condition::Healthy => Verdict::Bad(format!("container {name} has no healthcheck configured")),
            None if for_caller => Verdict::Settling(*started_at),
            _ => Verdict::Good,
        },
    }
}
