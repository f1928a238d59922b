//! Where a repository is: scheme, host and path. Pure: no I/O.

use std::fmt;

use reqwest::Url;

use crate::{
    error::{Error, ErrorKind, Result, System},
    units::image::Image,
};

/// The server of Docker Hub's images, which references call `docker.io`.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// The names of Docker Hub in references and logins.
const DOCKER_HUB_NAMES: [&str; 4] = ["docker.io", "index.docker.io", DOCKER_HUB, "hub.docker.com"];

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The registry's host and port.
    pub host: String,
    /// The path of the repository.
    pub repository: String,
}

impl Address {
    /// The address of an image's repository.
    pub fn of(image: &Image<'_>) -> Self {
        let host = image.registry.unwrap_or("docker.io");
        if is_docker_hub(host) {
            let official = if image.repository.contains('/') {
                ""
            } else {
                "library/"
            };
            return Self {
                host: DOCKER_HUB.into(),
                repository: format!("{official}{}", image.repository),
            };
        }
        Self {
            host: host.into(),
            repository: image.repository.into(),
        }
    }

    /// The error of a registry that answers in a way that cannot be used.
    pub(super) fn failed(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Failed,
            System::Registry,
            format!("the registry `{}` {what}", self.host),
        )
        .object(self)
        .hint(format!(
            "check with `curl -i {}/v2/` whether a proxy or another server answers; `--pool` leaves the other pools out",
            self.base()
        ))
    }

    /// The URL of the registry: https, but for one on this machine, as docker does it.
    pub(super) fn base(&self) -> String {
        let scheme = if self.is_local() { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }

    /// Whether the registry is on this machine.
    pub(super) fn is_local(&self) -> bool {
        is_local(&self.host)
    }

    /// The URL of something of the repository.
    pub(super) fn url(&self, path: &str) -> Result<Url> {
        let text = format!("{}/v2/{}/{path}", self.base(), self.repository);
        Url::parse(&text).map_err(|error| {
            Error::new(
                ErrorKind::InvalidProfile,
                System::Profile,
                format!("`{self}` is not the address of a repository"),
            )
            .object(self)
            .cause(error)
            .hint("correct the image, or `images.registry`, in the profile")
        })
    }

    /// Whether a login under `key`, as in docker's configuration, is for this repository; the longer, the more exactly.
    pub(super) fn matches(&self, key: &str) -> Option<usize> {
        let key = key.split_once("://").map_or(key, |(_, rest)| rest);
        let key = key.trim_end_matches('/');
        let key = key
            .strip_suffix("/v1")
            .or_else(|| key.strip_suffix("/v2"))
            .unwrap_or(key);
        let (host, path) = key.split_once('/').unwrap_or((key, ""));
        let same_host = host.eq_ignore_ascii_case(&self.host)
            || (self.host == DOCKER_HUB && is_docker_hub(host))
            || has_wildcard(host, &self.host);
        let same_path = path.is_empty()
            || self.repository == path
            || self
                .repository
                .strip_prefix(path)
                .is_some_and(|it| it.starts_with('/'));
        (same_host && same_path).then_some(key.len())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.host, self.repository)
    }
}

fn is_docker_hub(host: &str) -> bool {
    DOCKER_HUB_NAMES.contains(&host)
}

/// `*.example.com`, as in the pull secrets of Kubernetes: each `*` is a part of a name.
fn has_wildcard(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.split('.'), host.split('.'));
    pattern.clone().any(|it| it == "*")
        && pattern.clone().count() == host.clone().count()
        && pattern
            .zip(host)
            .all(|(one, other)| one == "*" || one == other)
}

/// Whether a host, with or without a port, is this machine.
pub(super) fn is_local(host: &str) -> bool {
    let name = if host.starts_with('[') {
        host.split_inclusive(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    let is_loopback = |it: std::net::Ipv4Addr| it.is_loopback();
    name == "localhost" || name == "[::1]" || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(&Image::parse(text).unwrap())
    }

    #[test]
    fn docker_hub_has_another_name() {
        for (image, expected) in [
            (
                "docker:28-dind",
                "https://registry-1.docker.io/v2/library/docker/x",
            ),
            (
                "docker.io/summerwind/actions-runner:v2",
                "https://registry-1.docker.io/v2/summerwind/actions-runner/x",
            ),
            (
                "ghcr.io/actions/actions-runner:2.1.0",
                "https://ghcr.io/v2/actions/actions-runner/x",
            ),
            ("127.0.0.1:5000/a/b:1", "http://127.0.0.1:5000/v2/a/b/x"),
            ("localhost/a:1", "http://localhost/v2/a/x"),
            (
                "localhost.example.com/a:1",
                "https://localhost.example.com/v2/a/x",
            ),
        ] {
            assert_eq!(address(image).url("x").unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_login_is_for_its_registry_and_path() {
        let hub = address("summerwind/actions-runner:v2");
        for key in [
            "https://index.docker.io/v1/",
            "docker.io",
            "registry-1.docker.io",
            "docker.io/summerwind",
        ] {
            assert!(hub.matches(key).is_some(), "{key}");
        }
        let own = address("registry.example.com:5000/team/runner:1");
        assert!(
            own.matches("registry.example.com:5000/team")
                > own.matches("https://registry.example.com:5000")
        );
        assert!(own.matches("https://registry.example.com:5000").is_some());
        let ghcr = address("ghcr.io/a/b:1");
        assert!(ghcr.matches("*.io").is_some());
        for key in [
            "registry.example.com",
            "registry.example.com:5000/te",
            "evil.com/ghcr.io",
            "ghcr.io.evil.com",
            "*.example.com",
            "*",
            "",
        ] {
            assert_eq!(ghcr.matches(key), None, "{key}");
            assert!(own.matches(key).is_none(), "{key}");
        }
    }
}
