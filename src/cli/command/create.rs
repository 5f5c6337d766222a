//! `create` and `scale`: parts of `up`.

use crate::cli::args::lifecycle::{CreateArgs, ScaleArgs, ServiceArgs, UpArgs};
use crate::cli::command::up;
use crate::cli::context::Context;
use crate::cli::error::CommandError;

/// Runs `create`: everything is made, nothing is started.
pub(super) async fn create(args: CreateArgs, context: &Context) -> Result<u8, CommandError> {
    let args = UpArgs {
        services: args.services,
        build: args.build,
        no_start: true,
        force_recreate: args.force_recreate,
        no_recreate: args.no_recreate,
        pull: args.pull,
        quiet_pull: args.quiet_pull,
        remove_orphans: args.remove_orphans,
        scale: args.scale,
        yes: args.yes,
        ..UpArgs::default()
    };
    up::run_as("create", args, context).await
}

/// Runs `scale`: the named services have so many containers, and run.
pub(super) async fn scale(args: ScaleArgs, context: &Context) -> Result<u8, CommandError> {
    let services = args.scale.iter().map(|(service, _)| service.clone()).collect();
    let args = UpArgs { services: ServiceArgs { services }, detach: true, no_deps: args.no_deps, scale: args.scale, ..UpArgs::default() };
    up::run_as("scale", args, context).await
}
