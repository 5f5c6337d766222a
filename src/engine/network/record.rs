//! Networks on disk, and what is derived from a network's spec.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::network::error::NetworkError;
use crate::engine::network::ipam::block::{address, bounds, contains, normal, overlap, width};
use crate::engine::store;
use crate::resource::id::NetworkId;
use crate::resource::name::NetworkName;
use crate::resource::network::{IpamPool, NetworkSpec};
use crate::resource::time::Timestamp;
use crate::resource::truth;

/// A network, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NetworkRecord {
    /// Its id.
    pub(super) id: NetworkId,
    /// Its name.
    pub(super) name: NetworkName,
    /// When it was created.
    pub(super) created: Timestamp,
    /// What was wanted.
    pub(super) spec: NetworkSpec,
    /// The pools in force; none yet for the engine's own network until its first use.
    pub(super) pools: Vec<IpamPool>,
    /// The bridge's interface name.
    pub(super) bridge: String,
}

impl NetworkRecord {
    /// The settings in the spec's options. They were understood when the network was created.
    pub(super) fn settings(&self) -> Settings {
        Settings::parse(&self.name, &self.spec).unwrap_or_default()
    }
}

/// The folder of the records.
#[derive(Clone, Debug)]
pub(super) struct Records {
    folder: PathBuf,
}

impl Records {
    /// Opens the folder below an engine's data; makes it if need be.
    pub(super) fn open(data: &Path) -> Result<Self, NetworkError> {
        let folder = data.join("networks");
        fs::create_dir_all(&folder).map_err(|source| NetworkError::Record { step: format!("create `{}`", folder.display()), source })?;
        Ok(Self { folder })
    }

    /// Every record. One that is damaged is set aside by the store and counts as missing.
    pub(super) fn read(&self) -> Result<Vec<NetworkRecord>, NetworkError> {
        let failed = |source| NetworkError::Record { step: format!("list `{}`", self.folder.display()), source };
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(record) = store::read::<NetworkRecord>(&path).map_err(broken)?
            {
                all.push(record);
            }
        }
        Ok(all)
    }

    /// Writes a record.
    pub(super) fn write(&self, record: &NetworkRecord) -> Result<(), NetworkError> {
        store::replace(&self.path(record.id), record).map_err(broken)
    }

    /// Removes a record.
    pub(super) fn remove(&self, id: NetworkId) -> Result<(), NetworkError> {
        store::remove(&self.path(id)).map_err(broken)
    }

    fn path(&self, id: NetworkId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

fn broken(error: store::StoreError) -> NetworkError {
    NetworkError::Record { step: format!("{} `{}`", error.step, error.path.display()), source: io::Error::other(error.source) }
}

/// What the options of a network's spec say: those of Docker's bridge driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// `com.docker.network.bridge.name`.
    pub(super) bridge: Option<String>,
    /// `com.docker.network.driver.mtu`.
    pub(super) mtu: Option<u32>,
    /// `com.docker.network.bridge.enable_icc`: containers may speak to each other.
    pub(super) mutual: bool,
    /// `com.docker.network.bridge.enable_ip_masquerade`.
    pub(super) masquerade: bool,
    /// `com.docker.network.bridge.host_binding_ipv4`: where ports are published that name no address.
    pub(super) host_binding: Option<IpAddr>,
    /// `com.docker.network.container_iface_prefix`.
    pub(super) interface_prefix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bridge: None, mtu: None, mutual: true, masquerade: true, host_binding: None, interface_prefix: "eth".to_owned() }
    }
}

impl Settings {
    /// Understands every option, or says which one it does not.
    pub(super) fn parse(name: &NetworkName, spec: &NetworkSpec) -> Result<Self, NetworkError> {
        let invalid = |option: &str, value: &str| NetworkError::Invalid {
            name: name.to_string(),
            reason: format!("option {option} has an invalid value `{value}`"),
        };
        let mut settings = Self::default();
        for (option, value) in &spec.options {
            let truth = || truth::parse(value).ok_or_else(|| invalid(option, value));
            match option.as_str() {
                "com.docker.network.bridge.name" if is_interface_name(value) => settings.bridge = Some(value.clone()),
                "com.docker.network.driver.mtu" | "mtu" => {
                    settings.mtu = Some(value.parse().ok().filter(|mtu| (68..=65535).contains(mtu)).ok_or_else(|| invalid(option, value))?);
                }
                "com.docker.network.bridge.enable_icc" => settings.mutual = truth()?,
                "com.docker.network.bridge.enable_ip_masquerade" => settings.masquerade = truth()?,
                "com.docker.network.bridge.host_binding_ipv4" => {
                    settings.host_binding = Some(value.parse().map_err(|_| invalid(option, value))?);
                }
                // Room for a number of up to three digits.
                "com.docker.network.container_iface_prefix" if is_interface_name(value) && value.len() <= 12 => {
                    settings.interface_prefix.clone_from(value);
                }
                // Which network is the default one is not decided by an option here, but Compose files copy it from `docker inspect`.
                "com.docker.network.bridge.default_bridge" if !truth()? => {}
                "com.docker.network.bridge.gateway_mode_ipv4" | "com.docker.network.bridge.gateway_mode_ipv6" if value == "nat" => {}
                "com.docker.network.bridge.name" | "com.docker.network.container_iface_prefix" => return Err(invalid(option, value)),
                _ => {
                    return Err(NetworkError::Unsupported {
                        name: name.to_string(),
                        reason: format!("option {option}={value} is not supported"),
                    });
                }
            }
        }
        Ok(settings)
    }
}

