//! Docker's `Healthcheck`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::wire::error::WireError;
use crate::api::wire::fields::Fields;
use crate::api::wire::time::nanos;
use crate::resource::container::{HealthCheck, HealthTest};

/// Writes a health check.
pub fn health_to_json(check: &HealthCheck) -> Value {
    let mut value = json!({ "Test": check.test.words() });
    let mut set = |name: &str, number: i64| {
        if number != 0 {
            value[name] = json!(number);
        }
    };
    set("Interval", nanos(check.interval));
    set("Timeout", nanos(check.timeout));
    set("StartPeriod", nanos(check.start_period));
    set("StartInterval", nanos(check.start_interval));
    set("Retries", i64::from(check.retries));
    value
}

/// Reads a health check. 0 stands for the image's own value, or for the default.
pub fn health_from_fields(fields: &mut Fields) -> Result<Option<HealthCheck>, WireError> {
    let test = fields.get::<Vec<String>>("Test", "a list of strings")?;
    let interval = duration(fields, "Interval")?;
    let timeout = duration(fields, "Timeout")?;
    let start_period = duration(fields, "StartPeriod")?;
    let start_interval = duration(fields, "StartInterval")?;
    let retries = fields.get::<u32>("Retries", "a number")?.filter(|&retries| retries != 0);
    let any = interval.or(timeout).or(start_period).or(start_interval).is_some() || retries.is_some();
    let test = match test {
        None if !any => return Ok(None),
        None => HealthTest::Inherit,
        Some(words) => match words.split_first() {
            None if !any => return Ok(None),
            None => HealthTest::Inherit,
            Some((kind, rest)) => parse_test(fields, kind, rest)?,
        },
    };
    Ok(Some(HealthCheck {
        interval: interval.unwrap_or_default(),
        timeout: timeout.unwrap_or_default(),
        start_period: start_period.unwrap_or_default(),
        start_interval: start_interval.unwrap_or_default(),
        retries: retries.unwrap_or_default(),
        test,
    }))
}

fn parse_test(fields: &Fields, kind: &str, rest: &[String]) -> Result<HealthTest, WireError> {
    match (kind, rest) {
        ("NONE", []) => Ok(HealthTest::Disabled),
        ("CMD", [_, ..]) => Ok(HealthTest::Exec(rest.to_vec())),
        ("CMD-SHELL", [line]) => Ok(HealthTest::Shell(line.clone())),
        _ => Err(WireError::malformed(fields.path("Test"), "`NONE`, `CMD` and a command, or `CMD-SHELL` and one line")),
    }
}

fn duration(fields: &mut Fields, name: &str) -> Result<Option<Duration>, WireError> {
    match fields.signed(name)? {
        None => Ok(None),
        // dockerd's limit: anything shorter is taken for a mistake of the unit.
        Some(nanos) if nanos < 1_000_000 => Err(WireError::malformed(fields.path(name), "0 or at least one millisecond, in nanoseconds")),
        Some(nanos) => Ok(Some(Duration::from_nanos(nanos.unsigned_abs()))),
    }
}
