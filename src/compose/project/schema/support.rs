//! The table of attributes as people read it: schema/SUPPORT.md.

use crate::compose::project::schema::{Attribute, Class, FILE, Form, Shape, ULIMIT, Unique};

const HEAD: &str = "# State of support

Written from [the table that the loader reads](../src/compose/project/schema); for editors, [compose.schema.json](compose.schema.json) is written
from it, too.

- *Implemented*: it does what the specification says.
- *Inert*: it has no effect in Docker Compose on one Linux host either; a warning names its line.
- *Not yet*: it loads, merges and prints. `up`, `create`, `run` and `scale` refuse it, with file, line and column; `config` does not.

The third column says what a later file does to an earlier one, and nothing where a whole is replaced. `!override` replaces any attribute, `!reset`
removes it.

| attribute | state | in a later file | meaning |
|---|---|---|---|
";

/// What an attribute of a later file does to the same one of an earlier.
fn merged(shape: &Shape) -> String {
    let unique = |what: &str| format!("appended, unique by {what}");
    match shape {
        Shape::Short(Form::Extends, _) | Shape::List(Shape::Short(Form::Include, _), _) => "belongs to its file".to_owned(),
        Shape::Short(Form::Logging, _) => "key by key, replaced with another driver".to_owned(),
        Shape::Short(_, long) => merged(long),
        Shape::Object(_) | Shape::Map(_) | Shape::Dictionary | Shape::Contexts | Shape::Options => "key by key".to_owned(),
        Shape::Texts => merged(&Shape::List(&Shape::Text, Unique::Key)),
        Shape::List(_, Unique::Nothing) => "appended".to_owned(),
        Shape::List(_, Unique::Value) => unique("value"),
        Shape::List(_, Unique::Key) => unique("what stands before `=`"),
        Shape::List(_, Unique::Field(field)) => unique(&format!("`{field}`")),
        Shape::List(_, Unique::Within(field)) => format!("appended; with the same `{field}`, key by key"),
        Shape::List(_, Unique::Port) => unique("address, ports and protocol"),
        Shape::List(_, Unique::File) => unique("`target`"),
        Shape::Several => "appended where both are lists, else replaced".to_owned(),
        Shape::Any => "key by key or appended where both are of a kind, else replaced".to_owned(),
        _ => "replaced".to_owned(),
    }
}

fn rows(text: &mut String, prefix: &str, attributes: &[Attribute], merges: bool) {
    for attribute in attributes {
        let class = match attribute.class {
            Class::Implemented => "implemented",
            Class::Inert => "inert",
            Class::NotYet => "not yet",
        };
        let path = format!("{prefix}{}", attribute.name);
        let merged = if merges { merged(attribute.shape) } else { String::new() };
        // A bar would be the end of the cell.
        let about = attribute.about.replace('|', "\\|");
        text.push_str(&format!("| `{path}` | {class} | {merged} | {about} |\n"));
        below(text, &path, attribute.shape, merges);
    }
}

fn below(text: &mut String, path: &str, shape: &Shape, merges: bool) {
    match shape {
        Shape::Object(attributes) => rows(text, &format!("{path}."), attributes, merges),
        Shape::Map(inner) => below(text, &format!("{path}.*"), inner, merges),
        Shape::List(inner, unique) => below(text, &format!("{path}[]"), inner, merges && matches!(unique, Unique::Within(_))),
        Shape::Short(form, inner) => below(text, path, inner, merges && *form != Form::Extends),
        Shape::Ulimit | Shape::Limit => rows(text, &format!("{path}."), ULIMIT, false),
        _ => {}
    }
}

/// `UPDATE=1` writes the file.
#[test]
fn the_table_for_people_is_the_one_for_the_program() {
    let mut text = HEAD.to_owned();
    rows(&mut text, "", FILE, true);
    up_to_date("SUPPORT.md", &text);
}

/// Holds a file of the folder `schema` to what it is written from; `UPDATE=1` writes it.
pub(super) fn up_to_date(name: &str, text: &str) {
    let file = format!("{}/schema/{name}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        std::fs::write(&file, text).expect("the file");
    }
    assert!(std::fs::read_to_string(&file).unwrap_or_default() == text, "schema/{name} is out of date: run this test with UPDATE=1");
}
