//! What happens during a build in the words of dockerd's classic builder: a line of JSON each. Both ways.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::wire::progress::{Line, from_json, step_to_json, text_to_json};
use crate::resource::build::{BuildEvent, StepEnd, StepFailure};
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::ImageProgress;

/// A line that has no end by now is told without it.
const LONGEST: usize = 64 << 10;

/// Tells a build as the classic builder would. Its steps run side by side: what they write is told in whole lines.
#[derive(Debug, Default)]
pub struct Narrator {
    steps: u32,
    /// How many of them have begun.
    begun_steps: u32,
    /// What each step is about, as the Dockerfile has it.
    names: BTreeMap<u32, String>,
    /// What each step has written since its last whole line.
    begun: BTreeMap<u32, Vec<u8>>,
    failed: Option<(String, i32)>,
}

impl Narrator {
    /// The lines that tell of an event.
    pub fn tell(&mut self, event: &BuildEvent) -> Vec<Value> {
        match event {
            BuildEvent::Planned { steps } => {
                self.steps = *steps;
                Vec::new()
            }
            BuildEvent::Started { step, name } => {
                let (number, name) = name.strip_prefix('[').and_then(|rest| rest.split_once("] ")).unwrap_or(("", name));
                self.names.insert(*step, name.to_owned());
                // Pulls and the like are part of no stage, and have no number.
                if !is_numbered(number) {
                    return Vec::new();
                }
                self.begun_steps += 1;
                let number = self.begun_steps;
                vec![text_to_json(&format!("Step {number}/{} : {name}\n", self.steps.max(number)))]
            }
            BuildEvent::Output { step, bytes, .. } => {
                let begun = self.begun.entry(*step).or_default();
                begun.extend(bytes);
                let whole = match begun.iter().rposition(|byte| *byte == b'\n') {
                    Some(end) => end + 1,
                    None if begun.len() >= LONGEST => begun.len(),
                    None => return Vec::new(),
                };
                let text: Vec<u8> = begun.drain(..whole).collect();
                vec![text_to_json(&String::from_utf8_lossy(&text))]
            }
            BuildEvent::Progress { step, what, current, total } => {
                let id = format!("step {}", step + 1);
                vec![step_to_json(&ImageProgress { id, status: what.clone(), current: Some(*current), total: *total })]
            }
            BuildEvent::Ended { step, end, .. } => {
                let rest = self.begun.remove(step).filter(|rest| !rest.is_empty());
                let mut lines: Vec<Value> =
                    rest.map(|rest| text_to_json(&format!("{}\n", String::from_utf8_lossy(&rest)))).into_iter().collect();
                match end {
                    StepEnd::Cached => lines.push(text_to_json(" ---> Using cache\n")),
                    StepEnd::Failed(StepFailure { code: Some(code), .. }) => {
                        let command = self.names.get(step).map(|name| command_of(name)).unwrap_or_default();
                        self.failed = Some((command, *code));
                    }
                    StepEnd::Done | StepEnd::Failed(_) | StepEnd::Cancelled => {}
                }
                lines
            }
            BuildEvent::Warning { rule, message, place } => {
                let place = place.as_ref().map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
                vec![text_to_json(&format!("[Warning] {rule}: {message}{place}\n"))]
            }
            // Nobody can ask for a shell here.
            BuildEvent::ShellOpened { .. } | BuildEvent::Shell { .. } | BuildEvent::ShellClosed | BuildEvent::Built { .. } => Vec::new(),
        }
    }

    /// The last lines of a good end.
    pub fn built(&self, image: &ImageId, tags: &[String]) -> Vec<Value> {
        let short = image.short();
        let mut lines = vec![
            text_to_json(&format!(" ---> {short}\n")),
            json!({ "aux": { "ID": image.to_string() } }),
            text_to_json(&format!("Successfully built {short}\n")),
        ];
        lines.extend(tags.iter().map(|tag| text_to_json(&format!("Successfully tagged {tag}\n"))));
        lines
    }

