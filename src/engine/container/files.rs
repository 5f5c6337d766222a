//! The three files by which a container knows itself: `/etc/hostname`, `/etc/hosts`, `/etc/resolv.conf`.

use std::net::IpAddr;

use crate::engine::network::nft::dns_redirect::RESOLVER;
use crate::resource::container::ContainerSpec;
use crate::resource::extra_host;

/// What every container's hosts begin with (Docker's).
const HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// `/etc/hosts`: the fixed lines or, in the host's network, the host's; then the lines asked for; then the container's own addresses.
/// `host_gateway` is the address that stands for the host.
pub(super) fn hosts(
    base: Option<&str>,
    extra: &[(String, String)],
    host_gateway: Option<IpAddr>,
    own: &[IpAddr],
    hostname: &str,
    domainname: Option<&str>,
) -> Result<String, String> {
    let mut text = base.unwrap_or(HOSTS).to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (name, address) in extra {
        if address == extra_host::HOST_GATEWAY {
            let gateway = host_gateway.ok_or("unable to derive the IP value for host-gateway")?;
            text.push_str(&format!("{gateway}\t{name}\n"));
        } else {
            text.push_str(&format!("{address}\t{name}\n"));
        }
    }
    let names = match domainname {
        Some(domain) if !domain.is_empty() => format!("{hostname}.{domain} {hostname}"),
        _ => hostname.to_owned(),
    };
    for address in own {
        text.push_str(&format!("{address}\t{names}\n"));
    }
    Ok(text)
}

/// `/etc/resolv.conf`: where its lookups come to us it names 127.0.0.11 alone, else `named` or the host's servers. Search domains and
/// options are the spec's where it has them, else the host's.
pub(super) fn resolv_conf(host: &str, spec: &ContainerSpec, named: &[IpAddr], asks_us: bool) -> String {
    let fields = |key: &str| -> Vec<String> {
        // The last line of a kind counts (resolv.conf(5)); of name servers, every one.
        let lines = host.lines().map(|line| line.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>());
        let found: Vec<Vec<String>> = lines
            .filter(|words| words.first() == Some(&key))
            .map(|words| words[1..].iter().map(|word| (*word).to_owned()).collect())
            .collect();
        if key == "nameserver" { found.concat() } else { found.into_iter().next_back().unwrap_or_default() }
    };
    let servers = if asks_us {
        vec![RESOLVER.to_string()]
    } else if named.is_empty() {
        fields("nameserver")
    } else {
        named.iter().map(ToString::to_string).collect()
    };
    let search = match spec.dns_search.as_slice() {
        [] => fields("search"),
        // Docker's way to ask for none.
        [dot] if dot == "." => Vec::new(),
        own => own.to_vec(),
    };
    let mut options = if spec.dns_options.is_empty() { fields("options") } else { spec.dns_options.clone() };
    if asks_us && !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0".to_owned());
    }
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    for (key, words) in [("search", search), ("options", options)] {
        if !words.is_empty() {
            text.push_str(&format!("{key} {}\n", words.join(" ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_end_with_the_containers_own_names() {
        let extra = [("db".to_owned(), "10.0.0.9".to_owned()), ("host.docker.internal".to_owned(), "host-gateway".to_owned())];
        let own = ["172.18.0.2".parse().expect("an address")];
        let gateway = Some("172.18.0.1".parse().expect("an address"));
        let text = hosts(None, &extra, gateway, &own, "web", Some("example.org")).expect("whole");
        let expected = "10.0.0.9\tdb\n172.18.0.1\thost.docker.internal\n172.18.0.2\tweb.example.org web\n";
        assert_eq!(text.strip_prefix(HOSTS), Some(expected));
        assert!(hosts(None, &extra, None, &own, "web", None).is_err());
        assert_eq!(hosts(Some("1.2.3.4 a"), &[], None, &[], "web", None), Ok("1.2.3.4 a\n".to_owned()));
    }

    #[test]
    fn lookups_go_to_us_or_to_whom_was_asked_for() {
        let host = "# made by hand\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch old\nsearch example.org  lan\noptions edns0\n";
        let check = |spec: &ContainerSpec, asks_us, expected: &str| assert_eq!(resolv_conf(host, spec, &spec.dns, asks_us), expected);
        let plain = ContainerSpec::default();
        check(&plain, true, "nameserver 127.0.0.11\nsearch example.org lan\noptions edns0 ndots:0\n");
        check(&plain, false, "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.org lan\noptions edns0\n");
        let own = ContainerSpec {
            dns: vec!["9.9.9.9".parse().expect("an address")],
            dns_search: vec![".".to_owned()],
            dns_options: vec!["ndots:3".to_owned()],
            ..ContainerSpec::default()
        };
        check(&own, true, "nameserver 127.0.0.11\noptions ndots:3\n");
        check(&own, false, "nameserver 9.9.9.9\noptions ndots:3\n");
    }
}
