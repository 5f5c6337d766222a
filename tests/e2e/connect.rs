//! The way to engines elsewhere: by TLS, by ssh, by the name of a context; and `system dial-stdio`, on which the far side of ssh is built.

use std::path::PathBuf;
use std::process::Child;

use crate::api;
use crate::bottle::{Bottle, IMAGE, busybox_tar};
use crate::certificate;
use crate::docker::Docker;
use crate::program::{Outcome, end, foreign};
use crate::up::RUNS;

/// What an engine elsewhere is asked, so that each kind of connection is used: one answer, a stream, and a process's streams, the end of whose
/// input the engine must be told.
#[track_caller]
fn assert_works(bottle: &Bottle, program: &str, flags: &str) {
    let gantry = |line: &str| bottle.shell(&format!("{program} {flags} {line}"));
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {}\n", RUNS.replace("trap", "echo hello; trap")));
    gantry(&format!("image import {} {IMAGE}", busybox_tar().display())).success();
    gantry("up -d --wait").success();
    assert_eq!(gantry("ps --format '{{.Name}} {{.State}}'").success(), "project-a-1 running\n");
    bottle.shell(&format!("until {program} {flags} logs --no-log-prefix a | grep -q hello; do :; done")).success();
    assert_eq!(
        bottle
            .shell(&format!("seq 1 50000 | {program} {flags} exec -T a sh -c 'wc -l; echo end'"))
            .success()
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["50000", "end"]
    );
    assert_eq!(gantry("exec -T a sh -c 'exit 7'").code, 7);
    assert_eq!(gantry("run --rm -T a echo once").success(), "once\n");
    bottle.write("file", "carried\n");
    gantry("cp file a:/tmp/file").success();
    assert_eq!(gantry("exec -T a cat /tmp/file").success(), "carried\n");
    let seen = gantry("events --json --since 10m --until 0s a").success();
    assert!(seen.contains("\"action\":\"start\""), "{seen}");
    gantry("down -t 1").success();
    assert_eq!(gantry("ps -aq").success(), "");
}

/// A Docker Engine that speaks TLS on port 2376, and plainly on a socket.
fn docker_with_tls(bottle: &Bottle) -> Docker<'_> {
    certificate::make(bottle);
    let file = |name: &str| bottle.project().join("tls").join(name).display().to_string();
    let (authority, certificate, key) = (file("ca.pem"), file("server-cert.pem"), file("server-key.pem"));
    Docker::start_with(
        bottle,
        &["-H", "tcp://127.0.0.1:2376", "--tlsverify", "--tlscacert", &authority, "--tlscert", &certificate, "--tlskey", &key],
    )
}

#[test]
fn a_docker_engine_is_driven_by_tls() {
    let bottle = Bottle::new();
    let docker = docker_with_tls(&bottle);
    assert_works(
        &bottle,
        "$GANTRY",
        "-H tcp://127.0.0.1:2376 --tlsverify --tlscacert tls/ca.pem --tlscert tls/client-cert.pem --tlskey tls/client-key.pem",
    );
    let variables = "DOCKER_HOST=tcp://127.0.0.1:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=tls/client";
    let told = bottle.shell(&format!("{variables} $GANTRY version")).success();
    assert!(told.contains("Docker Engine 28.") && told.contains("at tcp://127.0.0.1:2376"), "{told}");
    // An engine that need not prove who it is.
    bottle.shell("DOCKER_TLS=1 DOCKER_CERT_PATH=tls/client $GANTRY -H tcp://127.0.0.1:2376 image ls").success();
    let client = "--tlscert tls/client-cert.pem --tlskey tls/client-key.pem";
    for (flags, word) in [
        (format!("-H tcp://127.0.0.1:2376 --tlsverify --tlscacert tls/stranger.pem {client}"), "its certificate is not to be trusted"),
        (format!("-H tcp://localhost:2376 --tlsverify --tlscacert tls/ca.pem {client}"), "its certificate is for another host"),
        ("-H tcp://127.0.0.1:2376 --tlsverify --tlscacert tls/ca.pem".to_owned(), "it does not take our certificate"),
        (format!("-H tcp://127.0.0.1:2376 --tlsverify --tlscacert tls/none.pem {client}"), "tls/none.pem cannot be used"),
        ("-H tcp://127.0.0.1:2376".to_owned(), "Client sent an HTTP request to an HTTPS server"),
        ("-H tcp://127.0.0.1:2377 --tls".to_owned(), "no engine listens at tcp://127.0.0.1:2377"),
    ] {
        let told = bottle.shell(&format!("$GANTRY {flags} image ls")).failure(1);
        assert!(told.contains(word) && told.contains("engine: tcp://"), "{flags}: {told}");
    }
    drop(docker);
}

