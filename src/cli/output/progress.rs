//! What is going on, on standard error: live on a terminal, a line a change elsewhere, JSON for programs, or nothing.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::output::terminal::Terminal;
use crate::resource::image::ImageProgress;

/// How progress is told (`--progress`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Style {
    /// `tty` on a terminal, else `plain`.
    #[default]
    Auto,
    /// Lines that change in place.
    Tty,
    /// A line a change.
    Plain,
    /// A JSON object a change.
    Json,
    /// Nothing.
    #[value(alias = "none")]
    Quiet,
}

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It goes on.
    Working,
    /// It is done.
    Done,
    /// It is done, not quite as wished.
    Warning,
    /// It failed.
    Error,
}

impl Status {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Working => "Working",
            Self::Done => "Done",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

struct Task {
    id: String,
    status: Status,
    text: String,
    details: String,
    /// Bytes done and in all.
    bytes: Option<(u64, u64)>,
    began: Instant,
    took: Option<Duration>,
}

/// Lines for so many rows and columns.
type Lines = Box<dyn Fn(usize, usize) -> Vec<String> + Send + Sync>;

/// The tasks of one command.
#[derive(Clone)]
pub(crate) struct Progress {
    terminal: Terminal,
    style: Style,
    title: &'static str,
    tasks: Arc<Mutex<Vec<Task>>>,
    /// What is drawn below the tasks.
    below: Arc<OnceLock<Lines>>,
    /// Lines go to standard output (`COMPOSE_STATUS_STDOUT`).
    to_stdout: bool,
    /// Redraws timers and spinners of a terminal.
    ticker: Option<Arc<Ticker>>,
}

struct Ticker(tokio::task::JoinHandle<()>);

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME: Duration = Duration::from_millis(100);

impl Progress {
    /// Begins to tell of a command; `style` is never `Auto`.
    pub(crate) fn new(terminal: &Terminal, style: Style, title: &'static str, to_stdout: bool) -> Self {
        let mut progress =
            Self { terminal: terminal.clone(), style, title, tasks: Arc::default(), below: Arc::default(), to_stdout, ticker: None };
        if style == Style::Tty {
            let drawn = progress.clone();
            // A timer on the screen is about time itself.
            let ticker = tokio::spawn(async move {
                let mut frames = tokio::time::interval(FRAME);
                loop {
                    frames.tick().await;
                    drawn.draw();
                }
            });
            progress.ticker = Some(Arc::new(Ticker(ticker)));
        }
        progress
    }

    /// Tells that a task changed.
    pub(crate) fn tell(&self, id: &str, status: Status, text: &str) {
        self.tell_more(id, status, text, "", None);
    }

    /// Tells that a task changed, with more of it.
    pub(crate) fn tell_more(&self, id: &str, status: Status, text: &str, details: &str, bytes: Option<(u64, u64)>) {
        let mut tasks = self.lock();
        let index = tasks.iter().position(|task| task.id == id);
        let changed = index.is_none_or(|index| tasks[index].text != text || tasks[index].status != status);
        let index = index.unwrap_or_else(|| {
            let (id, text, details) = (id.to_owned(), String::new(), String::new());
            tasks.push(Task { id, status, text, details, bytes, began: Instant::now(), took: None });
            tasks.len() - 1
        });
        let task = &mut tasks[index];
        if status == Status::Working && task.status != Status::Working {
            task.began = Instant::now();
        }
        task.took = (status != Status::Working).then(|| task.took.unwrap_or_else(|| task.began.elapsed()));
        (task.status, task.bytes) = (status, bytes);
        text.clone_into(&mut task.text);
        details.clone_into(&mut task.details);
        match self.style {
            Style::Plain if changed => self.write(&plain(id, text, details)),
            Style::Json => self.write(&json(id, status, text, details, bytes)),
            Style::Tty => {
                drop(tasks);
                self.draw();
            }
            Style::Auto | Style::Plain | Style::Quiet => {}
        }
    }

