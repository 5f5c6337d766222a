//! Hostile builds: contexts and archives that climb out, links, shared caches, secrets, floods. Each beside what the same does where nobody
//! is on his guard, so that it is known for an attack. What only a race shows is attacked in `src/archive/copy.rs`, there beside a copy
//! that is made without thinking; bounds of Dockerfiles are attacked in `src/dockerfile/bound.rs`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::bottle::Bottle;
use crate::build::{image, write_context};
use crate::docker::docker;
use crate::killed::{end, process};
use crate::program::{Outcome, run};

/// A member of a hostile archive: what it is, its name, and its contents or where it leads.
type Entry = (tar::EntryType, String, String);

/// What lies on the host, and nobody in a build is to see.
const SECRET: &str = "hush-of-the-host";

/// A folder of the host's with a secret in it.
struct Victim(PathBuf);

impl Victim {
    fn of(bottle: &Bottle) -> Self {
        let folder = bottle.project().join("victim");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder of the host");
        fs::write(folder.join("secret"), SECRET).expect("a file of the host");
        Self(folder)
    }

    /// Whether there is nothing left in it.
    fn is_gone(&self) -> bool {
        fs::read_dir(&self.0).expect("the folder").next().is_none()
    }

    /// Whether anything in it is not as it was.
    fn is_harmed(&self) -> bool {
        let names: Vec<_> = fs::read_dir(&self.0).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
        let Ok(metadata) = fs::symlink_metadata(self.0.join("secret")) else { return true };
        names != ["secret"]
            || fs::read_to_string(self.0.join("secret")).expect("the file") != SECRET
            || (metadata.mode() & 0o7777, metadata.uid(), metadata.nlink()) != (0o644, 0, 1)
    }
}

/// Builds, and returns everything that was told.
fn build(bottle: &Bottle, flags: &[&str], dockerfile: &str) -> Outcome {
    write_context(bottle, "h", dockerfile);
    let all = [&["--progress", "plain", "image", "build", "-t", "h:1"], flags, &["h"]].concat();
    let outcome = bottle.gantry(all);
    Outcome { stdout: format!("{}{}", outcome.stdout, outcome.stderr), ..outcome }
}

/// An archive of entries: kind, name, and what it holds or where it leads. Names are taken as they are.
fn archive(path: &Path, entries: &[(tar::EntryType, &str, &str)]) {
    let mut builder = tar::Builder::new(fs::File::create(path).expect("an archive"));
    for (kind, name, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("a header").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        let content = if *kind == tar::EntryType::Regular { text.as_bytes() } else { &[] };
        if content.is_empty() {
            header.as_gnu_mut().expect("a header").linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).expect("an entry");
    }
    builder.finish().expect("an archive");
}

#[test]
fn archives_that_climb_out_stay_inside() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let bottle = Bottle::with_image();
    let place = Victim::of(&bottle).0.display().to_string();
    let above = format!("../../../../../../../../../../..{place}");
    let short = |name: &str| format!("{place}/{name}");
    let attacks: [(&str, Vec<Entry>); 7] = [
        ("above", vec![(Regular, format!("{above}/made"), "evil".into())]),
        ("absolute", vec![(Regular, short("made"), "evil".into())]),
        ("over", vec![(Regular, format!("x/{above}/secret"), "evil".into())]),
        ("through", vec![(Symlink, "out".into(), place.clone()), (Regular, "out/made".into(), "evil".into())]),
        ("through above", vec![(Symlink, "out".into(), above.clone()), (Directory, "out/made/".into(), String::new())]),
        ("hard", vec![(Link, "stolen".into(), short("secret"))]),
        ("hard through", vec![(Symlink, "out".into(), place.clone()), (Link, "stolen".into(), "out/secret".into())]),
    ];
    let dockerfile =
        format!("FROM {}\nCOPY . /all/\nRUN find / -xdev -name stolen -exec cat {{}} +; cat {place}/secret; true\n", crate::bottle::IMAGE);
    for (name, entries) in &attacks {
        let entries: Vec<_> = entries.iter().map(|(kind, name, text)| (*kind, name.as_str(), text.as_str())).collect();
        let tar = bottle.project().join("evil.tar");
        archive(&tar, &entries);
        // Who takes it at its word is harmed.
        let victim = Victim::of(&bottle);
        bottle.shell("rm -rf naive && mkdir -p naive/x && tar -C naive -xPf evil.tar").success();
        let is_stolen = fs::read_to_string(bottle.project().join("naive/stolen")).is_ok_and(|text| text == SECRET);
        assert!(victim.is_harmed() || is_stolen, "{name} is no attack");
        bottle.shell("rm -rf naive").success();
        // As a context, by the classic way and by ours.
        let victim = Victim::of(&bottle);
        archive(&tar, &[entries.as_slice(), &[(Regular, "Dockerfile", dockerfile.as_str())]].concat());
        let ways = [
            "curl -s -X POST -H 'Content-Type: application/x-tar' --data-binary @evil.tar --unix-socket $GANTRY_ROOT/run/engine.sock 'http://engine/build?t=evil:1'",
            "$GANTRY --progress plain image build -t evil:1 - < evil.tar",
        ];
        for way in ways {
            let told = bottle.shell(way);
            assert!(!victim.is_harmed(), "{name}: {told:?}");
            assert!(!told.stdout.contains(SECRET) && !told.stderr.contains(SECRET), "{name}: {told:?}");
        }
        // As something to unpack.
        fs::create_dir_all(bottle.project().join("h")).expect("a folder");
        archive(&bottle.project().join("h/evil.tar"), &entries);
        let told = build(
            &bottle,
            &[],
            &format!("FROM IMAGE\nADD evil.tar /all/\nRUN find / -xdev -name stolen -exec cat {{}} +; cat {place}/secret; true\n"),
        );
        assert!(!victim.is_harmed() && !told.stdout.contains(SECRET), "{name}: {told:?}");
    }
}

