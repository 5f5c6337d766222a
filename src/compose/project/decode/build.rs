//! The `build` of a service. What fits together is checked elsewhere; here is what becomes of it, and what this engine cannot do of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::compose::project::build::{Build, BuildContext, BuildSecret, Dockerfile, cache_image};
use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{dictionary, flag, limit, text, texts};
use crate::compose::project::diagnostic::{Diagnostic, Severity};
use crate::compose::project::model::FileSource;
use crate::compose::project::node::{Node, Value};
use crate::compose::project::short;
use crate::resource::build::BuildNetwork;
use crate::resource::image::{ImageReference, Platform};

/// Reads the `build` of a service whose image has such a name.
pub(super) fn build(decoder: &mut Decoder<'_>, image: &str) -> Option<Build> {
    let node = decoder.node.get("build").filter(|build| build.as_map().is_some())?;
    names(decoder, node, image);
    platforms(decoder, node);
    rights(decoder, node);
    attestations(decoder, node);
    caches(decoder, node);
    Some(Build {
        context: folder(decoder, node),
        dockerfile: match text(node, "dockerfile_inline") {
            Some(inline) => Dockerfile::Inline(inline),
            None => Dockerfile::File(text(node, "dockerfile").unwrap_or_else(|| "Dockerfile".to_owned())),
        },
        target: text(node, "target"),
        args: arguments(node),
        contexts: contexts(decoder, node),
        secrets: secrets(decoder, node),
        ssh: agents(node),
        labels: dictionary(node, "labels"),
        tags: texts(node, "tags"),
        network: network(node),
        extra_hosts: texts(node, "extra_hosts"),
        shm_size: limit::shm_size(node),
        ulimits: limit::ulimits(decoder, node.get("ulimits"), "build.ulimits"),
        no_cache: flag(node, "no_cache").unwrap_or_default(),
        no_cache_filter: texts(node, "no_cache_filter").into_iter().collect(),
        pull: flag(node, "pull").unwrap_or_default(),
        platforms: texts(node, "platforms"),
        cache_from: texts(node, "cache_from"),
        cache_to: texts(node, "cache_to"),
        entitlements: texts(node, "entitlements"),
    })
}

fn items<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a Node, &'a str)> {
    node.get(key).and_then(Node::as_list).unwrap_or_default().iter().filter_map(|item| Some((item, item.as_text()?)))
}

/// Reports what can name no image.
fn names(decoder: &mut Decoder<'_>, node: &Node, image: &str) {
    for (item, tag) in items(node, "tags") {
        if let Err(error) = tag.parse::<ImageReference>() {
            let hint = Some("write `[REGISTRY/]NAME[:TAG]`".to_owned());
            decoder.refuse("image", Some(item.span), format!("{}: {error}", decoder.path("build.tags")), hint);
        }
    }
    if text(decoder.node, "image").is_none()
        && let Err(error) = image.parse::<ImageReference>()
    {
        let message = format!("services.{}: what is built has the name `{image}`: {error}", decoder.key);
        decoder.refuse("image", None, message, Some(format!("name it: `image: {}`", image.to_lowercase())));
    }
}

fn folder(decoder: &mut Decoder<'_>, node: &Node) -> BuildContext {
    let written = text(node, "context").unwrap_or_default();
    if !short::is_remote(&written) {
        return BuildContext::Folder(PathBuf::from(written));
    }
    let message =
        format!("{}: `{written}` is no folder of this machine, and what lies elsewhere is not fetched yet", decoder.path("build.context"));
    let span = node.get("context").map(|context| context.span);
    decoder.refuse("not-yet", span, message, Some("fetch it, and name the folder".to_owned()));
    BuildContext::Elsewhere(written)
}

