//! What a tag or a digest stands for: the manifest of an image, or the index of its platforms.

use std::collections::BTreeMap;

use http::{Method, StatusCode, header};
use reqwest::Url;
use serde::Deserialize;

use super::{ATTEMPTS, Address, MANIFESTS, Repository, address::is_local, answer::Answer, retried};
use crate::{
    error::{Error, ErrorKind, Result, System},
    units::digest::{is_sha256, sha256},
};

/// The digest of a manifest or an index.
const DIGEST: &str = "docker-content-digest";

/// The most redirects that are followed: registry.k8s.io has one.
const REDIRECTS: usize = 4;

/// An image at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the index, or of the manifest where there is only one platform.
    pub digest: String,
    /// The digests of the platforms, for example of `linux/arm64`; none where there is no index, or it was not read.
    pub platforms: BTreeMap<String, String>,
}

/// A manifest or an index as the registry sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its bytes, which have this digest.
    pub bytes: Vec<u8>,
}

/// An index, or a manifest, which has none of its keys.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Repository<'_> {
    /// The manifest of a tag or a digest, whose bytes have the digest that they are named by; `None` if there is none.
    pub async fn manifest(&self, reference: &str) -> Result<Option<Manifest>> {
        let answer = self.at_its_place(&Method::GET, reference).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.succeeded(answer)?;
        read(&answer, reference, &self.address).map(Some)
    }

    /// The bytes of a manifest or an index, which have the digest that they are named by; `None` if there is none.
    pub async fn fetched(&self, reference: &str) -> Result<Option<Document>> {
        let answer = self.at_its_place(&Method::GET, reference).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.succeeded(answer)?;
        let digest = read(&answer, reference, &self.address)?.digest;
        // A type in the document is the type of the document; the header may have parameters.
        let body: serde_json::Value = answer.json(&self.address)?;
        let header = answer.header("content-type").unwrap_or_default();
        let header = header.split(';').next().unwrap_or_default().trim();
        Ok(Some(Document {
            media_type: body["mediaType"].as_str().unwrap_or(header).to_owned(),
            digest,
            bytes: answer.bytes().to_vec(),
        }))
    }

    /// What a tag or a digest stands for now, without its platforms; `None` if there is none. Docker Hub does not count this
    /// as a pull (docs.docker.com, "Docker Hub pull usage and limits").
    pub async fn current(&self, reference: &str) -> Result<Option<Manifest>> {
        let answer = self.at_its_place(&Method::HEAD, reference).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.succeeded(answer)?;
        match answer.header(DIGEST).filter(|it| is_sha256(it)) {
            Some(digest) => Ok(Some(Manifest {
                digest: digest.to_owned(),
                platforms: BTreeMap::new(),
            })),
            // The header is optional.
            None => self.manifest(reference).await,
        }
    }

    /// The answer for a manifest, also of a registry that sends to another place for it (registry.k8s.io). There no credential
    /// is sent; the bytes are compared with their digest as always.
    pub(super) async fn at_its_place(&self, method: &Method, reference: &str) -> Result<Answer> {
        let mut url = self.address.url(&format!("manifests/{reference}"))?;
        let mut answer = self.answered(method, &url, MANIFESTS).await?;
        for _ in 0..REDIRECTS {
            if !moved(answer.status) {
                break;
            }
            url = elsewhere(&self.address, &url, answer.header("location"))?;
            let host = url.host_str().unwrap_or_default();
            let request = || {
                let request = self.http.request(method.clone(), url.clone());
                request.header(header::ACCEPT, MANIFESTS)
            };
            answer = retried(method, &url, host, request, ATTEMPTS).await?;
        }
        Ok(answer)
    }
}

/// Whether the same request is to be made at another place (RFC 9110, 15.4.8 and 15.4.9).
fn moved(status: StatusCode) -> bool {
    status == StatusCode::TEMPORARY_REDIRECT || status == StatusCode::PERMANENT_REDIRECT
}

