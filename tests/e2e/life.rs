//! Restart policies, exit codes, and the end of a container.

use crate::bottle::Bottle;

#[test]
fn restart_policies_hold() {
    let bottle = Bottle::with_image();
    bottle.compose(
        "services:
  twice:
    image: IMAGE
    command: [sh, -c, 'exit 3']
    restart: on-failure:2
  clean:
    image: IMAGE
    command: [sh, -c, 'exit 0']
    restart: on-failure
  always:
    image: IMAGE
    command: [sh, -c, 'echo line; exit 0']
    restart: always
",
    );
    bottle.gantry(["up", "-d"]).success();
    let count = |name: &str| bottle.inspect(name).expect("it exists")["RestartCount"].as_i64().expect("a number");
    bottle.eventually("two restarts, then the end", || count("project-twice-1") == 2 && bottle.state("project-twice-1") == "exited");
    bottle.eventually("more restarts", || count("project-always-1") >= 2);
    assert_eq!((count("project-clean-1"), bottle.state("project-clean-1").as_str()), (0, "exited"));
    bottle.gantry(["stop"]).success();
    assert_eq!(bottle.state("project-always-1"), "exited");
}

#[test]
fn exit_codes_are_dockers() {
    let bottle = Bottle::with_image();
    bottle.compose("services:\n  a:\n    image: IMAGE\n    command: [sh, -c, 'sh -c \"kill -KILL \\$$\\$$\"; exit $$?']\n");
    bottle.gantry(["up"]).success();
    assert_eq!(bottle.inspect("project-a-1").expect("it exists")["State"]["ExitCode"], 137);
}
