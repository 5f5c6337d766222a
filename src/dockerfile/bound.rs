//! Bounds: more than any Dockerfile has, and less than would fill the memory of whoever reads it.

use super::problem::Problem;

/// The bytes of a file.
const FILE: usize = 4 << 20;
/// The bytes of one of its lines; BuildKit takes no longer ones either.
const LINE: usize = 65_535;
/// The instructions of a file, and the triggers of a plan.
pub(super) const INSTRUCTIONS: usize = 10_000;
/// The stages of a file.
const STAGES: usize = 1_000;
/// The patterns of a `.dockerignore`.
pub(super) const PATTERNS: usize = 10_000;
/// How deep `${…}` may stand in another.
pub(super) const DEPTH: usize = 100;
/// The bytes that variables may stand for in one stage.
const ROOM: usize = 1 << 20;
/// What a variable takes beyond its name and value.
const VARIABLE: usize = 256;
/// The ports that one stage may expose: each of each protocol.
const PORTS: usize = 3 << 16;
/// So many letters compared with a pattern take as long as one byte of the room.
const COMPARED: usize = 8;

/// What variables and ports may still take in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    bytes: usize,
    ports: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: ROOM, ports: PORTS }
    }
}

impl Room {
    /// Takes the bytes that a variable was replaced with.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.bytes.checked_sub(bytes);
        let large = || format!("variables stand for more than {} MiB by now; keep values so large in files", ROOM >> 20);
        self.bytes = left.ok_or_else(large)?;
        Ok(())
    }

    /// Takes a variable that is set.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.take(name.len().saturating_add(value.len()).saturating_add(VARIABLE))
    }

    /// Takes the time to hold a pattern against a value.
    pub(super) fn compare(&mut self, pattern: &str, value: &str) -> Result<(), String> {
        self.take(pattern.len().saturating_mul(value.len()) / COMPARED)
    }

    /// Takes ports.
    pub(super) fn expose(&mut self, count: usize) -> Result<(), String> {
        self.ports = self.ports.checked_sub(count).ok_or("more ports are exposed than there are; name each once")?;
        Ok(())
    }
}

/// Refuses a text that is too large as a whole.
pub(super) fn file(text: &str) -> Result<(), Problem> {
    if text.len() <= FILE {
        return Ok(());
    }
    Err(Problem::new(format!("the Dockerfile has more than {} MiB", FILE >> 20))
        .hint("keep large texts in files of the context, and COPY them"))
}

/// Refuses a line that is too long.
pub(super) fn line(line: &str) -> Result<(), Problem> {
    if line.trim_end_matches(['\r', '\n']).len() <= LINE {
        return Ok(());
    }
    Err(Problem::new(format!("the line has more than {LINE} bytes")).hint("break it, or keep the text in a file of the context"))
}

/// Refuses too many instructions.
pub(super) fn instructions(count: usize) -> Result<(), Problem> {
    few(count, INSTRUCTIONS, "instructions")
}

/// Refuses too many stages.
pub(super) fn stages(count: usize) -> Result<(), Problem> {
    few(count, STAGES, "stages")
}

fn few(count: usize, most: usize, what: &str) -> Result<(), Problem> {
    if count <= most {
        return Ok(());
    }
    Err(Problem::new(format!("the Dockerfile has more than {most} {what}"))
        .hint("divide it into several, of which one builds on the image of another"))
}

/// The triggers of a plan: one of a stage is one of each that builds on it.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    count: usize,
    bytes: usize,
}

impl Triggers {
    /// Takes one more.
    pub(super) fn take(&mut self, text: &str) -> Result<(), Problem> {
        self.count += 1;
        self.bytes += text.len();
        if self.count <= INSTRUCTIONS && self.bytes <= FILE {
            return Ok(());
        }
        Err(Problem::new("the triggers of the bases are too many or too large")
            .hint("put what they do into fewer RUN instructions or a script"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_ends() {
        let mut room = Room::default();
        assert!(room.take(ROOM - VARIABLE - 2).is_ok() && room.set("A", "b").is_ok());
        assert!(room.take(1).is_err() && room.take(0).is_ok());
        assert!(Room::default().compare(&"*".repeat(4096), &"a".repeat(4096)).is_err());
        assert!(room.expose(PORTS).is_ok() && room.expose(1).is_err());
    }

    #[test]
    fn files_have_bounds() {
        assert!(file(&"a".repeat(FILE)).is_ok() && file(&"a".repeat(FILE + 1)).is_err());
        assert!(line(&("a".repeat(LINE) + "\r\n")).is_ok() && line(&"a".repeat(LINE + 1)).is_err());
        assert!(instructions(INSTRUCTIONS).is_ok() && instructions(INSTRUCTIONS + 1).is_err());
        assert!(stages(STAGES).is_ok() && stages(STAGES + 1).is_err());
        let mut triggers = Triggers::default();
        assert!((0..INSTRUCTIONS).all(|_| triggers.take("RUN x").is_ok()) && triggers.take("RUN x").is_err());
        assert!(Triggers::default().take(&"a".repeat(FILE + 1)).is_err());
    }
}
