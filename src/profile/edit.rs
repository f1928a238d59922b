//! Changes values in the text of a profile, and nothing else: comments, quotes, order and spaces stay byte for byte. Pure.

use std::{collections::BTreeMap, fmt, ops::Range};

use super::{
    path::Path,
    yaml::{self, Content, Meaning, Node, Scalar},
};

/// A value to change.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where it is.
    pub path: Path,
    /// The new value.
    pub to: String,
}

/// Why a value cannot be changed in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotEditable {
    /// The value.
    pub path: String,
    /// Why not.
    pub why: String,
}

impl fmt::Display for NotEditable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` cannot be changed: {}", self.path, self.why)
    }
}

/// The text with the values changed. Each keeps its quotes; one that is an alias is changed at its anchor, if nothing but the
/// changed values uses that.
pub fn edited(text: &str, changes: &[Change]) -> Result<String, NotEditable> {
    let tree = parsed(text)?;
    let mut places: BTreeMap<usize, (Range<usize>, String)> = BTreeMap::new();
    for change in changes {
        let cannot = |why: &str| NotEditable {
            path: change.path.to_string(),
            why: why.to_owned(),
        };
        let Some(Content::Scalar(scalar)) = tree.at(&change.path).map(|it| &it.value) else {
            return Err(cannot("it is no text in the file"));
        };
        if !is_safe(&change.to) {
            return Err(cannot("the new value would need quotes"));
        }
        let written = text.get(scalar.bytes.clone()).unwrap_or_default();
        let new = rewritten(written, &scalar.text, &change.to)
            .ok_or_else(|| cannot("it is written in a form that is not understood"))?;
        let place = (scalar.bytes.clone(), new);
        let known = places.insert(scalar.bytes.start, place.clone());
        if known.is_some_and(|it| it != place) {
            return Err(cannot(
                "an alias gives it the value of another, which changes differently",
            ));
        }
    }
    let mut result = text.to_owned();
    for (range, new) in places.into_values().rev() {
        result.replace_range(range, &new);
    }
    check(&tree, &parsed(&result)?, &Path::root(), changes)?;
    Ok(result)
}

fn parsed(text: &str) -> Result<Node, NotEditable> {
    let whole = |why: &str| NotEditable {
        path: "profile".into(),
        why: why.to_owned(),
    };
    match yaml::parse(text) {
        Ok(Some(tree)) => Ok(tree),
        Ok(None) => Err(whole("it is empty")),
        Err(error) => Err(whole(&error.message)),
    }
}

/// Whether a text means itself in every style of YAML, quoted or not.
fn is_safe(text: &str) -> bool {
    let plain = Scalar {
        text: text.to_owned(),
        plain: true,
        bytes: 0..0,
    };
    matches!(plain.meaning(), Meaning::Text(_))
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte))
        && !text.ends_with(':')
}

/// What stands in the file, with the new value in the old one's place.
fn rewritten(written: &str, old: &str, new: &str) -> Option<String> {
    if !old.is_empty() && written.matches(old).count() == 1 {
        return Some(written.replacen(old, new, 1));
    }
    // Escapes and folded lines are text of the same value.
    let quote = written.chars().next().filter(|it| "'\"".contains(*it))?;
    (written.len() > 1 && written.ends_with(quote)).then(|| format!("{quote}{new}{quote}"))
}

/// Fails unless both trees are the same but for the changes: an alias may stand where nobody looked.
fn check(old: &Node, new: &Node, path: &Path, changes: &[Change]) -> Result<(), NotEditable> {
    let differs = || NotEditable {
        path: path.to_string(),
        why: "the same text in the file also gives another value; change it by hand".into(),
    };
    match (&old.value, &new.value) {
        (Content::Scalar(old), Content::Scalar(new)) => {
            let change = changes.iter().find(|it| it.path == *path);
            let expected = change.map_or(&old.text, |it| &it.to);
            let same = new.text == *expected && new.plain == old.plain;
            same.then_some(()).ok_or_else(differs)
        }
        (Content::List(old), Content::List(new)) if old.len() == new.len() => {
            let mut pairs = old.iter().zip(new).enumerate();
            pairs.try_for_each(|(index, (old, new))| check(old, new, &path.index(index), changes))
        }
        (Content::Map(old), Content::Map(new)) if old.len() == new.len() => {
            old.iter().zip(new).try_for_each(|(old, new)| {
                if old.key != new.key {
                    return Err(differs());
                }
                check(&old.node, &new.node, &path.key(&old.key), changes)
            })
        }
        _ => Err(differs()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const OLD: &str = "summerwind/actions-runner:v2.336.0-ubuntu-22.04";
    const NEW: &str = "summerwind/actions-runner:v2.338.1-ubuntu-22.04";

    fn image(pool: usize, to: &str) -> Change {
        Change {
            path: Path::from(["pools"]).index(pool).key("image"),
            to: to.to_owned(),
        }
    }

    #[test]
    fn nothing_but_the_value_changes() {
        for written in [
            "image: OLD # OLD, pinned",
            "image: \"OLD\"",
            "image:   'OLD'   # ä",
            "image: >-\n    OLD",
            "image: |-\n    OLD\n  # after",
            "\"image\": OLD\r",
            "image:\n    OLD",
            "image: &it OLD",
            "image: !!str OLD",
        ] {
            let text = format!("# OLD ö\npools:\n- name: a # first\n  {written}\n  min: 1\n")
                .replace("OLD", OLD);
            let new =
                edited(&text, &[image(0, NEW)]).unwrap_or_else(|it| panic!("{written}: {it}"));
            // The value is the last of the old texts, but for a comment on its line.
            let (before, after) = text.split_once("- name").unwrap();
            let expected = format!("{before}- name{}", after.replacen(OLD, NEW, 1));
            assert_eq!(new, expected, "{written}");
        }
    }

    #[test]
    fn an_escaped_text_keeps_its_quotes() {
        let escaped = OLD.replace("actions", "\\x61ctions");
        let text = format!("pools: [{{name: a, image: \"{escaped}\"}}] # c\n");
        let new = edited(&text, &[image(0, NEW)]).unwrap();
        assert_eq!(new, format!("pools: [{{name: a, image: \"{NEW}\"}}] # c\n"));
    }

    #[test]
    fn an_alias_is_changed_at_its_anchor_if_nothing_else_uses_it() {
        let text = format!("pools:\n- {{image: &i {OLD}}}\n- {{image: *i}} # the same\n");
        let new = edited(&text, &[image(0, NEW), image(1, NEW)]).unwrap();
        assert_eq!(new, text.replace(OLD, NEW));
        let one = edited(&text, &[image(1, NEW)]).unwrap_err();
        assert_eq!(one.path, "pools[0].image");
        let differently = edited(&text, &[image(0, NEW), image(1, "b:1")]).unwrap_err();
        assert!(differently.why.contains("alias"), "{differently}");
    }

    #[test]
    fn what_is_not_there_or_not_safe_is_not_changed() {
        let text = format!("pools:\n- image: {OLD}\n");
        assert!(edited(&text, &[image(1, NEW)]).is_err());
        for to in ["", "a: b", "a #b", "*a", "a\nb", "a:", "1", "1.5", "null"] {
            assert!(edited(&text, &[image(0, to)]).is_err(), "{to}");
        }
        assert!(edited("", &[]).is_err());
        assert!(edited("a: [", &[]).is_err());
    }

    /// A pool in one of the forms of YAML, with comments and keys that nobody expects.
    fn pool() -> impl Strategy<Value = String> {
        let comment = select(vec![
            "",
            " # summerwind/actions-runner:v2.336.0-ubuntu-22.04",
            " # 한국어 “x” 'y' \"z\" {[*&!|>%@`",
            " #",
        ]);
        let style = select(vec![
            "image: OLD",
            "image: 'OLD'",
            "image: \"OLD\"",
            "? image\n  : OLD",
            "\"im\\x61ge\": OLD",
            "'image' :   OLD",
        ]);
        let block = select(vec![
            "image: >-\n    OLD",
            "image: |-\n    OLD",
            "image:\n    OLD",
        ]);
        let more = select(vec![
            "",
            "  # OLD\n",
            "  template: {a: 'OLD', b: [\"OLD\", {c: OLD}]}\n",
            "  note: |\n    OLD\n      # not a comment\n",
            "\n\n",
            "  labels: [x] # [\n",
        ]);
        let value = prop_oneof![
            (style, comment).prop_map(|(style, comment)| format!("{style}{comment}")),
            block.prop_map(str::to_owned),
        ];
        (more.clone(), value, more).prop_map(|(before, value, after)| {
            let first = before.replacen("  ", "- ", 1);
            let begin = if before.trim().is_empty() || before.trim_start().starts_with('#') {
                format!("{before}- name: é\n  ")
            } else {
                format!("{first}  ")
            };
            format!("{begin}{value}\n{after}")
        })
    }

    proptest! {
        /// With one value marked in the text, the result is the text with that value in its place: every other byte stays.
        #[test]
        fn every_other_byte_stays(
            pools in vec(pool(), 1..5),
            chosen in any::<prop::sample::Index>(),
            head in select(vec!["", "# é\n", "---\n", "%YAML 1.2\n---\n", "\n \n", "name: OLD # OLD\n"]),
            ends in select(vec!["\n", "\r\n"]),
            tail in select(vec!["", "...\n", "# OLD"]),
        ) {
            let chosen = chosen.index(pools.len());
            let write = |value: &str| {
                let each = pools.iter().enumerate().map(|(index, it)| {
                    let is_it = index == chosen;
                    // The pool's own image is what follows `image` and is not in a comment or another value.
                    let at = it.find("im").map_or(0, |at| at + it[at..].find("OLD").unwrap_or(0));
                    let (before, after) = it.split_at(at);
                    let own = if is_it { value } else { OLD };
                    format!("{before}{own}{}", &after[3..])
                });
                let text = format!("{head}pools:\n{}{tail}", each.collect::<String>());
                text.replace("OLD", OLD).replace('\n', ends)
            };
            let text = write(OLD);
            prop_assume!(yaml::parse(&text).is_ok());
            let path = Path::from(["pools"]).index(chosen).key("image");
            let tree = parsed(&text).unwrap();
            prop_assume!(tree.at(&path).is_some());
            let change = Change { path, to: NEW.to_owned() };
            prop_assert_eq!(edited(&text, &[change]).unwrap(), write(NEW));
        }
    }
}
