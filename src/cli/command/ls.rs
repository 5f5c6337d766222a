//! `ls`: the projects of an engine, by their containers' labels.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde::Serialize;

use crate::cli::args::list::{ListFormat, LsArgs};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::output::table;
use crate::compose::plan::label;
use crate::resource::container::{ContainerFilter, ContainerInfo};

/// A line of the list.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    name: String,
    status: String,
    config_files: String,
}

/// Runs the command.
pub(super) async fn run(args: LsArgs, context: &Context) -> Result<u8, CommandError> {
    let patterns = patterns(&args.filter)?;
    let filters = BTreeMap::from([("label".to_owned(), vec![label::PROJECT.to_owned()])]);
    let containers = context.client().await?.containers(&ContainerFilter { all: args.all, filters }).await?;
    let mut lines = lines(&containers);
    lines.retain(|line| patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(&line.name)));
    if args.quiet {
        lines.iter().for_each(|line| context.terminal.line(&line.name));
        return Ok(0);
    }
    let text = match args.format {
        ListFormat::Json => serde_json::to_string(&lines).map_err(|error| CommandError::local(error.to_string()))? + "\n",
        ListFormat::Table => {
            let cells: Vec<Vec<String>> = lines.into_iter().map(|line| vec![line.name, line.status, line.config_files]).collect();
            table::render_wide(&["NAME", "STATUS", "CONFIG FILES"], &cells)
        }
    };
    context.terminal.out(text.as_bytes());
    Ok(0)
}

fn patterns(filters: &[String]) -> Result<Vec<Regex>, CommandError> {
    let pattern = |filter: &String| {
        let (key, value) = filter.split_once('=').ok_or_else(|| CommandError::local(format!("invalid filter '{filter}'")).hint(WAY))?;
        if key != "name" {
            return Err(CommandError::local(format!("invalid filter '{key}'")).hint(WAY));
        }
        Regex::new(value).map_err(|error| CommandError::local(format!("--filter name: `{value}` is not a regular expression: {error}")))
    };
    filters.iter().map(pattern).collect()
}

const WAY: &str = "name=PATTERN is known";

/// A line for each project, by name.
fn lines(containers: &[ContainerInfo]) -> Vec<Line> {
    let mut projects: BTreeMap<&str, Vec<&ContainerInfo>> = BTreeMap::new();
    for info in containers.iter().filter(|info| info.spec.labels.contains_key(label::CONFIG_HASH)) {
        if let Some(project) = info.spec.labels.get(label::PROJECT) {
            projects.entry(project).or_default().push(info);
        }
    }
    let line = |(name, containers): (&str, Vec<&ContainerInfo>)| {
        let mut states: BTreeMap<&str, usize> = BTreeMap::new();
        containers.iter().for_each(|info| *states.entry(info.state.word()).or_default() += 1);
        let status: Vec<String> = states.iter().map(|(state, count)| format!("{state}({count})")).collect();
        let mut seen = BTreeSet::new();
        let files = containers.iter().filter_map(|info| info.spec.labels.get(label::CONFIG_FILES)).flat_map(|files| files.split(','));
        let files: Vec<&str> = files.filter(|file| !file.is_empty() && seen.insert(*file)).collect();
        let config_files = if files.is_empty() { "N/A".to_owned() } else { files.join(",") };
        Line { name: name.to_owned(), status: status.join(", "), config_files }
    };
    projects.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {

    #[test]
    fn only_names_can_be_filtered() {
        let patterns = |filters: &[&str]| super::patterns(&filters.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        let found = patterns(&["name=^sh", "name=x$"]).expect("good");
        assert!(found[0].is_match("shop") && !found[0].is_match("a-shop") && found[1].is_match("ax"));
        for (filter, words) in
            [("status=x", "invalid filter 'status'"), ("name", "invalid filter 'name'"), ("name=(", "regular expression")]
        {
            let error = patterns(&[filter]).expect_err(filter);
            assert!(error.message().contains(words), "{error:?}");
        }
    }
}
