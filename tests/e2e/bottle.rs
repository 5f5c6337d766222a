//! A host in a bottle: the test's own thread in namespaces of its own, with an engine root, a home and a project folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use tempfile::TempDir;

use crate::api;
use crate::docker;
use crate::program::{Outcome, bounded, bounded_by, end, run, run_with_input, shell};

/// The image most scenarios use: busybox, with its applets.
pub(crate) const IMAGE: &str = "busybox:test";

/// A host of one's own.
pub(crate) struct Bottle {
    folder: TempDir,
    /// A Docker Engine in the place of ours.
    docker: Option<Child>,
}

/// The variable that puts a Docker Engine in the place of ours (`on_docker.rs`).
pub(crate) const ON_DOCKER: &str = "GANTRY_SCENARIOS_ON_DOCKER";

/// A tar of busybox and its applets, made once.
pub(crate) fn busybox_tar() -> &'static Path {
    static TAR: OnceLock<PathBuf> = OnceLock::new();
    TAR.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("busybox-{}", std::process::id()));
        let root = folder.join("root");
        for name in ["bin", "etc", "tmp", "root", "www"] {
            fs::create_dir_all(root.join(name)).expect("a folder of the image");
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        fs::copy(busybox.expect("busybox-static is installed by tests/run"), root.join("bin/busybox")).expect("busybox is copied");
        for applet in shell("busybox --list").success().lines().filter(|applet| *applet != "busybox") {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("an applet");
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/tmp:/bin/sh\n").expect("passwd");
        fs::write(root.join("etc/group"), "root:x:0:\napp:x:1000:\nextra:x:2000:app\n").expect("group");
        let tar = folder.join("busybox.tar");
        run(bounded("tar").args(["--owner=0", "--group=0", "--numeric-owner", "-C"]).arg(&root).arg("-cf").arg(&tar).arg(".")).success();
        tar
    })
}

