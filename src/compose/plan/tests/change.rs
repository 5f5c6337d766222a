//! What changed since the last `up`, and what follows from it.

use super::*;

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
