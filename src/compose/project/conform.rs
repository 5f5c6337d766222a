//! A document against the tables of [`schema`]: what does not fit is reported, what has a short form gets its long one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::fix::Fix;
use crate::compose::project::node::{Entry, Map, MergeTag, Node, Value};
use crate::compose::project::path::{Base, absolute};
use crate::compose::project::schema::{self, Attribute, Class, Form, Shape, Unique};
use crate::compose::project::short;
use crate::compose::project::suggest;
use crate::resource::name::is_name_byte;

/// Where in a document a value is: `services.web.ports[0]`.
#[derive(Clone, Copy)]
pub(super) struct Trail<'a> {
    parent: Option<&'a Self>,
    key: &'a str,
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parent {
            Some(parent) if !parent.is_root() && self.key.starts_with('[') => write!(formatter, "{parent}{}", self.key),
            Some(parent) if !parent.is_root() => write!(formatter, "{parent}.{}", self.key),
            _ => formatter.write_str(self.key),
        }
    }
}

impl<'a> Trail<'a> {
    const fn root() -> Self {
        Self { parent: None, key: "" }
    }

    pub(super) const fn then(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), key }
    }

    const fn is_root(&self) -> bool {
        self.parent.is_none() && self.key.is_empty()
    }
}

/// Checks a document, and brings it into its long form. `ports` is how many more its ranges may stand for; nothing once they were too many.
pub(crate) fn conform(document: &mut Node, base: Base<'_>, ports: &mut Option<usize>, problems: &mut Vec<Diagnostic>) {
    let mut walk = Walk { base, below_inert: false, ports, problems };
    walk.object(document, schema::FILE, &Trail::root());
}

/// Reports what is nothing and must not be, and what is not there and must be, once all files are merged.
pub(crate) fn refuse_incomplete(document: &Node, problems: &mut Vec<Diagnostic>) {
    let base = Base { folder: Path::new("/"), home: None, shown_from: Some(Path::new("/")), keep_templates: true };
    let mut walk = Walk { base, below_inert: false, ports: &mut None, problems };
    walk.complete(document, &Shape::Object(schema::FILE), &Trail::root());
}

