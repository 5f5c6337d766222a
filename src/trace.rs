//! Where the time of one `up` went: a file in Chrome's trace format that client, engine, shim and init append to.
//!
//! `GANTRY_TRACE=FILE` names it. Every event is one line and one `write` on a descriptor opened with `O_APPEND`, so processes never
//! mix their lines; the array's closing bracket is optional in the format and never written. Times are the monotonic clock's, which
//! all processes of a machine share.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};

/// The header that tells an engine on the same machine which file to append to.
pub const HEADER: &str = "gantry-trace";

tokio::task_local! {
    static CURRENT: Trace;
}

/// A trace file, or none; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    to: Option<Arc<Open>>,
    /// The row of a viewer that its spans are shown in; that of the thread when absent. Spans of one row must not overlap.
    row: Option<u64>,
}

/// Open for good: an init soon cannot reach the path any more.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    process: u32,
}

impl Trace {
    /// Makes the file anew; without one, spans cost nothing. `role` is what a viewer calls this process.
    pub fn begin(path: Option<PathBuf>, role: &str) -> std::io::Result<Self> {
        if let Some(path) = &path {
            File::create(path)?.write_all(b"[\n")?;
        }
        let trace = Self::to(path, std::process::id());
        trace.name_process(role);
        Ok(trace)
    }

    /// Appends to a file that another process has begun. `process` tells this one from the others.
    pub fn to(path: Option<PathBuf>, process: u32) -> Self {
        // A trace that cannot be written must not fail what it traces.
        let open = path.and_then(|path| Some(Open { file: OpenOptions::new().append(true).open(&path).ok()?, path, process }));
        Self { to: open.map(Arc::new), row: None }
    }

    /// The trace of the [scope](Self::scope) that the caller is in; none outside of one.
    pub fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_default()
    }

    /// The same file, and a row of one's own for what goes on beside other things.
    #[must_use]
    pub fn row(&self, row: u64) -> Self {
        Self { to: self.to.clone(), row: Some(row) }
    }

    /// The file.
    pub fn path(&self) -> Option<&Path> {
        self.to.as_ref().map(|open| open.path.as_path())
    }

    /// Names this process, so that a viewer shows its role instead of its number.
    pub fn name_process(&self, role: &str) {
        let Some(open) = &self.to else { return };
        let arguments = serde_json::json!({ "name": role });
        self.append(&serde_json::json!({ "name": "process_name", "ph": "M", "pid": open.process, "args": arguments }));
    }

    /// Begins a span; it ends when dropped.
    #[must_use]
    pub fn span(&self, name: impl Into<String>) -> Option<Span> {
        self.to.as_ref().map(|_| Span { trace: self.clone(), name: name.into(), begin: microseconds() })
    }

    /// Runs a future whose spans go to this trace.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    fn append(&self, event: &serde_json::Value) {
        let Some(open) = &self.to else { return };
        let _ = (&open.file).write_all(format!("{event},\n").as_bytes());
    }
}

/// Begins a span of the [current](Trace::current) trace.
#[must_use]
pub fn span(name: impl Into<String>) -> Option<Span> {
    Trace::current().span(name)
}

/// A stretch of time with a name.
#[derive(Debug)]
pub struct Span {
    trace: Trace,
    name: String,
    begin: i64,
}

impl Drop for Span {
    fn drop(&mut self) {
        let thread = || rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs().into();
        let row: u64 = self.trace.row.unwrap_or_else(thread);
        let process = self.trace.to.as_ref().map(|open| open.process);
        self.trace.append(&serde_json::json!({
            "name": self.name, "ph": "X", "ts": self.begin, "dur": microseconds() - self.begin, "pid": process, "tid": row,
        }));
    }
}

fn microseconds() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_events_and_a_trace_without_a_file_is_nothing() {
        assert!(Trace::default().span("nothing").is_none());
        let folder = tempfile::tempdir().expect("a folder");
        let trace = Trace::begin(Some(folder.path().join("trace.json")), "client").expect("the file is made");
        drop(trace.span("load"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(trace.row(7).scope(async { drop(span("inside")) }));
        assert!(span("outside").is_none());
        let text = std::fs::read_to_string(folder.path().join("trace.json")).expect("the file is there");
        let closed = format!("{}]", text.trim_end().trim_end_matches(','));
        let events: Vec<serde_json::Value> = serde_json::from_str(&closed).expect("JSON once it is closed");
        assert_eq!((events[0]["ph"].as_str(), events[1]["name"].as_str()), (Some("M"), Some("load")));
        assert_eq!((events.len(), events[2]["name"].as_str(), events[2]["tid"].as_u64()), (3, Some("inside"), Some(7)));
    }
}
