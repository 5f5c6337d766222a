//! Where the time of one `up` went: a file in Chrome's trace format that client, engine, shim and init append to.
//!
//! `GANTRY_TRACE=FILE` names it. Every event is one line and one `write` on a descriptor opened with `O_APPEND`, so processes never
//! mix their lines; the array's closing bracket is optional in the format and never written. Times are the monotonic clock's, which
//! all processes of a machine share.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

/// A trace file, or none; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    path: Option<PathBuf>,
}

impl Trace {
    /// Appends to this file; without one, spans cost nothing.
    pub fn to(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// Makes the file anew and names this process in it.
    pub fn begin(&self, role: &str) -> std::io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        File::create(path)?.write_all(b"[\n")?;
        self.name_process(role);
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Names this process, so that a viewer shows its role instead of its number.
    pub fn name_process(&self, role: &str) {
        let arguments = serde_json::json!({ "name": role });
        self.append(&serde_json::json!({ "name": "process_name", "ph": "M", "pid": std::process::id(), "args": arguments }));
    }

    /// Begins a span; it ends when dropped.
    #[must_use]
    pub fn span(&self, name: impl Into<String>) -> Option<Span> {
        self.path.as_ref().map(|_| Span { trace: self.clone(), name: name.into(), begin: microseconds() })
    }

    fn append(&self, event: &serde_json::Value) {
        let Some(path) = &self.path else { return };
        // A trace that cannot be written must not fail what it traces.
        if let Ok(mut file) = OpenOptions::new().append(true).open(path) {
            let _ = file.write_all(format!("{event},\n").as_bytes());
        }
    }
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
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.trace.append(&serde_json::json!({
            "name": self.name, "ph": "X", "ts": self.begin, "dur": microseconds() - self.begin, "pid": std::process::id(), "tid": thread,
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
        let trace = Trace::to(Some(folder.path().join("trace.json")));
        trace.begin("client").expect("the file is made");
        drop(trace.span("load"));
        let text = std::fs::read_to_string(folder.path().join("trace.json")).expect("the file is there");
        let closed = format!("{}]", text.trim_end().trim_end_matches(','));
        let events: Vec<serde_json::Value> = serde_json::from_str(&closed).expect("JSON once it is closed");
        assert_eq!((events[0]["ph"].as_str(), events[1]["name"].as_str()), (Some("M"), Some("load")));
    }
}
