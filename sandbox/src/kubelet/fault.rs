//! Faults on the nodes, on request. Pure: no I/O.

use anyhow::{Result, bail};

use super::images::Name;

/// A fault of the containers of some images; in a pattern, `*` stands for anything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KubeletFault {
    /// The image cannot be pulled.
    ImagePull(String),
    /// The container ends with an error again and again.
    Crash(String),
}

impl KubeletFault {
    /// Reads `image-pull=PATTERN` or `crash=PATTERN`.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some(("image-pull", pattern)) => Ok(Self::ImagePull(pattern.to_owned())),
            Some(("crash", pattern)) => Ok(Self::Crash(pattern.to_owned())),
            _ => bail!(
                "`{text}` is not a fault of the kubelet: write `image-pull=IMAGE` or `crash=IMAGE`"
            ),
        }
    }
}

/// Whether an image cannot be pulled.
pub(super) fn is_pull_broken(faults: &[KubeletFault], image: &str) -> bool {
    faults
        .iter()
        .any(|fault| matches!(fault, KubeletFault::ImagePull(p) if matches(p, image)))
}

/// Whether an image's containers crash.
pub(super) fn is_crashing(faults: &[KubeletFault], image: &str) -> bool {
    faults
        .iter()
        .any(|fault| matches!(fault, KubeletFault::Crash(p) if matches(p, image)))
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            tail.char_indices()
                .map(|(at, _)| at)
                .chain([tail.len()])
                .any(|at| matches(rest, &tail[at..]))
        }),
    }
}

/// What the container runtime says about an image that the registry does not have.
pub(super) fn pull_error(image: &str) -> String {
    let full = Name::of(image).to_string();
    format!("failed to pull and unpack image {full:?}: failed to resolve image: {full}: not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_faults_are_refused() {
        let error = KubeletFault::parse("explode=x").unwrap_err().to_string();
        assert!(
            error.contains("`explode=x`") && error.contains("crash=IMAGE"),
            "{error}"
        );
    }

    #[test]
    fn a_pattern_may_have_gaps() {
        for (pattern, image, expected) in [
            ("docker:28-dind", "docker:28-dind", true),
            ("docker:28-dind", "docker:28", false),
            ("summerwind/*", "summerwind/actions-runner:v2", true),
            (
                "*actions-runner*",
                "mirror.example.com/actions-runner:v2",
                true,
            ),
            ("*actions-runner", "summerwind/actions-runner:v2", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, image), expected, "{pattern} {image}");
        }
    }

    #[test]
    fn short_names_are_docker_hubs() {
        assert!(pull_error("docker:28-dind").contains("\"docker.io/library/docker:28-dind\""));
        assert!(pull_error("a/b:1").contains("docker.io/a/b:1: not found"));
        assert!(pull_error("quay.io/a/b:1").contains("\"quay.io/a/b:1\""));
    }
}
