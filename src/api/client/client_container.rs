//! The client's verbs on containers.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use hyper::Method;
use serde_json::Value;

use crate::api::client::answer::{Answer, list_of};
use crate::api::client::call::{Call, segment};
use crate::api::client::hijack::{Framing, Hijacked};
use crate::api::client::log::LogStream;
use crate::api::client::stats::StatsStream;
use crate::api::client::{Client, older};
use crate::api::wire::answer::{self, Pruned};
use crate::api::wire::container::{read, whole};
use crate::api::wire::{extension, spec, time};
use crate::resource::container::{
    AttachOptions, ContainerFilter, ContainerInfo, ContainerSpec, EndpointSpec, ExitStatus, InjectedFile, StopOptions, Stopped,
    WaitCondition,
};
use crate::resource::exec::TerminalSize;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ContainerId;
use crate::resource::log::LogOptions;

impl Client {
    /// Returns the containers a filter selects, whole, newest first.
    pub async fn containers(&self, filter: &ContainerFilter) -> Result<Vec<ContainerInfo>, Failure> {
        let call = Call::get("/containers/json").flag("all", filter.all).flag(extension::WHOLE, true).filters(&filter.filters);
        let answer = self.transport.send(&call).await?.bytes().await?;
        if let Some(infos) = whole::from_json(&answer) {
            return Ok(infos);
        }
        let lines = list_of(&self.transport.name(), &answer)?;
        let infos = stream::iter(lines.into_iter().map(|line| self.listed_container(line))).buffered(self.transport.breadth());
        infos.try_filter_map(async |info| Ok(info)).try_collect().await
    }

    /// The container of a line of Docker's list; `None` where it went meanwhile.
    async fn listed_container(&self, line: Value) -> Result<Option<ContainerInfo>, Failure> {
        let id = read::id_of_summary(&line).ok_or_else(|| Failure::internal("a line of the list of containers has no id"))?;
        match self.container(id).await {
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
            info => info.map(Some),
        }
    }

