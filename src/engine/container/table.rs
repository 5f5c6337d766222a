//! All containers of a root, by id and by name.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::engine::container::entry::Container;
use crate::engine::image::handle::ImageUse;
use crate::engine::root::Root;
use crate::resource::failure::Failure;
use crate::resource::id::{ContainerId, ImageId};
use crate::resource::name::ContainerName;

/// The table. Its lock is never held while anything is awaited.
pub(in crate::engine) struct Containers {
    folder: PathBuf,
    state: Mutex<State>,
    /// A container that was being made has become known, or never will.
    made: Notify,
}

#[derive(Default)]
struct State {
    containers: BTreeMap<ContainerId, Arc<Container>>,
    /// Names are taken before their containers exist.
    names: BTreeMap<String, ContainerId>,
}

impl Containers {
    /// The table of a root, without its containers.
    pub(in crate::engine) fn open(root: &Root) -> Result<Self, Failure> {
        let folder = root.data().join("containers");
        let step = |error| Failure::internal(format!("cannot make `{}`: {error}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(step)?;
        // Specs and written files hold secrets, and a file's own mode is meant for those inside the container.
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).map_err(step)?;
        Ok(Self { folder, state: Mutex::default(), made: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where containers have their folders.
    pub(in crate::engine) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every container, oldest id first.
    pub(in crate::engine) fn all(&self) -> Vec<Arc<Container>> {
        self.state().containers.values().cloned().collect()
    }

    /// A container by name, id or unambiguous start of an id, in this order, as Docker looks.
    pub(in crate::engine) fn find(&self, name: &str) -> Result<Arc<Container>, Failure> {
        let missing = || Failure::not_found(format!("No such container: {name}"));
        let state = self.state();
        if let Some(container) = name.parse::<ContainerId>().ok().and_then(|id| state.containers.get(&id)) {
            return Ok(Arc::clone(container));
        }
        let bare = name.strip_prefix('/').unwrap_or(name);
        if let Some(container) = state.names.get(bare).and_then(|id| state.containers.get(id)) {
            return Ok(Arc::clone(container));
        }
        if name.is_empty() {
            return Err(missing());
        }
        let mut found = state.containers.iter().filter(|(id, _)| id.to_string().starts_with(name));
        match (found.next(), found.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Failure::invalid(format!("multiple IDs found with provided prefix: {name}"))),
            (None, _) => Err(missing()),
        }
    }

    /// Takes a name for a container that is made, or says who has it; waits while that one is being made itself, so that nobody is told
    /// of a container that cannot be found.
    pub(super) async fn take_name_once_free(&self, name: &ContainerName, id: ContainerId) -> Result<(), Failure> {
        loop {
            let mut made = pin!(self.made.notified());
            // From here on nothing is missed.
            made.as_mut().enable();
            {
                let mut state = self.state();
                match state.names.get(name.as_str()) {
                    None => {
                        state.names.insert(name.to_string(), id);
                        return Ok(());
                    }
                    Some(other) if state.containers.contains_key(other) => return Err(in_use(name, *other)),
                    Some(_) => {}
                }
            }
            made.await;
        }
    }

    /// Takes a name for a container, or says who has it.
    pub(super) fn take_name(&self, name: &ContainerName, id: ContainerId) -> Result<(), Failure> {
        let mut state = self.state();
        if let Some(other) = state.names.get(name.as_str()) {
            return Err(in_use(name, *other));
        }
        state.names.insert(name.to_string(), id);
        Ok(())
    }

    /// Gives a name back.
    pub(super) fn give_back_name(&self, name: &ContainerName) {
        self.state().names.remove(name.as_str());
        self.made.notify_waiters();
    }

    /// Makes a container known whose name was taken.
    pub(super) fn insert(&self, container: Arc<Container>) {
        self.state().containers.insert(container.id(), container);
        self.made.notify_waiters();
    }

    /// Forgets a container and its name.
    pub(super) fn remove(&self, container: &Container) {
        let mut state = self.state();
        state.containers.remove(&container.id());
        state.names.retain(|_, id| *id != container.id());
    }

    /// Who uses an image: one that runs, if there is one.
    pub(in crate::engine) fn image_use(&self, image: &ImageId) -> Option<ImageUse> {
        let state = self.state();
        let users = state.containers.values().filter(|container| container.record().image == *image);
        let mut uses: Vec<ImageUse> =
            users.map(|container| ImageUse { container: container.id().short(), running: container.life().state.is_running() }).collect();
        uses.sort_by_key(|found| !found.running);
        uses.into_iter().next()
    }

    /// How many containers each image has.
    pub(in crate::engine) fn image_users(&self) -> BTreeMap<ImageId, u64> {
        let mut users = BTreeMap::new();
        self.state().containers.values().for_each(|container| *users.entry(container.record().image).or_default() += 1);
        users
    }
}

/// A name has its container, in dockerd's words.
fn in_use(name: &ContainerName, by: ContainerId) -> Failure {
    Failure::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{by}\". You have to remove (or rename) that container \
         to be able to reuse that name."
    ))
}
