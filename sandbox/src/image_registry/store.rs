//! What was pushed to the stand-in, and how: uploads of blobs in one piece or in several, mounts, and manifests (OCI
//! distribution specification 1.1, "Push"). It is strict: what the specification does not have is a violation.

use std::collections::{BTreeMap, BTreeSet};

use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{Like, digest_of, header, refusal, set};
use crate::listen::{Body, whole};

/// What a blob is sent as.
const OCTETS: &str = "application/octet-stream";

/// The least length in bytes of a piece for Amazon ECR, but of the last one (docs.aws.amazon.com, `UploadLayerPart`).
const LEAST_OF_ECR: usize = 5 << 20;

/// The longest body in bytes that GitHub's registry takes.
const MOST_OF_GHCR: usize = 4 << 20;

/// An upload in progress.
#[derive(Default)]
struct Upload {
    repository: String,
    content: Vec<u8>,
    /// The lengths of the pieces so far.
    pieces: Vec<usize>,
}

/// The blobs and manifests that were pushed.
#[derive(Default)]
pub(super) struct Store {
    contents: BTreeMap<String, Bytes>,
    /// The blobs of each repository.
    blobs: BTreeSet<(String, String)>,
    /// By repository and tag or digest: the media type and the bytes.
    manifests: BTreeMap<(String, String), (String, Bytes)>,
    /// The uploads in progress.
    uploads: BTreeMap<String, Upload>,
    /// The registry whose ways it has.
    pub(super) like: Like,
    /// Whether a tag stays with the manifest that it was pushed with.
    pub(super) keeps_tags: bool,
    /// Whether it takes no blob from another repository, and says so with an error.
    pub(super) refuses_mounts: bool,
    /// How many of the next pieces are taken to a half and answered with an error.
    pub(super) broken_pieces: u32,
    /// How many blobs were sent, and how many taken from another repository.
    pub(super) sent: u32,
    pub(super) mounted: u32,
    pub(super) violations: BTreeSet<String>,
}

type Query = BTreeMap<String, String>;

impl Store {
    /// A manifest that was pushed: its media type and its bytes.
    pub(super) fn manifest(&self, name: &str, reference: &str) -> Option<(&str, &Bytes)> {
        let key = (name.to_owned(), reference.to_owned());
        let (media_type, bytes) = self.manifests.get(&key)?;
        Some((media_type.as_str(), bytes))
    }

    /// A blob that was pushed.
    pub(super) fn blob(&self, name: &str, digest: &str) -> Option<&Bytes> {
        let key = (name.to_owned(), digest.to_owned());
        self.blobs.contains(&key).then_some(())?;
        self.contents.get(digest)
    }

    /// Keeps a blob of a repository; its descriptor.
    pub(super) fn keep(&mut self, name: &str, media_type: &str, bytes: &Bytes) -> Value {
        let digest = digest_of(bytes);
        self.blobs.insert((name.to_owned(), digest.clone()));
        self.contents.insert(digest.clone(), bytes.clone());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Keeps a manifest by a tag and by its digest, which it returns.
    pub(super) fn tag(&mut self, name: &str, tag: &str, media_type: &str, bytes: &Bytes) -> String {
        let digest = digest_of(bytes);
        for reference in [tag, &digest] {
            let key = (name.to_owned(), reference.to_owned());
            self.manifests
                .insert(key, (media_type.to_owned(), bytes.clone()));
        }
        digest
    }

    /// The references of all manifests, as `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    pub(super) fn references(&self) -> Vec<String> {
        let all = self.manifests.keys();
        all.map(|(name, reference)| {
            let separator = if reference.starts_with("sha256:") {
                '@'
            } else {
                ':'
            };
            format!("{name}{separator}{reference}")
        })
        .collect()
    }

    fn violation(&mut self, what: &str) {
        self.violations.insert(what.to_owned());
    }

