//! What engines of before a version of the API cannot do. They would not say so: what they do not know, they do not look at.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::resource::container::{BindRecursion, ContainerSpec, EndpointSpec, MountSource, NetworkMode};
use crate::resource::exec::ExecSpec;
use crate::resource::failure::Failure;

/// The oldest that is spoken.
pub(super) const OLDEST: u32 = 24;
/// From here on a container is on all its networks as soon as it is there.
const ALL_NETWORKS_AT_ONCE: u32 = 44;

/// A thing, the version that brought it, and whether it is asked for.
type Need = (&'static str, u32, bool);

/// Refuses an engine that is too old for anything.
pub(super) fn check_version(engine: &str, minor: u32) -> Result<(), Failure> {
    check(engine, minor, &[("Gantry", OLDEST, true)])
}

/// Refuses what an engine would leave out of a container.
pub(super) fn check_container(engine: &str, minor: u32, spec: &ContainerSpec) -> Result<(), Failure> {
    let any_endpoint = |test: fn(&EndpointSpec) -> bool| spec.endpoints.values().any(test);
    let any_mount = |test: fn(&MountSource) -> bool| spec.mounts.iter().any(|mount| test(&mount.source));
    let recursion = |test: fn(BindRecursion) -> bool| {
        spec.mounts.iter().any(|mount| matches!(&mount.source, MountSource::Bind { recursion, .. } if test(*recursion)))
    };
    check(
        engine,
        minor,
        &[
            ("an init of a container's own (`init`)", 25, spec.init),
            ("a grace period of a container's own (`stop_grace_period`)", 25, spec.stop_grace.is_some()),
            ("a health check's `start_period`", 29, spec.health.as_ref().is_some_and(|check| check.start_period > Duration::ZERO)),
            ("a bind without the mounts below it (`bind.recursive`)", 40, recursion(|it| it == BindRecursion::Disabled)),
            ("the platform of a container (`platform`)", 41, spec.platform.is_some()),
            ("annotations", 43, !spec.annotations.is_empty()),
            ("a health check's `start_interval`", 44, spec.health.as_ref().is_some_and(|check| check.start_interval > Duration::ZERO)),
            ("an address of an interface (`mac_address` of a network)", 44, any_endpoint(|it| it.mac_address.is_some())),
            (
                "mounts below a bind that is read-only (`bind.recursive`)",
                44,
                recursion(|it| matches!(it, BindRecursion::Writable | BindRecursion::Readonly)),
            ),
            ("a part of a volume (`volume.subpath`)", 45, any_mount(|it| matches!(it, MountSource::Volume { subpath: Some(_), .. }))),
            ("the network that leads out (`gw_priority`)", 48, any_endpoint(|it| it.gateway_priority != 0)),
        ],
    )
}

/// Refuses what an engine would leave out of a command.
pub(super) fn check_exec(engine: &str, minor: u32, spec: &ExecSpec) -> Result<(), Failure> {
    check(
        engine,
        minor,
        &[
            ("variables of a command in a container (`exec --env`)", 25, !spec.environment.is_empty()),
            ("the folder of a command in a container (`exec --workdir`)", 35, spec.working_dir.is_some()),
        ],
    )
}

fn check(engine: &str, minor: u32, needs: &[Need]) -> Result<(), Failure> {
    match needs.iter().find(|(_, since, is_asked)| *is_asked && minor < *since) {
        Some((what, since, _)) => Err(Failure::unsupported(format!(
            "the engine at {engine} speaks version 1.{minor} of the API, and {what} takes 1.{since} or newer"
        ))),
        None => Ok(()),
    }
}

/// Takes the networks out of a spec that an older engine has to be told of one by one, once the container is there.
pub(super) fn split_networks(minor: u32, spec: &ContainerSpec) -> Option<(ContainerSpec, BTreeMap<String, EndpointSpec>)> {
    if minor >= ALL_NETWORKS_AT_ONCE || spec.endpoints.len() < 2 {
        return None;
    }
    let first = match &spec.network {
        NetworkMode::Named(name) if spec.endpoints.contains_key(name) => name.clone(),
        _ => spec.endpoints.keys().next()?.clone(),
    };
    let mut rest = spec.endpoints.clone();
    let endpoint = rest.remove(&first)?;
    Some((ContainerSpec { endpoints: BTreeMap::from([(first, endpoint)]), ..spec.clone() }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_engine_cannot_do_is_said_in_a_line() {
        let check = |minor, spec: &ContainerSpec, word: &str| {
            let told = check_container("unix:///x", minor, spec).expect_err("too old").message;
            assert!(told.starts_with("the engine at unix:///x speaks version 1.") && told.contains(word) && !told.contains('\n'), "{told}");
            check_container("unix:///x", 51, spec).expect("new enough");
        };
        check(24, &ContainerSpec { init: true, ..ContainerSpec::default() }, "`init`) takes 1.25 or newer");
        check(40, &ContainerSpec { platform: Some("linux/amd64".to_owned()), ..ContainerSpec::default() }, "takes 1.41");
        let endpoint = EndpointSpec { gateway_priority: 1, ..EndpointSpec::default() };
        check(47, &ContainerSpec { endpoints: BTreeMap::from([("n".to_owned(), endpoint)]), ..ContainerSpec::default() }, "`gw_priority`");
        check_container("unix:///x", OLDEST, &ContainerSpec::default()).expect("nothing that is newer");
        let exec = ExecSpec { working_dir: Some("/".to_owned()), ..ExecSpec::default() };
        assert!(check_exec("x", 34, &exec).is_err() && check_exec("x", 35, &exec).is_ok());
        assert!(check_version("x", 23).is_err() && check_version("x", 24).is_ok());
    }

    #[test]
    fn older_engines_get_networks_one_by_one() {
        let endpoints = ["a", "b", "c"].map(|name| (name.to_owned(), EndpointSpec::default()));
        let spec =
            ContainerSpec { network: NetworkMode::Named("b".to_owned()), endpoints: BTreeMap::from(endpoints), ..ContainerSpec::default() };
        assert!(split_networks(44, &spec).is_none());
        let (first, rest) = split_networks(43, &spec).expect("too many");
        assert_eq!(first.endpoints.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(rest.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert!(split_networks(43, &first).is_none());
    }
}