impl Bottle {
    /// Moves this thread into fresh namespaces; they end with it.
    pub(crate) fn new() -> Self {
        let mut bottle = Self::on_the_host();
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS)
            .expect("scenarios need root: run tests/run");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>).expect("a private mount tree");
        // A fresh /sys hides the host's control groups, which are set aside for as long as that takes.
        let aside = bottle.folder.path().join("groups");
        fs::create_dir(&aside).expect("a folder of the bottle");
        mount(Some("/sys/fs/cgroup"), &aside, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>).expect("a second place");
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>).expect("the namespace's own /sys");
        mount(Some(&aside), "/sys/fs/cgroup", None::<&str>, MsFlags::MS_MOVE, None::<&str>).expect("the host's control groups");
        fs::remove_dir(&aside).expect("nothing is left there");
        shell("ip link set lo up").success();
        #[expect(clippy::disallowed_methods, reason = "which engine the scenarios run on is said from outside")]
        let on_docker = std::env::var_os(ON_DOCKER).is_some();
        if on_docker {
            fs::create_dir_all(bottle.root().join("run")).expect("a folder of the bottle");
            bottle.docker = Some(docker::daemon(&bottle, &bottle.folder.path().join("docker"), &bottle.socket(), &[]));
        }
        bottle
    }

    /// The same, in the host's own namespaces: for the few scenarios beside a running Docker.
    pub(crate) fn on_the_host() -> Self {
        let folder = tempfile::Builder::new().prefix("gantry-").tempdir().expect("a temporary folder");
        for name in ["home", "project", "root"] {
            fs::create_dir(folder.path().join(name)).expect("a folder of the bottle");
        }
        Self { folder, docker: None }
    }

    /// A bottle whose engine has the busybox image.
    pub(crate) fn with_image() -> Self {
        let bottle = Self::new();
        bottle.import();
        bottle
    }

    /// Imports the busybox image.
    pub(crate) fn import(&self) {
        self.import_as(IMAGE);
    }

    /// Imports the busybox image under another name.
    pub(crate) fn import_as(&self, name: &str) {
        let arguments = [busybox_tar().display().to_string(), name.to_owned()];
        self.gantry(["image", "import"].map(String::from).into_iter().chain(arguments)).success();
    }

    /// The folder of the project.
    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The engine's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The engine's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.root().join("run/engine.sock")
    }

    /// Writes a file of the project; `IMAGE` in it stands for the busybox image.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.project().join(name), text.replace("IMAGE", IMAGE)).expect("a file of the project");
    }

    /// Writes `compose.yaml`.
    pub(crate) fn compose(&self, text: &str) {
        self.write("compose.yaml", text);
    }

    /// A program in the bottle's environment, in the project's folder.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.furnish(bounded(program))
    }

    /// The same for a program that serves as long as the test goes on.
    pub(crate) fn server(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.furnish(bounded_by(1200, program))
    }

    fn furnish(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.folder.path().join("home"))
            .env("GANTRY_ROOT", self.root())
            .current_dir(self.project());
        if self.docker.is_some() {
            command.env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
        }
        command
    }

    /// The binary.
    pub(crate) fn binary() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_gantry"))
    }

    /// Runs gantry.
    pub(crate) fn gantry(&self, arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Outcome {
        run(self.command(Self::binary()).args(arguments))
    }

    /// Runs gantry with something on its standard input.
    pub(crate) fn gantry_with_input(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        run_with_input(self.command(Self::binary()).args(arguments), input)
    }

    /// Runs a shell line in the bottle, where `$GANTRY` is the binary.
    pub(crate) fn shell(&self, line: &str) -> Outcome {
        run(self.command("sh").env("GANTRY", Self::binary()).args(["-c", line]))
    }

    /// GET on the API.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, value) = api::request(&self.socket(), "GET", path, None);
        assert!(status < 300, "GET {path}: {status} {value}");
        value
    }

    /// `GET /containers/NAME/json`, or `None` when there is no such container.
    pub(crate) fn inspect(&self, name: &str) -> Option<Value> {
        let (status, value) = api::request(&self.socket(), "GET", &format!("/containers/{name}/json"), None);
        (status == 200).then_some(value)
    }

    /// A container's state, in Docker's word; `absent` when there is no such container.
    pub(crate) fn state(&self, name: &str) -> String {
        self.inspect(name).map_or_else(|| "absent".to_owned(), |it| it["State"]["Status"].as_str().unwrap_or_default().to_owned())
    }

    /// A container's host process id.
    pub(crate) fn pid(&self, name: &str) -> i64 {
        self.inspect(name).expect("the container exists")["State"]["Pid"].as_i64().expect("a process id")
    }

    /// Names of all containers, sorted.
    pub(crate) fn containers(&self) -> Vec<String> {
        let list = self.get("/containers/json?all=1");
        let names = list.as_array().expect("a list").iter().filter_map(|it| it["Names"][0].as_str());
        let mut names: Vec<_> = names.map(|name| name.trim_start_matches('/').to_owned()).collect();
        names.sort();
        names
    }

    /// Whether a Docker Engine is in the place of ours.
    pub(crate) fn is_on_docker(&self) -> bool {
        self.docker.is_some()
    }

    /// Waits until `check` holds.
    #[track_caller]
    pub(crate) fn eventually(&self, what: &str, check: impl FnMut() -> bool) {
        api::eventually(&self.socket(), what, check);
    }
}

impl Drop for Bottle {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.root().join("run/engine.log")).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- engine.log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        // A second panic would hide the first; what cannot be asked of the engine is killed below.
        let _ = std::panic::catch_unwind(|| {
            api::remove_all(&self.socket());
            if self.docker.is_none() {
                let _ = self.shell("test ! -e $GANTRY_ROOT/run || $GANTRY engine stop");
            }
        });
        if let Some(docker) = &mut self.docker {
            end(docker);
        }
        crate::world::end_processes_of(self.folder.path());
        // What a test mounted below its folder would keep the folder from going.
        let below = format!("awk -v f={}/ 'index($5, f) == 1 {{print $5}}' /proc/self/mountinfo | sort -r", self.folder.path().display());
        let _ = shell(&format!("{below} | while read -r place; do umount -l \"$place\"; done"));
        if !std::thread::panicking() {
            assert_eq!(crate::world::groups_of(self.folder.path()), "", "control groups are left behind");
        }
    }
}
