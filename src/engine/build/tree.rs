//! The trees that files come from, and how they are looked at: put together in a mount namespace of one thread's own.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::copy::{Choice, CopyOwner, CopyRequest};
use crate::archive::digest::digest_tree;
use crate::archive::select::Selection;
use crate::archive::{self, look, open_folder};
use crate::dockerfile::{Copy, Ignore, Place, Source};
use crate::engine::build::context::ContextTree;
use crate::engine::build::placing::{choose, exclusions};
use crate::engine::build::stage::StepError;
use crate::engine::build::{Build, Halt, ground};
use crate::engine::image::mount_point::MountPoints;
use crate::engine::image::workshop::Scratch;
use crate::engine::runtime::launch::RootfsSpec;
use crate::engine::runtime::view::{self, Extent, Seen};
use crate::resource::build::NamedContext;
use crate::resource::failure::Failure;
use crate::resource::id::Digest;

/// A tree that files come from.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// A context.
    Folder(Arc<ContextTree>),
    /// What a stage came to, or an image.
    Layers {
        /// Lowest first.
        layers: Vec<Digest>,
        /// What is in them.
        files: Digest,
    },
}

impl Build {
    /// The tree that a source names.
    pub(super) async fn tree(&self, from: &Source, place: Option<Place>) -> Result<Tree, Halt> {
        let of_image = |layers: &[Digest]| Tree::Layers { layers: layers.to_vec(), files: ground::of_layers(layers) };
        Ok(match from {
            Source::Context => Tree::Folder(
                self.job
                    .supply
                    .context
                    .clone()
                    .ok_or_else(|| Failure::invalid("the build has no context: name a folder, or copy from a stage or an image"))?,
            ),
            Source::Stage(index) => {
                let stage = self.stage(*index).await.map_err(|_| Halt::Elsewhere)?;
                Tree::Layers { layers: stage.layers().to_vec(), files: stage.files }
            }
            Source::Image(name) => of_image(&self.job.image(name, None, place).await?.document.rootfs.diff_ids),
            Source::Named(name) => match self.job.spec.contexts.get(name).and_then(NamedContext::image) {
                Some(image) => of_image(&self.job.image(image, None, place).await?.document.rootfs.diff_ids),
                None => Tree::Folder(self.named(name)?),
            },
            Source::Scratch => of_image(&[]),
        })
    }

    fn named(&self, name: &str) -> Result<Arc<ContextTree>, Failure> {
        let missing = || Failure::invalid(format!("the context `{name}` was not given"));
        self.job.supply.named.get(name).cloned().ok_or_else(missing)
    }

    /// A root over layers, written to a scratch folder.
    pub(super) async fn root_over(&self, layers: &[Digest], scratch: &Scratch) -> Result<RootfsSpec, StepError> {
        let lower = self.job.workshop.folders(layers, MountPoints::None).await?;
        Ok(RootfsSpec { lower, upper: scratch.upper(), work: scratch.work(), read_only: false, volatile: true })
    }

    /// Does some work on the root of a tree, on a thread of its own.
    pub(super) async fn with_tree<T: Send + 'static>(
        &self,
        tree: Option<Tree>,
        work: impl FnOnce(BorrowedFd<'_>) -> T + Send + 'static,
    ) -> Result<T, StepError> {
        let scratch = self.job.workshop.scratch()?;
        let layers = match &tree {
            Some(Tree::Layers { layers, .. }) => layers.as_slice(),
            _ => &[],
        };
        let root = self.root_over(layers, &scratch).await?;
        let context = match tree {
            Some(Tree::Folder(context)) => Some(context),
            _ => None,
        };
        let seen = Seen::Stopped { root, mounts: Vec::new() };
        let done = view::with_root(seen, Extent::Root, scratch, move |root| match &context {
            Some(context) => work(context.root()),
            None => work(root),
        });
        Ok(done.await.map_err(Failure::from)?)
    }
}

