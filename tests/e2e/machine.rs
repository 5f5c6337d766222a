//! A machine with pure cgroup v2 and Debian's own kernel, booted for this test.

use std::path::Path;

use crate::bottle::Bottle;
use crate::program::{run, top};

#[expect(clippy::disallowed_methods, reason = "tests run programs; this one has its own bound of five minutes")]
fn machine() -> std::process::Command {
    std::process::Command::new(top().join("tests/support/vm"))
}

#[test]
fn a_project_lives_on_pure_cgroup_v2() {
    let kernel = top().join("target/vm");
    assert!(Path::new(&kernel).join("complete").exists(), "the kernel is unpacked by tests/run");
    let outcome = run(machine().arg(kernel).arg(Bottle::binary()).arg(top().join("tests/support/vm-script")));
    assert!(outcome.stdout.contains("MACHINE: well"), "{}\n{}", outcome.stdout, outcome.stderr);
}
