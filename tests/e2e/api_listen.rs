//! Where the API is served and who gets in: unix sockets, TCP with certificates, sockets that a service manager passes, several at once.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::bottle::{Bottle, IMAGE};
use crate::certificate::{self, OUTSIDE};
use crate::configuration::Foreground;
use crate::docker;
use crate::killed::{end, process};
use crate::program::{Outcome, run, run_with_input};

/// The flags of TLS, for files in the project's folder.
const FLAGS: [&str; 7] = ["--tlsverify", "--tlscacert", "tls/ca.pem", "--tlscert", "tls/server-cert.pem", "--tlskey", "tls/server-key.pem"];

/// A bottle with certificates, and with an address that is none of loopback's.
fn with_certificates() -> Bottle {
    let bottle = Bottle::new();
    certificate::make(&bottle);
    bottle.shell(&format!("ip address add {OUTSIDE}/32 dev lo")).success();
    bottle
}

/// Asks for a ping over TLS, with more arguments of curl's.
fn ping(bottle: &Bottle, address: &str, more: &str) -> Outcome {
    bottle.shell(&format!("curl -sS --max-time 20 --cacert tls/ca.pem {more} https://{address}/_ping"))
}

const CLIENT: &str = "--cert tls/client-cert.pem --key tls/client-key.pem";

#[test]
fn a_tcp_port_is_for_those_the_authority_vouches_for() {
    let bottle = with_certificates();
    let _engine = Foreground::start(&bottle, &[["-H", "tcp://0.0.0.0:2376"].as_slice(), FLAGS.as_slice()].concat());
    for address in ["127.0.0.1:2376", &format!("{OUTSIDE}:2376")] {
        assert_eq!(ping(&bottle, address, CLIENT).success(), "OK");
    }
    let address = "127.0.0.1:2376";
    assert_eq!(ping(&bottle, address, &format!("{CLIENT} --tls-max 1.2")).success(), "OK");
    assert_ne!(ping(&bottle, address, "").stdout, "OK", "nobody without a certificate");
    assert_ne!(
        ping(&bottle, address, "--cert tls/intruder-cert.pem --key tls/intruder-key.pem").stdout,
        "OK",
        "nobody that another vouches for"
    );
    // The server's own is good for servers only.
    assert_ne!(ping(&bottle, address, "--cert tls/server-cert.pem --key tls/server-key.pem").stdout, "OK");
    let old = ping(&bottle, address, &format!("{CLIENT} --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0"));
    assert!(old.code != 0 && old.stdout.is_empty(), "{old:?}");
    let open = bottle.shell(&format!("curl -sS --max-time 20 http://{address}/_ping"));
    assert_eq!(open.stdout, "Client sent an HTTP request to an HTTPS server.\n");
}

#[test]
fn the_docker_command_line_works_over_tls() {
    let bottle = with_certificates();
    let _engine = Foreground::start(&bottle, &[["-H", "tcp://127.0.0.1:2376"].as_slice(), FLAGS.as_slice()].concat());
    bottle.import();
    let docker = |arguments: &[&str], input: &[u8]| {
        let mut command = docker::alone(&bottle);
        command.args([
            "-H",
            "tcp://127.0.0.1:2376",
            "--tlsverify",
            "--tlscacert",
            "tls/ca.pem",
            "--tlscert",
            "tls/client-cert.pem",
            "--tlskey",
            "tls/client-key.pem",
        ]);
        run_with_input(command.args(arguments), input)
    };
    assert!(docker(&["version", "--format", "{{.Server.Version}}"], b"").success().len() > 1);
    // The input's end crosses, and the answer to it comes back.
    assert_eq!(docker(&["run", "--rm", "-i", IMAGE, "sh", "-c", "cat; echo over"], b"typed\n").success(), "typed\nover\n");
    let long = docker(&["run", "--rm", IMAGE, "seq", "1", "100000"], b"").success();
    assert!(long.ends_with("\n99999\n100000\n") && long.len() == 588_895, "{}", long.len());
    let mut command = docker::alone(&bottle);
    let without = run(command.args(["-H", "tcp://127.0.0.1:2376", "--tlsverify", "--tlscacert", "tls/ca.pem", "version"]));
    assert!(without.code != 0 && without.stderr.contains("certificate required"), "{without:?}");
}

