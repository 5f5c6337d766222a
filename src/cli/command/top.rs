//! `top`: the processes of the project's containers.

use futures_util::future::join_all;

use crate::cli::args::lifecycle::ServiceArgs;
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::output::table;
use crate::compose::plan::Replica;

/// Runs the command.
pub(super) async fn run(args: ServiceArgs, context: &Context) -> Result<u8, CommandError> {
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let observed = observe::replicas(client, &name).await?;
    let services = known_names(project.as_ref(), &observed, &args.services)?;
    let chosen = |it: &&Replica| it.info.state.is_running() && (services.is_empty() || services.contains(&it.service));
    let mut containers: Vec<&Replica> = observed.all().chain(observed.one_offs()).filter(chosen).collect();
    containers.sort_by(|left, right| left.name().cmp(right.name()));
    let asked = containers.iter().map(|it| client.container_processes(it.name()));
    let mut lists = Vec::new();
    for (replica, answer) in containers.iter().zip(join_all(asked).await) {
        let (titles, rows) = answer?;
        lists.push(Processes { service: replica.service.to_string(), number: replica.number.to_string(), titles, rows });
    }
    context.terminal.out(render(&lists).as_bytes());
    Ok(0)
}

/// The processes of one container.
struct Processes {
    service: String,
    number: String,
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// One table of all, with every column that any container has; the command is last.
fn render(lists: &[Processes]) -> String {
    let mut titles: Vec<&str> = vec!["SERVICE", "#"];
    for title in lists.iter().filter(|list| !list.rows.is_empty()).flat_map(|list| &list.titles) {
        if !titles.contains(&title.as_str()) {
            titles.push(title);
        }
    }
    if let Some(at) = titles.iter().position(|title| *title == "CMD") {
        let command = titles.remove(at);
        titles.push(command);
    }
    let mut cells = Vec::new();
    for list in lists {
        for row in &list.rows {
            let cell = |title: &&str| match *title {
                "SERVICE" => list.service.clone(),
                "#" => list.number.clone(),
                title => {
                    list.titles.iter().position(|it| it == title).and_then(|at| row.get(at)).cloned().unwrap_or_else(|| "-".to_owned())
                }
            };
            cells.push(titles.iter().map(cell).collect::<Vec<String>>());
        }
    }
    if cells.is_empty() { String::new() } else { table::render_narrow(&titles, &cells) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_all_containers_are_joined_and_the_command_is_last() {
        let list = |service: &str, titles: &[&str], rows: &[&[&str]]| Processes {
            service: service.to_owned(),
            number: "1".to_owned(),
            titles: titles.iter().map(|it| (*it).to_owned()).collect(),
            rows: rows.iter().map(|row| row.iter().map(|it| (*it).to_owned()).collect()).collect(),
        };
        let lists =
            [list("a", &["UID", "PID", "CMD"], &[&["root", "7", "sleep 9"]]), list("web", &["PID", "CMD", "TIME"], &[&["8", "x", "0:1"]])];
        let expect =
            concat!("SERVICE  #   UID   PID  TIME  CMD\n", "a        1   root  7    -     sleep 9\n", "web      1   -     8    0:1   x\n");
        assert_eq!(render(&lists), expect);
        assert_eq!(render(&[]), "");
    }
}
