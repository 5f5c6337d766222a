//! Flags before the command that say which engine is meant: those of `docker`.

use std::path::PathBuf;

use clap::Args;

/// Which engine is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectionArgs {
    /// Speak to this engine instead of Gantry's own: unix:///path, tcp://host:port or
    /// ssh://[user@]host[:port][/path/of/socket]
    #[arg(short = 'H', long, value_name = "ENGINE")]
    pub(crate) host: Option<String>,
    /// Speak to the engine of this context of Docker's configuration
    #[arg(short = 'c', long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Where Docker's configuration is, with contexts and credentials [default: DOCKER_CONFIG, else ~/.docker]
    #[arg(long, value_name = "DIR")]
    pub(crate) config: Option<PathBuf>,
    /// Speak TLS to the engine at tcp://…, whoever it is
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) tls: Option<bool>,
    /// Speak TLS to the engine at tcp://…, and only if it proves who it is
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) tlsverify: Option<bool>,
    /// Believe only the authorities in this file [default: ca.pem in DOCKER_CERT_PATH, else in Docker's configuration]
    #[arg(long, value_name = "FILE")]
    pub(crate) tlscacert: Option<PathBuf>,
    /// Show the engine this certificate [default: cert.pem there, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) tlscert: Option<PathBuf>,
    /// The certificate's key [default: key.pem there, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) tlskey: Option<PathBuf>,
}
