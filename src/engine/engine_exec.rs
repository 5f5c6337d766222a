//! The engine's verbs on commands run beside a container's own.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::engine::container::attach::{self, AttachReader, AttachWriter, UntilKnown};
use crate::engine::container::entry::Container;
use crate::engine::container::exec;
use crate::engine::container::reframe::reframe;
use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::task::{ExecIo, ExecTask, Task};
use crate::engine::runtime::view::{self, Extent, Inside, Seen};
use crate::resource::container::ContainerState;
use crate::resource::detach::DetachKeys;
use crate::resource::exec::{ExecInfo, ExecSpec, TerminalSize};
use crate::resource::failure::Failure;
use crate::resource::id::ExecId;
use crate::resource::log::Stream;

impl Engine {
    /// Prepares a command in a running container. Its user has to be one of the container's.
    pub async fn exec_create(&self, name: &str, spec: &ExecSpec) -> Result<ExecId, Failure> {
        let container = self.shared.containers.find(name)?;
        if spec.command.is_empty() {
            return Err(Failure::invalid("No exec command specified"));
        }
        spec.detach_keys.as_deref().map(DetachKeys::parse).transpose()?;
        let task = able(&container, name)?;
        let mut spec = spec.clone();
        match spec.user.clone().filter(|user| !user.is_empty()) {
            Some(user) => find_user(Inside::of(&task)?, user).await?,
            None => spec.user = Some(container.info().effective.user.clone()),
        }
        let id = exec::new_id()?;
        self.shared.execs.add(id, container.id(), spec.clone());
        self.tell_exec(&container, &id, &format!("exec_create: {}", exec::line(&spec.command)), &[]);
        Ok(id)
    }

    /// Starts a prepared command; with `detach` there are no streams. One that cannot be executed says so on its own stream, and has
    /// Docker's exit code; one that was started before says that on the stream, too: Docker Compose starts its own twice. Whether the streams
    /// are those of a terminal, or come in frames, says who starts it (`tty`), and not who made it, as with Docker.
    pub async fn exec_start(&self, id: &str, detach: bool, tty: bool) -> Result<Option<(AttachReader, AttachWriter)>, Failure> {
        let ExecInfo { id, container, spec, .. } = self.shared.execs.find(id)?;
        let name = container.to_string();
        let container = self.shared.containers.find(&name)?;
        let task = able(&container, &name)?;
        let keys = spec.detach_keys.as_deref().map(DetachKeys::parse).transpose()?.unwrap_or_default();
        let process = exec::process(&container, &spec)?;
        if let Err(failure) = self.shared.execs.take(&id) {
            return if detach { Err(failure) } else { Ok(Some(said(&failure.message, Stream::Stdout, tty))) };
        }
        self.tell_exec(&container, &id, &format!("exec_start: {}", exec::line(&spec.command)), &[]);
        let io = ExecIo { stdin: spec.stdin && !detach, stdout: spec.stdout, stderr: spec.stderr, detach };
        let engine = self.clone();
        let started = async move {
            let started = task.exec(id, process, io).await;
            match started {
                Ok(mut started) => {
                    let attached = started.attached.take();
                    engine.shared.execs.runs(&id, started.pid);
                    container.exec_began(id);
                    let (tell, known) = oneshot::channel();
                    tokio::spawn(engine.clone().await_exec(Arc::clone(&container), id, started, tell));
                    Ok((Ok(attached.map(|attached| (UntilKnown::new(attached.output, known), attached.input))), container))
                }
                Err(error) => {
                    let code = error.exec_code();
                    engine.shared.execs.ended(&id, code);
                    engine.tell_exec(&container, &id, "exec_die", &[("exitCode", code.to_string())]);
                    Ok((Err(error), container))
                }
            }
        };
        let (started, container) = self.whole(|_| started).await?;
        match started {
            Ok(Some((output, input))) if !tty => {
                Ok(Some((AttachReader::new(reframe(output, spec.tty, tty), true), AttachWriter::new(input))))
            }
            Ok(Some((output, input))) => {
                let output = reframe(output, spec.tty, tty);
                let engine = self.clone();
                let left = move || engine.tell_exec(&container, &id, "exec_detach", &[]);
                Ok(Some(attach::guard(keys, output, input, left)))
            }
            Ok(None) => Ok(None),
            Err(error) if detach => Err(error.into()),
            Err(error) => {
                // As Docker's clients show it: what the runtime says is output, what the engine refuses is an error.
                let stream = if matches!(error, LaunchError::Invalid(_)) { Stream::Stderr } else { Stream::Stdout };
                Ok(Some(said(&error.chain(), stream, tty)))
            }
        }
    }

    /// Tells the terminal of a command its size.
    pub async fn exec_resize(&self, id: &str, size: TerminalSize) -> Result<(), Failure> {
        let info = self.shared.execs.find(id)?;
        if !info.running {
            return Err(Failure::conflict(format!("exec {id} is not running")));
        }
        let task = self.shared.containers.find(&info.container.to_string())?.task()?;
        Ok(task.resize(Some(&info.id), size).await?)
    }

    /// Returns what is known of a command.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInfo, Failure> {
        self.shared.execs.find(id)
    }

    async fn await_exec(self, container: Arc<Container>, id: ExecId, mut started: ExecTask, known: oneshot::Sender<()>) {
        let code = started.wait().await;
        if started.out_of_memory() {
            // Docker's word for it. Whoever sees the command's end can find it among what has happened.
            self.tell(&container, "oom", &[]);
        }
        self.shared.execs.ended(&id, code);
        // Whoever asked may have left.
        let _ = known.send(());
        container.exec_ended(&id);
        self.tell_exec(&container, &id, "exec_die", &[("exitCode", code.to_string())]);
    }

    fn tell_exec(&self, container: &Container, id: &ExecId, action: &str, more: &[(&str, String)]) {
        self.tell(container, action, &[&[("execID", id.to_string())], more].concat());
    }
}

/// Makes sure that a running container has a user. It may be about to be stopped, so nobody's turn is waited for.
async fn find_user(inside: Inside, user: String) -> Result<(), Failure> {
    view::with_root(Seen::Running(inside), Extent::Whole, (), move |root| view::user_in(root, &user)).await??;
    Ok(())
}

/// The streams of a command that did not come to run: all there is on them is why.
fn said(why: &str, stream: Stream, tty: bool) -> (AttachReader, AttachWriter) {
    (AttachReader::message(&format!("{why}\r\n"), stream, tty), AttachWriter::new(tokio::io::sink()))
}

/// The task of a container in which a command can run now, or Docker's words, by the name it was asked for with.
fn able(container: &Container, name: &str) -> Result<Task, Failure> {
    match container.life().state {
        ContainerState::Running { paused: true, .. } => {
            Err(Failure::conflict(format!("Container {name} is paused, unpause the container before exec")))
        }
        ContainerState::Restarting { .. } => {
            Err(Failure::conflict(format!("Container {name} is restarting, wait until the container is running")))
        }
        _ => container.task(),
    }
}
