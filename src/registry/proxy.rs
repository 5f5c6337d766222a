//! Which proxy leads to a host, by the rules of Go's `http.ProxyFromEnvironment`, which Docker obeys.

use std::net::IpAddr;

use base64::Engine as _;
use hyper::Uri;

use crate::registry::config::RegistryConfig;
use crate::registry::endpoint::Block;
use crate::registry::error::RegistryError;

/// A proxy that speaks plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Its host.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`, where its URL has a user.
    pub(super) authorization: Option<String>,
}

/// What leads where.
#[derive(Debug)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    direct: Vec<Direct>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug)]
enum Direct {
    All,
    Block(Block),
    /// A domain; `below` when only what is beneath it counts.
    Domain {
        name: String,
        port: Option<u16>,
        below: bool,
    },
}

impl Proxies {
    pub(super) fn new(config: &RegistryConfig) -> Result<Self, RegistryError> {
        let proxy = |name: &str, value: &Option<String>| {
            let value = value.as_deref().map(str::trim).filter(|value| !value.is_empty());
            value.map(|value| Proxy::parse(value).map_err(|reason| RegistryError::Config(format!("{name} {reason}")))).transpose()
        };
        let direct = config.no_proxy.as_deref().unwrap_or_default().split(',').filter_map(Direct::parse).collect();
        Ok(Self { http: proxy("HTTP_PROXY", &config.http_proxy)?, https: proxy("HTTPS_PROXY", &config.https_proxy)?, direct })
    }

    /// The proxy for a URL; none for what is near.
    pub(super) fn of(&self, uri: &Uri) -> Option<&Proxy> {
        let https = uri.scheme_str() == Some("https");
        let proxy = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let address = host.parse::<IpAddr>().ok();
        let near = host == "localhost" || address.is_some_and(|it| it.is_loopback());
        if near || self.direct.iter().any(|entry| entry.covers(&host, address, port)) { None } else { Some(proxy) }
    }
}

impl Direct {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_ascii_lowercase();
        if entry.is_empty() {
            return None;
        }
        if entry == "*" {
            return Some(Self::All);
        }
        if let Some(block) = Block::parse(&entry) {
            return Some(Self::Block(block));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (entry.as_str(), None),
        };
        let (name, below) = match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
            Some(name) => (name, true),
            None => (name, false),
        };
        Some(Self::Domain { name: name.to_owned(), port, below })
    }

    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Block(block) => address.is_some_and(|address| block.contains(address)),
            Self::Domain { name, port: only, below } => {
                let beneath = host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
                only.is_none_or(|only| only == port) && (beneath || !below && host == name)
            }
        }
    }
}

impl Proxy {
    fn parse(value: &str) -> Result<Self, String> {
        // The password is not to be seen in any message.
        let shown = value.rsplit_once('@').map_or(value, |(_, rest)| rest);
        let wrong = || format!("`{shown}` is not the URL of a proxy: http://host:port is expected");
        let rest = match value.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(format!("names a proxy that speaks `{scheme}`: only proxies that speak http are understood")),
            None => value,
        };
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let authority: hyper::http::uri::Authority = rest.split('/').next().unwrap_or_default().parse().map_err(|_| wrong())?;
        if authority.host().is_empty() {
            return Err(wrong());
        }
        let authorization = user.map(|user| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(percent_decoded(user))));
        Ok(Self { host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(80), authorization })
    }
}

/// The URL of a proxy with nobody's name and password in it: those become what Docker puts in their place.
pub(super) fn masked(value: &str) -> String {
    let (scheme, rest) = value.find("://").map_or(("", value), |end| value.split_at(end + "://".len()));
    // Where a user ends is for [`Proxy::parse`] to say.
    rest.rsplit_once('@').map_or_else(|| value.to_owned(), |(_, host)| format!("{scheme}xxxxx:xxxxx@{host}"))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(no_proxy: &str, uri: &str, expect: Option<&str>) {
        let proxies = Proxies::new(&RegistryConfig {
            http_proxy: Some("http://plain:3128".to_owned()),
            https_proxy: Some("http://user:p%40ss@secure:3129/".to_owned()),
            no_proxy: Some(no_proxy.to_owned()),
            ..RegistryConfig::default()
        })
        .expect("good proxies");
        assert_eq!(proxies.of(&uri.parse().expect("a URL")).map(|it| it.host.as_str()), expect, "{no_proxy} {uri}");
    }

    #[test]
    fn proxies_are_chosen_as_in_go() {
        check("", "http://a.example/", Some("plain"));
        check("", "https://a.example/", Some("secure"));
        check("", "https://127.0.0.1:5000/", None);
        check("", "http://localhost:5000/", None);
        check("a.example", "https://a.example/", None);
        check("a.example", "https://b.a.example/", None);
        check(".a.example", "https://a.example/", Some("secure"));
        check("x, *", "https://a.example/", None);
        check("10.0.0.0/8", "https://10.1.2.3/", None);
        check("a.example:444", "https://a.example/", Some("secure"));
    }

    #[test]
    fn nobody_is_shown_a_password() {
        let check = |value: &str, expect: &str| {
            let config =
                RegistryConfig { https_proxy: Some(value.to_owned()), no_proxy: Some("a@b".to_owned()), ..RegistryConfig::default() };
            assert_eq!(config.shown_proxies(), ["", expect, "a@b"], "{value}");
        };
        check("http://user:p%40ss@secure:3129/", "http://xxxxx:xxxxx@secure:3129/");
        check("http://user:p@ss/wd@secure:3129", "http://xxxxx:xxxxx@secure:3129");
        check("user:secret@secure:3129", "xxxxx:xxxxx@secure:3129");
        check("http://secure:3129", "http://secure:3129");
    }

    #[test]
    fn a_proxy_is_understood_or_named() {
        let proxy = Proxy::parse("http://user:p%40ss@secure:3129/").expect("a proxy");
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!((proxy.host.as_str(), proxy.port), ("secure", 3129));
        assert_eq!(Proxy::parse("10.0.0.1:8080").map(|it| it.port), Ok(8080));
        assert!(Proxy::parse("socks5://me:secret@x:1").is_err_and(|it| !it.contains("secret")));
    }
}
