//! Newer images of pools as text, as `arcctl.images/v1`, and for the summary of a CI step. Pure: no I/O.

use std::fmt::Write;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::markdown;
use crate::{
    error::Error,
    units::{
        image::Image,
        runner::{RELEASES, Release, RunnerVersion},
    },
};

/// The images of the pools, and newer ones.
#[derive(Debug, Default)]
pub struct Images {
    /// The profile's name.
    pub profile: String,
    /// The profile's file.
    pub file: String,
    /// Whether the newer images were written into it.
    pub written: bool,
    /// Today, in UTC.
    pub today: Date,
    /// The pools.
    pub pools: Vec<PoolImage>,
}

/// The image of a pool.
#[derive(Clone, Debug)]
pub struct PoolImage {
    /// The pool.
    pub pool: String,
    /// The image in the profile.
    pub image: String,
    /// The repository whose tags were read; none if the image's own tag cannot be compared.
    pub repository: Option<String>,
    /// What was found.
    pub found: Found,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A newer image of the same flavour.
    Newer(String),
    /// There is none.
    Newest,
    /// There are several newer ones, and why none of them can be chosen.
    Several(String),
    /// There is no newer version, and other builds of this one, whose order is not known.
    SameVersion,
    /// It cannot be told.
    Unknown(String),
}

impl Found {
    /// Why no newer image is chosen, where it is not known that there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Newer(_) | Self::Newest => None,
            Self::Several(why) | Self::Unknown(why) => Some(why),
            Self::SameVersion => {
                Some("no newer version; builds of the same version are not compared")
            }
        }
    }
}

impl PoolImage {
    /// The newer image.
    pub fn newer(&self) -> Option<&str> {
        match &self.found {
            Found::Newer(image) => Some(image),
            Found::Newest | Found::Several(_) | Found::SameVersion | Found::Unknown(_) => None,
        }
    }
}

impl Images {
    /// The pools with a newer image.
    pub fn newer(&self) -> impl Iterator<Item = &PoolImage> {
        self.pools.iter().filter(|it| it.newer().is_some())
    }

    /// The JSON document.
    pub fn document(&self, error: Option<&Error>) -> Value {
        let pools: Vec<Value> = self.pools.iter().map(|it| self.pool(it)).collect();
        json!({
            "schema": "arcctl.images/v1",
            "profile": self.profile,
            "file": self.file,
            "written": self.written,
            "pools": pools,
            "error": error.map(Error::document),
        })
    }

    fn pool(&self, pool: &PoolImage) -> Value {
        let change = match &pool.found {
            Found::Newer(_) => "newer",
            Found::Newest => "none",
            Found::Several(_) | Found::SameVersion | Found::Unknown(_) => "unknown",
        };
        let (from, to) = (self.age(&pool.image), pool.newer().map(|it| self.age(it)));
        json!({
            "name": pool.pool,
            "repository": pool.repository,
            "change": change,
            "from": from.document(&pool.image),
            "to": to.zip(pool.newer()).map(|(it, image)| it.document(image)),
            "reason": pool.found.reason(),
        })
    }

    /// The result for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for pool in &self.pools {
            let from = self.age(&pool.image);
            line(&mut text, &pool.pool);
            match &pool.found {
                Found::Newer(newer) => {
                    line(&mut text, &format!("     {}  {from}", pool.image));
                    line(&mut text, &format!("  -> {newer}  {}", self.age(newer)));
                }
                Found::Newest | Found::Several(_) | Found::SameVersion => {
                    let why = pool.found.reason();
                    let why = why.unwrap_or("no newer image of the same flavour");
                    line(&mut text, &format!("     {}  {from}", pool.image));
                    line(&mut text, &format!("     {why}"));
                }
                Found::Unknown(why) => {
                    line(&mut text, &format!("     {}", pool.image));
                    line(&mut text, &format!("     not compared: {why}"));
                }
            }
        }
        line(&mut text, &format!("\n{}", self.closing()));
        text
    }

    /// How many pools have a newer image, and of how many it could not be chosen.
    fn closing(&self) -> String {
        let all = self.pools.len();
        let s = if all == 1 { "" } else { "s" };
        let newer = self.newer().count();
        let have = if newer == 1 { "has" } else { "have" };
        let is_several = |it: &&PoolImage| matches!(it.found, Found::Several(_));
        let several = self.pools.iter().filter(is_several).count();
        let mut told = Vec::new();
        match (newer, self.written) {
            (0, _) => {}
            (_, true) => told.push(format!(
                "{newer} of {all} pool{s} updated in {}.",
                self.file
            )),
            (_, false) => told.push(format!("{newer} of {all} pool{s} {have} a newer image.")),
        }
        if several > 0 {
            let of = format!("The newer image of {several} of {all} pool{s}");
            told.push(format!("{of} could not be chosen."));
        }
        if told.is_empty() {
            return format!("No newer image found for {all} pool{s}.");
        }
        told.join(" ")
    }

    /// The pools with a newer image, for the summary of a CI step and the text of a pull request; `None` without any.
    pub fn summary(&self) -> Option<String> {
        let rows: Vec<[String; 4]> = self
            .newer()
            .filter_map(|it| {
                let newer = it.newer()?;
                let versions = format!("{} → {}", self.age(&it.image), self.age(newer));
                Some([
                    it.pool.clone(),
                    it.image.clone(),
                    newer.to_owned(),
                    versions,
                ])
            })
            .collect();
        let head = ["pool", "image", "newer", "runner"];
        (!rows.is_empty()).then(|| markdown::table("images update", &self.profile, head, &rows))
    }

    fn age(&self, image: &str) -> Age {
        let version = Image::parse(image).and_then(|it| it.runner_version());
        let released = version.and_then(|it| RELEASES.find(it));
        Age {
            version,
            released,
            days: released.and_then(|it| Some(it.day.until(self.today).ok()?.get_days())),
        }
    }
}

