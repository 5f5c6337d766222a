//! The keys of a service.

use crate::compose::project::schema::Shape::{Boolean, Bytes, Command, Dictionary, Duration, Integer, Number, Scalar, Test, Text, Texts};
use crate::compose::project::schema::deploy::{DEPLOY, DEVICE_REQUEST};
use crate::compose::project::schema::{Attribute, BUILD, Form, HOSTS, NAMES, Print, Shape, ULIMITS, Unique, VALUES, inert, not_yet, yes};

/// The keys of a service.
pub(crate) const SERVICE: &[Attribute] = &[
    yes("profiles", &NAMES, "The profiles that enable it; without any it is always enabled."),
    yes("annotations", &Dictionary, "Notes on the container, for programs that look at it."),
    yes("attach", &Boolean, "Whether `up` shows what it writes; it does unless this is `false`.").printed(Print::Always),
    yes("build", &Shape::Short(Form::Build, &Shape::Object(BUILD)), "How its image is built: a folder with a Dockerfile, or more."),
    inert("develop", &Shape::Object(DEVELOP), "What `watch` does when files change."),
    not_yet("blkio_config", &Shape::Object(BLKIO), "Its share of block devices, and limits on them."),
    yes("cap_add", &NAMES, "Capabilities of the kernel it has beside the default ones; `ALL` is every one."),
    yes("cap_drop", &NAMES, "Capabilities it does not have; `ALL` is every one."),
    not_yet("cgroup_parent", &Text, "The control group that its own lies in."),
    yes("cgroup", &Shape::Word(&["host", "private"]), "Its control-group namespace."),
    inert("cpu_count", &Shape::Within(0, i64::MAX), "The number of processors, on Windows."),
    inert("cpu_percent", &Shape::Within(0, 100), "The share of the processors, on Windows."),
    yes("cpu_period", &Integer, "The period of the processor quota in microseconds."),
    yes("cpu_quota", &Integer, "Microseconds of processor time in a period."),
    not_yet("cpu_rt_period", &Integer, "The period of the real-time quota in microseconds."),
    not_yet("cpu_rt_runtime", &Integer, "Microseconds of real-time processor time in a period."),
    yes("cpus", &Number, "How many processors it may use; fractions are allowed."),
    yes("cpuset", &Text, "The processors it may use, as in `0-3,5`."),
    yes("cpu_shares", &Integer, "Its weight against others where processors are short; 1024 is the default."),
    yes("command", &Command, "What it runs, in place of the image's command: a line, or a list of words.").printed(Print::Always),
    yes(
        "configs",
        &Shape::List(&Shape::Short(Form::Config, &Shape::Object(SERVICE_FILE)), Unique::File),
        "Configs of the project that it may read.",
    ),
    yes("container_name", &Text, "The container's name instead of `PROJECT-SERVICE-N`; there can be but one of it then."),
    inert("credential_spec", &Shape::Object(CREDENTIAL_SPEC), "Credentials of a managed account, on Windows."),
    yes(
        "depends_on",
        &Shape::Short(Form::Dependencies, &Shape::Map(&Shape::Object(DEPENDENCY))),
        "Services that are started before it, and what it waits for in each.",
    ),
    yes("deploy", &Shape::Object(DEPLOY), "How many there are of it and what they may use; a swarm knows more."),
    yes("device_cgroup_rules", &VALUES, "Devices it may use beside those it is given, as in `c 1:3 mr`."),
    yes(
        "devices",
        &Shape::List(&Shape::Short(Form::Device, &Shape::Object(DEVICE)), Unique::Field("target")),
        "Devices of the host, `HOST[:CONTAINER[:PERMISSIONS]]`.",
    ),
    yes("dns", &Shape::Short(Form::Servers, &Texts), "Name servers."),
    yes("dns_opt", &Texts, "Options of resolv.conf."),
    yes("dns_search", &Texts, "Domains that names without a dot are looked for in."),
    yes("domainname", &Text, "The NIS domain name."),
    yes("entrypoint", &Command, "What runs before the command, in place of the image's; the image's command goes with it.")
        .printed(Print::Always),
    not_yet("provider", &Shape::Object(PROVIDER), "A program that provides the service instead of a container."),
    yes("environment", &Dictionary, "Variables; one without a value has that of the project's environment."),
    yes(
        "env_file",
        &Shape::Short(Form::EnvFiles, &Shape::List(&Shape::Object(ENV_FILE), Unique::Field("path"))),
        "Files with variables; a later one wins, and `environment` wins over all.",
    ),
    yes("expose", &Shape::List(&Scalar, Unique::Value), "Ports it listens on for others on its networks; nothing is published."),
    yes(
        "extends",
        &Shape::Short(Form::Extends, &Shape::Object(EXTENDS)),
        "A service, of this file or another, that this one is made of and goes on top of.",
    ),
    yes("external_links", &VALUES, "Containers outside of the project, `CONTAINER[:ALIAS]`."),
    yes("extra_hosts", &HOSTS, "Names and their addresses; `host-gateway` is the host."),
    yes("group_add", &Shape::List(&Scalar, Unique::Value), "Groups that the user is in, too."),
    not_yet(
        "gpus",
        &Shape::Short(Form::Devices, &Shape::List(&Shape::Object(DEVICE_REQUEST), Unique::Nothing)),
        "Graphics processors: `all`, or a list of requests.",
    ),
    yes("hostname", &Text, "Its host name."),
    yes("healthcheck", &Shape::Object(HEALTHCHECK), "How it is found out whether it is healthy."),
    yes("image", &Text, "The image: `[REGISTRY/]NAME[:TAG][@DIGEST]`."),
    yes("init", &Boolean, "A small first process that forwards signals and reaps what is left behind.").printed(Print::Always),
    yes("ipc", &Text, "Its IPC namespace: host, private, shareable, none, `service:NAME` or `container:NAME`."),
    inert("isolation", &Text, "How it is isolated, on Windows."),
    yes("labels", &Dictionary, "Labels of the container."),
    yes("label_file", &Shape::Short(Form::Paths, &Shape::List(&Shape::Path, Unique::Value)), "Files with labels; `labels` wins over them."),
    yes("links", &NAMES, "Services it has names of its own for, `SERVICE[:ALIAS]`."),
    yes("logging", &Shape::Short(Form::Logging, &Shape::Object(LOGGING)), "Where its output goes.").printed(Print::Always),
    yes("mem_limit", &Bytes, "The most memory it may use, as in `512m`."),
    yes("mem_reservation", &Bytes, "Memory that is left to it where memory is short."),
    yes("memswap_limit", &Shape::Swap, "The most memory and swap together; -1 is without limit."),
    yes("mem_swappiness", &Bytes, "How readily its memory is swapped out: 0 to 100."),
    yes("mac_address", &Text, "The hardware address on the first of its networks."),
    not_yet("models", &Shape::Short(Form::Names, &Shape::Map(&Shape::Object(SERVICE_MODEL))), "Models of the project that it talks to."),
    yes("network_mode", &Text, "Its network: none, host, bridge, `service:NAME`, `container:NAME`, or a network of the engine."),
    yes(
        "networks",
        &Shape::Short(Form::Names, &Shape::Map(&Shape::Object(SERVICE_NETWORK))),
        "The networks of the project it is on; `default` when absent.",
    ),
    yes("oom_kill_disable", &Boolean, "Whether it is spared when it exceeds its limit of memory."),
    yes("oom_score_adj", &Shape::Within(-1000, 1000), "How soon it is killed where memory is short: -1000 to 1000."),
    yes("pid", &Shape::Optional, "Its process namespace: host, `service:NAME` or `container:NAME`."),
    yes("pids_limit", &Integer, "The most processes; -1 is without limit."),
    yes("platform", &Text, "The platform of its image, `os/arch[/variant]`."),
    yes(
        "ports",
        &Shape::Short(Form::Ports, &Shape::List(&Shape::Object(PORT), Unique::Port)),
        "Ports published on the host, `[[IP:]HOST:]CONTAINER[/PROTOCOL]`.",
    ),
    yes("privileged", &Boolean, "Every capability and every device."),
    yes(
        "pull_policy",
        &Text,
        "When its image is pulled: always, never, missing, build, refresh, daily, weekly, or `every_` with an age such as `12h`.",
    ),
    inert("pull_refresh_after", &Text, "After what time the image is pulled again."),
    yes("read_only", &Boolean, "Whether the container's own files cannot be written."),
    yes("restart", &Text, "What happens when it ends: \"no\", always, on-failure[:N] or unless-stopped."),
    yes("runtime", &Text, "The OCI runtime."),
    yes("scale", &Integer, "How many containers; 1 when absent.").printed(Print::Always),
    yes(
        "secrets",
        &Shape::List(&Shape::Short(Form::Secret, &Shape::Object(SERVICE_FILE)), Unique::File),
        "Secrets of the project that it may read, below /run/secrets.",
    ),
    yes("security_opt", &VALUES, "Security options: seccomp, no-new-privileges, apparmor, label, systempaths."),
    yes("shm_size", &Bytes, "The size of /dev/shm; 64 MB when absent."),
    yes("stdin_open", &Boolean, "Whether standard input stays open."),
    yes("stop_grace_period", &Duration, "From the stop signal to SIGKILL; 10 seconds when absent."),
    yes("stop_signal", &Text, "The signal that stops it; the image's, or SIGTERM, when absent."),
    not_yet("storage_opt", &Shape::Options, "Options of what its own files lie on."),
    yes("sysctls", &Dictionary, "Kernel parameters of its namespaces."),
    yes("tmpfs", &Texts, "Folders that live in memory, `PATH[:OPTIONS]`."),
    yes("tty", &Boolean, "Whether it has a terminal."),
    yes("ulimits", &ULIMITS, "Limits of its processes by name: a number, or `soft` and `hard`."),
    not_yet("umask", &Scalar, "The permission bits its new files lack."),
    not_yet("use_api_socket", &Shape::Switch, "Whether it may speak to the engine, with the caller's credentials."),
    yes("user", &Text, "The user, `NAME|ID[:GROUP|ID]`."),
    yes("userns_mode", &Text, "Its user namespace."),
    yes("uts", &Text, "Its host-name namespace; `host` is the host's."),
    yes(
        "volumes",
        &Shape::List(&Shape::Short(Form::Mount, &Shape::Object(MOUNT)), Unique::Field("target")),
        "What is mounted, `[SOURCE:]TARGET[:OPTIONS]`: folders of the host, volumes, memory.",
    ),
    yes("volumes_from", &VALUES, "Whose volumes it has, too: `SERVICE[:ro]` or `container:NAME[:ro]`."),
    yes("working_dir", &Text, "The folder it starts in."),
    yes("post_start", &Shape::List(&Shape::Object(HOOK), Unique::Nothing), "Commands that run in each container after it started."),
    yes(
        "pre_start",
        &Shape::List(&Shape::Object(PRE_START), Unique::Nothing),
        "Commands that run, each in a container of its own, before the first of the service starts.",
    ),
    yes("pre_stop", &Shape::List(&Shape::Object(HOOK), Unique::Nothing), "Commands that run in each container before it is stopped."),
];

