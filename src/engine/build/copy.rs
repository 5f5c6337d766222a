//! COPY, ADD and WORKDIR: files go from one tree into another, each in the kernel's sight alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::layer::LayerRules;
use crate::archive::opaque::show_below;
use crate::archive::{look, open_folder};
use crate::dockerfile::{Copy, CopySource, Place, Source};
use crate::engine::build::fetch::{self, Fetched};
use crate::engine::build::ground::Ground;
use crate::engine::build::key::Key;
use crate::engine::build::placing::{Part, Placing, owner_in};
use crate::engine::build::stage::{Made, StepError, Task};
use crate::engine::build::teller::ToldStep;
use crate::engine::build::tree::Tree;
use crate::engine::build::{Build, Halt, now};
use crate::engine::runtime::view::{self, Extent, Seen};
use crate::resource::failure::Failure;
use crate::resource::id::Digest;

/// The permission bits of files that stand in the Dockerfile (BuildKit's).
const INLINE: u32 = 0o644;

impl Build {
    /// A stage that begins with all of a context.
    pub(super) async fn fill_from_context(&self, mut ground: Ground, name: &str) -> Result<Ground, Halt> {
        let copy = Copy::of_all(Source::Named(name.to_owned()));
        let task = Task { name: format!("[context {name}]"), place: Place::default(), anew: false };
        self.copy(&mut ground, &copy, Some(format!("COPY --from={name} / /")), task).await?;
        Ok(ground)
    }

    /// Copies into a ground.
    pub(super) async fn copy(&self, ground: &mut Ground, copy: &Copy, history: Option<String>, task: Task) -> Result<(), Halt> {
        let tree = match copy.sources.iter().any(|source| matches!(source, CopySource::Path(_))) {
            true => Some(self.tree(&copy.from, Some(task.place)).await?),
            false => None,
        };
        let parts = match self.parts(copy).await {
            Ok(parts) => parts,
            Err(error) => return Err(self.refused(&task, error).await),
        };
        let what = match self.what(copy, tree.as_ref(), &parts).await {
            Ok(what) => what,
            Err(error) => return Err(self.refused(&task, self.hinted(copy, error)).await),
        };
        // What is linked depends only on the way there, and on whom a name means: not on what else lies below.
        let key = match copy.link && copy.chown.as_deref().is_none_or(is_numbers) {
            true => self.epoch_key("linked").digest(&match self.way(ground, &copy.destination).await {
                Ok(way) => way,
                Err(error) => return Err(self.refused(&task, error).await),
            }),
            false => self.key("copy", ground),
        };
        let key = key.digest(&what).finish();
        let record = self.step(&task, key, |told| self.place(ground, copy, tree, parts, what, told)).await?;
        ground.add(key, &record, history);
        Ok(())
    }

    /// Tells of a step that cannot even be looked up.
    pub(super) async fn refused(&self, task: &Task, error: StepError) -> Halt {
        let told = self.job.teller.begin(&task.name).await;
        self.failed(told, task, error).await
    }

    async fn parts(&self, copy: &Copy) -> Result<Vec<Part>, StepError> {
        let mut parts = Vec::new();
        for source in &copy.sources {
            match (source, parts.last_mut()) {
                (CopySource::Path(path), Some(Part::Paths(paths))) => paths.push(PathBuf::from(path)),
                (CopySource::Path(path), _) => parts.push(Part::Paths(vec![PathBuf::from(path)])),
                (CopySource::Inline { name, content }, _) => {
                    // The room for Dockerfiles gives no other; whatever it gives, nothing is written outside.
                    if Path::new(name).file_name() != Some(name.as_ref()) {
                        return Err(Failure::invalid(format!("`{name}` is not the name of a file")).into());
                    }
                    let scratch = self.job.workshop.scratch()?;
                    let path = scratch.upper().join(name);
                    let failed = |error| Failure::internal(format!("cannot write {}: {error}", path.display()));
                    fs::write(&path, content).map_err(failed)?;
                    set_mode(&path, INLINE).map_err(failed)?;
                    // Its time is that of the Dockerfile, which has none: the same text is to make the same layer.
                    let time = std::time::UNIX_EPOCH
                        + std::time::Duration::from_secs(self.job.epoch.and_then(|it| u64::try_from(it).ok()).unwrap_or(0));
                    fs::File::open(&path).and_then(|file| file.set_modified(time)).map_err(failed)?;
                    parts.push(Part::File { scratch: Arc::new(scratch), name: name.clone(), digest: Digest::of(content.as_bytes()) });
                }
                (CopySource::Url(url), _) => match copy.checksum.as_deref().map(fetch::checksum).transpose()? {
                    Some(digest) => parts.push(Part::Remote { url: url.clone(), digest }),
                    None => {
                        let Fetched { scratch, name, digest } = self.fetched(url).await?;
                        parts.push(Part::File { scratch, name, digest });
                    }
                },
            }
        }
        Ok(parts)
    }

    /// What a copy puts somewhere, whatever lies there.
    async fn what(&self, copy: &Copy, tree: Option<&Tree>, parts: &[Part]) -> Result<Digest, StepError> {
        let mut what = Key::of(if copy.add { "add" } else { "copy" })
            .text(&copy.destination)
            .maybe(copy.chown.as_deref())
            .maybe(copy.chmod.as_deref())
            .text(&format!("{} {:?}", copy.parents, copy.unpack))
            .texts(&copy.exclude);
        for part in parts {
            what = match (part, tree) {
                (Part::Paths(paths), Some(tree)) => what.digest(&tree.digest_of(self, copy, paths.clone()).await?),
                (Part::File { name, digest, .. }, _) => what.text(name).digest(digest),
                (Part::Remote { url, digest }, _) => what.text(&fetch::name_of(url)).digest(digest),
                (Part::Paths(_), None) => what,
            };
        }
        Ok(what.finish())
    }

