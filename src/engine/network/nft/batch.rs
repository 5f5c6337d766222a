//! A batch: changes to nf_tables that take effect all at once, or not at all.

use crate::engine::network::netlink::wire::{ACK, APPEND, CREATE, EXCLUSIVE, REQUEST, Writer};
use crate::engine::network::nft::expression::{Expressions, verdict};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;

/// The address family of a table (`NFPROTO_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::network) enum Family {
    /// Both IP versions.
    Inet = 1,
    /// IPv4.
    Ip = 2,
    /// IPv6.
    Ip6 = 10,
}

/// Where a base chain is called (`enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::network) enum Hook {
    /// Before routing.
    Prerouting = 0,
    /// What is passed on.
    Forward = 2,
    /// What the machine itself sends.
    Output = 3,
    /// After routing.
    Postrouting = 4,
}

/// A set or a map: the shape of its keys, and of its values.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::network) struct SetShape {
    /// The types of a key's parts; they decide how `nft` prints it.
    pub(in crate::engine::network) key: &'static [DataType],
    /// The types of a value's parts; none for a set.
    pub(in crate::engine::network) value: &'static [DataType],
    /// Keys are ranges, each written as its first member and the first one behind it.
    pub(in crate::engine::network) interval: bool,
}

/// A type of `nft`: its number there (`enum datatypes`) and its length in registers.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::network) enum DataType {
    /// `ipv4_addr`.
    Ipv4,
    /// `ipv6_addr`.
    Ipv6,
    /// `inet_proto`.
    Protocol,
    /// `inet_service`.
    Port,
    /// `ifname`.
    Interface,
}

impl DataType {
    const fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Interface => 41,
        }
    }

    /// Bytes; a part of a concatenation fills whole registers of four.
    const fn length(self) -> u32 {
        match self {
            Self::Ipv4 | Self::Protocol | Self::Port => 4,
            Self::Ipv6 | Self::Interface => 16,
        }
    }

    fn numbers(parts: &[Self]) -> u32 {
        parts.iter().fold(0, |all, part| all << 6 | part.number())
    }

    fn lengths(parts: &[Self]) -> u32 {
        match parts {
            // Alone, a type has its own length.
            [Self::Port] => 2,
            [Self::Protocol] => 1,
            parts => parts.iter().map(|part| part.length()).sum(),
        }
    }
}

/// An element of a set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine::network) struct Element {
    /// The key.
    pub(in crate::engine::network) key: Vec<u8>,
    /// The value; empty in a set.
    pub(in crate::engine::network) value: Vec<u8>,
    /// The key is the first one that does not belong to the range any more.
    pub(in crate::engine::network) end: bool,
}

/// Changes in order.
#[derive(Debug)]
pub(in crate::engine::network) struct Batch {
    writer: Writer,
    sequence: u32,
    last: Option<usize>,
}

impl Batch {
    /// An empty batch.
    pub(in crate::engine::network) fn new() -> Self {
        let mut writer = Writer::default();
        // struct nfgenmsg: the subsystem goes where other messages carry a resource.
        writer.message(BATCH_BEGIN, REQUEST, 0, &[0, 0, 0, 10], |_| {});
        Self { writer, sequence: 0, last: None }
    }

