//! Asks a question on the terminal.

use super::{
    answers::checked,
    facts::Line,
    questions::{Form, Question},
};
pub(super) use crate::terminal::question::Reply;
use crate::{
    error::{Error, ErrorKind, Result, System},
    terminal::{
        output::{CHANGE, DIM, GOOD, Output, paint},
        question::{choose, line},
    },
};

/// What is said first.
pub(super) const INTRODUCTION: &str = "Arrow keys and Enter choose; Esc, or `<` as an answer, goes back; Ctrl-C stops. Nothing is written before the last question.";

/// The width of the names of findings.
const NAMES: usize = 19;

/// Where the text of a finding begins: more lines of it begin there too.
pub(super) const FOUND: usize = NAMES + 3;

/// Where what follows from an answer begins.
const FOLLOWS: usize = 2;

/// A finding, in one line.
pub(super) fn finding(found: &Line) -> String {
    let text = match &found.read {
        Ok(text) => text.clone(),
        Err(why) => paint(CHANGE, format!("could not find out: {why}")),
    };
    format!("  {:<NAMES$} {text}", found.what)
}

/// What stands above the answer, each line with the columns that the next one of it is indented by.
pub(super) fn heading(question: &Question) -> [(String, usize); 2] {
    let follows = format!("{:FOLLOWS$}{}", "", paint(DIM, &question.follows));
    [(question.prompt.clone(), FOLLOWS), (follows, FOLLOWS)]
}

/// An option that was chosen.
pub(super) fn chosen_line(label: &str) -> String {
    format!("{} {label}", paint(GOOD, "✓"))
}

/// Asks until the answer can be used.
pub(super) fn ask(question: &Question, output: Output) -> Result<Reply<String>> {
    output.error("");
    for (line, hang) in heading(question) {
        output.sentence(&line, hang);
    }
    match &question.form {
        Form::Choice { options, default } => {
            let labels: Vec<&str> = options.iter().map(|it| it.label.as_str()).collect();
            let Reply::Answer(index) = told(choose(&labels, default.unwrap_or(0)))? else {
                return Ok(Reply::Back);
            };
            let Some(chosen) = options.get(index) else {
                return Ok(Reply::Back);
            };
            output.error(chosen_line(&chosen.label));
            Ok(Reply::Answer(chosen.value.clone()))
        }
        Form::Text { prefix, default } => loop {
            let Reply::Answer(text) = told(line(default.as_deref()))? else {
                return Ok(Reply::Back);
            };
            match checked(question.key, &format!("{prefix}{text}")) {
                // Only the kind: the name is missing.
                Ok(value) if !prefix.is_empty() && value == *prefix => {
                    output.error("  type the name, or `<` to go back");
                }
                Ok(value) => return Ok(Reply::Answer(value)),
                Err(expected) => output.error(format!("  expected: {expected}")),
            }
        },
    }
}

/// Shows the profile and asks whether it is written; going back is a no.
pub(super) fn confirm(text: &str, file: &str, output: Output) -> Result<bool> {
    output.error(format!("\n{text}\nWrite this profile?"));
    let write = format!("yes, to {file}");
    let options = [
        write.as_str(),
        "go back to the last question",
        "stop, and write nothing",
    ];
    match told(choose(&options, 0))? {
        Reply::Answer(0) => Ok(true),
        Reply::Answer(2) => Err(stopped()),
        Reply::Answer(_) | Reply::Back => Ok(false),
    }
}

/// The error of somebody who stops.
pub(super) fn stopped() -> Error {
    Error::new(
        ErrorKind::Interrupted,
        System::Local,
        "stopped; nothing was written",
    )
    .hint("run `arcctl init` again; the flags in `arcctl init --help` answer questions beforehand")
}

fn told<T>(reply: Result<T>) -> Result<T> {
    reply.map_err(|error| match error.kind {
        ErrorKind::Interrupted => stopped(),
        _ => error,
    })
}
