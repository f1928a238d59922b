//! Detects secrets by format alone: tokens with known prefixes, private keys, and random-looking text. Pure: no I/O.
//!
//! Sources of the formats: each vendor's documentation of its tokens (GitHub: "About authentication to GitHub", token
//! formats; AWS: "Understanding unique ID prefixes" and "Managing access keys"), RFC 7519 (JWT), RFC 7468 (PEM).

use std::sync::LazyLock;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use regex::Regex;

/// GitHub credentials and private keys: not allowed in a profile.
static REFUSED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
          gh[pousr]_[A-Za-z0-9_]{4,}
        | github_pat_[A-Za-z0-9_]{4,}
        | \bv1\.[0-9a-f]{40}\b
        | -----BEGIN[\ A-Z0-9]*PRIVATE\ KEY
        ",
    )
    .ok()
});

/// All credentials with a known format; a private key up to the end of its block or of the text, also as a URL has it.
pub(super) static CREDENTIALS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
          -----BEGIN(?:[\ +A-Z0-9]|%20)*PRIVATE(?:[\ +]|%20)KEY(?s:.*?)
          (?:-----END(?:[\ +A-Z0-9]|%20)*PRIVATE(?:[\ +]|%20)KEY(?:(?:[\ +]|%20)BLOCK)?-----|\z)
        # GitHub; an App's token may be `ghs_ID_` and a JWT (github.blog, changelog of 2026-05-15).
        | gh[pousr]_(?:[0-9]+_)?eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,2}
        | gh[pousr]_[A-Za-z0-9_]{4,}
        | github_pat_[A-Za-z0-9_]{4,}
        | \bv1\.[0-9a-f]{40}\b
        | \b(?:AKIA|ASIA)[A-Z0-9]{12,}\b                    # AWS: an access key's id
        | \bk8s-aws-v1\.[A-Za-z0-9_-]{8,}                   # EKS
        | \beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*   # JWT
        | \bglpat-[A-Za-z0-9_.-]{8,}                        # GitLab
        | \bxox[abeoprs]-[A-Za-z0-9-]{8,}                   # Slack
        | \bhooks\.slack\.com/services/[A-Za-z0-9/]+
        | \bnpm_[A-Za-z0-9]{20,}
        | \bpypi-[A-Za-z0-9_-]{16,}
        | \bdckr_(?:pat|oat)_[A-Za-z0-9_-]{8,}              # Docker Hub
        | \b[sr]k_(?:live|test)_[A-Za-z0-9]{8,}             # Stripe
        | \bsk-[A-Za-z0-9_-]{20,}
        | \bSG\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}        # SendGrid
        | \bAIza[A-Za-z0-9_-]{30,}                          # Google
        | \bya29\.[A-Za-z0-9_-]{8,}
        | \bhv[sbr]\.[A-Za-z0-9_-]{8,}                      # Vault
        | \bdop_v1_[A-Za-z0-9]{8,}
        | \bAGE-SECRET-KEY-1[A-Z0-9]{8,}
        | \$(?:2[aby]|5|6|apr1|argon2id?)\$[A-Za-z0-9./$=,+-]{8,}     # crypt(3), htpasswd
        ",
    )
    .ok()
});

/// Runs of base64 characters, some of which are secrets.
pub(super) static RUNS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{16,}={0,2}").ok());

/// Parts of a run between `-`, `_` and `/`.
static UNBROKEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9]{29,}").ok());

/// How many layers of base64 to decode: a helm release in its Secret has two.
const LAYERS: u8 = 2;

/// Mixed-case base64 from this length on is always masked: the body of a key, a certificate, a blob.
const BLOB: usize = 56;

/// Whether a text contains a GitHub credential or a private key.
pub(crate) fn is_refused(text: &str) -> bool {
    // Most values are short words: skip the regular expression.
    (text.contains('_') || text.contains("v1.") || text.contains("-----"))
        && REFUSED.as_ref().is_some_and(|it| it.is_match(text))
}

/// Whether a text contains a credential of any vendor.
pub(crate) fn is_credential(text: &str) -> bool {
    text.len() >= 8 && CREDENTIALS.as_ref().is_some_and(|it| it.is_match(text))
}