/// The runner in an image, and how old it is.
struct Age {
    version: Option<RunnerVersion>,
    released: Option<Release>,
    days: Option<i32>,
}

impl Age {
    fn document(&self, image: &str) -> Value {
        json!({
            "image": image,
            "version": self.version.map(|it| it.to_string()),
            "released": self.released.map(|it| it.day.to_string()),
            "days": self.days,
        })
    }
}

impl std::fmt::Display for Age {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.version, self.released, self.days) {
            (Some(version), Some(release), Some(days)) => {
                let about = if release.is_exact { "" } else { "about " };
                let s = if days == 1 { "" } else { "s" };
                write!(
                    formatter,
                    "{version} of {about}{}, {days} day{s} old",
                    release.day
                )
            }
            (Some(version), ..) => write!(formatter, "{version}, day of release not known"),
            (None, ..) => formatter.write_str("version not known"),
        }
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let pool = |name: &str, image: &str, found| PoolImage {
            pool: name.into(),
            image: image.into(),
            repository: Some("registry-1.docker.io/summerwind/actions-runner".into()),
            found,
        };
        Images {
            profile: "x".into(),
            file: "arcctl.yaml".into(),
            written: false,
            today: "2026-11-27".parse().unwrap(),
            pools: vec![
                pool(
                    "basic",
                    "summerwind/actions-runner:v2.336.0-ubuntu-22.04",
                    Found::Newer("summerwind/actions-runner:v2.338.1-ubuntu-22.04".into()),
                ),
                pool("new", "a/b:2.400.0", Found::Newest),
                pool(
                    "own",
                    "a/b:mine",
                    Found::Unknown("its tag contains no version".into()),
                ),
            ],
        }
    }

    #[test]
    fn old_and_new_are_shown_with_their_age() {
        let mut images = images();
        insta::assert_snapshot!("images", images.text());
        insta::assert_snapshot!("images_summary", images.summary().unwrap());
        images.written = true;
        assert!(
            images
                .text()
                .ends_with("1 of 3 pools updated in arcctl.yaml.\n")
        );
        images.pools.remove(0);
        assert_eq!(images.closing(), "No newer image found for 2 pools.");
        assert_eq!(images.summary(), None);
        images.pools.truncate(1);
        assert_eq!(images.closing(), "No newer image found for 1 pool.");
    }

    #[test]
    fn a_newer_version_that_cannot_be_chosen_is_not_told_as_none() {
        let mut images = images();
        images.pools[1].found = Found::Several("in several builds".into());
        images.pools[2].found = Found::SameVersion;
        assert_eq!(
            images.closing(),
            "1 of 3 pools has a newer image. The newer image of 1 of 3 pools could not be chosen."
        );
        let document = images.document(None);
        for pool in [1_usize, 2] {
            assert_eq!(document["pools"][pool]["change"], "unknown");
        }
        images.pools.remove(0);
        let text = images.text();
        assert!(text.contains("     in several builds\n"), "{text}");
        assert!(text.contains("     no newer version; "), "{text}");
        assert!(!text.contains("not compared:"), "{text}");
        images.pools.truncate(1);
        assert_eq!(
            images.closing(),
            "The newer image of 1 of 1 pool could not be chosen."
        );
    }

    #[test]
    fn the_document_has_both_versions() {
        let document = images().document(None);
        let pool = &document["pools"][0];
        assert_eq!(pool["change"], "newer");
        assert_eq!(pool["from"]["version"], "2.336.0");
        assert_eq!(pool["from"]["days"], 130);
        assert_eq!(pool["to"]["released"], "2026-10-23");
        assert_eq!(document["pools"][1]["from"]["released"], Value::Null);
        assert_eq!(
            document["pools"][2]["reason"],
            "its tag contains no version"
        );
    }
}
