//! Secrets and configs: those of the project, and what a service makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{Around, flag, text};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::fix::Fix;
use crate::compose::project::model::{Content, FileKind, FileObject, FileSource, FileWay, ServiceFile};
use crate::compose::project::node::{Entry, Node};
use crate::compose::project::short;
use crate::resource::container::{Mount, MountSource};

/// What everybody may read and nobody may write, owned by root: what Docker Compose gives to what it writes.
const MODE: u32 = 0o444;

/// The secrets and configs of a project, and what their content comes from.
#[derive(Clone, Copy)]
pub(super) struct Objects<'a> {
    pub secrets: &'a BTreeMap<String, FileObject>,
    pub configs: &'a BTreeMap<String, FileObject>,
    pub around: Around<'a>,
}

impl Objects<'_> {
    const fn of(&self, kind: FileKind) -> &BTreeMap<String, FileObject> {
        match kind {
            FileKind::Secret => self.secrets,
            FileKind::Config => self.configs,
        }
    }
}

/// Reads one of the project.
pub(super) fn object(kind: FileKind, key: &str, entry: &Entry, broken: bool, problems: &mut Vec<Diagnostic>) -> Option<FileObject> {
    let node = &entry.node;
    node.as_map()?;
    let sources: &[&str] = match kind {
        FileKind::Secret => &["file", "environment"],
        FileKind::Config => &["file", "environment", "content"],
    };
    let path = format!("{}.{key}", kind.section());
    let given: Vec<(&str, &Node)> = sources.iter().filter_map(|name| Some((*name, node.get(name)?))).collect();
    if flag(node, "external").unwrap_or_default() {
        let driver = node.get("driver").map(|driver| ("driver", driver));
        if let Some((name, extra)) = given.first().copied().or(driver) {
            let message = format!("{path}: conflicting parameters \"external\" and \"{name}\" specified");
            let problem = Diagnostic::error("external", message).at(extra.span).hint("remove one of the two");
            let entry = node.as_map().and_then(|map| map.get("external"));
            problems.push(match entry {
                Some(entry) => problem.fix(Fix::Remove(entry.key, entry.node.span)),
                None => problem,
            });
        }
        return Some(FileObject { name: text(node, "name").unwrap_or_else(|| key.to_owned()), source: FileSource::External });
    }
    let source = match given.as_slice() {
        [(name, node)] => {
            let value = node.as_text()?.to_owned();
            match *name {
                "file" => FileSource::File(PathBuf::from(value)),
                "environment" => FileSource::Environment(value),
                _ => FileSource::Content(value),
            }
        }
        [] if broken => return None,
        [] => {
            let message = format!("{path}: one of {} must be set", sources.join("|"));
            let problem = Diagnostic::error("file-source", message).at(entry.key);
            problems.push(problem.hint(format!("say where its content comes from: `file: ./{key}.txt`")));
            return None;
        }
        [_, second, ..] => {
            let extra = node.as_map().and_then(|map| map.get(second.0));
            let message = format!("{path}: {} attributes are mutually exclusive", sources.join("|"));
            let mut problem = Diagnostic::error("file-source", message).at(second.1.span).with(given[0].1.span, "the other one");
            problem.fix = extra.map(|extra| Fix::Remove(extra.key, extra.node.span));
            problems.push(problem.hint("keep one of the two"));
            return None;
        }
    };
    Some(FileObject { name: text(node, "name").unwrap_or_else(|| key.to_owned()), source })
}

/// Reads what a service has of them. What is mounted from the host is added to its mounts.
pub(super) fn files(decoder: &mut Decoder<'_>, mounts: &mut Vec<Mount>) -> Vec<ServiceFile> {
    let mut files = Vec::new();
    for kind in [FileKind::Config, FileKind::Secret] {
        for (index, item) in decoder.items(kind.section()).to_vec().iter().enumerate() {
            let Some(file) = file(decoder, kind, index, item, mounts) else { continue };
            files.push(file);
        }
    }
    let mut places: Vec<&str> = files.iter().filter(|file| file.way != FileWay::Mounted).map(|file| file.target.as_str()).collect();
    places.extend(mounts.iter().map(|mount| mount.target.as_str()));
    let twice: Vec<&ServiceFile> = files.iter().filter(|file| places.iter().filter(|place| ***place == file.target).count() > 1).collect();
    for file in twice {
        let message = format!("{}: target {} already mounted", decoder.path(file.kind.section()), file.target);
        let span = decoder.node.get(file.kind.section()).map(|node| node.span);
        decoder.refuse("mount", span, message, Some("give one of the two another `target`".to_owned()));
    }
    files
}

