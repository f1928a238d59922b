//! Masks secrets in formats that separate name and value: XML elements, entries with a name field (`{name: DB_PASSWORD,
//! value: x}`), netrc, property lists. Pure: no I/O.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{
    name::is_secret,
    sentence::{is_harmless, is_value},
    text::{MASK, replaced},
};

/// `<password>x</password>`, `<string name="password">x</string>`, `<password><![CDATA[x]]></password>`.
static ELEMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        (<(?:[A-Za-z0-9_.-]+:)?([A-Za-z0-9_.-]+)((?:\s[^<>]*)?)>\s*)
        (?:<!\[CDATA\[((?s:.*?))\]\]>|([^<\s](?:[^<]*[^<\s])?))
        (\s*</)
        ",
    )
    .ok()
});

/// `&lt;password&gt;x&lt;/password&gt;`, and the same as Go writes it in JSON.
static ESCAPED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"((?:&lt;|\\u003c)(?:[A-Za-z0-9_.-]+:)?([A-Za-z0-9_.-]+)(?:&gt;|\\u003e)\s*)([^<>&\\]+)((?:&lt;|\\u003c)/)",
    )
    .ok()
});

/// The name in an attribute of an element.
static ATTRIBUTE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\b(?:name|key|id)\s*=\s*["']([^"']*)["']"#).ok());

/// `<key>Password</key><string>x</string>`.
static PROPERTY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(<key>\s*([^<]+?)\s*</key>\s*<[a-z]+>)([^<]+)").ok());

/// An entry with a name and a value, name first: in JSON and YAML, in XML attributes, as Go prints it.
static ENTRY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(&format!(
        r#"(?x)
        (\b(?:{NAME})\\?["']?\s*[:=]\s*\\?["']?([A-Za-z0-9_.:/-]+)\\?["']?[\s,;]+\\?["']?(?:{VALUE})\\?["']?\s*[:=]\s*)
        ({SCALAR})
        "#
    ))
    .ok()
});

/// The same, value first.
static YRTNE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(&format!(
        r#"(?x)
        (\b(?:{VALUE})\\?["']?\s*[:=]\s*)
        ({SCALAR})
        ([\s,;]+\\?["']?(?:{NAME})\\?["']?\s*[:=]\s*\\?["']?([A-Za-z0-9_.:/-]+))
        "#
    ))
    .ok()
});

const NAME: &str = "name|Name|key|Key|header|variable";
const VALUE: &str = "value|Value|default|defaultValue";
const SCALAR: &str = r#"\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;"'{}\[\]()<>\\]+"#;

/// `define('DB_PASSWORD', 'x')`.
static CALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(\(\s*\\?["']([A-Za-z0-9_.-]+)\\?["']\s*,\s*)(\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'[^']*')"#,
    )
    .ok()
});

/// `set TOKEN x`, `aws configure set aws_session_token x`.
static SET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(\b(?:set|setx|setenv)\s+([A-Za-z0-9_.-]+)\s+)("[^"]*"|'[^']*'|[^\s"'`,;]+)(\s|$)?"#,
    )
    .ok()
});

/// `machine HOST login USER password PASSWORD`, in any order, also over several lines.
static NETRC: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\b(?:machine\s+\S+|default)((?:\s+(?:login|user|account|password|passwd)\s+\S+){2,})",
    )
    .ok()
});

/// The password in a netrc entry.
static NETRC_PASSWORD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(\s(?:account|password|passwd)\s+)(\S+)").ok());

