//! `completion` and `man`: what makes Gantry known to shells and readers.

use clap::CommandFactory as _;

use crate::cli::args::Arguments;
use crate::cli::args::shell::{CompletionArgs, ManArgs};
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::error::CommandError;

/// Prints the script of a shell.
pub(super) fn completion(args: &CompletionArgs, context: &Context) -> u8 {
    context.terminal.out(complete::script(args.shell, context.invocation.program()).as_bytes());
    0
}

/// Writes a page for each command.
pub(super) fn man(args: &ManArgs, context: &Context) -> Result<u8, CommandError> {
    let folder = context.absolute(&args.folder);
    let written = std::fs::create_dir_all(&folder).and_then(|()| clap_mangen::generate_to(Arguments::command(), &folder));
    written.map_err(|error| CommandError::local(format!("cannot write the pages into `{}`: {error}", folder.display())))?;
    Ok(0)
}
