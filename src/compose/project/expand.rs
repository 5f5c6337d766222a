//! Short forms of a document become their long ones, each part at the place it was written at.

use crate::compose::project::conform::{Trail, Walk};
use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::node::{Entry, Map, MergeTag, Node, Value};
use crate::compose::project::path::absolute;
use crate::compose::project::schema::Form;
use crate::compose::project::short;
use crate::compose::project::source::Span;

/// Ports that the ranges of a project may stand for: four times what a machine has. Each takes a kilobyte, and a range has eleven letters.
pub(super) const PORTS: usize = 4 << 16;

impl Walk<'_> {
    pub(super) fn expand(&mut self, node: &mut Node, form: Form, trail: &Trail<'_>) {
        let span = node.span;
        match (form, &mut node.value) {
            (Form::Ports, Value::List(items)) => {
                let mut expanded = Vec::new();
                for item in std::mem::take(items) {
                    if item.tag == Some(MergeTag::Reset) && item.as_map().is_none() {
                        continue;
                    }
                    if self.is_template(&item) {
                        expanded.push(item);
                        continue;
                    }
                    let text = match &item.value {
                        Value::Text(text) => text.clone(),
                        Value::Integer(number) => number.to_string(),
                        Value::Float(_) => item.as_scalar().unwrap_or_default(),
                        _ => {
                            expanded.push(item);
                            continue;
                        }
                    };
                    match short::ports(&text) {
                        Ok(ports) if self.has_room(ports.len(), item.span) => {
                            expanded.extend(ports.into_iter().map(|port| port_node(port, item.span)));
                        }
                        Ok(_) => {}
                        Err(message) => {
                            let hint = "write `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, as in \"127.0.0.1:8080:80/tcp\"";
                            self.report(Diagnostic::error("port", message).at(item.span).hint(hint));
                        }
                    }
                }
                *items = expanded;
            }
            (Form::Mount, Value::Text(text)) => match short::mount(text) {
                Ok(mount) => {
                    for option in &mount.unknown {
                        let message = format!("{trail}: the option `{option}` is unknown, and left out");
                        self.report(
                            Diagnostic::warning("volume", message).at(span).hint("there are ro, rw, nocopy, z, Z, and propagations"),
                        );
                    }
                    node.value = self.mount_node(mount, span).value;
                }
                Err(message) => {
                    let hint = "write `SOURCE:TARGET`, `SOURCE:TARGET:OPTIONS`, or `TARGET` alone";
                    self.report(Diagnostic::error("volume", message).at(span).hint(hint));
                    node.tag = Some(MergeTag::Reset);
                }
            },
            (Form::Mount, Value::Map(map)) => {
                let bind = map.get("type").and_then(|entry| entry.node.as_text()) == Some("bind");
                if let Some(Value::Text(source)) = map.get_mut("source").filter(|_| bind).map(|entry| &mut entry.node.value) {
                    *source = self.bind_source(source);
                }
                if let Some(Value::Text(target)) = map.get_mut("target").map(|entry| &mut entry.node.value)
                    && !target.is_empty()
                {
                    *target = short::clean_target(target);
                }
            }
            (Form::Names | Form::Dependencies, Value::Text(_)) => {
                self.wrong(node, trail, "a list");
                node.tag = Some(MergeTag::Reset);
            }
            (Form::Names, Value::List(items)) => {
                let items = std::mem::take(items);
                node.value = self.names(items, trail, |span| Node::new(Value::Null, span));
            }
            (Form::Dependencies, Value::List(items)) => {
                let items = std::mem::take(items);
                node.value = self.names(items, trail, |span| {
                    let mut terms = Node::map(span);
                    terms.set("condition", Node::text("service_started", span));
                    terms.set("required", Node::new(Value::Boolean(true), span));
                    terms
                });
            }
            (Form::Secret | Form::Config, Value::Text(_)) => {
                let source = std::mem::replace(node, Node::map(span));
                node.tag = source.tag;
                node.set("source", Node { tag: None, ..source });
                self.expand(node, form, trail);
            }
            (Form::Secret, Value::Map(map)) => {
                if let (Some(source), None) = (map.get("source").and_then(|entry| entry.node.as_text()), map.get("target")) {
                    let target = Node::text(format!("/run/secrets/{source}"), span);
                    map.insert("target".to_owned(), Entry { key: span, node: target });
                }
            }
            (Form::Paths, Value::Text(_)) => {
                node.value = Value::List(vec![Node { value: node.value.clone(), span, tag: None }]);
            }
            (Form::Servers, Value::Text(text)) if text.is_empty() => node.value = Value::List(Vec::new()),
            (Form::Servers, Value::List(items)) => items.retain(|item| item.as_text() != Some("")),
            (Form::Build, Value::Text(_)) => wrap(node, "context"),
            (Form::Extends, Value::Text(_)) => wrap(node, "service"),
            (Form::Include, Value::Text(_)) => wrap(node, "path"),
            (Form::Devices, Value::Text(text)) if text == "all" => {
                let mut request = Node::map(span);
                request.set("count", Node::new(Value::Integer(-1), span));
                node.value = Value::List(vec![request]);
            }
            (Form::Keys, Value::Map(map)) => {
                let mut lines = Vec::new();
                for (name, entry) in std::mem::take(map) {
                    let path = entry.node.as_scalar().unwrap_or_default();
                    if path.is_empty() && !entry.node.is_null() && entry.node.as_text().is_none() {
                        self.wrong(&entry.node, &trail.then(&name), "a string");
                    }
                    lines.push(Node::text(if path.is_empty() { name } else { format!("{name}={path}") }, entry.key));
                }
                node.value = Value::List(lines);
                self.keys(node);
            }
            (Form::Keys, Value::List(_)) => self.keys(node),
            (Form::Device, Value::Text(text)) => match short::device(text) {
                Ok(device) => node.value = device_node(&device, span),
                Err(message) => {
                    let problem = Diagnostic::error("device", format!("{trail}: {message}")).at(span);
                    self.report(problem.hint("write `/dev/host:/dev/container:rwm`, or its `source`, `target` and `permissions`"));
                    node.tag = Some(MergeTag::Reset);
                }
            },
            (Form::Hosts, Value::List(_) | Value::Map(_)) => self.hosts(node, trail),
            (Form::EnvFiles, Value::Text(_)) => {
                node.value = Value::List(vec![env_file(Node { value: node.value.clone(), span, tag: None })]);
            }
            (Form::EnvFiles, Value::List(items)) => {
                for item in items.iter_mut().filter(|item| item.as_text().is_some()) {
                    *item = env_file(item.clone());
                }
            }
            _ => {}
        }
    }

    /// Whether so many ports more are still bearable; the first that are not are reported.
    fn has_room(&mut self, ports: usize, span: Span) -> bool {
        let Some(room) = *self.ports else { return false };
        *self.ports = room.checked_sub(ports);
        if self.ports.is_none() {
            let message = format!("the port ranges of this project stand for more than {PORTS} ports");
            self.report(Diagnostic::error("port", message).at(span).hint("publish those alone that are used"));
        }
        self.ports.is_some()
    }

    /// Keys of an agent lie in files.
    fn keys(&self, node: &mut Node) {
        let Value::List(items) = &mut node.value else { return };
        for item in items {
            if let Value::Text(text) = &mut item.value
                && let Some((name, path)) = text.split_once('=')
            {
                *text = format!("{name}={}", absolute(path, self.base));
            }
        }
    }

    fn names(&mut self, items: Vec<Node>, trail: &Trail<'_>, value: impl Fn(Span) -> Node) -> Value {
        let mut map = Map::new();
        for (index, item) in items.into_iter().enumerate() {
            let key = format!("[{index}]");
            match item.as_text() {
                _ if item.tag == Some(MergeTag::Reset) => {}
                Some(name) => {
                    map.insert(name.to_owned(), Entry { key: item.span, node: value(item.span) });
                }
                None => self.wrong(&item, &trail.then(&key), "a string"),
            }
        }
        Value::Map(map)
    }

    /// Both forms of `extra_hosts` become `NAME=ADDRESS`, in order.
    fn hosts(&mut self, node: &mut Node, trail: &Trail<'_>) {
        let mut lines: Vec<Node> = Vec::new();
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let key = format!("[{index}]");
                    match item.as_text().map(short::host) {
                        _ if item.tag == Some(MergeTag::Reset) || self.is_template(item) => lines.push(item.clone()),
                        Some(Ok(line)) => lines.push(Node { value: Value::Text(line), ..item.clone() }),
                        Some(Err(message)) => self.bad_host(item.span, trail, &message),
                        None => self.wrong(item, &trail.then(&key), "a string `NAME=ADDRESS`"),
                    }
                }
            }
            Value::Map(map) => {
                for (name, entry) in map {
                    if name.is_empty() {
                        self.bad_host(entry.key, trail, "bad host name ''");
                    }
                    let trail = trail.then(name);
                    let one = std::slice::from_ref(&entry.node);
                    for address in entry.node.as_list().unwrap_or(one) {
                        match address.as_text() {
                            Some(text) => lines.push(Node::text(format!("{name}={}", short::bare_address(text)), address.span)),
                            None => self.wrong(address, &trail, "an address, or a list of them"),
                        }
                    }
                }
            }
            _ => {}
        }
        lines.sort_by(|left, right| left.as_text().cmp(&right.as_text()));
        node.value = Value::List(lines);
    }

    fn bad_host(&mut self, span: Span, trail: &Trail<'_>, message: &str) {
        let problem = Diagnostic::error("extra-hosts", format!("{trail}: {message}")).at(span);
        self.report(problem.hint("write `name=address`, or `name=host-gateway` for the machine itself"));
    }

    fn mount_node(&self, mount: short::ShortMount, span: Span) -> Node {
        let mut node = Node::map(span);
        let text = |text: String| Node::text(text, span);
        node.set("type", text(if mount.bind { "bind" } else { "volume" }.to_owned()));
        if let Some(source) = mount.source {
            node.set("source", text(if mount.bind { self.bind_source(&source) } else { source }));
        }
        node.set("target", text(short::clean_target(&mount.target)));
        if mount.read_only {
            node.set("read_only", Node::new(Value::Boolean(true), span));
        }
        let (mut bind, mut volume) = (Node::map(span), Node::map(span));
        if mount.bind {
            bind.set("create_host_path", Node::new(Value::Boolean(true), span));
        }
        if let Some(propagation) = mount.propagation {
            bind.set("propagation", text(propagation));
        }
        if let Some(selinux) = mount.selinux {
            bind.set("selinux", text(selinux));
        }
        if mount.no_copy {
            volume.set("nocopy", Node::new(Value::Boolean(true), span));
        }
        // Docker's oddity: a text of one or two characters is a target, and nothing is said of it.
        let is_bare = node.get("source").is_none() && mount.target.len() <= 2;
        if mount.bind || !bind.is_empty() {
            node.set("bind", bind);
        }
        if !mount.bind && !is_bare {
            node.set("volume", volume);
        }
        node
    }

    /// The path of a bind; one of Windows is left alone.
    fn bind_source(&self, source: &str) -> String {
        if short::is_windows(source) { source.to_owned() } else { absolute(source, self.base) }
    }
}

