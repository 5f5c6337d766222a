//! A container's specification told as the attributes of the file it came from: what people are shown where two of them differ.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::path::Path;
use std::time::Duration;

use crate::compose::project::model::{FileSource, Project, Service};
use crate::compose::project::scalar;
use crate::resource::container::{
    BindRecursion, ContainerPort, ContainerSpec, Device, EndpointSpec, HealthCheck, InjectedFile, IpcMode, LogSpec, Mount, MountSource,
    NamespaceMode, NetworkMode, PortBinding, Protocol, Resources, RestartPolicy,
};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// As people are told it.
    Text(String),
    /// To be compared alone: it may be secret.
    Hidden(String),
}

/// Attributes by their names in the file and, where a list has items that change one by one, by what makes an item that one.
pub(super) type Attributes = BTreeMap<(String, String), Shown>;

/// Whose specification it is: what tells the names of its file from those of the engine.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) project: &'a Project,
    pub(super) service: &'a Service,
}

/// Tells a specification in the words of its file. What has its default value is absent.
pub(super) fn of(spec: &ContainerSpec, origin: Origin<'_>) -> Attributes {
    let mut teller = Teller { origin, found: Attributes::new() };
    FIELDS.iter().for_each(|(_, tell)| tell(spec, &mut teller));
    teller.found
}

type Tell = fn(&ContainerSpec, &mut Teller<'_>);

/// Every field of a specification, and what of the file it tells.
const FIELDS: &[(&str, Tell)] = &[
    ("image", |spec, to| to.text("image", Some(&spec.image))),
    ("platform", |spec, to| to.text("platform", spec.platform.as_deref())),
    ("entrypoint", |spec, to| to.words("entrypoint", spec.entrypoint.as_deref())),
    ("command", |spec, to| to.words("command", spec.command.as_deref())),
    ("environment", |spec, to| to.hidden("environment", &spec.environment)),
    ("working_dir", |spec, to| to.text("working_dir", spec.working_dir.as_deref())),
    ("user", |spec, to| to.text("user", spec.user.as_deref())),
    ("group_add", |spec, to| to.list("group_add", &spec.group_add)),
    ("hostname", |spec, to| to.text("hostname", spec.hostname.as_deref())),
    ("domainname", |spec, to| to.text("domainname", spec.domainname.as_deref())),
    ("labels", |spec, to| to.hidden("labels", &spec.labels)),
    ("annotations", |spec, to| to.map("annotations", &spec.annotations)),
    ("tty", |spec, to| to.flag("tty", spec.tty)),
    ("stdin_open", |spec, to| to.flag("stdin_open", spec.stdin_open)),
    // These two are of `run`, and of no file.
    ("stdin_once", |_, _| {}),
    ("auto_remove", |_, _| {}),
    // These are said by other clients only.
    ("publish_all", |_, _| {}),
    ("shell", |_, _| {}),
    ("masked_paths", |_, _| {}),
    ("readonly_paths", |_, _| {}),
    ("remarks", |_, _| {}),
    ("init", |spec, to| to.flag("init", spec.init)),
    ("stop_signal", |spec, to| to.text("stop_signal", spec.stop_signal.as_deref())),
    ("stop_grace", |spec, to| to.plain("stop_grace_period", spec.stop_grace.map(scalar::format_duration))),
    ("restart", |spec, to| to.text("restart", restart(spec.restart).as_deref())),
    ("health", |spec, to| spec.health.iter().for_each(|health| to.health(health))),
    ("exposed", |spec, to| to.list("expose", &spec.exposed.iter().map(port).collect::<Vec<_>>())),
    ("ports", |spec, to| to.list("ports", &spec.ports.iter().map(binding).collect::<Vec<_>>())),
    ("mounts", |spec, to| spec.mounts.iter().for_each(|mount| to.mount(mount))),
    ("volumes_from", |spec, to| to.list("volumes_from", &spec.volumes_from.iter().map(|it| lender(it)).collect::<Vec<_>>())),
    ("network", |spec, to| to.text("network_mode", network_mode(spec).as_deref())),
    ("endpoints", |spec, to| to.networks(spec)),
    ("extra_hosts", |spec, to| to.list("extra_hosts", &pairs(&spec.extra_hosts, '='))),
    ("dns", |spec, to| to.list("dns", &spec.dns.iter().map(ToString::to_string).collect::<Vec<_>>())),
    ("dns_search", |spec, to| to.list("dns_search", &spec.dns_search)),
    ("dns_options", |spec, to| to.list("dns_opt", &spec.dns_options)),
    ("read_only", |spec, to| to.flag("read_only", spec.read_only)),
    ("privileged", |spec, to| to.flag("privileged", spec.privileged)),
    ("cap_add", |spec, to| to.list("cap_add", &spec.cap_add.iter().cloned().collect::<Vec<_>>())),
    ("cap_drop", |spec, to| to.list("cap_drop", &spec.cap_drop.iter().cloned().collect::<Vec<_>>())),
    ("security_options", |spec, to| to.list("security_opt", &spec.security_options)),
    ("devices", |spec, to| {
        let line = |it: &Device| format!("{}:{}:{}", it.source, it.target, it.permissions);
        to.list("devices", &spec.devices.iter().map(line).collect::<Vec<_>>());
    }),
    ("device_rules", |spec, to| to.list("device_cgroup_rules", &spec.device_rules)),
    ("sysctls", |spec, to| to.map("sysctls", &spec.sysctls)),
    ("ulimits", |spec, to| {
        for (name, limit) in &spec.ulimits {
            let both = || format!("{}:{}", limit.soft, limit.hard);
            to.plain(&format!("ulimits.{name}"), Some(if limit.soft == limit.hard { limit.soft.to_string() } else { both() }));
        }
    }),
    ("resources", |spec, to| to.resources(&spec.resources)),
    ("shm_size", |spec, to| to.plain("shm_size", spec.shm_size)),
    ("oom_score_adj", |spec, to| to.plain("oom_score_adj", spec.oom_score_adj)),
    ("log", |spec, to| to.log(&spec.log)),
    ("pid", |spec, to| to.text("pid", namespace(&spec.pid).as_deref())),
    ("ipc", |spec, to| to.text("ipc", ipc(&spec.ipc).as_deref())),
    ("uts", |spec, to| to.text("uts", namespace(&spec.uts).as_deref())),
    ("cgroup", |spec, to| to.text("cgroup", namespace(&spec.cgroup).as_deref())),
    ("files", |spec, to| spec.files.iter().for_each(|file| to.file(file))),
];

struct Teller<'a> {
    origin: Origin<'a>,
    found: Attributes,
}