/// The keys of a dependency.
const DEPENDENCY: &[Attribute] = &[
    yes("condition", &Shape::Word(&["service_started", "service_healthy", "service_completed_successfully"]), "What is waited for.")
        .needed(),
    yes("restart", &Boolean, "Whether it restarts when the other one does."),
    yes("required", &Boolean, "Whether it cannot go without; it cannot unless this is `false`.").printed(Print::Always),
];

/// The keys of `develop`.
const DEVELOP: &[Attribute] =
    &[inert("watch", &Shape::List(&Shape::Object(WATCH), Unique::Nothing), "Files that are looked at, and what they set off.")];

/// The keys of an entry of `develop.watch`.
const WATCH: &[Attribute] = &[
    inert("path", &Shape::Path, "A file or folder of the host.").needed(),
    inert("action", &Shape::Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]), "What a change sets off.").needed(),
    inert("target", &Text, "Where it is copied to."),
    inert("exec", &Shape::Object(HOOK), "What runs in the container after it was copied."),
    inert("include", &Texts, "Patterns of what counts."),
    inert("ignore", &Texts, "Patterns of what does not count."),
    inert("initial_sync", &Shape::Switch, "Whether it is copied when the watch begins."),
];

/// The keys of `blkio_config`.
const BLKIO: &[Attribute] = &[
    not_yet("weight", &Integer, "Its weight against others: 10 to 1000."),
    not_yet("weight_device", &Shape::List(&Shape::Object(BLKIO_WEIGHT), Unique::Nothing), "Its weight on a device."),
    not_yet("device_read_bps", &Shape::List(&Shape::Object(BLKIO_RATE), Unique::Nothing), "The most bytes read in a second."),
    not_yet("device_read_iops", &Shape::List(&Shape::Object(BLKIO_RATE), Unique::Nothing), "The most reads in a second."),
    not_yet("device_write_bps", &Shape::List(&Shape::Object(BLKIO_RATE), Unique::Nothing), "The most bytes written in a second."),
    not_yet("device_write_iops", &Shape::List(&Shape::Object(BLKIO_RATE), Unique::Nothing), "The most writes in a second."),
];

