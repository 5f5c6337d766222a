//! What is built, and in which order: by `build`, and before `up` and `run` what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::compose::plan::cause::Cause;
use crate::compose::plan::graph::ServiceGraph;
use crate::compose::plan::label;
use crate::compose::plan::observed::ObservedState;
use crate::compose::plan::options::PlanError;
use crate::compose::plan::pull;
use crate::compose::plan::steps::{Plan, StepId};
use crate::compose::project::build::{Build, BuildContext, BuildSecret, Dockerfile};
use crate::compose::project::model::{Project, PullPolicy, Service};
use crate::resource::build::{BuildSpec, DockerfileSource, ImageBuild, NamedContext, SecretSource};
use crate::resource::name::ServiceName;
use crate::resource::operation::Operation;

/// Choices of a build.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// Arguments over those of the files.
    pub args: BTreeMap<String, String>,
    /// Arguments below those of the files: what every build is told of the way out of this machine.
    pub default_args: BTreeMap<String, String>,
    /// Agents over those of the files.
    pub ssh: BTreeMap<String, Option<PathBuf>>,
    /// Every step is done anew.
    pub no_cache: bool,
    /// The images that are built on are pulled anew.
    pub pull: bool,
    /// What is wrong with the Dockerfiles is told, and nothing is built.
    pub check: bool,
    /// What is built is to be pushed, says a bake file; our own pushes are a plan for themselves.
    pub push: bool,
    /// The images are for every platform that the files name, and not only for that of the service.
    pub every_platform: bool,
}

/// The services whose image is to be built before containers are made, and why: it is missing, or is to be built always. Those whose
/// images are built on come along: what has not changed in them takes no time.
pub fn due_builds(project: &Project, observed: &ObservedState) -> BTreeMap<ServiceName, Cause> {
    let all = project.with_bases(project.services.keys());
    let due = all.iter().filter(|(_, service)| service.build.is_some()).filter_map(|(name, service)| {
        let cause = match service.pull_policy {
            _ if !observed.has_image(&service.image) => Cause::Missing,
            PullPolicy::Build => Cause::Asked,
            _ => return None,
        };
        Some(((*name).clone(), cause))
    });
    let mut due: BTreeMap<ServiceName, Cause> = due.collect();
    let mut open: Vec<ServiceName> = due.keys().cloned().collect();
    while let Some(name) = open.pop() {
        for base in all.get(&name).and_then(|service| service.build.as_ref()).iter().flat_map(|build| build.bases()) {
            if !due.contains_key(base) {
                due.insert(base.clone(), Cause::Asked);
                open.push(base.clone());
            }
        }
    }
    due
}

/// Whether a build of the project's makes an image of that name, so that it need not come from a registry.
pub fn is_built(project: &Project, image: &str) -> bool {
    project.services.values().any(|service| service.build.is_some() && service.image == image)
}

/// Plans that images that are missing are looked for in their registries before they are built: Docker Compose's way for a service with
/// both `image` and `build`.
pub fn pull_before_build(project: &Project, observed: &ObservedState) -> Plan {
    let is_tried = |service: &Service| {
        let named = !project.is_own_image(service);
        let never = matches!(service.pull_policy, PullPolicy::Never | PullPolicy::Build);
        service.build.is_some() && named && !never && !observed.has_image(&service.image)
    };
    let tried = project.services.values().filter(|service| is_tried(service));
    pull::own_images(project, tried.map(|service| &**service), Cause::Missing)
}

