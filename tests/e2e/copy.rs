//! `cp`, `export`, and the same by the ordinary `docker`: files in and out of containers.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use crate::bottle::Bottle;
use crate::docker::{docker, docker_in_shell};
use crate::program::run;
use crate::up::RUNS;

/// Two replicas of a service with a volume, a bind and memory, and one that never runs as root.
fn project(bottle: &Bottle) {
    bottle.compose(&format!(
        "services:
  a:
    image: IMAGE
    command: {RUNS}
    scale: 2
    volumes: ['data:/data', './bound:/bound', './one:/one:ro']
    tmpfs: /mem
  u:
    image: IMAGE
    user: app
    command: {RUNS}
volumes: {{data: {{}}}}
"
    ));
    bottle.write("one", "of the host\n");
}

#[test]
fn files_go_in_and_out_whether_a_container_runs_or_not() {
    let bottle = Bottle::with_image();
    project(&bottle);
    let at = |name: &str| bottle.project().join(name);
    bottle.write("file", "from here\n");
    bottle.gantry(["up", "--no-start"]).success();
    for started in [false, true] {
        if started {
            bottle.gantry(["up", "-d"]).success();
        }
        let name = format!("copy-{started}");
        for folder in ["/tmp", "/data", "/bound"] {
            bottle.gantry(["cp", "file", &format!("a:{folder}/{name}")]).success();
            for index in ["1", "2"] {
                bottle.gantry(["cp", "--index", index, &format!("a:{folder}/{name}"), "back"]).success();
                assert_eq!(fs::read_to_string(at("back")).expect("it came back"), "from here\n");
                fs::remove_file(at("back")).expect("it is there");
            }
        }
        assert!(at("bound").join(&name).is_file());
        let refused = bottle.gantry(["cp", "file", "a:/one"]).failure(1);
        assert!(refused.contains("busy") || refused.contains("read-only"), "{refused}");
    }
    bottle.gantry(["cp", "file", "a:/mem/seen"]).success();
    assert_eq!(bottle.gantry(["exec", "-T", "a", "cat", "/mem/seen"]).success(), "from here\n");
    bottle.gantry(["stop", "-t", "1"]).success();
    bottle.gantry(["cp", "a:/data/copy-true", "stopped"]).success();
    assert_eq!(fs::read_to_string(at("stopped")).expect("it came back"), "from here\n");
    // What was put in is still there, and it still starts.
    bottle.gantry(["start"]).success();
    assert_eq!(bottle.gantry(["exec", "-T", "a", "cat", "/tmp/copy-false"]).success(), "from here\n");
}

#[test]
fn paths_land_by_dockers_rules_and_ours_are_its_own() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.gantry(["up", "-d"]).success();
    let prepare = "mkdir -p tree/sub && echo x > tree/sub/f && ln -s sub tree/l && mkdir -p there && echo y > plain";
    bottle.shell(prepare).success();
    let docker = docker_in_shell(&bottle);
    // Each rule by docker into one container and by us into the other; the trees must be the same.
    for (source, target) in [
        ("tree", "/tmp/t1"),
        ("tree", "/tmp"),
        ("tree/.", "/tmp/t2"),
        ("tree/.", "/tmp/"),
        ("tree/l", "/tmp/t3"),
        ("tree/l/", "/tmp/t4"),
        ("plain", "/tmp/t5"),
        ("plain", "/tmp/t1"),
        ("plain", "/tmp/new/"),
        ("tree", "/tmp/t5"),
        ("plain", "/nowhere/x"),
        ("missing", "/tmp/t6"),
    ] {
        let theirs = bottle.shell(&format!("{docker} cp {source} project-a-1:{target}"));
        let ours = bottle.gantry(["cp", "--index", "2", source, &format!("a:{target}")]);
        assert_eq!(theirs.code == 0, ours.code == 0, "{source} to {target}: {theirs:?} {ours:?}");
    }
    let tree = |index: &str| {
        let line = "cd /tmp && find . | sort | xargs ls -lnd | awk '{print $1,$3,$4,$5,$9,$10,$11}'";
        bottle.gantry(["exec", "-T", "--index", index, "a", "sh", "-c", line]).success()
    };
    assert_eq!(tree("1"), tree("2"));
    for (number, (source, target)) in [
        ("/tmp/t1", "out"),
        ("/tmp/t1", "there"),
        ("/tmp/t1/.", "there"),
        ("/tmp/t1/.", "fresh"),
        ("/tmp/t3", "link"),
        ("/tmp/t5", "file"),
        ("/tmp/t5", "there"),
        ("/tmp/t5", "no/such"),
        ("/tmp/t5", "asserted/"),
        ("/tmp/t1", "plain"),
        ("/no/such", "x"),
    ]
    .into_iter()
    .enumerate()
    {
        bottle.shell("rm -rf o d && mkdir -p o/there d/there && cp plain o && cp plain d").success();
        let theirs = bottle.shell(&format!("cd d && {docker} cp project-a-1:{source} {target}"));
        let ours = bottle.shell(&format!("cd o && $GANTRY -f ../compose.yaml cp a:{source} {target}"));
        assert_eq!(theirs.code == 0, ours.code == 0, "{number}: {source} to {target}: {theirs:?} {ours:?}");
        bottle.shell("diff -r --no-dereference o d").success();
    }
    bottle.shell(&format!("{docker} cp -L project-a-1:/tmp/t3 d && $GANTRY cp -L a:/tmp/t3 o && diff -r o d")).success();
}