/// The keys of a weight on a device.
const BLKIO_WEIGHT: &[Attribute] = &[not_yet("path", &Text, "The device."), not_yet("weight", &Integer, "The weight: 10 to 1000.")];

/// The keys of a limit on a device.
const BLKIO_RATE: &[Attribute] = &[not_yet("path", &Text, "The device."), not_yet("rate", &Bytes, "Bytes or operations in a second.")];

/// The keys of `credential_spec`.
const CREDENTIAL_SPEC: &[Attribute] = &[
    inert("config", &Text, "A config of the project that holds it."),
    inert("file", &Text, "A file that holds it."),
    inert("registry", &Text, "A value of the registry that holds it."),
];

/// The keys of `provider`.
const PROVIDER: &[Attribute] = &[
    not_yet("type", &Text, "The program, or the plugin of docker.").needed(),
    not_yet("options", &Shape::Map(&Shape::Several), "Its options."),
];

/// The keys of `extends`.
const EXTENDS: &[Attribute] =
    &[yes("service", &Text, "The service.").needed(), yes("file", &Text, "The file it is in; this one when absent.")];

/// The keys of a model of a service.
const SERVICE_MODEL: &[Attribute] = &[
    not_yet("endpoint_var", &Text, "The variable that has its address; `NAME_URL` when absent."),
    not_yet("model_var", &Text, "The variable that has its name; `NAME_MODEL` when absent."),
];

