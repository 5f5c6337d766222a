//! Services that wait for each other in a circle: no order could start them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compose::project::diagnostic::Diagnostic;
use crate::compose::project::model::Service;
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