#[test]
fn who_stalls_in_a_handshake_holds_nobody_up_and_is_let_go() {
    let bottle = with_certificates();
    let _engine = Foreground::start(&bottle, &[["-H", "tcp://127.0.0.1:2376"].as_slice(), FLAGS.as_slice()].concat());
    let silent = || -> Vec<TcpStream> {
        let mut streams: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect("127.0.0.1:2376").expect("a connection")).collect();
        // Half of them begin, and go no further.
        streams.iter_mut().take(100).for_each(|stream| stream.write_all(&[0x16, 3, 1]).expect("written"));
        streams
    };
    let stalls = |stream: &TcpStream| {
        stream.set_nonblocking(true).expect("a flag");
        stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    // Whoever comes last is answered before any of them is let go. They stall for ten seconds, in which a busy machine may not get to it at once.
    let held = (0..3).map(|_| silent()).find(|streams| {
        assert_eq!(ping(&bottle, "127.0.0.1:2376", CLIENT).success(), "OK");
        streams.iter().all(stalls)
    });
    for mut stream in held.expect("the last one waits for those before") {
        stream.set_nonblocking(false).expect("a flag");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        assert_eq!(stream.read(&mut [0; 64]).expect("an end"), 0);
    }
}

#[test]
fn what_guards_a_port_stays_whatever_the_file_says_meanwhile() {
    let bottle = with_certificates();
    let folder = bottle.project().display().to_string();
    let file = bottle.root().join("etc/engine.json");
    let text = format!(
        r#"{{"hosts": ["tcp://127.0.0.1:2376"], "tlsverify": true, "tlscacert": "{folder}/tls/ca.pem", "tlscert": "{folder}/tls/server-cert.pem", "tlskey": "{folder}/tls/server-key.pem"}}"#
    );
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(&file, text).expect("the configuration");
    bottle.import();
    // Something to stay for.
    bottle.compose(&format!("services: {{a: {{image: IMAGE, command: {}}}}}", crate::up::RUNS));
    bottle.gantry(["up", "-d"]).success();
    assert_eq!(ping(&bottle, "127.0.0.1:2376", CLIENT).success(), "OK");
    std::fs::write(&file, "{}").expect("the configuration");
    for role in ["engine", "keeper", "engine"] {
        let killed = process(&bottle, role);
        end(killed);
        if role == "keeper" {
            crate::killed::succeeded(&bottle, killed);
        }
        assert_eq!(ping(&bottle, "127.0.0.1:2376", &format!("{CLIENT} --retry 20 --retry-connrefused")).success(), "OK");
        assert_ne!(ping(&bottle, "127.0.0.1:2376", "").stdout, "OK");
        assert_ne!(bottle.shell("curl -sS --max-time 20 http://127.0.0.1:2376/_ping").stdout, "OK");
    }
    bottle.gantry(["down"]).success();
}

#[test]
fn a_port_without_a_guard_and_files_that_cannot_be_used_are_refused() {
    let bottle = with_certificates();
    let refused = |arguments: &[&str]| run(bottle.command(Bottle::binary()).arg("engine").args(arguments)).failure(1);
    let check = |arguments: &[&str], parts: &[&str]| {
        let told = refused(arguments);
        assert!(parts.iter().all(|part| told.contains(part)) && told.starts_with("error: gantry engine: "), "{arguments:?}: {told}");
    };
    check(&["-H", "tcp://127.0.0.1:2375"], &["cannot listen at tcp://127.0.0.1:2375", "--tlsverify", "--insecure"]);
    check(&["-H", "tcp://0.0.0.0:2375", "--insecure"], &["tcp://0.0.0.0:2375", "loopback"]);
    let half = ["--tls", "--tlsverify=false", "--tlscert", "tls/server-cert.pem", "--tlskey", "tls/server-key.pem"];
    check(&[["-H", "tcp://127.0.0.1:2376"].as_slice(), half.as_slice()].concat(), &["whoever reaches a TCP port is root here"]);
    check(&["--tlsverify", "--tlscert", "tls/server-cert.pem", "--tlskey", "tls/server-key.pem"], &["TLS needs `tlscacert`"]);
    check(&["--tlskey", "tls/server-key.pem"], &["`tlskey` names a file that nothing would be done with"]);
    // Files are read by the engine, whose reason its keeper passes on.
    let unusable = |ca: &str, cert: &str, key: &str, parts: &[&str]| {
        let told = refused(&["-H", "tcp://127.0.0.1:2376", "--tlsverify", "--tlscacert", ca, "--tlscert", cert, "--tlskey", key]);
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    };
    unusable(
        "tls/ca.pem",
        "nowhere.pem",
        "tls/server-key.pem",
        &["cannot use the engine's certificate in", "/nowhere.pem: No such file or directory"],
    );
    unusable(
        "tls/ca.pem",
        "tls/server-cert.pem",
        "tls/server-cert.pem",
        &["cannot use the key in", "/server-cert.pem: it holds no private key"],
    );
    unusable(
        "tls/server.ext",
        "tls/server-cert.pem",
        "tls/server-key.pem",
        &["cannot use the authorities' certificates in", "/server.ext"],
    );
    unusable(
        "tls/ca.pem",
        "tls/server-cert.pem",
        "tls/client-key.pem",
        &["cannot use the certificate in", "/server-cert.pem with the key in", "/client-key.pem"],
    );
    assert!(!bottle.socket().exists(), "nothing is left of those that did not start");
}