/// Plans that the images of these services are built, each after those it is built on. What several services build alike is made once:
/// the others find it in the cache.
///
/// # Errors
/// Services are built on one another in a circle, or what one wants cannot be had.
pub fn build(project: &Project, services: &BTreeMap<ServiceName, Cause>, options: &BuildOptions) -> Result<Plan, PlanError> {
    let all = project.with_bases(services.keys());
    let graph = ServiceGraph::of(
        all.iter().map(|(name, service)| (*name, service.build.iter().flat_map(|build| build.bases()).collect())).collect(),
    )?;
    let mut plan = Plan::default();
    let mut steps: BTreeMap<&ServiceName, StepId> = BTreeMap::new();
    let mut made: Vec<(ImageBuild, StepId)> = Vec::new();
    for name in graph.order() {
        let (Some((name, service)), Some(cause)) = (all.get_key_value(name), services.get(name)) else { continue };
        let Some(recipe) = &service.build else { continue };
        let wanted = image_build(project, service, recipe, options)?;
        let same = made.iter().find(|(other, _)| other.spec.tags == wanted.spec.tags && is_alike(other, &wanted));
        if let Some((_, step)) = same {
            steps.insert(name, *step);
            continue;
        }
        // Of two that are made alike the first does the work, and of two with one name the last has it.
        let shares = |other: &ImageBuild| is_alike(other, &wanted) || other.spec.tags.iter().any(|tag| wanted.spec.tags.contains(tag));
        let mut after: Vec<StepId> = made.iter().filter(|(other, _)| shares(other)).map(|(_, step)| *step).collect();
        after.extend(recipe.bases().filter_map(|base| steps.get(base)));
        let operation = Operation::BuildImage { image: service.image.clone(), build: Box::new(wanted.clone()) };
        let step = plan.push(operation, after, cause.clone());
        steps.insert(name, step);
        made.push((wanted, step));
    }
    Ok(plan)
}

/// Whether two builds make the same files: they differ in nothing but names and the service they are for.
fn is_alike(one: &ImageBuild, other: &ImageBuild) -> bool {
    let bare = |build: &ImageBuild| {
        let mut build = build.clone();
        build.spec.tags.clear();
        build.spec.labels.remove(label::SERVICE);
        build
    };
    bare(one) == bare(other)
}

/// What is asked of a client for a service.
fn image_build(project: &Project, service: &Service, recipe: &Build, options: &BuildOptions) -> Result<ImageBuild, PlanError> {
    let elsewhere = |address: &str| PlanError::Elsewhere { service: service.name.clone(), address: address.to_owned() };
    let BuildContext::Folder(folder) = &recipe.context else {
        return Err(elsewhere(if let BuildContext::Elsewhere(address) = &recipe.context { address } else { "" }));
    };
    let mut spec = BuildSpec {
        dockerfile: dockerfile(service, folder, &recipe.dockerfile),
        target: recipe.target.clone(),
        args: arguments(recipe, options),
        labels: labels(project, service, recipe),
        tags: std::iter::once(service.image.clone()).chain(recipe.tags.iter().filter(|tag| **tag != service.image).cloned()).collect(),
        platform: platform(project, service, recipe, options.every_platform)?,
        cache_from: recipe.cache_images().map(str::to_owned).collect(),
        no_cache: recipe.no_cache || options.no_cache,
        no_cache_filter: recipe.no_cache_filter.clone(),
        pull: recipe.pull || options.pull,
        network: recipe.network.clone(),
        extra_hosts: recipe.extra_hosts.iter().map(|host| host.replacen('=', ":", 1)).collect(),
        shm_size: recipe.shm_size,
        ulimits: recipe.ulimits.clone(),
        ..BuildSpec::default()
    };
    let mut folders = BTreeMap::new();
    for (name, context) in &recipe.contexts {
        let named = match context {
            BuildContext::Folder(folder) => {
                folders.insert(name.clone(), folder.clone());
                NamedContext::Folder
            }
            BuildContext::Image(image) => NamedContext::Image(image.clone()),
            BuildContext::Service(other) => {
                let service = project.services.get(other).or_else(|| project.disabled.get(other));
                NamedContext::Built(service.map_or_else(|| other.to_string(), |service| service.image.clone()))
            }
            BuildContext::Elsewhere(address) => return Err(elsewhere(address)),
        };
        spec.contexts.insert(name.clone(), named);
    }
    let secrets = secrets(project, recipe);
    let ssh = agents(project, service, recipe, options)?;
    spec.secrets = secrets.keys().cloned().collect();
    spec.ssh = ssh.keys().cloned().collect();
    Ok(ImageBuild { spec, check: options.check, context: Some(folder.clone()), folders, secrets, ssh })
}

