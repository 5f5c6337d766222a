//! `events`: what happens to the project's containers, as it happens.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::args::list::EventsArgs;
use crate::cli::command::known_names;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::observe;
use crate::cli::output::relative;
use crate::compose::plan::label;
use crate::resource::event::{Event, EventFilter, EventKind};

/// Runs the command; it ends at `--until`, or when it is interrupted.
pub(super) async fn run(args: EventsArgs, context: &Context) -> Result<u8, CommandError> {
    let (since, until) = (relative::moment(args.since.as_deref())?, relative::moment(args.until.as_deref())?);
    let (name, project) = context.project_or_name(&[])?;
    let client = context.client().await?;
    let mut filters = label::project_filter(name.as_str());
    filters.insert("type".to_owned(), vec!["container".to_owned()]);
    let mut stream = client.events(&EventFilter { since, until, filters }).await?;
    let services = if args.services.services.is_empty() {
        Vec::new()
    } else {
        let observed = observe::replicas(client, &name).await?;
        known_names(project.as_ref(), &observed, &args.services.services)?.into_iter().collect()
    };
    while let Some(event) = stream.next().await {
        let event = event?;
        let label = |key: &str| event.attributes.get(key).map(String::as_str);
        let service = label(label::SERVICE).unwrap_or_default();
        let wanted = services.is_empty() || services.iter().any(|it| it.as_str() == service);
        if event.kind != EventKind::Container || label(label::ONE_OFF) == Some("True") || !wanted {
            continue;
        }
        context.terminal.line(&if args.json { as_json(&event, service) } else { as_text(&event) });
        context.terminal.flush();
        if context.terminal.reader_left() {
            break;
        }
    }
    Ok(0)
}

/// What is told of it, without the labels by which it is a project's.
fn attributes(event: &Event) -> BTreeMap<&str, &str> {
    let told = |key: &&String| !key.starts_with(label::PREFIX) && key.as_str() != label::SPEC;
    event.attributes.iter().filter(|(key, _)| told(key)).map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn as_json(event: &Event, service: &str) -> String {
    // Docker Compose's keys, in the order of the alphabet.
    json!({
        "action": event.action,
        "attributes": attributes(event),
        "id": event.actor,
        "service": service,
        "time": event.time.to_string(),
        "type": "container",
    })
    .to_string()
}

/// Two lines: what happened, and nothing.
fn as_text(event: &Event) -> String {
    let attributes: Vec<String> = attributes(event).iter().map(|(key, value)| format!("{key}={value}")).collect();
    let time = event.time.fixed();
    let time = time.get(..26).unwrap_or(&time).replace('T', " ");
    format!("{time} container {} {} ({})\n", event.action, event.actor, attributes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::time::Timestamp;

    #[test]
    fn events_are_told_in_composes_two_ways() {
        let attributes = [("image", "web:1"), (label::PROJECT, "shop"), (label::SPEC, "{}"), ("name", "shop-web-1")];
        let event = Event {
            number: 1,
            time: Timestamp::from_nanos(1_500_000_001_234_567_890),
            kind: EventKind::Container,
            action: "start".to_owned(),
            actor: "abc".to_owned(),
            attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        };
        assert_eq!(as_text(&event), "2017-07-14 02:40:01.234567 container start abc (image=web:1, name=shop-web-1)\n");
        let expect = concat!(
            r#"{"action":"start","attributes":{"image":"web:1","name":"shop-web-1"},"id":"abc","service":"web","#,
            r#""time":"2017-07-14T02:40:01.23456789Z","type":"container"}"#
        );
        assert_eq!(as_json(&event, "web"), expect);
    }
}
