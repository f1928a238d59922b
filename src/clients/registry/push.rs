//! Writes blobs and manifests: only what is missing, large blobs in pieces, continued after an interruption.

use std::time::Duration;

use http::{Method, StatusCode, header};
use reqwest::Url;

use super::{ATTEMPTS, MANIFESTS, Repository, answer::Answer, backoff, pause};
use crate::error::{Error, ErrorKind, Result, System};

/// The size of a piece in bytes. Registries have a least size (`OCI-Chunk-Min-Length`; of ECR 5 MiB, docs.aws.amazon.com,
/// "`UploadLayerPart`").
const PIECE: u64 = 8 << 20;

/// The timeout of one piece.
const PIECE_TIMEOUT: Duration = Duration::from_mins(5);

/// Where a piece of a blob is read: from this byte on, so many of them.
pub type Source<'s> = &'s (dyn Fn(u64, u64) -> std::io::Result<Vec<u8>> + Sync);

/// How an upload begins.
enum Begun {
    /// The registry has taken the blob from another repository.
    Mounted,
    /// It is sent to this URL.
    At(Url),
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
        let mut location = match self.begun_upload(digest, mount).await? {
            Begun::Mounted => return Ok(()),
            Begun::At(location) => location,
        };
        let read = |at: u64, length: u64| source(at, length).map_err(|it| unread(digest, &it));
        if size <= PIECE {
            let body = read(0, size)?;
            return self.closed(location, digest, body).await;
        }
        let (mut at, mut failures) = (0, 0);
        while at < size {
            let piece = read(at, PIECE.min(size - at))?;
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
            StatusCode::ACCEPTED => self.location(&answer, &url).map(Begun::At),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Sends a piece once; returns where the next one goes.
    async fn sent_piece(&self, to: &Url, at: u64, piece: Vec<u8>) -> Result<Url> {
        let range = format!("{at}-{}", at + piece.len() as u64 - 1);
        let parts = |it: reqwest::RequestBuilder| {
            it.timeout(PIECE_TIMEOUT)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_RANGE, &range)
                .body(piece.clone())
        };
        let answer = self.exchanged(&Method::PATCH, to, &parts, 1).await?;
        match answer.status {
            StatusCode::ACCEPTED => self.location(&answer, to),
            // It has another number of bytes than was thought.
            StatusCode::RANGE_NOT_SATISFIABLE => Err(self.unexpected(&answer).passing(true)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Where an upload goes on, and from which byte. An upload that is gone fails in a way that may pass: it begins anew.
    async fn received(&self, at: &Url) -> Result<(Url, u64)> {
        let answer = self.answered(&Method::GET, at, "*/*").await?;
        if answer.status != StatusCode::NO_CONTENT {
            let gone = answer.status == StatusCode::NOT_FOUND;
            let error = self.unexpected(&answer);
            return Err(if gone { error.passing(true) } else { error });
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
        let length = body.len().to_string();
        let parts = |it: reqwest::RequestBuilder| {
            it.timeout(PIECE_TIMEOUT)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_LENGTH, &length)
                .body(body.clone())
        };
        let answer = self.exchanged(&Method::PUT, &to, &parts, 1).await?;
        if answer.status == StatusCode::CREATED {
            return Ok(());
        }
        Err(self.unexpected(&answer))
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
        Err(self.unexpected(&answer))
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
        Error {
            message: format!(
                "the registry `{}` rejected the upload to `{}`",
                self.address.host, self.address.repository
            ),
            ..error
        }
        .hint("check its log, its quota and the free space; run the command again: uploaded parts are not sent again")
    }
}

fn unread(digest: &str, error: &std::io::Error) -> Error {
    Error::failed(System::Local, format!("cannot read blob `{digest}`"))
        .object(digest)
        .cause(error)
        .hint("check that the file is complete; `arcctl bundle create` makes it again")
}