impl Teller<'_> {
    fn item(&mut self, name: &str, item: &str, value: String) {
        self.found.insert((name.to_owned(), item.to_owned()), Shown::Text(value));
    }

    fn plain(&mut self, name: &str, value: Option<impl Display>) {
        value.into_iter().for_each(|value| self.item(name, "", value.to_string()));
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        self.plain(name, value.map(quoted));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.plain(name, value.then_some(true));
    }

    /// A list that is told although it is empty: no words at all are something else than those of the image.
    fn words(&mut self, name: &str, words: Option<&[String]>) {
        self.plain(name, words.map(listed));
    }

    fn list(&mut self, name: &str, items: &[String]) {
        self.words(name, Some(items).filter(|items| !items.is_empty()));
    }

    fn map(&mut self, name: &str, map: &BTreeMap<String, String>) {
        map.iter().for_each(|(key, value)| self.text(&format!("{name}.{key}"), Some(value)));
    }

    fn hidden<T: Debug>(&mut self, name: &str, map: &BTreeMap<String, T>) {
        let entries = map.iter().map(|(key, value)| ((format!("{name}.{key}"), String::new()), Shown::Hidden(format!("{value:?}"))));
        self.found.extend(entries);
    }

    fn health(&mut self, check: &HealthCheck) {
        let HealthCheck { test, interval, timeout, retries, start_period, start_interval } = check;
        let words = Some(test.words()).filter(|words| !words.is_empty());
        self.words("healthcheck.test", words.as_deref());
        for (name, length) in
            [("interval", interval), ("timeout", timeout), ("start_period", start_period), ("start_interval", start_interval)]
        {
            let length = Some(*length).filter(|length| *length != Duration::ZERO);
            self.plain(&format!("healthcheck.{name}"), length.map(scalar::format_duration));
        }
        self.plain("healthcheck.retries", Some(*retries).filter(|retries| *retries != 0));
    }

    fn resources(&mut self, resources: &Resources) {
        let Resources {
            memory,
            memory_reservation,
            memory_swap,
            memory_swappiness,
            oom_kill_disable,
            nano_cpus,
            cpu_shares,
            cpu_quota,
            cpu_period,
            cpuset,
            cpuset_mems,
            pids,
        } = resources;
        // With as many digits as the file's own number is kept with.
        let cpus = |nanos: u64| nanos as f32 / 1e9_f32;
        self.plain("mem_limit", *memory);
        self.plain("mem_reservation", *memory_reservation);
        self.plain("memswap_limit", *memory_swap);
        self.plain("mem_swappiness", *memory_swappiness);
        self.flag("oom_kill_disable", *oom_kill_disable);
        self.plain("cpus", nano_cpus.map(cpus));
        self.plain("cpu_shares", *cpu_shares);
        self.plain("cpu_quota", *cpu_quota);
        self.plain("cpu_period", *cpu_period);
        self.text("cpuset", cpuset.as_deref());
        self.text("cpuset_mems", cpuset_mems.as_deref());
        self.plain("pids_limit", *pids);
    }

    fn log(&mut self, log: &LogSpec) {
        let (driver, options) = log.driver();
        // An absent driver is this one.
        self.text("logging.driver", Some(driver).filter(|driver| *driver != "json-file"));
        self.map("logging.options", &options);
    }

    fn mount(&mut self, mount: &Mount) {
        let Mount { target, read_only, source } = mount;
        let mut options: Vec<String> = read_only.then(|| "ro".to_owned()).into_iter().collect();
        let (name, source) = match source {
            MountSource::Bind { path, create, propagation, recursion } => {
                options.extend(propagation.clone());
                if *recursion != BindRecursion::Enabled {
                    options.push(format!("recursive={recursion:?}").to_ascii_lowercase());
                }
                // What is mounted of the host as a secret or config is never made there.
                let name = if *create { "volumes" } else { self.section(target, Some(path)) };
                if !create && name == "volumes" {
                    options.push("create_host_path=false".to_owned());
                }
                (name, Some(path.display().to_string()))
            }
            MountSource::Volume { name, no_copy, subpath, labels } => {
                options.extend(no_copy.then(|| "nocopy".to_owned()));
                options.extend(subpath.iter().map(|path| format!("subpath={path}")));
                self.hidden("volumes.volume.labels", labels);
                let volumes = &self.origin.project.volumes;
                (
                    "volumes",
                    name.as_ref().map(|name| self.key(name, volumes.iter().find(|(_, volume)| volume.name == *name).map(|(key, _)| key))),
                )
            }
            MountSource::Tmpfs { size, mode, options: others } => {
                options.extend(size.map(|bytes| format!("size={bytes}")));
                options.extend(mode.map(|bits| format!("mode={bits:o}")));
                options.extend(others.iter().cloned());
                ("tmpfs", None)
            }
        };
        let parts = source.into_iter().chain([target.clone()]).chain(Some(options.join(",")).filter(|options| !options.is_empty()));
        self.item(name, target, quoted(&parts.collect::<Vec<_>>().join(":")));
    }

    fn file(&mut self, file: &InjectedFile) {
        // Its content is nobody's business here.
        let InjectedFile { target, content: _, uid, gid, mode } = file;
        let name = self.section(target, None);
        self.item(name, target, quoted(&format!("{target} {uid}:{gid} {mode:04o}")));
    }

    /// The attribute that puts something at a path of the container that is not one of its volumes, as far as that can be told.
    fn section(&self, target: &str, source: Option<&Path>) -> &'static str {
        let Origin { project, service } = self.origin;
        let is_config = |path: &Path| project.configs.values().any(|it| matches!(&it.source, FileSource::File(file) if file == path));
        match service.files.iter().find(|file| file.target == target) {
            Some(file) => file.kind.section(),
            None if target.starts_with("/run/secrets/") => "secrets",
            None if source.is_none_or(is_config) => "configs",
            None => "volumes",
        }
    }

    fn networks(&mut self, spec: &ContainerSpec) {
        let project = self.origin.project;
        let keys: BTreeMap<&str, String> = spec
            .endpoints
            .keys()
            .map(|name| {
                let known = project.networks.iter().find(|(_, network)| network.name == *name).map(|(key, _)| key);
                (name.as_str(), self.key(name, known))
            })
            .collect();
        // The first is the one whose `priority` is the highest.
        let first = if let NetworkMode::Named(name) = &spec.network { keys.get(name.as_str()) } else { None };
        let others = keys.values().filter(|key| Some(*key) != first);
        self.list("networks", &first.into_iter().chain(others).cloned().collect::<Vec<_>>());
        for (name, endpoint) in &spec.endpoints {
            let EndpointSpec { aliases, links, ipv4_address, ipv6_address, mac_address, link_local, interface_name, gateway_priority } =
                endpoint;
            let of = |attribute: &str| format!("networks.{}.{attribute}", keys[name.as_str()]);
            // Every container answers to its service's name, whatever the file says.
            let own = self.origin.service.name.as_str();
            let aliases: Vec<String> = aliases.iter().filter(|alias| *alias != own).cloned().collect();
            self.list(&of("aliases"), &aliases);
            self.plain(&of("ipv4_address"), *ipv4_address);
            self.plain(&of("ipv6_address"), *ipv6_address);
            self.text(&of("mac_address"), mac_address.as_deref());
            self.list(&of("link_local_ips"), &link_local.iter().map(ToString::to_string).collect::<Vec<_>>());
            self.text(&of("interface_name"), interface_name.as_deref());
            self.plain(&of("gw_priority"), Some(*gateway_priority).filter(|priority| *priority != 0));
            // The same on each network.
            let (internal, external): (Vec<_>, Vec<_>) = links.iter().cloned().partition(|(to, _)| to.starts_with(SERVICE));
            let internal: Vec<_> = internal.into_iter().map(|(to, alias)| (to.replacen(SERVICE, "", 1), alias)).collect();
            self.list("links", &pairs(&internal, ':'));
            self.list("external_links", &pairs(&external, ':'));
        }
    }

    /// The key of what has a name in the engine; of what is in the project no longer, the name without the project's.
    fn key(&self, name: &str, known: Option<&String>) -> String {
        let own = || name.strip_prefix(self.origin.project.name.as_str()).and_then(|rest| rest.strip_prefix('_'));
        known.map_or_else(|| own().unwrap_or(name).to_owned(), Clone::clone)
    }
}

