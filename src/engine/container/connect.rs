//! Putting a container on a further network, and taking it off one; while it runs, its interfaces follow.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::engine::container::membership;
use crate::engine::container::record::SpecRecord;
use crate::engine::network::error::NetworkError;
use crate::resource::container::{ContainerState, EndpointSpec, EndpointState, NetworkMode};
use crate::resource::failure::Failure;
use crate::resource::network::NetworkInfo;

impl Engine {
    /// Puts a container on a further network.
    pub(in crate::engine) async fn connect_to(
        &self,
        container: &Arc<Container>,
        network: &NetworkInfo,
        endpoint: &EndpointSpec,
    ) -> Result<(), Failure> {
        let _turn = container.turn().await;
        let record = container.record();
        refuse_by_mode(&record.spec.network, network)?;
        let already = || NetworkError::AlreadyConnected { container: record.name.to_string(), network: network.name.to_string() };
        if record.networks.iter().any(|(name, _)| *name == network.name) {
            return Err(already().into());
        }
        let running = self.namespace_of(container)?;
        let joined = match &running {
            Some(netns) => {
                Some(self.shared.networks.connect(container.id(), netns.as_fd(), network.name.as_str(), endpoint.clone()).await?)
            }
            None => None,
        };
        let mut networks = record.networks.clone();
        networks.push((network.name.clone(), endpoint.clone()));
        let written = container.replace_record(SpecRecord { networks, ..SpecRecord::clone(&record) });
        if let Err(error) = written {
            if let Some(netns) = &running {
                self.shared.networks.disconnect(container.id(), netns.as_fd(), network.name.as_str()).await?;
            }
            return Err(error.into());
        }
        match joined {
            Some(state) => {
                add_hosts(container, &record, &state);
                container.update(|life| life.endpoints.push(state));
                self.keep_state(container);
                self.tell_network(container, "connect", &network.id.to_string(), network.name.as_str());
            }
            // It joins the network when it starts, and that is told then.
            None => self.show_at_rest(container),
        }
        Ok(())
    }

    /// Takes a container off a network; `force` forgives one that is not on it.
    pub(in crate::engine) async fn disconnect_from(
        &self,
        container: &Arc<Container>,
        network: &NetworkInfo,
        force: bool,
    ) -> Result<(), Failure> {
        let _turn = container.turn().await;
        let record = container.record();
        if network.name == *"host" {
            return Err(Failure::invalid(HOST));
        }
        let mut networks = record.networks.clone();
        networks.retain(|(name, _)| *name != network.name);
        if networks.len() == record.networks.len() {
            let not_there = NetworkError::NotConnected { container: record.name.to_string(), network: network.name.to_string() };
            return if force { Ok(()) } else { Err(not_there.into()) };
        }
        let running = self.namespace_of(container)?;
        if let Some(netns) = &running {
            self.shared.networks.disconnect(container.id(), netns.as_fd(), network.name.as_str()).await?;
        }
        container.replace_record(SpecRecord { networks, ..SpecRecord::clone(&record) })?;
        let gone = container.life().endpoints.into_iter().find(|state| state.network == network.id);
        container.update(|life| life.endpoints.retain(|state| state.network != network.id));
        if let Some(state) = gone {
            remove_hosts(container, &state);
        }
        if running.is_some() {
            self.keep_state(container);
            self.tell_network(container, "disconnect", &network.id.to_string(), network.name.as_str());
        }
        Ok(())
    }

    /// The network namespace of a container, if it runs.
    fn namespace_of(&self, container: &Container) -> Result<Option<File>, Failure> {
        let ContainerState::Running { pid, .. } = container.life().state else { return Ok(None) };
        let path = format!("/proc/{pid}/ns/net");
        File::open(&path).map(Some).map_err(|error| Failure::internal(format!("cannot open {path}: {error}")))
    }

    /// Tells of its networks what is known while it does not run.
    pub(super) fn show_at_rest(&self, container: &Container) {
        let at_rest = membership::at_rest(&container.record().networks, &self.shared.networks);
        container.update(|life| life.endpoints = at_rest);
    }
}

const HOST: &str = "container cannot be disconnected from host network or connected to host network";

fn refuse_by_mode(mode: &NetworkMode, network: &NetworkInfo) -> Result<(), Failure> {
    let reason = match mode {
        _ if network.name == *"host" => HOST,
        _ if network.name == *"none" => {
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        }
        NetworkMode::None => "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        NetworkMode::Host | NetworkMode::Container(_) => {
            "container sharing network namespace with another container or host cannot be connected to any other network"
        }
        NetworkMode::Bridge | NetworkMode::Named(_) => return Ok(()),
    };
    Err(Failure::invalid(reason))
}

fn addresses(state: &EndpointState) -> Vec<IpAddr> {
    state.ipv4.map(|(v4, _)| IpAddr::V4(v4)).into_iter().chain(state.ipv6.map(|(v6, _)| IpAddr::V6(v6))).collect()
}

/// Adds the container's addresses to its own hosts. The file is bound into it, so it is changed in place.
fn add_hosts(container: &Container, record: &SpecRecord, state: &EndpointState) {
    let path = container.folder().join("hosts");
    let lines: String = addresses(state).iter().map(|address| format!("{address}\t{}\n", record.effective.hostname)).collect();
    let added = OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(lines.as_bytes()));
    if let Err(error) = added {
        tracing::warn!(path = %path.display(), %error, "a container does not know its new address");
    }
}

fn remove_hosts(container: &Container, state: &EndpointState) {
    let path = container.folder().join("hosts");
    let gone: Vec<String> = addresses(state).iter().map(ToString::to_string).collect();
    let stays = |line: &&str| !gone.iter().any(|address| line.split(['\t', ' ']).next() == Some(address));
    let changed = fs::read_to_string(&path).and_then(|text| {
        let kept: String = text.split_inclusive('\n').filter(stays).collect();
        fs::write(&path, kept)
    });
    if let Err(error) = changed
        && !gone.is_empty()
    {
        tracing::warn!(path = %path.display(), %error, "a container still knows an address it lost");
    }
}
