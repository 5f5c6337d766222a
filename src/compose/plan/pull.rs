//! `pull`, and what is due before `up`: images that are brought in although nothing has to be made from them.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::plan::cause::Cause;
use crate::compose::plan::desired;
use crate::compose::plan::steps::Plan;
use crate::compose::project::model::{Project, PullPolicy, Service};
use crate::resource::image::ImageReference;
use crate::resource::name::ServiceName;
use crate::resource::operation::Operation;

/// What `pull` does.
#[derive(Debug, Default)]
pub struct Pulls {
    /// The pulls, of an image that services share one.
    pub plan: Plan,
    /// The images that are passed over, and why; without a word where the files just say so.
    pub skipped: BTreeMap<String, &'static str>,
    /// The services that could build an image that is pulled, by image.
    pub builders: BTreeMap<String, Vec<ServiceName>>,
}

/// Plans that every image of the project's services is pulled, but those their services want otherwise: what is never pulled, and what
/// is only pulled when it is missing and is `here`. Whoever asks for a pull means more than `up` does: an age is up, and so is a
/// `latest`, for that is a tag that moves.
pub fn pull(project: &Project, here: impl Fn(&str) -> bool, ignore_buildable: bool) -> Pulls {
    let mut pulls = Pulls::default();
    let mut seen = BTreeSet::new();
    for service in project.services.values() {
        if service.build.is_some() {
            pulls.builders.entry(service.image.clone()).or_default().push(service.name.clone());
        }
        for image in service.images() {
            match reason_to_skip(project, service, image, here(image), ignore_buildable) {
                Some(reason) => drop(pulls.skipped.insert(image.to_owned(), reason)),
                None if seen.insert(image) => push(&mut pulls.plan, project, service, image, Cause::Asked),
                None => {}
            }
        }
    }
    pulls.skipped.retain(|image, _| !seen.contains(image.as_str()));
    pulls.builders.retain(|image, _| seen.contains(image.as_str()));
    pulls
}

/// Plans that every image of these services is pulled, whether it is here or not.
pub fn refresh(project: &Project, services: &BTreeSet<ServiceName>) -> Plan {
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for service in project.services.values().filter(|service| services.contains(&service.name)) {
        let is_nowhere = |image: &str| service.build.is_some() && image == service.image && project.is_own_image(service);
        for image in service.images().filter(|image| !is_nowhere(image) && seen.insert(*image)) {
            push(&mut plan, project, service, image, Cause::Asked);
        }
    }
    plan
}

/// Plans that the own images of these services are pulled.
pub(super) fn own_images<'a>(project: &Project, services: impl Iterator<Item = &'a Service>, cause: Cause) -> Plan {
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for service in services.filter(|service| seen.insert(service.image.as_str())) {
        push(&mut plan, project, service, &service.image, cause.clone());
    }
    plan
}

fn push(plan: &mut Plan, project: &Project, service: &Service, image: &str, cause: Cause) {
    let platform = desired::platform(project, service);
    plan.push(Operation::PullImage { image: image.to_owned(), platform }, [], cause);
}

/// Why an image of a service is passed over, if it is. A hook's is under the policy of its service, and is never built.
fn reason_to_skip(project: &Project, service: &Service, image: &str, here: bool, ignore_buildable: bool) -> Option<&'static str> {
    let own = image == service.image;
    match service.pull_policy {
        PullPolicy::Never => Some(""),
        PullPolicy::Build if own => Some(""),
        PullPolicy::Missing | PullPolicy::Build if here && !is_latest(image) => Some("it is here already"),
        _ if own && service.build.is_some() && project.is_own_image(service) => Some("no image to be pulled"),
        _ if own && service.build.is_some() && ignore_buildable => Some("it can be built"),
        _ => None,
    }
}

fn is_latest(image: &str) -> bool {
    image.parse::<ImageReference>().is_ok_and(|reference| reference.digest().is_none() && reference.tag() == Some("latest"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::plan::simulate::project;

    #[test]
    fn a_pull_by_hand_passes_over_what_is_here_only_where_that_is_said() {
        let service = |name: &str, rest: &str| format!("{name}: {{image: 'i/{name}:1', {rest}}}");
        let text = format!(
            "services: {{{}, {}, {}, {}, {}, {}, z: {{image: z, pull_policy: missing}}, zz: {{image: 'i/always:1', pull_policy: never}}, only: {{build: .}}}}",
            service("unset", ""),
            service("always", "pull_policy: always"),
            service("missing", "pull_policy: missing, pre_start: [{image: 'hook:1', command: x}]"),
            service("weekly", "pull_policy: weekly"),
            service("never", "pull_policy: never, pre_start: [{image: 'hook:2', command: x}]"),
            service("builds", "build: ."),
        );
        let project = project(&text);
        let all = ["always", "builds", "missing", "never", "unset", "weekly"].map(|name| format!("i/{name}:1"));
        let here: BTreeSet<String> = all.into_iter().chain(["hook:1", "hook:2", "z"].map(str::to_owned)).collect();
        let images = |pulls: &Pulls| {
            let steps = pulls.plan.steps().iter().map(|step| match &step.operation {
                Operation::PullImage { image, .. } => image.clone(),
                other => panic!("{other:?}"),
            });
            let skipped = pulls.skipped.iter().map(|(image, reason)| format!("-{image} {reason}"));
            steps.chain(skipped).collect::<Vec<_>>().join("\n")
        };
        let pulls = pull(&project, |image| here.contains(image), false);
        assert_eq!(
            images(&pulls),
            "i/always:1\ni/builds:1\ni/unset:1\ni/weekly:1\nz\n-hook:1 it is here already\n-hook:2 \n-i/missing:1 it is here already\n-i/never:1 \n-p-only no image to be pulled"
        );
        assert_eq!(pulls.builders.keys().collect::<Vec<_>>(), ["i/builds:1"]);
        // With nothing here, and what can be built left out.
        let pulls = pull(&project, |_| false, true);
        assert_eq!(
            images(&pulls),
            "i/always:1\ni/missing:1\nhook:1\ni/unset:1\ni/weekly:1\nz\n-hook:2 \n-i/builds:1 it can be built\n-i/never:1 \n-p-only no image to be pulled"
        );
        assert!(pulls.builders.is_empty());
    }
}
