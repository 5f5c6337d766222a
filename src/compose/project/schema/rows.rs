//! Every rule of merging shows: without it, a case of tests/config prints something else.

use crate::compose::project::schema::{Attribute, FILE, Form, Shape, Unique};
use crate::compose::project::source::FileReader;
use crate::compose::project::{emit, load, load_model, merge};

#[path = "../../../../tests/config/case.rs"]
mod case;
#[path = "../../../../tests/config/sources.rs"]
mod sources;

/// Whether two values of a shape are not merged as any two values are: mappings by key, lists one after the other, the rest replaced.
const fn has_rule(shape: &Shape) -> bool {
    match shape {
        Shape::Short(Form::Logging, _) | Shape::Command | Shape::Test | Shape::Texts | Shape::Ulimit => true,
        Shape::Short(_, inner) => has_rule(inner),
        Shape::List(_, unique) => !matches!(unique, Unique::Nothing),
        Shape::Map(inner) => matches!(inner, Shape::Ulimit),
        _ => false,
    }
}

/// The rows with a rule of their own, by path; a table that several attributes share is walked once.
fn rows(
    attributes: &'static [Attribute],
    path: &str,
    seen: &mut Vec<(&'static str, &'static str)>,
    found: &mut Vec<(String, &'static Attribute)>,
) {
    for attribute in attributes {
        if seen.contains(&(attribute.name, attribute.about)) {
            continue;
        }
        seen.push((attribute.name, attribute.about));
        let path = format!("{path}{}", attribute.name);
        if has_rule(attribute.shape) {
            found.push((path.clone(), attribute));
        }
        below(attribute.shape, &path, seen, found);
    }
}

fn below(shape: &'static Shape, path: &str, seen: &mut Vec<(&'static str, &'static str)>, found: &mut Vec<(String, &'static Attribute)>) {
    match shape {
        Shape::Object(attributes) => rows(attributes, &format!("{path}."), seen, found),
        Shape::Map(inner) | Shape::Short(_, inner) => below(inner, path, seen, found),
        // Items of a list are never merged, but for those that are matched.
        Shape::List(inner, Unique::Within(_)) => below(inner, path, seen, found),
        _ => {}
    }
}

/// What a case prints.
fn printed(case: &case::Case) -> String {
    let below = tempfile::tempdir().expect("a folder");
    let folder = case.unpack(below.path());
    let options = case.options(&folder);
    let sources = sources::sources(&options);
    if options.flags.iter().any(|flag| flag == "--no-interpolate") {
        let (model, diagnostics) = load_model(&sources, &FileReader);
        let text = model.map_or_else(|| diagnostics.render(false), |model| emit::model_to_yaml(&model));
        return text.replace(&folder.display().to_string(), "CASE");
    }
    let loaded = load(&sources, &FileReader);
    let text = match &loaded.project {
        Some(project) => emit::to_yaml(project),
        None => loaded.diagnostics.render(false),
    };
    text.replace(&folder.display().to_string(), "CASE")
}

#[test]
fn each_rule_of_merging_shows_in_a_case() {
    let mut all: Vec<(String, &'static Attribute)> = Vec::new();
    rows(FILE, "", &mut Vec::new(), &mut all);
    assert!(all.len() > 30, "{} rows", all.len());
    let topics = ["merge/", "reset/", "extends/", "real/", "errors/ulimits"];
    let cases: Vec<(case::Case, String)> = case::all()
        .into_iter()
        .filter(|case| topics.iter().any(|topic| case.name().starts_with(topic)))
        .map(|case| {
            let text = printed(&case);
            (case, text)
        })
        .collect();
    let silent: Vec<&String> = all
        .iter()
        .filter(|(path, row)| {
            // The case of that name is the likeliest.
            let name = path.rsplit('.').next().unwrap_or_default().replace('_', "-");
            let mut order: Vec<&(case::Case, String)> = cases.iter().collect();
            order.sort_by_key(|(case, _)| !case.name().contains(&name));
            let _without = merge::Without::row(row);
            order.iter().all(|(case, text)| printed(case) == *text)
        })
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "no case shows how these are merged: {silent:?}");
}
