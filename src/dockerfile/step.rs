//! What an instruction comes to once its variables are known: all that is left is to do it.

/// One instruction, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command runs.
    Run(Run),
    /// COPY or ADD.
    Copy(Copy),
    /// Variables of the image.
    Env(Vec<(String, String)>),
    /// Labels of the image.
    Label(Vec<(String, String)>),
    /// The working folder, absolute and cleaned; the engine makes it.
    Workdir(String),
    /// The user of what follows and of the image.
    User(String),
    /// The command of the image.
    Cmd(Command),
    /// The entry point of the image. The command of the base is dropped with it, unless this stage set its own before.
    Entrypoint(Command),
    /// Ports as `80/tcp`.
    Expose(Vec<String>),
    /// Paths of volumes.
    Volume(Vec<String>),
    /// The health check.
    Healthcheck(Healthcheck),
    /// The signal that stops, as it was written.
    Stopsignal(String),
    /// A trigger for images built on this one.
    Onbuild(String),
    /// The shell of the shell forms that follow.
    Shell(Vec<String>),
    /// Arguments with the values that they have.
    Arg(Vec<(String, Option<String>)>),
    /// The author of the image.
    Maintainer(String),
}

/// A command to run in the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The words, the shell in front where the shell form was used.
    pub command: Vec<String>,
    /// The words were written without a shell in front.
    pub shell_form: bool,
    /// Files that are there, read-only, only while it runs: a heredoc that names its own interpreter.
    pub files: Vec<InlineFile>,
    /// What is mounted while it runs.
    pub mounts: Vec<Mount>,
    /// Its network.
    pub network: Network,
    /// All variables: those of the base, ENV and ARG. A secret with `env` comes on top.
    pub environment: Vec<(String, String)>,
    /// The arguments declared so far: the `|N A=b` of the history, and part of what the cache knows it by.
    pub arguments: Vec<(String, String)>,
    /// Proxies given to the build, in both cases; neither in the history nor in the cache's key, and below `environment`.
    pub proxies: Vec<(String, String)>,
    /// The working folder.
    pub working_dir: String,
    /// The user; empty for root.
    pub user: String,
}

/// A file that the Dockerfile holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineFile {
    /// Its absolute path in the stage.
    pub path: String,
    /// All of it.
    pub content: String,
    /// Its permissions.
    pub mode: u32,
}

/// What a command reaches beyond its own files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// What the build as a whole has.
    #[default]
    Default,
    /// Nothing but its own loopback.
    None,
    /// The host's.
    Host,
}

/// Something that is mounted while a command runs. Targets are absolute, and so are paths in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// A part of another tree.
    Bind {
        /// The tree.
        from: Source,
        /// The path in it.
        source: String,
        /// Where it is seen.
        target: String,
        /// It can be written; what is written is thrown away.
        read_write: bool,
    },
    /// A folder that lives longer than the build.
    Cache {
        /// What it is known by.
        id: String,
        /// Where it is seen.
        target: String,
        /// It cannot be written.
        read_only: bool,
        /// How several builds use it at once.
        sharing: Sharing,
        /// The tree with its first content.
        from: Source,
        /// The path in that.
        source: String,
        /// Who owns it; root, root and 0755 where nothing is said.
        owner: Owner,
    },
    /// An empty folder in memory.
    Tmpfs {
        /// Where it is seen.
        target: String,
        /// Its most bytes; 0 for no limit.
        size: u64,
    },
    /// A secret of the build.
    Secret {
        /// What it is known by.
        id: String,
        /// The file that holds it.
        target: Option<String>,
        /// The variable that holds it.
        variable: Option<String>,
        /// The build fails where it was not given.
        required: bool,
        /// Who owns the file; root, root and 0400 where nothing is said.
        owner: Owner,
    },
    /// The socket of an SSH agent, named in `SSH_AUTH_SOCK`.
    Ssh {
        /// What it is known by.
        id: String,
        /// The socket's path; the engine's choice when absent.
        target: Option<String>,
        /// The build fails where it was not given.
        required: bool,
        /// Who owns the socket; root, root and 0600 where nothing is said.
        owner: Owner,
    },
}

/// Who owns a mount, and who may do what with it; what is absent is the mount's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The permissions.
    pub mode: Option<u32>,
}

/// How several builds use one cache at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// All write into one.
    #[default]
    Shared,
    /// A second writer gets another folder.
    Private,
    /// A second writer waits.
    Locked,
}

/// A tree that files come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The build's own context.
    Context,
    /// A stage, by its index in the plan.
    Stage(usize),
    /// An image.
    Image(String),
    /// A named context.
    Named(String),
    /// Nothing: an empty tree.
    Scratch,
}

/// COPY or ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// It is an ADD: archives are unpacked and addresses fetched.
    pub add: bool,
    /// What is copied; paths and addresses first.
    pub sources: Vec<CopySource>,
    /// Where to, absolute; a slash at its end says that it is a folder.
    pub destination: String,
    /// The same as it was written, its variables replaced.
    pub written: String,
    /// The tree that paths are in.
    pub from: Source,
    /// `user[:group]`, names or numbers.
    pub chown: Option<String>,
    /// Octal, or symbolic as chmod(1) takes it.
    pub chmod: Option<String>,
    /// The files are a layer that does not depend on what is below.
    pub link: bool,
    /// The folders above a source are kept, from `/./` on where a path has that.
    pub parents: bool,
    /// Patterns of what is left out, relative to each source.
    pub exclude: Vec<String>,
    /// The digest that a fetched file has to have.
    pub checksum: Option<String>,
    /// Archives are unpacked, or not; absent means what ADD does: local ones are.
    pub unpack: Option<bool>,
}

impl Copy {
    /// All of a tree, to the same places.
    pub fn of_all(from: Source) -> Self {
        Self {
            add: false,
            sources: vec![CopySource::Path("/".to_owned())],
            destination: "/".to_owned(),
            written: "/".to_owned(),
            from,
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
            checksum: None,
            unpack: None,
        }
    }
}

/// One source of COPY or ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopySource {
    /// A path or a pattern, from the root of its tree.
    Path(String),
    /// A file behind http or https.
    Url(String),
    /// A file that the Dockerfile holds.
    Inline {
        /// Its name below the destination, when that is a folder.
        name: String,
        /// All of it.
        content: String,
    },
}

/// A command of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words, the shell in front where the shell form was used.
    pub words: Vec<String>,
    /// It was written as a text for the shell.
    pub shell_form: bool,
}

/// A health check; a time or number of 0 was not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `NONE`, `CMD` with words, or `CMD-SHELL` with a text.
    pub test: Vec<String>,
    /// Nanoseconds.
    pub interval: i64,
    /// Nanoseconds.
    pub timeout: i64,
    /// Nanoseconds.
    pub start_period: i64,
    /// Nanoseconds.
    pub start_interval: i64,
    /// How many failures make it unhealthy.
    pub retries: u32,
}