/// The place that a registry sends to: with https, or on this machine if the registry is there too.
pub(super) fn elsewhere(address: &Address, from: &Url, location: Option<&str>) -> Result<Url> {
    let to = location.and_then(|it| from.join(it).ok());
    let is_safe = |it: &Url| {
        let local = || address.is_local() && it.host_str().is_some_and(is_local);
        let is_read_safely = it.scheme() == "https" || (it.scheme() == "http" && local());
        is_read_safely && it.username().is_empty() && it.password().is_none()
    };
    to.filter(is_safe).ok_or_else(|| {
        Error::failed(
            System::Registry,
            format!(
                "the registry `{}` redirects the request for `{}` to an insecure address",
                address.host, address.repository
            ),
        )
        .object(address)
        .hint("arcctl follows a redirect only to an https address without a password: in the image or in `images.registry`, name the registry that stores the image")
    })
}

fn read(answer: &Answer, reference: &str, address: &Address) -> Result<Manifest> {
    let digest = sha256(answer.bytes());
    let promised = answer.header(DIGEST).filter(|it| is_sha256(it));
    let asked = Some(reference).filter(|it| is_sha256(it));
    if let Some(other) = [promised, asked]
        .into_iter()
        .flatten()
        .find(|it| **it != digest)
    {
        return Err(wrong_digest(address, reference, other, &digest));
    }
    let body: Body = answer.json(address)?;
    let platforms = body.manifests.into_iter().filter_map(|it| {
        let platform = it.platform?;
        // Attestations are in the index too.
        (platform.os != "unknown" && is_sha256(&it.digest)).then(|| (platform.name(), it.digest))
    });
    Ok(Manifest {
        digest,
        platforms: platforms.collect(),
    })
}

fn wrong_digest(address: &Address, reference: &str, promised: &str, is: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        System::Registry,
        format!(
            "the registry `{}` returned a manifest with another digest for `{reference}` of `{}`",
            address.host, address.repository
        ),
    )
    .object(address)
    .cause(format!("expected {promised}, got {is}"))
    .hint("a proxy or the registry changes the content: use another registry, or a mirror in `images.registry`")
}

impl Platform {
    fn name(&self) -> String {
        let name = format!("{}/{}", self.os, self.architecture);
        match &self.variant {
            Some(variant) => format!("{name}/{variant}"),
            None => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn address() -> Address {
        Address {
            host: "ghcr.io".into(),
            repository: "a/b".into(),
        }
    }

    fn answer(digest: Option<&str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(digest) = digest {
            headers.insert(DIGEST, digest.parse().unwrap());
        }
        Answer::received(StatusCode::OK, headers, body.as_bytes().to_vec())
    }

    #[test]
    fn another_digest_than_that_of_the_bytes_is_refused() {
        let other = sha256(b"other");
        for (reference, header) in [("1", Some(other.as_str())), (other.as_str(), None)] {
            let error = read(&answer(header, "{}"), reference, &address()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            assert!(error.causes[0].contains(&other), "{error}");
        }
    }

    #[test]
    fn only_a_safe_place_is_followed() {
        let from: Url = "https://ghcr.io/v2/a/b/manifests/1".parse().unwrap();
        let to = |location: Option<&str>| elsewhere(&address(), &from, location);
        let found = to(Some("https://other.example/v2/x/manifests/1")).unwrap();
        assert_eq!(found.as_str(), "https://other.example/v2/x/manifests/1");
        assert_eq!(to(Some("/x")).unwrap().as_str(), "https://ghcr.io/x");
        for wrong in [
            None,
            Some("http://other.example/"),
            Some("http://127.0.0.1/"),
            Some("https://user:password@other.example/"),
            Some("file:///etc/passwd"),
        ] {
            let error = to(wrong).unwrap_err();
            assert!(error.hint.unwrap().contains("https"), "{wrong:?}");
        }
    }

    #[test]
    fn an_index_has_platforms_and_a_manifest_none() {
        let (one, two) = (sha256(b"1"), sha256(b"2"));
        let index = serde_json::json!({"manifests": [
            {"digest": one, "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": two, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
            {"digest": two, "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": two},
        ]})
        .to_string();
        let found = read(&answer(None, &index), "1", &address()).unwrap();
        assert_eq!(found.digest, sha256(index.as_bytes()));
        let expected = [("linux/amd64", one), ("linux/arm/v7", two)];
        let expected = expected.map(|(name, digest)| (name.to_owned(), digest));
        assert_eq!(found.platforms, BTreeMap::from(expected));
        let single = read(&answer(None, "{\"layers\": []}"), "1", &address()).unwrap();
        assert!(single.platforms.is_empty());
    }
}
