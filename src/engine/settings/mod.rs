//! The engine's configuration file, `/etc/gantry/engine.json`, in the keys of Docker's daemon.json. Keeper and engine read the same file,
//! each at its own start; a key that is not known, or not obeyed, is an error with its place.

mod document;
mod error;
mod read;
mod tls;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub use crate::engine::settings::error::SettingsError;
pub use crate::engine::settings::tls::{TlsError, TlsFiles, TlsSettings};
use crate::resource::container::LogSpec;
use crate::resource::network::Subnet;

/// What a configuration file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `hosts`: where the API is served beside the root's own socket.
    pub hosts: Vec<Placed<String>>,
    /// `group`: whom the sockets are opened to.
    pub group: Option<Placed<String>>,
    /// `tls` and what belongs to it: how TCP ports are guarded.
    pub tls: TlsSettings,
    /// `data-root`: where what survives a reboot lies.
    pub data_root: Option<PathBuf>,
    /// `registry-mirrors`: asked for what Docker Hub has, in order, before Docker Hub.
    pub mirrors: Vec<String>,
    /// `insecure-registries`: hosts and blocks of addresses that may speak plain HTTP.
    pub insecure: Vec<String>,
    /// `proxies`: the ways to registries.
    pub proxies: Proxies,
    /// `default-address-pools`: where networks get their blocks of addresses.
    pub pools: Vec<Pool>,
    /// `dns`: the name servers of containers that name none.
    pub dns: Vec<IpAddr>,
    /// `log-opts`: what a container's log does not say itself.
    pub log: LogSpec,
    /// `ip`: the address ports are published on when a binding names none.
    pub ip: Option<IpAddr>,
    /// `ip-forward: false`: the kernel's forwarding stays as it is.
    pub leave_ip_forward: bool,
}

/// `proxies`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `http-proxy`.
    pub http: Option<String>,
    /// `https-proxy`.
    pub https: Option<String>,
    /// `no-proxy`.
    pub exceptions: Option<String>,
}

/// One of `default-address-pools`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What blocks are taken from.
    pub base: Subnet,
    /// The prefix length of a block.
    pub size: u8,
}

/// A value and where it stands, for whoever finds later that it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// `FILE:LINE:COLUMN`.
    pub place: String,
}

impl Settings {
    /// Reads the file that was named, or the one at `default`, which need not exist.
    pub fn read(named: Option<&Path>, default: &Path) -> Result<Self, SettingsError> {
        let path = named.unwrap_or(default);
        match fs::read(path) {
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(SettingsError::Unreadable { path: path.to_owned(), source }),
            Ok(bytes) => read::settings(path, &bytes),
        }
    }
}