#[test]
fn owners_streams_and_indexes_are_as_asked() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.gantry(["up", "-d"]).success();
    bottle.shell("echo x > file && chown 12:34 file").success();
    let owner = |service: &str, path: &str| bottle.gantry(["exec", "-T", service, "stat", "-c", "%u:%g", path]).success();
    bottle.gantry(["cp", "file", "u:/tmp/as-it-is"]).success();
    bottle.gantry(["cp", "-a", "file", "u:/tmp/of-the-user"]).success();
    assert_eq!((owner("u", "/tmp/as-it-is"), owner("u", "/tmp/of-the-user")), ("12:34\n".to_owned(), "1000:1000\n".to_owned()));
    bottle.gantry(["cp", "u:/tmp/as-it-is", "mine"]).success();
    bottle.gantry(["cp", "-a", "u:/tmp/as-it-is", "theirs"]).success();
    let uid = |name: &str| fs::metadata(bottle.project().join(name)).expect("it came").uid();
    assert_eq!((uid("mine"), uid("theirs")), (0, 12));

    bottle.shell("tar cf - file | $GANTRY cp --index 2 - a:/data").success();
    assert_eq!(bottle.shell("$GANTRY cp --index 1 a:/data/file - | tar xO").success(), "x\n");
    bottle.shell("tar czf - file | $GANTRY cp - u:/tmp/").success();
    assert!(bottle.shell("tar cf - file | $GANTRY cp - a:/data").failure(1).contains("--index"));
    assert!(bottle.shell("tar cf - file | $GANTRY cp - u:/tmp/new").failure(1).contains("must be a directory"));
    assert!(bottle.shell("echo no tar | $GANTRY cp - u:/tmp").failure(1).contains("tar"));

    bottle.gantry(["cp", "--index", "2", "file", "a:/tmp/two"]).success();
    let there = |index: &str| bottle.gantry(["exec", "-T", "--index", index, "a", "ls", "/tmp/two"]).code;
    assert_eq!((there("1") == 0, there("2")), (false, 0));
    for (arguments, words) in [
        (&["cp", "a:/x", "a:/y"][..], "between services"),
        (&["cp", "file", "other"], "unknown copy direction"),
        (&["cp", "nosuch:/x", "y"], "no container found for service \"nosuch\""),
        (&["cp", "--index", "9", "a:/x", "y"], "#9"),
        (&["cp", "--index", "x", "a:/x", "y"], "invalid value"),
        (&["cp", "", "a:/y"], "source can not be empty"),
        (&["cp", "a:/no/such", "y"], "/no/such"),
        (&["cp", "a:/etc"], "required"),
        (&["export"], "required"),
        (&["export", "nosuch", "-o", "x"], "no container found"),
        (&["export", "--index", "7", "a", "-o", "x"], "#7"),
        (&["export", "a", "-o", "no/such/x"], "no/such/x"),
    ] {
        let refused = bottle.gantry(arguments).failure(1);
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
}

#[test]
fn one_offs_are_copied_to_and_from_where_all_are_meant() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.write("file", "from here\n");
    bottle.gantry(["run", "-d", "--name", "once", "u"]).success();
    let has = |container: &str, name: &str| {
        let path = format!("/containers/{container}/archive?path=/tmp/{name}");
        crate::api::request(&bottle.socket(), "HEAD", &path, None).0 == 200
    };
    // Without the flag there is no container of the service.
    for direction in [["file", "u:/tmp/plain"], ["u:/etc/passwd", "out"]] {
        assert!(bottle.gantry(["cp", direction[0], direction[1]]).failure(1).contains("no container found"), "{direction:?}");
    }
    bottle.gantry(["cp", "--all", "file", "u:/tmp/all"]).success();
    assert!(has("once", "all") && !has("once", "plain"));
    bottle.gantry(["cp", "--all", "u:/tmp/all", "back"]).success();
    assert_eq!(fs::read_to_string(bottle.project().join("back")).expect("it came back"), "from here\n");
    // Beside a container of the service's own.
    bottle.gantry(["up", "-d", "u"]).success();
    bottle.gantry(["cp", "file", "u:/tmp/own"]).success();
    bottle.gantry(["cp", "--all", "file", "u:/tmp/both"]).success();
    for (name, own, once) in [("own", true, false), ("both", true, true), ("all", false, true)] {
        assert_eq!((has("project-u-1", name), has("once", name)), (own, once), "{name}");
    }
}

