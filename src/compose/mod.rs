//! A project file becomes a plan. Opens no socket, reads no clock, knows no engine.

pub mod plan;
pub mod project;
