//! Builds: of a project's services and of a folder alone, what they leave out the next time, and who reads their images.

use std::fs;

use serde_json::Value;

use crate::bottle::Bottle;
use crate::docker::{Docker, docker};
use crate::program::run;
use crate::registry::Registry;
use crate::up::RUNS;

/// Writes a file in a state of its own each time it runs.
pub(crate) const DRAW: &str = "cat /proc/sys/kernel/random/uuid >";

/// Makes a folder of the project with a Dockerfile, in which `IMAGE` stands for busybox.
pub(crate) fn write_context(bottle: &Bottle, folder: &str, dockerfile: &str) {
    fs::create_dir_all(bottle.project().join(folder)).expect("a folder of the project");
    bottle.write(&format!("{folder}/Dockerfile"), dockerfile);
}

/// What the API tells of an image; `None` when there is none of this name.
pub(crate) fn image(bottle: &Bottle, name: &str) -> Option<Value> {
    let (status, value) = crate::api::request(&bottle.socket(), "GET", &format!("/images/{name}/json"), None);
    (status == 200).then_some(value)
}

/// What a file of an image says.
pub(crate) fn read(bottle: &Bottle, name: &str, path: &str) -> String {
    run(docker(bottle).args(["run", "--rm", "--network", "none", name, "cat", path])).success()
}

/// The layers of an image, lowest first.
fn layers(bottle: &Bottle, name: &str) -> Vec<Value> {
    image(bottle, name).expect("it was built")["RootFS"]["Layers"].as_array().expect("layers").clone()
}

#[test]
fn up_builds_what_is_missing_and_what_it_is_asked_to() {
    let bottle = Bottle::with_image();
    let compose = |policy: &str| {
        bottle.compose(&format!("services:\n  a:\n    build: ./a\n    command: {RUNS}\n    stop_grace_period: 0s\n{policy}"));
    };
    compose("");
    write_context(&bottle, "a", "FROM IMAGE\nCOPY said /said\n");
    let up = |flags: &[&str]| {
        bottle.gantry([&["up", "-d"], flags].concat()).success();
        let id = bottle.inspect("project-a-1").expect("it runs")["Id"].to_string();
        (id, bottle.gantry(["exec", "-T", "a", "cat", "/said"]).success())
    };
    bottle.write("a/said", "one");
    let (first, said) = up(&[]);
    assert_eq!(said, "one");
    // What is there is not built again, until somebody asks.
    bottle.write("a/said", "two");
    assert_eq!(up(&[]), (first.clone(), "one".to_owned()));
    let (second, said) = up(&["--build"]);
    assert_eq!(said, "two");
    assert_ne!(first, second);
    assert_eq!(up(&["--build"]), (second.clone(), "two".to_owned()), "nothing has changed");
    bottle.write("a/said", "three");
    assert_eq!(bottle.gantry(["run", "-T", "--rm", "--build", "a", "cat", "/said"]).success(), "three");
    compose("    pull_policy: build\n");
    bottle.write("a/said", "four");
    let (third, said) = up(&[]);
    assert_eq!(said, "four");
    assert_eq!(up(&[]), (third, "four".to_owned()));
    assert!(image(&bottle, "project-a").is_some());
    bottle.gantry(["down", "--rmi", "local"]).success();
    assert!(image(&bottle, "project-a").is_none() && image(&bottle, crate::bottle::IMAGE).is_some());
    // Without a build there is no image, and it is said.
    compose("");
    let told = bottle.gantry(["up", "-d", "--no-build"]);
    assert!(told.code != 0 && told.stderr.contains("project-a"), "{told:?}");
}

#[test]
fn services_build_on_one_another_and_share_their_stages() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:
  top: {build: {context: ./top, additional_contexts: {lower: 'service:base'}}}
  base: {build: ./base}
  one: {build: {context: ./same, target: one}}
  two: {build: {context: ./same, target: two}}
