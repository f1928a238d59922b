//! Masks logins: before the host of a URL, and in HTTP headers. Pure: no I/O.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{
    sentence::{is_argument, is_harmless},
    text::{MASK, replaced},
};

/// The part of a URL before an `@`.
static LOGIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"://([^\s"'`<>]*)@(sha256:)?"#).ok());

/// `user:password@` before a host without a scheme: database drivers, registries.
static BARE_LOGIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"\b([A-Za-z0-9_.-]+):([^\s:@/"'`<>=]+)(@(?:(?:tcp|unix)\(|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+))"#,
    )
    .ok()
});

/// `Cookie: a=b; c=d`.
static COOKIE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(\bcookie\\?["']?\s*:\s*\\?["']?)([^\s=;"']+=[^\r\n"'\\]+)"#).ok()
});

/// The value after an authentication scheme.
static SIGNED_IN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b((?:Bearer|bearer|BEARER|Basic|BASIC) )([A-Za-z0-9._~+/=-]{8,})").ok()
});

/// The header with the credential: it needs no digit to be recognized. Go prints it as `map[Authorization:[Bearer x]]`.
static AUTHORIZATION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(authorization\\?["']?\s*(?:=>|[:=]|\s)\s*\[?\\?["']?(?:bearer|basic|token|apikey|digest|negotiate|remoteauth)\s+)([^\s"'`,;\\\]]+)"#,
    )
    .ok()
});

/// Masks logins before an `@` and credentials in headers.
pub(super) fn without_logins(text: Cow<'_, str>) -> Cow<'_, str> {
    // Most texts have neither.
    if !text.contains(['@', ' ']) {
        return text;
    }
    let text = replaced(text, &LOGIN, |found| {
        let is_digest = found.get(2).is_some();
        is_login(&found[1], is_digest)
            .then(|| format!("://{MASK}@{}", found.get(2).map_or("", |it| it.as_str())))
    });
    let text = replaced(text, &BARE_LOGIN, |found| {
        let is_address = ["mailto", "mail", "email", "sip", "xmpp"].contains(&&found[1]);
        (!is_address && !is_harmless(&found[2]))
            .then(|| format!("{}:{MASK}{}", &found[1], &found[3]))
    });
    let text = replaced(text, &AUTHORIZATION, |found| {
        is_argument(&found[2]).then(|| format!("{}{MASK}", &found[1]))
    });
    let text = replaced(text, &COOKIE, |found| {
        (!is_harmless(&found[2])).then(|| format!("{}{MASK}", &found[1]))
    });
    replaced(text, &SIGNED_IN, |found| {
        let is_one = found[2].bytes().any(|it| it.is_ascii_digit() || it == b'=');
        is_one.then(|| format!("{}{MASK}", &found[1]))
    })
}

/// Whether the text before an `@` in a URL is a login: `user:password` or a token; not a path, nor a registry port
/// before a digest.
fn is_login(before: &str, is_digest: bool) -> bool {
    let (authority, path) = match before.split_once('/') {
        Some((authority, _)) => (authority, true),
        None => (before, false),
    };
    let password = authority
        .split_once(':')
        .is_some_and(|(_, rest)| rest.is_empty() || !rest.bytes().all(|it| it.is_ascii_digit()));
    !before.starts_with(MASK) && (password || (!path && !is_digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expressions_are_well_formed() {
        for it in [&LOGIN, &BARE_LOGIN, &COOKIE, &SIGNED_IN, &AUTHORIZATION] {
            assert!(it.is_some());
        }
    }

    #[test]
    fn what_signs_in_is_hidden_and_what_has_an_at_is_not() {
        for (text, expected) in [
            ("postgres://u:p/w@db/x", "postgres://***@db/x"),
            ("u:p@tcp(db:3306)/x", "u:***@tcp(db:3306)/x"),
            ("u:p@registry.example/x", "u:***@registry.example/x"),
            ("Authorization: token horse", "Authorization: token ***"),
            ("Set-Cookie: a=b; Path=/", "Set-Cookie: ***"),
        ] {
            assert_eq!(without_logins(Cow::Borrowed(text)), expected);
        }
        for text in [
            "git@github.com:a/b",
            "mailto:me@x.example",
            "a:v1@sha256:0123",
            "user: me@x.example",
            "Authorization: Bearer $TOKEN",
            "the authorization token is missing",
        ] {
            assert_eq!(without_logins(Cow::Borrowed(text)), text);
        }
    }
}
