//! `down`, and what is taken back of an `up` that failed.

use super::*;

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
