//! What an engine tells of itself, and the credentials a client sends along.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE};
use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::time;
use crate::resource::image::{Credentials, DOCKER_HUB};
use crate::resource::system::{EngineVersion, SystemInfo};

/// The newest version of the Docker Engine API that is spoken here.
pub const API_VERSION: &str = crate::resource::system::API_VERSION;

/// The oldest.
pub const MIN_API_VERSION: &str = crate::resource::system::MIN_API_VERSION;

/// Under which address Docker's configuration keeps the credentials of its own registry.
const HUB_ADDRESS: &str = "https://index.docker.io/v1/";

/// Writes `GET /version`.
pub fn version_to_json(version: &EngineVersion) -> Value {
    let details = json!({
        "ApiVersion": API_VERSION,
        "Arch": version.architecture,
        "Experimental": "false",
        "GitCommit": version.commit,
        "KernelVersion": version.kernel,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": version.os,
    });
    json!({
        "Platform": { "Name": version.name },
        "Components": [{ "Name": "Engine", "Version": version.version, "Details": details }],
        "Version": version.version,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": version.commit,
        "GoVersion": "",
        "Os": version.os,
        "Arch": version.architecture,
        "KernelVersion": version.kernel,
    })
}

/// Reads `GET /version`.
pub fn version_from_json(body: Value) -> Result<EngineVersion, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let mut platform = fields.object("Platform")?;
    Ok(EngineVersion {
        // Distributions build Docker without it.
        name: platform.text("Name")?.filter(|name| !name.is_empty()).unwrap_or_else(|| "Docker Engine".to_owned()),
        version: fields.text("Version")?.unwrap_or_default(),
        api_version: fields.text("ApiVersion")?.unwrap_or_default(),
        min_api_version: fields.text("MinAPIVersion")?.unwrap_or_default(),
        commit: fields.text("GitCommit")?.unwrap_or_default(),
        os: fields.text("Os")?.unwrap_or_default(),
        architecture: fields.text("Arch")?.unwrap_or_default(),
        kernel: fields.text("KernelVersion")?.unwrap_or_default(),
    })
}

/// Writes `GET /info`.
pub fn info_to_json(info: &SystemInfo) -> Value {
    let mut value = json!({
        "ID": info.id,
        "Containers": info.running + info.paused + info.stopped,
        "ContainersRunning": info.running,
        "ContainersPaused": info.paused,
        "ContainersStopped": info.stopped,
        "Images": info.images,
        "Driver": "overlay2",
        "DriverStatus": [
            ["Backing Filesystem", info.file_system], ["Supports d_type", "true"], ["Using metacopy", "false"],
            ["Native Overlay Diff", "true"], ["userxattr", "false"]
        ],
        "Plugins": { "Volume": ["local"], "Network": ["bridge", "host", "null"], "Authorization": null, "Log": ["json-file", "none"] },
        "MemoryLimit": info.memory_limit,
        "SwapLimit": info.memory_limit,
        "CpuCfsPeriod": info.cpu_limit,
        "CpuCfsQuota": info.cpu_limit,
        "CPUShares": info.cpu_limit,
        "CPUSet": info.cpu_limit,
        "PidsLimit": info.pids_limit,
        "IPv4Forwarding": info.ipv4_forwarding,
        "Debug": false,
        "NFd": info.descriptors,
        "OomKillDisable": false,
        "NGoroutines": 0,
        "SystemTime": time::to_json(info.time),
    });
    // Both names mean the engine's own.
    let runtime = json!({ "path": "gantry", "status": {} });
    // In two pieces: one would be too deep for the macro.
    let rest = json!({
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2",
        "NEventsListener": info.listeners,
        "KernelVersion": info.kernel,
        "OperatingSystem": info.operating_system,
        "OSVersion": info.os_version,
        "OSType": "linux",
        "Architecture": info.architecture,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": registries(info),
        "NCPU": info.cpus,
        "MemTotal": info.memory,
        "GenericResources": null,
        "DockerRootDir": info.data_root,
        "HttpProxy": info.proxies[0],
        "HttpsProxy": info.proxies[1],
        "NoProxy": info.proxies[2],
        "Name": info.name,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": info.version,
        "Runtimes": { "io.containerd.runc.v2": runtime, "runc": runtime },
        "DefaultRuntime": "runc",
        "Swarm": {
            "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "", "RemoteManagers": null
        },
        "LiveRestoreEnabled": true,
        "Isolation": "",
        "ContainerdCommit": { "ID": "" },
        "RuncCommit": { "ID": "" },
        "InitCommit": { "ID": "" },
        "FirewallBackend": { "Driver": "nftables" },
        "InitBinary": "gantry",
        "SecurityOptions": info.security_options,
        "CDISpecDirs": [],
        "Warnings": if info.warnings.is_empty() { Value::Null } else { json!(info.warnings) },
        "Gantry": { "RunRoot": info.run_root },
    });
    if let (Value::Object(fields), Value::Object(rest)) = (&mut value, rest) {
        fields.extend(rest);
    }
    value
}

