//! A client for image registries: tags, manifests and blobs of a repository, read and written (OCI distribution
//! specification 1.1).
//!
//! It sends a credential only to the registry that it is for, and to the token server that this registry names. It follows
//! redirects of manifests and blobs only, and without a credential. Every call has a timeout, and every answer a limit.

mod address;
mod answer;
mod blobs;
mod challenge;
pub mod login;
mod manifest;
mod push;

pub use address::Address;
pub use manifest::{Document, Manifest};
pub use push::Source;

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::retry::{backoff, pause};
use crate::{
    error::{Error, Result, System},
    log,
    secret::Secret,
    units::digest::is_sha256,
};
use answer::{Answer, Silence, refused, unreachable};
use challenge::Challenge;
use http::{Method, StatusCode, header};
use login::{Login, Token};
use reqwest::Url;
use serde::Deserialize;

/// The timeout of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The most attempts of a call that fails for a reason that may pass.
const ATTEMPTS: u32 = 3;

/// How many tags are asked for at once. Registries give fewer; one gives all of them only if asked for many (ghcr.io).
const PAGE: usize = 1000;

/// The most pages of a list: more than any repository of runner images has.
const PAGES: usize = 200;

/// What a manifest may be.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// What a request has beside its method, its URL and the credential.
type Parts<'p> = &'p (dyn Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder + Sync);

#[derive(Deserialize)]
struct Tags {
    /// Null where a repository has none.
    tags: Option<Vec<String>>,
}

/// A connection to one repository of a registry.
pub struct Repository<'a> {
    http: reqwest::Client,
    address: Address,
    logins: Vec<&'a Login>,
    /// What is done with the repository, for messages.
    purpose: &'static str,
    /// Which of the logins the registry has accepted last.
    accepted: AtomicUsize,
    /// Whether the registry has answered a login as if what was asked for were not there, and no other login has got it since.
    hidden: AtomicBool,
    /// The most bytes of a blob that are sent at once.
    piece: AtomicU64,
    /// The `Authorization` that the registry has accepted last.
    authorization: Mutex<Option<Secret>>,
}