#[test]
fn no_link_leads_a_copy_out_of_its_container() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.gantry(["up", "-d"]).success();
    let victim = bottle.project().join("victim");
    fs::create_dir(&victim).expect("a folder of the host");
    fs::write(victim.join("secret"), "the host's\n").expect("a file of the host");
    let place = victim.display();
    let inside = |line: &str| bottle.gantry(["exec", "-T", "a", "sh", "-c", line]).success();
    inside(&format!(
        "ln -s {place} /abs; ln -s ../../../../../../../..{place} /rel; ln -s {place}/secret /data/one; ln -s /proc/1/root /root1"
    ));
    bottle.write("evil", "evil\n");
    for way in ["/abs/secret", "/rel/secret", "/data/one", "/root1/secret"] {
        let _ = bottle.gantry(["cp", "evil", &format!("a:{way}")]);
        let _ = bottle.gantry(["cp", "-L", &format!("a:{way}"), "got"]);
        assert_eq!(fs::read_to_string(victim.join("secret")).expect("untouched"), "the host's\n", "{way}");
        if let Ok(text) = fs::read_to_string(bottle.project().join("got")) {
            assert_ne!(text, "the host's\n", "{way}");
        }
    }
    // An archive out of a container may hold a link and, below its name, a file.
    let hostile = format!("mkdir /tmp/h && ln -s {place} /tmp/h/out");
    inside(&hostile);
    bottle.gantry(["cp", "a:/tmp/h", "taken"]).success();
    assert_eq!(fs::read_link(bottle.project().join("taken/out")).expect("a link"), victim);
    inside("rm /tmp/h/out && mkdir /tmp/h/out && echo evil > /tmp/h/out/secret");
    let _ = bottle.gantry(["cp", "a:/tmp/h/.", "taken"]);
    assert_eq!(fs::read_to_string(victim.join("secret")).expect("untouched"), "the host's\n");
    // A mount is not taken away with its name.
    assert!(bottle.gantry(["cp", "evil", "a:/etc/hosts"]).failure(1).contains("busy"));
    assert!(inside("cat /etc/hosts").contains("localhost"));
    symlink("evil", bottle.project().join("linked")).expect("a link");
    bottle.gantry(["cp", "linked", "a:/tmp/kept"]).success();
    bottle.gantry(["cp", "-L", "linked", "a:/tmp/followed"]).success();
    assert_eq!(inside("readlink /tmp/kept; cat /tmp/followed"), "evil\nevil\n");
}

#[test]
fn a_whole_root_goes_out_without_what_is_mounted() {
    let bottle = Bottle::with_image();
    project(&bottle);
    bottle.gantry(["up", "-d"]).success();
    bottle.gantry(["exec", "-T", "--index", "2", "a", "sh", "-c", "echo own > /tmp/own; echo kept > /data/kept; rm /etc/group"]).success();
    bottle.gantry(["export", "--index", "2", "-o", "running.tar", "a"]).success();
    let list = |name: &str| bottle.shell(&format!("tar tf {name}")).success();
    let running = list("running.tar");
    assert!(running.lines().any(|line| line == "tmp/own") && running.lines().any(|line| line == "data/"), "{running}");
    assert!(!running.contains("data/kept") && !running.contains("etc/group") && !running.lines().any(|line| line.starts_with("proc/1")));
    run(docker(&bottle).args(["export", "-o", "docker.tar", "project-a-2"])).success();
    assert_eq!(list("docker.tar"), running);
    bottle.gantry(["stop", "-t", "1"]).success();
    assert_eq!(bottle.shell("$GANTRY export --index 2 a | tar t").success(), running);
    // What went out comes in as an image.
    bottle.gantry(["image", "import", "running.tar", "again:1"]).success();
    bottle.compose("services: {b: {image: 'again:1', command: [cat, /tmp/own]}}\n");
    assert!(bottle.gantry(["up"]).success().contains("own"));
}
