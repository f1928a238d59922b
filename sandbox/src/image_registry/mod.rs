//! A stand-in for an image registry: tags, page by page, with their images, behind a token server (OCI distribution
//! specification 1.1, and the token authentication of Docker's registry). If it is told to, it takes what is pushed, and
//! sends blobs from elsewhere.
//!
//! As registry.k8s.io it may send to another place for manifests, where nobody signs in.
//!
//! Its faults: a tag that moves, one that goes, a digest that is not that of what it sends, blobs and pieces that end early,
//! and requests that are refused from some time on.

mod content;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LINK, LOCATION,
    RANGE, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::content::image;
use self::store::Store;
use crate::listen::{Body, Server, Unanswered, whole};

/// The media types of an index and of a manifest.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media types of a chart's configuration and of its archive.
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Where blobs are, if they are elsewhere.
const ELSEWHERE: &str = "/elsewhere/";

/// The path of the place that wants no login.
const OPEN: &str = "/open";

/// The registry whose ways a stand-in has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Like {
    /// CNCF Distribution, as the specification has it.
    #[default]
    Distribution,
    /// Amazon ECR: 201 for each piece, a `Range` that stays that of the first piece, and no short piece but the last.
    Ecr,
    /// GitHub's registry: no body over 4 MiB.
    Ghcr,
    /// zot with its default configuration: no manifest of Docker's types.
    Zot,
    /// Amazon ECR Public: 401 to whoever asks whether a blob is there.
    EcrPublic,
    /// Amazon ECR with a pull-through rule: nothing is there by its digest before it was read by a tag.
    PullThrough,
}

/// What a stand-in starts with.
pub struct Options {
    /// The tags by repository.
    pub tags: BTreeMap<String, Vec<String>>,
    /// The name and password that the token server wants; nobody needs one without.
    pub login: Option<(String, String)>,
    /// The name and password of somebody else: the token server takes them, and no repository is there for them, as registries
    /// answer that do not say which private repositories they have.
    pub stranger: Option<(String, String)>,
    /// The identity token that it takes in place of both, in a form.
    pub identity: Option<String>,
    /// The most tags of a page, however many are asked for.
    pub page: usize,
    /// How long every answer takes.
    pub latency: Duration,
    /// For how many requests a token is good.
    pub uses: u32,
    /// Whether nobody needs a token, as with CNCF Distribution without an authentication: helm takes none from a server on
    /// loopback without TLS.
    pub anonymous: bool,
    /// Whether it takes what is pushed.
    pub writable: bool,
    /// Whether it redirects to another place for blobs, which wants no credential.
    pub redirects: bool,
    /// The registry whose ways it has.
    pub like: Like,
}

impl Default for Options {
    /// Open to everybody, and late, with pages that a list does not fit in.
    fn default() -> Self {
        Self {
            tags: BTreeMap::new(),
            login: None,
            stranger: None,
            identity: None,
            page: 3,
            latency: Duration::from_millis(20),
            uses: u32::MAX,
            anonymous: false,
            writable: false,
            redirects: false,
            like: Like::default(),
        }
    }
}

#[derive(Default)]
struct State {
    /// The tokens that are out: for which repositories, and for how many more requests.
    tokens: BTreeMap<String, (Vec<Scope>, u32)>,
    /// What was pushed.
    store: Store,
    /// How many requests are still answered.
    answers: Option<u64>,
    /// How many of the next blobs end after a half.
    cuts: u32,
    /// How many bytes of blobs were sent.
    blob_bytes: u64,
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
    /// The repositories that a pull-through rule has made.
    pulled: BTreeSet<String>,
    violations: BTreeSet<String>,
}

