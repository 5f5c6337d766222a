//! Services that wait for each other in a circle, or are built on one another in one: no order could start or build them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::model::{Refusal, Service, Subject};
use crate::compose::project::node::Node;
use crate::compose::project::source::Span;
use crate::resource::name::ServiceName;

/// Reports a circle, with the place of each of its steps.
pub(crate) fn refuse(services: &BTreeMap<ServiceName, Arc<Service>>, document: &Node, problems: &mut Vec<Diagnostic>) {
    let edges = services.iter().map(|(name, service)| (name.as_str(), service.depends_on.keys().map(ServiceName::as_str).collect()));
    let Some(circle) = find(&edges.collect()) else { return };
    let mut problem = Diagnostic::error("cycle", format!("dependency cycle detected: {}", circle.join(" -> ")));
    for step in circle.windows(2) {
        let (service, dependency) = (step[0], step[1]);
        let Some(span) = place(document, service, dependency) else { continue };
        if problem.span.is_none() {
            problem.span = Some(span);
        } else {
            problem = problem.with(span, format!("{service} waits for {dependency}"));
        }
    }
    problems.push(problem.hint("one of these must start without waiting for the next: remove it from that `depends_on`"));
}

/// Reports a circle of services that are built on one another: nothing stands against loading them, but all against building.
pub(crate) fn refuse_builds(services: &BTreeMap<ServiceName, Arc<Service>>, document: &Node, refusals: &mut Vec<Refusal>) {
    let edges = services.iter().map(|(name, service)| {
        let bases = service.build.iter().flat_map(|build| build.bases());
        (name.as_str(), bases.map(ServiceName::as_str).collect())
    });
    let Some(circle) = find(&edges.collect()) else { return };
    let mut problem = Diagnostic::refusal("cycle", format!("services are built on one another in a circle: {}", circle.join(" -> ")));
    for step in circle.windows(2) {
        let (service, base) = (step[0], step[1]);
        let Some(span) = base_place(document, service, base) else { continue };
        if problem.span.is_none() {
            problem.span = Some(span);
        } else {
            problem = problem.with(span, format!("{service} is built on {base}"));
        }
    }
    let problem = problem.hint("one of these must be built without the next: name an image instead");
    // Whoever builds any of them hears of it; what is said twice of one place is told once.
    for name in services.keys().filter(|name| circle.contains(&name.as_str())) {
        refusals.push(Refusal { subject: Subject::Build(name.clone()), diagnostic: problem.clone() });
    }
}

/// Where a service names what it is built on.
fn base_place(document: &Node, service: &str, base: &str) -> Option<Span> {
    let contexts = document.get("services")?.get(service)?.get("build")?.get("additional_contexts")?;
    let is_it = |node: &Node| node.as_text().and_then(|text| text.strip_prefix("service:")) == Some(base);
    contexts.as_map()?.values().find(|entry| is_it(&entry.node)).map(|entry| entry.node.span)
}

/// Where a service names what it waits for.
fn place(document: &Node, service: &str, dependency: &str) -> Option<Span> {
    let terms = document.get("services")?.get(service)?.get("depends_on")?;
    terms.as_map()?.get(dependency).map(|entry| entry.key)
}

/// Returns a circle, from its first name in the alphabet around to itself; the same edges give the same one.
fn find<'a>(edges: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<Vec<&'a str>> {
    let mut done = BTreeSet::new();
    for start in edges.keys() {
        // Depth first: the way from `start`, and for each of its names how many of its edges were followed.
        let mut way: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((name, followed)) = way.last_mut() {
            let Some(next) = edges.get(name).and_then(|next| next.get(*followed)).copied() else {
                done.insert(*name);
                way.pop();
                continue;
            };
            *followed += 1;
            if let Some(first) = way.iter().position(|(name, _)| *name == next) {
                let mut circle: Vec<&str> = way[first..].iter().map(|(name, _)| *name).collect();
                let least = (0..circle.len()).min_by_key(|&index| circle[index]).unwrap_or(0);
                circle.rotate_left(least);
                circle.push(circle[0]);
                return Some(circle);
            }
            if !done.contains(next) {
                way.push((next, 0));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found() {
        for (text, expect) in [
            ("a>b b>a", Some("a b a")),
            ("a>a", Some("a a")),
            ("x>b b>c c>d d>b", Some("b c d b")),
            ("z>a a>q q>e,z e>", Some("a q z a")),
            ("a>b,c b>c c>gone", None),
            ("", None),
        ] {
            let parse = |entry: &'static str| {
                let (name, next) = entry.split_once('>')?;
                Some((name, next.split(',').filter(|it| !it.is_empty()).collect::<Vec<_>>()))
            };
            let found = find(&text.split(' ').filter_map(parse).collect());
            assert_eq!(found.map(|circle| circle.join(" ")).as_deref(), expect, "{text}");
        }
    }
}
