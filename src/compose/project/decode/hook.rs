//! Hooks: commands of the user's in the life of a service's containers.

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::{command, flag, text, variables};
use crate::compose::project::model::Hook;
use crate::compose::project::node::Node;
use crate::resource::image::ImageReference;

/// Reads the hooks of one kind.
pub(super) fn hooks(decoder: &mut Decoder<'_>, kind: &str) -> Vec<Hook> {
    let items = decoder.items(kind).to_vec();
    items.iter().enumerate().filter_map(|(index, item)| hook(decoder, kind, index, item)).collect()
}

fn hook(decoder: &mut Decoder<'_>, kind: &str, index: usize, item: &Node) -> Option<Hook> {
    item.as_map()?;
    let path = decoder.path(&format!("{kind}[{index}]"));
    let place = |key: &str| item.get(key).map_or(item.span, |node| node.span);
    let command = command(item, "command").filter(|words| !words.is_empty());
    if flag(item, "per_replica").unwrap_or_default() {
        let message = format!("{path}: per_replica is not yet supported; remove per_replica or set it to false");
        let hint = "such a hook runs once for all containers of the service; `post_start` runs in each".to_owned();
        decoder.refuse("not-yet", Some(place("per_replica")), message, Some(hint));
    }
    let image = text(item, "image").filter(|image| !image.is_empty());
    if let Some(Err(error)) = image.as_ref().map(|image| image.parse::<ImageReference>()) {
        decoder.refuse("image", Some(place("image")), format!("{path}.image: {error}"), Some("write `[REGISTRY/]NAME[:TAG]`".to_owned()));
    }
    Some(Hook {
        image,
        command,
        user: text(item, "user").filter(|user| !user.is_empty()),
        privileged: flag(item, "privileged").unwrap_or_default(),
        working_dir: text(item, "working_dir").filter(|folder| !folder.is_empty()),
        environment: variables(item, "environment"),
    })
}