    /// A request below `blobs/uploads/`, for the upload `id`, or for a new one.
    pub(super) fn upload(
        &mut self,
        request: &Parts,
        name: &str,
        id: &str,
        (query, body): (&Query, &Bytes),
    ) -> Response<Body> {
        match request.method {
            Method::POST if id.is_empty() => self.begin(name, query, body),
            _ if self.uploads.get(id).is_none_or(|it| it.repository != name) => refusal(
                StatusCode::NOT_FOUND,
                "BLOB_UPLOAD_UNKNOWN",
                "blob upload unknown to registry",
            ),
            Method::GET => self.progress(name, id, StatusCode::NO_CONTENT),
            Method::PATCH => self.piece(request, name, id, body),
            Method::PUT => self.end(request, name, id, (query, body)),
            _ => refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "no such method",
            ),
        }
    }

    fn begin(&mut self, name: &str, query: &Query, body: &Bytes) -> Response<Body> {
        if !body.is_empty() {
            self.violation("an upload that begins with a body");
        }
        let mount = query.get("mount").zip(query.get("from"));
        if mount.is_some() && self.refuses_mounts {
            return refusal(StatusCode::FORBIDDEN, "DENIED", "access denied");
        }
        if let Some((digest, from)) = mount
            && self.blob(from, digest).is_some()
        {
            self.blobs.insert((name.to_owned(), digest.clone()));
            self.mounted += 1;
            return created(name, digest);
        }
        let id = format!("{:016x}", rand::random::<u64>());
        let upload = Upload {
            repository: name.to_owned(),
            ..Upload::default()
        };
        self.uploads.insert(id.clone(), upload);
        self.progress(name, &id, StatusCode::ACCEPTED)
    }

    /// How far an upload is. As Docker's registry does it, nothing is `0-0` too. ECR never tells more than the first piece
    /// (aws/containers-roadmap#2831).
    fn progress(&self, name: &str, id: &str, status: StatusCode) -> Response<Body> {
        let upload = self.uploads.get(id);
        let length = upload.map_or(0, |it| it.content.len());
        let first = upload.and_then(|it| it.pieces.first().copied());
        let told = if self.like == Like::Ecr {
            first.unwrap_or_default()
        } else {
            length
        };
        let mut response = Response::new(whole(Bytes::new()));
        *response.status_mut() = status;
        // Relative, and with a state of its own in the query.
        let location = format!("/v2/{name}/blobs/uploads/{id}?_state={length}");
        set(&mut response, LOCATION.as_str(), &location);
        let range = format!("0-{}", told.saturating_sub(1));
        set(&mut response, RANGE.as_str(), &range);
        response
    }

    fn piece(&mut self, request: &Parts, name: &str, id: &str, body: &Bytes) -> Response<Body> {
        if header(request, &CONTENT_TYPE) != OCTETS {
            self.violation("a piece of a blob with another content type");
        }
        let range = header(request, &CONTENT_RANGE);
        let number = |text: &str| text.parse::<usize>().ok();
        let bounds = range.split_once('-');
        let bounds = bounds.and_then(|(from, to)| Some((number(from)?, number(to)?)));
        let Some((from, to)) = bounds else {
            self.violation("a piece of a blob without its range");
            return refusal(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", "no range");
        };
        if from + body.len() != to + 1 {
            self.violation("a piece of a blob with another length than its range");
        }
        if self.is_too_long(body) {
            return too_long();
        }
        let upload = self.uploads.get(id);
        let is_short = |it: &Upload| it.pieces.iter().any(|it| *it < LEAST_OF_ECR);
        if self.like == Like::Ecr && upload.is_some_and(is_short) {
            self.violation("a piece of less than 5 MiB that is not the last");
        }
        let length = self.uploads.get(id).map_or(0, |it| it.content.len());
        if from != length {
            return refusal(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "BLOB_UPLOAD_INVALID",
                "out of order",
            );
        }
        let is_broken = self.broken_pieces > 0;
        self.broken_pieces = self.broken_pieces.saturating_sub(1);
        let taken = if is_broken {
            body.slice(..body.len() / 2)
        } else {
            body.clone()
        };
        if let Some(upload) = self.uploads.get_mut(id) {
            upload.content.extend_from_slice(&taken);
            upload.pieces.push(taken.len());
        }
        if is_broken {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN", "told to break");
        }
        // ECR has made something already (dotnet/sdk, `DefaultBlobUploadOperations`).
        let status = if self.like == Like::Ecr {
            StatusCode::CREATED
        } else {
            StatusCode::ACCEPTED
        };
        self.progress(name, id, status)
    }

    fn is_too_long(&self, body: &Bytes) -> bool {
        self.like == Like::Ghcr && body.len() > MOST_OF_GHCR
    }

    fn end(
        &mut self,
        request: &Parts,
        name: &str,
        id: &str,
        (query, body): (&Query, &Bytes),
    ) -> Response<Body> {
        if header(request, &CONTENT_TYPE) != OCTETS {
            self.violation("the end of a blob with another content type");
        }
        if !query.contains_key("_state") {
            self.violation("the location of an upload was not used as it is");
        }
        if self.is_too_long(body) {
            return too_long();
        }
        let upload = self.uploads.remove(id);
        let mut content = upload.map_or_else(Vec::new, |it| it.content);
        content.extend_from_slice(body);
        let digest = digest_of(&content);
        if query.get("digest") != Some(&digest) {
            return refusal(
                StatusCode::BAD_REQUEST,
                "DIGEST_INVALID",
                "provided digest did not match uploaded content",
            );
        }
        if !self.blobs.insert((name.to_owned(), digest.clone())) {
            self.violation("a blob was sent that is there");
        }
        self.contents.insert(digest.clone(), content.into());
        self.sent += 1;
        created(name, &digest)
    }

    /// Takes a manifest or an index, if everything that it names is there.
    pub(super) fn put_manifest(
        &mut self,
        request: &Parts,
        name: &str,
        reference: &str,
        body: &Bytes,
    ) -> Response<Body> {
        let digest = digest_of(body);
        if reference.starts_with("sha256:") && reference != digest {
            return refusal(
                StatusCode::BAD_REQUEST,
                "DIGEST_INVALID",
                "provided digest did not match uploaded content",
            );
        }
        if self.like == Like::Zot && header(request, &CONTENT_TYPE).contains("docker") {
            // project-zot/zot, `UpdateManifest` in pkg/api/routes.go.
            return refusal(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "MANIFEST_INVALID",
                "manifest invalid",
            );
        }
        let key = (name.to_owned(), reference.to_owned());
        if self.keeps_tags && reference != digest && self.manifests.contains_key(&key) {
            // As ECR says it, also of the same manifest (moby/buildkit#3776, aws/aws-sdk#750).
            let message = format!(
                "The image tag '{reference}' already exists in the '{name}' repository and cannot be overwritten because the repository is immutable."
            );
            return refusal(StatusCode::BAD_REQUEST, "TAG_INVALID", &message);
        }
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            return refusal(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "no JSON");
        };
        let media_type = header(request, &CONTENT_TYPE).to_owned();
        if document["mediaType"] != media_type.as_str() {
            self.violation("a manifest with another content type than it says");
        }
        let named = |key: &str| {
            let all = document[key].as_array().into_iter().flatten();
            all.filter_map(|it| it["digest"].as_str())
        };
        let config = document["config"]["digest"].as_str();
        let no_blob = named("layers")
            .chain(config)
            .any(|it| self.blob(name, it).is_none());
        let no_manifest = named("manifests").any(|it| self.manifest(name, it).is_none());
        if no_blob || no_manifest {
            return refusal(
                StatusCode::BAD_REQUEST,
                "MANIFEST_BLOB_UNKNOWN",
                "blob unknown to registry",
            );
        }
        self.tag(name, reference, &media_type, body);
        created(name, &digest)
    }
}

/// As GitHub's registry says it (ocx-sh/ocx#237).
fn too_long() -> Response<Body> {
    let message =
        "the request body is too large and exceeds the maximum permissible limit of 4.00MiB";
    refusal(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "REQUESTED_RANGE_NOT_SATISFIABLE",
        message,
    )
}

fn created(name: &str, digest: &str) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("/v2/{name}/blobs/{digest}");
    set(&mut response, LOCATION.as_str(), &location);
    set(&mut response, "docker-content-digest", digest);
    response
}