#[test]
fn links_lead_nowhere_but_inside() {
    let bottle = Bottle::with_image();
    let place = Victim::of(&bottle).0.display().to_string();
    fs::create_dir(bottle.project().join("h")).expect("a folder");
    let links = [("absolute", place.clone()), ("relative", "../victim".to_owned()), ("file", "../victim/secret".to_owned())];
    for (name, target) in &links {
        symlink(target, bottle.project().join("h").join(name)).expect("a link");
    }
    // In a context, in a stage, in a mount, and on the way to where something is put; each beside what the same comes to where paths are
    // taken at their word: `h` is the context there, and `naive` the root of a stage.
    let attacks = [
        ("COPY absolute /x\nRUN cat /x/secret", "cp -rL h/absolute naive/x; cat naive/x/secret"),
        ("COPY relative/secret /x\nRUN cat /x", "cp h/relative/secret naive/x; cat naive/x"),
        ("COPY file /x\nRUN cat /x", "cp h/file naive/x; cat naive/x"),
        ("COPY . /x\nRUN cat /x/file /x/absolute/secret; cat /x/relative/secret", "cp -rL h naive/x; cat naive/x/file"),
        (
            "COPY --parents absolute/secret file /x/\nRUN find /x -type f | xargs cat",
            "mkdir naive/x; (cd h && cp --parents absolute/secret ../naive/x); cat naive/x/absolute/secret",
        ),
        ("ADD absolute /x\nRUN cat /x/secret", "cp -rL h/absolute naive/x; cat naive/x/secret"),
        (
            "RUN --mount=type=bind,source=absolute,target=/x cat /x/secret",
            "mkdir naive/x; mount --bind h/absolute naive/x && cat naive/x/secret; umount naive/x",
        ),
        ("RUN --mount=type=bind,source=file,target=/x cat /x", "touch naive/x; mount --bind h/file naive/x && cat naive/x; umount naive/x"),
        ("RUN --mount=type=bind,target=/x cat /x/absolute/secret /x/relative/secret /x/file", "cat h/absolute/secret"),
        (
            "RUN --mount=type=bind,target=/x,rw cat /x/absolute/secret /x/relative/secret; touch /x/absolute/made",
            "cp -r h naive/x; touch naive/x/absolute/made",
        ),
        (
            "RUN ln -s PLACE /d; ln -s ../../../../../../../../..PLACE /e\nFROM IMAGE\nCOPY --from=0 /d /e /x/\nRUN cat /x/secret",
            "ln -s PLACE naive/d; mkdir naive/x; cp -rL naive/d/. naive/x; cat naive/x/secret",
        ),
        (
            "RUN ln -s PLACE /d\nCOPY Dockerfile /d/made\nCOPY Dockerfile /d/\nADD Dockerfile /d/secret\nWORKDIR /d\nRUN touch here",
            "ln -s PLACE naive/d; cp h/Dockerfile naive/d/",
        ),
        (
            "RUN ln -s PLACE /d\nCOPY --link Dockerfile /d/made\nCOPY --chown=7 --chmod=777 Dockerfile /d/secret",
            "ln -s PLACE naive/d; chmod 777 naive/d/secret",
        ),
        (
            "RUN ln -s PLACE /d\nRUN --mount=type=cache,target=/d touch /d/made\nRUN --mount=type=tmpfs,target=/d/e true",
            "ln -s PLACE naive/d; mkdir -p naive/d/e",
        ),
        (
            "RUN ln -s PLACE /seed\nFROM IMAGE\nRUN --mount=type=cache,target=/c,id=seeded,from=0,source=/seed cat /c/secret; touch /c/made",
            "ln -s PLACE naive/seed; cp -r naive/seed/. naive/c; cat naive/c/secret",
        ),
        (
            "RUN ln -s PLACE/secret /etc/passwd -f\nCOPY --chown=root Dockerfile /x\nUSER app\nRUN cat /etc/passwd",
            "mkdir naive/etc; ln -s PLACE/secret naive/etc/passwd; cat naive/etc/passwd",
        ),
        ("WORKDIR /../../../../../../..PLACE\nRUN cat secret; touch made", "cd naive/../../../../../../../../../..PLACE; touch made"),
        (
            "RUN --mount=type=cache,target=../../../../../../../../../../../../../..PLACE/made true",
            "mkdir -p naive/../../../../../../../../../../..PLACE/made",
        ),
        (
            "RUN --mount=type=tmpfs,target=/a/../../../../../../../../../../../../../../../../..PLACE/made true",
            "mkdir naive/a; mkdir -p naive/a/../../../../../../../../../../..PLACE/made",
        ),
        ("COPY ../victim/secret /x\nRUN cat /x", "cat h/../victim/secret"),
        ("COPY --from=IMAGE ../../../../../../../..PLACE/secret /x\nRUN cat /x", "cat naive/../../../../../../../../../..PLACE/secret"),
    ];
    for (lines, naive) in attacks {
        let fallen_for = Victim::of(&bottle);
        let told = bottle.shell(&format!("rm -rf naive; mkdir naive; {naive}").replace("PLACE", &place));
        assert!(told.stdout.contains(SECRET) || fallen_for.is_harmed(), "{lines} is no attack: {told:?}");
        let victim = Victim::of(&bottle);
        let told = build(&bottle, &["--secret", "id=s,src=h/Dockerfile"], &format!("FROM IMAGE\n{lines}\n").replace("PLACE", &place));
        assert!(!told.stdout.contains(SECRET), "{lines}: {told:?}");
        assert!(!victim.is_harmed(), "{lines}: {told:?}");
    }
    // The Dockerfile itself: the engine does not follow one that came in an archive.
    archive(&bottle.project().join("evil.tar"), &[(tar::EntryType::Symlink, "Dockerfile", &format!("{place}/secret"))]);
    let followed =
        bottle.shell("rm -rf naive && mkdir naive && tar -C naive -xf evil.tar && cat naive/Dockerfile naive/../victim/secret").success();
    assert_eq!(followed, SECRET.repeat(2));
    let post = "curl -s -X POST -H 'Content-Type: application/x-tar' --data-binary @evil.tar --unix-socket $GANTRY_ROOT/run/engine.sock";
    for query in ["", "?dockerfile=../victim/secret", &format!("?dockerfile={place}/secret")] {
        let told = bottle.shell(&format!("{post} 'http://engine/build{query}'")).success();
        assert!(!told.contains(SECRET) && told.contains("message"), "{query}: {told}");
    }
}

