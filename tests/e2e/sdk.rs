//! Docker's SDK for Python, which makes the same tour on our engine and on Docker's, at an old, a middle and the newest version of the API.

use std::path::Path;

use crate::bottle::Bottle;
use crate::client::{client, script, stay};
use crate::compare::difference::{self, Allowed};
use crate::compare::side::Record;
use crate::docker::Docker;
use crate::program::run;
use crate::registry::Registry;

const VERSIONS: [&str; 3] = ["1.24", "1.32", "1.51"];

/// Makes the tour once for each version; what was answered, by where in the tour that was, is also left below `target` for people.
fn tours(name: &str, bottle: &Bottle, socket: &Path) -> Vec<Record> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
    std::fs::create_dir_all(&kept).expect("a folder for what was seen");
    let tour = |version: &&str| -> Record {
        let host = format!("unix://{}", socket.display());
        let told = run(client(bottle, socket, "python").arg(script("sdk/tour.py")).args([host.as_str(), *version])).success();
        std::fs::write(kept.join(format!("{version}.{name}")), &told).expect("a record");
        let split = |line: &str| line.split_once(" = ").map(|(place, value)| (place.to_owned(), value.to_owned()));
        told.lines().map(|line| split(line).expect("a line of the transcript")).collect()
    };
    VERSIONS.iter().map(tour).collect()
}

#[test]
fn the_sdk_for_python_finds_docker() {
    // Each engine has a host of its own: the tours use the same names, ports and addresses.
    let theirs = std::thread::spawn(|| {
        let bottle = Bottle::new();
        let _registry = Registry::start(&bottle, &bottle.project(), 5000);
        let docker = Docker::start(&bottle);
        docker.import();
        tours("docker", &bottle, &docker.socket())
    });
    let bottle = Bottle::new();
    let _registry = Registry::start(&bottle, &bottle.project(), 5000);
    bottle.import();
    // A client may take longer to begin than an engine waits for one.
    let _stays = stay(&bottle.socket());
    let ours = tours("ours", &bottle, &bottle.socket());
    let theirs = theirs.join().expect("the tours on Docker");

    let mut allowed = Allowed::read(&script("sdk/differences"));
    let mut failures = Vec::new();
    for ((version, ours), theirs) in VERSIONS.iter().zip(&ours).zip(&theirs) {
        assert!(theirs.len() > 1000, "{version}: the tour on Docker is short");
        allowed.see(version, ours);
        allowed.see(version, theirs);
        failures.extend(difference::between(version, ours, theirs).iter().filter(|it| !allowed.covers(&it.path)).map(ToString::to_string));
    }
    failures.extend(allowed.unused().map(|pattern| format!("`differences` allows what does not differ: {pattern}")));
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}