/// Whether the kernel takes it as the name of an interface.
pub(super) fn is_interface_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':')
}

/// Checks what a spec says before anything is made of it. Pools of a family that is off are left out, as Docker does.
pub(super) fn wanted_pools(name: &NetworkName, spec: &NetworkSpec) -> Result<Vec<IpamPool>, NetworkError> {
    let invalid = |reason: String| NetworkError::Invalid { name: name.to_string(), reason };
    if !matches!(spec.driver.as_str(), "" | "default" | "bridge") {
        return Err(NetworkError::Unsupported {
            name: name.to_string(),
            reason: format!("driver `{}` is not supported, only bridge is", spec.driver),
        });
    }
    if spec.enable_ipv4 == Some(false) && spec.enable_ipv6 != Some(true) {
        return Err(invalid("IPv4 or IPv6 must be enabled".to_owned()));
    }
    let mut pools: Vec<IpamPool> = Vec::new();
    for pool in &spec.ipam {
        if pool.subnet.prefix > width(pool.subnet.address) {
            return Err(invalid(format!("invalid subnet {}", pool.subnet)));
        }
        let enabled = if pool.subnet.address.is_ipv4() { spec.enable_ipv4 != Some(false) } else { spec.enable_ipv6 == Some(true) };
        if !enabled {
            continue;
        }
        let mut pool = IpamPool { subnet: normal(pool.subnet), ..pool.clone() };
        if let Some(range) = pool.range
            && !(contains(pool.subnet, range.address) && range.prefix >= pool.subnet.prefix && range.prefix <= width(range.address))
        {
            return Err(invalid(format!("range {range} is not within subnet {}", pool.subnet)));
        }
        if let Some(outside) = pool.gateway.iter().chain(pool.reserved.values()).find(|address| !contains(pool.subnet, **address)) {
            return Err(invalid(format!("address {outside} is not within subnet {}", pool.subnet)));
        }
        if let Some(other) = pools.iter().find(|other| overlap(other.subnet, pool.subnet)) {
            return Err(invalid(format!("subnet {} overlaps with {}", pool.subnet, other.subnet)));
        }
        if pool.gateway.is_none() {
            pool.gateway = Some(first_host(&pool));
        }
        pools.push(pool);
    }
    Ok(pools)
}

/// The bridge's address where none was chosen: the first of the block that is not reserved.
pub(super) fn first_host(pool: &IpamPool) -> IpAddr {
    let (first, last) = bounds(pool.subnet);
    let like = pool.subnet.address;
    let start = if last - first > 1 { first + 1 } else { first };
    (start..=last).map(|number| address(number, like)).find(|found| !pool.reserved.values().any(|taken| taken == found)).unwrap_or(like)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::network::ipam::block::subnet_of;

    fn spec(options: &[(&str, &str)], pools: &[(&str, Option<&str>)]) -> NetworkSpec {
        let pool = |&(block, gateway): &(&str, Option<&str>)| IpamPool {
            subnet: subnet_of(block),
            range: None,
            gateway: gateway.map(|text| text.parse().expect("an address")),
            reserved: BTreeMap::new(),
        };
        NetworkSpec {
            options: options.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ipam: pools.iter().map(pool).collect(),
            ..NetworkSpec::default()
        }
    }

    #[test]
    fn an_option_is_understood_or_named() {
        let name: NetworkName = "net".parse().expect("a name");
        let check = |option: &str, value: &str, expect: Option<&str>| {
            let error = Settings::parse(&name, &spec(&[(option, value)], &[])).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expect);
        };
        check("com.docker.network.driver.mtu", "1400", None);
        check("com.docker.network.driver.mtu", "big", Some("network net: option com.docker.network.driver.mtu has an invalid value `big`"));
        check("com.docker.network.bridge.enable_icc", "false", None);
        check(
            "com.docker.network.bridge.name",
            "br/0",
            Some("network net: option com.docker.network.bridge.name has an invalid value `br/0`"),
        );
        check("parent", "eth0", Some("network net: option parent=eth0 is not supported"));
    }

    #[test]
    fn pools_are_checked_and_completed() {
        let name: NetworkName = "net".parse().expect("a name");
        let check = |pools: &[(&str, Option<&str>)], expect: &str| {
            let text = match wanted_pools(&name, &spec(&[], pools)) {
                Ok(pools) => pools.iter().map(|pool| format!("{} {:?}", pool.subnet, pool.gateway)).collect::<Vec<_>>().join(", "),
                Err(error) => error.to_string(),
            };
            assert_eq!(text, expect);
        };
        check(&[("10.1.2.3/16", None)], "10.1.0.0/16 Some(10.1.0.1)");
        check(&[("10.1.0.0/16", Some("10.1.0.254"))], "10.1.0.0/16 Some(10.1.0.254)");
        check(&[("10.1.0.0/16", Some("10.2.0.1"))], "network net: address 10.2.0.1 is not within subnet 10.1.0.0/16");
        check(&[("10.1.0.0/16", None), ("10.1.9.0/24", None)], "network net: subnet 10.1.9.0/24 overlaps with 10.1.0.0/16");
        check(&[("fd00::/64", None)], "");
    }
}