#[test]
fn what_a_step_plants_in_a_cache_hurts_nobody() {
    let bottle = Bottle::with_image();
    let victim = Victim::of(&bottle);
    let place = victim.0.display().to_string();
    let plant = format!(
        "FROM IMAGE\nRUN --mount=type=cache,id=shared,target=/c,uid=1000,mode=0777 ln -s {place} /c/link; ln -s / /c/root; mkfifo /c/pipe; mknod /c/disk b 8 0; \
         cp /bin/busybox /c/su; chmod 4755 /c/su; mkdir -p /c/$(yes d | head -1500 | tr '\\n' /); touch '/c/..  x'; ls /c\n"
    );
    let told = build(&bottle, &[], &plant);
    assert!(told.code == 0 && told.stdout.contains("pipe") && told.stdout.contains("disk"), "{told:?}");
    // Who goes there on the host without thinking reads what he should not, and removes more than the cache.
    let caches = bottle.root().join("data/builds/caches");
    let data = fs::read_dir(&caches).expect("caches").flatten().next().expect("one").path().join("data");
    assert_eq!(fs::read_to_string(data.join("link/secret")).expect("the link works"), SECRET);
    bottle.shell(&format!("rm -rf {}/link/*", data.display())).success();
    assert!(victim.is_gone());
    let victim = Victim::of(&bottle);
    // Another build finds it, and only that.
    let told = build(
        &bottle,
        &[],
        "FROM IMAGE\nRUN --mount=type=cache,id=shared,target=/c,uid=1000,mode=0777 cat /c/link/secret; touch /c/link/made; cat /c/disk; cat /c/root/proc/1/cmdline; rm -r /c/link/*; true\n\
         RUN --mount=type=cache,id=shared,target=/c,uid=1000,mode=0777 ls -ld /c/link\n",
    );
    assert!(told.code == 0 && !told.stdout.contains(SECRET) && told.stdout.contains("ermitted"), "{told:?}");
    assert!(!victim.is_harmed());
    // The list, and the prune.
    let listed = run(docker(&bottle).args(["builder", "prune", "-a", "-f"])).success();
    assert!(listed.contains("Total reclaimed"), "{listed}");
    assert_eq!(fs::read_dir(&caches).expect("caches").count(), 0);
    assert!(!victim.is_harmed());
    // Nobody but root even comes to it, where a program may be everybody's to run as root.
    for place in ["data/builds", "data/builds/caches", "data/containers", "data/content", "data/contexts", "data/layers", "data/volumes"] {
        let mode = fs::metadata(bottle.root().join(place)).expect("the folder").mode();
        assert_eq!(mode & 0o077, 0, "others can run what lies in {place}");
    }
}

