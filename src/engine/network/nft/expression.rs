//! The expressions of a rule, as the kernel's nf_tables has them (`include/uapi/linux/netfilter/nf_tables.h`).

use std::net::Ipv4Addr;

use crate::engine::network::netlink::wire::Writer;
use crate::engine::network::nft::batch::{Family, Verdict};

/// Codes of verdicts.
pub(super) mod verdict {
    pub(crate) const DROP: u32 = 0;
    pub(crate) const ACCEPT: u32 = 1;
    pub(crate) const JUMP: u32 = -3_i32 as u32;
    pub(crate) const RETURN: u32 = -5_i32 as u32;
}

/// What is read of a packet or of its way (`enum nft_meta_keys`).
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::network) enum Meta {
    /// The name of the interface it came in by.
    InputName = 6,
    /// The name of the interface it leaves by.
    OutputName = 7,
    /// The IP version.
    NetworkProtocol = 15,
    /// The transport protocol.
    TransportProtocol = 16,
}

/// The first 32-bit register.
pub(in crate::engine::network) const REGISTER: u32 = 8;

/// Bytes of a packet.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::network) struct Field {
    base: u32,
    offset: u32,
    length: u32,
}

impl Field {
    /// IPv4 source address.
    pub(in crate::engine::network) const SOURCE4: Self = Self { base: 1, offset: 12, length: 4 };
    /// IPv4 destination address.
    pub(in crate::engine::network) const DESTINATION4: Self = Self { base: 1, offset: 16, length: 4 };
    /// IPv6 source address.
    pub(in crate::engine::network) const SOURCE6: Self = Self { base: 1, offset: 8, length: 16 };
    /// IPv6 destination address.
    pub(in crate::engine::network) const DESTINATION6: Self = Self { base: 1, offset: 24, length: 16 };
    /// The destination port of TCP, UDP and SCTP alike.
    pub(in crate::engine::network) const DESTINATION_PORT: Self = Self { base: 2, offset: 2, length: 2 };
}

/// The expressions of one rule, from left to right.
#[derive(Debug, Default)]
pub(in crate::engine::network) struct Expressions {
    list: Writer,
}

impl Expressions {
    /// None yet.
    pub(in crate::engine::network) fn new() -> Self {
        Self::default()
    }

    /// Writes them into the list of a rule.
    pub(super) fn write(self, list: &mut Writer) {
        list.raw(&self.list.into_bytes());
    }

    fn expression(mut self, name: &str, data: impl FnOnce(&mut Writer)) -> Self {
        self.list.nest(1, |element| {
            element.text(1, name);
            element.nest(2, data);
        });
        self
    }

    /// Loads what is known of the packet.
    pub(in crate::engine::network) fn meta(self, meta: Meta, register: u32) -> Self {
        self.expression("meta", |data| {
            data.number(2, meta as u32);
            data.number(1, register);
        })
    }

    /// Loads bytes of the packet.
    pub(in crate::engine::network) fn payload(self, field: Field, register: u32) -> Self {
        self.expression("payload", |data| {
            data.number(1, register);
            data.number(2, field.base);
            data.number(3, field.offset);
            data.number(4, field.length);
        })
    }

    /// Goes on if the first register begins with `value`.
    pub(in crate::engine::network) fn equal(self, value: &[u8]) -> Self {
        self.compare(0, value)
    }

    /// Goes on unless the first register begins with `value`.
    pub(in crate::engine::network) fn not_equal(self, value: &[u8]) -> Self {
        self.compare(1, value)
    }

    /// Goes on if this register begins with `value`.
    pub(in crate::engine::network) fn equal_in(self, register: u32, value: &[u8]) -> Self {
        self.compare_in(register, 0, value)
    }

    fn compare(self, operator: u32, value: &[u8]) -> Self {
        self.compare_in(REGISTER, operator, value)
    }

    fn compare_in(self, register: u32, operator: u32, value: &[u8]) -> Self {
        self.expression("cmp", |data| {
            data.number(1, register);
            data.number(2, operator);
            data.nest(3, |nest| nest.bytes(1, value));
        })
    }

    /// Goes on if any of these bits of the first register, a number of this machine, is set.
    pub(in crate::engine::network) fn any_bit(self, mask: u32) -> Self {
        self.masked(&mask.to_ne_bytes()).not_equal(&[0; 4])
    }

