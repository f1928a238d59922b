//! The Actions service behind GitHub's API: its address and a token of it, renewed before it ends, and calls to it
//! (reference: scale-sets.md 8).

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::{
    clients::{
        github::{
            GitHub,
            error::{
                ErrorContext,
                service::{Asked, service_refusal},
            },
            hidden,
            request::{Login, Place, Request, With},
            response::Answer,
            scope::{page, prefix},
            server::Server,
        },
        requests::Call,
        retry::{backoff, pause},
    },
    error::{Error, Result},
    log,
    profile::Scope,
    secret::Secret,
};

/// How long before its end a token is replaced, as GitHub's own client does.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// How long a token is used that does not say when it ends.
const UNDATED: SignedDuration = SignedDuration::from_mins(5);

/// How often the request for the service is made while GitHub does not yet know the registration token that it has just
/// issued (401 and 403, as the controller does).
const ATTEMPTS: u32 = 4;

/// The version of the service's API.
const VERSION: &str = "api-version=6.0-preview";

/// The service of each scope that was asked for.
pub(crate) type Services = tokio::sync::Mutex<HashMap<String, Service>>;

/// The service's address and a token of it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    address: String,
    token: Secret,
    until: Timestamp,
}

impl Service {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.until.duration_since(now) > MARGIN
    }
}

/// A token as GitHub issues it. It is made a [`Secret`] at once.
#[derive(Deserialize)]
struct Issued {
    #[serde(default)]
    url: String,
    token: String,
}

impl Issued {
    fn secret(&self) -> Secret {
        let token = Secret::trimmed(&self.token).0;
        log::hide(&token);
        token
    }
}

impl GitHub {
    /// Makes a call to the service of `scope`; `path` is below `_apis/runtime`. A token that it does not accept any more is
    /// replaced once.
    pub(super) async fn at_service(
        &self,
        scope: Scope<'_>,
        call: Call,
        method: &Method,
        path: &str,
    ) -> Result<Answer> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let path = format!("_apis/runtime/{path}{mark}{VERSION}");
        let mut is_new = false;
        loop {
            let service = self.service(scope).await?;
            let request = Request {
                call,
                method,
                place: Place::Service {
                    address: &service.address,
                    path: &path,
                },
                login: Login::Bearer(&service.token),
                with: With::Nothing,
            };
            let answer = self.make(&request).await?;
            if answer.status != StatusCode::UNAUTHORIZED || is_new {
                return Ok(answer);
            }
            is_new = true;
            self.services.lock().await.remove(&prefix(scope));
        }
    }

    /// The error for an error response of the service.
    pub(super) fn service_refused(&self, scope: Scope<'_>, answer: &Answer, asked: Asked) -> Error {
        service_refusal(answer, &self.server, &self.service_case(scope), asked)
    }

    const fn service_case<'a>(&'a self, scope: Scope<'a>) -> ErrorContext<'a> {
        ErrorContext {
            server: &self.server,
            scope,
            kind: self.kind,
            visible: None,
        }
    }

    /// The service of `scope`, with a token that is still valid for a call.
    async fn service(&self, scope: Scope<'_>) -> Result<Service> {
        let key = prefix(scope);
        let mut known = self.services.lock().await;
        if let Some(service) = known.get(&key).filter(|it| it.is_fresh(Timestamp::now())) {
            return Ok(service.clone());
        }
        let service = self.found_service(scope).await?;
        known.insert(key, service.clone());
        Ok(service)
    }

    /// Asks the API for the service, with a registration token.
    async fn found_service(&self, scope: Scope<'_>) -> Result<Service> {
        let path = format!("{}/actions/runners/registration-token", prefix(scope));
        let answer = self.call(&Method::POST, &path, scope).await?;
        let issued: Issued = self.json(&answer, "the registration token")?;
        let token = issued.secret();
        let body = json!({"url": page(scope, &self.server.web), "runner_event": "register"});
        let request = Request {
            // It makes nothing but a token that ends by itself.
            call: Call::Read,
            method: &Method::POST,
            place: Place::Api("actions/runner-registration"),
            login: Login::Registration(&token),
            with: With::Body(&body),
        };
        let mut attempt = 1;
        loop {
            let answer = self.make(&request).await?;
            if answer.is_taken() {
                let issued: Issued = self.json(&answer, "the request for the Actions service")?;
                return service(&issued, &self.server, answer.received);
            }
            let not_yet = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
            if !not_yet.contains(&answer.status) || attempt == ATTEMPTS {
                let error = self.service_refused(scope, &answer, Asked::Address);
                return Err(hidden(error, &token));
            }
            let length = backoff(attempt);
            log::again("github", answer.status, length);
            pause(length).await;
            attempt += 1;
        }
    }
}

/// The service that GitHub named. A token is not sent over an unencrypted connection, unless the API has none either.
fn service(issued: &Issued, server: &Server, now: Timestamp) -> Result<Service> {
    let encrypted = issued.url.starts_with("https://");
    let plain = server.api.starts_with("http://") && issued.url.starts_with("http://");
    if !encrypted && !plain {
        return Err(Error::failed(
            crate::error::System::GitHub,
            format!(
                "GitHub at `{}` names no usable address of its Actions service",
                server.api
            ),
        )
        .object(&server.api)
        .hint("check whether a proxy changes the responses, and that Actions is enabled on the server"));
    }
    let token = issued.secret();
    let until = end(&issued.token).unwrap_or_else(|| now.checked_add(UNDATED).unwrap_or(now));
    Ok(Service {
        address: issued.url.trim_end_matches('/').to_owned(),
        token,
        until,
    })
}

/// When a JWT ends, by its `exp`.
fn end(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.exp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))
    }

    fn issued(url: &str, token: &str) -> Issued {
        Issued {
            url: url.into(),
            token: token.into(),
        }
    }

    #[test]
    fn a_token_is_replaced_a_minute_before_its_end() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let server = Server::of(None);
        let fresh = |exp: i64| {
            let issued = issued("https://x/1/", &token(&format!(r#"{{"exp": {exp}}}"#)));
            let service = service(&issued, &server, now).unwrap();
            assert_eq!(service.address, "https://x/1");
            service.is_fresh(now)
        };
        assert!(fresh(1_000_061));
        assert!(!fresh(1_000_060));
        let undated = service(&issued("https://x", "opaque"), &server, now).unwrap();
        assert!(undated.is_fresh(now));
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear() {
        let now = Timestamp::UNIX_EPOCH;
        let cloud = Server::of(None);
        assert!(service(&issued("http://x", "t"), &cloud, now).is_err());
        assert!(service(&issued("", "t"), &cloud, now).is_err());
        let local = Server::of(Some("http://127.0.0.1:1"));
        assert!(service(&issued("http://127.0.0.1:1/s", "t"), &local, now).is_ok());
    }
}
