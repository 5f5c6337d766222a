//! `extends`: a service on top of another one, of its own file or of a different one.

use std::path::{Path, PathBuf};

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::fix::Fix;
use crate::compose::project::load::{Loader, Scope};
use crate::compose::project::node::{Entry, Map, MergeTag, Node};
use crate::compose::project::path::clean;
use crate::compose::project::source::Span;
use crate::compose::project::{short, suggest};

/// Services of which each extends the next: the way there recurses.
const DEPTH_LIMIT: usize = 200;

/// The services of a file as they are written; what they extend is put below each when it is asked for.
struct Services {
    /// The file.
    path: PathBuf,
    /// What its relative paths start from.
    folder: PathBuf,
    /// Those with `extends` are not finished.
    services: Map,
}

/// Whether it is there, and not taken back at once.
fn is_said(node: &&Node) -> bool {
    !node.is_null() && node.tag != Some(MergeTag::Reset)
}

/// A service that is being put together, and where that was asked for.
struct Step {
    path: PathBuf,
    service: String,
    span: Span,
}

/// The way into one `extends` after another.
struct Extender<'a, 'b, 'c> {
    loader: &'a mut Loader<'b>,
    scope: Scope<'c>,
    /// The document itself, then every file it reaches.
    files: Vec<Services>,
    steps: Vec<Step>,
}

impl Loader<'_> {
    /// Puts below each service of a document what it extends.
    pub(super) fn extend(&mut self, document: &mut Node, scope: Scope<'_>) {
        let path = self.map.get(document.span.source).path.clone();
        let Some(services) = document.get_mut("services").and_then(Node::as_map_mut) else { return };
        let open: Vec<String> =
            services.iter().filter(|(_, entry)| entry.node.get("extends").is_some()).map(|(name, _)| name.clone()).collect();
        if open.is_empty() {
            return;
        }
        let own = Services { path, folder: scope.folder.to_path_buf(), services: std::mem::take(services) };
        let mut extender = Extender { loader: self, scope, files: vec![own], steps: Vec::new() };
        for name in open {
            extender.finish(0, &name);
        }
        let own = extender.files.swap_remove(0).services;
        if let Some(services) = document.get_mut("services").and_then(Node::as_map_mut) {
            *services = own;
        }
    }
}

impl Extender<'_, '_, '_> {
    /// Finishes a service of a file; what cannot be is reported, and stays without what it extends.
    fn finish(&mut self, file: usize, name: &str) {
        let Some(entry) = self.files[file].services.get_mut(name) else { return };
        let Some(extends) = entry.node.as_map_mut().and_then(|map| map.remove("extends")) else { return };
        if extends.node.tag == Some(MergeTag::Reset) {
            return;
        }
        let (place, path) = (entry.key, self.files[file].path.clone());
        self.steps.push(Step { path, service: name.to_owned(), span: extends.node.span });
        let base = self.base(file, name, &extends);
        self.steps.pop();
        let Some(mut base) = base else { return };
        let Some(Entry { node, .. }) = self.files[file].services.remove(name) else { return };
        self.loader.put_part("services", &mut base, node);
        self.files[file].services.insert(name.to_owned(), Entry { key: place, node: base });
    }

    /// Returns a copy of what a service extends, finished.
    fn base(&mut self, file: usize, name: &str, extends: &Entry) -> Option<Node> {
        let Some(service) = extends.node.get("service").filter(is_said) else {
            let problem = Diagnostic::error("missing-key", format!("services.{name}.extends.service is required")).at(extends.node.span);
            self.loader.problems.push(problem.hint("name the service: `service: NAME`"));
            return None;
        };
        let wanted = service.as_text()?.to_owned();
        if self.steps.len() > DEPTH_LIMIT {
            let message = format!("more than {DEPTH_LIMIT} services extend one another");
            let problem = Diagnostic::error("extends", message).at(service.span);
            self.loader.problems.push(problem.hint("let some of them extend the same one"));
            return None;
        }
        let (span, named) = (service.span, extends.node.get("file").filter(is_said));
        let target = match named {
            None => file,
            Some(node) => self.open(file, node)?,
        };
        if let Some(first) = self.steps.iter().position(|step| step.path == self.files[target].path && step.service == wanted) {
            let line = |step: &Step| format!("\n  {} in {}", step.service, step.path.display());
            let round: String = self.steps[first..].iter().map(line).collect();
            let message = format!("Circular reference: services.{name}.extends leads back to {wanted}:{round}");
            let mut problem = Diagnostic::error("extends-cycle", message).at(span);
            for step in self.steps[first..].iter().filter(|step| step.span != extends.node.span) {
                problem = problem.with(step.span, "and on from here");
            }
            self.loader.problems.push(problem.hint("let one of them stand for itself"));
            return None;
        }
        if !self.files[target].services.contains_key(&wanted) {
            let path = self.files[target].path.display();
            let message = format!(
                "cannot extend service \"{name}\" in {}: service \"{wanted}\" not found in {path}",
                self.files[file].path.display()
            );
            let problem = Diagnostic::error("extends", message).at(span);
            let known = self.files[target].services.keys().map(String::as_str).filter(|other| *other != name);
            self.loader.problems.push(match suggest::nearest(&wanted, known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")).fix(Fix::Replace(span, near)),
                None if named.is_none() => problem.hint("one of another file is named together with it: `file: PATH`"),
                None => problem.hint("name a service of that file"),
            });
            return None;
        }
        self.finish(target, &wanted);
        self.files[target].services.get(&wanted).map(|entry| entry.node.clone())
    }

    /// Reads the file that is named, once, and returns its place among those that were read.
    fn open(&mut self, from: usize, node: &Node) -> Option<usize> {
        let written = node.as_text()?;
        if short::is_remote(written) {
            let message = format!("extends.file: `{written}` is no file of this machine, and files from elsewhere are not yet supported");
            self.loader.problems.push(Diagnostic::error("not-yet", message).at(node.span).hint("fetch it, and name the file"));
            return None;
        }
        let path = clean(&self.files[from].folder.join(written));
        if let Some(known) = self.files.iter().skip(1).position(|file| file.path == path) {
            return Some(known + 1);
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        let documents = self.loader.read(&path, Some((node.span, "extended from here")));
        let scope = Scope { folder: &folder, ..self.scope };
        let mut merged: Option<Node> = None;
        for mut document in documents {
            self.loader.conform(&mut document, scope);
            match &mut merged {
                Some(merged) => self.loader.put(merged, document),
                None => merged = Some(document),
            }
        }
        let services = merged.as_mut().and_then(|document| document.get_mut("services")).and_then(Node::as_map_mut).map(std::mem::take);
        if services.is_none() && !self.loader.problems.iter().any(|problem| problem.span == Some(node.span)) {
            let message = format!("{} has no services section to extend from", path.display());
            self.loader
                .problems
                .push(Diagnostic::error("extends", message).at(node.span).hint("name a file with `services:`, and names below it"));
        }
        self.files.push(Services { path, folder, services: services? });
        Some(self.files.len() - 1)
    }
}
