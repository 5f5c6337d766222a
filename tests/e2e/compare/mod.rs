//! Projects on Docker's engine with Docker Compose and on ours, compared field by field.
//!
//! A case is a folder of `cases`: a project, and `steps`, a line each: arguments of Compose, or `look` (ps, config, logs, and inspect of
//! everything), `left` (how much there is), `await CONTAINER STATE`, `logged CONTAINER WORD [TIMES]`. Whoever looks has waited for all
//! that is still about to change.
//! What may differ, and why, is said in the file `differences`; an entry that nothing needs fails, too.

pub(crate) mod difference;
pub(crate) mod normal;
mod order;
pub(crate) mod side;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use difference::Allowed;
use side::{Record, Side};

use crate::bottle::Bottle;
use crate::docker::Docker;
use crate::program::top;

fn folder() -> PathBuf {
    top().join("tests/e2e/compare")
}

fn cases() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder().join("cases")).expect("the cases").map(|entry| entry.expect("a case").path()).collect();
    found.sort();
    found
}

/// What each case looked like, by its name; also left below `target` for people.
fn records(name: &str, side: &Side) -> BTreeMap<String, Record> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare");
    std::fs::create_dir_all(&kept).expect("a folder for what was seen");
    side.load_image();
    let waiting = Mutex::new(cases());
    let records = Mutex::new(BTreeMap::new());
    let play = || {
        while let Some(case) = { waiting.lock().expect("a list").pop() } {
            let title = case.file_name().expect("a name").to_string_lossy().into_owned();
            let record = side.play(&case);
            let text: String = record.iter().map(|(path, value)| format!("{path} = {value}\n")).collect();
            std::fs::write(kept.join(format!("{title}.{name}")), text).expect("a record");
            records.lock().expect("a map").insert(title, record);
        }
    };
    // Docker waits more than it works; its cases get on two at a time.
    std::thread::scope(|scope| (0..2).for_each(|_| _ = scope.spawn(play)));
    records.into_inner().expect("a map")
}

#[test]
fn projects_look_the_same_on_docker_and_on_ours() {
    // Each side in a bottle, and a thread, of its own: neither sees the other's ports and networks.
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| {
            let bottle = Bottle::new();
            records("ours", &Side::ours(&bottle))
        });
        let theirs = scope.spawn(|| {
            let bottle = Bottle::new();
            let docker = Docker::start(&bottle);
            records("docker", &Side::docker(&bottle, &docker))
        });
        (ours.join().expect("our side"), theirs.join().expect("Docker's side"))
    });
    let mut allowed = Allowed::read(&folder().join("differences"));
    let mut failures = Vec::new();
    for (case, theirs) in &theirs {
        let ours = &ours[case];
        allowed.see(case, ours);
        allowed.see(case, theirs);
        failures.extend(difference::between(case, ours, theirs).iter().filter(|it| !allowed.covers(&it.path)).map(ToString::to_string));
    }
    failures.extend(allowed.unused().map(|pattern| format!("`differences` allows what does not differ: {pattern}")));
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}
