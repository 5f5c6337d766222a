//! A container's control group: one leaf in the unified hierarchy for every container, and groups in the hierarchies of version 1 for
//! those limits that only they can give (joining one of those waits for RCU, 1 to 4 ms each).

mod device_filter;
mod group;
pub(super) mod hierarchy;
mod kept;
mod limit;
mod usage;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};

use crate::engine::runtime::cgroup::group::Group;
use crate::engine::runtime::cgroup::hierarchy::{Hierarchies, Hierarchy};
use crate::engine::runtime::cgroup::kept::Kept;
pub use crate::engine::runtime::cgroup::usage::GroupUsage;
use crate::engine::runtime::device;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::launch::{CgroupSpec, LaunchSpec};
use crate::resource::container::Resources;

/// The controllers by which this machine can set limits; none where it cannot be told.
pub fn controllers() -> BTreeSet<String> {
    Hierarchies::find().map(|found| found.controllers()).unwrap_or_default()
}

/// The control group of one container.
#[derive(Debug)]
pub struct Leaf {
    name: String,
    parent: Group,
    unified: Group,
    legacy: Vec<Legacy>,
    hierarchies: Hierarchies,
}

/// A container's group in a hierarchy of version 1.
#[derive(Debug)]
struct Legacy {
    controllers: Vec<String>,
    parent: Group,
    group: Group,
}

/// What version 2 may be asked to control; what of it there is, is passed on to containers.
const DELEGATED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

impl Leaf {
    /// Makes it, with its limits and its device filter, before the container's first process exists.
    pub fn create(spec: &LaunchSpec) -> Result<Self, LaunchError> {
        let leaf = Self::make(spec);
        if leaf.is_err() {
            // What was made before the failure; the failure is what matters.
            let _ = Self::open(&spec.cgroup).and_then(|leaf| leaf.remove());
        }
        leaf
    }

    fn make(spec: &LaunchSpec) -> Result<Self, LaunchError> {
        let resources = &spec.cgroup.resources;
        limit::check(resources)?;
        let hierarchies = Hierarchies::find()?;
        let (above, name) = split(&spec.cgroup)?;
        let root = Group::root(hierarchies.open_unified()?, "");
        let mut controllers: Vec<String> =
            root.read("cgroup.controllers").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        controllers.retain(|controller| DELEGATED.contains(&controller.as_str()));
        let parent = root.make(above)?;
        for group in [&root, &parent] {
            limit::delegate(group, &controllers).map_err(|error| LaunchError::step("pass controllers on to containers", error))?;
        }
        let unified = parent.make_fresh(name)?;
        // Those that have in fact arrived.
        controllers.retain(|controller| {
            unified.read("cgroup.controllers").is_ok_and(|text| text.split_whitespace().any(|word| word == controller))
        });
        limit::set_unified(&unified, &controllers, resources)?;
        let mut leaf = Self { name: name.to_owned(), parent, unified, legacy: Vec::new(), hierarchies };
        let needed = leaf.needed(&controllers, resources)?;
        leaf.make_legacy(above, &needed, resources)?;
        if let Some(rules) = device::rules(spec)? {
            leaf.filter_devices(above, &rules)?;
        }
        Ok(leaf)
    }

    /// The hierarchies of version 1 that limits need beside these controllers of version 2; a limit that none of them has is an error.
    fn needed(&self, controllers: &[String], resources: &Resources) -> Result<Vec<Hierarchy>, LaunchError> {
        let mut needed: Vec<Hierarchy> = Vec::new();
        for controller in hierarchy::wanted(resources) {
            if controllers.iter().any(|known| known == controller) {
                continue;
            }
            let found = self.hierarchies.legacy(controller).ok_or_else(|| limit::unavailable(controller))?;
            if !needed.contains(found) {
                needed.push(found.clone());
            }
        }
        Ok(needed)
    }

