//! Dockerfiles: what is read can be planned, resolved and checked for every target, or there is a problem that stands within the text.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use gantry::archive::mode::ModeChange;
use gantry::dockerfile::{Base, Dockerfile, Ignore, Inherited, Known, Options, Place, Plan, Problem, Scope, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = &*String::from_utf8_lossy(bytes);
    let lines = text.lines().count();
    let file = match Dockerfile::parse(text) {
        Ok(file) => file,
        Err(problems) => {
            assert!(!problems.is_empty(), "it is refused without a problem");
            problems.iter().for_each(|problem| check(problem, lines));
            return;
        }
    };
    let options = Options {
        args: BTreeMap::from([("A".to_owned(), "given".to_owned()), ("HTTP_PROXY".to_owned(), "http://proxy".to_owned())]),
        build_platform: "linux/amd64".to_owned(),
        target_platform: "linux/arm64/v8".to_owned(),
        contexts: BTreeSet::from(["lib".to_owned()]),
        triggers: BTreeMap::from([(Base::Image("a".to_owned()), vec!["COPY $A /x".to_owned(), "ENV B=$A$B".to_owned()])]),
        ..Options::default()
    };
    // Every stage that few do, else the first and the last.
    let last = file.stages.len() - 1;
    let targets = if last < 8 { (0..=last).collect() } else { vec![0, last] };
    for target in targets {
        let options = Options { target: Some(target.to_string()), ..options.clone() };
        match file.plan(&options) {
            Ok(plan) => resolve(&plan, lines),
            Err(problem) => check(&problem, lines),
        }
        if let Err(problem) = file.reach(&options) {
            check(&problem, lines);
        }
    }
    let ignore = Ignore::parse("*.md\n").expect("patterns");
    let known = Known {
        environments: BTreeMap::from([(Base::Image("a".to_owned()), vec!["B=base".to_owned()])]),
        ignore: Some(&ignore),
        all_stages: true,
    };
    for warning in file.warnings(&options, &known) {
        within(warning.place, lines);
    }
});

/// Resolves all instructions of a plan; what one is shown as and comes to may hold anything but a mode that is none.
fn resolve(plan: &Plan, lines: usize) {
    assert!(plan.target < plan.stages.len(), "the target is outside of its plan");
    let environment = ["B=base".to_owned(), "EMPTY=".to_owned()];
    let mut scopes: Vec<Scope> = Vec::new();
    for (index, stage) in plan.stages.iter().enumerate() {
        assert!(stage.needs.iter().all(|need| *need < index), "a stage needs one that comes later");
        let mut scope = match stage.base {
            Base::Stage(base) => Scope::derive(plan, index, &scopes[base]),
            _ => Scope::new(plan, index, Inherited { environment: &environment, ..Inherited::default() }),
        };
        for instruction in &stage.instructions {
            within(instruction.place, lines);
            instruction.shown(&scope);
            match instruction.resolve(&mut scope) {
                Ok(Step::Copy(copy)) => {
                    assert!(copy.destination.starts_with('/'), "{copy:?}");
                    assert!(copy.chmod.is_none_or(|mode| mode.parse::<ModeChange>().is_ok()), "a mode is none");
                }
                Ok(Step::Workdir(path)) => assert!(path.starts_with('/'), "{path} is relative"),
                Ok(_) => {}
                Err(problem) => check(&problem, lines),
            }
        }
        scopes.push(scope);
    }
}

fn check(problem: &Problem, lines: usize) {
    assert!(!problem.message.is_empty(), "a problem says nothing");
    problem.place.into_iter().for_each(|place| within(place, lines));
}

fn within(place: Place, lines: usize) {
    let (first, last) = (place.line as usize, place.end_line as usize);
    assert!(1 <= first && first <= last && last <= lines && place.column >= 1, "{place:?} is outside of {lines} lines");
}
