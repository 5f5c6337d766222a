//! The steps of a service's hooks.

use std::collections::BTreeSet;

use crate::compose::plan::cause::Cause;
use crate::compose::plan::observed::Replica;
use crate::compose::plan::steps::{Plan, StepId};
use crate::compose::plan::{fingerprint, label};
use crate::compose::project::model::{Hook, Project, Service};
use crate::resource::container::ContainerState;
use crate::resource::exec::ExecSpec;
use crate::resource::operation::{HookKind, Operation};

/// What a container's label says of the hooks it was made for: `post_start=DIGEST`, with commas between; none without hooks.
pub(super) fn label(service: &Service) -> Option<String> {
    let hooks = [("pre_start", &service.pre_start), ("post_start", &service.post_start), ("pre_stop", &service.pre_stop)];
    let digests = hooks.iter().filter(|(_, hooks)| !hooks.is_empty()).map(|(name, hooks)| {
        // Invariant: hooks are plain data with string keys, which JSON can always hold.
        let hooks = serde_json::to_value(hooks).expect("hooks are plain data");
        format!("{name}={}", fingerprint::hash(&hooks))
    });
    Some(digests.collect::<Vec<_>>().join(",")).filter(|text| !text.is_empty())
}

/// The kinds of hooks in which two such labels differ.
pub(super) fn changed(from: Option<&str>, to: Option<&str>) -> Vec<String> {
    let kinds = |label: Option<&str>| label.iter().flat_map(|label| label.split(',')).map(str::to_owned).collect::<BTreeSet<_>>();
    let names = kinds(from)
        .symmetric_difference(&kinds(to))
        .map(|kind| kind.split_once('=').map_or("hooks", |(name, _)| name).to_owned())
        .collect::<BTreeSet<_>>();
    names.into_iter().collect()
}

/// What runs in a container after it started, in this order.
pub fn post_start(service: &Service, container: &str) -> Vec<Operation> {
    operations(service, container, HookKind::PostStart, &service.post_start)
}

/// What runs in a container before it is stopped, in this order.
pub fn pre_stop(service: &Service, container: &str) -> Vec<Operation> {
    operations(service, container, HookKind::PreStop, &service.pre_stop)
}

/// Adds what runs after the start of a container; returns the last step, or the start.
pub(super) fn after_start(plan: &mut Plan, service: &Service, container: &str, started: StepId, cause: &Cause) -> StepId {
    post_start(service, container).into_iter().fold(started, |before, operation| plan.push(operation, [before], cause.clone()))
}

/// Adds what runs before the stop of a container; returns the steps that the stop comes after. Nothing runs in one that is frozen or does
/// not run, in a one-off or the container of a hook, or in one whose service no file names.
pub(super) fn before_stop(plan: &mut Plan, project: Option<&Project>, replica: &Replica, after: &[StepId], cause: &Cause) -> Vec<StepId> {
    let service = project.and_then(|it| it.services.get(&replica.service).or_else(|| it.disabled.get(&replica.service)));
    let runs = matches!(replica.info.state, ContainerState::Running { paused: false, .. });
    let hooks = service
        .filter(|_| runs && !replica.one_off && replica.label(label::HOOK).is_none())
        .map(|service| pre_stop(service, replica.name()));
    hooks.into_iter().flatten().fold(after.to_vec(), |before, operation| vec![plan.push(operation, before, cause.clone())])
}

fn operations(service: &Service, container: &str, kind: HookKind, hooks: &[Hook]) -> Vec<Operation> {
    let operation = |(index, hook): (usize, &Hook)| Operation::RunHook {
        container: container.to_owned(),
        service: service.name.to_string(),
        kind,
        index,
        exec: Box::new(exec(hook)),
    };
    hooks.iter().enumerate().map(operation).collect()
}