    /// Tells how a layer of an image stands; steps of no layer in particular are not told.
    pub(crate) fn layer(&self, step: &ImageProgress) {
        if !step.id.is_empty() {
            let is_all = step.current.is_some() && step.current == step.total;
            let done = match step.status.as_str() {
                "Pull complete" | "Already exists" | "Pushed" | "Layer already exists" => true,
                // There is no other word for a layer that was loaded.
                "Loading layer" => is_all,
                status => status.starts_with("Mounted from "),
            };
            let status = if done { Status::Done } else { Status::Working };
            self.tell_more(&step.id, status, &step.status, "", step.current.zip(step.total));
        }
    }

    /// How it is told.
    pub(crate) const fn style(&self) -> Style {
        self.style
    }

    /// Where it is told.
    pub(crate) const fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Draws more below the tasks, as often as they are drawn: lines for so many rows and columns.
    pub(crate) fn show_below(&self, lines: impl Fn(usize, usize) -> Vec<String> + Send + Sync + 'static) {
        // Only the first to ask has the place.
        let _ = self.below.set(Box::new(lines));
    }

    /// Writes a line where lines go.
    pub(crate) fn write(&self, line: &str) {
        if self.to_stdout {
            self.terminal.line(line);
            self.terminal.flush();
        } else {
            self.terminal.note(line);
        }
    }

    /// Leaves the last state on the screen.
    pub(crate) fn finish(self) {
        // Others may still have a copy of this.
        if let Some(ticker) = &self.ticker {
            ticker.0.abort();
        }
        if self.style == Style::Tty && !self.lock().is_empty() {
            let mut lines = self.lines(usize::MAX);
            lines.extend(self.lines_below(usize::MAX));
            self.terminal.settle(&lines);
        }
    }

    fn draw(&self) {
        if !self.lock().is_empty() {
            let rows = usize::from(self.terminal.size().rows).saturating_sub(1);
            let mut lines = self.lines(rows);
            lines.extend(self.lines_below(rows.saturating_sub(lines.len())));
            self.terminal.show_live(lines);
        }
    }

    fn lines_below(&self, rows: usize) -> Vec<String> {
        let columns = usize::from(self.terminal.size().columns);
        self.below.get().map(|lines| lines(rows, columns)).unwrap_or_default()
    }

    /// The lines for a screen of so many rows: the header, then tasks; those that are done give way first.
    fn lines(&self, rows: usize) -> Vec<String> {
        let columns = usize::from(self.terminal.size().columns);
        let color = self.terminal.stderr_colors();
        let tasks = self.lock();
        let done = tasks.iter().filter(|task| task.status != Status::Working).count();
        let mut lines = vec![format!("[+] {} {done}/{}", self.title, tasks.len())];
        let room = rows.saturating_sub(2).max(1);
        let hidden = tasks.len().saturating_sub(room);
        let mut to_hide = hidden;
        let width = tasks.iter().map(|task| task.id.chars().count()).max().unwrap_or(0);
        let mut shown: Vec<&Task> = Vec::new();
        for task in tasks.iter() {
            if to_hide > 0 && task.status == Status::Done {
                to_hide -= 1;
            } else {
                shown.push(task);
            }
        }
        lines.extend(shown.into_iter().take(room).map(|task| row(task, width, columns, color)));
        if hidden > 0 {
            lines.push(format!(" ... {hidden} more"));
        }
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sign of what goes on for so long.
pub(crate) fn spinner(took: Duration) -> &'static str {
    SPINNER[usize::try_from(took.as_millis() / FRAME.as_millis()).unwrap_or(0) % SPINNER.len()]
}

fn row(task: &Task, width: usize, columns: usize, color: bool) -> String {
    let took = task.took.unwrap_or_else(|| task.began.elapsed());
    let (sign, style) = match task.status {
        Status::Working => (spinner(took), "36"),
        Status::Done => ("✔", "32"),
        Status::Warning => ("!", "33"),
        Status::Error => ("✘", "31"),
    };
    let mut text = task.text.clone();
    if let Some((current, total)) = task.bytes.filter(|(_, total)| *total > 0) {
        let _ = write!(text, " {} {}/{}", bar(current, total), size(current), size(total));
    }
    if !task.details.is_empty() {
        let _ = write!(text, " {}", task.details);
    }
    let timer = format!("{:.1}s", took.as_secs_f64());
    let left = format!("{:<width$}  {text}", task.id);
    // Sign, spaces and timer take the rest; a line must never wrap, or the screen could not be drawn over.
    let space = columns.saturating_sub(timer.len() + 5);
    let left: String = left.chars().take(space).collect();
    let pad = space.saturating_sub(left.chars().count());
    let sign = if color { format!("\x1b[{style}m{sign}\x1b[0m") } else { sign.to_owned() };
    format!(" {sign} {left}{} {timer}", " ".repeat(pad))
}

fn bar(current: u64, total: u64) -> String {
    const WIDTH: u64 = 20;
    let filled = (current.min(total).saturating_mul(WIDTH) / total.max(1)).min(WIDTH);
    let cell = |index| if index < filled { '⣿' } else { '⠀' };
    format!("[{}]", (0..WIDTH).map(cell).collect::<String>())
}

/// Bytes for people, in powers of a thousand as Docker counts; four significant digits, as its `HumanSize` has them.
pub(crate) fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 4)
}

