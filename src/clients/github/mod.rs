//! A client for GitHub's REST API, for github.com and GitHub Enterprise Server.
//!
//! Built on reqwest (docs/decisions/0002): it sends a token only to the configured host, does not follow redirects,
//! and classifies errors by status and headers, not by guesses from text (reference: arc.md 5).

pub mod auth;
mod endpoints;
mod error;
mod groups;
mod request;
mod response;
mod retry;
mod runners;
mod scale_sets;
mod scope;
mod server;
mod workflows;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

use auth::app::{Installation, Purpose};
use endpoints::{read, refused};
use error::ErrorContext;
use groups::read::Groups;
use request::{Login, Place, Request, With};
use response::Answer;
use retry::Gate;
use runners::Pages;
use scale_sets::service::Services;
use scope::prefix;

use super::{
    cause::{ENVIRONMENT, innermost},
    credential::Credential,
    requests::{Call, Counter},
};
use crate::{
    error::{Error, Result, System},
    profile::Scope,
    secret::Secret,
    units::runner::RunnerVersion,
};
pub use auth::{audit::Audit, identity::Identity, token_kind::TokenKind};
pub use endpoints::{Question, RequestOrigin, meaning};
pub use error::message::MESSAGES;
pub use groups::{GroupFindings, access::GroupAccess, read::NamedGroup};
pub use runners::remove::Removed;
pub use scale_sets::{RegisteredSet, Statistics};
pub use server::{OLDEST, Product, Server, Version};
pub use workflows::{Job, JobStep, Repository, Run};

/// The timeout of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A self-hosted runner, as GitHub returns it.
#[derive(Clone, Debug, Deserialize)]
pub struct Runner {
    /// Its id.
    pub id: u64,
    /// Its name: the name of its pod.
    pub name: String,
    /// `online` or `offline`.
    pub status: String,
    /// Whether it runs a job.
    pub busy: bool,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<RunnerLabel>,
    /// The version of its program: absent before its first connection, and on older servers.
    #[serde(default)]
    pub version: Option<String>,
}

impl Runner {
    /// The version of its program.
    pub fn program(&self) -> Option<RunnerVersion> {
        self.version.as_deref().and_then(RunnerVersion::parse)
    }
}

/// A label of a runner.
#[derive(Clone, Debug, Deserialize)]
pub struct RunnerLabel {
    /// Its text.
    pub name: String,
}

/// A connection to one GitHub server.
pub struct GitHub {
    http: reqwest::Client,
    server: Server,
    credential: Credential,
    kind: TokenKind,
    has_bundle: bool,
    installations: tokio::sync::Mutex<HashMap<String, Installation>>,
    gate: Gate,
    pages: Pages,
    groups: Groups,
    services: Services,
    rests_until: Mutex<Option<Timestamp>>,
    /// The kinds of calls that have succeeded.
    succeeded: Mutex<HashSet<String>>,
    /// The calls made.
    pub requests: Arc<Counter>,
}

impl GitHub {
    /// A client for the server at `url` (`None`: github.com) that trusts `ca_bundle` (PEM) and the system's roots.
    pub fn new(url: Option<&str>, credential: Credential, ca_bundle: Option<&str>) -> Result<Self> {
        Self::at(Server::of(url), credential, ca_bundle)
    }

