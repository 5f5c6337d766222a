//! The keys of a configuration file, one after the other: what each may say, and what is told of one that says something else.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use crate::engine::settings::document::{Entry, Node, Value, line_and_column, parse};
use crate::engine::settings::{Placed, Pool, Proxies, Settings, SettingsError};
use crate::resource::container::{LOG_OPTIONS, LogOptionError, LogSpec};
use crate::resource::network::Subnet;

/// What is obeyed.
const KEYS: [&str; 16] = [
    "data-root",
    "default-address-pools",
    "dns",
    "group",
    "hosts",
    "insecure-registries",
    "ip",
    "ip-forward",
    "log-opts",
    "proxies",
    "registry-mirrors",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
];

/// Keys of Docker's that somebody may have copied, and what to know of each.
const DOCKERS: [(&str, &str); 7] = [
    ("debug", "`GANTRY_TRACE` and `gantry engine logs` tell what an engine does; leave it away"),
    ("exec-opts", "control groups are made without systemd, as with Docker's `native.cgroupdriver=cgroupfs`; leave it away"),
    ("live-restore", "containers outlive the engine in any case; leave it away"),
    ("log-driver", "json-file is what there is, and what containers get; leave it away"),
    ("max-concurrent-downloads", "layers come as many at once as the machine has processors for; leave it away"),
    ("max-concurrent-uploads", "five layers go out at once, as with Docker's default; leave it away"),
    ("storage-driver", "overlay is what there is; leave it away"),
];

/// Reads a file's bytes.
pub(super) fn settings(path: &Path, bytes: &[u8]) -> Result<Settings, SettingsError> {
    let wrong = |line: usize, column: usize, message: String| SettingsError::Wrong {
        place: format!("{}:{line}:{column}", path.display()),
        message,
        hint: Some("the engine's configuration is a JSON object with keys of Docker's daemon.json".to_owned()),
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (line, column) =
                line_and_column(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), error.valid_up_to());
            return Err(wrong(line, column, "it is no text in UTF-8".to_owned()));
        }
    };
    let document = parse(text).map_err(|(line, column, message)| wrong(line, column, format!("it is no JSON: {message}")))?;
    let file = File { path, text };
    let mut settings = Settings::default();
    for entry in file.entries("the configuration", &document)? {
        file.key(&mut settings, entry)?;
    }
    Ok(settings)
}

