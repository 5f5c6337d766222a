//! What builds do, told while they do it: live on a terminal, numbered lines elsewhere, JSON for programs, or nothing.

pub(crate) mod failure;
mod live;
pub(crate) mod step;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::cli::output::build::failure::{Failed, Warned};
use crate::cli::output::build::step::{KEPT, Step};
use crate::cli::output::build::text::clean;
use crate::cli::output::progress::{Progress, Status, Style};
use crate::resource::build::{BuildEvent, StepEnd};
use crate::resource::id::ImageId;

/// The steps of the builds that one command carries out side by side; cheap to clone.
#[derive(Clone)]
pub(crate) struct Steps {
    progress: Progress,
    /// Nobody wants to see them.
    quiet: bool,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    steps: Vec<Step>,
    warnings: Vec<Warned>,
}

impl Steps {
    /// Begins to tell, below what the command itself tells.
    pub(crate) fn new(progress: &Progress, quiet: bool) -> Self {
        let steps = Self { progress: progress.clone(), quiet, told: Arc::default() };
        if !quiet && progress.style() == Style::Tty {
            let told = Arc::clone(&steps.told);
            let color = progress.terminal().stderr_colors();
            progress.show_below(move |rows, columns| live::lines(&lock(&told).steps, rows, columns, Instant::now(), color));
        }
        steps
    }

    /// Begins to tell of one build; `of` is the service it is for, where there may be several, and `id` the task it is a part of.
    pub(crate) fn teller(&self, of: Option<&str>, id: &str) -> Teller {
        let style = if self.quiet { Style::Quiet } else { self.progress.style() };
        Teller {
            steps: self.clone(),
            style,
            of: of.map(str::to_owned),
            id: id.to_owned(),
            numbers: BTreeMap::new(),
            failed: None,
            image: None,
        }
    }

