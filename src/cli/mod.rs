//! Arguments, one page per command, all terminal output, exit codes.

mod apply;
mod args;
mod ask;
mod await_container;
mod build;
mod choice;
mod command;
mod complete;
mod context;
mod debug_shell;
pub mod environment;
mod error;
mod follow;
mod hook;
mod interrupt;
mod invocation;
mod local;
mod observe;
mod output;
mod relay;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::args::Arguments;
use crate::cli::complete::Question;
use crate::cli::context::Context;
use crate::cli::environment::Environment;
use crate::cli::error::CommandError;
use crate::cli::invocation::Invocation;
use crate::cli::output::terminal::Terminal;
use crate::trace::{self, Trace};

/// Runs the command line and returns the code to exit with.
pub fn main(mut arguments: Vec<OsString>, environment: Environment) -> ExitCode {
    let terminal = Terminal::new(&environment);
    if let Some(metadata) = invocation::metadata(&arguments) {
        terminal.out(metadata.as_bytes());
        terminal.flush();
        return ExitCode::SUCCESS;
    }
    let invocation = Invocation::of(&mut arguments, &environment);
    if let Some(question) = Question::of(&arguments) {
        return answer(question, environment, &terminal, invocation);
    }
    let command = match invocation.name() {
        Some(name) => Arguments::command().bin_name(name),
        None => Arguments::command(),
    };
    let parsed = match command.try_get_matches_from(arguments).and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&terminal, &error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.note(&format!("error: cannot wait for input and output: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let file = environment.get("GANTRY_TRACE").map(|file| environment.absolute(file.as_ref()));
    let trace = match Trace::begin(file, "gantry") {
        Ok(trace) => trace,
        Err(error) => {
            terminal.note(&format!("error: cannot write the trace that GANTRY_TRACE names: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(trace.scope(async {
        let _span = trace::span("command");
        if invocation == Invocation::Plugin {
            tokio::spawn(invocation::obey_docker(environment.clone()));
        }
        let context = match Context::new(&parsed.global, environment, terminal.clone(), invocation) {
            Ok(context) => context,
            Err(error) => return error.report(&terminal, None, false),
        };
        match command::run(parsed.command, &context).await {
            Ok(code) => code,
            Err(error) => error.report(&context.terminal, context.engine_name().as_deref(), context.reports_json()),
        }
    }));
    let code = match terminal.finish() {
        Ok(()) => code,
        Err(error) => {
            terminal.note(&format!("error: cannot write to standard output: {error}"));
            code.max(CommandError::FAILURE)
        }
    };
    // A thread may still wait for standard input; nobody needs what it would read.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Tells a shell what can be typed next.
fn answer(question: Question, environment: Environment, terminal: &Terminal, invocation: Invocation) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return ExitCode::FAILURE };
    let text = runtime.block_on(question.answer(environment, terminal.clone(), invocation));
    terminal.out(text.as_bytes());
    terminal.flush();
    ExitCode::SUCCESS
}

/// Prints help where it was asked for, and what is wrong with the arguments where it was not: as Docker Compose, with code 1.
fn refuse(terminal: &Terminal, error: &clap::Error) -> ExitCode {
    let text = if terminal.stderr_colors() { error.render().ansi().to_string() } else { error.render().to_string() };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = if terminal.stdout_colors() { error.render().ansi().to_string() } else { error.render().to_string() };
            terminal.out(text.as_bytes());
            terminal.flush();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            terminal.out(text.as_bytes());
            terminal.flush();
            ExitCode::SUCCESS
        }
        ErrorKind::InvalidSubcommand => {
            // As Docker Compose: the commands there are on standard output, the mistake on standard error.
            terminal.out(Arguments::command().render_help().to_string().as_bytes());
            terminal.flush();
            terminal.note(text.trim_end());
            ExitCode::from(CommandError::FAILURE)
        }
        _ => {
            terminal.note(text.trim_end());
            ExitCode::from(CommandError::FAILURE)
        }
    }
}
