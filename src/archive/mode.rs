//! A change of permissions: octal, or in the letters of chmod(1).

use std::str::FromStr;

/// Set-id bits and permissions, which `a` and no letter stand for; the sticky bit is only touched by its own letter.
const EVERYONE: u32 = 0o6777;
const STICKY: u32 = 0o1000;
const EXECUTE: u32 = 0o111;

/// Why a text is no change of permissions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// A number that is none, or too large.
    #[error("`{0}` is no mode: an octal number is between 0 and 07777")]
    Octal(String),
    /// Letters that mean nothing.
    #[error("`{0}` is no mode: it is neither an octal number nor like `u+x,go=rX`")]
    Symbolic(String),
}

/// A change of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModeChange {
    /// They become these, whatever they were.
    Octal(u32),
    /// Steps that are taken one after the other.
    Symbolic(Vec<ModeStep>),
}

/// One step of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeStep {
    /// The bits that the letters before the operator stand for.
    who: u32,
    operator: Operator,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// These bits; and the ones to execute where it is a folder or somebody may execute it already.
    Bits { bits: u32, maybe_execute: bool },
    /// Those of user, group or others: so far to the left they lie.
    Class(u32),
}

impl ModeChange {
    /// The permissions after the change.
    pub fn apply(&self, mode: u32, is_folder: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(steps) => {
                let executable = is_folder || mode & EXECUTE != 0;
                steps.iter().fold(mode & 0o7777, |now, step| step.apply(now, executable))
            }
        }
    }
}

impl ModeStep {
    fn apply(&self, mode: u32, executable: bool) -> u32 {
        let (bits, cleared) = match self.what {
            What::Bits { bits, maybe_execute } => (bits | if maybe_execute && executable { EXECUTE } else { 0 }, self.who & EVERYONE),
            What::Class(shift) => ((mode >> shift & 7) * 0o111, self.who & 0o777),
        };
        let bits = bits & self.who;
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => mode & !cleared | bits,
        }
    }
}

impl FromStr for ModeChange {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        if text.starts_with(|letter: char| letter.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Self::Octal).ok_or_else(|| ModeError::Octal(text.to_owned()));
        }
        let mut steps = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause, &mut steps).ok_or_else(|| ModeError::Symbolic(text.to_owned()))?;
        }
        Ok(Self::Symbolic(steps))
    }
}

fn parse_clause(clause: &str, steps: &mut Vec<ModeStep>) -> Option<()> {
    let (letters, mut rest) = clause.split_at(clause.find(|letter| !"ugoa".contains(letter))?);
    let who = letters.chars().fold(0, |who, letter| who | class_bits(letter));
    // Without letters it is everyone; with only those of others, set-id and sticky bits have no owner.
    let (who, special) = if letters.is_empty() { (EVERYONE, true) } else { (who, who & !0o007 != 0) };
    while let Some(operator) = rest.chars().next() {
        let operator = match operator {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            '=' => Operator::Set,
            _ => return None,
        };
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
        parse_step(&rest[1..end], who, special, operator, steps)?;
        rest = &rest[end..];
    }
    Some(())
}

fn parse_step(letters: &str, who: u32, special: bool, operator: Operator, steps: &mut Vec<ModeStep>) -> Option<()> {
    let (mut bits, mut maybe_execute, mut sticky) = (0, false, 0);
    let mut classes = Vec::new();
    for letter in letters.chars() {
        match letter {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= EXECUTE,
            'X' if operator == Operator::Remove => bits |= EXECUTE,
            'X' => maybe_execute = true,
            's' if special => bits |= 0o6000,
            't' if special => sticky = STICKY,
            's' | 't' => {}
            'u' => classes.push(6),
            'g' => classes.push(3),
            'o' => classes.push(0),
            _ => return None,
        }
    }
    let mut operator = operator;
    for shift in classes {
        steps.push(ModeStep { who, operator, what: What::Class(shift) });
        // What is set by one class is added to by the next.
        operator = if operator == Operator::Set { Operator::Add } else { operator };
    }
    let touches = bits != 0 || sticky != 0 || maybe_execute || operator == Operator::Set;
    if touches {
        steps.push(ModeStep { who: who | sticky, operator, what: What::Bits { bits: bits | sticky, maybe_execute } });
    }
    Some(())
}

fn class_bits(letter: char) -> u32 {
    match letter {
        'u' => 0o4700,
        'g' => 0o2070,
        'o' => 0o0007,
        _ => EVERYONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_change_as_with_chmod() {
        let check = |text: &str, mode: u32, is_folder: bool, expect: u32| {
            let change: ModeChange = text.parse().expect(text);
            assert_eq!(change.apply(mode, is_folder), expect, "{text} {mode:o}");
        };
        check("755", 0o600, false, 0o755);
        check("04711", 0o600, true, 0o4711);
        check("u+x,go=rX", 0o600, false, 0o744);
        check("u+x,go=rX", 0o700, false, 0o755);
        check("a=rwX", 0o640, false, 0o666);
        check("a=rwX", 0o640, true, 0o777);
        check("+x", 0o644, false, 0o755);
        check("go-w", 0o666, false, 0o644);
        check("g=u", 0o740, false, 0o770);
        check("go=u-w", 0o640, false, 0o644);
        check("go=", 0o777, false, 0o700);
        check("u+s,g+s,+t", 0o755, false, 0o7755);
        check("o+s", 0o755, false, 0o755);
        check("u=rwx", 0o4755, false, 0o755);
        check("=", 0o1777, true, 0o1000);
        check("o+t", 0o777, true, 0o777);
        check("u+", 0o644, false, 0o644);
        check("-X", 0o755, false, 0o644);
        check("ug=rw,o=g", 0o755, false, 0o666);
    }

    #[test]
    fn what_is_no_mode_is_said() {
        for text in ["", "u", "x", "u+q", "u+x,", ",u+x", "rwx", "+x-", "u%x"] {
            let outcome = text.parse::<ModeChange>();
            let expect = if text == "+x-" { outcome.is_ok() } else { outcome == Err(ModeError::Symbolic(text.to_owned())) };
            assert!(expect, "{text}: {outcome:?}");
        }
        for text in ["8", "17777", "0o755", "755x"] {
            assert_eq!(text.parse::<ModeChange>(), Err(ModeError::Octal(text.to_owned())));
        }
    }
}
