//! What a configuration file, and the engine's environment, say to the engine's rooms.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::engine::network::handle::{AddressPool, NetworkOptions};
use crate::engine::settings::Settings;
use crate::registry::config::RegistryConfig;
use crate::resource::container::LogSpec;

/// Where certificates of registries lie: ours, and where an installed Docker has them.
const CERTIFICATES: [&str; 2] = ["/etc/gantry/certs.d", "/etc/docker/certs.d"];

/// What a configuration says to the engine's rooms.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// How registries are reached.
    pub registry: RegistryConfig,
    /// How networks are made.
    pub network: NetworkOptions,
    /// What containers are given that do not say it themselves.
    pub defaults: Defaults,
}

/// What containers are given that do not say it themselves.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Their name servers; the host's when empty.
    pub dns: Vec<IpAddr>,
    /// What their logs are like.
    pub log: LogSpec,
}

impl Configuration {
    /// What the file does not say of proxies and certificates, the engine's environment does.
    pub fn of(settings: Settings, environment: &BTreeMap<String, String>) -> Self {
        let variable = |name: &str| {
            let found = environment.get(name).or_else(|| environment.get(&name.to_lowercase()));
            found.filter(|value| !value.is_empty()).cloned()
        };
        let registry = RegistryConfig {
            mirrors: settings.mirrors,
            insecure: settings.insecure,
            http_proxy: settings.proxies.http.or_else(|| variable("HTTP_PROXY")),
            https_proxy: settings.proxies.https.or_else(|| variable("HTTPS_PROXY")),
            no_proxy: settings.proxies.exceptions.or_else(|| variable("NO_PROXY")),
            certificates: variable("SSL_CERT_FILE").map(PathBuf::from),
            certificate_folders: CERTIFICATES.map(PathBuf::from).to_vec(),
        };
        let pools = settings.pools.into_iter().map(|pool| AddressPool { base: pool.base, size: pool.size }).collect();
        let network = NetworkOptions { pools, leave_ip_forward: settings.leave_ip_forward, publish_address: settings.ip };
        Self { registry, network, defaults: Defaults { dns: settings.dns, log: settings.log } }
    }
}

impl Defaults {
    /// A container's log with what it does not say itself. As in Docker it is settled when the container is made.
    pub(in crate::engine) fn complete(&self, log: &LogSpec) -> LogSpec {
        let (
            LogSpec::JsonFile { max_size, max_file, compress, details },
            LogSpec::JsonFile { max_size: size, max_file: files, compress: always, details: more },
        ) = (log, &self.log)
        else {
            return log.clone();
        };
        LogSpec::JsonFile {
            max_size: max_size.or(*size),
            max_file: max_file.or(*files),
            compress: compress.or(*always),
            details: details.or(more),
        }
    }

    /// The name servers of a container that names these. The engine that answers their lookups decides, as in Docker.
    pub(in crate::engine) fn servers<'a>(&'a self, named: &'a [IpAddr]) -> &'a [IpAddr] {
        if named.is_empty() { &self.dns } else { named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Proxies;
    use crate::resource::container::LogDetails;

    #[test]
    fn the_environment_says_what_the_file_does_not() {
        let proxies = Proxies { http: Some("http://other:1".to_owned()), ..Proxies::default() };
        let environment = BTreeMap::from([("https_proxy", "http://proxy:1"), ("HTTP_PROXY", "http://proxy:2"), ("NO_PROXY", "")]);
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let registry = Configuration::of(Settings { proxies, ..Settings::default() }, &environment).registry;
        assert_eq!(registry.http_proxy.as_deref(), Some("http://other:1"));
        assert_eq!(registry.https_proxy.as_deref(), Some("http://proxy:1"));
        assert_eq!(registry.no_proxy, None);
    }

    #[test]
    fn what_a_container_says_itself_counts() {
        let address = IpAddr::from([10, 0, 0, 53]);
        let told =
            |label: &str, tag: &str| LogDetails { labels: vec![label.to_owned()], tag: Some(tag.to_owned()), ..LogDetails::default() };
        let defaults = Defaults {
            dns: vec![address],
            log: LogSpec::JsonFile { max_size: Some(10), max_file: Some(3), compress: Some(true), details: told("a", "t") },
        };
        let file = |max_size, max_file| LogSpec::JsonFile { max_size, max_file, compress: Some(true), details: told("a", "t") };
        assert_eq!(defaults.complete(&LogSpec::default()), file(Some(10), Some(3)));
        let own = LogSpec::JsonFile { max_size: None, max_file: None, compress: None, details: LogDetails { tag: None, ..told("b", "") } };
        let whole = LogSpec::JsonFile { max_size: Some(10), max_file: Some(3), compress: Some(true), details: told("b", "t") };
        assert_eq!(defaults.complete(&own), whole);
        assert_eq!(defaults.complete(&file(Some(7), None)), file(Some(7), Some(3)));
        assert_eq!(defaults.complete(&file(None, Some(1))), file(Some(10), Some(1)));
        assert_eq!(defaults.complete(&LogSpec::None), LogSpec::None);
        let own = [IpAddr::from([1, 1, 1, 1])];
        assert_eq!((defaults.servers(&own), defaults.servers(&[])), (&own[..], &[address][..]));
        assert!(Defaults::default().servers(&[]).is_empty());
    }
}
