//! Masks secrets in sentences (`the password is hunter2`), and secrets that a shell pipes to a program (`echo hunter2 |
//! docker login --password-stdin`). Pure: no I/O.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{
    sentence::{is_harmless, is_told},
    text::{MASK, replaced},
};

/// A password in a sentence: `the password is hunter2`.
static TOLD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(\b(password|passwd|passphrase|passcode|pwd|token|api[ _-]?key)\s+(?:is|was)(?:\s+now)?:?\s+)([^\s"'`]+)"#,
    )
    .ok()
});

/// A password on stdin: `echo hunter2 | docker login --password-stdin`, also as a here-string.
static PIPED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(\b(?:echo|printf)[ \t]+(?:-[neE]+[ \t]+|["']?%s(?:\\n)?["']?[ \t]+)*)("[^"\n]*"|'[^'\n]*'|[^\s|"'`]+)([ \t]*\|[^\n|]*--(?:password|token|pass|passphrase)-stdin)"#,
    )
    .ok()
});
static HERE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(--(?:password|token|pass|passphrase)-stdin\b[^\n|<]*<<<[ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s|"'`]+)"#,
    )
    .ok()
});

/// Masks passwords that a program reads from stdin.
pub(super) fn without_piped(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains("-stdin") {
        return text;
    }
    let text = replaced(text, &PIPED, |found| {
        (!is_harmless(&found[2])).then(|| format!("{}{MASK}{}", &found[1], &found[3]))
    });
    replaced(text, &HERE, |found| {
        (!is_harmless(&found[2])).then(|| format!("{}{MASK}", &found[1]))
    })
}

/// Masks `password is VALUE`; the words that follow distinguish a value from a description.
pub(super) fn without_told(text: Cow<'_, str>) -> Cow<'_, str> {
    let whole = text.clone();
    replaced(text, &TOLD, |found| {
        let word = found.get(3)?;
        let bare = word
            .as_str()
            .trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
        let after = whole.get(word.start() + bare.len()..).unwrap_or_default();
        let ends = after.trim_start_matches([' ', '\t']).is_empty()
            || after.starts_with(['.', ',', ';', ')', '!', '\n']);
        is_told(&found[2], bare, ends)
            .then(|| format!("{}{MASK}{}", &found[1], &word.as_str()[bare.len()..]))
    })
}

#[cfg(test)]
mod tests {
    use super::super::text::{Manner, masked, masked_document};
    use super::*;

    #[test]
    fn the_expressions_are_well_formed() {
        assert!(TOLD.is_some() && PIPED.is_some() && HERE.is_some());
    }

    #[test]
    fn a_password_in_a_sentence_is_hidden() {
        for (text, expected) in [
            ("the password is hunter2", "the password is ***"),
            ("Password is x.", "Password is ***."),
            (
                "password was horse, change it",
                "password was ***, change it",
            ),
            (
                "(the passphrase is now horse)",
                "(the passphrase is now ***)",
            ),
            (
                "the token is abc123def456 for now",
                "the token is *** for now",
            ),
            ("login with --password x", "login with --password ***"),
            ("docker login -u me -p x", "docker login -u me -p ***"),
            (
                "echo hunter2 | docker login -u me --password-stdin r.example",
                "echo *** | docker login -u me --password-stdin r.example",
            ),
            (
                "printf '%s' 'a b' | helm registry login r --password-stdin",
                "printf '%s' *** | helm registry login r --password-stdin",
            ),
            (
                "docker login --password-stdin <<< horse",
                "docker login --password-stdin <<< ***",
            ),
        ] {
            assert_eq!(masked(text), expected);
            assert_eq!(masked_document(text, Manner::Lenient), expected);
        }
    }

    #[test]
    fn what_is_said_of_a_secret_is_shown() {
        for text in [
            "docker login -u AWS --password-stdin 111122223333.dkr.ecr.eu-west-1.amazonaws.com",
            "aws ecr get-login-password | docker login -u AWS --password-stdin r.example",
            "echo $TOKEN | docker login ghcr.io -u me --password-stdin",
            "echo \"${{ secrets.TOKEN }}\" | docker login ghcr.io -u me --password-stdin",
            "Using --password via the CLI is insecure. Use --password-stdin.",
            "secret: not found",
            "secret \"registry-cred\" not found",
            "secrets \"registry-cred\" is forbidden: User \"ci\" cannot get resource",
            "MountVolume.SetUp failed for volume \"x\" : secret \"x\" not found",
            "token: is not set",
            "the password is required",
            "the password is correct",
            "the password is 8 characters long",
            "your token is GH_TOKEN",
            "the token is read from a file",
            "the password is stored in the Secret `x`",
        ] {
            assert_eq!(masked(text), text);
        }
        for text in [
            "status: failed\nsecret: not found\n",
            "Events:\n  secret: missing\n  token: has expired\n",
            "Events:\n  secret: is not there yet\n  secret \"x\" not found\n  token: is not set\n",
        ] {
            assert_eq!(masked_document(text, Manner::Lenient), text);
        }
    }
}
