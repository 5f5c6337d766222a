//! Docker's SDK for Python, which makes the same tour on our engine and on Docker's, at an old, a middle and the newest version of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::bottle::Bottle;
use crate::client::{client, script};
use crate::docker::Docker;
use crate::program::run;
use crate::registry::Registry;

const VERSIONS: [&str; 3] = ["1.24", "1.32", "1.51"];

/// What was answered, by where in the tour it was.
type Answers = BTreeMap<String, Vec<String>>;

/// Makes the tour once for each version.
fn tours(bottle: &Bottle, socket: &Path) -> Vec<Answers> {
    let tour = |version: &&str| {
        let host = format!("unix://{}", socket.display());
        let told = run(client(bottle, socket, "python").arg(script("sdk/tour.py")).args([host.as_str(), version])).success();
        let mut answers = Answers::new();
        for line in told.lines() {
            let (place, value) = line.split_once(" = ").expect("a line of the transcript");
            answers.entry(place.to_owned()).or_default().push(value.to_owned());
        }
        answers
    };
    VERSIONS.iter().map(tour).collect()
}

/// Whether a place is one that a pattern means, in which `*` stands for anything.
fn fits(place: &str, pattern: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return place == pattern };
    let Some(mut place) = place.strip_prefix(head) else { return false };
    while let Some((piece, next)) = rest.split_once('*') {
        let Some(at) = place.find(piece) else { return false };
        (place, rest) = (&place[at + piece.len()..], next);
    }
    place.ends_with(rest)
}

#[test]
fn the_sdk_for_python_finds_docker() {
    // Each engine has a host of its own: the tours use the same names, ports and addresses.
    let theirs = std::thread::spawn(|| {
        let bottle = Bottle::new();
        let _registry = Registry::start(&bottle, &bottle.project(), 5000);
        let docker = Docker::start(&bottle);
        docker.import();
        tours(&bottle, &docker.socket())
    });
    let bottle = Bottle::new();
    let _registry = Registry::start(&bottle, &bottle.project(), 5000);
    bottle.import();
    let ours = tours(&bottle, &bottle.socket());
    let theirs = theirs.join().expect("the tours on Docker");

    let listed = std::fs::read_to_string(script("sdk/differences")).expect("the list of differences");
    let listed: Vec<&str> = listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (mut used, mut found) = (BTreeSet::new(), Vec::new());
    for ((version, ours), theirs) in VERSIONS.iter().zip(&ours).zip(&theirs) {
        assert!(theirs.len() > 1000, "{version}: the tour on Docker is short");
        let places: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for place in places.into_iter().filter(|place| ours.get(*place) != theirs.get(*place)) {
            let fitting: Vec<_> = listed.iter().filter(|pattern| fits(place, pattern)).collect();
            if fitting.is_empty() {
                let said = |answers: &Answers| answers.get(place).map_or("nothing".to_owned(), |values| values.join(" | "));
                found.push(format!("{version} {place}\n    ours:   {}\n    theirs: {}", said(ours), said(theirs)));
            }
            used.extend(fitting);
        }
    }
    let stale: Vec<_> = listed.iter().filter(|pattern| !used.contains(pattern)).collect();
    assert!(
        found.is_empty() && stale.is_empty(),
        "not in the list of differences:\n{}\nno difference any more: {stale:#?}",
        found.join("\n")
    );
}