/// How [`crate::compose::plan::known::written`] marks a service.
const SERVICE: &str = "service:";

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn listed(items: &[String]) -> String {
    serde_json::Value::from(items.to_vec()).to_string()
}

fn pairs(pairs: &[(String, String)], sign: char) -> Vec<String> {
    pairs.iter().map(|(one, other)| format!("{one}{sign}{other}")).collect()
}

/// Another container, as the file writes it.
fn other(written: &str) -> String {
    if written.starts_with(SERVICE) { written.to_owned() } else { format!("container:{written}") }
}

/// Whose volumes it has: here a file writes services by their names alone.
fn lender(written: &str) -> String {
    written.strip_prefix(SERVICE).map_or_else(|| other(written), str::to_owned)
}

fn restart(policy: RestartPolicy) -> Option<String> {
    match policy {
        RestartPolicy::No => None,
        RestartPolicy::Always => Some("always".to_owned()),
        RestartPolicy::UnlessStopped => Some("unless-stopped".to_owned()),
        RestartPolicy::OnFailure { maximum: 0 } => Some("on-failure".to_owned()),
        RestartPolicy::OnFailure { maximum } => Some(format!("on-failure:{maximum}")),
    }
}

fn port(port: &ContainerPort) -> String {
    if port.protocol == Protocol::Tcp { port.port.to_string() } else { port.to_string() }
}

