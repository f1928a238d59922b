//! Maps error responses of GitHub to a message and a hint, by status, headers, message and kind of token
//! (reference: arc.md 5, "Status reading"). Pure: no I/O.

pub(crate) mod connect;
pub(crate) mod forbidden;
pub(crate) mod issuer;
pub(super) mod message;
pub(crate) mod reason;
pub(crate) mod service;
pub(crate) mod workflow;

use http::StatusCode;
use jiff::Timestamp;

use forbidden::forbidden;
use message::{failed, unauthorized};
use reason::Ground;

use super::{
    auth::token_kind::TokenKind,
    response::{Answer, Limit},
    scope::{administrator, describe, key},
    server::{Product, Server},
};
use crate::{error::Error, profile::Scope};

/// The context of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorContext<'a> {
    /// The server.
    pub server: &'a Server,
    /// The scope of the runners.
    pub scope: Scope<'a>,
    /// The kind of the credential.
    pub kind: TokenKind,
    /// After a 404: whether the token can read the organization or repository itself.
    pub visible: Option<bool>,
}

/// The error for an error response.
pub(super) fn refusal(answer: &Answer, case: &ErrorContext<'_>) -> Error {
    if let Some(error) = common(answer, case.server) {
        return error;
    }
    let target = describe(case.scope);
    let error = match answer.status {
        StatusCode::UNAUTHORIZED => unauthenticated(answer, case),
        StatusCode::FORBIDDEN => forbidden(answer, case),
        StatusCode::NOT_FOUND => not_found(case),
        _ => failed(message::rejected(&target))
            .hint("check the names under `github` in the profile; if they are correct, report this as a bug with the request ID"),
    };
    error.object(&case.server.api).cause(answer.said())
}

/// Errors of any request: not a response of GitHub, a redirect, a rate limit, a server error.
pub(super) fn common(answer: &Answer, server: &Server) -> Option<Error> {
    let api = &server.api;
    let status = answer.status;
    let error = if status.is_redirection() {
        moved(answer, server)
    } else if let Some((limit, until)) = answer.limit() {
        limited(limit, until).cause(answer.said())
    } else if answer.ground() == Some(Ground::Maintenance) {
        failed(message::maintenance(api))
            .cause(format!("it returned HTTP {}", status.as_u16()))
            .hint("run the command again after the maintenance")
            .passing(true)
    } else if status.is_server_error() {
        failed(message::failing(api))
            .cause(answer.said())
            .hint(match server.product {
                Product::Cloud => "check https://www.githubstatus.com, and run the command again later".to_owned(),
                Product::EnterpriseServer => format!(
                    "check `{}/status`, report the request ID to the server's administrator, and run the command again after that",
                    server.web
                ),
            })
            .passing(true)
    } else if !answer.is_json() {
        not_github(answer, server)
    } else {
        return None;
    };
    Some(error.object(api))
}

/// The error for a response that does not come from GitHub's API.
pub(super) fn not_github(answer: &Answer, server: &Server) -> Error {
    let kind = answer.header("content-type").unwrap_or("no type");
    let status = answer.status.as_u16();
    failed(message::not_the_api(&server.api))
        .object(&server.api)
        .cause(format!("it returned HTTP {status} with content type `{kind}`"))
        .hint("github.url must be the server's own address, `https://HOST`; the login or block page of a proxy is another possible cause")
}

/// The error for a redirect. The token is only sent to the configured host.
fn moved(answer: &Answer, server: &Server) -> Error {
    let location = answer.header("location").unwrap_or_default();
    let api = reqwest::Url::parse(&server.api).ok();
    // A location without a host is on the same host.
    let target = api.as_ref().and_then(|it| it.join(location).ok());
    let to = target.as_ref().map(origin).unwrap_or_default();
    if api.is_some_and(|it| origin(&it) == to) {
        return failed(message::renamed())
            .cause(format!(
                "GitHub returned HTTP {}: it moved to {location}",
                answer.status.as_u16()
            ))
            .hint(
                "it was renamed or transferred: write its new name under `github` in the profile",
            );
    }
    failed(message::redirected(&server.api, &to))
    .cause(format!("it returned HTTP {}", answer.status.as_u16()))
    .hint(match server.product {
        Product::EnterpriseServer => format!(
            "if this is the server's address, write `github.url: {to}`; if it is a login page, connect to the server without that proxy"
        ),
        Product::Cloud => "a proxy redirects the request: let this machine connect to api.github.com without it".to_owned(),
    })
}

/// Scheme, host and port of a URL; the port only where it is not the scheme's own.
fn origin(url: &reqwest::Url) -> String {
    url.origin().ascii_serialization()
}

fn limited(limit: Limit, until: Timestamp) -> Error {
    let until = until.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let (message, hint) = match limit {
        Limit::Primary => (
            message::primary_limit(&until),
            "run the command again after that; all tokens of an account share one limit, so use a separate account for arcctl and the controller",
        ),
        Limit::Secondary => (
            message::secondary_limit(&until),
            "run the command again after that; other programs with this account may send too many requests",
        ),
        Limit::Logins => (
            message::login_limit(&until),
            "stop the program that still uses an old token of this account, and run the command again after that time",
        ),
    };
    failed(message).hint(hint).passing(true)
}