    /// The last line of a bad end: of a command that failed in dockerd's words, in which clients look for them.
    pub fn failed(&self, failure: &Failure) -> Value {
        match &self.failed {
            Some((command, code)) => {
                let message = format!("The command '{command}' returned a non-zero code: {code}");
                json!({ "errorDetail": { "code": code, "message": message }, "error": message })
            }
            // Docker's command line ends with the code it is told, which is a command's.
            None => json!({ "errorDetail": { "message": failure.message }, "error": failure.message }),
        }
    }
}

/// Whether `build 2/4` says which step of its stage one is.
fn is_numbered(place: &str) -> bool {
    let number = place.rsplit(' ').next().and_then(|last| last.split_once('/'));
    number.is_some_and(|(step, steps)| step.parse::<u32>().is_ok() && steps.parse::<u32>().is_ok())
}

/// The one line of a build that is to tell nothing else.
pub fn quiet_to_json(image: &ImageId) -> Value {
    text_to_json(&format!("{image}\n"))
}

/// The command of a `RUN` as dockerd's configuration has it.
fn command_of(instruction: &str) -> String {
    let mut rest = instruction.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
    while rest.starts_with("--") {
        rest = rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
    }
    match serde_json::from_str::<Vec<String>>(rest) {
        Ok(words) => words.join(" "),
        Err(_) => format!("/bin/sh -c {rest}"),
    }
}

/// What a line of the classic builder tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Something happened.
    Event(BuildEvent),
    /// An image is there; the last one counts.
    Image(ImageId),
    /// The end, and not a good one.
    Failed(Failure),
}

/// Follows what the classic builder tells.
#[derive(Debug, Default)]
pub struct Follower {
    /// The step that is being done, since when, and whether its result was there.
    current: Option<(u32, Duration, bool)>,
    is_planned: bool,
    has_image: bool,
}

impl Follower {
    /// What a line tells, which came so long after the beginning.
    pub fn hear(&mut self, line: &Value, at: Duration) -> Vec<Told> {
        if let Some(id) = line.get("aux").and_then(|aux| aux.get("ID")).and_then(Value::as_str).and_then(|id| id.parse().ok()) {
            self.has_image = true;
            return vec![Told::Image(id)];
        }
        match from_json(line) {
            Line::Failed(failure) => {
                let code = line.get("errorDetail").and_then(|detail| detail.get("code")).and_then(Value::as_i64);
                let code = code.and_then(|code| i32::try_from(code).ok()).filter(|code| (1..300).contains(code));
                let failed = StepFailure { message: failure.message.clone(), code, place: None };
                let mut told = self.end(at, Some(failed));
                told.push(Told::Failed(failure));
                told
            }
            Line::Text(text) => self.text(&text, at),
            // A build pushes nothing.
            Line::Pushed(_) => Vec::new(),
            Line::Step(step) if step.status.is_empty() => Vec::new(),
            Line::Step(ImageProgress { id, status, current, total }) => {
                let Some((step, ..)) = self.current else { return Vec::new() };
                let what = if id.is_empty() { status } else { format!("{id}: {status}") };
                vec![Told::Event(BuildEvent::Progress { step, what, current: current.unwrap_or_default(), total })]
            }
        }
    }

    /// The step that is not ended yet ends well.
    pub fn finish(&mut self, at: Duration) -> Vec<Told> {
        self.end(at, None)
    }

