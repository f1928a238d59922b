//! Questions with more than yes and no: a choice, or a line of text. Each can be taken back.
//!
//! The question itself is printed before, so that a long one wraps as usual: dialoguer redraws only the options, one line each.

use std::fmt;

use dialoguer::{
    Input, Select,
    console::{Term, truncate_str},
    theme::Theme,
};

use super::output::{GOOD, can_ask, has_colors, paint};
use crate::error::{Error, ErrorKind, Result, System};

/// The answer that goes back one question.
const BACK: &str = "<";

/// The columns before an option, and the one that a terminal may need for the cursor.
const MARGIN: usize = 4;

/// The width of a terminal that does not tell it.
const WIDTH: usize = 80;

/// What somebody did at a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply<T> {
    /// They answered.
    Answer(T),
    /// They went back.
    Back,
}

/// Whether there is a terminal to ask at.
pub(crate) fn is_possible() -> bool {
    can_ask()
}

/// Asks for one of `options`; Esc goes back.
pub(crate) fn choose(options: &[&str], start: usize) -> Result<Reply<usize>> {
    let term = Term::stderr();
    let width = term
        .size_checked()
        .map_or(WIDTH, |(_, columns)| columns.into());
    let shown: Vec<_> = options
        .iter()
        .map(|it| truncate_str(it, width.saturating_sub(MARGIN).max(1), "…"))
        .collect();
    let chosen = Select::new()
        .items(&shown)
        .default(start)
        .interact_on_opt(&term);
    match chosen {
        Ok(Some(index)) => Ok(Reply::Answer(index)),
        Ok(None) => Ok(Reply::Back),
        Err(error) => Err(failed(&term, error)),
    }
}

/// The line of a text: its default is what Enter gives, and afterwards it looks like an option that was chosen.
pub(crate) struct Line;

impl Theme for Line {
    fn format_input_prompt(
        &self,
        line: &mut dyn fmt::Write,
        prompt: &str,
        default: Option<&str>,
    ) -> fmt::Result {
        match default {
            Some(default) => write!(line, "{prompt} [{default}] "),
            None => write!(line, "{prompt} "),
        }
    }

    fn format_input_prompt_selection(
        &self,
        line: &mut dyn fmt::Write,
        _prompt: &str,
        text: &str,
    ) -> fmt::Result {
        // Not written by `Output`, which removes colors where there are none.
        let tick = if has_colors() {
            paint(GOOD, "✓")
        } else {
            "✓".to_owned()
        };
        write!(line, "{tick} {text}")
    }
}

/// Asks for a line; an empty one is `default`, and `<` goes back.
pub(crate) fn line(default: Option<&str>) -> Result<Reply<String>> {
    let term = Term::stderr();
    let mut input = Input::<String>::with_theme(&Line).with_prompt(">");
    input = input.allow_empty(true);
    if let Some(default) = default {
        input = input.default(default.to_owned());
    }
    let text = input
        .interact_text_on(&term)
        .map_err(|error| failed(&term, error))?;
    Ok(match text.trim() {
        BACK => Reply::Back,
        text => Reply::Answer(text.to_owned()),
    })
}

/// The error of a question that got no answer. The terminal is left as it was.
fn failed(term: &Term, error: dialoguer::Error) -> Error {
    // dialoguer hides the cursor while somebody chooses.
    drop(term.show_cursor());
    let dialoguer::Error::IO(error) = error;
    if error.kind() == std::io::ErrorKind::Interrupted {
        return Error::new(
            ErrorKind::Interrupted,
            System::Local,
            "interrupted at a question",
        );
    }
    Error::new(ErrorKind::Usage, System::Local, "cannot ask").cause(error)
}
