//! Writes blobs and manifests: only what is missing, large blobs in pieces, continued after an interruption.

use std::{sync::atomic::Ordering, time::Duration};

use http::{Method, StatusCode, header};
use reqwest::Url;

use super::{ATTEMPTS, Address, MANIFESTS, Repository, answer::Answer, backoff, pause};
use crate::error::{Error, ErrorKind, Result, System};

/// The size of a piece in bytes. Registries have a least size (`OCI-Chunk-Min-Length`; of ECR 5 MiB, docs.aws.amazon.com,
/// "`UploadLayerPart`").
pub(super) const PIECE: u64 = 8 << 20;

/// The size for a registry that does not take so much at once: GitHub's takes 4 MiB (oras-project/rust-oci-client#37).
const SHORT_PIECE: u64 = 4 << 20;

/// The timeout of one piece.
const PIECE_TIMEOUT: Duration = Duration::from_mins(5);

/// What to do where a registry refuses an upload for a reason that is not known.
const UNKNOWN: &str = "check its log, its quota and the free space; run the command again: uploaded parts are not sent again";

/// What to do where a registry takes no manifests of Docker's types.
const OCI_ONLY: &str = "let the registry take Docker's manifests, which some images have (zot: `\"http\": {\"compat\": [\"docker2s2\"]}` in its configuration, since 2.1.2), then run the command again: uploaded parts are not sent again";

/// What to do where a registry does not take manifests of OCI, in which a bundle itself is written.
const NO_OCI: &str = "the registry does not take OCI artifacts: use one that implements the OCI distribution specification, or a newer version of this one, then run the command again";

/// Where a piece of a blob is read: from this byte on, so many of them.
pub type Source<'s> = &'s (dyn Fn(u64, u64) -> std::io::Result<Vec<u8>> + Sync);

/// How an upload begins.
enum Begun {
    /// The registry has taken the blob from another repository.
    Mounted,
    /// It is sent to a URL.
    At {
        /// The URL.
        location: Url,
        /// The least size of a piece in bytes, but of the last one.
        least: u64,
    },
}

