//! The names of images, in the long form that containerd keeps them under. Pure: no I/O.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// An image's name; `Display` writes it whole.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name {
    /// The registry and the path in it, as `docker.io/library/docker`.
    pub(super) repository: String,
    /// The tag; of an image that is named by its digest, `sha256:…`.
    pub(super) tag: String,
}

impl Name {
    /// Completes an image's name as containerd does: Docker Hub where there is no registry, `latest` where there is no tag.
    pub(crate) fn of(image: &str) -> Self {
        let (path, digest) = match image.split_once('@') {
            Some((path, digest)) => (path, Some(digest)),
            None => (image, None),
        };
        // A colon before the last slash is that of a port.
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => (path, "latest"),
        };
        let repository = match path.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => path.to_owned(),
            Some(_) => format!("docker.io/{path}"),
            None => format!("docker.io/library/{path}"),
        };
        Self {
            repository,
            tag: digest.unwrap_or(tag).to_owned(),
        }
    }

    /// The names under which a node's status lists the image. There is no such image here, so its digest is made from its
    /// name.
    pub(super) fn on_node(&self) -> Vec<String> {
        if self.tag.starts_with("sha256:") {
            return vec![self.to_string()];
        }
        let digest = Sha256::digest(self.to_string());
        let digest = digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _written = write!(text, "{byte:02x}");
            text
        });
        vec![
            format!("{}@sha256:{digest}", self.repository),
            self.to_string(),
        ]
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let separator = if self.tag.starts_with("sha256:") {
            '@'
        } else {
            ':'
        };
        write!(formatter, "{}{separator}{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_completed() {
        for (image, full) in [
            ("docker", "docker.io/library/docker:latest"),
            ("docker:28-dind", "docker.io/library/docker:28-dind"),
            ("a/b:1", "docker.io/a/b:1"),
            ("quay.io/a/b:1", "quay.io/a/b:1"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("a/b:1@sha256:0f", "docker.io/a/b@sha256:0f"),
        ] {
            assert_eq!(Name::of(image).to_string(), full, "{image}");
        }
    }

    #[test]
    fn a_node_lists_digest_and_tag() {
        let names = Name::of("docker:dind").on_node();
        assert!(
            names[0].starts_with("docker.io/library/docker@sha256:"),
            "{names:?}"
        );
        assert_eq!(names[1], "docker.io/library/docker:dind");
        assert_eq!(Name::of("a@sha256:0f").on_node().len(), 1);
    }
}
