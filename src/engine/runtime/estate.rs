//! What outlives an engine: listening sockets, held descriptors, shims. Keeper and engine both have all of it, and either can hand it on.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use crate::engine::runtime::note::Note;
use crate::engine::runtime::packet::MOST_DESCRIPTORS;

/// A running shim.
#[derive(Debug)]
pub(super) struct HeldShim {
    pub(super) pidfd: OwnedFd,
    /// Its container's control group.
    pub(super) group: PathBuf,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Estate {
    pub(super) listeners: Vec<(String, OwnedFd)>,
    pub(super) held: BTreeMap<String, Vec<OwnedFd>>,
    pub(super) shims: BTreeMap<i32, HeldShim>,
}

/// A note and copies of the descriptors that go with it.
pub(super) type Parcel = (Note, Vec<OwnedFd>);

impl Estate {
    /// Follows a note about the estate; returns one that is about something else.
    pub(super) fn apply(&mut self, note: Note, mut descriptors: Vec<OwnedFd>) -> Option<Parcel> {
        match note {
            Note::Listener(name) => self.listeners.extend(descriptors.into_iter().map(|descriptor| (name.clone(), descriptor))),
            Note::Hold(key) => _ = self.held.insert(key, descriptors),
            Note::HoldMore(key) => self.held.entry(key).or_default().extend(descriptors),
            Note::Release(key) => _ = self.held.remove(&key),
            Note::Shim(pid, group) => {
                if let Some(pidfd) = descriptors.pop() {
                    self.shims.insert(pid, HeldShim { pidfd, group });
                }
            }
            Note::ShimGone(pid) => _ = self.shims.remove(&pid),
            other => return Some((other, descriptors)),
        }
        None
    }

    /// The notes that make an empty estate equal to this one.
    pub(super) fn parcels(&self) -> io::Result<Vec<Parcel>> {
        let mut parcels = Vec::new();
        for (name, descriptor) in &self.listeners {
            parcels.push((Note::Listener(name.clone()), vec![descriptor.try_clone()?]));
        }
        for (key, descriptors) in &self.held {
            parcels.extend(hold(key, descriptors)?);
        }
        for (&pid, shim) in &self.shims {
            parcels.push((Note::Shim(pid, shim.group.clone()), vec![shim.pidfd.try_clone()?]));
        }
        Ok(parcels)
    }

    /// Whether nothing needs a keeper but its own socket.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.shims.is_empty()
    }
}

/// The notes that hand descriptors over under a key; one packet takes no more than the kernel's limit.
pub(super) fn hold(key: &str, descriptors: &[OwnedFd]) -> io::Result<Vec<Parcel>> {
    let copies = |part: &[OwnedFd]| part.iter().map(|descriptor| descriptor.as_fd().try_clone_to_owned()).collect::<io::Result<Vec<_>>>();
    let mut parts = descriptors.chunks(MOST_DESCRIPTORS);
    let mut parcels = vec![(Note::Hold(key.to_owned()), copies(parts.next().unwrap_or_default())?)];
    for part in parts {
        parcels.push((Note::HoldMore(key.to_owned()), copies(part)?));
    }
    Ok(parcels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptors(count: usize) -> Vec<OwnedFd> {
        let (reader, _writer) = io::pipe().expect("a pipe");
        (0..count).map(|_| reader.try_clone().expect("a copy").into()).collect()
    }

    #[test]
    fn an_estate_is_handed_on_whole() {
        let mut estate = Estate::default();
        estate.apply(Note::Listener("unix:///x".to_owned()), descriptors(1));
        for (note, part) in hold("ports", &descriptors(600)).expect("copies") {
            assert!(part.len() <= MOST_DESCRIPTORS);
            estate.apply(note, part);
        }
        estate.apply(Note::Hold("names".to_owned()), descriptors(2));
        estate.apply(Note::Hold("gone".to_owned()), descriptors(1));
        estate.apply(Note::Release("gone".to_owned()), Vec::new());
        estate.apply(Note::Shim(7, "/g".into()), descriptors(1));
        estate.apply(Note::Shim(8, "/h".into()), descriptors(1));
        estate.apply(Note::ShimGone(8), Vec::new());
        assert_eq!(estate.apply(Note::Stop, Vec::new()).map(|(note, _)| note), Some(Note::Stop));

        let mut copy = Estate::default();
        for (note, part) in estate.parcels().expect("copies") {
            assert!(copy.apply(Note::decode(&note.encode()).expect("a note"), part).is_none());
        }
        assert_eq!(copy.listeners.len(), 1);
        assert_eq!(copy.held.iter().map(|(key, held)| (key.as_str(), held.len())).collect::<Vec<_>>(), [("names", 2), ("ports", 600)]);
        assert_eq!(copy.shims.keys().copied().collect::<Vec<_>>(), [7]);
        assert!(!copy.is_idle());
    }
}
