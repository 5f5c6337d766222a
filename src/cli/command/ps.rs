//! `ps`: the project's containers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::args::inspect::{PsArgs, StatusWord};
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::follow::now;
use crate::cli::observe;
use crate::cli::output::listing::Listing;
use crate::cli::output::ports::{self, ListedPort};
use crate::cli::output::relative;
use crate::compose::plan::Replica;
use crate::resource::container::{ContainerInfo, ContainerState};

const LISTING: Listing<'static> = Listing {
    // In the order of Docker Compose's JSON.
    fields: &[
        "Command",
        "CreatedAt",
        "ExitCode",
        "Health",
        "ID",
        "Image",
        "Labels",
        "LocalVolumes",
        "Mounts",
        "Name",
        "Names",
        "Networks",
        "Ports",
        "Project",
        "Publishers",
        "RunningFor",
        "Service",
        "State",
        "Status",
        "Size",
    ],
    columns: &[
        ("NAME", "Name"),
        ("IMAGE", "Image"),
        ("COMMAND", "Command"),
        ("SERVICE", "Service"),
        ("CREATED", "RunningFor"),
        ("STATUS", "Status"),
        ("PORTS", "Ports"),
    ],
};

/// Runs the command.
pub(super) async fn run(args: PsArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let words = words(&args)?;
    let listing = LISTING.parse(&args.format)?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let services = known_names(project.as_ref(), &observed, &args.services.services)?;
    let known =
        |it: &Replica| project.as_ref().is_none_or(|p| p.services.contains_key(&it.service) || p.disabled.contains_key(&it.service));
    let shown = |it: &&Replica| {
        let state = if words.is_empty() { args.all || it.is_up() } else { words.contains(it.info.state.word()) };
        state && (services.is_empty() || services.contains(&it.service)) && (args.orphans || known(it)) && (args.all || !it.one_off)
    };
    let mut containers: Vec<&Replica> = observed.all().chain(observed.one_offs()).filter(shown).collect();
    containers.sort_by(|left, right| left.name().cmp(right.name()));
    if args.quiet {
        containers.iter().for_each(|it| context.terminal.line(&it.info.id.to_string()));
        return Ok(0);
    }
    if args.only_services {
        let names: BTreeSet<&str> = containers.iter().map(|it| it.service.as_str()).collect();
        names.into_iter().for_each(|name| context.terminal.line(name));
        return Ok(0);
    }
    let rows: Vec<Value> = containers.iter().map(|it| row(it, name.as_str(), args.no_trunc)).collect();
    context.terminal.out(listing.render(&rows).as_bytes());
    Ok(0)
}

fn words(args: &PsArgs) -> Result<BTreeSet<&'static str>, CommandError> {
    let word = |status: &StatusWord| match status {
        StatusWord::Paused => "paused",
        StatusWord::Restarting => "restarting",
        StatusWord::Removing => "removing",
        StatusWord::Running => "running",
        StatusWord::Dead => "dead",
        StatusWord::Created => "created",
        StatusWord::Exited => "exited",
    };
    let mut words: BTreeSet<&'static str> = args.status.iter().map(word).collect();
    if let Some(filter) = &args.filter {
        let wrong = || CommandError::local(format!("--filter is `{filter}`; only status=WORD is known"));
        let text = filter.strip_prefix("status=").ok_or_else(wrong)?;
        let status = <StatusWord as clap::ValueEnum>::from_str(text, true).map_err(|_| wrong())?;
        words.insert(word(&status));
    }
    Ok(words)
}

fn row(replica: &Replica, project: &str, whole: bool) -> Value {
    let info = &replica.info;
    let labels: Vec<String> = info.effective.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mounts = info.mounts.iter().map(|it| it.name.clone().unwrap_or_else(|| it.source.display().to_string()));
    let mounts: Vec<String> = mounts.map(|text| if whole { text } else { cut(text, 15) }).collect();
    let networks: Vec<&str> = info.endpoints.iter().map(|it| it.network_name.as_str()).collect();
    let health = info.health.as_ref().filter(|_| info.state.is_running()).map_or("", |health| health.status.word());
    let code = match &info.state {
        ContainerState::Exited { status, .. } | ContainerState::Restarting { status, .. } => status.code,
        _ => 0,
    };
    let listed = ports::of(info);
    let publishers: Vec<Value> = listed.iter().map(publisher).collect();
    json!({
        "Command": command(info, whole),
        "CreatedAt": relative::instant(info.created),
        "ExitCode": code,
        "Health": health,
        "ID": if whole { info.id.to_string() } else { info.id.short() },
        "Image": info.spec.image,
        "Labels": labels.join(","),
        "LocalVolumes": info.mounts.iter().filter(|it| it.kind == "volume").count().to_string(),
        "Mounts": mounts.join(","),
        "Name": info.name.as_str(),
        "Names": info.name.as_str(),
        "Networks": networks.join(","),
        "Ports": ports::render(&listed),
        "Project": project,
        "Publishers": publishers,
        "RunningFor": format!("{} ago", relative::human(now().since(info.created))),
        "Service": replica.service.as_str(),
        "Size": "0B",
        "State": info.state.word(),
        "Status": status(info),
    })
}

