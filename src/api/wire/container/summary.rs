//! A container as a line of `GET /containers/json`. Of a long list there are many: what stays of a line is written once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::api::wire::container::endpoint::Endpoint;
use crate::api::wire::container::{inspect, state};
use crate::api::wire::spec;
use crate::resource::container::{ContainerInfo, ContainerPort};
use crate::resource::id::{ContainerId, ImageId};
use crate::resource::time::Timestamp;

/// A container in short, ready to be written.
#[derive(Serialize)]
pub struct Summary<'a> {
    #[serde(flatten)]
    lasting: Lasting<'a>,
    #[serde(flatten)]
    passing: Passing<'a>,
}

/// What is written of it once: it stays as long as nothing of the container changes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Lasting<'a> {
    id: ContainerId,
    names: [String; 1],
    #[serde(rename = "ImageID")]
    image_id: ImageId,
    command: String,
    created: i64,
    ports: Vec<Port>,
    labels: &'a BTreeMap<String, String>,
    state: &'static str,
    network_settings: NetworkSettings<'a>,
    mounts: Vec<inspect::Mount<'a>>,
}

/// What is written of it each time.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Passing<'a> {
    image: &'a str,
    #[serde(skip_serializing_if = "is_nothing")]
    size_rw: u64,
    #[serde(skip_serializing_if = "is_nothing")]
    size_root_fs: u64,
    status: String,
    host_config: HostConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    #[serde(rename = "IP", skip_serializing_if = "Option::is_none")]
    host_ip: Option<IpAddr>,
    private_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_port: Option<u16>,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig<'a> {
    network_mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings<'a> {
    networks: Networks<'a>,
}

struct Networks<'a>(&'a ContainerInfo);

impl Serialize for Networks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(info) = self;
        serializer.collect_map(info.endpoints.iter().map(|state| (&state.network_name, Endpoint::of(info, state).without_names())))
    }
}

impl<'a> Summary<'a> {
    /// A container in short.
    pub fn of(info: &'a ContainerInfo, passing: Passing<'a>) -> Self {
        Self { lasting: Lasting::of(info), passing }
    }
}

/// The lasting part of a container in short: JSON that is not ended yet.
pub fn lasting(info: &ContainerInfo) -> Box<[u8]> {
    // Invariant: plain data with string keys, which JSON can always hold.
    let mut text = serde_json::to_vec(&Lasting::of(info)).expect("a container is plain data");
    text.pop();
    text.into()
}

impl<'a> Lasting<'a> {
    fn of(info: &'a ContainerInfo) -> Self {
        Self {
            id: info.id,
            names: [["/", info.name.as_str()].concat()],
            image_id: info.image,
            command: command(info),
            created: info.created.as_seconds(),
            ports: ports(info),
            labels: &info.effective.labels,
            state: info.state.word(),
            network_settings: NetworkSettings { networks: Networks(info) },
            mounts: inspect::mounts(info),
        }
    }
}

impl<'a> Passing<'a> {
    /// `image` is what its image is called now.
    pub fn of(info: &'a ContainerInfo, image: &'a str, now: Timestamp) -> Self {
        let annotations = &info.spec.annotations;
        Self {
            image,
            size_rw: 0,
            size_root_fs: 0,
            status: state::sentence(&info.state, info.health.as_ref(), now),
            host_config: HostConfig {
                network_mode: spec::network_mode_text(&info.spec.network),
                annotations: (!annotations.is_empty()).then_some(annotations),
            },
        }
    }

    /// With what it has on the disk: what it wrote itself, if it did, and all it sees.
    pub fn with_sizes(mut self, (own, whole): (u64, u64)) -> Self {
        (self.size_rw, self.size_root_fs) = (own, whole);
        self
    }

    /// Without what only newer versions of the API tell.
    pub fn without_annotations(mut self) -> Self {
        self.host_config.annotations = None;
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nothing(size: &u64) -> bool {
    *size == 0
}

/// Program and arguments as dockerd joins them: quotes around what holds a space, and no more.
fn command(info: &ContainerInfo) -> String {
    let mut words = info.effective.entrypoint.iter().chain(&info.effective.command);
    let mut line = words.next().cloned().unwrap_or_default();
    for word in words {
        let quote = if word.contains(' ') { "'" } else { "" };
        line.extend([" ", quote, word, quote]);
    }
    line
}

fn ports(info: &ContainerInfo) -> Vec<Port> {
    if !info.state.is_running() || !info.spec.network.has_ports() {
        return Vec::new();
    }
    let published = |port: &ContainerPort| info.published.iter().any(|published| published.container == *port);
    let port =
        |port: &ContainerPort, host_ip, public_port| Port { host_ip, private_port: port.port, public_port, r#type: port.protocol.as_str() };
    let exposed = info.effective.exposed.iter().filter(|it| !published(it)).map(|it| port(it, None, None));
    exposed.chain(info.published.iter().map(|it| port(&it.container, Some(it.host_ip), Some(it.host_port)))).collect()
}
