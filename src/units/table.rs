//! The tables of facts that are data files of arcctl: cells between tabs, and comments from `#` on. Pure: no I/O.

/// The cells of each row, in order.
pub(crate) fn rows(table: &str) -> impl Iterator<Item = std::str::Split<'_, char>> {
    let rows = table.lines().filter(|it| !it.starts_with('#'));
    rows.map(|it| it.split('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_rows() {
        let found: Vec<Vec<&str>> = rows("# a\tb\n1\t\t2\n3\n").map(Iterator::collect).collect();
        assert_eq!(found, [vec!["1", "", "2"], vec!["3"]]);
    }
}
