//! Docker's `LogConfig`.

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::{Fields, Mood};
use crate::resource::container::{LogOptionError, LogSpec};

/// Writes where the output goes.
pub(super) fn to_json(log: &LogSpec) -> Value {
    let (driver, options) = log.driver();
    json!({ "Type": driver, "Config": options })
}

/// Reads where the output goes.
pub(super) fn from_fields(fields: &mut Fields) -> Result<LogSpec, WireError> {
    let kind = fields.text("Type")?.unwrap_or_default();
    let options = fields.text_map("Config")?;
    let path = |name: &str| fields.path(&format!("Config.{name}"));
    match LogSpec::of_driver(&kind, &options) {
        Ok(log) => Ok(log),
        Err(_) if fields.mood() == Mood::Answer => Ok(LogSpec::default()),
        Err(LogOptionError::Driver(kind)) => Err(WireError::unsupported(fields.path("Type"), &json!(kind))),
        Err(LogOptionError::Option(name)) => Err(WireError::unsupported(path(&name), &json!(options.get(&name)))),
        Err(LogOptionError::Value { name, expected, value }) => {
            Err(WireError::malformed(path(&name), format!("{expected} instead of `{value}`")))
        }
    }
}
