//! The ordinary `docker`: as a client on our socket, and as an engine beside ours.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::bottle::{Bottle, IMAGE, busybox_tar};
use crate::program::{Outcome, end, foreign, run};
use crate::up::RUNS;

/// A Docker Engine of Debian forky's, unpacked, with a data root of its own.
pub(crate) struct Docker<'bottle> {
    bottle: &'bottle Bottle,
    process: Child,
}

impl<'bottle> Docker<'bottle> {
    fn folder(bottle: &Bottle) -> PathBuf {
        bottle.project().parent().expect("a parent").with_extension("docker")
    }

    /// Starts the daemon and waits for its word of readiness.
    pub(crate) fn start(bottle: &'bottle Bottle) -> Self {
        Self::start_with(bottle, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(bottle: &'bottle Bottle, more: &[&str]) -> Self {
        let folder = Self::folder(bottle);
        let process = daemon(bottle, &folder, &folder.join("sock"), more);
        Self { bottle, process }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        Self::folder(self.bottle).join("sock")
    }

    /// Where it listens.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The `docker` command line on it.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Outcome {
        run(self.command().args(arguments))
    }

    /// The same, to be run elsewhere.
    pub(crate) fn command(&self) -> Command {
        docker_at(self.bottle, &self.socket())
    }

    /// The `docker` command line by itself.
    pub(crate) fn docker_alone(&self, arguments: &[&str]) -> Outcome {
        run(alone(self.bottle).args(arguments))
    }

    /// Docker Compose on it, in the bottle's project.
    pub(crate) fn compose(&self, arguments: &[&str]) -> Outcome {
        run(self.compose_command().args(arguments))
    }

    /// The same, to be run elsewhere.
    pub(crate) fn compose_command(&self) -> Command {
        let mut command = self.bottle.command(foreign("usr/libexec/docker/cli-plugins/docker-compose"));
        command.env("DOCKER_HOST", self.host());
        command
    }

    /// Gives it the busybox image.
    pub(crate) fn import(&self) {
        self.docker(&["import", &busybox_tar().display().to_string(), IMAGE]).success();
    }

    /// Starts a server of Docker's own on port 8097.
    pub(crate) fn run_server(&self) {
        let tar = self.bottle.project().join("busybox.tar");
        self.bottle.shell("mkdir -p image/bin image/etc && cp /bin/busybox image/bin/ && ln -sf busybox image/bin/httpd && echo dockers > image/etc/page && tar -C image -cf busybox.tar .").success();
        self.docker(&["import", &tar.display().to_string(), "server:test"]).success();
        self.docker(&["run", "-d", "--name", "server", "-p", "8097:80", "server:test", "/bin/httpd", "-f", "-p", "80", "-h", "/etc"])
            .success();
        self.bottle.shell("until curl -s --max-time 5 -o /dev/null http://127.0.0.1:8097/page; do :; done").success();
        // Its links tell the kernel of their own IPv6 addresses only once nobody else was found to have them.
        let settled = "ip -6 -o address show dev docker0 scope link | grep -qv tentative && test -z \"$(ip -6 -o address show tentative)\"";
        self.bottle.shell(&format!("until {settled}; do timeout 0.1 ip monitor address >/dev/null; done; true")).success();
    }

    /// Docker's own container answers on its port.
    #[track_caller]
    pub(crate) fn assert_server_answers(&self) {
        assert_eq!(self.bottle.shell("curl -sS --max-time 5 http://127.0.0.1:8097/page").success(), "dockers\n");
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        let _ = self.docker(&["rm", "-f", "server"]);
        end(&mut self.process);
        let _ = std::fs::remove_dir_all(Self::folder(self.bottle));
    }
}

/// Starts a daemon with its data in a folder and waits for its word of readiness.
pub(crate) fn daemon(bottle: &Bottle, folder: &Path, socket: &Path, more: &[&str]) -> Child {
    std::fs::create_dir_all(folder).expect("Docker's folder");
    let programs = ["usr/bin", "usr/sbin", "usr/libexec/docker"].map(|path| crate::program::top().join("target/foreign/root").join(path));
    let path = programs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":");
    let mut command = bottle.server(foreign("usr/sbin/dockerd"));
    command
        .env("PATH", format!("{path}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
        .env_remove("GANTRY_ROOT")
        .arg("--data-root")
        .arg(folder.join("data"))
        .arg("--exec-root")
        .arg(folder.join("exec"))
        .arg("--pidfile")
        .arg(folder.join("pid"))
        .arg("-H")
        .arg(format!("unix://{}", socket.display()))
        .args(more);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut told = Vec::new();
    // It gives its containerd fifteen seconds, which on a busy machine are too few now and then.
    for _ in 0..3 {
        let mut process = command.spawn().expect("dockerd starts");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            told.push(line);
            told.last().is_some_and(|line| line.contains("API listen on"))
        });
        if ready {
            std::thread::spawn(move || lines.for_each(drop));
            return process;
        }
        process.wait().expect("dockerd has ended");
    }
    panic!("dockerd did not start:\n{}", told.join("\n"));
}

/// The real `docker`, on the engine that its configuration and its variables name.
pub(crate) fn alone(bottle: &Bottle) -> Command {
    bottle.command(foreign("usr/bin/docker"))
}

