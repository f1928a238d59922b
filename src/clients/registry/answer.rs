//! An answer of a registry or its token server, and the errors that follow from one.

use http::{HeaderMap, StatusCode, header};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Address;
use crate::{
    clients::cause::innermost,
    error::{Error, ErrorKind, Result, System},
    printable::printable,
};

/// The largest body that is read: a page of a thousand tags has 130 KB at most.
const LARGEST: usize = 4 << 20;

/// How much of a registry's message is quoted.
const QUOTED: usize = 200;

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

/// Why there is no answer.
pub(super) enum Silence {
    /// The connection failed, or it took too long.
    Failed(reqwest::Error),
    /// The body is too large.
    TooLarge,
}

impl std::fmt::Display for Silence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge => {
                write!(
                    formatter,
                    "the response is larger than {} MiB",
                    LARGEST >> 20
                )
            }
            Self::Failed(error) if error.is_timeout() => formatter.write_str("no answer in time"),
            Self::Failed(error) => formatter.write_str(&innermost(error)),
        }
    }
}

impl Silence {
    /// Whether another attempt may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Failed(error) => !error.is_builder() && !error.is_timeout(),
            Self::TooLarge => false,
        }
    }
}

impl Answer {
    /// Sends a request, and reads the whole answer.
    pub(super) async fn of(request: reqwest::RequestBuilder) -> Result<Self, Silence> {
        let mut response = request.send().await.map_err(Silence::Failed)?;
        let headers = std::mem::take(response.headers_mut());
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Silence::Failed)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Silence::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// An answer as it was received.
    #[cfg(test)]
    pub(super) const fn received(status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// Whether another attempt may help.
    pub(super) fn may_pass(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, address: &Address) -> Result<T> {
        // Only that it is not what was expected: the body may have a token.
        serde_json::from_slice(&self.body)
            .map_err(|_| address.failed("did not return the expected JSON"))
    }

    /// The next page of a list: the `Link` with `rel="next"`, relative to `from`.
    pub(super) fn next(&self, from: &Url) -> Option<Url> {
        let links = self.headers.get_all(header::LINK).iter();
        let next = links
            .filter_map(|it| it.to_str().ok())
            .flat_map(|it| it.split(','))
            .find(|it| {
                let rel = it.to_ascii_lowercase().replace(['"', ' '], "");
                rel.contains(";rel=next")
            })?;
        let (_, rest) = next.split_once('<')?;
        let (link, _) = rest.split_once('>')?;
        from.join(link).ok()
    }

    /// Whether the body has these words, which are in lower case.
    pub(super) fn says(&self, words: &str) -> bool {
        let body = String::from_utf8_lossy(&self.body);
        body.to_lowercase().contains(words)
    }

    /// The first error in the body, as the specification has it.
    fn said(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let error = body["errors"].get(0).unwrap_or(&body);
        let text = ["code", "message", "details"]
            .iter()
            .filter_map(|it| error[*it].as_str())
            .filter(|it| !it.is_empty())
            .collect::<Vec<_>>()
            .join(": ");
        let text: String = printable(&text).chars().take(QUOTED).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// The error for an answer that refuses; with so many logins it was tried. `purpose` is `read` or `write`.
pub(super) fn refused(answer: &Answer, address: &Address, logins: usize, purpose: &str) -> Error {
    let status = answer.status.as_u16();
    let said = answer.said().map_or_else(
        || format!("the registry returned HTTP {status}"),
        |said| format!("the registry returned HTTP {status}: {said}"),
    );
    let host = &address.host;
    let new = |kind, message: String| {
        Error::new(kind, System::Registry, message)
            .object(address)
            .cause(&said)
    };
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if logins > 0 => new(
            ErrorKind::Unauthorized,
            match logins {
                1 => format!("the registry `{host}` does not allow this login to {purpose} `{}`", address.repository),
                _ => format!("the registry `{host}` allows none of {logins} logins to {purpose} `{}`", address.repository),
            },
        )
        .hint(format!("sign in again with `docker login {host}`, or renew the Secret in `images.pullSecrets`; registries return the same error for a repository that does not exist")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => new(
            ErrorKind::Unauthorized,
            format!("the registry `{host}` does not allow anonymous users to {purpose} `{}`", address.repository),
        )
        .hint(format!("sign in with `docker login {host}` on this machine, or name a Secret in `images.pullSecrets` of the profile (arcctl does not run credential helpers); registries return the same error for a repository that does not exist")),
        StatusCode::NOT_FOUND if purpose == "write" => new(
            ErrorKind::Failed,
            format!("the registry `{host}` has no repository `{}`", address.repository),
        )
        .hint("create the repository first: some registries, as ECR without a template for it, make none when something is pushed"),
        StatusCode::NOT_FOUND => new(
            ErrorKind::Failed,
            format!("the registry `{host}` has no repository `{}`", address.repository),
        )
        .hint("correct the image in the profile; a mirror in `images.registry` has only images that were copied to it or pulled through it"),
        StatusCode::TOO_MANY_REQUESTS => new(
            ErrorKind::Failed,
            format!("the registry `{host}` rate-limits requests from this IP address"),
        )
        .hint(format!("sign in with `docker login {host}`, which has a limit of its own, or wait until the limit ends"))
        .passing(true),
        status if status.is_redirection() => new(
            ErrorKind::Failed,
            format!("the registry `{host}` redirects the request for `{}`", address.repository),
        )
        .hint("arcctl follows a few redirects of a manifest, and none of a list of tags: in the image or in `images.registry`, name the registry that stores the image"),
        _ => new(
            ErrorKind::Failed,
            format!("the registry `{host}` returned an unexpected response for `{}`", address.repository),
        )
        .hint(format!("check with `curl -i {}/v2/` whether the registry works", address.base()))
        .passing(answer.may_pass()),
    }
}

/// The error for a registry that does not answer.
pub(super) fn unreachable(silence: &Silence, host: &str) -> Error {
    Error::failed(System::Registry, format!("cannot read from the registry `{host}`"))
        .object(host)
        .cause(silence)
        .hint("check the name in the image or in `images.registry`, and the network to it (proxy, firewall, VPN); this machine must trust the registry's certificate (SSL_CERT_FILE names more authorities)")
        .passing(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let name = |it: &str| http::HeaderName::from_bytes(it.as_bytes()).unwrap();
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(key, value)| (name(key), value.parse().unwrap()))
                .collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn the_next_page_is_relative_to_this_one() {
        let from: Url = "https://ghcr.io/v2/a/b/tags/list?n=1000".parse().unwrap();
        let next = |link: &str| {
            answer(200, &[("link", link)], "")
                .next(&from)
                .map(String::from)
        };
        assert_eq!(
            next("</v2/a/b/tags/list?last=x&n=0>; rel=\"next\"").unwrap(),
            "https://ghcr.io/v2/a/b/tags/list?last=x&n=0"
        );
        assert_eq!(
            next("<https://evil.example/>; rel=next").unwrap(),
            "https://evil.example/"
        );
        assert_eq!(
            next("</x>; rel=\"prev\", </y>; rel=\"next\"").unwrap(),
            "https://ghcr.io/y"
        );
        for none in ["", "</x>; rel=\"prev\"", "garbage; rel=next"] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let address = Address {
            host: "ghcr.io".into(),
            repository: "a/b".into(),
        };
        for (status, logins, code, hint) in [
            (401, 0, 4, "docker login ghcr.io"),
            (403, 1, 4, "sign in again"),
            (401, 2, 4, "sign in again"),
            (404, 0, 1, "correct the image"),
            (429, 0, 1, "limit"),
            (307, 0, 1, "redirects of a manifest"),
            (500, 0, 1, "curl -i https://ghcr.io/v2/"),
        ] {
            let body = r#"{"errors": [{"code": "DENIED", "message": "no\u001b[31m"}]}"#;
            let error = refused(&answer(status, &[], body), &address, logins, "read");
            assert_eq!(error.kind.exit_code(), code, "{status}");
            assert!(error.hint.as_ref().unwrap().contains(hint), "{error}");
            let told = error.to_string();
            assert_eq!(told.matches("DENIED").count(), 1, "{told}");
            assert!(!told.contains('\u{1b}'), "{told}");
        }
        let none = refused(&answer(404, &[], ""), &address, 0, "write");
        assert!(none.hint.unwrap().contains("create the repository"));
        assert_eq!(answer(500, &[], "<html>").said(), None);
    }
}
