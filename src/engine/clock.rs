//! The engine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::resource::time::Timestamp;

/// Returns the time of the machine's clock.
pub fn now() -> Timestamp {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos());
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}