    /// What was told of the Dockerfiles, each once.
    pub(crate) fn warnings(&self) -> Vec<Warned> {
        let mut warnings: Vec<Warned> = Vec::new();
        for warned in &lock(&self.told).warnings {
            if !warnings.contains(warned) {
                warnings.push(warned.clone());
            }
        }
        warnings
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells of one build.
pub(crate) struct Teller {
    steps: Steps,
    style: Style,
    of: Option<String>,
    id: String,
    /// The places of its steps among those of all builds, by their own numbers.
    numbers: BTreeMap<u32, usize>,
    failed: Option<Failed>,
    image: Option<ImageId>,
}

impl Teller {
    /// Hears what happens.
    pub(crate) fn hear(&mut self, event: BuildEvent) {
        let now = Instant::now();
        // Lines are written while nobody else may add one: those of a step are in order.
        let told = Arc::clone(&self.steps.told);
        let mut told = lock(&told);
        match event {
            // Names say it themselves: `2/4`.
            BuildEvent::Planned { .. } => {}
            BuildEvent::Started { step, name } => {
                told.steps.push(Step::new(&name, self.of.as_deref(), now));
                let index = told.steps.len() - 1;
                self.numbers.insert(step, index);
                self.line(index, &told.steps[index], Status::Working, &told.steps[index].name);
            }
            BuildEvent::Output { step, bytes, .. } => {
                let Some(&index) = self.numbers.get(&step) else { return };
                let since = now.saturating_duration_since(told.steps[index].began).as_secs_f64();
                let mut lines = Vec::new();
                let wanted = matches!(self.style, Style::Plain | Style::Json);
                told.steps[index].write(&bytes, |line| {
                    if wanted {
                        lines.push(clean(line));
                    }
                });
                self.output(index, &told.steps[index], since, &lines);
            }
            BuildEvent::Progress { step, what, current, total } => {
                let Some(&index) = self.numbers.get(&step) else { return };
                if told.steps[index].advance(&what, current, total, now) {
                    let moving = told.steps[index].moving().unwrap_or_default();
                    self.line(index, &told.steps[index], Status::Working, &moving);
                }
            }
            BuildEvent::Ended { step, end, took } => {
                let Some(&index) = self.numbers.get(&step) else { return };
                if let Some(line) = told.steps[index].end(&end, took) {
                    self.output(index, &told.steps[index], took.as_secs_f64(), &[clean(&line)]);
                }
                let ended = &told.steps[index];
                let (status, word) = match &end {
                    StepEnd::Done => (Status::Done, format!("DONE {:.1}s", took.as_secs_f64())),
                    StepEnd::Cached => (Status::Done, "CACHED".to_owned()),
                    StepEnd::Failed(failure) => (Status::Error, format!("ERROR: {}", clean(failure.message.as_bytes()))),
                    StepEnd::Cancelled => (Status::Warning, "CANCELED".to_owned()),
                };
                self.line(index, ended, status, &word);
                if self.style == Style::Plain {
                    self.steps.progress.write("");
                }
                if let StepEnd::Failed(failure) = end {
                    self.failed.get_or_insert_with(|| Failed { step: ended.name.clone(), failure, lines: ended.last_lines(KEPT) });
                }
            }
            BuildEvent::Warning { rule, message, place } => {
                // What has no place says of which image it is.
                let message = if place.is_some() { message } else { format!("{}: {message}", self.id.replacen("Image", "image", 1)) };
                told.warnings.push(Warned { rule, message, place });
            }
            // Whoever asked for a shell shows it.
            BuildEvent::ShellOpened { .. } | BuildEvent::Shell { .. } | BuildEvent::ShellClosed => {}
            BuildEvent::Built { image } => self.image = Some(image),
        }
    }

    /// The step that failed, and the image that was made.
    pub(crate) fn outcome(self) -> (Option<Failed>, Option<ImageId>) {
        (self.failed, self.image)
    }

    /// Writes how a step stands.
    fn line(&self, index: usize, step: &Step, status: Status, text: &str) {
        match self.style {
            Style::Plain => self.steps.progress.write(&format!("#{} {text}", index + 1)),
            Style::Json => self.steps.progress.write(&self.record(step, status, text)),
            Style::Auto | Style::Tty | Style::Quiet => {}
        }
    }

    /// Writes lines that a step wrote, all at once: a call of the kernel for each would cost more than all else.
    fn output(&self, index: usize, step: &Step, since: f64, lines: &[String]) {
        let each = |text: &String| match self.style {
            Style::Plain => Some(format!("#{} {since:.3} {text}", index + 1)),
            Style::Json => Some(self.record(step, Status::Working, text)),
            Style::Auto | Style::Tty | Style::Quiet => None,
        };
        let text: Vec<String> = lines.iter().filter_map(each).collect();
        if !text.is_empty() {
            self.steps.progress.write(&text.join("\n"));
        }
    }

    fn record(&self, step: &Step, status: Status, text: &str) -> String {
        serde_json::json!({ "id": step.name, "parent_id": self.id, "status": status.word(), "text": text }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::environment::Environment;
    use crate::cli::output::terminal::Terminal;
    use crate::resource::build::StepFailure;

    fn started(step: u32, name: &str) -> BuildEvent {
        BuildEvent::Started { step, name: name.to_owned() }
    }

    fn ended(step: u32, end: StepEnd) -> BuildEvent {
        BuildEvent::Ended { step, end, took: Duration::from_millis(470) }
    }

    fn wrote(step: u32, text: &str) -> BuildEvent {
        BuildEvent::Output { step, error: false, bytes: text.as_bytes().to_vec() }
    }

    /// What two builds say, line by line, without the times of output.
    fn told(style: Style) -> String {
        let (terminal, written) = Terminal::recording(&Environment::default());
        let progress = Progress::new(&terminal, style, "build", false);
        let steps = Steps::new(&progress, false);
        let (mut web, mut api) = (steps.teller(Some("web"), "Image p-web"), steps.teller(Some("api"), "Image p-api"));
        web.hear(started(0, "[1/2] FROM x"));
        api.hear(started(0, "[1/2] FROM x"));
        web.hear(ended(0, StepEnd::Cached));
        web.hear(started(1, "[2/2] RUN make"));
        web.hear(wrote(1, "one\x1b[2J\ntw"));
        api.hear(BuildEvent::Progress { step: 0, what: "sha256:ab".to_owned(), current: 2000, total: Some(2000) });
        api.hear(ended(0, StepEnd::Done));
        web.hear(wrote(1, "o\nhalf"));
        let failure = StepFailure { message: "exit code: 2".to_owned(), code: Some(2), place: None };
        web.hear(ended(1, StepEnd::Failed(failure)));
        api.hear(ended(7, StepEnd::Done));
        let (failed, _) = web.outcome();
        let failed = failed.expect("a failure");
        assert_eq!((failed.step.as_str(), failed.lines.join(" ")), ("[web 2/2] RUN make", "one two half".to_owned()));
        let text = written.lock().expect("one thread").clone();
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn lines_are_numbered_as_buildkits() {
        let text = told(Style::Plain);
        let without_times: Vec<String> = text
            .lines()
            .map(|line| line.split(' ').filter(|word| !(word.len() == 5 && word.starts_with("0."))).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            without_times.join("\n"),
            "#1 [web 1/2] FROM x\n#2 [api 1/2] FROM x\n#1 CACHED\n\n#3 [web 2/2] RUN make\n#3 one\n#2 sha256:ab 2kB / 2kB\n#2 DONE 0.5s\n\n#3 two\n#3 half\n#3 ERROR: exit code: 2\n"
        );
    }

    #[test]
    fn programs_get_an_object_a_line() {
        let text = told(Style::Json);
        let first = r#"{"id":"[web 1/2] FROM x","parent_id":"Image p-web","status":"Working","text":"[web 1/2] FROM x"}"#;
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.ends_with("\"status\":\"Error\",\"text\":\"ERROR: exit code: 2\"}\n"), "{text}");
    }

    #[test]
    fn the_quiet_say_nothing() {
        assert_eq!(told(Style::Quiet), "");
    }
}