/// Puts a value under a key of a mapping of its own.
fn wrap(node: &mut Node, key: &str) {
    let mut outer = Node::map(node.span);
    outer.set(key, Node { value: std::mem::replace(&mut node.value, Value::Null), span: node.span, tag: None });
    node.value = outer.value;
}

fn device_node(device: &short::ShortDevice, span: Span) -> Value {
    let mut node = Node::map(span);
    for (key, text) in [("source", &device.source), ("target", &device.target), ("permissions", &device.permissions)] {
        node.set(key, Node::text(text.clone(), span));
    }
    node.value
}

fn env_file(path: Node) -> Node {
    let span = path.span;
    let mut node = Node { tag: path.tag, ..Node::map(span) };
    node.set("path", Node { tag: None, ..path });
    node.set("required", Node::new(Value::Boolean(true), span));
    node
}

fn port_node(port: short::ShortPort, span: Span) -> Node {
    let mut node = Node::map(span);
    node.set("mode", Node::text("ingress", span));
    if let Some(ip) = port.host_ip {
        node.set("host_ip", Node::text(ip, span));
    }
    node.set("target", Node::new(Value::Integer(i64::from(port.target)), span));
    if let Some(published) = port.published {
        node.set("published", Node::text(published, span));
    }
    node.set("protocol", Node::text(port.protocol, span));
    node
}
