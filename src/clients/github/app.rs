//! A GitHub App's installation: the token it gets, kept until shortly before its end, and why it gets none.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{GitHub, app_token::assertion, hidden, refusal::common};
use crate::{
    clients::requests::Call,
    error::{Error, ErrorKind, Result, System},
    secret::Secret,
};

/// How long before its end a token is replaced: longer than any one call takes.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// How far a clock may be off before GitHub refuses what it signs.
const CLOCK_TOLERANCE: i64 = 60;

/// An installation token and what GitHub said of it.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    pub token: Secret,
    pub permissions: BTreeMap<String, String>,
    expires: Timestamp,
}

impl Installation {
    /// Whether it is still good for a call at `now`.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires.duration_since(now) > MARGIN
    }
}

#[derive(Deserialize)]
pub(super) struct Granted {
    token: String,
    expires_at: Timestamp,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

impl GitHub {
    /// Asks for a new installation token.
    pub(super) async fn new_installation(
        &self,
        id: &str,
        installation: &str,
        key: &Secret,
    ) -> Result<Installation> {
        let proof = assertion(id, key, Timestamp::now())?;
        let path = format!("app/installations/{installation}/access_tokens");
        // It leaves nothing behind but a token that ends within the hour.
        let answer = self
            .attempt(Call::Read, &Method::POST, &path, &proof)
            .await?;
        if answer.status.is_success() {
            let granted: Granted = self.json(&answer, "the call for an installation token")?;
            return Ok(Installation {
                token: Secret::trimmed(&granted.token).0,
                permissions: granted.permissions,
                expires: granted.expires_at,
            });
        }
        if let Some(error) = common(&answer, &self.server) {
            return Err(hidden(error, &proof));
        }
        let refused = |message: String, hint: String| {
            Error::new(ErrorKind::Unauthorized, System::GitHub, message)
                .object(&self.server.api)
                .cause(proof.redact(&answer.said()))
                .hint(hint)
        };
        let web = &self.server.web;
        Err(match answer.status {
            StatusCode::UNAUTHORIZED => match answer.clock_ahead() {
                Some(ahead) if ahead.abs() > CLOCK_TOLERANCE => {
                    let (off, side) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
                    refused(
                        format!("this machine's clock is {off} seconds {side} GitHub's, and GitHub refuses what App `{id}` signs by it"),
                        "set this machine's clock (chronyc makestep, timedatectl set-ntp true)".into(),
                    )
                }
                _ => refused(
                    format!("GitHub does not accept the private key of App `{id}`"),
                    format!("github.app.privateKey must be a key of the App whose id is in github.app.id; make a new one in the App's settings at {web}"),
                ),
            },
            StatusCode::NOT_FOUND if self.knows_app(&proof).await => refused(
                format!("GitHub App `{id}` has no installation `{installation}`"),
                "check github.app.installationId: it is the end of the address of the page where the installation is configured; install the App anew if it was removed".into(),
            ),
            StatusCode::NOT_FOUND => refused(
                format!("GitHub at `{}` knows no App `{id}`", self.server.api),
                "check github.app.id (the number in the App's settings, `App ID`), and that the App is of this server".into(),
            ),
            StatusCode::FORBIDDEN => refused(
                // GitHub has one status for both.
                format!("installation `{installation}` of GitHub App `{id}` is suspended, or this machine's address is not allowed"),
                "where the organization's Apps are configured, an owner unsuspends it; a list of allowed addresses is in the organization's security settings".into(),
            ),
            _ => refused(
                format!("GitHub App `{id}` gets no token for installation `{installation}`"),
                "check id, installationId and privateKey under github.app in the profile".into(),
            ),
        })
    }

    async fn knows_app(&self, proof: &Secret) -> bool {
        let answer = self.attempt(Call::Read, &Method::GET, "app", proof).await;
        answer.is_ok_and(|it| it.status.is_success())
    }
}
