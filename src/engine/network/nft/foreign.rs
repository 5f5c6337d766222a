//! What others have in nf_tables that concerns us, and the two rules that let our packets through there.
//!
//! An accept in our table cannot overrule a drop in another: every table that hooks into forwarding must let a packet pass. Docker sets
//! the policy of `ip filter FORWARD` to drop (with br_netfilter that even hits traffic inside one bridge), ufw its own; so a pair of
//! accepts for our interfaces goes to the head of `DOCKER-USER`, which Docker keeps for this, or else of `FORWARD`.

use std::io;

use crate::engine::network::netlink::socket::Socket;
use crate::engine::network::netlink::wire::{DUMP, Message, REQUEST, Writer, attribute, number, text};
use crate::engine::network::nft::batch::{Batch, Family, Verdict};
use crate::engine::network::nft::expression::{Expressions, Meta, REGISTER};

const SUBSYSTEM: u16 = 10;
const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;
const FORWARD_HOOK: u32 = 2;
const DROP: u32 = 0;

/// iptables-nft's table and chains.
const FILTER: &str = "filter";
const FORWARD: &str = "FORWARD";
const DOCKER_USER: &str = "DOCKER-USER";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    family: u8,
    table: String,
    name: String,
    forwards: bool,
    drops: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    family: u8,
    table: String,
    chain: String,
    handle: u64,
    note: Vec<u8>,
}

/// The ruleset of a moment.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::network) struct Ruleset {
    chains: Vec<Chain>,
    rules: Vec<Rule>,
}

impl Ruleset {
    /// Reads every table's.
    pub(in crate::engine::network) fn read(socket: &mut Socket) -> io::Result<Self> {
        let mut ruleset = Self::default();
        list(socket, GET_CHAIN, |family, attributes| {
            let hook = attribute(attributes, 4).and_then(|hook| attribute(hook, 1)).and_then(number);
            ruleset.chains.push(Chain {
                family,
                table: attribute(attributes, 1).map(text).unwrap_or_default(),
                name: attribute(attributes, 3).map(text).unwrap_or_default(),
                forwards: hook == Some(FORWARD_HOOK),
                drops: attribute(attributes, 5).and_then(number) == Some(DROP),
            });
        })?;
        list(socket, GET_RULE, |family, attributes| {
            let handle = attribute(attributes, 3).and_then(|value| value.first_chunk::<8>());
            ruleset.rules.push(Rule {
                family,
                table: attribute(attributes, 1).map(text).unwrap_or_default(),
                chain: attribute(attributes, 2).map(text).unwrap_or_default(),
                handle: handle.map_or(0, |bytes| u64::from_be_bytes(*bytes)),
                note: attribute(attributes, 7).unwrap_or_default().to_vec(),
            });
        })?;
        Ok(ruleset)
    }

    /// Whether our table is whole: neither removed nor emptied.
    pub(in crate::engine::network) fn has(&self, table: &str) -> bool {
        let family = Family::Inet as u8;
        ["guard", "forward", "prerouting", "output", "postrouting", "publish"]
            .iter()
            .all(|chain| self.rules.iter().any(|rule| rule.family == family && rule.table == table && rule.chain == *chain))
    }

    /// Whether somebody beside `table` decides what is forwarded.
    pub(in crate::engine::network) fn others_forward(&self, table: &str, note: &[u8]) -> bool {
        self.chains.iter().any(|chain| {
            let rules = || self.rules.iter().any(|rule| rule.in_chain(chain) && rule.note != note);
            chain.forwards && chain.table != table && (chain.drops || rules())
        })
    }

    /// Brings the accepts for these interfaces to where they must be: a change only where something is missing or too much.
    ///
    /// A name that ends in `+` stands for all that begin so.
    pub(in crate::engine::network) fn let_through(&self, interfaces: &[String], note: &[u8]) -> Batch {
        let mut batch = Batch::new();
        for family in [Family::Ip, Family::Ip6] {
            let ours: Vec<&Rule> =
                self.rules.iter().filter(|rule| rule.family == family as u8 && !note.is_empty() && rule.note == note).collect();
            let chain = if interfaces.is_empty() { None } else { self.gate(family, note) };
            let wanted = if chain.is_some() { interfaces.len() * 2 } else { 0 };
            if ours.len() == wanted && ours.iter().all(|rule| Some(rule.chain.as_str()) == chain) {
                continue;
            }
            for rule in ours {
                batch.delete_rule(family, &rule.table, &rule.chain, rule.handle);
            }
            let Some(chain) = chain else { continue };
            for interface in interfaces {
                for direction in [Meta::InputName, Meta::OutputName] {
                    batch.insert_rule(family, FILTER, chain, note, accept(direction, interface));
                }
            }
        }
        batch
    }

