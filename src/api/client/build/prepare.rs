//! What a build needs of this machine is read and looked at, before anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::api::client::build::selection::Selection;
use crate::api::client::build::{BuildRequest, ContextSource};
use crate::api::client::plain_file;
use crate::dockerfile::{Base, Dockerfile, Extent, Ignore, Options, Problem, decode};
use crate::resource::build::{BuildSpec, DockerfileSource, NamedContext, SecretSource, ShellInput};
use crate::resource::failure::Failure;
use crate::resource::id::Digest;
use crate::resource::image::{DOCKER_HUB, ImageReference};

/// The longest Dockerfile, `.dockerignore` and secret.
const LONGEST_TEXT: u64 = 8 << 20;
const LONGEST_SECRET: u64 = 500 << 10;

/// A build with all that this machine has for it.
#[derive(Debug)]
pub(in crate::api) struct Prepared {
    pub(super) spec: BuildSpec,
    pub(super) context: ContextSource,
    pub(super) secrets: BTreeMap<String, Vec<u8>>,
    pub(super) ssh: BTreeMap<String, PathBuf>,
    /// What is typed into a shell.
    pub(super) typed: Option<mpsc::Receiver<ShellInput>>,
    /// Where the Dockerfile lies in the context, if it does.
    pub(super) inside: Option<String>,
    /// Its own context's patterns first, under no name.
    ignores: BTreeMap<String, Ignored>,
    folders: BTreeMap<String, PathBuf>,
    dockerfile: Option<Dockerfile>,
    options: Options,
    /// What the build can read of its contexts, those that are folders.
    extents: BTreeMap<String, Extent>,
}

/// What a `.dockerignore` says.
#[derive(Clone, Debug, Default)]
struct Ignored {
    ignore: Ignore,
    text: String,
}

/// A folder of which a selection is sent.
#[derive(Debug)]
pub(super) struct SentFolder {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) selection: Selection,
    /// The same for the same selection of the same folder.
    pub(super) key: Digest,
}

impl Prepared {
    /// Reads what a build names on this machine. Blocks.
    pub(in crate::api) fn read(request: BuildRequest) -> Result<Self, Failure> {
        let BuildRequest { mut spec, context, folders, secrets, ssh, typed } = request;
        spec.contexts.extend(folders.keys().map(|name| (name.clone(), NamedContext::Folder)));
        spec.secrets.extend(secrets.keys().cloned());
        spec.ssh.extend(ssh.keys().cloned());
        let secrets = secrets.into_iter().map(|(id, source)| secret(&id, source).map(|value| (id, value)));
        let secrets = secrets.collect::<Result<_, _>>()?;
        ssh.iter().try_for_each(|(id, path)| check_agent(id, path))?;
        let mut ignores = BTreeMap::new();
        let mut inside = None;
        if let ContextSource::Folder(folder) = &context {
            if !folder.is_dir() {
                let problem = if folder.exists() { "is no folder" } else { "does not exist" };
                return Err(Failure::invalid(format!("the build context `{}` {problem}", folder.display())));
            }
            let own = match &spec.dockerfile {
                DockerfileSource::InContext(path) => {
                    let (path, text) = dockerfile(folder, path)?;
                    let own = path.with_added_extension("dockerignore");
                    let shown = path.strip_prefix(folder).ok().map(|path| path.to_string_lossy().into_owned());
                    // The whole path: of several that are built, it says which.
                    let name = path.components().collect::<PathBuf>().display().to_string();
                    spec.dockerfile = DockerfileSource::Text { name, text };
                    inside = shown;
                    Some(own)
                }
                DockerfileSource::Text { .. } => None,
            };
            // The Dockerfile's own file of patterns wins.
            let own = own.filter(|path| path.exists());
            let ignored = ignored(&own.unwrap_or_else(|| folder.join(".dockerignore")))?;
            spec.ignore = Some(ignored.text.clone()).filter(|text| !text.is_empty());
            ignores.insert(String::new(), ignored);
        } else if let (ContextSource::None, DockerfileSource::InContext(path)) = (&context, &spec.dockerfile) {
            return Err(Failure::invalid(format!("there is no build context in which the Dockerfile `{path}` could be: name a folder")));
        }
        for (name, folder) in &folders {
            ignores.insert(name.clone(), ignored(&folder.join(".dockerignore"))?);
        }
        // What is wrong with it the engine says, with the place.
        let dockerfile = match &spec.dockerfile {
            DockerfileSource::Text { text, .. } => Dockerfile::parse(text).ok(),
            DockerfileSource::InContext(_) => None,
        };
        let options = Options {
            target: spec.target.clone(),
            args: spec.args.clone(),
            contexts: spec.contexts.keys().cloned().collect(),
            ..Options::default()
        };
        let extents = BTreeMap::new();
        Ok(Self { spec, context, secrets, ssh, typed, inside, ignores, folders, dockerfile, options, extents })
    }