    /// Makes groups with these limits in those hierarchies of version 1 where it has none yet. Nobody is in them.
    fn make_legacy(&mut self, above: &str, needed: &[Hierarchy], resources: &Resources) -> Result<(), LaunchError> {
        for found in needed {
            if self.legacy.iter().any(|legacy| legacy.controllers == found.controllers) {
                continue;
            }
            let root = open_legacy(found)?;
            let parent = root.make(above)?;
            let group = parent.make_fresh(&self.name)?;
            if let Err(error) = limit::set_legacy(&[&root, &parent], &group, &found.controllers, resources) {
                // Nobody is to join a group without its limits; the failure is what matters.
                let _ = parent.remove_empty(&self.name);
                return Err(error);
            }
            self.legacy.push(Legacy { controllers: found.controllers.clone(), parent, group });
        }
        Ok(())
    }

    /// Sets other limits while it is in use, all of them or none. Where a limit needs a hierarchy of version 1 that its processes are not in
    /// yet, they are moved there: what they use from then on counts.
    pub(super) fn limit(&mut self, spec: &CgroupSpec) -> Result<(), LaunchError> {
        let resources = &spec.resources;
        limit::check(resources)?;
        let (above, _) = split(spec)?;
        let controllers = self.unified.read("cgroup.controllers").unwrap_or_default();
        let controllers: Vec<String> = controllers.split_whitespace().filter(|word| DELEGATED.contains(word)).map(str::to_owned).collect();
        // What cannot be had is found before anything is changed.
        let needed = self.needed(&controllers, resources)?;
        let (kept, before) = (Kept::of(&self.unified), self.legacy.len());
        let kept_legacy: Vec<Kept> = self.legacy.iter().map(|legacy| Kept::of(&legacy.group)).collect();
        let changed = self.change(&controllers, resources).and_then(|()| self.make_legacy(above, &needed, resources));
        let changed = changed.and_then(|()| self.legacy[before..].iter().try_for_each(|legacy| self.gather(legacy)));
        if changed.is_err() {
            kept.put_back(&self.unified);
            self.legacy.iter().zip(&kept_legacy).for_each(|(legacy, kept)| kept.put_back(&legacy.group));
            let made = self.legacy.split_off(before);
            // One that processes were moved into stays.
            self.legacy.extend(made.into_iter().filter(|legacy| legacy.parent.remove_empty(&self.name).is_err()));
        }
        changed
    }

    /// Sets limits in the groups that it has.
    fn change(&self, controllers: &[String], resources: &Resources) -> Result<(), LaunchError> {
        limit::set_unified(&self.unified, controllers, resources)?;
        self.legacy.iter().try_for_each(|legacy| limit::set_legacy(&[], &legacy.group, &legacy.controllers, resources))
    }

    /// Moves all its processes into a group of version 1. Children of those that have been moved are born there.
    fn gather(&self, legacy: &Legacy) -> Result<(), LaunchError> {
        let mut moved = BTreeSet::new();
        loop {
            let outside: Vec<i32> = self.processes()?.into_iter().filter(|pid| !moved.contains(pid)).collect();
            if outside.is_empty() {
                return Ok(());
            }
            for pid in outside {
                match legacy.group.write("cgroup.procs", &pid.to_string()) {
                    // It has ended meanwhile.
                    Ok(()) | Err(Errno(libc::ESRCH)) => _ = moved.insert(pid),
                    Err(error) => {
                        let step = format!("move process {pid} into the control group of {}", legacy.controllers.join(","));
                        return Err(LaunchError::step(step, error));
                    }
                }
            }
        }
    }

    fn filter_devices(&mut self, above: &str, rules: &[device::Rule]) -> Result<(), LaunchError> {
        let Err(error) = device_filter::attach(&self.unified, rules) else { return Ok(()) };
        let Some(found) = self.hierarchies.legacy("devices").cloned() else {
            return Err(LaunchError::step("attach the device filter (eBPF) to the control group", error));
        };
        let parent = open_legacy(&found)?.make(above)?;
        let group = parent.make_fresh(&self.name)?;
        device_filter::write_legacy(&group, rules)?;
        self.legacy.push(Legacy { controllers: found.controllers, parent, group });
        Ok(())
    }

