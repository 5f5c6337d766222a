//! Which containers a list is to hold, by Docker's filters.

use crate::engine::filter::Filters;
use crate::resource::container::{ContainerFilter, ContainerInfo, Protocol};
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::time::Timestamp;

const KEYS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// A checked filter.
pub(in crate::engine) struct Selection<'a> {
    filters: Filters<'a>,
    all: bool,
    images: Vec<ImageId>,
    exited: Vec<i32>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl<'a> Selection<'a> {
    /// Checks a filter. `image` knows an image by the name it has now, `created` when a container was made.
    pub(in crate::engine) fn new(
        filter: &'a ContainerFilter,
        image: impl Fn(&str) -> Option<ImageId>,
        created: impl Fn(&str) -> Result<Timestamp, Failure>,
    ) -> Result<Self, Failure> {
        let filters = Filters::of(&filter.filters, &KEYS)?;
        let wrong = |key: &str, value: &str| Failure::invalid(format!("invalid filter '{key}={value}'"));
        let unknown = |key: &str, words: &[&str]| filters.values(key).iter().find(|value| !words.contains(&value.as_str()));
        for (key, what, words) in [("status", "state", STATES.as_slice()), ("health", "health", HEALTHS.as_slice())] {
            if let Some(value) = unknown(key, words) {
                let one = words.join(", ");
                let text = format!("invalid filter '{key}={value}': invalid value for {what} ({value}): must be one of {one}");
                return Err(Failure::invalid(text));
            }
        }
        if let Some(value) = unknown("is-task", &["0", "1", "true", "false"]) {
            return Err(wrong("is-task", value));
        }
        for key in ["expose", "publish"] {
            filters.values(key).iter().try_for_each(|value| ports(value).map(drop).ok_or_else(|| wrong(key, value)))?;
        }
        let exited = filters.values("exited").iter().map(|value| value.parse().map_err(|_| wrong("exited", value)));
        let bound = |key: &str| filters.values(key).first().map(|name| created(name)).transpose();
        Ok(Self {
            filters,
            // Who asks for a state means those that do not run, too.
            all: filter.all || !filters.values("status").is_empty(),
            images: filters.values("ancestor").iter().filter_map(|name| image(name)).collect(),
            exited: exited.collect::<Result<_, _>>()?,
            before: bound("before")?,
            since: bound("since")?,
        })
    }

    /// Whether the list is to hold a container.
    pub(in crate::engine) fn selects(&self, info: &ContainerInfo) -> bool {
        use crate::resource::container::ContainerState::Restarting;
        let filters = &self.filters;
        let health = info.health.as_ref().map_or("none", |health| health.status.word());
        // One that is between two lives counts as running, as with Docker.
        (self.all || info.state.is_running() || matches!(info.state, Restarting { .. }))
            && (filters.occurs("name", info.name.as_str()) || filters.occurs("name", &format!("/{}", info.name)))
            && filters.any("id", |value| info.id.to_string().starts_with(value))
            && filters.labels(&info.effective.labels)
            && filters.any("status", |value| value == info.state.word())
            && filters.any("health", |value| value == health)
            && filters.any("is-task", |value| matches!(value, "0" | "false"))
            && filters.any("ancestor", |_| self.images.contains(&info.image))
            && filters.any("exited", |_| exit_code(info).is_some_and(|code| self.exited.contains(&code)))
            && filters.any("network", |value| is_on(info, value))
            && filters.any("volume", |value| mounts(info, value))
            && self.has_port(info)
            && self.before.is_none_or(|before| info.created < before)
            && self.since.is_none_or(|since| info.created > since)
    }

    /// Whether one of the ports asked for is a container's: by `expose` its own, by `publish` the host's. Who does not run has none.
    fn has_port(&self, info: &ContainerInfo) -> bool {
        let (expose, publish) = (self.filters.values("expose"), self.filters.values("publish"));
        let leads = info.published.iter().map(|port| (port.container.port, port.host_port, port.container.protocol));
        let own = info.effective.exposed.iter().map(|port| (port.port, 0, port.protocol));
        let is_among = |port: u16, protocol: Protocol, value: &String| {
            ports(value).is_some_and(|(first, last, wanted)| protocol == wanted && (first..=last).contains(&port))
        };
        expose.is_empty() && publish.is_empty()
            || info.state.is_running()
                && leads.chain(own).any(|(inside, outside, protocol)| {
                    expose.iter().any(|value| is_among(inside, protocol, value))
                        || publish.iter().any(|value| is_among(outside, protocol, value))
                })
    }
}

/// Whether a container is on a network, told by its name or the start of its id.
fn is_on(info: &ContainerInfo, value: &str) -> bool {
    info.endpoints.iter().any(|endpoint| endpoint.network_name == value || endpoint.network.to_string().starts_with(value))
}