#[test]
fn contexts_of_dockers_configuration_name_engines() {
    let bottle = Bottle::new();
    let docker = docker_with_tls(&bottle);
    let create = |name: &str, endpoint: &str| docker.docker_alone(&["context", "create", name, "--docker", endpoint]).success();
    create("far", "host=tcp://127.0.0.1:2376,ca=tls/ca.pem,cert=tls/client-cert.pem,key=tls/client-key.pem");
    create("careless", "host=tcp://127.0.0.1:2376,skip-tls-verify=true,cert=tls/client-cert.pem,key=tls/client-key.pem");
    create("near", &format!("host={}", docker.host()));
    assert_works(&bottle, "$GANTRY", "--context far");
    let engine = |line: &str| bottle.shell(line).success().lines().last().unwrap_or_default().to_owned();
    let by_tls = engine("$GANTRY --context careless version");
    assert!(by_tls.starts_with("Engine: Docker Engine 28.") && by_tls.ends_with("at tcp://127.0.0.1:2376"), "{by_tls}");
    let by_socket = by_tls.replace("tcp://127.0.0.1:2376", &docker.host());
    assert_eq!(engine("DOCKER_CONTEXT=near $GANTRY version"), by_socket);
    assert_eq!(engine("DOCKER_HOST=tcp://nowhere:1 $GANTRY --context near version"), by_socket);
    assert_eq!(engine(&format!("DOCKER_CONTEXT=far DOCKER_HOST={} $GANTRY version", docker.host())), by_socket);
    // The current one is for `docker` and who stands in for it.
    docker.docker_alone(&["context", "use", "near"]).success();
    assert_eq!(engine("$GANTRY version"), format!("Engine: none runs at unix://{}", bottle.socket().display()));
    assert_eq!(engine("ln -s $GANTRY docker-compose && ./docker-compose version"), by_socket);
    assert_eq!(engine("DOCKER_CONTEXT=far ./docker-compose version"), by_tls);
    let told = bottle.shell("$GANTRY --context nowhere ps").failure(1);
    assert!(told.contains("there is no context `nowhere` in ") && told.contains("contexts/meta: careless, far, near"), "{told}");
    assert!(bottle.shell("$GANTRY --context far -H tcp://x ps").failure(1).contains("cannot specify both --host and --context"));
    drop(docker);
}

/// An sshd of the test's own, which lets in whoever has the bottle's key, as root.
struct Sshd {
    process: Child,
}

impl Sshd {
    /// Where it listens.
    const ADDRESS: &'static str = "ssh://root@127.0.0.1:2222";

