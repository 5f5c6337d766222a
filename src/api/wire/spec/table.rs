//! Every field of the body of Docker's `POST /containers/create` (API 1.51, `ContainerConfig`, `HostConfig`, `NetworkingConfig` and what
//! is in them), with values, and what becomes of each here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{from_json, to_json};
use crate::resource::container::ContainerSpec;
use crate::resource::failure::{Failure, FailureKind};

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It is part of what the container is, and is told again as it was written.
    Told,
    /// It is part of what the container is, and is told again in another form.
    Honoured,
    /// It changes nothing, in dockerd on Linux neither.
    Inert,
    /// It is refused.
    Refused(FailureKind),
}

use FailureKind::{Invalid, Unsupported};
use Fate::{Honoured, Inert, Refused, Told};

/// The fields of an object of the body.
struct Object {
    /// Where it is in the body; a number is a place in a list.
    path: &'static [&'static str],
    /// The names of all of its fields, as Docker's description of the API has them.
    names: &'static str,
    /// Values, and what becomes of them, with the rest of the object.
    values: fn() -> Vec<(&'static str, Value, Fate)>,
}

fn config() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("Hostname", json!("web"), Told),
        ("Domainname", json!("example.org"), Told),
        ("User", json!("app:staff"), Told),
        ("AttachStdin", json!(true), Told),
        ("AttachStdout", json!(true), Told),
        ("AttachStderr", json!(true), Told),
        ("ExposedPorts", json!({"80/tcp": {}}), Told),
        ("ExposedPorts", json!({"80/odd": {}}), Refused(Invalid)),
        ("Tty", json!(true), Told),
        ("OpenStdin", json!(true), Told),
        ("StdinOnce", json!(true), Told),
        ("Env", json!(["A=b"]), Told),
        ("Env", json!(["A"]), Told),
        ("Cmd", json!(["a", "b"]), Told),
        ("Cmd", json!("a"), Honoured),
        ("Cmd", json!([]), Told),
        ("Healthcheck", json!({"Test": ["CMD", "true"]}), Told),
        ("ArgsEscaped", json!(true), Inert),
        ("Image", json!("redis"), Told),
        ("Volumes", json!({"/data": {}}), Told),
        ("WorkingDir", json!("/srv"), Told),
        ("Entrypoint", json!(["a"]), Told),
        ("Entrypoint", json!([]), Told),
        ("Entrypoint", json!([""]), Honoured),
        ("Entrypoint", json!("a"), Honoured),
        ("NetworkDisabled", json!(true), Honoured),
        ("MacAddress", json!("02:42:ac:11:00:02"), Honoured),
        ("OnBuild", json!(["RUN true"]), Told),
        ("Labels", json!({"a": "b"}), Told),
        ("StopSignal", json!("SIGINT"), Told),
        ("StopTimeout", json!(0), Told),
        ("StopTimeout", json!(-1), Told),
        ("Shell", json!(["/bin/ash", "-c"]), Told),
    ]
}

fn health() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("Test", json!(["NONE"]), Told),
        ("Test", json!(["CMD-SHELL", "true"]), Told),
        ("Test", json!([]), Inert),
        ("Test", json!(["odd"]), Refused(Invalid)),
        ("Interval", json!(1_000_000_000), Told),
        ("Interval", json!(1), Refused(Invalid)),
        ("Timeout", json!(1_000_000_000), Told),
        ("Retries", json!(3), Told),
        ("Retries", json!(-1), Refused(Invalid)),
        ("StartPeriod", json!(1_000_000_000), Told),
        ("StartInterval", json!(1_000_000_000), Told),
    ]
}

