//! Two roots in one network namespace: the same project in both, at the same moment.

use std::thread;

use crate::bottle::Bottle;

#[test]
fn neither_sees_the_other() {
    let first = Bottle::with_image();
    // The second root lives in the first bottle's namespaces, where this thread is.
    let second = Bottle::on_the_host();
    second.import();
    for bottle in [&first, &second] {
        bottle.compose("services:\n  web:\n    image: IMAGE\n    command: [httpd, -f, -p, '80', -h, /etc]\n    scale: 2\n");
    }
    for _ in 0..3 {
        thread::scope(|scope| {
            for bottle in [&first, &second] {
                scope.spawn(|| bottle.gantry(["up", "-d", "--wait"]).success());
            }
        });
        for bottle in [&first, &second] {
            assert_eq!(bottle.containers(), ["project-web-1", "project-web-2"]);
            bottle.gantry(["exec", "-T", "web", "wget", "-q", "-O", "/dev/null", "http://project-web-2/group"]).success();
        }
        first.gantry(["down", "-v"]).success();
        assert_eq!(second.state("project-web-1"), "running");
        second.gantry(["exec", "-T", "web", "wget", "-q", "-O", "/dev/null", "http://web/group"]).success();
        second.gantry(["down", "-v"]).success();
    }
    let at_once = |arguments: &[&str]| {
        thread::scope(|scope| {
            [&first, &second].map(|bottle| scope.spawn(|| bottle.gantry(arguments).success())).map(|it| it.join().expect("no panic"))
        })
    };
    at_once(&["up", "-d", "--wait"]);
    at_once(&["down", "-v"]);
    assert_eq!([first.containers(), second.containers()], [Vec::<String>::new(), Vec::new()]);
    // One comes up while the other goes down.
    first.gantry(["up", "-d", "--wait"]).success();
    thread::scope(|scope| {
        scope.spawn(|| first.gantry(["down", "-v"]).success());
        scope.spawn(|| second.gantry(["up", "-d", "--wait"]).success());
    });
    assert!(first.containers().is_empty());
    second.gantry(["exec", "-T", "web", "wget", "-q", "-O", "/dev/null", "http://web/group"]).success();
    second.gantry(["down", "-v"]).success();
}
