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
mod sign_in;

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

use http::{Method, header};
use reqwest::Url;
use serde::Deserialize;

use answer::{Answer, Silence, refused, unreachable};
use login::Login;

use super::{
    cause::{ENVIRONMENT, innermost},
    retry::{backoff, pause},
};
use crate::{
    error::{Error, Result, System},
    log,
    secret::Secret,
    units::digest::is_sha256,
};

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
                    .cause(innermost(&error))
                    .hint(format!("check {ENVIRONMENT}"))
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
