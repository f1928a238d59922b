//! Fits a text to the terminal: cuts long lines, counts rows that do not fit, and never scrolls. Pure: no I/O.

use dialoguer::console::truncate_str;

/// `text` and below it `footer`, within `rows` and `columns`.
pub fn fitted(text: &str, footer: &str, rows: usize, columns: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let below: Vec<&str> = footer.lines().collect();
    // The last row is kept empty: a line break on it scrolls.
    let room = rows.saturating_sub(below.len() + 1);
    let mut shown = lines.clone();
    let mut more = None;
    if lines.len() > room {
        shown.truncate(room.saturating_sub(1));
        let cut = lines.len() - shown.len();
        more = Some(format!(
            "… and {cut} more lines: `--pool NAME` shows one pool"
        ));
    }
    let mut screen = String::new();
    for line in shown.into_iter().chain(more.as_deref()).chain(below) {
        screen.push_str(&truncate_str(line, columns, "…"));
        screen.push('\n');
    }
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_counted_and_what_is_too_wide_is_cut() {
        let text = "one\ntwo is longer\nthree\nfour\n";
        assert_eq!(
            fitted(text, "end", 6, 80),
            "one\ntwo is longer\nthree\nfour\nend\n"
        );
        let cut = fitted(text, "end", 5, 8);
        assert_eq!(cut, "one\ntwo is …\n… and 2…\nend\n");
        for rows in 0..8 {
            let lines = fitted(text, "\nend", rows, 20).lines().count();
            assert!(lines < rows.max(4), "{rows}: {lines}");
        }
    }

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!(fitted("한국어", "", 9, 5), "한국…\n");
    }
}
