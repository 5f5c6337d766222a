//! Commands of Docker Compose: run, exec, cp, pause, kill, wait, top and what else looks at containers.

use std::process::Stdio;

use super::Project;

#[test]
fn commands_run_once_and_beside_others() {
    let project = Project::new("jobs");
    assert_eq!(project.compose(&["run", "--rm", "-T", "tool"]).success(), "by default\n");
    let outcome = project.compose(&["run", "--rm", "-T", "-e", "WORD=of the line", "tool", "echo $WORD; echo no >&2; exit 7"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "of the line\n"));
    assert!(outcome.stderr.contains("no\n"), "{}", outcome.stderr);
    assert_eq!(project.bottle.containers(), ["jobs-server-1"]);
    assert_eq!(project.volumes(), Vec::<String>::new());
    assert_eq!(project.compose_with_input(&["run", "--rm", "-T", "tool", "wc -c"], &[b'x'; 100_000]).success(), "100000\n");
    project.compose(&["run", "-d", "--service-ports", "--name", "once", "tool", "sleep 1000"]).success();
    assert!(project.docker(&["port", "once"]).success().starts_with("80/tcp -> 0.0.0.0:18130\n"));
    assert_eq!(project.bottle.inspect("once").expect("it exists")["Config"]["Labels"]["com.docker.compose.oneoff"], "True");

    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    std::fs::write(project.bottle.project().join("bytes"), &bytes).expect("a file of the project");
    let digest = project.bottle.shell("busybox md5sum < bytes").success();
    assert_eq!(project.compose_with_input(&["exec", "-T", "server", "md5sum"], &bytes).success(), digest);
    let arguments = ["exec", "-T", "-u", "app", "-w", "/tmp", "-e", "A=b", "server", "sh", "-c", "id -un; pwd; echo $A; exit 3"];
    let outcome = project.compose(&arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, "app\n/tmp\nb\n"));
    project.compose(&["exec", "-d", "server", "touch", "/tmp/done"]).success();
    project.says("server", "until test -e /tmp/done; do :; done");
    // What `run` made is nobody's to take down.
    project.docker(&["rm", "-f", "-v", "once"]).success();
    project.compose(&["--profile", "tools", "down", "-v", "-t", "0"]).success();
    project.down();
}

#[test]
fn files_are_copied_in_and_out() {
    let project = Project::new("copy");
    project.compose(&["up", "-d"]).success();
    project.bottle.eventually("its job has ended", || project.bottle.state("copy-ended-1") == "exited");
    project.compose(&["cp", "files/page", "a:/tmp/page"]).success();
    project.compose(&["cp", "--index", "2", "files/page", "a:/tmp/second"]).success();
    let list = |index: &str| project.compose(&["exec", "-T", "--index", index, "a", "ls", "/tmp"]).success();
    assert_eq!((list("1"), list("2")), ("page\n".to_owned(), "page\nsecond\n".to_owned()));
    project.compose(&["cp", "ended:/tmp/left", "left"]).success();
    project.compose(&["cp", "--archive", "a:/etc", "etc"]).success();
    assert_eq!(project.bottle.shell("cat left; head -n 1 etc/passwd").success(), "left\nroot:x:0:0:root:/root:/bin/sh\n");
    let out = project.bottle.project().join("out.tar");
    let tar = project.compose(&["cp", "a:/etc/passwd", "-"]).success();
    std::fs::write(&out, tar).expect("a file of the project");
    assert_eq!(project.bottle.shell("tar -tf out.tar").success(), "passwd\n");
    let archive = std::fs::read(out).expect("the archive");
    project.compose_with_input(&["cp", "--index", "1", "-", "a:/root"], &archive).success();
    assert_eq!(project.says("a", "head -n 1 /root/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    let told = project.compose(&["cp", "a:/no/such", "there"]).failure(1);
    assert!(told.contains("Could not find the file /no/such in container"), "{told}");
    project.down();
}

#[test]
fn containers_are_looked_at_paused_told_and_awaited() {
    let project = Project::new("signals");
    project.up();
    let states = || project.compose(&["ps", "-a", "--format", "{{.Name}} {{.State}}"]).success();
    project.compose(&["pause"]).success();
    assert_eq!(states(), "signals-a-1 paused\nsignals-b-1 paused\nsignals-c-1 paused\n");
    project.compose(&["unpause"]).success();
    assert_eq!(states(), "signals-a-1 running\nsignals-b-1 running\nsignals-c-1 running\n");
    let top = project.compose(&["top", "a"]).success();
    assert!(top.starts_with("SERVICE") && top.contains("trap 'exit 6' USR1"), "{top}");
    assert_eq!(project.compose(&["port", "--protocol", "udp", "a", "80"]).success(), "0.0.0.0:18141\n");
    assert!(project.compose(&["images", "--format", "json"]).success().contains("busybox"));
    assert!(project.compose(&["stats", "--no-stream"]).success().contains("signals-b-1"));
    assert!(project.compose(&["ls"]).success().contains("signals"));

    // It is told until somebody has waited for its end; each time it starts again.
    let mut waiting = project.command(&["wait", "c"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("Compose starts");
    let waited = loop {
        if let Some(status) = waiting.try_wait().expect("it is ours") {
            break status;
        }
        let _ = project.compose(&["exec", "-T", "c", "kill", "-USR1", "1"]);
    };
    assert_eq!(waited.code(), Some(6));
    project.compose(&["rm", "-sf", "c"]).success();
    project.compose(&["kill", "b"]).success();
    assert_eq!(project.inspect("b")["State"]["ExitCode"], 137);
    project.compose(&["start", "b"]).success();
    let before = project.inspect("b")["State"]["StartedAt"].clone();
    project.compose(&["restart", "-t", "0", "b"]).success();
    assert_ne!(project.inspect("b")["State"]["StartedAt"], before);
    project.compose(&["commit", "b", "saved:test"]).success();
    project.compose(&["export", "-o", "b.tar", "b"]).success();
    assert!(project.bottle.shell("tar -tf b.tar").success().contains("bin/busybox"));
    project.compose(&["rm", "-sf", "b"]).success();
    assert_eq!(states(), "signals-a-1 running\n");
    project.compose(&["create", "b"]).success();
    assert_eq!(states(), "signals-a-1 running\nsignals-b-1 created\n");
    project.down();
}
