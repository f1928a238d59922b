//! The colors of words in text output. Pure: no I/O; the output removes them where there are no colors.

use anstyle::{AnsiColor, Style};

/// What is well, or new.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Errors, and what is deleted.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Changes and waits.
pub const CHANGE: Style = AnsiColor::Yellow.on_default();
/// Less important text.
pub const DIM: Style = Style::new().dimmed();
