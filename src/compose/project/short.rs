//! Short forms of ports and mounts, as texts; what they expand to has no place yet.

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// A port, as the long form has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShortPort {
    /// The address on the host.
    pub host_ip: Option<String>,
    /// The port inside.
    pub target: u16,
    /// A port or a range on the host.
    pub published: Option<String>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// Expands `[HOST_IP:][HOST_RANGE:]CONTAINER_RANGE[/PROTOCOL]`; ranges of the same length pair up.
pub(crate) fn ports(text: &str) -> Result<Vec<ShortPort>, String> {
    let invalid = |reason: &str| format!("invalid port `{text}`: {reason}");
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, protocol)) if !protocol.is_empty() => (ports, protocol.to_ascii_lowercase()),
        Some((ports, _)) => (ports, "tcp".to_owned()),
        None => (text, "tcp".to_owned()),
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(invalid(&format!("`{protocol}` is no protocol; there are tcp, udp and sctp")));
    }
    let (host, container) = match ports.rsplit_once(':') {
        Some((host, container)) => (Some(host), container),
        None => (None, ports),
    };
    if container.is_empty() {
        return Err(invalid("no port of the container"));
    }
    let targets = range(container).ok_or_else(|| invalid(&format!("`{container}` is no port")))?;
    let (host_ip, published) = match host {
        None => (None, None),
        Some(host) => match host.strip_prefix('[') {
            Some(rest) => {
                let (ip, rest) = rest.split_once(']').ok_or_else(|| invalid("`[` without `]`"))?;
                let published = rest.strip_prefix(':').unwrap_or(rest);
                if published.len() == rest.len() && !rest.is_empty() {
                    return Err(invalid(&format!("`{rest}` after `]`")));
                }
                (Some(ip), Some(published).filter(|published| !published.is_empty()))
            }
            None => match host.rsplit_once(':') {
                Some((ip, _)) if ip.contains(':') => {
                    let bare = ip.parse::<IpAddr>().is_ok();
                    let way = if bare { format!("; write `[{ip}]`") } else { String::new() };
                    return Err(invalid(&format!("`{ip}` has colons and no brackets{way}")));
                }
                Some((ip, published)) => (Some(ip), Some(published).filter(|published| !published.is_empty())),
                None if host.parse::<IpAddr>().is_ok() => {
                    return Err(invalid(&format!("`{host}` is no port of the host; write `{host}::{container}` to have a free one")));
                }
                None => (None, Some(host).filter(|published| !published.is_empty())),
            },
        },
    };
    let host_ip = host_ip.filter(|ip| !ip.is_empty());
    if let Some(ip) = host_ip
        && ip.parse::<IpAddr>().is_err()
    {
        return Err(invalid(&format!("`{ip}` is no IP address")));
    }
    let sources = match published {
        Some(published) => Some(range(published).ok_or_else(|| invalid(&format!("`{published}` is no port of the host")))?),
        None => None,
    };
    let length = |range: &RangeInclusive<u16>| range.end() - range.start();
    let port = |target: u16, published: Option<String>| ShortPort {
        host_ip: host_ip.map(str::to_owned),
        target,
        published,
        protocol: protocol.clone(),
    };
    match sources {
        None => Ok(targets.map(|target| port(target, None)).collect()),
        Some(sources) if length(&sources) == length(&targets) => {
            Ok(targets.zip(sources).map(|(target, source)| port(target, Some(source.to_string()))).collect())
        }
        // A longer range on the host is one from which the engine takes a free port.
        Some(sources) if length(&targets) == 0 => Ok(vec![port(*targets.start(), Some(format!("{}-{}", sources.start(), sources.end())))]),
        Some(_) => Err(invalid("the ranges of host and container differ in length")),
    }
}

/// Reads `80` or `80-90`.
pub(crate) fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    (first <= last).then_some(first..=last)
}

/// A mount, as the long form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortMount {
    /// The path or the volume; none for an anonymous volume.
    pub source: Option<String>,
    /// Whether the source is a path.
    pub bind: bool,
    /// The path inside.
    pub target: String,
    /// `ro`.
    pub read_only: bool,
    /// `nocopy`.
    pub no_copy: bool,
    /// `rshared`, `private`…
    pub propagation: Option<String>,
    /// `z` or `Z`.
    pub selinux: Option<String>,
    /// Options that nobody knows.
    pub unknown: Vec<String>,
}

