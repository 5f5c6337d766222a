//! What a program in a build writes, cut into lines that are safe to show: nothing in them moves a cursor.

/// The longest line; what is longer is several.
const LONGEST: usize = 16 * 1024;

/// Cuts bytes into lines, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    pending: Vec<u8>,
}

impl Cutter {
    /// Takes bytes, and hands on each line that they end, as it was written.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let mut rest = text;
            while self.pending.len() + rest.len() > LONGEST {
                let (head, tail) = rest.split_at(LONGEST - self.pending.len());
                self.pending.extend_from_slice(head);
                // What is written over by what follows needs no line.
                match self.pending.iter().rposition(|byte| *byte == b'\r').filter(|at| *at > 0) {
                    Some(at) => drop(self.pending.drain(..at)),
                    None => {
                        each(&self.pending);
                        self.pending.clear();
                    }
                }
                rest = tail;
            }
            self.pending.extend_from_slice(rest);
            if ends {
                each(&self.pending);
                self.pending.clear();
            }
        }
    }

    /// What is not ended yet.
    pub(crate) fn pending(&self) -> Option<&[u8]> {
        Some(self.pending.as_slice()).filter(|pending| !pending.is_empty())
    }

    /// The last line, which nothing ended.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.pending)).filter(|pending| !pending.is_empty())
    }
}

/// A line without control sequences, its tabs as spaces; of what was written over itself the last is left.
pub(crate) fn clean(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.rsplit(|byte| *byte == b'\r').find(|part| !part.is_empty()).unwrap_or_default();
    let text = String::from_utf8_lossy(last);
    let mut cleaned = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => skip_sequence(&mut characters),
            // The same sequences in their one-byte form.
            '\u{9b}' => skip_until(&mut characters, |it| ('\x40'..='\x7e').contains(&it)),
            '\u{90}' | '\u{9d}' | '\u{98}' | '\u{9e}' | '\u{9f}' => skip_until(&mut characters, |it| matches!(it, '\x07' | '\u{9c}')),
            '\t' => {
                let to_next = 8 - cleaned.chars().count() % 8;
                cleaned.extend(std::iter::repeat_n(' ', to_next));
            }
            character if character.is_control() || turns(character) => {}
            character => cleaned.push(character),
        }
    }
    cleaned
}

/// Characters that change the direction of what follows.
const fn turns(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Passes over what follows an escape character.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next() {
        Some('[') => skip_until(characters, |it| ('\x40'..='\x7e').contains(&it)),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                let ends = character == '\x1b' && characters.next_if_eq(&'\\').is_some();
                if ends || matches!(character, '\x07' | '\u{9c}') {
                    break;
                }
            }
        }
        // Intermediate characters, then the final one.
        Some(' '..='/') => skip_until(characters, |it| ('\x30'..='\x7e').contains(&it)),
        _ => {}
    }
}

fn skip_until(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, is_last: impl Fn(char) -> bool) {
    for character in characters {
        if is_last(character) {
            break;
        }
    }
}

/// The columns that a character takes; where terminals differ, the greater number.
const fn width(character: char) -> usize {
    match character as u32 {
        0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x200b..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115f
        | 0x231a..=0x231b
        | 0x23e9..=0x23f3
        | 0x25fd..=0x27bf
        | 0x2b1b..=0x2b55
        | 0x2e80..=0xa4cf
        | 0xa960..=0xa97c
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f000..=0x1fbff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// So much of a text as fits into some columns, and how many it takes.
pub(crate) fn clip(text: &str, columns: usize) -> (&str, usize) {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        let more = width(character);
        if taken + more > columns {
            return (&text[..at], taken);
        }
        taken += more;
    }
    (text, taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_moves_the_cursor() {
        for (written, expect) in [
            ("plain", "plain"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b[2J\x1b[Hgone", "gone"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1bPdevice\x1b\\text", "text"),
            ("a\x1b7b\x1bDc", "abc"),
            ("\x1b(Bascii", "ascii"),
            ("\u{9b}5Aup", "up"),
            ("bell\x07 back\x08", "bell back"),
            ("10%\r50%\r100%", "100%"),
            ("50%\r", "50%"),
            ("done\r\r", "done"),
            ("a\tb", "a       b"),
            ("\u{202e}txet", "txet"),
            ("cut \x1b[3", "cut "),
            ("cut \x1b]0;never ended", "cut "),
            ("\x1b", ""),
        ] {
            assert_eq!(clean(written.as_bytes()), expect, "{written:?}");
        }
        assert_eq!(clean(b"\xff\xfe!"), "\u{fffd}\u{fffd}!");
    }

    #[test]
    fn lines_are_cut_wherever_the_bytes_come_apart() {
        let cut = |pieces: &[&[u8]]| {
            let (mut cutter, mut lines) = (Cutter::default(), Vec::new());
            pieces.iter().for_each(|piece| cutter.push(piece, |line| lines.push(clean(line))));
            lines.extend(cutter.finish().map(|line| format!("{}|", clean(&line))));
            lines.join(" ")
        };
        for (pieces, expect) in [
            (&[b"one\ntwo\n" as &[u8]] as &[&[u8]], "one two"),
            (&[b"on", b"e\nt", b"wo"], "one two|"),
            (&[b"\xc3", b"\xa9\n"], "é"),
            (&[b"x\x1b[3", b"1my\n"], "xy"),
            (&[b"\n\n"], " "),
        ] {
            assert_eq!(cut(pieces), expect);
        }
    }

    #[test]
    fn a_line_without_end_is_several() {
        let (mut cutter, mut lines, mut longest) = (Cutter::default(), 0, 0);
        for _ in 0..100 {
            cutter.push(&[b'x'; 5000], |line| {
                lines += 1;
                longest = longest.max(line.len());
            });
            assert!(cutter.pending.capacity() <= 2 * LONGEST);
        }
        assert_eq!((lines, longest), (500_000 / LONGEST, LONGEST));
        // A bar that is drawn again and again is none.
        let mut cutter = Cutter::default();
        (0..100_000).for_each(|number| cutter.push(format!("\r{number}").as_bytes(), |line| panic!("{line:?}")));
        assert_eq!(cutter.pending().map(clean).as_deref(), Some("99999"));
    }

    #[test]
    fn texts_are_clipped_by_columns() {
        for (text, columns, expect) in
            [("abc", 2, ("ab", 2)), ("abc", 9, ("abc", 3)), ("日本", 3, ("日", 2)), ("e\u{301}x", 1, ("e\u{301}", 1))]
        {
            assert_eq!(clip(text, columns), expect, "{text}");
        }
    }
}
