//! What is asked of a build, and what it tells while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::resource::container::Ulimit;
use crate::resource::exec::TerminalSize;
use crate::resource::id::ImageId;
use crate::resource::time::Timestamp;

/// Everything that decides what a build makes, but for the files, secrets and agents that go along with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// The Dockerfile.
    pub dockerfile: DockerfileSource,
    /// The patterns of what was left out of the context, as `.dockerignore` has them: only to be told.
    #[serde(default)]
    pub ignore: Option<String>,
    /// The stage to build, by name or number; the last one when absent.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image, over those of the Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// Names of the image.
    pub tags: Vec<String>,
    /// The platform to build for, `os/architecture[/variant]`; the engine's own when absent.
    pub platform: Option<String>,
    /// Images by which steps may be answered that were built elsewhere.
    pub cache_from: Vec<String>,
    /// Every step is done anew.
    pub no_cache: bool,
    /// Of several builds with the same word here, a step that one has done anew is new enough for the others.
    pub made_for: Option<String>,
    /// The stages of which every step is done anew.
    pub no_cache_filter: BTreeSet<String>,
    /// The images it builds on are pulled anew.
    pub pull: bool,
    /// The network of its commands.
    pub network: BuildNetwork,
    /// Names and their addresses for its commands, `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Limits of its processes, by their names.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Named contexts: what stands behind each name.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The secrets that come along, by id.
    pub secrets: BTreeSet<String>,
    /// The agents that can be asked, by id.
    pub ssh: BTreeSet<String>,
    /// Where a step fails, whoever builds gets a shell in the state before it.
    #[serde(default)]
    pub shell: Option<BuildShell>,
}

/// A shell that is wanted where a step fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildShell {
    /// The size of the terminal that it is to have; without one it has none.
    pub terminal: Option<TerminalSize>,
}

/// What goes into a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShellInput {
    /// Bytes; none are the end of its input.
    Bytes(Vec<u8>),
    /// Its terminal has another size from now on.
    Size(TerminalSize),
}

/// A build as a client asks for it: the folders, secrets and agents that go along with it lie on the client's machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageBuild {
    /// What is asked of the engine. A Dockerfile that lies outside of the context has its absolute path here.
    pub spec: BuildSpec,
    /// Only what could be better in the Dockerfile is told, which needs no engine; nothing is built.
    pub check: bool,
    /// The context's folder; when absent there is none, or it comes otherwise.
    pub context: Option<PathBuf>,
    /// The folders behind named contexts.
    pub folders: BTreeMap<String, PathBuf>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Sockets of agents by id.
    pub ssh: BTreeMap<String, PathBuf>,
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// It is known.
    Value(Vec<u8>),
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            // What is secret is in no trace and no test's output.
            Self::Value(value) => write!(formatter, "Value({} bytes)", value.len()),
        }
    }
}

/// Where a Dockerfile comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DockerfileSource {
    /// A file of the context.
    InContext(String),
    /// Its text, and the name by which messages speak of it.
    Text {
        /// What messages call it.
        name: String,
        /// The text.
        text: String,
    },
}

impl Default for DockerfileSource {
    fn default() -> Self {
        Self::InContext("Dockerfile".to_owned())
    }
}

/// The network that a build's commands see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BuildNetwork {
    /// The engine's default bridge.
    #[default]
    Default,
    /// The host's own.
    Host,
    /// Loopback alone.
    None,
    /// A network of the engine's, by name.
    Named(String),
}

/// What stands behind the name of a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamedContext {
    /// A folder that comes along.
    Folder,
    /// An image, by reference or id.
    Image(String),
    /// An image that was built just before: it is nowhere else, and never pulled.
    Built(String),
}

impl NamedContext {
    /// The image, if it is one.
    pub fn image(&self) -> Option<&str> {
        match self {
            Self::Image(image) | Self::Built(image) => Some(image),
            Self::Folder => None,
        }
    }
}

/// Which of what builds have kept is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildPrune {
    /// Also what the next build would use.
    pub all: bool,
    /// So many bytes may stay.
    pub keep: Option<u64>,
    /// By which it is selected; a key that is not known is refused.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StepEnd {
    /// It was done.
    Done,
    /// Its result was there already.
    Cached,
    /// It failed.
    Failed(StepFailure),
    /// Another one failed.
    Cancelled,
}

/// A step that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepFailure {
    /// What went wrong.
    pub message: String,
    /// The exit code of its command, if that is what went wrong.
    pub code: Option<i32>,
    /// Where the Dockerfile has it; none where it is no step of it that failed.
    pub place: Option<BuildPlace>,
}

/// A place in a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildPlace {
    /// What the Dockerfile is called.
    pub file: String,
    /// The first line, counted from one.
    pub line: u32,
    /// The column in it, counted from one.
    pub column: u32,
    /// The last line.
    pub end_line: u32,
    /// The lines themselves.
    pub source: Vec<String>,
}

impl BuildPlace {
    /// Some lines of a Dockerfile, told apart from its text.
    pub fn of(file: &str, text: &str, line: u32, column: u32, end_line: u32) -> Self {
        let (first, last) = (line.max(1), end_line.max(line));
        let lines = text.lines().skip(first as usize - 1).take((last - first) as usize + 1);
        Self { file: file.to_owned(), line, column, end_line: last, source: lines.map(str::to_owned).collect() }
    }
}

/// What happens during a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BuildEvent {
    /// It is known how many steps there are; told before the first of them.
    Planned {
        /// So many.
        steps: u32,
    },
    /// A step is about to be done, or its result looked up. Steps run side by side.
    Started {
        /// Its number, counted from zero over the whole build.
        step: u32,
        /// What people call it: `[build 2/4] RUN make`.
        name: String,
    },
    /// A step wrote something.
    Output {
        /// The step.
        step: u32,
        /// To standard error.
        error: bool,
        /// What it wrote: not always whole lines, nor always text.
        bytes: Vec<u8>,
    },
    /// A step moves on: bytes of a download, say.
    Progress {
        /// The step.
        step: u32,
        /// What moves.
        what: String,
        /// How far it is.
        current: u64,
        /// How far it goes, if that is known.
        total: Option<u64>,
    },
    /// A step ended.
    Ended {
        /// The step.
        step: u32,
        /// How.
        end: StepEnd,
        /// What it took.
        took: Duration,
    },
    /// Something in the Dockerfile is allowed, and yet no good.
    Warning {
        /// The name of the check, as BuildKit has it.
        rule: String,
        /// What is the matter.
        message: String,
        /// Where.
        place: Option<BuildPlace>,
    },
    /// A shell runs in the state before a step that failed; from here on whoever builds has it, and the build waits for its end.
    ShellOpened {
        /// The program.
        program: String,
    },
    /// The shell wrote something.
    Shell {
        /// To standard error.
        error: bool,
        /// What it wrote.
        bytes: Vec<u8>,
    },
    /// The shell has ended.
    ShellClosed,
    /// The image is there.
    Built {
        /// Its id.
        image: ImageId,
    },
}

/// Something that builds keep for builds to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildCache {
    /// Its id.
    pub id: String,
    /// What people call it: the id of a cache mount, or the step that made it.
    pub name: String,
    /// It is a cache mount; else it is what a step came to.
    pub mount: bool,
    /// Somebody uses it: a build, or an image.
    pub in_use: bool,
    /// Bytes.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
}
