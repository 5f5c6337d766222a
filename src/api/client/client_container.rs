//! The client's verbs on containers.

use std::collections::BTreeMap;

use crate::api::client::Client;
use crate::api::client::hijack::Hijacked;
use crate::api::client::log::LogStream;
use crate::resource::container::{AttachOptions, ContainerFilter, ContainerInfo, ContainerSpec, ExitStatus, StopOptions, WaitCondition};
use crate::resource::exec::TerminalSize;
use crate::resource::failure::Failure;
use crate::resource::id::ContainerId;
use crate::resource::log::LogOptions;

impl Client {
    /// Returns the containers a filter selects, whole, newest first.
    pub async fn containers(&self, filter: &ContainerFilter) -> Result<Vec<ContainerInfo>, Failure> {
        todo!("{filter:?}")
    }

    /// Returns a container by name, id or unambiguous start of an id.
    pub async fn container(&self, name: &str) -> Result<ContainerInfo, Failure> {
        todo!("{name}")
    }

    /// Makes a container; without a name it gets one.
    pub async fn create_container(&self, name: Option<&str>, spec: &ContainerSpec) -> Result<ContainerId, Failure> {
        todo!("{name:?} {spec:?}")
    }

    /// Starts a container; returns once its command was executed. One that runs already is no failure.
    pub async fn start_container(&self, name: &str) -> Result<(), Failure> {
        todo!("{name}")
    }

    /// Stops a container; returns once it has ended. One that does not run is no failure.
    pub async fn stop_container(&self, name: &str, options: &StopOptions) -> Result<(), Failure> {
        todo!("{name} {options:?}")
    }

    /// Sends a signal to a container's first process; empty is `KILL`.
    pub async fn kill_container(&self, name: &str, signal: &str) -> Result<(), Failure> {
        todo!("{name} {signal}")
    }

    /// Stops a container if it runs, and starts it.
    pub async fn restart_container(&self, name: &str, options: &StopOptions) -> Result<(), Failure> {
        todo!("{name} {options:?}")
    }

    /// Freezes a container.
    pub async fn pause_container(&self, name: &str) -> Result<(), Failure> {
        todo!("{name}")
    }

    /// Thaws a container.
    pub async fn unpause_container(&self, name: &str) -> Result<(), Failure> {
        todo!("{name}")
    }

    /// Removes a container; `force` kills one that runs, `volumes` removes its anonymous volumes.
    pub async fn remove_container(&self, name: &str, force: bool, volumes: bool) -> Result<(), Failure> {
        todo!("{name} {force} {volumes}")
    }

    /// Gives a container another name.
    pub async fn rename_container(&self, name: &str, to: &str) -> Result<(), Failure> {
        todo!("{name} {to}")
    }

    /// Waits for an end of a container.
    pub async fn wait_container(&self, name: &str, condition: WaitCondition) -> Result<ExitStatus, Failure> {
        self.watch_container(name, condition).await?.status().await
    }

    /// Begins to wait for an end of a container: what happens after this call returned is seen.
    pub async fn watch_container(&self, name: &str, condition: WaitCondition) -> Result<ContainerWait, Failure> {
        todo!("{name} {condition:?}")
    }

    /// Removes every container that does not run and that the filters select; returns the ids and the bytes given back.
    pub async fn prune_containers(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<(Vec<ContainerId>, u64), Failure> {
        todo!("{filters:?}")
    }

    /// Returns what a container wrote.
    pub async fn logs(&self, name: &str, options: &LogOptions) -> Result<LogStream, Failure> {
        todo!("{name} {options:?}")
    }

    /// Connects to the streams of a container.
    pub async fn attach(&self, name: &str, options: &AttachOptions) -> Result<Hijacked, Failure> {
        todo!("{name} {options:?}")
    }

    /// Tells a container's terminal its size.
    pub async fn resize_container(&self, name: &str, size: TerminalSize) -> Result<(), Failure> {
        todo!("{name} {size:?}")
    }

    /// Returns the processes of a running container: the columns' names, and a row for each process.
    pub async fn container_processes(&self, name: &str) -> Result<(Vec<String>, Vec<Vec<String>>), Failure> {
        todo!("{name}")
    }
}

/// A wait that has begun: what happened since is not missed.
#[derive(Debug)]
pub struct ContainerWait {}

impl ContainerWait {
    /// Returns how the container ended once the condition holds.
    pub async fn status(self) -> Result<ExitStatus, Failure> {
        todo!()
    }
}