    /// A client for `server`.
    pub fn at(server: Server, credential: Credential, ca_bundle: Option<&str>) -> Result<Self> {
        let unusable = |cause: &reqwest::Error| {
            Error::failed(System::Local, "cannot set up a client for GitHub")
                .cause(innermost(cause))
                .hint(format!(
                    "check github.caBundle in the profile, {ENVIRONMENT}"
                ))
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("arcctl/", env!("CARGO_PKG_VERSION")))
            .timeout(CALL_TIMEOUT)
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = ca_bundle {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            http: builder.build().map_err(|error| unusable(&error))?,
            server,
            kind: TokenKind::of(&credential),
            credential,
            has_bundle: ca_bundle.is_some(),
            installations: tokio::sync::Mutex::default(),
            gate: Gate::default(),
            pages: Pages::default(),
            groups: Groups::default(),
            services: Services::default(),
            rests_until: Mutex::default(),
            succeeded: Mutex::default(),
            requests: Arc::default(),
        })
    }

    /// The URL of the API.
    pub fn base(&self) -> &str {
        &self.server.api
    }

    /// Until when GitHub has requested a pause; periodic callers wait for it.
    pub fn rests_until(&self) -> Option<Timestamp> {
        *self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a registration token, which proves that runners can register (reference: arc.md 5).
    /// Counted as a read: it creates only a token that expires within an hour.
    pub async fn registration(&self, scope: Scope<'_>) -> Result<()> {
        let path = format!("{}/actions/runners/registration-token", prefix(scope));
        self.call(&Method::POST, &path, scope).await?;
        Ok(())
    }

    fn json<T: serde::de::DeserializeOwned>(&self, answer: &Answer, what: &str) -> Result<T> {
        read(answer, &self.server, what)
    }

    /// The bearer token of calls for `purpose`: the token, or an installation token of the App.
    async fn bearer(&self, purpose: Purpose<'_>) -> Result<Secret> {
        match &self.credential {
            Credential::Token(token) => Ok(token.clone()),
            Credential::App { .. } => Ok(self.current_installation(purpose).await?.token),
        }
    }

    /// Makes a read call about `scope`, and converts an error response to an error.
    async fn call(&self, method: &Method, path: &str, scope: Scope<'_>) -> Result<Answer> {
        let bearer = self.bearer(Purpose::Runners(scope)).await?;
        let answer = self.attempt(Call::Read, method, path, &bearer).await?;
        if answer.is_taken() {
            return Ok(answer);
        }
        Err(self.refused(&answer, scope, &bearer).await)
    }

    /// The error for an error response about `scope`.
    async fn refused(&self, answer: &Answer, scope: Scope<'_>, bearer: &Secret) -> Error {
        let visible = if answer.status == StatusCode::NOT_FOUND && answer.is_json() {
            self.is_visible(scope, bearer).await
        } else {
            None
        };
        let case = ErrorContext {
            server: &self.server,
            scope,
            kind: self.kind,
            visible,
        };
        hidden(refused(answer, &case), bearer)
    }

    /// Whether the token can read an organization or repository; there is no such call for an enterprise.
    async fn is_visible(&self, scope: Scope<'_>, bearer: &Secret) -> Option<bool> {
        if matches!(scope, Scope::Enterprise(_)) {
            return None;
        }
        let answer = self
            .attempt(Call::Read, &Method::GET, &prefix(scope), bearer)
            .await;
        match answer.ok()?.status {
            StatusCode::OK => Some(true),
            StatusCode::NOT_FOUND => Some(false),
            _ => None,
        }
    }

    /// Makes one call.
    async fn attempt(
        &self,
        call: Call,
        method: &Method,
        path: &str,
        bearer: &Secret,
    ) -> Result<Answer> {
        self.attempt_with(call, method, path, With::Nothing, bearer)
            .await
    }

    /// Makes one call; with the `ETag` of an earlier response, returns 304 if nothing has changed since.
    async fn attempt_if_changed(
        &self,
        call: Call,
        method: &Method,
        path: &str,
        bearer: &Secret,
        tag: Option<&str>,
    ) -> Result<Answer> {
        let with = tag.map_or(With::Nothing, With::Tag);
        self.attempt_with(call, method, path, with, bearer).await
    }

    /// Makes one call with optional content.
    async fn attempt_with(
        &self,
        call: Call,
        method: &Method,
        path: &str,
        with: With<'_>,
        bearer: &Secret,
    ) -> Result<Answer> {
        let request = Request {
            call,
            method,
            place: Place::Api(path),
            login: Login::Bearer(bearer),
            with,
        };
        self.make(&request).await
    }
}

/// The error without the credential: a server's message can contain what arcctl sent.
fn hidden(error: Error, bearer: &Secret) -> Error {
    error.without(bearer)
}
