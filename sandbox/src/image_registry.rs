//! A stand-in for an image registry: tags, page by page, and the index of each, behind a token server (OCI distribution
//! specification 1.1, and the token authentication of Docker's registry). It has no layers.
//!
//! As registry.k8s.io it may send to another place for manifests, where nobody signs in.
//!
//! Its faults: a tag that moves, one that goes, and a digest that is not that of what it sends.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, LINK, LOCATION, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::listen::{Body, Server, Unanswered, whole};

/// The media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The path of the place that wants no login.
const OPEN: &str = "/open";

/// What a stand-in starts with.
pub struct Options {
    /// The tags by repository.
    pub tags: BTreeMap<String, Vec<String>>,
    /// The name and password that the token server wants; nobody needs one without.
    pub login: Option<(String, String)>,
    /// The identity token that it takes in place of both, in a form.
    pub identity: Option<String>,
    /// The most tags of a page, however many are asked for.
    pub page: usize,
    /// How long every answer takes.
    pub latency: Duration,
    /// For how many requests a token is good.
    pub uses: u32,
}

impl Default for Options {
    /// Open to everybody, and late, with pages that a list does not fit in.
    fn default() -> Self {
        Self {
            tags: BTreeMap::new(),
            login: None,
            identity: None,
            page: 3,
            latency: Duration::from_millis(20),
            uses: u32::MAX,
        }
    }
}

#[derive(Default)]
struct State {
    /// The tokens that are out: for which repository, and for how many more requests.
    tokens: BTreeMap<String, (String, u32)>,
    requests: u64,
    /// The status every request is refused with.
    refusal: Option<StatusCode>,
    /// How often a tag was moved, by repository and tag.
    moves: BTreeMap<(String, String), u32>,
    /// The tags that were removed.
    removed: BTreeSet<(String, String)>,
    /// Whether the digests it names are others than those of what it sends.
    lies: bool,
    /// Where it sends to for manifests.
    elsewhere: Option<String>,
    violations: BTreeSet<String>,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; it ends when this is dropped.
pub struct ImageRegistry {
    shared: Arc<Shared>,
    server: Server,
}

impl ImageRegistry {
    /// Starts one on a free port of loopback.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
        });
        let for_connections = Arc::clone(&shared);
        let server = Server::start(0, None, move |_| {
            let shared = Arc::clone(&for_connections);
            move |request| answer(Arc::clone(&shared), request)
        })
        .await?;
        Ok(Self { shared, server })
    }

    /// Its host and port, as the first part of a reference.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// How many requests it had, those to the token server included.
    pub fn requests(&self) -> u64 {
        self.shared.state().requests
    }

    /// Refuses every request with a status, until told otherwise.
    pub fn refuse_with(&self, status: Option<StatusCode>) {
        self.shared.state().refusal = status;
    }

    /// What was wrong with the requests it had.
    pub fn violations(&self) -> Vec<String> {
        self.shared.state().violations.iter().cloned().collect()
    }

    /// Has a tag name another image from now on.
    pub fn move_tag(&self, repository: &str, tag: &str) {
        let key = (repository.to_owned(), tag.to_owned());
        *self.shared.state().moves.entry(key).or_default() += 1;
    }

    /// Removes a tag.
    pub fn remove_tag(&self, repository: &str, tag: &str) {
        let key = (repository.to_owned(), tag.to_owned());
        self.shared.state().removed.insert(key);
    }

    /// Names digests that are not those of what it sends, until told otherwise.
    pub fn lie(&self, lies: bool) {
        self.shared.state().lies = lies;
    }

    /// Sends to another place for manifests from now on: to `BASE/NAME/manifests/REFERENCE`.
    pub fn send_to(&self, base: Option<String>) {
        self.shared.state().elsewhere = base;
    }

    /// A place of its own that has the manifests too, and wants no login.
    pub fn open_place(&self) -> String {
        format!("http://{}{OPEN}", self.host())
    }

    /// The digest of a tag that has not been moved.
    pub fn digest(repository: &str, tag: &str) -> String {
        digest(&index(repository, tag, 0))
    }
}

impl State {
    /// The index that a tag or a digest names now.
    fn find(&self, name: &str, tags: &[String], reference: &str) -> Option<String> {
        let is_digest = reference.starts_with("sha256:");
        tags.iter().find_map(|tag| {
            let key = (name.to_owned(), tag.clone());
            let moves = self.moves.get(&key).copied().unwrap_or_default();
            if is_digest {
                // What a tag has named before is still there.
                let mut all = (0..=moves).map(|it| index(name, tag, it));
                return all.find(|it| digest(it) == reference);
            }
            let is_there = tag == reference && !self.removed.contains(&key);
            is_there.then(|| index(name, tag, moves))
        })
    }
}