    /// Keeps only these bits of the first register.
    pub(in crate::engine::network) fn masked(self, mask: &[u8]) -> Self {
        self.expression("bitwise", |data| {
            data.number(1, REGISTER);
            data.number(2, REGISTER);
            data.number(3, u32::try_from(mask.len()).expect("a mask fits its register"));
            data.nest(4, |nest| nest.bytes(1, mask));
            data.nest(5, |nest| nest.bytes(1, &vec![0; mask.len()]));
        })
    }

    /// Goes on for packets of this IP version: needed before anything that reads addresses in a table for both.
    pub(in crate::engine::network) fn version(self, family: Family) -> Self {
        self.meta(Meta::NetworkProtocol, REGISTER).equal(&[family as u8])
    }

    /// Goes on if the registers from the first on are a key of the set, or are none with `negated`.
    pub(in crate::engine::network) fn lookup(self, set: &str, negated: bool) -> Self {
        self.expression("lookup", |data| {
            data.text(1, set);
            data.number(2, REGISTER);
            if negated {
                data.number(5, 1);
            }
        })
    }

    /// Goes on if the registers from the first on are a key of the map, whose value then lies in the registers from the first on.
    pub(in crate::engine::network) fn lookup_value(self, map: &str) -> Self {
        self.expression("lookup", |data| {
            data.text(1, map);
            data.number(2, REGISTER);
            data.number(3, REGISTER);
        })
    }

    /// Loads the state of the connection: bits, see [`crate::engine::network::nft::table`].
    pub(in crate::engine::network) fn connection_state(self) -> Self {
        self.connection(0)
    }

    /// Loads the status of the connection (`IPS_*`).
    pub(in crate::engine::network) fn connection_status(self) -> Self {
        self.connection(2)
    }

    fn connection(self, key: u32) -> Self {
        self.expression("ct", |data| {
            data.number(2, key);
            data.number(1, REGISTER);
        })
    }

    /// Goes on if the destination is an address of this machine.
    pub(in crate::engine::network) fn destination_is_local(self) -> Self {
        const LOCAL: u32 = 2;
        self.expression("fib", |data| {
            data.number(1, REGISTER);
            data.number(2, 3);
            data.number(3, 2);
        })
        .equal(&LOCAL.to_ne_bytes())
    }

    /// Loads a value.
    pub(in crate::engine::network) fn load(self, register: u32, value: &[u8]) -> Self {
        self.expression("immediate", |data| {
            data.number(1, register);
            data.nest(2, |nest| nest.bytes(1, value));
        })
    }

    /// Sends the connection to the address and port in these registers.
    pub(in crate::engine::network) fn destination_nat(self, family: Family, address: u32, port: u32) -> Self {
        self.expression("nat", |data| {
            data.number(1, 1);
            data.number(2, family as u32);
            data.number(3, address);
            data.number(5, port);
            // NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, as nft writes them.
            data.number(7, 3);
        })
    }

    /// Sends the connection to this address and port.
    pub(in crate::engine::network) fn destination_nat_to(self, address: Ipv4Addr, port: u16) -> Self {
        self.load(REGISTER, &address.octets()).load(REGISTER + 1, &port.to_be_bytes()).destination_nat(Family::Ip, REGISTER, REGISTER + 1)
    }

    /// Makes the connection come from the address of the interface it leaves by.
    pub(in crate::engine::network) fn masquerade(self) -> Self {
        self.expression("masq", |_| {})
    }

    /// Counts, as every rule of iptables does.
    pub(in crate::engine::network) fn counter(self) -> Self {
        self.expression("counter", |data| {
            data.bytes(1, &[0; 8]);
            data.bytes(2, &[0; 8]);
        })
    }

    /// Ends the rule.
    pub(in crate::engine::network) fn verdict(self, verdict: Verdict<'_>) -> Self {
        let (code, chain) = verdict.parts();
        self.expression("immediate", |data| {
            data.number(1, 0);
            data.nest(2, |nest| {
                nest.nest(2, |nest| {
                    nest.number(1, code);
                    if let Some(chain) = chain {
                        nest.text(2, chain);
                    }
                });
            });
        })
    }
}
