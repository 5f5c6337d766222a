//! The room as a whole, in a network namespace that stands for the host, with others that stand for containers.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use super::dns::{DnsSettings, DnsSockets};
use super::handle::{Adopted, NetworkOptions, Networks};
use super::netlink::host::{addresses, interfaces, routes};
use super::netlink::socket::Socket;
use super::nft::dns_redirect::{RESOLVER, dns_redirect};
use super::port::PortHolder;
use super::test_namespace::in_namespace;
use crate::engine::root::Root;
use crate::resource::container::{ContainerPort, EndpointSpec, EndpointState, PortBinding, Protocol};
use crate::resource::id::ContainerId;
use crate::resource::network::{NetworkInfo, NetworkSpec};

/// What the keeper would hold.
#[derive(Default)]
struct Keeper(Mutex<Vec<(String, Vec<OwnedFd>)>>);

impl Keeper {
    fn keys(&self) -> Vec<String> {
        self.0.lock().expect("no test panics here").iter().map(|(key, _)| key.split('/').next().unwrap_or_default().to_owned()).collect()
    }

    fn take(&self, kind: &str) -> Vec<OwnedFd> {
        let mut held = self.0.lock().expect("no test panics here");
        let at = held.iter().position(|(key, _)| key.starts_with(kind));
        at.map(|at| held.swap_remove(at).1).unwrap_or_default()
    }
}

impl PortHolder for Keeper {
    fn hold(&self, key: &str, sockets: Vec<OwnedFd>) -> io::Result<()> {
        let mut held = self.0.lock().expect("no test panics here");
        held.retain(|(other, _)| other != key);
        held.push((key.to_owned(), sockets));
        Ok(())
    }

    fn release(&self, key: &str) {
        self.0.lock().expect("no test panics here").retain(|(other, _)| other != key);
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// A namespace that stands for a container, and the thread that lives in it.
struct Container {
    id: ContainerId,
    netns: OwnedFd,
    jobs: Sender<Job>,
}

impl Container {
    fn new(number: u8) -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace can be made");
            tell.send(OwnedFd::from(File::open("/proc/thread-self/ns/net").expect("opens"))).expect("the test waits");
            for job in inbox {
                job();
            }
        });
        Self { id: ContainerId::from_bytes([number; 32]), netns: told.recv().expect("the thread answers"), jobs }
    }

    /// Runs `body` inside.
    fn run<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let job = move || {
            // A test that ended does not listen any more.
            let _ = tell.send(body());
        };
        self.jobs.send(Box::new(job)).expect("the thread lives as long as this");
        told.recv().expect("what runs inside does not panic")
    }

    /// What its init would do with the bytes it was given.
    fn set_up(&self, requests: Vec<u8>) {
        let last = u32::try_from(super::netlink::wire::messages(&requests).count()).expect("few");
        self.run(move || Socket::open(0).and_then(|mut socket| socket.request(&requests, last)))
            .expect("the kernel takes what was prepared");
    }

    /// Answers every connection with `text`.
    fn serve(&self, port: u16, text: &'static str) {
        let listener = self.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("binds"));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let peer = stream.peer_addr().expect("has one").ip();
                let _ = write!(stream, "{text} {peer}");
            }
        });
    }

    /// What a connection from inside hears.
    fn hear(&self, address: impl Into<SocketAddr>) -> String {
        let address = address.into();
        self.run(move || hear(address))
    }
}

/// Longer than the kernel takes to send a lost SYN again: a busy machine loses some.
const PATIENCE: Duration = Duration::from_secs(3);

fn hear(address: SocketAddr) -> String {
    let mut text = String::new();
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(mut stream) => {
            stream.set_read_timeout(Some(Duration::from_secs(2))).expect("can be set");
            if let Err(error) = stream.read_to_string(&mut text) {
                return format!("{:?}", error.kind());
            }
            text
        }
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Runs `body` in a host of its own.
fn on_a_host<F: Future<Output = ()>>(body: impl FnOnce(Host) -> F + Send + 'static) {
    in_namespace(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let folder = TempDir::new().expect("a folder can be made");
        let root = Root::new(Some(folder.path()));
        runtime.block_on(body(Host { root, keeper: Arc::default(), _folder: folder }));
    });
}

struct Host {
    root: Root,
    keeper: Arc<Keeper>,
    _folder: TempDir,
}

impl Host {
    async fn open(&self) -> Networks {
        Networks::open(&self.root, NetworkOptions::default(), Arc::clone(&self.keeper) as Arc<dyn PortHolder>).await.expect("opens")
    }
}

fn spec(change: impl FnOnce(&mut NetworkSpec)) -> NetworkSpec {
    let mut spec = NetworkSpec::default();
    change(&mut spec);
    spec
}

