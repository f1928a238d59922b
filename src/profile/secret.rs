//! What must never be shown: values that look like credentials, and the masking of a line that holds one. Pure.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Takes the place of what is not shown.
pub(super) const MASK: &str = "***";

/// The beginnings of GitHub's tokens (old and new), and of keys and passwords in URLs.
static CREDENTIALS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
          gh[pousr]_[A-Za-z0-9_]{4,}
        | github_pat_[A-Za-z0-9_]{4,}
        | \bv1\.[0-9a-f]{40}\b
        | -----BEGIN[\ A-Z]*PRIVATE\ KEY-----.*
        ",
    )
    .ok()
});

/// A token of the form that GitHub gave out before 2021. A commit looks the same, so it is hidden and not refused.
static OLD_TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b[0-9a-f]{40}\b").ok());

/// The user and password of a URL.
static PASSWORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"://[^\s"']*@"#).ok());

/// The body of a PEM file, or any other long run of base64 in both cases.
static BASE64: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/=]{56,}").ok());

/// What follows the key of a secret on its line, in a text that could not be read as YAML.
static AFTER_KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(\b(?:token|private_?key|password|secret)["']?\s*:\s*)([^\s{\[#|>].*)$"#).ok()
});

/// Whether a value looks like a GitHub token or a private key.
pub(super) fn looks_secret(text: &str) -> bool {
    // Most values are short words; the expression is for the others.
    (text.contains('_') || text.contains("v1.") || text.contains("-----"))
        && CREDENTIALS
            .as_ref()
            .is_some_and(|credentials| credentials.is_match(text))
}

/// Whether a variable of this name usually holds a secret.
pub(super) fn names_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ["TOKEN", "PASSWORD", "SECRET", "PRIVATE_KEY", "_PAT"]
        .iter()
        .any(|word| upper.ends_with(word))
}

/// A value without what looks like a credential in any of its texts, nor the values of variables that usually hold one.
pub(crate) fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(mask(text)),
        Value::Array(list) => list.iter().map(redacted).collect(),
        Value::Object(map) => {
            let hides = map
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(names_secret);
            let entry = |(key, value): (&String, &Value)| {
                let hidden = hides && key == "value" && value.is_string();
                let value = if hidden { MASK.into() } else { redacted(value) };
                (key.clone(), value)
            };
            map.iter().map(entry).collect()
        }
        other => other.clone(),
    }
}

/// A text without what looks like a credential in it.
pub(super) fn mask(text: &str) -> String {
    let mut masked = text.to_owned();
    if let Some(credentials) = CREDENTIALS.as_ref() {
        masked = credentials.replace_all(&masked, MASK).into_owned();
    }
    if let Some(old_token) = OLD_TOKEN.as_ref() {
        masked = old_token.replace_all(&masked, MASK).into_owned();
    }
    if let Some(password) = PASSWORD.as_ref() {
        masked = password.replace_all(&masked, "://***@").into_owned();
    }
    if let Some(base64) = BASE64.as_ref() {
        let shown = |run: &regex::Captures<'_>| {
            let run = &run[0];
            let mixed = run.bytes().any(|byte| byte.is_ascii_uppercase())
                && run.bytes().any(|byte| byte.is_ascii_lowercase());
            if mixed {
                MASK.to_owned()
            } else {
                run.to_owned()
            }
        };
        masked = base64.replace_all(&masked, shown).into_owned();
    }
    masked
}

/// The same for a line of a text that is not YAML, where only the key can tell that a value is secret.
pub(super) fn mask_line(line: &str) -> String {
    let masked = mask(line);
    match AFTER_KEY.as_ref() {
        Some(after_key) => after_key.replace(&masked, "$1***").into_owned(),
        None => masked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_token_is_hidden_and_a_digest_is_not() {
        let token = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(mask(&format!("env: {token}")), "env: ***");
        let digest = format!("image: a@sha256:{token}{}", &token[..24]);
        assert_eq!(mask(&digest), digest);
        assert!(!looks_secret(token) && names_secret("GH_PAT"));
    }

    #[test]
    fn credentials_are_recognised_and_hidden() {
        let old = format!("v1.{}", "0a".repeat(20));
        for secret in [
            "ghp_abcdefghij0123456789",
            "github_pat_11AAAAAAA0_abc",
            "ghs_x1y2z3",
            old.as_str(),
        ] {
            assert!(looks_secret(secret), "{secret}");
            let line = mask(&format!("  token: {secret} # mine"));
            assert!(
                !line.contains(secret) && line.ends_with(" # mine"),
                "{line}"
            );
        }
        assert!(looks_secret("-----BEGIN RSA PRIVATE KEY-----\nMII"));
        assert_eq!(
            mask("http://user:hunter2@proxy:3128"),
            "http://***@proxy:3128"
        );
        let body = "MIIEowIBAAKCAQEAuvgqYx1MZcVbNFlLjK5lqQJcQhYq8mD0cQ9vS3kq2m4";
        assert_eq!(mask(body), MASK);
    }

    #[test]
    fn honest_values_are_shown() {
        let digest = format!(
            "summerwind/actions-runner@sha256:{}",
            "0123456789abcdef".repeat(4)
        );
        for text in [
            "ARCCTL_GITHUB_TOKEN",
            "https://ghe.dogecompany.com",
            "t3a.large",
            digest.as_str(),
        ] {
            assert!(!looks_secret(text), "{text}");
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn a_line_that_is_not_yaml_hides_what_follows_the_key() {
        assert_eq!(mask_line("  token: \"hunter2"), "  token: ***");
        assert_eq!(mask_line("  token: {env: X"), "  token: {env: X");
        assert_eq!(mask_line("  privateKey: abc: d"), "  privateKey: ***");
    }
}
