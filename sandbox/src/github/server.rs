//! The HTTP server for the operations: paths by mode, headers, latency, validation against the `OpenAPI` description.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, request};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};

use super::call::{Answer, Call};
use super::examples::Examples;
use super::refusal::{Refusal, Told};
use super::routes::{Outcome, dispatch};
use super::state::State;
use super::token::random;
use super::{BYTE_ORDER_MARK, Mode, sandbox_routes, scale_sets};
use crate::github_com;
use crate::listen::{Body, Unanswered, whole};
use crate::openapi::{AnswerView, OpenApi, RequestView};

/// What all connections share.
pub(super) struct Shared {
    pub(super) mode: Mode,
    pub(super) latency: Duration,
    pub(super) scheme: &'static str,
    pub(super) api: &'static OpenApi,
    pub(super) state: Mutex<State>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scheme and the host that a request came to. By the names of github.com only HTTPS leads here.
    pub(super) fn origin(&self, headers: &HeaderMap) -> String {
        let host = text(headers, "host").unwrap_or("localhost");
        let is_public = [github_com::API, github_com::SERVICE].contains(&host);
        let scheme = if is_public { "https" } else { self.scheme };
        format!("{scheme}://{host}")
    }
}

/// Answers one request.
pub(super) async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Unanswered> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Unanswered)?.to_bytes();
    if let Some(path) = parts.uri.path().strip_prefix("/_sandbox") {
        let answer = sandbox_routes::answer(&mut shared.state(), &parts.method, path, &body);
        return Ok(response(answer, HeaderMap::new()));
    }
    if let Some(path) = parts.uri.path().strip_prefix(scale_sets::SERVICES) {
        let path = format!("/{path}");
        return Ok(scale_sets::handle(&shared, &parts, &path, &body).await);
    }
    tokio::time::sleep(shared.latency).await;
    let prefix = shared.mode.prefix();
    match parts.uri.path().strip_prefix(prefix) {
        // The root of the API, which only lists addresses: a server in private mode tells them to nobody without a token.
        Some("" | "/") if !prefix.is_empty() => {
            Ok(response(Refusal::NoCredentials.into(), HeaderMap::new()))
        }
        Some(path) if path.starts_with('/') => Ok(operation(&shared, &parts, path, &body)),
        // Below `/` a GitHub Enterprise Server is a web site.
        _ => {
            let mut response = Response::new(whole("<html><body>Not Found</body></html>"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
            Ok(response)
        }
    }
}

fn operation(shared: &Shared, parts: &request::Parts, path: &str, body: &Bytes) -> Response<Body> {
    let query = parts.uri.query().unwrap_or_default();
    let origin = shared.origin(&parts.headers);
    let base = format!("{origin}{}", shared.mode.prefix());
    let mut violations = shared.api.check_request(&RequestView {
        method: parts.method.as_str(),
        path,
        query,
        content_type: text(&parts.headers, "content-type"),
        body,
    });
    let shipped = shared.state().shipped.clone();
    let examples = Examples {
        api: shared.api,
        base: &base,
        version: shared.mode.version(),
        shipped: &shipped,
    };
    let call = Call::new(
        &parts.method,
        path,
        query,
        &parts.headers,
        body,
        base.clone(),
    );
    let mut state = shared.state();
    state.requests += 1;
    let outcome = dispatch(&mut state, &call, &examples);
    if let Some(told) = outcome.told
        && told.is_bare()
    {
        return bare(told, &outcome.answer);
    }
    let is_told = outcome.told.is_some();
    let headers = common_headers(&state, &shared.mode, &outcome);
    let answer = outcome.answer;
    let encoded = encode(&answer);
    // What GitHub does beside its description is no fault of the stand-in.
    let described = shared.api.check_answer(
        parts.method.as_str(),
        path,
        &AnswerView {
            status: answer.status.as_u16(),
            content_type: answer.body.as_ref().map(|_| JSON),
            body: &encoded,
        },
    );
    violations.extend(described.into_iter().filter(|_| !is_told));
    state.violations.append(&mut violations);
    conditional(&mut state, parts, answer, &encoded, headers)
}

/// An answer that the API did not give: without its headers, empty or a page.
fn bare(told: Told, answer: &Answer) -> Response<Body> {
    let page = told.page();
    let mut response = Response::new(whole(page.unwrap_or_default()));
    *response.status_mut() = answer.status;
    if page.is_some() {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
    }
    response
}

/// A GET's answer has an `ETag`; who comes with it again gets 304, which the rate limit does not count (docs.github.com:
/// "Best practices for using the REST API", conditional requests).
fn conditional(
    state: &mut State,
    parts: &request::Parts,
    mut answer: Answer,
    encoded: &[u8],
    headers: HeaderMap,
) -> Response<Body> {
    if parts.method != http::Method::GET || answer.status != StatusCode::OK {
        return response(answer, headers);
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(encoded);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    if text(&parts.headers, "if-none-match") == Some(tag.as_str()) {
        answer.status = StatusCode::NOT_MODIFIED;
        answer.body = None;
        if let Some(limit) = &mut state.rate_limit {
            limit.remaining = (limit.remaining + 1).min(limit.limit);
        }
    }
    response(answer.with("etag", tag), headers)
}

const JSON: &str = "application/json; charset=utf-8";

fn encode(answer: &Answer) -> Vec<u8> {
    answer
        .body
        .as_ref()
        .map(|body| body.to_string().into_bytes())
        .unwrap_or_default()
}

pub(super) fn response(answer: Answer, headers: HeaderMap) -> Response<Body> {
    let bytes = encode(&answer);
    with_body(answer, bytes, headers)
}

/// An answer whose body begins with a byte order mark.
pub(super) fn marked(answer: Answer) -> Response<Body> {
    let mut bytes = encode(&answer);
    if !bytes.is_empty() {
        bytes = [&BYTE_ORDER_MARK[..], &bytes].concat();
    }
    with_body(answer, bytes, HeaderMap::new())
}

fn with_body(answer: Answer, bytes: Vec<u8>, mut headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(whole(bytes));
    *response.status_mut() = answer.status;
    if answer.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    for (name, value) in answer.headers {
        insert(&mut headers, name, &value);
    }
    *response.headers_mut() = headers;
    response
}

/// The headers every answer of GitHub's carries, as far as a client can make use of them.
fn common_headers(state: &State, mode: &Mode, outcome: &Outcome) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let id = format!("{}:{}", random(4), random(8)).to_uppercase();
    insert(&mut headers, "x-github-request-id", &id);
    if let Some(version) = mode.version() {
        insert(
            &mut headers,
            "x-github-enterprise-version",
            &format!("enterprise-server@{version}"),
        );
    }
    let Some(token) = &outcome.token else {
        return headers;
    };
    if let Some(scopes) = token.scopes() {
        insert(&mut headers, "x-oauth-scopes", &scopes);
        insert(
            &mut headers,
            "x-accepted-oauth-scopes",
            &outcome.accepted_scopes.join(", "),
        );
    } else if let Some(permission) = outcome.accepted_permission {
        insert(
            &mut headers,
            "x-accepted-github-permissions",
            &format!("{permission}=write"),
        );
    }
    if let Some(end) = token.expires_at {
        let end = end.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        insert(&mut headers, "github-authentication-token-expiration", &end);
    }
    if let Some(limit) = &state.rate_limit {
        let used = limit.limit - limit.remaining;
        insert(&mut headers, "x-ratelimit-limit", &limit.limit.to_string());
        insert(
            &mut headers,
            "x-ratelimit-remaining",
            &limit.remaining.to_string(),
        );
        insert(&mut headers, "x-ratelimit-reset", &limit.reset.to_string());
        insert(&mut headers, "x-ratelimit-used", &used.to_string());
        insert(&mut headers, "x-ratelimit-resource", "core");
    }
    headers
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Everything inserted here is printable; a login or slug that is not would only lose its header.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