/// What a token is for.
#[derive(Clone, PartialEq, Eq)]
struct Scope {
    name: String,
    writes: bool,
    /// Whether anything is there for whoever has it.
    sees: bool,
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
        let mut state = State::default();
        state.store.like = options.like;
        let shared = Arc::new(Shared {
            options,
            state: Mutex::new(state),
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
        let state = self.shared.state();
        let all = state.violations.union(&state.store.violations);
        all.cloned().collect()
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

    /// Refuses every request after this many, until told otherwise.
    pub fn answer_only(&self, requests: Option<u64>) {
        self.shared.state().answers = requests;
    }

    /// Ends the next blobs that it sends after a half.
    pub fn cut(&self, blobs: u32) {
        self.shared.state().cuts = blobs;
    }

    /// Takes only the half of the next pieces that are sent to it, and refuses them then.
    pub fn break_pieces(&self, pieces: u32) {
        self.shared.state().store.broken_pieces = pieces;
    }

    /// Refuses to have a tag name another manifest than before, until told otherwise.
    pub fn keep_tags(&self, keeps: bool) {
        self.shared.state().store.keeps_tags = keeps;
    }

    /// Refuses to take blobs from other repositories, until told otherwise.
    pub fn refuse_mounts(&self, refuses: bool) {
        self.shared.state().store.refuses_mounts = refuses;
    }

    /// How many bytes of blobs it has sent.
    pub fn blob_bytes(&self) -> u64 {
        self.shared.state().blob_bytes
    }

    /// How many blobs were sent to it, and how many it has taken from another repository.
    pub fn pushed(&self) -> (u32, u32) {
        let state = self.shared.state();
        (state.store.sent, state.store.mounted)
    }

    /// Publishes a chart as helm pushes it (helm.sh/docs/topics/registries), in place of what the tag has named before;
    /// `description` is in its configuration only. The digest of its manifest.
    pub fn publish_chart(
        &self,
        repository: &str,
        (name, version): (&str, &str),
        archive: &Bytes,
        description: &str,
    ) -> String {
        let mut state = self.shared.state();
        let store = &mut state.store;
        let config = json!({"apiVersion": "v2", "name": name, "version": version,
            "description": description});
        let config = Bytes::from(config.to_string());
        let config = store.keep(repository, HELM_CONFIG, &config);
        let layer = store.keep(repository, HELM_CHART, archive);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [layer]});
        store.tag(repository, version, MANIFEST, &manifest.to_string().into())
    }

    /// What was pushed to it, as `REPOSITORY:TAG` and `REPOSITORY@DIGEST`.
    pub fn references(&self) -> Vec<String> {
        self.shared.state().store.references()
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
        digest(&image(repository, tag, 0).index)
    }
}

/// A manifest or an index: its media type and its bytes.
type Document = (String, Bytes);

fn document(media_type: &str, text: &str) -> Document {
    (media_type.to_owned(), Bytes::from(text.to_owned()))
}

impl State {
    /// The manifest or index that a tag or a digest names now.
    fn find(&self, name: &str, tags: &[String], reference: &str) -> Option<Document> {
        let is_digest = reference.starts_with("sha256:");
        let found = tags.iter().find_map(|tag| {
            let key = (name.to_owned(), tag.clone());
            let moves = self.moves.get(&key).copied().unwrap_or_default();
            if is_digest {
                // What a tag has named before is still there.
                return (0..=moves).map(|it| image(name, tag, it)).find_map(|it| {
                    if digest(&it.index) == reference {
                        return Some(document(INDEX, &it.index));
                    }
                    Some(document(MANIFEST, it.manifests.get(reference)?))
                });
            }
            let is_there = tag == reference && !self.removed.contains(&key);
            is_there.then(|| document(INDEX, &image(name, tag, moves).index))
        });
        found.or_else(|| {
            let (media_type, bytes) = self.store.manifest(name, reference)?;
            Some((media_type.to_owned(), bytes.clone()))
        })
    }

    /// Whether a rule has pulled something of a repository through: ECR does it for a tag, and not for a digest
    /// (aws/containers-roadmap#2837). `pulls`: this request does.
    fn is_pulled(&mut self, name: &str, pulls: bool) -> bool {
        if pulls {
            self.pulled.insert(name.to_owned());
        }
        self.pulled.contains(name)
    }

    /// The blob with a digest.
    fn blob(&self, name: &str, tags: &[String], digest: &str) -> Option<Bytes> {
        let found = tags.iter().find_map(|tag| {
            let key = (name.to_owned(), tag.clone());
            let moves = self.moves.get(&key).copied().unwrap_or_default();
            (0..=moves).find_map(|it| {
                let image = image(name, tag, it);
                image.blobs.get(digest).map(|it| Bytes::from(it.clone()))
            })
        });
        found.or_else(|| self.store.blob(name, digest).cloned())
    }