#[test]
fn secrets_are_nowhere_afterwards() {
    let bottle = Bottle::with_image();
    let secret = "tell-nobody-4711";
    bottle.write("key", secret);
    let places = |bottle: &Bottle| {
        bottle
            .shell("rm -rf saved saved.tar && mkdir saved && $GANTRY image save -o saved.tar h:1 && tar -C saved -xf saved.tar")
            .success();
        bottle.shell("find saved -type f -exec sh -c 'gzip -dc {} 2>/dev/null > {}.plain' \\;").success();
        let history = run(docker(bottle).args(["history", "--no-trunc", "h:1"])).success();
        fs::write(bottle.project().join("saved/history"), history + &image(bottle, "h:1").expect("it was built").to_string())
            .expect("a file");
        bottle.shell(&format!("grep -rl {secret} saved $GANTRY_ROOT | sort; true")).success()
    };
    let uses = "RUN --mount=type=secret,id=key --mount=type=secret,id=variable,env=TOKEN --mount=type=secret,id=key,target=/etc/deep/key \\
        test \"$(cat /run/secrets/key)\" = \"$TOKEN\" && test $(cat /etc/deep/key) = $TOKEN && wc -c /run/secrets/key";
    let flags = ["--secret", "id=key,src=key", "--secret", "id=variable,env=TOKEN"];
    let build = |dockerfile: &str| {
        write_context(&bottle, "h", dockerfile);
        let line = format!("TOKEN={secret} $GANTRY --progress plain image build --no-cache -t h:1 {} h", flags.join(" "));
        bottle.shell(&line)
    };
    // The search finds one that a step gave away.
    let _ = build(&format!("FROM IMAGE\n{uses}; cp /run/secrets/key /given\n")).success();
    assert!(places(&bottle).lines().count() > 1, "nothing is found where there is something");
    bottle.shell("rm -rf saved saved.tar; $GANTRY image rm -f h:1").success();
    run(docker(&bottle).args(["builder", "prune", "-a", "-f"])).success();
    let told = build(&format!("FROM IMAGE\n{uses}\nRUN ! test -e /run/secrets/key && test -z \"$TOKEN\"\n"));
    assert!(told.code == 0 && !format!("{told:?}").contains(secret), "{told:?}");
    assert_eq!(places(&bottle), "");
    // Nor where the step fails, or its state is kept.
    let told = build(&format!("FROM IMAGE\n{uses} && exit 3\n"));
    assert!(told.code == 1 && !format!("{told:?}").contains(secret), "{told:?}");
    bottle.shell("while ls $GANTRY_ROOT/data/containers | grep -q .; do :; done").success();
    let lies = || bottle.shell(&format!("grep -rl {secret} $GANTRY_ROOT; true")).success();
    assert_eq!(lies(), "");
    // Nor while the step has it, nor when the engine is killed meanwhile.
    let stays = "FROM IMAGE\nRUN --mount=type=secret,id=key grep -q 4711 /run/secrets/key && echo has it && sleep 100000\n";
    write_context(&bottle, "h", stays);
    let mut client = bottle.command(Bottle::binary());
    client.args(["--progress", "plain", "image", "build", "--secret", "id=key,src=key", "h"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut client = client.spawn().expect("a client");
    let mut lines = BufReader::new(client.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.ends_with(" has it")), "the step runs");
    assert_eq!(lies(), "");
    end(process(&bottle, "engine"));
    lines.for_each(drop);
    assert_ne!(client.wait().expect("it ends").code(), Some(0));
    assert_eq!(lies(), "");
    // Without it the step does not run with an empty one.
    let told = bottle.gantry(["image", "build", "--no-cache", "h"]);
    assert_eq!(told.code, 1);
}

/// The most memory that the engine ever had, in KiB.
fn peak(bottle: &Bottle) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process(bottle, "engine"))).expect("the engine runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn floods_of_output_fill_no_memory() {
    let bottle = Bottle::with_image();
    assert_eq!(build(&bottle, &[], "FROM IMAGE\nRUN echo little\n").code, 0);
    // Who keeps what is written to him has it all in memory.
    let kept = "sh -c 'kept=$(yes 0123456789 | head -c 100000000); grep VmHWM /proc/$$/status' | tr -dc 0-9";
    let kept: u64 = bottle.shell(kept).success().trim().parse().expect("a number");
    assert!(kept > 48 << 10, "{kept} KiB are no flood");
    let before = peak(&bottle);
    // A hundred million bytes: as one line, and as many.
    for flood in
        ["head -c 100000000 /dev/zero | tr '\\0' x; echo", "yes $(yes 0123456789 | head -400 | tr '\\n' ' ') | head -c 100000000; echo"]
    {
        write_context(&bottle, "h", &format!("FROM IMAGE\nRUN {flood}; echo the end; exit 3\n"));
        let told = bottle.shell("$GANTRY --progress plain image build h 2>&1 | tail -c 2000").success();
        assert!(told.contains("| the end"), "{told}");
        // A slow client holds the command up, and nothing else.
        let told = bottle.shell("$GANTRY image build h 2>&1 >/dev/null | (read x; tail -c 2000)").success();
        assert!(told.contains("| the end"), "{told}");
    }
    let grown = peak(&bottle).saturating_sub(before);
    assert!(grown < 48 << 10, "the engine has grown by {grown} KiB");
    // Without an end, until whoever listens goes.
    write_context(&bottle, "h", "FROM IMAGE\nRUN yes\n");
    let post = "tar -C h -c . | curl -s -X POST -H 'Content-Type: application/x-tar' --data-binary @- --unix-socket $GANTRY_ROOT/run/engine.sock http://engine/build";
    bottle.shell(&format!("{post} | head -c 20000000 | tail -c 10")).success();
    bottle.shell("while ls $GANTRY_ROOT/data/containers | grep -q .; do :; done").success();
    let grown = peak(&bottle).saturating_sub(before);
    assert!(grown < 48 << 10, "the engine has grown by {grown} KiB");
}

