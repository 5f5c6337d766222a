//! `image build --debug-shell`: somebody looks around where a step failed.

use crate::bottle::Bottle;
use crate::build::write_context;
use crate::program::Outcome;

/// Builds the context `h` and types these lines into the shell that comes.
fn typed(bottle: &Bottle, flags: &str, dockerfile: &str, lines: &str) -> Outcome {
    write_context(bottle, "h", dockerfile);
    bottle.write("lines", lines);
    let outcome = bottle.shell(&format!("$GANTRY --progress plain image build --debug-shell {flags} h < lines"));
    assert_eq!(outcome.code, 1, "{outcome:?}");
    outcome
}

#[test]
fn a_shell_has_all_that_the_failed_command_had() {
    let bottle = Bottle::with_image();
    bottle.write("key", "hush-4711");
    bottle.compose(
        "services: {a: {image: IMAGE, command: 'true'}}\nnetworks: {default: {name: other, ipam: {config: [{subnet: 10.99.7.0/24}]}}}\n",
    );
    bottle.gantry(["create"]).success();
    let dockerfile = "FROM IMAGE\nWORKDIR /w\nENV KEY=value\nRUN touch /before\n\
                      RUN --mount=type=cache,target=/c --mount=type=secret,id=key --mount=type=secret,id=key,env=TOKEN --mount=target=/ctx \
                      --mount=type=tmpfs,target=/t touch /after /c/left && exit 3\n";
    let lines = "pwd; echo $KEY $TOKEN; ls /c; cat /run/secrets/key; echo; grep -c FROM /ctx/Dockerfile; grep -c ' /t tmpfs' /proc/mounts\n\
                 ls /before; ls /after; ip -o -4 addr | grep -c 10.99.7.\n";
    let told = typed(&bottle, "--secret id=key,src=key --network other", dockerfile, lines);
    assert_eq!(told.stdout, "/w\nvalue hush-4711\nleft\nhush-4711\n1\n1\n/before\n1\n", "{told:?}");
    assert!(told.stderr.contains("/after: No such file"), "{told:?}");
    assert!(told.stderr.contains("exit code: 3"), "{told:?}");
    let told = typed(&bottle, "", "FROM IMAGE\nUSER app\nRUN --network=none false\n", "ip -o link | grep -vc ' lo'; id -u\n");
    assert_eq!(told.stdout, "0\n1000\n", "{told:?}");
    // Nothing of it stays.
    assert_eq!(bottle.get("/images/json").as_array().map(Vec::len), Some(1));
}

#[test]
fn a_copy_that_fails_has_a_shell_in_the_state_before_it() {
    let bottle = Bottle::with_image();
    let told = typed(&bottle, "", "FROM IMAGE\nWORKDIR /w\nRUN touch before\nCOPY nothing /x\nRUN touch after\n", "pwd; ls\n");
    assert_eq!(told.stdout, "/w\nbefore\n", "{told:?}");
    let cause = "error: cannot build the image: [4/5] COPY nothing /x: `/nothing` is not found\n";
    assert!(told.stderr.contains(cause), "{told:?}");
    assert!(told.stderr.contains("a shell in the state before that step: /bin/sh;"), "{told:?}");
    // Where there is no program that could be one, that is said.
    let told = typed(&bottle, "", "FROM scratch\nCOPY nothing /x\n", "pwd\n");
    assert!(told.stdout.is_empty() && told.stderr.contains("there is no shell in the state before the step"), "{told:?}");
}

#[test]
fn the_first_step_that_fails_has_the_shell() {
    let bottle = Bottle::with_image();
    let dockerfile =
        "FROM IMAGE AS one\nRUN false\nFROM IMAGE AS two\nRUN exit 4\nFROM IMAGE\nCOPY --from=one / /1\nCOPY --from=two / /2\n";
    let told = typed(&bottle, "", dockerfile, "echo here\n");
    assert_eq!(told.stdout, "here\n", "{told:?}");
}
