//! Fits a text to the terminal: wraps sentences; for a screen that is redrawn, cuts long lines, counts rows that do not fit,
//! and never scrolls. Pure: no I/O.

use dialoguer::console::truncate_str;
use textwrap::{Options, WordSeparator, WordSplitter, core::Word};

use crate::{secret::text::masked, units::listed::and_more};

/// The widest that sentences are wrapped to, as the help is: longer lines are hard to read.
const WIDEST: usize = 100;

/// A line with sentences as lines within `columns`, each after the first one indented by `hang`. As it is where there are no
/// columns: what a program reads has no line breaks of ours. What is in backticks stays in one piece, to be copied.
pub fn wrapped(line: &str, hang: usize, columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return line.to_owned();
    };
    // A secret that is broken in two is not recognised any more.
    let line = &*masked(line);
    let indent = " ".repeat(hang.min(columns / 2));
    let options = Options::new(columns.min(WIDEST))
        .subsequent_indent(&indent)
        .break_words(false)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation);
    // The spaces before it would be a word of their own.
    let text = line.trim_start_matches(' ');
    let before = &line[..line.len() - text.len()];
    textwrap::wrap(text, options.initial_indent(before)).join("\n")
}

/// Splits at spaces outside backticks.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut quoted, mut spaces) = (false, false);
        let end = rest.char_indices().find(|(at, it)| {
            match it {
                // One that nothing closes is a letter.
                '`' => quoted = !quoted && rest[at + 1..].contains('`'),
                ' ' if !quoted => spaces = true,
                _ => return spaces,
            }
            spaces && *it != ' '
        });
        let (word, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = after;
        Some(Word::from(word))
    }))
}

/// `text` and below it `footer`, within `rows` and `columns`.
pub fn fitted(text: &str, footer: &str, rows: usize, columns: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let below: Vec<&str> = footer.lines().collect();
    // The last row is kept empty: a line break on it scrolls.
    let room = rows.saturating_sub(below.len() + 1);
    let mut shown = lines.clone();
    let mut more = None;
    if lines.len() > room {
        shown.truncate(room.saturating_sub(1));
        let cut = lines.len() - shown.len();
        more = and_more(cut, "line").map(|it| format!("… {it}: `--pool NAME` shows one pool"));
    }
    let mut screen = String::new();
    for line in shown.into_iter().chain(more.as_deref()).chain(below) {
        screen.push_str(&truncate_str(line, columns, "…"));
        screen.push('\n');
    }
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_counted_and_what_is_too_wide_is_cut() {
        let text = "one\ntwo is longer\nthree\nfour\n";
        assert_eq!(
            fitted(text, "end", 6, 80),
            "one\ntwo is longer\nthree\nfour\nend\n"
        );
        let cut = fitted(text, "end", 5, 8);
        assert_eq!(cut, "one\ntwo is …\n… and 2…\nend\n");
        for rows in 0..8 {
            let lines = fitted(text, "\nend", rows, 20).lines().count();
            assert!(lines < rows.max(4), "{rows}: {lines}");
        }
    }

    #[test]
    fn sentences_are_wrapped_and_what_is_to_be_copied_is_not() {
        let line = "      fix: run `kubectl -n cert-manager get pods` and look at `a`, it`s there";
        assert_eq!(wrapped(line, 8, None), line);
        assert_eq!(
            wrapped(line, 8, Some(34)),
            "      fix: run\n        `kubectl -n cert-manager get pods`\n        and look at `a`, it`s\n        there"
        );
        let long = "word ".repeat(60);
        assert!(
            wrapped(&long, 2, Some(160))
                .lines()
                .all(|it| it.len() <= WIDEST)
        );
        for columns in [0, 1, 9] {
            assert_eq!(
                wrapped("ab `c d` e", 4, Some(columns)).replace([' ', '\n'], ""),
                "ab`cd`e"
            );
        }
        assert_eq!(wrapped("", 2, Some(80)), "");
    }

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!(fitted("한국어", "", 9, 5), "한국…\n");
    }
}
