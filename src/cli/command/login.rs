//! `login` and `logout`: credentials of registries, kept as Docker keeps them.

use std::os::fd::AsFd as _;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::cli::args::login::{LoginArgs, LogoutArgs};
use crate::cli::ask;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::resource::image::{Credentials, DOCKER_HUB};

/// Runs `login`: the registry is asked, and only then the credentials are kept.
pub(super) async fn login(args: LoginArgs, context: &Context) -> Result<u8, CommandError> {
    let registry = registry(args.registry.as_deref())?;
    if args.password.is_some() {
        context.terminal.warn("a password on the command line can be seen by everyone on this machine: use --password-stdin");
    }
    let (username, password) = ask(args, context, &registry).await?;
    let credentials = Credentials::Password { username, password };
    let place = context.client().await?.login(&registry, &credentials).await?;
    context.terminal.note(&format!("kept in {place}"));
    context.terminal.line("Login Succeeded");
    Ok(0)
}

/// Runs `logout`.
pub(super) async fn logout(args: LogoutArgs, context: &Context) -> Result<u8, CommandError> {
    let registry = registry(args.registry.as_deref())?;
    let was_there = crate::api::client::logout(context.docker_config(), &registry).await?;
    context.terminal.line(&if was_there {
        format!("Removing login credentials for {registry}")
    } else {
        format!("Not logged in to {registry}")
    });
    Ok(0)
}

/// The registry that is meant, without scheme and path; Docker Hub has several names.
fn registry(text: Option<&str>) -> Result<String, CommandError> {
    let Some(text) = text else { return Ok(DOCKER_HUB.to_owned()) };
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = bare.split('/').next().unwrap_or_default();
    match host {
        "" => Err(CommandError::local(format!("`{text}` is not a registry")).hint("write a host and, if need be, a port: 127.0.0.1:5000")),
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => Ok(DOCKER_HUB.to_owned()),
        host if host.contains(|it: char| it.is_whitespace() || "@?#".contains(it)) => {
            Err(CommandError::local(format!("`{text}` is not a registry")).hint("write a host and, if need be, a port: 127.0.0.1:5000"))
        }
        host => Ok(host.to_owned()),
    }
}

async fn ask(args: LoginArgs, context: &Context, registry: &str) -> Result<(String, String), CommandError> {
    if args.password_stdin {
        let username = args.username.ok_or_else(|| CommandError::local("Must provide --username with --password-stdin"))?;
        return whole(username, ask::everything().await?.trim_end_matches(['\r', '\n']).to_owned());
    }
    if let (Some(username), Some(password)) = (args.username.clone(), args.password.clone()) {
        return whole(username, password);
    }
    if !ask::is_somebody_there() {
        return Err(CommandError::local("cannot ask for a user and a password: standard input is no terminal")
            .hint("name the user with --username, and pass the password with --password-stdin"));
    }
    let username = match args.username {
        Some(username) => username,
        None => ask::line(&context.terminal, &format!("Username for {registry}: ")).await?,
    };
    let password = match args.password {
        Some(password) => password,
        None => {
            let _silent = Silent::enter()?;
            let password = ask::line(&context.terminal, "Password: ").await?;
            context.terminal.raw_note(b"\n");
            password
        }
    };
    whole(username, password)
}

fn whole(username: String, password: String) -> Result<(String, String), CommandError> {
    if username.is_empty() {
        return Err(CommandError::local("the user is empty"));
    }
    if password.is_empty() {
        return Err(CommandError::local("the password is empty"));
    }
    Ok((username, password))
}

/// The terminal does not show what is typed, until this is dropped.
struct Silent(Termios);

impl Silent {
    fn enter() -> Result<Self, CommandError> {
        let wrong = |error| CommandError::local(format!("cannot hide what is typed: {error}"));
        let before = tcgetattr(std::io::stdin().as_fd()).map_err(wrong)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &silent).map_err(wrong)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host() {
        for (text, expect) in [
            (None, Some("docker.io")),
            (Some("https://index.docker.io/v1/"), Some("docker.io")),
            (Some("127.0.0.1:5000"), Some("127.0.0.1:5000")),
            (Some("https://r.example/v2/"), Some("r.example")),
            (Some("a b"), None),
            (Some("https://"), None),
            (Some("user@r.example"), None),
        ] {
            assert_eq!(registry(text).ok().as_deref(), expect, "{text:?}");
        }
        assert!(whole(String::new(), "x".to_owned()).is_err() && whole("x".to_owned(), String::new()).is_err());
    }
}
