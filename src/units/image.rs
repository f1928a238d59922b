//! Parses image references, and the versions in a runner image's name. Pure.

use super::runner::{Flavour, RunnerVersion};

/// The registry of an image that names none.
pub const DOCKER_HUB: &str = "docker.io";

/// The parts of an image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The registry's host (and port); absent for Docker Hub.
    pub registry: Option<&'a str>,
    /// The repository, without the registry.
    pub repository: &'a str,
    /// The tag.
    pub tag: Option<&'a str>,
    /// The digest, as `sha256:…`.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Parses a reference; `None` if it is invalid.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon after the last slash begins the tag; an earlier one begins the registry's port.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_start..].find(':') {
            Some(colon) => (
                &rest[..name_start + colon],
                Some(&rest[name_start + colon + 1..]),
            ),
            None => (rest, None),
        };
        let (registry, repository) = split_registry(name);
        let image = Self {
            registry,
            repository,
            tag,
            digest,
        };
        image.is_valid().then_some(image)
    }

    fn is_valid(&self) -> bool {
        let component = |part: &str| {
            !part.is_empty()
                && part
                    .starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && part.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
                })
        };
        let tag = |tag: &str| {
            (1..=128).contains(&tag.len())
                && !tag.starts_with(['.', '-'])
                && tag
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let digest = |digest: &str| {
            digest.split_once(':').is_some_and(|(algorithm, hash)| {
                !algorithm.is_empty()
                    && hash.len() >= 32
                    && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        };
        let host = |host: &str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte))
        };
        self.repository.split('/').all(component)
            && self.registry.is_none_or(host)
            && self.tag.is_none_or(tag)
            && self.digest.is_none_or(digest)
    }

    /// Whether the reference is mutable: the image can change without a change of the profile.
    pub fn floats(&self) -> bool {
        self.digest.is_none() && matches!(self.tag, None | Some("latest"))
    }

    /// The runner's version in the tag, as 2.306.0 of `v2.306.0-ubuntu-22.04`.
    pub fn runner_version(&self) -> Option<RunnerVersion> {
        Flavour::of(self.tag?).map(|it| it.version)
    }

    /// The Ubuntu release in the reference, as (22, 4); the tag takes precedence over the name.
    pub fn ubuntu(&self) -> Option<(u32, u32)> {
        self.tag
            .and_then(ubuntu)
            .or_else(|| ubuntu(self.repository))
    }
}

/// The registry in a reference, and the rest. The first component is a registry if it can be a host (the rule of the
/// distribution reference grammar).
pub fn split_registry(reference: &str) -> (Option<&str>, &str) {
    match reference.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), path)
        }
        _ => (None, reference),
    }
}

/// The Ubuntu release in a reference; `None` for an invalid one too.
pub fn ubuntu_of(reference: &str) -> Option<(u32, u32)> {
    Image::parse(reference)?.ubuntu()
}

/// The Ubuntu release in a text, as (22, 4) in `ubuntu-22.04`.
pub fn ubuntu(text: &str) -> Option<(u32, u32)> {
    let words = text.split(|character: char| !character.is_ascii_digit() && character != '.');
    words
        .filter_map(|word| word.split_once('.'))
        .find_map(|(year, month)| {
            let release = (year.parse().ok()?, month.parse().ok()?);
            (year.len() == 2 && matches!(month, "04" | "10") && release.0 >= 14).then_some(release)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Image<'_> {
        Image::parse(text).unwrap()
    }

    #[test]
    fn references_are_taken_apart() {
        let plain = parse("summerwind/actions-runner:v2.306.0-ubuntu-22.04");
        assert_eq!(
            (plain.registry, plain.repository),
            (None, "summerwind/actions-runner")
        );
        assert_eq!(plain.tag, Some("v2.306.0-ubuntu-22.04"));
        let full = format!("registry.example:5000/a/b:1@sha256:{}", "0".repeat(64));
        let full = parse(&full);
        assert_eq!(
            (full.registry, full.repository, full.tag),
            (Some("registry.example:5000"), "a/b", Some("1"))
        );
        assert!(full.digest.unwrap().starts_with("sha256:"));
        assert_eq!(parse("localhost/a").registry, Some("localhost"));
        assert_eq!(parse("docker:28-dind").repository, "docker");
    }

    #[test]
    fn nonsense_is_no_reference() {
        for text in [
            "",
            ":",
            "a:",
            "a b",
            "A/b",
            "/a",
            "a//b",
            "a@",
            "a@sha256:12",
            "a:-x",
            "https://a/b",
            "a:b:c",
            "ä",
        ] {
            assert_eq!(Image::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_tag_tells_version_and_release() {
        assert_eq!(
            parse("r:v2.306.0-ubuntu-22.04").runner_version(),
            Some(RunnerVersion(2, 306, 0))
        );
        assert_eq!(
            parse("r:ubuntu-22.04-2.329.0").runner_version(),
            Some(RunnerVersion(2, 329, 0))
        );
        assert_eq!(parse("r:ubuntu-22.04").runner_version(), None);
        assert_eq!(
            parse("r:v1.2.3").runner_version(),
            None,
            "no runner had version 1"
        );
        assert_eq!(parse("r:v2.306.0-ubuntu-22.04").ubuntu(), Some((22, 4)));
        assert_eq!(parse("runner-ubuntu-24.04:v3").ubuntu(), Some((24, 4)));
        assert_eq!(parse("r:v2.306.0").ubuntu(), None);
        assert_eq!(ubuntu("v2.20.04"), None);
        assert_eq!(ubuntu("22.041"), None);
    }

    #[test]
    fn what_has_no_tag_floats() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        assert!(parse("a").floats() && parse("a:latest").floats());
        assert!(!parse("a:1").floats() && !parse(&digest).floats());
    }
}
