//! The builds of a project as `docker buildx bake` reads them: what `build --print` writes.

use serde_json::{Map, Value, json};

use crate::compose::plan::image::{self, BuildOptions};
use crate::compose::plan::options::PlanError;
use crate::compose::project::build::{Build, BuildContext, BuildSecret, Dockerfile};
use crate::compose::project::model::{Project, Service};
use crate::resource::build::BuildNetwork;
use crate::resource::name::ServiceName;

/// Writes the builds of these services, and of those they are built on, as Docker Compose does.
///
/// # Errors
/// A platform is wanted that is not built.
pub fn bake<'a>(
    project: &'a Project,
    services: impl IntoIterator<Item = &'a ServiceName>,
    options: &BuildOptions,
) -> Result<Option<Value>, PlanError> {
    let mut targets = Map::new();
    for (name, service) in project.with_bases(services) {
        if let Some(recipe) = &service.build {
            targets.insert(target_name(name), target(project, service, recipe, options)?);
        }
    }
    let names: Vec<&String> = targets.keys().collect();
    Ok((!names.is_empty()).then(|| json!({ "group": { "default": { "targets": names } }, "target": targets })))
}

/// Bake's names have no dots.
fn target_name(service: &ServiceName) -> String {
    service.as_str().replace('.', "_")
}

fn target(project: &Project, service: &Service, recipe: &Build, options: &BuildOptions) -> Result<Value, PlanError> {
    let context = |context: &BuildContext| match context {
        BuildContext::Folder(folder) => folder.display().to_string(),
        BuildContext::Image(image) => format!("docker-image://{image}"),
        BuildContext::Service(name) => format!("target:{}", target_name(name)),
        BuildContext::Elsewhere(address) => address.clone(),
    };
    let (file, inline) = match (&recipe.dockerfile, &recipe.context) {
        (Dockerfile::Inline(text), _) => (None, Some(text.clone())),
        (Dockerfile::File(file), BuildContext::Folder(folder)) => (Some(folder.join(file).display().to_string()), None),
        (Dockerfile::File(file), _) => (Some(file.clone()), None),
    };
    let contexts: Map<String, Value> = recipe.contexts.iter().map(|(name, it)| (name.clone(), context(it).into())).collect();
    let mut tags = recipe.tags.clone();
    tags.push(service.image.clone());
    let secrets = recipe.secrets.iter().map(|(id, secret)| match secret {
        BuildSecret::File(path) => format!("id={id},type=file,src={}", path.display()),
        BuildSecret::Environment(name) => format!("id={id},type=env,env={name}"),
    });
    let agents = image::agents_of(recipe, options).into_iter();
    let agents = agents.map(|(id, path)| format!("{id}={}", path.unwrap_or_default().display()));
    let ulimits = recipe.ulimits.iter().map(|(name, limit)| match limit.soft == limit.hard {
        true => format!("{name}={}", limit.soft),
        false => format!("{name}={}:{}", limit.soft, limit.hard),
    });
    let mut hosts: Map<String, Value> = Map::new();
    for (name, address) in recipe.extra_hosts.iter().filter_map(|host| host.split_once('=')) {
        let before = hosts.get(name).and_then(Value::as_str).map(|before| format!("{before},"));
        hosts.insert(name.to_owned(), format!("{}{address}", before.unwrap_or_default()).into());
    }
    let platforms = image::platforms(project, service, recipe, true)?;
    let pushes = options.push && !project.is_own_image(service);
    let output = match (platforms.len() > 1, pushes) {
        (true, true) => "type=image,push=true",
        (true, false) => "type=image,push=false",
        (false, true) => "type=registry",
        (false, false) => "type=docker",
    };
    let network = match &recipe.network {
        BuildNetwork::Default => None,
        BuildNetwork::Host => Some("host"),
        BuildNetwork::None => Some("none"),
        BuildNetwork::Named(name) => Some(name.as_str()),
    };
    let fields = [
        ("context", json!(context(&recipe.context))),
        ("contexts", json!(contexts)),
        ("dockerfile", json!(file)),
        ("dockerfile-inline", json!(inline)),
        ("args", json!(image::arguments(recipe, options))),
        ("labels", json!(image::labels(project, service, recipe))),
        ("tags", json!(tags)),
        ("cache-from", json!(recipe.cache_from)),
        ("cache-to", json!(recipe.cache_to)),
        ("target", json!(recipe.target)),
        ("secret", json!(secrets.collect::<Vec<_>>())),
        ("ssh", json!(agents.collect::<Vec<_>>())),
        ("platforms", json!(platforms)),
        ("pull", json!(recipe.pull || options.pull)),
        ("no-cache", json!(recipe.no_cache || options.no_cache)),
        ("network", json!(network)),
        ("no-cache-filter", json!(recipe.no_cache_filter)),
        ("shm-size", json!(recipe.shm_size.map(|size| size.to_string()))),
        ("ulimits", json!(ulimits.collect::<Vec<_>>())),
        ("call", json!(options.check.then_some("lint"))),
        ("entitlements", json!(recipe.entitlements)),
        ("extra-hosts", json!(hosts)),
        ("output", json!((!options.check).then_some([output]))),
    ];
    let is_said = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    Ok(Value::Object(fields.into_iter().filter(|(_, value)| is_said(value)).map(|(key, value)| (key.to_owned(), value)).collect()))
}
