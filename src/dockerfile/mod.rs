//! The Dockerfile language, as BuildKit's frontend 1 reads it: a text becomes stages, stages become a plan, instructions become steps.
//! Pure: nothing is opened, run or waited for here.
//!
//! [`Dockerfile::parse`] reads a file, or says all that is wrong with it. [`Dockerfile::plan`] picks the stages that a target needs and
//! puts them in order. A [`Scope`] goes through a stage, and [`Instruction::resolve`] says what each instruction comes to.
//! [`Dockerfile::reach`] says what of the contexts a build can read, and [`Dockerfile::warnings`] what could be better.

mod argument;
mod body;
mod bound;
mod directive;
mod duration;
mod encoding;
mod environment;
mod file;
mod flag;
mod glob;
mod heredoc;
mod history;
mod ignore;
mod instruction;
mod lexer;
mod line;
mod lint;
mod mount;
mod path;
mod plan;
mod port;
mod problem;
mod reach;
mod resolve;
mod scope;
mod signal;
mod step;
mod substitute;
mod transfer;
mod trial;
mod words;

pub use directive::{Checks, Directives};
pub use encoding::decode;
pub use file::{Dockerfile, Stage};
pub use glob::{glob, is_pattern};
pub use ignore::Ignore;
pub use instruction::{Instruction, Kind};
pub use lint::{Known, Rule, Warning};
pub use plan::{Base, Options, Plan, PlannedStage};
pub use problem::{Place, Problem};
pub use reach::{Extent, Reach};
pub use scope::{Inherited, Scope};
pub use step::{Command, Copy, CopySource, Healthcheck, InlineFile, Mount, Network, Owner, Run, Sharing, Source, Step};
pub use trial::Trial;

/// A line or a column; a file has fewer than four billion of either.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
