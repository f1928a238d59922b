//! Problems of a profile, and their output with source lines. Pure: plain text, the caller colours.

use std::{collections::BTreeMap, fmt::Write as _};

use unicode_width::UnicodeWidthStr;

use super::yaml::{Position, Span};
use crate::{
    printable::printable,
    secret::text::{MASK, Manner, masked_source, masked_strictly as mask},
};

/// The maximum width of a snippet; longer lines are cut around the position.
const WIDTH: usize = 96;

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The profile cannot work.
    Error,
    /// The profile works, but is risky.
    Advice,
}

/// One problem of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The path in the profile, such as `pools[0].min`; empty for the root.
    pub path: String,
    /// The message.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
    /// The severity.
    pub severity: Severity,
}

/// Formats problems with their lines: a header, and each problem below its source line.
///
/// In source lines and in messages, credentials are masked and control characters replaced.
pub fn render(problems: &[Problem], source: &str, file_name: &str) -> String {
    let mut text = header(problems, &printable(file_name));
    text.push('\n');
    let lines: Vec<&str> = source.lines().collect();
    let secrets = secret_columns(source);
    // Invalid YAML is masked line by line.
    let masked = match secrets {
        Some(_) => Vec::new(),
        None => masked_source(source, Manner::Strict),
    };
    let width = problems
        .iter()
        .map(|problem| problem.line)
        .max()
        .unwrap_or(1)
        .to_string()
        .len()
        .max(2);
    let mut shown = (0, String::new());
    for problem in problems {
        let source_line = lines
            .get(problem.line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let masked = masked.get(problem.line.saturating_sub(1));
        let masked = masked.map(String::as_str).unwrap_or_default();
        let (line, column) = snippet(source_line, problem, secrets.as_ref(), masked);
        let current = (problem.line, line);
        // A cut line differs from problem to problem.
        if current != shown || source_line.chars().count() > WIDTH {
            let _ = write!(text, "\n  {:>width$} | {}", current.0, current.1);
            shown = current;
        }
        let gutter = format!("\n  {:>width$} | ", "");
        let indent = " ".repeat(column);
        let advice = if problem.severity == Severity::Advice {
            "advice: "
        } else {
            ""
        };
        let mut message = mask(&problem.message).replace('\n', " ");
        if let Some(hint) = &problem.hint {
            let _ = write!(message, "; {}", mask(hint));
        }
        let _ = write!(text, "{gutter}{indent}^ {advice}{}", printable(&message));
    }
    text.push('\n');
    text
}

fn header(problems: &[Problem], file_name: &str) -> String {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let advice = problems.len() - errors;
    let count = |count: usize, one: &str, more: &str| {
        if count == 1 {
            format!("1 {one}")
        } else {
            format!("{count} {more}")
        }
    };
    match (errors, advice) {
        (0, _) => format!(
            "advice for profile `{file_name}`: {}",
            count(advice, "point", "points")
        ),
        (_, 0) => {
            format!(
                "error: invalid profile `{file_name}`: {}",
                count(errors, "problem", "problems")
            )
        }
        _ => format!(
            "error: invalid profile `{file_name}`: {} and {}",
            count(errors, "problem", "problems"),
            count(advice, "point of advice", "points of advice")
        ),
    }
}

/// The columns (from 0) of literal secrets, by line; `None` if the source is not YAML.
type SecretColumns = BTreeMap<usize, Vec<(usize, usize)>>;

fn secret_columns(source: &str) -> Option<SecretColumns> {
    let tree = super::yaml::parse(source).ok()?;
    let mut columns = SecretColumns::new();
    for Span { start, end } in tree
        .as_ref()
        .map(super::validate::secrets)
        .unwrap_or_default()
    {
        for line in start.line..=end.line {
            let from = if line == start.line {
                start.column - 1
            } else {
                0
            };
            let to = if line == end.line {
                end.column - 1
            } else {
                usize::MAX
            };
            if from < to {
                columns.entry(line).or_default().push((from, to));
            }
        }
    }
    Some(columns)
}

/// The masked line, and the column (from 0) of the position in it, as a terminal counts: a wide character has two.
fn snippet(
    line: &str,
    problem: &Problem,
    secrets: Option<&SecretColumns>,
    masked: &str,
) -> (String, usize) {
    let column = problem.column.saturating_sub(1);
    let (before, after): (Vec<_>, Vec<_>) = line
        .chars()
        .enumerate()
        .partition(|(position, _)| *position < column);
    let shown = |part: Vec<(usize, char)>| {
        let Some(secrets) = secrets else {
            return part
                .into_iter()
                .map(|(_, character)| character)
                .collect::<String>();
        };
        let ranges = secrets
            .get(&problem.line)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let (mut text, mut hiding) = (String::new(), false);
        for (position, character) in part {
            let hidden = ranges
                .iter()
                .any(|(from, to)| (*from..*to).contains(&position));
            if !hidden {
                text.push(character);
            } else if !hiding {
                text.push_str(MASK);
            }
            hiding = hidden;
        }
        text
    };
    let (before, after) = if secrets.is_some() {
        (
            mask(&shown(before)).into_owned(),
            mask(&shown(after)).into_owned(),
        )
    } else {
        // Mask before cutting: the key that marks a secret may be cut off.
        let cut = masked
            .char_indices()
            .nth(column)
            .map_or(masked.len(), |(at, _)| at);
        (masked[..cut].to_owned(), masked[cut..].to_owned())
    };
    trim(&printable(&before), &printable(&after))
}

/// Cuts a long line around the position.
fn trim(before: &str, after: &str) -> (String, usize) {
    let (left, right) = (before.chars().count(), after.chars().count());
    if left + right <= WIDTH {
        let line = format!("{before}{after}").trim_end().to_owned();
        return (line, before.width());
    }
    let keep = left.min(WIDTH / 2);
    let start: String = before.chars().skip(left - keep).collect();
    let rest = WIDTH - keep;
    let end: String = after.chars().take(rest).collect();
    let lead = if keep < left { "…" } else { "" };
    let tail = if right > rest { "…" } else { "" };
    (
        format!("{lead}{start}{end}{tail}"),
        start.width() + lead.width(),
    )
}

impl Problem {
    /// A problem at a position.
    pub(super) fn new(
        at: Position,
        path: &str,
        severity: Severity,
        message: &str,
        hint: Option<&str>,
    ) -> Self {
        Self {
            line: at.line,
            column: at.column,
            path: mask(path).into_owned(),
            message: printable(&mask(message).replace('\n', " ")),
            hint: hint.map(|it| printable(&mask(it))),
            severity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: usize, column: usize) -> Problem {
        Problem {
            line,
            column,
            path: String::new(),
            message: "wrong".into(),
            hint: Some("mend it".into()),
            severity: Severity::Error,
        }
    }

    #[test]
    fn problems_stand_below_their_lines() {
        let source = "one: 1\ntwo: 2\n";
        assert_eq!(
            render(&[problem(2, 6)], source, "p.yaml"),
            "error: invalid profile `p.yaml`: 1 problem\n\n   2 | two: 2\n     |      ^ wrong; mend it\n"
        );
        let beyond = render(&[problem(9, 9), problem(0, 0)], source, "p.yaml");
        assert!(beyond.contains("2 problems"), "{beyond}");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let source = format!("a: {}x{}\n", "b".repeat(300), "c".repeat(300));
        let text = render(&[problem(1, 304)], &source, "p.yaml");
        let mut lines = text.lines().skip(2);
        let (line, caret) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(line.chars().count() < 110, "{line}");
        let column = caret
            .chars()
            .position(|character| character == '^')
            .unwrap();
        assert_eq!(line.chars().nth(column), Some('x'));
    }

    #[test]
    fn the_caret_stands_below_its_place() {
        for (source, column, expected) in [
            (
                "이름: 값\n",
                5,
                "   1 | 이름: 값\n     |       ^ wrong; mend it\n",
            ),
            (
                "a:\tb\n",
                4,
                "   1 | a:    b\n     |       ^ wrong; mend it\n",
            ),
            (
                "a: \u{1b}[1mb\n",
                8,
                "   1 | a: ␛[1mb\n     |        ^ wrong; mend it\n",
            ),
        ] {
            let text = render(&[problem(1, column)], source, "p.yaml");
            let (_, text) = text.split_once("\n\n").unwrap();
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_line_that_tabs_make_too_long_is_cut_for_each_problem() {
        let source = format!("a:{}x{}y\n", "\t".repeat(20), "z ".repeat(20));
        let text = render(&[problem(1, 23), problem(1, 64)], &source, "p.yaml");
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 4, "{text}");
        for (pair, expected) in lines.chunks(2).zip(['x', 'y']) {
            let column = pair[1].chars().position(|it| it == '^').unwrap();
            assert_eq!(pair[0].chars().nth(column), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_profile_does_not_control_the_terminal() {
        let mut told = problem(1, 1);
        told.message = "`\u{1b}]0;x\u{7}` is wrong".into();
        told.hint = Some("write \u{202e}it\r".into());
        let at = Position { line: 1, column: 1 };
        let hint = told.hint.as_deref();
        let kept = Problem::new(at, "", Severity::Error, &told.message, hint);
        assert_eq!(kept.message, "`␛]0;x␇` is wrong");
        assert_eq!(kept.hint.as_deref(), Some("write \u{fffd}it␍"));
        // Valid YAML and invalid.
        for source in ["a: b\u{202e}c\n", "a: \u{1b}[2Jb\u{9b}31m\n"] {
            let text = render(std::slice::from_ref(&told), source, "\u{1b}[1m.yaml");
            let controls = |it: char| it != '\n' && (it.is_control() || it == '\u{202e}');
            assert!(!text.contains(controls), "{text:?}");
        }
    }

    #[test]
    fn no_line_shows_a_secret() {
        for source in [
            "github: {token: hunter2, urll: x}\n",
            "github: {token: {value: hunter2}, urll: x}\n",
            "github: {privateKey: 'hunter2', urll: x}\n",
            "github: {token: hunter2, urll: \"x}\n",
            "a:\n  password: |\n\thunter2\n  b: {\n",
            "a:\n  password:\n    hunter2\n  b: {\n",
        ] {
            let line = source.lines().position(|it| it.contains("hunter2"));
            let text = render(&[problem(line.unwrap() + 1, 27)], source, "p.yaml");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
