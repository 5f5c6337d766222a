//! The bytes of a Dockerfile as text. BuildKit reads bytes, and fails where such as are no UTF-8 get into what it sends: so a comment may be in
//! any encoding, and an instruction may not.

use super::directive;
use super::line;
use super::problem::{Place, Problem};

/// Reads bytes as text. What of a comment is no UTF-8 is replaced.
pub fn decode(bytes: Vec<u8>) -> Result<String, Vec<Problem>> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // What is wrong with these is said once all of it is read.
    let Ok((directives, start)) = directive::read(&lines) else { return Ok(text) };
    let (instructions, _) = line::read(&lines, start, directives.escape);
    let bodies: Vec<Place> = instructions.iter().filter(|it| !it.heredocs.is_empty()).map(|it| it.place).collect();
    let is_comment = |number: u32, line: &str| {
        line.trim_start().starts_with('#') && !bodies.iter().any(|place| (place.line..=place.end_line).contains(&number))
    };
    let wrong = bytes.split(|byte| *byte == b'\n').zip(1..).zip(&lines).filter_map(|((bytes, number), line)| {
        let column = super::number(std::str::from_utf8(bytes).err()?.valid_up_to() + 1);
        let place = Place { line: number, column, end_line: number };
        let problem = Problem::new("a letter is not in UTF-8").hint("save the file as UTF-8; only comments may be in another encoding");
        (!is_comment(number, line)).then(|| problem.at(place))
    });
    let wrong: Vec<Problem> = wrong.collect();
    if wrong.is_empty() { Ok(text) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_may_be_in_any_encoding() {
        let check = |text: &str, expect: Result<&str, &[u32]>| {
            // Latin-1.
            let bytes = text.chars().map(|letter| u8::try_from(letter).expect("a letter of Latin-1")).collect();
            let told = decode(bytes).map_err(|problems| problems.iter().filter_map(|it| it.place).map(|it| it.line).collect::<Vec<_>>());
            assert_eq!(told, expect.map(str::to_owned).map_err(<[u32]>::to_vec), "{text}");
        };
        check("FROM a\n", Ok("FROM a\n"));
        check("# b\u{e9}b\u{e9}\nFROM a\n", Ok("# b\u{fffd}b\u{fffd}\nFROM a\n"));
        check("FROM a\nRUN x \\\n  # \u{e9}\n  y\n", Ok("FROM a\nRUN x \\\n  # \u{fffd}\n  y\n"));
        check("FROM a\nRUN x # \u{e9}\n", Err(&[2]));
        check("FROM a\nENV A=\u{e9}\n# \u{e9}\nENV B=\u{e9}", Err(&[2, 4]));
        // There it is no comment.
        check("FROM a\nRUN <<E\n# \u{e9}\nE\n", Err(&[3]));
        // A file in UTF-16.
        check("\u{ff}\u{fe}F\0", Err(&[1]));
        let told = Problem::tell("Dockerfile", &decode(b"FROM a\nENV A=\xe9\n".to_vec()).expect_err("Latin-1"));
        let way = "save the file as UTF-8; only comments may be in another encoding";
        assert_eq!(told, format!("Dockerfile:2:7: a letter is not in UTF-8; {way}"));
    }
}