impl<'a> Repository<'a> {
    /// A client for the repository at `address`, with the logins for it, which are tried in turn.
    pub fn new(address: Address, logins: Vec<&'a Login>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("arcctl/", env!("CARGO_PKG_VERSION")))
            .timeout(CALL_TIMEOUT)
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                Error::failed(System::Local, "cannot set up a client for registries")
                    .cause(error)
                    .hint("check the proxy settings of the environment")
            })?;
        Ok(Self {
            http,
            address,
            logins,
            purpose: "read",
            accepted: AtomicUsize::new(0),
            hidden: AtomicBool::new(false),
            piece: AtomicU64::new(push::PIECE),
            authorization: Mutex::default(),
        })
    }

    /// Where it is.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The same, to write into it.
    #[must_use]
    pub fn for_writing(mut self) -> Self {
        self.purpose = "write";
        self
    }

    /// Whether another login may see what was not there: some registries answer so where a login may not read a repository.
    pub fn may_be_hidden(&self) -> bool {
        self.hidden.load(Ordering::Relaxed)
    }

    /// All tags, page by page.
    pub async fn tags(&self) -> Result<Vec<String>> {
        let mut next = self.address.url(&format!("tags/list?n={PAGE}"))?;
        let (mut tags, mut seen) = (Vec::new(), BTreeSet::new());
        while seen.insert(next.to_string()) && seen.len() <= PAGES {
            let answer = self.call(&Method::GET, &next, "application/json").await?;
            let page: Tags = answer.json(&self.address)?;
            tags.extend(page.tags.unwrap_or_default());
            match answer.next(&next) {
                Some(link) if link.origin() == next.origin() => next = link,
                None => return Ok(tags),
                // A credential is sent to this registry only.
                Some(link) => {
                    let host = link.host_str().unwrap_or_default();
                    return Err(self.address.failed(&format!(
                        "continues its list of tags on another host, `{host}`"
                    )));
                }
            }
        }
        Err(self.address.failed("returned an endless list of tags"))
    }

    /// The digest of a tag.
    pub async fn digest(&self, tag: &str) -> Result<String> {
        let answer = self.at_its_place(&Method::HEAD, tag).await?;
        let answer = self.succeeded(answer)?;
        let digest = answer.header("docker-content-digest");
        digest
            .filter(|it| is_sha256(it))
            .map(str::to_owned)
            .ok_or_else(|| {
                self.address
                    .failed(&format!("returned no digest for the tag `{tag}`"))
            })
    }

    /// Makes a call that must succeed.
    async fn call(&self, method: &Method, url: &Url, accept: &str) -> Result<Answer> {
        let answer = self.answered(method, url, accept).await?;
        self.succeeded(answer)
    }

    /// The answer, or the error for one that refuses.
    fn succeeded(&self, answer: Answer) -> Result<Answer> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refused(&answer))
    }

    /// Makes a call; signs in where the registry asks for it. As the kubelet does it, each login is tried until the registry
    /// accepts one: another may be for other repositories of the same host, or no longer valid. The answer may be of any
    /// status but 401.
    async fn answered(&self, method: &Method, url: &Url, accept: &str) -> Result<Answer> {
        self.exchanged(
            method,
            url,
            &|it| it.header(header::ACCEPT, accept),
            ATTEMPTS,
        )
        .await
    }

    /// The same with any parts, and at most so many attempts: a request that must not be sent twice has one.
    async fn exchanged(
        &self,
        method: &Method,
        url: &Url,
        parts: Parts<'_>,
        most: u32,
    ) -> Result<Answer> {
        let answer = self.attempts(method, url, parts, most).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = Challenge::best(&answer.headers);
        let mut error = self.refused(&answer);
        let mut absent = None;
        for (index, login) in self.in_turn() {
            match self.signed_in(challenge.as_ref(), login).await {
                Ok(Some(authorization)) => self.remember(Some(authorization)),
                // The registry wants no login of this kind.
                Ok(None) => continue,
                Err(other) if other.passing => return Err(other),
                Err(other) => {
                    error = other;
                    continue;
                }
            }
            let answer = self.attempts(method, url, parts, most).await?;
            // For a blob a registry may name another place.
            if answer.status.is_success() || answer.status.is_redirection() {
                self.accepted.store(index, Ordering::Relaxed);
                self.hidden.store(false, Ordering::Relaxed);
                return Ok(answer);
            }
            error = self.refused(&answer);
            if error.passing {
                return Err(error);
            }
            // Some registries answer so where the login may not read the repository.
            if answer.status == StatusCode::NOT_FOUND {
                self.hidden.store(true, Ordering::Relaxed);
                absent = Some(answer);
            } else if ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status) {
                self.accepted.store(index, Ordering::Relaxed);
                return Ok(answer);
            }
        }
        // Nothing says which login is the right one: the next call tries all of them again.
        if self.logins.len() > 1 {
            self.remember(None);
        }
        absent.ok_or(error)
    }

    /// The logins, beginning with the one that was accepted last; nobody's, where there is none.
    fn in_turn(&self) -> impl Iterator<Item = (usize, Option<&'a Login>)> {
        let count = self.logins.len().max(1);
        let first = self.accepted.load(Ordering::Relaxed);
        let indexes = (0..count).map(move |it| (first + it) % count);
        indexes.map(move |it| (it, self.logins.get(it).copied()))
    }

    /// The `Authorization` for the repository, as the registry wants it; `None` where it wants another kind of login.
    async fn signed_in(
        &self,
        challenge: Option<&Challenge>,
        login: Option<&Login>,
    ) -> Result<Option<Secret>> {
        match (challenge, login) {
            (Some(Challenge::Bearer(wanted)), _) => {
                let url = wanted.url(&self.address, login.is_some_and(Login::is_posted))?;
                let token = self.token(url, login).await?;
                let value = format!("Bearer {}", token.expose());
                Ok(Some(Secret::trimmed(&value).0))
            }
            (Some(Challenge::Basic), Some(login)) => {
                let wrong = "needs a user name and a password, and the login has only a token";
                let value = login.basic().ok_or_else(|| self.address.failed(wrong))?;
                Ok(Some(value))
            }
            _ => Ok(None),
        }
    }

    /// A token from the server that the registry names.
    async fn token(&self, url: Url, login: Option<&Login>) -> Result<Secret> {
        let host = url.host_str().unwrap_or_default();
        let method = match login {
            Some(Login::Identity(_)) => Method::POST,
            Some(Login::Basic { .. }) | None => Method::GET,
        };
        let request = || self.token_request(&url, login);
        let answer = retried(&method, &url, host, request, ATTEMPTS).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let token: Token = answer.json(&self.address)?;
        token.value().ok_or_else(|| {
            self.address
                .failed("has a token server that returned no token")
        })
    }

    fn token_request(&self, url: &Url, login: Option<&Login>) -> reqwest::RequestBuilder {
        match login {
            Some(Login::Identity(token)) => {
                let mut form = url.clone();
                form.query_pairs_mut()
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("client_id", "arcctl")
                    .append_pair("refresh_token", token.expose());
                let mut target = url.clone();
                target.set_query(None);
                self.http
                    .post(target)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.query().unwrap_or_default().to_owned())
            }
            Some(login @ Login::Basic { .. }) => {
                authorized(self.http.get(url.clone()), login.basic().as_ref())
            }
            None => self.http.get(url.clone()),
        }
    }

    /// The error for an answer that refuses, without what was sent: a server's message may repeat it.
    fn refused(&self, answer: &Answer) -> Error {
        let mut error = refused(answer, &self.address, self.logins.len(), self.purpose);
        for secret in self.logins.iter().flat_map(|it| it.secrets()) {
            error = error.without(secret);
        }
        match self.remembered() {
            Some(sent) => error.without(&sent),
            None => error,
        }
    }

    async fn attempts(
        &self,
        method: &Method,
        url: &Url,
        parts: Parts<'_>,
        most: u32,
    ) -> Result<Answer> {
        let request = || {
            let request = parts(self.http.request(method.clone(), url.clone()));
            authorized(request, self.remembered().as_ref())
        };
        retried(method, url, &self.address.host, request, most).await
    }

    fn remember(&self, authorization: Option<Secret>) {
        // A poisoned lock only means that another task panicked; the value is still whole.
        let mut known = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = authorization;
    }

    fn remembered(&self) -> Option<Secret> {
        let known = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

/// Sends a request again where the failure may pass; the last answer is returned, whatever its status.
async fn retried(
    method: &Method,
    url: &Url,
    host: &str,
    request: impl Fn() -> reqwest::RequestBuilder,
    most: u32,
) -> Result<Answer> {
    let mut attempt = 1;
    loop {
        match sent(method, url, attempt, request()).await {
            Ok(answer) if attempt >= most || !answer.may_pass() => return Ok(answer),
            Err(error) if attempt >= most || !error.may_pass() => {
                return Err(unreachable(&error, host));
            }
            _ => pause(backoff(attempt)).await,
        }
        attempt += 1;
    }
}

/// Sends a request, and logs it without its query, where a token could be.
async fn sent(
    method: &Method,
    url: &Url,
    attempt: u32,
    request: reqwest::RequestBuilder,
) -> Result<Answer, Silence> {
    let began = Instant::now();
    let reply = Answer::of(request).await;
    let status = reply.as_ref().map(|it| it.status.as_u16());
    let host = url.host_str().unwrap_or_default();
    let action = format_args!("{method} {host}{}", url.path());
    log::answered("registry", action, status, began, attempt);
    reply
}

fn authorized(request: reqwest::RequestBuilder, with: Option<&Secret>) -> reqwest::RequestBuilder {
    match with {
        Some(value) => request.header(header::AUTHORIZATION, value.expose()),
        None => request,
    }
}
