//! Users and groups, by the container's own files and nobody else's.

use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::engine::runtime::beneath;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::launch::ProcessSpec;

/// Who a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// User.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
    /// Every group, the one above included: without it, a program that leaves that group would keep more rights than the user has
    /// (CVE-2022-36109).
    pub(super) groups: Vec<u32>,
    /// The home directory.
    pub(super) home: String,
}

/// Larger files than any image has are no user databases.
const LARGEST: u64 = 4 << 20;

/// Looks up the user in the root this process has by now.
pub(super) fn lookup(process: &ProcessSpec) -> Result<User, LaunchError> {
    find(&process.user, &process.groups, &read("/etc/passwd"), &read("/etc/group"))
}

/// Looks up a user in a root that is somebody else's; returns the user's number and the group's.
pub(super) fn lookup_beneath(root: BorrowedFd<'_>, user: &str) -> Result<(u32, u32), LaunchError> {
    let read = |path: &str| text_of(|flags| beneath::open(root, path, flags));
    find(user, &[], &read("/etc/passwd"), &read("/etc/group")).map(|found| (found.uid, found.gid))
}

fn read(path: &str) -> String {
    text_of(|flags| Ok(rustix::fs::open(Path::new(path), flags, Mode::empty())?))
}

/// A missing file is an empty one: an image need not have any.
fn text_of(open: impl FnOnce(OFlags) -> Result<OwnedFd, Errno>) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        // A pipe in its place must not block.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = std::fs::File::from(open(flags).map_err(|error| std::io::Error::from_raw_os_error(error.0))?);
        let mut bytes = Vec::new();
        if file.metadata()?.is_file() {
            file.take(LARGEST).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// One line of `/etc/group`.
#[derive(Clone, Copy)]
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn groups(file: &str) -> impl Iterator<Item = Group<'_>> {
    file.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, _, gid, members) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?, fields.next().unwrap_or(""));
        Some(Group { name, gid, members })
    })
}

/// Docker's rules (moby/sys/user, GetExecUser): a name is looked for first, even if it is all digits; a number needs no entry; the
/// groups of `/etc/group` count only when the user names no group.
fn find(wanted: &str, additional: &[String], passwd: &str, group: &str) -> Result<User, LaunchError> {
    let (user, primary) = wanted.split_once(':').unwrap_or((wanted, ""));
    let entry = passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.trim().split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
        let matches = if user.is_empty() { uid == "0" } else { name == user || uid == user };
        Some((name, uid.parse::<u32>().ok()?, gid.parse::<u32>().ok()?, home)).filter(|_| matches)
    });
    let mut found = match entry {
        Some((_, uid, gid, home)) => User { uid, gid, groups: Vec::new(), home: home.to_owned() },
        None if user.is_empty() => User { uid: 0, gid: 0, groups: Vec::new(), home: String::new() },
        None => {
            let uid = number(user).ok_or_else(|| missing("user", user, "passwd"))?;
            User { uid, gid: 0, groups: Vec::new(), home: String::new() }
        }
    };
    if found.home.is_empty() {
        "/".clone_into(&mut found.home);
    }
    let mut others = Vec::new();
    if !primary.is_empty() {
        found.gid = group_of(primary, group)?;
    } else if let Some((name, ..)) = entry {
        others.extend(groups(group).filter(|entry| entry.members.split(',').any(|member| member.trim() == name)).map(|entry| entry.gid));
    }
    for name in additional {
        others.push(group_of(name, group)?);
    }
    for gid in std::iter::once(found.gid).chain(others) {
        if !found.groups.contains(&gid) {
            found.groups.push(gid);
        }
    }
    Ok(found)
}

fn group_of(name: &str, file: &str) -> Result<u32, LaunchError> {
    let named = groups(file).find(|entry| entry.name == name).map(|entry| entry.gid);
    named.or_else(|| number(name)).ok_or_else(|| missing("group", name, "group"))
}

/// The greatest id Docker takes is that of a signed number.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number <= i32::MAX.cast_unsigned())
}

fn missing(kind: &str, name: &str, file: &str) -> LaunchError {
    LaunchError::Invalid(format!("unable to find {kind} {name}: no matching entries in {file} file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/false\nbroken\n1000:x:7:8::/seven:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,web\nweb:x:34:\naudio:x:29:web\nbroken:x\n";

    #[test]
    fn users_are_found_as_docker_finds_them() {
        let check = |user: &str, additional: &[&str], expect: Result<(u32, u32, &[u32], &str), &str>| {
            let additional: Vec<_> = additional.iter().map(|group| (*group).to_owned()).collect();
            let found = find(user, &additional, PASSWD, GROUP).map_err(|error| error.to_string());
            let expect = expect
                .map(|(uid, gid, groups, home)| User { uid, gid, groups: groups.to_vec(), home: home.to_owned() })
                .map_err(str::to_owned);
            assert_eq!(found, expect, "{user} {additional:?}");
        };
        check("", &[], Ok((0, 0, &[0, 10], "/root")));
        check("web", &[], Ok((33, 34, &[34, 10, 29], "/var/www")));
        check("33", &[], Ok((33, 34, &[34, 10, 29], "/var/www")));
        check("web:audio", &[], Ok((33, 29, &[29], "/var/www")));
        check("web:5", &["wheel", "77"], Ok((33, 5, &[5, 10, 77], "/var/www")));
        check("4000", &[], Ok((4000, 0, &[0], "/")));
        check("4000:4000", &[], Ok((4000, 4000, &[4000], "/")));
        check("1000", &[], Ok((7, 8, &[8], "/seven")));
        check("nobody", &[], Err("unable to find user nobody: no matching entries in passwd file"));
        check("web:none", &[], Err("unable to find group none: no matching entries in group file"));
        check("4294967295", &[], Err("unable to find user 4294967295: no matching entries in passwd file"));
        check(":web", &[], Ok((0, 34, &[34], "/root")));
    }

    #[test]
    fn an_image_needs_no_user_database() {
        assert_eq!(find("", &[], "", ""), Ok(User { uid: 0, gid: 0, groups: vec![0], home: "/".to_owned() }));
    }
}
