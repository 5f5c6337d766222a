//! From a query to an answer, or to the finding that others must be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::{A, AAAA, PTR, RData};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};

use crate::engine::network::dns::table::{Addresses, NameTable};
use crate::resource::id::ContainerId;

/// Seconds an answer may be remembered. Docker says 600; but replicas come and go, and nginx and the JVM believe what they are told.
const TIME_TO_LIVE: u32 = 5;
/// What a client takes that does not say (RFC 1035).
const SMALL: usize = 512;

/// What becomes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is answered.
    Reply(Vec<u8>),
    /// Others are asked: these servers, or the host's when there are none.
    Forward(Vec<IpAddr>),
    /// It is no query.
    Ignore,
}

/// How the answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// As one datagram, as large as the client takes.
    Datagram,
    /// As part of a stream, of any length.
    Stream,
}

/// Decides about one query. `turn` rotates the addresses of a name that several containers have.
pub(super) fn decide(table: &NameTable, asker: ContainerId, query: &[u8], transport: Transport, turn: usize) -> Decision {
    let Some(who) = table.askers.get(&asker) else { return Decision::Ignore };
    let is_query = query.len() >= 12 && query[2] & 0x80 == 0;
    if !is_query {
        return Decision::Ignore;
    }
    let packet = Packet::parse(query).ok();
    if let Some(packet) = &packet
        && packet.opcode() == OPCODE::StandardQuery
        && let [question] = packet.questions.as_slice()
        && matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY)
        && let Some(records) = known(table, asker, question, turn)
    {
        return Decision::Reply(reply(packet, question, records, transport));
    }
    if who.outside {
        return Decision::Forward(who.upstreams.clone());
    }
    // Not "no such name": a resolver with a search list would believe that and a client remember it.
    Decision::Reply(failure(query))
}

/// The records of a name of ours; none at all where it is one, but has nothing of the kind asked for.
fn known<'a>(table: &NameTable, asker: ContainerId, question: &Question<'a>, turn: usize) -> Option<Vec<RData<'a>>> {
    let name = question.qname.to_string().to_ascii_lowercase();
    let wants = |kind: TYPE| question.qtype == QTYPE::TYPE(kind) || question.qtype == QTYPE::ANY;
    if let Some(address) = reverse(&name) {
        let host = table.host(asker, address)?.to_owned();
        let name = Name::new(&host).ok()?.into_owned();
        return Some(if wants(TYPE::PTR) { vec![RData::PTR(PTR(name))] } else { Vec::new() });
    }
    let found = table.find(asker, &name)?;
    let Addresses { v4, v6 } = &*found;
    let mut records = Vec::new();
    if wants(TYPE::A) {
        records.extend(rotated(v4, turn).map(|address| RData::A(A { address: u32::from(address) })));
    }
    if wants(TYPE::AAAA) {
        records.extend(rotated(v6, turn).map(|address| RData::AAAA(AAAA { address: u128::from(address) })));
    }
    Some(records)
}

fn rotated<T: Copy>(all: &[T], turn: usize) -> impl Iterator<Item = T> {
    let start = turn.checked_rem(all.len()).unwrap_or(0);
    all[start..].iter().chain(&all[..start]).copied()
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut parts = digits.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then_some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let mut number = 0_u128;
    let mut parts = digits.split('.');
    for shift in 0..32 {
        let part = parts.next().filter(|part| part.len() == 1)?;
        number |= u128::from(u8::from_str_radix(part, 16).ok()?) << (4 * shift);
    }
    parts.next().is_none().then_some(IpAddr::V6(Ipv6Addr::from(number)))
}

fn reply<'a>(query: &Packet<'a>, question: &Question<'a>, records: Vec<RData<'a>>, transport: Transport) -> Vec<u8> {
    let limit = match transport {
        Transport::Stream => usize::from(u16::MAX),
        Transport::Datagram => query.opt().map_or(SMALL, |options| usize::from(options.udp_packet_size).clamp(SMALL, 4096)),
    };
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if query.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    reply.questions.push(question.clone());
    reply.answers =
        records.into_iter().map(|record| ResourceRecord::new(question.qname.clone(), CLASS::IN, TIME_TO_LIVE, record)).collect();
    loop {
        match reply.build_bytes_vec_compressed() {
            Ok(bytes) if bytes.len() <= limit => return bytes,
            Ok(_) if !reply.answers.is_empty() => {
                // The client takes what there is, or comes again by TCP.
                reply.answers.pop();
                reply.set_flags(PacketFlag::TRUNCATION);
            }
            _ => return failure_of(query.id(), query.has_flags(PacketFlag::RECURSION_DESIRED)),
        }
    }
}

/// "Server failure", with the question that was asked.
pub(super) fn failure(query: &[u8]) -> Vec<u8> {
    let identifier = query.first_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    let Ok(packet) = Packet::parse(query) else { return failure_of(identifier, true) };
    let mut reply = Packet::new_reply(identifier);
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if packet.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.rcode_mut() = RCODE::ServerFailure;
    reply.questions = packet.questions;
    reply.build_bytes_vec_compressed().unwrap_or_else(|_| failure_of(identifier, true))
}

