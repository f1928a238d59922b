//! Long lists in sentences: the first entries, and how many more there are. Pure: no I/O.

use std::fmt::Display;

/// The first `most` of `entries`, and how many more there are: `a, b and 3 more`. `between` is between two entries, and `before`
/// is before the number.
pub(crate) fn first_of<T: Display>(
    entries: impl IntoIterator<Item = T>,
    most: usize,
    [between, before]: [&str; 2],
) -> String {
    let mut entries = entries.into_iter();
    let first = entries.by_ref().take(most).map(|it| it.to_string());
    let first = first.collect::<Vec<_>>().join(between);
    match and_more(entries.count(), "") {
        Some(more) => format!("{first}{before}{more}"),
        None => first,
    }
}

/// How many more there are than were told, with a noun where its text does not say of what: `and 1 more line`; `None` where there
/// are no more. The plural of the noun has an `s`.
pub(crate) fn and_more(count: usize, noun: &str) -> Option<String> {
    match (count, noun) {
        (0, _) => None,
        (_, "") => Some(format!("and {count} more")),
        (1, _) => Some(format!("and 1 more {noun}")),
        _ => Some(format!("and {count} more {noun}s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_too_long_is_cut_and_counted() {
        let of = |count: usize| first_of(["a", "b", "c", "d"].iter().take(count), 2, [", ", " "]);
        let told: Vec<String> = (0..=4).map(of).collect();
        assert_eq!(
            told,
            ["", "a", "a, b", "a, b and 1 more", "a, b and 2 more"]
        );
    }

    #[test]
    fn a_noun_has_the_number_of_what_is_left_out() {
        assert_eq!(and_more(0, "line"), None);
        assert_eq!(and_more(1, "line").unwrap(), "and 1 more line");
        assert_eq!(and_more(2, "line").unwrap(), "and 2 more lines");
        assert_eq!(and_more(2, "").unwrap(), "and 2 more");
    }
}