/// The page to create and edit a token of a kind.
pub(super) fn token_page(server: &Server, kind: TokenKind) -> String {
    let page = match kind {
        TokenKind::FineGrained => "personal-access-tokens",
        _ => "tokens",
    };
    format!("{}/settings/{page}", server.web)
}

/// The error for a 401.
pub(super) fn unauthenticated(answer: &Answer, case: &ErrorContext<'_>) -> Error {
    let new = format!(
        "create a new token at {} and store it in the source that github.token names",
        token_page(case.server, case.kind)
    );
    if let Some(ended) = answer.token_expires().filter(|it| *it <= answer.received) {
        let ended = ended.strftime("%Y-%m-%d %H:%M UTC").to_string();
        return unauthorized(message::expired(&ended)).hint(new);
    }
    let other = match case.server.product {
        Product::Cloud => "a GitHub Enterprise Server (then set github.url)",
        Product::EnterpriseServer => "github.com or another server",
    };
    unauthorized(message::not_accepted(&case.server.api)).hint(format!(
        "the token is mistyped, revoked, expired, or belongs to {other}: {new}"
    ))
}

fn not_found(case: &ErrorContext<'_>) -> Error {
    let (target, key, who) = (
        describe(case.scope),
        key(case.scope),
        administrator(case.scope),
    );
    if case.kind == TokenKind::App {
        return unauthorized(message::no_access_for_app(&target)).hint(format!(
            "check {key}, and that github.app.installationId is the installation for {target}"
        ));
    }
    if case.visible == Some(true) {
        return unauthorized(message::no_runner_permission(&target))
        .hint(format!(
            "the token's owner must be {who}: grant that role, or use a token of an account that has it"
        ));
    }
    let web = &case.server.web;
    let error = unauthorized(message::not_visible(&target));
    error.hint(match case.scope {
        Scope::Enterprise(_) => format!(
            "check {key}: the slug is the last part of {web}/enterprises/SLUG; the token's owner must be {who}"
        ),
        Scope::Organization(_) => format!(
            "check {key}: it is the last part of {web}/ORGANIZATION, and not a user account; the token's owner must be {who}"
        ),
        Scope::Repository(_) => format!(
            "check {key}: it is the last part of {web}/OWNER/NAME; the token's owner must be {who}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::response::tests::answer, *};
    use crate::error::ErrorKind;

    const JSON: (&str, &str) = ("content-type", "application/json");

    /// A call for an organization, with a classic token.
    pub(super) fn of_an_organization(server: &Server) -> ErrorContext<'_> {
        ErrorContext {
            server,
            scope: Scope::Organization("doge"),
            kind: TokenKind::Classic,
            visible: None,
        }
    }

    fn told(status: u16, headers: &[(&str, &str)]) -> Error {
        let server = Server::of(Some("https://ghe.example"));
        refusal(&answer(status, headers), &of_an_organization(&server))
    }

    #[test]
    fn a_limit_comes_before_what_else_a_403_may_mean() {
        let scopes = ("x-oauth-scopes", "repo");
        let limited = told(403, &[JSON, scopes, ("x-ratelimit-remaining", "0")]);
        assert_eq!(limited.kind, ErrorKind::Failed);
        assert!(limited.passing);
        let left = told(403, &[JSON, scopes, ("x-ratelimit-remaining", "1")]);
        assert_eq!(left.kind, ErrorKind::Unauthorized);
        assert!(left.message.contains("lacks the scope `admin:org`"));
    }

    #[test]
    fn single_sign_on_comes_before_the_scopes() {
        let sso = ("x-github-sso", "required; url=https://ghe.example/sso");
        let error = told(403, &[JSON, sso, ("x-oauth-scopes", "")]);
        let hint = error.hint.unwrap();
        assert!(hint.contains("open https://ghe.example/sso "), "{hint}");
    }

    #[test]
    fn a_403_in_spite_of_the_scope_is_told_as_that() {
        let error = told(403, &[JSON, ("x-oauth-scopes", "admin:org, repo")]);
        let hint = error.hint.unwrap();
        assert!(hint.contains("the token has the required scope"), "{hint}");
    }

    #[test]
    fn an_unknown_refusal_is_no_question_of_permission() {
        let error = told(422, &[JSON]);
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(!error.passing);
    }

    #[test]
    fn the_port_of_the_scheme_is_no_other_origin() {
        let of = |url: &str| origin(&url.parse().unwrap());
        assert_eq!(of("https://ghe:443/x"), of("https://ghe"));
        assert_eq!(of("https://ghe"), "https://ghe");
        assert_ne!(of("https://ghe:8443"), of("https://ghe"));
    }

    #[test]
    fn a_redirect_is_judged_by_scheme_host_and_port() {
        for (location, elsewhere) in [
            ("https://ghe.example:8443/x", true),
            ("http://ghe.example/x", true),
            ("https://user@ghe.example.evil/x", true),
            ("https://GHE.example/x", false),
            ("https://ghe.example:443/x", false),
            ("/x", false),
        ] {
            let error = told(301, &[("location", location)]);
            let message = error.message;
            assert_eq!(message.contains("another host"), elsewhere, "{location}");
        }
    }
}
