//! Picks a role before any thread exists: cli, keeper, engine, shim or init.

fn main() {}
