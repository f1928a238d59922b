//! The flavour of an image: all of its tag but the runner's version and its build. Pure: no I/O.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::RunnerVersion;

/// How long the text of a build is: from a short hash of git, or a day, to a whole hash.
const BUILD: RangeInclusive<usize> = 7..=40;

/// How long the text of a day is, as `20261024`.
const DAY: usize = 8;

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

    /// The day of the build, where it is one. Days tell the order of builds, and hashes do not.
    fn day(&self) -> Option<Date> {
        let is_day = |it: &&str| it.len() == DAY && it.bytes().all(|it| it.is_ascii_digit());
        self.build().filter(is_day)?.parse().ok()
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

/// What tags have that is newer than one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Later<'a> {
    /// Nothing.
    Nothing,
    /// A tag with a later version, or with a build of a later day.
    Tag(&'a str),
    /// The tags of several builds of a later version, which do not tell their order.
    Builds(Vec<&'a str>),
    /// No later version, but other builds of the same one, which do not tell their order.
    SameVersion,
}

/// The newest of `tags` that differ from `tag` in nothing but the version, and the build where it has one.
pub fn newest<'a>(tag: &str, tags: impl IntoIterator<Item = &'a str>) -> Later<'a> {
    let Some(own) = Flavour::of(tag) else {
        return Later::Nothing;
    };
    let same: Vec<(&'a str, Flavour<'a>)> = tags
        .into_iter()
        .filter(|it| *it != tag)
        .filter_map(|it| Some((it, Flavour::of(it)?)))
        .filter(|(_, it)| it.is_same(&own) && it.version >= own.version)
        .collect();
    let Some(version) = same.iter().map(|(_, it)| it.version).max() else {
        return Later::Nothing;
    };
    let builds: Vec<(&'a str, Flavour<'a>)> = same
        .into_iter()
        .filter(|(_, it)| it.version == version)
        .collect();
    let latest = latest(&builds);
    if version == own.version {
        return match own.day().zip(latest) {
            Some((day, (later, tag))) if later > day => Later::Tag(tag),
            Some(_) => Later::Nothing,
            None => Later::SameVersion,
        };
    }
    let tags: Vec<&'a str> = builds.iter().map(|(tag, _)| *tag).collect();
    if let [tag] = tags[..] {
        return Later::Tag(tag);
    }
    latest.map_or(Later::Builds(tags), |(_, tag)| Later::Tag(tag))
}

/// The build of the latest day, with that day; none unless the build of each is a day.
fn latest<'a>(builds: &[(&'a str, Flavour<'a>)]) -> Option<(Date, &'a str)> {
    let days = builds.iter().map(|(tag, it)| Some((it.day()?, *tag)));
    days.collect::<Option<Vec<_>>>()?.into_iter().max()
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
            Later::Tag("v2.338.1-ubuntu-22.04")
        );
        assert_eq!(newest("v2.338.1-ubuntu-22.04", tags), Later::Nothing);
        assert_eq!(newest("v2.306.0", tags), Later::Tag("v2.337.0"));
        assert_eq!(newest("latest", tags), Later::Nothing);
        let others = ["2.331.0", "v2.332.0"];
        assert_eq!(newest("2.330.0", others), Later::Tag("2.331.0"));
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
            Later::Builds(vec![
                "v2.337.0-ubuntu-22.04-c221b6e",
                "v2.337.0-ubuntu-22.04-3ca1152"
            ])
        );
        assert_eq!(
            newest("v2.330.0-ubuntu-20.04-0000000", tags),
            Later::Tag("v2.338.1-ubuntu-20.04-6ca1ab7")
        );
        assert_eq!(
            newest("2.330.0-20260101", tags),
            Later::Tag("2.338.1-20261024")
        );
        assert_eq!(newest("2.330.0-", tags), Later::Nothing);
        for none in ["v2.336.0-ubuntu-22.04", "v2.336.0-rootless", "2.336.0-1"] {
            assert_eq!(Flavour::of(none).unwrap().build(), None, "{none}");
        }
    }

    #[test]
    fn builds_are_compared_by_their_day_and_not_by_their_hash() {
        let days = [
            "2.330.0-20251231",
            "2.330.0-20260101",
            "2.330.0-20260301",
            "2.338.1-20261120",
            "2.338.1-20261024",
        ];
        assert_eq!(
            newest("2.336.0-b01e193", days),
            Later::Tag("2.338.1-20261120")
        );
        let own = "2.330.0-20260101";
        assert_eq!(newest(own, days), Later::Tag("2.338.1-20261120"));
        assert_eq!(
            newest(own, days[..3].iter().copied()),
            Later::Tag("2.330.0-20260301")
        );
        assert_eq!(newest(own, days[..2].iter().copied()), Later::Nothing);
        let rebuilt = ["2.330.0-20260101", "2.330.0-b01e193"];
        assert_eq!(newest(rebuilt[0], rebuilt), Later::SameVersion);
        assert_eq!(newest(rebuilt[1], rebuilt), Later::SameVersion);
        assert_eq!(newest(rebuilt[1], [rebuilt[1]]), Later::Nothing);
        // There is no month 13, so one of them is a hash.
        let hashes = ["2.338.1-20261024", "2.338.1-20261324"];
        assert_eq!(newest(own, hashes), Later::Builds(hashes.to_vec()));
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
