//! Blocks of addresses as ranges of numbers, both IP versions alike.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::resource::network::Subnet;

/// An address as a number.
pub(in crate::engine::network) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The address of this number, of the same IP version as `like`.
pub(in crate::engine::network) fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// Bits of an address.
pub(in crate::engine::network) const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The numbers of the first and the last address of a block. The block's address may lie anywhere in it.
pub(in crate::engine::network) fn bounds(subnet: Subnet) -> (u128, u128) {
    let host_bits = width(subnet.address).saturating_sub(subnet.prefix);
    let host = if host_bits >= 128 { u128::MAX } else { (1 << host_bits) - 1 };
    let first = number(subnet.address) & !host;
    (first, first | host)
}

/// Whether two blocks have an address in common.
pub(in crate::engine::network) fn overlap(one: Subnet, other: Subnet) -> bool {
    if one.address.is_ipv4() != other.address.is_ipv4() {
        return false;
    }
    let (one, other) = (bounds(one), bounds(other));
    one.0 <= other.1 && other.0 <= one.1
}

/// Whether an address lies in a block.
pub(in crate::engine::network) fn contains(subnet: Subnet, address: IpAddr) -> bool {
    overlap(subnet, Subnet { address, prefix: width(address) })
}

/// The block that begins with its own first address.
pub(in crate::engine::network) fn normal(subnet: Subnet) -> Subnet {
    Subnet { address: address(bounds(subnet).0, subnet.address), prefix: subnet.prefix }
}

/// For tests: the block written `10.0.0.0/8`.
#[cfg(test)]
pub(in crate::engine::network) fn subnet_of(text: &str) -> Subnet {
    let (address, prefix) = text.split_once('/').expect("a block has a prefix");
    Subnet { address: address.parse().expect("an address"), prefix: prefix.parse().expect("a number") }
}

#[cfg(test)]
mod tests {
    use super::subnet_of as subnet;
    use super::*;

    #[test]
    fn blocks_overlap_where_they_share_an_address() {
        for (one, other, expect) in [
            ("10.0.0.0/8", "10.9.0.0/16", true),
            ("10.9.0.0/16", "10.0.0.0/8", true),
            ("10.0.0.0/16", "10.1.0.0/16", false),
            ("0.0.0.0/0", "192.168.1.1/32", true),
            ("::/0", "10.0.0.0/8", false),
            ("fd00::/64", "fd00:0:0:1::/64", false),
            ("fd00::5/64", "fd00::/48", true),
        ] {
            assert_eq!(overlap(subnet(one), subnet(other)), expect, "{one} {other}");
        }
    }

    #[test]
    fn a_block_begins_with_its_first_address() {
        assert_eq!(normal(subnet("10.1.2.3/16")).to_string(), "10.1.0.0/16");
        assert_eq!(normal(subnet("fd00::9/64")).to_string(), "fd00::/64");
        assert_eq!(bounds(subnet("::/0")), (0, u128::MAX));
    }
}