/// The real `docker` on a socket.
pub(crate) fn docker_at(bottle: &Bottle, socket: &Path) -> Command {
    let mut command = alone(bottle);
    command.arg("-H").arg(format!("unix://{}", socket.display()));
    command
}

/// The real `docker` on our engine's socket.
pub(crate) fn docker(bottle: &Bottle) -> Command {
    docker_at(bottle, &bottle.socket())
}

/// The same, as words of a shell.
pub(crate) fn docker_in_shell(bottle: &Bottle) -> String {
    format!("{} -H unix://{}", foreign("usr/bin/docker").display(), bottle.socket().display())
}

#[test]
fn the_docker_command_line_works_on_our_socket() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!(
        "services:\n  a:\n    image: IMAGE\n    command: {}\n    ports: ['8080:80']\n    logging: {{options: {{tag: 'the log of {{{{.Name}}}}'}}}}\n",
        RUNS.replace("trap", "echo hello from a; trap")
    ));
    bottle.gantry(["up", "-d"]).success();
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    let listed = docker(&["ps", "--format", "{{.Names}} {{.Image}} {{.Ports}} {{.State}}"]).success();
    assert_eq!(listed, "project-a-1 busybox:test 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp running\n");
    assert_eq!(docker(&["inspect", "-f", "{{.Config.Image}} {{.State.Running}}", "project-a-1"]).success(), "busybox:test true\n");
    bottle.shell("until $GANTRY logs a | grep -q 'hello from a'; do :; done").success();
    assert_eq!(docker(&["logs", "project-a-1"]).success(), "hello from a\n");
    assert_eq!(docker(&["logs", "--details", "project-a-1"]).success(), "tag=the+log+of+project-a-1 hello from a\n");
    let outcome = docker(&["exec", "project-a-1", "sh", "-c", "echo out; exit 5"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (5, "out\n"));
    let client = docker_in_shell(&bottle);
    let terminal = bottle.shell(&format!("script -qec '{client} exec -it project-a-1 sh -c \"tty; exit 6\"' /dev/null"));
    assert!(terminal.stdout.contains("/dev/pts/0") && terminal.code == 6, "{terminal:?}");
    assert!(docker(&["version", "--format", "{{.Server.Version}}"]).code == 0);
    docker(&["stop", "-t", "1", "project-a-1"]).success();
    assert_eq!(bottle.state("project-a-1"), "exited");
    assert!(docker(&["network", "ls", "--format", "{{.Name}}"]).success().contains("project_default"));
    docker(&["rm", "project-a-1"]).success();
    assert!(bottle.containers().is_empty());
}

#[test]
fn containers_are_run_attached_to_and_left_by_their_keys() {
    let bottle = Bottle::with_image();
    bottle.gantry(["image", "ls"]).success();
    let docker = |arguments: &[&str]| run(docker(&bottle).args(arguments));
    let client = docker_in_shell(&bottle);
    assert_eq!(docker(&["run", "--rm", "busybox:test", "echo", "first and last"]).success(), "first and last\n");
    assert_eq!(docker(&["run", "--rm", "busybox:test", "sh", "-c", "exit 7"]).code, 7);
    for (arguments, code, word) in [
        (["run", "--rm", "busybox:test", "/no/such"].as_slice(), 127, "/no/such"),
        (&["run", "--rm", "busybox:test", "/etc/passwd"], 126, "permission denied"),
        (&["run", "--rm", "-u", "nosuch", "busybox:test", "true"], 125, "unable to find user nosuch"),
    ] {
        let told = docker(arguments).failure(code);
        assert!(told.starts_with("docker: Error response from daemon: ") && told.contains(word), "{told}");
        // And no more than that: an empty line and where help is.
        assert_eq!(told.lines().count(), 3, "{told}");
    }
    assert_eq!(bottle.shell(&format!("echo typed | {client} run --rm -i busybox:test cat")).success(), "typed\n");
    let long = bottle.shell(&format!("{client} run --rm busybox:test seq 1 200000 | md5sum; seq 1 200000 | md5sum")).success();
    let sums: Vec<&str> = long.lines().collect();
    assert_eq!(sums[0], sums[1]);

    docker(&["run", "-d", "--name", "term", "-it", "busybox:test", "sh"]).success();
    let missing = docker(&["exec", "term", "nosuch"]);
    assert!(missing.code == 127 && format!("{}{}", missing.stdout, missing.stderr).contains("executable file not found"), "{missing:?}");
    assert!(docker(&["top", "term"]).success().lines().nth(1).is_some_and(|row| row.contains("root") && row.ends_with("sh")));
    // The keys are pressed once the terminal is in its raw mode, which the answer proves.
    let left = bottle.shell(&format!(
        "(echo 'echo $((40+2))'; until {client} logs term | grep -q ^42; do :; done; printf '\\020\\021') | script -qec '{client} attach term' /dev/null"
    ));
    assert!(left.stdout.contains("read escape sequence"), "{left:?}");
    assert_eq!(bottle.state("term"), "running");
    // Said again until the one that attaches hears it.
    let said = format!("until grep -q seen out; do {client} exec term sh -c 'echo seen > /dev/pts/0'; done; {client} kill term");
    bottle.shell(&format!("{client} attach --no-stdin term > out & {said}; wait")).success();
    docker(&["rm", "term"]).success();
}
