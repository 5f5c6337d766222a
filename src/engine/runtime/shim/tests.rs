//! Whole shims with real containers, as root: the test is the engine.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::*;
use crate::engine::runtime::cgroup::Leaf;
use crate::engine::runtime::exit::ExitRecord;
use crate::engine::runtime::init::tests::{remove_group, spec};
use crate::engine::runtime::launch::{NetworkSetup, ProcessSpec};
use crate::engine::runtime::task::{AttachRequest, ExecIo};
use crate::engine::runtime::{kernel, packet};
use crate::resource::container::{LogDetails, LogSpec};
use crate::resource::exec::TerminalSize;
use crate::resource::id::ExecId;

/// A shim in a process of its own, as its engine sees it.
struct Rig {
    _folder: tempfile::TempDir,
    spec: LaunchSpec,
    socket: Option<OwnedFd>,
    pid: i32,
}

const ALL: AttachRequest = AttachRequest { stdin: true, stdout: true, stderr: true };

impl Rig {
    /// Starts one, with a container that runs a line of shell once it may proceed.
    fn launch(name: &str, line: &str, change: impl FnOnce(&mut LaunchSpec)) -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let mut spec = spec(folder.path(), name, line);
        spec.log = LogSpec::default();
        spec.log_path = folder.path().join("log");
        spec.exit_record = folder.path().join("exit.json");
        change(&mut spec);
        let (socket, theirs) = packet::pair().unwrap();
        // SAFETY: glibc's fork leaves its allocator usable in the child, which does not return from here.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            rustix::stdio::dup2_stdin(&theirs).unwrap();
            rustix::stdio::dup2_stdout(std::fs::File::open("/dev/null").unwrap()).unwrap();
            kernel::close_from(3).unwrap();
            kernel::exit_now(i32::from(serve().is_err()));
        }
        let rig = Self { _folder: folder, spec, socket: Some(socket), pid };
        let enclosure = talk::enclose(&rig.spec).unwrap();
        rig.order(&Order::Launch, &[enclosure.as_fd()]);
        rig
    }

    /// Starts one whose container runs.
    fn start(name: &str, line: &str, change: impl FnOnce(&mut LaunchSpec)) -> Self {
        let rig = Self::launch(name, line, change);
        rig.proceed();
        rig
    }

    fn order(&self, order: &Order, beside: &[BorrowedFd<'_>]) {
        talk::send(self.socket.as_ref().unwrap(), order, beside, true).unwrap();
    }

    fn hear(&self) -> (Notice, Vec<OwnedFd>) {
        talk::receive(self.socket.as_ref().unwrap(), true).unwrap().expect("the shim says something")
    }

    fn proceed(&self) {
        let (notice, beside) = self.hear();
        assert!(matches!(notice, Notice::Waiting { network: true, names: false, .. }), "{notice:?}");
        assert_eq!(beside.len(), 2);
        let enclosure = talk::enclose(&NetworkSetup::default()).unwrap();
        self.order(&Order::Proceed, &[enclosure.as_fd()]);
    }

    fn started(&self) {
        let (notice, _) = self.hear();
        assert!(matches!(notice, Notice::Started { .. }), "{notice:?}");
    }

    fn attach(&self, wants: AttachRequest) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.order(&Order::Attach(wants), &[theirs.as_fd()]);
        ours
    }

    fn exec(&self, number: u8, line: &str, io: ExecIo, change: impl FnOnce(&mut ProcessSpec)) -> (ExecId, UnixStream) {
        let id = ExecId::from_bytes([number; 32]);
        let mut process = self.spec.process.clone();
        process.command = ["sh", "-c", line].map(str::to_owned).to_vec();
        process.tty = false;
        change(&mut process);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let enclosure = talk::enclose(&process).unwrap();
        self.order(&Order::Exec { id, io }, &[enclosure.as_fd(), theirs.as_fd()]);
        (id, ours)
    }

    fn kill(&self) {
        Leaf::open(&self.spec.cgroup).unwrap().kill().unwrap();
    }

    /// How the container ended; the shim is gone and nothing is left.
    fn ended(self) -> (ExitRecord, Vec<(String, String)>) {
        let record = loop {
            if let (Notice::Ended(record), _) = self.hear() {
                break record;
            }
        };
        assert_eq!(ExitRecord::read(&self.spec.exit_record), Some(record.clone()));
        assert!(record.started_at < record.finished_at);
        let log = read_log(&self.spec.log_path);
        self.gone();
        (record, log)
    }

    /// Waits for the shim's end.
    fn gone(&self) {
        let mut status = 0;
        // SAFETY: a child of this process, reaped here and nowhere else.
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }, self.pid);
        assert_eq!(status, 0, "the shim's status");
        assert!(Leaf::open(&self.spec.cgroup).is_err(), "the group is left");
        remove_group(&self.spec.cgroup);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        if let Ok(leaf) = Leaf::open(&self.spec.cgroup) {
            let _ = leaf.kill();
        }
    }
}

