//! Names of hosts to addresses, as resolvers do it: /etc/hosts, then the name servers of /etc/resolv.conf. The host's NSS is never loaded.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server is waited for (resolv.conf(5)).
const PATIENCE: Duration = Duration::from_secs(5);
/// So often each server is asked (resolv.conf(5)).
const ATTEMPTS: usize = 2;

/// Returns the addresses of a host, those of IPv4 first; never none.
pub async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    // RFC 6761: no server is asked.
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let known = fs::read_to_string("/etc/hosts").map(|text| in_hosts(&text, &host)).unwrap_or_default();
    if !known.is_empty() {
        return Ok(known);
    }
    let settings = Settings::parse(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let mut silent = false;
    for name in settings.candidates(&host) {
        match settings.ask(&name).await {
            Some(found) if !found.is_empty() => return Ok(found),
            Some(_) => {}
            None => silent = true,
        }
    }
    Err(if silent {
        io::Error::new(io::ErrorKind::TimedOut, format!("no name server of /etc/resolv.conf knows {host}, or answers in time"))
    } else {
        io::Error::new(io::ErrorKind::NotFound, format!("there is no host {host} (no such host): is the name right?"))
    })
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

/// What stands in /etc/resolv.conf.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    dots: usize,
}

impl Settings {
    fn parse(text: &str) -> Self {
        let mut settings = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => settings.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
                Some("search" | "domain") => settings.search = words.map(|word| word.trim_matches('.').to_owned()).collect(),
                Some("options") => {
                    let dots = words.filter_map(|word| word.strip_prefix("ndots:")).find_map(|number| number.parse().ok());
                    settings.dots = dots.unwrap_or(settings.dots);
                }
                _ => {}
            }
        }
        if settings.servers.is_empty() {
            settings.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        settings
    }

    /// The names to ask for, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.search.iter().filter(|domain| !domain.is_empty()).map(|domain| format!("{host}.{domain}")).collect();
        let at = if host.matches('.').count() >= self.dots { 0 } else { names.len() };
        names.insert(at, host.to_owned());
        names
    }

    /// Asks one server after the other for both kinds of addresses. `None` when none answers; an empty answer is one.
    async fn ask(&self, name: &str) -> Option<Vec<IpAddr>> {
        for _ in 0..ATTEMPTS {
            for server in &self.servers {
                let server = SocketAddr::new(*server, 53);
                let both = async { tokio::join!(ask(server, name, TYPE::A), ask(server, name, TYPE::AAAA)) };
                match timeout(PATIENCE, both).await {
                    // Some servers choke on questions for IPv6 addresses; what the other half says counts.
                    Ok((Ok(mut v4), v6)) => {
                        v4.extend(v6.unwrap_or_default());
                        return Some(v4);
                    }
                    Ok((Err(_), Ok(v6))) if !v6.is_empty() => return Some(v6),
                    Ok((Err(error), _)) => tracing::debug!(%error, %server, name, "a name server does not answer"),
                    Err(_) => tracing::debug!(%server, name, "a name server does not answer in time"),
                }
            }
        }
        None
    }
}

async fn ask(server: SocketAddr, name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    let wrong = |error: simple_dns::SimpleDnsError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut number = [0; 2];
    rustix::rand::getrandom(&mut number, rustix::rand::GetRandomFlags::empty())?;
    let mut query = Packet::new_query(u16::from_ne_bytes(number));
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    let qname = Name::new(name).map_err(wrong)?;
    query.questions.push(Question::new(qname, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    let bytes = query.build_bytes_vec().map_err(wrong)?;
    let answer = by_datagram(server, &bytes).await?;
    let answer = if answer[2] & 0x02 == 0 { answer } else { by_stream(server, &bytes).await? };
    read_answer(&answer, name)
}

fn read_answer(answer: &[u8], name: &str) -> io::Result<Vec<IpAddr>> {
    let packet = Packet::parse(answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Ok(Vec::new()),
        other => return Err(io::Error::other(format!("the name server answered {other:?}"))),
    }
    if !packet.questions.first().is_some_and(|question| question.qname.to_string().eq_ignore_ascii_case(name)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is to another question"));
    }
    // The records of aliases come with those they lead to (RFC 1034, 3.6.2).
    let addresses = packet.answers.iter().filter_map(|record| match &record.rdata {
        RData::A(a) => Some(IpAddr::from(Ipv4Addr::from(a.address))),
        RData::AAAA(aaaa) => Some(IpAddr::from(Ipv6Addr::from(aaaa.address))),
        _ => None,
    });
    Ok(addresses.collect())
}

async fn by_datagram(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else is somebody's guess.
        if length >= 12 && buffer[..2] == query[..2] {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if answer.len() >= 12 && answer[..2] == query[..2] { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_servers_are_read_as_resolvers_read_them() {
        let hosts = "::1 box\n127.0.1.1 box.lan Box # box2\n# 1.2.3.4 box\nnonsense box\n";
        assert_eq!(in_hosts(hosts, "box"), [IpAddr::from([127, 0, 1, 1]), Ipv6Addr::LOCALHOST.into()]);
        assert!(in_hosts(hosts, "box2").is_empty());
        let settings = Settings::parse("nameserver 10.0.0.1\nsearch lan. corp\noptions rotate ndots:2\n");
        assert_eq!(settings.servers, [IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(settings.candidates("a.b"), ["a.b.lan", "a.b.corp", "a.b"]);
        assert_eq!(settings.candidates("a.b.c")[0], "a.b.c");
    }

    #[tokio::test]
    async fn loopback_is_known_without_asking() {
        for (host, first) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("LOCALHOST", "127.0.0.1"), ("x.localhost", "127.0.0.1")] {
            assert_eq!(resolve(host).await.expect("addresses")[0].to_string(), first, "{host}");
        }
    }
}
