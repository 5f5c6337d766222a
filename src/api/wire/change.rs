//! What became of a container's root, as the answer to `GET /containers/{id}/changes`.

use serde_json::{Value, json};

use crate::resource::path::{PathChange, PathChangeKind};

/// Writes the paths that are not their image's; none is `null`.
pub fn to_json(changes: &[PathChange]) -> Value {
    let one = |change: &PathChange| {
        let kind = match change.kind {
            PathChangeKind::Modified => 0,
            PathChangeKind::Added => 1,
            PathChangeKind::Deleted => 2,
        };
        json!({ "Path": change.path, "Kind": kind })
    };
    if changes.is_empty() { Value::Null } else { changes.iter().map(one).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbers_and_nothing_is_null() {
        let change = |path: &str, kind| PathChange { path: path.to_owned(), kind };
        let changes =
            [change("/etc", PathChangeKind::Modified), change("/etc/a", PathChangeKind::Added), change("/b", PathChangeKind::Deleted)];
        let expect = json!([{"Path": "/etc", "Kind": 0}, {"Path": "/etc/a", "Kind": 1}, {"Path": "/b", "Kind": 2}]);
        assert_eq!(to_json(&changes), expect);
        assert_eq!(to_json(&[]), Value::Null);
    }
}