/// The index of a tag after a number of moves: two platforms, and the attestation that `BuildKit` adds.
fn index(name: &str, tag: &str, moves: u32) -> String {
    let manifest = |os: &str, architecture: &str| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest(&format!("{name}:{tag} {os}/{architecture} {moves}")),
            "size": 1000,
            "platform": {"os": os, "architecture": architecture},
        })
    };
    json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [manifest("linux", "amd64"), manifest("linux", "arm64"), manifest("unknown", "unknown")],
    })
    .to_string()
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Unanswered> {
    tokio::time::sleep(shared.options.latency).await;
    let (request, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Unanswered)?.to_bytes();
    let host = header(&request, &http::header::HOST).to_owned();
    let mut state = shared.state();
    state.requests += 1;
    if let Some(status) = state.refusal {
        return Ok(refusal(status, "UNAVAILABLE", "told to refuse"));
    }
    let path = request.uri.path().to_owned();
    let query = form(request.uri.query().unwrap_or_default().as_bytes());
    if path == "/token" {
        let (state, options) = (&mut state, &shared.options);
        return Ok(match request.method {
            Method::POST => token_for_identity(state, options, &request, &form(&body)),
            _ => token(state, options, &request, &query),
        });
    }
    if let Some(rest) = path.strip_prefix(OPEN) {
        return Ok(open(&mut state, &shared.options, &request, rest));
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return Ok(refusal(
            StatusCode::NOT_FOUND,
            "NAME_UNKNOWN",
            "no such path",
        ));
    };
    let Some((name, what)) = taken_apart(rest) else {
        return Ok(refusal(
            StatusCode::NOT_FOUND,
            "UNSUPPORTED",
            "no such operation",
        ));
    };
    if let (What::Manifest(reference), Some(base)) = (&what, &state.elsewhere) {
        return Ok(redirect(&format!("{base}/{name}/manifests/{reference}")));
    }
    if let Some(refused) = unauthorized(&mut state, &request, &host, name) {
        return Ok(refused);
    }
    let Some(tags) = shared.options.tags.get(name) else {
        return Ok(refusal(
            StatusCode::NOT_FOUND,
            "NAME_UNKNOWN",
            "repository name not known to registry",
        ));
    };
    Ok(match what {
        What::Tags if request.method == Method::GET => {
            for key in query
                .keys()
                .filter(|it| !["n", "last"].contains(&it.as_str()))
            {
                state.violations.insert(format!("the parameter `{key}`"));
            }
            page(name, tags, &query, shared.options.page)
        }
        What::Manifest(reference) => {
            if !header(&request, &ACCEPT).contains(INDEX) {
                let what = "a manifest without `Accept` of an index";
                state.violations.insert(what.into());
            }
            match state.find(name, tags, reference) {
                Some(index) => manifest(&index, &request.method, state.lies),
                None => refusal(
                    StatusCode::NOT_FOUND,
                    "MANIFEST_UNKNOWN",
                    "manifest unknown",
                ),
            }
        }
        What::Tags => refusal(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "GET only"),
    })
}

fn redirect(location: &str) -> Response<Body> {
    let mut response = refusal(StatusCode::TEMPORARY_REDIRECT, "", "");
    set(&mut response, LOCATION.as_str(), location);
    response
}

/// A manifest at the place that wants no login.
fn open(state: &mut State, options: &Options, request: &Parts, path: &str) -> Response<Body> {
    if !header(request, &AUTHORIZATION).is_empty() {
        let what = "a credential was sent to the place of a redirect";
        state.violations.insert(what.into());
    }
    let found = match taken_apart(path.trim_start_matches('/')) {
        Some((name, What::Manifest(reference))) => {
            let tags = options.tags.get(name);
            tags.and_then(|tags| state.find(name, tags, reference))
        }
        _ => None,
    };
    match found {
        Some(index) => manifest(&index, &request.method, state.lies),
        None => refusal(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            "manifest unknown",
        ),
    }
}

enum What<'a> {
    Tags,
    Manifest(&'a str),
}

