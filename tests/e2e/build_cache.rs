//! What builds keep: cache mounts, and snapshots of contexts.

use std::fs;

use crate::bottle::Bottle;
use crate::build::{DRAW, read, write_context};
use crate::docker::docker;
use crate::program::run;

#[test]
fn caches_stay_between_builds_until_they_are_pruned() {
    let bottle = Bottle::with_image();
    let dockerfile = "FROM IMAGE\nARG N\nRUN --mount=type=cache,id=lines,target=/c echo $N >> /c/n; wc -l < /c/n > /count\n";
    write_context(&bottle, "c", dockerfile);
    let build = |number: &str| {
        bottle.gantry(["image", "build", "-q", "--build-arg", &format!("N={number}"), "-t", "c:1", "c"]).success();
        read(&bottle, "c:1", "/count")
    };
    assert_eq!([build("1"), build("2"), build("2"), build("3")], ["1\n", "2\n", "2\n", "3\n"]);
    // No part of it is in the image.
    assert!(run(docker(&bottle).args(["run", "--rm", "--network", "none", "c:1", "test", "-e", "/c/n"])).code != 0);
    let folder = bottle.root().join("data/builds/caches");
    assert_eq!(fs::read_dir(&folder).expect("caches").count(), 1);
    let pruned = run(docker(&bottle).args(["builder", "prune", "-f"])).success();
    assert!(pruned.contains("Total reclaimed space:"), "{pruned}");
    assert_eq!(fs::read_dir(&folder).expect("caches").count(), 0);
    assert_eq!(build("4"), "1\n");
    // All of what is remembered, too: a step that was done is done again.
    let drawn = |name: &str| {
        write_context(&bottle, "d", &format!("FROM IMAGE\nRUN {DRAW} /drawn\n"));
        bottle.gantry(["image", "build", "-q", "-t", name, "d"]).success();
        read(&bottle, name, "/drawn")
    };
    let first = drawn("d:1");
    assert_eq!(drawn("d:2"), first);
    run(docker(&bottle).args(["builder", "prune", "-a", "-f"])).success();
    assert_ne!(drawn("d:3"), first);
    assert_eq!(read(&bottle, "d:1", "/drawn"), first, "an image is not a cache");
}

#[test]
fn what_lies_in_a_files_place_is_what_is_built() {
    let bottle = Bottle::with_image();
    write_context(&bottle, "one", "FROM IMAGE\nCOPY said /said\n");
    bottle.shell("cp -r one other && printf one >one/said && printf two >other/said && touch -d 2020-01-01 one/said other/said").success();
    let build = |folder: &str| {
        bottle.shell(&format!("mv {folder} context && $GANTRY image build -q -t c:1 context && mv context {folder}")).success();
        read(&bottle, "c:1", "/said")
    };
    // Two files of one size and time: the kernel's own account of changes alone would not tell them apart.
    assert_eq!([build("one"), build("other"), build("one")], ["one", "two", "one"]);
}

#[test]
fn a_cache_that_begins_otherwise_is_another_one() {
    let bottle = Bottle::with_image();
    let build = |dockerfile: &str| {
        write_context(&bottle, "c", dockerfile);
        bottle.gantry(["image", "build", "-q", "-t", "c:1", "c"]).success();
        read(&bottle, "c:1", "/told").trim().to_owned()
    };
    let mode = |mode: &str| build(&format!("FROM IMAGE\nRUN --mount=type=cache,target=/c,id=k,mode={mode} stat -c %a /c >/told\n"));
    assert_eq!([mode("0700"), mode("0777"), mode("0700")], ["700", "777", "700"]);
    let own = "RUN --mount=type=cache,target=/c,id=k2,uid=1000,gid=1000";
    let user = format!(
        "FROM IMAGE\nRUN --mount=type=cache,target=/c,id=k2 true\nUSER app\n{own} stat -c %u /c >/c/told\nUSER root\n{own} cp /c/told /told\n"
    );
    assert_eq!(build(&user), "1000");
    let seed = |text: &str| {
        build(&format!(
            "FROM IMAGE AS seed\nRUN mkdir /seed && echo {text} >/seed/s\nFROM IMAGE\nRUN --mount=type=cache,id=k3,target=/c,from=seed,source=/seed cp /c/s /told\n"
        ))
    };
    assert_eq!([seed("one"), seed("two"), seed("one")], ["one", "two", "one"]);
    // Builds with a namespace of their own have caches of their own.
    write_context(&bottle, "c", "FROM IMAGE\nRUN --mount=type=cache,target=/c,id=k4 hostname >/told; ls /c >>/told; touch /c/here\n");
    let of = |space: &str| {
        bottle.shell(&format!("$GANTRY image build -q --no-cache -t c:1 --build-arg BUILDKIT_CACHE_MOUNT_NS={space} --build-arg BUILDKIT_SANDBOX_HOSTNAME=named c")).success();
        read(&bottle, "c:1", "/told")
    };
    assert_eq!([of("a"), of("b"), of("a")], ["named\n", "named\n", "named\nhere\n"]);
}
