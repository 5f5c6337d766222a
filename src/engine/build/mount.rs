//! `RUN --mount`: what a command finds beside the files of its stage, and what of it decides the result.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::dockerfile::{Mount, Owner, Run, Sharing, Source};
use crate::engine::build::cache::{Taken, Wanted};
use crate::engine::build::key::Key;
use crate::engine::build::stage::{StepError, Task};
use crate::engine::build::tree::Tree;
use crate::engine::build::{Build, Halt};
use crate::engine::container::unlisted::Unlisted;
use crate::engine::image::workshop::Scratch;
use crate::engine::runtime::launch::{LaunchMount, LaunchSource, MemoryFile, RootfsSpec};
use crate::resource::container::BindRecursion;
use crate::resource::failure::Failure;
use crate::resource::id::Digest;

/// What is mounted for a command.
#[derive(Default)]
pub(super) struct Mounted {
    /// The mounts.
    pub(super) mounts: Vec<LaunchMount>,
    /// Variables that come with them.
    pub(super) environment: Vec<(String, String)>,
    /// A layer of empty places to mount at, so that none is made in the stage.
    pub(super) stubs: Option<PathBuf>,
    /// The places, seen from the stage's root: what is there after all is no part of its layer.
    pub(super) targets: BTreeSet<PathBuf>,
    places: Vec<(String, Kind)>,
    /// What must live as long as the command runs.
    pub(super) held: Held,
}

/// What a place to mount at has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

/// What must live as long as a command runs.
#[derive(Default)]
pub(super) struct Held {
    caches: Vec<Taken>,
    scratches: Vec<Scratch>,
}

/// The digests of what mounts bring in, in the order of the mounts; secrets and agents decide nothing.
pub(super) async fn source_keys(build: &Build, run: &Run, task: &Task) -> Result<Vec<Digest>, Halt> {
    let mut keys = Vec::with_capacity(run.mounts.len());
    for mount in &run.mounts {
        let key = match mount {
            Mount::Bind { from, source, target, read_write } => {
                let tree = build.tree(from, Some(task.place)).await?;
                let content = match tree.digest(build, source).await {
                    Ok(content) => content,
                    Err(error) => return Err(build.refused(task, error).await),
                };
                Key::of("bind").text(target).text(&format!("{read_write}")).digest(&content)
            }
            Mount::Cache { id, target, read_only, from, source, owner, .. } => {
                let key = Key::of("cache").text(id).text(target).text(&format!("{read_only} {owner:?}"));
                match from {
                    Source::Scratch => key,
                    from => match build.tree(from, Some(task.place)).await?.digest(build, source).await {
                        Ok(content) => key.digest(&content),
                        Err(error) => return Err(build.refused(task, error).await),
                    },
                }
            }
            Mount::Tmpfs { target, size } => Key::of("tmpfs").text(target).number(*size),
            Mount::Secret { id, target, variable, owner, .. } => {
                Key::of("secret").text(id).maybe(target.as_deref()).maybe(variable.as_deref()).text(&format!("{owner:?}"))
            }
            Mount::Ssh { id, target, owner, .. } => Key::of("ssh").text(id).maybe(target.as_deref()).text(&format!("{owner:?}")),
        };
        keys.push(key.finish());
    }
    Ok(keys)
}

impl Mounted {
    /// Makes everything that a command is to find available.
    pub(super) async fn prepare(&mut self, build: &Build, run: &Run, unlisted: &Unlisted) -> Result<(), StepError> {
        // In one order for all: two steps that wait for each other's caches would wait for ever.
        let mut caches: BTreeMap<(String, usize), (Wanted, &Mount)> = BTreeMap::new();
        for (number, mount) in run.mounts.iter().enumerate() {
            if let Mount::Cache { id, sharing, from, source, owner, .. } = mount {
                let seed = match from {
                    Source::Scratch => None,
                    from => Some(build.tree(from, None).await?.digest(build, source).await?),
                };
                let (user, group) = (owner.uid.unwrap_or(0), owner.gid.unwrap_or(0));
                let wanted = Wanted { id: build.job.cache_id(id), sharing: *sharing, user, group, mode: owner.mode, seed };
                caches.insert((wanted.name(), number), (wanted, mount));
            }
        }
        let mut paths = BTreeMap::new();
        for ((_, number), (wanted, mount)) in caches {
            paths.insert(number, self.cache(build, &wanted, mount).await?);
        }
        for (number, mount) in run.mounts.iter().enumerate() {
            match mount {
                Mount::Bind { from, source, target, read_write } => self.bind(build, from, source, target, *read_write).await?,
                Mount::Cache { target, read_only, .. } => {
                    let path = paths.remove(&number).unwrap_or_default();
                    self.mount(target, *read_only, bound(path), Kind::Folder);
                }
                Mount::Tmpfs { target, size } => {
                    let size = Some(*size).filter(|size| *size > 0);
                    self.mount(target, false, LaunchSource::Tmpfs { size, mode: None, options: Vec::new() }, Kind::Folder);
                }
                Mount::Secret { id, target, variable, required, owner } => match build.job.supply.secrets.get(id) {
                    Some(value) => {
                        if let Some(variable) = variable {
                            self.environment.push((variable.clone(), text_of(value, variable)?));
                        }
                        if let Some(target) = target {
                            self.secret(value, target, *owner);
                        }
                    }
                    None if *required => return Err(missing("secret", id, &format!("--secret id={id},src=FILE"))),
                    None => {}
                },
                Mount::Ssh { id, target, required, owner } => match build.job.supply.ssh.get(id) {
                    Some(socket) => self.agent(number, socket, target.as_deref(), *owner)?,
                    None if *required => return Err(missing("SSH agent", id, &format!("--ssh {id}"))),
                    None => {}
                },
            }
        }
        for file in &run.files {
            let path = unlisted.folder().join(format!("file-{}", self.mounts.len()));
            put(&path, file.content.as_bytes(), file.mode)?;
            self.mount(&file.path, true, bound(path), Kind::File);
        }
        self.stubs = self.make_stubs(&unlisted.folder().join("stubs"))?;
        Ok(())
    }