/// The same with three significant digits, as Docker's lists have it.
pub(crate) fn short_size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// Bytes in powers of 1024, as Docker tells of memory.
pub(crate) fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

fn scaled(bytes: u64, base: f64, units: &[&str], significant: usize) -> String {
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let digits = if unit == 0 { 0 } else { (significant - 1).saturating_sub(value.log10().floor().max(0.0) as usize) };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

/// Four fields with a space between each, of which the first, a prefix, is empty, and the last may be: Docker Compose's plain line.
fn plain(id: &str, text: &str, details: &str) -> String {
    format!(" {id} {text} {details}")
}

fn json(id: &str, status: Status, text: &str, details: &str, bytes: Option<(u64, u64)>) -> String {
    let mut object = serde_json::json!({ "id": id, "status": status.word(), "text": text });
    if !details.is_empty() {
        object["details"] = details.into();
    }
    if let Some((current, total)) = bytes {
        object["current"] = current.into();
        object["total"] = total.into();
        if let Some(percent) = current.saturating_mul(100).checked_div(total) {
            object["percent"] = percent.min(100).into();
        }
    }
    object.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_dockers() {
        for (bytes, expect) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1536, "1.536kB"),
            (187_700_000, "187.7MB"),
            (2_500_000_000, "2.5GB"),
            (10_000_000, "10MB"),
        ] {
            assert_eq!(size(bytes), expect);
        }
    }

    #[test]
    fn a_change_is_one_plain_line() {
        assert_eq!(plain("Container p-web-1", "Started", ""), " Container p-web-1 Started ");
        assert_eq!(plain("Image x", "Error", "no such image"), " Image x Error no such image");
    }

    #[test]
    fn a_task_is_one_row_that_never_wraps() {
        let task = |status, text: &str| Task {
            id: "Container p-web-1".to_owned(),
            status,
            text: text.to_owned(),
            details: String::new(),
            bytes: None,
            began: Instant::now(),
            took: Some(Duration::from_millis(340)),
        };
        assert_eq!(row(&task(Status::Done, "Started"), 20, 60, false), format!(" ✔ {:<51} 0.3s", "Container p-web-1     Started"));
        assert_eq!(row(&task(Status::Error, &"long ".repeat(40)), 20, 60, false).chars().count(), 59);
        assert!(row(&task(Status::Warning, "x"), 20, 60, true).starts_with(" \x1b[33m!\x1b[0m Container"));
    }

    #[test]
    fn a_change_is_one_json_object() {
        assert_eq!(
            json("Container a-1", Status::Done, "Started", "", Some((1, 4))),
            r#"{"id":"Container a-1","status":"Done","text":"Started","current":1,"total":4,"percent":25}"#
        );
    }
}