async fn network(networks: &Networks, name: &str, change: impl FnOnce(&mut NetworkSpec)) -> NetworkInfo {
    networks.create(name.parse().expect("a name"), spec(change)).await.expect("is created")
}

async fn start(networks: &Networks, container: &Container, name: &str, on: &[&str]) -> Vec<EndpointState> {
    let wants: Vec<_> = on.iter().map(|network| ((*network).to_owned(), EndpointSpec::default())).collect();
    let states = networks.prepare(container.id, name, &wants, DnsSettings::default()).await.expect("is prepared");
    let requests = networks.join(container.id, container.netns.as_fd()).await.expect("joins");
    container.set_up(requests);
    states
}

fn binding(protocol: Protocol, ip: Option<&str>, host: u16, inside: u16) -> PortBinding {
    PortBinding {
        container: ContainerPort { port: inside, protocol },
        host_ip: ip.map(|text| text.parse().expect("an address")),
        host_port: host,
        host_port_end: host,
    }
}

/// Whatever blocks, beside the runtime of this thread, whose proxies and name servers must go on.
async fn beside<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(body).await.expect("does not panic")
}

fn v4(state: &EndpointState) -> Ipv4Addr {
    state.ipv4.expect("has one").0
}

#[test]
fn containers_of_one_network_reach_each_other_and_no_others() {
    on_a_host(|host| async move {
        let networks = host.open().await;
        networks.sweep().await;
        let shop = network(&networks, "shop", |_| {}).await;
        assert_eq!(shop.pools[0].subnet.to_string(), "172.17.0.0/16");
        network(&networks, "other", |_| {}).await;
        let (one, two, three) = (Container::new(1), Container::new(2), Container::new(3));
        let first = start(&networks, &one, "one", &["shop"]).await;
        let second = start(&networks, &two, "two", &["shop"]).await;
        start(&networks, &three, "three", &["other"]).await;
        assert_eq!(first[0].mac.as_deref(), Some("02:42:ac:11:00:02"));
        assert_eq!(v4(&second[0]).to_string(), "172.17.0.3");
        one.serve(80, "one");
        let address = (v4(&first[0]), 80);
        assert_eq!(two.hear(address), "one 172.17.0.3");
        assert_eq!(three.hear(address), "TimedOut");
        assert_eq!(beside(move || hear(address.into())).await, "one 172.17.0.1");

        let inside = one.run(|| interfaces(&mut Socket::open(0).expect("opens")).expect("lists"));
        assert_eq!(inside.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>(), ["lo", "eth0"]);
        let inside = one.run(|| addresses(&mut Socket::open(0).expect("opens")).expect("lists"));
        assert_eq!(inside.iter().filter(|found| found.index != 1).count(), 1, "no link-local address without IPv6");

        let refused = networks.remove("shop").await.expect_err("is in use");
        assert_eq!(refused.to_string(), "network shop has active endpoints: one, two");
        for container in [&one, &two, &three] {
            networks.leave(container.id).await;
        }
        networks.remove("shop").await.expect("is free");
        let again = network(&networks, "again", |_| {}).await;
        assert_eq!(
            (again.bridge, again.pools[0].subnet.to_string()),
            (shop.bridge, "172.17.0.0/16".to_owned()),
            "a parked bridge is used again"
        );
    });
}

#[test]
fn a_chosen_bridge_is_used_again_only_by_who_chose_it() {
    on_a_host(|host| async move {
        let networks = host.open().await;
        let chosen = |spec: &mut NetworkSpec| _ = spec.options.insert("com.docker.network.bridge.name".into(), "mine".into());
        network(&networks, "chosen", chosen).await;
        networks.remove("chosen").await.expect("is free");
        let plain = network(&networks, "plain", |_| {}).await;
        assert_ne!(plain.bridge, "mine");
        assert_eq!(network(&networks, "chosen", chosen).await.bridge, "mine");
    });
}