    /// Returns a container by name, id or unambiguous start of an id.
    pub async fn container(&self, name: &str) -> Result<ContainerInfo, Failure> {
        let call = Call::get(format!("/containers/{}/json", segment(name)));
        Ok(read::from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Makes a container; without a name it gets one.
    pub async fn create_container(&self, name: Option<&str>, spec: &ContainerSpec) -> Result<ContainerId, Failure> {
        self.transport.settle().await?;
        let minor = self.transport.minor();
        older::check_container(&self.transport.name(), minor, spec)?;
        let split = older::split_networks(minor, spec);
        let (first, further) = split.as_ref().map_or((spec, None), |(first, further)| (first, Some(further)));
        let call = Call::post("/containers/create").option("name", name).option("platform", spec.platform.as_deref());
        // A value that lived on while the engine works would be many times its text.
        let call = call.json(&spec::to_create_json(first));
        let answer = self.transport.send(&call).await?;
        let id = answer::created_from_json(answer.json().await?)?;
        if let Err(failure) = Box::pin(self.complete(&id, spec, further)).await {
            // Without its files and networks it is not what was asked for, and must not be found under its name.
            let _ = Box::pin(self.remove_container(&id.to_string(), true, true)).await;
            return Err(failure);
        }
        Ok(id)
    }

    /// Gives a new container what did not come with it.
    async fn complete(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
        networks: Option<&BTreeMap<String, EndpointSpec>>,
    ) -> Result<(), Failure> {
        for (network, endpoint) in networks.into_iter().flatten() {
            self.connect_network(network, &id.to_string(), endpoint).await?;
        }
        if spec.files.is_empty() { Ok(()) } else { self.upload_files(id, spec).await }
    }

    /// Writes a container's files into it where the engine did not: only ours looks at those of a spec.
    async fn upload_files(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<(), Failure> {
        if self.is_ours().await? {
            return Ok(());
        }
        if spec.read_only {
            let name = self.transport.name();
            return Err(Failure::unsupported(format!(
                "the engine at {name} writes no `configs` and `secrets` of this kind into a container that is `read_only`: take them from files (`file:`), without `uid`, `gid` and `mode`"
            )));
        }
        let call = Call::new(Method::PUT, format!("/containers/{id}/archive")).query("path", "/");
        let archive = archive_of(&spec.files).map_err(|error| Failure::invalid(format!("the files of the container: {error}")))?;
        self.change(call.archive(archive)).await
    }

    /// Whether the engine is one of ours.
    async fn is_ours(&self) -> Result<bool, Failure> {
        if let Some(known) = self.transport.is_ours() {
            return Ok(known);
        }
        let ours = self.version().await?.name == "Gantry";
        self.transport.tell_ours(ours);
        Ok(ours)
    }

    /// Starts a container; returns once its command was executed. One that runs already is no failure.
    pub async fn start_container(&self, name: &str) -> Result<(), Failure> {
        or_unchanged(self.change(Call::post(format!("/containers/{}/start", segment(name)))).await)
    }

    /// Stops a container; returns once it has ended. One that does not run is no failure.
    pub async fn stop_container(&self, name: &str, options: &StopOptions) -> Result<Stopped, Failure> {
        let call = stop_options(Call::post(format!("/containers/{}/stop", segment(name))), options);
        match self.transport.send(&call).await {
            Ok(answer) => {
                let stopped = if answer.has(extension::UNHEARD) { Stopped::Unheard } else { Stopped::Waited };
                answer.done().await.map(|()| stopped)
            }
            Err(failure) if failure.kind == FailureKind::NotModified => Ok(Stopped::Waited),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a signal to a container's first process; empty is `KILL`.
    pub async fn kill_container(&self, name: &str, signal: &str) -> Result<(), Failure> {
        let call = Call::post(format!("/containers/{}/kill", segment(name)));
        self.change(call.option("signal", Some(signal).filter(|signal| !signal.is_empty()))).await
    }

    /// Stops a container if it runs, and starts it.
    pub async fn restart_container(&self, name: &str, options: &StopOptions) -> Result<(), Failure> {
        self.change(stop_options(Call::post(format!("/containers/{}/restart", segment(name))), options)).await
    }

    /// Freezes a container.
    pub async fn pause_container(&self, name: &str) -> Result<(), Failure> {
        self.change(Call::post(format!("/containers/{}/pause", segment(name)))).await
    }

    /// Thaws a container.
    pub async fn unpause_container(&self, name: &str) -> Result<(), Failure> {
        self.change(Call::post(format!("/containers/{}/unpause", segment(name)))).await
    }

    /// Removes a container; `force` kills one that runs, `volumes` removes its anonymous volumes.
    pub async fn remove_container(&self, name: &str, force: bool, volumes: bool) -> Result<(), Failure> {
        let inherited = if volumes && !self.is_ours().await? { self.anonymous_volumes(name).await } else { Vec::new() };
        self.change(Call::delete(format!("/containers/{}", segment(name))).flag("force", force).flag("v", volumes)).await?;
        for volume in inherited {
            // It went along, or is another container's, too.
            let _ = self.remove_volume(&volume, false).await;
        }
        Ok(())
    }

    /// Returns a container's volumes that nobody named. Docker takes one that a container has from its predecessor for named.
    async fn anonymous_volumes(&self, name: &str) -> Vec<String> {
        let Ok(container) = self.container(name).await else { return Vec::new() };
        let mut found = Vec::new();
        for volume in container.mounts.iter().filter(|mount| mount.kind == "volume").filter_map(|mount| mount.name.as_deref()) {
            if self.volume(volume).await.is_ok_and(|info| info.anonymous) {
                found.push(volume.to_owned());
            }
        }
        found
    }

    /// Gives a container another name.
    pub async fn rename_container(&self, name: &str, to: &str) -> Result<(), Failure> {
        self.change(Call::post(format!("/containers/{}/rename", segment(name))).query("name", to)).await
    }

    /// Waits for an end of a container.
    pub async fn wait_container(&self, name: &str, condition: WaitCondition) -> Result<ExitStatus, Failure> {
        self.watch_container(name, condition).await?.status().await
    }

    /// Begins to wait for an end of a container: what happens after this call returned is seen.
    pub async fn watch_container(&self, name: &str, condition: WaitCondition) -> Result<ContainerWait, Failure> {
        let condition = match condition {
            WaitCondition::NotRunning => "not-running",
            WaitCondition::NextExit => "next-exit",
            WaitCondition::Removed => "removed",
        };
        let call = Call::post(format!("/containers/{}/wait", segment(name))).query("condition", condition);
        Ok(ContainerWait { answer: self.transport.send(&call).await? })
    }

    /// Removes every container that does not run and that the filters select; returns the ids and the bytes given back.
    pub async fn prune_containers(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<(Vec<ContainerId>, u64), Failure> {
        let body = self.transport.send(&Call::post("/containers/prune").filters(filters)).await?.json().await?;
        let (removed, reclaimed) = answer::prune_from_json(Pruned::Containers, body)?;
        let ids = removed.iter().map(|id| id.parse()).collect::<Result<_, _>>();
        Ok((ids.map_err(|error| Failure::internal(format!("the containers that were pruned: {error}")))?, reclaimed))
    }

    /// Returns what a container wrote.
    pub async fn logs(&self, name: &str, options: &LogOptions) -> Result<LogStream, Failure> {
        let instant = |time: Option<_>| time.map(time::to_query);
        let call = Call::get(format!("/containers/{}/logs", segment(name)))
            .flag("stdout", options.stdout)
            .flag("stderr", options.stderr)
            .flag("follow", options.follow)
            // Always: a line's time stands apart from its text here, and is there for whoever wants it.
            .flag("timestamps", true)
            .query("tail", &options.tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string()))
            .option("since", instant(options.since).as_deref())
            .option("until", instant(options.until).as_deref());
        let answer = self.transport.send(&call).await?;
        let framing = self.framing(name, answer.is(Framing::MEDIA_TYPE)).await?;
        Ok(LogStream::new(answer.stream(), framing))
    }

    /// Connects to the streams of a container.
    pub async fn attach(&self, name: &str, options: &AttachOptions) -> Result<Hijacked, Failure> {
        let call = Call::post(format!("/containers/{}/attach", segment(name)))
            .flag("stdin", options.stdin)
            .flag("stdout", options.stdout)
            .flag("stderr", options.stderr)
            .flag("logs", options.logs)
            .flag("stream", options.stream)
            .option("detachKeys", options.detach_keys.as_deref());
        let (head, socket, rest) = self.transport.upgrade(&call).await?;
        let framing = self.framing(name, head.content_type == Framing::MEDIA_TYPE).await?;
        Ok(Hijacked::new(socket, rest, framing, self.transport.name()))
    }

    /// How the outputs of a container come. Before version 1.42 the media type is the same either way.
    async fn framing(&self, name: &str, is_told: bool) -> Result<Framing, Failure> {
        let framed = is_told || (self.transport.minor() < 42 && !self.container(name).await?.spec.tty);
        Ok(if framed { Framing::Frames } else { Framing::Terminal })
    }

    /// Tells a container's terminal its size.
    pub async fn resize_container(&self, name: &str, size: TerminalSize) -> Result<(), Failure> {
        self.change(terminal_size(Call::post(format!("/containers/{}/resize", segment(name))), size)).await
    }

    /// Returns the processes of a running container: the columns' names, and a row for each process.
    pub async fn container_processes(&self, name: &str) -> Result<(Vec<String>, Vec<Vec<String>>), Failure> {
        let call = Call::get(format!("/containers/{}/top", segment(name)));
        Ok(answer::processes_from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Whether a running container is at work just now; `None` where the engine does not tell, for it is another.
    pub async fn container_is_busy(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.transport.send(&Call::get(extension::BUSY.replace("{name}", &segment(name)))).await {
            Ok(answer) => Ok(answer.json().await?.as_bool()),
            Err(failure) if failure.kind == FailureKind::Unavailable => Err(failure),
            Err(_) => Ok(None),
        }
    }

    /// Returns what a container uses: each second, or (`stream` off) once.
    pub async fn container_stats(&self, name: &str, stream: bool) -> Result<StatsStream, Failure> {
        let call = Call::get(format!("/containers/{}/stats", segment(name))).query("stream", if stream { "1" } else { "0" });
        Ok(StatsStream::new(self.transport.send(&call).await?.lines()))
    }

    /// Asks for a change of which the engine tells no more than that it is done.
    pub(super) async fn change(&self, call: Call) -> Result<(), Failure> {
        self.transport.send(&call).await?.done().await
    }
}

/// Adds a terminal's size.
pub(super) fn terminal_size(call: Call, size: TerminalSize) -> Call {
    call.query("h", &size.rows.to_string()).query("w", &size.columns.to_string())
}

fn stop_options(call: Call, options: &StopOptions) -> Call {
    // Docker counts whole seconds, and -1 is for ever. A fraction is rounded up, so that no engine kills early.
    let seconds = options.timeout.map(|timeout| match timeout {
        Duration::MAX => "-1".to_owned(),
        timeout => (timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0)).to_string(),
    });
    let signal = options.signal.map(|signal| signal.to_string());
    call.option("t", seconds.as_deref()).option("signal", signal.as_deref()).flag(extension::SKIP_DEAF, options.skip_deaf)
}

/// A tar of files; folders on their way are made by whoever unpacks it.
fn archive_of(files: &[InjectedFile]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid.into());
        header.set_gid(file.gid.into());
        archive.append_data(&mut header, file.target.trim_start_matches('/'), file.content.as_slice())?;
    }
    archive.into_inner()
}

fn or_unchanged(done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(failure) if failure.kind == FailureKind::NotModified => Ok(()),
        done => done,
    }
}

/// A wait that has begun: what happened since is not missed.
#[derive(Debug)]
pub struct ContainerWait {
    answer: Answer,
}

impl ContainerWait {
    /// Returns how the container ended once the condition holds.
    pub async fn status(self) -> Result<ExitStatus, Failure> {
        Ok(answer::exit_from_json(self.answer.json().await?)?)
    }
}