fn dockerfile(service: &Service, folder: &Path, dockerfile: &Dockerfile) -> DockerfileSource {
    match dockerfile {
        Dockerfile::Inline(text) => DockerfileSource::Text { name: format!("dockerfile_inline of {}", service.name), text: text.clone() },
        Dockerfile::File(file) => place_dockerfile(folder, &folder.join(file)),
    }
}

/// How a build is told of a Dockerfile: by its path in the context, or by its whole path where it lies outside.
pub fn place_dockerfile(folder: &Path, file: &Path) -> DockerfileSource {
    let (folder, file) = (plain(folder), plain(file));
    DockerfileSource::InContext(file.strip_prefix(&folder).unwrap_or(&file).to_string_lossy().into_owned())
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            component => plain.push(component),
        }
    }
    plain
}

/// The arguments of a build: those asked for are above those of the files, and what is only a default is below them.
pub(super) fn arguments(recipe: &Build, options: &BuildOptions) -> BTreeMap<String, String> {
    let mut args = options.default_args.clone();
    args.extend(recipe.args.clone());
    args.extend(options.args.clone());
    args
}

/// The labels of an image that is built for a service.
pub(super) fn labels(project: &Project, service: &Service, recipe: &Build) -> BTreeMap<String, String> {
    let mut labels = recipe.labels.clone();
    for (key, value) in
        [(label::PROJECT, project.name.as_str()), (label::SERVICE, service.name.as_str()), (label::VERSION, env!("CARGO_PKG_VERSION"))]
    {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// The platforms that an image is asked for; the engine's own when there are none.
pub(super) fn platforms(project: &Project, service: &Service, recipe: &Build, every: bool) -> Result<Vec<String>, PlanError> {
    let default = project.environment.get("DOCKER_DEFAULT_PLATFORM").filter(|text| !text.is_empty());
    let unbuilt = |platform: &String| !recipe.platforms.is_empty() && !recipe.platforms.contains(platform);
    match default.or(service.platform.as_ref()) {
        Some(platform) if unbuilt(platform) => {
            Err(PlanError::PlatformUnbuilt { service: service.name.clone(), platform: platform.clone() })
        }
        Some(platform) if !every || recipe.platforms.is_empty() => Ok(vec![platform.clone()]),
        // Which of several runs here is the engine's to say.
        None if !every && recipe.platforms.len() > 1 => Ok(Vec::new()),
        _ => Ok(recipe.platforms.clone()),
    }
}

fn platform(project: &Project, service: &Service, recipe: &Build, every: bool) -> Result<Option<String>, PlanError> {
    let platforms = platforms(project, service, recipe, every)?;
    let distinct: BTreeSet<&String> = platforms.iter().collect();
    if distinct.len() > 1 {
        return Err(PlanError::SeveralPlatforms { service: service.name.clone(), platforms: platforms.join(", ") });
    }
    Ok(platforms.into_iter().next())
}

/// The secrets there are: of a variable that is not set the Dockerfile says whether it can do without.
fn secrets(project: &Project, recipe: &Build) -> BTreeMap<String, SecretSource> {
    let source = |secret: &BuildSecret| match secret {
        BuildSecret::File(path) => Some(SecretSource::File(path.clone())),
        BuildSecret::Environment(name) => Some(SecretSource::Value(project.environment.get(name)?.clone().into_bytes())),
    };
    recipe.secrets.iter().filter_map(|(id, secret)| Some((id.clone(), source(secret)?))).collect()
}

/// The agents that go along, those of the command line over those of the files.
pub(super) fn agents_of(recipe: &Build, options: &BuildOptions) -> BTreeMap<String, Option<PathBuf>> {
    let mut agents = recipe.ssh.clone();
    agents.extend(options.ssh.clone());
    agents
}

fn agents(project: &Project, service: &Service, recipe: &Build, options: &BuildOptions) -> Result<BTreeMap<String, PathBuf>, PlanError> {
    let own = project.environment.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
    let socket = |(id, path): (String, Option<PathBuf>)| match path.or_else(|| own.map(PathBuf::from)) {
        Some(path) => Ok((id, path)),
        None => Err(PlanError::NoAgent { service: service.name.clone(), id }),
    };
    agents_of(recipe, options).into_iter().map(socket).collect()
}