/// Whether a run of base64 characters is a secret.
pub(super) fn is_secret_run(run: &str) -> bool {
    let body = run.trim_end_matches('=');
    let base64 = !body.contains(['-', '_']);
    if base64 && body.len() >= BLOB && is_mixed(body) {
        return true;
    }
    // An AWS secret access key.
    if base64 && body.len() == 40 && is_mixed(body) && has_digit(body) {
        return true;
    }
    let unbroken = UNBROKEN.as_ref().is_some_and(|it| {
        it.find_iter(body)
            .any(|it| is_registration(it.as_str()) || is_random(it.as_str()))
    });
    unbroken || encodes_credential(run, LAYERS)
}

/// A runner registration or removal token (reference: arc.md 5): an `A` and 28 capitals and digits.
pub(crate) fn is_registration(text: &str) -> bool {
    text.len() == 29
        && text.starts_with('A')
        && text
            .bytes()
            .all(|it| it.is_ascii_uppercase() || it.is_ascii_digit())
        && text.bytes().filter(u8::is_ascii_digit).count() >= 2
}

/// A GitHub token in the format before 2021. A Git commit and a certificate thumbprint look the same.
pub(super) fn is_old_token(run: &str) -> bool {
    run.len() == 40
        && run
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_random(text: &str) -> bool {
    text.len() >= 32 && is_mixed(text) && text.bytes().filter(u8::is_ascii_digit).count() >= 2
}

fn is_mixed(text: &str) -> bool {
    text.bytes().any(|it| it.is_ascii_uppercase()) && text.bytes().any(|it| it.is_ascii_lowercase())
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|it| it.is_ascii_digit())
}

/// Whether `run` is a base64-encoded credential, with or without padding.
fn encodes_credential(run: &str, layers: u8) -> bool {
    let Some(text) = decoded(run) else {
        return false;
    };
    is_credential(&text)
        || is_registration(text.trim())
        || is_old_token(text.trim())
        || (layers > 1 && encodes_credential(text.trim(), layers - 1))
}

/// The text encoded in `run`, in either base64 alphabet.
pub(crate) fn decoded(run: &str) -> Option<String> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if run.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let bytes = GeneralPurpose::new(alphabet, config).decode(run).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;

    use super::*;

    #[test]
    fn the_expressions_are_well_formed() {
        for it in [&REFUSED, &CREDENTIALS, &RUNS, &UNBROKEN] {
            assert!(it.is_some());
        }
    }

    #[test]
    fn a_token_for_github_is_refused_and_another_makers_is_known() {
        let old = format!("v1.{}", "0a".repeat(20));
        for secret in [
            "ghp_abcdefghij0123456789",
            "github_pat_11AAAAAAA0_abc",
            "ghs_x1y2z3",
            "ghs_123_eyJhbGciOi.eyJpc3MiOi.c2ln",
            old.as_str(),
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        ] {
            assert!(is_refused(secret) && is_credential(secret), "{secret}");
        }
        for secret in [
            "AKIA0123456789ABCDEF",
            "eyJhbGciOi.eyJpc3MiOi.c2ln",
            "glpat-0123456789abcdefghij",
            "xoxb-0123456789-abc",
            "k8s-aws-v1.aHR0cHM6",
            "$2y$10$abcdefghijklmnop",
        ] {
            assert!(is_credential(secret) && !is_refused(secret), "{secret}");
        }
        assert!(!is_refused("0123456789abcdef0123456789abcdef01234567"));
        assert!(!is_refused("ARCCTL_GITHUB_TOKEN"));
    }

    #[test]
    fn a_credential_is_known_in_base64_once_and_twice() {
        let encode = |text: &str| general_purpose::STANDARD.encode(text);
        let once = encode("ghp_abcdefghij0123456789");
        assert!(is_secret_run(&once), "{once}");
        assert!(is_secret_run(once.trim_end_matches('=')));
        assert!(is_secret_run(&encode(&once)));
        assert!(is_secret_run(&encode("AABCDEFGHIJ0123456789ABCDEFGH")));
        assert!(!is_secret_run(&encode("actions-runner-system")));
    }

    #[test]
    fn names_of_the_world_are_no_secrets() {
        for name in [
            "actions-runner-controller",
            "AWSReservedSSO_AdministratorAccess_0123456789abcdef",
            "eksctl-build-nodegroup-ng-NodeInstanceRole-0123456789AB",
            "horizontalrunnerautoscalers",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "0123456789ABCDEF0123456789ABCDEF",
            "certificaterequests",
            "sha256-0123456789abcdef0123456789abcdef",
        ] {
            assert!(!is_secret_run(name), "{name}");
        }
        assert!(is_secret_run("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
        assert!(is_registration("AABCDEFGHIJ0123456789ABCDEFGH"));
    }
}
