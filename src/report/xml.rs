//! Text in XML: `JUnit` reports and SVG pictures. Pure: no I/O.

use crate::secret::text::masked;

/// Escapes text for an attribute or an element; characters that XML 1.0 does not allow are replaced. Secrets are hidden
/// before: once quotes are `&quot;`, JSON within a text is not recognized.
pub(crate) fn escaped(text: &str) -> String {
    let text = &masked(text);
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            '\r' => safe.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}