fn file(decoder: &mut Decoder<'_>, kind: FileKind, index: usize, item: &Node, mounts: &mut Vec<Mount>) -> Option<ServiceFile> {
    item.as_map()?;
    let path = decoder.path(&format!("{}[{index}]", kind.section()));
    let Some(source) = item.get("source").filter(|source| source.as_text().is_some_and(|text| !text.is_empty())) else {
        let hint = Some(format!("name one of the top level's `{}`", kind.section()));
        decoder.error("source", Some(item.span), format!("{path}: a {} needs a `source`", kind.word()), hint);
        return None;
    };
    let key = source.as_text()?;
    decoder.defined(kind.section(), kind.word(), key, source.span);
    let objects = decoder.objects;
    let object = objects.of(kind).get(key)?;
    let target = target(kind, key, item);
    let uid = owner(decoder, item, &path, "uid");
    let gid = owner(decoder, item, &path, "gid");
    let mode = text(item, "mode").and_then(|mode| u32::from_str_radix(&mode, 8).ok());
    let content = match &object.source {
        FileSource::External => {
            let hint = "an external one lives in a swarm, which is not here; give it a `file` or an `environment`".to_owned();
            decoder.refuse("not-yet", Some(source.span), format!("{path}: unsupported external {} {key}", kind.word()), Some(hint));
            Err(format!("{} \"{key}\" is external", kind.word()))
        }
        FileSource::File(file) if ["uid", "gid", "mode"].iter().all(|name| item.get(name).is_none()) => {
            let source = MountSource::Bind { path: file.clone(), create: false, propagation: None, recursion: Default::default() };
            mounts.push(Mount { target: target.clone(), read_only: true, source });
            return Some(ServiceFile { kind, key: key.to_owned(), target, way: FileWay::Mounted });
        }
        FileSource::File(file) => read(objects.around, file),
        FileSource::Environment(name) => match objects.around.environment.get(name) {
            Some(value) => Ok(Content(value.clone().into_bytes())),
            None => Err(format!("environment variable \"{name}\" required by {} \"{key}\" is not set", kind.word())),
        },
        FileSource::Content(text) => Ok(Content(text.clone().into_bytes())),
    };
    let way = FileWay::Written { uid: uid.unwrap_or(0), gid: gid.unwrap_or(0), mode: mode.unwrap_or(MODE), content };
    Some(ServiceFile { kind, key: key.to_owned(), target, way })
}

fn read(around: Around<'_>, file: &Path) -> Result<Content, String> {
    around.reader.read(file).map(Content).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// Where it lies in the container: a relative target is below `/run/secrets`, that of a config below `/`.
fn target(kind: FileKind, key: &str, item: &Node) -> String {
    let target = text(item, "target").filter(|target| !target.is_empty()).unwrap_or_else(|| key.to_owned());
    let folder = match kind {
        FileKind::Secret => "/run/secrets/",
        FileKind::Config => "/",
    };
    short::clean_target(&if target.starts_with('/') { target } else { format!("{folder}{target}") })
}

fn owner(decoder: &mut Decoder<'_>, item: &Node, path: &str, attribute: &str) -> Option<u32> {
    let node = item.get(attribute)?;
    let written = node.as_text()?;
    let number = written.parse().ok();
    if number.is_none() {
        let what = if attribute == "uid" { "user" } else { "group" };
        let hint = format!("write the {what}'s number; the names in the image are not known before the container is made");
        decoder.refuse("owner", Some(node.span), format!("{path}.{attribute}: `{written}` is no {what} id"), Some(hint));
    }
    number
}