/// An index with its digest; the answer to HEAD has no body.
fn manifest(index: &str, method: &Method, lies: bool) -> Response<Body> {
    let named = if lies { "another" } else { index };
    let sent = if method == Method::HEAD { "" } else { index };
    let mut response = Response::new(whole(sent.to_owned()));
    set(&mut response, CONTENT_TYPE.as_str(), INDEX);
    set(&mut response, "docker-content-digest", &digest(named));
    response
}

/// The repository and the operation of `NAME/tags/list` and `NAME/manifests/TAG`.
fn taken_apart(rest: &str) -> Option<(&str, What<'_>)> {
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some((name, What::Tags));
    }
    let (name, tag) = rest.split_once("/manifests/")?;
    Some((name, What::Manifest(tag)))
}

/// The token server: a password where one is wanted, and a token for one repository.
fn token(
    state: &mut State,
    options: &Options,
    request: &Parts,
    query: &BTreeMap<String, String>,
) -> Response<Body> {
    let given = header(request, &AUTHORIZATION);
    if let Some((user, password)) = &options.login {
        let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        // A real server may give a token that can read nothing; this one says so at once.
        if given != wanted {
            return refusal(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "incorrect username or password",
            );
        }
    } else if !given.is_empty() && !given.starts_with("Basic ") {
        state
            .violations
            .insert("the token server was sent no password".into());
    }
    given_out(issued(state, options, query), "token")
}

/// The token server where an identity token is posted to it (Docker's registry, "Authenticate with OAuth 2").
fn token_for_identity(
    state: &mut State,
    options: &Options,
    request: &Parts,
    form: &BTreeMap<String, String>,
) -> Response<Body> {
    let given = |key: &str| form.get(key).map(String::as_str).unwrap_or_default();
    if header(request, &CONTENT_TYPE) != "application/x-www-form-urlencoded"
        || given("grant_type") != "refresh_token"
        || given("client_id").is_empty()
        || request.uri.query().is_some()
    {
        state
            .violations
            .insert("an identity token was not posted as a form".into());
    }
    if options.identity.as_deref() != Some(given("refresh_token")) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "incorrect refresh token",
        );
    }
    given_out(issued(state, options, form), "access_token")
}

fn given_out(token: Option<String>, key: &str) -> Response<Body> {
    match token {
        Some(token) => json_body(&json!({key: token, "expires_in": 300})),
        None => refusal(StatusCode::BAD_REQUEST, "DENIED", "no such scope"),
    }
}

/// A new token for the repository in `scope`; none for another scope.
fn issued(
    state: &mut State,
    options: &Options,
    query: &BTreeMap<String, String>,
) -> Option<String> {
    let scope = query.get("scope").map(String::as_str).unwrap_or_default();
    let name = scope
        .strip_prefix("repository:")
        .and_then(|it| it.strip_suffix(":pull"));
    let Some(name) = name else {
        state.violations.insert(format!("the scope `{scope}`"));
        return None;
    };
    let token = format!("token-{:016x}", rand::random::<u64>());
    state
        .tokens
        .insert(token.clone(), (name.to_owned(), options.uses));
    Some(token)
}

