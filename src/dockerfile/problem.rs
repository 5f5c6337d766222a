//! What is wrong with a Dockerfile, where, and the way out.

use std::fmt;

/// The lines of one instruction in the file; everything counts from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first line.
    pub line: u32,
    /// The column of its first letter.
    pub column: u32,
    /// The last line, heredocs included.
    pub end_line: u32,
}

/// One reason not to build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// Where, when it is about a line of the file.
    pub place: Option<Place>,
    /// One sentence without its full stop.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem that is not about one line.
    pub fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), hint: None }
    }

    /// Tells of problems of a file, one a line.
    pub fn tell(file: &str, problems: &[Self]) -> String {
        let line = |problem: &Self| match problem.place {
            Some(place) => format!("{file}:{}:{}: {}", place.line, place.column, Self { place: None, ..problem.clone() }),
            None => format!("{file}: {problem}"),
        };
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The same with a way out.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with the name that was meant, if one is near.
    pub(super) fn near(self, name: &str, known: &[&str]) -> Self {
        match near(name, known) {
            Some(other) => self.hint(format!("did you mean `{other}`?")),
            None => self,
        }
    }

    /// The same, at a place unless it has one.
    pub(super) fn at(self, place: Place) -> Self {
        Self { place: self.place.or(Some(place)), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place {
            write!(formatter, "line {}: ", place.line)?;
        }
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// The known name that is nearest to one, when it is near at all; letter case does not count.
pub(super) fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Such a name was not mistyped, and of so many none is worth the time.
    if name.len() > 64 || known.len() > 500 {
        return None;
    }
    let lower = name.to_lowercase();
    let allowed = 1 + lower.chars().count() / 4;
    let distance = |other: &&str| distance(&lower, &other.to_lowercase());
    known
        .iter()
        .copied()
        .filter(|other| other.len() <= 5 * name.len() + 4)
        .map(|other| (distance(&other), other))
        .filter(|(far, _)| *far <= allowed)
        .min_by_key(|(far, _)| *far)
        .map(|it| it.1)
}

/// How many letters have to be put in, taken out or changed.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (index, other) in right.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[index + 1];
            row[index + 1] = change.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found() {
        let check = |name: &str, expect: Option<&str>| assert_eq!(near(name, &["RUN", "COPY", "HEALTHCHECK"]), expect, "{name}");
        check("RNU", None);
        check("RUNS", Some("RUN"));
        check("cop", Some("COPY"));
        check("HEALTCHEK", Some("HEALTHCHECK"));
        check("SOMETHING", None);
    }

    #[test]
    fn a_problem_is_one_sentence() {
        let problem = Problem::new("no").hint("say yes").at(Place { line: 3, column: 1, end_line: 3 });
        assert_eq!(problem.to_string(), "line 3: no; say yes");
    }
}
