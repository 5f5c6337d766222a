//! The limits that are in force before they are changed, so that a change that fails half-way is taken back.

use crate::engine::runtime::cgroup::group::Group;

/// The files that limits are written to, of both versions.
const FILES: [&str; 16] = [
    "cpu.cfs_period_us",
    "cpu.cfs_quota_us",
    "cpu.max",
    "cpu.shares",
    "cpu.weight",
    "cpuset.cpus",
    "cpuset.mems",
    "memory.limit_in_bytes",
    "memory.low",
    "memory.max",
    "memory.memsw.limit_in_bytes",
    OOM_CONTROL,
    "memory.soft_limit_in_bytes",
    "memory.swap.max",
    "memory.swappiness",
    "pids.max",
];

const OOM_CONTROL: &str = "memory.oom_control";

/// What the files of a group say.
#[derive(Debug)]
pub(super) struct Kept(Vec<(&'static str, String)>);

impl Kept {
    pub(super) fn of(group: &Group) -> Self {
        Self(FILES.iter().filter_map(|name| Some((*name, value(group, name)?))).collect())
    }

    /// Makes the group's files say so again, as far as the kernel lets them.
    pub(super) fn put_back(&self, group: &Group) {
        // A limit of memory and one of memory and swap may not pass each other on their way: the first to be refused is taken next time.
        for _ in 0..2 {
            for (name, before) in &self.0 {
                if value(group, name).is_some_and(|now| now != *before) {
                    // Why the change was to be taken back matters more.
                    let _ = group.write(name, before);
                }
            }
        }
    }
}

/// What a file says, in the words in which it is written.
fn value(group: &Group, name: &str) -> Option<String> {
    match name {
        OOM_CONTROL => group.number(name, "oom_kill_disable").map(|number| number.to_string()),
        _ => group.read(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::runtime::cgroup::Leaf;
    use crate::engine::runtime::init::tests::{remove_group, spec};
    use crate::engine::runtime::launch::CgroupSpec;
    use crate::resource::container::Resources;

    #[test]
    fn limits_that_cannot_all_be_had_are_as_they_were() {
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let mut spec = spec(folder.path(), "kept", "");
        let memory = Some(64 << 20);
        spec.cgroup.resources = Resources { memory, cpuset: Some("0".to_owned()), ..Resources::default() };
        let mut leaf = Leaf::create(&spec).expect("a group");
        let all = |leaf: &Leaf| {
            let groups = leaf.legacy.iter().map(|legacy| &legacy.group).chain([&leaf.unified]);
            groups.map(|group| format!("{:?}", super::Kept::of(group))).collect::<Vec<_>>()
        };
        let before = all(&leaf);
        let reservation = Some(32 << 20);
        let mut limit = |resources: Resources| leaf.limit(&CgroupSpec { resources, ..spec.cgroup.clone() }).is_ok();
        // The first of them can be had, the last cannot.
        let wrong = Resources {
            memory: Some(96 << 20),
            memory_reservation: reservation,
            cpu_shares: Some(512),
            cpuset: Some("9999".to_owned()),
            ..Resources::default()
        };
        assert!(!limit(wrong.clone()));
        assert_eq!(all(&leaf), before);
        let fine = Resources { cpuset: Some("0".to_owned()), ..wrong };
        assert!(leaf.limit(&CgroupSpec { resources: fine, ..spec.cgroup.clone() }).is_ok());
        assert_ne!(all(&leaf), before);
        leaf.remove().expect("an empty group");
        remove_group(&spec.cgroup);
    }
}
