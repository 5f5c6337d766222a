//! The project's name: `-p`, `COMPOSE_PROJECT_NAME`, `name:` of the last file that has one, the folder's name.

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::discover::Found;
use crate::compose::project::interpolate::{ROOM, Scope, expand};
use crate::compose::project::load::Sources;
use crate::compose::project::node::Node;
use crate::compose::project::source::SourceMap;
use crate::resource::name::ProjectName;

/// Returns the project's name; only what a program or a person gave by hand is refused when it is not normal, the rest is made normal.
pub(crate) fn project_name(
    sources: &Sources,
    found: &Found,
    documents: &[Node],
    map: &SourceMap,
    problems: &mut Vec<Diagnostic>,
) -> Option<ProjectName> {
    let from_environment = || found.environment.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty());
    if let Some(name) = sources.project_name.as_ref().filter(|name| !name.is_empty()).or_else(from_environment) {
        let parsed = name.parse();
        if parsed.is_err() {
            let message = format!(
                "invalid project name \"{name}\": must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number"
            );
            let normal = normalize(name);
            let mut problem = Diagnostic::error("project-name", message);
            problem.hint = (!normal.is_empty()).then(|| format!("`{normal}` would do"));
            problems.push(problem);
        }
        return parsed.ok();
    }
    let named = documents
        .iter()
        .rev()
        .find_map(|document| document.get("name")?.as_text().filter(|name| !name.is_empty()).map(|name| (name, document)));
    if let Some((name, document)) = named {
        let lookup = |variable: &str| found.environment.get(variable).cloned();
        // A template that cannot be expanded is reported when the whole document is.
        let mut room = ROOM;
        let written = expand(name, &mut Scope { lookup: &lookup, unset: &mut |_, _| {}, room: &mut room }).unwrap_or_default();
        if let Ok(name) = normalize(&written).parse() {
            return Some(name);
        }
        let at = document.get("name").map_or(document.span, |name| name.span);
        let (message, hint) = match written.is_empty() {
            true => ("project name must not be empty: its variables have no value".to_owned(), "give it a value with `${NAME:-default}`"),
            false => (
                format!("project name must not be empty: nothing of `{written}` can be one"),
                "use lowercase letters, digits, `-` and `_`, and begin with a letter or digit",
            ),
        };
        problems.push(Diagnostic::error("project-name", message).at(at).hint(hint));
        return None;
    }
    let folder = found.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = normalize(&folder).parse().ok();
    // Where nothing could be read, that is what is wrong.
    if name.is_none() && !documents.is_empty() {
        let first = documents.first().map(|document| map.get(document.span.source).path.display().to_string()).unwrap_or_default();
        let problem = Diagnostic::error("project-name", "project name must not be empty");
        problems.push(problem.hint(format!("write `name: …` in {first}, or pass `--project-name`")));
    }
    name
}

/// Lower case, nothing but `[a-z0-9_-]`, and no `_` or `-` in front.
fn normalize(name: &str) -> String {
    let kept = |character: &char| character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '_' | '-');
    name.to_lowercase().chars().filter(kept).collect::<String>().trim_start_matches(['_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_normal() {
        for (name, expect) in [("My Shop", "myshop"), ("_x", "x"), ("a.b", "ab"), ("--", ""), ("Ünder_1", "nder_1")] {
            assert_eq!(normalize(name), expect, "{name}");
        }
    }
}