    /// Says for which platforms the engine builds, and on which.
    pub(in crate::api) fn set_platforms(&mut self, engine: String) {
        self.options.target_platform = self.spec.platform.clone().unwrap_or_else(|| engine.clone());
        self.options.build_platform = engine;
    }

    /// Finds out what the build can read. Returns images whose triggers may read more, of which [`Self::tell_triggers`] wants to hear.
    pub(in crate::api) fn reach(&mut self) -> Vec<String> {
        let Some(dockerfile) = &self.dockerfile else { return Vec::new() };
        // A build that fails before it reads anything needs nothing.
        let Ok(reach) = dockerfile.reach(&self.options) else { return Vec::new() };
        self.extents = reach.named;
        self.extents.extend(reach.main.map(|extent| (String::new(), extent)));
        let image = |base: &Base| match base {
            Base::Image(image) => Some(image.clone()),
            Base::Scratch | Base::Stage(_) | Base::Context(_) => None,
        };
        reach.untold.iter().filter_map(image).collect()
    }

    /// Tells the triggers of an image.
    pub(in crate::api) fn tell_triggers(&mut self, image: String, triggers: Vec<String>) {
        self.options.triggers.insert(Base::Image(image), triggers);
    }

    /// Triggers that nobody knows yet may read everything.
    pub(in crate::api) fn reach_everything(&mut self) {
        self.extents.insert(String::new(), Extent::Everything);
    }

    /// The registries that the build may ask.
    pub(in crate::api) fn registries(&self) -> BTreeSet<String> {
        let mut names: Vec<String> = self.spec.cache_from.clone();
        let images = self.spec.contexts.values().filter_map(NamedContext::image);
        names.extend(images.map(|name| name.trim_start_matches("docker-image://").to_owned()));
        match &self.dockerfile {
            // What is in an archive is not known here.
            None => names.push(DOCKER_HUB.to_owned() + "/library/any"),
            Some(dockerfile) => {
                let plan = dockerfile.plan(&self.options).ok();
                let stages = plan.iter().flat_map(|plan| &plan.stages);
                for stage in stages {
                    if let Base::Image(image) = &stage.base {
                        names.push(image.clone());
                    }
                    // Names of stages among them look like names of Docker's own registry, which does no harm.
                    names.extend(stage.instructions.iter().flat_map(|instruction| sources(&instruction.text)));
                }
            }
        }
        names.iter().filter_map(|name| name.parse::<ImageReference>().ok()).map(|reference| reference.registry().to_owned()).collect()
    }

    /// The images that stages build on, as far as that is known.
    pub(in crate::api) fn bases(&self) -> BTreeMap<Base, String> {
        let plan = |number: usize| {
            let options = Options { target: Some(number.to_string()), ..self.options.clone() };
            self.dockerfile.as_ref()?.plan(&options).ok()
        };
        let stages = self.dockerfile.as_ref().map_or(0, |file| file.stages.len());
        let bases = (0..stages).filter_map(plan).flat_map(|plan| plan.stages).map(|stage| stage.base);
        let named = |name: &String| self.spec.contexts.get(name)?.image().map(str::to_owned);
        let image = |base: Base| match &base {
            Base::Image(name) => Some((base.clone(), name.clone())),
            Base::Context(name) => named(name).map(|image| (base.clone(), image)),
            Base::Scratch | Base::Stage(_) => None,
        };
        bases.filter_map(image).collect()
    }

