//! Services and what each waits for.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::compose::project::model::{Dependency, Project};
use crate::resource::name::ServiceName;
use crate::resource::operation::Condition;

/// Services that wait for each other, in a circle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dependency cycle detected: {}", .0.join(" -> "))]
pub struct Cycle(pub Vec<String>);

/// Services and what each waits for; acyclic, since [`ServiceGraph::new`] refuses a cycle.
#[derive(Debug)]
pub struct ServiceGraph {
    /// An edge leads from the dependant to the dependency.
    graph: DiGraph<ServiceName, ()>,
    nodes: BTreeMap<ServiceName, NodeIndex>,
    /// Dependencies before dependants.
    order: Vec<ServiceName>,
}

impl ServiceGraph {
    /// The graph of a project's services.
    ///
    /// # Errors
    /// Services wait for each other; the error is the path around.
    pub fn new(project: &Project) -> Result<Self, Cycle> {
        Self::of(project.services.iter().map(|(name, service)| (name, service.depends_on.keys().collect())).collect())
    }

    /// The graph of these services and the names of what each waits for; dependencies that are not in it are left out.
    pub(super) fn of(services: BTreeMap<&ServiceName, Vec<&ServiceName>>) -> Result<Self, Cycle> {
        let mut graph = DiGraph::new();
        let nodes: BTreeMap<ServiceName, NodeIndex> = services.keys().map(|&name| (name.clone(), graph.add_node(name.clone()))).collect();
        for (name, dependencies) in &services {
            for dependency in dependencies.iter().filter_map(|name| nodes.get(*name)) {
                graph.add_edge(nodes[*name], *dependency, ());
            }
        }
        match toposort(&graph, None) {
            Ok(sorted) => {
                let order = sorted.into_iter().rev().map(|node| graph[node].clone()).collect();
                Ok(Self { graph, nodes, order })
            }
            Err(cycle) => Err(path_around(&graph, cycle.node_id())),
        }
    }

    /// Dependencies before dependants.
    pub fn order(&self) -> &[ServiceName] {
        &self.order
    }

    /// The services that wait for this one, directly.
    pub fn dependants(&self, service: &ServiceName) -> BTreeSet<&ServiceName> {
        let node = self.nodes.get(service);
        node.into_iter().flat_map(|node| self.graph.neighbors_directed(*node, Direction::Incoming)).map(|it| &self.graph[it]).collect()
    }

    /// These services and all that wait for them, however indirectly.
    pub fn with_dependants(&self, services: &BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
        let mut found = services.clone();
        let mut open: Vec<ServiceName> = services.iter().cloned().collect();
        while let Some(service) = open.pop() {
            for dependant in self.dependants(&service) {
                if found.insert(dependant.clone()) {
                    open.push(dependant.clone());
                }
            }
        }
        found
    }
}

/// Walks from a node of a cycle along its first edges that stay on a cycle, until it meets itself.
fn path_around(graph: &DiGraph<ServiceName, ()>, start: NodeIndex) -> Cycle {
    // Depth first, remembering the way; a node of a cycle reaches itself, so the search ends there.
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way[way.len() - 1];
        for next in graph.neighbors(last) {
            if next == start {
                let mut names: Vec<String> = way.iter().map(|node| graph[*node].to_string()).collect();
                // The circle is told from its first name in the alphabet: the same files give the same message.
                let least = (0..names.len()).min_by_key(|&index| &names[index]).unwrap_or(0);
                names.rotate_left(least);
                names.push(names[0].clone());
                return Cycle(names);
            }
            if seen.insert(next) {
                ways.push([way.as_slice(), &[next]].concat());
            }
        }
    }
    Cycle(vec![graph[start].to_string(), graph[start].to_string()])
}

/// Compose's word for a condition.
pub(super) const fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "service_started",
        Condition::Healthy => "service_healthy",
        Condition::Completed => "service_completed_successfully",
    }
}

/// `service:condition:restart`, as Docker Compose writes it into a label.
pub(super) fn write_dependencies(dependencies: &BTreeMap<ServiceName, Dependency>) -> String {
    let one = |(name, it): (&ServiceName, &Dependency)| format!("{name}:{}:{}", condition_word(it.condition), it.restart);
    dependencies.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The names, and whether completion is awaited, in a label written so.
pub(super) fn read_dependencies(label: &str) -> Vec<(ServiceName, bool)> {
    let one = |entry: &str| {
        let mut parts = entry.split(':');
        let name = parts.next()?.parse().ok()?;
        Some((name, parts.next() == Some("service_completed_successfully")))
    };
    label.split(',').filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &str) -> Result<ServiceGraph, Cycle> {
        let name = |text: &str| text.parse::<ServiceName>().expect("a good name");
        let services: Vec<(ServiceName, Vec<ServiceName>)> = text
            .split(' ')
            .map(|entry| {
                let (service, dependencies) = entry.split_once('>').unwrap_or((entry, ""));
                (name(service), dependencies.split(',').filter(|it| !it.is_empty()).map(name).collect())
            })
            .collect();
        ServiceGraph::of(services.iter().map(|(service, dependencies)| (service, dependencies.iter().collect())).collect())
    }

    #[test]
    fn dependencies_come_first() {
        let graph = graph("a>b,c b>c c").expect("acyclic");
        assert_eq!(graph.order().iter().map(ServiceName::as_str).collect::<Vec<_>>(), ["c", "b", "a"]);
        let all = graph.with_dependants(&BTreeSet::from(["c".parse().expect("a good name")]));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn a_cycle_is_told_as_the_path_around() {
        for (text, expect) in [
            ("a>b b>a", "a -> b -> a"),
            ("a>a", "a -> a"),
            ("x>b b>c c>d d>b", "b -> c -> d -> b"),
            ("z>a a>q q>e,z e", "a -> q -> z -> a"),
        ] {
            let cycle = graph(text).expect_err("a cycle");
            assert_eq!(cycle.to_string(), format!("dependency cycle detected: {expect}"));
        }
    }
}