fn host() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("CpuShares", json!(512), Told),
        ("Memory", json!(1 << 30), Told),
        ("Memory", json!(-1), Refused(Invalid)),
        ("CgroupParent", json!("/x"), Refused(Unsupported)),
        ("BlkioWeight", json!(300), Refused(Unsupported)),
        ("BlkioWeightDevice", json!([{"Path": "/dev/sda", "Weight": 300}]), Refused(Unsupported)),
        ("BlkioDeviceReadBps", json!([{"Path": "/dev/sda", "Rate": 300}]), Refused(Unsupported)),
        ("BlkioDeviceWriteBps", json!([{"Path": "/dev/sda", "Rate": 300}]), Refused(Unsupported)),
        ("BlkioDeviceReadIOps", json!([{"Path": "/dev/sda", "Rate": 300}]), Refused(Unsupported)),
        ("BlkioDeviceWriteIOps", json!([{"Path": "/dev/sda", "Rate": 300}]), Refused(Unsupported)),
        ("BlkioWeightDevice", json!([]), Inert),
        ("CpuPeriod", json!(50_000), Told),
        ("CpuQuota", json!(25_000), Told),
        ("CpuRealtimePeriod", json!(1000), Refused(Invalid)),
        ("CpuRealtimeRuntime", json!(1000), Refused(Invalid)),
        ("CpusetCpus", json!("0-1"), Told),
        ("CpusetMems", json!("0"), Told),
        ("Devices", json!([{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/f", "CgroupPermissions": "r"}]), Told),
        ("DeviceCgroupRules", json!(["c 1:3 r"]), Told),
        ("DeviceRequests", json!([{"Driver": "nvidia", "Count": -1}]), Refused(Unsupported)),
        ("KernelMemory", json!(1 << 30), Inert),
        ("KernelMemoryTCP", json!(1 << 30), Inert),
        ("MemoryReservation", json!(1 << 29), Told),
        ("MemorySwap", json!(-1), Told),
        ("MemorySwappiness", json!(60), Told),
        ("MemorySwappiness", json!(-1), Inert),
        ("MemorySwappiness", json!(101), Refused(Invalid)),
        ("NanoCpus", json!(1_500_000_000), Told),
        ("OomKillDisable", json!(true), Told),
        ("OomKillDisable", json!(false), Inert),
        ("Init", json!(true), Told),
        ("Init", json!(false), Inert),
        ("PidsLimit", json!(50), Told),
        ("PidsLimit", json!(-1), Honoured),
        ("PidsLimit", json!(0), Inert),
        ("Ulimits", json!([{"Name": "nofile", "Soft": 1, "Hard": 2}]), Told),
        ("CpuCount", json!(1), Inert),
        ("CpuPercent", json!(1), Inert),
        ("IOMaximumIOps", json!(1), Refused(Invalid)),
        ("IOMaximumBandwidth", json!(1), Refused(Invalid)),
        ("Binds", json!(["data:/data:ro", "/a:/b"]), Told),
        ("Binds", json!(["data:data"]), Refused(Invalid)),
        ("Binds", json!(["/a:/b:ro,rw"]), Refused(Invalid)),
        ("RestartPolicy", json!({"Name": "", "MaximumRetryCount": 3}), Refused(Invalid)),
        ("Mounts", json!([{"Type": "tmpfs", "Target": "/x", "Source": "x"}]), Refused(Invalid)),
        ("Mounts", json!([{"Type": "bind", "Target": "/x", "Source": "/x", "BindOptions": {"Propagation": "zz"}}]), Refused(Invalid)),
        ("ContainerIDFile", json!("/tmp/id"), Told),
        ("LogConfig", json!({"Type": "json-file", "Config": {"max-size": "1m"}}), Told),
        ("LogConfig", json!({"Type": "none", "Config": {}}), Told),
        ("LogConfig", json!({"Type": "syslog"}), Refused(Unsupported)),
        ("NetworkMode", json!("host"), Told),
        ("NetworkMode", json!("container:db"), Told),
        ("NetworkMode", json!("shop"), Told),
        ("NetworkMode", json!("default"), Inert),
        ("PortBindings", json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080-8090"}]}), Told),
        ("PortBindings", json!({"80/tcp": [{"HostPort": "x"}]}), Refused(Invalid)),
        ("RestartPolicy", json!({"Name": "on-failure", "MaximumRetryCount": 3}), Told),
        ("AutoRemove", json!(true), Told),
        ("VolumeDriver", json!("local"), Told),
        ("VolumeDriver", json!("other"), Refused(Invalid)),
        ("VolumesFrom", json!(["db:ro"]), Told),
        ("Mounts", json!([{"Type": "volume", "Source": "data", "Target": "/data"}]), Told),
        ("ConsoleSize", json!([24, 80]), Told),
        ("Annotations", json!({"a": "b"}), Told),
        ("CapAdd", json!(["CAP_NET_ADMIN"]), Told),
        ("CapDrop", json!(["ALL"]), Told),
        ("CgroupnsMode", json!("host"), Told),
        ("CgroupnsMode", json!("private"), Inert),
        ("CgroupnsMode", json!("odd"), Refused(Unsupported)),
        ("Dns", json!(["9.9.9.9"]), Told),
        ("Dns", json!(["x"]), Refused(Invalid)),
        ("DnsOptions", json!(["ndots:2"]), Told),
        ("DnsSearch", json!(["example.org"]), Told),
        ("ExtraHosts", json!(["a:1.2.3.4"]), Told),
        ("ExtraHosts", json!(["a"]), Refused(Invalid)),
        ("GroupAdd", json!(["audio"]), Told),
        ("IpcMode", json!("shareable"), Told),
        ("IpcMode", json!("container:db"), Told),
        ("IpcMode", json!("odd"), Refused(Unsupported)),
        ("Cgroup", json!("container:db"), Refused(Unsupported)),
        ("Links", json!(["db:alias"]), Told),
        ("OomScoreAdj", json!(500), Told),
        ("PidMode", json!("host"), Told),
        ("PidMode", json!("container:db"), Told),
        ("PidMode", json!("odd"), Refused(Unsupported)),
        ("Privileged", json!(true), Told),
        ("PublishAllPorts", json!(true), Told),
        ("ReadonlyRootfs", json!(true), Told),
        ("SecurityOpt", json!(["no-new-privileges"]), Told),
        ("StorageOpt", json!({"size": "1G"}), Refused(Invalid)),
        ("Tmpfs", json!({"/run": "size=1m"}), Told),
        ("UTSMode", json!("host"), Told),
        ("UTSMode", json!("odd"), Refused(Unsupported)),
        ("UsernsMode", json!("host"), Told),
        ("UsernsMode", json!("private"), Refused(Invalid)),
        ("ShmSize", json!(1 << 20), Told),
        ("ShmSize", json!(-1), Refused(Invalid)),
        ("Sysctls", json!({"net.core.somaxconn": "1"}), Told),
        ("Runtime", json!("io.containerd.runc.v2"), Told),
        ("Runtime", json!("runc"), Inert),
        ("Runtime", json!("kata"), Refused(Invalid)),
        ("Isolation", json!("default"), Inert),
        ("Isolation", json!("hyperv"), Refused(Invalid)),
        ("MaskedPaths", json!(["/proc/keys"]), Told),
        ("ReadonlyPaths", json!(["/proc/bus"]), Told),
    ]
}

fn mount() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("Target", json!("/b"), Told),
        ("Target", json!("b"), Refused(Invalid)),
        ("Source", json!("/b"), Told),
        ("Source", json!("b"), Refused(Invalid)),
        ("Type", json!("bind"), Told),
        ("Type", json!("npipe"), Refused(Unsupported)),
        ("Type", json!("image"), Refused(Unsupported)),
        ("Type", json!("cluster"), Refused(Unsupported)),
        ("ReadOnly", json!(true), Told),
        ("Consistency", json!("cached"), Inert),
        ("Consistency", json!("odd"), Refused(Unsupported)),
        ("BindOptions", json!({"Propagation": "rshared"}), Told),
        ("VolumeOptions", json!({"NoCopy": true}), Refused(Unsupported)),
        ("ImageOptions", json!({"Subpath": "a"}), Refused(Unsupported)),
        ("TmpfsOptions", json!({"SizeBytes": 1}), Refused(Unsupported)),
        // A swarm's.
        ("ClusterOptions", json!({"a": 1}), Refused(Unsupported)),
    ]
}

fn bind() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("Propagation", json!("rslave"), Told),
        ("NonRecursive", json!(true), Told),
        ("CreateMountpoint", json!(true), Told),
        ("ReadOnlyNonRecursive", json!(true), Refused(Invalid)),
        ("ReadOnlyForceRecursive", json!(true), Refused(Invalid)),
    ]
}

