//! The engine's verbs on containers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::container::create::Anonymous;
use crate::engine::container::select::Selection;
use crate::engine::container::start::Starter;
use crate::engine::container::stop::Reason;
use crate::engine::container::wait::ContainerWait;
use crate::resource::container::{ContainerFilter, ContainerInfo, ContainerSpec, ExitStatus, StopOptions, Stopped, Told, WaitCondition};
use crate::resource::failure::Failure;
use crate::resource::id::ContainerId;
use crate::trace::Trace;

impl Engine {
    /// Returns the containers a filter selects, newest first.
    pub async fn containers(&self, filter: &ContainerFilter) -> Result<Vec<Arc<Told>>, Failure> {
        let mut infos: Vec<_> = self.shared.containers.all().iter().map(|container| self.told_of(container)).collect();
        infos.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
        let image = |name: &str| self.shared.images.meant(name);
        let created = |name: &str| self.shared.containers.find(name).map(|container| container.info().created);
        let selection = Selection::new(filter, image, created)?;
        infos.retain(|info| selection.selects(info));
        Ok(infos)
    }

    /// What the image of a container is called now: as it was asked for, or by its id where that means another one by now.
    pub fn image_name(&self, info: &ContainerInfo) -> String {
        let means_it = self.shared.images.meant(&info.spec.image) == Some(info.image);
        if means_it { info.spec.image.clone() } else { info.image.to_string() }
    }

    /// Returns a container by name, id or unambiguous start of an id. One that is being restarted is not seen between its two lives, as in
    /// Docker: Docker Compose looks when it hears of an end, and takes what has ended for gone.
    pub async fn container(&self, name: &str) -> Result<Arc<Told>, Failure> {
        let container = self.shared.containers.find(name)?;
        // Who is gone has nothing left to be awaited.
        let _ = container.watch().wait_for(|life| !life.is_between_lives()).await;
        Ok(self.told_of(&container))
    }

    /// Makes a container; without a name it gets one.
    pub async fn create_container(&self, name: Option<&str>, spec: &ContainerSpec) -> Result<ContainerId, Failure> {
        self.make_container(name, spec).await
    }

    /// What there is to warn of where a container is made.
    pub fn creation_warnings(&self, spec: &ContainerSpec) -> Vec<String> {
        self.foreign_image(spec).into_iter().collect()
    }

    /// Starts a container; returns once its command was executed.
    pub async fn start_container(&self, name: &str) -> Result<(), Failure> {
        let container = self.shared.containers.find(name)?;
        self.whole(move |engine| async move {
            let _turn = container.turn().await;
            engine.start_held(&container, Starter::Hand).await
        })
        .await
    }

    /// Stops a container; returns once it has ended.
    pub async fn stop_container(&self, name: &str, options: &StopOptions) -> Result<Stopped, Failure> {
        let (container, options) = (self.shared.containers.find(name)?, *options);
        self.whole(move |engine| async move { engine.stop(&container, &options, Reason::Hand).await }).await
    }

    /// Sends a signal to a container's first process: a name with or without `SIG`, or a number; empty is `KILL`.
    pub async fn kill_container(&self, name: &str, signal: &str) -> Result<(), Failure> {
        let killed = async { self.kill(&self.shared.containers.find(name)?, signal).await };
        killed.await.map_err(|failure: Failure| failure.within(&format!("cannot kill container: {name}")))
    }

    /// Stops a container if it runs, and starts it.
    pub async fn restart_container(&self, name: &str, options: &StopOptions) -> Result<(), Failure> {
        let (container, options) = (self.shared.containers.find(name)?, *options);
        self.whole(move |engine| async move { engine.restart(&container, &options).await }).await
    }

    /// Freezes a container.
    pub async fn pause_container(&self, name: &str) -> Result<(), Failure> {
        let container = self.shared.containers.find(name)?;
        self.whole(move |engine| async move { engine.freeze(&container).await }).await
    }

    /// Thaws a container.
    pub async fn unpause_container(&self, name: &str) -> Result<(), Failure> {
        let container = self.shared.containers.find(name)?;
        self.whole(move |engine| async move { engine.thaw(&container).await }).await
    }

    /// Removes a container; `force` kills one that runs, `volumes` removes its anonymous volumes.
    pub async fn remove_container(&self, name: &str, force: bool, volumes: bool) -> Result<(), Failure> {
        let container = self.shared.containers.find(name)?;
        let volumes = if volumes { Anonymous::All } else { Anonymous::Stay };
        let removed = self.whole(move |engine| async move { engine.remove(&container, force, volumes).await }).await;
        removed.map_err(|failure| failure.within(&format!("cannot remove container \"{name}\"")))
    }

    /// Gives a container another name.
    pub async fn rename_container(&self, name: &str, to: &str) -> Result<(), Failure> {
        self.rename(&self.shared.containers.find(name)?, to).await
    }

    /// Waits for an end of a container.
    pub async fn wait_container(&self, name: &str, condition: WaitCondition) -> Result<ExitStatus, Failure> {
        self.watch_container(name, condition)?.status().await
    }

    /// Begins to wait for an end of a container: what happens after this call returned is seen.
    pub fn watch_container(&self, name: &str, condition: WaitCondition) -> Result<ContainerWait, Failure> {
        Ok(ContainerWait::begin(&*self.shared.containers.find(name)?, condition))
    }

    /// Removes every container that does not run and that the filters (`label`, `until`) select; returns the ids and the bytes given back.
    pub async fn prune_containers(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<(Vec<ContainerId>, u64), Failure> {
        let filters = filters.clone();
        self.whole(move |engine| async move { engine.prune(&filters).await }).await
    }

    /// Does all of it, even if whoever asked goes away meanwhile: nothing is left half done.
    pub(in crate::engine) async fn whole<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        match tokio::spawn(Trace::current().scope(work(self.clone()))).await {
            Ok(outcome) => outcome,
            Err(error) => Err(Failure::internal(format!("the engine gave up: {error}"))),
        }
    }
}
