//! `stats`: what the project's containers use, again and again or once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::{Value, json};

use crate::api::client::Client;
use crate::api::client::stats::StatsStream;
use crate::cli::args::list::StatsArgs;
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::output::listing::{Listing, Rows};
use crate::cli::output::progress::{binary_size, short_size};
use crate::compose::plan::{Replica, label};
use crate::resource::container::ContainerInfo;
use crate::resource::event::{Event, EventFilter};
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::stats::{ContainerStats, Usage};

const LISTING: Listing<'static> = Listing {
    fields: &["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"],
    columns: &[
        ("CONTAINER ID", "ID"),
        ("NAME", "Name"),
        ("CPU %", "CPUPerc"),
        ("MEM USAGE / LIMIT", "MemUsage"),
        ("MEM %", "MemPerc"),
        ("NET I/O", "NetIO"),
        ("BLOCK I/O", "BlockIO"),
        ("PIDS", "PIDs"),
    ],
};

/// Runs the command.
pub(super) async fn run(args: StatsArgs, context: &Context) -> Result<u8, CommandError> {
    let rows = LISTING.parse(&args.format)?;
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let mut filters = label::project_filter(name.as_str());
    filters.insert("type".to_owned(), vec!["container".to_owned()]);
    filters.insert("event".to_owned(), ["create", "start", "die", "destroy", "rename"].map(str::to_owned).into());
    // Subscribed first and looked at second: nobody who comes in between is missed.
    let events = client.events(&EventFilter { since: None, until: None, filters }).await?;
    let observed = observe::replicas(client, &name).await?;
    let services = known_names(project.as_ref(), &observed, args.service.as_slice())?;
    let chosen = |it: &&Replica| (args.all || it.is_up()) && (services.is_empty() || services.contains(&it.service));
    let containers: Vec<&Replica> = observed.all().chain(observed.one_offs()).filter(chosen).collect();
    let scene = Scene { context, client, rows, all: args.all, whole: args.no_trunc };
    if args.no_stream {
        let looks = join_all(containers.iter().map(|it| scene.once(&it.info))).await;
        let mut seen = BTreeMap::new();
        for (replica, look) in containers.iter().zip(looks) {
            if let Some(look) = look? {
                seen.insert(replica.name().to_owned(), look);
            }
        }
        scene.show(&seen, false);
        return Ok(0);
    }
    let services = services.iter().map(ToString::to_string).collect();
    let infos = containers.iter().map(|it| it.info.id.to_string()).collect();
    scene.follow(infos, services, events).await
}

struct Scene<'a> {
    context: &'a Context,
    client: &'a Client,
    rows: Rows<'a>,
    all: bool,
    whole: bool,
}

/// A container that is looked at. One that starts again is looked at anew, and what still comes of the looks before does not count.
#[derive(Clone, PartialEq)]
struct Subject {
    id: String,
    life: u64,
}

/// What a look at a container saw, and the way to the next.
type Look = (Subject, Option<(ContainerStats, StatsStream)>);

impl Scene<'_> {
    async fn once(&self, info: &ContainerInfo) -> Result<Option<ContainerStats>, Failure> {
        let answer = async { self.client.container_stats(&info.id.to_string(), false).await?.next().await.transpose() };
        match answer.await {
            // It went meanwhile.
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
            answer => answer,
        }
    }

    /// Shows every look until the engine leaves or nobody reads any more.
    async fn follow(
        &self,
        ids: Vec<String>,
        services: Vec<String>,
        mut events: crate::api::client::event::EventStream,
    ) -> Result<u8, CommandError> {
        let mut seen: BTreeMap<String, ContainerStats> = BTreeMap::new();
        let mut looks = FuturesUnordered::new();
        let mut subjects: Vec<Subject> = ids.into_iter().map(|id| Subject { id, life: 0 }).collect();
        looks.extend(subjects.iter().map(|subject| self.look(subject.clone(), None)));
        let mut lives = 0;
        self.show(&seen, true);
        while !self.context.terminal.reader_left() {
            tokio::select! {
                Some(look) = looks.next(), if !looks.is_empty() => {
                    let (subject, look) = look?;
                    if !subjects.contains(&subject) {
                        continue;
                    }
                    seen.retain(|_, it| it.id.to_string() != subject.id);
                    match look {
                        Some((stats, stream)) => {
                            seen.insert(stats.name.to_string(), stats);
                            looks.push(self.look(subject, Some(stream)));
                            self.show(&seen, true);
                        }
                        None => subjects.retain(|it| *it != subject),
                    }
                },
                event = events.next() => {
                    let Some(event) = event else { return Ok(0) };
                    let event = event?;
                    if !is_of(&event, &services) {
                        continue;
                    }
                    let comes = event.action == "start" || (self.all && event.action == "create");
                    let goes = event.action == "destroy" || (!self.all && event.action == "die");
                    if comes && !subjects.iter().any(|it| it.id == event.actor) {
                        lives += 1;
                        let subject = Subject { id: event.actor, life: lives };
                        subjects.push(subject.clone());
                        looks.push(self.look(subject, None));
                    } else if goes {
                        subjects.retain(|it| it.id != event.actor);
                        seen.retain(|_, it| it.id.to_string() != event.actor);
                        self.show(&seen, true);
                    }
                }
            }
        }
        Ok(0)
    }

    /// The next look; none where the container is gone.
    async fn look(&self, subject: Subject, stream: Option<StatsStream>) -> Result<Look, CommandError> {
        let mut stream = match stream {
            Some(stream) => stream,
            None => match self.client.container_stats(&subject.id, true).await {
                Ok(stream) => stream,
                Err(failure) if failure.kind == FailureKind::NotFound => return Ok((subject, None)),
                Err(failure) => return Err(failure.into()),
            },
        };
        let stats = stream.next().await.transpose()?;
        Ok((subject, stats.map(|stats| (stats, stream))))
    }

    /// Writes the rows, in place of the last ones on a terminal.
    fn show(&self, seen: &BTreeMap<String, ContainerStats>, again: bool) {
        let rows: Vec<Value> = seen.values().map(|stats| row(stats, self.whole)).collect();
        let text = self.rows.render(&rows);
        let text = if again && self.context.terminal.stdout_is_terminal() {
            // From the top, each line to its end, and nothing below.
            format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
        } else {
            text
        };
        self.context.terminal.out(text.as_bytes());
        self.context.terminal.flush();
    }
}

