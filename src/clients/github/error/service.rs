//! Maps error responses of the Actions service to a message and a hint. Pure: no I/O.
//!
//! The service is behind the API: a runner, a listener and the controller of runner scale sets register at the API with a
//! registration token, and get its address and a token of its own (reference: scale-sets.md 8).

use http::StatusCode;

use super::{ErrorContext, common, forbidden::told, not_github};
use crate::{
    clients::github::{
        response::Answer,
        scope::{administrator, describe},
        server::{Product, Server},
    },
    error::{Error, ErrorKind, System},
};

/// The requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// For the service's address and a token of it.
    Address,
    /// For runner scale sets or their runner group.
    Read,
    /// To delete a runner scale set.
    Delete,
}

impl Asked {
    const fn what(self) -> &'static str {
        match self {
            Self::Address => "the request for its Actions service",
            Self::Read => "the request for the runner scale sets",
            Self::Delete => "the deletion of a runner scale set",
        }
    }
}

/// The error for an error response of `server`, the API or the service.
pub(crate) fn service_refusal(
    answer: &Answer,
    server: &Server,
    case: &ErrorContext<'_>,
    asked: Asked,
) -> Error {
    if answer.status.is_success() {
        return not_github(answer, server);
    }
    if let Some(error) = common(answer, server) {
        return error;
    }
    let target = describe(case.scope);
    let error = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => answer
            .ground()
            .and_then(|it| told(it, answer, case.server, case.kind, &target))
            .unwrap_or_else(|| not_allowed(case, asked, &target)),
        StatusCode::NOT_FOUND => absent(case, asked, &target),
        StatusCode::CONFLICT if asked == Asked::Delete => Error::failed(
            System::GitHub,
            format!("GitHub does not delete the runner scale set of {target} now"),
        )
        .hint("its listener or a job uses it: run the command again when both have ended"),
        _ => Error::failed(
            System::GitHub,
            format!("GitHub rejects {} of {target}", asked.what()),
        )
        .hint("check the names under `github` in the profile; if they are correct, report this as a bug"),
    };
    error.object(&server.api).cause(answer.said())
}

/// A refusal without a known reason: GitHub has just issued the token, so its owner may lack the role.
fn not_allowed(case: &ErrorContext<'_>, asked: Asked, target: &str) -> Error {
    Error::new(
        ErrorKind::Unauthorized,
        System::GitHub,
        format!("GitHub does not allow {} of {target}", asked.what()),
    )
    .hint(format!(
        "the credential must be allowed to manage the runners: its owner must be {}, or the App have that permission; if it is, run the command again later",
        administrator(case.scope)
    ))
}

fn absent(case: &ErrorContext<'_>, asked: Asked, target: &str) -> Error {
    let error = Error::failed(
        System::GitHub,
        format!("GitHub has nothing for {} of {target}", asked.what()),
    );
    error.hint(match case.server.product {
        Product::EnterpriseServer => {
            "runner scale sets need GitHub Enterprise Server 3.9 or later with Actions enabled: an administrator sees both in the Management Console"
        }
        Product::Cloud => "check that Actions is enabled there, in the settings of GitHub",
    })
}

#[cfg(test)]
mod tests {
    use super::{super::super::response::tests::answer, super::tests::of_an_organization, *};

    fn told_of(status: u16, body: &str, asked: Asked) -> Error {
        let server = Server::of(Some("https://ghe.example"));
        let case = of_an_organization(&server);
        let mut answer = answer(status, &[("content-type", "application/json")]);
        answer.body = body.as_bytes().to_vec();
        service_refusal(&answer, &server, &case, asked)
    }

    #[test]
    fn a_refusal_quotes_the_service_and_says_what_to_do() {
        let said = r#"{"typeKey": "X", "message": "Access denied."}"#;
        for (status, kind) in [
            (401, ErrorKind::Unauthorized),
            (403, ErrorKind::Unauthorized),
            (404, ErrorKind::Failed),
            (409, ErrorKind::Failed),
            (422, ErrorKind::Failed),
        ] {
            for asked in [Asked::Address, Asked::Read, Asked::Delete] {
                let error = told_of(status, said, asked);
                assert_eq!(error.kind, kind, "{status}");
                assert!(error.causes[0].contains("Access denied"), "{error}");
                assert!(error.hint.is_some() && !error.passing, "{error}");
            }
        }
        assert!(told_of(503, "", Asked::Read).passing);
    }
}