/// A header and nothing else: response, recursion available, server failure.
fn failure_of(identifier: u16, recursion_desired: bool) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    vec![high, low, if recursion_desired { 0x81 } else { 0x80 }, 0x82, 0, 0, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::network::dns::table::{Asker, Realm};
    use crate::resource::container::{EndpointSpec, EndpointState};
    use crate::resource::id::NetworkId;

    const ASKER: ContainerId = ContainerId::from_bytes([1; 32]);
    const NETWORK: NetworkId = NetworkId::from_bytes([2; 32]);

    fn table(outside: bool, replicas: u8) -> NameTable {
        let mut realm = Realm::new("shop");
        for last in 2..2 + replicas {
            let state = EndpointState {
                network: NETWORK,
                network_name: "shop".to_owned(),
                spec: EndpointSpec::default(),
                ipv4: Some(([10, 0, 0, last].into(), 16)),
                ipv6: None,
                gateway: None,
                gateway6: None,
                mac: None,
                dns_names: vec![format!("web-{last}"), "web".to_owned()],
            };
            realm.add(&format!("web-{last}"), &state);
        }
        let mut table = NameTable::default();
        table.realms.insert(NETWORK, Arc::new(realm));
        let asker = Asker { realms: vec![(NETWORK, Vec::new())], upstreams: vec![[9, 9, 9, 9].into()], outside };
        table.askers.insert(ASKER, Arc::new(asker));
        table
    }

    fn query(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(Name::new_unchecked(name), QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
        packet.build_bytes_vec().expect("a query can be built")
    }

    fn told(decision: &Decision) -> String {
        match decision {
            Decision::Reply(bytes) => {
                let packet = Packet::parse(bytes).expect("a reply can be read");
                let record = |record: &ResourceRecord<'_>| match &record.rdata {
                    RData::A(a) => Ipv4Addr::from(a.address).to_string(),
                    RData::PTR(name) => name.0.to_string(),
                    other => format!("{other:?}"),
                };
                let cut = if packet.has_flags(PacketFlag::TRUNCATION) { " cut" } else { "" };
                let records: Vec<_> = packet.answers.iter().map(record).collect();
                format!("{:?} {}{cut}", packet.rcode(), records.join(" "))
            }
            Decision::Forward(servers) => format!("forward {servers:?}"),
            Decision::Ignore => "ignore".to_owned(),
        }
    }

    #[test]
    fn names_of_ours_are_answered_and_others_forwarded() {
        let table = table(true, 3);
        let check = |name: &str, kind: TYPE, turn: usize, expect: &str| {
            assert_eq!(told(&decide(&table, ASKER, &query(name, kind), Transport::Datagram, turn)), expect, "{name}");
        };
        check("web", TYPE::A, 0, "NoError 10.0.0.2 10.0.0.3 10.0.0.4");
        check("WEB", TYPE::A, 4, "NoError 10.0.0.3 10.0.0.4 10.0.0.2");
        check("web-3", TYPE::A, 1, "NoError 10.0.0.3");
        check("web", TYPE::AAAA, 0, "NoError ");
        check("web", TYPE::MX, 0, "NoError ");
        check("3.0.0.10.in-addr.arpa", TYPE::PTR, 0, "NoError web-3.shop");
        check("4.3.2.1.in-addr.arpa", TYPE::PTR, 0, "forward [9.9.9.9]");
        check("example.com", TYPE::A, 0, "forward [9.9.9.9]");
    }

    #[test]
    fn an_internal_network_asks_nobody() {
        let table = table(false, 1);
        let ask = |name: &str| told(&decide(&table, ASKER, &query(name, TYPE::A), Transport::Datagram, 0));
        assert_eq!(ask("web"), "NoError 10.0.0.2");
        assert_eq!(ask("example.com"), "ServerFailure ");
        assert_eq!(told(&decide(&table, ContainerId::from_bytes([3; 32]), &query("web", TYPE::A), Transport::Datagram, 0)), "ignore");
    }

    #[test]
    fn a_datagram_is_cut_to_what_the_client_takes() {
        let table = table(true, 100);
        let Decision::Reply(cut) = decide(&table, ASKER, &query("web", TYPE::A), Transport::Datagram, 0) else { panic!("is known") };
        assert!(cut.len() <= SMALL);
        assert!(told(&Decision::Reply(cut)).ends_with(" cut"));
        let Decision::Reply(whole) = decide(&table, ASKER, &query("web", TYPE::A), Transport::Stream, 0) else { panic!("is known") };
        assert_eq!(Packet::parse(&whole).expect("a reply can be read").answers.len(), 100);
    }

    #[test]
    fn a_name_of_the_reverse_tree_is_an_address() {
        let check =
            |name: &str, expect: Option<&str>| assert_eq!(reverse(name).map(|found| found.to_string()).as_deref(), expect, "{name}");
        check("2.0.18.172.in-addr.arpa", Some("172.18.0.2"));
        check("0.18.172.in-addr.arpa", None);
        check("1.2.0.18.172.in-addr.arpa", None);
        check(&format!("2.{}0.d.f.ip6.arpa", "0.".repeat(28)), Some("fd00::2"));
        check("x.ip6.arpa", None);
    }

    proptest! {
        /// Whatever a container sends, nothing panics, and what is answered carries the query's number.
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for outside in [false, true] {
                if let Decision::Reply(reply) = decide(&table(outside, 2), ASKER, &bytes, Transport::Datagram, 1) {
                    prop_assert_eq!(&reply[..2], &bytes[..2]);
                }
            }
        }
    }
}