    /// What plans of the Dockerfile are made with.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// What the build's own context leaves out.
    pub(super) fn ignore(&self) -> Option<&Ignore> {
        self.ignores.get("").map(|ignored| &ignored.ignore)
    }

    /// The Dockerfile, if it was read and understood.
    pub(super) fn dockerfile(&self) -> Option<&Dockerfile> {
        self.dockerfile.as_ref()
    }

    /// All of the context's folder but what is left out.
    pub(super) fn whole(&self) -> Selection {
        let ignore = self.ignores.get("").map(|ignored| ignored.ignore.clone()).unwrap_or_default();
        Selection::new(&Extent::Everything, ignore)
    }

    /// What of which folders is sent: of one that the build does not read, nothing.
    pub(super) fn sent_folders(&self) -> Vec<SentFolder> {
        let own = match &self.context {
            ContextSource::Folder(path) => Some((String::new(), path)),
            ContextSource::None | ContextSource::Archive(_) => None,
        };
        let all = own.into_iter().chain(self.folders.iter().map(|(name, path)| (name.clone(), path)));
        let machine = machine();
        let sent = all.map(|(name, path)| {
            let nothing = Extent::Paths(BTreeSet::new());
            let Ignored { ignore, text } = self.ignores.get(&name).cloned().unwrap_or_default();
            let selection = Selection::new(self.extents.get(&name).unwrap_or(&nothing), ignore);
            let at = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            let user = rustix::process::geteuid().as_raw();
            let identity = [machine.as_str(), &user.to_string(), &at.display().to_string(), &selection.identity(), &text].join("\0");
            SentFolder { name, path: path.clone(), selection, key: Digest::of(identity.as_bytes()) }
        });
        sent.collect()
    }
}

/// The images that an instruction copies from or mounts, as far as its text tells.
fn sources(text: &str) -> Vec<String> {
    let words = text.split_whitespace().take_while(|word| !word.starts_with(['[', '/']));
    let flags = words.filter_map(|word| word.strip_prefix("--"));
    let named = flags.flat_map(|flag| {
        flag.split([',', '='])
            .collect::<Vec<_>>()
            .windows(2)
            .filter(|pair| pair[0] == "from")
            .map(|pair| pair[1].to_owned())
            .collect::<Vec<_>>()
    });
    named.collect()
}

/// What tells this machine from another.
fn machine() -> String {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    format!("{}\0{}", id.trim(), rustix::system::uname().nodename().to_string_lossy())
}

/// Reads the Dockerfile of a folder; where nobody said how it is called, `dockerfile` does too.
fn dockerfile(folder: &Path, path: &str) -> Result<(PathBuf, String), Failure> {
    let whole = folder.join(path);
    let small = folder.join("dockerfile");
    let whole = if path == "Dockerfile" && !whole.exists() && small.exists() { small } else { whole };
    // One that lies elsewhere may be a pipe that a shell writes to.
    let is_inside = whole
        .parent()
        .zip(folder.canonicalize().ok())
        .is_some_and(|(parent, folder)| parent.canonicalize().is_ok_and(|parent| parent.starts_with(folder)));
    let opened = if is_inside { plain_file::open(&whole) } else { fs::File::open(&whole) };
    let read = opened.and_then(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::not_found(format!("there is no Dockerfile at `{}`", whole.display())),
        _ => Failure::invalid(format!("the Dockerfile `{}` cannot be read: {error}", whole.display())),
    })?;
    let text = dockerfile_text(&whole.display().to_string(), read)?;
    Ok((whole, text))
}

