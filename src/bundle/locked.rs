//! The lock of a bundle: at a registry, and beside the lock of the profile. Pure: no I/O.

use super::place::{NOWHERE, candidates};
use crate::{
    desired::lock::{ChartNeed, Lock, LockedImage, Needed},
    profile::Images,
};

/// The lock with its images at `registry`. `needed` is what the profile needs with its images there: the values of its
/// charts name the registry.
#[must_use]
pub fn at_registry(lock: &Lock, registry: &str, needed: &Needed) -> Lock {
    let mut lock = lock.clone();
    for image in &mut lock.images {
        if let Some(rest) = image.image.strip_prefix(NOWHERE) {
            image.image = format!("{registry}{rest}");
        }
    }
    for chart in &mut lock.charts {
        let is_it =
            |it: &&ChartNeed| it.chart.name == chart.name && it.chart.version == chart.version;
        let values = needed.charts.iter().find(is_it).map(|it| &it.values);
        if let Some(values) = values {
            chart.values.clone_from(values);
        }
    }
    lock
}

/// In what a bundle differs from the lock beside the profile, whose mirrors are `mirrors`.
pub fn differences(bundle: &Lock, beside: &Lock, mirrors: Option<&Images>) -> Vec<String> {
    let charts = bundle.charts.iter().filter_map(|chart| {
        let (name, version) = (&chart.name, &chart.version);
        match beside.chart(name, version) {
            Some(locked) if locked.archive == chart.archive => None,
            Some(locked) => Some(format!(
                "chart `{name} {version}`: {} in the lock, {} in the bundle",
                locked.archive, chart.archive
            )),
            None => Some(format!("chart `{name} {version}` is not in the lock")),
        }
    });
    let images = bundle.images.iter().filter_map(|image| {
        let is_it = |it: &&LockedImage| candidates(&it.image, mirrors).contains(&image.image);
        let name = image.image.trim_start_matches(NOWHERE);
        let name = name.trim_start_matches('/');
        match beside.images.iter().find(is_it) {
            Some(locked) if is_same(image, locked) => None,
            Some(locked) => Some(format!(
                "image `{name}`: {} in the lock, and the bundle has other content",
                locked.digest
            )),
            None => Some(format!("image `{name}` is not in the lock")),
        }
    });
    charts.chain(images).collect()
}

/// Whether an image of a bundle is that of a lock: a bundle may have some of its platforms only.
fn is_same(image: &LockedImage, locked: &LockedImage) -> bool {
    let is_part = !image.platforms.is_empty()
        && image
            .platforms
            .iter()
            .all(|(platform, digest)| locked.platforms.get(platform) == Some(digest));
    image.digest == locked.digest || is_part
}