fn is_of(event: &Event, services: &[String]) -> bool {
    let service = event.attributes.get(label::SERVICE);
    services.is_empty() || service.is_some_and(|service| services.contains(service))
}

/// A row; what does not run has dashes.
fn row(stats: &ContainerStats, whole: bool) -> Value {
    let id = if whole { stats.id.to_string() } else { stats.id.short() };
    let dashes = || "--".to_owned();
    let pair = |one: u64, other: u64| format!("{} / {}", short_size(one), short_size(other));
    let told = stats.usage.as_ref().map(|usage| {
        let memory = &usage.memory;
        let used = memory.used_without_cache();
        let share = if memory.limit == 0 { 0.0 } else { used as f64 / memory.limit as f64 * 100.0 };
        let (read, written) = usage.block.iter().fold((0, 0), |(read, written), it| (read + it.read, written + it.written));
        let (received, sent) = usage.networks.values().fold((0, 0), |(received, sent), it| (received + it.received, sent + it.sent));
        [
            format!("{:.2}%", processor_share(stats, usage)),
            format!("{} / {}", binary_size(used), binary_size(memory.limit)),
            format!("{share:.2}%"),
            pair(received, sent),
            pair(read, written),
            usage.tasks.to_string(),
        ]
    });
    let [cpu, memory, share, network, block, tasks] =
        told.unwrap_or_else(|| [dashes(), "-- / --".to_owned(), dashes(), "-- / --".to_owned(), "-- / --".to_owned(), dashes()]);
    json!({
        "BlockIO": block,
        "CPUPerc": cpu,
        "Container": stats.id.to_string(),
        "ID": id,
        "MemPerc": share,
        "MemUsage": memory,
        "Name": stats.name.as_str(),
        "NetIO": network,
        "PIDs": tasks,
    })
}

/// The share of one processor that was used since the look before.
fn processor_share(stats: &ContainerStats, usage: &Usage) -> f64 {
    let Some((_, before)) = &stats.before else { return 0.0 };
    let used = usage.processor.total.saturating_sub(before.total) as f64;
    let passed = usage.processor.machine.saturating_sub(before.machine) as f64;
    if passed > 0.0 { used / passed * f64::from(usage.processor.count) * 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::id::ContainerId;
    use crate::resource::stats::{BlockUsage, Memory, NetworkUsage, Processor};
    use crate::resource::time::Timestamp;

    #[test]
    fn rows_read_as_dockers() {
        let at = Timestamp::from_nanos(0);
        let processor = |total, machine| Processor { total, machine, count: 4, ..Processor::default() };
        let usage = Usage {
            read: at,
            processor: processor(300, 2_000),
            memory: Memory { used: 7 << 20, limit: 2 << 30, account: BTreeMap::from([("inactive_file".to_owned(), 2 << 20)]) },
            tasks: 3,
            task_limit: None,
            block: vec![BlockUsage { device: (8, 0), read: 12_345, written: 0 }],
            networks: BTreeMap::from([("eth0".to_owned(), NetworkUsage { received: 1_046, sent: 126, ..NetworkUsage::default() })]),
        };
        let mut stats = ContainerStats {
            id: ContainerId::from_bytes([0xab; 32]),
            name: "web".parse().expect("a name"),
            usage: Some(usage),
            before: Some((at, processor(100, 1_000))),
        };
        let expect = concat!(
            "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O         BLOCK I/O     PIDS\n",
            "abababababab   web       80.00%    5MiB / 2GiB         0.24%     1.05kB / 126B   12.3kB / 0B   3\n",
        );
        let ways = LISTING.parse("table").expect("a table");
        assert_eq!(ways.render(&[row(&stats, false)]), expect);
        stats.usage = None;
        assert_eq!(row(&stats, true)["MemUsage"], "-- / --");
        assert_eq!(row(&stats, true)["ID"].as_str().map(str::len), Some(64));
        assert!(LISTING.parse("{{.CPU}}").is_err());
    }
}
