//! A service and a number become the container that is wanted.

use serde_json::Value;

use crate::compose::plan::known::Known;
use crate::compose::plan::one_off::OneOff;
use crate::compose::plan::{endpoint, fingerprint, graph, hook, label};
use crate::compose::project::model::{FileWay, Hook, Project, Service, ServiceFile};
use crate::compose::project::other::{ServiceIpc, ServicePid};
use crate::resource::container::{
    ContainerSpec, EndpointSpec, InjectedFile, IpcMode, Mount, MountSource, NamespaceMode, Remarks, RestartPolicy,
};
use crate::resource::id::ImageId;
use crate::resource::name::{ContainerName, NameError};

/// The name of a service's container: its own, or `PROJECT-SERVICE-N`.
///
/// # Errors
/// The text cannot name a container.
pub(super) fn name(project: &Project, service: &Service, number: u32) -> Result<ContainerName, NameError> {
    match &service.container_name {
        Some(name) => name.parse(),
        None => project.part_name(&[service.name.as_str(), &number.to_string()]).parse(),
    }
}

/// The container that is wanted for a number of a service; `image` is what the image's reference means now, if that is known, and
/// `known` what is called how that it refers to.
pub fn container(project: &Project, service: &Service, number: u32, image: Option<ImageId>, known: &Known) -> ContainerSpec {
    // Whoever bears a name it refers to is not a wish of the service's, so its digest tells nothing of it.
    let canonical = fingerprint::of_container(&template(project, service, None));
    let mut spec = labelled(project, service, template(project, service, Some(known)), &canonical, image);
    spec.labels.insert(label::NUMBER.to_owned(), number.to_string());
    spec.labels.insert(label::ONE_OFF.to_owned(), "False".to_owned());
    if let Ok(name) = name(project, service, number) {
        // The engine sees to it anyway; for those who read the list.
        spec.endpoints.values_mut().for_each(|endpoint| endpoint.aliases.insert(0, name.to_string()));
    }
    spec
}

/// The container of its own in which a service's command runs once. The service is as the command line wants it.
pub(super) fn one_off(project: &Project, service: &Service, one_off: &OneOff, image: Option<ImageId>, known: &Known) -> ContainerSpec {
    let mut spec = template(project, service, Some(known));
    spec.restart = RestartPolicy::No;
    spec.stdin_once = service.stdin_open;
    spec.auto_remove = one_off.remove;
    if !one_off.use_aliases {
        // It must not answer in the service's name; to its own the engine sees.
        spec.endpoints.values_mut().for_each(|endpoint| endpoint.aliases.clear());
    }
    let canonical = fingerprint::of_container(&spec);
    let mut spec = labelled(project, service, spec, &canonical, image);
    spec.labels.insert(label::SLUG.to_owned(), one_off.slug.clone());
    spec.labels.insert(label::ONE_OFF.to_owned(), "True".to_owned());
    spec
}

/// Adds the labels of every container of a service; `canonical` is what is kept of the specification.
fn labelled(project: &Project, service: &Service, mut spec: ContainerSpec, canonical: &Value, image: Option<ImageId>) -> ContainerSpec {
    let join = |paths: &[std::path::PathBuf]| paths.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(",");
    let mut add = |key: &str, value: String| spec.labels.insert(key.to_owned(), value);
    add(label::PROJECT, project.name.to_string());
    add(label::SERVICE, service.name.to_string());
    add(label::VERSION, env!("CARGO_PKG_VERSION").to_owned());
    add(label::WORKING_DIR, project.working_dir.display().to_string());
    add(label::CONFIG_FILES, join(&project.files));
    if !project.env_files.is_empty() {
        add(label::ENVIRONMENT_FILES, join(&project.env_files));
    }
    add(label::DEPENDS_ON, graph::write_dependencies(&service.depends_on));
    add(label::CONFIG_HASH, fingerprint::hash(canonical));
    add(label::SPEC, canonical.to_string());
    if let Some(hooks) = hook::label(service) {
        add(label::HOOKS, hooks);
    }
    if let Some(image) = image {
        add(label::IMAGE, image.to_string());
    }
    spec
}

/// The container of a hook that runs before those of its service: like one of them in all that it does not say itself, with the volumes
/// of `first`, the one with the lowest number, and on the same networks, where it answers to no name of theirs.
pub(super) fn pre_start(project: &Project, service: &Service, hook: &Hook, first: &ContainerName, known: &Known) -> ContainerSpec {
    let mut spec = template(project, service, Some(known));
    if let Some(image) = &hook.image {
        // What the service runs is written for its own image.
        spec = ContainerSpec { image: image.clone(), entrypoint: None, command: None, ..spec };
    }
    spec.command = hook.command.clone().or(spec.command);
    spec.user = hook.user.clone().or(spec.user);
    spec.working_dir = hook.working_dir.clone().or(spec.working_dir);
    spec.privileged |= hook.privileged;
    spec.environment.extend(hook.environment.clone());
    spec.endpoints.values_mut().for_each(|endpoint| *endpoint = EndpointSpec::default());
    // Volumes and binds come from the container itself, anonymous ones, too; what is in memory is each container's own.
    spec.mounts.retain(|mount| matches!(mount.source, MountSource::Tmpfs { .. }));
    spec.volumes_from.push(first.to_string());
    (spec.ports, spec.exposed, spec.restart) = (Vec::new(), Default::default(), RestartPolicy::No);
    spec.health = None;
    for (key, value) in [
        (label::PROJECT, project.name.as_str()),
        (label::SERVICE, service.name.as_str()),
        (label::VERSION, env!("CARGO_PKG_VERSION")),
        (label::HOOK, "pre_start"),
    ] {
        spec.labels.insert(key.to_owned(), value.to_owned());
    }
    spec
}