    /// Starts it; what is run over it finds `programs` beside the shell's own, and these variables.
    fn start(bottle: &Bottle, programs: &[(&str, PathBuf)], variables: &[(&str, String)]) -> Self {
        let far = bottle.project().join("far");
        std::fs::create_dir_all(&far).expect("a folder of programs");
        for (name, program) in programs {
            std::os::unix::fs::symlink(program, far.join(name)).expect("a link");
        }
        let folder = bottle.project().join("ssh");
        let folder = folder.display();
        let variables: String = variables.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        bottle
            .shell("mkdir -p ssh near && ssh-keygen -q -t ed25519 -N '' -f ssh/host && ssh-keygen -q -t ed25519 -N '' -f ssh/key")
            .success();
        bottle.write(
            "ssh/sshd_config",
            &format!(
                "Port 2222\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/key.pub\nPidFile none\nStrictModes no\n\
                 UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
                 SetEnv PATH={}:/usr/bin:/bin{variables}\n",
                far.display()
            ),
        );
        bottle.write(
            "ssh/config",
            &format!("Host *\n  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"),
        );
        // ssh reads the configuration of who runs it, wherever HOME points to.
        bottle.write("near/ssh", &format!("#!/bin/sh\nexec /usr/bin/ssh -F {folder}/config \"$@\"\n"));
        let near = bottle.project().join("near");
        bottle.write("near/gantry", &format!("#!/bin/sh\nPATH={}:$PATH exec {} \"$@\"\n", near.display(), Bottle::binary().display()));
        bottle.shell("chmod +x near/*").success();
        // What sshd wants there, the host has not got unless its own runs.
        bottle.shell("mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd").success();
        let mut process = bottle
            .server("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &format!("{folder}/sshd_config")])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("sshd is installed by tests/run");
        let errors = std::io::BufReader::new(process.stderr.take().expect("a pipe"));
        let mut lines = std::io::BufRead::lines(errors).map_while(Result::ok);
        assert!(lines.any(|line| line.contains("Server listening")), "sshd does not listen");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process }
    }