/// Expands `[SOURCE:]TARGET[:OPTIONS]`.
pub(crate) fn mount(text: &str) -> Result<ShortMount, String> {
    let invalid = |reason: &str| format!("invalid spec: {text}: {reason}");
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    // Docker's rule: one or two characters are a target, whatever they are.
    if text.len() <= 2 {
        return Ok(ShortMount { target: text.to_owned(), ..ShortMount::default() });
    }
    let parts = split_sections(text);
    if parts.iter().any(|part| part.is_empty()) {
        return Err(invalid("empty section between colons"));
    }
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, None),
        [source, target] => (Some(*source), *target, None),
        [source, target, options] => (Some(*source), *target, Some(*options)),
        _ => return Err(invalid("too many colons")),
    };
    let mut mount = ShortMount { source: source.map(str::to_owned), target: target.to_owned(), ..ShortMount::default() };
    mount.bind = source.is_some_and(is_path);
    for option in options.iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nocopy" => mount.no_copy = true,
            "z" | "Z" => mount.selinux = Some(option.to_owned()),
            // Of no effect on Linux, where both sides see the same at once.
            "consistent" | "cached" | "delegated" => {}
            _ if is_propagation(option) => mount.propagation = Some(option.to_owned()),
            _ => mount.unknown.push(option.to_owned()),
        }
    }
    Ok(mount)
}

/// Cleans a path of the container as Go's `path.Clean` does.
pub(crate) fn clean_target(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    match (absolute, parts.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".to_owned(),
        (false, joined) => joined,
    }
}

/// Whether it is a mount propagation.
pub(crate) fn is_propagation(option: &str) -> bool {
    matches!(option, "shared" | "slave" | "private" | "rshared" | "rslave" | "rprivate")
}

/// Whether the source of a mount is a path and not the name of a volume.
fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || has_drive(source)
}

/// Whether it begins as a path of Windows with a drive does. A volume cannot have a name of one letter, as in Docker Compose.
fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic())
}

/// Whether it is a path of Windows, which is left alone.
pub(crate) fn is_windows(path: &str) -> bool {
    path.starts_with("\\\\") || matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// Splits at colons, but not within `${…}` nor after the drive letter of a source or a target.
fn split_sections(text: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if text[..at].ends_with('$') => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && !(sections.len() < 2 && at == start + 1 && has_drive(&text[start..])) => {
                sections.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    sections.push(&text[start..]);
    sections
}

/// Splits a command line into words as Docker Compose does: quotes and backslashes as in a shell, nothing is expanded, and the line ends at
/// the first sign that would be the shell's own. Returns the place of that sign, too; or the reason when a quote stays open.
pub(crate) fn words(text: &str) -> Result<(Vec<String>, Option<usize>), &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quote, mut escaped) = (None, false);
    for (at, character) in text.char_indices() {
        match (character, quote) {
            _ if escaped => {
                escaped = false;
                word.get_or_insert_default().push(character);
            }
            ('\\', None | Some('"')) => escaped = true,
            (' ' | '\t' | '\n' | '\r', None) => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (end, Some(open)) if end == open => {
                quote = None;
                // What a shell would run stays as it is.
                if matches!(end, '`' | ')') {
                    word.get_or_insert_default().push(end);
                }
            }
            ('(', None) if word.as_deref().is_some_and(|word| word.ends_with('$')) => {
                quote = Some(')');
                word.get_or_insert_default().push(character);
            }
            ('(', None) => return Err("a parenthesis of the shell's"),
            ('`' | ')', None) => {
                quote = Some(character);
                word.get_or_insert_default().push(character);
            }
            (';' | '&' | '|' | '<' | '>', None) => {
                // `2>` is one sign.
                let number = character == '>' && word.as_deref().is_some_and(|word| word.starts_with(|first: char| first.is_ascii_digit()));
                words.extend(word.filter(|_| !number));
                return Ok((words, Some(at)));
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    if escaped {
        return Err("nothing after the last backslash");
    }
    if quote.is_some() {
        return Err("a quote without its end");
    }
    words.extend(word);
    Ok((words, None))
}

/// A device, as the long form has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShortDevice {
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Some of `r`, `w`, `m`.
    pub permissions: String,
}

/// Returns whether the folder to build in is no folder of this machine.
pub(crate) fn is_remote(context: &str) -> bool {
    context.contains("://") || ["git@", "github.com/", "service:"].iter().any(|head| context.starts_with(head))
}

/// Expands `SOURCE[:TARGET[:PERMISSIONS]]`.
pub(crate) fn device(text: &str) -> Result<ShortDevice, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] => (source, target, "rwm"),
        [source, target, permissions] => (source, target, permissions),
        _ => return Err(format!("confusing device mapping, please use long syntax: {text}")),
    };
    if source.is_empty() || target.is_empty() {
        return Err(format!("a device needs a path: \"{text}\""));
    }
    Ok(ShortDevice { source: source.to_owned(), target: target.to_owned(), permissions: permissions.to_owned() })
}

