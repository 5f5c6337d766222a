//! The lines of a Dockerfile that change an image without running anything: `docker import --change`, `docker commit --change`.

use crate::dockerfile::{Inherited, Instruction, Kind, Problem, Scope, Step};
use crate::engine::image::document::{DockerHealth, Empty, RunConfig};

/// Applies lines one after the other, or says what is wrong with the first that is. An entry point drops the command that was there before
/// all of them.
pub(in crate::engine) fn apply_all(config: &mut RunConfig, lines: &[String]) -> Result<(), String> {
    let mut own_command = false;
    for line in instructions(lines) {
        match apply(config, &line)? {
            Kind::Cmd => own_command = true,
            Kind::Entrypoint if !own_command => config.cmd.clear(),
            _ => {}
        }
    }
    Ok(())
}

/// The instructions in these texts, as a Dockerfile has them: a text may hold several lines, and a line may go on in the next.
fn instructions(texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut whole = String::new();
    for line in texts.iter().flat_map(|text| text.split('\n')) {
        let line = line.trim_end();
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        whole.push_str(line);
        if line.ends_with('\\') {
            whole.push('\n');
        } else {
            found.push(std::mem::take(&mut whole));
        }
    }
    found.extend(Some(whole).filter(|rest| !rest.is_empty()));
    found
}

/// Applies one line, and says which kind it is, or what is wrong with it.
fn apply(config: &mut RunConfig, line: &str) -> Result<Kind, String> {
    let line = line.trim();
    let say = |problem: Problem| problem.to_string();
    let word = line.split_whitespace().next().unwrap_or_default();
    if !Kind::is_known(word) {
        return Err(format!("{} is not a valid change command", word.to_ascii_uppercase()));
    }
    let instruction = Instruction::parse(line).map_err(say)?;
    let name = instruction.kind.as_str();
    if matches!(instruction.kind, Kind::Add | Kind::Arg | Kind::Copy | Kind::From | Kind::Maintainer | Kind::Run | Kind::Shell) {
        return Err(format!("{name} is not a valid change command"));
    }
    if line.len() == name.len() {
        return Err(format!("{name} requires at least one argument"));
    }
    let base = Inherited { environment: &config.env, working_dir: &config.working_dir, ..Inherited::default() };
    let mut scope = Scope::alone(base);
    match instruction.resolve(&mut scope).map_err(say)? {
        Step::Cmd(command) => config.cmd = command.words,
        Step::Entrypoint(command) => config.entrypoint = command.words,
        Step::Env(_) => config.env = scope.environment(),
        Step::Label(labels) => config.labels.extend(labels),
        Step::Expose(ports) => config.exposed_ports.extend(ports.into_iter().map(|it| (it, Empty {}))),
        Step::Healthcheck(check) => config.healthcheck = Some(DockerHealth::of(check)),
        Step::Onbuild(text) => config.on_build.push(text),
        Step::Stopsignal(signal) => config.stop_signal = signal,
        Step::User(user) => config.user = user,
        Step::Volume(paths) => config.volumes.extend(paths.into_iter().map(|it| (it, Empty {}))),
        Step::Workdir(path) => config.working_dir = path,
        Step::Run(_) | Step::Copy(_) | Step::Shell(_) | Step::Arg(_) | Step::Maintainer(_) => {
            return Err(format!("{name} is not a valid change command"));
        }
    }
    Ok(instruction.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expect: &str) {
        let mut config = RunConfig::default();
        for line in lines {
            apply(&mut config, line).expect("a good line");
        }
        assert_eq!(serde_json::to_string(&config).expect("JSON"), expect, "{lines:?}");
    }

    #[test]
    fn lines_change_the_configuration() {
        check(&["CMD [\"a\", \"b\"]"], r#"{"Cmd":["a","b"]}"#);
        check(&["cmd echo $x"], r#"{"Cmd":["/bin/sh","-c","echo $x"]}"#);
        check(&["ENTRYPOINT [\"/e\"]"], r#"{"Entrypoint":["/e"]}"#);
        check(
            &["ENV A=1 B=\"two words\" C='$A' D=e\\ f", "ENV A=2", "ENV E ${A}x ${Z:-d}"],
            r#"{"Env":["A=2","B=two words","C=$A","D=e f","E=2x d"]}"#,
        );
        check(&["EXPOSE 80 53/udp 8000-8001"], r#"{"ExposedPorts":{"53/udp":{},"80/tcp":{},"8000/tcp":{},"8001/tcp":{}}}"#);
        check(&["LABEL a=b c=\"d e\"", "LABEL f g"], r#"{"Labels":{"a":"b","c":"d e","f":"g"}}"#);
        check(&["USER 1:2", "STOPSIGNAL SIGINT"], r#"{"User":"1:2","StopSignal":"SIGINT"}"#);
        check(&["VOLUME /a /b", "VOLUME [\"/c d\"]"], r#"{"Volumes":{"/a":{},"/b":{},"/c d":{}}}"#);
        check(&["WORKDIR /a/b", "WORKDIR ../c"], r#"{"WorkingDir":"/a/c"}"#);
        check(&["ONBUILD RUN x"], r#"{"OnBuild":["RUN x"]}"#);
        check(
            &["HEALTHCHECK --interval=1m30s --retries=2 CMD [\"x\"]"],
            r#"{"Healthcheck":{"Test":["CMD","x"],"Interval":90000000000,"Retries":2}}"#,
        );
        check(&["HEALTHCHECK CMD x y"], r#"{"Healthcheck":{"Test":["CMD-SHELL","x y"]}}"#);
        check(&["HEALTHCHECK NONE"], r#"{"Healthcheck":{"Test":["NONE"]}}"#);
    }

    #[test]
    fn an_entry_point_drops_the_command_that_was_there() {
        let check = |lines: &[&str], expect: &str| {
            let mut config = RunConfig { cmd: vec!["old".to_owned()], ..RunConfig::default() };
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            apply_all(&mut config, &lines).expect("good lines");
            assert_eq!(config.cmd.join(" "), expect, "{lines:?}");
        };
        check(&["USER 1"], "old");
        check(&["ENTRYPOINT [\"e\"]"], "");
        check(&["ENTRYPOINT [\"e\"]", "CMD [\"new\"]"], "new");
        check(&["CMD [\"new\"]", "ENTRYPOINT [\"e\"]"], "new");
        check(&["# a note\nCMD [\"new\", \\\n\n  \"er\"]\nUSER 1\n"], "new er");
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "RUN x",
            "COPY a b",
            "SHELL [\"x\"]",
            "CMD",
            "EXPOSE x",
            "ENV A",
            "ENV =b",
            "ENV A=\"b",
            "ENV A=${b",
            "HEALTHCHECK",
            "HEALTHCHECK x",
            "HEALTHCHECK --interval=x CMD y",
            "HEALTHCHECK --what=1s CMD y",
            "HEALTHCHECK NONE x",
            "ONBUILD FROM x",
            "VOLUME [\"\"]",
        ] {
            assert!(apply(&mut RunConfig::default(), line).is_err(), "{line}");
        }
    }
}
