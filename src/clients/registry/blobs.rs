//! Downloads blobs to files: piece by piece, continued where a download ended, and compared with their digests.

use std::{
    io::ErrorKind as ErrorSource,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use http::{Method, StatusCode, header};
use reqwest::{Response, Url};
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    ATTEMPTS, CALL_TIMEOUT, Repository, Silence, authorized, backoff, manifest::elsewhere, pause,
    unreachable,
};
use crate::{
    clients::cause::innermost,
    error::{Error, ErrorKind, Result, System},
    log,
    units::digest::Sum,
};

/// The timeout of a whole download, and of the next piece of it.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_hours(2);
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 1 << 20;

/// The most redirects of a blob: registries have one, to the store behind them.
const REDIRECTS: usize = 3;

impl Repository<'_> {
    /// Downloads the blob with this digest and size to `file`, unless it is there. What a download that was interrupted has
    /// left, in a file of the same name with `.part`, is continued.
    pub async fn download(&self, digest: &str, size: u64, file: &Path) -> Result<()> {
        if fs::metadata(file).await.is_ok_and(|it| it.len() == size) {
            // It has got this name only after its digest was compared.
            return Ok(());
        }
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut attempt = 1;
        loop {
            match self.continued(digest, size, &part).await {
                Ok(()) => break,
                Err(error) if error.passing && attempt < ATTEMPTS => {
                    pause(backoff(attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
        fs::rename(&part, file)
            .await
            .map_err(|error| unwritten(&part, &error))
    }

    /// Downloads what `part` lacks.
    async fn continued(&self, digest: &str, size: u64, part: &Path) -> Result<()> {
        let (mut sum, mut length) = summed(part).await?;
        if length > size {
            (sum, length) = (Sum::default(), 0);
        }
        // An empty blob is a file too.
        if length < size || size == 0 {
            let mut response = self.opened(digest, length).await?;
            if response.status() != StatusCode::PARTIAL_CONTENT {
                // The registry sends it from its beginning.
                (sum, length) = (Sum::default(), 0);
            }
            let mut file = to_continue(part, length).await?;
            let ended = loop {
                let piece = match self.piece(&mut response).await {
                    Ok(Some(piece)) => piece,
                    ended => break ended,
                };
                length += piece.len() as u64;
                if length > size {
                    break Ok(None);
                }
                sum.add(&piece);
                let written = file.write_all(&piece).await;
                written.map_err(|error| unwritten(part, &error))?;
            };
            // Also what came before an interruption: the next attempt continues there.
            let written = file.sync_all().await;
            written.map_err(|error| unwritten(part, &error))?;
            ended?;
        }
        if length < size {
            return Err(self
                .address
                .failed(&format!(
                    "closed the download of blob `{digest}` after {length} of {size} bytes"
                ))
                .passing(true));
        }
        let found = sum.digest();
        if length == size && found == digest {
            return Ok(());
        }
        // Another attempt begins anew.
        drop(fs::remove_file(part).await);
        Err(Error::new(
            ErrorKind::Refused,
            System::Registry,
            format!("the registry `{}` returned a blob with another digest", self.address.host),
        )
        .object(&self.address)
        .cause(format!("asked for {digest} of {size} bytes, got {found}"))
        .hint("a proxy or the registry changes the content: use another registry, or a mirror in `images.registry`"))
    }

    /// The next piece of a blob; `None` at its end.
    async fn piece(&self, response: &mut Response) -> Result<Option<Vec<u8>>> {
        let host = &self.address.host;
        let broken = |cause: &dyn std::fmt::Display| {
            Error::failed(
                System::Registry,
                format!("the download from the registry `{host}` was interrupted"),
            )
            .object(&self.address)
            .cause(cause)
            .hint("run the command again: downloaded parts are kept")
            .passing(true)
        };
        match timeout(PIECE_TIMEOUT, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece.map(|it| it.to_vec())),
            Ok(Err(error)) => Err(broken(&innermost(&error))),
            Err(_) => Err(broken(&format!(
                "no data for {} s",
                PIECE_TIMEOUT.as_secs()
            ))),
        }
    }

    /// The answer with a blob, from a byte on.
    async fn opened(&self, digest: &str, from: u64) -> Result<Response> {
        let mut url = self.address.url(&format!("blobs/{digest}"))?;
        let refusal = self.sign_in_for(&url).await?;
        let mut authorization = self.remembered();
        for _ in 0..=REDIRECTS {
            let mut request = self
                .http
                .get(url.clone())
                .timeout(DOWNLOAD_TIMEOUT)
                .header(header::ACCEPT, "*/*");
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = self
                .begun(authorized(request, authorization.as_ref()), &url)
                .await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|it| it.to_str().ok());
            let Some(next) = location.filter(|_| status.is_redirection()) else {
                let refusing = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
                if let Some(refusal) = refusal.filter(|_| refusing.contains(&status)) {
                    return Err(refusal);
                }
                let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                let said = format!("returned HTTP {} for blob `{digest}`", status.as_u16());
                return Err(self.address.failed(&said).passing(passing));
            };
            url = elsewhere(&self.address, &url, Some(next))?;
            // The credential is for this registry only.
            authorization = None;
        }
        Err(self.address.failed("redirects too often"))
    }

    /// Signs in where the registry wants it; the credential is remembered. A refusal is returned, and no error yet: Amazon's
    /// public registry refuses to say whether it has a blob, and sends it to the same token (aws/containers-roadmap#2671).
    async fn sign_in_for(&self, blob: &Url) -> Result<Option<Error>> {
        let before = self.remembered();
        let refusal = match self.answered(&Method::HEAD, blob, "*/*").await {
            Ok(known) if known.status.is_success() || known.status.is_redirection() => {
                return Ok(None);
            }
            Ok(known) => self.refused(&known),
            Err(error) => error,
        };
        if refusal.kind != ErrorKind::Unauthorized {
            return Err(refusal);
        }
        if self.remembered().is_none() {
            // Of several logins none was accepted, and the one that had read the manifest is forgotten.
            self.remember(before);
        }
        Ok(Some(refusal))
    }

    async fn begun(&self, request: reqwest::RequestBuilder, url: &Url) -> Result<Response> {
        let began = Instant::now();
        let sent = timeout(CALL_TIMEOUT, request.send()).await;
        let status = match &sent {
            Ok(Ok(response)) => Ok(response.status().as_u16()),
            Ok(Err(error)) => Err(innermost(error)),
            Err(_) => Err("no answer in time".to_owned()),
        };
        let host = url.host_str().unwrap_or_default();
        let action = format_args!("GET {host}{}", url.path());
        log::answered("registry", action, status, began, 1);
        match sent {
            Ok(sent) => sent.map_err(|error| unreachable(&Silence::Failed(error), host)),
            Err(_) => Err(self
                .address
                .failed("did not respond to the request for a blob")
                .passing(true)),
        }
    }
}

/// The sum and the length of what a file has; nothing, if it is not there.
async fn summed(part: &Path) -> Result<(Sum, u64)> {
    let (mut sum, mut length) = (Sum::default(), 0);
    let mut file = match File::open(part).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorSource::NotFound => return Ok((sum, 0)),
        Err(error) => return Err(unwritten(part, &error)),
    };
    let mut piece = vec![0; PIECE];
    loop {
        let count = file
            .read(&mut piece)
            .await
            .map_err(|error| unwritten(part, &error))?;
        let Some(read) = piece.get(..count).filter(|it| !it.is_empty()) else {
            return Ok((sum, length));
        };
        sum.add(read);
        length += count as u64;
    }
}

/// A file of this length, to be written at its end.
async fn to_continue(part: &Path, length: u64) -> Result<File> {
    let opened = async {
        let file = File::options().create(true).append(true).open(part).await?;
        file.set_len(length).await?;
        Ok::<_, std::io::Error>(file)
    };
    opened.await.map_err(|error| unwritten(part, &error))
}

fn unwritten(file: &Path, error: &std::io::Error) -> Error {
    Error::failed(
        System::Local,
        format!("cannot write `{}`", file.display()),
    )
    .object(file.display())
    .cause(error)
    .hint("check the free space and the permissions of the directory, then run the command again: downloaded parts are kept")
}
