//! What EXPOSE takes: `80`, `80/udp`, `8000-8010`, and the older `[address:][port:]port`.

use std::net::IpAddr;

/// One word of EXPOSE.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ports {
    range: (u16, u16),
    /// In small letters.
    protocol: String,
    /// The protocol is written with capitals.
    pub capitals: bool,
    /// An address or a port of the host is named, which means nothing here.
    pub mapped: bool,
}

impl Ports {
    /// How many they are.
    pub(super) fn count(&self) -> usize {
        usize::from(self.range.1 - self.range.0) + 1
    }

    /// Each as `80/tcp`.
    pub(super) fn ports(&self) -> impl Iterator<Item = String> {
        (self.range.0..=self.range.1).map(|port| format!("{port}/{}", self.protocol))
    }
}

/// Reads one word.
pub(super) fn parse(word: &str) -> Result<Ports, String> {
    let wrong = |reason: &str| format!("`{word}` is not a port: {reason}");
    let mut parts = word.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let host = parts.next().unwrap_or_default();
    let address = parts.next().unwrap_or_default();
    let (range, protocol) = container.split_once('/').unwrap_or((container, ""));
    let lower = match protocol.to_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        _ => return Err(wrong("the protocol is tcp, udp or sctp")),
    };
    let bare = address.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(address);
    if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
        return Err(wrong("the address is none"));
    }
    let (first, last) = self::range(range).ok_or_else(|| wrong("a number up to 65535 or a range is expected"))?;
    if !host.is_empty() {
        let (host_first, host_last) = self::range(host).ok_or_else(|| wrong("the host's port is none"))?;
        if first != last && last - first != host_last - host_first {
            return Err(wrong("the two ranges differ in length"));
        }
    }
    Ok(Ports {
        range: (first, last),
        protocol: lower,
        capitals: protocol != protocol.to_lowercase(),
        mapped: !host.is_empty() || !address.is_empty(),
    })
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        let check = |word: &str, expect: &[&str]| {
            assert_eq!(parse(word).map(|it| it.ports().collect::<Vec<_>>()).unwrap_or_default(), expect, "{word}");
        };
        check("80", &["80/tcp"]);
        check("53/UDP", &["53/udp"]);
        check("80/", &["80/tcp"]);
        check("8000-8002/sctp", &["8000/sctp", "8001/sctp", "8002/sctp"]);
        check("127.0.0.1:8080:80", &["80/tcp"]);
        check("[::1]:8080:80", &["80/tcp"]);
        check("8080:80", &["80/tcp"]);
        for wrong in ["", "x", "80/x", "70000", "9-8", "1-2:3-5", "x:1:1", "/tcp"] {
            check(wrong, &[]);
        }
        assert!(parse("80/TCP").is_ok_and(|it| it.capitals && !it.mapped));
        assert!(parse("80:80").is_ok_and(|it| !it.capitals && it.mapped));
    }
}
