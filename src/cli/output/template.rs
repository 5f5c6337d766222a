//! The part of Go's templates that people use with `--format`: fields, `json`, `upper`, `lower`, `title`, `join`, text between them.

use serde_json::Value;

use crate::cli::error::CommandError;

/// A template that was understood.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Field { name: Option<String>, function: Function },
}

#[derive(Clone, Copy, Debug)]
enum Function {
    Plain,
    Json,
    Upper,
    Lower,
    Title,
}

impl Template {
    /// Understands a template, or says what it cannot. `fields` are the names that rows have.
    pub(crate) fn parse(text: &str, fields: &[&str]) -> Result<Self, CommandError> {
        let mut parts = Vec::new();
        let unescaped = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut rest = unescaped.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (action, after) =
                after.split_once("}}").ok_or_else(|| CommandError::local(format!("template `{text}`: `{{{{` without `}}}}`")))?;
            parts.push(part(action.trim_matches(|it: char| it == '-' || it.is_whitespace()), fields)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Fills in a row, without a newline.
    pub(crate) fn render(&self, row: &Value) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field { name, function } => {
                    let value = name.as_ref().map_or(row, |name| &row[name.as_str()]);
                    let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    match function {
                        Function::Plain => out.push_str(&plain),
                        Function::Json => out.push_str(&value.to_string()),
                        Function::Upper => out.push_str(&plain.to_uppercase()),
                        Function::Lower => out.push_str(&plain.to_lowercase()),
                        Function::Title => out.push_str(&title(&plain)),
                    }
                }
            }
        }
        out
    }

    /// The names of its fields in capitals: the header of a table.
    pub(crate) fn header(&self) -> Vec<String> {
        let field = |part: &Part| match part {
            Part::Field { name: Some(name), .. } => Some(spaced(name)),
            _ => None,
        };
        self.parts.iter().filter_map(field).collect()
    }

    /// The names of its fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field { name, .. } => name.as_deref(),
            Part::Text(_) => None,
        })
    }

    /// The cells of a row: what stands between tabs.
    pub(crate) fn cells(&self, row: &Value) -> Vec<String> {
        self.render(row).split('\t').map(str::to_owned).collect()
    }
}

fn part(action: &str, fields: &[&str]) -> Result<Part, CommandError> {
    let (function, field) = match action.split_once(char::is_whitespace) {
        None => (Function::Plain, action),
        Some((word, field)) => {
            let function = match word {
                "json" => Function::Json,
                "upper" => Function::Upper,
                "lower" => Function::Lower,
                "title" => Function::Title,
                _ => {
                    return Err(
                        CommandError::local(format!("template function `{word}` is not known")).hint("json, upper, lower and title are")
                    );
                }
            };
            (function, field.trim())
        }
    };
    match field.strip_prefix('.') {
        Some("") => Ok(Part::Field { name: None, function }),
        Some(name) if fields.contains(&name) => Ok(Part::Field { name: Some(name.to_owned()), function }),
        Some(name) => {
            Err(CommandError::local(format!("template field `.{name}` is not known")).hint(format!("known are {}", fields.join(", "))))
        }
        None => Err(CommandError::local(format!("template action `{action}` is not understood")).hint("write `{{.Name}}` or `{{json .}}`")),
    }
}

fn title(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `RunningFor` becomes `RUNNING FOR`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    let mut before = None::<char>;
    for letter in name.chars() {
        if letter.is_uppercase() && before.is_some_and(char::is_lowercase) {
            out.push(' ');
        }
        out.extend(letter.to_uppercase());
        before = Some(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_filled_in() {
        let row = json!({"Name": "web", "Code": 3});
        for (text, expect) in [
            ("{{.Name}}", "web"),
            ("{{ .Name }}: {{.Code}}", "web: 3"),
            ("{{json .Name}}", "\"web\""),
            ("{{json .}}", r#"{"Name":"web","Code":3}"#),
            ("{{upper .Name}}\\t{{title .Name}}", "WEB\tWeb"),
            ("plain", "plain"),
        ] {
            assert_eq!(Template::parse(text, &["Name", "Code"]).expect("a good template").render(&row), expect);
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in ["{{.Nam}}", "{{range .}}", "{{.Name", "{{printf .Name}}", "{{Name}}"] {
            assert!(Template::parse(text, &["Name"]).is_err(), "{text}");
        }
        assert_eq!(spaced("RunningFor"), "RUNNING FOR");
        assert_eq!(spaced("ID"), "ID");
    }
}
