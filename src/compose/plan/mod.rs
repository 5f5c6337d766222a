//! `Project` × what is observed → `Plan` of operations, with a cause each; and the walk over it.
//!
//! Everything here is pure but for [`execute`], which drives futures and names no runtime. A planner decides; whoever applies an
//! operation obeys or fails.

mod attribute;
mod bake;
mod build;
mod cause;
mod decide;
mod desired;
mod diff;
mod endpoint;
mod fingerprint;
mod graph;
mod hook;
mod image;
mod inherit;
mod known;
pub mod label;
mod network;
mod observed;
mod one_off;
mod options;
mod pull;
mod push;
mod reconcile;
mod renew;
mod replica;
mod sharing;
mod steps;
mod teardown;
mod undo;
mod volume;
mod walk;

#[cfg(test)]
mod image_tests;
#[cfg(test)]
pub(crate) mod simulate;
#[cfg(test)]
mod tests;

pub use bake::bake;
pub use cause::{Cause, Divergence};
pub use desired::{container as desired_container, service_hash};
pub use diff::FieldChange;
pub use graph::{Cycle, ServiceGraph};
pub use hook::{post_start, pre_stop};
pub use image::{BuildOptions, build, due_builds, is_built, place_dockerfile, pull_before_build};
pub use known::Known;
pub use observed::{ObservedState, Replica};
pub use one_off::OneOff;
pub use options::{DownOptions, ImageScope, PlanError, Recreate, StopPlanOptions, UpOptions};
pub use pull::{Pulls, pull, refresh};
pub use push::{Pushes, push};
pub use reconcile::{restart, run, start, up};
pub use renew::changed_volumes;
pub use steps::{Plan, Step, StepId, Warning};
pub use teardown::{down, remove, stop};
pub use undo::undo;
pub use walk::execute;
