//! The cases of tests/config: what `config` prints for them, what it says of them, and that hints lead out. `UPDATE=1` rewrites what is
//! expected.

#[path = "config/arguments.rs"]
mod arguments;
#[path = "config/case.rs"]
mod case;
#[path = "config/schema.rs"]
mod schema;
#[path = "config/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use arguments::arguments;
use case::Case;
use gantry::compose::project::diagnostic::Diagnostics;
use gantry::compose::project::model::Project;
use gantry::compose::project::source::FileReader;
use gantry::compose::project::{Sources, emit, load};
use sources::sources;

#[test]
fn every_case_prints_what_is_expected() {
    let failures: Vec<String> = case::all().into_iter().flat_map(check).collect();
    assert!(failures.is_empty(), "{} cases\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_hint_leads_out() {
    let failures: Vec<String> = case::all().iter().filter_map(stuck).collect();
    assert!(failures.is_empty(), "{} cases\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_line_of_the_checklist_names_a_case_and_every_case_has_a_line() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/CHECKLIST.md")).expect("the checklist");
    let known: BTreeSet<String> = case::all().iter().map(Case::name).collect();
    let mut named = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("- ")) {
        let names: Vec<&str> = line.split('`').skip(1).step_by(2).filter(|word| word.contains('/')).collect();
        let wrong: Vec<_> = names.iter().filter(|name| !known.contains(**name)).collect();
        assert!(wrong.is_empty(), "there is no case {wrong:?}: {line}");
        assert!(!names.is_empty() || line.contains("not visible"), "no case is named: {line}");
        named.extend(names);
    }
    let is_listed = |name: &&String| name.starts_with("real/") || name.starts_with("mixed/") || named.contains(name.as_str());
    let missing: Vec<&String> = known.iter().filter(|name| !is_listed(name)).collect();
    assert!(missing.is_empty(), "no line names {missing:?}");
}

impl Case {
    /// The files after the hint was followed, by path.
    fn fixed(&self) -> Vec<(&str, &str)> {
        self.sections.iter().filter_map(|(name, text)| Some((name.strip_prefix("fixed: ")?, text.as_str()))).collect()
    }

    /// Replaces a section, before those of another kind; an empty one goes.
    fn set(&mut self, name: &str, text: &str) {
        let at = self.sections.iter().position(|(section, _)| section == name);
        match at {
            _ if text.is_empty() => self.sections.retain(|(section, _)| section != name),
            Some(at) => text.clone_into(&mut self.sections[at].1),
            None => {
                let end = self.sections.iter().position(|(section, _)| section.starts_with("fixed: ")).unwrap_or(self.sections.len());
                self.sections.insert(end, (name.to_owned(), text.to_owned()));
            }
        }
        let section = |(name, text): &(String, String)| if name.is_empty() { text.clone() } else { format!("-- {name} --\n{text}") };
        let text: String = self.sections.iter().map(section).collect();
        std::fs::write(&self.file, text).expect("the case");
    }
}