",
    );
    write_context(&bottle, "base", &format!("FROM IMAGE\nRUN {DRAW} /drawn\n"));
    write_context(&bottle, "top", "FROM lower\nRUN cp /drawn /copied\n");
    let same = format!(
        "FROM IMAGE AS common\nRUN {DRAW} /drawn\nFROM common AS one\nRUN echo one > /name\nFROM common AS two\nRUN echo two > /name\n"
    );
    write_context(&bottle, "same", &same);
    // One alone builds what it stands on.
    bottle.gantry(["build", "top"]).success();
    assert!(image(&bottle, "project-one").is_none());
    bottle.gantry(["build"]).success();
    let base = read(&bottle, "project-base", "/drawn");
    assert_eq!(read(&bottle, "project-top", "/copied"), base);
    assert_eq!(read(&bottle, "project-one", "/drawn"), read(&bottle, "project-two", "/drawn"), "the stage was built twice");
    assert_eq!(read(&bottle, "project-one", "/name") + &read(&bottle, "project-two", "/name"), "one\ntwo\n");
    // What builds on another is built anew with it.
    write_context(&bottle, "base", &format!("FROM IMAGE\nRUN echo changed; {DRAW} /drawn\n"));
    bottle.gantry(["build", "top"]).success();
    let changed = read(&bottle, "project-top", "/copied");
    assert_ne!(changed, base);
    // Everything anew, yet each stage once.
    bottle.gantry(["build", "--no-cache"]).success();
    assert_ne!(read(&bottle, "project-base", "/drawn"), changed);
    assert_eq!(read(&bottle, "project-top", "/copied"), read(&bottle, "project-base", "/drawn"));
}

#[test]
fn a_service_says_how_it_is_built() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:
  a:
    image: named:1
    build:
      context: ./a
      dockerfile: other.Dockerfile
      target: wanted
      args: {WHO: you}
      secrets: [file, {source: variable, target: renamed}]
      labels: {com.example.key: value}
      tags: ['other:2', 'third/name:3']
      extra_hosts: ['far.example=10.9.8.7']
      shm_size: 8m
    command: [cat, /said]
  inline:
    build:
      dockerfile_inline: |
        FROM IMAGE
        RUN echo inline > /said
    command: [cat, /said]
secrets:
  file: {file: ./hush}
  variable: {environment: HUSH}
",
    );
    let dockerfile = "FROM IMAGE AS wanted
ARG WHO=nobody
RUN --mount=type=secret,id=file --mount=type=secret,id=renamed \\
    echo \"$WHO $(wc -c < /run/secrets/file) $(wc -c < /run/secrets/renamed) $(grep -c far.example /etc/hosts)\" > /said; df -k /dev/shm | grep -c 8192 >> /said
FROM IMAGE
RUN false
";
    fs::create_dir(bottle.project().join("a")).expect("a folder");
    bottle.write("a/other.Dockerfile", dockerfile);
    bottle.write("hush", "secret!");
    bottle.write(".env", "HUSH=quiet\n");
    bottle.gantry(["build"]).success();
    assert_eq!(read(&bottle, "named:1", "/said"), "you 7 5 1\n1\n");
    assert_eq!(read(&bottle, "project-inline", "/said"), "inline\n");
    let named = image(&bottle, "named:1").expect("it was built");
    assert_eq!(named["Config"]["Labels"]["com.example.key"], "value");
    for tag in ["other:2", "third/name:3"] {
        assert_eq!(image(&bottle, tag).expect("it has this name, too")["Id"], named["Id"], "{tag}");
    }
    bottle.gantry(["build", "--build-arg", "WHO=them", "a"]).success();
    assert!(read(&bottle, "named:1", "/said").starts_with("them "));
    // What is missing is named, and nothing is built of it.
    fs::remove_file(bottle.project().join("hush")).expect("it was there");
    let told = bottle.gantry(["build", "--no-cache", "a"]).failure(1);
    assert!(told.contains("hush"), "{told}");
    for (text, words) in [
        ("build: {context: ./a, privileged: true}", "privileged"),
        ("build: {context: ./a, entitlements: [security.insecure]}", "entitlements"),
        ("build: {context: 'https://github.com/x/y.git'}", "git"),
        ("build: {context: ./missing}", "missing"),
    ] {
        bottle.compose(&format!("services:\n  a:\n    {text}\n"));
        let told = bottle.gantry(["build"]).failure(1);
        assert!(told.contains(words), "{text}: {told}");
    }
}

