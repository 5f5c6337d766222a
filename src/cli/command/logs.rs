//! `logs`: what containers wrote, in the order of time, and with `-f` what they go on to write.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use futures_util::future::join_all;

use crate::api::client::Client;
use crate::api::client::log::LogStream;
use crate::cli::args::inspect::LogsArgs;
use crate::cli::await_container::Watch;
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::follow::{self, Clock, Follower, Occurrence, Pieces};
use crate::cli::observe;
use crate::cli::output::line::{LinePrinter, LineStyle};
use crate::cli::output::relative;
use crate::compose::plan::Replica;
use crate::resource::failure::FailureKind;
use crate::resource::log::{LogLine, LogOptions};

/// Runs the command.
pub(super) async fn run(args: LogsArgs, context: &Context) -> Result<u8, CommandError> {
    let refused = || CommandError::local("--index requires exactly one service");
    if args.index > 0 && args.services.services.len() != 1 {
        return Err(refused());
    }
    let (name, project) = context.project_or_name(&[])?;
    let tail = match args.tail.as_str() {
        "all" => None,
        text => Some(text.parse().map_err(|_| CommandError::local(format!("--tail is `{text}`; a number or `all` is expected")))?),
    };
    let options = LogOptions {
        stdout: true,
        stderr: true,
        follow: false,
        timestamps: args.timestamps,
        tail,
        since: relative::moment(args.since.as_deref())?,
        until: relative::moment(args.until.as_deref())?,
    };
    let client = context.client().await?;
    let style = LineStyle { prefix: !args.no_log_prefix, color: !args.no_color && context.terminal.stdout_colors(), split: false };
    let printer = LinePrinter::new(&context.terminal, style, name.as_str());
    let clock = if args.timestamps { Clock::Engine } else { Clock::Off };
    let watch = if args.follow { Some(Watch::begin(client, name.as_str()).await?) } else { None };
    let observed = observe::replicas(client, &name).await?;
    let named = known_names(project.as_ref(), &observed, &args.services.services)?;
    if args.index > 0 && named.len() != 1 {
        return Err(refused());
    }
    // Where there are files, what they do not enable is none of their business.
    let services = match &project {
        Some(project) if named.is_empty() => project.services.keys().cloned().collect(),
        _ => named,
    };
    let chosen = |it: &&Replica| (services.is_empty() || services.contains(&it.service)) && (args.index == 0 || it.number == args.index);
    let replicas: Vec<&Replica> = observed.all().filter(chosen).collect();
    if let (true, Some(service)) = (args.index > 0 && replicas.is_empty(), services.first()) {
        return Err(CommandError::new(format!("service \"{service}\" has no container #{}", args.index))
            .hint("`gantry ps -a` shows which there are"));
    }
    replicas.iter().for_each(|it| printer.register(it.name()));
    let Some(watch) = watch else {
        merge(context, client, &printer, &replicas, &options, clock).await?;
        return Ok(0);
    };
    let shown: Option<BTreeSet<String>> = (!services.is_empty()).then(|| services.iter().map(ToString::to_string).collect());
    let mut follower = Follower::new(client, printer, watch.subscribe(), shown, BTreeSet::new(), clock);
    for replica in replicas {
        follower.know(&replica.info);
        follower.replay(&replica.info, &options);
    }
    follower.complete(BTreeSet::new());
    // Newcomers are shown, too, for as long as somebody runs.
    while follower.next().await != Occurrence::AllEnded && !context.terminal.reader_left() {}
    Ok(0)
}

struct Source<'a> {
    name: &'a str,
    log: LogStream,
    pieces: Pieces,
}

impl Source<'_> {
    async fn next(&mut self) -> Result<Option<LogLine>, CommandError> {
        loop {
            match self.log.next().await {
                Some(line) => {
                    if let Some(line) = self.pieces.add(line?) {
                        return Ok(Some(line));
                    }
                }
                None => return Ok(self.pieces.rest().next()),
            }
        }
    }
}

/// Writes several logs as one, by time; one line of each is held at any moment.
async fn merge(
    context: &Context,
    client: &Client,
    printer: &LinePrinter,
    replicas: &[&Replica],
    options: &LogOptions,
    clock: Clock,
) -> Result<(), CommandError> {
    let opened = replicas.iter().map(|replica| async move { (replica.name(), client.logs(&replica.info.id.to_string(), options).await) });
    let mut sources = Vec::new();
    for (name, log) in join_all(opened).await {
        match log {
            // Its logs go where nobody reads them; those of the others are what was asked for.
            Err(failure) if failure.kind == FailureKind::Unsupported => context.terminal.warn(&format!("{name}: {}", failure.message)),
            log => sources.push(Source { name, log: log?, pieces: Pieces::default() }),
        }
    }
    let mut heads: Vec<Option<LogLine>> = Vec::new();
    let mut order = BinaryHeap::new();
    for (index, source) in sources.iter_mut().enumerate() {
        let head = source.next().await?;
        order.extend(head.as_ref().map(|line| Reverse((line.time, index))));
        heads.push(head);
    }
    while let Some(Reverse((_, index))) = order.pop() {
        let source = &mut sources[index];
        if let Some(line) = heads[index].take() {
            follow::print(printer, source.name, &line, clock);
        }
        if printer.terminal().reader_left() {
            return Ok(());
        }
        heads[index] = source.next().await?;
        order.extend(heads[index].as_ref().map(|line| Reverse((line.time, index))));
    }
    printer.terminal().flush();
    Ok(())
}
