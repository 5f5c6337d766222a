//! Plans as texts: a project and a world in, operations out; and what holds for all of them.

mod change;
mod converge;
mod down;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::compose::plan::simulate::{World, project};
use crate::compose::plan::{self, DownOptions, Plan, PlanError, Recreate, UpOptions, label};
use crate::resource::container::ContainerState;
use crate::resource::name::ServiceName;
use crate::resource::operation::Operation;
use crate::resource::time::Timestamp;

const SHOP: &str = "
services:
  web: {image: web, depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}, ports: ['80:80']}
  db: {image: db, volumes: ['data:/data', /scratch], healthcheck: {test: x}}
  job: {image: db, depends_on: [db]}
volumes: {data: }
";

fn named(names: &[&str]) -> BTreeSet<ServiceName> {
    names.iter().map(|name| name.parse().expect("a good name")).collect()
}

/// The plan from a world to a text, with its warnings and what it keeps.
fn up(text: &str, world: &World, options: &UpOptions) -> String {
    let project = project(text);
    match plan::up(&project, &world.observed(&project), options) {
        Ok(plan) => shown(&plan),
        Err(error) => format!("error: {error}\n"),
    }
}

fn shown(plan: &Plan) -> String {
    let kept: String = plan.kept.iter().map(|name| format!("keep {name}\n")).collect();
    let warnings: String = plan.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    format!("{plan}{kept}{warnings}")
}

/// A world in which the text is up.
#[track_caller]
fn running(text: &str) -> World {
    let project = project(text);
    World::after(&plan::up(&project, &World::default().observed(&project), &UpOptions::default()).expect("a plan"))
}

#[track_caller]
fn check(actual: &str, expect: &str) {
    let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(actual.trim_end(), expect.join("\n"), "\n--- actual\n{actual}");
}

#[test]
fn a_first_up_makes_everything() {
    check(
        &up(SHOP, &World::default(), &UpOptions::default()),
        r#"
        #1 pull image db (missing)
        #2 pull image web (missing)
        #3 create network p_default after #1 #2 (missing)
        #4 create volume p_data after #1 #2 (missing)
        #5 create container p-db-1 after #1 #2 #3 #4 (missing)
        #6 start container p-db-1 after #5 (created)
        #7 create container p-job-1 after #1 #2 #3 (missing)
        #8 start container p-job-1 after #6 #7 (created)
        #9 wait until container p-db-1 is healthy after #6 (web depends on it)
        #10 wait until container p-job-1 has completed after #8 (web depends on it)
        #11 create container p-web-1 after #1 #2 #3 (missing)
        #12 start container p-web-1 after #9 #10 #11 (created)
        "#,
    );
}

#[test]
fn a_second_up_changes_nothing() {
    check(
        &up(SHOP, &running(SHOP), &UpOptions::default()),
        r#"
        keep p-db-1
        keep p-job-1
        keep p-web-1
        "#,
    );
}

#[test]
fn wait_ends_with_one_wait_a_container() {
    let options = UpOptions { wait: true, ..UpOptions::default() };
    check(
        &up(SHOP, &running(SHOP), &options),
        r#"
        #1 wait until container p-db-1 is healthy (--wait)
        #2 wait until container p-job-1 has completed (--wait)
        #3 wait until container p-web-1 runs (--wait)
        keep p-db-1
        keep p-job-1
        keep p-web-1
        "#,
    );
}

#[test]
fn what_stopped_is_started_again() {
    let mut world = running(SHOP);
    world.exit("p-db-1", 1);
    check(
        &up(SHOP, &world, &UpOptions::default()),
        r#"
        #1 start container p-db-1 (not running)
        keep p-job-1
        keep p-web-1
        "#,
    );
}

#[test]
fn what_is_frozen_goes_on() {
    let text = "services: {a: {image: x}}";
    let mut world = running(text);
    world.change("p-a-1", |info| info.state = ContainerState::Running { pid: 1, started_at: Timestamp::from_nanos(0), paused: true });
    check(&up(text, &world, &UpOptions::default()), "#1 unpause container p-a-1 (not running)");
}

#[test]
fn images_are_pulled_once_or_not_at_all() {
    let text = "services: {a: {image: x}, b: {image: x}, c: {image: y}}";
    let project = project(text);
    check(
        &shown(&plan::refresh(&project, &project.services.keys().cloned().collect())),
        r#"
        #1 pull image x (asked)
        #2 pull image y (asked)
        "#,
    );
    check(
        &up(text, &World::default(), &UpOptions { pull: false, ..UpOptions::default() }),
        r#"
        error: image x of service "a" is not here, and may not be pulled
        "#,
    );
}