/// Whether a container has a volume, or a bind by its path on the host, or anything at this place.
fn mounts(info: &ContainerInfo, value: &str) -> bool {
    info.mounts.iter().any(|mount| {
        mount.target == value
            || match &mount.name {
                Some(name) => name == value,
                None => mount.source.as_os_str() == value,
            }
    })
}

/// How a container ended that has run and does no more.
fn exit_code(info: &ContainerInfo) -> Option<i32> {
    use crate::resource::container::ContainerState::Exited;
    match &info.state {
        Exited { status, started_at: Some(_), .. } => Some(status.code),
        _ => None,
    }
}

/// Reads `80`, `80/udp` or `8000-8080/tcp`.
fn ports(text: &str) -> Option<(u16, u16, Protocol)> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|it| it.as_str() == protocol)?;
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    Some((first.parse().ok()?, last.parse().ok()?, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::container::{ContainerPort, ContainerSpec, ContainerState, EffectiveConfig, ExitStatus, MountInfo, PublishedPort};
    use crate::resource::id::{ContainerId, Digest};
    use std::collections::BTreeMap;

    fn container(state: ContainerState) -> ContainerInfo {
        ContainerInfo {
            id: ContainerId::from_bytes([0xa5; 32]),
            name: "web-1".parse().expect("a name"),
            created: Timestamp::from_nanos(5),
            spec: ContainerSpec::default(),
            image: Digest::from_bytes([1; 32]),
            state,
            health: None,
            effective: EffectiveConfig {
                labels: BTreeMap::from([("tier".to_owned(), "front".to_owned())]),
                exposed: [ContainerPort { port: 80, protocol: Protocol::Tcp }].into(),
                ..EffectiveConfig::default()
            },
            endpoints: Vec::new(),
            published: vec![PublishedPort {
                host_ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
                host_port: 8080,
                container: ContainerPort { port: 80, protocol: Protocol::Tcp },
            }],
            mounts: vec![MountInfo {
                kind: "bind".to_owned(),
                name: None,
                source: "/srv".into(),
                target: "/inside".to_owned(),
                writable: true,
                anonymous: false,
                propagation: String::new(),
            }],
            restart_count: 0,
            log_path: None,
            file_digests: BTreeMap::new(),
            execs: Vec::new(),
        }
    }

    fn selects(filters: &[(&str, &str)], info: &ContainerInfo) -> Result<bool, Failure> {
        let filters = filters.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect();
        let filter = ContainerFilter { all: false, filters };
        let image = |name: &str| (name == "app").then(|| Digest::from_bytes([1; 32]));
        Ok(Selection::new(&filter, image, |_| Ok(Timestamp::from_nanos(4)))?.selects(info))
    }

    #[test]
    fn every_key_has_its_say() {
        let running = container(ContainerState::Running { pid: 1, started_at: Timestamp::from_nanos(6), paused: false });
        let check = |key, value, expect| assert_eq!(selects(&[(key, value)], &running), Ok(expect), "{key}={value}");
        check("name", "^/web-1$", true);
        check("name", "web", true);
        check("name", "db", false);
        check("name", "^(web|db)-[0-9]$", true);
        check("id", "a5a5", true);
        check("id", "5a5a", false);
        check("label", "tier=front", true);
        check("label", "tier=back", false);
        check("isolation", "hyperv", true);
        check("status", "running", true);
        check("status", "exited", false);
        check("health", "none", true);
        check("ancestor", "app", true);
        check("ancestor", "other", false);
        check("network", "bridge", false);
        check("volume", "/data", false);
        check("expose", "70-90", true);
        check("expose", "80/udp", false);
        check("publish", "80", false);
        check("publish", "8080", true);
        check("volume", "/srv", true);
        check("volume", "data", false);
        check("since", "db", true);
        check("before", "db", false);
        check("exited", "0", false);
        for (key, value) in
            [("status", "gone"), ("health", "good"), ("exited", "x"), ("publish", "http"), ("colour", "red"), ("label!", "x")]
        {
            assert!(selects(&[(key, value)], &running).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn what_does_not_run_is_told_when_it_is_asked_for() {
        let status = ExitStatus { code: 3, ..ExitStatus::default() };
        let at = Timestamp::from_nanos(9);
        let ended = container(ContainerState::Exited { status, started_at: Some(at), finished_at: at });
        assert_eq!(selects(&[], &ended), Ok(false));
        assert_eq!(selects(&[("label", "tier")], &ended), Ok(false));
        assert_eq!(selects(&[("status", "exited")], &ended), Ok(true));
        assert_eq!(selects(&[("status", "exited"), ("exited", "3")], &ended), Ok(true));
        assert_eq!(selects(&[("status", "exited"), ("exited", "4")], &ended), Ok(false));
    }
}
