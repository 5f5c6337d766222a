//! Which hierarchies of control groups this machine has, and what each can limit.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::mount;
use crate::resource::container::Resources;

/// A hierarchy of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine::runtime) struct Hierarchy {
    /// What it controls; several may be mounted as one.
    pub(in crate::engine::runtime) controllers: Vec<String>,
    /// Where it is mounted.
    pub(in crate::engine::runtime) path: PathBuf,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine::runtime) struct Hierarchies {
    /// Where version 2 is mounted, if it is.
    unified: Option<PathBuf>,
    /// Those of version 1 that control something.
    legacy: Vec<Hierarchy>,
}

/// The controllers of version 1 that limits are asked of. Other words of a mount's options are no controllers.
const CONTROLLERS: [&str; 12] =
    ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio", "perf_event", "hugetlb"];

impl Hierarchies {
    /// Reads them from this mount namespace.
    pub(super) fn find() -> Result<Self, LaunchError> {
        let table =
            std::fs::read_to_string("/proc/self/mountinfo").map_err(|error| LaunchError::step("read /proc/self/mountinfo", error))?;
        Ok(Self::parse(&table))
    }

    fn parse(table: &str) -> Self {
        let mut found = Self::default();
        for line in table.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let (left, right): (Vec<_>, Vec<_>) = (left.split(' ').collect(), right.split(' ').collect());
            let (&[_, _, _, root, path, ..], &[kind, _, options]) = (&left[..], &right[..]) else { continue };
            // Another part of a hierarchy, mounted somewhere else.
            if root != "/" {
                continue;
            }
            let path = PathBuf::from(unescape(path));
            match kind {
                "cgroup2" => {
                    found.unified.get_or_insert(path);
                }
                "cgroup" => {
                    let controllers: Vec<_> = options.split(',').filter(|word| CONTROLLERS.contains(word)).map(str::to_owned).collect();
                    let known = found.legacy.iter().any(|hierarchy| hierarchy.controllers == controllers);
                    if !controllers.is_empty() && !known {
                        found.legacy.push(Hierarchy { controllers, path });
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Everything that can be limited.
    pub(super) fn controllers(&self) -> BTreeSet<String> {
        let unified = self.unified.iter().filter_map(|path| std::fs::read_to_string(path.join("cgroup.controllers")).ok());
        let mut all: BTreeSet<String> = unified.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
        all.extend(self.legacy.iter().flat_map(|hierarchy| hierarchy.controllers.iter().cloned()));
        all
    }

    /// Where version 2 is mounted.
    pub(super) fn unified(&self) -> Option<&Path> {
        self.unified.as_deref()
    }

    /// Whether version 2 controls everything there is.
    pub(in crate::engine::runtime) fn is_unified(&self) -> bool {
        self.legacy.is_empty()
    }

    /// The hierarchy of version 1 that controls this.
    pub(super) fn legacy(&self, controller: &str) -> Option<&Hierarchy> {
        self.legacy.iter().find(|hierarchy| hierarchy.controllers.iter().any(|known| known == controller))
    }

    /// Every hierarchy of version 1.
    pub(super) fn all_legacy(&self) -> &[Hierarchy] {
        &self.legacy
    }

    /// The hierarchies of version 1 that these limits need a group in.
    pub(in crate::engine::runtime) fn needed(&self, resources: &Resources) -> Vec<&Hierarchy> {
        let mut needed: Vec<&Hierarchy> = Vec::new();
        for hierarchy in wanted(resources).into_iter().filter_map(|controller| self.legacy(controller)) {
            if !needed.contains(&hierarchy) {
                needed.push(hierarchy);
            }
        }
        needed
    }

    /// The root of version 2. Where nobody mounted it, it is mounted for this process alone.
    pub(super) fn open_unified(&self) -> Result<OwnedFd, LaunchError> {
        let open = |path: &Path| -> Result<OwnedFd, Errno> {
            Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
        };
        match &self.unified {
            Some(path) => open(path).map_err(|error| LaunchError::step(format!("open {}", path.display()), error)),
            None => mount::make("cgroup2", &[], MountAttrFlags::empty()).map_err(|_| LaunchError::Unavailable {
                what: "a control group".to_owned(),
                reason: "the unified hierarchy (cgroup2) is not mounted and cannot be".to_owned(),
            }),
        }
    }
}

/// The controllers that these limits need.
pub(super) fn wanted(resources: &Resources) -> Vec<&'static str> {
    let mut wanted = Vec::new();
    let mut want = |controller, needed: bool| {
        if needed {
            wanted.push(controller);
        }
    };
    let sizes = resources.memory.or(resources.memory_reservation).or(resources.memory_swappiness);
    want("memory", sizes.is_some() || resources.memory_swap.is_some() || resources.oom_kill_disable);
    want(
        "cpu",
        resources.nano_cpus.is_some() || resources.cpu_shares.is_some() || resources.cpu_quota.is_some() || resources.cpu_period.is_some(),
    );
    want("cpuset", resources.cpuset.is_some() || resources.cpuset_mems.is_some());
    want("pids", resources.pids.is_some_and(|pids| pids > 0));
    wanted
}

/// Space, tab, newline and backslash are written in octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:32 /docker/x /mnt/other rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn hierarchies_are_found_in_the_mount_table() {
        let found = Hierarchies::parse(HYBRID);
        assert_eq!(found.unified, Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert!(!found.is_unified());
        let memory = Hierarchy { controllers: vec!["memory".to_owned()], path: PathBuf::from("/sys/fs/cgroup/memory") };
        assert_eq!(found.legacy("memory"), Some(&memory));
        assert_eq!(found.legacy("pids"), None);
        assert_eq!(found.all_legacy().len(), 2);

        let pure = Hierarchies::parse("30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
        assert_eq!(pure.unified, Some(PathBuf::from("/sys/fs/cgroup")));
        assert!(pure.is_unified());
    }

    #[test]
    fn only_the_hierarchies_of_the_limits_are_joined() {
        let found = Hierarchies::parse(HYBRID);
        let check = |resources: Resources, expect: &[&str]| {
            let needed: Vec<_> = found.needed(&resources).iter().map(|hierarchy| hierarchy.controllers.join(",")).collect();
            assert_eq!(needed, expect, "{resources:?}");
        };
        check(Resources::default(), &[]);
        check(Resources { memory: Some(1), ..Resources::default() }, &["memory"]);
        check(Resources { cpu_shares: Some(2), memory: Some(1), ..Resources::default() }, &["memory", "cpu,cpuacct"]);
        check(Resources { pids: Some(-1), ..Resources::default() }, &[]);
    }
}
