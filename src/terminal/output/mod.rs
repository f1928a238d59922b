//! Writes the result to stdout and messages to stderr. The only place that prints, so it also removes secrets and control
//! characters from text of other systems: events, policies, charts.

mod terminals;

use std::{
    fs::File,
    io::{IsTerminal, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, PoisonError},
};

use anstyle::Reset;
use clap::ValueEnum;
use dialoguer::console::Term;
use serde::Serialize;
use serde_json::Value;

use crate::{
    clients::credential::Credential,
    error::Error,
    printable::printable,
    report::{
        github,
        screen::{fitted, wrapped},
    },
    secret::{text::masked, value::told},
};

use terminals::{above_live, columns, is_live};
pub(super) use terminals::{can_ask, has_colors, set_live};

pub(crate) use crate::printable::{BAD, CHANGE, DIM, GOOD, paint};

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// One JSON document.
    Json,
    /// `JUnit` XML; of `doctor` only.
    Junit,
}

/// When colors are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How the progress of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// A live tree on a terminal, lines elsewhere.
    Auto,
    /// One line per event, also on a terminal.
    Plain,
}

/// Whether GitHub masks the credential in its log (`--mask`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masks {
    /// Not requested.
    Never,
    /// Requested.
    Asked,
}

/// stdout and stderr of this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Output format.
    pub format: Format,
    /// `-v` raises it, `-q` lowers it.
    pub verbosity: i8,
    /// How the progress of a run is shown.
    pub progress: ProgressStyle,
    /// Whether a step of GitHub Actions runs this process.
    pub in_actions: bool,
    /// Whether GitHub masks the credential in its log.
    masks: Masks,
    /// Whether GitHub's runner reads stdout.
    stdout_is_read: bool,
    /// Whether it reads stderr.
    stderr_is_read: bool,
}

/// Whether this run has written to stdout.
static WRITTEN: Mutex<bool> = Mutex::new(false);

impl Output {
    /// Sets up both streams.
    pub(crate) fn new(format: Format, color: Color, verbosity: i8) -> Self {
        match color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self {
            format,
            verbosity,
            progress: ProgressStyle::Auto,
            in_actions: false,
            masks: Masks::Never,
            stdout_is_read: false,
            stderr_is_read: false,
        }
    }

    /// The same, with the progress shown in this way.
    pub(crate) fn with_progress(self, progress: ProgressStyle) -> Self {
        Self { progress, ..self }
    }

    /// Whether a live display may be shown. Log lines would overwrite it.
    pub(super) fn is_live(self) -> bool {
        self.verbosity == 0 && self.progress == ProgressStyle::Auto && is_live()
    }

    /// The same, in a step of GitHub Actions: its runner reads both streams, unless they are redirected to a file.
    pub(crate) fn in_actions(self, masks: Masks) -> Self {
        Self {
            in_actions: true,
            masks,
            stdout_is_read: !is_file(std::io::stdout().as_fd()),
            stderr_is_read: !is_file(std::io::stderr().as_fd()),
            ..self
        }
    }

    /// Whether the result is JSON.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Writes the result as text. A closed pipe (`| head`) is not an error.
    pub(crate) fn result(self, text: &str) {
        self.generated(&shown(text));
    }