fn contexts(decoder: &mut Decoder<'_>, node: &Node) -> BTreeMap<String, BuildContext> {
    let mut contexts = BTreeMap::new();
    for (name, entry) in node.get("additional_contexts").and_then(Node::as_map).into_iter().flatten() {
        let Some(written) = entry.node.as_text() else { continue };
        let context = if let Some(service) = written.strip_prefix("service:") {
            // One that is no name is no service's, which was told.
            let Ok(service) = service.parse() else { continue };
            BuildContext::Service(service)
        } else if let Some(image) = written.strip_prefix("docker-image://") {
            if let Err(error) = image.parse::<ImageReference>() {
                let message = format!("{}: {error}", decoder.path(&format!("build.additional_contexts.{name}")));
                let hint = Some("write `docker-image://[REGISTRY/]NAME[:TAG]`".to_owned());
                decoder.refuse("image", Some(entry.node.span), message, hint);
            }
            BuildContext::Image(image.to_owned())
        } else if short::is_remote(written) {
            let path = decoder.path(&format!("build.additional_contexts.{name}"));
            let (what, hint) = match written.split_once("://") {
                Some(("oci-layout", _)) => {
                    ("layouts are not read yet", "bring it in with `gantry image load`, and write `docker-image://NAME`")
                }
                _ => ("what lies elsewhere is not fetched yet", "fetch it, and name the folder"),
            };
            decoder.refuse("not-yet", Some(entry.node.span), format!("{path}: `{written}`: {what}"), Some(hint.to_owned()));
            BuildContext::Elsewhere(written.to_owned())
        } else {
            BuildContext::Folder(PathBuf::from(written))
        };
        contexts.insert(name.clone(), context);
    }
    contexts
}

/// Those that have a value: one without was not found in the environment.
fn arguments(node: &Node) -> BTreeMap<String, String> {
    let map = node.get("args").and_then(Node::as_map);
    map.into_iter().flatten().filter_map(|(name, entry)| Some((name.clone(), entry.node.as_scalar()?))).collect()
}

fn secrets(decoder: &mut Decoder<'_>, node: &Node) -> BTreeMap<String, BuildSecret> {
    let mut secrets = BTreeMap::new();
    for (index, item) in node.get("secrets").and_then(Node::as_list).unwrap_or_default().iter().enumerate() {
        let path = decoder.path(&format!("build.secrets[{index}]"));
        let Some(source) = item.get("source").filter(|source| source.as_text().is_some_and(|key| !key.is_empty())) else {
            if item.as_map().is_some() {
                let hint = Some("name one of the top level's `secrets`".to_owned());
                decoder.error("source", Some(item.span), format!("{path}: a secret needs a `source`"), hint);
            }
            continue;
        };
        for name in ["uid", "gid", "mode"] {
            let Some(entry) = item.as_map().and_then(|map| map.get(name)) else { continue };
            let message = format!("{path}.{name} has no effect");
            let hint = format!("the Dockerfile says it where it reads the secret: `--mount=type=secret,{name}=…`");
            decoder.problems.push(note(message).at(entry.key).hint(hint));
        }
        let key = source.as_text().unwrap_or_default();
        let id = text(item, "target").unwrap_or_else(|| key.to_owned());
        let secret = match decoder.objects.secrets.get(key).map(|object| &object.source) {
            Some(FileSource::File(file)) => BuildSecret::File(file.clone()),
            Some(FileSource::Environment(name)) => BuildSecret::Environment(name.clone()),
            Some(FileSource::External) => {
                let hint = "an external one lives in a swarm, which is not here; give it a `file` or an `environment`".to_owned();
                decoder.refuse("not-yet", Some(source.span), format!("{path}: unsupported external secret {key}"), Some(hint));
                continue;
            }
            // A secret has no content in the file, and one that is not there was told.
            Some(FileSource::Content(_)) | None => continue,
        };
        if secrets.insert(id.clone(), secret).is_some() {
            let message = format!("{path}: there is a secret with the id `{id}` already");
            decoder.refuse("secret", Some(item.span), message, Some("give one of the two another `target`".to_owned()));
        }
    }
    secrets
}

