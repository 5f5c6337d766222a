//! What always holds for the small grammars of a Compose file, whatever the text; called by the fuzz targets under tests/fuzz alone.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::compose::project::interpolate::TemplateError::{Deep, Invalid, Large, Missing};
use crate::compose::project::interpolate::{self, ROOM, Scope, expand};
use crate::compose::project::node::Node;
use crate::compose::project::source::{SourceMap, Span};
use crate::compose::project::{dotenv, scalar, short};

/// The variables that templates and environment files find.
fn lookup(name: &str) -> Option<String> {
    match name {
        "A" => Some("a$B'\"\\\n#".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// A template whose dollars are doubled expands to itself. An error lies within the template, and whatever is looked up is among the
/// variables that are listed.
pub fn interpolation(template: &str) {
    let mut room = ROOM;
    let escaped = expand(&template.replace('$', "$$"), &mut Scope { lookup: &lookup, unset: &mut |_, _| {}, room: &mut room });
    assert_eq!(escaped.as_deref(), Ok(template));

    let asked = RefCell::new(BTreeSet::new());
    let listening = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        lookup(name)
    };
    let mut unset = |_: &str, range| assert!(template.get(range).is_some(), "a variable is outside of its template");
    match expand(template, &mut Scope { lookup: &listening, unset: &mut unset, room: &mut room }) {
        Ok(_) => {
            let source = SourceMap::default().add(PathBuf::new(), String::new(), None);
            let node = Node::text(template, Span { source, start: 0, end: 0, line: 1, column: 1 });
            let mut listed = BTreeMap::new();
            interpolate::variables(&node, &mut listed);
            assert!(asked.borrow().iter().all(|name| listed.contains_key(name)), "{asked:?} are not all in {listed:?}");
        }
        Err(Invalid(range) | Deep(range) | Large(range) | Missing(range, _, _)) => {
            assert!(template.get(range).is_some(), "an error is outside of its template");
        }
    }
}

/// What was read, written in double quotes, reads the same.
pub fn dotenv(text: &str) {
    // No quotes, no templates: nothing to write in another way.
    let mut mistakes = Vec::new();
    dotenv::parse_raw(text, &lookup, &mut mistakes);
    let variables = dotenv::parse(text, &lookup, &lookup, &mut mistakes);
    assert!(mistakes.iter().all(|mistake| text.get(mistake.range.clone()).is_some()), "a mistake is outside of its file");
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\r', "\\r");
    let written: String = variables.iter().map(|(name, value)| format!("{name}=\"{}\"\n", quoted(value))).collect();
    mistakes.clear();
    assert_eq!((dotenv::parse(&written, &|_| None, &|_| None, &mut mistakes), &mistakes), (variables, &Vec::new()), "{written}");
}

/// Each port of a range, written by itself, reads the same.
pub fn ports(text: &str) {
    let Ok(ports) = short::ports(text) else { return };
    // The first and the last: a range may have sixty thousand.
    for port in ports.first().into_iter().chain(ports.last()) {
        let ip = match port.host_ip.as_deref() {
            Some(ip) if ip.contains(':') => format!("[{ip}]:"),
            Some(ip) => format!("{ip}:"),
            None => String::new(),
        };
        let published = match &port.published {
            Some(published) => format!("{published}:"),
            None if ip.is_empty() => String::new(),
            None => ":".to_owned(),
        };
        let written = format!("{ip}{published}{}/{}", port.target, port.protocol);
        assert_eq!(short::ports(&written), Ok(vec![port.clone()]), "{written}");
    }
}

/// A mount, written with all its options, reads the same; a target that is clean is not cleaned again.
pub fn volumes(text: &str) {
    let clean = short::clean_target(text);
    assert_eq!(short::clean_target(&clean), clean);

    let Ok(mount) = short::mount(text) else { return };
    // So short a text is a target as it stands; and an expression without its end takes what follows into it.
    if text.len() <= 2 || text.contains("${") {
        return;
    }
    let Some(source) = mount.source.as_deref() else {
        assert_eq!(mount, short::ShortMount { target: text.to_owned(), ..short::ShortMount::default() });
        return;
    };
    // One letter with something behind it is a drive.
    if mount.target.len() == 1 {
        return;
    }
    let options = [if mount.read_only { "ro" } else { "rw" }]
        .into_iter()
        .chain(mount.no_copy.then_some("nocopy"))
        .chain(mount.propagation.as_deref())
        .chain(mount.selinux.as_deref())
        .chain(mount.unknown.iter().map(String::as_str));
    let written = format!("{source}:{}:{}", mount.target, options.collect::<Vec<_>>().join(","));
    assert_eq!(short::mount(&written), Ok(mount), "{written}");
}

/// A duration, written as Go writes it, reads the same.
pub fn durations(text: &str) {
    let Some(duration) = scalar::duration(text) else { return };
    let written = scalar::format_duration(duration);
    assert_eq!(scalar::duration(&written), Some(duration), "{written}");
}

/// A size, written in bytes or in whole units, reads the same.
pub fn sizes(text: &str) {
    let Some(bytes) = scalar::bytes(text) else { return };
    for (shift, unit) in [(0, ""), (0, "b"), (10, "k"), (20, "MB"), (30, "GiB"), (40, " t"), (50, "p")] {
        if bytes.is_multiple_of(1 << shift) {
            let written = format!("{}{unit}", bytes >> shift);
            assert_eq!(scalar::bytes(&written), Some(bytes), "{written}");
        }
    }
}
