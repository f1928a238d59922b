//! The terminals that the streams are: their size and colors, and the live display on one of them.

use std::{
    io::IsTerminal,
    sync::{Mutex, PoisonError},
};

use dialoguer::console::Term;
use indicatif::ProgressBar;

/// The live display that is on the screen: what else is written stands above it.
static LIVE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Shows a live display below all that is written, in place of the one before; `None` takes it off the screen.
pub(in crate::terminal) fn set_live(display: Option<ProgressBar>) {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(before) = std::mem::replace(&mut *live, display) {
        before.finish_and_clear();
    }
}

/// Writes while the live display is off the screen.
pub(super) fn above_live(write: impl FnOnce()) {
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match live {
        Some(live) => live.suspend(write),
        None => write(),
    }
}

/// Whether what is written to stderr keeps its colors.
pub(in crate::terminal) fn has_colors() -> bool {
    !matches!(
        anstream::AutoStream::choice(&std::io::stderr()),
        anstream::ColorChoice::Never
    )
}

/// Its columns; `None` where it is no terminal.
pub(super) fn columns(terminal: &Term) -> Option<usize> {
    let (_, columns) = terminal.size_checked()?;
    Some(columns.into())
}

/// Whether stderr is a terminal, which can show a live display.
pub(super) fn is_live() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether a user can be prompted.
pub(in crate::terminal) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
