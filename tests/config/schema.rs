//! schema/compose.schema.json judges the files of the cases as the loader does: what loads fits it, and where the loader names something that a
//! JSON Schema can see, the file does not fit.

use std::collections::BTreeSet;

use gantry::compose::project::diagnostic::Diagnostic;
use gantry::compose::project::source::FileReader;
use gantry::compose::project::{emit, load};
use jsonschema::{ValidationError, Validator};

use crate::case::{self, Case};

/// The codes of what is wrong with one value or one key of one file.
const SEEN: &[&str] = &[
    "bytes",
    "device",
    "duration",
    "environment",
    "extra-hosts",
    "missing-key",
    "mode",
    "name",
    "port",
    "range",
    "unknown-key",
    "unknown-section",
    "volume",
    "word",
    "wrong-type",
];

/// Cases with a file that a JSON Schema cannot judge as the loader does, and why.
const EXCEPT: &[(&str, &str)] = &[
    ("errors/port-host-ip-invalid", "an address is text to the table"),
    ("merge/nothing-replaced", NOTHING),
    ("include/nothing", "an editor does well to say that nothing is included"),
    ("errors/port-range-reversed", COMPARED),
    ("errors/port-ranges-differ", COMPARED),
    ("errors/port-target-missing", "the table needs no target"),
    ("extends/identity-and-process", NOTHING),
    ("merge/build-scalars", NOTHING),
    ("merge/build-ulimits-partial", BELOW),
    ("merge/build-string-and-map", NOTHING),
    ("merge/deploy", NOTHING),
    ("merge/network-mode", NOTHING),
    ("merge/null-in-lists-and-maps", NOTHING),
    ("merge/null-keeps", NOTHING),
    ("merge/scalars-of-booleans", NOTHING),
    ("merge/service-network-attributes", NOTHING),
    ("mixed/logging-null", NOTHING),
    ("mixed/merge", NOTHING),
    ("mixed/namespace-mistakes", "a mode is text to the table"),
    ("real/ml-stack", BELOW),
    ("reset/entries-of-maps", BELOW),
    ("reset/resources", BELOW),
];
const NOTHING: &str = "nothing lies on top of something, and changes nothing";
const BELOW: &str = "what it needs is in the file below";
const COMPARED: &str = "no pattern compares two numbers";

#[test]
fn the_schema_judges_as_the_loader_does() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/compose.schema.json")).expect("the schema");
    let schema = jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema");
    let mut idle: BTreeSet<&str> = EXCEPT.iter().map(|(name, _)| *name).collect();
    let mut failures = Vec::new();
    for case in case::all() {
        let differences = judge(&case, &schema);
        if !differences.is_empty() && !idle.remove(case.name().as_str()) {
            failures.extend(differences);
        }
    }
    failures.extend(idle.into_iter().map(|name| format!("{name}: an exception that is none")));
    assert!(failures.is_empty(), "{} times\n{}", failures.len(), failures.join("\n"));
}

/// Returns the files of a case that one takes and the other does not.
fn judge(case: &Case, schema: &Validator) -> Vec<String> {
    let below = tempfile::tempdir().expect("a folder");
    let sources = super::sources(&case.options(&case.unpack(below.path())));
    let loaded = load(&sources, &FileReader);
    let mut differences = Vec::new();
    let mut judged = BTreeSet::new();
    for (id, source) in loaded.diagnostics.sources().iter() {
        // Of a file that is read twice, the first has its problems; a file of variables is no document.
        let is_document =
            loaded.diagnostics.iter().all(|problem| problem.code != "dotenv" || problem.span.is_none_or(|span| span.source != id));
        if !judged.insert(&source.path) || !is_document {
            continue;
        }
        let is_here = |problem: &&Diagnostic| SEEN.contains(&problem.code) && problem.span.is_some_and(|span| span.source == id);
        let is_template = |problem: &&Diagnostic| problem.span.is_some_and(|span| loaded.diagnostics.sources().slice(span).contains('$'));
        // What a template stands for is nothing that the file says.
        let (templates, seen): (Vec<_>, Vec<_>) = loaded.diagnostics.errors().filter(is_here).partition(is_template);
        if seen.is_empty() && !templates.is_empty() {
            continue;
        }
        // An empty document is none.
        let mut documents = emit::tree(&source.text).into_iter().filter(|document| !document.is_null());
        let unfit = documents.find_map(|document| schema.validate(&document).err().map(ValidationError::to_owned));
        if seen.is_empty() == unfit.is_some() {
            let (loader, schema) =
                (seen.first().map(|problem| &problem.message), unfit.map(|error| format!("{}: {error}", error.instance_path())));
            differences.push(format!("{}: {}\n  loader: {loader:?}\n  schema: {schema:?}", case.name(), source.path.display()));
        }
    }
    differences
}
