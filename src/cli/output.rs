//! Where a command writes: the result to stdout, the rest to stderr. The only place that prints.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

/// The form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for people.
    Human,
    /// One JSON document.
    Json,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// stdout and stderr of this run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// The form of the result.
    pub format: Format,
    /// `-v` adds, `-q` takes away.
    pub verbosity: i8,
}

/// The colours of words in human output.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// What is wrong.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What changes, and what is waited for.
pub(super) const CHANGE: Style = AnsiColor::Yellow.on_default();
/// What matters less.
pub(super) const DIM: Style = Style::new().dimmed();

/// `text` in `style`; stripped again where colour is not wanted.
pub(super) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

impl Output {
    /// Sets up both streams.
    pub(super) fn new(format: Format, color: Color, verbosity: i8) -> Self {
        match color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self { format, verbosity }
    }

    /// Whether the result is JSON.
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    /// Writes the result for people. A reader that went away (`| head`) is not an error.
    pub(super) fn result(self, text: &str) {
        let mut stdout = anstream::stdout().lock();
        drop(
            stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush()),
        );
    }

    /// Writes the result as JSON.
    pub(super) fn document(self, document: &impl Serialize) {
        let text = serde_json::to_string_pretty(document).unwrap_or_else(|_| "{}".into());
        self.result(&format!("{text}\n"));
    }

    /// Writes a line beside the result.
    pub(super) fn note(self, text: impl std::fmt::Display) {
        if self.verbosity >= 0 {
            self.error(text);
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "what is written belongs to a run's output"
    )]
    /// Writes a line beside the result that `-q` does not take away.
    pub(super) fn error(self, text: impl std::fmt::Display) {
        let mut stderr = anstream::stderr().lock();
        drop(writeln!(stderr, "{text}"));
    }
}

/// Whether stderr is a terminal, where a live display can be shown.
pub(super) fn is_live() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether somebody can be asked.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