    /// Copies on top of a ground.
    async fn place(
        &self,
        ground: &Ground,
        copy: &Copy,
        tree: Option<Tree>,
        parts: Vec<Part>,
        what: Digest,
        told: ToldStep,
    ) -> Result<Made, StepError> {
        let scratch = self.job.workshop.scratch()?;
        let into = self.root_over(ground.layers(), &scratch).await?;
        let mut ready = Vec::with_capacity(parts.len());
        for part in parts {
            ready.push(match part {
                Part::Remote { url, digest: expected } => {
                    let Fetched { scratch, name, digest } = self.fetch_into_scratch(&url, &told).await?;
                    if digest != expected {
                        let message = format!("{url} has the digest {digest}, and --checksum says {expected}");
                        return Err(Failure::invalid(message).into());
                    }
                    Part::File { scratch, name, digest }
                }
                part => part,
            });
        }
        let (wanted, link, upper) = (Arc::new(()), copy.link, scratch.upper());
        let placing = Placing {
            copy: copy.clone(),
            parts: ready,
            from_context: matches!(tree, Some(Tree::Folder(_)) | None),
            sealed: tree.as_ref().is_some_and(Tree::is_sealed),
            created: now(self.job.epoch).as_seconds(),
            upper: open_folder(&scratch.upper()).map_err(|error| Failure::internal(error.to_string()))?,
            wanted: Arc::downgrade(&wanted),
        };
        // Whoever works in the scratch folder holds it: a build that is given up does not take it away under him.
        let scratch = Arc::new(scratch);
        let held = Arc::clone(&scratch);
        let placed = self.with_tree(tree, move |from| {
            let placed = view::with_another_root(&into, |into| placing.place(from, into));
            // What is linked lies over whatever else is there the next time, and hides nothing of it.
            let shown = if link { show_below(&upper) } else { Ok(()) };
            let shown = shown.map_err(|error| Failure::internal(format!("cannot look through {}: {error}", upper.display())));
            drop(held);
            placed.map(|placed| placed.and_then(|kept| shown.map(|()| kept).map_err(StepError::from)))
        });
        let kept = placed.await?.map_err(Failure::from)??;
        drop(wanted);
        let rules = LayerRules { newest: self.job.epoch, sealed: true, kept, ..LayerRules::default() };
        // What was copied is known by what it was copied from: it need not be read once more.
        Ok(Made { layer: self.job.workshop.finish(scratch.upper(), scratch, rules).await?, content: what })
    }

    /// What a path of a ground leads to, and the folders on the way there.
    async fn way(&self, ground: &Ground, path: &str) -> Result<Digest, StepError> {
        let tree = Tree::Layers { layers: ground.layers().to_vec(), files: ground.files };
        let path = PathBuf::from(path);
        let found = self.with_tree(Some(tree), move |root| {
            let real =
                look::real_path(root, &path).map_err(|error| Failure::invalid(format!("{} leads nowhere: {error}", path.display())))?;
            let folders = real.ancestors().filter_map(|at| Some((at, look::look(root, at).ok()?)));
            let key = folders.fold(Key::of("way").bytes(real.as_os_str().as_encoded_bytes()), |key, (at, stat)| {
                let is = format!("{:o} {} {}", stat.st_mode, stat.st_uid, stat.st_gid);
                key.bytes(at.as_os_str().as_encoded_bytes()).text(&is)
            });
            Ok::<_, Failure>(key.finish())
        });
        Ok(found.await??)
    }

    /// Makes the working folder, if it is not there.
    pub(super) async fn workdir(&self, ground: &mut Ground, path: &str, history: Option<String>, task: Task) -> Result<(), Halt> {
        let user = ground.document.config.user.clone();
        let key = self.key("workdir", ground).text(path).text(&user).finish();
        let record = self.step(&task, key, |_| self.make_folder(ground, path, user)).await?;
        ground.add(key, &record, history);
        path.clone_into(&mut ground.document.config.working_dir);
        Ok(())
    }

    async fn make_folder(&self, ground: &Ground, path: &str, user: String) -> Result<Made, StepError> {
        let scratch = self.job.workshop.scratch()?;
        let root = self.root_over(ground.layers(), &scratch).await?;
        let path = PathBuf::from(path);
        let made = view::with_root(Seen::Stopped { root, mounts: Vec::new() }, Extent::Root, (), move |root| {
            let owner = if user.is_empty() { None } else { Some(owner_in(root, &user)?) };
            look::make_folders(root, &path, owner, 0o755)
                .map(drop)
                .map_err(|error| Failure::invalid(format!("the working folder {} cannot be made: {error}", path.display())))
        });
        made.await.map_err(Failure::from)??;
        self.finish(scratch.upper(), scratch, LayerRules { newest: self.job.epoch, sealed: true, ..LayerRules::default() }).await
    }
}

/// Whether an owner is numbers alone, which mean the same everywhere.
fn is_numbers(owner: &str) -> bool {
    owner.split(':').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