/// The digest in a service's containers' `config-hash` label: what `config --hash` prints.
pub fn service_hash(project: &Project, service: &Service) -> String {
    fingerprint::hash(&fingerprint::of_container(&template(project, service, None)))
}

/// All of the container that is the same for every number, without the labels that Compose adds.
fn template(project: &Project, service: &Service, known: Option<&Known>) -> ContainerSpec {
    let (network, endpoints) = endpoint::of(project, service, known);
    let volumes_from = service.volumes_from.iter().map(|it| {
        let mode = if it.read_only { ":ro" } else { "" };
        format!("{}{mode}", endpoint::container(&it.from, known))
    });
    ContainerSpec {
        image: service.image.clone(),
        entrypoint: service.entrypoint.clone(),
        command: service.command.clone(),
        environment: service.environment.clone(),
        working_dir: service.working_dir.clone(),
        user: service.user.clone(),
        hostname: service.hostname.clone(),
        platform: platform(project, service),
        group_add: service.group_add.clone(),
        domainname: service.domainname.clone(),
        labels: service.labels.clone(),
        annotations: service.annotations.clone(),
        tty: service.tty,
        stdin_open: service.stdin_open,
        init: service.init,
        stop_signal: service.stop_signal.clone(),
        stop_grace: service.stop_grace_period,
        restart: service.restart,
        health: service.healthcheck.clone(),
        exposed: service.expose.clone(),
        ports: service.ports.clone(),
        files: service.files.iter().filter_map(written).collect(),
        mounts: service.mounts.iter().map(|mount| in_engine(project, mount)).collect(),
        volumes_from: volumes_from.collect(),
        // Told again by engines, and nothing else.
        remarks: Remarks { attach_stdout: true, attach_stderr: true, ..Remarks::default() },
        network,
        endpoints,
        pid: match &service.pid {
            ServicePid::Private => NamespaceMode::Private,
            ServicePid::Host => NamespaceMode::Host,
            ServicePid::With(other) => NamespaceMode::Container(endpoint::container(other, known)),
        },
        ipc: match &service.ipc {
            ServiceIpc::Private => IpcMode::Private,
            ServiceIpc::Shareable => IpcMode::Shareable,
            ServiceIpc::None => IpcMode::None,
            ServiceIpc::Host => IpcMode::Host,
            ServiceIpc::With(other) => IpcMode::Container(endpoint::container(other, known)),
        },
        read_only: service.read_only,
        privileged: service.privileged,
        cap_add: service.cap_add.clone(),
        cap_drop: service.cap_drop.clone(),
        extra_hosts: service.extra_hosts.clone(),
        dns: service.dns.clone(),
        dns_search: service.dns_search.clone(),
        dns_options: service.dns_opt.clone(),
        security_options: service.security_opt.clone(),
        devices: service.devices.clone(),
        device_rules: service.device_cgroup_rules.clone(),
        sysctls: service.sysctls.clone(),
        ulimits: service.ulimits.clone(),
        resources: service.resources.clone(),
        shm_size: service.shm_size,
        oom_score_adj: service.oom_score_adj,
        log: service.logging.clone(),
        uts: service.uts.clone(),
        cgroup: service.cgroup.clone(),
        ..ContainerSpec::default()
    }
}

/// A secret or config that is written into the container. Content that is not known is empty here: whoever makes a container asks first
/// ([`crate::compose::plan::PlanError::Content`]).
fn written(file: &ServiceFile) -> Option<InjectedFile> {
    let FileWay::Written { uid, gid, mode, content } = &file.way else { return None };
    let content = content.as_ref().map(|content| content.0.clone()).unwrap_or_default();
    Some(InjectedFile { target: file.target.clone(), content, uid: *uid, gid: *gid, mode: *mode })
}

/// The platform of a service's image: its own, or that of the environment.
pub(super) fn platform(project: &Project, service: &Service) -> Option<String> {
    let default = || project.environment.get("DOCKER_DEFAULT_PLATFORM").filter(|text| !text.is_empty());
    service.platform.as_ref().or_else(default).cloned()
}

/// A mount whose volume has its name in the engine instead of its key in the project.
fn in_engine(project: &Project, mount: &Mount) -> Mount {
    let mut mount = mount.clone();
    if let MountSource::Volume { name: Some(name), .. } = &mut mount.source
        && let Some(volume) = project.volumes.get(name.as_str())
    {
        name.clone_from(&volume.name);
    }
    mount
}