    /// Whether a request is still answered.
    fn answers(&mut self) -> bool {
        match &mut self.answers {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
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
    let told = (!state.answers()).then_some(StatusCode::SERVICE_UNAVAILABLE);
    if let Some(status) = state.refusal.or(told) {
        return Ok(refusal(status, "UNAVAILABLE", "told to refuse"));
    }
    let path = request.uri.path().to_owned();
    let query = form(request.uri.query().unwrap_or_default().as_bytes());
    if path == "/token" {
        let (state, options) = (&mut state, &shared.options);
        return Ok(match request.method {
            Method::POST => token_for_identity(state, options, &request, &form(&body)),
            _ => token(state, options, &request),
        });
    }
    if let Some(rest) = path.strip_prefix(ELSEWHERE) {
        return Ok(elsewhere(&mut state, &shared.options, &request, rest));
    }
    if let Some(rest) = path.strip_prefix(OPEN) {
        return Ok(open(&mut state, &shared.options, &request, rest));
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return Ok(not_found("NAME_UNKNOWN", "no such path"));
    };
    let Some((name, what)) = taken_apart(rest) else {
        return Ok(not_found("UNSUPPORTED", "no such operation"));
    };
    if let (What::Manifest(reference), Some(base)) = (&what, &state.elsewhere) {
        return Ok(redirect(&format!("{base}/{name}/manifests/{reference}")));
    }
    let writes = !matches!(request.method, Method::GET | Method::HEAD);
    let mut wanted = vec![(name, writes)];
    // A blob is taken from a repository that may be read (distribution/distribution, registry/handlers/app.go).
    wanted.extend(query.get("from").map(|from| (from.as_str(), false)));
    let asks = (host.as_str(), &what);
    if let Some(refused) = kept_out(&mut state, &shared.options, &request, asks, &wanted) {
        return Ok(refused);
    }
    let known = shared.options.tags.get(name);
    if known.is_none() && !shared.options.writable {
        let message = "repository name not known to registry";
        return Ok(not_found("NAME_UNKNOWN", message));
    }
    if writes && !shared.options.writable {
        let message = "the registry is read-only";
        return Ok(refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            message,
        ));
    }
    let tags = known.map(Vec::as_slice).unwrap_or_default();
    let asked = Asked {
        request: &request,
        name,
        tags,
        query: &query,
    };
    Ok(asked.answer(&mut state, &shared.options, &what, &body))
}

/// A request for something of a repository.
struct Asked<'a> {
    request: &'a Parts,
    name: &'a str,
    tags: &'a [String],
    query: &'a BTreeMap<String, String>,
}

impl Asked<'_> {
    fn answer(
        &self,
        state: &mut State,
        options: &Options,
        what: &What<'_>,
        body: &Bytes,
    ) -> Response<Body> {
        let (request, name) = (self.request, self.name);
        match what {
            What::Tags if request.method == Method::GET => {
                let known = ["n", "last"];
                let keys = self.query.keys();
                for key in keys.filter(|it| !known.contains(&it.as_str())) {
                    state.violations.insert(format!("the parameter `{key}`"));
                }
                page(name, self.tags, self.query, options.page)
            }
            What::Tags => refusal(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "GET only"),
            What::Manifest(reference) if request.method == Method::PUT => {
                let store = &mut state.store;
                store.put_manifest(request, name, reference, body)
            }
            What::Manifest(reference) => {
                // What a digest names has one type, and helm asks for that one.
                let is_tag = !reference.starts_with("sha256:");
                if is_tag && !header(request, &ACCEPT).contains(INDEX) {
                    let what = "a manifest without `Accept` of an index";
                    state.violations.insert(what.into());
                }
                let found = state.find(name, self.tags, reference);
                let pulls = is_tag && found.is_some();
                let is_there = options.like != Like::PullThrough || state.is_pulled(name, pulls);
                match found {
                    Some(found) if is_there => manifest(&found, &request.method, state.lies),
                    _ => not_found("MANIFEST_UNKNOWN", "manifest unknown"),
                }
            }
            What::Upload(id) => state.store.upload(request, name, id, (self.query, body)),
            What::Blob(digest) => {
                let Some(found) = state.blob(name, self.tags, digest) else {
                    return not_found("BLOB_UNKNOWN", "blob unknown to registry");
                };
                if options.redirects {
                    let mut response = Response::new(whole(Bytes::new()));
                    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                    let location = format!("{ELSEWHERE}{name}/blobs/{digest}");
                    set(&mut response, LOCATION.as_str(), &location);
                    return response;
                }
                blob(state, request, &found)
            }
        }
    }
}