/// The fields of a query or of a form.
fn form(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// 401 with a challenge, unless the request has a token for the repository.
fn unauthorized(
    state: &mut State,
    request: &Parts,
    host: &str,
    name: &str,
) -> Option<Response<Body>> {
    let given = header(request, &AUTHORIZATION);
    if given.starts_with("Basic ") {
        state
            .violations
            .insert("a password was sent to the registry itself".into());
    }
    let token = given.strip_prefix("Bearer ").unwrap_or_default();
    if let Some((of, left)) = state.tokens.get_mut(token)
        && of == name
        && *left > 0
    {
        *left -= 1;
        return None;
    }
    let mut response = refusal(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required",
    );
    let challenge = format!(
        "Bearer realm=\"http://{host}/token\",service=\"{host}\",scope=\"repository:{name}:pull\""
    );
    set(&mut response, WWW_AUTHENTICATE.as_str(), &challenge);
    Some(response)
}

/// A page of tags in the order of their names, with a link to the next.
fn page(
    name: &str,
    tags: &[String],
    query: &BTreeMap<String, String>,
    most: usize,
) -> Response<Body> {
    let mut sorted: Vec<&String> = tags.iter().collect();
    sorted.sort();
    let last = query.get("last");
    let rest: Vec<&String> = sorted
        .into_iter()
        .filter(|it| last.is_none_or(|last| *it > last))
        .collect();
    let asked = query.get("n").and_then(|it| it.parse().ok());
    let size = most.min(asked.unwrap_or(most)).max(1);
    let shown: Vec<&String> = rest.iter().take(size).copied().collect();
    let mut response = json_body(&json!({"name": name, "tags": shown}));
    if let Some(last) = shown.last().filter(|_| rest.len() > size) {
        let link = format!("</v2/{name}/tags/list?last={last}&n={size}>; rel=\"next\"");
        set(&mut response, LINK.as_str(), &link);
    }
    response
}

fn digest(content: &str) -> String {
    let hash = Sha256::digest(content);
    let mut text = "sha256:".to_owned();
    for byte in hash {
        // Writing to a String cannot fail.
        let _ignored = write!(text, "{byte:02x}");
    }
    text
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let mut response = json_body(&json!({"errors": [{"code": code, "message": message}]}));
    *response.status_mut() = status;
    response
}

fn json_body(body: &Value) -> Response<Body> {
    let mut response = Response::new(whole(body.to_string()));
    set(&mut response, CONTENT_TYPE.as_str(), "application/json");
    response
}

fn set(response: &mut Response<Body>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (
        HeaderName::from_bytes(name.as_bytes()),
        HeaderValue::from_str(value),
    ) {
        response.headers_mut().insert(name, value);
    }
}

fn header<'a>(request: &'a Parts, name: &HeaderName) -> &'a str {
    let value = request.headers.get(name).and_then(|it| it.to_str().ok());
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_client::{Answer, send};

    async fn get(registry: &ImageRegistry, path: &str, token: Option<&str>) -> Answer {
        let url = format!("http://{}{path}", registry.host());
        let bearer = token.map(|it| format!("Bearer {it}"));
        let headers: Vec<(&str, &str)> = bearer
            .iter()
            .map(|it| ("authorization", it.as_str()))
            .collect();
        send("GET", &url, &headers, "").await.unwrap()
    }

    #[tokio::test]
    async fn tags_come_page_by_page_behind_a_token() {
        let tags = ["c", "a", "d", "b"].map(str::to_owned).to_vec();
        let registry = ImageRegistry::start(Options {
            tags: BTreeMap::from([("team/runner".to_owned(), tags)]),
            ..Options::default()
        })
        .await
        .unwrap();
        let list = "/v2/team/runner/tags/list?n=1000";
        let refused = get(&registry, list, None).await;
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("scope=\"repository:team/runner:pull\""),
            "{challenge}"
        );
        let token = get(&registry, "/token?scope=repository:team/runner:pull", None).await;
        let token = token.json()["token"].as_str().unwrap().to_owned();
        let first = get(&registry, list, Some(&token)).await;
        assert_eq!(
            first.header("link"),
            Some("</v2/team/runner/tags/list?last=c&n=3>; rel=\"next\"")
        );
        assert_eq!(first.json()["tags"], json!(["a", "b", "c"]));
        let rest = "/v2/team/runner/tags/list?last=c&n=3";
        let end = get(&registry, rest, Some(&token)).await;
        assert_eq!(end.header("link"), None);
        assert_eq!(end.json()["tags"], json!(["d"]));
        assert_eq!(registry.violations(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_tag_can_move_go_and_be_named_wrongly() {
        let registry = ImageRegistry::start(Options {
            tags: BTreeMap::from([("a/b".to_owned(), vec!["1".to_owned()])]),
            ..Options::default()
        })
        .await
        .unwrap();
        let token = get(&registry, "/token?scope=repository:a/b:pull", None).await;
        let token = token.json()["token"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("accept", INDEX)];
        let read = async |reference: &str| {
            let url = format!("http://{}/v2/a/b/manifests/{reference}", registry.host());
            send("GET", &url, &headers, "").await.unwrap()
        };
        let named = |it: &Answer| it.header("docker-content-digest").unwrap().to_owned();
        let sent = |it: &Answer| digest(std::str::from_utf8(&it.body).unwrap());
        let old = read("1").await;
        assert_eq!(named(&old), ImageRegistry::digest("a/b", "1"));
        assert_eq!(named(&old), sent(&old));
        registry.move_tag("a/b", "1");
        let new = read("1").await;
        assert_ne!(named(&new), named(&old));
        assert_eq!(read(&named(&old)).await.body, old.body);
        registry.lie(true);
        let wrong = read("1").await;
        assert_ne!(named(&wrong), sent(&wrong));
        registry.remove_tag("a/b", "1");
        assert_eq!(read("1").await.status, 404);
        assert_eq!(registry.violations(), Vec::<String>::new());
    }
}
