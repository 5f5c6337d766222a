//! Where in a project's files is what a message of the engine speaks of.

use std::fmt;
use std::path::PathBuf;

use crate::compose::project::model::Project;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::source::Span;

/// A place of a project's files, written `compose.yaml:3:12: services.web.image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user would write it.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What it is the place of: `services.web`, `networks.front`.
    pub owner: String,
    /// The attribute that is meant, if one is.
    pub attribute: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.owner)?;
        self.attribute.as_ref().map_or(Ok(()), |attribute| write!(formatter, ".{attribute}"))
    }
}

/// Attributes that say nothing about why an engine cannot do what a service wants.
const SILENT: [&str; 5] = ["depends_on", "environment", "labels", "profiles", "deploy"];

impl Project {
    /// Returns the place of a service's attribute; without one, or where the file does not write it, that of the value that the message
    /// speaks of; at last that of the service itself.
    pub fn place(&self, service: &str, attribute: Option<&str>, message: &str) -> Option<Place> {
        self.place_in("services", service, attribute, message)
    }

    /// Returns the place of a network, by its name in the engine.
    pub fn place_of_network(&self, name: &str, message: &str) -> Option<Place> {
        let (key, _) = self.networks.iter().find(|(_, network)| network.name == name)?;
        self.place_in("networks", key, None, message)
    }

    /// Returns the place of a volume, by its name in the engine.
    pub fn place_of_volume(&self, name: &str, message: &str) -> Option<Place> {
        let (key, _) = self.volumes.iter().find(|(_, volume)| volume.name == name)?;
        self.place_in("volumes", key, None, message)
    }

    /// Returns the place of a thing of the project, by its section and its key there.
    pub fn place_of(&self, section: &str, key: &str) -> Option<Place> {
        self.place_in(section, key, None, "")
    }

    fn place_in(&self, section: &str, key: &str, attribute: Option<&str>, message: &str) -> Option<Place> {
        let entry = self.document.get(section)?.as_map()?.get(key)?;
        let written = attribute.and_then(|name| Some((entry.node.as_map()?.get(name)?.node.span, name)));
        let (span, attribute) = match written.or_else(|| spoken_of(&entry.node, message)) {
            Some((span, name)) => (span, Some(name.to_owned())),
            None => (entry.key, None),
        };
        let file = self.sources.get(span.source).path.clone();
        Some(Place { file, line: span.line, column: span.column, owner: format!("{section}.{key}"), attribute })
    }

    /// The service of a container with this name, one that `run` made included.
    pub fn service_of(&self, container: &str) -> Option<&str> {
        let is = |name: &str, own: Option<&str>| {
            let number =
                container.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix('-')?.strip_prefix(name)?.strip_prefix('-'));
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let is_slug = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            own == Some(container) || number.is_some_and(|text| is_number(text) || text.strip_prefix("run-").is_some_and(is_slug))
        };
        let mut services = self.services.iter();
        services.find(|(name, service)| is(name.as_str(), service.container_name.as_deref())).map(|(name, _)| name.as_str())
    }
}

/// What our own engine says when one of these attributes is to blame, whatever else of the service occurs in the message.
const SUBJECTS: [(&str, &[&str]); 11] = [
    ("cannot publish ", &["ports"]),
    ("exec: `", &["command", "entrypoint"]),
    ("cannot mount at ", &["volumes", "tmpfs", "configs", "secrets"]),
    ("unable to find user ", &["user"]),
    ("unable to find group ", &["user", "group_add"]),
    ("set the kernel parameter ", &["sysctls"]),
    ("sysctl \"", &["sysctls"]),
    ("No such container: ", &["network_mode", "pid", "ipc", "volumes_from", "external_links"]),
    ("cannot join network of ", &["network_mode"]),
    ("cannot join pid of ", &["pid"]),
    ("cannot join ipc of ", &["ipc"]),
];

fn subject(message: &str) -> Option<&'static [&'static str]> {
    SUBJECTS.iter().find(|(words, _)| message.contains(words)).map(|(_, attributes)| *attributes)
}

/// Whether a message says of itself which attribute is to blame, so that it may be searched though the engine is at fault.
pub fn names_its_subject(message: &str) -> bool {
    subject(message).is_some()
}

/// Finds the longest value of a service that occurs in a message, and the attribute it belongs to.
fn spoken_of<'a>(service: &'a Node, message: &str) -> Option<(Span, &'a str)> {
    let subject = subject(message);
    let speaks = |name: &str| match subject {
        Some(subject) => subject.contains(&name),
        None => !SILENT.contains(&name) && !name.starts_with("x-"),
    };
    // `user: name:group` and `pid: container:name` are spoken of by their parts, but not by the word that is in every such message.
    let is_part = |part: &str| !matches!(part, "" | "container") && occurs(part, message);
    let is_spoken_of = |text: &str| occurs(text, message) || subject.is_some() && text.split(':').any(is_part);
    let mut best: Option<(usize, Span, &str)> = None;
    // One letter may stand anywhere, unless it is known what is spoken of.
    let shortest = usize::from(subject.is_none());
    for (name, entry) in service.as_map()?.iter().filter(|(name, _)| speaks(name.as_str())) {
        let mut open = vec![&entry.node];
        while let Some(node) = open.pop() {
            match &node.value {
                Value::List(items) => open.extend(items),
                // A parameter of the kernel is spoken of by its name, which is longer than most values.
                Value::Map(map) if name == "sysctls" => {
                    let spoken = map.iter().filter(|(key, _)| occurs(key, message)).max_by_key(|(key, _)| key.len());
                    best = spoken.map(|(key, entry)| (key.len(), entry.node.span, name.as_str())).or(best);
                }
                Value::Map(map) => open.extend(map.values().map(|entry| &entry.node)),
                _ => {
                    let text = node.as_scalar().unwrap_or_default();
                    if text.len() > best.map_or(shortest, |(length, ..)| length) && is_spoken_of(&text) {
                        best = Some((text.len(), node.span, name));
                    }
                }
            }
        }
    }
    best.map(|(_, span, name)| (span, name))
}

