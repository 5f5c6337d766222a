//! Plans as texts: a project and a world in, operations out; and what holds for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

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
fn a_changed_field_replaces_the_container_and_is_named() {
    let text = SHOP.replace("image: db, volumes", "image: db, command: [serve], environment: {LEVEL: debug}, volumes");
    check(
        &up(&text, &running(SHOP), &UpOptions::default()),
        r#"
        #1 create container 050505050505_p-db-1 (changed: command unset -> ["serve"], environment.LEVEL)
        #2 stop container p-db-1 after #1 (changed: command unset -> ["serve"], environment.LEVEL)
        #3 remove container p-db-1 after #1 #2 (changed: command unset -> ["serve"], environment.LEVEL)
        #4 rename container 050505050505_p-db-1 to p-db-1 after #3 (changed: command unset -> ["serve"], environment.LEVEL)
        #5 start container p-db-1 after #4 (changed: command unset -> ["serve"], environment.LEVEL)
        keep p-job-1
        keep p-web-1
        "#,
    );
}

#[test]
fn dependants_that_restart_with_it_stop_before_and_start_after() {
    let text = "services: {a: {image: x, depends_on: {b: {condition: service_started, restart: true}}}, b: {image: x}}";
    let changed = text.replace("b: {image: x}}", "b: {image: x, user: '1'}}");
    check(
        &up(&changed, &running(text), &UpOptions::default()),
        r#"
        #1 stop container p-a-1 (restarts with b)
        #2 create container 030303030303_p-b-1 (changed: user unset -> "1")
        #3 stop container p-b-1 after #1 #2 (changed: user unset -> "1")
        #4 remove container p-b-1 after #1 #2 #3 (changed: user unset -> "1")
        #5 rename container 030303030303_p-b-1 to p-b-1 after #4 (changed: user unset -> "1")
        #6 start container p-b-1 after #5 (changed: user unset -> "1")
        #7 start container p-a-1 after #1 #6 (restarts with b)
        "#,
    );
}

#[test]
fn a_new_image_behind_the_name_replaces() {
    let text = "services: {a: {image: x}}";
    let mut world = running(text);
    world.retag("x");
    check(
        &up(text, &world, &UpOptions::default()),
        r#"
        #1 create container 030303030303_p-a-1 (image changed: 010101010101 -> 040404040404)
        #2 stop container p-a-1 after #1 (image changed: 010101010101 -> 040404040404)
        #3 remove container p-a-1 after #1 #2 (image changed: 010101010101 -> 040404040404)
        #4 rename container 030303030303_p-a-1 to p-a-1 after #3 (image changed: 010101010101 -> 040404040404)
        #5 start container p-a-1 after #4 (image changed: 010101010101 -> 040404040404)
        "#,
    );
}

#[test]
fn options_say_when_containers_are_replaced() {
    let text = "services: {a: {image: x, depends_on: [b]}, b: {image: x, volumes: [/v]}}";
    let changed = "services: {a: {image: x, tty: true, depends_on: [b]}, b: {image: x, tty: true, volumes: [/v]}}";
    let world = running(text);
    check(
        &up(changed, &world, &UpOptions { recreate: Recreate::Never, recreate_dependencies: Recreate::Never, ..UpOptions::default() }),
        r#"
        keep p-b-1
        keep p-a-1
        "#,
    );
    check(
        &up(text, &world, &UpOptions { recreate: Recreate::Always, services: named(&["a"]), ..UpOptions::default() }),
        r#"
        #1 create container 050505050505_p-a-1 (recreation was asked for)
        #2 stop container p-a-1 after #1 (recreation was asked for)
        #3 remove container p-a-1 after #1 #2 (recreation was asked for)
        #4 rename container 050505050505_p-a-1 to p-a-1 after #3 (recreation was asked for)
        #5 start container p-a-1 after #4 (recreation was asked for)
        keep p-b-1
        "#,
    );
    let renew = UpOptions {
        recreate: Recreate::Always,
        renew_anonymous_volumes: true,
        services: named(&["b"]),
        timeout: Some(Duration::from_secs(1)),
        ..UpOptions::default()
    };
    check(
        &up("services: {b: {image: x, volumes: [/v]}, a: {image: x, depends_on: [b]}}", &world, &renew),
        r#"
        #1 create container 040404040404_p-b-1 (recreation was asked for)
        #2 stop container p-b-1 after #1 (recreation was asked for)
        #3 remove container p-b-1 after #1 #2 (recreation was asked for)
        #4 rename container 040404040404_p-b-1 to p-b-1 after #3 (recreation was asked for)
        #5 start container p-b-1 after #4 (recreation was asked for)
        keep p-a-1
        "#,
    );
}