#[test]
fn a_service_says_how_its_image_is_come_by() {
    let text = "services: {a: {image: x, pull_policy: never}, b: {image: y, platform: linux/arm64, pull_policy: weekly}}";
    let world = World::default();
    check(&up(text, &world, &UpOptions::default()), r#"error: image x of service "a" is not here, and may not be pulled"#);
    let pulls = plan::pull(&project(text), |_| false, false);
    let [step] = pulls.plan.steps() else { panic!("{}", pulls.plan) };
    let wanted = Operation::PullImage { image: "y".to_owned(), platform: Some("linux/arm64".to_owned()) };
    assert_eq!(step.operation, wanted, "what is never pulled is not pulled by hand either");
    assert_eq!(pulls.skipped, BTreeMap::from([("x".to_owned(), "")]));
}

#[test]
fn the_file_says_which_limit_changed() {
    let text = |limits: &str| format!("services: {{a: {{image: x, attach: false, {limits}}}}}");
    let world = running(&text("mem_limit: 64m, ulimits: {nofile: 5}"));
    let plan = up(&text("mem_limit: 32m, ulimits: {nofile: 6}, logging: {driver: none}"), &world, &UpOptions::default());
    for field in ["logging.driver unset -> \"none\"", "mem_limit 67108864 -> 33554432", "ulimits.nofile 5 -> 6"] {
        assert!(plan.contains(field), "`{field}` is not in:\n{plan}");
    }
    // How it is shown and come by is no part of what it is.
    let plan = up("services: {a: {image: x, pull_policy: always, mem_limit: 64m, ulimits: {nofile: 5}}}", &world, &UpOptions::default());
    check(&plan, "keep p-a-1");
}

#[test]
fn a_pull_that_may_fail_comes_before_what_is_there_is_touched() {
    let text = "services: {a: {image: x}}";
    check(
        &up("services: {a: {image: y}}", &running(text), &UpOptions::default()),
        r#"
        #1 pull image y (missing)
        #2 create container 030303030303_p-a-1 after #1 (changed: image "x" -> "y")
        #3 stop container p-a-1 after #1 #2 (changed: image "x" -> "y")
        #4 remove container p-a-1 after #1 #2 #3 (changed: image "x" -> "y")
        #5 rename container 030303030303_p-a-1 to p-a-1 after #4 (changed: image "x" -> "y")
        #6 start container p-a-1 after #5 (changed: image "x" -> "y")
        "#,
    );
}

#[test]
fn no_start_only_makes() {
    check(
        &up("services: {a: {image: x}}", &World::default(), &UpOptions { start: false, ..UpOptions::default() }),
        r#"
        #1 pull image x (missing)
        #2 create network p_default after #1 (missing)
        #3 create container p-a-1 after #1 #2 (missing)
        "#,
    );
}

const FILES: &str = "
services:
  web: {image: a, configs: [plain, {source: owned, target: /etc/owned, uid: '7', mode: 0400}]}
configs: {plain: {content: one}, owned: {content: two}}
";

#[test]
fn changed_content_recreates_and_is_not_told() {
    let world = running(FILES);
    check(&up(FILES, &world, &UpOptions::default()), "keep p-web-1");
    check(
        &up(&FILES.replace("content: one", "content: other").replace("content: two", "content: hush"), &world, &UpOptions::default()),
        r#"
        #1 create container 030303030303_p-web-1 (content changed: /plain, /etc/owned)
        #2 stop container p-web-1 after #1 (content changed: /plain, /etc/owned)
        #3 remove container p-web-1 after #1 #2 (content changed: /plain, /etc/owned)
        #4 rename container 030303030303_p-web-1 to p-web-1 after #3 (content changed: /plain, /etc/owned)
        #5 start container p-web-1 after #4 (content changed: /plain, /etc/owned)
        "#,
    );
    // Another engine says nothing of files: nothing is known to have changed.
    let mut foreign = world;
    foreign.change("p-web-1", |info| info.file_digests.clear());
    check(&up(&FILES.replace("content: one", "content: other"), &foreign, &UpOptions::default()), "keep p-web-1");
}

#[test]
fn a_secret_without_content_is_missed_only_where_a_container_is_made() {
    let unset = "
services:
  web: {image: a, secrets: [token]}
secrets: {token: {environment: UNSET}}
";
    check(
        &up(unset, &World::default(), &UpOptions::default()),
        "error: cannot create a container of service \"web\": environment variable \"UNSET\" required by secret \"token\" is not set",
    );
    let made = "services: {web: {image: a, configs: [{source: token, target: /run/secrets/token}]}}\nconfigs: {token: {content: x}}";
    check(&up(unset, &running(made), &UpOptions::default()), "keep p-web-1");
}