    /// The chain where the accepts belong; none where nothing would be dropped.
    fn gate(&self, family: Family, note: &[u8]) -> Option<&str> {
        let mut chains = self.chains.iter().filter(|chain| chain.family == family as u8 && chain.table == FILTER);
        if let Some(user) = chains.clone().find(|chain| chain.name == DOCKER_USER) {
            return Some(&user.name);
        }
        let forward = chains.find(|chain| chain.name == FORWARD && chain.forwards)?;
        let filters = forward.drops || self.rules.iter().any(|rule| rule.in_chain(forward) && rule.note != note);
        filters.then_some(forward.name.as_str())
    }
}

impl Rule {
    fn in_chain(&self, chain: &Chain) -> bool {
        self.family == chain.family && self.table == chain.table && self.chain == chain.name
    }
}

/// The mark of our rules: a comment, as libnftnl writes it; both `nft` and `iptables` print it.
pub(in crate::engine::network) fn note(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).expect("the name of a table of ours is short");
    let mut note = vec![0, length];
    note.extend_from_slice(text.as_bytes());
    note.push(0);
    note
}

/// An accept as iptables-nft would write it, so that `iptables -S` reads it.
fn accept(direction: Meta, interface: &str) -> Expressions {
    let mut name = interface.as_bytes().to_vec();
    if name.pop_if(|last| *last == b'+').is_none() {
        name.push(0);
    }
    Expressions::new().meta(direction, REGISTER_1).equal_in(REGISTER_1, &name).counter().verdict(Verdict::Accept)
}

/// `NFT_REG_1`: iptables-nft before 1.8.9 does not know the numbers of the small registers.
const REGISTER_1: u32 = 1;
const _: () = assert!(REGISTER != REGISTER_1, "the small registers have numbers of their own");

fn list(socket: &mut Socket, kind: u16, mut each: impl FnMut(u8, &[u8])) -> io::Result<()> {
    let mut request = Writer::default();
    request.message(SUBSYSTEM << 8 | kind, REQUEST | DUMP, 1, &[0, 0, 0, 0], |_| {});
    socket.dump(&request.into_bytes(), |Message { payload, .. }| {
        if let Some((header, attributes)) = payload.split_at_checked(4) {
            each(header[0], attributes);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::network::nft::batch::Hook;
    use crate::engine::network::test_namespace::in_namespace;

    fn apply(socket: &mut Socket, batch: Batch) {
        if !batch.is_empty() {
            let (bytes, last) = batch.finish();
            socket.request(&bytes, last).expect("the kernel takes it");
        }
    }

    fn places(socket: &mut Socket, note: &[u8]) -> Vec<String> {
        let ruleset = Ruleset::read(socket).expect("can be read");
        ruleset.rules.into_iter().filter(|rule| rule.note == note).map(|rule| rule.chain).collect()
    }

    #[test]
    fn accepts_go_where_others_would_drop_and_away_again() {
        in_namespace(|| {
            let mut socket = Socket::open(12).expect("opens");
            let note = note("gantry-abcdef");
            let interfaces = ["gtabcdef-+".to_owned()];
            let sync = |socket: &mut Socket, interfaces: &[String]| {
                let ruleset = Ruleset::read(socket).expect("can be read");
                apply(socket, ruleset.let_through(interfaces, &note));
            };
            sync(&mut socket, &interfaces);
            assert_eq!(places(&mut socket, &note), Vec::<String>::new(), "nobody filters");

            let mut batch = Batch::new();
            batch.add_table(Family::Ip, FILTER);
            batch.add_base_chain(Family::Ip, FILTER, FORWARD, "filter", Hook::Forward, 0);
            apply(&mut socket, batch);
            sync(&mut socket, &interfaces);
            assert_eq!(places(&mut socket, &note), Vec::<String>::new(), "nothing would be dropped");

            let mut batch = Batch::new();
            batch.add_rule(Family::Ip, FILTER, FORWARD, Expressions::new().counter().verdict(Verdict::Drop));
            apply(&mut socket, batch);
            for _ in 0..2 {
                sync(&mut socket, &interfaces);
                assert_eq!(places(&mut socket, &note), [FORWARD, FORWARD]);
            }
            assert!(Ruleset::read(&mut socket).expect("can be read").others_forward("gantry-abcdef", &note));

            let mut batch = Batch::new();
            batch.add_chain(Family::Ip, FILTER, DOCKER_USER);
            apply(&mut socket, batch);
            sync(&mut socket, &interfaces);
            assert_eq!(places(&mut socket, &note), [DOCKER_USER, DOCKER_USER]);
            sync(&mut socket, &[]);
            assert_eq!(places(&mut socket, &note), Vec::<String>::new());
        });
    }
}