impl Repository<'_> {
    /// Whether the repository has a blob.
    pub async fn has_blob(&self, digest: &str) -> Result<bool> {
        let url = self.address.url(&format!("blobs/{digest}"))?;
        let answer = self.answered(&Method::HEAD, &url, "*/*").await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            it if it.is_success() || it.is_redirection() => Ok(true),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Whether the repository has a manifest under a tag or a digest, with this digest.
    pub async fn has_manifest(&self, reference: &str, digest: &str) -> Result<bool> {
        let url = self.address.url(&format!("manifests/{reference}"))?;
        let answer = self.answered(&Method::HEAD, &url, MANIFESTS).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let answer = self.succeeded(answer)?;
        Ok(answer
            .header("docker-content-digest")
            .is_some_and(|it| it == digest))
    }

    /// Writes a blob, or has it taken from `mount`, another repository of the same registry.
    pub async fn put_blob(
        &self,
        (digest, size): (&str, u64),
        source: Source<'_>,
        mount: Option<&str>,
    ) -> Result<()> {
        let mut mount = mount;
        let mut attempt = 1;
        loop {
            match self.sent_blob((digest, size), source, mount).await {
                Ok(()) => return Ok(()),
                Err(error) if error.passing && attempt < ATTEMPTS => {
                    pause(backoff(attempt)).await;
                    // The answer to the last request may be what was lost.
                    if self.has_blob(digest).await? {
                        return Ok(());
                    }
                    mount = None;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn sent_blob(
        &self,
        (digest, size): (&str, u64),
        source: Source<'_>,
        mount: Option<&str>,
    ) -> Result<()> {
        let begun = match self.begun_upload(digest, mount).await {
            // A login that may not read the other repository may still write to this one (google/go-containerregistry,
            // `initiateUpload` in pkg/v1/remote/write.go).
            Err(error) if mount.is_some() && !error.passing => {
                self.begun_upload(digest, None).await?
            }
            begun => begun?,
        };
        let (mut location, least) = match begun {
            Begun::Mounted => return Ok(()),
            Begun::At { location, least } => (location, least),
        };
        let most = || self.piece.load(Ordering::Relaxed).max(least);
        let read = |at: u64, length: u64| source(at, length).map_err(|it| unread(digest, &it));
        if size <= most() {
            let body = read(0, size)?;
            return self.closed(location, digest, body).await;
        }
        let (mut at, mut failures) = (0, 0);
        while at < size {
            let piece = read(at, most().min(size - at))?;
            let length = piece.len() as u64;
            match self.sent_piece(&location, at, piece).await {
                Ok(next) => {
                    location = next;
                    at += length;
                }
                Err(error) if error.passing && failures < ATTEMPTS => {
                    failures += 1;
                    pause(backoff(failures)).await;
                    (location, at) = self.received(&location).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.closed(location, digest, Vec::new()).await
    }

    async fn begun_upload(&self, digest: &str, mount: Option<&str>) -> Result<Begun> {
        let mut url = self.address.url("blobs/uploads/")?;
        if let Some(from) = mount {
            url.query_pairs_mut()
                .append_pair("mount", digest)
                .append_pair("from", from);
        }
        let empty = |it: reqwest::RequestBuilder| it.header(header::CONTENT_LENGTH, "0");
        // A session that nobody uses ends by itself, so another attempt does no harm.
        let answer = self
            .exchanged(&Method::POST, &url, &empty, ATTEMPTS)
            .await?;
        match answer.status {
            StatusCode::CREATED if mount.is_some() => Ok(Begun::Mounted),
            StatusCode::ACCEPTED => {
                let least = answer.header("oci-chunk-min-length");
                let least: Option<u64> = least.and_then(|it| it.parse().ok());
                let location = self.location(&answer, &url)?;
                Ok(Begun::At {
                    location,
                    least: least.unwrap_or_default(),
                })
            }
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Sends a piece once; returns where the next one goes.
    async fn sent_piece(&self, to: &Url, at: u64, piece: Vec<u8>) -> Result<Url> {
        let length = piece.len() as u64;
        let range = format!("{at}-{}", at + length - 1);
        let parts = |it: reqwest::RequestBuilder| {
            it.timeout(PIECE_TIMEOUT)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_RANGE, &range)
                .body(piece.clone())
        };
        let answer = self.exchanged(&Method::PATCH, to, &parts, 1).await?;
        match answer.status {
            // Amazon ECR answers 201 (dotnet/sdk, `PatchAsync` in `DefaultBlobUploadOperations`).
            StatusCode::ACCEPTED | StatusCode::CREATED => self.location(&answer, to),
            _ if self.shortens(&answer, at, length) => Err(self.unexpected(&answer).passing(true)),
            // It has another number of bytes than was thought.
            StatusCode::RANGE_NOT_SATISFIABLE => Err(self.unexpected(&answer).passing(true)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Whether a registry refuses a body that begins at a byte for its length: the next ones are shorter then. The first byte is
    /// always at its place, so a refusal of the range there is one of the length (GitHub's registry; ocx-sh/ocx#237).
    fn shortens(&self, answer: &Answer, at: u64, length: u64) -> bool {
        let is_too_long = match answer.status {
            StatusCode::PAYLOAD_TOO_LARGE => true,
            StatusCode::RANGE_NOT_SATISFIABLE => at == 0,
            _ => false,
        };
        let shortens = is_too_long && length > SHORT_PIECE;
        if shortens {
            self.piece.store(SHORT_PIECE, Ordering::Relaxed);
        }
        shortens
    }

    /// Where an upload goes on, and from which byte. An upload whose state the registry does not return (any status but 204, 401
    /// and 403) fails in a way that may pass: it begins anew.
    async fn received(&self, at: &Url) -> Result<(Url, u64)> {
        let answer = self.answered(&Method::GET, at, "*/*").await?;
        if answer.status != StatusCode::NO_CONTENT {
            let error = self.unexpected(&answer);
            let is_forbidden = error.kind == ErrorKind::Unauthorized;
            return Err(error.passing(!is_forbidden));
        }
        let range = answer.header("range").unwrap_or_default();
        let last = range.rsplit('-').next();
        let last = last.and_then(|it| it.parse::<u64>().ok());
        // `0-0` is what registries say of nothing too.
        let received = last.filter(|it| *it > 0).map_or(0, |it| it + 1);
        Ok((self.location(&answer, at)?, received))
    }

    /// Ends an upload, with its last bytes.
    async fn closed(&self, mut to: Url, digest: &str, body: Vec<u8>) -> Result<()> {
        to.query_pairs_mut().append_pair("digest", digest);
        let length = body.len() as u64;
        let parts = |it: reqwest::RequestBuilder| {
            it.timeout(PIECE_TIMEOUT)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_LENGTH, length)
                .body(body.clone())
        };
        let answer = self.exchanged(&Method::PUT, &to, &parts, 1).await?;
        if answer.status == StatusCode::CREATED {
            return Ok(());
        }
        let error = self.unexpected(&answer);
        let passing = error.passing || self.shortens(&answer, 0, length);
        Err(error.passing(passing))
    }

    /// Writes a manifest or an index under a tag or its digest. What it names must be there.
    pub async fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let url = self.address.url(&format!("manifests/{reference}"))?;
        let parts = |it: reqwest::RequestBuilder| {
            it.header(header::CONTENT_TYPE, media_type)
                .body(bytes.to_vec())
        };
        let answer = self.exchanged(&Method::PUT, &url, &parts, ATTEMPTS).await?;
        if answer.status == StatusCode::CREATED {
            return Ok(());
        }
        let error = self.unexpected(&answer);
        Err(if answer.says("immutab") {
            self.kept(reference, error)
        } else if answer.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            let said = format!("it does not take the media type `{media_type}`");
            error.cause(said).hint(if media_type.contains("docker") {
                // zot's default (zotregistry.dev, "Docker image format compatibility").
                OCI_ONLY
            } else {
                NO_OCI
            })
        } else {
            error
        })
    }

    /// The error of a registry that does not let a tag name another manifest: Amazon ECR says it with 400, Harbor with 412.
    fn kept(&self, tag: &str, error: Error) -> Error {
        let Address { host, repository } = &self.address;
        Error {
            message: format!(
                "the registry `{host}` does not let tag `{tag}` of `{repository}` be overwritten"
            ),
            ..error
        }
        .hint(format!("the tag names other content there: let it be overwritten (ECR: `aws ecr put-image-tag-mutability --repository-name {repository} --image-tag-mutability MUTABLE`; Harbor: the tag immutability rules of the project), or push the bundle to another path"))
    }

    /// The URL in `Location`, relative to the one that was called. The credential is sent to this registry only.
    fn location(&self, answer: &Answer, from: &Url) -> Result<Url> {
        let location = answer.header("location").and_then(|it| from.join(it).ok());
        location
            .filter(|it| it.origin() == from.origin())
            .ok_or_else(|| {
                self.address
                    .failed("returned no upload URL on its own host")
            })
    }

    /// The error for an answer to a write that is not the one of the specification.
    fn unexpected(&self, answer: &Answer) -> Error {
        let error = self.refused(answer);
        if error.kind == ErrorKind::Unauthorized || answer.status == StatusCode::NOT_FOUND {
            return error;
        }
        let hint = if answer.status == StatusCode::PAYLOAD_TOO_LARGE {
            "a proxy before the registry limits the size of a request: let it pass 4 MiB at least (nginx: `client_max_body_size`, ingress-nginx: the annotation `nginx.ingress.kubernetes.io/proxy-body-size`)"
        } else {
            UNKNOWN
        };
        Error {
            message: format!(
                "the registry `{}` rejected the upload to `{}`",
                self.address.host, self.address.repository
            ),
            ..error
        }
        .hint(hint)
    }
}

fn unread(digest: &str, error: &std::io::Error) -> Error {
    Error::failed(System::Local, format!("cannot read blob `{digest}`"))
        .object(digest)
        .cause(error)
        .hint("check that the file is complete; `arcctl bundle create` makes it again")
}
