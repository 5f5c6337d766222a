//! JSON that knows where everything in it stands.

/// A value and the byte it begins at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Offset into the text.
    pub(super) at: usize,
    /// What stands there.
    pub(super) value: Value,
}

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// As it is written.
    Number(String),
    /// Without quotes and escapes.
    Text(String),
    /// `[…]`
    List(Vec<Node>),
    /// `{…}`, in the order of the file, names that come twice included.
    Map(Vec<Entry>),
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The name.
    pub(super) name: String,
    /// Where the name begins.
    pub(super) at: usize,
    /// The value.
    pub(super) node: Node,
}

impl Value {
    /// What it is, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// Reads a text; what is wrong with it is told with line and column.
pub(super) fn parse(text: &str) -> Result<Node, (usize, usize, String)> {
    // Whether it is JSON at all, and not nested without end, is decided by the reader that everything else uses, which looks at every
    // letter only where it keeps them; below nothing but places is added.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        return Err((error.line(), error.column().max(1), message));
    }
    Walker { text, at: 0 }.value().ok_or_else(|| (1, 1, "it is no JSON".to_owned()))
}

/// Line and column of a byte, both from 1; a column is a letter.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Goes through a text that is known to be JSON.
struct Walker<'a> {
    text: &'a str,
    at: usize,
}

impl Walker<'_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over this byte, if it is next.
    fn pass(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self) -> Option<Node> {
        let first = self.peek()?;
        let at = self.at;
        let value = match first {
            b'{' => Value::Map(self.map()?),
            b'[' => Value::List(self.list()?),
            b'"' => Value::Text(self.text()?),
            _ => match self.word() {
                "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                number => Value::Number(number.to_owned()),
            },
        };
        Some(Node { at, value })
    }

    fn map(&mut self) -> Option<Vec<Entry>> {
        let mut entries = Vec::new();
        self.pass(b'{');
        while !self.pass(b'}') {
            self.pass(b',');
            self.peek()?;
            let at = self.at;
            let name = self.text()?;
            self.pass(b':');
            entries.push(Entry { name, at, node: self.value()? });
        }
        Some(entries)
    }

    fn list(&mut self) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        self.pass(b'[');
        while !self.pass(b']') {
            self.pass(b',');
            nodes.push(self.value()?);
        }
        Some(nodes)
    }

    fn text(&mut self) -> Option<String> {
        let start = self.at;
        let mut escaped = false;
        let length = self.text.get(start..)?.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        self.at = start + length + 2;
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    fn word(&mut self) -> &str {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let length = rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
        self.at = start + length;
        &rest[..length]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everything_has_a_place() {
        let text = "{\n  \"ä\\\"b\": [1, \"x\\\\\"],\n\t\"c\" :{ } , \"d\": null}\n";
        let Value::Map(entries) = parse(text).expect("JSON").value else { panic!("an object") };
        let seen: Vec<_> = entries.iter().map(|it| (it.name.as_str(), line_and_column(text, it.at), it.node.value.kind())).collect();
        assert_eq!(seen, [("ä\"b", (2, 3), "a list"), ("c", (3, 2), "an object"), ("d", (3, 13), "nothing")]);
        let Value::List(items) = &entries[0].node.value else { panic!("a list") };
        assert_eq!((&items[1].value, line_and_column(text, items[1].at)), (&Value::Text("x\\".to_owned()), (2, 15)));
        assert_eq!(parse("{\n \"a\": 1,\n}").expect_err("a comma too many"), (3, 1, "trailing comma".to_owned()));
        assert!(parse("").is_err());
    }

    fn plain(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(text) => serde_json::from_str(text).expect("a number"),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(plain).collect(),
            Value::Map(entries) => serde_json::Value::Object(entries.iter().map(|it| (it.name.clone(), plain(&it.node))).collect()),
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[\"\\\\/a-ü\\n,:\\[\\]{} ]{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[\"\\\\a-c]{0,3}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_the_other_reader_wrote(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            prop_assert_eq!(plain(&parse(&text).expect("JSON")), value);
        }

        #[test]
        fn no_text_is_too_much(text in "[\\[\\]{}\",:\\\\ 1a\\n]{0,20}") {
            let _ = parse(&text);
        }
    }
}
