//! Where a service's image comes from, and when.

use std::time::Duration;

use crate::compose::project::decode::service::Decoder;
use crate::compose::project::decode::text;
use crate::compose::project::fix::Fix;
use crate::compose::project::model::PullPolicy;
use crate::compose::project::node::Node;
use crate::compose::project::scalar;
use crate::resource::image::{ImageReference, Platform};

const DAY: u64 = 86_400;

pub(super) fn reference(decoder: &mut Decoder<'_>) -> String {
    let image = text(decoder.node, "image").unwrap_or_default();
    let build = decoder.node.get("build").filter(|build| !build.is_null());
    if !image.is_empty() {
        if let Err(error) = image.parse::<ImageReference>() {
            let span = decoder.node.get("image").map(|node| node.span);
            decoder.refuse(
                "image",
                span,
                format!("services.{}.image: {error}", decoder.key),
                Some("write `[REGISTRY/]NAME[:TAG]`".to_owned()),
            );
        }
    } else if build.is_some() {
        let project = text(decoder.document, "name").unwrap_or_default();
        return format!("{project}{}{}", decoder.objects.around.separator, decoder.key);
    } else if !decoder.broken && decoder.node.get("provider").is_none_or(Node::is_null) {
        let message = format!("service \"{}\" has neither an image nor a build context specified", decoder.key);
        if let Some(image) = decoder.node.get("image").filter(|image| !image.is_null()) {
            let hint = "write `[REGISTRY/]NAME[:TAG]`; a variable needs a value";
            decoder.error("no-image", Some(image.span), message, Some(hint.to_owned()));
            return String::new();
        }
        let (span, image) = (decoder.node.span, format!("image: {}", decoder.key));
        let problem = decoder.error("no-image", None, message, Some(format!("give it an image: `{image}`")));
        problem.fix = Some(Fix::Add(span, image));
    }
    image
}

pub(super) fn platform(decoder: &mut Decoder<'_>) -> Option<String> {
    let node = decoder.node.get("platform")?;
    let text = node.as_text().filter(|text| !text.is_empty())?;
    if let Err(error) = text.parse::<Platform>() {
        let message = format!("{}: {error}", decoder.path("platform"));
        decoder.refuse("platform", Some(node.span), message, Some("write `os/arch[/variant]`, as in linux/amd64".to_owned()));
    }
    Some(text.to_owned())
}

pub(super) fn pull_policy(decoder: &mut Decoder<'_>) -> PullPolicy {
    let Some(node) = decoder.node.get("pull_policy") else { return PullPolicy::Unset };
    let Some(word) = node.as_text() else { return PullPolicy::Unset };
    let known = match word {
        "missing" | "if_not_present" => Some(PullPolicy::Missing),
        "always" | "refresh" => Some(PullPolicy::Always),
        "never" => Some(PullPolicy::Never),
        "daily" => Some(PullPolicy::Every(Duration::from_secs(DAY))),
        "weekly" => Some(PullPolicy::Every(Duration::from_secs(7 * DAY))),
        "build" => Some(PullPolicy::Build),
        // An amount with one of Docker Compose's letters each; `scalar` reads more of them.
        _ => word
            .strip_prefix("every_")
            .filter(|age| {
                age.ends_with(['w', 'd', 'h', 'm', 's']) && age.bytes().all(|byte| byte.is_ascii_digit() || b"wdhms".contains(&byte))
            })
            .and_then(scalar::duration)
            .map(PullPolicy::Every),
    };
    known.unwrap_or_else(|| {
        let message = format!("{}: there is no policy `{word}`", decoder.path("pull_policy"));
        let hint = "there are always, never, missing, build, daily, weekly, refresh, and `every_` with an age such as 12h";
        decoder.error("pull-policy", Some(node.span), message, Some(hint.to_owned()));
        PullPolicy::Unset
    })
}