/// Reads `NAME=ADDRESS` or `NAME:ADDRESS`, and writes the former.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let Some((name, address)) = text.split_once('=').or_else(|| text.split_once(':')) else {
        return Err(format!("invalid additional host, missing IP: {text}"));
    };
    if name.is_empty() {
        return Err(format!("bad host name '{name}'"));
    }
    Ok(format!("{name}={}", bare_address(address)))
}

/// An address without the brackets that IPv6 ones may have.
pub(crate) fn bare_address(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_expand() {
        let shown = |text: &str| {
            ports(text).map(|ports| {
                let one = |port: &ShortPort| {
                    format!(
                        "{}|{}|{}/{}",
                        port.host_ip.as_deref().unwrap_or(""),
                        port.published.as_deref().unwrap_or(""),
                        port.target,
                        port.protocol
                    )
                };
                ports.iter().map(one).collect::<Vec<_>>().join(" ")
            })
        };
        for (text, expect) in [
            ("80", "||80/tcp"),
            ("8080:80", "|8080|80/tcp"),
            ("127.0.0.1:8080:80/udp", "127.0.0.1|8080|80/udp"),
            ("127.0.0.1::80", "127.0.0.1||80/tcp"),
            ("[::1]:8080:80", "::1|8080|80/tcp"),
            (":8080:80", "|8080|80/tcp"),
            ("80/", "||80/tcp"),
            ("80-81", "||80/tcp ||81/tcp"),
            ("8080-8081:80-81", "|8080|80/tcp |8081|81/tcp"),
            ("8080-8090:80", "|8080-8090|80/tcp"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expect), "{text}");
        }
        for text in
            ["", "a", "80:", "8080-8081:80-90", "80/http", "99999", "1.2.3:80:80", "90-80", "+80", "127.0.0.1:80", "::1:80:80", "::1::80"]
        {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mounts_expand() {
        let shown = |text: &str| mount(text).map(|mount| format!("{:?} {} {} {}", mount.source, mount.bind, mount.target, mount.read_only));
        for (text, expect) in [
            ("/data", "None false /data false"),
            ("data:/data", "Some(\"data\") false /data false"),
            ("./data:/data:ro", "Some(\"./data\") true /data true"),
            ("~/data:/data:rw,z", "Some(\"~/data\") true /data false"),
            ("${A:-x}:/data", "Some(\"${A:-x}\") false /data false"),
            ("C:\\x:/data", "Some(\"C:\\\\x\") true /data false"),
            // One letter before a colon is a drive to Docker Compose 2.40, a volume's name or not.
            ("a:/b:what", "Some(\"a:/b\") true what false"),
            ("a:/b:ro", "Some(\"a:/b\") true ro false"),
            ("a:/data", "None false a:/data false"),
            ("a:b:c:d:ro", "Some(\"a:b\") true c:d true"),
            ("a::b", "Some(\"a:\") true b false"),
            ("/data:ro", "Some(\"/data\") true ro false"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expect), "{text}");
        }
        for text in ["", "aa::b", "aa:bb:", "aa:bb:cc:dd", "aa:bb:c:d"] {
            assert!(mount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn targets_are_cleaned_as_in_go() {
        for (path, expect) in
            [("/a//b/", "/a/b"), ("/a/../b", "/b"), ("/..", "/"), ("a/./b", "a/b"), ("", "."), ("../a", "../a"), ("/", "/")]
        {
            assert_eq!(clean_target(path), expect, "{path}");
        }
    }

    #[test]
    fn command_lines_split_as_in_a_shell() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(words(text).map(|(words, _)| words), Ok(expect.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()), "{text}");
        };
        check("", &[]);
        check("  ", &[]);
        check("a  b\tc", &["a", "b", "c"]);
        check("sh -c 'echo \"$X\"'", &["sh", "-c", "echo \"$X\""]);
        check("a \"b \\\" c\" d\\ e", &["a", "b \" c", "d e"]);
        check("''", &[""]);
        check("a # b", &["a", "#", "b"]);
        check("a && b", &["a"]);
        check("a 2>&1", &["a"]);
        check("a \"&\" b", &["a", "&", "b"]);
        assert!(words("a (b)").is_err());
        check("a#b", &["a#b"]);
        assert!(words("'a").is_err());
        assert!(words("\"a").is_err());
        assert!(words("a\\").is_err());
    }
}
