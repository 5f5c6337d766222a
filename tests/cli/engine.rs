//! Which engine a command speaks to, and what it says where none is to be reached.

use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use super::{Folder, NOBODY, WEB, outcome, refused};

#[test]
fn an_engine_out_of_reach_is_named() {
    let folder = Folder::new(&[("compose.yaml", WEB)]);
    let socket = folder.path().join("no.sock").display().to_string();
    for command in ["ps", "up -d", "down", "logs", "exec web sh", "image ls"] {
        refused(&folder.run(&format!("-H unix://{socket} {command}")), &[&socket, "hint:"]);
    }
    let named = Folder::new(&[("compose.yaml", WEB)]).with("DOCKER_HOST", "tcp://127.0.0.1:1");
    refused(&named.run("ps"), &["tcp://127.0.0.1:1", "hint:"]);
    refused(&folder.run("-H npipe:////./pipe/x ps"), &["npipe:////./pipe/x", "a pipe of Windows"]);
    let broken = Folder::new(&[("compose.yaml", "services: {a: {imgae: x}}\n")]).run("--progress json up");
    assert_eq!((broken.code, broken.stderr.lines().count()), (1, 1), "{}", broken.stderr);
    assert!(broken.stderr.starts_with("{\"error\":true,\"message\":") && broken.stderr.contains("imgae"), "{}", broken.stderr);
    let json = folder.run(&format!("--progress json -H unix://{socket} ps"));
    assert_eq!(json.code, 1);
    assert!(json.stderr.starts_with("{\"error\":true,\"message\":"), "{}", json.stderr);
}

#[test]
fn only_an_engine_that_nobody_serves_does_not_run() {
    let folder = Folder::new(&[]).with("PATH", "/nowhere");
    let socket = format!("unix://{}", folder.path().join("no.sock").display());
    let nobody = folder.run(&format!("-H {socket} engine stop"));
    assert_eq!((nobody.code, nobody.stderr), (0, format!("no engine runs at {socket}\n")));
    // Whoever serves there speaks no TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let plain = format!("-H tcp://{} --tls", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    for (engine, why) in [(plain.as_str(), "it does not speak TLS"), ("-H ssh://h", "the program `ssh` cannot be run")] {
        for command in ["stop", "status", "logs"] {
            refused(&folder.run(&format!("{engine} engine {command}")), &["cannot be reached", why]);
        }
        let version = folder.run(&format!("{engine} version"));
        assert!(version.code == 0 && version.stdout.contains(why) && !version.stdout.contains("none runs"), "{}", version.stdout);
    }
}

#[test]
fn a_completion_asks_an_engine_only_for_what_it_alone_knows() {
    let folder = Folder::new(&[("compose.yaml", WEB)]);
    let socket = folder.path().join("engine.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let (sender, calls) = std::sync::mpsc::channel();
    // Who calls waits for an answer, and so for the end of the connection.
    std::thread::spawn(move || listener.incoming().try_for_each(|call| sender.send(call.is_ok())));
    for (line, word, expect, asks) in [
        ("stop", "", "web\tweb:1\n", false),
        ("--profile", "", "jobs\n", false),
        ("image rm", "--f", "--force", false),
        ("image rm", "", ":4\n", true),
        ("-p nothing -f none.yaml stop", "", ":4\n", true),
    ] {
        let mut command =
            folder.command(Path::new(env!("CARGO_BIN_EXE_gantry")), &format!("__complete -H unix://{} {line}", socket.display()));
        let told = outcome(command.arg(word)).stdout;
        let asked = calls.try_iter().count() > 0;
        assert!(told.contains(expect) && asked == asks, "{line}: {asked}: {told}");
    }
}

#[test]
fn the_version_that_is_to_be_spoken_is_spoken_by_every_command() {
    let folder = Folder::new(&[]).with("DOCKER_API_VERSION", "1.30").with("DOCKER_CUSTOM_HEADERS", "x-token=t");
    let socket = folder.path().join("engine.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut head = String::new();
        let mut reader = std::io::BufReader::new(stream.try_clone().expect("a stream"));
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).expect("a request");
        }
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("an answer");
        head
    });
    let outcome = folder.run(&format!("-H unix://{} version", socket.display()));
    let head = served.join().expect("a request");
    assert!(head.starts_with("GET /v1.30/version HTTP/1.1\r\n") && head.contains("\r\nx-token: t\r\n"), "{head}");
    assert!(outcome.code == 0 && outcome.stdout.contains("Engine: "), "{}", outcome.stdout);
    let other = Folder::new(&[]).with("DOCKER_API_VERSION", "1.99");
    let listener = std::os::unix::net::UnixListener::bind(other.path().join("engine.sock")).expect("a socket");
    refused(&other.run(&format!("-H unix://{} engine stop", other.path().join("engine.sock").display())), &["DOCKER_API_VERSION", "1.99"]);
    drop(listener);
}

#[test]
fn an_engine_is_chosen_only_where_one_is_wanted() {
    let folder = Folder::new(&[("compose.yaml", WEB)]).with("DOCKER_CONTEXT", "nowhere");
    for line in ["completion bash", "config --services", "version --short", "man pages", "__complete stop w"] {
        let outcome = folder.run(line);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{line}");
    }
    assert_eq!(folder.run("__complete stop w").stdout, "web\tweb:1\n:4\n");
    for line in ["ps", "version", "engine status", "system dial-stdio"] {
        refused(&folder.run(line), &["there is no context `nowhere`"]);
    }
}

#[test]
fn who_is_not_root_is_told_what_to_do() {
    let folder = Folder::new(&[("compose.yaml", WEB)]);
    // The program and the project where anybody may read them.
    let program = folder.path().join("gantry");
    std::fs::copy(env!("CARGO_BIN_EXE_gantry"), &program).expect("a copy of the program");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("a folder for all");
    let mut command = folder.command(&program, "ps");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let outcome = outcome(&mut command);
    refused(&outcome, &["Gantry's engine does not run, and only root can start it", "sudo", "-H"]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
}
