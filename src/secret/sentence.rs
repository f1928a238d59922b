//! Classifies the text after the name of a secret: its value, a placeholder (`${TOKEN}`, `<redacted>`), or the next
//! word of a sentence (`token: expired`). Pure: no I/O.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    name::{is_secret, words},
    words::SENTENCE,
};

/// References to a value stored elsewhere, and masks from other programs; also several, with separators.
static REFERENCES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^(?:
          \$(?:[A-Za-z_][A-Za-z0-9_]*)?               # of a shell; a `$` alone is one that was cut off
        | \$\{\{[^{}]*\}\} | \{\{[^{}]*\}\}           # of workflows and templates
        | \$\{[A-Za-z_][A-Za-z0-9_.]*(?::?\?[^{}]*)?\} # with a default it has a value
        | \$\([^()]*\)
        | %[A-Za-z_][A-Za-z0-9_]*%? | %\[\d+\][a-z]
        | <[^<>]*>
        | [\[(](?i:redacted|hidden|masked|filtered|sensitive(?:\ value)?|known\ after\ apply|not\ set|none|empty)[\])]
        | \*+ | …
        | [:/,@\ ]
        )+$",
    )
    .ok()
});

/// A complete remark about a secret: `not found`, `is not set`, `has expired`, `GH_TOKEN is not set`. A passphrase may
/// begin like a sentence (`good morning vietnam`), but does not end like these.
static REMARK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)^(?:
          (?:(?:(?i:the\ )?(?i:environment\ )?(?i:variable\ ))?["'`]?(?P<variable>[A-Z][A-Z0-9]*_[A-Z0-9_]+)["'`]?\ +)?
          (?i:(?:is|was|are|were|has|have|had|been|be|being|it|can|cannot|could|does|do|did|must|should|not|no|longer|never|already|still)\ +)*
          (?i:absent|accepted|available|changed|created|deleted|denied|disabled|empty|enabled|exists?|expired?|expires|forbidden|found
            |given|hidden|ignored|incorrect|invalid|kept|known|malformed|mismatch|missing|needed|optional|present|read|ready
            |redacted|refused|rejected|removed|replaced|required|revoked|rotated|set|skipped|there|unauthorized|unchanged
            |unknown|unset|updated|used|valid|verified|written|wrong)
        )
        (?i:\ +(?:yet|again|any\ ?more|in\ (?:the\ )?(?:cluster|environment|namespace(?:\ ["'`]?[a-z0-9-]+["'`]?)?)))?
        [.!]?$"#,
    )
    .ok()
});

/// Words for the state of a secret: none of these is a value.
const STATES: &[&str] = &[
    "available",
    "blank",
    "compromised",
    "correct",
    "default",
    "different",
    "encrypted",
    "expected",
    "fine",
    "forgotten",
    "hashed",
    "known",
    "leaked",
    "long",
    "longer",
    "lost",
    "managed",
    "mandatory",
    "masked",
    "passed",
    "protected",
    "public",
    "right",
    "safe",
    "sent",
    "short",
    "shorter",
    "stored",
    "strong",
    "taken",
    "trusted",
    "unsafe",
    "visible",
    "weak",
];

/// Kinds of secret names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A password: the name has no other use.
    Password,
    /// A token or a key: its name may also begin a sentence.
    Value,
    /// A thing with its own name (`secret: controller-manager`), or a word with many meanings.
    Thing,
}

impl Kind {
    fn of(name: &str) -> Self {
        const PASSWORDS: [&str; 8] = [
            "password",
            "passwords",
            "passwd",
            "passphrase",
            "passcode",
            "pass",
            "pwd",
            "pw",
        ];
        const THINGS: [&str; 12] = [
            "secret",
            "secrets",
            "auth",
            "authorization",
            "credential",
            "credentials",
            "cred",
            "creds",
            "cookie",
            "cookies",
            "signature",
            "pat",
        ];
        let words = words(name);
        let last = words.last().map(String::as_str).unwrap_or_default();
        let is_thing = words.len() == 1 && THINGS.contains(&last);
        // Tests print `PASS` in capitals.
        if name.contains('/') || is_thing || name == "PASS" {
            Self::Thing
        } else if PASSWORDS.iter().any(|it| last.ends_with(it)) {
            Self::Password
        } else {
            Self::Value
        }
    }
}

/// Whether a word after the name of a secret is its value; `ends` is whether nothing follows it.
pub(super) fn is_value(name: &str, word: &str, ends: bool) -> bool {
    let word = word.trim_end_matches(['.', ':', '?', '!']);
    if is_harmless(word) || word.contains("://") || is_sentence(word) {
        return false;
    }
    if looks_made(word) {
        return true;
    }
    let is_word = word.bytes().any(|it| it.is_ascii_alphabetic());
    let is_path = word.starts_with(['/', '.', '~']);
    if is_quantity(word) {
        return false;
    }
    match Kind::of(name) {
        // `user:password`
        Kind::Thing => {
            matches!(word.split_once(':'), Some((user, it)) if !user.is_empty() && !it.is_empty() && !word.contains('/'))
        }
        Kind::Password => is_word || (ends && word.len() > 3),
        Kind::Value => is_word && !is_path && (ends || joints(word) > 1),
    }
}

/// Whether a word in a sentence about a secret (`the password is …`) is its value, not its state.
pub(super) fn is_told(name: &str, word: &str, ends: bool) -> bool {
    if !is_argument(word) || STATES.iter().any(|it| word.eq_ignore_ascii_case(it)) {
        return false;
    }
    let is_made = looks_made(word) && !word.contains(['/', '-']);
    is_made || (ends && Kind::of(name) == Kind::Password && !is_quantity(word))
}

/// Whether the text after a name is a remark about it: `secret: not found`, `token: is not set`. A single word may be
/// the value of a token.
pub(super) fn is_remark(name: &str, rest: &str) -> bool {
    let (rest, kind) = (rest.trim(), Kind::of(name));
    let is_one_word = !rest.contains(char::is_whitespace);
    if kind == Kind::Password || (kind == Kind::Value && is_one_word) {
        return false;
    }
    if is_one_word {
        return is_sentence(rest.trim_end_matches(['.', ',', ':', ';', '!', '?']));
    }
    let Some(found) = REMARK.as_ref().and_then(|it| it.captures(rest)) else {
        return false;
    };
    found
        .name("variable")
        .is_none_or(|it| is_secret(it.as_str()))
}

/// Whether the rest of a text after a name is its value, for the one line `password: correct horse`.
pub(super) fn is_whole_value(name: &str, rest: &str) -> bool {
    let rest = rest.trim();
    let is_quoted = rest.len() > 1 && rest.starts_with(['"', '\'']) && rest.ends_with(['"', '\'']);
    match rest.split_once(char::is_whitespace) {
        Some(_) if is_harmless(rest) => false,
        Some((first, _)) if !is_quoted => {
            Kind::of(name) == Kind::Password && is_value(name, first, false)
        }
        _ if is_quoted => !is_harmless(rest),
        _ => is_value(name, rest, true),
    }
}

/// Whether the word after a flag is its value.
pub(super) fn is_argument(word: &str) -> bool {
    let bare = word.trim_matches(['"', '\'', '\\']);
    bare.bytes().any(|it| it.is_ascii_alphanumeric())
        && !is_harmless(bare)
        && (bare.len() < word.len() || !is_sentence(bare))
}

/// A placeholder or mask, not a secret.
pub(super) fn is_harmless(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', '\\']);
    let value = value.strip_suffix(['.', ':', ',', ';']).unwrap_or(value);
    // A value may be long; a placeholder is short.
    value.is_empty()
        || ["true", "false", "null", "nil", "none", "yes", "no", "~"]
            .iter()
            .any(|it| value.eq_ignore_ascii_case(it))
        || value.starts_with('…')
        || (value.len() < 200 && REFERENCES.as_ref().is_some_and(|it| it.is_match(value)))
}

/// Whether a word belongs to a sentence about a secret, or is the name of a variable.
pub(super) fn is_sentence(word: &str) -> bool {
    let shouted = !word.bytes().any(|it| it.is_ascii_lowercase() || it == b'-');
    SENTENCE.iter().any(|it| word.eq_ignore_ascii_case(it)) || (shouted && is_secret(word))
}

/// Whether a word is not a word of a natural language.
fn looks_made(word: &str) -> bool {
    let digit = word.bytes().any(|it| it.is_ascii_digit());
    let letter = word.bytes().any(|it| it.is_ascii_alphabetic());
    word.len() >= 6 && ((digit && letter) || word.ends_with('='))
}

/// Whether a word is a number or a duration: `90d`, `16Mi`, `5%`.
fn is_quantity(word: &str) -> bool {
    let unit = word.trim_start_matches(|it: char| it.is_ascii_digit());
    unit.len() < word.len()
        && ["s", "m", "h", "d", "w", "ms", "min", "Ki", "Mi", "Gi", "%"].contains(&unit)
}

/// How many separators a word contains.
fn joints(word: &str) -> usize {
    word.bytes().filter(|it| b"-_.+!#^".contains(it)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expression_is_well_formed() {
        assert!(REFERENCES.is_some() && REMARK.is_some());
    }

    #[test]
    fn what_is_said_of_a_secret_ends_as_such_words_do() {
        for (name, rest) in [
            ("secret", "not found"),
            ("secret", "missing"),
            ("secret", "is not there in namespace `ci`"),
            ("secret", "does not exist in the cluster"),
            ("secret", "NOT FOUND!"),
            ("token", "is not set"),
            ("token", "has expired."),
            ("token", "has not been set yet"),
            ("token", "is no longer valid"),
            ("token", "GH_TOKEN is not set"),
            ("token", "the environment variable `GH_TOKEN` is not set"),
            ("api_key", "was revoked"),
        ] {
            assert!(is_remark(name, rest), "{name}: {rest}");
        }
        for (name, rest) in [
            ("webhookSecret", "the quick brown fox"),
            ("api_key", "new horse 42 battery"),
            ("secret", "good morning vietnam"),
            ("secret", "not found horse"),
            ("secret", "horse is not set"),
            ("secret", "\"correct\" horse missing"),
            ("token", "\"horse\" not found"),
            ("token", "MY_HORSE is set"),
            ("token", "expired"),
            ("password", "is not set"),
            ("api_key", "is this horse valid"),
        ] {
            assert!(!is_remark(name, rest), "{name}: {rest}");
        }
    }

    #[test]
    fn what_stands_in_the_place_of_a_secret_is_none() {
        for value in [
            "",
            "\"\"",
            "true",
            "null",
            "$TOKEN",
            "$USER:$TOKEN",
            "\"${GH_TOKEN}\"",
            "${TOKEN:?set it}",
            "${{ secrets.TOKEN }}",
            "{{ .Values.token }}",
            "$(cat /run/token)",
            "%PASSWORD%",
            "%s",
            "<redacted>",
            "[REDACTED]",
            "(sensitive value)",
            "***",
            "…",
        ] {
            assert!(is_harmless(value), "{value}");
        }
        for value in [
            "$ecret-horse",
            "${TOKEN:-horse}",
            "%horse-staple",
            "*horse",
            "<horse",
            "$2y$10$abc",
            "x$TOKEN",
        ] {
            assert!(!is_harmless(value), "{value}");
        }
    }

    #[test]
    fn a_value_is_told_from_the_next_word() {
        for (name, word, ends) in [
            ("password", "correct-horse", true),
            ("password", "horse", false),
            ("DB_PASSWD", "x", false),
            ("token", "horse", true),
            ("token", "canary-horse-staple", false),
            ("clientSecret", "horse", true),
            ("secret", "hunter2", false),
            ("password", "1234", true),
            ("auth", "me:horse", true),
        ] {
            assert!(is_value(name, word, ends), "{name} {word} {ends}");
        }
        for (name, word, ends) in [
            ("password", "required", true),
            ("password", "must", false),
            ("token", "expired.", true),
            ("token", "GitHub", false),
            ("token", "GH_TOKEN", true),
            ("token", "403", false),
            ("secret", "controller-manager", true),
            ("secret/ns/my-token", "horse", true),
            ("PASS", "TestToken", true),
            ("tokens", "/run/secrets/token", true),
            ("auth", "basic", true),
            ("token", "90d", true),
        ] {
            assert!(!is_value(name, word, ends), "{name} {word} {ends}");
        }
    }
}
