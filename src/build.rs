//! Links the optimised binary at a fixed address.
//!
//! A static binary that can be loaded anywhere relocates itself at every start and owns the pages it has written: half a megabyte and
//! more for each of the shims, of which there is one a container. At a fixed address those pages stay the file's, and all share them.

use std::env;

#[expect(clippy::disallowed_methods, reason = "Cargo speaks to a build script through its environment")]
fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    let is = |name: &str, word: &str| env::var(name).is_ok_and(|value| value.split(',').any(|it| it == word));
    // The code is the same for both: only what the linker makes of it differs.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_FEATURE", "crt-static") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bins=-static");
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