    /// Writes text that only arcctl generates: no redaction.
    pub(crate) fn generated(self, text: &str) {
        if self.stdout_is_read {
            self.write(&guarded(text));
        } else {
            self.write(text);
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    fn write(self, text: &str) {
        // An immediate exit never releases the lock: nothing follows its document.
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        *written = true;
        put(text);
    }

    /// The only function that prints errors.
    pub(crate) fn print_error(self, error: &Error) {
        // The text of an invalid profile is a complete report, with its own first line.
        let text = error
            .message
            .strip_prefix("error: ")
            .unwrap_or(&error.message)
            .trim_end();
        self.sentence(&format!("{} {text}", paint(BAD, "error:")), 2);
        for cause in &error.causes {
            self.sentence(&format!("  caused by: {cause}"), 4);
        }
        if let Some(hint) = &error.hint {
            self.error("");
            self.sentence(&format!("{} {hint}", paint(GOOD, "hint:")), 2);
        }
    }

    /// Ends the process, with the error, and the document if none was written.
    pub(super) fn end(self, document: Option<&Value>, error: &Error, code: u8) -> ! {
        set_live(None);
        let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = document.filter(|_| !*written) {
            put(&self.json(document));
        }
        self.print_error(error);
        std::process::exit(code.into());
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    /// Whether stdout is a screen that can be redrawn.
    pub(crate) fn is_screen(self) -> bool {
        std::io::stdout().is_terminal()
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    /// The columns of the terminal that stdout is; `None` where it is none.
    pub(crate) fn columns(self) -> Option<usize> {
        columns(&Term::stdout())
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    /// Redraws the screen with the result.
    pub(crate) fn screen(self, text: &str, footer: &str) {
        let text = &shown(text);
        let size = Term::stdout().size_checked();
        let text = match size {
            Some((rows, columns)) => fitted(text, footer, rows.into(), columns.into()),
            None => format!("{text}\n{footer}\n"),
        };
        // Cursor home, the text with each line's rest cleared, then clear below: clearing the screen first flickers.
        let text = text.replace('\n', "\x1b[K\n");
        let mut stdout = std::io::stdout().lock();
        drop(
            stdout
                .write_all(format!("\x1b[H{text}\x1b[J").as_bytes())
                .and_then(|()| stdout.flush()),
        );
    }

    /// Writes the result as JSON.
    pub(crate) fn document(self, document: &impl Serialize) {
        let text = self.json(document);
        self.write(&text);
    }

    fn json(self, document: &impl Serialize) -> String {
        let document = serde_json::to_value(document).map(|it| told(&it));
        let text = document.and_then(|it| serde_json::to_string_pretty(&it));
        let text = text.unwrap_or_else(|_| "{}".into());
        // A file gets no escaped form: the data is the same.
        let text = if self.stdout_is_read {
            github::guarded_json(&text)
        } else {
            text
        };
        format!("{text}\n")
    }

    /// Writes a message to stderr, wrapped for a terminal.
    pub(crate) fn note(self, text: impl std::fmt::Display) {
        self.note_sentence(&text.to_string(), 2);
    }

    /// Writes a sentence to stderr, wrapped for a terminal.
    pub(crate) fn note_sentence(self, text: &str, hang: usize) {
        if self.verbosity >= 0 {
            self.sentence(text, hang);
        }
    }

    /// Writes a sentence to stderr that `-q` does not suppress, wrapped for a terminal; what has several lines is left.
    pub(crate) fn sentence(self, text: &str, hang: usize) {
        let columns = columns(&Term::stderr()).filter(|_| !text.contains('\n'));
        self.error(wrapped(text, hang, columns));
    }

    /// Writes a message to stderr that `-q` does not suppress.
    pub(crate) fn error(self, text: impl std::fmt::Display) {
        let text = shown(&text.to_string());
        if self.stderr_is_read {
            self.line(&guarded(&text));
        } else {
            self.line(&text);
        }
    }

    /// Writes a workflow command to stderr, next to its message; the runner reads both streams, and stdout is for the
    /// result. Does nothing if stderr is a file, which the runner does not read.
    pub(super) fn command(self, command: &str) {
        if self.stderr_is_read {
            self.line(&shown(command));
        }
    }

    /// Masks the credential in GitHub's log, before any output can contain it; only on request. The command contains the
    /// credential, and it is impossible to detect whether the runner reads it: `2>&1` in a `$(…)`, `| tee` and a program
    /// that runs this one look like the runner's own pipe.
    pub(crate) fn mask(self, credential: &Credential) {
        if self.masks == Masks::Asked && self.stderr_is_read {
            for command in github::masks(credential) {
                self.line(&command);
            }
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    fn line(self, text: &str) {
        above_live(|| {
            let mut stderr = anstream::stderr().lock();
            drop(writeln!(stderr, "{text}"));
        });
    }
}

/// `text` as a terminal may show it: without secrets, and without control characters except line breaks, tabs and our own
/// colors. Another system's text may have the same colors: they do no harm.
pub(super) fn shown(text: &str) -> String {
    let text = masked(text);
    let colors = [GOOD, BAD, CHANGE, DIM].map(|it| it.render().to_string());
    let reset = Reset.render().to_string();
    let kept: Vec<&str> = colors.iter().chain([&reset]).map(String::as_str).collect();
    let (mut clean, mut left) = (String::with_capacity(text.len()), &*text);
    while let Some(at) = left.find(['\x1b', '\t']) {
        clean.push_str(&printable(&left[..at]));
        left = &left[at..];
        let color = kept.iter().find(|it| left.starts_with(**it));
        let (this, after) = left.split_at(color.map_or(1, |it| it.len()));
        if color.is_some() || this == "\t" {
            clean.push_str(this);
        } else {
            clean.push_str(&printable(this));
        }
        left = after;
    }
    clean.push_str(&printable(left));
    clean
}

fn put(text: &str) {
    above_live(|| {
        let mut stdout = anstream::stdout().lock();
        drop(
            stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush()),
        );
    });
}

/// `text` in which no line is a workflow command, with and without its colors.
fn guarded(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    if github::is_command(text) || github::is_command(&plain) {
        github::guarded(&plain).into_owned()
    } else {
        text.to_owned()
    }
}

/// Whether a stream is redirected to a file; unknown counts as a file, since secrets are only written elsewhere.
fn is_file(stream: BorrowedFd<'_>) -> bool {
    let metadata = stream
        .try_clone_to_owned()
        .and_then(|it| File::from(it).metadata());
    metadata.map_or(true, |it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_do_not_control_the_terminal() {
        for style in [GOOD, BAD, CHANGE, DIM] {
            let ours = format!("{} it\n\tis\n", paint(style, "error:"));
            assert_eq!(shown(&ours), ours);
        }
        let theirs = "a\u{1b}[2J\u{1b}]0;x\u{7}\r\n\u{1b}[8mb\u{9b}1m\u{202e}c\u{1b}";
        let seen = "a␛[2J␛]0;x␇␍\n␛[8mb\u{fffd}1m\u{fffd}c␛";
        assert_eq!(shown(theirs), seen);
        let both = format!("{}: {theirs}", paint(BAD, theirs));
        assert_eq!(shown(&both), format!("{}: {seen}", paint(BAD, seen)));
    }
}
