//! `exec`: streams, exit codes, users, terminals.

use crate::bottle::Bottle;
use crate::up::RUNS;

fn running() -> Bottle {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    environment: {{OWN: yes-it-is}}\n"));
    bottle.gantry(["up", "-d"]).success();
    bottle
}

#[test]
fn streams_and_codes_come_back() {
    let bottle = running();
    let outcome = bottle.gantry(["exec", "-T", "a", "sh", "-c", "echo out; echo err >&2; exit 9"]);
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (9, "out\n", "err\n"));
    assert_eq!(bottle.gantry(["exec", "-T", "a", "no-such-program"]).code, 127);
    assert_eq!(bottle.gantry(["exec", "-T", "a", "/etc/passwd"]).code, 126);
    assert_eq!(
        bottle.gantry(["exec", "-T", "-e", "X=1", "-u", "app", "-w", "/tmp", "a", "sh", "-c", "echo $X $OWN $(id -u) $(pwd)"]).success(),
        "1 yes-it-is 1000 /tmp\n"
    );
    let nobody = bottle.gantry(["exec", "-T", "-u", "nosuch", "a", "true"]).failure(1);
    assert!(nobody.contains("unable to find user nosuch: no matching entries in passwd file"), "{nobody}");
    let nowhere = bottle.gantry(["exec", "-T", "-w", "/nope", "a", "true"]);
    assert!(nowhere.code == 127 && nowhere.stdout.contains("/nope"), "{nowhere:?}");
}

#[test]
fn bytes_pass_unchanged_in_both_directions() {
    let bottle = running();
    let bytes: Vec<u8> =
        (0..3_000_000_u32).map(|number| u8::try_from(number.wrapping_mul(2_654_435_761) >> 24).expect("eight bits")).collect();
    let sum = bottle.gantry_with_input(&["exec", "-T", "a", "md5sum"], &bytes).success();
    let whole = bottle.shell("head -c 3000000 /dev/zero | $GANTRY exec -T a cat | md5sum").success();
    assert_eq!(whole, bottle.shell("head -c 3000000 /dev/zero | md5sum").success());
    std::fs::write(bottle.project().join("bytes"), &bytes).expect("a file");
    assert_eq!(sum, bottle.shell("md5sum < bytes").success());
}

#[test]
fn a_terminal_has_the_size_of_the_callers() {
    let bottle = running();
    let outcome = bottle.shell("script -qec 'stty rows 33 cols 77; $GANTRY exec a stty size' /dev/null");
    assert!(outcome.stdout.contains("33 77"), "{outcome:?}");
}

#[test]
fn a_command_that_ran_out_of_memory_is_told_from_one_that_was_killed() {
    let bottle = Bottle::with_image();
    bottle.compose(&format!("services:\n  a:\n    image: IMAGE\n    command: {RUNS}\n    mem_limit: 16m\n    memswap_limit: 16m\n"));
    bottle.gantry(["up", "-d"]).success();
    let killed = bottle.gantry(["exec", "-T", "a", "sh", "-c", "kill -9 $$"]);
    assert_eq!((killed.code, killed.stderr.as_str()), (137, ""));
    let hungry = bottle.gantry(["exec", "-T", "a", "tail", "/dev/zero"]);
    assert!(hungry.code == 137 && hungry.stderr.contains("project-a-1 for want of memory"), "{hungry:?}");
    // What happened to an earlier one is not said of a later one.
    let killed = bottle.gantry(["exec", "-T", "a", "sh", "-c", "kill -9 $$"]);
    assert_eq!((killed.code, killed.stderr.as_str()), (137, ""));
}