    fn mount(&mut self, target: &str, read_only: bool, source: LaunchSource, kind: Kind) {
        self.targets.insert(PathBuf::from(target.trim_start_matches('/')));
        self.places.push((target.to_owned(), kind));
        self.mounts.push(LaunchMount { target: target.to_owned(), read_only, source });
    }

    async fn bind(&mut self, build: &Build, from: &Source, source: &str, target: &str, read_write: bool) -> Result<(), StepError> {
        let tree = build.tree(from, None).await?;
        let subpath = Some(source.to_owned()).filter(|path| path != "/");
        let launch = match (&tree, read_write) {
            (Tree::Folder(context), false) => LaunchSource::Bind {
                path: context.folder().to_owned(),
                subpath,
                propagation: None,
                recursion: BindRecursion::Disabled,
                fill: false,
            },
            _ => {
                let scratch = build.job.workshop.scratch()?;
                let root = RootfsSpec {
                    lower: tree.lower(build).await?,
                    upper: scratch.upper(),
                    work: scratch.work(),
                    read_only: false,
                    volatile: true,
                };
                self.held.scratches.push(scratch);
                LaunchSource::Layers { root, subpath }
            }
        };
        let kind = if source != "/" && tree.is_file(build, source).await? { Kind::File } else { Kind::Folder };
        self.mount(target, !read_write, launch, kind);
        Ok(())
    }

    async fn cache(&mut self, build: &Build, wanted: &Wanted, mount: &Mount) -> Result<PathBuf, StepError> {
        let Mount::Cache { from, source, .. } = mount else {
            return Err(Failure::internal("a mount that is no cache was taken for one").into());
        };
        // A step that mounts one cache twice does not wait for itself.
        if let Some(taken) = self.held.caches.iter().find(|taken| wanted.sharing != Sharing::Private && taken.is(wanted)) {
            return Ok(taken.data());
        }
        let taken = build.job.engine.shared.caches.take(wanted).await?;
        let path = taken.data();
        if taken.fresh && *from != Source::Scratch {
            let filled = build.tree(from, None).await?.copy_out(build, source, &path).await;
            if let Err(error) = filled {
                let forgotten = tokio::task::spawn_blocking(move || taken.forget()).await;
                forgotten.map_err(|error| Failure::internal(format!("a cache was given up: {error}")))??;
                return Err(error);
            }
        }
        self.held.caches.push(taken);
        Ok(path)
    }

    fn secret(&mut self, value: &[u8], target: &str, owner: Owner) {
        let (uid, gid, mode) = (owner.uid.unwrap_or(0), owner.gid.unwrap_or(0), owner.mode.unwrap_or(0o400));
        self.mount(target, true, LaunchSource::Memory(MemoryFile { content: value.to_vec(), uid, gid, mode }), Kind::File);
    }

    fn agent(&mut self, number: usize, socket: &Path, target: Option<&str>, owner: Owner) -> Result<(), StepError> {
        let failed = |error| Failure::internal(format!("cannot hand on the agent's socket {}: {error}", socket.display()));
        chown(socket, Some(owner.uid.unwrap_or(0)), Some(owner.gid.unwrap_or(0))).map_err(failed)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(owner.mode.unwrap_or(0o600))).map_err(failed)?;
        let target = target.map_or_else(|| format!("/run/buildkit/ssh_agent.{number}"), str::to_owned);
        self.mount(&target, false, bound(socket.to_owned()), Kind::File);
        if !self.environment.iter().any(|(name, _)| name == "SSH_AUTH_SOCK") {
            self.environment.push(("SSH_AUTH_SOCK".to_owned(), target));
        }
        Ok(())
    }

    /// Makes a layer of empty places.
    fn make_stubs(&self, folder: &Path) -> Result<Option<PathBuf>, Failure> {
        if self.places.is_empty() {
            return Ok(None);
        }
        for (target, kind) in &self.places {
            let place = folder.join(target.trim_start_matches('/'));
            let made = match (kind, place.parent()) {
                (Kind::File, Some(parent)) => fs::create_dir_all(parent).and_then(|()| fs::File::create(&place).map(drop)),
                _ => fs::create_dir_all(&place),
            };
            made.map_err(|error| Failure::internal(format!("cannot make {}: {error}", place.display())))?;
        }
        Ok(Some(folder.to_owned()))
    }
}

fn text_of(secret: &[u8], variable: &str) -> Result<String, Failure> {
    let wrong = |_| Failure::invalid(format!("the secret for the variable {variable} is no text: mount it as a file"));
    String::from_utf8(secret.to_vec()).map_err(wrong)
}

fn bound(path: PathBuf) -> LaunchSource {
    LaunchSource::Bind { path, subpath: None, propagation: None, recursion: BindRecursion::Disabled, fill: false }
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let file = fs::File::create_new(path)?;
        std::io::Write::write_all(&mut &file, bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    };
    write().map_err(|error| Failure::internal(format!("cannot write {}: {error}", path.display())))
}

fn missing(what: &str, id: &str, flag: &str) -> StepError {
    Failure::invalid(format!("the {what} `{id}` is required and was not given: pass it with `{flag}`, or in `build:` of the service"))
        .into()
}
