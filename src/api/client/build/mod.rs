//! A build as its owner asks for it: what is read here, what is sent, and what is told meanwhile.

mod archive;
mod check;
mod classic;
mod folder;
mod prepare;
mod selection;
mod session;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use tokio::io::AsyncRead;
use tokio::sync::mpsc;

pub(super) use check::check;
pub(super) use classic::build as build_classic;
pub(in crate::api) use prepare::Prepared;
pub use prepare::dockerfile_text;
pub(in crate::api) use session::run;

use crate::resource::build::{BuildSpec, SecretSource, ShellInput};

/// A build, and what this machine has for it.
#[derive(Debug, Default)]
pub struct BuildRequest {
    /// What is to be built. A Dockerfile `InContext` is a path from the context's folder, or an absolute one on this machine. Folders,
    /// secrets and agents are named below only.
    pub spec: BuildSpec,
    /// Where the files come from.
    pub context: ContextSource,
    /// Named contexts that are folders of this machine.
    pub folders: BTreeMap<String, PathBuf>,
    /// Secrets, by id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Sockets of agents, by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// What is typed into a shell, where the build asks for one.
    pub typed: Option<mpsc::Receiver<ShellInput>>,
}

/// Where the files of a build come from.
#[derive(Default)]
pub enum ContextSource {
    /// There are none; the Dockerfile is a text.
    #[default]
    None,
    /// A folder of this machine.
    Folder(PathBuf),
    /// A tar as it is read, compressed or not.
    Archive(Box<dyn AsyncRead + Send + Unpin>),
}

impl fmt::Debug for ContextSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::Folder(path) => formatter.debug_tuple("Folder").field(path).finish(),
            Self::Archive(_) => formatter.write_str("Archive"),
        }
    }
}
