//! examples/cache: a real image of several layers, pulled from a real registry.

use crate::bottle::Bottle;
use crate::program::{run, top};
use crate::registry::Registry;

#[test]
fn redis_is_pulled_runs_and_keeps_its_data() {
    let bottle = Bottle::new();
    let _registry = Registry::start(&bottle, &bottle.project(), 5000);
    Registry::push_redis(&bottle, 5000);
    let example = top().join("examples/cache");
    let gantry = |arguments: &[&str]| run(bottle.command(Bottle::binary()).args(arguments).current_dir(&example));
    gantry(&["up", "-d"]).success();
    let visits = || {
        bottle.eventually("the client ends", || bottle.state("cache-client-1") == "exited");
        gantry(&["logs", "--no-log-prefix", "--tail", "1", "client"]).success().trim().to_owned()
    };
    assert_eq!(visits(), "1");
    let layers = bottle.get("/images/127.0.0.1:5000%2Fredis:7/json")["RootFS"]["Layers"].as_array().map_or(0, Vec::len);
    assert_eq!(layers, 3);
    gantry(&["down"]).success();
    gantry(&["up", "-d"]).success();
    assert_eq!(visits(), "2");
    gantry(&["down", "-v"]).success();
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_is_refused() {
    let bottle = Bottle::new();
    let _registry = Registry::start(&bottle, &bottle.project(), 5000);
    Registry::push_redis(&bottle, 5000);
    // The largest blob is damaged in place, as a broken disk or a bad proxy would.
    bottle.shell("f=$(find registry -name data -printf '%s %p\\n' | sort -n | tail -n 1 | cut -d' ' -f2); printf damaged | dd of=$f conv=notrunc bs=1 seek=1000 2>/dev/null").success();
    let message = bottle.gantry(["image", "pull", "127.0.0.1:5000/redis:7"]).failure(1);
    assert!(message.contains("digest") || message.contains("sha256"), "{message}");
    // An `up` says whose image it was, and where that is written.
    bottle.compose("services:\n  cache:\n    image: 127.0.0.1:5000/redis:7\n");
    let message = bottle.gantry(["up", "-d"]).failure(1);
    for word in ["sha256", "services.cache.image", "compose.yaml:3:12", "hint:"] {
        assert!(message.contains(word), "`{word}` is not in:\n{message}");
    }
    assert_eq!(bottle.get("/images/json").as_array().map_or(0, Vec::len), 0);
    assert!(bottle.containers().is_empty());
    // A registry that answers and does not have it is told apart from one that cannot be reached.
    bottle.compose("services:\n  cache:\n    image: 127.0.0.1:5000/nosuch:1\n");
    let absent = bottle.gantry(["up", "-d"]).failure(1);
    bottle.compose("services:\n  cache:\n    image: 127.0.0.1:5001/nosuch:1\n");
    let unreachable = bottle.gantry(["up", "-d"]).failure(1);
    assert!(absent.contains("manifest unknown") && !unreachable.contains("manifest unknown"), "{absent}\n{unreachable}");
    assert!(unreachable.contains("refused") && !absent.contains("refused"), "{absent}\n{unreachable}");
}
