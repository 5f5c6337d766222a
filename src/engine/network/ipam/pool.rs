//! Which block a network gets that asks for none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::network::handle::AddressPool;
use crate::engine::network::ipam::block::{address, bounds, overlap, width};
use crate::resource::network::Subnet;

/// Docker's `default-address-pools` for IPv4: fifteen blocks of 65,534 addresses, then sixteen of 4,094.
pub(in crate::engine::network) fn default_pools() -> Vec<AddressPool> {
    let large = (17..=31).map(|second| AddressPool { base: v4(172, second, 16), size: 16 });
    large.chain([AddressPool { base: v4(192, 168, 16), size: 20 }]).collect()
}

const fn v4(first: u8, second: u8, prefix: u8) -> Subnet {
    Subnet { address: IpAddr::V4(Ipv4Addr::new(first, second, 0, 0)), prefix }
}

/// A supply of unique local IPv6 blocks (RFC 4193) that belongs to this root: 48 bits from its tag, cut into blocks of 64.
pub(in crate::engine::network) fn unique_local(tag: &str) -> AddressPool {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(tag.as_bytes());
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&digest[..5]);
    AddressPool { base: Subnet { address: IpAddr::V6(Ipv6Addr::from(octets)), prefix: 48 }, size: 64 }
}

/// The first block of the pools that shares no address with what is taken.
pub(in crate::engine::network) fn choose(pools: &[AddressPool], taken: &[Subnet]) -> Option<Subnet> {
    pools.iter().find_map(|pool| choose_from(*pool, taken))
}

fn choose_from(pool: AddressPool, taken: &[Subnet]) -> Option<Subnet> {
    let (first, last) = bounds(pool.base);
    let step = 1_u128.checked_shl(u32::from(width(pool.base.address).checked_sub(pool.size)?))?;
    let mut start = first;
    loop {
        let candidate = Subnet { address: address(start, pool.base.address), prefix: pool.size };
        if bounds(candidate).1 > last {
            return None;
        }
        // What is in the way is jumped over as a whole, so that a /8 in a pool of /24 costs one step.
        match taken.iter().find(|other| overlap(**other, candidate)) {
            None => return Some(candidate),
            Some(other) => {
                let behind = bounds(*other).1.checked_add(1)?;
                start = behind.max(start.checked_add(step)?).checked_next_multiple_of(step)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::network::ipam::block::subnet_of as subnet;

    #[test]
    fn the_first_block_that_nobody_has_is_chosen() {
        let check = |taken: &[&str], expect: Option<&str>| {
            let taken: Vec<_> = taken.iter().map(|text| subnet(text)).collect();
            assert_eq!(choose(&default_pools(), &taken).map(|found| found.to_string()).as_deref(), expect, "{taken:?}");
        };
        check(&[], Some("172.17.0.0/16"));
        check(&["172.17.5.1/32"], Some("172.18.0.0/16"));
        check(&["172.16.0.0/12"], Some("192.168.0.0/20"));
        check(&["172.16.0.0/12", "192.168.0.0/17"], Some("192.168.128.0/20"));
        check(&["172.16.0.0/12", "192.168.1.0/24"], Some("192.168.16.0/20"));
        check(&["172.16.0.0/12", "192.168.0.0/16"], None);
        check(&["0.0.0.0/0"], None);
        check(&["fd00::/8"], Some("172.17.0.0/16"));
    }

    #[test]
    fn a_large_route_in_a_finely_cut_pool_costs_one_step() {
        let pool = AddressPool { base: subnet("fd00::/8"), size: 64 };
        assert_eq!(choose(&[pool], &[subnet("fd00::/16")]).map(|found| found.to_string()).as_deref(), Some("fd01::/64"));
    }

    #[test]
    fn two_roots_draw_ipv6_from_different_blocks() {
        assert_ne!(unique_local("aaaaaa"), unique_local("bbbbbb"));
        assert!(overlap(unique_local("aaaaaa").base, subnet("fd00::/8")));
    }
}