fn exec(hook: &Hook) -> ExecSpec {
    let variable = |(name, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    ExecSpec {
        command: hook.command.clone().unwrap_or_default(),
        environment: hook.environment.iter().map(variable).collect(),
        working_dir: hook.working_dir.clone(),
        user: hook.user.clone(),
        privileged: hook.privileged,
        stdout: true,
        stderr: true,
        ..ExecSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::changed;
    use crate::compose::plan::simulate::{World, project};
    use crate::compose::plan::{self, DownOptions, Plan, StopPlanOptions, UpOptions, undo};
    use crate::resource::container::ContainerState;

    const ALL: &str = "
services:
  web:
    image: a
    scale: 2
    depends_on: [db]
    pre_start: [{command: one}, {command: two, image: b}]
    post_start: [{command: up}, {command: again}]
    pre_stop: [{command: down}]
  db: {image: a, pre_stop: [{command: down}]}
";
    const ONE: &str = "services: {web: {image: a, pre_start: [{command: one}], post_start: [{command: up}], pre_stop: [{command: down}]}}";

    fn up(text: &str, world: &World) -> Plan {
        let project = project(text);
        plan::up(&project, &world.observed(&project), &UpOptions::default()).expect("a plan")
    }

    #[track_caller]
    fn check(plan: &Plan, expect: &str) {
        let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let actual = plan.to_string();
        assert_eq!(actual.trim_end(), expect.join("\n"), "\n--- actual\n{actual}");
    }

    #[test]
    fn hooks_have_their_places_around_starts() {
        check(
            &up(ALL, &World::default()),
            r#"
            #1 pull image a (missing)
            #2 pull image b (missing)
            #3 create network p_default after #1 #2 (missing)
            #4 create container p-db-1 after #1 #2 #3 (missing)
            #5 start container p-db-1 after #4 (created)
            #6 create container p-web-1 after #1 #2 #3 (missing)
            #7 create container p-web-2 after #1 #2 #3 (missing)
            #8 run pre_start[0] of web in container p-web-pre_start-0 after #5 #6 #7 (before web starts)
            #9 run pre_start[1] of web in container p-web-pre_start-1 after #8 (before web starts)
            #10 start container p-web-1 after #6 #9 (created)
            #11 run post_start[0] in container p-web-1 after #10 (created)
            #12 run post_start[1] in container p-web-1 after #11 (created)
            #13 start container p-web-2 after #7 #9 (created)
            #14 run post_start[0] in container p-web-2 after #13 (created)
            #15 run post_start[1] in container p-web-2 after #14 (created)
            "#,
        );
    }

    #[test]
    fn hooks_run_for_what_starts_alone() {
        let world = World::after(&up(ALL, &World::default()));
        check(&up(ALL, &world), "");
        check(
            &up(&ALL.replace("scale: 2", "scale: 3"), &world),
            r#"
            #1 create container p-web-3 (missing)
            #2 start container p-web-3 after #1 (created)
            #3 run post_start[0] in container p-web-3 after #2 (created)
            #4 run post_start[1] in container p-web-3 after #3 (created)
            "#,
        );
    }

    #[test]
    fn another_hook_recreates() {
        let world = World::after(&up(ONE, &World::default()));
        check(
            &up(&ONE.replace("command: up", "command: on"), &world),
            r#"
            #1 create container 030303030303_p-web-1 (changed: post_start)
            #2 run pre_stop[0] in container p-web-1 after #1 (changed: post_start)
            #3 stop container p-web-1 after #2 (changed: post_start)
            #4 remove container p-web-1 after #1 #3 (changed: post_start)
            #5 rename container 030303030303_p-web-1 to p-web-1 after #4 (changed: post_start)
            #6 run pre_start[0] of web in container p-web-pre_start-0 after #5 (before web starts)
            #7 start container p-web-1 after #5 #6 (changed: post_start)
            #8 run post_start[0] in container p-web-1 after #7 (changed: post_start)
            "#,
        );
    }

    #[test]
    fn the_kind_of_hook_that_changed_is_told() {
        check_changed("pre_start=1,pre_stop=2", "pre_start=1,pre_stop=2", &[]);
        check_changed("pre_start=1,pre_stop=2", "post_start=3,pre_start=4,pre_stop=2", &["post_start", "pre_start"]);
        check_changed("pre_stop=1", "", &["pre_stop"]);
    }

    #[track_caller]
    fn check_changed(from: &'static str, to: &'static str, expect: &[&str]) {
        let label = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        assert_eq!(changed(label(from), label(to)), expect);
    }

    #[test]
    fn stops_have_hooks_where_files_tell_of_them() {
        let whole = project(ONE);
        let world = World::after(&up(ONE, &World::default()));
        let observed = world.observed(&whole);
        check(
            &plan::down(&whole.name, Some(&whole), &observed, &DownOptions::default()).expect("a plan"),
            r#"
            #1 run pre_stop[0] in container p-web-1 (asked)
            #2 stop container p-web-1 after #1 (asked)
            #3 remove container p-web-1 after #2 (asked)
            #4 remove network p_default after #3 (asked)
            "#,
        );
        let stop = plan::stop(None, &observed, &StopPlanOptions::default()).expect("a plan");
        check(&stop, "#1 stop container p-web-1 (asked)");
        check(
            &plan::restart(Some(&whole), &observed, &Default::default()).expect("a plan"),
            r#"
            #1 start container p-web-1 (asked)
            #2 run post_start[0] in container p-web-1 after #1 (asked)
            "#,
        );
    }

    #[test]
    fn a_hook_that_failed_stays_with_what_it_ran_for_and_goes_with_the_next_run() {
        let whole = project(ONE);
        let first = up(ONE, &World::default());
        let mut world = World::after(&first);
        let before = World::default().observed(&whole);
        world.leave_hook(&first);
        world.change("p-web-1", |info| info.state = ContainerState::Created);
        check(&undo(&first, &before, &world.observed(&whole)), "");
        check(
            &up(ONE, &world),
            r#"
            #1 remove container p-web-pre_start-0 (left by an interrupted run)
            #2 run pre_start[0] of web in container p-web-pre_start-0 after #1 (before web starts)
            #3 start container p-web-1 after #2 (not running)
            #4 run post_start[0] in container p-web-1 after #3 (not running)
            "#,
        );
        check(
            &plan::down(&whole.name, Some(&whole), &world.observed(&whole), &DownOptions::default()).expect("a plan"),
            r#"
            #1 stop container p-web-1 (asked)
            #2 stop container p-web-pre_start-0 (asked)
            #3 remove container p-web-1 after #1 (asked)
            #4 remove container p-web-pre_start-0 after #2 (asked)
            #5 remove network p_default after #3 #4 (asked)
            "#,
        );
    }
}