    /// The one that exists already, of a container that runs.
    pub fn open(spec: &CgroupSpec) -> Result<Self, LaunchError> {
        let failed = |error: Errno| LaunchError::step(format!("open the control group {}", spec.path), error);
        let hierarchies = Hierarchies::find()?;
        let (above, name) = split(spec)?;
        let parent = Group::root(hierarchies.open_unified()?, "").open(above).map_err(failed)?;
        let unified = parent.open(name).map_err(failed)?;
        let mut legacy = Vec::new();
        for found in hierarchies.all_legacy() {
            let opened = open_legacy(found)?.open(above).and_then(|parent| parent.open(name).map(|group| (parent, group)));
            if let Ok((parent, group)) = opened {
                legacy.push(Legacy { controllers: found.controllers.clone(), parent, group });
            }
        }
        Ok(Self { name: name.to_owned(), parent, unified, legacy, hierarchies })
    }

    /// The folder in the unified hierarchy of the group at `path`, for whoever may have to end it without us.
    pub(super) fn unified_path(path: &str) -> Option<PathBuf> {
        Hierarchies::find().ok()?.unified().map(|root| root.join(path))
    }

    /// The hierarchies of this machine.
    pub(super) const fn hierarchies(&self) -> &Hierarchies {
        &self.hierarchies
    }

    /// Joins the groups of version 1. The process that calls was born in the group of version 2.
    pub(super) fn join_limited(&self) -> Result<(), LaunchError> {
        for legacy in &self.legacy {
            // 0 is the writer itself.
            legacy
                .group
                .write("cgroup.procs", "0")
                .map_err(|error| LaunchError::step(format!("join the control group of {}", legacy.controllers.join(",")), error))?;
        }
        Ok(())
    }

    /// Its `cgroup.events`, for `poll` with `POLLPRI`: readable in that sense when the last process left, or when it froze.
    pub fn events(&self) -> Result<OwnedFd, LaunchError> {
        self.unified.file("cgroup.events", OFlags::RDONLY).map_err(|error| LaunchError::step("open cgroup.events", error))
    }

    /// Ends every process in it, at once.
    pub fn kill(&self) -> Result<(), LaunchError> {
        match self.unified.write("cgroup.kill", "1") {
            // It was removed since it was opened: its processes had all ended.
            Ok(()) | Err(Errno(libc::ENOENT | libc::ENODEV)) => Ok(()),
            Err(error) => Err(LaunchError::step("end the processes of the control group", error)),
        }
    }

    /// Freezes every process in it, or lets them go on; returns when that is so.
    pub fn freeze(&self, frozen: bool) -> Result<(), LaunchError> {
        match self.settle(frozen) {
            // It was removed since it was opened: nothing in it has to go on.
            Err(Errno(libc::ENOENT | libc::ENODEV)) if !frozen => Ok(()),
            done => {
                done.map_err(|error| LaunchError::step(if frozen { "freeze the control group" } else { "thaw the control group" }, error))
            }
        }
    }

