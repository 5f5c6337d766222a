//! The engine's configuration file, in the keys of Docker's daemon.json. A key that is not known, or not obeyed, is an error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::network::handle::{AddressPool, NetworkOptions};
use crate::registry::config::RegistryConfig;
use crate::resource::failure::Failure;
use crate::resource::network::Subnet;

/// Where it lies unless `--config` says otherwise.
const DEFAULT: &str = "/etc/gantry/engine.json";

/// Where certificates of registries lie: ours, and where an installed Docker has them.
const CERTIFICATES: [&str; 2] = ["/etc/gantry/certs.d", "/etc/docker/certs.d"];

/// What a configuration says to the engine's rooms.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// How registries are reached.
    pub registry: RegistryConfig,
    /// How networks are made.
    pub network: NetworkOptions,
}

/// The file. `hosts` and `group` are the keeper's, which has read them before.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    #[serde(rename = "hosts")]
    _hosts: Vec<String>,
    #[serde(rename = "group")]
    _group: Option<String>,
    registry_mirrors: Vec<String>,
    insecure_registries: Vec<String>,
    proxies: Proxies,
    default_address_pools: Vec<Pool>,
    ip: Option<IpAddr>,
    ip_forward: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Proxies {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    base: String,
    size: u8,
}

impl Configuration {
    /// Reads the file that was named, or the default one if it exists. What the file does not say of proxies and certificates, the
    /// engine's environment does.
    pub fn read(named: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let path = named.unwrap_or(Path::new(DEFAULT));
        let text = match fs::read_to_string(path) {
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(Failure::invalid(format!("cannot read the engine's configuration {}: {error}", path.display()))),
            Ok(text) => text,
        };
        Self::parse(&text, environment)
            .map_err(|reason| Failure::invalid(format!("the engine's configuration {} is not understood: {reason}", path.display())))
    }

    fn parse(text: &str, environment: &BTreeMap<String, String>) -> Result<Self, String> {
        // Else serde would take a list for the values of the keys, in order.
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let keys = Keys::deserialize(serde_json::Value::Object(object)).map_err(|error| error.to_string())?;
        let variable = |name: &str| {
            let found = environment.get(name).or_else(|| environment.get(&name.to_lowercase()));
            found.filter(|value| !value.is_empty()).cloned()
        };
        let Proxies { http_proxy, https_proxy, no_proxy } = keys.proxies;
        let registry = RegistryConfig {
            mirrors: keys.registry_mirrors,
            insecure: keys.insecure_registries,
            http_proxy: http_proxy.or_else(|| variable("HTTP_PROXY")),
            https_proxy: https_proxy.or_else(|| variable("HTTPS_PROXY")),
            no_proxy: no_proxy.or_else(|| variable("NO_PROXY")),
            certificates: variable("SSL_CERT_FILE").map(PathBuf::from),
            certificate_folders: CERTIFICATES.map(PathBuf::from).to_vec(),
        };
        let pools = keys.default_address_pools.iter().map(pool).collect::<Result<_, _>>()?;
        let network = NetworkOptions { pools, leave_ip_forward: keys.ip_forward == Some(false), publish_address: keys.ip };
        Ok(Self { registry, network })
    }
}

fn pool(pool: &Pool) -> Result<AddressPool, String> {
    let wrong = |what: &str| format!("`default-address-pools`: {what}");
    let (address, prefix) = pool.base.split_once('/').ok_or_else(|| wrong(&format!("`{}` is no block of addresses", pool.base)))?;
    let (address, prefix): (IpAddr, u8) = match (address.parse(), prefix.parse()) {
        (Ok(address), Ok(prefix)) => (address, prefix),
        _ => return Err(wrong(&format!("`{}` is no block of addresses", pool.base))),
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if pool.size < prefix || pool.size > longest {
        return Err(wrong(&format!("blocks of /{} do not fit into {}", pool.size, pool.base)));
    }
    Ok(AddressPool { base: Subnet { address, prefix }, size: pool.size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Configuration, String> {
        let environment = BTreeMap::from([("https_proxy".to_owned(), "http://proxy:1".to_owned())]);
        Configuration::parse(text, &environment)
    }

    #[test]
    fn keys_reach_their_rooms() {
        let text = r#"{"hosts": ["fd://"], "registry-mirrors": ["http://127.0.0.1:5000"], "ip": "127.0.0.1", "ip-forward": false,
            "default-address-pools": [{"base": "10.9.0.0/16", "size": 24}], "proxies": {"http-proxy": "http://other:1"}}"#;
        let read = parse(text).expect("every key is known");
        assert_eq!(read.registry.mirrors, ["http://127.0.0.1:5000"]);
        assert_eq!(read.registry.http_proxy.as_deref(), Some("http://other:1"));
        assert_eq!(read.registry.https_proxy.as_deref(), Some("http://proxy:1"));
        assert_eq!((read.network.pools.len(), read.network.pools[0].size), (1, 24));
        assert!(read.network.leave_ip_forward);
        assert_eq!(read.network.publish_address, Some(IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn what_is_not_obeyed_is_refused() {
        let check = |text: &str, expected: &str| {
            let reason = parse(text).expect_err("it is refused");
            assert!(reason.contains(expected), "{text}: {reason}");
        };
        check(r#"{"live-restore": true}"#, "unknown field `live-restore`");
        check(r#"{"default-address-pools": [{"base": "10.9.0.0/16", "size": 8}]}"#, "blocks of /8 do not fit into 10.9.0.0/16");
        check(r#"{"default-address-pools": [{"base": "10.9.0.0", "size": 8}]}"#, "no block of addresses");
        check("[]", "expected a map");
    }
}