pub(super) struct Walk<'a> {
    pub(super) base: Base<'a>,
    /// It is below an attribute without effect.
    below_inert: bool,
    pub(super) ports: &'a mut Option<usize>,
    problems: &'a mut Vec<Diagnostic>,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut Node, shape: &Shape, trail: &Trail<'_>) {
        // What is nothing may stand on top of something: that is judged when all files are merged.
        if node.tag == Some(MergeTag::Reset) || (node.is_null() && !matches!(shape, Shape::Map(_))) {
            return;
        }
        match shape {
            // What stands for anything cannot be read as a number.
            _ if self.is_template(node) && !is_textual(shape) => {}
            Shape::Any => {}
            Shape::Text | Shape::Optional => self.text(node, trail),
            Shape::Word(words) => self.word(node, words, trail),
            Shape::Path => {
                self.text(node, trail);
                if let Value::Text(text) = &mut node.value
                    && !short::is_windows(text)
                    && !text.is_empty()
                {
                    *text = absolute(text, self.base);
                }
            }
            Shape::Context => {
                self.text(node, trail);
                if let Value::Text(text) = &mut node.value
                    && !short::is_remote(text)
                {
                    *text = absolute(text, self.base);
                }
            }
            Shape::Scalar => match &node.value {
                Value::Integer(_) | Value::Float(_) => node.value = Value::Text(node.as_scalar().unwrap_or_default()),
                Value::Text(_) => {}
                _ => self.wrong(node, trail, "a string or a number"),
            },
            Shape::Setting => self.setting(node, trail),
            Shape::Integer => self.integer(node, trail),
            Shape::Within(least, most) => self.within(node, *least..=*most, trail),
            Shape::Strict if matches!(node.value, Value::Integer(_)) => {}
            Shape::Strict => self.wrong(node, trail, "a whole number"),
            Shape::Number => self.number(node, trail),
            Shape::Boolean => self.boolean(node, trail),
            Shape::Switch if matches!(node.value, Value::Boolean(_)) => {}
            Shape::Switch => self.wrong(node, trail, "`true` or `false`"),
            Shape::Duration => self.duration(node, trail),
            Shape::Bytes => self.bytes(node, trail),
            Shape::Mode => self.mode(node, trail),
            // As a text, too: so it is printed.
            Shape::Swap if node.as_scalar().is_some_and(|text| text == "-1") => node.value = Value::Text("-1".to_owned()),
            Shape::Swap => self.bytes(node, trail),
            Shape::Count if node.as_text() == Some("all") => node.value = Value::Integer(-1),
            Shape::Count => self.integer(node, trail),
            Shape::Ulimit | Shape::Limit => self.ulimit(node, trail),
            Shape::Command => self.command(node, trail),
            Shape::Test => match &node.value {
                Value::Text(text) => {
                    node.value = Value::List(vec![Node::text("CMD-SHELL", node.span), Node::text(text.clone(), node.span)]);
                }
                Value::List(_) => self.items(node, &Shape::Text, trail),
                _ => self.wrong(node, trail, "a string or a list"),
            },
            Shape::Texts => {
                if let Value::Text(text) = &node.value {
                    node.value = Value::List(vec![Node::text(text.clone(), node.span)]);
                }
                self.list(node, &Shape::Text, Unique::Key, trail);
            }
            Shape::Several => self.several(node, trail),
            Shape::List(inner, unique) => self.list(node, inner, *unique, trail),
            Shape::Dictionary => self.dictionary(node, trail),
            Shape::Contexts => self.contexts(node, trail),
            Shape::Options => self.options(node, trail),
            Shape::Map(inner) => self.map(node, inner, trail),
            Shape::Object(attributes) => self.object(node, attributes, trail),
            Shape::Short(form, long) => {
                self.expand(node, *form, trail);
                self.node(node, long, trail);
            }
        }
    }

    pub(super) fn is_template(&self, node: &Node) -> bool {
        self.base.keep_templates && node.as_text().is_some_and(|text| text.contains('$'))
    }

    /// Looks for null below a node that is not null itself, and for keys that are missing.
    fn complete(&mut self, node: &Node, shape: &Shape, trail: &Trail<'_>) {
        let expected = match (shape, &node.value) {
            (Shape::Short(_, long), _) => return self.complete(node, long, trail),
            (Shape::Ulimit | Shape::Limit, Value::Map(_)) => return self.complete(node, &Shape::Object(schema::ULIMIT), trail),
            (Shape::Object(attributes), Value::Map(map)) => {
                for needed in attributes.iter().filter(|attribute| attribute.needed && !map.contains_key(attribute.name)) {
                    self.missing(node, needed, trail);
                }
                let known = map.iter().filter_map(|(key, entry)| Some((schema::find(attributes, key)?, entry)));
                for (attribute, entry) in known {
                    let before = self.problems.len();
                    self.complete(&entry.node, attribute.shape, &trail.then(attribute.name));
                    // One that is nothing itself can only go.
                    if let Some(problem) = self.problems.get_mut(before).filter(|_| entry.node.is_null()) {
                        problem.fix = Some(Fix::Remove(entry.key, entry.node.span));
                    }
                }
                return;
            }
            (Shape::Map(inner), Value::Map(map)) => {
                // A network or a volume without attributes is one with all defaults.
                let entries = map.iter().filter(|(_, entry)| matches!(trail.key, "services" | "depends_on") || !entry.node.is_null());
                return entries.for_each(|(key, entry)| self.complete(&entry.node, inner, &trail.then(key)));
            }
            (Shape::List(inner, _), Value::List(items)) => {
                let keys = (0..items.len()).map(|index| format!("[{index}]"));
                return items.iter().zip(keys).for_each(|(item, key)| self.complete(item, inner, &trail.then(&key)));
            }
            (Shape::Texts | Shape::Command | Shape::Test, Value::List(items)) => {
                let keys = (0..items.len()).map(|index| format!("[{index}]"));
                return items.iter().zip(keys).for_each(|(item, key)| self.complete(item, &Shape::Text, &trail.then(&key)));
            }
            (Shape::Any | Shape::Command | Shape::Optional, _) => return,
            _ if !node.is_null() || matches!(trail.key, "deploy" | "develop") => return,
            (Shape::Object(_) | Shape::Map(_) | Shape::Options, _) => "a mapping",
            (Shape::Dictionary | Shape::Contexts, _) => "a mapping or a list",
            (Shape::List(..) | Shape::Texts | Shape::Several, _) => "a list",
            (Shape::Boolean | Shape::Switch, _) => "`true` or `false`",
            (Shape::Integer | Shape::Within(..) | Shape::Strict | Shape::Count | Shape::Number | Shape::Ulimit | Shape::Limit, _) => {
                "a number"
            }
            _ => "a string",
        };
        self.wrong(node, trail, expected);
    }

    fn missing(&mut self, node: &Node, attribute: &Attribute, trail: &Trail<'_>) {
        let words = match attribute.shape {
            Shape::Word(words) => format!("one of {}", words.join(", ")),
            _ => attribute.about.to_owned(),
        };
        let name = attribute.name;
        let problem =
            Diagnostic::error("missing-key", format!("{trail}: `{name}` is missing")).at(node.span).hint(format!("`{name}`: {words}"));
        self.report(match attribute.shape {
            Shape::Word([first, ..]) => problem.fix(Fix::Add(node.span, format!("{name}: {first}"))),
            _ => problem,
        });
    }

    pub(super) fn wrong(&mut self, node: &Node, trail: &Trail<'_>, expected: &str) {
        let found = node.value.kind();
        let problem = Diagnostic::error("wrong-type", format!("{trail} must be {expected}, not {found}")).at(node.span);
        self.report(match &node.value {
            // What YAML 1.1 reads for `no`.
            Value::Boolean(false) if trail.key == "restart" => {
                problem.hint("write \"no\"").fix(Fix::Replace(node.span, "\"no\"".to_owned()))
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) if expected.contains("string") => {
                let written = node.as_scalar().unwrap_or_default();
                problem.hint(format!("put it in quotes: \"{written}\"")).fix(Fix::Quote(node.span))
            }
            Value::Text(text) if expected == "a list" && text.starts_with('-') => problem.hint("write a space after `-`"),
            Value::Text(text) if expected == "a list" => problem.hint(format!("write a list: `[{text}]`")).fix(Fix::Wrap(node.span)),
            Value::Map(_) if expected == "a list" => problem.hint("begin each entry with `- `"),
            Value::List(_) if expected == "a mapping" => problem.hint("write `name: value` lines, without `- ` before them"),
            Value::Null if trail.key.starts_with('[') => problem.hint("remove the entry, or give it a value"),
            Value::Null => problem.hint("remove the key, or give it a value"),
            _ if trail.key == "mem_swappiness" => problem.hint("write a number from 0 to 100"),
            _ => problem.hint(format!("write {expected} here")),
        });
    }

    pub(super) fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    pub(super) fn items(&mut self, node: &mut Node, shape: &Shape, trail: &Trail<'_>) {
        if let Value::List(items) = &mut node.value {
            for (index, item) in items.iter_mut().enumerate() {
                let key = format!("[{index}]");
                self.node(item, shape, &trail.then(&key));
            }
        }
    }

    fn list(&mut self, node: &mut Node, inner: &Shape, unique: Unique, trail: &Trail<'_>) {
        if !matches!(node.value, Value::List(_)) {
            return self.wrong(node, trail, "a list");
        }
        self.items(node, inner, trail);
        if let Value::List(items) = &mut node.value {
            deduplicate(items, unique);
        }
    }

    fn map(&mut self, node: &mut Node, inner: &Shape, trail: &Trail<'_>) {
        let Value::Map(map) = &mut node.value else {
            if !node.is_null() {
                self.wrong(node, trail, "a mapping");
            } else if trail.parent.is_some_and(Trail::is_root) {
                node.value = Value::Map(Map::new());
            }
            return;
        };
        for (key, entry) in map {
            let valid = !key.is_empty() && key.bytes().all(is_name_byte);
            let trail = trail.then(key);
            if !valid {
                let message = format!("{trail}: invalid name `{key}`: only [a-zA-Z0-9._-] are allowed");
                let letters = key.chars().map(|letter| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' });
                let near: String = letters.collect();
                let problem = Diagnostic::error("name", message).at(entry.key);
                self.problems.push(match near.is_empty() {
                    true => problem.hint("give it a name"),
                    false => problem.hint(format!("`{near}` would do")).fix(Fix::Replace(entry.key, near)),
                });
            }
            self.node(&mut entry.node, inner, &trail);
        }
    }

    pub(super) fn object(&mut self, node: &mut Node, attributes: &[Attribute], trail: &Trail<'_>) {
        let Value::Map(map) = &mut node.value else {
            if trail.is_root() {
                let message = format!("top-level object must be a mapping, not {}", node.value.kind());
                let problem = Diagnostic::error("wrong-type", message).at(node.span);
                return self.report(problem.hint("a project begins with `services:`, and below it a name for each service"));
            }
            return self.wrong(node, trail, "a mapping");
        };
        self.lift_external(map, trail);
        let is_known = |key: &String| key.starts_with("x-") || schema::find(attributes, key).is_some();
        let free: Vec<&str> = match map.keys().all(is_known) {
            true => Vec::new(),
            false => attributes.iter().map(|attribute| attribute.name).filter(|name| !map.contains_key(*name)).collect(),
        };
        map.retain(|key, entry| {
            if key.starts_with("x-") {
                return true;
            }
            let Some(attribute) = schema::find(attributes, key) else {
                self.unknown(key, entry, &free, trail);
                return false;
            };
            let trail = trail.then(attribute.name);
            match attribute.class {
                Class::Implemented | Class::NotYet => self.node(&mut entry.node, attribute.shape, &trail),
                Class::Inert => {
                    // What is below it has no effect either, which is told once.
                    let outer = std::mem::replace(&mut self.below_inert, true);
                    self.node(&mut entry.node, attribute.shape, &trail);
                    self.below_inert = outer;
                    // An empty collection asks for nothing, and `config --format json` prints some.
                    if !outer && !entry.node.is_empty() {
                        let message = format!("{trail} has no effect");
                        self.problems.push(Diagnostic::warning("inert", message).at(entry.key));
                    }
                }
            }
            true
        });
    }

    /// `external: {name: …}`, the old spelling of `external: true` with a `name` beside it.
    fn lift_external(&mut self, map: &mut Map, trail: &Trail<'_>) {
        let Some(external) = map.get_mut("external").filter(|entry| entry.node.as_map().is_some()) else { return };
        let span = external.node.span;
        let old = std::mem::replace(&mut external.node.value, Value::Boolean(true));
        let message = format!("{trail}: external.name is deprecated. Please set name and external: true");
        self.problems.push(Diagnostic::warning("external", message).at(span));
        let Value::Map(mut old) = old else { return };
        let name = old.remove("name");
        for (key, entry) in &old {
            let message = format!("{trail}.external additional properties '{key}' not allowed: no such attribute");
            let problem = Diagnostic::error("unknown-key", message).at(entry.key);
            self.problems.push(problem.hint("write `external: true`, and `name` beside it").fix(Fix::Replace(span, "true".to_owned())));
        }
        let Some(name) = name else { return };
        match map.get("name") {
            Some(other) if other.node.as_text() != name.node.as_text() => {
                let message = format!("{trail}: name and external.name conflict; only use name");
                let problem = Diagnostic::error("external", message).at(name.node.span).with(other.node.span, "the other name");
                self.problems.push(problem.hint("write `external: true` here").fix(Fix::Replace(span, "true".to_owned())));
            }
            _ => drop(map.insert("name".to_owned(), name)),
        }
    }

    fn unknown(&mut self, key: &str, entry: &Entry, free: &[&str], trail: &Trail<'_>) {
        let (code, message) = if trail.is_root() {
            ("unknown-section", format!("additional properties '{key}' not allowed: no such top-level attribute"))
        } else {
            ("unknown-key", format!("{trail} additional properties '{key}' not allowed: no such attribute"))
        };
        let problem = Diagnostic::error(code, message).at(entry.key);
        let near = suggest::nearest(key, free.iter().copied());
        self.problems.push(match near {
            Some(near) => problem.hint(format!("did you mean `{near}`?")).fix(Fix::Replace(entry.key, near)),
            // A service one level too far left is the usual cause at the top.
            None if trail.is_root() && entry.node.get("image").is_some() => {
                problem.hint(format!("a service belongs under `services:`; indent `{key}` below it"))
            }
            None => problem.hint("attributes of your own begin with `x-`").fix(Fix::Replace(entry.key, format!("x-{key}"))),
        });
    }

    /// A mapping whose values become texts: Docker Compose takes no list here, nor `true`, which a driver may read in more ways than one.
    fn options(&mut self, node: &mut Node, trail: &Trail<'_>) {
        let Value::Map(map) = &mut node.value else {
            let mut problem =
                Diagnostic::error("wrong-type", format!("{trail} must be a mapping, not {}", node.value.kind())).at(node.span);
            problem.hint = matches!(node.value, Value::List(_)).then(|| "write `name: value` instead of `- name=value`".to_owned());
            return self.problems.push(problem);
        };
        let is_log = trail.key == "options" && trail.parent.is_some_and(|parent| parent.key == "logging");
        for (key, entry) in map {
            let node = &mut entry.node;
            match &node.value {
                _ if node.tag == Some(MergeTag::Reset) => {}
                Value::Text(_) | Value::Integer(_) | Value::Float(_) => node.value = Value::Text(node.as_scalar().unwrap_or_default()),
                Value::Null if is_log => node.value = Value::Text(String::new()),
                _ => self.wrong(node, &trail.then(key), "a string or a number"),
            }
        }
    }

    /// Mappings and lists of `KEY=VALUE` become mappings of texts. A bare key stays one where a variable takes its value from the project's
    /// environment; elsewhere it is the empty string, as in Docker Compose.
    pub(super) fn dictionary(&mut self, node: &mut Node, trail: &Trail<'_>) {
        let span = node.span;
        let bare = || if matches!(trail.key, "environment" | "args") { Value::Null } else { Value::Text(String::new()) };
        match &mut node.value {
            Value::Map(map) => {
                for (key, entry) in map {
                    let trail = trail.then(key);
                    match entry.node.as_scalar() {
                        Some(text) => entry.node.value = Value::Text(text),
                        None if entry.node.tag == Some(MergeTag::Reset) => {}
                        None if entry.node.is_null() => entry.node.value = bare(),
                        None => self.wrong(&entry.node, &trail, "a string, a number, a boolean or nothing"),
                    }
                }
            }
            Value::List(items) => {
                let mut map = Map::new();
                for (index, item) in std::mem::take(items).into_iter().enumerate() {
                    let key = format!("[{index}]");
                    let Some(text) = item.as_text().map(str::to_owned) else {
                        self.wrong(&item, &trail.then(&key), "a string `KEY=VALUE`");
                        continue;
                    };
                    let (name, value) = match text.split_once('=') {
                        Some((name, value)) => (name, Value::Text(value.to_owned())),
                        None => (text.as_str(), bare()),
                    };
                    if name.ends_with(char::is_whitespace) {
                        let problem =
                            Diagnostic::error("environment", format!("{trail}: variable `{name}` is declared with a trailing space"))
                                .at(item.span);
                        let fix = Fix::Word(item.span, format!("{name}="), format!("{}=", name.trim_end()));
                        self.problems.push(problem.hint("remove the space before `=`").fix(fix));
                    }
                    map.insert(name.to_owned(), Entry { key: item.span, node: Node { value, span: item.span, tag: item.tag } });
                }
                node.value = Value::Map(map);
            }
            _ => self.wrong(&Node { value: node.value.clone(), span, tag: None }, trail, "a mapping or a list"),
        }
    }
}