#[test]
fn published_ports_lead_in_from_everywhere() {
    on_a_host(|host| async move {
        let networks = host.open().await;
        network(&networks, "shop", |_| {}).await;
        network(&networks, "other", |_| {}).await;
        let (web, peer, stranger) = (Container::new(1), Container::new(2), Container::new(3));
        let states = start(&networks, &web, "web", &["shop"]).await;
        start(&networks, &peer, "peer", &["shop"]).await;
        start(&networks, &stranger, "stranger", &["other"]).await;
        web.serve(80, "web");
        let published = networks.publish(web.id, &[binding(Protocol::Tcp, None, 8080, 80)]).await.expect("is published");
        assert_eq!(published.len(), 2);
        let gateway = states[0].gateway.expect("has one");
        for from in ["127.0.0.1:8080", "[::1]:8080", "172.17.0.1:8080"] {
            let from: SocketAddr = from.parse().expect("an address");
            assert!(beside(move || hear(from)).await.starts_with("web "), "{from}");
        }
        for (container, name) in [(&web, "itself"), (&peer, "a peer"), (&stranger, "another network")] {
            assert!(container.hear((gateway, 8080)).starts_with("web "), "{name}");
        }
        assert_eq!(stranger.hear((v4(&states[0]), 80)), "TimedOut");
        let clash = networks.publish(peer.id, &[binding(Protocol::Tcp, None, 8080, 80)]).await.expect_err("is taken");
        assert_eq!(clash.to_string(), "cannot publish 80/tcp: 0.0.0.0:8080 is already in use by container web");
        assert_eq!(host.keeper.keys(), ["port"]);
        networks.leave(web.id).await;
        assert_eq!(host.keeper.keys(), Vec::<String>::new());
        // Processes that other tests forked meanwhile have copies of the socket until they end.
        while let Err(error) = networks.publish(peer.id, &[binding(Protocol::Tcp, None, 8080, 80)]).await {
            assert!(!error.to_string().contains("container"), "{error}");
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn datagrams_are_published_too() {
    on_a_host(|host| async move {
        let networks = host.open().await;
        network(&networks, "shop", |_| {}).await;
        let web = Container::new(1);
        start(&networks, &web, "web", &["shop"]).await;
        let socket = web.run(|| UdpSocket::bind("0.0.0.0:53").expect("binds"));
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..length], from);
            }
        });
        networks.publish(web.id, &[binding(Protocol::Udp, None, 5300, 53)]).await.expect("is published");
        for to in ["127.0.0.1:5300", "[::1]:5300", "172.17.0.1:5300"] {
            let to: SocketAddr = to.parse().expect("an address");
            let echoed = beside(move || {
                let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().expect("an address");
                let client = UdpSocket::bind(any).expect("binds");
                client.set_read_timeout(Some(Duration::from_secs(2))).expect("can be set");
                client.connect(to).expect("connects");
                client.send(b"hello").expect("goes out");
                let mut buffer = [0; 64];
                client.recv(&mut buffer).map(|length| buffer[..length].to_vec())
            });
            assert_eq!(echoed.await.expect("comes back"), b"hello", "{to}");
        }
        networks.leave(web.id).await;
    });
}

#[test]
fn an_internal_network_leads_nowhere() {
    on_a_host(|host| async move {
        let networks = host.open().await;
        network(&networks, "inner", |spec| spec.internal = true).await;
        let (one, two) = (Container::new(1), Container::new(2));
        let states = start(&networks, &one, "one", &["inner"]).await;
        start(&networks, &two, "two", &["inner"]).await;
        assert_eq!(states[0].gateway, None);
        one.serve(80, "one");
        assert!(two.hear((v4(&states[0]), 80)).starts_with("one "));
        assert_eq!(networks.publish(one.id, &[binding(Protocol::Tcp, None, 8080, 80)]).await.expect("is left out"), []);
        assert!(two.run(|| routes(&mut Socket::open(0).expect("opens")).expect("lists")).len() == 1);
        assert_eq!(two.hear((Ipv4Addr::new(10, 1, 2, 3), 80)), "NetworkUnreachable");
    });
}

#[test]
fn a_container_looks_up_others_by_name() {
    on_a_host(|host| async move {
        let networks = host.open().await;
        network(&networks, "shop", |_| {}).await;
        let (web, client) = (Container::new(1), Container::new(2));
        let wants = [("shop".to_owned(), EndpointSpec { aliases: vec!["www".to_owned()], ..EndpointSpec::default() })];
        let settings = DnsSettings { hostname: Some("box".to_owned()), ..DnsSettings::default() };
        networks.prepare(web.id, "web", &wants, settings).await.expect("is prepared");
        let requests = networks.join(web.id, web.netns.as_fd()).await.expect("joins");
        web.set_up(requests);
        start(&networks, &client, "client", &["shop"]).await;
        let sockets = client.run(|| {
            let udp = UdpSocket::bind((RESOLVER, 0)).expect("binds");
            let tcp = TcpListener::bind((RESOLVER, 0)).expect("binds");
            let ports = (udp.local_addr().expect("has one").port(), tcp.local_addr().expect("has one").port());
            Socket::open(12).expect("opens").request(&dns_redirect(ports.0, ports.1), 4).expect("is accepted");
            DnsSockets { udp: udp.into(), tcp: tcp.into() }
        });
        networks.serve_dns(client.id, sockets).expect("serves");
        let client = Arc::new(client);
        let ask = |name: &'static str| {
            let client = Arc::clone(&client);
            beside(move || client.run(move || look_up(name)))
        };
        assert_eq!(ask("www").await, Some(Ipv4Addr::new(172, 17, 0, 2)));
        assert_eq!(ask("web.shop").await, Some(Ipv4Addr::new(172, 17, 0, 2)));
        assert_eq!(ask("box").await, Some(Ipv4Addr::new(172, 17, 0, 2)));
        networks.rename(web.id, "new-web");
        assert_eq!(ask("new-web").await, Some(Ipv4Addr::new(172, 17, 0, 2)));
        networks.leave(web.id).await;
        networks.leave(client.id).await;
        assert_eq!(host.keeper.keys(), Vec::<String>::new());
    });
}