    fn text(&mut self, text: &str, at: Duration) -> Vec<Told> {
        if let Some((number, steps, name)) = step_of(text) {
            let mut told = self.end(at, None);
            if !std::mem::replace(&mut self.is_planned, true) {
                told.push(Told::Event(BuildEvent::Planned { steps }));
            }
            let step = number.saturating_sub(1);
            self.current = Some((step, at, false));
            told.push(Told::Event(BuildEvent::Started { step, name: format!("[{number}/{steps}] {name}") }));
            return told;
        }
        let line = text.trim_end();
        if line == " ---> Using cache" {
            if let Some((_, _, is_cached)) = &mut self.current {
                *is_cached = true;
            }
            return Vec::new();
        }
        let is_last_word = self.has_image && (line.starts_with("Successfully built ") || line.starts_with("Successfully tagged "));
        let is_about_containers = line.starts_with(" ---> ") || line.starts_with("Removing intermediate container ");
        match self.current {
            Some((step, ..)) if !(is_last_word || is_about_containers || text == "\n") => {
                vec![Told::Event(BuildEvent::Output { step, error: false, bytes: text.as_bytes().to_vec() })]
            }
            _ => Vec::new(),
        }
    }

    fn end(&mut self, at: Duration, failed: Option<StepFailure>) -> Vec<Told> {
        let Some((step, since, is_cached)) = self.current.take() else { return Vec::new() };
        let end = match failed {
            Some(failed) => StepEnd::Failed(failed),
            None if is_cached => StepEnd::Cached,
            None => StepEnd::Done,
        };
        vec![Told::Event(BuildEvent::Ended { step, end, took: at.saturating_sub(since) })]
    }
}

