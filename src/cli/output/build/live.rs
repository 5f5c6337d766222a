//! The steps of builds on a terminal: those that run with their last lines, the others a line each.

use std::time::{Duration, Instant};

use crate::cli::output::build::step::{Standing, Step};
use crate::cli::output::build::text::clip;
use crate::cli::output::progress::spinner;

/// How many lines of a step that runs are shown.
const TAIL: usize = 6;

/// The steps on so many rows and columns. Where there are too few rows, steps that ended long ago give way first, then lines.
pub(crate) fn lines(steps: &[Step], rows: usize, columns: usize, now: Instant, color: bool) -> Vec<String> {
    let runs = |step: &&Step| step.standing == Standing::Running;
    let running = steps.iter().filter(runs).count();
    let room = rows.saturating_sub(running);
    let tail = room.checked_div(running).unwrap_or_default().min(TAIL);
    let tails: Vec<Vec<String>> = steps.iter().map(|step| if runs(&step) { step.last_lines(tail) } else { Vec::new() }).collect();
    let mut to_hide = steps.len().saturating_sub(running).saturating_sub(room.saturating_sub(tails.iter().map(Vec::len).sum()));
    let mut shown = Vec::new();
    for (step, tail) in steps.iter().zip(&tails) {
        if !runs(&step) && to_hide > 0 {
            to_hide -= 1;
            continue;
        }
        shown.push(row(step, columns, now, color));
        shown.extend(tail.iter().map(|line| below(line, columns, color)));
    }
    shown.truncate(rows);
    shown
}

fn paint(style: &str, text: &str, color: bool) -> String {
    if color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

fn row(step: &Step, columns: usize, now: Instant, color: bool) -> String {
    let running = now.saturating_duration_since(step.began);
    let (sign, style, word, took) = match step.standing {
        Standing::Running => (spinner(running), "36", "", Some(running)),
        Standing::Done(took) => ("✔", "32", "", Some(took)),
        Standing::Cached => ("✔", "32", "CACHED ", None),
        Standing::Failed(took) => ("✘", "31", "ERROR ", Some(took)),
        Standing::Cancelled => ("!", "33", "CANCELED ", None),
    };
    let timer = took.map(|took: Duration| format!("{:.1}s", took.as_secs_f64())).unwrap_or_default();
    let mut text = format!("{word}{}", step.name);
    if let Some(moving) = step.moving() {
        text = format!("{text}  {moving}");
    }
    // Signs, spaces and timer take the rest; a line must never wrap, or the screen could not be drawn over.
    let space = columns.saturating_sub(timer.len() + 5);
    let (text, taken) = clip(&text, space);
    format!(" {} {text}{} {timer}", paint(style, sign, color), " ".repeat(space - taken))
}

fn below(line: &str, columns: usize, color: bool) -> String {
    let (line, _) = clip(line, columns.saturating_sub(6));
    format!("   {}", paint("2", &format!("| {line}"), color))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::build::StepEnd;

    fn steps(began: Instant) -> Vec<Step> {
        let mut steps: Vec<Step> =
            ["[a 1/2] FROM x", "[a 2/2] COPY . .", "[b 2/3] RUN make"].iter().map(|name| Step::new(name, None, began)).collect();
        steps[0].end(&StepEnd::Cached, Duration::ZERO);
        steps[1].end(&StepEnd::Done, Duration::from_millis(1240));
        (0..9).for_each(|number| steps[2].write(format!("line {number} \x1b[5A\n").as_bytes(), |_| {}));
        steps
    }

    fn shown(rows: usize) -> String {
        let began = Instant::now();
        let lines = lines(&steps(began), rows, 40, began + Duration::from_millis(2000), false);
        lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_runs_shows_its_last_lines_and_what_ended_is_one() {
        assert_eq!(
            shown(20),
            " ✔ CACHED [a 1/2] FROM x\n ✔ [a 2/2] COPY . .                1.2s\n ⠋ [b 2/3] RUN make                2.0s\n   | line 3\n   | line 4\n   | line 5\n   | line 6\n   | line 7\n   | line 8"
        );
    }

    #[test]
    fn a_small_screen_keeps_what_runs() {
        assert_eq!(shown(4), " ⠋ [b 2/3] RUN make                2.0s\n   | line 6\n   | line 7\n   | line 8");
        assert_eq!(shown(1), " ⠋ [b 2/3] RUN make                2.0s");
        assert_eq!(shown(0), "");
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        let began = Instant::now();
        let mut step = Step::new(&format!("[1/1] RUN {}", "日本".repeat(60)), None, began);
        step.write("語".repeat(200).as_bytes(), |_| {});
        for columns in [0, 1, 5, 30, 31, 80] {
            for line in lines(&[Step::new("a name that is too long", None, began), Step::new("", None, began)], 9, columns, began, false) {
                assert!(clip(&line, usize::MAX).1 <= columns.max(9), "{columns}: {line}");
            }
        }
        for line in lines(&[step], 9, 31, began, false) {
            assert!(clip(&line, usize::MAX).1 < 31, "{line}");
        }
    }
}
