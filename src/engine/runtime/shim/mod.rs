//! The shim: one per container, its parent and that of every command run in it. One thread, one loop, nothing that waits for the engine.
//!
//! It owns the streams and writes the log, lossless. What it knows of the container's end it writes down before it tells anyone. When the
//! engine is gone the container goes on; an engine that comes later finds the same socket.

mod client;
mod container;
mod engine;
mod exec;
mod helper;
mod input;
mod line;
mod log;
mod process;
mod reap;
mod settle;
mod stream;
mod wait;

use std::process::ExitCode;

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::launch::LaunchSpec;
use crate::engine::runtime::shim::container::Shim;
use crate::engine::runtime::shim::engine::Engine;
use crate::engine::runtime::talk::{self, Notice, Order};

/// `gantry-shim`: started by an engine, whose orders come over standard input.
pub(super) fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.chain());
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), LaunchError> {
    let (socket, signals) = settle::down()?;
    let mut engine = Engine::new(socket);
    let Some(spec) = first_order(&engine)? else { return Ok(()) };
    match container::make(&spec) {
        Ok((leaf, container)) => Shim::new(engine, signals, spec, leaf, container).run(),
        Err(error) => {
            engine.tell(Notice::Failed(error), &[]);
            Ok(())
        }
    }
}

/// What is to be launched; `None` when the engine thought better of it.
fn first_order(engine: &Engine) -> Result<Option<LaunchSpec>, LaunchError> {
    let failed = |error| LaunchError::step("read the engine's order", error);
    match engine.first().map_err(failed)? {
        None => Ok(None),
        Some((Order::Launch, mut beside)) if beside.len() == 1 => {
            let enclosure = beside.pop();
            enclosure.map(talk::open).transpose().map_err(failed)
        }
        Some((order, _)) => Err(LaunchError::Invalid(format!("the engine's first order is {order:?}"))),
    }
}

/// One line in the engine's log.
fn report(line: &str) {
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("gantry shim {}: {line}\n", std::process::id()).as_bytes());
}

#[cfg(test)]
mod tests;
