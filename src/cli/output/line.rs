//! Lines of containers, each with the name of its container before it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::output::terminal::Terminal;
use crate::resource::log::Stream;
use crate::resource::time::Timestamp;

/// Docker Compose's colours, in the order in which it gives them to containers.
const COLORS: [&str; 10] = ["36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1"];

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineStyle {
    /// The container's name stands before each.
    pub(crate) prefix: bool,
    /// Names are coloured, each its own.
    pub(crate) color: bool,
    /// What a container wrote to standard error goes to standard error.
    pub(crate) split: bool,
}

#[derive(Default)]
struct Names {
    width: usize,
    colors: BTreeMap<String, &'static str>,
}

/// Writes lines of containers; cheap to clone.
#[derive(Clone)]
pub(crate) struct LinePrinter {
    terminal: Terminal,
    style: LineStyle,
    project: String,
    names: Arc<Mutex<Names>>,
}

impl LinePrinter {
    /// A printer for a project's containers.
    pub(crate) fn new(terminal: &Terminal, style: LineStyle, project: &str) -> Self {
        Self { terminal: terminal.clone(), style, project: project.to_owned(), names: Arc::default() }
    }

    /// Makes room for a container's name, and gives it the next colour.
    pub(crate) fn register(&self, container: &str) {
        let short = self.short(container).to_owned();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.width = names.width.max(short.len());
        let next = COLORS[names.colors.len() % COLORS.len()];
        names.colors.entry(short).or_insert(next);
    }

    /// The container's name without the project's.
    pub(crate) fn short<'a>(&self, container: &'a str) -> &'a str {
        container.strip_prefix(&self.project).and_then(|rest| rest.strip_prefix('-')).unwrap_or(container)
    }

    /// Writes a line; `text` may end with its newline. Standard output is written when the printer's owner flushes.
    pub(crate) fn line(&self, container: &str, stream: Stream, time: Option<Timestamp>, text: &[u8]) {
        let bytes = self.compose(container, time, text);
        if self.style.split && stream == Stream::Stderr {
            self.terminal.raw_note(&bytes);
        } else {
            self.terminal.out(&bytes);
        }
    }

    fn compose(&self, container: &str, time: Option<Timestamp>, text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() + 40);
        if self.style.prefix {
            let short = self.short(container);
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let width = names.width + 1;
            match names.colors.get(short).filter(|_| self.style.color) {
                Some(color) => bytes.extend_from_slice(format!("\x1b[{color}m{short:<width$} | \x1b[0m").as_bytes()),
                None => bytes.extend_from_slice(format!("{short:<width$} | ").as_bytes()),
            }
        }
        if let Some(time) = time {
            bytes.extend_from_slice(time.fixed().as_bytes());
            bytes.push(b' ');
        }
        bytes.extend_from_slice(text);
        if !text.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes
    }

    /// Writes what became of a container. The control codes are there even in a pipe, as Docker Compose writes them.
    pub(crate) fn status(&self, container: &str, text: &str) {
        self.terminal.out(format!("\r\x1b[K{} {text}\n", self.short(container)).as_bytes());
        self.terminal.flush();
    }

    /// The terminal.
    pub(crate) const fn terminal(&self) -> &Terminal {
        &self.terminal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer(prefix: bool, color: bool) -> LinePrinter {
        let terminal = Terminal::new(&crate::cli::environment::Environment::default());
        LinePrinter::new(&terminal, LineStyle { prefix, color, split: true }, "shop")
    }

    fn composed(printer: &LinePrinter, container: &str, time: Option<Timestamp>, text: &str) -> String {
        String::from_utf8(printer.compose(container, time, text.as_bytes())).expect("text")
    }

    #[test]
    fn names_stand_before_lines_as_composes_do() {
        let plain = printer(true, false);
        plain.register("shop-web-1");
        assert_eq!(composed(&plain, "shop-web-1", None, "hello\n"), "web-1  | hello\n");
        plain.register("named");
        plain.register("shop-worker-10");
        assert_eq!(composed(&plain, "shop-web-1", None, "no newline"), "web-1      | no newline\n");
        assert_eq!(composed(&plain, "named", None, "x\n"), "named      | x\n");
        assert_eq!(
            composed(&plain, "shop-worker-10", Some(Timestamp::from_nanos(0)), "x\n"),
            "worker-10  | 1970-01-01T00:00:00.000000000Z x\n"
        );
        assert_eq!(composed(&printer(false, true), "shop-web-1", None, "x\n"), "x\n");
    }

    #[test]
    fn colours_go_round_in_composes_order() {
        let colored = printer(true, true);
        for (index, color) in ["36", "33", "32", "35", "34", "36;1"].iter().enumerate() {
            let name = format!("shop-s-{index}");
            colored.register(&name);
            assert_eq!(composed(&colored, &name, None, "x\n"), format!("\x1b[{color}ms-{index}  | \x1b[0mx\n"));
        }
    }

    #[test]
    fn times_have_nine_digits() {
        for (nanos, expect) in [(0, "1970-01-01T00:00:00.000000000Z"), (1_500_000_000, "1970-01-01T00:00:01.500000000Z")] {
            assert_eq!(Timestamp::from_nanos(nanos).fixed(), expect);
        }
    }
}
