//! Short forms beside the long ones: the same grammars that expand.rs and short.rs read.

use serde_json::{Value, json};

use crate::compose::project::schema::Form;
use crate::compose::project::schema::document::leaf::{pattern, text, up_to};
use crate::compose::project::schema::document::{NAME, any_of};

const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
/// One or two characters are a target; else up to three parts, none empty, of which the first two may begin with a drive of Windows.
const MOUNT: &str = r"[\s\S]{1,2}|(?:[A-Za-z]:[^:]*|[^:]+)(?::(?:[A-Za-z]:[^:]*|[^:]+)(?::[^:]+)?)?";
const DEVICE: &str = "[^:]+(?::[^:]+(?::[^:]*)?)?";
/// `NAME=ADDRESS`, and `NAME:ADDRESS` where there is no `=`.
const HOST: &str = r"[^=]+=[\s\S]*|[^=:]+:[^=]*";

/// Adds to the long form of values their short one.
pub(super) fn with(form: Form, long: Value) -> Value {
    let string = || json!({ "type": "string" });
    let names = || json!({ "type": "array", "items": text(NAME) });
    match form {
        Form::Logging | Form::Servers => long,
        Form::Secret | Form::Config | Form::Build | Form::Extends | Form::Include => any_of([string(), long]),
        Form::Paths => any_of([string(), long]),
        Form::Mount => any_of([text(MOUNT), long]),
        Form::Device => any_of([text(DEVICE), long]),
        Form::Devices => any_of([text("all"), long]),
        Form::Names | Form::Dependencies => any_of([names(), long]),
        Form::Ports => json!({ "type": "array", "items": any_of([port(), long["items"].clone()]) }),
        Form::EnvFiles => any_of([string(), json!({ "type": "array", "items": any_of([string(), long["items"].clone()]) })]),
        Form::Hosts => json!({
            "type": ["object", "array"],
            "additionalProperties": { "type": ["string", "array"], "items": { "type": "string" } },
            "items": text(HOST),
        }),
        Form::Keys => json!({
            "type": ["object", "array"],
            "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
            "items": { "type": "string" },
        }),
    }
}

/// `[[HOST_IP:]HOST:]CONTAINER[/PROTOCOL]`. Whether a range goes down, or two differ in length, no pattern says.
fn port() -> Value {
    let number = format!("0*(?:{})", up_to(u64::from(u16::MAX)));
    let range = format!("{number}(?:-{number})?");
    let address = format!(r"\[[0-9a-fA-F:.]*\]|{OCTET}(?:\.{OCTET}){{3}}|");
    let host = format!(r"(?:(?:{address}):)?(?:{range})?|\[[0-9a-fA-F:.]*\]");
    let of = format!("(?:(?:{host}):)?{range}(?:/(?:[tT][cC][pP]|[uU][dD][pP]|[sS][cC][tT][pP])?)?");
    json!({ "type": ["integer", "string"], "minimum": 0, "maximum": u16::MAX, "pattern": pattern(&of) })
}

/// `external: {name: …}`, as it was written once.
pub(super) fn old_external() -> Value {
    json!({
        "deprecated": true,
        "type": "object",
        "properties": { "name": { "type": "string", "description": "Its name; today it stands beside `external: true`." } },
        "additionalProperties": false,
    })
}