/// The store behind the registry: an address there needs no credential, and one that comes along has leaked.
fn elsewhere(state: &mut State, options: &Options, request: &Parts, rest: &str) -> Response<Body> {
    if request.headers.contains_key(AUTHORIZATION) {
        let what = "a credential was sent to the store behind the registry";
        state.violations.insert(what.into());
    }
    let found = rest.split_once("/blobs/").and_then(|(name, digest)| {
        let tags = options.tags.get(name).map(Vec::as_slice);
        state.blob(name, tags.unwrap_or_default(), digest)
    });
    match found {
        Some(found) => blob(state, request, &found),
        None => not_found("BLOB_UNKNOWN", "no such blob"),
    }
}

/// A blob, or what follows a byte of it.
fn blob(state: &mut State, request: &Parts, found: &Bytes) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    if request.method == Method::HEAD {
        set(&mut response, "docker-content-digest", &digest_of(found));
        return response;
    }
    let range = header(request, &RANGE);
    let from = range
        .strip_prefix("bytes=")
        .and_then(|it| it.strip_suffix('-'));
    let from: Option<usize> = from.and_then(|it| it.parse().ok());
    let begin = from.unwrap_or_default();
    if begin > found.len() || (!range.is_empty() && from.is_none()) {
        return refusal(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "UNKNOWN",
            "no such range",
        );
    }
    let rest = found.slice(begin..);
    let sent = if state.cuts > 0 {
        state.cuts -= 1;
        rest.slice(..rest.len() / 2)
    } else {
        rest
    };
    state.blob_bytes += sent.len() as u64;
    *response.body_mut() = whole(sent);
    if from.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let last = found.len().saturating_sub(1);
        let range = format!("bytes {begin}-{last}/{}", found.len());
        set(&mut response, CONTENT_RANGE.as_str(), &range);
    }
    response
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
    Blob(&'a str),
    Upload(&'a str),
}

/// A manifest or an index with its digest; the answer to HEAD has no body.
fn manifest((media_type, bytes): &Document, method: &Method, lies: bool) -> Response<Body> {
    let named: &[u8] = if lies { b"another" } else { bytes };
    let sent = if method == Method::HEAD {
        Bytes::new()
    } else {
        bytes.clone()
    };
    let mut response = Response::new(whole(sent));
    set(&mut response, CONTENT_TYPE.as_str(), media_type);
    set(&mut response, "docker-content-digest", &digest_of(named));
    if method == Method::HEAD {
        // helm takes the size from it.
        let length = bytes.len().to_string();
        set(&mut response, CONTENT_LENGTH.as_str(), &length);
    }
    response
}

fn not_found(code: &str, message: &str) -> Response<Body> {
    refusal(StatusCode::NOT_FOUND, code, message)
}

/// The repository and the operation of a path, for example of `NAME/tags/list` and `NAME/manifests/TAG`.
fn taken_apart(rest: &str) -> Option<(&str, What<'_>)> {
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some((name, What::Tags));
    }
    if let Some((name, id)) = rest.split_once("/blobs/uploads/") {
        return Some((name, What::Upload(id)));
    }
    if let Some((name, digest)) = rest.split_once("/blobs/") {
        return Some((name, What::Blob(digest)));
    }
    let (name, tag) = rest.split_once("/manifests/")?;
    Some((name, What::Manifest(tag)))
}

