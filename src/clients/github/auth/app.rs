//! Installation tokens of a GitHub App: requests, caches and renews them, and maps failures to errors. Each token has only
//! the permissions that its purpose needs.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{app_token::assertion, token_kind::TokenKind};
use crate::{
    clients::{
        credential::Credential,
        github::{
            GitHub,
            error::{
                ErrorContext, common,
                forbidden::{missing_permission, not_for_enterprises, told},
            },
            hidden,
            request::With,
            response::Answer,
            scope::{describe, permission},
        },
        requests::Call,
    },
    error::{Error, ErrorKind, Result, System},
    log,
    profile::Scope,
    secret::Secret,
};

/// How long before its expiry a token is replaced: longer than the timeout of a call.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The clock skew, in seconds, that GitHub tolerates in a signed assertion.
const CLOCK_TOLERANCE: i64 = 60;

/// An installation token and its metadata from GitHub.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub token: Secret,
    pub permissions: BTreeMap<String, String>,
    expires: Timestamp,
}

impl Installation {
    /// Whether it is still valid for a call at `now`.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires.duration_since(now) > MARGIN
    }
}

/// The purpose of a token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// The runners of a scope.
    Runners(Scope<'a>),
    /// The workflows of a repository, `OWNER/NAME`.
    Workflows(&'a str),
}

impl Purpose<'_> {
    /// The minimum permissions to request (docs.github.com: "Create an installation access token for an app"); `None` for
    /// what no App can do.
    fn wanted(self) -> Option<Value> {
        let (permissions, repository) = match self {
            Self::Runners(scope) => {
                let repository = match scope {
                    Scope::Repository(name) => Some(name),
                    Scope::Enterprise(_) | Scope::Organization(_) => None,
                };
                (json!({permission(scope)?.key: "write"}), repository)
            }
            Self::Workflows(name) => (json!({"actions": "write"}), Some(name)),
        };
        let mut wanted = json!({"permissions": permissions});
        if let Some(name) = repository {
            let name = name.split_once('/').map_or(name, |(_, name)| name);
            wanted["repositories"] = json!([name]);
        }
        Some(wanted)
    }

    fn describe(self) -> String {
        match self {
            Self::Runners(scope) => describe(scope),
            Self::Workflows(name) => describe(Scope::Repository(name)),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Granted {
    token: String,
    expires_at: Timestamp,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

impl GitHub {
    /// The App's installation with a valid token for `purpose`.
    pub(crate) async fn current_installation(&self, purpose: Purpose<'_>) -> Result<Installation> {
        let Some(wanted) = purpose.wanted() else {
            return Err(not_for_enterprises(&self.app_case(purpose)));
        };
        let key = wanted.to_string();
        let mut kept = self.installations.lock().await;
        if let Some(installation) = kept.get(&key).filter(|it| it.is_fresh(Timestamp::now())) {
            return Ok(installation.clone());
        }
        let made = self.new_installation(purpose, &wanted).await?;
        kept.insert(key, made.clone());
        Ok(made)
    }

    fn app_case<'a>(&'a self, purpose: Purpose<'a>) -> ErrorContext<'a> {
        ErrorContext {
            server: &self.server,
            scope: match purpose {
                Purpose::Runners(scope) => scope,
                Purpose::Workflows(name) => Scope::Repository(name),
            },
            kind: TokenKind::App,
            visible: None,
        }
    }

    /// Requests a new installation token.
    async fn new_installation(&self, purpose: Purpose<'_>, wanted: &Value) -> Result<Installation> {
        let Credential::App {
            id,
            installation_id: installation,
            private_key,
        } = &self.credential
        else {
            return Err(Error::failed(System::Local, "a token has no installation"));
        };
        let proof = assertion(id, private_key, Timestamp::now())?;
        let path = format!("app/installations/{installation}/access_tokens");
        // It creates only a token that expires within an hour.
        let with = With::Body(wanted);
        let answer = self
            .attempt_with(Call::Read, &Method::POST, &path, with, &proof)
            .await?;
        if answer.status.is_success() {
            let granted: Granted = self.json(&answer, "the call for an installation token")?;
            let token = Secret::trimmed(&granted.token).0;
            log::hide(&token);
            return Ok(Installation {
                token,
                permissions: granted.permissions,
                expires: granted.expires_at,
            });
        }
        if let Some(error) = common(&answer, &self.server) {
            return Err(hidden(error, &proof));
        }
        let case = self.app_case(purpose);
        if let Some(error) = not_granted(&answer, purpose, &case) {
            return Err(hidden(error, &proof));
        }
        Err(self.no_token(&answer, purpose, &proof).await)
    }

    /// The error for a missing token.
    async fn no_token(&self, answer: &Answer, purpose: Purpose<'_>, proof: &Secret) -> Error {
        let Credential::App {
            id,
            installation_id: installation,
            ..
        } = &self.credential
        else {
            return Error::failed(System::Local, "a token has no installation");
        };
        let refused = |message: String, hint: String| {
            Error::new(ErrorKind::Unauthorized, System::GitHub, message)
                .object(&self.server.api)
                .cause(proof.redact(&answer.said()))
                .hint(hint)
        };
        let web = &self.server.web;
        match answer.status {
            StatusCode::UNAUTHORIZED => match answer.clock_ahead() {
                Some(ahead) if ahead.abs() > CLOCK_TOLERANCE => {
                    let (off, side) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
                    refused(
                        format!("this machine's clock is {off} seconds {side} GitHub's, so GitHub rejects the JWT of App `{id}`"),
                        "set this machine's clock (chronyc makestep, timedatectl set-ntp true)".into(),
                    )
                }
                _ => refused(
                    format!("GitHub does not accept the private key of App `{id}`"),
                    format!("github.app.privateKey must be a private key of the App in github.app.id; generate a new one in the App's settings at {web}"),
                ),
            },
            StatusCode::NOT_FOUND if self.knows_app(proof).await => refused(
                format!("GitHub App `{id}` has no installation `{installation}`"),
                "check github.app.installationId: it is the last part of the URL of the installation's settings page; install the App again if it was removed".into(),
            ),
            StatusCode::NOT_FOUND => refused(
                format!("GitHub at `{}` has no App `{id}`", self.server.api),
                "check github.app.id (the `App ID` in the App's settings), and that the App was created on this server".into(),
            ),
            _ => refused(
                format!("GitHub returns no token of App `{id}` for installation `{installation}`"),
                format!("check the installation in the GitHub Apps settings of {}: it may be suspended or wait for an owner's approval", purpose.describe()),
            ),
        }
    }

    async fn knows_app(&self, proof: &Secret) -> bool {
        let answer = self.attempt(Call::Read, &Method::GET, "app", proof).await;
        answer.is_ok_and(|it| it.status.is_success())
    }
}

/// The error where the installation lacks a permission, or GitHub blocks it.
fn not_granted(answer: &Answer, purpose: Purpose<'_>, case: &ErrorContext<'_>) -> Option<Error> {
    let target = purpose.describe();
    let message = answer.message().unwrap_or_default().to_lowercase();
    let error = match answer.status {
        StatusCode::FORBIDDEN => {
            told(answer.ground()?, answer, case.server, case.kind, &target)?
        }
        StatusCode::UNPROCESSABLE_ENTITY if message.contains("permissions requested") => {
            match purpose {
                Purpose::Runners(_) => missing_permission(case)?,
                Purpose::Workflows(_) => Error::new(
                    ErrorKind::Unauthorized,
                    System::GitHub,
                    format!("the GitHub App lacks the permission to run workflows of {target}"),
                )
                .hint("give the App the repository permission `Actions: read and write` and accept it in the settings of the installation; or use another token with `--token-env VARIABLE`"),
            }
        }
        StatusCode::UNPROCESSABLE_ENTITY if message.contains("repository") => Error::new(
            ErrorKind::Unauthorized,
            System::GitHub,
            format!("the GitHub App is not installed for {target}"),
        )
        .hint(format!("add {target} in the settings of the installation, or correct github.app.installationId")),
        _ => return None,
    };
    Some(error.object(&case.server.api).cause(answer.said()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_with_the_least_that_serves() {
        let wanted = |purpose: Purpose<'_>| purpose.wanted();
        assert_eq!(
            wanted(Purpose::Runners(Scope::Organization("doge"))),
            Some(json!({"permissions": {"organization_self_hosted_runners": "write"}}))
        );
        assert_eq!(
            wanted(Purpose::Runners(Scope::Repository("doge/app"))),
            Some(json!({"permissions": {"administration": "write"}, "repositories": ["app"]}))
        );
        assert_eq!(
            wanted(Purpose::Workflows("doge/app")),
            Some(json!({"permissions": {"actions": "write"}, "repositories": ["app"]}))
        );
        assert_eq!(wanted(Purpose::Runners(Scope::Enterprise("doge"))), None);
    }
}
