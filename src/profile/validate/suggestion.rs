//! Suggests the intended value for a text in the wrong format. Pure.
//!
//! The guesses come from common manifests and the AWS console; a guess is suggested only if it is in the required
//! format, so that the next run accepts it.

use serde_json::Value;

use crate::{
    profile::{
        schema,
        yaml::{Content, Node},
    },
    secret::shape::is_refused,
};

/// Candidates for the intended text, the likeliest first.
fn guesses(text: &str) -> Vec<String> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let is_address = text.starts_with("arn:") || text.contains("://");
    let after = |mark: char| {
        let last = text.rsplit(mark).next().filter(|_| is_address);
        last.unwrap_or_default().to_owned()
    };
    let bucket = text
        .strip_prefix("s3://")
        .and_then(|it| it.split('/').next());
    let early = if text.contains(':') {
        format!("0{text}")
    } else {
        String::new()
    };
    let midnight = if text == "24:00" { "00:00" } else { "" };
    let (first, rest) = text.split_at_checked(1).unwrap_or_default();
    let is_zone = lower.ends_with(|it: char| it.is_ascii_lowercase());
    let region = lower
        .get(..lower.len().saturating_sub(1))
        .filter(|it| is_zone && it.ends_with(|it: char| it.is_ascii_digit()));
    vec![
        text.to_owned(),
        text.trim_matches(['$', '{', '}', '@']).to_owned(),
        lower.clone(),
        // A number of seconds, and a time with a one-digit hour.
        format!("{text}s"),
        early,
        midnight.to_owned(),
        format!("{}{rest}", first.to_ascii_uppercase()),
        days(&lower).unwrap_or_default(),
        // The name in a URL.
        bucket.unwrap_or_default().to_owned(),
        after('/'),
        after(':'),
        region.unwrap_or_default().to_owned(),
        lower.replace(['_', ' '], "-"),
    ]
}

/// Words for sets of days.
const SEVERAL: [(&str, &str); 6] = [
    ("weekdays", "Mon-Fri"),
    ("workdays", "Mon-Fri"),
    ("weekend", "Sat-Sun"),
    ("weekends", "Sat-Sun"),
    ("daily", "Mon-Sun"),
    ("every day", "Mon-Sun"),
];

/// `monday to friday` as `Mon-Fri`; `None` if a word is not a day.
fn days(lower: &str) -> Option<String> {
    if let Some((_, days)) = SEVERAL.iter().find(|(word, _)| *word == lower) {
        return Some((*days).to_owned());
    }
    let day = |word: &str| {
        let short = word.get(..3)?;
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        names.into_iter().find(|it| it.eq_ignore_ascii_case(short))
    };
    let range = |text: &str| -> Option<String> {
        let days: Option<Vec<&str>> = text.split('-').map(day).collect();
        Some(days?.join("-"))
    };
    let plain = lower.replace(" to ", "-").replace(" - ", "-");
    let parts = plain.split([',', ' ']).filter(|it| !it.is_empty());
    let parts: Option<Vec<String>> = parts.map(range).collect();
    Some(parts?.join(", "))
}

/// The likely intended value of `text`, in the format of `schema`.
pub(super) fn meant(text: &str, schema: &'static Value) -> Option<String> {
    let pattern = schema.get("pattern").and_then(Value::as_str)?;
    let pattern = schema::pattern(pattern)?;
    let mut guesses = guesses(text).into_iter();
    guesses.find(|it| !it.is_empty() && it != text && pattern.is_match(it))
}

/// The likely intended text in a list or a map: its items, or its name.
pub(super) fn meant_by(node: &Node, schema: &'static Value) -> Option<String> {
    let plain = |node: &Node| match &node.value {
        Content::Scalar(scalar) if scalar.text.len() < 40 && !is_refused(&scalar.text) => {
            Some(scalar.text.clone())
        }
        _ => None,
    };
    let text = match &node.value {
        Content::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(plain).collect();
            items?.join(", ")
        }
        Content::Map(entries) => match entries.as_slice() {
            [only] if only.key == "name" => plain(&only.node)?,
            _ => return None,
        },
        Content::Scalar(_) => return None,
    };
    let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
        return matches!(node.value, Content::Map(_)).then_some(text);
    };
    let fits = schema::pattern(pattern)?.is_match(&text);
    if fits {
        Some(text)
    } else {
        meant(&text, schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_has_the_form_that_is_wanted() {
        let of = |definition: &str, key: &str| {
            let schema = schema::shared();
            let definition = schema.pointer(&format!("/$defs/{definition}/properties"));
            definition.and_then(|it| it.get(key)).unwrap()
        };
        for (definition, key, text, expected) in [
            ("Window", "from", "8:00", Some("08:00")),
            ("Window", "to", "24:00", Some("00:00")),
            // 24:00 on Sunday is 00:00 on Monday.
            ("Window", "to", "Sun 24:00", None),
            ("Window", "from", "sat 00:00", Some("Sat 00:00")),
            ("Window", "from", "8am", None),
            ("Window", "days", "mon-fri", Some("Mon-Fri")),
            ("Window", "days", "Monday to Friday", Some("Mon-Fri")),
            ("Window", "days", "saturday,sunday", Some("Sat, Sun")),
            ("Window", "days", "weekend", Some("Sat-Sun")),
            ("Window", "days", "holidays", None),
            ("Bucket", "name", "s3://my-bucket/path", Some("my-bucket")),
            (
                "Bucket",
                "name",
                "arn:aws:s3:::my-bucket",
                Some("my-bucket"),
            ),
            ("Bucket", "name", "my-*", None),
            (
                "GitHub",
                "organization",
                "https://github.com/doge",
                Some("doge"),
            ),
            ("GitHub", "organization", "doge/app", None),
        ] {
            let found = meant(text, of(definition, key));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        let cluster = |key: &str| of("Cluster", key);
        for (key, text, expected) in [
            ("region", "eu-west-1a", Some("eu-west-1")),
            ("region", "EU-WEST-1", Some("eu-west-1")),
            ("region", "Ireland", None),
            (
                "eks",
                "arn:aws:eks:eu-west-1:111122223333:cluster/runners",
                Some("runners"),
            ),
        ] {
            assert_eq!(meant(text, cluster(key)).as_deref(), expected, "{text}");
        }
    }
}