/// Whether a text occurs in another as a whole, and not as a part of a word.
fn occurs(text: &str, within: &str) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(|character| character.is_alphanumeric() || character == '_');
    within.match_indices(text).any(|(at, _)| {
        let (before, after) = (within[..at].chars().next_back(), within[at + text.len()..].chars().next());
        let (begins, ends) = (is_word(text.chars().next()), is_word(text.chars().next_back()));
        !(is_word(before) && begins || is_word(after) && ends)
    })
}

#[cfg(test)]
mod tests {
    use crate::compose::plan::simulate::project as project_of;

    #[test]
    fn networks_and_volumes_are_found_by_their_names_in_the_engine() {
        let project = project_of(
            "services: {a: {image: x, networks: [n], volumes: ['data:/d']}}
networks:
  n: {external: true, name: other}
volumes:
  data: {driver_opts: {colour: red}}
",
        );
        let text = |place: Option<super::Place>| place.map(|place| place.to_string());
        assert_eq!(text(project.place_of_network("other", "it is gone")).as_deref(), Some("-:3:3: networks.n"));
        assert_eq!(text(project.place_of_network("p_n", "it is gone")), None);
        assert_eq!(
            text(project.place_of_volume("p_data", "option colour=red is not supported")).as_deref(),
            Some("-:5:32: volumes.data.driver_opts")
        );
    }

    #[test]
    fn a_message_leads_to_the_value_it_speaks_of() {
        let project = project_of(
            "services:
  web:
    image: registry:5000/web:1
    command: [no-such-program, x]
    ports: ['127.0.0.1:8080:80', '9090:90']
    volumes: ['./absent:/x']
    healthcheck: {test: x}
  db: {image: y, container_name: store}
",
        );
        let place = |attribute, message| project.place("web", attribute, message).map(|place| place.to_string());
        for (attribute, message, expect) in [
            (Some("image"), "", "-:3:12: services.web.image"),
            (Some("healthcheck"), "container is unhealthy", "-:7:18: services.web.healthcheck"),
            (None, "exec: `no-such-program`: not found", "-:4:15: services.web.command"),
            (None, "cannot publish 90/tcp: 0.0.0.0:9090 is already in use", "-:5:34: services.web.ports"),
            (None, "bind source /p/absent does not exist", "-:6:15: services.web.volumes"),
            (None, "it exited (1)", "-:2:3: services.web"),
            (Some("entrypoint"), "nothing", "-:2:3: services.web"),
        ] {
            assert_eq!(place(attribute, message).as_deref(), Some(expect), "{message}");
        }
        assert_eq!(project.service_of("p-web-12"), Some("web"));
        // A service is often called as its image, its host or its program; the subject of the message decides.
        let redis = project_of(
            "services:
  redis:
    image: redis
    container_name: redis
    command: q
    ports: ['6379:6379']
    volumes: ['./a:/redis']
    user: 'redis:staff'
",
        );
        let place = |message| redis.place("redis", None, message).map(|place| place.to_string());
        for (message, expect) in [
            ("cannot publish 6379/tcp: 0.0.0.0:6379 is already in use by redis (pid 7)", "-:6:13: services.redis.ports"),
            ("exec: `q`: executable file not found in $PATH", "-:5:14: services.redis.command"),
            ("cannot mount at /redis: Invalid argument", "-:7:15: services.redis.volumes"),
            ("unable to find user redis: no matching entries in passwd file", "-:8:11: services.redis.user"),
            ("unable to find group staff: no matching entries in group file", "-:8:11: services.redis.user"),
        ] {
            assert_eq!(place(message).as_deref(), Some(expect), "{message}");
        }
        let sharing = project_of(
            "services:
  a:
    image: x
    pid: container:nobody
    ipc: container:no
    network_mode: container:db
    volumes_from: ['container:data:ro']
    sysctls: {net.core.somaxconn: 1, net.core.somaxconns: 2, kernel.shmmni: many}
",
        );
        let place = |message| sharing.place("a", None, message).map(|place| place.to_string());
        for (message, expect) in [
            ("No such container: nobody", "-:4:10: services.a.pid"),
            ("No such container: no", "-:5:10: services.a.ipc"),
            ("No such container: data", "-:7:20: services.a.volumes_from"),
            ("No such container: p-a-1", "-:2:3: services.a"),
            ("cannot join network of a non running container: db (0123)", "-:6:19: services.a.network_mode"),
            ("cannot set the kernel parameter net.core.somaxconns to `2`: No such file", "-:8:59: services.a.sysctls"),
            ("cannot set the kernel parameter kernel.shmmni to `many`: Invalid argument", "-:8:77: services.a.sysctls"),
            ("sysctl \"net.core.somaxconn\" not allowed in host network namespace", "-:8:35: services.a.sysctls"),
        ] {
            assert_eq!(place(message).as_deref(), Some(expect), "{message}");
        }
        assert_eq!(project.service_of("store"), Some("db"));
        assert_eq!(project.service_of("p-web-x"), None);
    }
}