/// The keys of a device.
const DEVICE: &[Attribute] = &[
    yes("source", &Text, "The device on the host.").needed(),
    yes("target", &Text, "The device in the container."),
    yes("permissions", &Text, "Some of `r`, `w` and `m`."),
];

/// The keys of `logging`.
const LOGGING: &[Attribute] = &[yes("driver", &Text, "The driver."), yes("options", &Shape::Options, "Options of the driver.")];

/// The keys of a process limit in its long form.
pub(crate) const ULIMIT: &[Attribute] = &[
    yes("soft", &Integer, "The limit in force.").printed(Print::Always).needed(),
    yes("hard", &Integer, "What the limit can be raised to.").printed(Print::Always).needed(),
];

/// The keys of an `env_file`.
const ENV_FILE: &[Attribute] = &[
    yes("path", &Shape::Path, "The file.").needed(),
    yes("required", &Boolean, "Whether it must exist; it must unless this is `false`.").printed(Print::UnlessTrue),
    yes("format", &Shape::Text, "`raw`: values are taken as they are, without quotes and variables."),
];

/// The keys of a health check.
const HEALTHCHECK: &[Attribute] = &[
    yes("test", &Test, "The command: a line for a shell, or a list that begins with CMD, CMD-SHELL or NONE."),
    yes("timeout", &Duration, "How long one may take; 30 seconds when absent."),
    yes("interval", &Duration, "From one to the next; 30 seconds when absent."),
    yes("retries", &Integer, "How many in a row may fail; 3 when absent.").printed(Print::Always),
    yes("start_period", &Duration, "How long failures do not count in the beginning."),
    yes("start_interval", &Duration, "From one to the next in that time; 5 seconds when absent."),
    yes("disable", &Boolean, "Whether the image's is off."),
];

/// The keys of a service's place on a network.
const SERVICE_NETWORK: &[Attribute] = &[
    yes("aliases", &NAMES, "Further names of it on that network."),
    yes("driver_opts", &Shape::Options, "Options of the network's driver."),
    yes("gw_priority", &Integer, "The network with the greatest has the default route."),
    yes("interface_name", &Text, "What the interface is called inside."),
    yes("ipv4_address", &Text, "A fixed address."),
    yes("ipv6_address", &Text, "A fixed address of version 6."),
    yes("link_local_ips", &NAMES, "Further addresses, of use on the link alone."),
    yes("mac_address", &Text, "A hardware address."),
    yes("priority", &Integer, "The network with the greatest is the first."),
    not_yet("use_service_name_alias", &Boolean, "Whether the service's name is one on that network."),
];

