//! One request: where it goes, with which credential and content; and its attempts.

use std::{sync::PoisonError, time::Instant};

use http::{Method, header};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    GitHub,
    error::connect::{may_pass, unreachable},
    response::Answer,
    retry::{ATTEMPTS, asked},
    server::Server,
};
use crate::{
    clients::{
        requests::Call,
        retry::{backoff, pause},
    },
    error::Result,
    log,
    secret::Secret,
};

/// May begin a body of the Actions service, which is written in .NET: it is no part of the JSON. GitHub's own clients cut it off
/// every body (actions/scaleset, `session_client.go`; github/actions/client.go of Actions Runner Controller).
const BYTE_ORDER_MARK: &[u8; 3] = b"\xef\xbb\xbf";

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// A path of the API.
    Api(&'a str),
    /// A path of the Actions service, at the address that the API named.
    Service {
        /// The service's address.
        address: &'a str,
        /// The path.
        path: &'a str,
    },
}

/// A credential, as a request sends it.
#[derive(Clone, Copy)]
pub(super) enum Login<'a> {
    /// A token of the API or of the Actions service.
    Bearer(&'a Secret),
    /// A registration token: `RemoteAuth`, as a runner sends it.
    Registration(&'a Secret),
}

/// Optional content of a request.
#[derive(Clone, Copy)]
pub(super) enum With<'a> {
    /// None.
    Nothing,
    /// The `ETag` of an earlier response.
    Tag(&'a str),
    /// A JSON body.
    Body(&'a Value),
}

/// A request.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    /// Whether it can change something.
    pub(super) call: Call,
    /// Its method.
    pub(super) method: &'a Method,
    /// Where it goes.
    pub(super) place: Place<'a>,
    /// Its credential.
    pub(super) login: Login<'a>,
    /// Its content.
    pub(super) with: With<'a>,
}

impl Request<'_> {
    const fn path(&self) -> &str {
        match self.place {
            Place::Api(path) | Place::Service { path, .. } => path,
        }
    }

    fn url(&self, server: &Server) -> String {
        match self.place {
            Place::Api(path) => format!("{}/{path}", server.api),
            Place::Service { address, path } => format!("{address}/{path}"),
        }
    }

    fn builder(&self, client: &reqwest::Client, server: &Server) -> reqwest::RequestBuilder {
        let request = client.request(self.method.clone(), self.url(server));
        let request = match self.login {
            Login::Bearer(token) => request.bearer_auth(token.expose()),
            Login::Registration(token) => request.header(
                header::AUTHORIZATION,
                format!("RemoteAuth {}", token.expose()),
            ),
        };
        let request = match self.place {
            Place::Api(_) => request
                .header(header::ACCEPT, "application/vnd.github+json")
                .header("X-GitHub-Api-Version", "2022-11-28"),
            Place::Service { .. } => request.header(header::ACCEPT, "application/json"),
        };
        match self.with {
            With::Nothing => request,
            With::Tag(tag) => request.header(header::IF_NONE_MATCH, tag),
            With::Body(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_string()),
        }
    }
}

impl GitHub {
    /// Makes one request. If GitHub asks for a short pause, all calls of this client wait, and the call is retried: GitHub did
    /// not execute it. After other failures, only read calls are retried.
    pub(super) async fn make(&self, request: &Request<'_>) -> Result<Answer> {
        let harmless = request.call == Call::Read;
        let mut attempt = 1;
        loop {
            self.gate.pass().await;
            self.requests.count(request.call);
            let began = Instant::now();
            let reply = self.once(request).await;
            let status = reply.as_ref().map(|it| it.status.as_u16());
            let action = format_args!("{} /{}", request.method, request.path());
            log::answered("github", action, status, began, attempt);
            if let Some((_, until)) = reply.as_ref().ok().and_then(Answer::limit) {
                *self
                    .rests_until
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(until);
            }
            let again = match &reply {
                Ok(answer) if answer.status.is_server_error() && harmless => Some(backoff(attempt)),
                Ok(answer) => asked(answer).inspect(|length| self.gate.close(*length)),
                Err(error) => (harmless && may_pass(error)).then(|| backoff(attempt)),
            };
            match (again, reply) {
                (Some(length), reply) if attempt < ATTEMPTS => {
                    match reply {
                        Ok(answer) => log::again("github", answer.status, length),
                        Err(error) => log::again("github", error, length),
                    }
                    pause(length).await;
                }
                (_, Ok(answer)) => return Ok(answer),
                (_, Err(error)) => {
                    let server = self.asked_server(request.place);
                    return Err(unreachable(&error, &server, self.has_bundle).await);
                }
            }
            attempt += 1;
        }
    }

    /// The server of a request, for messages: the Actions service of github.com is another host than its API.
    pub(super) fn asked_server(&self, place: Place<'_>) -> Server {
        match place {
            Place::Api(_) => self.server.clone(),
            Place::Service { address, .. } => Server {
                api: origin(address).unwrap_or_else(|| self.server.api.clone()),
                ..self.server.clone()
            },
        }
    }

    async fn once(&self, request: &Request<'_>) -> reqwest::Result<Answer> {
        let mut response = request.builder(&self.http, &self.server).send().await?;
        let received = Timestamp::now();
        let headers = std::mem::take(response.headers_mut());
        let status = response.status();
        let body = response.bytes().await?;
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body).to_vec();
        let mut answer = Answer {
            status,
            headers,
            body,
            received,
            succeeded_before: false,
        };
        let kind = kind_of_call(request.method, request.path());
        let mut succeeded = self
            .succeeded
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if answer.is_taken() {
            succeeded.insert(kind);
        } else {
            answer.succeeded_before = succeeded.contains(&kind);
        }
        Ok(answer)
    }
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> Option<String> {
    let url = reqwest::Url::parse(address).ok()?;
    Some(url.origin().ascii_serialization())
}

/// The path of a call without numbers and query, so that similar calls are the same kind.
fn kind_of_call(method: &Method, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let step = |it: &str| {
        if it.bytes().all(|it| it.is_ascii_digit()) {
            "#".to_owned()
        } else {
            it.to_owned()
        }
    };
    let steps: Vec<String> = path.split('/').map(step).collect();
    format!("{method} {}", steps.join("/"))
}
