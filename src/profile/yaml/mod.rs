//! The YAML of a profile as a tree with source positions, for [`super::validate`]. Pure.

mod parse;

use std::ops::Range;

use super::path::{Path, Segment};

pub(crate) use parse::parse;

/// A position in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
}

/// A range of positions, the end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Position,
    pub(crate) end: Position,
}

/// A value and its position.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Content,
}

/// The types of values.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

/// Text, and whether it is a plain scalar.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Without quotes, so that it may be a number, a boolean or null.
    pub(crate) plain: bool,
    /// Where it is written, quotes included, in bytes; of an alias, where its anchor is.
    pub(crate) bytes: Range<usize>,
}

/// The meaning of a scalar (the core schema of YAML 1.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Meaning<'a> {
    Nothing,
    Boolean(bool),
    Whole(i64),
    Number(f64),
    Text(&'a str),
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if !self.plain {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Meaning::Nothing,
            "true" | "True" | "TRUE" => return Meaning::Boolean(true),
            "false" | "False" | "FALSE" => return Meaning::Boolean(false),
            _ => {}
        }
        let whole = if let Some(digits) = text.strip_prefix("0x") {
            i64::from_str_radix(digits, 16).ok()
        } else if let Some(digits) = text.strip_prefix("0o") {
            i64::from_str_radix(digits, 8).ok()
        } else {
            text.parse().ok()
        };
        if let Some(whole) = whole {
            return Meaning::Whole(whole);
        }
        let number_like = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
            && text.bytes().any(|byte| byte.is_ascii_digit());
        match text.parse::<f64>() {
            Ok(number) if number_like && number.is_finite() => Meaning::Number(number),
            _ => Meaning::Text(text),
        }
    }
}

