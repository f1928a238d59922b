//! How a registry wants to be signed in to: its `WWW-Authenticate`. Pure: no I/O.

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use reqwest::Url;

use super::{Address, address::is_local};
use crate::error::Result;

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
            .filter_map(Self::parse)
            .collect();
        let bearer = all.iter().position(|it| matches!(it, Self::Bearer(_)));
        all.into_iter().nth(bearer.unwrap_or(0))
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        Some(Self::Bearer(Wanted {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        }))
    }
}

/// `key="value",key=value`: a quoted value may have commas.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, end) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(key, value.trim().to_owned());
        rest = end;
    }
    found
}

impl Wanted {
    /// The URL of the token. A registry with https has a token server with https: a password is sent there.
    pub(super) fn url(&self, address: &Address) -> Result<Url> {
        let wrong = || address.failed("names no usable token server");
        let mut url = Url::parse(&self.realm).map_err(|_| wrong())?;
        let host = url.host_str().unwrap_or_default();
        let is_safe = url.scheme() == "https"
            || (url.scheme() == "http" && address.is_local() && is_local(host));
        if !is_safe || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let own = format!("repository:{}:pull", address.repository);
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            query.append_pair("scope", self.scope.as_deref().unwrap_or(&own));
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
                .url(&address("registry-1.docker.io"))
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
            assert!(wanted(realm).url(&address("ghcr.io")).is_err(), "{realm}");
        }
        let local = wanted("http://127.0.0.1:9/token")
            .url(&address("127.0.0.1:5000"))
            .unwrap();
        assert_eq!(local.query(), Some("scope=repository%3Aa%2Fb%3Apull"));
        assert!(
            wanted("http://example.com/token")
                .url(&address("127.0.0.1:5000"))
                .is_err()
        );
    }
}