#[test]
fn a_check_tells_and_builds_nothing() {
    let bottle = Bottle::with_image();
    bottle.compose("services: {good: {build: ./good}, bad: {build: ./bad}}\n");
    write_context(&bottle, "good", "FROM IMAGE\nRUN exit 1\n");
    write_context(&bottle, "bad", "FROM IMAGE as lower\nMAINTAINER me\nRUN exit 1\n");
    for (arguments, code, words) in [
        (["build", "--check", "good"].as_slice(), 0, "no warnings found"),
        (&["image", "build", "--check", "good"], 0, "no warnings found"),
        (&["build", "--check", "bad"], 1, "FromAsCasing"),
        (&["image", "build", "--check", "bad"], 1, "MaintainerDeprecated"),
    ] {
        let told = bottle.gantry(arguments);
        assert!(told.code == code && told.stdout.contains(words), "{arguments:?}: {told:?}");
    }
    let told = bottle.gantry(["--progress", "plain", "image", "build", "--check", "-t", "g:1", "good"]);
    assert!(told.stderr.contains("Checked") && !told.stderr.contains("Built"), "{told:?}");
    // It knows the variables of images that are here, as a build does.
    write_context(&bottle, "bad", "FROM IMAGE\nCOPY $PATH $NOWHERE /x/\n");
    let told = bottle.gantry(["image", "build", "--check", "bad"]);
    assert!(told.code == 1 && told.stdout.contains("$NOWHERE") && !told.stdout.contains("`$PATH`"), "{told:?}");
    // A dry run says what it would fail at, and builds nothing.
    let told = bottle.gantry(["--dry-run", "image", "build", "-t", "g:1", "good"]);
    assert_eq!((told.code, told.stdout.as_str()), (0, "build image g:1 from good\n"), "{told:?}");
    // All that is wrong is told, each as an error.
    write_context(&bottle, "bad", "FROM IMAGE\nRUM x\nCOPI y\n");
    let told = bottle.gantry(["image", "build", "bad"]).failure(1);
    assert!(told.contains("Dockerfile:2:1") && told.contains("RUM"), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{told}");
    assert_eq!(bottle.get("/images/json").as_array().map(Vec::len), Some(1));
}

#[test]
fn only_what_read_a_change_is_built_again() {
    let bottle = Bottle::with_image();
    let dockerfile = format!(
        "FROM IMAGE AS first\nCOPY a /\nRUN {DRAW} /drawn\nFROM IMAGE AS second\nCOPY b /\nRUN {DRAW} /drawn\n\
         FROM IMAGE\nCOPY --from=first /drawn /first\nCOPY --from=second /drawn /second\nRUN {DRAW} /drawn\n"
    );
    write_context(&bottle, "c", &dockerfile);
    for name in ["a", "b", "unused"] {
        bottle.write(&format!("c/{name}"), name);
    }
    let build = || {
        let id = bottle.gantry(["image", "build", "-q", "-t", "c:1", "c"]).success();
        (id, layers(&bottle, "c:1"))
    };
    let first = build();
    // Times say nothing; neither does what no step reads.
    bottle.shell("touch -d 2001-01-01 c/a c/b c/Dockerfile; touch c").success();
    assert_eq!(build(), first);
    bottle.write("c/unused", "changed");
    assert_eq!(build(), first);
    bottle.write("c/b", "changed");
    let (id, changed) = build();
    assert_ne!(id, first.0);
    let same: Vec<bool> = first.1.iter().zip(&changed).map(|(one, other)| one == other).collect();
    assert_eq!(same, [true, true, false, false]);
    // A permission is content; back to what was, and all of it is remembered.
    bottle.shell("chmod 600 c/b").success();
    assert_ne!(build().1, changed);
    bottle.shell("chmod 644 c/b; printf b > c/b").success();
    assert_eq!(build(), first);
}

#[test]
fn what_a_build_is_warned_of_says_what_it_is_about() {
    let bottle = Bottle::with_image();
    write_context(&bottle, "c", "FROM IMAGE\nCOPY there left-out /x/\nRUN exit 3\n");
    bottle.write("c/.dockerignore", "left-*\n");
    bottle.write("c/there", "");
    bottle.write("c/left-out", "");
    let told = bottle.gantry(["image", "build", "-t", "c:1", "--build-arg", "UNKNOWN=x", "c"]).failure(1);
    assert!(told.contains("CopyIgnoredFile") && told.contains("image c:1: one or more build-args were not consumed: UNKNOWN"), "{told}");
    assert!(told.contains("`.dockerignore` leaves `left-out` out"), "{told}");
    // The command stands there once, in the name of its step.
    bottle.write("c/.dockerignore", "");
    let told = bottle.gantry(["image", "build", "-t", "c:1", "c"]).failure(1);
    let error = told.lines().find(|line| line.starts_with("error: ")).expect("an error");
    assert_eq!(error, "error: cannot build image c:1: [3/3] RUN exit 3: exit code: 3");
    let told = bottle.shell("SOURCE_DATE_EPOCH=99999999999999 $GANTRY image build c").failure(1);
    assert!(told.contains("SOURCE_DATE_EPOCH is `99999999999999`"), "{told}");
}

#[test]
fn an_image_that_goes_is_told_once() {
    let bottle = Bottle::with_image();
    bottle.compose("services: {a: {build: ./a, command: 'true'}, b: {image: other, build: ./a, command: 'true'}}\n");
    write_context(&bottle, "a", "FROM IMAGE\nLABEL a=b\n");
    bottle.gantry(["up", "-d"]).success();
    let told = bottle.gantry(["--progress", "plain", "down", "--rmi", "all"]);
    let ends = told.stderr.lines().filter(|line| line.contains("Image project-a") && !line.contains("Removing")).count();
    assert_eq!((told.code, ends), (0, 1), "{told:?}");
}

#[test]
fn what_is_linked_hides_nothing_of_where_it_comes_to_lie() {
    let bottle = Bottle::with_image();
    let build = |below: &str| {
        let dockerfile = format!("FROM IMAGE\nRUN mkdir /x && {below}\nCOPY --link d /x/\nRUN cat /x/sub/f && ls /x/sub > /list\n");
        write_context(&bottle, "c", &dockerfile);
        bottle.shell("mkdir -p c/d/sub && printf f > c/d/sub/f").success();
        let told = bottle.gantry(["--progress", "plain", "image", "build", "-t", "c:1", "c"]);
        assert_eq!(told.code, 0, "{told:?}");
        (read(&bottle, "c:1", "/list"), told.stderr)
    };
    assert_eq!(build("true").0, "f\n");
    // The layer of before lies over a folder of the same name.
    let (list, told) = build("mkdir /x/sub && touch /x/sub/kept");
    assert_eq!((list.as_str(), told.lines().filter(|line| line.ends_with(" CACHED")).count()), ("f\nkept\n", 1), "{told}");
}

#[test]
fn the_same_input_is_the_same_image() {
    let bottle = Bottle::with_image();
    let dockerfile = "FROM IMAGE AS lower\nRUN date > /dev/null; mkdir -p /d/e; echo x > /d/e/f; ln /d/e/f /d/e/g; ln -s f /d/e/l; rm /etc/group\nWORKDIR /made/here\n\
                      FROM lower\nCOPY --link . /all/\nADD archive.tar /unpacked/\nRUN rm -r /d/e && mkdir /d/e && chown app /d\nENTRYPOINT [\"cat\"]\n";
    write_context(&bottle, "r", dockerfile);
    bottle.shell("mkdir r/sub && echo f > r/sub/f && tar -C r -cf r/archive.tar sub").success();
    let build = || bottle.shell("SOURCE_DATE_EPOCH=1700000000 $GANTRY image build -q --no-cache -t r:1 r").success();
    let first = build();
    let (id, created) = (first.clone(), image(&bottle, "r:1").expect("it was built")["Created"].clone());
    assert_eq!(created, "2023-11-14T22:13:20Z");
    // Neither the folder's place nor its times, nor what was remembered, has a part in it.
    bottle.shell("cp -r r s && rm -r r && mv s r && touch -d 2024-01-01 r/sub/f r/sub").success();
    assert_eq!(build(), id);
    // Nothing in the layers above the base is younger.
    bottle.shell("mkdir saved && $GANTRY image save r:1 | tar -C saved -x").success();
    let manifest = fs::read_to_string(bottle.project().join("saved/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let saved = manifest[0]["Layers"].as_array().expect("layers").iter().skip(1).filter_map(Value::as_str);
    let list = saved.map(|layer| bottle.shell(&format!("tar -tvf saved/{layer} --full-time --utc | awk '{{print $4, $5}}'")).success());
    let list: String = list.collect();
    let newest = list.lines().max().expect("files").to_owned();
    assert_eq!(newest, "2023-11-14 22:13:20", "{list}");
}

#[test]
fn the_ordinary_docker_builds_here() {
    let bottle = Bottle::with_image();
    let dockerfile =
        "FROM IMAGE AS lower\nARG WHO\nRUN echo \"by $WHO\" > /said\nFROM IMAGE\nCOPY --from=lower /said /said\nCMD [\"cat\", \"/said\"]\n";
    write_context(&bottle, "c", dockerfile);
    bottle.write("c/.dockerignore", "ignored\n");
    bottle.write("c/ignored", "x");
    let build = |arguments: &[&str]| run(docker(&bottle).env("DOCKER_BUILDKIT", "0").arg("build").args(arguments));
    let told = build(&["-t", "c:1", "--build-arg", "WHO=docker", "--label", "key=value", "c"]).success();
    assert!(told.contains("Successfully tagged c:1") && !told.contains("Using cache"), "{told}");
    let steps: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("Step ")?.split(' ').next()).collect();
    assert_eq!(steps, ["1/4", "2/4", "3/4", "4/4"], "{told}");
    assert_eq!(run(docker(&bottle).args(["run", "--rm", "c:1"])).success(), "by docker\n");
    assert_eq!(image(&bottle, "c:1").expect("it was built")["Config"]["Labels"]["key"], "value");
    assert!(build(&["--build-arg", "WHO=docker", "c"]).success().contains("Using cache"));
    let id = build(&["-q", "--build-arg", "WHO=docker", "--label", "key=value", "c"]).success();
    assert_eq!(id.trim(), image(&bottle, "c:1").expect("it was built")["Id"].as_str().unwrap_or_default());
    // Ours and its own are the same steps.
    let ours = bottle.gantry(["image", "build", "-q", "--build-arg", "WHO=docker", "--label", "key=value", "c"]).success();
    assert_eq!(ours, id);
    write_context(&bottle, "c", "FROM IMAGE\nRUN echo one line; exit 7\n");
    let told = build(&["c"]);
    assert!(told.code != 0 && told.stdout.contains("one line") && told.stderr.contains("7"), "{told:?}");
}

#[test]
fn others_read_what_was_built() {
    let bottle = Bottle::with_image();
    let dockerfile = "FROM IMAGE\nRUN echo kept > /kept; rm /etc/group; rm -r /www; mkdir /www; echo new > /www/new; chown app /kept; chmod 4711 /kept\n\
                      ENV KEY=value\nWORKDIR /www\nCMD [\"sh\", \"-c\", \"pwd; cat /kept new; ls /etc; echo $KEY; stat -c '%u %a' /kept\"]\n";
    write_context(&bottle, "c", dockerfile);
    bottle.gantry(["image", "build", "-q", "-t", "127.0.0.1:5005/built:1", "c"]).success();
    let expect = "/www\nkept\nnew\npasswd\nvalue\n1000 4711\n";
    let without_names = |text: String| {
        text.lines()
            .filter(|line| !["hostname", "hosts", "resolv.conf", "mtab"].contains(line))
            .fold(String::new(), |all, line| all + line + "\n")
    };
    assert_eq!(without_names(run(docker(&bottle).args(["run", "--rm", "127.0.0.1:5005/built:1"])).success()), expect);
    let _registry = Registry::start(&bottle, &bottle.project(), 5005);
    bottle.gantry(["image", "save", "-o", "saved.tar", "127.0.0.1:5005/built:1"]).success();
    bottle.shell("skopeo --insecure-policy copy --dest-tls-verify=false docker-archive:saved.tar docker://127.0.0.1:5005/built:1 && skopeo --insecure-policy copy docker-archive:saved.tar oci:layout:1 && skopeo inspect --config oci:layout:1 | grep -q KEY=value").success();
    // By podman's library, which buildah is.
    let buildah = "buildah --root $PWD/store --runroot $PWD/store-run --storage-driver vfs";
    let mounted = format!(
        "c=$({buildah} from --isolation chroot docker-archive:saved.tar) && m=$({buildah} mount $c) && cat $m/kept $m/www/new && ls $m/etc && {buildah} umount $c >/dev/null"
    );
    assert_eq!(bottle.shell(&mounted).success(), "kept\nnew\npasswd\n");
    // By podman, from where it was pushed to. Where the machine's own limits are low, podman's cannot be set.
    let podman = "podman --root $PWD/pods --runroot $PWD/pods-run --tmpdir $PWD/pods-tmp --storage-driver vfs --cgroup-manager cgroupfs --events-backend none";
    let limits = "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024";
    bottle.shell(&format!("{podman} pull -q --tls-verify=false 127.0.0.1:5005/built:1")).success();
    let said = bottle.shell(&format!("{podman} run --rm --network none {limits} 127.0.0.1:5005/built:1")).success();
    assert_eq!(without_names(said), expect);
    let known = bottle
        .shell(&format!("{podman} image inspect --format '{{{{.Config.WorkingDir}}}} {{{{len .RootFS.Layers}}}}' 127.0.0.1:5005/built:1"));
    assert_eq!(known.success(), format!("/www {}\n", layers(&bottle, "127.0.0.1:5005/built:1").len()));
    bottle.shell(&format!("{podman} system reset -f")).success();
    {
        let theirs = Docker::start(&bottle);
        theirs.docker(&["pull", "-q", "127.0.0.1:5005/built:1"]).success();
        let said = theirs.docker(&["run", "--rm", "--network", "none", "127.0.0.1:5005/built:1"]).success();
        assert_eq!(without_names(said), expect);
    }
    // And back, from where it was pushed to.
    bottle.gantry(["image", "rm", "-f", "127.0.0.1:5005/built:1"]).success();
    bottle.gantry(["image", "pull", "-q", "127.0.0.1:5005/built:1"]).success();
    assert_eq!(without_names(run(docker(&bottle).args(["run", "--rm", "127.0.0.1:5005/built:1"])).success()), expect);
}

#[test]
fn what_was_built_just_before_is_not_looked_for_elsewhere() {
    let bottle = Bottle::with_image();
    bottle.shell("mkdir context && echo x >context/f").success();
    bottle.compose(
        "services:\n  lower: {build: {context: context, dockerfile_inline: \"FROM scratch\\nCOPY f /f\"}}\n  upper:\n    build:\n      context: context\n      \
         dockerfile_inline: \"FROM lower\\nCOPY f /g\"\n      additional_contexts: {lower: 'service:lower'}\n",
    );
    bottle.gantry(["build", "--pull", "-q"]).success();
    assert_eq!(layers(&bottle, "project-upper").len(), 2);
    // Steps may be taken from an image; where there is none, nothing is lost.
    let flags = ["image", "build", "--cache-from", "127.0.0.1:9/none:1", "-t", "alone:1", "-f", "-", "context"];
    let built = bottle.gantry_with_input(&flags, b"FROM scratch\nCOPY f /f\n");
    assert!(built.stderr.contains("no step is taken from 127.0.0.1:9/none:1"), "{}", built.stderr);
    built.success();
    assert!(image(&bottle, "alone:1").is_some());
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let bottle = Bottle::with_image();
    write_context(
        &bottle,
        "c",
        "FROM IMAGE\nRUN echo begun\nEXPOSE 99999\nADD https://example.com/x.git#main /x\nARG S=NOPE\nSTOPSIGNAL $S\n",
    );
    for flags in [&["--progress", "plain", "image", "build", "c"][..], &["image", "build", "--check", "c"][..]] {
        let told = bottle.gantry(flags).failure(1);
        assert!(
            ["Dockerfile:3:1", "Dockerfile:4:1", "Dockerfile:6:1"].iter().all(|place| told.contains(place)) && !told.contains("begun"),
            "{told}"
        );
    }
    // The builder's own arguments stand in the place of directives.
    write_context(&bottle, "c", "FROM IMAGE\nMAINTAINER x\n");
    let with = |argument: &str| bottle.gantry(["image", "build", "--build-arg", argument, "c"]);
    assert!(with("BUILDKIT_SYNTAX=example/other:1").failure(1).contains("`example/other:1`"));
    assert!(with("BUILDKIT_DOCKERFILE_CHECK=error=true").failure(1).contains("makes them errors"));
    with("BUILDKIT_DOCKERFILE_CHECK=skip=all;error=true").success();
}

#[test]
fn what_is_fetched_is_fetched_at_once_and_once() {
    let bottle = Bottle::with_image();
    // Nobody has an answer before three have asked.
    bottle.write(
        "server.py",
        "import http.server, threading\nbarrier = threading.Barrier(3, timeout=60)\nclass Files(http.server.BaseHTTPRequestHandler):\n    \
         def do_GET(self):\n        print(self.path, file=open('asked', 'a'), flush=True)\n        barrier.wait()\n        self.send_response(200)\n        \
         self.end_headers()\n        self.wfile.write(self.path.encode())\n\
         server = http.server.ThreadingHTTPServer(('127.0.0.1', 8097), Files)\nprint('ready', flush=True)\nserver.serve_forever()\n",
    );
    let dockerfile = "FROM IMAGE AS one\nADD http://127.0.0.1:8097/a http://127.0.0.1:8097/b /x/\nFROM one\nADD http://127.0.0.1:8097/c /x/\nADD http://127.0.0.1:8097/a /y/\n";
    write_context(&bottle, "c", dockerfile);
    bottle
        .shell("python3 server.py >ready & server=$!; until grep -q ready ready 2>/dev/null || ! kill -0 $server 2>/dev/null; do :; done; $GANTRY image build -q -t c:1 c; code=$?; kill $server; exit $code")
        .success();
    assert_eq!(["x/a", "x/b", "x/c", "y/a"].map(|path| read(&bottle, "c:1", &format!("/{path}"))), ["/a", "/b", "/c", "/a"]);
    assert_eq!(bottle.shell("sort asked").success(), "/a\n/b\n/c\n");
}
