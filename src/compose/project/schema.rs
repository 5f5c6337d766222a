//! Every attribute of the Compose language: its name, its shape, and what becomes of it. Order is the order in which `config` prints.
//!
//! The tables below are the only place where an attribute is named for validation, merging and printing; support.md is written from
//! them. To teach Gantry an attribute, move it from `not_yet` to `yes`, decode it, and lower it.

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It does what the specification says.
    Implemented,
    /// Nobody acts on it, Docker Compose neither; the user is told once, with the line. A closed list.
    Inert,
    /// Known, and refused: to accept it and do nothing would be a lie.
    NotYet,
    /// The same, but only where it would matter, which is known once all files are merged; printed like any other.
    Later,
}

/// One attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// Its key.
    pub name: &'static str,
    /// What becomes of it.
    pub class: Class,
    /// What it may hold.
    pub shape: &'static Shape,
}

/// What a value may be, in every form the specification allows.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything; kept as it is.
    Any,
    /// A string.
    Text,
    /// A path, relative to the folder of the file's project.
    Path,
    /// A path, or an address that is none.
    Context,
    /// A string or a number, kept as a string.
    Scalar,
    /// A whole number, or a string that is one.
    Integer,
    /// A number, or a string that is one.
    Number,
    /// A boolean, or a string that is one.
    Boolean,
    /// A length of time in Go's syntax.
    Duration,
    /// A number of bytes, or a string with a unit.
    Bytes,
    /// Permission bits: a number, or a string of octal digits; a string of octal digits in the end.
    Mode,
    /// The same, or -1 for no limit.
    Swap,
    /// A whole number, or a mapping of `soft` and `hard`; an override replaces it whole.
    Ulimit,
    /// Null, a string split as a shell would, or a list; an override replaces it whole.
    Command,
    /// The command of a health check: like a command, but the string is not split.
    Test,
    /// A string or a list of strings; a list in the end.
    Texts,
    /// A list; the second part says which items are one and the same.
    List(&'static Self, Unique),
    /// A mapping or a list of `KEY=VALUE`; a mapping of strings and nulls in the end.
    Dictionary,
    /// A mapping of strings and numbers alone, kept as strings; of nothing, too, where a log driver is to have them.
    Options,
    /// A mapping with keys of the user's choice.
    Map(&'static Self),
    /// A mapping with the attributes of a table, and `x-…`.
    Object(&'static [Attribute]),
    /// A shape with a short form beside it.
    Short(Form, &'static Self),
}

/// Which items of two lists are the same one, so that the later replaces the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unique {
    /// None.
    Nothing,
    /// Equal ones.
    Value,
    /// Strings with the same part before `=`.
    Key,
    /// Mappings with the same value under this key.
    Field(&'static str),
    /// Ports with the same host address, published port, target and protocol.
    Port,
    /// Secrets or configs at the same place.
    File,
}

/// A short form, by what it expands to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A port or a range as a string or number: a list of port mappings.
    Ports,
    /// `SOURCE:TARGET:OPTIONS`.
    Mount,
    /// A list of names: a mapping of names to null.
    Names,
    /// A list of names: a mapping of names to the default condition.
    Dependencies,
    /// A path or a list of paths and mappings.
    EnvFiles,
    /// The name of a secret.
    Secret,
    /// The name of a config.
    Config,
    /// A path or a list of paths.
    Paths,
    /// `SOURCE:TARGET:PERMISSIONS`.
    Device,
    /// A mapping of names to addresses, or a list of `NAME=ADDRESS` and `NAME:ADDRESS`: a sorted list of the former.
    Hosts,
    /// The folder to build in: a mapping with `context`.
    Build,
    /// No form of its own: options of two files are merged only for one driver.
    Logging,
}

const fn yes(name: &'static str, shape: &'static Shape) -> Attribute {
    Attribute { name, class: Class::Implemented, shape }
}

const fn inert(name: &'static str, shape: &'static Shape) -> Attribute {
    Attribute { name, class: Class::Inert, shape }
}

const fn not_yet(name: &'static str) -> Attribute {
    Attribute { name, class: Class::NotYet, shape: &Shape::Any }
}

const fn later(name: &'static str, shape: &'static Shape) -> Attribute {
    Attribute { name, class: Class::Later, shape }
}

use Shape::{Boolean, Bytes, Command, Dictionary, Duration, Integer, Number, Scalar, Test, Text, Texts};

const NAMES: Shape = Shape::List(&Text, Unique::Key);
const VALUES: Shape = Shape::List(&Text, Unique::Value);
const HOSTS: Shape = Shape::Short(Form::Hosts, &VALUES);
const ULIMITS: Shape = Shape::Map(&Shape::Ulimit);

/// The keys of a file.
pub(crate) const FILE: &[Attribute] = &[
    yes("version", &Scalar),
    yes("name", &Text),
    not_yet("include"),
    yes("services", &Shape::Map(&Shape::Object(SERVICE))),
    not_yet("jobs"),
    yes("networks", &Shape::Map(&Shape::Object(NETWORK))),
    yes("volumes", &Shape::Map(&Shape::Object(VOLUME))),
    yes("secrets", &Shape::Map(&Shape::Object(SECRET))),
    yes("configs", &Shape::Map(&Shape::Object(CONFIG))),
    not_yet("models"),
];

/// The keys of a service.
pub(crate) const SERVICE: &[Attribute] = &[
    yes("profiles", &NAMES),
    yes("annotations", &Dictionary),
    yes("attach", &Boolean),
    later("build", &Shape::Short(Form::Build, &Shape::Object(BUILD))),
    inert("develop", &Shape::Any),
    not_yet("blkio_config"),
    yes("cap_add", &NAMES),
    yes("cap_drop", &NAMES),
    not_yet("cgroup_parent"),
    yes("cgroup", &Text),
    inert("cpu_count", &Shape::Any),
    inert("cpu_percent", &Shape::Any),
    yes("cpu_period", &Integer),
    yes("cpu_quota", &Integer),
    not_yet("cpu_rt_period"),
    not_yet("cpu_rt_runtime"),
    yes("cpus", &Number),
    yes("cpuset", &Text),
    yes("cpu_shares", &Integer),
    yes("command", &Command),
    yes("configs", &Shape::List(&Shape::Short(Form::Config, &Shape::Object(SERVICE_FILE)), Unique::File)),
    yes("container_name", &Text),
    not_yet("credential_spec"),
    yes("depends_on", &Shape::Short(Form::Dependencies, &Shape::Map(&Shape::Object(DEPENDENCY)))),
    yes("deploy", &Shape::Object(DEPLOY)),
    yes("device_cgroup_rules", &VALUES),
    yes("devices", &Shape::List(&Shape::Short(Form::Device, &Shape::Object(DEVICE)), Unique::Field("target"))),
    yes("dns", &Texts),
    yes("dns_opt", &NAMES),
    yes("dns_search", &Texts),
    yes("domainname", &Text),
    yes("entrypoint", &Command),
    not_yet("provider"),
    yes("environment", &Dictionary),
    yes("env_file", &Shape::Short(Form::EnvFiles, &Shape::List(&Shape::Object(ENV_FILE), Unique::Field("path")))),
    yes("expose", &Shape::List(&Scalar, Unique::Value)),
    not_yet("extends"),
    yes("external_links", &Shape::List(&Text, Unique::Value)),
    yes("extra_hosts", &HOSTS),
    yes("group_add", &Shape::List(&Scalar, Unique::Value)),
    not_yet("gpus"),
    yes("hostname", &Text),
    yes("healthcheck", &Shape::Object(HEALTHCHECK)),
    yes("image", &Text),
    yes("init", &Boolean),
    yes("ipc", &Text),
    inert("isolation", &Shape::Any),
    yes("labels", &Dictionary),
    yes("label_file", &Shape::Short(Form::Paths, &Shape::List(&Shape::Path, Unique::Value))),
    yes("links", &NAMES),
    yes("logging", &Shape::Short(Form::Logging, &Shape::Object(LOGGING))),
    yes("mem_limit", &Bytes),
    yes("mem_reservation", &Bytes),
    yes("memswap_limit", &Shape::Swap),
    yes("mem_swappiness", &Bytes),
    yes("mac_address", &Text),
    not_yet("models"),
    yes("network_mode", &Text),
    yes("networks", &Shape::Short(Form::Names, &Shape::Map(&Shape::Object(SERVICE_NETWORK)))),
    yes("oom_kill_disable", &Boolean),
    yes("oom_score_adj", &Integer),
    yes("pid", &Text),
    yes("pids_limit", &Integer),
    yes("platform", &Text),
    yes("ports", &Shape::Short(Form::Ports, &Shape::List(&Shape::Object(PORT), Unique::Port))),
    yes("privileged", &Boolean),
    yes("pull_policy", &Text),
    not_yet("pull_refresh_after"),
    yes("read_only", &Boolean),
    yes("restart", &Text),
    yes("runtime", &Text),
    yes("scale", &Integer),
    yes("secrets", &Shape::List(&Shape::Short(Form::Secret, &Shape::Object(SERVICE_FILE)), Unique::File)),
    yes("security_opt", &VALUES),
    yes("shm_size", &Bytes),
    yes("stdin_open", &Boolean),
    yes("stop_grace_period", &Duration),
    yes("stop_signal", &Text),
    not_yet("storage_opt"),
    yes("sysctls", &Dictionary),
    yes("tmpfs", &Texts),
    yes("tty", &Boolean),
    yes("ulimits", &ULIMITS),
    not_yet("umask"),
    not_yet("use_api_socket"),
    yes("user", &Text),
    yes("userns_mode", &Text),
    yes("uts", &Text),
    yes("volumes", &Shape::List(&Shape::Short(Form::Mount, &Shape::Object(MOUNT)), Unique::Field("target"))),
    yes("volumes_from", &Shape::List(&Text, Unique::Value)),
    yes("working_dir", &Text),
    yes("post_start", &Shape::List(&Shape::Object(HOOK), Unique::Nothing)),
    yes("pre_start", &Shape::List(&Shape::Object(PRE_START), Unique::Nothing)),
    yes("pre_stop", &Shape::List(&Shape::Object(HOOK), Unique::Nothing)),
];

/// The keys of `build`. A service that has an `image`, too, runs with what the name means here or in its registry.
pub(crate) const BUILD: &[Attribute] = &[
    later("context", &Shape::Context),
    later("dockerfile", &Text),
    later("dockerfile_inline", &Text),
    later("entitlements", &VALUES),
    later("args", &Dictionary),
    later("provenance", &Shape::Any),
    later("sbom", &Shape::Any),
    later("ssh", &Shape::Any),
    later("labels", &Dictionary),
    later("cache_from", &VALUES),
    later("cache_to", &VALUES),
    later("no_cache", &Boolean),
    later("no_cache_filter", &Texts),
    later("additional_contexts", &Shape::Any),
    later("pull", &Boolean),
    later("extra_hosts", &HOSTS),
    later("isolation", &Text),
    later("network", &Text),
    later("target", &Text),
    later("secrets", &Shape::Any),
    later("shm_size", &Bytes),
    later("tags", &VALUES),
    later("ulimits", &ULIMITS),
    later("platforms", &VALUES),
    later("privileged", &Boolean),
];

/// The keys of a dependency.
pub(crate) const DEPENDENCY: &[Attribute] = &[yes("condition", &Text), yes("restart", &Boolean), yes("required", &Boolean)];

/// The keys of `deploy`: swarm's, all but a few without an effect outside a swarm.
pub(crate) const DEPLOY: &[Attribute] = &[
    inert("mode", &Text),
    yes("replicas", &Integer),
    inert("labels", &Dictionary),
    inert("update_config", &Shape::Object(UPDATE)),
    inert("rollback_config", &Shape::Object(UPDATE)),
    yes("resources", &Shape::Object(RESOURCES)),
    yes("restart_policy", &Shape::Object(RESTART_POLICY)),
    inert("placement", &Shape::Object(PLACEMENT)),
    inert("endpoint_mode", &Text),
];

/// The keys of `deploy.update_config` and `deploy.rollback_config`.
pub(crate) const UPDATE: &[Attribute] = &[
    inert("parallelism", &Integer),
    inert("delay", &Duration),
    inert("failure_action", &Text),
    inert("monitor", &Duration),
    inert("max_failure_ratio", &Number),
    inert("order", &Text),
];

/// The keys of `deploy.resources`.
pub(crate) const RESOURCES: &[Attribute] = &[yes("limits", &Shape::Object(LIMITS)), yes("reservations", &Shape::Object(RESERVATIONS))];

/// The keys of `deploy.resources.limits`.
pub(crate) const LIMITS: &[Attribute] = &[yes("cpus", &Number), yes("memory", &Bytes), yes("pids", &Integer)];

/// The keys of `deploy.resources.reservations`: processors and kinds of things are a scheduler's, of which there is none.
pub(crate) const RESERVATIONS: &[Attribute] =
    &[inert("cpus", &Number), yes("memory", &Bytes), not_yet("devices"), inert("generic_resources", &Shape::Any)];

/// The keys of `deploy.restart_policy`.
pub(crate) const RESTART_POLICY: &[Attribute] =
    &[yes("condition", &Text), inert("delay", &Duration), yes("max_attempts", &Integer), inert("window", &Duration)];

/// The keys of `deploy.placement`.
pub(crate) const PLACEMENT: &[Attribute] = &[
    inert("constraints", &Shape::List(&Text, Unique::Value)),
    inert("preferences", &Shape::List(&Shape::Object(PREFERENCE), Unique::Field("spread"))),
    inert("max_replicas_per_node", &Integer),
];

/// The keys of a preference of `deploy.placement`.
pub(crate) const PREFERENCE: &[Attribute] = &[inert("spread", &Text)];

/// The keys of a device.
pub(crate) const DEVICE: &[Attribute] = &[yes("source", &Text), yes("target", &Text), yes("permissions", &Text)];

/// The keys of `logging`.
pub(crate) const LOGGING: &[Attribute] = &[yes("driver", &Text), yes("options", &Shape::Options)];

/// The keys of a process limit in its long form.
pub(crate) const ULIMIT: &[Attribute] = &[yes("soft", &Integer), yes("hard", &Integer)];

/// The keys of an `env_file`.
pub(crate) const ENV_FILE: &[Attribute] = &[yes("path", &Shape::Path), yes("required", &Boolean), yes("format", &Text)];

/// The keys of a health check.
pub(crate) const HEALTHCHECK: &[Attribute] = &[
    yes("test", &Test),
    yes("timeout", &Duration),
    yes("interval", &Duration),
    yes("retries", &Integer),
    yes("start_period", &Duration),
    yes("start_interval", &Duration),
    yes("disable", &Boolean),
];

/// The keys of a service's place on a network.
pub(crate) const SERVICE_NETWORK: &[Attribute] = &[
    yes("aliases", &NAMES),
    yes("driver_opts", &Shape::Options),
    yes("gw_priority", &Integer),
    yes("interface_name", &Text),
    yes("ipv4_address", &Text),
    yes("ipv6_address", &Text),
    yes("link_local_ips", &NAMES),
    yes("mac_address", &Text),
    yes("priority", &Integer),
    not_yet("use_service_name_alias"),
];

/// The keys of a port.
pub(crate) const PORT: &[Attribute] = &[
    inert("name", &Shape::Any),
    yes("mode", &Text),
    yes("host_ip", &Text),
    yes("target", &Integer),
    yes("published", &Scalar),
    yes("protocol", &Text),
    inert("app_protocol", &Shape::Any),
];

/// The keys of a mount.
pub(crate) const MOUNT: &[Attribute] = &[
    yes("type", &Text),
    yes("source", &Text),
    yes("target", &Text),
    yes("read_only", &Boolean),
    inert("consistency", &Shape::Any),
    yes("bind", &Shape::Object(MOUNT_BIND)),
    yes("volume", &Shape::Object(MOUNT_VOLUME)),
    yes("tmpfs", &Shape::Object(MOUNT_TMPFS)),
    not_yet("image"),
];

/// The keys of a mount's `bind`.
pub(crate) const MOUNT_BIND: &[Attribute] =
    &[inert("selinux", &Text), yes("propagation", &Text), yes("create_host_path", &Boolean), yes("recursive", &Text)];

/// The keys of a mount's `volume`.
pub(crate) const MOUNT_VOLUME: &[Attribute] = &[yes("labels", &Dictionary), yes("nocopy", &Boolean), yes("subpath", &Text)];

/// The keys of a mount's `tmpfs`.
pub(crate) const MOUNT_TMPFS: &[Attribute] = &[yes("size", &Bytes), yes("mode", &Number)];

/// The keys of a network.
pub(crate) const NETWORK: &[Attribute] = &[
    yes("name", &Text),
    yes("driver", &Text),
    yes("driver_opts", &Shape::Options),
    yes("ipam", &Shape::Object(IPAM)),
    yes("external", &Boolean),
    yes("internal", &Boolean),
    yes("attachable", &Boolean),
    yes("labels", &Dictionary),
    yes("enable_ipv4", &Boolean),
    yes("enable_ipv6", &Boolean),
];

/// The keys of `ipam`.
pub(crate) const IPAM: &[Attribute] = &[
    yes("driver", &Text),
    yes("config", &Shape::List(&Shape::Object(IPAM_POOL), Unique::Field("subnet"))),
    yes("options", &Shape::Options),
];

/// The keys of an address pool.
pub(crate) const IPAM_POOL: &[Attribute] =
    &[yes("subnet", &Text), yes("gateway", &Text), yes("ip_range", &Text), yes("aux_addresses", &Shape::Options)];

/// The keys of a volume.
pub(crate) const VOLUME: &[Attribute] =
    &[yes("name", &Text), yes("driver", &Text), yes("driver_opts", &Shape::Options), yes("external", &Boolean), yes("labels", &Dictionary)];

/// The keys of a secret or config in a service.
pub(crate) const SERVICE_FILE: &[Attribute] =
    &[yes("source", &Text), yes("target", &Text), yes("uid", &Text), yes("gid", &Text), yes("mode", &Shape::Mode)];

/// The keys of a command that runs in a container.
pub(crate) const HOOK: &[Attribute] = &[
    yes("command", &Command),
    yes("user", &Text),
    yes("privileged", &Boolean),
    yes("working_dir", &Text),
    yes("environment", &Dictionary),
];

/// The keys of a container that runs before those of a service.
pub(crate) const PRE_START: &[Attribute] = &[
    yes("command", &Command),
    yes("image", &Text),
    yes("user", &Text),
    yes("privileged", &Boolean),
    yes("working_dir", &Text),
    yes("environment", &Dictionary),
    yes("per_replica", &Boolean),
];

/// The keys of a secret.
pub(crate) const SECRET: &[Attribute] = &[
    yes("name", &Text),
    yes("file", &Shape::Path),
    yes("environment", &Text),
    yes("external", &Boolean),
    inert("labels", &Dictionary),
    not_yet("driver"),
    not_yet("driver_opts"),
    not_yet("template_driver"),
];

/// The keys of a config.
pub(crate) const CONFIG: &[Attribute] = &[
    yes("name", &Text),
    yes("file", &Shape::Path),
    yes("environment", &Text),
    yes("content", &Text),
    yes("external", &Boolean),
    inert("labels", &Dictionary),
    not_yet("template_driver"),
];

/// Finds an attribute of a table.
pub(crate) fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &mut String, prefix: &str, attributes: &[Attribute]) {
        for attribute in attributes {
            let class = match attribute.class {
                Class::Implemented => "implemented",
                Class::Inert => "inert",
                Class::NotYet => "not yet",
                Class::Later => "not yet where it matters",
            };
            let path = format!("{prefix}{}", attribute.name);
            text.push_str(&format!("| `{path}` | {class} |\n"));
            below(text, &path, attribute.shape);
        }
    }

    fn below(text: &mut String, path: &str, shape: &Shape) {
        match shape {
            Shape::Object(attributes) => rows(text, &format!("{path}."), attributes),
            Shape::Map(inner) => below(text, &format!("{path}.*"), inner),
            Shape::List(inner, _) => below(text, &format!("{path}[]"), inner),
            Shape::Short(_, inner) => below(text, path, inner),
            Shape::Ulimit => rows(text, &format!("{path}."), ULIMIT),
            _ => {}
        }
    }

    /// `UPDATE=1` writes the file.
    #[test]
    fn the_table_for_people_is_the_one_for_the_program() {
        let mut text = String::from(concat!(
            "# State of support\n\n",
            "Written from [schema.rs](schema.rs). *Implemented*: it does what the specification says. *Inert*: it has no effect in Docker ",
            "Compose on one Linux\nhost either, and a warning names its line. *Not yet*: an error with file, line and column.\n",
            "*Not yet where it matters*: an error where there is no `image`, else a warning.\n\n",
            "| attribute | class |\n|---|---|\n"
        ));
        rows(&mut text, "", FILE);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/compose/project/support.md");
        #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
        let update = std::env::var_os("UPDATE").is_some();
        if update {
            std::fs::write(file, &text).expect("the file");
        }
        assert!(std::fs::read_to_string(file).unwrap_or_default() == text, "support.md is out of date: run this test with UPDATE=1");
    }
}