/// The keys of a port.
const PORT: &[Attribute] = &[
    inert("name", &Text, "What it is called."),
    yes("mode", &Text, "`ingress`, or `host`; the same outside of a swarm."),
    yes("host_ip", &Text, "The address on the host; all when absent."),
    yes("target", &Integer, "The port inside."),
    yes("published", &Scalar, "The port on the host, or a range; a free one when absent."),
    yes("protocol", &Text, "tcp, udp or sctp."),
    inert("app_protocol", &Text, "What is spoken on it."),
];

/// The keys of a mount.
const MOUNT: &[Attribute] = &[
    yes("type", &Shape::Word(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]), "What is mounted.").needed(),
    yes("source", &Text, "The path on the host, or the volume's name."),
    yes("target", &Text, "The path inside."),
    yes("read_only", &Boolean, "Whether it cannot be written."),
    inert("consistency", &Text, "How soon one side sees what the other wrote; on Linux at once."),
    yes("bind", &Shape::Object(MOUNT_BIND), "More on a folder of the host."),
    yes("volume", &Shape::Object(MOUNT_VOLUME), "More on a volume."),
    yes("tmpfs", &Shape::Object(MOUNT_TMPFS), "More on memory."),
    not_yet("image", &Shape::Object(MOUNT_IMAGE), "More on an image."),
];

/// The keys of a mount's `bind`.
const MOUNT_BIND: &[Attribute] = &[
    inert("selinux", &Shape::Word(&["z", "Z"]), "Whether it is relabelled: `z` for all containers, `Z` for this one."),
    yes("propagation", &Text, "Whether mounts below it pass from one side to the other."),
    yes("create_host_path", &Boolean, "Whether a missing folder is made; it is unless this is `false`.").printed(Print::UnlessTrue),
    yes("recursive", &Shape::Word(&["enabled", "disabled", "writable", "readonly"]), "Whether mounts below it come along."),
];

/// The keys of a mount's `volume`.
const MOUNT_VOLUME: &[Attribute] = &[
    yes("labels", &Dictionary, "Labels of the volume."),
    yes("nocopy", &Boolean, "Whether an empty volume stays empty instead of getting what the image has there."),
    yes("subpath", &Text, "A folder of the volume."),
];

/// The keys of a mount's `tmpfs`.
const MOUNT_TMPFS: &[Attribute] = &[yes("size", &Bytes, "Its size."), yes("mode", &Shape::Strict, "Its permission bits.")];

/// The keys of a mount's `image`.
const MOUNT_IMAGE: &[Attribute] = &[not_yet("subpath", &Text, "A folder of the image.")];

/// The keys of a secret or config in a service.
pub(crate) const SERVICE_FILE: &[Attribute] = &[
    yes("source", &Text, "Its name in the project."),
    yes("target", &Text, "Where it lies in the container."),
    yes("uid", &Text, "The user it belongs to, by number."),
    yes("gid", &Text, "The group it belongs to, by number."),
    yes("mode", &Shape::Mode, "Its permission bits."),
];

/// The keys of a command that runs in a container.
const HOOK: &[Attribute] = &[
    yes("command", &Command, "The program and its arguments.").printed(Print::Always).needed(),
    yes("user", &Text, "The user; the container's when absent."),
    yes("privileged", &Boolean, "Every capability and every device."),
    yes("working_dir", &Text, "The folder it starts in."),
    yes("environment", &Dictionary, "Variables beside the container's own."),
];

/// The keys of a container that runs before those of a service.
const PRE_START: &[Attribute] = &[
    yes("command", &Command, "The program and its arguments.").printed(Print::Always),
    yes("image", &Text, "The image; the service's when absent."),
    yes("user", &Text, "The user; the service's when absent."),
    yes("privileged", &Boolean, "Every capability and every device."),
    yes("working_dir", &Text, "The folder it starts in."),
    yes("environment", &Dictionary, "Variables beside the service's own."),
    yes("per_replica", &Boolean, "Whether it runs before each container and not once."),
];
