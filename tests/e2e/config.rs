//! The cases of tests/config, judged by Docker Compose: it prints what we print, but where a case says in `differs` why not.

use std::path::Path;

use crate::program::{Outcome, bounded, foreign, run, top};

/// Its `config` of a case, with the arguments that the case's `options` stand for.
fn composes(case: &Path) -> Outcome {
    let mut command = bounded(foreign("usr/libexec/docker/cli-plugins/docker-compose"));
    command.current_dir(case).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/home/user").env("FROM_SHELL", "shell");
    let options = std::fs::read_to_string(case.join("options")).unwrap_or_default();
    let mut selected = Vec::new();
    for (word, value) in options.lines().filter_map(|line| line.split_once(' ')) {
        match word {
            "set" => {
                let (name, value) = value.split_once('=').expect("NAME=VALUE");
                command.env(name, value);
            }
            "select" => selected.push(value),
            "project" => drop(command.args(["--project-name", value])),
            "directory" => drop(command.args(["--project-directory", value])),
            _ => drop(command.arg(format!("--{word}")).arg(value)),
        }
    }
    run(command.arg("config").args(selected))
}

/// Compose 5 leaves out that a missing folder of the host is made: it is the default.
fn without_defaults(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept: Vec<String> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let indent = |line: &str| line.len() - line.trim_start().len();
        if line.trim() != "create_host_path: true" {
            kept.push((*line).to_owned());
        } else if kept.last().is_some_and(|last| last.trim() == "bind:")
            && lines.get(index + 1).is_none_or(|next| indent(next) < indent(line))
        {
            kept.last_mut().expect("a line").push_str(" {}");
        }
    }
    kept.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn docker_compose_prints_what_we_print() {
    let mut differences = Vec::new();
    let mut cases: Vec<_> =
        std::fs::read_dir(top().join("tests/config/cases")).expect("cases").map(|case| case.expect("a case").path()).collect();
    cases.sort();
    for case in cases {
        let ours = std::fs::read_to_string(case.join("expected.yaml")).ok();
        let theirs = composes(&case);
        let printed = (theirs.code == 0).then(|| without_defaults(&theirs.stdout).replace(&case.display().to_string(), "CASE"));
        match (printed == ours, case.join("differs").exists()) {
            (true, true) => differences.push(format!("{}: differs no longer", case.display())),
            (false, false) => {
                differences.push(format!("{}\n--- theirs\n{}\n{}", case.display(), printed.unwrap_or_default(), theirs.stderr));
            }
            _ => {}
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
