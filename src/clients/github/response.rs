//! A response of GitHub: its status, headers and body, and the values in them (limits, scopes, expiry, message).
//! Pure: no I/O.

use http::{HeaderMap, StatusCode};
use jiff::{Timestamp, fmt::strtime};
use serde_json::Value;

use super::error::reason::Ground;

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// When it was received, by the local clock.
    pub received: Timestamp,
    /// Whether the same call has succeeded before in this run.
    pub succeeded_before: bool,
}

/// The rate limits of GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Requests per hour.
    Primary,
    /// Concurrent requests.
    Secondary,
    /// Failed logins with invalid tokens.
    Logins,
}

impl Answer {
    /// A header's value, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.header(name)?.trim().parse().ok()
    }

    /// Whether the body is JSON, as in all responses of GitHub's API that have a body.
    pub(super) fn is_json(&self) -> bool {
        self.body.is_empty()
            || self
                .header("content-type")
                .is_some_and(|it| it.contains("json"))
    }

    /// Whether it is the expected response. A page of a proxy can have a success status too.
    pub(super) fn is_taken(&self) -> bool {
        self.status.is_success() && self.is_json()
    }

    /// The reached limit, and when it ends (docs.github.com: "Rate limits for the REST API").
    pub(super) fn limit(&self) -> Option<(Limit, Timestamp)> {
        if !matches!(
            self.status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        ) {
            return None;
        }
        let later = |seconds: i64| {
            self.received
                .checked_add(jiff::SignedDuration::from_secs(seconds.max(0)))
                .unwrap_or(Timestamp::MAX)
        };
        if let Some(seconds) = self.number("retry-after") {
            return Some((Limit::Secondary, later(seconds)));
        }
        if self.number("x-ratelimit-remaining") == Some(0) {
            let reset = self.number("x-ratelimit-reset");
            let until = reset.and_then(|it| Timestamp::from_second(it).ok());
            return Some((Limit::Primary, until.unwrap_or_else(|| later(3600))));
        }
        // Without both headers, the documented pause is one minute.
        let limit = match self.ground() {
            Some(Ground::PrimaryLimit) => {
                let reset = self.number("x-ratelimit-reset");
                let until = reset.and_then(|it| Timestamp::from_second(it).ok());
                return Some((Limit::Primary, until.unwrap_or_else(|| later(60))));
            }
            Some(Ground::SecondaryLimit) => Some(Limit::Secondary),
            Some(Ground::TooManyLogins) => Some(Limit::Logins),
            _ if self.status == StatusCode::TOO_MANY_REQUESTS => Some(Limit::Secondary),
            // A call that succeeded before and is rejected without a message: a secondary limit (hub4j/github-api#2267).
            None if self.succeeded_before && self.is_json() => Some(Limit::Secondary),
            _ => None,
        };
        limit.map(|it| (it, later(60)))
    }

    /// The scopes of the token; GitHub returns them only for tokens with scopes.
    pub(super) fn scopes(&self) -> Option<Vec<String>> {
        let text = self.header("x-oauth-scopes")?;
        let scopes = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        Some(scopes.map(str::to_owned).collect())
    }

    /// When the token expires: `2026-12-01 10:00:00 UTC`, or with an offset.
    pub(super) fn token_expires(&self) -> Option<Timestamp> {
        let text = self.header("github-authentication-token-expiration")?;
        let text = text.replace(" UTC", " +0000");
        strtime::parse("%Y-%m-%d %H:%M:%S %z", text.trim())
            .ok()?
            .to_timestamp()
            .ok()
    }

    /// How many organizations GitHub leaves out of a list, because the token is not authorized for their single sign-on
    /// (docs.github.com: "Authenticating to the REST API", `X-GitHub-SSO: partial-results; organizations=ID,ID`).
    pub(super) fn left_out(&self) -> usize {
        let header = self.header("x-github-sso").unwrap_or_default();
        let Some(list) = header.trim().strip_prefix("partial-results") else {
            return 0;
        };
        let (_, ids) = list.split_once("organizations=").unwrap_or_default();
        let ids = ids.split(',').filter(|it| !it.trim().is_empty());
        ids.count().max(1)
    }

    /// How far the local clock is ahead of the server's, in seconds.
    pub(super) fn clock_ahead(&self) -> Option<i64> {
        let date = self.header("date")?;
        let server = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        Some(self.received.duration_since(server).as_secs())
    }

    fn text(&self, key: &str) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let text = body.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The `message` in the body.
    pub(super) fn message(&self) -> Option<String> {
        self.text("message")
    }

    /// The documentation URL in the body.
    pub(super) fn description(&self) -> Option<String> {
        self.text("documentation_url")
    }

    /// The server's message, with the instructions of its administrator.
    pub(super) fn said(&self) -> String {
        let message = match self.message() {
            Some(message) => message.trim_end_matches('.').to_owned(),
            None => self
                .status
                .canonical_reason()
                .unwrap_or("no message")
                .to_owned(),
        };
        let request = self
            .header("x-github-request-id")
            .map(|it| format!(" (request {it})"))
            .unwrap_or_default();
        format!(
            "GitHub returned HTTP {}: {message}{request}",
            self.status.as_u16()
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A response with these headers, received at a fixed time.
    pub(in crate::clients) fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let name = |it: &str| http::HeaderName::from_bytes(it.as_bytes()).unwrap();
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(key, value)| (name(key), value.parse().unwrap()))
                .collect(),
            body: Vec::new(),
            received: "2026-11-23T12:00:00Z".parse().unwrap(),
            succeeded_before: false,
        }
    }

    #[test]
    fn a_date_that_is_none_is_not_guessed() {
        let header = "github-authentication-token-expiration";
        assert_eq!(answer(200, &[(header, "soon")]).token_expires(), None);
        assert_eq!(answer(200, &[]).token_expires(), None);
    }

    #[test]
    fn a_partial_list_tells_how_many_are_left_out() {
        let left_out = |value: &str| answer(200, &[("x-github-sso", value)]).left_out();
        assert_eq!(answer(200, &[]).left_out(), 0);
        assert_eq!(left_out("required; url=https://github.com/orgs/a/sso"), 0);
        assert_eq!(left_out("partial-results; organizations=21,22"), 2);
        assert_eq!(left_out("partial-results"), 1);
    }

    #[test]
    fn the_end_of_a_token_is_read_in_both_forms() {
        let header = "github-authentication-token-expiration";
        let expected: Timestamp = "2026-12-01T10:00:00Z".parse().unwrap();
        for text in ["2026-12-01 10:00:00 UTC", "2026-12-01 12:00:00 +0200"] {
            assert_eq!(
                answer(200, &[(header, text)]).token_expires(),
                Some(expected)
            );
        }
    }

    #[test]
    fn a_limit_without_headers_is_known_by_its_words_and_by_what_succeeded_before() {
        let until = "2026-11-23T12:01:00Z".parse().unwrap();
        let mut said = answer(403, &[("content-type", "application/json")]);
        said.body = br#"{"message": "You have exceeded a secondary rate limit."}"#.to_vec();
        assert_eq!(said.limit(), Some((Limit::Secondary, until)));
        let mut empty = answer(403, &[]);
        assert_eq!(empty.limit(), None);
        empty.succeeded_before = true;
        assert_eq!(empty.limit(), Some((Limit::Secondary, until)));
        // A known reason counts, whatever succeeded before.
        said.succeeded_before = true;
        said.body = br#"{"message": "Resource not accessible by integration"}"#.to_vec();
        assert_eq!(said.limit(), None);
        let mut page = answer(403, &[("content-type", "text/html")]);
        page.body = b"<html>Forbidden</html>".to_vec();
        page.succeeded_before = true;
        assert_eq!(page.limit(), None);
    }

    #[test]
    fn a_plain_403_is_no_limit_and_a_plain_429_is_one_for_a_minute() {
        assert_eq!(answer(403, &[("x-ratelimit-remaining", "7")]).limit(), None);
        let until = "2026-11-23T12:01:00Z".parse().unwrap();
        let limit = answer(429, &[]).limit();
        assert_eq!(limit, Some((Limit::Secondary, until)));
    }

    #[test]
    fn the_servers_clock_is_compared_with_this_machines() {
        let late = answer(401, &[("date", "Mon, 23 Nov 2026 11:55:00 GMT")]);
        assert_eq!(late.clock_ahead(), Some(300));
    }
}