/// Streams and texts of a log.
fn read_log(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let values = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    values.map(|value| (value["stream"].as_str().unwrap().to_owned(), value["log"].as_str().unwrap().to_owned())).collect()
}

fn read_all(mut client: UnixStream) -> String {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// What came from either output.
fn read_frames(mut client: UnixStream) -> [String; 2] {
    let mut outputs = [String::new(), String::new()];
    let mut header = [0; 8];
    while client.read_exact(&mut header).is_ok() {
        let length = u32::from_be_bytes(header[4..].try_into().unwrap());
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        client.read_exact(&mut bytes).unwrap();
        outputs[usize::from(header[0] - 1)] += std::str::from_utf8(&bytes).unwrap();
    }
    outputs
}

fn pair(stream: &str, text: &str) -> (String, String) {
    (stream.to_owned(), text.to_owned())
}

#[test]
fn a_container_runs_is_logged_and_ends() {
    let rig = Rig::start("line", "echo out; echo err >&2; printf half; exit 7", |_| {});
    rig.started();
    let (record, mut log) = rig.ended();
    log.sort();
    assert_eq!((record.status.code, record.status.out_of_memory), (7, false));
    assert_eq!(log, [pair("stderr", "err\n"), pair("stdout", "half"), pair("stdout", "out\n")]);
}

#[test]
fn what_a_container_leaves_behind_ends_with_it() {
    let rig = Rig::start("orphan", "(trap '' TERM; sleep 1000) & echo $!; kill -9 $$", |spec| {
        spec.namespaces.pid = crate::engine::runtime::launch::Namespace::Host;
    });
    rig.started();
    let (record, log) = rig.ended();
    assert_eq!(record.status.code, 137);
    assert!(!Path::new("/proc").join(log[0].1.trim()).exists());
}

#[test]
fn a_container_is_killed_through_its_group() {
    let rig = Rig::start("kill", "echo up; sleep 1000", |_| {});
    rig.started();
    rig.order(&Order::Describe, &[]);
    assert!(matches!(rig.hear(), (Notice::Running { .. }, beside) if beside.len() == 1));
    let leaf = Leaf::open(&rig.spec.cgroup).unwrap();
    leaf.freeze(true).unwrap();
    rig.kill();
    assert_eq!(rig.ended().0.status.code, 137);
    // Whoever kills what is frozen thaws it then: by now it may be gone.
    leaf.freeze(false).unwrap();
    assert!(leaf.freeze(true).is_err());
}

#[test]
fn a_failed_start_says_why_and_leaves_nothing() {
    let missing = |spec: &mut LaunchSpec| spec.process.command = vec!["no-such-program".to_owned()];
    let rig = Rig::start("missing", "", missing);
    assert!(matches!(rig.hear().0, Notice::Failed(LaunchError::CommandNotFound { .. })));
    rig.gone();
    let rig = Rig::launch("rootless", "", |spec| spec.rootfs.lower = vec!["/nowhere".into()]);
    loop {
        match rig.hear().0 {
            Notice::Waiting { .. } => {}
            notice => break assert!(matches!(notice, Notice::Failed(LaunchError::Step { .. })), "{notice:?}"),
        }
    }
    rig.gone();
    let rig = Rig::launch("group", "", |spec| spec.cgroup.path = "nonsense".to_owned());
    assert!(matches!(rig.hear().0, Notice::Failed(LaunchError::Invalid(_))));
}

#[test]
fn an_engine_that_leaves_before_the_start_aborts_it() {
    let mut rig = Rig::launch("abort", "sleep 1000", |_| {});
    assert!(matches!(rig.hear().0, Notice::Waiting { .. }));
    rig.socket = None;
    rig.gone();
    assert!(!rig.spec.exit_record.exists());
}

#[test]
fn a_container_outlives_its_engine() {
    let mut rig = Rig::start("alone", "read line; echo got $line", |spec| spec.stdin_open = true);
    rig.started();
    let mut client = rig.attach(ALL);
    rig.socket = None;
    client.write_all(b"something\n").unwrap();
    assert_eq!(read_frames(client)[0], "got something\n");
    rig.gone();
    assert_eq!(ExitRecord::read(&rig.spec.exit_record).map(|record| record.status.code), Some(0));
    assert_eq!(read_log(&rig.spec.log_path), [pair("stdout", "got something\n")]);
}

#[test]
fn a_client_from_before_the_start_sees_every_byte() {
    let rig = Rig::launch("early", "echo first; cat >&2; echo last", |spec| {
        spec.stdin_open = true;
        spec.stdin_once = true;
    });
    let mut client = rig.attach(ALL);
    client.write_all(b"typed\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    rig.proceed();
    rig.started();
    assert_eq!(read_frames(client), ["first\nlast\n", "typed\n"]);
    assert_eq!(rig.ended().1.len(), 3);
}

#[test]
fn input_stays_open_when_a_client_leaves() {
    let rig = Rig::start("stays", "while read line; do echo $line; [ $line = end ] && exit 3; done", |spec| spec.stdin_open = true);
    rig.started();
    let mut first = rig.attach(AttachRequest { stdin: true, ..AttachRequest::default() });
    first.write_all(b"one\n").unwrap();
    first.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(first), "");
    let mut second = rig.attach(AttachRequest { stdin: true, ..AttachRequest::default() });
    second.write_all(b"end\n").unwrap();
    let (record, log) = rig.ended();
    assert_eq!((record.status.code, log), (3, vec![pair("stdout", "one\n"), pair("stdout", "end\n")]));
}

#[test]
fn more_input_than_a_pipe_holds_arrives() {
    let rig = Rig::launch("bulk", "read go; wc -c", |spec| {
        spec.stdin_open = true;
        spec.stdin_once = true;
    });
    let mut client = rig.attach(AttachRequest { stdin: true, ..AttachRequest::default() });
    rig.proceed();
    rig.started();
    client.write_all(b"go\n").unwrap();
    client.write_all(&vec![b'x'; 3_000_000]).unwrap();
    drop(client);
    assert_eq!(rig.ended().1, [pair("stdout", "3000000\n")]);
}

#[test]
fn a_terminal_is_raw_and_can_be_sized() {
    let rig = Rig::launch("tty", "read line; stty size; echo $line", |spec| {
        spec.process.tty = true;
        spec.stdin_open = true;
    });
    let mut client = rig.attach(ALL);
    rig.proceed();
    rig.started();
    rig.order(&Order::Resize { exec: None, size: TerminalSize { rows: 11, columns: 22 } }, &[]);
    rig.order(&Order::Describe, &[]);
    assert!(matches!(rig.hear().0, Notice::Running { .. }));
    client.write_all(b"typed\n").unwrap();
    assert_eq!(read_all(client), "typed\r\n11 22\r\ntyped\r\n");
    assert_eq!(rig.ended().1, ["typed\r\n", "11 22\r\n", "typed\r\n"].map(|text| pair("stdout", text)));
}

#[test]
fn execs_run_beside_the_container() {
    let rig = Rig::start("exec", "sleep 1000", |_| {});
    rig.started();
    let outputs = ExecIo { stdin: false, stdout: true, stderr: true, detach: false };

    let (id, client) = rig.exec(1, "cat /proc/1/comm; exit 5", outputs, |_| {});
    assert!(matches!(rig.hear().0, Notice::ExecStarted { id: started, .. } if started == id));
    assert_eq!(read_all(client), "\u{1}\0\0\0\0\0\0\u{3}sh\n");
    assert!(matches!(rig.hear().0, Notice::ExecEnded { id: ended, code: 5, .. } if ended == id));

    // Its standard input ends with the client's, and a child that stays behind does not hold it up.
    let (_, mut client) = rig.exec(2, "sleep 1000 & cat", ExecIo { stdin: true, ..outputs }, |_| {});
    assert!(matches!(rig.hear().0, Notice::ExecStarted { .. }));
    client.write_all(b"in").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(client), "\u{1}\0\0\0\0\0\0\u{2}in");
    assert!(matches!(rig.hear().0, Notice::ExecEnded { code: 0, .. }));

    let (_, client) = rig.exec(3, "", outputs, |process| process.command = vec!["/nowhere".to_owned()]);
    assert!(matches!(rig.hear().0, Notice::ExecFailed { error: LaunchError::CommandNotFound { .. }, .. }));
    assert_eq!(read_all(client), "");

    // With a terminal, and more output than anything on the way holds, to a client that takes its time.
    let (id, client) = rig.exec(4, "stty size; head -c 5000000 /dev/zero | tr '\\0' x", outputs, |process| {
        process.tty = true;
        process.size = Some(TerminalSize { rows: 3, columns: 4 });
    });
    assert!(matches!(rig.hear().0, Notice::ExecStarted { .. }));
    let seen = read_all(client);
    assert_eq!((&seen[..5], seen.len()), ("3 4\r\n", 5_000_005));
    assert!(
        matches!(rig.hear().0, Notice::ExecEnded { id: ended, code: 0, processor_time, out_of_memory: false } if ended == id && !processor_time.is_zero())
    );

    rig.kill();
    assert_eq!(rig.ended().0.status.code, 137);
}