#[test]
fn scaling_keeps_the_lowest_numbers_and_drops_what_is_out_of_date_first() {
    let text = "services: {a: {image: x, scale: 3}}";
    let one = UpOptions { scale: [("a".parse().expect("a good name"), 1)].into(), ..UpOptions::default() };
    check(
        &up(text, &running(text), &one),
        r#"
        #1 stop container p-a-2 (1 wanted)
        #2 remove container p-a-2 after #1 (1 wanted)
        #3 stop container p-a-3 (1 wanted)
        #4 remove container p-a-3 after #3 (1 wanted)
        keep p-a-1
        "#,
    );
    let mut world = running(text);
    world.change("p-a-1", |info| drop(info.spec.labels.insert(label::SPEC.to_owned(), "{\"image\":\"old\"}".to_owned())));
    check(
        &up(text, &world, &UpOptions { scale: [("a".parse().expect("a good name"), 2)].into(), ..UpOptions::default() }),
        r#"
        #1 stop container p-a-1 (2 wanted)
        #2 remove container p-a-1 after #1 (2 wanted)
        keep p-a-2
        keep p-a-3
        "#,
    );
    let more = UpOptions { scale: [("a".parse().expect("a good name"), 4)].into(), ..UpOptions::default() };
    check(
        &up(text, &running(text), &more),
        r#"
        #1 create container p-a-4 (missing)
        #2 start container p-a-4 after #1 (created)
        keep p-a-1
        keep p-a-2
        keep p-a-3
        "#,
    );
    check(
        &up("services: {a: {image: x, container_name: one}}", &World::default(), &more),
        r#"
        error: service "a" is to run 4 times, but its container_name `one` can exist only once; remove `container_name`, or scale to 1
        "#,
    );
}

