//! What is told of a container, again and again: most of a long list is as it was.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::resource::container::ContainerInfo;

/// What is told of a container, with room for what was written of it. It is replaced, and so never changes while somebody has it.
#[derive(Debug)]
pub struct Told {
    info: ContainerInfo,
    written: OnceLock<Box<[u8]>>,
}

impl Told {
    /// Of what is known now.
    pub fn new(info: ContainerInfo) -> Arc<Self> {
        Arc::new(Self { info, written: OnceLock::new() })
    }

    /// What was written of it; who asks first writes it. There is room for one form.
    pub fn written(&self, write: impl FnOnce(&ContainerInfo) -> Box<[u8]>) -> &[u8] {
        self.written.get_or_init(|| write(&self.info))
    }
}

impl Deref for Told {
    type Target = ContainerInfo;

    fn deref(&self) -> &ContainerInfo {
        &self.info
    }
}

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        self.info == other.info
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::container::{ContainerSpec, ContainerState, EffectiveConfig};
    use crate::resource::id::{ContainerId, Digest};
    use crate::resource::time::Timestamp;

    #[test]
    fn it_is_written_once() {
        let told = Told::new(ContainerInfo {
            id: ContainerId::from_bytes([1; 32]),
            name: "web".parse().expect("a name"),
            created: Timestamp::from_nanos(0),
            spec: ContainerSpec::default(),
            image: Digest::from_bytes([2; 32]),
            state: ContainerState::Created,
            health: None,
            effective: EffectiveConfig::default(),
            endpoints: Vec::new(),
            published: Vec::new(),
            mounts: Vec::new(),
            restart_count: 0,
            log_path: None,
            file_digests: Default::default(),
            execs: Vec::new(),
        });
        let name = |info: &ContainerInfo| info.name.as_str().as_bytes().into();
        assert_eq!((told.written(name), told.written(|_| panic!("it was written"))), (&b"web"[..], &b"web"[..]));
        let anew = Told::new(ContainerInfo::clone(&told));
        assert_eq!((&anew, anew.written(|_| b"other"[..].into())), (&told, &b"other"[..]));
    }
}
