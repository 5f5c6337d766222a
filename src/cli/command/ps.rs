//! `ps`: the project's containers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::args::inspect::{PsArgs, StatusWord};
use crate::cli::command::label_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::follow::now;
use crate::cli::observe;
use crate::cli::output::template::Template;
use crate::cli::output::{relative, table};
use crate::compose::plan::Replica;
use crate::resource::container::{ContainerInfo, ContainerPort, ContainerState, PublishedPort};

/// The names of a row's fields, in the order of Docker Compose's JSON.
const FIELDS: [&str; 20] = [
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
];

/// Runs the command.
pub(super) async fn run(args: PsArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let services = label_names(project.as_ref(), &args.services.services)?;
    let words = words(&args)?;
    let client = context.client().await?;
    let observed = observe::project(client, &name, None).await?;
    let known =
        |it: &Replica| project.as_ref().is_none_or(|p| p.services.contains_key(&it.service) || p.disabled.contains_key(&it.service));
    for service in &services {
        let in_files = project.as_ref().is_some_and(|it| it.services.contains_key(service) || it.disabled.contains_key(service));
        if !in_files && observed.replicas(service).is_empty() {
            return Err(CommandError::local(format!("no such service: {service}")));
        }
    }
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
    context.terminal.out(render(&args.format, &rows)?.as_bytes());
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

fn render(format: &str, rows: &[Value]) -> Result<String, CommandError> {
    if format == "json" {
        return Ok(rows.iter().map(|row| format!("{row}\n")).collect());
    }
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    if format == "table" {
        let keys = ["Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports"];
        let cells: Vec<Vec<String>> = rows.iter().map(|row| keys.iter().map(|key| text(row, key)).collect()).collect();
        return Ok(table::render(&["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"], &cells));
    }
    if let Some(columns) = format.strip_prefix("table ") {
        let template = Template::parse(columns, &FIELDS)?;
        let header = template.header();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let cells: Vec<Vec<String>> = rows.iter().map(|row| template.cells(row)).collect();
        return Ok(table::render(&header, &cells));
    }
    let template = Template::parse(format, &FIELDS)?;
    Ok(rows.iter().map(|row| format!("{}\n", template.render(row))).collect())
}

fn row(replica: &Replica, project: &str, whole: bool) -> Value {
    let info = &replica.info;
    let labels: Vec<String> = info.spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mounts: Vec<String> = info.mounts.iter().map(|it| it.name.clone().unwrap_or_else(|| it.source.display().to_string())).collect();
    let networks: Vec<&str> = info.endpoints.iter().map(|it| it.network_name.as_str()).collect();
    let health = info.health.as_ref().filter(|_| info.state.is_running()).map_or("", |health| health.status.word());
    let code = match &info.state {
        ContainerState::Exited { status, .. } | ContainerState::Restarting { status, .. } => status.code,
        _ => 0,
    };
    let publishers: Vec<Value> = info.published.iter().map(publisher).collect();
    json!({
        "Command": command(info, whole),
        "CreatedAt": info.created.to_string(),
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
        "Ports": ports(info),
        "Project": project,
        "Publishers": publishers,
        "RunningFor": format!("{} ago", relative::human(now().since(info.created))),
        "Service": replica.service.as_str(),
        "Size": "0B",
        "State": info.state.word(),
        "Status": status(info),
    })
}

fn publisher(port: &PublishedPort) -> Value {
    json!({
        "URL": port.host_ip.to_string(),
        "TargetPort": port.container.port,
        "PublishedPort": port.host_port,
        "Protocol": port.container.protocol.as_str(),
    })
}

/// The command in quotes, cut to twenty characters.
fn command(info: &ContainerInfo, whole: bool) -> String {
    let words: Vec<&str> = info.effective.entrypoint.iter().chain(&info.effective.command).map(String::as_str).collect();
    let text = words.join(" ");
    if whole || text.chars().count() <= 20 {
        return format!("\"{text}\"");
    }
    format!("\"{}…\"", text.chars().take(19).collect::<String>())
}

/// Docker's sentence: `Up 3 seconds (healthy)`, `Exited (1) 2 minutes ago`.
fn status(info: &ContainerInfo) -> String {
    let since = |time| relative::human(now().since(time));
    match &info.state {
        ContainerState::Created => "Created".to_owned(),
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

/// `0.0.0.0:8080->80/tcp`; ports that are only exposed stand alone.
fn ports(info: &ContainerInfo) -> String {
    let host = |port: &PublishedPort| match port.host_ip {
        std::net::IpAddr::V4(ip) => format!("{ip}:{}->{}", port.host_port, port.container),
        std::net::IpAddr::V6(ip) => format!("[{ip}]:{}->{}", port.host_port, port.container),
    };
    let mut texts: Vec<String> = info.published.iter().map(host).collect();
    if info.state.is_running() {
        let published = |port: &ContainerPort| info.published.iter().any(|it| it.container == *port);
        texts.extend(info.effective.exposed.iter().filter(|port| !published(port)).map(ToString::to_string));
    }
    texts.join(", ")
}
