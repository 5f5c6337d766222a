//! Paths of containers, as texts.

/// Removes `//`, `.` and `..`; the result is absolute.
pub(super) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A path seen from a folder, cleaned.
pub(super) fn join(folder: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{folder}/{path}")) }
}

/// The same where a slash at the end says that it is a folder.
pub(super) fn destination(folder: &str, path: &str) -> String {
    let joined = join(folder, path);
    let is_folder = path.is_empty() || path.ends_with('/') || path == "." || path.ends_with("/.");
    if is_folder && joined != "/" { joined + "/" } else { joined }
}

/// The last part.
pub(super) fn base(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined() {
        let check = |folder: &str, path: &str, expect: &str| assert_eq!(destination(folder, path), expect, "{folder} {path}");
        check("/a", "b", "/a/b");
        check("/a", ".", "/a/");
        check("/a", "", "/a/");
        check("/a", "../b/", "/b/");
        check("/", "./", "/");
        check("/a", "/b//c/../d", "/b/d");
        check("/a", "b/.", "/a/b/");
    }
}