    /// Runs a line with `ssh` as the bottle has it.
    fn shell(bottle: &Bottle, line: &str) -> Outcome {
        bottle.shell(&format!("PATH={}/near:$PATH; {line}", bottle.project().display()))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

#[test]
fn our_engine_is_started_and_driven_over_ssh() {
    let bottle = Bottle::new();
    let root = bottle.root().display().to_string();
    let _sshd = Sshd::start(&bottle, &[("gantry", Bottle::binary().to_owned())], &[("GANTRY_ROOT", root)]);
    // Who only looks starts none, on the far side either.
    let look = |line: &str| bottle.shell(&format!("near/gantry -H {} {line}", Sshd::ADDRESS));
    let nobody = format!("no engine runs at {}\n", Sshd::ADDRESS);
    assert!(look("version").success().ends_with(&format!("Engine: none runs at {}\n", Sshd::ADDRESS)));
    assert_eq!((look("engine status").code, look("engine status").stdout), (1, nobody.clone()));
    assert_eq!((look("engine stop").code, look("engine stop").stderr), (0, nobody));
    let completed = bottle.shell(&format!("near/gantry __complete -H {} image rm ''", Sshd::ADDRESS)).success();
    assert!(completed.ends_with(":4\n") && !bottle.socket().exists(), "{completed}");
    look(&format!("image import {} {IMAGE}", busybox_tar().display())).success();
    assert!(look("version").success().contains(&format!(" at {}", Sshd::ADDRESS)));
    // Eight at once: an sshd lets only so many wait at its door.
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    scale: 8\n"));
    let up = format!("$GANTRY -H {} up -d --wait", Sshd::ADDRESS);
    Sshd::shell(&bottle, &up).success();
    assert_eq!(bottle.containers().len(), 8);
    // Ctrl-C goes to everything in the foreground; what stops the containers has to get there yet.
    let left = format!(
        "bash -c 'set -m; $GANTRY -H {} up > out 2>&1 & pid=$!; until grep -q Running out; do :; done; kill -INT -- -$pid; wait $pid; echo $?'",
        Sshd::ADDRESS
    );
    assert_eq!(Sshd::shell(&bottle, &left).success().trim(), "130");
    assert_eq!(bottle.state("project-a-1"), "exited");
    // Killed, a client takes its ssh with it.
    let killed = format!(
        "$GANTRY -H {} events & pid=$!; until pgrep -f '^/usr/bin/ssh -F '$PWD/ssh; do :; done; kill -KILL $pid; while pgrep -f '^/usr/bin/ssh -F '$PWD/ssh; do :; done",
        Sshd::ADDRESS
    );
    Sshd::shell(&bottle, &killed).success();
    Sshd::shell(&bottle, &format!("$GANTRY -H {} down -t 1", Sshd::ADDRESS)).success();
    assert_works(&bottle, "near/gantry", &format!("-H {}", Sshd::ADDRESS));
}

#[test]
fn a_docker_engine_is_driven_over_ssh() {
    let bottle = Bottle::new();
    let both = [("docker", foreign("usr/bin/docker")), ("gantry", Bottle::binary().to_owned())];
    let _sshd = Sshd::start(&bottle, &both, &[]);
    let docker = Docker::start(&bottle);
    let address = format!("{}{}", Sshd::ADDRESS, docker.socket().display());
    assert_works(&bottle, "near/gantry", &format!("-H {address}"));
    docker.docker_alone(&["context", "create", "far", "--docker", &format!("host={address}")]).success();
    let told = Sshd::shell(&bottle, "$GANTRY --context far version").success();
    assert!(told.contains("Docker Engine 28.") && told.contains(&address), "{told}");
    // No engine listens where `docker` looks for one: what it says is told.
    let told = Sshd::shell(&bottle, &format!("$GANTRY -H {} image ls", Sshd::ADDRESS)).failure(1);
    assert!(told.contains("cannot be reached") && told.contains("docker.sock"), "{told}");
    drop(docker);
}

#[test]
fn what_keeps_ssh_from_an_engine_is_told() {
    let bottle = Bottle::new();
    let sshd = Sshd::start(&bottle, &[], &[]);
    let told = |line: &str| Sshd::shell(&bottle, line).failure(1);
    let check = |line: &str, word: &str| {
        let told = told(line);
        assert!(told.contains(word) && told.contains("engine: ssh://"), "{line}: {told}");
    };
    let address = Sshd::ADDRESS;
    check(&format!("$GANTRY -H {address} image ls"), "neither docker nor gantry is in the PATH");
    check("$GANTRY -H ssh://nosuchuser@127.0.0.1:2222 image ls", "Permission denied (publickey)");
    check("$GANTRY -H ssh://127.0.0.1:2223 image ls", "Connection refused");
    check(&format!("PATH=/nowhere $GANTRY -H {address} image ls"), "the program `ssh` cannot be run");
    assert!(told("$GANTRY -H ssh://-oProxyCommand=touch%20x image ls").contains("is no name of a host"));
    assert!(!bottle.project().join("x").exists());
    drop(sshd);
}

#[test]
fn standard_input_and_output_become_the_engines_socket() {
    let bottle = Bottle::new();
    let request = "GET /_ping HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n";
    // None runs: it is started. The answer comes though the input has ended.
    let answer = bottle.shell(&format!("printf '{request}' | $GANTRY system dial-stdio")).success();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nOK"), "{answer:?}");
    // The engine ends the connection: input that could still come is not waited for.
    let answer = bottle.shell(&format!(
        "mkfifo input; (printf '{request}'; until test -e ended; do :; done) > input & $GANTRY system dial-stdio < input; touch ended"
    ));
    assert!(answer.success().ends_with("OK"));
    assert!(bottle.shell("$GANTRY system --help").success().contains("dial-stdio"));
    let told = bottle.shell("GANTRY_NO_START=1 $GANTRY -H unix:///nowhere system dial-stdio").failure(69);
    assert!(told.contains("no engine runs at unix:///nowhere"), "{told}");
    let told = bottle.shell("$GANTRY -H unix:///nowhere system dial-stdio").failure(1);
    assert!(told.contains("no engine listens at unix:///nowhere"), "{told}");
    assert_eq!(api::request(&bottle.socket(), "GET", "/_ping", None).0, 200);
}