/// Which registries are special, and how.
fn registries(info: &SystemInfo) -> Value {
    let is_block = |text: &&String| text.split_once('/').is_some_and(|(address, _)| address.parse::<std::net::IpAddr>().is_ok());
    let blocks = ["::1/128", "127.0.0.0/8"].into_iter().map(str::to_owned);
    let blocks: Vec<String> = blocks.chain(info.insecure_registries.iter().filter(is_block).cloned()).collect();
    let hub = json!({ "Name": "docker.io", "Mirrors": info.mirrors, "Secure": true, "Official": true });
    let mut indexes = Map::from_iter([("docker.io".to_owned(), hub)]);
    for name in info.insecure_registries.iter().filter(|name| !is_block(name)) {
        indexes.insert(name.clone(), json!({ "Name": name, "Mirrors": [], "Secure": false, "Official": false }));
    }
    let mirrors = if info.mirrors.is_empty() { Value::Null } else { json!(info.mirrors) };
    json!({ "InsecureRegistryCIDRs": blocks, "IndexConfigs": indexes, "Mirrors": mirrors })
}

/// Reads `GET /info`.
pub fn info_from_json(body: Value) -> Result<SystemInfo, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let mut ours = fields.object("Gantry")?;
    let mut registries = fields.object("RegistryConfig")?;
    let status: Vec<(String, String)> = fields.get("DriverStatus", "a list of pairs")?.unwrap_or_default();
    let insecure = registries.entries("IndexConfigs")?.into_iter().filter(|(_, index)| index["Secure"] == json!(false));
    Ok(SystemInfo {
        id: fields.text("ID")?.unwrap_or_default(),
        name: fields.text("Name")?.unwrap_or_default(),
        running: fields.unsigned("ContainersRunning")?.unwrap_or_default(),
        paused: fields.unsigned("ContainersPaused")?.unwrap_or_default(),
        stopped: fields.unsigned("ContainersStopped")?.unwrap_or_default(),
        images: fields.unsigned("Images")?.unwrap_or_default(),
        data_root: fields.text("DockerRootDir")?.unwrap_or_default(),
        run_root: ours.text("RunRoot")?.unwrap_or_default(),
        cpus: fields.unsigned("NCPU")?.unwrap_or_default(),
        memory: fields.unsigned("MemTotal")?.unwrap_or_default(),
        kernel: fields.text("KernelVersion")?.unwrap_or_default(),
        operating_system: fields.text("OperatingSystem")?.unwrap_or_default(),
        os_version: fields.text("OSVersion")?.unwrap_or_default(),
        architecture: fields.text("Architecture")?.unwrap_or_default(),
        time: fields.text("SystemTime")?.and_then(|text| time::from_text(&text)),
        version: fields.text("ServerVersion")?.unwrap_or_default(),
        ipv4_forwarding: fields.flag("IPv4Forwarding")?,
        memory_limit: fields.flag("MemoryLimit")?,
        cpu_limit: fields.flag("CpuCfsQuota")?,
        pids_limit: fields.flag("PidsLimit")?,
        file_system: status.into_iter().find(|(name, _)| name == "Backing Filesystem").map(|(_, kind)| kind).unwrap_or_default(),
        descriptors: fields.unsigned("NFd")?.unwrap_or_default(),
        listeners: fields.unsigned("NEventsListener")?.unwrap_or_default(),
        insecure_registries: insecure.map(|(name, _)| name).collect(),
        mirrors: registries.texts("Mirrors")?,
        proxies: [
            fields.text("HttpProxy")?.unwrap_or_default(),
            fields.text("HttpsProxy")?.unwrap_or_default(),
            fields.text("NoProxy")?.unwrap_or_default(),
        ],
        security_options: fields.texts("SecurityOptions")?,
        warnings: fields.texts("Warnings")?,
    })
}