/// The file, for places.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn place(&self, at: usize) -> String {
        let (line, column) = line_and_column(self.text, at);
        format!("{}:{line}:{column}", self.path.display())
    }

    fn wrong(&self, at: usize, message: String, hint: impl Into<String>) -> SettingsError {
        SettingsError::Wrong { place: self.place(at), message, hint: Some(hint.into()) }
    }

    fn key(&self, settings: &mut Settings, entry: &Entry) -> Result<(), SettingsError> {
        let (name, node) = (entry.name.as_str(), &entry.node);
        // As in Docker's file, that is as if it were not there.
        if node.value == Value::Null && KEYS.contains(&name) {
            return Ok(());
        }
        match name {
            "hosts" => settings.hosts = self.texts(name, node, Ok)?,
            "group" => settings.group = Some(Placed { value: self.text(name, node)?.to_owned(), place: self.place(node.at) }),
            "tls" => settings.tls.enabled = Some(self.truth(name, node)?),
            "tlsverify" => settings.tls.verify = Some(self.truth(name, node)?),
            "tlscacert" => settings.tls.authority = Some(self.path(name, node)?.into()),
            "tlscert" => settings.tls.certificate = Some(self.path(name, node)?.into()),
            "tlskey" => settings.tls.key = Some(self.path(name, node)?.into()),
            "data-root" => settings.data_root = Some(self.path(name, node)?.into()),
            "registry-mirrors" => settings.mirrors = values(self.texts(name, node, mirror)?),
            "insecure-registries" => settings.insecure = values(self.texts(name, node, insecure)?),
            "proxies" => settings.proxies = self.proxies(node)?,
            "default-address-pools" => {
                settings.pools =
                    self.items(name, "a list of objects", node)?.iter().map(|node| self.pool(node)).collect::<Result<_, _>>()?;
            }
            "dns" => settings.dns = values(self.texts(name, node, |text| address(&text))?),
            "log-opts" => settings.log = self.log(node)?,
            "ip" => {
                let text = self.text(name, node)?;
                let address = address(text).map_err(|(message, hint)| self.wrong(node.at, format!("`ip`: {message}"), hint))?;
                settings.ip = Some(address);
            }
            "ip-forward" => settings.leave_ip_forward = !self.truth(name, node)?,
            _ => {
                let dockers = DOCKERS.iter().find(|(known, _)| *known == name);
                let hint = dockers.map_or_else(|| format!("the keys are {}", KEYS.join(", ")), |(_, hint)| (*hint).to_owned());
                return Err(self.wrong(entry.at, format!("`{name}` is no key that this engine obeys"), hint));
            }
        }
        Ok(())
    }

    fn kind(&self, name: &str, expected: &str, found: &Value, at: usize) -> SettingsError {
        let shown = match found {
            Value::Number(text) => format!("the number {text}"),
            other => other.kind().to_owned(),
        };
        self.wrong(at, format!("`{name}` is {shown}"), format!("{expected} is expected"))
    }

    /// The names of an object, each once.
    fn entries<'n>(&self, name: &str, node: &'n Node) -> Result<&'n [Entry], SettingsError> {
        let Value::Map(entries) = &node.value else { return Err(self.kind(name, "an object", &node.value, node.at)) };
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..index].iter().find(|it| it.name == entry.name) {
                let (line, _) = line_and_column(self.text, first.at);
                return Err(self.wrong(
                    entry.at,
                    format!("`{}` stands here a second time", entry.name),
                    format!("it is in line {line}, too"),
                ));
            }
        }
        Ok(entries)
    }

    fn items<'n>(&self, name: &str, expected: &str, node: &'n Node) -> Result<&'n [Node], SettingsError> {
        match &node.value {
            Value::List(items) => Ok(items),
            other => Err(self.kind(name, expected, other, node.at)),
        }
    }

    fn text<'n>(&self, name: &str, node: &'n Node) -> Result<&'n str, SettingsError> {
        match &node.value {
            Value::Text(text) => Ok(text),
            other => Err(self.kind(name, "a text in quotes", other, node.at)),
        }
    }

    /// A list of texts, each as `read` understands it.
    fn texts<T>(&self, name: &str, node: &Node, read: impl Fn(String) -> Result<T, Complaint>) -> Result<Vec<Placed<T>>, SettingsError> {
        let items = self.items(name, "a list of texts", node)?;
        let placed = |item: &Node| {
            let value = read(self.text(name, item)?.to_owned());
            let value = value.map_err(|(message, hint)| self.wrong(item.at, format!("`{name}`: {message}"), hint))?;
            Ok(Placed { value, place: self.place(item.at) })
        };
        items.iter().map(placed).collect()
    }

    fn truth(&self, name: &str, node: &Node) -> Result<bool, SettingsError> {
        match &node.value {
            Value::Bool(value) => Ok(*value),
            other => Err(self.kind(name, "true or false", other, node.at)),
        }
    }

    fn path<'n>(&self, name: &str, node: &'n Node) -> Result<&'n Path, SettingsError> {
        let path = Path::new(self.text(name, node)?);
        if path.is_absolute() {
            return Ok(path);
        }
        Err(self.wrong(node.at, format!("`{name}`: `{}` is no absolute path", path.display()), "write it from `/` on"))
    }

    fn proxies(&self, node: &Node) -> Result<Proxies, SettingsError> {
        let mut proxies = Proxies::default();
        for entry in self.entries("proxies", node)? {
            let place = match entry.name.as_str() {
                "http-proxy" => &mut proxies.http,
                "https-proxy" => &mut proxies.https,
                "no-proxy" => &mut proxies.exceptions,
                other => return Err(self.inner("proxies", other, entry.at, "http-proxy, https-proxy and no-proxy")),
            };
            *place = Some(self.text(&entry.name, &entry.node)?.to_owned());
        }
        Ok(proxies)
    }

    fn inner(&self, outer: &str, name: &str, at: usize, known: &str) -> SettingsError {
        self.wrong(at, format!("`{name}` is no key of `{outer}` that this engine obeys"), format!("there are {known}"))
    }

    fn pool(&self, node: &Node) -> Result<Pool, SettingsError> {
        let name = "default-address-pools";
        let (mut base, mut size) = (None, None);
        for entry in self.entries(name, node)? {
            match entry.name.as_str() {
                "base" => {
                    let text = self.text("base", &entry.node)?;
                    let hint = "an address and a prefix length are expected, as in 10.200.0.0/16";
                    base = Some(
                        subnet(text)
                            .ok_or_else(|| self.wrong(entry.node.at, format!("`{name}`: `{text}` is no block of addresses"), hint))?,
                    );
                }
                "size" => {
                    let Value::Number(text) = &entry.node.value else {
                        return Err(self.kind("size", "a prefix length such as 24", &entry.node.value, entry.node.at));
                    };
                    let number: Option<u8> = text.parse().ok().filter(|size| *size <= 128);
                    let wrong =
                        || self.wrong(entry.node.at, format!("`{name}`: {text} is no prefix length"), "a number such as 24 is expected");
                    size = Some((number.ok_or_else(wrong)?, entry.node.at));
                }
                other => return Err(self.inner(name, other, entry.at, "base and size")),
            }
        }
        let missing =
            |key: &str| self.wrong(node.at, format!("`{name}`: a pool has no `{key}`"), r#"as in {"base": "10.200.0.0/16", "size": 24}"#);
        let base = base.ok_or_else(|| missing("base"))?;
        let (size, at) = size.ok_or_else(|| missing("size"))?;
        let longest = if base.address.is_ipv4() { 32 } else { 128 };
        if size < base.prefix || size > longest {
            let hint = format!("a size from {} to {longest} is expected", base.prefix);
            return Err(self.wrong(at, format!("`{name}`: blocks of /{size} do not fit into {}/{}", base.address, base.prefix), hint));
        }
        Ok(Pool { base, size })
    }

    fn log(&self, node: &Node) -> Result<LogSpec, SettingsError> {
        let mut options = BTreeMap::new();
        let mut log = LogSpec::default();
        for entry in self.entries("log-opts", node)? {
            options.insert(entry.name.clone(), self.text(&entry.name, &entry.node)?.to_owned());
            // What came before is right.
            log = LogSpec::of_driver("json-file", &options).map_err(|error| match error {
                LogOptionError::Value { name, expected, value } => {
                    self.wrong(entry.node.at, format!("`log-opts`: `{name}` cannot be `{value}`"), format!("{expected} is expected"))
                }
                _ => self.inner("log-opts", &entry.name, entry.at, &LOG_OPTIONS.join(", ")),
            })?;
        }
        Ok(log)
    }
}