/// Whether a text is a value of this shape, whatever is in it.
const fn is_textual(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Short(
            Form::Mount | Form::Build | Form::Extends | Form::Include | Form::EnvFiles | Form::Paths | Form::Secret | Form::Config,
            _
        ) | Shape::Path
            | Shape::Context
            | Shape::Command
            | Shape::Test
            | Shape::Texts
    )
}

/// Keeps one item a key: the last one, at the place of the first.
pub(crate) fn deduplicate(items: &mut Vec<Node>, unique: Unique) {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let Some(key) = key_of(&item, unique) else {
            kept.push(item);
            continue;
        };
        match places.get(&key) {
            Some(&place) => kept[place] = item,
            None => {
                places.insert(key, kept.len());
                kept.push(item);
            }
        }
    }
    *items = kept;
}

/// Returns what makes an item of a list that item; none when it is broken and reported elsewhere.
pub(crate) fn key_of(item: &Node, unique: Unique) -> Option<String> {
    match unique {
        Unique::Nothing | Unique::Within(_) => None,
        Unique::Value => item.as_scalar(),
        Unique::Key => item.as_text().map(|text| text.split_once('=').map_or(text, |(key, _)| key).to_owned()),
        Unique::Field(field) => item.get(field)?.as_scalar(),
        Unique::Port => {
            let field = |name: &str| item.get(name).and_then(Node::as_scalar).unwrap_or_default();
            let target = item.get("target")?.as_scalar()?;
            let protocol = Some(field("protocol")).filter(|protocol| !protocol.is_empty()).unwrap_or_else(|| "tcp".to_owned());
            // An address of all zeros is the same as none.
            let host_ip = Some(field("host_ip")).filter(|ip| ip != "0.0.0.0").unwrap_or_default();
            Some(format!("{host_ip}:{}:{target}/{protocol}", field("published")))
        }
        // A config without a target lies in the root folder; a secret has its target by now.
        Unique::File => match item.get("target") {
            Some(target) => target.as_scalar(),
            None => Some(format!("/{}", item.get("source")?.as_scalar()?)),
        },
    }
}