/// Writes credentials, the body of `POST /auth`. Docker's own registry is called as it calls it.
pub fn credentials_to_json(credentials: &Credentials, registry: &str) -> Value {
    match credentials {
        Credentials::Password { username, password } => {
            json!({ "username": username, "password": password, "serveraddress": registry })
        }
        Credentials::IdentityToken(token) => json!({ "identitytoken": token, "serveraddress": registry }),
        Credentials::RegistryToken(token) => json!({ "registrytoken": token, "serveraddress": registry }),
    }
}

/// Reads the body of `POST /auth`: the registry, and the credentials if there are any.
pub fn login_from_json(body: Value) -> Result<(String, Option<Credentials>), WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let address = fields.text("serveraddress")?.unwrap_or_default();
    Ok((registry_at(&address).to_owned(), credentials(&mut fields)?))
}

/// The registry at an address, under which Docker's configuration keeps it.
fn registry_at(address: &str) -> &str {
    let bare = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    match bare.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}

/// Writes that a registry lets somebody in.
pub fn logged_in_to_json() -> Value {
    json!({ "Status": "Login Succeeded", "IdentityToken": "" })
}

/// Writes `X-Registry-Auth`.
pub fn credentials_to_header(credentials: &Credentials, registry: &str) -> String {
    URL_SAFE.encode(credentials_to_json(credentials, registry).to_string())
}

/// Writes `X-Registry-Auth` where there are no credentials.
pub fn no_credentials_to_header() -> String {
    URL_SAFE.encode("{}")
}

/// Reads `X-Registry-Auth`; an empty object is no credentials.
pub fn credentials_from_header(header: &str) -> Result<Option<Credentials>, WireError> {
    credentials_from_json(header_to_json("X-Registry-Auth", header)?)
}

/// Writes `X-Registry-Config`: the credentials of every registry that a build may need.
pub fn all_credentials_to_header(credentials: &BTreeMap<String, Credentials>) -> String {
    let address = |registry: &str| if registry == DOCKER_HUB { HUB_ADDRESS.to_owned() } else { registry.to_owned() };
    let map = credentials.iter().map(|(registry, it)| (address(registry), credentials_to_json(it, &address(registry))));
    URL_SAFE.encode(Value::Object(map.collect()).to_string())
}

/// Reads `X-Registry-Config`: credentials, by registry.
pub fn all_credentials_from_header(header: &str) -> Result<BTreeMap<String, Credentials>, WireError> {
    let map = match header_to_json("X-Registry-Config", header)? {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(map) => map,
        _ => return Err(WireError::malformed("X-Registry-Config", "an object of credentials by registry")),
    };
    let mut all = BTreeMap::new();
    for (address, value) in map {
        if let Some(found) = credentials_from_json(value)? {
            all.insert(registry_at(&address).to_owned(), found);
        }
    }
    Ok(all)
}

/// Reads a header that is JSON in base64; an empty one is `null`.
fn header_to_json(name: &str, header: &str) -> Result<Value, WireError> {
    // Some clients pad, others do not.
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoder = GeneralPurpose::new(&base64::alphabet::URL_SAFE, config);
    let wrong = || WireError::malformed(name, "URL-safe base64 of a JSON object");
    if header.is_empty() {
        return Ok(Value::Null);
    }
    let bytes = decoder.decode(header.replace('+', "-").replace('/', "_")).map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}

