//! The labels that make containers, networks and volumes a project's: Docker Compose's, and one of ours.

use std::collections::BTreeMap;

/// What every label of Docker Compose begins with.
pub const PREFIX: &str = "com.docker.compose.";
/// The project's name; on everything.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service's name; on containers.
pub const SERVICE: &str = "com.docker.compose.service";
/// The replica's number; on containers.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// `True` on a container made by `run`, `False` on others.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// Digest of the wanted specification; on everything.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// The version that made it; on everything.
pub const VERSION: &str = "com.docker.compose.version";
/// The project's folder; on containers.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// The project's files, with commas between; on containers.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// The files named by `--env-file`, with commas between; on containers.
pub const ENVIRONMENT_FILES: &str = "com.docker.compose.project.environment_file";
/// The id of the image a container was made from.
pub const IMAGE: &str = "com.docker.compose.image";
/// `service:condition:restart`, with commas between; on containers.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// The container that this one replaces.
pub const REPLACE: &str = "com.docker.compose.replace";
/// What makes the name of a container made by `run` its own; on those.
pub const SLUG: &str = "com.docker.compose.slug";
/// The network's key in the project; on networks.
pub const NETWORK: &str = "com.docker.compose.network";
/// The volume's key in the project; on volumes.
pub const VOLUME: &str = "com.docker.compose.volume";
/// The kind of hook that a container is; on those that run before a service's.
pub const HOOK: &str = "com.docker.compose.hook";
/// Digests of a service's hooks by their kind, which are no part of a container's specification.
pub const HOOKS: &str = "dev.gantry.hooks";
/// The wanted specification itself, so that a later `up` can say which field differs.
pub const SPEC: &str = "dev.gantry.spec";

/// Whether the label is one the planner writes, which says nothing of what a user wants.
pub fn is_own(key: &str) -> bool {
    key == SPEC
        || key == HOOKS
        || [
            HOOK,
            PROJECT,
            SERVICE,
            NUMBER,
            ONE_OFF,
            CONFIG_HASH,
            VERSION,
            WORKING_DIR,
            CONFIG_FILES,
            ENVIRONMENT_FILES,
            IMAGE,
            DEPENDS_ON,
            REPLACE,
            SLUG,
            NETWORK,
            VOLUME,
        ]
        .contains(&key)
}

/// The filter of an engine's lists that finds everything of a project.
pub fn project_filter(project: &str) -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([("label".to_owned(), vec![format!("{PROJECT}={project}")])])
}
