//! A name with an address of its own: a line of a container's `/etc/hosts`. The words are dockerd's.

use std::net::IpAddr;

/// The address that stands for the machine itself.
pub const HOST_GATEWAY: &str = "host-gateway";

/// Takes a line apart at its first `:` or `=`. An address of IPv6 may stand in brackets.
pub fn split(line: &str) -> Result<(String, String), String> {
    match line.split_once([':', '=']) {
        Some((name, address)) if !name.is_empty() => {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            Ok((name.to_owned(), bare.to_owned()))
        }
        _ => Err(format!("bad format for add-host: {line:?}")),
    }
}

/// Refuses what would not be a line, or several.
pub fn check(name: &str, address: &str) -> Result<(), String> {
    if name.contains(char::is_control) {
        return Err(format!("bad format for add-host: {:?}", format!("{name}:{address}")));
    }
    if address != HOST_GATEWAY && address.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {address:?}"));
    }
    Ok(())
}

/// Takes a line apart that is good.
pub fn parse(line: &str) -> Result<(String, String), String> {
    let (name, address) = split(line)?;
    check(&name, &address)?;
    Ok((name, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_an_address() {
        let check = |line: &str, expect: Result<(&str, &str), &str>| {
            let expect = expect.map(|(name, address)| (name.to_owned(), address.to_owned())).map_err(str::to_owned);
            assert_eq!(parse(line), expect, "{line}");
        };
        check("a:1.2.3.4", Ok(("a", "1.2.3.4")));
        check("a=::1", Ok(("a", "::1")));
        check("a:[::1]", Ok(("a", "::1")));
        check("a:host-gateway", Ok(("a", "host-gateway")));
        check("a", Err(r#"bad format for add-host: "a""#));
        check(":1.2.3.4", Err(r#"bad format for add-host: ":1.2.3.4""#));
        check("a:b", Err(r#"invalid IP address in add-host: "b""#));
        check("a:", Err(r#"invalid IP address in add-host: """#));
        check("a:1.2.3.4\n9.9.9.9 b", Err(r#"invalid IP address in add-host: "1.2.3.4\n9.9.9.9 b""#));
        check("a\n9.9.9.9 b:1.2.3.4", Err(r#"bad format for add-host: "a\n9.9.9.9 b:1.2.3.4""#));
    }
}
