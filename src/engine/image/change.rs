//! The lines of a Dockerfile that change an image without running anything: `docker import --change`.

use std::collections::BTreeMap;

use crate::engine::image::config::{DockerHealth, Empty, WrittenConfig, parse_ports};

/// Applies one line, or says what is wrong with it.
pub(super) fn apply(config: &mut WrittenConfig, line: &str) -> Result<(), String> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let instruction = word.to_ascii_uppercase();
    let known = ["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];
    if !known.contains(&instruction.as_str()) {
        return Err(format!("{word} is not a valid change command"));
    }
    if rest.is_empty() {
        return Err(format!("{instruction} requires at least one argument"));
    }
    let environment = environment(&config.env);
    let expand = |text: &str| words(text, &environment).map_err(|reason| format!("{instruction} {rest}: {reason}"));
    let one = |text: &str| expand(text).map(|words| words.join(" "));
    match instruction.as_str() {
        "CMD" => config.cmd = command(rest),
        "ENTRYPOINT" => config.entrypoint = command(rest),
        "ENV" => {
            for (name, value) in pairs(rest, &environment).map_err(|reason| format!("ENV {rest}: {reason}"))? {
                let start = format!("{name}=");
                let entry = format!("{start}{value}");
                match config.env.iter_mut().find(|it| it.starts_with(&start)) {
                    Some(old) => *old = entry,
                    None => config.env.push(entry),
                }
            }
        }
        "LABEL" => config.labels.extend(pairs(rest, &environment).map_err(|reason| format!("LABEL {rest}: {reason}"))?),
        "EXPOSE" => {
            for word in expand(rest)? {
                let ports = parse_ports(&word).ok_or_else(|| format!("EXPOSE {word}: it is not a port"))?;
                config.exposed_ports.extend(ports.iter().map(|it| (format!("{}/{}", it.port, it.protocol.as_str()), Empty {})));
            }
        }
        "HEALTHCHECK" => config.healthcheck = Some(health(rest)?),
        "ONBUILD" => {
            let inner = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            if matches!(inner.as_str(), "ONBUILD" | "MAINTAINER" | "FROM") {
                return Err(format!("{inner} isn't allowed as an ONBUILD trigger"));
            }
            config.on_build.push(rest.to_owned());
        }
        "STOPSIGNAL" => config.stop_signal = one(rest)?,
        "USER" => config.user = one(rest)?,
        "VOLUME" => {
            let paths = match json_list(rest) {
                Some(paths) => paths,
                None => expand(rest)?,
            };
            if paths.iter().any(|path| path.trim().is_empty()) {
                return Err("VOLUME specified can not be an empty string".to_owned());
            }
            config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
        }
        "WORKDIR" => {
            let path = one(rest)?;
            let base = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
            config.working_dir = clean(&if path.starts_with('/') { path } else { format!("{base}/{path}") });
        }
        _ => return Err(format!("{word} is not a valid change command")),
    }
    Ok(())
}

/// The exec form, or the shell form as Docker keeps it.
fn command(rest: &str) -> Vec<String> {
    json_list(rest).unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()])
}

fn json_list(rest: &str) -> Option<Vec<String>> {
    if rest.starts_with('[') { serde_json::from_str(rest).ok() } else { None }
}

/// `[--option=value …] NONE | CMD …`
fn health(rest: &str) -> Result<DockerHealth, String> {
    let wrong = |reason: &str| format!("HEALTHCHECK {rest}: {reason}");
    let mut health = DockerHealth::default();
    let mut rest_of = rest;
    while let Some(option) = rest_of.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).ok_or_else(|| wrong("a command or NONE is missing"))?;
        rest_of = after.trim_start();
        let (name, value) = option.split_once('=').ok_or_else(|| wrong("an option needs a value"))?;
        let time = || duration(value).ok_or_else(|| wrong(&format!("`{value}` is not a duration")));
        match name {
            "interval" => health.interval = time()?,
            "timeout" => health.timeout = time()?,
            "start-period" => health.start_period = time()?,
            "start-interval" => health.start_interval = time()?,
            "retries" => health.retries = value.parse().ok().filter(|it| *it >= 0).ok_or_else(|| wrong("--retries is not a number"))?,
            _ => return Err(wrong(&format!("--{name} is unknown"))),
        }
    }
    let (kind, after) = rest_of.split_once(char::is_whitespace).unwrap_or((rest_of, ""));
    let after = after.trim();
    health.test = Some(match kind.to_ascii_uppercase().as_str() {
        "NONE" if after.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err(wrong("NONE takes no arguments")),
        "CMD" if after.is_empty() => return Err(wrong("a command is missing after CMD")),
        "CMD" => match json_list(after) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), after.to_owned()],
        },
        _ => return Err(wrong("NONE or CMD is expected")),
    });
    Ok(health)
}

/// A duration as Go writes it, in nanoseconds: `1m30s`, `500ms`, `0`.
fn duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let unit = after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        total += number
            * match &after[..unit] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &after[unit..];
    }
    // The largest duration Go knows is 292 years; the cast saturates there.
    #[expect(clippy::cast_possible_truncation, reason = "saturating")]
    (!text.is_empty()).then_some(total as i64)
}

/// `name=value …`, or Docker's older form `name value`.
fn pairs(rest: &str, environment: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, String> {
    let first = rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = rest.split_once(char::is_whitespace).ok_or_else(|| format!("`{rest}` has no value"))?;
        return Ok(vec![(name.to_owned(), words(value.trim(), environment)?.join(" "))]);
    }
    let split = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{word}` is not name=value")),
    };
    words(rest, environment)?.into_iter().map(split).collect()
}

fn environment(env: &[String]) -> BTreeMap<String, String> {
    env.iter().filter_map(|it| it.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Splits at white space, takes quotes and backslashes away, and replaces variables, as Docker's shell lexer does.
fn words(text: &str, environment: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\'' if !quoted => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(letter) => word.push(letter),
                        None => return Err("a quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => {
                let word = word.get_or_insert_default();
                match letters.next() {
                    Some(next) if !quoted || matches!(next, '"' | '$' | '\\') => word.push(next),
                    Some(next) => word.extend(['\\', next]),
                    None => word.push('\\'),
                }
            }
            '$' => {
                let value = variable(&mut letters, environment)?;
                word.get_or_insert_default().push_str(&value);
            }
            letter if letter.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// What follows a `$`: `name`, `{name}`, `{name:-default}` or `{name:+other}`.
fn variable(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let value = |name: &str| environment.get(name).cloned().unwrap_or_default();
    if letters.next_if_eq(&'{').is_some() {
        let mut inside = String::new();
        loop {
            match letters.next() {
                Some('}') => break,
                Some(letter) => inside.push(letter),
                None => return Err("`${` is not closed".to_owned()),
            }
        }
        return if let Some((name, default)) = inside.split_once(":-") {
            Ok(Some(value(name)).filter(|it| !it.is_empty()).unwrap_or_else(|| default.to_owned()))
        } else if let Some((name, other)) = inside.split_once(":+") {
            Ok(if value(name).is_empty() { String::new() } else { other.to_owned() })
        } else if !inside.is_empty() && inside.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            Ok(value(&inside))
        } else {
            Err(format!("`${{{inside}}}` is not a variable"))
        };
    }
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        name.push(letter);
    }
    Ok(if name.is_empty() { "$".to_owned() } else { value(&name) })
}

/// Removes `//`, `.` and `..` from an absolute path.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expect: &str) {
        let mut config = WrittenConfig::default();
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
            assert!(apply(&mut WrittenConfig::default(), line).is_err(), "{line}");
        }
    }
}