    /// Whether nothing was asked for.
    pub(in crate::engine::network) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Ends the batch: its bytes, and the number of the request that will be acknowledged, its last. (The end of a batch is
    /// acknowledged only by kernels from 6.13 on.)
    pub(in crate::engine::network) fn finish(mut self) -> (Vec<u8>, u32) {
        if let Some(last) = self.last {
            self.writer.add_flag(last, ACK);
        }
        self.writer.message(BATCH_END, REQUEST, self.sequence + 1, &[0, 0, 0, 10], |_| {});
        (self.writer.into_bytes(), self.sequence)
    }

    fn request(&mut self, kind: u16, flags: u16, family: Family, body: impl FnOnce(&mut Writer)) {
        self.sequence += 1;
        self.last = Some(self.writer.position());
        self.writer.message(SUBSYSTEM << 8 | kind, REQUEST | flags, self.sequence, &[family as u8, 0, 0, 0], body);
    }

    /// Makes a table; one that exists stays.
    pub(in crate::engine::network) fn add_table(&mut self, family: Family, table: &str) {
        self.request(NEW_TABLE, CREATE, family, |body| {
            body.text(1, table);
            body.number(2, 0);
        });
    }

    /// Removes a table with all that is in it; it must exist.
    pub(in crate::engine::network) fn delete_table(&mut self, family: Family, table: &str) {
        self.request(DELETE_TABLE, 0, family, |body| body.text(1, table));
    }

    /// Makes a chain that others jump to.
    pub(in crate::engine::network) fn add_chain(&mut self, family: Family, table: &str, chain: &str) {
        self.request(NEW_CHAIN, CREATE, family, |body| {
            body.text(1, table);
            body.text(3, chain);
        });
    }

    /// Makes a chain of type `filter` or `nat` that the kernel calls; its policy is to accept.
    pub(in crate::engine::network) fn add_base_chain(
        &mut self,
        family: Family,
        table: &str,
        chain: &str,
        kind: &str,
        hook: Hook,
        priority: i32,
    ) {
        self.request(NEW_CHAIN, CREATE, family, |body| {
            body.text(1, table);
            body.text(3, chain);
            body.nest(4, |nest| {
                nest.number(1, hook as u32);
                nest.bytes(2, &priority.to_be_bytes());
            });
            body.number(5, 1);
            body.text(7, kind);
        });
    }

    /// Appends a rule.
    pub(in crate::engine::network) fn add_rule(&mut self, family: Family, table: &str, chain: &str, rule: Expressions) {
        self.rule(APPEND, family, table, chain, &[], rule);
    }

    /// Puts a rule at the head of a chain, with data of ours by which it is found again.
    pub(in crate::engine::network) fn insert_rule(&mut self, family: Family, table: &str, chain: &str, mark: &[u8], rule: Expressions) {
        self.rule(0, family, table, chain, mark, rule);
    }

    fn rule(&mut self, flags: u16, family: Family, table: &str, chain: &str, mark: &[u8], rule: Expressions) {
        self.request(NEW_RULE, CREATE | flags, family, |body| {
            body.text(1, table);
            body.text(2, chain);
            body.nest(4, |list| rule.write(list));
            if !mark.is_empty() {
                body.bytes(7, mark);
            }
        });
    }

    /// Removes a rule.
    pub(in crate::engine::network) fn delete_rule(&mut self, family: Family, table: &str, chain: &str, handle: u64) {
        self.request(DELETE_RULE, 0, family, |body| {
            body.text(1, table);
            body.text(2, chain);
            body.bytes(3, &handle.to_be_bytes());
        });
    }

    /// Makes a set or a map.
    pub(in crate::engine::network) fn add_set(&mut self, family: Family, table: &str, set: &str, shape: SetShape) {
        let identifier = self.sequence + 1;
        self.request(NEW_SET, CREATE, family, |body| {
            body.text(1, table);
            body.text(2, set);
            let map = if shape.value.is_empty() { 0 } else { 8 };
            body.number(3, map | if shape.interval { 4 } else { 0 });
            body.number(4, DataType::numbers(shape.key));
            body.number(5, DataType::lengths(shape.key));
            if !shape.value.is_empty() {
                body.number(6, DataType::numbers(shape.value));
                body.number(7, DataType::lengths(shape.value));
            }
            body.number(10, identifier);
            if matches!(shape.key, [DataType::Interface]) {
                // For `nft list` only: libnftnl's NFTNL_UDATA_SET_KEYBYTEORDER, host order; without it names are printed as nothing.
                let mut note = vec![0, 4];
                note.extend_from_slice(&1_u32.to_ne_bytes());
                body.bytes(13, &note);
            }
        });
    }

    /// Adds elements; with `exclusive`, none of them may exist.
    pub(in crate::engine::network) fn add_elements(
        &mut self,
        family: Family,
        table: &str,
        set: &str,
        elements: &[Element],
        exclusive: bool,
    ) {
        let flags = CREATE | if exclusive { EXCLUSIVE } else { 0 };
        self.elements(NEW_ELEMENT, flags, family, table, set, elements);
    }

    /// Removes elements; all of them must exist.
    pub(in crate::engine::network) fn delete_elements(&mut self, family: Family, table: &str, set: &str, elements: &[Element]) {
        self.elements(DELETE_ELEMENT, 0, family, table, set, elements);
    }

    fn elements(&mut self, kind: u16, flags: u16, family: Family, table: &str, set: &str, elements: &[Element]) {
        // A nest holds 64 KiB at most.
        for part in elements.chunks(512) {
            self.request(kind, flags, family, |body| {
                body.text(1, table);
                body.text(2, set);
                body.nest(3, |list| {
                    for element in part {
                        list.nest(1, |nest| {
                            if element.end {
                                nest.number(3, 1);
                            }
                            nest.nest(1, |key| key.bytes(1, &element.key));
                            if !element.value.is_empty() {
                                nest.nest(2, |value| value.bytes(1, &element.value));
                            }
                        });
                    }
                });
            });
        }
    }
}

/// A verdict for the last expression of a rule.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::network) enum Verdict<'a> {
    /// Out of this hook's chain, on to the next.
    Accept,
    /// Gone.
    Drop,
    /// Into another chain, and back.
    Jump(&'a str),
    /// Back, or at the end of a base chain its policy.
    Return,
}

impl Verdict<'_> {
    /// Its code, and the chain's name.
    pub(super) const fn parts(&self) -> (u32, Option<&str>) {
        match self {
            Self::Drop => (verdict::DROP, None),
            Self::Accept => (verdict::ACCEPT, None),
            Self::Jump(chain) => (verdict::JUMP, Some(chain)),
            Self::Return => (verdict::RETURN, None),
        }
    }
}
