//! `arcctl.lock`: every chart and image of a profile by its digest. Pure: no I/O.
//!
//! What is needed follows from the resources of an empty cluster, so that the same profile needs the same in every
//! cluster. The images that a chart names itself are known only once it is rendered.

mod compare;
mod images;
mod needed;
mod pins;
mod publishers;

pub use compare::{Difference, Kind, refusal, unsigned};
pub use images::of_objects;
pub use needed::{ChartNeed, Needed, needed};
pub use pins::Pins;
pub use publishers::{IMAGE_PUBLISHERS, Publisher, publisher_of_chart, publisher_of_image};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The format that this program writes and reads.
const VERSION: u64 = 1;

/// The content of a lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lock {
    /// The format.
    pub version: u64,
    /// The profile's name.
    pub profile: String,
    /// The charts, by name.
    pub charts: Vec<LockedChart>,
    /// The images, by reference.
    pub images: Vec<LockedImage>,
}

/// A chart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LockedChart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The repository that it was fetched from; `a path` for one on this machine.
    pub repository: String,
    /// The digest of its archive.
    pub archive: String,
    /// The digest of its manifest in an OCI registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The digest of those values that decide which images it runs.
    pub values: String,
    /// Whether its provenance was verified.
    pub provenance: Verification,
    /// When it was locked with this digest.
    pub locked: Timestamp,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LockedImage {
    /// The reference that it is pulled by, without a digest unless the profile gives one.
    pub image: String,
    /// The digest of its index, or of its manifest where there is only one platform.
    pub digest: String,
    /// The digests of its platforms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, String>,
    /// The ids of the resources that name it.
    pub from: BTreeSet<String>,
    /// When it was locked with this digest.
    pub locked: Timestamp,
}

/// Whether a chart's provenance was verified. Of images no signature is verified (docs/decisions/0015-provenance.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Verification {
    /// By a key of the keyring.
    Verified {
        /// Who signed, as helm says it.
        by: String,
        /// The fingerprint of the key.
        fingerprint: String,
    },
    /// The repository serves no provenance for it.
    Missing,
    /// There is no keyring, so nobody has looked.
    NotChecked,
}

impl Verification {
    /// It in words.
    pub fn words(&self) -> String {
        match self {
            Self::Verified { by, fingerprint } => {
                format!("verified: signed by {by} (key {fingerprint})")
            }
            Self::Missing => "none: the repository has no provenance file".to_owned(),
            Self::NotChecked => "not checked: no keyring is set".to_owned(),
        }
    }
}

impl Lock {
    /// A lock in the present format, in its order.
    pub fn new(profile: &str, mut charts: Vec<LockedChart>, mut images: Vec<LockedImage>) -> Self {
        charts.sort_by_cached_key(|it| (it.name.clone(), it.version.clone()));
        images.sort_by_cached_key(|it| it.image.clone());
        Self {
            version: VERSION,
            profile: profile.to_owned(),
            charts,
            images,
        }
    }

    /// The lock in a file, or why it cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        match value["version"].as_u64() {
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "its format has version {other}, and this arcctl reads version {VERSION}"
                ));
            }
            None => return Err("it has no `version`".to_owned()),
        }
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// The text of the file: the same lock always has the same text.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// A chart.
    pub fn chart(&self, name: &str, version: &str) -> Option<&LockedChart> {
        self.charts
            .iter()
            .find(|it| it.name == name && it.version == version)
    }

    /// An image.
    pub fn image(&self, reference: &str) -> Option<&LockedImage> {
        self.images.iter().find(|it| it.image == reference)
    }

    /// The same lock, where what has not changed keeps the time at which it was locked.
    #[must_use]
    pub fn since(mut self, old: &Self) -> Self {
        for chart in &mut self.charts {
            let known = old.chart(&chart.name, &chart.version);
            if let Some(known) = known.filter(|it| it.archive == chart.archive) {
                chart.locked = known.locked;
            }
        }
        for image in &mut self.images {
            let known = old.image(&image.image);
            if let Some(known) = known.filter(|it| it.digest == image.digest) {
                image.locked = known.locked;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
