//! Flags of `login` and `logout`.

use clap::Args;

/// Flags of `login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registry, host and port [default: Docker Hub]
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: Option<String>,
    /// The user
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// The password; everyone on this machine can see it there
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// Flags of `logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The registry, host and port [default: Docker Hub]
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: Option<String>,
}
