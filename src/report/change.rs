//! A value before and after a change, shortened so that the difference is always visible. Pure: no I/O.

use serde_json::Value;

/// The maximum length of a value in text.
const WIDTH: usize = 60;

/// How many equal characters are shown before and after the difference.
const AROUND: usize = 12;

/// `from` and `to` as text.
pub(super) fn shown(from: &Value, to: &Value) -> (String, String) {
    let (left, right) = (text(from), text(to));
    if fits(&left) && fits(&right) {
        return (left, right);
    }
    let (left, right) = match (from, to) {
        (Value::Array(from), Value::Array(to)) => lists(from, to).unwrap_or((left, right)),
        _ => (left, right),
    };
    window(&left, &right)
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.replace("${SECRET_VERSION}", "(known once the Secret is written)")
}

fn fits(text: &str) -> bool {
    text.chars().count() <= WIDTH
}

/// Two lists as the entries that only one of them has; `None` if only their order differs.
fn lists(from: &[Value], to: &[Value]) -> Option<(String, String)> {
    let only = |these: &[Value], those: &[Value]| -> Vec<Value> {
        let mut rest = those.to_vec();
        let is_new = |it: &&Value| match rest.iter().position(|other| other == *it) {
            Some(at) => {
                rest.swap_remove(at);
                false
            }
            None => true,
        };
        these.iter().filter(is_new).cloned().collect()
    };
    let (gone, new) = (only(from, to), only(to, from));
    if gone.is_empty() && new.is_empty() {
        return None;
    }
    let same = from.len() - gone.len();
    let list = |entries: &[Value]| {
        let mut parts: Vec<String> = entries.iter().map(ToString::to_string).collect();
        if same > 0 {
            parts.push(format!("… {same} the same"));
        }
        format!("[{}]", parts.join(","))
    };
    Some((list(&gone), list(&new)))
}

/// Two texts without most of their common prefix and suffix.
fn window(left: &str, right: &str) -> (String, String) {
    if fits(left) && fits(right) {
        return (left.to_owned(), right.to_owned());
    }
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let before = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let shorter = left.len().min(right.len()) - before;
    let after = left
        .iter()
        .rev()
        .zip(right.iter().rev())
        .take(shorter)
        .take_while(|(a, b)| a == b)
        .count();
    let cut = |text: &[char]| {
        // The part that is cut must be longer than the mark that replaces it.
        let begin = if before > AROUND + 1 {
            before - AROUND
        } else {
            0
        };
        let end = text.len()
            - if after > AROUND + 1 {
                after - AROUND
            } else {
                0
            };
        let mut shown: Vec<char> = text[begin..end].to_vec();
        let mut tail = end < text.len();
        let room = WIDTH - usize::from(begin > 0) - 1;
        if shown.len() > room {
            shown.truncate(room);
            tail = true;
        }
        let mut shown: String = shown.into_iter().collect();
        if begin > 0 {
            shown.insert(0, '…');
        }
        if tail {
            shown.push('…');
        }
        shown
    };
    (cut(&left), cut(&right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn pair(from: &Value, to: &Value) -> (String, String) {
        shown(from, to)
    }

    #[test]
    fn short_values_are_whole_and_empty_ones_are_seen() {
        assert_eq!(pair(&json!(""), &json!("a")), ("\"\"".into(), "a".into()));
        assert_eq!(pair(&Value::Null, &json!(2)), ("(none)".into(), "2".into()));
        let version = json!("${SECRET_VERSION}");
        assert_eq!(
            pair(&json!("7"), &version).1,
            "(known once the Secret is written)"
        );
    }

    #[test]
    fn a_long_list_shows_what_comes_and_goes() {
        let long: Vec<String> = (0..20).map(|it| format!("label-{it}")).collect();
        let mut other = long.clone();
        other[13] = "new".into();
        other.push("more".into());
        assert_eq!(
            pair(&json!(long), &json!(other)),
            (
                "[\"label-13\",… 19 the same]".into(),
                "[\"new\",\"more\",… 19 the same]".into()
            )
        );
        let mut turned = long.clone();
        turned.swap(11, 12);
        let (from, to) = pair(&json!(long), &json!(turned));
        assert!(from.contains("label-1") && from != to, "{from} {to}");
    }

    #[test]
    fn a_long_text_shows_where_it_differs() {
        let (before, after) = ("x".repeat(100), "y".repeat(100));
        let (from, to) = pair(
            &json!(format!("{before}:1.2.3@{after}")),
            &json!(format!("{before}:1.2.4@{after}")),
        );
        assert!(
            from.contains(":1.2.3@") && to.contains(":1.2.4@"),
            "{from} {to}"
        );
        assert!(from.starts_with('…') && from.ends_with('…'));
    }

    proptest! {
        #[test]
        fn what_differs_is_seen_and_nothing_is_too_long(before in "[a-c]{0,90}", left in "[a-c]{0,90}", right in "[a-c]{0,90}", after in "[a-c]{0,90}") {
            let (from, to) = (format!("{before}{left}{after}"), format!("{before}{right}{after}"));
            let (shown_from, shown_to) = pair(&json!(from), &json!(to));
            prop_assert_eq!(from == to, shown_from == shown_to);
            prop_assert!(fits(&shown_from) && fits(&shown_to));
        }
    }
}
