//! Which mounts a container has: those of its spec, and a volume for each path that its image wants one at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::resource::container::{Mount, MountSource};
use crate::resource::failure::Failure;

/// The mounts, with clean targets; no two at one place.
pub(super) fn plan(wanted: &[Mount], image: &BTreeSet<String>) -> Result<Vec<Mount>, Failure> {
    let mut mounts = Vec::with_capacity(wanted.len() + image.len());
    let mut targets = BTreeSet::new();
    for mount in wanted {
        let target = clean(&mount.target, kind(mount))?;
        if !targets.insert(target.clone()) {
            return Err(Failure::invalid(format!("Duplicate mount point: {target}")));
        }
        mounts.push(Mount { target, ..mount.clone() });
    }
    for path in image {
        let target = clean(path, "volume")?;
        if targets.insert(target.clone()) {
            let source = MountSource::Volume { name: None, no_copy: false, subpath: None, labels: BTreeMap::new() };
            mounts.push(Mount { target, read_only: false, source });
        }
    }
    Ok(mounts)
}

/// Refuses a bind whose source is missing and is not to be made.
pub(super) fn check_bind(path: &Path, create: bool) -> Result<(), Failure> {
    if create || path.exists() { Ok(()) } else { Err(missing(path)) }
}

/// Makes the source of a bind, where that was asked for.
pub(super) fn make_bind(path: &Path, create: bool) -> Result<(), Failure> {
    // A link to nowhere is found as the kernel finds it: not at all.
    if path.exists() {
        return Ok(());
    }
    if !create {
        return Err(missing(path));
    }
    std::fs::create_dir_all(path)
        .map_err(|error| Failure::internal(format!("error while creating mount source path '{}': {error}", path.display())))
}

fn missing(path: &Path) -> Failure {
    Failure::invalid(format!("invalid mount config for type \"bind\": bind source path does not exist: {}", path.display()))
}

const fn kind(mount: &Mount) -> &'static str {
    match mount.source {
        MountSource::Bind { .. } => "bind",
        MountSource::Volume { .. } => "volume",
        MountSource::Tmpfs { .. } => "tmpfs",
    }
}

/// An absolute path without `.`, `..`, and what doubles a slash, as Go's `path.Clean` makes it.
fn clean(target: &str, kind: &str) -> Result<String, Failure> {
    let refuse = |reason: String| Failure::invalid(format!("invalid mount config for type \"{kind}\": {reason}"));
    if !target.starts_with('/') {
        return Err(refuse(format!("invalid mount path: '{target}' mount path must be absolute")));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(refuse("invalid specification: destination can't be '/'".to_owned()));
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(target: &str) -> Mount {
        let source = MountSource::Bind { path: "/src".into(), create: false, propagation: None, recursion: Default::default() };
        Mount { target: target.to_owned(), read_only: true, source }
    }

    fn targets(wanted: &[&str], image: &[&str]) -> Result<String, String> {
        let wanted: Vec<Mount> = wanted.iter().map(|target| bind(target)).collect();
        let image = image.iter().map(|path| (*path).to_owned()).collect();
        let planned = plan(&wanted, &image).map_err(|failure| failure.message)?;
        Ok(planned.iter().map(|mount| format!("{}:{}", kind(mount), mount.target)).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn an_image_gets_its_volumes_where_nothing_else_is() {
        let check = |wanted: &[&str], image: &[&str], expected: Result<&str, &str>| {
            assert_eq!(targets(wanted, image), expected.map(str::to_owned).map_err(str::to_owned), "{wanted:?} {image:?}");
        };
        check(&[], &[], Ok(""));
        check(&["/a"], &["/a/", "/data"], Ok("bind:/a volume:/data"));
        check(&["/a/../b//c/"], &[], Ok("bind:/b/c"));
        check(&["/a", "/a/"], &[], Err("Duplicate mount point: /a"));
        check(&["/.."], &[], Err("invalid mount config for type \"bind\": invalid specification: destination can't be '/'"));
        check(&["a"], &[], Err("invalid mount config for type \"bind\": invalid mount path: 'a' mount path must be absolute"));
    }

    #[test]
    fn a_missing_source_is_named_or_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x/y");
        let expected = format!("invalid mount config for type \"bind\": bind source path does not exist: {}", path.display());
        assert_eq!(check_bind(&path, false).expect_err("missing").message, expected);
        assert_eq!(make_bind(&path, false).expect_err("missing").message, expected);
        assert!(check_bind(&path, true).is_ok());
        make_bind(&path, true).expect("made");
        assert!(path.is_dir() && check_bind(&path, false).is_ok());
    }
}