fn volume() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("NoCopy", json!(true), Told),
        ("Labels", json!({"a": "b"}), Told),
        ("DriverConfig", json!({"Name": "local"}), Inert),
        ("DriverConfig", json!({"Name": "other"}), Refused(Unsupported)),
        ("DriverConfig", json!({"Options": {"type": "tmpfs"}}), Refused(Unsupported)),
        ("Subpath", json!("a"), Told),
    ]
}

fn memory() -> Vec<(&'static str, Value, Fate)> {
    vec![("SizeBytes", json!(4096), Told), ("Mode", json!(0o1770), Told), ("Options", json!([["noexec"]]), Honoured)]
}

fn networking() -> Vec<(&'static str, Value, Fate)> {
    vec![("EndpointsConfig", json!({"shop": {}}), Honoured)]
}

fn endpoint() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("IPAMConfig", json!({"IPv4Address": "10.1.0.7"}), Told),
        ("Links", json!(["db:alias"]), Told),
        ("MacAddress", json!("02:42:ac:11:00:02"), Told),
        ("Aliases", json!(["www"]), Told),
        ("DriverOpts", json!({"com.docker.network.endpoint.ifname": "wan"}), Told),
        ("DriverOpts", json!({"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1"}), Refused(Unsupported)),
        ("GwPriority", json!(5), Told),
        // What engines tell, and clients that copy an endpoint repeat.
        ("NetworkID", json!("a"), Inert),
        ("EndpointID", json!("a"), Inert),
        ("Gateway", json!("a"), Inert),
        ("IPAddress", json!("a"), Inert),
        ("IPPrefixLen", json!(1), Inert),
        ("IPv6Gateway", json!("a"), Inert),
        ("GlobalIPv6Address", json!("a"), Inert),
        ("GlobalIPv6PrefixLen", json!(1), Inert),
        ("DNSNames", json!(["a"]), Inert),
    ]
}

