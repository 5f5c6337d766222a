//! What flags of the command line spell as the files do: ports, mounts, variables, command lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::compose::project::{dotenv, short, suggest};
use crate::resource::capability;
use crate::resource::container::{BindRecursion, ContainerPort, Mount, MountSource, PortBinding, Protocol};

/// Reads `[HOST_IP:][HOST_RANGE:]CONTAINER_RANGE[/PROTOCOL]`.
///
/// # Errors
/// What is wrong with the text.
pub fn ports(text: &str) -> Result<Vec<PortBinding>, String> {
    let invalid = |what: &str| format!("invalid port `{text}`: {what}");
    let mut bindings = Vec::new();
    for port in short::ports(text)? {
        let protocol = protocol(&port.protocol).ok_or_else(|| invalid("there is no such protocol"))?;
        let host_ip = port.host_ip.map(|ip| ip.parse().map_err(|_| invalid("no IP address"))).transpose()?;
        let published = match port.published {
            None => 0..=0,
            Some(published) => short::range(&published).ok_or_else(|| invalid("no port of the host"))?,
        };
        bindings.push(PortBinding {
            container: ContainerPort { port: port.target, protocol },
            host_ip,
            host_port: *published.start(),
            host_port_end: *published.end(),
        });
    }
    Ok(bindings)
}

/// Reads `NAME:ADDRESS` or `NAME=ADDRESS`, and writes the latter.
///
/// # Errors
/// What is wrong with the text.
pub fn host(text: &str) -> Result<String, String> {
    short::host(text)
}

/// Reads `[SOURCE:]TARGET[:OPTIONS]`; relative paths of the host start from `folder`.
///
/// # Errors
/// What is wrong with the text.
pub fn mount(text: &str, folder: &Path) -> Result<Mount, String> {
    let mount = short::mount(text)?;
    let target = short::clean_target(&mount.target);
    if !target.starts_with('/') {
        return Err(format!("invalid spec: {text}: the target `{}` must be an absolute path", mount.target));
    }
    let source = match mount.source {
        Some(path) if mount.bind => {
            let path = PathBuf::from(short::clean_target(&folder.join(path).display().to_string()));
            MountSource::Bind { path, create: true, propagation: mount.propagation, recursion: BindRecursion::default() }
        }
        _ if mount.propagation.is_some() => return Err(format!("invalid spec: {text}: only the mount of a path has a propagation")),
        name => MountSource::Volume { name, no_copy: mount.no_copy, subpath: None, labels: BTreeMap::new() },
    };
    Ok(Mount { target, read_only: mount.read_only, source })
}

/// Reads a file of variables; values may refer to what `known` has.
///
/// # Errors
/// What is wrong with it, and in which line.
pub fn variables(text: &str, known: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    let mut mistakes = Vec::new();
    let variables = dotenv::parse(text, &|name| known.get(name).cloned(), &|_| None, &mut mistakes);
    match mistakes.first() {
        None => Ok(variables),
        Some(mistake) => Err(format!("line {}: {}", text[..mistake.range.start].matches('\n').count() + 1, mistake.reason)),
    }
}

/// Splits a command line into words as a shell would.
///
/// # Errors
/// What is wrong with the text.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    match short::words(text)? {
        (words, None) => Ok(words),
        (_, Some(end)) => Err(format!("`{}` means nothing here: no shell reads it; put it in quotes", &text[end..=end])),
    }
}

/// Reads a capability, in any case and with or without `CAP_`; `ALL` is every one.
///
/// # Errors
/// There is no such capability.
pub fn capability(text: &str) -> Result<String, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if name == "ALL" || capability::number(name).is_some() {
        return Ok(name.to_owned());
    }
    let near = suggest::nearest(name, capability::NAMES).map(|near| format!("; did you mean `{near}`?"));
    Err(format!("`{text}` is not a capability{}", near.unwrap_or_default()))
}

fn protocol(word: &str) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|it| it.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_read_as_the_files_do() {
        let binding = &ports("127.0.0.1:8080:80/udp").expect("a port")[0];
        assert_eq!((binding.host_port, binding.container.port, binding.container.protocol), (8080, 80, Protocol::Udp));
        assert_eq!(ports("8080-8081:80-81").expect("ports").len(), 2);
        let source = |text: &str| mount(text, Path::new("/here")).map(|mount| (mount.target, mount.source));
        let bind = MountSource::Bind { path: "/here/x".into(), create: true, propagation: None, recursion: BindRecursion::default() };
        assert_eq!(source("./x:/y"), Ok(("/y".to_owned(), bind)));
        assert!(matches!(source("data:/y:ro"), Ok((_, MountSource::Volume { name: Some(name), .. })) if name == "data"));
        assert!(matches!(source("/y"), Ok((_, MountSource::Volume { name: None, .. }))));
        assert_eq!(capability("cap_net_admin").as_deref(), Ok("NET_ADMIN"));
        assert_eq!(capability("all").as_deref(), Ok("ALL"));
    }

    #[test]
    fn what_is_no_flags_value_is_named() {
        let folder = Path::new("/");
        for (wrong, word) in [
            (ports("80/http").map(drop), "http"),
            (ports("x").map(drop), "`x` is no port"),
            (mount("data:/b:ro:z", folder).map(drop), "too many colons"),
            (mount("./x:y", folder).map(drop), "`y` must be an absolute path"),
            (mount("data:/y:rshared", folder).map(drop), "propagation"),
            (capability("NET_ADMN").map(drop), "did you mean `NET_ADMIN`?"),
            (words("'open").map(drop), "quote"),
            (variables("A B=1", &BTreeMap::new()).map(drop), "line 1"),
        ] {
            let message = wrong.expect_err("refused");
            assert!(message.contains(word), "{message}");
        }
    }
}