fn look_up(name: &str) -> Option<Ipv4Addr> {
    use simple_dns::rdata::RData;
    use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, TYPE};
    let mut query = Packet::new_query(1);
    query.questions.push(Question::new(Name::new_unchecked(name), QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false));
    let socket = UdpSocket::bind("0.0.0.0:0").expect("binds");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("can be set");
    socket.connect((RESOLVER, 53)).expect("connects");
    socket.send(&query.build_bytes_vec().expect("can be built")).expect("goes out");
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).expect("is answered");
    let reply = Packet::parse(&buffer[..length]).expect("can be read");
    reply.answers.iter().find_map(|record| match &record.rdata {
        RData::A(a) => Some(Ipv4Addr::from(a.address)),
        _ => None,
    })
}

#[test]
fn another_engine_takes_over_and_sweeps() {
    on_a_host(|host| async move {
        let (web, lost) = (Container::new(1), Container::new(2));
        let (endpoints, published) = {
            let networks = host.open().await;
            network(&networks, "shop", |_| {}).await;
            let endpoints = start(&networks, &web, "web", &["shop"]).await;
            start(&networks, &lost, "lost", &["shop"]).await;
            let published = networks.publish(web.id, &[binding(Protocol::Tcp, Some("127.0.0.1"), 8080, 80)]).await.expect("is published");
            (endpoints, published)
        };
        web.serve(80, "web");
        let networks = host.open().await;
        let running = Adopted {
            container: web.id,
            name: "web".to_owned(),
            endpoints,
            published,
            port_sockets: host.keeper.take("port/"),
            dns: DnsSettings::default(),
            dns_sockets: None,
        };
        networks.adopt(running).await.expect("is adopted");
        networks.sweep().await;
        let names: Vec<_> = interfaces(&mut Socket::open(0).expect("opens")).expect("lists").into_iter().map(|found| found.name).collect();
        assert_eq!(names.iter().filter(|name| name.starts_with("gv")).count(), 1, "{names:?}");
        let here: SocketAddr = (IpAddr::V4(Ipv4Addr::LOCALHOST), 8080).into();
        assert!(beside(move || hear(here)).await.starts_with("web "));
        let third = Container::new(3);
        let states = start(&networks, &third, "third", &["shop"]).await;
        assert_eq!(v4(&states[0]).to_string(), "172.17.0.3", "the lost container's address is free");
        networks.leave(web.id).await;
        networks.leave(third.id).await;
        networks.close().await;
        let left = interfaces(&mut Socket::open(0).expect("opens")).expect("lists");
        assert_eq!(left.iter().filter(|found| found.name.starts_with("gt")).count(), 0);
    });
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    on_a_host(|host| async move {
        let networks = host.open().await;
        network(&networks, "shop", |_| {}).await;
        network(&networks, "more", |spec| spec.enable_ipv6 = Some(true)).await;
        let (web, peer) = (Container::new(1), Container::new(2));
        start(&networks, &web, "web", &["shop"]).await;
        start(&networks, &peer, "peer", &["more"]).await;
        let state = networks.connect(web.id, web.netns.as_fd(), "more", EndpointSpec::default()).await.expect("is connected");
        web.serve(80, "web");
        assert!(peer.hear((v4(&state), 80)).starts_with("web "));
        assert!(state.ipv6.is_some());
        networks.disconnect(web.id, web.netns.as_fd(), "more").await.expect("is disconnected");
        let names = web.run(|| interfaces(&mut Socket::open(0).expect("opens")).expect("lists"));
        assert_eq!(names.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["lo", "eth0"]);
        let error = networks.disconnect(web.id, web.netns.as_fd(), "more").await.expect_err("is gone");
        assert_eq!(error.to_string(), format!("container {} is not connected to network more", web.id.short()));
    });
}