    fn settle(&self, frozen: bool) -> Result<(), Errno> {
        let events = self.unified.file("cgroup.events", OFlags::RDONLY)?;
        self.unified.write("cgroup.freeze", if frozen { "1" } else { "0" })?;
        let is_so = |word: &str, expected: bool| self.unified.number("cgroup.events", word) == Some(u64::from(expected));
        // A group that is empty by now never freezes, and one that is gone says nothing.
        while is_so("frozen", !frozen) && is_so("populated", true) {
            let mut waited = [PollFd::new(&events, PollFlags::PRI)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut waited, None))?;
        }
        Ok(())
    }

    /// How many of its processes the kernel killed because its memory was used up.
    pub fn memory_kills(&self) -> u64 {
        let legacy = self.legacy.iter().find(|legacy| legacy.controllers.iter().any(|controller| controller == "memory"));
        let found = match legacy {
            Some(legacy) => legacy.group.number("memory.oom_control", "oom_kill"),
            None => self.unified.number("memory.events", "oom_kill"),
        };
        found.unwrap_or(0)
    }

    /// The processes in it, in the pid namespace of the caller.
    pub fn processes(&self) -> Result<Vec<i32>, LaunchError> {
        fn collect(group: &Group, processes: &mut Vec<i32>) -> Result<(), Errno> {
            // A group with threads of processes of a group above has no list of its own.
            match group.read("cgroup.procs") {
                Err(Errno(libc::EOPNOTSUPP)) => {}
                text => processes.extend(text?.lines().filter_map(|line| line.parse::<i32>().ok())),
            }
            for below in group.groups()? {
                // It may go away meanwhile.
                if let Ok(below) = group.open(&below) {
                    collect(&below, processes)?;
                }
            }
            Ok(())
        }
        let mut processes = Vec::new();
        collect(&self.unified, &mut processes).map_err(|error| LaunchError::step("list the processes of the control group", error))?;
        Ok(processes)
    }

    /// Removes it, with whatever groups the container made below it. It must hold no process.
    pub fn remove(&self) -> Result<(), LaunchError> {
        let parents = self.legacy.iter().map(|legacy| &legacy.parent).chain([&self.parent]);
        let mut result = Ok(());
        for parent in parents {
            match parent.remove(&self.name) {
                Ok(()) | Err(Errno(libc::ENOENT)) => {}
                // The others are tried all the same.
                Err(error) => result = Err(LaunchError::step(format!("remove the control group {}", self.name), error)),
            }
        }
        result
    }

    /// Removes the group of a root itself, in every hierarchy where nothing is below it.
    pub(super) fn remove_above(root: &str) {
        let Ok(hierarchies) = Hierarchies::find() else { return };
        let unified = hierarchies.open_unified().ok();
        let legacy = hierarchies.all_legacy().iter().filter_map(|hierarchy| open_legacy(hierarchy).ok());
        for group in unified.map(|folder| Group::root(folder, "")).into_iter().chain(legacy) {
            // Where it is not, or is in use, it stays as it is.
            let _ = group.remove_empty(root);
        }
    }

    /// Removes the groups of this root (`gantry-TAG`) whose containers `alive` does not know, ending what still runs in them. A group
    /// whose processes take their time is left to the next sweep.
    pub fn sweep(root: &str, alive: &dyn Fn(&str) -> bool) {
        let Ok(hierarchies) = Hierarchies::find() else { return };
        let unified = hierarchies.open_unified().map(|folder| Group::root(folder, "")).ok();
        let legacy = hierarchies.all_legacy().iter().filter_map(|hierarchy| open_legacy(hierarchy).ok());
        for parent in unified.into_iter().chain(legacy).filter_map(|group| group.open(root).ok()) {
            for name in parent.groups().unwrap_or_default().iter().filter(|name| !alive(name)) {
                if let Ok(group) = parent.open(name)
                    && group.has("cgroup.kill")
                {
                    let _ = group.write("cgroup.kill", "1");
                    wait_empty(&group);
                }
                let _ = parent.remove(name);
            }
        }
    }
}

impl AsFd for Leaf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.unified.as_fd()
    }
}

/// Killed processes leave as soon as they are scheduled; one that the kernel holds back is not waited for longer than a second.
fn wait_empty(group: &Group) {
    let Ok(events) = group.file("cgroup.events", OFlags::RDONLY) else { return };
    let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
    while group.number("cgroup.events", "populated") == Some(1) {
        match rustix::event::poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&second)) {
            Ok(0) => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn open_legacy(hierarchy: &Hierarchy) -> Result<Group, LaunchError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(&hierarchy.path, flags, Mode::empty())
        .map_err(|error| LaunchError::step(format!("open {}", hierarchy.path.display()), error))?;
    Ok(Group::root(folder, &hierarchy.controllers.join(",")))
}

fn split(spec: &CgroupSpec) -> Result<(&str, &str), LaunchError> {
    let wrong = || LaunchError::Invalid(format!("`{}` is not the path of a container's control group", spec.path));
    let (above, name) = spec.path.split_once('/').ok_or_else(wrong)?;
    if above.is_empty() || name.is_empty() || name.contains('/') || name.starts_with('.') { Err(wrong()) } else { Ok((above, name)) }
}