#[test]
fn a_detached_exec_writes_for_nobody() {
    let rig = Rig::start("detach", "read line </fifo; echo $line", |spec| {
        nix::unistd::mkfifo(&spec.rootfs.lower[0].join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    rig.started();
    let detached = ExecIo { detach: true, ..ExecIo::default() };
    let (_, client) = rig.exec(1, "head -c 2000000 /dev/zero; echo done >/fifo", detached, |process| process.tty = true);
    assert!(matches!(rig.hear().0, Notice::ExecStarted { .. }));
    assert_eq!(read_all(client), "");
    assert_eq!(rig.ended().1, [pair("stdout", "done\n")]);
}

#[test]
fn a_client_who_reads_slowly_gets_everything() {
    let rig = Rig::launch("slow", "head -c 8000000 /dev/zero | tr '\\0' '\\n'", |spec| {
        spec.log = LogSpec::JsonFile { max_size: Some(1 << 20), max_file: Some(2), compress: None, details: LogDetails::default() };
    });
    let client = rig.attach(AttachRequest { stdin: false, ..ALL });
    rig.proceed();
    rig.started();
    assert_eq!(read_frames(client)[0], "\n".repeat(8_000_000));
    let (record, _) = rig.ended();
    assert_eq!(record.status.code, 0);
}
