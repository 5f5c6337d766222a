//! Docker's `LogConfig`.

use serde_json::{Map, Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::container::{LogSpec, rotation_size};

/// Writes where the output goes.
pub(super) fn to_json(log: &LogSpec) -> Value {
    match log {
        LogSpec::None => json!({ "Type": "none", "Config": {} }),
        LogSpec::JsonFile { max_size, max_file } => {
            let mut options = Map::new();
            if let Some(bytes) = max_size {
                options.insert("max-size".to_owned(), json!(bytes.to_string()));
            }
            if let Some(number) = max_file {
                options.insert("max-file".to_owned(), json!(number.to_string()));
            }
            json!({ "Type": "json-file", "Config": options })
        }
    }
}

/// Reads where the output goes.
pub(super) fn from_fields(fields: &mut Fields) -> Result<LogSpec, WireError> {
    let kind = fields.text("Type")?.unwrap_or_default();
    let mut options = fields.object("Config")?;
    let log = match kind.as_str() {
        "none" => LogSpec::None,
        "" | "json-file" => {
            let max_size = match options.text("max-size")? {
                None => None,
                Some(text) => {
                    Some(rotation_size(&text).ok_or_else(|| WireError::malformed(options.path("max-size"), "a size as in `10m`"))?)
                }
            };
            let max_file = match options.text("max-file")? {
                None => None,
                Some(text) => {
                    let number = text.parse().ok().filter(|&number: &u32| number > 0);
                    Some(number.ok_or_else(|| WireError::malformed(options.path("max-file"), "a number greater than 0"))?)
                }
            };
            LogSpec::JsonFile { max_size, max_file }
        }
        _ if fields.mood() == Mood::Answer => return Ok(LogSpec::default()),
        _ => return Err(WireError::unsupported(fields.path("Type"), &json!(kind))),
    };
    options.finish()?;
    Ok(log)
}
