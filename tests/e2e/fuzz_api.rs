//! A thousand random requests by the API's description; by itself, `tests/fuzz/api` makes a hundred thousand.

use crate::bottle::Bottle;
use crate::program::{bounded_by, run, top};

#[test]
fn random_requests_find_no_failure_no_hang_and_no_growth() {
    let mut command = bounded_by(600, top().join("tests/fuzz/api"));
    // Always the same ones: what others find is for whoever looks for it.
    let told = run(command.arg("1000").arg(Bottle::binary()).arg("1")).success();
    assert!(told.contains("nothing was found"), "{told}");
}
