//! How a registry wants to be signed in to: its `WWW-Authenticate`. Pure: no I/O.

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use reqwest::Url;

use super::{Address, address::is_local};
use crate::error::Result;

/// The parameters of a challenge, by their names in lower case.
type Parameters = BTreeMap<String, String>;

/// A challenge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from another server.
    Bearer(Wanted),
    /// Name and password.
    Basic,
}

/// The token that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

impl Challenge {
    /// The first challenge that is understood; a token rather than a password.
    pub(super) fn best(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let all: Vec<Self> = values
            .filter_map(|it| it.to_str().ok())
            .flat_map(taken_apart)
            .filter_map(|(scheme, parameters)| Self::of(scheme, parameters))
            .collect();
        let bearer = all.iter().position(|it| matches!(it, Self::Bearer(_)));
        all.into_iter().nth(bearer.unwrap_or(0))
    }

    fn of(scheme: &str, mut parameters: Parameters) -> Option<Self> {
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Self::Bearer(Wanted {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        }))
    }
}

/// The schemes of a header's value, each with its parameters: `Basic realm="a", Bearer realm="b",service="c"`. A comma separates
/// parameters and challenges alike: what does not begin with a word and `=` begins a challenge (RFC 9110, 11.6.1).
fn taken_apart(text: &str) -> Vec<(&str, Parameters)> {
    let mut found: Vec<(&str, Parameters)> = Vec::new();
    for element in elements(text) {
        let end = element.find([' ', '\t', '=']).unwrap_or(element.len());
        let (word, rest) = element.split_at(end);
        let rest = rest.trim_start();
        let parameter = if let Some(value) = rest.strip_prefix('=') {
            Some((word, value))
        } else {
            found.push((word, Parameters::new()));
            rest.split_once('=')
        };
        if let (Some((key, value)), Some((_, parameters))) = (parameter, found.last_mut()) {
            let key = key.trim().to_ascii_lowercase();
            parameters.insert(key, unquoted(value.trim()));
        }
    }
    found
}

/// What commas outside of quotes separate.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = move |it: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match it {
            '"' if !was_escaped => quoted = !quoted,
            '\\' if quoted && !was_escaped => escaped = true,
            _ => {}
        }
        it == ',' && !quoted
    };
    text.split(ends).map(str::trim).filter(|it| !it.is_empty())
}

/// A value without the quotes around it, and without the backslashes in them.
fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut characters = quoted.strip_suffix('"').unwrap_or(quoted).chars();
    let mut plain = String::new();
    while let Some(it) = characters.next() {
        plain.extend(if it == '\\' {
            characters.next()
        } else {
            Some(it)
        });
    }
    plain
}

impl Wanted {
    /// The URL of the token. A registry with https has a token server with https: a password is sent there. A query has each scope
    /// in a parameter of its own, what is posted as a form has all in one (distribution/distribution, docs/content/spec/auth:
    /// token.md, oauth.md).
    pub(super) fn url(&self, address: &Address, is_posted: bool) -> Result<Url> {
        let wrong = || address.failed("names a token server that arcctl cannot use");
        let mut url = Url::parse(&self.realm).map_err(|_| wrong())?;
        let host = url.host_str().unwrap_or_default();
        let is_safe = url.scheme() == "https"
            || (url.scheme() == "http" && address.is_local() && is_local(host));
        if !is_safe || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let own = format!("repository:{}:pull", address.repository);
        let scopes = self.scope.as_deref().unwrap_or(&own);
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            if is_posted {
                query.append_pair("scope", scopes);
            } else {
                let scopes = scopes.split_ascii_whitespace();
                query.extend_pairs(scopes.map(|it| ("scope", it)));
            }
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::best(&headers)
    }

    fn address(host: &str) -> Address {
        Address {
            host: host.into(),
            repository: "a/b".into(),
        }
    }

    #[test]
    fn a_challenge_is_taken_apart() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer(wanted)) = of(&["Basic realm=\"x\"", hub]) else {
            panic!("a token is preferred");
        };
        assert_eq!(
            wanted
                .url(&address("registry-1.docker.io"), false)
                .unwrap()
                .as_str(),
            "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Aa%2Fb%3Apull%2Cpush"
        );
        assert_eq!(of(&["basic"]), Some(Challenge::Basic));
        for odd in [
            "",
            "Negotiate abc",
            "Bearer",
            "Bearer realm",
            "Bearer service=\"x\"",
        ] {
            assert_eq!(of(&[odd]), None, "{odd}");
        }
    }

    #[test]
    fn challenges_of_one_header_are_told_apart() {
        let bearer = |text: &str| match of(&[text]) {
            Some(Challenge::Bearer(wanted)) => (wanted.realm, wanted.service.unwrap_or_default()),
            other => panic!("{text}: {other:?}"),
        };
        let expected = ("https://a.example/t,1".to_owned(), "x".to_owned());
        for text in [
            r#"Bearer realm="https://a.example/t,1",service="x", Basic realm="y""#,
            r#"Basic realm="y", Bearer realm="https://a.example/t,1",service="x""#,
            r#"Negotiate, bearer service=x , realm = "https://a.example/t,1""#,
            r#"NTLM TlRM==,, Basic realm="a \"Bearer\", b",Bearer service="x",realm="https://a.example/t,1""#,
        ] {
            assert_eq!(bearer(text), expected, "{text}");
        }
        let basic = r#"Negotiate abc==, Basic realm="Bearer realm=z", charset="UTF-8""#;
        assert_eq!(of(&[basic]), Some(Challenge::Basic));
        for odd in [",", "realm=\"x\"", "Negotiate, realm=x", "\"", "Bearer \\"] {
            assert_eq!(of(&[odd]), None, "{odd}");
        }
    }

    #[test]
    fn each_of_several_scopes_is_a_parameter_of_a_query_and_all_are_one_of_a_form() {
        let scopes = r#"Bearer realm="https://a.example/t",scope="repository:a:pull,push repository:b:pull""#;
        let Some(Challenge::Bearer(wanted)) = of(&[scopes]) else {
            panic!("a token is wanted");
        };
        let query = |is_posted| {
            let url = wanted.url(&address("a.example"), is_posted).unwrap();
            url.query().unwrap_or_default().to_owned()
        };
        assert_eq!(
            query(false),
            "scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull"
        );
        assert_eq!(
            query(true),
            "scope=repository%3Aa%3Apull%2Cpush+repository%3Ab%3Apull"
        );
    }

    #[test]
    fn a_password_goes_to_no_server_without_https() {
        let wanted = |realm: &str| Wanted {
            realm: realm.into(),
            service: None,
            scope: None,
        };
        for realm in [
            "http://auth.example/token",
            "http://127.0.0.1/token",
            "ftp://x",
            "https://u:p@auth.example/",
            "",
        ] {
            let found = wanted(realm).url(&address("ghcr.io"), false);
            assert!(found.is_err(), "{realm}");
        }
        let local = wanted("http://127.0.0.1:9/token")
            .url(&address("127.0.0.1:5000"), false)
            .unwrap();
        assert_eq!(local.query(), Some("scope=repository%3Aa%2Fb%3Apull"));
        assert!(
            wanted("http://example.com/token")
                .url(&address("127.0.0.1:5000"), false)
                .is_err()
        );
    }
}