fn binding(binding: &PortBinding) -> String {
    let PortBinding { container, host_ip, host_port, host_port_end } = binding;
    let ip = match host_ip {
        Some(ip) if ip.is_ipv6() => format!("[{ip}]:"),
        Some(ip) => format!("{ip}:"),
        None => String::new(),
    };
    let host = match (host_port, host_port_end) {
        (0, _) if ip.is_empty() => String::new(),
        (0, _) => ":".to_owned(),
        (first, last) if first == last => format!("{first}:"),
        (first, last) => format!("{first}-{last}:"),
    };
    format!("{ip}{host}{}", port(container))
}

/// What is written as `network_mode`; none where the file names networks of the project.
fn network_mode(spec: &ContainerSpec) -> Option<String> {
    match &spec.network {
        NetworkMode::Bridge => Some("bridge".to_owned()),
        NetworkMode::None => Some("none".to_owned()),
        NetworkMode::Host => Some("host".to_owned()),
        NetworkMode::Container(written) => Some(other(written)),
        NetworkMode::Named(name) if spec.endpoints.contains_key(name) => None,
        NetworkMode::Named(name) => Some(name.clone()),
    }
}

fn namespace(mode: &NamespaceMode) -> Option<String> {
    match mode {
        NamespaceMode::Private => None,
        NamespaceMode::Host => Some("host".to_owned()),
        NamespaceMode::Container(written) => Some(other(written)),
    }
}

fn ipc(mode: &IpcMode) -> Option<String> {
    match mode {
        IpcMode::Private => None,
        IpcMode::Shareable => Some("shareable".to_owned()),
        IpcMode::None => Some("none".to_owned()),
        IpcMode::Host => Some("host".to_owned()),
        IpcMode::Container(written) => Some(other(written)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_told() {
        let value = serde_json::to_value(ContainerSpec::default()).expect("plain data");
        let mut fields: Vec<&str> = value.as_object().expect("fields").keys().map(String::as_str).collect();
        let mut told: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
        fields.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, fields);
    }
}
