//! Text of others as a terminal may show it, and the colors of our own. Pure: no I/O.

use annotate_snippets::normalize_untrusted_str;
use anstyle::{AnsiColor, Style};

/// What is good, or new.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Errors, and what goes.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Changes and waits.
pub(crate) const CHANGE: Style = AnsiColor::Yellow.on_default();
/// Less important text.
pub(crate) const DIM: Style = Style::new().dimmed();

/// `text` in `style`; the output removes it again if colors are off.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// `text` without control characters, which move the cursor, change colors or the order of letters: each becomes a
/// visible sign. Line breaks stay, and a tab becomes four spaces.
pub(crate) fn printable(text: &str) -> String {
    // The crate leaves U+0080 to U+009F; U+009B begins a sequence as ESC `[` does.
    normalize_untrusted_str(text).replace(|it| matches!(it, '\u{80}'..='\u{9f}'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        for (text, expected) in [
            ("한국어 and \n `x`", "한국어 and \n `x`"),
            ("a\tb", "a    b"),
            ("\u{1b}[31m\r\0\u{7}\u{8}\u{7f}", "␛[31m␍␀␇␈␡"),
            ("\u{9b}31m \u{85}", "\u{fffd}31m \u{fffd}"),
            ("a\u{202e}b\u{2066}c", "a\u{fffd}b\u{fffd}c"),
        ] {
            let found = printable(text);
            assert_eq!(found, expected);
            assert_eq!(printable(&found), found);
        }
    }
}
