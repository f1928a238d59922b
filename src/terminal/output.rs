//! Where a command writes: the result to stdout, the rest to stderr. The only place that prints, so the place where what
//! is secret is taken out of what others said: events, policies, charts.

use std::{
    fs::File,
    io::{IsTerminal, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, PoisonError},
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use dialoguer::console::Term;
use serde::Serialize;
use serde_json::Value;

use crate::{
    clients::credential::Credential,
    error::Error,
    report::{github, screen::fitted},
    secret::{text::masked, value::told},
};

/// The form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// One JSON document.
    Json,
    /// `JUnit` XML; of `doctor` only.
    Junit,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// Whether GitHub's log is asked to hide the credential (`--mask`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masks {
    /// Nobody asked for it.
    Never,
    /// Somebody did.
    Asked,
}

/// stdout and stderr of this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// The form of the result.
    pub format: Format,
    /// `-v` adds, `-q` takes away.
    pub verbosity: i8,
    /// Whether a step of GitHub Actions runs this.
    pub in_actions: bool,
    /// Whether GitHub's log is asked to hide the credential.
    masks: Masks,
    /// Whether GitHub's runner reads stdout.
    stdout_is_read: bool,
    /// Whether it reads stderr.
    stderr_is_read: bool,
}

/// Whether stdout has something of this run.
static WRITTEN: Mutex<bool> = Mutex::new(false);

/// The colours of words in human output.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What changes, and what is waited for.
pub(crate) const CHANGE: Style = AnsiColor::Yellow.on_default();
/// What matters less.
pub(crate) const DIM: Style = Style::new().dimmed();

/// `text` in `style`; stripped again where colour is not wanted.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// `text` in `style` for a live display on stderr, which nothing strips again.
pub(super) fn paint_live(style: Style, text: &str) -> String {
    match anstream::AutoStream::choice(&std::io::stderr()) {
        anstream::ColorChoice::Never => text.to_owned(),
        _ => paint(style, text),
    }
}

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
            in_actions: false,
            masks: Masks::Never,
            stdout_is_read: false,
            stderr_is_read: false,
        }
    }

    /// The same, in a step of GitHub Actions: its runner reads both streams, where they do not go to a file.
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

    /// Writes the result for people. A reader that went away (`| head`) is not an error.
    pub(crate) fn result(self, text: &str) {
        self.generated(&masked(text));
    }

    /// Writes what arcctl makes of itself alone: nothing is taken out of it.
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
        // The end at once holds the lock for good: nothing comes after its document.
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        *written = true;
        put(text);
    }

    /// The one printer of errors.
    pub(crate) fn print_error(self, error: &Error) {
        // The text of an invalid profile is a report of its own, with its own first line.
        let text = error
            .message
            .strip_prefix("error: ")
            .unwrap_or(&error.message)
            .trim_end();
        self.error(format!("{} {text}", paint(BAD, "error:")));
        for cause in &error.causes {
            self.error(format!("  caused by: {cause}"));
        }
        if let Some(hint) = &error.hint {
            self.error(format!("\n{} {hint}", paint(GOOD, "hint:")));
        }
    }

    /// Ends the process, with the document unless there is one already, and the error.
    pub(super) fn end(self, document: Option<&Value>, error: &Error, code: u8) -> ! {
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
    /// Whether the result is shown on a screen, where it can be written over.
    pub(crate) fn is_screen(self) -> bool {
        std::io::stdout().is_terminal()
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    /// Writes the result over what the screen shows.
    pub(crate) fn screen(self, text: &str, footer: &str) {
        let text = &masked(text);
        let size = Term::stdout().size_checked();
        let text = match size {
            Some((rows, columns)) => fitted(text, footer, rows.into(), columns.into()),
            None => format!("{text}\n{footer}\n"),
        };
        // Home, the text with each line's rest cleared, and what is below it: a screen that is cleared first flickers.
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
        // No other form for a file: it says the same.
        let text = if self.stdout_is_read {
            github::guarded_json(&text)
        } else {
            text
        };
        format!("{text}\n")
    }

    /// Writes a line beside the result.
    pub(crate) fn note(self, text: impl std::fmt::Display) {
        if self.verbosity >= 0 {
            self.error(text);
        }
    }

    /// Writes a line beside the result that `-q` does not take away.
    pub(crate) fn error(self, text: impl std::fmt::Display) {
        let text = text.to_string();
        let text = masked(&text);
        if self.stderr_is_read {
            self.line(&guarded(&text));
        } else {
            self.line(&text);
        }
    }

    /// Tells GitHub's runner a command. On stderr, beside what it is about; the runner reads both streams, and stdout is
    /// the result's. Nothing where stderr goes to a file: nobody would read it there.
    pub(super) fn command(self, command: &str) {
        if self.stderr_is_read {
            self.line(&masked(command));
        }
    }

    /// Has GitHub's log hide the credential, before anything can say it; only where that is asked for. The command has the
    /// credential in it, and whether the runner reads it cannot be found out: `2>&1` in a `$(…)`, `| tee` and a program
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
        let mut stderr = anstream::stderr().lock();
        drop(writeln!(stderr, "{text}"));
    }
}

fn put(text: &str) {
    let mut stdout = anstream::stdout().lock();
    drop(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    );
}

/// `text` in which no line is a command to GitHub's runner, with and without its colours.
fn guarded(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    if github::is_command(text) || github::is_command(&plain) {
        github::guarded(&plain).into_owned()
    } else {
        text.to_owned()
    }
}

/// Whether a stream goes to a file; what cannot be found out counts as one, since secrets are told elsewhere only.
fn is_file(stream: BorrowedFd<'_>) -> bool {
    let metadata = stream
        .try_clone_to_owned()
        .and_then(|it| File::from(it).metadata());
    metadata.map_or(true, |it| it.is_file())
}

/// Whether stderr is a terminal, where a live display can be shown.
pub(super) fn is_live() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether somebody can be asked.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