/// What is wrong with a value, and the way out.
type Complaint = (String, &'static str);

fn values<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|it| it.value).collect()
}

/// A mirror's URL, as Docker takes it.
fn mirror(text: String) -> Result<String, Complaint> {
    let wrong = |hint| Err((format!("`{text}` is no URL of a mirror"), hint));
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return wrong("it begins with https:// or http://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if rest.contains(['?', '#']) {
        return wrong("it ends with its path: no `?`, no `#`");
    }
    if host.contains('@') {
        return wrong("it cannot carry a name and a password; mirrors are asked without");
    }
    if host.is_empty() || rest.contains(char::is_whitespace) {
        return wrong("a host follows the scheme, as in https://mirror.example");
    }
    Ok(text)
}

/// A host with an optional port, or a block of addresses.
fn insecure(text: String) -> Result<String, Complaint> {
    if text.contains("://") {
        return Err((format!("`{text}` is no host"), "leave the scheme away: a host, a host and a port, or a block of addresses"));
    }
    let is_good = !text.is_empty() && !text.contains(char::is_whitespace) && (!text.contains('/') || subnet(&text).is_some());
    if is_good { Ok(text) } else { Err((format!("`{text}` is no host"), "a host, a host and a port, or a block of addresses is expected")) }
}

fn address(text: &str) -> Result<IpAddr, Complaint> {
    text.parse().map_err(|_| (format!("`{text}` is no address"), "an IP address such as 10.0.0.53 is expected"))
}

