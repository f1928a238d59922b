//! The flavour of an image: all of its tag but the runner's version. Pure: no I/O.

use super::RunnerVersion;

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

    /// The tag of the same flavour with another version.
    pub fn with(&self, version: RunnerVersion) -> String {
        format!("{}{version}{}", self.before, self.after)
    }

    /// Whether only the version differs.
    fn is_same(&self, other: &Flavour<'_>) -> bool {
        self.before == other.before && self.after == other.after
    }
}

/// The newest of `tags` that differs from `tag` in nothing but a later version; `None` where there is none.
pub fn newest<'a>(tag: &str, tags: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let own = Flavour::of(tag)?;
    tags.into_iter()
        .filter_map(|it| Some((it, Flavour::of(it)?)))
        .filter(|(_, it)| it.is_same(&own) && it.version > own.version)
        .max_by_key(|(_, it)| it.version)
        .map(|(tag, _)| tag)
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
            Some("v2.338.1-ubuntu-22.04")
        );
        assert_eq!(newest("v2.338.1-ubuntu-22.04", tags), None);
        assert_eq!(newest("v2.306.0", tags), Some("v2.337.0"));
        assert_eq!(newest("latest", tags), None);
        assert_eq!(newest("2.330.0", ["2.331.0", "v2.332.0"]), Some("2.331.0"));
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
