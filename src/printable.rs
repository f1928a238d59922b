//! Text of others as a terminal may show it. Pure: no I/O.

use annotate_snippets::normalize_untrusted_str;

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
