//! The addresses of one block: handed out next-fit, never twice.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::engine::network::ipam::block::{address, bounds, contains, number, width};
use crate::resource::network::IpamPool;

/// The addresses of one pool of a network.
///
/// Next-fit: an address given back is handed out again only after all others, so that what still remembers it (a neighbour table, a
/// client's pool of connections) does not meet a stranger there.
#[derive(Clone, Debug)]
pub(in crate::engine::network) struct AddressSpace {
    pool: IpamPool,
    taken: BTreeSet<u128>,
    first: u128,
    last: u128,
    next: u128,
}

impl AddressSpace {
    /// The space of a pool whose gateway is known. Gateway, reserved addresses, the block's own and IPv4's broadcast are never
    /// handed out.
    pub(in crate::engine::network) fn new(pool: IpamPool) -> Self {
        let (block_first, block_last) = bounds(pool.subnet);
        let (range_first, range_last) = pool.range.map_or((block_first, block_last), bounds);
        let mut taken: BTreeSet<u128> = pool.reserved.values().copied().chain(pool.gateway).map(number).collect();
        // A block of one or two addresses has neither (RFC 3021).
        if pool.subnet.prefix < width(pool.subnet.address) - 1 {
            taken.insert(block_first);
            if pool.subnet.address.is_ipv4() {
                taken.insert(block_last);
            }
        }
        Self { taken, first: range_first.max(block_first), last: range_last.min(block_last), next: range_first.max(block_first), pool }
    }

    /// The pool.
    pub(in crate::engine::network) fn pool(&self) -> &IpamPool {
        &self.pool
    }

    /// Whether an address is of this block.
    pub(in crate::engine::network) fn contains(&self, address: IpAddr) -> bool {
        contains(self.pool.subnet, address)
    }

    /// Takes the next free address.
    pub(in crate::engine::network) fn take_next(&mut self) -> Option<IpAddr> {
        let found = self.free_in(self.next, self.last).or_else(|| self.free_in(self.first, self.next.checked_sub(1)?))?;
        self.taken.insert(found);
        self.next = if found >= self.last { self.first } else { found + 1 };
        Some(address(found, self.pool.subnet.address))
    }

    /// The first number from `from` to `to` that is not taken: walks over the run of taken ones only.
    fn free_in(&self, from: u128, to: u128) -> Option<u128> {
        if from > to {
            return None;
        }
        let mut candidate = from;
        for &taken in self.taken.range(from..=to) {
            if taken != candidate {
                break;
            }
            candidate = candidate.checked_add(1)?;
        }
        (candidate <= to).then_some(candidate)
    }

    /// Takes this address; false when somebody has it, or nobody may.
    pub(in crate::engine::network) fn take(&mut self, address: IpAddr) -> bool {
        self.contains(address) && self.taken.insert(number(address))
    }

    /// Gives an address back.
    pub(in crate::engine::network) fn give_back(&mut self, address: IpAddr) {
        self.taken.remove(&number(address));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::network::ipam::block::subnet_of as subnet;

    fn space(block: &str, range: Option<&str>) -> AddressSpace {
        let gateway = address(bounds(subnet(block)).0 + 1, subnet(block).address);
        AddressSpace::new(IpamPool { subnet: subnet(block), range: range.map(subnet), gateway: Some(gateway), reserved: BTreeMap::new() })
    }

    fn take(space: &mut AddressSpace, count: usize) -> Vec<String> {
        (0..count).map(|_| space.take_next().map_or_else(|| "none".to_owned(), |found| found.to_string())).collect()
    }

    #[test]
    fn addresses_come_in_order_and_return_last() {
        let mut small = space("10.0.0.0/29", None);
        assert_eq!(take(&mut small, 3), ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        small.give_back("10.0.0.2".parse().expect("an address"));
        assert_eq!(take(&mut small, 4), ["10.0.0.5", "10.0.0.6", "10.0.0.2", "none"]);
    }

    #[test]
    fn a_range_bounds_what_is_handed_out_but_not_what_is_asked_for() {
        let mut ranged = space("10.0.0.0/24", Some("10.0.0.128/30"));
        assert_eq!(take(&mut ranged, 5), ["10.0.0.128", "10.0.0.129", "10.0.0.130", "10.0.0.131", "none"]);
        assert!(ranged.take("10.0.0.9".parse().expect("an address")));
        assert!(!ranged.take("10.0.0.9".parse().expect("an address")), "twice");
        assert!(!ranged.take("10.0.0.1".parse().expect("an address")), "the gateway");
        assert!(!ranged.take("10.0.1.9".parse().expect("an address")), "another block");
    }

    #[test]
    fn the_smallest_and_the_largest_blocks_work() {
        assert_eq!(take(&mut space("10.0.0.0/30", None), 2), ["10.0.0.2", "none"]);
        assert_eq!(take(&mut space("10.0.0.0/31", None), 2), ["10.0.0.0", "none"]);
        assert_eq!(take(&mut space("fd00::/64", None), 2), ["fd00::2", "fd00::3"]);
        assert_eq!(take(&mut space("::/0", None), 1), ["::2"]);
    }

    proptest! {
        /// No sequence of taking and giving back hands an address out twice, or one that nobody may have.
        #[test]
        fn no_address_is_handed_out_twice(steps in prop::collection::vec(prop::option::of(0_usize..8), 1..80)) {
            let mut space = space("10.0.0.0/28", None);
            let mut held: Vec<IpAddr> = Vec::new();
            for step in steps {
                match step {
                    Some(index) if index < held.len() => space.give_back(held.swap_remove(index)),
                    Some(_) => {}
                    None => match space.take_next() {
                        Some(found) => {
                            prop_assert!(!held.contains(&found));
                            prop_assert!(space.contains(found));
                            held.push(found);
                        }
                        None => prop_assert_eq!(held.len(), 13),
                    },
                }
            }
        }
    }
}