/// Masks the secrets of these formats in `text`.
pub(super) fn masked_markup(text: Cow<'_, str>) -> Cow<'_, str> {
    let text = replaced(text, &ELEMENT, |found| {
        let attribute = ATTRIBUTE
            .as_ref()
            .and_then(|it| it.captures(&found[3]))
            .is_some_and(|it| is_secret(&it[1]));
        let value = found.get(4).or(found.get(5))?.as_str();
        let told = (attribute || is_secret(&found[2])) && !is_harmless(value.trim());
        told.then(|| format!("{}{MASK}{}", &found[1], &found[6]))
    });
    let text = replaced(text, &ESCAPED, |found| {
        let told = is_secret(&found[2]) && !is_harmless(found[3].trim());
        told.then(|| format!("{}{MASK}{}", &found[1], &found[4]))
    });
    let text = replaced(text, &PROPERTY, |found| {
        let told = is_secret(&found[2]) && !is_harmless(found[3].trim());
        told.then(|| format!("{}{MASK}", &found[1]))
    });
    let text = replaced(text, &ENTRY, |found| {
        let told = is_secret(&found[2]) && !is_harmless(&found[3]);
        told.then(|| format!("{}{}", &found[1], masked_scalar(&found[3])))
    });
    let text = replaced(text, &YRTNE, |found| {
        let told = is_secret(&found[4]) && !is_harmless(&found[2]);
        told.then(|| format!("{}{}{}", &found[1], masked_scalar(&found[2]), &found[3]))
    });
    let text = replaced(text, &CALL, |found| {
        let told = is_secret(&found[2]) && !is_harmless(&found[3]);
        told.then(|| format!("{}{}", &found[1], masked_scalar(&found[3])))
    });
    let text = replaced(text, &SET, |found| {
        let (name, word) = (&found[2], &found[3]);
        let ends = found
            .get(4)
            .is_none_or(|it| it.as_str().is_empty() || it.as_str() == "\n");
        let is_variable = name.contains('_') || !name.bytes().any(|it| it.is_ascii_lowercase());
        let told = is_variable && is_secret(name) && is_value(name, word, ends);
        let after = found.get(4).map_or("", |it| it.as_str());
        told.then(|| format!("{}{}{after}", &found[1], masked_scalar(word)))
    });
    replaced(text, &NETRC, |found| {
        let whole = &found[0];
        if whole.starts_with("default") && !found[1].trim_start().starts_with(['l', 'u']) {
            return None;
        }
        let (before, pairs) = whole.split_at(whole.len() - found[1].len());
        let new = replaced(Cow::Borrowed(pairs), &NETRC_PASSWORD, |found| {
            (!is_harmless(&found[2])).then(|| format!("{}{MASK}", &found[1]))
        });
        matches!(new, Cow::Owned(_)).then(|| format!("{before}{new}"))
    })
}

/// The mask within the original quotes, so that JSON stays valid.
fn masked_scalar(scalar: &str) -> String {
    let quote = ["\\\"", "\"", "'"];
    let quote = quote.into_iter().find(|it| scalar.starts_with(it));
    let quote = quote.unwrap_or_default();
    format!("{quote}{MASK}{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expressions_are_well_formed() {
        for it in [
            &ELEMENT,
            &ESCAPED,
            &ATTRIBUTE,
            &PROPERTY,
            &ENTRY,
            &YRTNE,
            &CALL,
            &SET,
            &NETRC,
            &NETRC_PASSWORD,
        ] {
            assert!(it.is_some());
        }
    }

    #[test]
    fn the_text_of_an_element_is_hidden() {
        for (text, expected) in [
            (
                "<server><username>me</username><password>x y</password></server>",
                "<server><username>me</username><password>***</password></server>",
            ),
            (
                "<m:privateKey a=\"b\">\n  x\n  y\n</m:privateKey>",
                "<m:privateKey a=\"b\">\n  ***\n</m:privateKey>",
            ),
            (
                "<password><![CDATA[x<y]]></password>",
                "<password>***</password>",
            ),
            (
                "<string name=\"db_password\">x</string>",
                "<string name=\"db_password\">***</string>",
            ),
            (
                "<property name=\"db.password\" value=\"x\"/>",
                "<property name=\"db.password\" value=\"***\"/>",
            ),
            (
                "<key>Password</key>\n  <string>x</string>",
                "<key>Password</key>\n  <string>***</string>",
            ),
        ] {
            assert_eq!(masked_markup(Cow::Borrowed(text)), expected);
        }
    }

    #[test]
    fn an_entry_that_names_its_value_is_hidden() {
        for (text, expected) in [
            (
                "env: [{\"name\":\"DB_PASSWORD\",\"value\":\"x\"}] is bad",
                "env: [{\"name\":\"DB_PASSWORD\",\"value\":\"***\"}] is bad",
            ),
            (
                r#"{\"name\":\"TOKEN\",\"value\":\"x\"}"#,
                r#"{\"name\":\"TOKEN\",\"value\":\"***\"}"#,
            ),
            (
                "- {value: x, name: DB_PASSWORD}",
                "- {value: ***, name: DB_PASSWORD}",
            ),
            (
                "&EnvVar{Name:DB_PASSWORD,Value:x,ValueFrom:nil,}",
                "&EnvVar{Name:DB_PASSWORD,Value:***,ValueFrom:nil,}",
            ),
            (
                "define('DB_PASSWORD', 'x');",
                "define('DB_PASSWORD', '***');",
            ),
            (
                "aws configure set aws_session_token x",
                "aws configure set aws_session_token ***",
            ),
            (
                "machine h login u password p",
                "machine h login u password ***",
            ),
            (
                "machine h\n  password p\n  login u\n",
                "machine h\n  password ***\n  login u\n",
            ),
            ("default login u password p", "default login u password ***"),
        ] {
            assert_eq!(masked_markup(Cow::Borrowed(text)), expected);
        }
    }

    #[test]
    fn the_same_forms_with_nothing_secret_stay() {
        for text in [
            "<passwordFile>/run/password</passwordFile>",
            "<server><id>x</id><username>me</username></server>",
            "<password>${env.PASSWORD}</password>",
            "<key>Label</key><string>x</string>",
            "{\"name\": \"TOKEN_FILE\", \"value\": \"/run/token\"}",
            "{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}",
            "{name: LOG_LEVEL, value: debug}",
            "set GH_TOKEN and run it again",
            "set GH_TOKEN to a token",
            "resources: [\"secrets\", \"pods\"]",
            "the machine learns, and a user may set a password here",
            "by default password and login are asked for",
        ] {
            assert_eq!(masked_markup(Cow::Borrowed(text)), text);
        }
    }
}
