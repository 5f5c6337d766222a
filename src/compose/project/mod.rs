//! Compose files to a resolved `Project`, or to diagnostics with spans.

pub mod model;