fn publisher(port: &ListedPort) -> Value {
    json!({
        "URL": port.host.map(|host| host.to_string()).unwrap_or_default(),
        "TargetPort": port.target,
        "PublishedPort": port.published,
        "Protocol": port.protocol.as_str(),
    })
}

/// A text of so many characters at most.
fn cut(text: String, length: usize) -> String {
    if text.chars().count() > length { text.chars().take(length - 1).chain(['…']).collect() } else { text }
}

/// The command as Docker lists it, arguments with spaces in quotes of their own; cut to twenty characters, and quoted as Go quotes.
fn command(info: &ContainerInfo, whole: bool) -> String {
    let words = info.effective.entrypoint.iter().chain(&info.effective.command).enumerate();
    let words: Vec<String> =
        words.map(|(index, word)| if index > 0 && word.contains(' ') { format!("'{word}'") } else { word.clone() }).collect();
    let text = words.join(" ");
    let text = if whole { text } else { cut(text, 20) };
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Docker's sentence: `Up 3 seconds (healthy)`, `Exited (1) 2 minutes ago`.
fn status(info: &ContainerInfo) -> String {
    let since = |time| relative::human(now().since(time));
    match &info.state {
        ContainerState::Created | ContainerState::Exited { started_at: None, .. } => "Created".to_owned(),
        ContainerState::Running { started_at, paused: true, .. } => format!("Up {} (Paused)", since(*started_at)),
        ContainerState::Running { started_at, .. } => match &info.health {
            Some(health) if health.status == crate::resource::container::HealthStatus::Starting => {
                format!("Up {} (health: starting)", since(*started_at))
            }
            Some(health) => format!("Up {} ({})", since(*started_at), health.status.word()),
            None => format!("Up {}", since(*started_at)),
        },
        ContainerState::Restarting { status, finished_at, .. } => format!("Restarting ({}) {} ago", status.code, since(*finished_at)),
        ContainerState::Exited { status, finished_at, .. } => format!("Exited ({}) {} ago", status.code, since(*finished_at)),
        ContainerState::Removing => "Removal In Progress".to_owned(),
        ContainerState::Dead => "Dead".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::resource::container::{
        ContainerPort, ContainerSpec, EffectiveConfig, ExitStatus, HealthState, HealthStatus, MountInfo, Protocol, PublishedPort,
    };
    use crate::resource::id::ContainerId;
    use crate::resource::time::Timestamp;

    fn replica(state: ContainerState, health: Option<HealthStatus>) -> Replica {
        let web = ContainerPort { port: 80, protocol: Protocol::Tcp };
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        let info = ContainerInfo {
            id: ContainerId::from_bytes([0xab; 32]),
            name: "shop-web-1".parse().expect("a good name"),
            created: now(),
            spec: ContainerSpec {
                image: "my/web:1".to_owned(),
                labels: [("a".to_owned(), "b".to_owned())].into(),
                ..ContainerSpec::default()
            },
            image: format!("sha256:{}", "0".repeat(64)).parse().expect("a digest"),
            state,
            health: health.map(|status| HealthState { status, failing_streak: 0, log: Vec::new() }),
            effective: EffectiveConfig {
                entrypoint: strings(&["sh", "-c"]),
                command: strings(&["echo \"hello\" to the world"]),
                labels: [("a".to_owned(), "b".to_owned()), ("of".to_owned(), "the image".to_owned())].into(),
                exposed: [web, ContainerPort { port: 81, protocol: Protocol::Tcp }].into(),
                ..EffectiveConfig::default()
            },
            endpoints: Vec::new(),
            published: vec![PublishedPort { container: web, host_ip: std::net::Ipv4Addr::UNSPECIFIED.into(), host_port: 8080 }],
            mounts: Vec::new(),
            restart_count: 0,
            log_path: None,
            file_digests: Default::default(),
            execs: Vec::new(),
        };
        Replica { service: "web".parse().expect("a good name"), number: 1, one_off: false, info }
    }

    fn running(paused: bool) -> ContainerState {
        ContainerState::Running { pid: 1, started_at: now(), paused }
    }

    fn render(format: &str, rows: &[Value]) -> Result<String, CommandError> {
        Ok(LISTING.parse(format)?.render(rows))
    }

    #[test]
    fn the_table_is_composes() {
        let rows = [row(&replica(running(false), Some(HealthStatus::Healthy)), "shop", false)];
        let table = render("table", &rows).expect("a table");
        let expect = concat!(
            "NAME         IMAGE      COMMAND                    SERVICE   CREATED                  STATUS                            PORTS\n",
            "shop-web-1   my/web:1   \"sh -c 'echo \\\"hello\\\"…\"   web       Less than a second ago   Up Less than a second (healthy)   ",
            "81/tcp, 0.0.0.0:8080->80/tcp\n"
        );
        assert_eq!(table, expect);
    }

    #[test]
    fn json_is_an_object_a_line_with_sorted_keys() {
        let rows = [row(&replica(running(false), None), "shop", false)];
        let text = render("json", &rows).expect("JSON");
        let keys: Vec<&str> = text.split("\":").filter_map(|part| part.rsplit('"').next()).collect();
        let top: Vec<&str> = keys.into_iter().filter(|key| LISTING.fields.contains(key)).collect();
        assert!(top.is_sorted(), "{top:?}");
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.contains(r#""Publishers":[{"Protocol":"tcp","PublishedPort":8080,"TargetPort":80,"URL":"0.0.0.0"},"#)
                || text.contains(r#""Publishers":[{"URL":"0.0.0.0","TargetPort":80,"PublishedPort":8080,"Protocol":"tcp"},"#),
            "{text}"
        );
    }

    #[test]
    fn templates_are_gos() {
        let rows = [row(&replica(running(false), None), "shop", false)];
        assert_eq!(render("{{.Name}}: {{.State}}", &rows).expect("a template"), "shop-web-1: running\n");
        assert_eq!(render("{{.Labels}}", &rows).expect("a template"), "a=b,of=the image\n");
        assert_eq!(render("table {{.Service}}\t{{.State}}", &rows).expect("a template"), "SERVICE   STATE\nweb       running\n");
        assert!(render("{{.Nope}}", &rows).is_err());
    }

    #[test]
    fn long_names_of_mounts_are_cut() {
        let mut replica = replica(running(false), None);
        let mount = |name: Option<&str>, source: &str| MountInfo {
            kind: "volume".to_owned(),
            name: name.map(str::to_owned),
            source: source.into(),
            target: "/data".to_owned(),
            writable: true,
            anonymous: false,
            propagation: String::new(),
        };
        replica.info.mounts =
            vec![mount(Some("just_long_enuf"), ""), mount(Some("fifteen_letters"), ""), mount(None, "/a/place/on/the/host")];
        assert_eq!(row(&replica, "shop", false)["Mounts"], "just_long_enuf,fifteen_letters,/a/place/on/th…");
        assert_eq!(row(&replica, "shop", true)["Mounts"], "just_long_enuf,fifteen_letters,/a/place/on/the/host");
    }

    #[test]
    fn states_are_told_in_dockers_sentences() {
        let before = |seconds| Timestamp::from_nanos(now().as_nanos() - i64::from(seconds) * 1_000_000_000 - 500_000_000);
        let status = |code| ExitStatus { code, ..ExitStatus::default() };
        for (state, health, expect) in [
            (ContainerState::Created, None, "Created"),
            (running(false), Some(HealthStatus::Starting), "Up Less than a second (health: starting)"),
            (running(false), Some(HealthStatus::Unhealthy), "Up Less than a second (unhealthy)"),
            (running(true), None, "Up Less than a second (Paused)"),
            (
                ContainerState::Exited { status: status(3), started_at: Some(before(9)), finished_at: before(5) },
                None,
                "Exited (3) 5 seconds ago",
            ),
            (ContainerState::Exited { status: status(127), started_at: None, finished_at: before(5) }, None, "Created"),
            (
                ContainerState::Restarting { status: status(1), started_at: before(90), finished_at: before(70) },
                None,
                "Restarting (1) About a minute ago",
            ),
            (ContainerState::Dead, None, "Dead"),
        ] {
            assert_eq!(super::status(&replica(state, health).info), expect);
        }
        assert_eq!(relative::human(Duration::from_secs(1)), "1 second");
    }
}
