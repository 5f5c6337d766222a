//! Heredocs: `<<EOF`, `<<-EOF`, `<<"EOF"`.

use super::bound::Room;
use super::environment::Environment;
use super::lexer::Lexer;

/// One heredoc of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heredoc {
    /// Its word, without quotes.
    pub name: String,
    /// No part of its word was quoted: variables in it are replaced where the instruction does that.
    pub expand: bool,
    /// `<<-`: tabs at the start of lines do not count.
    pub chomp: bool,
    /// The lines, each with its end.
    pub content: String,
}

impl Heredoc {
    /// Reads a word such as `<<EOF`; `None` when it is another word.
    pub(super) fn of(word: &str) -> Option<Self> {
        let (digits, rest) = word.split_once("<<")?;
        if !digits.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let (chomp, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let rest = rest.trim_start();
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        let none = Environment::default();
        let lexer = Lexer { keep_unset: true, ..Lexer::new('\\') };
        let plain = lexer.expand(rest, &none, &mut Room::default()).ok()?.words;
        let raw = Lexer { raw_quotes: true, ..lexer }.expand(rest, &none, &mut Room::default()).ok()?.words;
        let ([plain], [raw]) = (plain.as_slice(), raw.as_slice()) else { return None };
        let quotes = |text: &str| text.matches(['\'', '"']).count();
        Some(Self { name: plain.clone(), expand: quotes(plain) == quotes(raw), chomp, content: String::new() })
    }

    /// All that a line begins.
    pub(super) fn all(line: &str) -> Vec<Self> {
        let lexer = Lexer { raw_quotes: true, raw_escapes: true, keep_unset: true, ..Lexer::new('\\') };
        let words = lexer.expand(line, &Environment::default(), &mut Room::default()).map(|it| it.words).unwrap_or_default();
        words.iter().filter_map(|word| Self::of(word)).collect()
    }

    /// Whether a line ends it.
    pub(super) fn ends(&self, line: &str) -> bool {
        let line = line.trim_end_matches(['\r', '\n']);
        (if self.chomp { line.trim_start_matches('\t') } else { line }) == self.name
    }

    /// The content as it is meant.
    pub(super) fn meant(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_heredocs() {
        let check = |line: &str, expect: &[(&str, bool, bool)]| {
            let found = Heredoc::all(line);
            assert_eq!(found.iter().map(|it| (it.name.as_str(), it.expand, it.chomp)).collect::<Vec<_>>(), expect, "{line}");
        };
        check("COPY <<EOF /x", &[("EOF", true, false)]);
        check("COPY <<-EOF /x", &[("EOF", true, true)]);
        check("COPY <<\"EOF\" /x", &[("EOF", false, false)]);
        check("COPY <<'EOF' <<B /x", &[("EOF", false, false), ("B", true, false)]);
        check("RUN cat << EOF", &[("EOF", true, false)]);
        check("RUN cat 3<<EOF", &[("EOF", true, false)]);
        check("RUN cat \"<<EOF\"", &[]);
        check("RUN echo $((1<<2))", &[]);
        check("RUN cat <<<here", &[]);
    }
}
