//! Wakes those who follow logs: one inotify instance for all of them, since a user may have only 128.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::engine::runtime::readiness;

/// How often the files of a folder changed: `.0` their contents, `.1` their names. What counts is that it moved.
pub(super) type Changes = (u64, u64);

/// Watches folders for those who follow a log in one; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct LogWatcher {
    shared: Arc<Mutex<Watched>>,
}

#[derive(Debug, Default)]
struct Watched {
    instance: Option<Arc<Instance>>,
    folders: BTreeMap<PathBuf, (WatchDescriptor, watch::Sender<Changes>)>,
}

/// The instance, and a second descriptor of it to wait with.
#[derive(Debug)]
struct Instance {
    inotify: Inotify,
    readiness: AsyncFd<OwnedFd>,
}

impl Instance {
    fn open() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let readiness = readiness::readable(inotify.as_fd().try_clone_to_owned()?)?;
        Ok(Self { inotify, readiness })
    }
}

/// Somebody's interest in a folder; ends when dropped.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: LogWatcher,
    folder: PathBuf,
    pub changes: watch::Receiver<Changes>,
}

impl LogWatcher {
    /// Begins to watch a folder; changes after this call are seen.
    pub(super) fn watch(&self, folder: &Path) -> io::Result<Watch> {
        let mut watched = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = match &watched.instance {
            Some(instance) => Arc::clone(instance),
            None => {
                let instance = Arc::new(Instance::open()?);
                watched.instance = Some(Arc::clone(&instance));
                tokio::spawn(tell(Arc::downgrade(&self.shared), Arc::clone(&instance)));
                instance
            }
        };
        let changes = match watched.folders.get(folder) {
            Some((_, sender)) => sender.subscribe(),
            None => {
                let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
                let descriptor = instance.inotify.add_watch(folder, names | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ONLYDIR)?;
                let (sender, receiver) = watch::channel((0, 0));
                watched.folders.insert(folder.to_owned(), (descriptor, sender));
                receiver
            }
        };
        Ok(Watch { watcher: self.clone(), folder: folder.to_owned(), changes })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.watcher.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // This receiver is still counted.
        if watched.folders.get(&self.folder).is_none_or(|(_, sender)| sender.receiver_count() > 1) {
            return;
        }
        if let (Some((descriptor, _)), Some(instance)) = (watched.folders.remove(&self.folder), &watched.instance) {
            // A folder that was removed took its watch along.
            let _ = instance.inotify.rm_watch(descriptor);
        }
    }
}

/// Passes on what the kernel tells, until nobody is left to tell.
async fn tell(watched: Weak<Mutex<Watched>>, instance: Arc<Instance>) {
    loop {
        let Ok(mut ready) = instance.readiness.readable().await else { return };
        let events = match instance.inotify.read_events() {
            Ok(events) => events,
            Err(nix::errno::Errno::EAGAIN) => {
                ready.clear_ready();
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "logs can no longer be followed");
                return;
            }
        };
        let Some(watched) = watched.upgrade() else { return };
        let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let everything = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
            let written = event.mask.contains(AddWatchFlags::IN_MODIFY);
            for (_, sender) in watched.folders.values().filter(|(descriptor, _)| everything || *descriptor == event.wd) {
                sender.send_modify(|(contents, names)| {
                    *contents += 1;
                    *names += u64::from(everything || !written);
                });
            }
        }
    }
}