/// `Step 1/3 : FROM x`.
fn step_of(text: &str) -> Option<(u32, u32, &str)> {
    let (numbers, name) = text.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, steps) = numbers.split_once('/')?;
    Some((number.parse().ok()?, steps.parse().ok()?, name.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(step: u32, text: &str) -> BuildEvent {
        BuildEvent::Output { step, error: false, bytes: text.as_bytes().to_vec() }
    }

    fn ended(step: u32, end: StepEnd) -> BuildEvent {
        BuildEvent::Ended { step, end, took: Duration::ZERO }
    }

    fn started(step: u32, name: &str) -> BuildEvent {
        BuildEvent::Started { step, name: name.to_owned() }
    }

    fn told(narrator: &mut Narrator, events: &[BuildEvent]) -> String {
        let lines: Vec<Value> = events.iter().flat_map(|event| narrator.tell(event)).collect();
        lines.iter().map(|line| line["stream"].as_str().map_or_else(|| line.to_string(), str::to_owned)).collect()
    }

    #[test]
    fn a_build_is_told_in_whole_lines() {
        let mut narrator = Narrator::default();
        let text = told(
            &mut narrator,
            &[
                started(0, "[internal] pull x"),
                ended(0, StepEnd::Done),
                BuildEvent::Planned { steps: 3 },
                started(1, "[base 1/1] FROM x"),
                ended(1, StepEnd::Cached),
                started(2, "[a 1/1] RUN one"),
                started(4, "[internal] fetch http://x"),
                started(3, "[b 1/1] RUN two"),
                output(2, "on"),
                output(3, "two\nth"),
                output(2, "e\n"),
                ended(3, StepEnd::Done),
                output(2, "\u{fc}"),
                ended(2, StepEnd::Done),
            ],
        );
        assert_eq!(text, "Step 1/3 : FROM x\n ---> Using cache\nStep 2/3 : RUN one\nStep 3/3 : RUN two\ntwo\none\nth\n\u{fc}\n");
        let image = ImageId::of(b"x");
        let last = narrator.built(&image, &["a:1".to_owned()]);
        assert_eq!(last[1], json!({ "aux": { "ID": image.to_string() } }));
        assert_eq!(last[2]["stream"], format!("Successfully built {}\n", image.short()));
        assert_eq!(last[3]["stream"], "Successfully tagged a:1\n");
        assert_eq!(quiet_to_json(&image)["stream"], format!("{image}\n"));
    }

    #[test]
    fn a_line_without_an_end_is_told_some_time() {
        let mut narrator = Narrator::default();
        assert!(narrator.tell(&output(0, &"x".repeat(LONGEST - 1))).is_empty());
        assert_eq!(narrator.tell(&output(0, "x")).len(), 1);
    }

    #[test]
    fn a_command_that_failed_is_told_in_dockerds_words() {
        let check = |name: &str, expect: &str| {
            let mut narrator = Narrator::default();
            let failure = StepFailure { message: "no".to_owned(), code: Some(2), place: None };
            told(&mut narrator, &[started(0, name), ended(0, StepEnd::Failed(failure))]);
            let line = narrator.failed(&Failure::internal("no"));
            assert_eq!(line["errorDetail"], json!({ "code": 2, "message": expect }));
            assert_eq!(line["error"], expect);
        };
        check("[a 2/2] RUN make all", "The command '/bin/sh -c make all' returned a non-zero code: 2");
        check("RUN --mount=type=tmpfs,target=/t --network=none [\"make\", \"all\"]", "The command 'make all' returned a non-zero code: 2");
        let other = Narrator::default().failed(&Failure::not_found("no such stage"));
        assert_eq!(other["errorDetail"], json!({ "message": "no such stage" }));
    }

    #[test]
    fn what_dockerd_tells_is_understood() {
        let lines = [
            json!({"stream": "Step 1/2 : FROM x"}),
            json!({"stream": "\n"}),
            json!({"status": "Pulling from library/x", "id": "latest"}),
            json!({"stream": " ---> 0123456789ab\n"}),
            json!({"stream": "Step 2/2 : RUN echo hello"}),
            json!({"stream": "\n"}),
            json!({"stream": " ---> Using cache\n"}),
            json!({"stream": "hello\n"}),
            json!({"stream": " ---> Removed intermediate container 0123456789ab\n"}),
            json!({"aux": {"ID": ImageId::of(b"x").to_string()}}),
            json!({"stream": "Successfully built 0123456789ab\n"}),
        ];
        let mut follower = Follower::default();
        let second = Duration::from_secs(1);
        let mut heard: Vec<Told> = lines.iter().zip(0..).flat_map(|(line, number)| follower.hear(line, second * number)).collect();
        heard.extend(follower.finish(20 * second));
        let event = Told::Event;
        let what = "latest: Pulling from library/x".to_owned();
        let expect = vec![
            event(BuildEvent::Planned { steps: 2 }),
            event(started(0, "[1/2] FROM x")),
            event(BuildEvent::Progress { step: 0, what, current: 0, total: None }),
            event(BuildEvent::Ended { step: 0, end: StepEnd::Done, took: 4 * second }),
            event(started(1, "[2/2] RUN echo hello")),
            event(output(1, "hello\n")),
            Told::Image(ImageId::of(b"x")),
            event(BuildEvent::Ended { step: 1, end: StepEnd::Cached, took: 16 * second }),
        ];
        assert_eq!(heard, expect);
    }

    #[test]
    fn what_we_tell_is_understood_too() {
        let (mut narrator, mut follower) = (Narrator::default(), Follower::default());
        let failure = StepFailure { message: String::new(), code: Some(7), place: None };
        let events = [BuildEvent::Planned { steps: 1 }, started(0, "[1/1] RUN x"), output(0, "y\n"), ended(0, StepEnd::Failed(failure))];
        let mut lines: Vec<Value> = events.iter().flat_map(|event| narrator.tell(event)).collect();
        lines.push(narrator.failed(&Failure::internal("x")));
        let heard: Vec<Told> = lines.iter().flat_map(|line| follower.hear(line, Duration::ZERO)).collect();
        let message = "The command '/bin/sh -c x' returned a non-zero code: 7".to_owned();
        let failed = StepFailure { message: message.clone(), code: Some(7), place: None };
        assert_eq!(heard[..3], events[..3].iter().cloned().map(Told::Event).collect::<Vec<_>>());
        assert_eq!(heard[3..], [Told::Event(ended(0, StepEnd::Failed(failed))), Told::Failed(Failure::internal(message))]);
    }
}
