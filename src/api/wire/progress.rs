//! What happens during a pull, an import or a load: a line of JSON for each step.

use serde_json::{Value, json};

use crate::resource::failure::{Failure, FailureKind};
use crate::resource::image::ImageProgress;
use crate::resource::push::PushedTag;

/// One line of such a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A step.
    Step(ImageProgress),
    /// A tag is pushed.
    Pushed(PushedTag),
    /// Text for people, with its own line breaks: the outcome of a load.
    Text(String),
    /// The end, and not a good one.
    Failed(Failure),
}

/// How the one step begins that has an id and no progress: it is of a whole image.
const PULLING: &str = "Pulling from ";

/// Writes a step.
pub fn step_to_json(step: &ImageProgress) -> Value {
    let mut value = json!({ "status": step.status });
    if step.current.is_some() || step.total.is_some() {
        let mut detail = json!({});
        if let Some(current) = step.current {
            detail["current"] = json!(current);
        }
        if let Some(total) = step.total {
            detail["total"] = json!(total);
        }
        value["progressDetail"] = detail;
        value["progress"] = json!(bar(step.current.unwrap_or_default(), step.total.unwrap_or_default()));
    } else if !step.id.is_empty() && !step.status.starts_with(PULLING) {
        value["progressDetail"] = json!({});
    }
    if !step.id.is_empty() {
        value["id"] = json!(step.id);
    }
    value
}

/// Writes that a tag is pushed.
pub fn pushed_to_json(pushed: &PushedTag) -> Value {
    json!({ "progressDetail": {}, "aux": { "Tag": pushed.tag, "Digest": pushed.digest, "Size": pushed.size } })
}

fn pushed_from_json(aux: &Value) -> Option<PushedTag> {
    let text = |name: &str| aux.get(name)?.as_str();
    Some(PushedTag { tag: text("Tag")?.to_owned(), digest: text("Digest")?.parse().ok()?, size: aux.get("Size")?.as_u64()? })
}

/// Writes a text.
pub fn text_to_json(text: &str) -> Value {
    json!({ "stream": text })
}

/// Writes a failure after the answer has begun: its status can no longer be told, so the kind goes along.
pub fn failure_to_json(failure: &Failure) -> Value {
    let code = crate::api::wire::error::status_of(failure.kind);
    json!({ "errorDetail": { "code": code, "message": failure.message }, "error": failure.message })
}

/// Reads a line.
pub fn from_json(value: &Value) -> Line {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let detail = value.get("errorDetail");
    if let Some(message) = detail.and_then(|detail| detail.get("message")).and_then(Value::as_str).or_else(|| text("error")) {
        let code = detail.and_then(|detail| detail.get("code")).and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let kind = match code {
            Some(code) if code >= 300 => crate::api::wire::error::kind_of(code),
            _ => FailureKind::Internal,
        };
        return Line::Failed(Failure { kind, message: message.to_owned() });
    }
    if let Some(pushed) = value.get("aux").and_then(pushed_from_json) {
        return Line::Pushed(pushed);
    }
    if let Some(text) = text("stream") {
        return Line::Text(text.to_owned());
    }
    let number = |name: &str| value.get("progressDetail").and_then(|detail| detail.get(name)).and_then(Value::as_u64);
    Line::Step(ImageProgress {
        id: text("id").unwrap_or_default().to_owned(),
        status: text("status").unwrap_or_default().to_owned(),
        current: number("current"),
        total: number("total"),
    })
}

/// Docker's bar for clients that draw none: `[=====>    ]  12.3MB/40.1MB`.
fn bar(current: u64, total: u64) -> String {
    if total == 0 {
        return size(current);
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 50")]
    let filled = (current.min(total) * 50 / total) as usize;
    let head = if filled < 50 { ">" } else { "" };
    format!("[{}{head}{}]  {}/{}", "=".repeat(filled), " ".repeat(50 - filled - head.len()), size(current), size(total))
}

/// A size in decimal multiples with four significant digits, as go-units' `HumanSize`.
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return format!("{}{unit}", significant(value));
        }
        value /= 1000.0;
    }
    format!("{}TB", significant(value))
}

/// Go's `%.4g` for numbers below 1000.
fn significant(value: f64) -> String {
    let decimals = if value >= 100.0 {
        1
    } else if value >= 10.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::id::Digest;

    #[test]
    fn steps_survive() {
        let step = |id: &str, current, total| ImageProgress { id: id.to_owned(), status: "Downloading".to_owned(), current, total };
        for step in [step("", None, None), step("ab12", None, None), step("ab12", Some(1), None), step("ab12", Some(5), Some(10))] {
            assert_eq!(from_json(&step_to_json(&step)), Line::Step(step));
        }
        let status = |status: &str| ImageProgress { id: "1".to_owned(), status: status.to_owned(), current: None, total: None };
        let detail = |text: &str| step_to_json(&status(text)).get("progressDetail").cloned();
        assert_eq!((detail("Pulling from app"), detail("Pulling fs layer")), (None, Some(json!({}))));
        assert_eq!(from_json(&text_to_json("Loaded image: a\n")), Line::Text("Loaded image: a\n".to_owned()));
        let pushed = PushedTag { tag: "1".to_owned(), digest: Digest::from_bytes([1; 32]), size: 527 };
        assert_eq!(from_json(&pushed_to_json(&pushed)), Line::Pushed(pushed));
        let failure = Failure::not_found("no such manifest");
        assert_eq!(from_json(&failure_to_json(&failure)), Line::Failed(failure));
        let foreign = Failure::internal("toomanyrequests");
        assert_eq!(from_json(&json!({"errorDetail": {"message": "toomanyrequests"}, "error": "x"})), Line::Failed(foreign));
    }

    #[test]
    fn sizes_sound_like_docker() {
        let check = |bytes, expect: &str| assert_eq!(size(bytes), expect);
        check(0, "0B");
        check(999, "999B");
        check(1000, "1kB");
        check(1_234_567, "1.235MB");
        check(45_678_900, "45.68MB");
        check(345_678_900, "345.7MB");
        check(2_000_000_000, "2GB");
    }

    #[test]
    fn the_bar_is_as_long_as_dockers() {
        assert_eq!(bar(5, 10), format!("[{}>{}]  5B/10B", "=".repeat(25), " ".repeat(24)));
        assert_eq!(bar(10, 10), format!("[{}]  10B/10B", "=".repeat(50)));
    }
}