impl Tree {
    /// Its layers as overlay wants them; a context is one.
    pub(super) async fn lower(&self, build: &Build) -> Result<Vec<PathBuf>, StepError> {
        match self {
            Self::Folder(context) => {
                let mut lower = vec![context.folder().to_owned()];
                lower.extend(build.job.workshop.folders(&[], MountPoints::None).await?);
                Ok(lower)
            }
            Self::Layers { layers, .. } => Ok(build.job.workshop.folders(layers, MountPoints::None).await?),
        }
    }

    /// It is as the engine made it, see [`Selection::sealed`].
    pub(super) fn is_sealed(&self) -> bool {
        matches!(self, Self::Folder(context) if context.is_sealed())
    }

    /// The digest of one path in it, for a mount.
    pub(super) async fn digest(&self, build: &Build, path: &str) -> Result<Digest, StepError> {
        if let (Self::Layers { files, .. }, "/") = (self, path) {
            return Ok(*files);
        }
        self.digest_selected(build, vec![PathBuf::from(path)], CopyOwner::Keep, false, Ignore::default()).await
    }

    /// The digest of what a copy takes of it.
    pub(super) async fn digest_of(&self, build: &Build, copy: &Copy, sources: Vec<PathBuf>) -> Result<Digest, StepError> {
        let owner = match (self, &copy.chown) {
            (Self::Layers { .. }, None) => CopyOwner::Keep,
            _ => CopyOwner::Fixed(0, 0),
        };
        let exclude = exclusions(copy)?;
        self.digest_selected(build, sources, owner, copy.parents, exclude).await
    }

    async fn digest_selected(
        &self,
        build: &Build,
        sources: Vec<PathBuf>,
        owner: CopyOwner,
        keep_parents: bool,
        exclude: Ignore,
    ) -> Result<Digest, StepError> {
        let context = match self {
            Self::Folder(context) => Some(Arc::clone(context)),
            Self::Layers { .. } => None,
        };
        let sealed = self.is_sealed();
        let digest = move |root: BorrowedFd<'_>| {
            let known = |path: &Path| context.as_ref().and_then(|it| it.digest_of(path)).map(|digest| *digest.as_bytes());
            let selection =
                Selection { from: root, sources: &sources, keep_parents, sealed, choose: &|path, folder| choose(&exclude, path, folder) };
            digest_tree(&selection, owner, &known)
        };
        let digest = match self {
            Self::Folder(context) => {
                let context = Arc::clone(context);
                let done = tokio::task::spawn_blocking(move || digest(context.root())).await;
                done.map_err(|error| Failure::internal(format!("the digest of a context was given up: {error}")))?
            }
            Self::Layers { .. } => build.with_tree(Some(self.clone()), digest).await?,
        };
        Ok(Digest::from_bytes(digest?))
    }

    /// Whether a path in it is a file, or leads to one.
    pub(super) async fn is_file(&self, build: &Build, path: &str) -> Result<bool, StepError> {
        let (path, shown) = (PathBuf::from(path), path.to_owned());
        let found = build.with_tree(Some(self.clone()), move |root| look::is_folder(root, &path)).await?;
        match found {
            Ok(is_folder) => Ok(!is_folder),
            Err(error) => Err(Failure::not_found(format!("`{shown}` cannot be mounted: {error}")).into()),
        }
    }

    /// Copies a path of it to a folder of the host's.
    pub(super) async fn copy_out(&self, build: &Build, path: &str, into: &Path) -> Result<(), StepError> {
        let (sources, into) = ([PathBuf::from(path)], into.to_owned());
        let copied = build.with_tree(Some(self.clone()), move |root| {
            let target = open_folder(&into).map_err(|error| Failure::internal(error.to_string()))?;
            let selection = Selection { from: root, sources: &sources, keep_parents: false, sealed: false, choose: &|_, _| Choice::Take };
            let request = CopyRequest {
                selection,
                into: target.as_fd(),
                destination: Path::new("/"),
                destination_is_folder: true,
                owner: CopyOwner::Keep,
                folder_owner: None,
                mode: None,
                created: 0,
                upper: None,
            };
            archive::copy::copy(&request).map(drop).map_err(StepError::from)
        });
        copied.await?
    }
}
