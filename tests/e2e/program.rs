//! Programs that tests run: ours and foreign ones, each bounded in time.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The folder the project lies in.
pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the project's own script unpacked Docker.
pub(crate) fn foreign(path: &str) -> PathBuf {
    let program = top().join("target/foreign/root").join(path);
    assert!(program.exists(), "{} is missing: run tests/run, which unpacks it", program.display());
    program
}

/// A command that is ended after two minutes.
pub(crate) fn bounded(program: impl AsRef<OsStr>) -> Command {
    bounded_by(120, program)
}

/// A command that is ended after so many seconds. Asked to end before, an engine in it has as long as its containers have, and more.
#[expect(clippy::disallowed_methods, reason = "tests run programs: ours, and foreign ones as judges")]
pub(crate) fn bounded_by(seconds: u32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=30").arg(seconds.to_string()).arg(program.as_ref());
    command
}

/// What a program left: exit code and both outputs.
#[derive(Debug)]
#[must_use]
pub(crate) struct Outcome {
    /// The exit code; 124 when it took too long.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless the program succeeded; returns its standard output.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, 0, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Fails the test unless the program failed with this code; returns its standard error.
    #[track_caller]
    pub(crate) fn failure(self, code: i32) -> String {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// Asks a program to end, and waits until it has. `timeout` passes the signal on and ends with what it runs.
pub(crate) fn end(process: &mut Child) {
    let pid = Pid::from_raw(i32::try_from(process.id()).expect("a process id"));
    let _ = kill(pid, Signal::SIGTERM);
    let _ = process.wait();
}

/// Runs a command with nothing on its standard input.
pub(crate) fn run(command: &mut Command) -> Outcome {
    Outcome::of(&command.stdin(Stdio::null()).output().expect("a program of this test starts"))
}

/// Runs a command with `input` on its standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program of this test starts");
    let written = child.stdin.take().expect("a piped standard input").write_all(input);
    // Who does not read it may have ended.
    assert!(written.as_ref().is_ok() || written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe));
    Outcome::of(&child.wait_with_output().expect("the program ends"))
}

/// Runs a line in a shell.
pub(crate) fn shell(line: &str) -> Outcome {
    run(bounded("sh").args(["-c", line]))
}
