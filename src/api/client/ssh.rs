//! A connection by the program `ssh`: its input and output are those of an engine of another machine.
//!
//! `ssh` runs in a session of its own. So Ctrl-C reaches only the command, which has yet to tell the engine what to stop; and `ssh` ends with
//! the command, however that ends. To get there without a fork of ours, this program is run once more and becomes `ssh`.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::pin::Pin;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::task::{Context, Poll, ready};

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::OwnedSemaphorePermit;

use crate::api::client::ssh_target::{NOBODY, READY, SshTarget};

/// The name by which this program knows that it is to become `ssh`.
const ROLE: &str = "gantry-ssh";
/// So much of what a shell says before the engine's bytes come is borne.
const CHATTER: usize = 64 << 10;
/// So much of what `ssh` complains of is kept.
const COMPLAINT: usize = 4 << 10;

/// Why `ssh` ended without having led to an engine. Where none runs on the far side, the connection counts as refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SshFailure(String);

/// Becomes `ssh`, if this process was started for that.
pub fn main(arguments: &[OsString]) -> Option<ExitCode> {
    let (program, rest) = arguments.split_first()?;
    if Path::new(program).file_name()? != ROLE {
        return None;
    }
    let (parent, rest) = rest.split_first()?;
    // Who leads a group cannot leave his session; a process just started leads none.
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    // It may have ended before that.
    let is_there = rustix::process::getppid().is_some_and(|pid| parent.to_str() == Some(pid.as_raw_nonzero().to_string().as_str()));
    if !is_there {
        return Some(ExitCode::FAILURE);
    }
    #[expect(clippy::disallowed_methods, reason = "an engine of another machine is reached by `ssh`")]
    let error = std::process::Command::new("ssh").args(rest).exec();
    let told = format!("the program `ssh` cannot be run: {error}: install it (openssh-client)\n");
    let _ = rustix::io::write(rustix::stdio::stderr(), told.as_bytes());
    Some(ExitCode::from(255))
}

/// The two ends of `ssh`.
pub(super) struct SshStream {
    process: Process,
    input: Option<ChildStdin>,
    output: ChildStdout,
    errors: Option<ChildStderr>,
    complaint: Vec<u8>,
    /// What came before the engine's bytes; absent once those come.
    chatter: Option<Vec<u8>>,
    /// Bytes of the engine that came with the last of the chatter.
    rest: Vec<u8>,
    /// Held until the far side has let us in: it takes only so many at a time who are still at its door.
    turn: Option<OwnedSemaphorePermit>,
}

enum Process {
    Runs(Child),
    Ends(Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send>>),
    Ended,
}

impl SshStream {
    /// Starts `ssh`. Whether it leads anywhere is told by the first read.
    pub(super) fn open(target: &SshTarget, turn: OwnedSemaphorePermit) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "it runs this very program, to become `ssh`")]
        let mut command = tokio::process::Command::new("/proc/self/exe");
        command.arg0(ROLE).arg(std::process::id().to_string()).args(target.arguments());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or(io::ErrorKind::NotConnected)?;
        let errors = child.stderr.take();
        Ok(Self {
            process: Process::Runs(child),
            input,
            output,
            errors,
            complaint: Vec::new(),
            chatter: Some(Vec::new()),
            rest: Vec::new(),
            turn: Some(turn),
        })
    }

    /// Takes what `ssh` complains of; one that nobody listens to would wait.
    fn listen(&mut self, context: &mut Context<'_>) {
        let mut bytes = [0; 1024];
        while let Some(errors) = &mut self.errors {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(errors).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.complaint.extend_from_slice(buffer.filled());
                    let surplus = self.complaint.len().saturating_sub(COMPLAINT);
                    self.complaint.drain(..surplus);
                }
                Poll::Ready(_) => self.errors = None,
                Poll::Pending => return,
            }
        }
    }

    /// Reads until the far side is ready.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        while let Some(chatter) = &mut self.chatter {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.output).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return self.poll_end(context);
            }
            chatter.extend_from_slice(buffer.filled());
            if let Some(start) = engine_starts(chatter) {
                self.rest = chatter.split_off(start);
                self.chatter = None;
                self.turn = None;
            } else if chatter.len() > CHATTER {
                return Poll::Ready(Err(io::Error::other(SshFailure("the far side talks, and none of it is an engine's".to_owned()))));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the end of `ssh`, once its output has ended; a failure if it says so.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.process {
                Process::Runs(_) => {
                    if let Process::Runs(mut child) = std::mem::replace(&mut self.process, Process::Ended) {
                        // It has no reason to go on, even if it has not been told that there is no more input.
                        self.input = None;
                        self.process = Process::Ends(Box::pin(async move { child.wait().await }));
                    }
                }
                Process::Ends(end) => {
                    let status = ready!(end.as_mut().poll(context))?;
                    self.process = Process::Ended;
                    self.listen(context);
                    if status.success() && self.chatter.is_none() {
                        return Poll::Ready(Ok(()));
                    }
                    let told = SshFailure(reason(status, &self.complaint));
                    let is_nobody = self.chatter.is_none() && status.code() == Some(NOBODY.into());
                    let kind = if is_nobody { io::ErrorKind::ConnectionRefused } else { io::ErrorKind::Other };
                    return Poll::Ready(Err(io::Error::new(kind, told)));
                }
                Process::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Where the engine's bytes begin. Who lets a key do only `docker system dial-stdio` has nobody say that it is ready.
fn engine_starts(bytes: &[u8]) -> Option<usize> {
    let of = |sign: &[u8]| bytes.windows(sign.len()).position(|window| window == sign);
    of(READY).map(|start| start + READY.len()).or_else(|| of(b"HTTP/1."))
}

/// What `ssh` complained of, in one line.
fn reason(status: ExitStatus, complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { format!("`ssh` ended without a word ({status})") } else { lines.join("; ") }
}

impl AsyncRead for SshStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.listen(context);
        ready!(this.poll_ready(context))?;
        if !this.rest.is_empty() {
            let length = this.rest.len().min(buffer.remaining());
            buffer.put_slice(&this.rest[..length]);
            this.rest.drain(..length);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.output).poll_read(context, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 { Poll::Ready(Ok(())) } else { this.poll_end(context) }
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(input) = &mut this.input {
            match ready!(Pin::new(input).poll_write(context, bytes)) {
                // Why nobody takes it, whoever reads is told.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => this.input = None,
                written => return Poll::Ready(written),
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().input {
            Some(input) => Pin::new(input).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn chatter_ends_where_the_engine_begins() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(engine_starts(text.as_bytes()).map(|start| &text[start..]), expect, "{text:?}");
        };
        check("", None);
        check("Welcome!\ngantry-ssh-re", None);
        check("Welcome!\ngantry-ssh-ready\n", Some(""));
        check("gantry-ssh-ready\nHTTP/1.1 200 OK", Some("HTTP/1.1 200 OK"));
        check("HTTP/1.1 200 OK", Some("HTTP/1.1 200 OK"));
    }

    #[test]
    fn complaints_are_one_line() {
        let status = ExitStatus::from_raw(255 << 8);
        assert_eq!(
            reason(status, b"Warning: x\r\n\r\nme@h: Permission denied (publickey).\r\n"),
            "Warning: x; me@h: Permission denied (publickey)."
        );
        assert_eq!(reason(status, b""), "`ssh` ended without a word (exit status: 255)");
    }
}