#[test]
fn orphans_are_told_or_removed() {
    let world = running("services: {a: {image: x}, old: {image: x}}");
    let text = "services: {a: {image: x}}";
    check(
        &up(text, &world, &UpOptions::default()),
        r#"
        keep p-a-1
        warning: Found orphan containers ([p-old-1]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.
        "#,
    );
    check(
        &up(text, &world, &UpOptions { remove_orphans: true, ..UpOptions::default() }),
        r#"
        #1 stop container p-old-1 (orphan)
        #2 remove container p-old-1 after #1 (orphan)
        keep p-a-1
        "#,
    );
    check(&up(text, &world, &UpOptions { ignore_orphans: true, ..UpOptions::default() }), "keep p-a-1");
    // A service that only a profile hides is none.
    check(&up("services: {a: {image: x}, old: {image: x, profiles: [q]}}", &world, &UpOptions::default()), "keep p-a-1");
}

#[test]
fn a_changed_network_is_made_anew_under_what_is_kept() {
    let text = "services: {a: {image: x, depends_on: [b]}, b: {image: x}}\nnetworks: {default: {internal: false}}";
    check(
        &up(&text.replace("false", "true"), &running(text), &UpOptions::default()),
        r#"
        #1 stop container p-a-1 (network p_default changed)
        #2 stop container p-b-1 after #1 (network p_default changed)
        #3 disconnect container p-a-1 from p_default after #1 (network p_default changed)
        #4 disconnect container p-b-1 from p_default after #2 (network p_default changed)
        #5 remove network p_default after #3 #4 (network p_default changed)
        #6 create network p_default after #5 (network p_default changed)
        #7 connect container p-a-1 to p_default after #6 (network p_default changed)
        #8 connect container p-b-1 to p_default after #6 (network p_default changed)
        #9 start container p-b-1 after #2 #8 (network p_default changed)
        #10 start container p-a-1 after #1 #7 #9 (network p_default changed)
        "#,
    );
}

#[test]
fn who_shares_something_with_another_follows_it() {
    let text = "services: {a: {image: x}, b: {image: x, network_mode: 'service:a'}, c: {image: x, volumes_from: [a]}}";
    let world = running(text);
    check(
        &up(&text.replace("a: {image: x}", "a: {image: x, user: '1'}"), &world, &UpOptions::default()),
        r#"
        #1 stop container p-b-1 (shares network with a, which is made anew)
        #2 create container 030303030303_p-a-1 (changed: user unset -> "1")
        #3 stop container p-a-1 after #1 #2 (changed: user unset -> "1")
        #4 remove container p-a-1 after #1 #2 #3 (changed: user unset -> "1")
        #5 rename container 030303030303_p-a-1 to p-a-1 after #4 (changed: user unset -> "1")
        #6 start container p-a-1 after #5 (changed: user unset -> "1")
        #7 create container 040404040404_p-b-1 after #5 (shares network with a, which is made anew)
        #8 remove container p-b-1 after #1 #7 (shares network with a, which is made anew)
        #9 rename container 040404040404_p-b-1 to p-b-1 after #8 (shares network with a, which is made anew)
        #10 start container p-b-1 after #6 #9 (shares network with a, which is made anew)
        #11 create container 050505050505_p-c-1 after #5 (shares volumes with a, which is made anew)
        #12 stop container p-c-1 after #11 (shares volumes with a, which is made anew)
        #13 remove container p-c-1 after #11 #12 (shares volumes with a, which is made anew)
        #14 rename container 050505050505_p-c-1 to p-c-1 after #13 (shares volumes with a, which is made anew)
        #15 start container p-c-1 after #6 #14 (shares volumes with a, which is made anew)
        "#,
    );
    let mut ended = world.clone();
    ended.exit("p-a-1", 137);
    check(
        &up(text, &ended, &UpOptions::default()),
        r#"
        #1 stop container p-b-1 (restarts with a)
        #2 start container p-a-1 (not running)
        #3 start container p-b-1 after #1 #2 (restarts with a)
        keep p-c-1
        "#,
    );
    let none = UpOptions { scale: [("a".parse().expect("a good name"), 0)].into(), recreate: Recreate::Always, ..UpOptions::default() };
    check(
        &up(text, &world, &none),
        r#"
        error: service "b" cannot share network with service "a": that has no container
        "#,
    );
}

#[test]
fn a_changed_volume_is_made_anew_where_that_is_allowed() {
    let text = "services: {a: {image: x, volumes: ['data:/v', /w]}, b: {image: x, volumes_from: [a]}, c: {image: x}}\nvolumes: {data: {labels: {a: '1'}}}";
    let (world, changed) = (running(text), text.replace("'1'", "'2'"));
    check(
        &up(&changed, &world, &UpOptions::default()),
        r#"
        keep p-a-1
        keep p-b-1
        keep p-c-1
        warning: volume "p_data" exists but doesn't match its definition in the compose file; it is kept as it is, with its data (`gantry up -y` makes it anew, without them)
        "#,
    );
    let project = project(&changed);
    let renew_volumes = plan::changed_volumes(&project, &world.observed(&project)).into_iter().collect();
    check(
        &up(&changed, &world, &UpOptions { renew_volumes, ..UpOptions::default() }),
        r#"
        #1 stop container p-b-1 (volume p_data changed)
        #2 stop container p-a-1 after #1 (volume p_data changed)
        #3 remove container p-a-1 after #1 #2 (volume p_data changed)
        #4 remove container p-b-1 after #1 (volume p_data changed)
        #5 remove volume p_data after #3 #4 (volume p_data changed)
        #6 create volume p_data after #5 (volume p_data changed)
        #7 create container p-a-1 after #3 #6 (volume p_data changed)
        #8 start container p-a-1 after #7 (volume p_data changed)
        #9 create container p-b-1 after #4 #7 (volume p_data changed)
        #10 start container p-b-1 after #8 #9 (volume p_data changed)
        keep p-c-1
        "#,
    );
}

#[test]
fn what_was_not_asked_for_comes_back_to_a_network_made_anew() {
    let text = "services: {a: {image: x}, b: {image: x}, old: {image: x}}\nnetworks: {default: {internal: false}}";
    let world = running(text);
    let changed = project(&text.replace(", old: {image: x}", "").replace("false", "true"));
    let selected = changed.select(&["a".to_owned()], true).expect("a service");
    let options = UpOptions { ignore_orphans: true, ..UpOptions::default() };
    check(
        &shown(&plan::up(&selected, &world.observed(&selected), &options).expect("a plan")),
        r#"
        #1 stop container p-a-1 (network p_default changed)
        #2 disconnect container p-a-1 from p_default after #1 (network p_default changed)
        #3 stop container p-b-1 (network p_default changed)
        #4 disconnect container p-b-1 from p_default after #3 (network p_default changed)
        #5 stop container p-old-1 (network p_default changed)
        #6 disconnect container p-old-1 from p_default after #5 (network p_default changed)
        #7 remove network p_default after #2 #4 #6 (network p_default changed)
        #8 create network p_default after #7 (network p_default changed)
        #9 connect container p-a-1 to p_default after #8 (network p_default changed)
        #10 connect container p-b-1 to p_default after #8 (network p_default changed)
        #11 connect container p-old-1 to p_default after #8 (network p_default changed)
        #12 start container p-b-1 after #10 (network p_default changed)
        #13 start container p-old-1 after #11 (network p_default changed)
        #14 start container p-a-1 after #1 #9 (network p_default changed)
        "#,
    );
}

#[test]
fn a_network_may_be_named_by_its_id() {
    let mut world = World::default();
    world.add_foreign(Some("net"), None);
    let id = world.network_id("net");
    let text = format!("services: {{a: {{image: x, networks: [n]}}}}\nnetworks: {{n: {{external: true, name: '{id}'}}}}");
    let project = project(&text);
    let plan = plan::up(&project, &world.observed(&project), &UpOptions::default()).expect("a plan");
    world.run(&plan);
    assert!(world.text().contains("p-a-1 running") && world.text().contains("[net]"), "{}", world.text());
    check(&up(&text, &world, &UpOptions::default()), "keep p-a-1");
}

#[test]
fn what_others_made_is_used_and_told() {
    let mut world = World::default();
    world.add_foreign(Some("p_default"), Some("p_v"));
    check(
        &up("services: {a: {image: x, volumes: ['vv:/v']}}\nvolumes: {vv: {name: p_v}}", &world, &UpOptions::default()),
        r#"
        #1 pull image x (missing)
        #2 create container p-a-1 after #1 (missing)
        #3 start container p-a-1 after #2 (created)
        warning: a network with name p_default exists but was not created by this project; set `external: true` to use an existing network
        warning: volume "p_v" already exists but was not created by this project; use `external: true` to use an existing volume
        "#,
    );
}

#[test]
fn external_things_must_be_there() {
    let text = "services: {a: {image: x, networks: [net], volumes: ['vol:/v']}}\nnetworks: {net: {external: true}}\nvolumes: {vol: {external: true}}";
    let mut world = World::default();
    check(&up(text, &world, &UpOptions::default()), "error: network net declared as external, but could not be found");
    world.add_foreign(Some("net"), None);
    check(
        &up(text, &world, &UpOptions::default()),
        r#"
        error: external volume "vol" not found
        "#,
    );
    world.add_foreign(None, Some("vol"));
    check(
        &up(text, &world, &UpOptions::default()),
        r#"
        #1 pull image x (missing)
        #2 create container p-a-1 after #1 (missing)
        #3 start container p-a-1 after #2 (created)
        "#,
    );
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

#[test]
fn down_stops_dependants_first() {
    let project = project(SHOP);
    let world = running(SHOP);
    let down =
        |options: &DownOptions| shown(&plan::down(&project.name, Some(&project), &world.observed(&project), options).expect("a plan"));
    check(
        &down(&DownOptions::default()),
        r#"
        #1 stop container p-web-1 (asked)
        #2 stop container p-job-1 after #1 (asked)
        #3 stop container p-db-1 after #1 #2 (asked)
        #4 remove container p-db-1 after #3 (asked)
        #5 remove container p-job-1 after #2 (asked)
        #6 remove container p-web-1 after #1 (asked)
        #7 remove network p_default after #4 #5 #6 (asked)
        "#,
    );
    check(
        &down(&DownOptions { volumes: true, ..DownOptions::default() }),
        r#"
        #1 stop container p-web-1 (asked)
        #2 stop container p-job-1 after #1 (asked)
        #3 stop container p-db-1 after #1 #2 (asked)
        #4 remove container p-db-1 after #3 (asked)
        #5 remove container p-job-1 after #2 (asked)
        #6 remove container p-web-1 after #1 (asked)
        #7 remove network p_default after #4 #5 #6 (asked)
        #8 remove volume p_data after #4 (asked)
        "#,
    );
    check(
        &down(&DownOptions { services: named(&["job"]), ..DownOptions::default() }),
        r#"
        #1 stop container p-web-1 (asked)
        #2 stop container p-job-1 after #1 (asked)
        #3 remove container p-job-1 after #2 (asked)
        #4 remove container p-web-1 after #1 (asked)
        "#,
    );
    let unknown = plan::down(
        &project.name,
        Some(&project),
        &world.observed(&project),
        &DownOptions { services: named(&["x"]), ..DownOptions::default() },
    );
    assert_eq!(unknown, Err(PlanError::UnknownService("x".to_owned())));
}

#[test]
fn down_without_files_goes_by_labels() {
    let project = project(SHOP);
    let plan = plan::down(&project.name, None, &running(SHOP).observed(&project), &DownOptions::default()).expect("a plan");
    check(
        &shown(&plan),
        r#"
        #1 stop container p-web-1 (asked)
        #2 stop container p-job-1 after #1 (asked)
        #3 stop container p-db-1 after #1 #2 (asked)
        #4 remove container p-db-1 after #3 (asked)
        #5 remove container p-job-1 after #2 (asked)
        #6 remove container p-web-1 after #1 (asked)
        #7 remove network p_default after #4 #5 #6 (asked)
        "#,
    );
}

#[test]
fn down_leaves_orphans_and_tells() {
    let world = running("services: {a: {image: x}, old: {image: x}}");
    let project = project("services: {a: {image: x}}");
    let down =
        |options: &DownOptions| shown(&plan::down(&project.name, Some(&project), &world.observed(&project), options).expect("a plan"));
    check(
        &down(&DownOptions::default()),
        r#"
        #1 stop container p-a-1 (asked)
        #2 remove container p-a-1 after #1 (asked)
        #3 remove network p_default after #2 (asked)
        warning: Found orphan containers ([p-old-1]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.
        "#,
    );
    check(
        &down(&DownOptions { remove_orphans: true, ..DownOptions::default() }),
        r#"
        #1 stop container p-old-1 (asked)
        #2 stop container p-a-1 (asked)
        #3 remove container p-a-1 after #2 (asked)
        #4 remove container p-old-1 after #1 (asked)
        #5 remove network p_default after #3 #4 (asked)
        "#,
    );
}

#[test]
fn nothing_to_take_down_is_an_empty_plan() {
    let project = project(SHOP);
    let plan = plan::down(&project.name, Some(&project), &World::default().observed(&project), &DownOptions::default()).expect("a plan");
    assert!(plan.is_empty());
}

/// What is taken back of an `up` of the text that fails once so many containers have been started.
fn taken_back(text: &str, world: &mut World, starts: usize) -> String {
    let project = project(text);
    let before = world.observed(&project);
    let failed = plan::up(&project, &before, &UpOptions::default()).expect("a plan");
    let mut started = 0;
    for step in failed.steps() {
        let start = matches!(step.operation, Operation::StartContainer { .. });
        if !start || started < starts {
            world.apply(&step.operation);
        }
        started += usize::from(start);
    }
    let undo = plan::undo(&failed, &before, &world.observed(&project));
    world.run(&undo);
    shown(&undo)
}

#[test]
fn what_never_ran_is_taken_back_with_what_it_alone_used() {
    let text = "services: {a: {image: x, volumes: ['data:/d']}, b: {image: x, depends_on: [a], networks: [n]}}
volumes: {data: }
networks: {n: }";
    let mut world = World::default();
    taken_back(text, &mut world, 0);
    assert_eq!(world.text(), "");
    let plan = taken_back(text, &mut world, 1);
    let failed = "(what it was made for failed)";
    assert_eq!(plan, format!("#1 remove container p-b-1 {failed}\n#2 remove network p_n after #1 {failed}\n"));
    assert!(world.text().starts_with("p-a-1 running"), "{}", world.text());
}

#[test]
fn what_was_there_and_what_replaces_it_is_not_taken_back() {
    let mut world = running("services: {a: {image: x, volumes: [/scratch]}}");
    let plan = taken_back("services: {a: {image: x, volumes: [/scratch], user: other}, b: {image: x}}", &mut world, 0);
    assert_eq!(plan, "#1 remove container p-b-1 (what it was made for failed)\n");
}

/// A small project: every service may depend on those before it, and share things with the one before it; its network and its volume
/// may be of two kinds.
fn text() -> impl Strategy<Value = String> {
    let service = (0_u8..4, 0_u8..3, 0_u8..8, any::<[bool; 5]>());
    let services = proptest::collection::vec(service, 1..4);
    (services, any::<[bool; 3]>()).prop_map(|(services, [internal, labelled, renamed])| {
        let mut text = "services:\n".to_owned();
        for (index, (scale, user, shares, [depends, restarts, healthy, mounts, own])) in services.into_iter().enumerate() {
            // What others share something with has a container.
            let scale = if index < 2 { scale.max(1) } else { scale };
            text.push_str(&format!("  s{index}:\n    image: i{}\n    scale: {scale}\n    user: 'u{user}'\n", index % 2));
            if depends && index > 0 {
                let condition = if healthy { "service_healthy" } else { "service_started" };
                text.push_str(&format!("    depends_on: {{s{}: {{condition: {condition}, restart: {restarts}}}}}\n", index - 1));
            }
            if mounts {
                text.push_str("    volumes: ['vol:/v', /w]\n");
            }
            let shared = index.checked_sub(1).map(|before| format!("service:s{before}"));
            match (shares, shared) {
                (0, Some(other)) => text.push_str(&format!("    network_mode: {other}\n")),
                (1, Some(other)) => text.push_str(&format!("    pid: {other}\n    ipc: {other}\n")),
                (2, Some(_)) => text.push_str(&format!("    volumes_from: ['s{}:ro']\n", index - 1)),
                (3, Some(_)) => text.push_str(&format!("    links: ['s{}:other']\n", index - 1)),
                _ => {}
            }
            if own && shares != 0 {
                text.push_str("    networks: [net, default]\n");
            }
        }
        let name = if renamed { ", name: other" } else { "" };
        text + &format!("volumes: {{vol: {{labels: {{a: '{labelled}'}}}}}}\nnetworks: {{net: {{internal: {internal}{name}}}}}\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        // Beside this file: `tests.regressions`.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    /// Whatever was there, in whatever order a plan is carried out and wherever it is cut off: the next `up` completes it, the one after
    /// that has nothing to do, and the world is the one that a first `up` makes. `down` then leaves nothing.
    #[test]
    fn every_prefix_of_a_plan_converges(before in text(), after in text(), cut in 0_usize..40, seed in any::<u64>()) {
        let (old, new) = (project(&before), project(&after));
        let plan_for = |world: &World| {
            let observed = world.observed(&new);
            let renew_volumes = plan::changed_volumes(&new, &observed).into_iter().collect();
            let options = UpOptions { remove_orphans: true, renew_volumes, ..UpOptions::default() };
            plan::up(&new, &observed, &options).expect("a plan")
        };
        let mut random = seed;
        let mut choose = |among: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap_or(0) % among
        };
        let mut world = World::default();
        let first = plan::up(&old, &world.observed(&old), &UpOptions::default()).expect("a plan");
        world.run_some(&first, usize::MAX, &mut choose);
        world.run_some(&plan_for(&world.clone()), cut, &mut choose);
        world.run_some(&plan_for(&world.clone()), usize::MAX, &mut choose);
        let again = plan_for(&world);
        prop_assert!(again.is_empty(), "not at rest:\n{again}\n{}", world.text());
        world.check_whole();
        let down = DownOptions { volumes: true, remove_orphans: true, ..DownOptions::default() };
        world.run_some(&plan::down(&new.name, Some(&new), &world.observed(&new), &down).expect("a plan"), usize::MAX, &mut choose);
        prop_assert_eq!(world.text(), "");
    }
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
