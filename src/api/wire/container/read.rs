//! Reads what an engine, ours or another, tells of a container.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::Value;

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::api::wire::{container::state, spec, time};
use crate::resource::container::{ContainerInfo, ContainerSpec, EffectiveConfig, EndpointState, MountInfo, PublishedPort};
use crate::resource::time::Timestamp;

/// Reads a container from an inspect.
pub fn from_json(body: Value) -> Result<ContainerInfo, WireError> {
    let mut fields = Fields::of("", body, Mood::Answer)?;
    let image = needed(&mut fields, "Image", "a digest")?;
    let mut whole_state = fields.object("State")?;
    let (state, health) = state::from_fields(&mut whole_state)?;
    let config = fields.take("Config").unwrap_or_default();
    let host_config = fields.take("HostConfig").unwrap_or_default();
    let hostname = config.get("Hostname").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut spec = spec::from_inspect(config, host_config, &image)?;
    let effective = effective(&spec, hostname);
    let mut settings = fields.object("NetworkSettings")?;
    let endpoints = endpoints(&mut settings)?;
    spec.endpoints = endpoints.iter().map(|state| (state.network_name.clone(), state.spec.clone())).collect();
    let name = needed(&mut fields, "Name", "a name")?;
    let execs = fields.texts("ExecIDs")?;
    Ok(ContainerInfo {
        id: parse(&fields.path("Id"), &needed(&mut fields, "Id", "an id")?)?,
        name: parse("Name", name.trim_start_matches('/'))?,
        created: fields.text("Created")?.and_then(|text| time::from_text(&text)).unwrap_or(Timestamp::from_nanos(0)),
        image: parse("Image", &image)?,
        state,
        health,
        effective,
        published: published(&mut settings)?,
        endpoints,
        mounts: fields.list("Mounts")?.into_iter().map(|value| mount(value, &spec)).collect::<Result<_, _>>()?,
        restart_count: fields.get("RestartCount", "a number")?.unwrap_or_default(),
        log_path: fields.text("LogPath")?.map(PathBuf::from),
        file_digests: Default::default(),
        execs: execs.iter().filter_map(|id| id.parse().ok()).collect(),
        spec,
    })
}

/// Reads the id from a line of a list.
pub fn id_of_summary(line: &Value) -> Option<&str> {
    line.get("Id").and_then(Value::as_str)
}

fn needed(fields: &mut Fields, name: &str, expected: &str) -> Result<String, WireError> {
    fields.text(name)?.ok_or_else(|| WireError::malformed(fields.path(name), expected))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(path: &str, text: &str) -> Result<T, WireError> {
    text.parse().map_err(|error: T::Err| WireError::malformed(path, error.to_string()))
}

/// What an inspect calls the configuration is what runs: the image's and the wished one together.
fn effective(spec: &ContainerSpec, hostname: String) -> EffectiveConfig {
    let line = |(name, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    EffectiveConfig {
        entrypoint: spec.entrypoint.clone().unwrap_or_default(),
        command: spec.command.clone().unwrap_or_default(),
        environment: spec.environment.iter().map(line).collect(),
        working_dir: spec.working_dir.clone().unwrap_or_default(),
        user: spec.user.clone().unwrap_or_default(),
        labels: spec.labels.clone(),
        exposed: spec.exposed.clone(),
        // Told again, with their names, among the mounts.
        volumes: BTreeSet::new(),
        stop_signal: spec.stop_signal.clone(),
        health: spec.health.clone(),
        hostname,
    }
}

fn endpoints(settings: &mut Fields) -> Result<Vec<EndpointState>, WireError> {
    let mut endpoints = Vec::new();
    for (network_name, value) in settings.entries("Networks")? {
        let mut fields = Fields::of(&settings.path(&network_name), value, Mood::Answer)?;
        // Taken before what was wanted, which shares the object and passes over the state.
        let network = fields.text("NetworkID")?;
        let prefix = |length: Option<u64>| u8::try_from(length.unwrap_or_default()).unwrap_or_default();
        let address = fields.text("IPAddress")?.and_then(|text| text.parse().ok());
        let length = prefix(fields.unsigned("IPPrefixLen")?);
        let address6 = fields.text("GlobalIPv6Address")?.and_then(|text| text.parse().ok());
        let length6 = prefix(fields.unsigned("GlobalIPv6PrefixLen")?);
        let gateway = fields.text("Gateway")?.and_then(|text| text.parse().ok());
        let gateway6 = fields.text("IPv6Gateway")?.and_then(|text| text.parse().ok());
        let dns_names = fields.texts("DNSNames")?;
        let mac = fields.text("MacAddress")?;
        let spec = spec::endpoint_from_fields(&mut fields)?;
        // dockerd fills in the id when the container first starts; until then there is nothing to refer to.
        let Some(network) = network else { continue };
        endpoints.push(EndpointState {
            network: parse(&fields.path("NetworkID"), &network)?,
            network_name,
            spec,
            ipv4: address.map(|address| (address, length)),
            ipv6: address6.map(|address| (address, length6)),
            gateway,
            gateway6,
            mac,
            dns_names,
        });
    }
    Ok(endpoints)
}

fn published(settings: &mut Fields) -> Result<Vec<PublishedPort>, WireError> {
    let mut published = Vec::new();
    for (key, list) in settings.entries("Ports")? {
        let path = settings.path("Ports");
        let container = spec::parse_port(&path, &key)?;
        for value in list.as_array().into_iter().flatten() {
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
            let host_ip = match text("HostIp") {
                "" => IpAddr::from([0; 4]),
                address => parse(&path, address)?,
            };
            published.push(PublishedPort { container, host_ip, host_port: parse(&path, text("HostPort"))? });
        }
    }
    Ok(published)
}

fn mount(value: Value, spec: &ContainerSpec) -> Result<MountInfo, WireError> {
    use crate::resource::container::MountSource;
    let mut fields = Fields::of("Mounts", value, Mood::Answer)?;
    let kind = fields.text("Type")?.unwrap_or_default();
    let target = fields.text("Destination")?.unwrap_or_default();
    let wish = spec.mounts.iter().find(|mount| mount.target == target).map(|mount| &mount.source);
    // A volume that nobody named came from the image, or from a mount without a name.
    let anonymous = kind == "volume" && !matches!(wish, Some(MountSource::Volume { name: Some(_), .. }));
    Ok(MountInfo {
        name: fields.text("Name")?,
        source: PathBuf::from(fields.text("Source")?.unwrap_or_default()),
        writable: fields.flag("RW")?,
        propagation: fields.text("Propagation")?.unwrap_or_default(),
        kind,
        target,
        anonymous,
    })
}
