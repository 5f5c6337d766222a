//! The shop, and what Docker Compose prints on our engine and on Docker.

use std::path::Path;

use serde_json::{Map, Value};

use super::Project;
use crate::api;
use crate::bottle::Bottle;
use crate::client::with_mirror;
use crate::docker::Docker;
use crate::program::{Outcome, foreign, run, top};
use crate::registry::Registry;

/// What Compose says of a container, without what differs from one run to the next.
fn steady(told: &str) -> Vec<Map<String, Value>> {
    let mut all: Vec<Map<String, Value>> = told.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    for seen in &mut all {
        for field in ["ID", "CreatedAt", "RunningFor", "Status"] {
            assert!(seen.remove(field).is_some_and(|value| value.is_string()), "{field}");
        }
        let labels = seen["Labels"].as_str().expect("labels").to_owned();
        let mut labels: Vec<&str> = labels.split(',').filter(|label| !label.starts_with("com.docker.compose.image=")).collect();
        labels.sort_unstable();
        seen["Labels"] = labels.join(",").into();
    }
    all.sort_by_key(|seen| seen["Name"].to_string());
    all
}

/// Brings projects up and down on the engine behind a socket, and returns what `ps` said of them.
fn listed(socket: &Path, compose: impl Fn(&str, &[&str]) -> Outcome) -> Vec<Vec<Map<String, Value>>> {
    let mut list = Vec::new();
    for name in ["names", "gates", "restart"] {
        compose(name, &["up", "-d"]).success();
        if name == "restart" {
            // Its third end is its last.
            let state = ["ps", "-a", "--format", "{{.State}}", "twice"];
            api::eventually(socket, "it has ended for good", || compose(name, &state).success() == "exited\n");
        }
        list.push(steady(&compose(name, &["ps", "-a", "--no-trunc", "--format", "json"]).success()));
        compose(name, &["down", "-v", "-t", "1"]).success();
    }
    list
}

#[test]
fn compose_prints_the_same_on_docker() {
    let project = Project::new("names");
    let ours = listed(&project.bottle.socket(), |name, arguments| run(&mut project.command_of(name, arguments)));
    project.down();
    let docker = Docker::start(&project.bottle);
    docker.import();
    let theirs = listed(&docker.socket(), |name, arguments| docker.compose(&[&["-f", &format!("{name}.yaml")][..], arguments].concat()));
    assert_eq!(ours, theirs);
}

#[test]
fn the_shop_opens_sells_and_closes() {
    let bottle = Bottle::new();
    let _registry = Registry::of_the_shop(&bottle, 5000);
    with_mirror(&bottle);
    bottle.gantry(["image", "ls"]).success();
    let place = bottle.project().join("shop");
    bottle.shell(&format!("cp -r {} {}", top().join("examples/shop").display(), place.display())).success();
    let compose = |arguments: &[&str]| {
        let mut command = bottle.server(foreign("usr/libexec/docker/cli-plugins/docker-compose"));
        run(command.env("DOCKER_HOST", format!("unix://{}", bottle.socket().display())).args(arguments).current_dir(&place))
    };
    compose(&["up", "-d", "--wait", "--quiet-pull"]).success();
    let curl = |arguments: &str| bottle.shell(&format!("curl -sS --fail --max-time 20 {arguments}")).success();
    let page = curl("-L -d 'good=Lamp' -d 'customer=Ada' http://127.0.0.1:8080/orders");
    assert!(page.contains("1 sold") && page.contains("Ada bought: Lamp"), "{page}");
    let before = bottle.pid("shop-db-1");
    compose(&["up", "-d", "--scale", "app=2"]).success();
    assert_eq!(bottle.containers().iter().filter(|name| name.contains("-app-")).count(), 2);
    compose(&["up", "-d", "--force-recreate", "--no-deps", "--wait", "web"]).success();
    assert!(curl("http://127.0.0.1:8080/").contains("1 sold"));
    assert_eq!(bottle.pid("shop-db-1"), before);
    assert_eq!(compose(&["exec", "-T", "web", "getent", "hosts", "db"]).code, 2);
    assert!(compose(&["logs", "--no-color", "migrate"]).success().contains("steps"));
    compose(&["cp", "cache:/usr/local/etc/redis/redis.conf", "out.conf"]).success();
    bottle.shell("cmp shop/out.conf shop/redis/redis.conf").success();
    compose(&["down", "-t", "10"]).success();
    compose(&["up", "-d", "--wait"]).success();
    assert!(curl("http://127.0.0.1:8080/").contains("1 sold"));
    compose(&["down", "-v"]).success();
    assert_eq!(bottle.containers(), Vec::<String>::new());
    let networks = bottle.get("/networks");
    assert!(networks.as_array().expect("a list").iter().all(|it| !it["Name"].as_str().unwrap_or_default().starts_with("shop")));
}