/// The token server: a password where one is wanted, and a token for one repository.
fn token(state: &mut State, options: &Options, request: &Parts) -> Response<Body> {
    let given = header(request, &AUTHORIZATION);
    let is = |(user, password): &(String, String)| {
        given == format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    };
    let is_stranger = options.stranger.as_ref().is_some_and(is);
    if let Some(login) = &options.login {
        // A real server may give a token that can read nothing; this one says so at once.
        if !is(login) && !is_stranger {
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
    let query = request.uri.query().unwrap_or_default().as_bytes();
    let scopes = form_urlencoded::parse(query).filter(|(key, _)| key == "scope");
    let scopes: Vec<String> = scopes.map(|(_, scope)| scope.into_owned()).collect();
    given_out(issued(state, options, &scopes, !is_stranger), "token")
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
    let scopes: Vec<String> = given("scope").split(' ').map(str::to_owned).collect();
    given_out(issued(state, options, &scopes, true), "access_token")
}

fn given_out(token: Option<String>, key: &str) -> Response<Body> {
    match token {
        Some(token) => json_body(&json!({key: token, "expires_in": 300})),
        None => refusal(StatusCode::BAD_REQUEST, "DENIED", "no such scope"),
    }
}

/// A new token for the repositories in `scopes`, with which things are there or not; none for other scopes. A query has a
/// parameter for each (distribution/distribution, docs/content/spec/auth/token.md): servers do not take one apart.
fn issued(state: &mut State, options: &Options, scopes: &[String], sees: bool) -> Option<String> {
    let read: Option<Vec<Scope>> = scopes.iter().map(|it| scope_of(it, sees)).collect();
    let Some(read) = read.filter(|it| !it.is_empty()) else {
        state.violations.insert(format!("the scopes {scopes:?}"));
        return None;
    };
    let token = format!("token-{:016x}", rand::random::<u64>());
    state.tokens.insert(token.clone(), (read, options.uses));
    Some(token)
}

/// A scope such as `repository:NAME:pull,push`.
fn scope_of(text: &str, sees: bool) -> Option<Scope> {
    let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
    let is_one = ["pull", "pull,push"].contains(&actions) && !name.contains(' ');
    is_one.then(|| Scope {
        name: name.to_owned(),
        writes: actions.contains("push"),
        sees,
    })
}

/// The fields of a query or of a form.
fn form(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// 401 with a challenge, unless the request has a token for the repositories, each to be written or only read; 404 for a token
/// of somebody else.
fn unauthorized(
    state: &mut State,
    request: &Parts,
    host: &str,
    wanted: &[(&str, bool)],
) -> Option<Response<Body>> {
    let given = header(request, &AUTHORIZATION);
    if given.starts_with("Basic ") {
        state
            .violations
            .insert("a password was sent to the registry itself".into());
    }
    let token = given.strip_prefix("Bearer ").unwrap_or_default();
    if let Some((of, left)) = state.tokens.get_mut(token)
        && wanted.iter().all(|it| allows(of, *it))
        && *left > 0
    {
        *left -= 1;
        let message = "repository name not known to registry";
        let sees = of.iter().all(|it| it.sees);
        return (!sees).then(|| not_found("NAME_UNKNOWN", message));
    }
    Some(challenged(host, wanted))
}

/// The answer to a request that needs a token. ECR Public takes none from whoever asks whether a blob is there
/// (aws/containers-roadmap#2671).
fn kept_out(
    state: &mut State,
    options: &Options,
    request: &Parts,
    (host, what): (&str, &What<'_>),
    wanted: &[(&str, bool)],
) -> Option<Response<Body>> {
    if options.anonymous {
        return None;
    }
    let asks_for_blob = request.method == Method::HEAD && matches!(what, What::Blob(_));
    if options.like == Like::EcrPublic && asks_for_blob {
        return Some(challenged(host, wanted));
    }
    unauthorized(state, request, host, wanted)
}

/// 401, with where a token is given out.
fn challenged(host: &str, wanted: &[(&str, bool)]) -> Response<Body> {
    let mut response = refusal(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required",
    );
    let scopes = wanted.iter().map(|(name, writes)| {
        let actions = if *writes { "pull,push" } else { "pull" };
        format!("repository:{name}:{actions}")
    });
    let scopes = scopes.collect::<Vec<_>>().join(" ");
    let challenge =
        format!("Bearer realm=\"http://{host}/token\",service=\"{host}\",scope=\"{scopes}\"");
    set(&mut response, WWW_AUTHENTICATE.as_str(), &challenge);
    response
}

/// Whether one of the scopes is for a repository, to be written or only read.
fn allows(scopes: &[Scope], (name, writes): (&str, bool)) -> bool {
    let mut scopes = scopes.iter();
    scopes.any(|it| it.name == name && (it.writes || !writes))
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
    digest_of(content.as_bytes())
}

fn digest_of(content: &[u8]) -> String {
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
    async fn a_chart_is_pulled_without_a_token_and_has_a_size() {
        let charts = BTreeMap::from([("charts/a".to_owned(), Vec::new())]);
        let options = |anonymous| Options {
            tags: charts.clone(),
            anonymous,
            ..Options::default()
        };
        let closed = ImageRegistry::start(options(false)).await.unwrap();
        let path = "/v2/charts/a/manifests/1.0.0";
        assert_eq!(get(&closed, path, None).await.status, 401);
        let registry = ImageRegistry::start(options(true)).await.unwrap();
        let archive = Bytes::from_static(b"archive");
        let publish = |it: &str| registry.publish_chart("charts/a", ("a", "1.0.0"), &archive, it);
        let first = publish("first");
        let url = format!("http://{}{path}", registry.host());
        let accepts = [("accept", INDEX)];
        let head = send("HEAD", &url, &accepts, "").await.unwrap();
        let whole = send("GET", &url, &accepts, "").await.unwrap();
        assert_eq!(head.header("docker-content-digest"), Some(first.as_str()));
        let length = whole.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()));
        let layer = whole.json()["layers"][0]["digest"]
            .as_str()
            .unwrap()
            .to_owned();
        let blob = get(&registry, &format!("/v2/charts/a/blobs/{layer}"), None).await;
        assert_eq!(blob.body, archive);
        assert_ne!(publish("second"), first);
        assert_eq!(registry.violations(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_is_pushed_can_be_pulled_and_needs_what_it_names() {
        let registry = ImageRegistry::start(Options {
            writable: true,
            ..Options::default()
        })
        .await
        .unwrap();
        let token = get(&registry, "/token?scope=repository:a/b:pull,push", None).await;
        let bearer = format!("Bearer {}", token.json()["token"].as_str().unwrap());
        let call = async |method: &str, path: &str, kind: &str, body: &str| {
            let url = format!("http://{}{path}", registry.host());
            let headers = [
                ("authorization", bearer.as_str()),
                ("content-type", kind),
                ("accept", INDEX),
            ];
            send(method, &url, &headers, body).await.unwrap()
        };
        let octets = "application/octet-stream";
        let config = digest("{}");
        let descriptor = json!({"mediaType": "config", "digest": config, "size": 2});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": []});
        let manifest = manifest.to_string();
        let path = "/v2/a/b/manifests/1";
        let early = call("PUT", path, MANIFEST, &manifest).await;
        assert_eq!(early.status, 400, "its configuration is not there");
        let begun = call("POST", "/v2/a/b/blobs/uploads/", octets, "").await;
        assert_eq!(begun.status, 202);
        let location = begun.header("location").unwrap();
        let wrong = format!("{location}&digest={}", digest("other"));
        assert_eq!(call("PUT", &wrong, octets, "{}").await.status, 400);
        let begun = call("POST", "/v2/a/b/blobs/uploads/", octets, "").await;
        let end = format!("{}&digest={config}", begun.header("location").unwrap());
        assert_eq!(call("PUT", &end, octets, "{}").await.status, 201);
        assert_eq!(call("PUT", path, MANIFEST, &manifest).await.status, 201);
        let pulled = call("GET", path, "", "").await;
        assert_eq!(pulled.body, manifest.as_bytes());
        assert_eq!(registry.pushed(), (1, 0));
        assert!(registry.references().contains(&"a/b:1".to_owned()));
        assert_eq!(registry.violations(), Vec::<String>::new());
        // A token for reading does not write.
        let other = get(&registry, "/token?scope=repository:a/b:pull", None).await;
        let other = format!("Bearer {}", other.json()["token"].as_str().unwrap());
        let url = format!("http://{}/v2/a/b/blobs/uploads/", registry.host());
        let refused = send("POST", &url, &[("authorization", &other)], "").await;
        assert_eq!(refused.unwrap().status, 401);
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
