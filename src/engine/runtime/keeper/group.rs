//! The keeper's own control group: a job that is killed with its group must not take the engine along.

use std::fs;
use std::path::{Path, PathBuf};

/// Moves this process to `/gantry-TAG/engine` of every hierarchy in which it is below the root.
///
/// Where it is at the root already nothing is written: a move waits for the kernel's RCU, up to 20 ms. Each is best effort; a hierarchy
/// that is mounted read-only cannot be killed through either.
pub(super) fn leave_job(tag: &str) {
    let Ok(mine) = fs::read_to_string("/proc/self/cgroup") else { return };
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return };
    for (hierarchy, path) in memberships(&mine) {
        if path == "/" {
            continue;
        }
        let Some(root) = mount_of(&mounts, hierarchy) else { continue };
        let own = root.join(format!("gantry-{tag}")).join("engine");
        if fs::create_dir_all(&own).is_err() {
            continue;
        }
        if hierarchy == "cpuset" || hierarchy.split(',').any(|controller| controller == "cpuset") {
            inherit_cpuset(&root, &own);
        }
        let _ = fs::write(own.join("cgroup.procs"), "0");
    }
}

/// Leaves the groups that [`leave_job`] made, and removes them: the last thing a keeper does with the kernel.
pub(super) fn remove(tag: &str) {
    let Ok(mine) = fs::read_to_string("/proc/self/cgroup") else { return };
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return };
    for (hierarchy, path) in memberships(&mine) {
        if path != format!("/gantry-{tag}/engine") {
            continue;
        }
        let Some(root) = mount_of(&mounts, hierarchy) else { continue };
        let above = root.join(format!("gantry-{tag}"));
        // Best effort, like the way in; the engine has left before.
        let _ = fs::write(root.join("cgroup.procs"), "0");
        let _ = fs::remove_dir(above.join("engine"));
        let _ = fs::remove_dir(above);
    }
}

/// A new v1 cpuset is empty, and an empty one takes no process.
fn inherit_cpuset(root: &Path, own: &Path) {
    for folder in own.ancestors().take_while(|folder| *folder != root).collect::<Vec<_>>().into_iter().rev() {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Some(value) = folder.parent().and_then(|parent| fs::read_to_string(parent.join(file)).ok()) {
                let _ = fs::write(folder.join(file), value);
            }
        }
    }
}

/// The lines of /proc/self/cgroup as (controllers, path); the unified hierarchy has no controllers.
fn memberships(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        fields.next()?;
        Some((fields.next()?, fields.next()?))
    })
}

/// Where a hierarchy is mounted.
fn mount_of(mounts: &str, hierarchy: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, target, kind, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let found = match kind {
            "cgroup2" => hierarchy.is_empty(),
            "cgroup" => {
                !hierarchy.is_empty() && hierarchy.split(',').all(|controller| options.split(',').any(|option| option == controller))
            }
            _ => false,
        };
        found.then(|| PathBuf::from(target))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_is_found_by_its_controllers() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
                      cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0\n";
        for (hierarchy, expect) in [
            ("", Some("/sys/fs/cgroup/unified")),
            ("cpu,cpuacct", Some("/sys/fs/cgroup/cpu,cpuacct")),
            ("name=systemd", Some("/sys/fs/cgroup/systemd")),
            ("memory", None),
        ] {
            assert_eq!(mount_of(mounts, hierarchy), expect.map(PathBuf::from), "{hierarchy}");
        }
        let lines: Vec<_> = memberships("4:memory:/job/a:b\n0::/\n").collect();
        assert_eq!(lines, [("memory", "/job/a:b"), ("", "/")]);
    }
}
