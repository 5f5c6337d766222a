//! Where the images of a registry are to be had: mirrors first, and plain HTTP only where that is allowed.

use std::net::IpAddr;

use hyper::Uri;
use hyper::http::uri::{Authority, InvalidUri, PathAndQuery, Scheme};

use crate::registry::config::RegistryConfig;
use crate::registry::error::RegistryError;
use crate::registry::resolve::resolve;
use crate::resource::image::DOCKER_HUB;

/// Where Docker Hub really is.
const HUB_HOST: &str = "registry-1.docker.io";

/// One place to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https`, or `http`.
    pub(super) scheme: Scheme,
    /// Host and port.
    pub(super) authority: Authority,
    /// What stands before `/v2/`: nothing, but with some mirrors.
    pub(super) prefix: String,
    /// Any certificate will do.
    pub(super) insecure: bool,
    /// It is a mirror: it gets no credentials, and whatever goes wrong with it, the next one is asked.
    pub(super) mirror: bool,
}

impl Endpoint {
    /// The URL of something below `/v2/`.
    pub(super) fn url(&self, path: &str) -> Result<Uri, RegistryError> {
        let path: Result<PathAndQuery, _> = format!("{}/v2/{path}", self.prefix).parse();
        let wrong =
            |error: &dyn std::fmt::Display| RegistryError::Config(format!("`{}` has no address for {path:?}: {error}", self.authority));
        let path = path.as_ref().map_err(|error| wrong(error))?.clone();
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build();
        uri.map_err(|error| wrong(&error))
    }
}

/// The places to ask for images of a registry, in order.
pub(super) async fn endpoints(config: &RegistryConfig, registry: &str) -> Result<Vec<Endpoint>, RegistryError> {
    let mut found = Vec::new();
    if registry == DOCKER_HUB {
        for mirror in &config.mirrors {
            found.push(mirror_of(config, mirror).await?);
        }
    }
    let host = if registry == DOCKER_HUB { HUB_HOST } else { registry };
    let authority: Authority =
        host.parse().map_err(|error: InvalidUri| RegistryError::Address { host: host.to_owned(), reason: error.to_string() })?;
    let insecure = is_insecure(&config.insecure, &authority).await;
    let secure = Endpoint { scheme: Scheme::HTTPS, authority, prefix: String::new(), insecure, mirror: false };
    let plain = insecure.then(|| Endpoint { scheme: Scheme::HTTP, ..secure.clone() });
    found.push(secure);
    found.extend(plain);
    Ok(found)
}

/// Checks that a configured mirror is one.
pub(super) fn check_mirror(mirror: &str) -> Result<Uri, RegistryError> {
    let uri: Option<Uri> = mirror.parse().ok();
    let good = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && uri.query().is_none();
    uri.filter(good)
        .ok_or_else(|| RegistryError::Config(format!("`{mirror}` in registry-mirrors is not a URL like https://mirror.example")))
}

async fn mirror_of(config: &RegistryConfig, mirror: &str) -> Result<Endpoint, RegistryError> {
    let parts = check_mirror(mirror)?.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err(RegistryError::Config(format!("`{mirror}` in registry-mirrors is not a URL")));
    };
    let prefix = parts.path_and_query.map_or_else(String::new, |path| path.path().trim_end_matches('/').to_owned());
    let insecure = is_insecure(&config.insecure, &authority).await;
    Ok(Endpoint { scheme, authority, prefix, insecure, mirror: true })
}

/// Whether a registry may speak plain HTTP or show any certificate: one that is named, lies in a block that is named, or on this machine.
async fn is_insecure(named: &[String], authority: &Authority) -> bool {
    let is_named = named.iter().any(|entry| entry == authority.as_str() || entry == authority.host());
    if is_named {
        return true;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let near = |address: &IpAddr| address.is_loopback();
    if let Ok(address) = host.parse() {
        return near(&address) || in_blocks(named, &[address]);
    }
    if host == "localhost" {
        return true;
    }
    let blocks = named.iter().any(|entry| Block::parse(entry).is_some());
    // As in Docker a name counts by the addresses it has; only when that can matter is it looked up.
    blocks && resolve(host).await.is_ok_and(|addresses| in_blocks(named, &addresses))
}

fn in_blocks(named: &[String], addresses: &[IpAddr]) -> bool {
    let blocks: Vec<Block> = named.iter().filter_map(|entry| Block::parse(entry)).collect();
    addresses.iter().any(|address| blocks.iter().any(|block| block.contains(*address)))
}

/// A block of addresses; one address is a block as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    address: IpAddr,
    length: u8,
}

impl Block {
    /// Reads `10.0.0.0/8`, `fd00::/8` or an address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(whole), |text| text.parse().ok().filter(|length| *length <= whole))?;
        Some(Self { address, length })
    }

    /// Whether an address lies in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (one, other, whole) = match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(u32::from(one)), u128::from(u32::from(other)), 32),
            (IpAddr::V6(one), IpAddr::V6(other)) => (u128::from(one), u128::from(other), 128),
            _ => return false,
        };
        let shift = u32::from(whole - self.length);
        one.checked_shr(shift) == other.checked_shr(shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(registry: &str, insecure: &[&str], expect: &[&str]) {
        let config = RegistryConfig {
            mirrors: vec!["https://mirror.example/hub/".to_owned()],
            insecure: insecure.iter().map(|it| (*it).to_owned()).collect(),
            ..RegistryConfig::default()
        };
        let found = endpoints(&config, registry).await.expect("endpoints");
        let urls: Vec<String> = found.iter().map(|it| it.url("x").expect("a URL").to_string()).collect();
        assert_eq!(urls, expect, "{registry}");
    }

    #[tokio::test]
    async fn plain_http_is_for_this_machine_and_what_is_named() {
        check("docker.io", &[], &["https://mirror.example/hub/v2/x", "https://registry-1.docker.io/v2/x"]).await;
        check("r.example", &[], &["https://r.example/v2/x"]).await;
        check("r.example:5000", &["r.example:5000"], &["https://r.example:5000/v2/x", "http://r.example:5000/v2/x"]).await;
        check("127.0.0.1:5000", &[], &["https://127.0.0.1:5000/v2/x", "http://127.0.0.1:5000/v2/x"]).await;
        check("[::1]:5000", &[], &["https://[::1]:5000/v2/x", "http://[::1]:5000/v2/x"]).await;
        check("localhost:5000", &[], &["https://localhost:5000/v2/x", "http://localhost:5000/v2/x"]).await;
        check("10.1.2.3", &["10.0.0.0/8"], &["https://10.1.2.3/v2/x", "http://10.1.2.3/v2/x"]).await;
        check("11.1.2.3", &["10.0.0.0/8"], &["https://11.1.2.3/v2/x"]).await;
    }

    #[test]
    fn blocks_hold_what_they_say() {
        let check = |block: &str, address: &str, expect| {
            let block = Block::parse(block).expect("a block");
            assert_eq!(block.contains(address.parse().expect("an address")), expect, "{block:?} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("::/0", "fd00::1", true);
        check("fd00::/8", "fe80::1", false);
        check("1.2.3.4", "1.2.3.4", true);
        assert_eq!(Block::parse("1.2.3.4/33"), None);
        assert_eq!(Block::parse("example"), None);
    }
}