#[test]
fn gigantic_dockerfiles_and_trees_are_refused_or_built_in_time() {
    let bottle = Bottle::with_image();
    let labels = |count: usize| (0..count).fold("FROM IMAGE\n".to_owned(), |all, number| all + &format!("LABEL l{number}=v\n"));
    let told = build(&bottle, &[], &labels(9_999));
    assert!(told.code == 0, "{told:?}");
    assert_eq!(image(&bottle, "h:1").expect("it was built")["Config"]["Labels"].as_object().map(serde_json::Map::len), Some(9_999));
    let told = build(&bottle, &[], &labels(10_000));
    assert!(told.code == 1 && told.stdout.contains("more than 10000 instructions"), "{told:?}");
    let told = build(&bottle, &[], &format!("FROM IMAGE\nRUN echo {}\n", "x".repeat(70_000)));
    assert!(told.code == 1 && told.stdout.contains("bytes"), "{}", told.code);
    // Folders in folders: more than anybody unpacks again.
    let told = build(&bottle, &[], "FROM IMAGE\nRUN mkdir -p /$(yes d | head -1500 | tr '\\n' /)\n");
    assert!(told.code == 1 && told.stdout.contains("256 folders"), "{told:?}");
    // More layers than the kernel puts over one another.
    let copies = (0..520).fold("FROM scratch\n".to_owned(), |all, number| all + &format!("COPY f /f{number}\n"));
    fs::write(bottle.project().join("h/f"), "").expect("a file");
    let told = build(&bottle, &[], &copies);
    assert!(told.code == 1 && told.stdout.contains("lie over one another"), "{told:?}");
    bottle.shell("while ls $GANTRY_ROOT/data/containers | grep -q .; do :; done").success();
    assert_eq!(build(&bottle, &[], "FROM IMAGE\nRUN true\n").code, 0, "the engine builds on");
}

