//! `push`: images that are built here go to their registries.

use std::collections::BTreeSet;

use crate::compose::plan::cause::Cause;
use crate::compose::plan::steps::Plan;
use crate::compose::project::model::Project;
use crate::resource::name::ServiceName;
use crate::resource::operation::Operation;

/// What `push` does.
#[derive(Debug, Default)]
pub struct Pushes {
    /// The pushes, of an image that services share one.
    pub plan: Plan,
    /// The services that have nothing to push: what is not built here came from where it would go, and what has no name has no place to go.
    pub skipped: Vec<ServiceName>,
}

/// Plans that the images which services build are pushed, under every name they have.
pub fn push(project: &Project) -> Pushes {
    let mut pushes = Pushes::default();
    let mut seen = BTreeSet::new();
    for service in project.services.values() {
        let Some(recipe) = service.build.as_ref().filter(|_| !project.is_own_image(service)) else {
            pushes.skipped.push(service.name.clone());
            continue;
        };
        for image in std::iter::once(&service.image).chain(&recipe.tags).filter(|image| seen.insert(*image)) {
            pushes.plan.push(Operation::PushImage { image: image.clone() }, [], Cause::Asked);
        }
    }
    pushes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::plan::simulate::project;

    #[test]
    fn what_is_built_and_has_a_name_is_pushed_once() {
        let project = project(
            "services: {a: {image: 'r/a:1', build: {context: ., tags: ['r/a:2', 'r/a:1']}}, b: {image: 'r/b'}, c: {build: .}, d: {image: 'r/a:2', build: .}}",
        );
        let pushes = push(&project);
        let pushed = pushes.plan.steps().iter().map(|step| match &step.operation {
            Operation::PushImage { image } => image.as_str(),
            other => panic!("{other:?}"),
        });
        assert_eq!(pushed.collect::<Vec<_>>(), ["r/a:1", "r/a:2"]);
        assert_eq!(pushes.skipped.iter().map(ServiceName::as_str).collect::<Vec<_>>(), ["b", "c"]);
    }
}
