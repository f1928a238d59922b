//! The flavour of an image: all of its tag but the runner's version and its build. Pure: no I/O.

use std::ops::RangeInclusive;

use super::RunnerVersion;

/// How long the text of a build is: from a short hash of git, or a day, to a whole hash.
const BUILD: RangeInclusive<usize> = 7..=40;

/// A tag, taken apart at the runner's version: `v`, 2.306.0 and `-ubuntu-22.04` of `v2.306.0-ubuntu-22.04`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavour<'a> {
    before: &'a str,
    /// The version in it.
    pub version: RunnerVersion,
    after: &'a str,
}

impl<'a> Flavour<'a> {
    /// Takes a tag apart; `None` if it has no version of the runner.
    pub fn of(tag: &'a str) -> Option<Self> {
        let mut start = 0;
        for word in tag.split(['-', '_']) {
            if let Some(version) = RunnerVersion::parse(word) {
                // The `v` belongs to the flavour: `2.306.0` is a tag of another one.
                let digits = word.len() - word.strip_prefix('v').unwrap_or(word).len();
                return Some(Self {
                    before: &tag[..start + digits],
                    version,
                    after: &tag[start + word.len()..],
                });
            }
            start += word.len() + 1;
        }
        None
    }

    /// The build at the end of the tag: the hash of a commit or a day, `6ca1ab7` of `v2.336.0-ubuntu-22.04-6ca1ab7`. The images
    /// of summerwind have such a tag beside the one without (actions-runner-controller/releases, `release-runners.yaml`). Another
    /// version is another build.
    pub fn build(&self) -> Option<&'a str> {
        let (_, last) = self.after.rsplit_once(['-', '_'])?;
        let is_hash = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
        (BUILD.contains(&last.len()) && last.bytes().all(is_hash)).then_some(last)
    }

    /// The tag of the same flavour with another version.
    pub fn with(&self, version: RunnerVersion) -> String {
        format!("{}{version}{}", self.before, self.after)
    }

    /// What is after the version, without the build.
    fn kind(&self) -> &'a str {
        let build = self.build().unwrap_or_default();
        self.after.strip_suffix(build).unwrap_or(self.after)
    }

    /// Whether only the version and the build differ; both have a build, or none.
    fn is_same(&self, other: &Flavour<'_>) -> bool {
        self.before == other.before
            && self.kind() == other.kind()
            && self.build().is_some() == other.build().is_some()
    }
}

/// The newest of `tags` that differ from `tag` in nothing but a later version, and the build where it has one. None where there
/// is no later version; several where there are several builds of it, which do not say their order.
pub fn newest<'a>(tag: &str, tags: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let Some(own) = Flavour::of(tag) else {
        return Vec::new();
    };
    let same: Vec<_> = tags
        .into_iter()
        .filter_map(|it| Some((it, Flavour::of(it)?)))
        .filter(|(_, it)| it.is_same(&own) && it.version > own.version)
        .collect();
    let version = same.iter().map(|(_, it)| it.version).max();
    same.into_iter()
        .filter(|(_, it)| Some(it.version) == version)
        .map(|(tag, _)| tag)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_flavour_is_newer() {
        let tags = [
            "latest",
            "v2.337.0",
            "v2.336.0-ubuntu-22.04",
            "v2.99.0-ubuntu-22.04",
            "v2.338.1-ubuntu-22.04",
            "v2.338.1-ubuntu-22.04-6ca1ab7",
            "v2.338.1-ubuntu-20.04",
            "2.339.0-ubuntu-22.04",
            "ubuntu-22.04",
        ];
        assert_eq!(
            newest("v2.336.0-ubuntu-22.04", tags),
            ["v2.338.1-ubuntu-22.04"]
        );
        assert_eq!(newest("v2.338.1-ubuntu-22.04", tags), [""; 0]);
        assert_eq!(newest("v2.306.0", tags), ["v2.337.0"]);
        assert_eq!(newest("latest", tags), [""; 0]);
        assert_eq!(newest("2.330.0", ["2.331.0", "v2.332.0"]), ["2.331.0"]);
    }

    /// Every version of such a tag ends differently, so none would ever be newer.
    #[test]
    fn another_version_is_another_build() {
        let tags = [
            "v2.336.0-ubuntu-22.04-b01e193",
            "v2.337.0-ubuntu-22.04-c221b6e",
            "v2.337.0-ubuntu-22.04-3ca1152",
            "v2.338.1-ubuntu-22.04",
            "v2.338.1-ubuntu-20.04-6ca1ab7",
            "2.338.1-20261024",
        ];
        assert_eq!(
            newest("v2.336.0-ubuntu-22.04-b01e193", tags),
            [
                "v2.337.0-ubuntu-22.04-c221b6e",
                "v2.337.0-ubuntu-22.04-3ca1152"
            ]
        );
        assert_eq!(
            newest("v2.330.0-ubuntu-20.04-0000000", tags),
            ["v2.338.1-ubuntu-20.04-6ca1ab7"]
        );
        assert_eq!(newest("2.330.0-20260101", tags), ["2.338.1-20261024"]);
        assert_eq!(newest("2.330.0-", tags), [""; 0]);
        for none in ["v2.336.0-ubuntu-22.04", "v2.336.0-rootless", "2.336.0-1"] {
            assert_eq!(Flavour::of(none).unwrap().build(), None, "{none}");
        }
    }

    #[test]
    fn the_version_may_be_anywhere_in_the_tag() {
        let own = Flavour::of("ubuntu-22.04_v2.329.0-1").unwrap();
        assert_eq!(own.version, RunnerVersion(2, 329, 0));
        assert_eq!((own.before, own.after), ("ubuntu-22.04_v", "-1"));
        let newer = own.with(RunnerVersion(2, 338, 1));
        assert_eq!(newer, "ubuntu-22.04_v2.338.1-1");
        assert_eq!(Flavour::of("22.04"), None);
    }
}