/// A YAML syntax error: only the first one is found.
#[derive(Clone, Debug)]
pub(crate) struct Malformed {
    pub(crate) at: Position,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Malformed {
    fn new(at: Position, message: &str, hint: &str) -> Self {
        Self {
            at,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl Node {
    /// The position to report for a path: the value of a scalar, the key of everything else; for a missing key, the map
    /// that lacks it.
    pub(crate) fn locate(&self, path: &Path) -> Position {
        let (mut node, mut place) = (self, self.span.start);
        for segment in path.segments() {
            let next = match (&node.value, segment) {
                (Content::Map(entries), Segment::Key(key)) => entries
                    .iter()
                    .find(|entry| entry.key == *key)
                    .map(|entry| (&entry.node, entry.key_span.start)),
                (Content::List(items), Segment::Index(index)) => {
                    items.get(*index).map(|item| (item, item.span.start))
                }
                _ => None,
            };
            let Some((child, at)) = next else {
                return place;
            };
            let is_value =
                matches!(&child.value, Content::Scalar(scalar) if !scalar.text.is_empty());
            (node, place) = (child, if is_value { child.span.start } else { at });
        }
        place
    }

    /// The value at a path.
    pub(crate) fn at(&self, path: &Path) -> Option<&Self> {
        path.segments()
            .into_iter()
            .try_fold(self, |node, segment| match (&node.value, segment) {
                (Content::Map(entries), Segment::Key(key)) => {
                    let found = entries.iter().find(|it| it.key == *key);
                    found.map(|it| &it.node)
                }
                (Content::List(items), Segment::Index(index)) => items.get(*index),
                _ => None,
            })
    }

    /// Its type in a sentence: "text", "a list".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
            Content::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => "empty",
                Meaning::Boolean(_) => "true or false",
                Meaning::Whole(_) | Meaning::Number(_) => "a number",
                Meaning::Text(_) => "text",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Node {
        parse(text).unwrap().unwrap()
    }

    #[test]
    fn scalars_mean_what_yaml_1_2_says() {
        let meaning = |text: &str| {
            format!(
                "{:?}",
                Scalar {
                    text: text.into(),
                    plain: true,
                    bytes: 0..0,
                }
                .meaning()
            )
        };
        assert_eq!(meaning("~"), "Nothing");
        assert_eq!(meaning("yes"), "Text(\"yes\")");
        assert_eq!(meaning("True"), "Boolean(true)");
        assert_eq!(meaning("-12"), "Whole(-12)");
        assert_eq!(meaning("0x1F"), "Whole(31)");
        assert_eq!(meaning("1e3"), "Number(1000.0)");
        assert_eq!(meaning("20:00"), "Text(\"20:00\")");
        assert_eq!(meaning("1.2.3"), "Text(\"1.2.3\")");
        assert_eq!(meaning("nan"), "Text(\"nan\")");
        assert_eq!(meaning("."), "Text(\".\")");
    }

    #[test]
    fn everything_has_a_place() {
        let tree = root("# c\npools:\n  - name: basic\n    min: 2\n");
        let at = |path: &Path| (tree.locate(path).line, tree.locate(path).column);
        let pool = Path::from(["pools"]).index(0);
        assert_eq!(at(&Path::from(["pools"])), (2, 1));
        assert_eq!(at(&pool), (3, 5));
        assert_eq!(at(&pool.key("min")), (4, 10));
        assert_eq!(
            at(&pool.key("max")),
            (3, 5),
            "a missing key is missing from its map"
        );
    }

    #[test]
    fn aliases_are_copies_and_cannot_explode() {
        let tree = root("a: &x {k: 1}\nb: *x\n");
        assert!(
            matches!(&tree.value, Content::Map(entries) if matches!(&entries[1].node.value, Content::Map(copy) if copy.len() == 1))
        );
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&[&format!("a{level}: &a{level} ["), below.as_str(), "]\n"].concat());
        }
        assert_eq!(
            parse(&bomb).unwrap_err().message,
            "the profile is too large"
        );
        assert!(parse("a: &x [*x]\n").is_err());
    }

    #[test]
    fn every_copy_is_weighed_before_it_is_made() {
        // Nested anchors: each is a copy of everything within it.
        let nested: Vec<String> = (0..900).map(|it| format!("&a{it} [")).collect();
        let nested = nested.concat();
        let nested = format!("{nested}{}{}", "x, ".repeat(400), "]".repeat(900));
        // Many copies of one long text.
        let long = format!(
            "a: &a \"{}\"\nb: [{}]\n",
            "x".repeat(1_000_000),
            "*a, ".repeat(5000)
        );
        // Exponential growth in maps.
        let mut doubled = String::from("a0: &a0 {x: 1}\n");
        for level in 1..60 {
            let below = level - 1;
            let line = format!("a{level}: &a{level} {{l: *a{below}, r: *a{below}}}\n");
            doubled.push_str(&line);
        }
        // Many anchors of one long list.
        let wide = format!(
            "a: &a [{}]\nb: [{}]\n",
            "x, ".repeat(50_000),
            "*a, ".repeat(1000)
        );
        // Aliases as keys of an alias.
        let many: Vec<String> = (0..2000).map(|it| format!("k{it}: *a, ")).collect();
        let keys = format!("a: &a {}\nb: {{{}}}\n", "x".repeat(500_000), many.concat());
        for (name, text) in [
            ("nested", nested),
            ("long", long),
            ("doubled", doubled),
            ("wide", wide),
            ("keys", keys),
        ] {
            let began = std::time::Instant::now();
            assert!(parse(&text).is_err(), "{name}");
            assert!(
                began.elapsed().as_secs() < 5,
                "{name}: {:?}",
                began.elapsed()
            );
        }
    }

    #[test]
    fn what_is_not_a_profile_is_refused() {
        assert!(parse("# nothing\n").unwrap().is_none());
        for (text, message) in [
            ("a: 1\n---\nb: 2\n", "a second document begins here"),
            ("a: !secret x\n", "a profile has no tags (`!…`)"),
            ("{a: b}: c\n", "a key must be text, not a list or a map"),
            ("a: \"b\n", "a quote that is not closed"),
            ("a: [b\n", "a `[` that is not closed"),
            ("a: b: c\n", "a `key:` is not allowed here"),
            ("a:\n\tb: c\n", "a tab where YAML requires spaces"),
        ] {
            assert_eq!(parse(text).unwrap_err().message, message, "{text}");
        }
    }
}