#[test]
fn a_command_sees_no_more_than_its_stage() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services: {{a: {{image: IMAGE, command: {}}}}}\n", crate::up::RUNS));
    bottle.gantry(["up", "-d"]).success();
    let _server = Server::start(&bottle);
    let reach = "printf 'GET /secret HTTP/1.0\\r\\n\\r\\n' | nc -w 2 127.0.0.1 8123";
    // With the host's network it is reached, when whoever builds says so; a Dockerfile alone cannot.
    let told = build(&bottle, &["--network", "host"], &format!("FROM IMAGE\nRUN {reach}\n"));
    assert!(told.code == 0 && told.stdout.contains(SECRET), "{told:?}");
    let told = build(&bottle, &[], &format!("FROM IMAGE\nRUN {reach}\n"));
    assert!(told.code == 1 && !told.stdout.contains(SECRET), "{told:?}");
    let told = build(&bottle, &[], &format!("FROM IMAGE\nRUN --network=host {reach}\n"));
    assert!(told.code == 1 && told.stdout.contains("--network=host is not allowed"), "{told:?}");
    let told = build(&bottle, &[], "FROM IMAGE\nRUN --network=none ip -o link | grep -v lo:\n");
    assert!(told.code == 1, "{told:?}");
    let told = build(&bottle, &[], "FROM IMAGE\nRUN --security=insecure true\n");
    assert!(told.code == 1 && told.stdout.contains("--security=insecure is not supported"), "{told:?}");
    // Mounts, devices, parameters of the kernel, processes: what a privileged container can, and a command of a build cannot.
    for attempt in [
        "mkdir -p /m && mount -t tmpfs none /m",
        "mount -o remount,rw /sys",
        "mkdir -p /m && mount --bind /proc /m",
        "mknod /kmsg c 1 11 && dd if=/kmsg of=/dev/null bs=8192 count=1",
        "cat /proc/sys/net/ipv4/ip_forward > /proc/sys/net/ipv4/ip_forward",
    ] {
        let privileged = run(docker(&bottle).args(["run", "--rm", "--privileged", "busybox:test", "sh", "-c", attempt]));
        let told = build(&bottle, &[], &format!("FROM IMAGE\nRUN {attempt}\n"));
        assert!(told.code == 1, "{attempt}: {told:?}");
        assert_eq!(privileged.code, 0, "{attempt} is no attack: {privileged:?}");
    }
    let told = build(&bottle, &[], "FROM IMAGE\nRUN echo $(ls -d /proc/[0-9]* | wc -l) processes; ! kill -0 2\n");
    let count =
        told.stdout.lines().find_map(|line| line.split(' ').rev().nth(1).filter(|_| line.ends_with(" processes"))?.parse::<u32>().ok());
    assert!(told.code == 0 && count.is_some_and(|count| count <= 4), "{told:?}");
    let shared = ["run", "--rm", "--pid", "host", "busybox:test", "sh", "-c", "ls -d /proc/[0-9]* | wc -l"];
    let all: u32 = run(docker(&bottle).args(shared)).success().trim().parse().expect("a number");
    assert!(all > 4, "where processes are shared there are {all}");
    assert_eq!(bottle.state("project-a-1"), "running");
}

/// A server on the host's loopback.
struct Server(std::process::Child);

impl Server {
    fn start(bottle: &Bottle) -> Self {
        fs::create_dir(bottle.project().join("served")).expect("a folder");
        bottle.write("served/secret", SECRET);
        let child = bottle.server("busybox").args(["httpd", "-f", "-p", "127.0.0.1:8123", "-h", "served"]).spawn().expect("a server");
        bottle.shell("until curl -s -o /dev/null http://127.0.0.1:8123/secret; do :; done").success();
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        crate::program::end(&mut self.0);
    }
}