/// A note to whoever builds.
fn note(message: String) -> Diagnostic {
    Diagnostic { severity: Severity::Note, ..Diagnostic::warning("inert", message) }
}

/// `default`, or `ID=PATH`; what is neither was told.
fn agents(node: &Node) -> BTreeMap<String, Option<PathBuf>> {
    let agent = |written: &str| match written.split_once('=') {
        Some((id, path)) => (id.to_owned(), Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty())),
        None => (written.to_owned(), None),
    };
    items(node, "ssh").map(|(_, written)| agent(written)).collect()
}

fn network(node: &Node) -> BuildNetwork {
    match text(node, "network").as_deref() {
        None | Some("default") => BuildNetwork::Default,
        Some("host") => BuildNetwork::Host,
        Some("none") => BuildNetwork::None,
        Some(name) => BuildNetwork::Named(name.to_owned()),
    }
}

fn platforms(decoder: &mut Decoder<'_>, node: &Node) {
    for (item, written) in items(node, "platforms") {
        if let Err(error) = Platform::wanted(written) {
            let message = format!("{}: {error}", decoder.path("build.platforms"));
            decoder.refuse("platform", Some(item.span), message, Some("write `os/arch[/variant]`, as in linux/amd64".to_owned()));
        }
    }
}

/// Reports rights that a build has not here.
fn rights(decoder: &mut Decoder<'_>, node: &Node) {
    if flag(node, "privileged") == Some(true) {
        let span = node.get("privileged").map(|privileged| privileged.span);
        let message = format!("{}: a build has the rights of an ordinary container, and no more", decoder.path("build.privileged"));
        let hint = "remove it, and do what needs more rights in a container: `privileged: true` of the service";
        decoder.refuse("not-yet", span, message, Some(hint.to_owned()));
    }
    for (item, written) in items(node, "entitlements") {
        // The host's network needs none here.
        if written != "network.host" {
            let message = format!("{}: `{written}` cannot be had: a build has the rights of an ordinary container", {
                decoder.path("build.entitlements")
            });
            decoder.refuse("not-yet", Some(item.span), message, Some("remove it; there is `network.host`".to_owned()));
        }
    }
}

/// Reports what an image would have to say of itself.
fn attestations(decoder: &mut Decoder<'_>, node: &Node) {
    for name in ["provenance", "sbom"] {
        let Some(setting) = node.get(name) else { continue };
        let is_off = match &setting.value {
            Value::Text(text) => text.is_empty() || text == "false",
            Value::Boolean(asked) => !asked,
            _ => true,
        };
        if !is_off {
            let message = format!("{}: an image does not say how it was made or of what: no attestations are written", {
                decoder.path(&format!("build.{name}"))
            });
            decoder.refuse("not-yet", Some(setting.span), message, Some(format!("remove it, or write `{name}: false`")));
        }
    }
}

/// Tells of caches elsewhere: what is not read makes a build slower and nothing else, what is not written somebody misses.
fn caches(decoder: &mut Decoder<'_>, node: &Node) {
    for (item, written) in items(node, "cache_from").filter(|(_, written)| cache_image(written).is_none()) {
        let message = format!("{}: `{written}` is not read: steps come from this engine's own cache, and from images", {
            decoder.path("build.cache_from")
        });
        decoder.problems.push(note(message).at(item.span).hint("name an image: `cache_from: [IMAGE]`"));
    }
    for (item, written) in items(node, "cache_to") {
        let path = decoder.path("build.cache_to");
        // An image carries its steps in any case.
        if !written.split(',').any(|field| field.trim() == "type=inline") {
            let message = format!("{path}: `{written}`: a cache is not written elsewhere; this engine keeps its own");
            decoder.refuse("not-yet", Some(item.span), message, Some("remove it; steps are found again here without it".to_owned()));
        }
    }
}