/// The text of a Dockerfile, or where it is none.
pub fn dockerfile_text(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    decode(bytes).map_err(|problems| Failure::invalid(Problem::tell(name, &problems)))
}

fn ignored(path: &Path) -> Result<Ignored, Failure> {
    let text = match plain_file::open(path).and_then(bytes) {
        // As names that are not in UTF-8 are compared.
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ignored::default()),
        Err(error) => return Err(Failure::invalid(format!("`{}` cannot be read: {error}", path.display()))),
    };
    let ignore = Ignore::parse(&text).map_err(|problem| Failure::invalid(format!("`{}`: {problem}", path.display())))?;
    Ok(Ignored { ignore, text })
}

fn bytes(file: fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_TEXT {
        return Err(io::Error::other(format!("it is longer than {LONGEST_TEXT} bytes")));
    }
    Ok(bytes)
}

fn secret(id: &str, source: SecretSource) -> Result<Vec<u8>, Failure> {
    let refused = |what: String| Failure::invalid(format!("the secret `{id}` cannot be sent: {what}"));
    let value = match source {
        SecretSource::Value(value) => value,
        SecretSource::File(path) => {
            let mut value = Vec::new();
            let read = fs::File::open(&path).and_then(|file| file.take(LONGEST_SECRET + 1).read_to_end(&mut value));
            read.map_err(|error| refused(format!("`{}`: {error}", path.display())))?;
            value
        }
    };
    if value.len() as u64 > LONGEST_SECRET {
        return Err(refused(format!("it is longer than {LONGEST_SECRET} bytes")));
    }
    Ok(value)
}

