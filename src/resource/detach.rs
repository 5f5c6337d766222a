//! The keys that lead away from a terminal.

use std::fmt;

use crate::resource::failure::Failure;

/// The keys that leave a terminal without ending what runs in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl fmt::Display for DetachKeys {
    /// Writes them in Docker's spelling.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelled = self.0.iter().map(|key| match key {
            0 => "ctrl-@".to_owned(),
            1..=26 => format!("ctrl-{}", char::from(key - 1 + b'a')),
            27..=31 => format!("ctrl-{}", char::from(key - 27 + b'[')),
            key => char::from(*key).to_string(),
        });
        formatter.write_str(&spelled.collect::<Vec<_>>().join(","))
    }
}

impl Default for DetachKeys {
    /// Ctrl-P, Ctrl-Q.
    fn default() -> Self {
        Self(vec![16, 17])
    }
}

impl DetachKeys {
    /// Reads Docker's spelling: `ctrl-p,ctrl-q`, `a,b`, `ctrl-@`.
    ///
    /// # Errors
    /// The text spells no keys.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let key = |key: &str| match key.as_bytes() {
            [one] => Some(*one),
            _ => match key.strip_prefix("ctrl-")?.as_bytes() {
                [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
                [b'@'] => Some(0),
                [other @ (b'[' | b'\\' | b']' | b'^' | b'_')] => Some(other - b'[' + 27),
                _ => None,
            },
        };
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        keys.map(Self).ok_or_else(|| Failure::invalid(format!("Invalid escape keys ({text}) provided")))
    }

    /// The bytes that a terminal sends for them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The keys that a terminal sends these bytes for, if there are any.
    pub fn of_bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// Looks for these keys in what will be typed.
    pub fn watch(self) -> DetachWatch {
        DetachWatch { keys: self.0, seen: 0 }
    }
}

/// Looks for the keys in what is typed; as long as they may still come, what was typed of them is held back.
#[derive(Debug)]
pub struct DetachWatch {
    keys: Vec<u8>,
    seen: usize,
}

impl DetachWatch {
    /// Passes on what is not the keys'; true when all of them came.
    pub fn pass(&mut self, typed: &[u8], through: &mut Vec<u8>) -> bool {
        for &byte in typed {
            if byte != self.keys[self.seen] {
                through.extend_from_slice(&self.keys[..self.seen]);
                self.seen = 0;
            }
            if byte != self.keys[self.seen] {
                through.push(byte);
                continue;
            }
            self.seen += 1;
            if self.seen == self.keys.len() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_as_in_docker() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(DetachKeys::parse(text).ok().map(|keys| keys.0).as_deref(), expected, "{text}");
        };
        check("", Some(&[16, 17]));
        check("ctrl-p,ctrl-q", Some(&[16, 17]));
        check("ctrl-@,x,ctrl-[,ctrl-_", Some(&[0, b'x', 27, 31]));
        check("ctrl-P", None);
        check("ctrl", None);
        check("a,,b", None);
    }

    #[test]
    fn keys_are_found_wherever_the_pieces_of_what_is_typed_end() {
        let mut watch = DetachKeys::default().watch();
        let mut through = Vec::new();
        assert!(!watch.pass(&[b'a', 16], &mut through));
        assert!(watch.pass(&[17, b'b'], &mut through));
        assert_eq!(through, [b'a']);
    }
}
