//! Which program a command line means, in the container and for its user.

use std::convert::Infallible;
use std::ffi::CString;

use rustix::fs::{Access, AtFlags, CWD, FileType};

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::kernel;
use crate::engine::runtime::launch::ProcessSpec;
use crate::engine::runtime::sync::Voice;
use crate::engine::runtime::user::User;

/// A command that is ready to be executed.
#[derive(Debug)]
pub(super) struct Command {
    /// As it was written.
    name: String,
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Command {
    /// Looks the program up as Go's `exec.LookPath` does, whose words Docker's users know.
    pub(super) fn find(process: &ProcessSpec, user: &User) -> Result<Self, LaunchError> {
        let Some(name) = process.command.first() else {
            return Err(LaunchError::Invalid("no command specified".to_owned()));
        };
        let mut environment = process.environment.clone();
        let home = variable(&environment, "HOME");
        if home.is_none_or(str::is_empty) {
            environment.retain(|entry| !entry.starts_with("HOME="));
            environment.push(format!("HOME={}", user.home));
        }
        let path = variable(&environment, "PATH").unwrap_or_default();
        let program = look_up(name, path)?;
        Ok(Self {
            program: c_string(&program)?,
            arguments: process.command.iter().map(|argument| c_string(argument)).collect::<Result<_, _>>()?,
            environment: environment.iter().map(|entry| c_string(entry)).collect::<Result<_, _>>()?,
            name: name.clone(),
        })
    }

    /// Becomes it.
    pub(super) fn execute(&self, voice: &Voice) -> Result<Infallible, LaunchError> {
        voice.executing()?;
        Err(refused(&self.name, kernel::execute(&self.program, &self.arguments, &self.environment)))
    }
}

fn variable<'a>(environment: &'a [String], name: &str) -> Option<&'a str> {
    // The last one wins, as with getenv of most shells' children; Docker never writes a name twice.
    environment.iter().rev().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

fn look_up(name: &str, path: &str) -> Result<String, LaunchError> {
    if name.contains('/') {
        return executable(name).map(|()| name.to_owned()).map_err(|error| refused(name, error));
    }
    let candidates = path.split(':').filter(|folder| folder.starts_with('/')).map(|folder| format!("{folder}/{name}"));
    candidates
        .into_iter()
        .find(|candidate| !name.is_empty() && executable(candidate).is_ok())
        .ok_or_else(|| LaunchError::CommandNotFound { command: name.to_owned(), reason: "executable file not found in $PATH".to_owned() })
}

/// Whether this is a file that the process, as it is now, may execute.
fn executable(path: &str) -> Result<(), Errno> {
    let found = rustix::fs::statat(CWD, path, AtFlags::empty())?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Err(Errno(libc::EISDIR));
    }
    Ok(rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?)
}

fn refused(name: &str, error: Errno) -> LaunchError {
    match error {
        // Also what execve says of a script or program whose interpreter is missing.
        Errno(libc::ENOENT | libc::ENOTDIR) => LaunchError::CommandNotFound { command: name.to_owned(), reason: error.to_string() },
        source => LaunchError::NotExecutable { command: name.to_owned(), source },
    }
}

fn c_string(text: &str) -> Result<CString, LaunchError> {
    CString::new(text).map_err(|_| LaunchError::Invalid(format!("`{}` contains a null byte", text.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_up_in_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("plain"), "").unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("/proc/self/exe", folder.path().join("program")).unwrap();
        let path = format!("/nowhere:relative::{place}");
        let check = |name: &str, expect: Result<String, i32>| {
            assert_eq!(look_up(name, &path).map_err(|error| error.exit_code()), expect, "{name}");
        };
        check("program", Ok(format!("{place}/program")));
        check(&format!("{place}/program"), Ok(format!("{place}/program")));
        check("plain", Err(127));
        check("", Err(127));
        check("missing", Err(127));
        check("/nowhere/missing", Err(127));
        check(&format!("{place}/plain"), Err(126));
        check(&format!("{place}/folder"), Err(126));
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let environment = ["A=1", "AB=2", "A=3", "B"].map(str::to_owned);
        let check = |name, expect| assert_eq!(variable(&environment, name), expect, "{name}");
        check("A", Some("3"));
        check("AB", Some("2"));
        check("B", None);
    }
}