fn addresses() -> Vec<(&'static str, Value, Fate)> {
    vec![
        ("IPv4Address", json!("10.1.0.7"), Told),
        ("IPv4Address", json!("x"), Refused(Invalid)),
        ("IPv6Address", json!("fd00::7"), Told),
        ("LinkLocalIPs", json!(["169.254.3.4"]), Told),
    ]
}

const OBJECTS: &[Object] = &[
    Object {
        path: &[],
        names: "ArgsEscaped AttachStderr AttachStdin AttachStdout Cmd Domainname Entrypoint Env ExposedPorts Healthcheck Hostname Image Labels \
                MacAddress NetworkDisabled OnBuild OpenStdin Shell StdinOnce StopSignal StopTimeout Tty User Volumes WorkingDir",
        values: config,
    },
    Object { path: &["Healthcheck"], names: "Interval Retries StartInterval StartPeriod Test Timeout", values: health },
    Object {
        path: &["HostConfig"],
        names: "Annotations AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeight \
                BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode ConsoleSize ContainerIDFile CpuCount CpuPercent CpuPeriod \
                CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus CpusetMems DeviceCgroupRules DeviceRequests Devices Dns \
                DnsOptions DnsSearch ExtraHosts GroupAdd IOMaximumBandwidth IOMaximumIOps Init IpcMode Isolation KernelMemory \
                KernelMemoryTCP Links LogConfig MaskedPaths Memory MemoryReservation MemorySwap MemorySwappiness Mounts NanoCpus \
                NetworkMode OomKillDisable OomScoreAdj PidMode PidsLimit PortBindings Privileged PublishAllPorts ReadonlyPaths \
                ReadonlyRootfs RestartPolicy Runtime SecurityOpt ShmSize StorageOpt Sysctls Tmpfs UTSMode Ulimits UsernsMode VolumeDriver \
                VolumesFrom",
        values: host,
    },
    Object {
        path: &["HostConfig", "Mounts", "0"],
        names: "BindOptions ClusterOptions Consistency ImageOptions ReadOnly Source Target TmpfsOptions Type VolumeOptions",
        values: mount,
    },
    Object {
        path: &["HostConfig", "Mounts", "0", "BindOptions"],
        names: "CreateMountpoint NonRecursive Propagation ReadOnlyForceRecursive ReadOnlyNonRecursive",
        values: bind,
    },
    Object { path: &["HostConfig", "Mounts", "1", "VolumeOptions"], names: "DriverConfig Labels NoCopy Subpath", values: volume },
    Object { path: &["HostConfig", "Mounts", "2", "TmpfsOptions"], names: "Mode Options SizeBytes", values: memory },
    Object { path: &["NetworkingConfig"], names: "EndpointsConfig", values: networking },
    Object {
        path: &["NetworkingConfig", "EndpointsConfig", "net"],
        names: "Aliases DNSNames DriverOpts EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen GwPriority IPAMConfig IPAddress \
                IPPrefixLen IPv6Gateway Links MacAddress NetworkID",
        values: endpoint,
    },
    Object {
        path: &["NetworkingConfig", "EndpointsConfig", "net", "IPAMConfig"],
        names: "IPv4Address IPv6Address LinkLocalIPs",
        values: addresses,
    },
];

