//! Detects values that cannot be a GitHub token, before they are sent. Pure: no I/O.
//!
//! Cases seen: a runner registration token pasted as a personal access token (actions-runner-controller#954), a Secret's
//! value encoded twice, a placeholder that was not replaced.

use super::token_kind::TokenKind;
use crate::{
    clients::credential::Credential,
    secret::{
        Secret,
        shape::{decoded, is_credential, is_refused, is_registration},
    },
};

/// What is wrong with a value, and the hint. Neither contains the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    /// A noun phrase, after `the value of github.token is`.
    pub is: &'static str,
    /// The hint.
    pub hint: &'static str,
}

const NEW: &str = "put a personal access token there, or let arcctl use a GitHub App (github.app)";

/// What the credential is, if it is not a token.
pub(super) fn misplaced(credential: &Credential) -> Option<Misplaced> {
    match credential {
        Credential::Token(token) => of_token(token),
        Credential::App { .. } => None,
    }
}

/// Prefixes of values, what they are, and the hint.
const BEGINNINGS: &[(&[&str], &str, &str)] = &[
    (
        &["ghr_"],
        "the refresh token of a GitHub App's user, which no API call takes",
        NEW,
    ),
    (
        &["-----BEGIN"],
        "a private key in PEM",
        "a GitHub App's key goes under github.app.privateKey, beside its id and installationId",
    ),
    (&["AKIA", "ASIA"], "the id of an AWS access key", NEW),
    (
        &["Bearer ", "bearer ", "token ", "Token "],
        "a whole header",
        "leave out the word before the token",
    ),
    (
        &["\"", "'"],
        "in quotation marks",
        "leave the quotation marks out where the token is kept",
    ),
    (
        &["$"],
        "the name of a variable that nobody replaced",
        "in a workflow, set it with `env:` from `${{ secrets.NAME }}`; in a shell, export the value itself",
    ),
    (
        &["{", "["],
        "a JSON document",
        "keep the token alone in the secret, without a document around it",
    ),
    (
        &["eyJ"],
        "a JSON web token, as an App's assertion or a workflow's OIDC token is",
        NEW,
    ),
];

fn of_token(token: &Secret) -> Option<Misplaced> {
    let text = token.expose();
    let told = |is, hint| Some(Misplaced { is, hint });
    if is_registration(text) {
        return told(
            "a runner registration token, which can only register one runner and ends within an hour",
            "put a personal access token there, or use a GitHub App (github.app): arcctl and the controller get registration tokens themselves",
        );
    }
    let begins =
        |(starts, ..): &&(&[&str], &str, &str)| starts.iter().any(|it| text.starts_with(it));
    if let Some((_, is, hint)) = BEGINNINGS.iter().find(begins) {
        return told(is, hint);
    }
    if text.bytes().all(|it| it == b'*') {
        return told("only asterisks, as a log hides a secret", NEW);
    }
    if text.contains("://") {
        return told("a URL", NEW);
    }
    let strange = |it: char| it.is_whitespace() || it.is_control() || !it.is_ascii();
    if text.contains(strange) {
        return told(
            "not one token: there are spaces, line breaks or other characters in it that no token has",
            "copy the token again, and nothing else",
        );
    }
    if TokenKind::of(&Credential::Token(token.clone())) != TokenKind::Unknown {
        return None;
    }
    // A token is never valid base64 of text.
    if decoded(text).is_some_and(|it| is_refused(&it) || is_registration(it.trim())) {
        return told(
            "base64 of a token",
            "keep the token itself: `kubectl create secret generic … --from-file` encodes it, and a Secret's `stringData` takes it as it is",
        );
    }
    if is_credential(text) {
        return told("another maker's token", NEW);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<&'static str> {
        misplaced(&Credential::Token(Secret::trimmed(text).0)).map(|it| it.is)
    }

    #[test]
    fn what_is_no_token_is_told_as_what_it_is() {
        for (text, expected) in [
            ("AABCDEFGHIJ0123456789ABCDEFGH", "registration"),
            ("ghr_abcdefghij0123456789", "refresh token"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMII", "private key"),
            ("AKIA0123456789ABCDEF", "AWS access key"),
            ("Bearer ghp_abcdefghij0123456789", "whole header"),
            ("\"ghp_abcdefghij0123456789\"", "quotation marks"),
            ("${{ secrets.TOKEN }}", "variable"),
            ("$GITHUB_TOKEN", "variable"),
            ("***", "asterisks"),
            ("{\"token\": \"ghp_abcdefghij0123456789\"}", "JSON document"),
            ("https://ghe.example/settings/tokens", "URL"),
            (
                "ghp_abcdefghij0123456789 ghp_abcdefghij0123456789",
                "not one token",
            ),
            ("ghp_abcdefghij\u{200b}0123456789", "not one token"),
            ("eyJhbGciOi.eyJpc3MiOi.c2ln", "JSON web token"),
            ("Z2hwX2FiY2RlZmdoaWowMTIzNDU2Nzg5", "base64"),
            ("glpat-abcdefghij0123456789", "another maker"),
        ] {
            let is = told(text).unwrap_or_else(|| panic!("{text} is taken"));
            assert!(is.contains(expected), "{text}: {is}");
        }
    }

    #[test]
    fn tokens_of_every_kind_are_taken() {
        for text in [
            "ghp_abcdefghij0123456789",
            "github_pat_11AAAAAAAA_abcdefghij0123456789",
            "gho_abcdefghij0123456789",
            "ghu_abcdefghij0123456789",
            "ghs_abcdefghij0123456789",
            "v1.0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
            "0123456789abcdef0123456789abcdef01234567",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
