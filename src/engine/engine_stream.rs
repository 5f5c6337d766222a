//! The engine's verbs on what goes into a container and comes out of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::engine::Engine;
use crate::engine::container::attach::{self, AttachReader, AttachWriter};
use crate::engine::container::entry::Container;
use crate::engine::container::log::{Ended, LogReader};
use crate::engine::container::process::{self, ProcessList};
use crate::engine::container::process_format::Format;
use crate::engine::runtime::task::AttachRequest;
use crate::resource::container::{AttachOptions, ContainerState, LogSpec};
use crate::resource::detach::DetachKeys;
use crate::resource::exec::TerminalSize;
use crate::resource::failure::Failure;
use crate::resource::log::LogOptions;

type BoxedReader = Pin<Box<dyn AsyncRead + Send>>;
type BoxedWriter = Pin<Box<dyn AsyncWrite + Send>>;

impl Engine {
    /// Returns what a container wrote.
    pub async fn logs(&self, name: &str, options: &LogOptions) -> Result<LogReader, Failure> {
        let container = self.shared.containers.find(name)?;
        if container.spec().log == LogSpec::None {
            return Err(Failure::unsupported("configured logging driver does not support reading"));
        }
        let ended = Ended::of(container.watch());
        LogReader::open(&self.shared.logs, &container.log_path(), options, ended).await
    }

    /// Returns what the options of a container's log have written beside every line.
    pub async fn log_details(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        Ok(self.shared.containers.find(name)?.log_details())
    }

    /// Connects to the streams of a container, which need not have been started yet: not a byte of its output is missed then.
    pub async fn attach(&self, name: &str, options: &AttachOptions) -> Result<(AttachReader, AttachWriter), Failure> {
        let container = self.shared.containers.find(name)?;
        let keys = options.detach_keys.as_deref().map(DetachKeys::parse).transpose()?.unwrap_or_default();
        let (id, spec) = (container.id(), container.spec());
        match container.life().state {
            ContainerState::Running { paused: true, .. } => {
                return Err(Failure::conflict(format!("container {id} is paused, unpause the container before attach")));
            }
            ContainerState::Restarting { .. } => {
                return Err(Failure::conflict(format!("container {id} is restarting, wait until the container is running")));
            }
            _ => {}
        }
        let (output, input) = self.streams(&container, options).await?;
        self.tell(&container, "attach", &[]);
        let output: BoxedReader = if options.logs {
            let wanted = LogOptions {
                stdout: options.stdout,
                stderr: options.stderr,
                follow: false,
                timestamps: false,
                tail: None,
                since: None,
                until: None,
            };
            let log = LogReader::open(&self.shared.logs, &container.log_path(), &wanted, None).await?;
            Box::pin(written(log, spec.tty).chain(output))
        } else {
            output
        };
        if spec.tty && options.stdin {
            let engine = self.clone();
            return Ok(attach::guard(keys, output, input, move || engine.tell(&container, "detach", &[])));
        }
        Ok((AttachReader::new(output, !spec.tty), AttachWriter::new(input)))
    }

    /// The streams of what runs or will be started; nothing where only what was written before is wanted.
    async fn streams(&self, container: &Container, options: &AttachOptions) -> Result<(BoxedReader, BoxedWriter), Failure> {
        if !options.stream {
            return Ok((Box::pin(tokio::io::empty()), Box::pin(tokio::io::sink())));
        }
        let request = AttachRequest { stdin: options.stdin && container.spec().stdin_open, stdout: options.stdout, stderr: options.stderr };
        // No start comes between the look and the wait.
        let _turn = container.turn().await;
        match container.life().task {
            Some(task) => {
                let attached = task.attach(request).await?;
                Ok((Box::pin(attached.output), Box::pin(attached.input)))
            }
            None => {
                let (output, input) = attach::late(container.attach_at_start(request));
                Ok((Box::pin(output), Box::pin(input)))
            }
        }
    }

    /// Tells a container's terminal its size.
    pub async fn resize_container(&self, name: &str, size: TerminalSize) -> Result<(), Failure> {
        let container = self.shared.containers.find(name)?;
        container.task()?.resize(None, size).await?;
        self.tell(&container, "resize", &[("height", size.rows.to_string()), ("width", size.columns.to_string())]);
        Ok(())
    }

    /// Returns the processes of a running container, in the columns that arguments of `ps` choose.
    pub async fn container_processes(&self, name: &str, arguments: &str) -> Result<ProcessList, Failure> {
        let format = Format::parse(arguments)?;
        let container = self.shared.containers.find(name)?;
        if matches!(container.life().state, ContainerState::Restarting { .. }) {
            return Err(Failure::conflict(format!("Container {} is restarting, wait until the container is running", container.id())));
        }
        let processes = container.task()?.processes()?;
        let list = process::list(Path::new("/proc"), &processes, &format);
        self.tell(&container, "top", &[]);
        Ok(list)
    }

    /// Whether any process of a running container is at work just now, or would be if it got a processor.
    pub async fn container_is_busy(&self, name: &str) -> Result<bool, Failure> {
        let processes = self.shared.containers.find(name)?.task()?.processes()?;
        Ok(process::is_busy(Path::new("/proc"), &processes))
    }
}

/// What a log holds, as the stream of a process.
fn written(mut log: LogReader, tty: bool) -> impl AsyncRead + Send + Unpin {
    let (mut writer, reader) = tokio::io::duplex(64 << 10);
    tokio::spawn(async move {
        while let Some(Ok(line)) = log.next().await {
            let bytes = if tty { line.text } else { attach::frame(line.stream, &line.text) };
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    reader
}
