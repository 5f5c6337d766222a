//! A step of a build as it is told: what it is called, how it stands, and what it wrote last.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::cli::output::build::text::{Cutter, clean};
use crate::cli::output::progress::size;
use crate::resource::build::StepEnd;

/// How many of its lines are kept: those that are shown where it fails.
pub(crate) const KEPT: usize = 20;

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It goes on.
    Running,
    /// It was done in such a time.
    Done(Duration),
    /// Its result was there already.
    Cached,
    /// It failed after such a time.
    Failed(Duration),
    /// Another one failed.
    Cancelled,
}

/// Something that moves on within a step.
#[derive(Debug)]
pub(crate) struct Move {
    what: String,
    current: u64,
    total: Option<u64>,
    /// When it was last written as a line.
    written: Option<Instant>,
}

/// A step of a build.
#[derive(Debug)]
pub(crate) struct Step {
    /// What it is called.
    pub(crate) name: String,
    /// When it began.
    pub(crate) began: Instant,
    /// How it stands.
    pub(crate) standing: Standing,
    cutter: Cutter,
    tail: VecDeque<Vec<u8>>,
    moves: Option<Move>,
}

/// The least time between two lines about one thing that moves.
const PACE: Duration = Duration::from_secs(5);

impl Step {
    /// A step that begins; `of` is the service it is built for, where there may be several.
    pub(crate) fn new(name: &str, of: Option<&str>, began: Instant) -> Self {
        let first = clean(name.lines().next().unwrap_or_default().as_bytes());
        let name = match (of, first.strip_prefix('[')) {
            (Some(of), Some(rest)) => format!("[{of} {rest}"),
            (Some(of), None) => format!("[{of}] {first}"),
            (None, _) => first,
        };
        Self { name, began, standing: Standing::Running, cutter: Cutter::default(), tail: VecDeque::new(), moves: None }
    }

    /// Takes what it wrote, and hands on each line that it ends.
    pub(crate) fn write(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let tail = &mut self.tail;
        self.cutter.push(bytes, |line| {
            keep(tail, line);
            each(line);
        });
    }

    /// Takes how far something is; says whether that is worth a line.
    pub(crate) fn advance(&mut self, what: &str, current: u64, total: Option<u64>, now: Instant) -> bool {
        let before = self.moves.take().filter(|it| it.what == what).and_then(|it| it.written);
        let ended = total.is_some_and(|total| current >= total);
        let due = ended || before.is_none_or(|written| now.duration_since(written) >= PACE);
        self.moves = Some(Move { what: clean(what.as_bytes()), current, total, written: if due { Some(now) } else { before } });
        due
    }

    /// What moves, in words.
    pub(crate) fn moving(&self) -> Option<String> {
        let it = self.moves.as_ref()?;
        Some(match it.total {
            Some(total) => format!("{} {} / {}", it.what, size(it.current), size(total)),
            None => format!("{} {}", it.what, size(it.current)),
        })
    }

    /// Ends it; returns the line that nothing ended.
    pub(crate) fn end(&mut self, end: &StepEnd, took: Duration) -> Option<Vec<u8>> {
        self.standing = match end {
            StepEnd::Done => Standing::Done(took),
            StepEnd::Cached => Standing::Cached,
            StepEnd::Failed(_) => Standing::Failed(took),
            StepEnd::Cancelled => Standing::Cancelled,
        };
        self.moves = None;
        let last = self.cutter.finish();
        if let Some(line) = &last {
            keep(&mut self.tail, line);
        }
        if !matches!(self.standing, Standing::Failed(_)) {
            self.tail = VecDeque::new();
        }
        last
    }

    /// Its last lines, safe to show; those that say nothing are none.
    pub(crate) fn last_lines(&self, most: usize) -> Vec<String> {
        let pending = self.cutter.pending().into_iter();
        let mut lines: Vec<String> =
            pending.chain(self.tail.iter().rev().map(Vec::as_slice)).map(clean).filter(|line| !line.trim().is_empty()).take(most).collect();
        lines.reverse();
        lines
    }
}

fn keep(tail: &mut VecDeque<Vec<u8>>, line: &[u8]) {
    if tail.len() == KEPT {
        tail.pop_front();
    }
    tail.push_back(line.to_vec());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_for_whom() {
        for (name, of, expect) in [
            ("[build 2/4] RUN make", None, "[build 2/4] RUN make"),
            ("[build 2/4] RUN make", Some("web"), "[web build 2/4] RUN make"),
            ("exporting", Some("web"), "[web] exporting"),
            ("[1/2] RUN <<EOF\nmake\x1b[2J\nEOF", None, "[1/2] RUN <<EOF"),
        ] {
            assert_eq!(Step::new(name, of, Instant::now()).name, expect);
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let mut step = Step::new("x", None, Instant::now());
        for number in 0..1_000_000 {
            step.write(format!("line {number}\n\n").as_bytes(), |_| {});
        }
        step.write(b"half", |_| {});
        assert_eq!(step.last_lines(3), ["line 999998", "line 999999", "half"]);
        assert!(step.tail.len() <= KEPT);
    }

    #[test]
    fn what_moves_is_written_when_it_is_worth_it() {
        let began = Instant::now();
        let mut step = Step::new("x", None, began);
        let at = |seconds| began + Duration::from_secs(seconds);
        assert!(step.advance("layer", 0, Some(2000), at(0)));
        assert!(!step.advance("layer", 900, Some(2000), at(1)));
        assert_eq!(step.moving().as_deref(), Some("layer 900B / 2kB"));
        assert!(step.advance("layer", 1000, Some(2000), at(6)));
        assert!(step.advance("layer", 2000, Some(2000), at(7)));
        assert!(step.advance("other", 1, None, at(7)));
    }
}