/// Reads what [`credentials_to_json`] writes; an empty object is no credentials.
pub fn credentials_from_json(value: Value) -> Result<Option<Credentials>, WireError> {
    credentials(&mut Fields::of("X-Registry-Auth", value, Mood::Answer)?)
}

fn credentials(fields: &mut Fields) -> Result<Option<Credentials>, WireError> {
    if let Some(token) = fields.text("registrytoken")? {
        return Ok(Some(Credentials::RegistryToken(token)));
    }
    if let Some(token) = fields.text("identitytoken")? {
        return Ok(Some(Credentials::IdentityToken(token)));
    }
    let password = fields.text("password")?.unwrap_or_default();
    Ok(fields.text("username")?.filter(|username| !username.is_empty()).map(|username| Credentials::Password { username, password }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_survives() {
        let text = |text: &str| text.to_owned();
        let version = EngineVersion {
            name: text("Gantry"),
            version: text("0.1.0"),
            api_version: text(API_VERSION),
            min_api_version: text(MIN_API_VERSION),
            commit: text("abc"),
            os: text("linux"),
            architecture: text("amd64"),
            kernel: text("6.18"),
        };
        assert_eq!(version_from_json(version_to_json(&version)).expect("good"), version);
        let info = SystemInfo {
            id: text("id"),
            name: text("host"),
            running: 1,
            paused: 2,
            stopped: 3,
            images: 4,
            data_root: text("/data"),
            run_root: text("/run"),
            cpus: 2,
            memory: 5,
            kernel: text("6.18"),
            operating_system: text("Debian"),
            os_version: text("12"),
            architecture: text("x86_64"),
            time: Some(crate::resource::time::Timestamp::from_nanos(9)),
            version: text("0.1.0"),
            ipv4_forwarding: true,
            memory_limit: true,
            cpu_limit: true,
            pids_limit: true,
            file_system: text("extfs"),
            descriptors: 6,
            listeners: 7,
            mirrors: vec![text("http://127.0.0.1:5000")],
            insecure_registries: vec![text("127.0.0.1:5001")],
            proxies: [text("http://a"), text("http://b"), text("c")],
            security_options: vec![text("name=seccomp,profile=builtin")],
            warnings: vec![text("w")],
        };
        assert_eq!(info_from_json(info_to_json(&info)).expect("good"), info);
    }

    #[test]
    fn credentials_survive_their_header() {
        let text = |text: &str| text.to_owned();
        for credentials in [
            Credentials::Password { username: text("ü"), password: text("?>?>") },
            Credentials::IdentityToken(text("t")),
            Credentials::RegistryToken(text("r")),
        ] {
            let header = credentials_to_header(&credentials, "127.0.0.1:5000");
            assert!(credentials_from_header(&header).expect("good") == Some(credentials.clone()));
            assert!(credentials_from_header(header.trim_end_matches('=')).expect("good") == Some(credentials));
        }
        let body = json!({ "username": "a", "password": "b", "serveraddress": "https://index.docker.io/v1/" });
        let (registry, found) = login_from_json(body).expect("good");
        assert!(registry == DOCKER_HUB && found == Some(Credentials::Password { username: text("a"), password: text("b") }));
        let (registry, found) = login_from_json(json!({ "username": "", "serveraddress": "http://127.0.0.1:5000/v2" })).expect("good");
        assert!(registry == "127.0.0.1:5000" && found.is_none());
        let all = BTreeMap::from([
            (DOCKER_HUB.to_owned(), Credentials::IdentityToken(text("t"))),
            (text("127.0.0.1:5000"), Credentials::RegistryToken(text("r"))),
        ]);
        assert!(all_credentials_from_header(&all_credentials_to_header(&all)).expect("good") == all);
        assert!(all_credentials_from_header("").expect("good").is_empty() && all_credentials_from_header("W10=").is_err());
        assert!(credentials_from_header("e30=").expect("good").is_none());
        assert!(credentials_from_header("!").is_err());
    }
}