/// A body in which every object above has its place.
fn body(path: &[&str]) -> Value {
    let mut body = json!({});
    if path.contains(&"Mounts") {
        body["HostConfig"]["Mounts"] = json!([
            {"Type": "bind", "Source": "/a", "Target": "/a"},
            {"Type": "volume", "Source": "data", "Target": "/data"},
            {"Type": "tmpfs", "Target": "/memory"},
        ]);
    }
    if path.contains(&"net") {
        body["NetworkingConfig"]["EndpointsConfig"]["net"] = json!({});
    }
    body
}

fn at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match step.parse::<usize>() {
        Ok(index) => &mut value[index],
        Err(_) => &mut value[*step],
    })
}

#[test]
fn every_field_is_honoured_inert_or_refused() {
    for object in OBJECTS {
        let values = (object.values)();
        let tried: BTreeSet<&str> = values.iter().map(|(name, ..)| *name).collect();
        assert_eq!(tried, object.names.split_whitespace().collect(), "{:?}", object.path);
        let without: ContainerSpec = from_json(body(object.path), None).expect("a good body");
        for (name, value, fate) in values {
            let mut asked = body(object.path);
            at(&mut asked, object.path)[name] = value.clone();
            let place: String = object.path.iter().chain([&name]).map(|step| format!("/{step}")).collect();
            let seen = match from_json(asked, None) {
                Err(error) => {
                    let failure = Failure::from(error);
                    assert!(!failure.message.is_empty());
                    Refused(failure.kind)
                }
                Ok(spec) if spec == without && fate == Inert => Inert,
                // What is the same anyway: `bind` is what it is already.
                Ok(spec) if to_json(&spec).pointer(&place) == Some(&value) => Told,
                Ok(spec) if spec == without => Inert,
                Ok(_) => Honoured,
            };
            assert_eq!(seen, fate, "{:?} {name} {value}", object.path);
        }
    }
}