/// Returns what differs, if anything does.
fn check(mut case: Case) -> Vec<String> {
    let below = tempfile::tempdir().expect("a folder");
    let folder = case.unpack(below.path());
    let options = case.options(&folder);
    let here = |text: &str| text.replace(&folder.display().to_string(), "CASE");
    let mut differences = Vec::new();
    if !options.flags.is_empty() {
        #[expect(clippy::disallowed_methods, reason = "the flags are those of the program")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
        command.args(arguments(&options)).current_dir(&options.folder).env_clear().envs(&options.environment);
        let stdin = options.stdin.as_ref().map_or_else(Stdio::null, |file| std::fs::File::open(file).expect("the input").into());
        let output = command.stdin(stdin).output().expect("gantry runs");
        let text = |bytes: &[u8]| here(&String::from_utf8_lossy(bytes));
        compare(&mut case, "expected.out", &text(&output.stdout), &mut differences);
        compare(&mut case, "expected.stderr", &text(&output.stderr), &mut differences);
        return differences;
    }
    let sources = sources(&options);
    let loaded = load(&sources, &FileReader);
    let Some(project) = &loaded.project else {
        compare(&mut case, "expected.stderr", &here(&loaded.diagnostics.render(false)), &mut differences);
        compare(&mut case, "expected.yaml", "", &mut differences);
        return differences;
    };
    let project = match project.select(&sources.select, true) {
        Ok(project) => project,
        Err(error) => {
            compare(&mut case, "expected.yaml", "", &mut differences);
            compare(&mut case, "expected.stderr", &format!("{error}\n"), &mut differences);
            return differences;
        }
    };
    let told = here(&format!("{}{}", loaded.diagnostics.render(false), project.refusals().render(false)));
    compare(&mut case, "expected.stderr", &told, &mut differences);
    let printed = emit::to_yaml(&project);
    compare(&mut case, "expected.yaml", &here(&printed), &mut differences);
    // What is printed is a project itself, and the same one.
    for (form, printed) in [("yaml", printed), ("json", emit::to_json(&project))] {
        let again = Sources {
            files: vec![PathBuf::from("-")],
            stdin: Some(printed.clone()),
            profiles: vec!["*".to_owned()],
            project_directory: Some(project.working_dir.clone()),
            ..sources.clone()
        };
        let reloaded = load(&again, &FileReader);
        let Some(second) = &reloaded.project else {
            differences.push(format!("{}: its {form} does not load:\n{}", case.name(), reloaded.diagnostics.render(false)));
            continue;
        };
        let second = second.select(&sources.select, true).expect("services that exist");
        if second.services != project.services {
            let one = |project: &Project| format!("{:#?}", project.services);
            let (first, second) = (one(&project), one(&second));
            let changed = first.lines().zip(second.lines()).find(|(one, other)| one != other);
            differences.push(format!("{}: its {form} loads to another project: {changed:?}", case.name()));
        }
        if form == "yaml" && emit::to_yaml(&second) != printed {
            differences.push(format!("{}: its output prints as something else:\n{printed}\n---\n{}", case.name(), emit::to_yaml(&second)));
        }
    }
    // A file with nothing to say changes nothing.
    let path = folder.join("nothing.yaml");
    let with = |files: Vec<PathBuf>| {
        let same = Sources { files, project_directory: Some(project.working_dir.clone()), ..sources.clone() };
        load(&same, &FileReader).project.map(|project| emit::to_yaml(&project))
    };
    write(&path, "services: {}\n");
    if with(project.files.clone()) != with(project.files.iter().cloned().chain([path]).collect()) {
        differences.push(format!("{}: an empty file on top of it changes something", case.name()));
    }
    differences
}

/// Follows the hints of a case that does not load; returns what is still wrong with it.
fn stuck(case: &Case) -> Option<String> {
    if case.fixed().is_empty() {
        return None;
    }
    let below = tempfile::tempdir().expect("a folder");
    let folder = case.unpack(below.path());
    let sources = sources(&case.options(&folder));
    let (diagnostics, wrong) = problems(&sources);
    if !wrong && diagnostics.errors().next().is_none() {
        return Some(format!("{}: nothing is wrong with it", case.name()));
    }
    if let Some(silent) = diagnostics.errors().find(|problem| problem.hint.is_none()) {
        return Some(format!("{}: no hint: {}", case.name(), silent.message));
    }
    let applied = diagnostics.apply_fixes(|path, text| std::fs::write(sources.working_dir.join(path), text).expect("a file"));
    let mut sources = sources;
    if !applied {
        for (path, text) in case.fixed() {
            if path == "options" {
                sources = sources::sources(&case.read_options(text, &folder));
            } else {
                write(&folder.join(path), text);
            }
        }
    }
    let (again, wrong) = problems(&sources);
    wrong.then(|| format!("{} ({applied}):\n{}", case.name(), again.render(false)))
}

/// What stands in the way of loading a project, or else of running it; and whether it is more than what is not yet supported.
fn problems(sources: &Sources) -> (Diagnostics, bool) {
    let loaded = load(sources, &FileReader);
    let selected = loaded.project.map(|project| project.select(&sources.select, true));
    match selected {
        None => (loaded.diagnostics, true),
        Some(Err(_)) => (loaded.diagnostics, true),
        Some(Ok(project)) => {
            let refusals = project.refusals().enforced();
            let wrong = refusals.errors().any(|problem| problem.code != "not-yet");
            (refusals, wrong)
        }
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn compare(case: &mut Case, section: &str, actual: &str, differences: &mut Vec<String>) {
    // A line break at the end is that of the section.
    let ended = if actual.is_empty() || actual.ends_with('\n') { actual.to_owned() } else { format!("{actual}\n") };
    let expected = case.section(section).unwrap_or_default().to_owned();
    if ended == expected {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let update = std::env::var("UPDATE").unwrap_or_default();
    // What Docker Compose printed is not rewritten by `UPDATE=stderr`.
    if update == "1" || (update == "stderr" && section == "expected.stderr") {
        return case.set(section, &ended);
    }
    differences.push(format!("{}\n--- {section}\n{expected}\n--- actual\n{ended}", case.name()));
}
