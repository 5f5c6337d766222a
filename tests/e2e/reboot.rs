//! After a power failure, and after a reboot in order: which containers are there again, and which are not.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bottle::Bottle;
use crate::configuration::Foreground;
use crate::killed::{parent, process};
use crate::program::{run, top};
use crate::up::RUNS;

/// One service for each policy and each end it may have had.
fn project() -> String {
    let service =
        |name: &str, command: &str, restart: &str| format!("  {name}:\n    image: IMAGE\n    command: {command}\n    restart: {restart}\n");
    [
        "services:\n".to_owned(),
        service("always", RUNS, "always"),
        service("always-stopped", RUNS, "always"),
        service("unless", RUNS, "unless-stopped"),
        service("unless-stopped", RUNS, "unless-stopped"),
        service("failing", RUNS, "on-failure"),
        service("done", "['true']", "on-failure"),
        service("never", RUNS, "'no'"),
    ]
    .concat()
}

/// The machine has booted: its number is another, and the folder that only lives as long as a boot is empty.
fn boot(bottle: &Bottle, number: u8) {
    bottle.write("boot", &format!("0000000{number}-0000-4000-8000-000000000000\n"));
    let file = bottle.project().join("boot");
    let place = "/proc/sys/kernel/random/boot_id";
    mount(Some(&file), place, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("another boot");
    let run = bottle.root().join("run");
    std::fs::remove_dir_all(&run).expect("the run folder");
    std::fs::create_dir(&run).expect("an empty one");
}

/// Everything of a bottle ends at once, as when the power fails. Nobody is to see another's end, and write it down, or make a
/// successor.
fn power_off(bottle: &Bottle) {
    let pids = bottle.containers().iter().map(|name| i32::try_from(bottle.pid(name)).expect("a process id")).collect::<Vec<_>>();
    let containers: Vec<i32> = pids.into_iter().filter(|pid| *pid > 0).collect();
    let mut processes = vec![process(bottle, "keeper"), process(bottle, "engine")];
    processes.extend(containers.iter().map(|pid| parent(*pid)));
    processes.extend(containers);
    // Frozen first: who is stopped sees nobody's end.
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in &processes {
            // One takes the other along.
            let _ = kill(Pid::from_raw(*pid), signal);
        }
    }
    for pid in processes {
        bottle.shell(&format!("while test -e /proc/{pid} && ! grep -q '^State:.Z' /proc/{pid}/status; do :; done")).success();
    }
}

fn state(bottle: &Bottle, service: &str) -> String {
    bottle.state(&format!("project-{service}-1"))
}

fn bring_up(bottle: &Bottle) {
    bottle.compose(&project());
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["stop", "always-stopped", "unless-stopped"]).success();
    bottle.eventually("done ends", || state(bottle, "done") == "exited");
    hears(bottle, "failing");
}

/// Waits until a service's shell has set its trap: before, the first process of a container is deaf to SIGTERM, and is killed.
fn hears(bottle: &Bottle, service: &str) {
    let pid = bottle.pid(&format!("project-{service}-1"));
    let caught = format!("0x$(awk '/^SigCgt/ {{ print $2 }}' /proc/{pid}/status)");
    bottle.shell(&format!("until test $(({caught} >> 14 & 1)) = 1; do :; done")).success();
}

#[track_caller]
fn assert_back(bottle: &Bottle, back: &[&str], gone: &[&str]) {
    for service in back {
        bottle.eventually(&format!("{service} is back"), || state(bottle, service) == "running");
    }
    for service in gone {
        assert_eq!(state(bottle, service), "exited", "{service}");
    }
    // Once all that start have started nobody else follows.
    bottle.gantry(["exec", "-T", "always", "true"]).success();
    for service in gone {
        assert_eq!(state(bottle, service), "exited", "{service}");
    }
}

#[test]
fn after_a_power_failure_policies_bring_containers_back() {
    let bottle = Bottle::with_image();
    bring_up(&bottle);
    power_off(&bottle);
    boot(&bottle, 1);
    let engine = Foreground::start(&bottle, &[]);
    // As in Docker `always` forgets who stopped it, and a fall counts as a failure.
    assert_back(&bottle, &["always", "always-stopped", "unless", "failing"], &["unless-stopped", "done", "never"]);
    assert_eq!(bottle.inspect("project-never-1").expect("it exists")["State"]["ExitCode"], 255);
    drop(engine);
}

#[test]
fn after_a_reboot_in_order_policies_bring_containers_back() {
    let bottle = Bottle::with_image();
    bring_up(&bottle);
    bottle.gantry(["engine", "stop"]).success();
    boot(&bottle, 2);
    let engine = Foreground::start(&bottle, &[]);
    // `failing` ended well when it was asked to.
    assert_back(&bottle, &["always", "always-stopped", "unless"], &["unless-stopped", "failing", "done", "never"]);
    drop(engine);
    // A mere stop and start of the engine leaves alone what somebody stopped.
    let engine = Foreground::start(&bottle, &[]);
    bottle.gantry(["stop", "always-stopped"]).success();
    drop(engine);
    let engine = Foreground::start(&bottle, &[]);
    assert_back(&bottle, &["always", "unless"], &["always-stopped", "unless-stopped", "failing", "done", "never"]);
    drop(engine);
}

#[expect(clippy::disallowed_methods, reason = "tests run programs; this one has its own bound of eight minutes")]
fn machine() -> std::process::Command {
    std::process::Command::new(top().join("tests/support/vm-systemd"))
}

#[test]
fn under_systemd_a_container_is_back_after_the_reboot_of_its_machine() {
    let (kernel, root) = (top().join("target/vm"), top().join("target/vm-systemd"));
    assert!(Path::new(&root).join("complete").exists(), "the machine's root is unpacked by tests/run");
    let parts = [Bottle::binary().to_owned(), top().join("examples/systemd"), top().join("tests/support/vm-systemd-script")];
    let outcome = run(machine().arg(kernel).arg(root).args(parts));
    assert!(outcome.stdout.contains("MACHINE: well"), "{}\n{}", outcome.stdout, outcome.stderr);
}