/// An agent is asked at its socket. A key is its agent's affair.
fn check_agent(id: &str, path: &Path) -> Result<(), Failure> {
    let refused = |what: &str| Failure::invalid(format!("ssh `{id}`: `{}` {what}", path.display()));
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(()),
        Ok(_) => {
            Err(refused("is no socket of an agent. Keys are not read: add the key to an agent (`ssh-add`) and name the agent's socket"))
        }
        Err(_) => Err(refused("does not exist: start an agent (`ssh-agent`), and name its socket or set SSH_AUTH_SOCK")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let whole = folder.path().join(path);
            fs::create_dir_all(whole.parent().expect("a folder")).expect("folders");
            fs::write(whole, text).expect("a file");
        }
        folder
    }

    fn request(folder: &Path, dockerfile: &str) -> BuildRequest {
        let spec = BuildSpec { dockerfile: DockerfileSource::InContext(dockerfile.to_owned()), ..BuildSpec::default() };
        BuildRequest { spec, context: ContextSource::Folder(folder.to_owned()), ..BuildRequest::default() }
    }

    #[test]
    fn the_dockerfile_is_found_and_its_own_patterns_win() {
        let at = folder(&[("dockerfile", "FROM small"), ("d/File", "FROM d"), ("d/File.dockerignore", "a"), (".dockerignore", "b")]);
        let check = |name: &str, expect: (&str, &str), left_out: &str| {
            let prepared = Prepared::read(request(at.path(), name)).expect("read");
            let (name, text) = (at.path().join(expect.0).display().to_string(), expect.1.to_owned());
            assert_eq!(prepared.spec.dockerfile, DockerfileSource::Text { name, text });
            assert!(prepared.whole().leaves_out(left_out), "{left_out}");
            assert_eq!(prepared.spec.ignore.as_deref(), Some(left_out));
        };
        check("Dockerfile", ("dockerfile", "FROM small"), "b");
        check("d/File", ("d/File", "FROM d"), "a");
        check(&at.path().join("d/File").display().to_string(), ("d/File", "FROM d"), "a");
        let other = folder(&[("F", "FROM other")]);
        let outside = other.path().join("F").display().to_string();
        check(&outside, (&outside, "FROM other"), "b");
        for name in ["Missing", "d"] {
            let failure = Prepared::read(request(at.path(), name)).expect_err("no such file");
            assert!(failure.message.contains(name), "{failure}");
        }
        let nowhere = BuildRequest { context: ContextSource::None, ..request(at.path(), "Dockerfile") };
        assert!(Prepared::read(nowhere).expect_err("no context").message.contains("no build context"));
    }

    #[test]
    fn a_pipe_in_the_context_is_not_waited_for() {
        let mode = nix::sys::stat::Mode::S_IRWXU;
        for name in ["Dockerfile", ".dockerignore"] {
            let at = folder(&[("Dockerfile", "FROM a"), (".dockerignore", "a")]);
            fs::remove_file(at.path().join(name)).expect("the file");
            nix::unistd::mkfifo(&at.path().join(name), mode).expect("a pipe");
            let refused = Prepared::read(request(at.path(), "Dockerfile")).expect_err("a pipe").message;
            assert!(refused.contains(name) && refused.contains("no file"), "{refused}");
        }
        // As a shell writes to one for `-f <(...)`.
        let (at, other) = (folder(&[("x", "")]), folder(&[]));
        let pipe = other.path().join("pipe");
        nix::unistd::mkfifo(&pipe, mode).expect("a pipe");
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, "FROM b").expect("somebody reads")
        });
        let prepared = Prepared::read(request(at.path(), &pipe.display().to_string())).expect("read");
        writer.join().expect("written");
        assert!(matches!(prepared.spec.dockerfile, DockerfileSource::Text { text, .. } if text == "FROM b"));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_its_name() {
        let at = folder(&[("Dockerfile", "FROM a"), ("key", "-----BEGIN"), ("large", &"x".repeat(600 << 10))]);
        let secret = |source| BuildRequest { secrets: BTreeMap::from([("token".to_owned(), source)]), ..request(at.path(), "Dockerfile") };
        let agent = |path: &str| BuildRequest {
            ssh: BTreeMap::from([("default".to_owned(), at.path().join(path))]),
            ..request(at.path(), "Dockerfile")
        };
        for (request, expect) in [
            (secret(SecretSource::File(at.path().join("missing"))), "`token`"),
            (secret(SecretSource::File(at.path().join("large"))), "longer"),
            (agent("key"), "ssh-add"),
            (agent("missing"), "SSH_AUTH_SOCK"),
        ] {
            let refused = Prepared::read(request).expect_err("refused");
            assert!(refused.message.contains(expect), "{refused}");
        }
        let prepared = Prepared::read(secret(SecretSource::Value(b"x".to_vec()))).expect("read");
        assert_eq!((prepared.spec.secrets.len(), prepared.secrets["token"].as_slice()), (1, &b"x"[..]));
    }

    #[test]
    fn triggers_and_reach_decide_what_is_sent() {
        let at = folder(&[(
            "Dockerfile",
            "FROM base\nCOPY a /\nCOPY --from=reg.example/x:1 /b /\nRUN --mount=type=bind,from=other.example/y,target=/y z",
        )]);
        let mut prepared = Prepared::read(request(at.path(), "Dockerfile")).expect("read");
        prepared.set_platforms("linux/amd64".to_owned());
        assert_eq!(prepared.reach(), ["base"]);
        let sends = |prepared: &Prepared, path: &str| {
            let selection = &prepared.sent_folders()[0].selection;
            selection.part(&selection.top(), 0, path).is_some()
        };
        assert!(sends(&prepared, "a") && !sends(&prepared, "c"));
        let key = prepared.sent_folders()[0].key;
        prepared.tell_triggers("base".to_owned(), vec!["COPY c /".to_owned()]);
        assert!(prepared.reach().is_empty());
        assert!(sends(&prepared, "a") && sends(&prepared, "c") && prepared.sent_folders()[0].key != key);
        prepared.reach_everything();
        assert!(sends(&prepared, "d"));
        let registries: Vec<String> = prepared.registries().into_iter().collect();
        assert_eq!(registries, [DOCKER_HUB, "other.example", "reg.example"]);
    }
}