fn subnet(text: &str) -> Option<Subnet> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
    (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some(Subnet { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::TlsSettings;
    use crate::resource::container::LogDetails;

    fn read(text: &str) -> Result<Settings, String> {
        settings(Path::new("/etc/x.json"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"{"hosts": ["fd://"], "group": "gantry", "data-root": "/data", "registry-mirrors": ["http://127.0.0.1:5000", "https://m/x/"],
            "insecure-registries": ["r.example:5000", "10.0.0.0/8"], "proxies": {"http-proxy": "http://p:1", "no-proxy": "x"},
            "default-address-pools": [{"base": "10.9.0.0/16", "size": 24}], "dns": ["10.0.0.53", "fd00::1"],
            "log-opts": {"max-size": "10m", "max-file": "3", "labels": "team"}, "ip": "127.0.0.1", "ip-forward": false,
            "tls": true, "tlsverify": false, "tlscacert": "/ca.pem", "tlscert": "/cert.pem", "tlskey": "/key.pem"}"#;
        let placed = |value: &str, place: &str| Placed { value: value.to_owned(), place: format!("/etc/x.json:{place}") };
        let base = Subnet { address: [10, 9, 0, 0].into(), prefix: 16 };
        let expected = Settings {
            hosts: vec![placed("fd://", "1:12")],
            group: Some(placed("gantry", "1:31")),
            tls: TlsSettings {
                enabled: Some(true),
                verify: Some(false),
                authority: Some("/ca.pem".into()),
                certificate: Some("/cert.pem".into()),
                key: Some("/key.pem".into()),
            },
            data_root: Some("/data".into()),
            mirrors: vec!["http://127.0.0.1:5000".to_owned(), "https://m/x/".to_owned()],
            insecure: vec!["r.example:5000".to_owned(), "10.0.0.0/8".to_owned()],
            proxies: Proxies { http: Some("http://p:1".to_owned()), https: None, exceptions: Some("x".to_owned()) },
            pools: vec![Pool { base, size: 24 }],
            dns: vec![[10, 0, 0, 53].into(), "fd00::1".parse().expect("an address")],
            log: LogSpec::JsonFile {
                max_size: Some(10_000_000),
                max_file: Some(3),
                compress: None,
                details: LogDetails { labels: vec!["team".to_owned()], ..LogDetails::default() },
            },
            ip: Some([127, 0, 0, 1].into()),
            leave_ip_forward: true,
        };
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read("{}"), Ok(Settings::default()));
        assert_eq!(read(r#"{"dns": null, "hosts": null, "group": null, "ip-forward": true}"#), Ok(Settings::default()));
    }

    #[test]
    fn what_cannot_be_obeyed_is_told_with_its_place() {
        let check = |text: &str, expected: &str| assert_eq!(read(text).expect_err(text), format!("/etc/x.json:{expected}"));
        check(
            "{\n  \"userland-proxy\": true}",
            &format!("2:3: `userland-proxy` is no key that this engine obeys (the keys are {})", KEYS.join(", ")),
        );
        let deep = read(&format!("{{\"dns\": {}", "[".repeat(100_000))).expect_err("too deep");
        assert!(deep.contains("recursion limit"), "{deep}");
        assert!(read("{\n \"group\": \"\\ud800\"}").expect_err("half a letter").starts_with("/etc/x.json:2:"));
        check(
            r#"{"live-restore": true}"#,
            "1:2: `live-restore` is no key that this engine obeys (containers outlive the engine in any case; leave it away)",
        );
        check("[]", "1:1: `the configuration` is a list (an object is expected)");
        check(
            "{\n\"dns\": [],}",
            "2:11: it is no JSON: trailing comma (the engine's configuration is a JSON object with keys of Docker's daemon.json)",
        );
        check("{\"dns\": [],\n \"dns\": []}", "2:2: `dns` stands here a second time (it is in line 1, too)");
        check(r#"{"hosts": "fd://"}"#, "1:11: `hosts` is a text (a list of texts is expected)");
        check(r#"{"hosts": [7]}"#, "1:12: `hosts` is the number 7 (a text in quotes is expected)");
        check(r#"{"group": 7}"#, "1:11: `group` is the number 7 (a text in quotes is expected)");
        check(r#"{"data-root": "data"}"#, "1:15: `data-root`: `data` is no absolute path (write it from `/` on)");
        check(r#"{"dns": ["dns.example"]}"#, "1:10: `dns`: `dns.example` is no address (an IP address such as 10.0.0.53 is expected)");
        check(r#"{"ip": "::g"}"#, "1:8: `ip`: `::g` is no address (an IP address such as 10.0.0.53 is expected)");
        check(r#"{"tlskey": "key.pem"}"#, "1:12: `tlskey`: `key.pem` is no absolute path (write it from `/` on)");
        check(r#"{"tlsverify": "yes"}"#, "1:15: `tlsverify` is a text (true or false is expected)");
        check(r#"{"ip-forward": "no"}"#, "1:16: `ip-forward` is a text (true or false is expected)");
    }

    #[test]
    fn registries_are_checked() {
        let check = |text: &str, expected: &str| assert_eq!(read(text).expect_err(text), format!("/etc/x.json:1:{expected}"));
        let mirror = |text: &str, hint: &str| {
            check(
                &format!(r#"{{"registry-mirrors": ["{text}"]}}"#),
                &format!("23: `registry-mirrors`: `{text}` is no URL of a mirror ({hint})"),
            );
        };
        mirror("mirror.example", "it begins with https:// or http://");
        mirror("http://", "a host follows the scheme, as in https://mirror.example");
        mirror("http://me:secret@m", "it cannot carry a name and a password; mirrors are asked without");
        mirror("http://m/?x", "it ends with its path: no `?`, no `#`");
        check(
            r#"{"insecure-registries": ["http://r:5000"]}"#,
            "26: `insecure-registries`: `http://r:5000` is no host (leave the scheme away: a host, a host and a port, or a block of addresses)",
        );
        check(
            r#"{"insecure-registries": ["r/x"]}"#,
            "26: `insecure-registries`: `r/x` is no host (a host, a host and a port, or a block of addresses is expected)",
        );
        check(
            r#"{"proxies": {"ftp-proxy": "x"}}"#,
            "14: `ftp-proxy` is no key of `proxies` that this engine obeys (there are http-proxy, https-proxy and no-proxy)",
        );
    }

    #[test]
    fn pools_and_logs_are_checked() {
        let check = |text: &str, expected: &str| assert_eq!(read(text).expect_err(text), format!("/etc/x.json:1:{expected}"));
        let pool = |text: &str, expected: &str| check(&format!(r#"{{"default-address-pools": [{text}]}}"#), expected);
        pool(
            r#"{"base": "10.9.0.0/16", "size": 8}"#,
            "60: `default-address-pools`: blocks of /8 do not fit into 10.9.0.0/16 (a size from 16 to 32 is expected)",
        );
        pool(
            r#"{"base": "10.9.0.0", "size": 24}"#,
            "37: `default-address-pools`: `10.9.0.0` is no block of addresses (an address and a prefix length are expected, as in 10.200.0.0/16)",
        );
        pool(
            r#"{"base": "10.9.0.0/16"}"#,
            r#"28: `default-address-pools`: a pool has no `size` (as in {"base": "10.200.0.0/16", "size": 24})"#,
        );
        pool(r#"{"base": "10.9.0.0/16", "size": "24"}"#, "60: `size` is a text (a prefix length such as 24 is expected)");
        pool(
            r#"{"base": "10.9.0.0/16", "size": 2.5}"#,
            "60: `default-address-pools`: 2.5 is no prefix length (a number such as 24 is expected)",
        );
        pool(r#"{"scope": "local"}"#, "29: `scope` is no key of `default-address-pools` that this engine obeys (there are base and size)");
        check(r#"{"log-opts": {"max-file": 3}}"#, "27: `max-file` is the number 3 (a text in quotes is expected)");
        check(r#"{"log-opts": {"max-file": "0"}}"#, "27: `log-opts`: `max-file` cannot be `0` (a number greater than 0 is expected)");
        check(r#"{"log-opts": {"max-size": "ten"}}"#, "27: `log-opts`: `max-size` cannot be `ten` (a size as in `10m` is expected)");
        check(
            r#"{"log-opts": {"max-size": "1m", "colour": "x"}}"#,
            "33: `colour` is no key of `log-opts` that this engine obeys (there are compress, env, env-regex, labels, labels-regex, max-file, max-size, mode, tag)",
        );
    }
}