/// Starts `gantry engine` as a service manager does, with sockets that are bound already: a path of the project's and a TCP port.
fn activated(bottle: &Bottle, arguments: &str) -> Outcome {
    let script = r#"import fcntl, os, socket, sys
path = socket.socket(socket.AF_UNIX)
path.bind("passed.sock")
port = socket.socket()
port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
port.bind(("127.0.0.1", 2376))
for listener in path, port:
    listener.listen()
for number, copy in enumerate([fcntl.fcntl(listener, fcntl.F_DUPFD, 10) for listener in (path, port)], 3):
    os.dup2(copy, number)
os.closerange(5, 64)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2")
os.execv(sys.argv[1], sys.argv[1:])
"#;
    bottle.write("activate.py", script);
    let stop = "$GANTRY engine stop >/dev/null 2>&1; wait $engine; code=$?; rm -f passed.sock; cat said >&2; rm said; exit $code";
    let serves = "until grep -qs serving said || ! kill -0 $engine 2>/dev/null; do :; done";
    let asked = "for at in '--unix-socket passed.sock http://engine' \
        '--cacert tls/ca.pem --cert tls/client-cert.pem --key tls/client-key.pem https://127.0.0.1:2376'; do curl -s --max-time 3 $at/_ping || printf no; echo; done";
    bottle.shell(&format!("python3 activate.py $GANTRY engine {arguments} 2>said & engine=$!; {serves}; {asked}; {stop}"))
}

#[test]
fn sockets_that_a_service_manager_passes_are_served_at_and_guarded() {
    let bottle = with_certificates();
    let tls = FLAGS.join(" ");
    assert_eq!(activated(&bottle, &format!("-H fd:// {tls}")).success(), "OK\nOK\n");
    assert_eq!(activated(&bottle, &format!("-H fd://3 -H fd://4 {tls}")).success(), "OK\nOK\n");
    assert_eq!(activated(&bottle, "-H fd://3").success(), "OK\nno\n");
    let open = activated(&bottle, "-H fd://");
    assert!(open.code == 1 && open.stderr.contains("cannot listen at the socket that was passed as descriptor 4: "), "{open:?}");
    let few = activated(&bottle, "-H fd://5");
    assert!(few.code == 1 && few.stderr.contains("cannot listen at fd://5: fewer sockets were passed"), "{few:?}");
    let none = run(bottle.command(Bottle::binary()).args(["engine", "-H", "fd://"])).failure(1);
    assert!(none.contains("no socket was passed to this process (LISTEN_FDS)"), "{none}");
}

#[test]
fn several_sockets_are_served_at_once_and_opened_to_a_group() {
    let bottle = Bottle::new();
    let paths = ["one.sock", "two.sock"].map(|name| bottle.project().join(name));
    let hosts = paths.each_ref().map(|path| format!("unix://{}", path.display()));
    let engine =
        Foreground::start(&bottle, &["-H", &hosts[0], "-H", &hosts[1], "-H", "tcp://127.0.0.1:2375", "--insecure", "--group=daemon"]);
    for path in paths.iter().chain([&bottle.socket()]) {
        UnixStream::connect(path).expect("it is served");
        assert_eq!(bottle.shell(&format!("stat -c '%a %u %g' {}", path.display())).success(), "660 0 1\n");
        assert_eq!(bottle.shell(&format!("curl -sS --unix-socket {} http://engine/_ping", path.display())).success(), "OK");
    }
    assert_eq!(bottle.shell("curl -sS http://127.0.0.1:2375/_ping").success(), "OK");
    drop(engine);
    assert!(paths.iter().all(|path| !path.exists()), "the sockets go with the engine");
}
