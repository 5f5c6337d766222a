//! `include`: other files as a part of the project, each with its own folder and variables.

use std::collections::{BTreeMap, btree_map};
use std::path::{Path, PathBuf};

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::load::{Loader, Scope};
use crate::compose::project::node::{Node, Value};
use crate::compose::project::path::{Base, clean};
use crate::compose::project::source::Span;
use crate::compose::project::variable_file::CODE;
use crate::compose::project::{merge, normalize, short};

/// Files of which each includes the next: the way there recurses.
const DEPTH_LIMIT: usize = 100;

/// The sections of a file that its includer gets.
const SECTIONS: [&str; 6] = ["services", "networks", "volumes", "secrets", "configs", "models"];

/// Files that are included: from the second time on what came of them is kept, so that files which include one another in all ways are not
/// read in all ways.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    once: bool,
    known: Vec<(PathBuf, BTreeMap<String, String>, Node)>,
}

impl Repeated {
    /// What came of them in that folder, with these variables.
    fn find(&self, folder: &Path, environment: &BTreeMap<String, String>) -> Option<&Node> {
        self.known.iter().find(|known| known.0 == folder && known.1 == *environment).map(|known| &known.2)
    }

    fn note(&mut self, folder: PathBuf, environment: BTreeMap<String, String>, included: &Node) {
        if std::mem::replace(&mut self.once, true) {
            self.known.push((folder, environment, included.clone()));
        }
    }
}

impl Loader<'_> {
    /// Puts what a document includes below it: what it says itself counts, then what was included first.
    pub(super) fn include(&mut self, document: &mut Node, scope: Scope<'_>) {
        let Some(entry) = document.as_map_mut().and_then(|map| map.remove("include")) else { return };
        for item in entry.node.as_list().unwrap_or_default() {
            let Some(included) = self.included(item, scope) else { continue };
            self.put_below(document, included);
        }
    }

    /// Puts a document below another: no more is done than it has entries, however large the other has become.
    fn put_below(&mut self, document: &mut Node, included: Node) {
        let (Value::Map(sections), Value::Map(included)) = (&mut document.value, included.value) else { return };
        for (section, entry) in included {
            let present = match sections.entry(section.clone()) {
                btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(entry);
                    continue;
                }
                btree_map::Entry::Occupied(present) => present.into_mut(),
            };
            let (Value::Map(present), Value::Map(below)) = (&mut present.node.value, entry.node.value) else { continue };
            for (key, lower) in below {
                match present.entry(key) {
                    btree_map::Entry::Vacant(vacant) => drop(vacant.insert(lower)),
                    btree_map::Entry::Occupied(mut upper) => {
                        let upper = &mut upper.get_mut().node;
                        let over = std::mem::replace(upper, lower.node);
                        self.put_part(&section, upper, over);
                    }
                }
            }
        }
    }

    /// Loads the files of one entry.
    fn included(&mut self, item: &Node, scope: Scope<'_>) -> Option<Node> {
        let Some(paths) = item.get("path").filter(|paths| !paths.is_empty()) else {
            if item.as_map().is_some() {
                let problem = Diagnostic::error("missing-key", "include: `path` is missing").at(item.span);
                self.problems.push(problem.hint("name the file: `path: ./other.yaml`"));
            }
            return None;
        };
        let paths = paths.as_list()?;
        if scope.chain.len() > DEPTH_LIMIT {
            let problem = Diagnostic::error("include", format!("more than {DEPTH_LIMIT} files include one another")).at(item.span);
            self.problems.push(problem.hint("name the files in one `include`"));
            return None;
        }
        let mut documents = Vec::new();
        let mut chain = scope.chain.to_vec();
        for node in paths {
            let path = self.local(node, scope)?;
            if chain.contains(&path) {
                let round: Vec<String> = scope.chain.iter().map(|file| format!("\n  {}", file.display())).collect();
                let message = format!("include cycle detected:{}\n  include {}", round.join("\n  include"), path.display());
                self.problems.push(Diagnostic::error("include-cycle", message).at(node.span).hint("remove this entry"));
                return None;
            }
            documents.extend(self.read(&path, Some((node.span, "included from here"))));
            chain.push(path);
        }
        let first = chain.get(scope.chain.len())?;
        let folder = match item.get("project_directory").and_then(Node::as_text).filter(|folder| !folder.is_empty()) {
            Some(folder) => clean(&scope.folder.join(folder)),
            None => first.parent().unwrap_or(Path::new("/")).to_path_buf(),
        };
        let environment = self.environment(item, &folder, scope)?;
        let paths = chain[scope.chain.len()..].to_vec();
        let repeated = self.included.get(&paths).and_then(|repeated| repeated.find(&folder, &environment));
        if let Some(known) = repeated {
            return Some(known.clone());
        }
        let inner = Scope { folder: &folder, environment: &environment, chain: &chain, ..scope };
        let mut included = self.merge(documents, inner)?;
        merge::settle(&mut included);
        normalize::devices(&mut included, Base::new(self.sources, scope.project, &folder));
        included.as_map_mut()?.retain(|key, _| SECTIONS.contains(&key.as_str()));
        self.included.entry(paths).or_default().note(folder, environment, &included);
        Some(included)
    }

    /// The file of this machine that a path names.
    fn local(&mut self, node: &Node, scope: Scope<'_>) -> Option<PathBuf> {
        let written = node.as_text()?;
        if short::is_remote(written) {
            let message = format!("include: `{written}` is no file of this machine, and files from elsewhere are not yet supported");
            self.problems.push(Diagnostic::error("not-yet", message).at(node.span).hint("fetch it, and name the file"));
            return None;
        }
        Some(clean(&scope.folder.join(written)))
    }

    /// What the included files see: the variables of those who include them, above those of its own files.
    fn environment(&mut self, item: &Node, folder: &Path, scope: Scope<'_>) -> Option<BTreeMap<String, String>> {
        let mut own = BTreeMap::new();
        match item.get("env_file").and_then(Node::as_list) {
            None => {
                let default = folder.join(".env");
                if self.reader.exists(&default) && !self.reader.is_dir(&default) {
                    self.variables(&default, None, scope, &mut own)?;
                }
            }
            Some(files) => {
                for node in files {
                    let path = clean(&scope.folder.join(node.as_text()?));
                    self.variables(&path, Some(node.span), scope, &mut own)?;
                }
            }
        }
        let mut environment = scope.environment.clone();
        for (name, value) in own {
            environment.entry(name).or_insert(value);
        }
        Some(environment)
    }

    fn variables(&mut self, path: &Path, span: Option<Span>, scope: Scope<'_>, own: &mut BTreeMap<String, String>) -> Option<()> {
        let failed = if !self.reader.exists(path) {
            format!("couldn't find env file: {}", path.display())
        } else if self.reader.is_dir(path) {
            format!("{} is not a file", path.display())
        } else {
            let named = span.map(|span| (span, "read from here"));
            let outer = |name: &str| scope.environment.get(name).cloned();
            let read = self.variable_files(self.reader).read(path, named, &outer, &|name| own.get(name).cloned());
            own.extend(read);
            return Some(());
        };
        let mut problem = Diagnostic::error(CODE, failed);
        problem.span = span;
        self.problems.push(problem.hint("make the file, or name another; `/dev/null` is none"));
        None
    }
}
