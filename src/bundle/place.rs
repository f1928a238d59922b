//! Where charts and images are: in a bundle, and in the registry that it is pushed to. Pure: no I/O.

use std::collections::BTreeSet;

use crate::{
    desired::pool::image::mirrored,
    profile::{Charts, Images, Profile},
};

/// The registry of the images in a bundle: a name that no server has (RFC 2606).
pub const NOWHERE: &str = "bundle.invalid";

/// The repository of a bundle's own documents; its tag is the name of the profile.
pub const REPOSITORY: &str = "bundle";

/// The repository of a chart.
pub fn chart_repository(name: &str) -> String {
    format!("charts/{name}")
}

/// The profile with all images at `registry` and all charts in the directory `charts`.
pub fn sourced(profile: &Profile, registry: &str, charts: &str) -> Profile {
    let mut profile = profile.clone();
    let images = profile.images.take().unwrap_or_default();
    profile.images = Some(Images {
        registry: Some(registry.to_owned()),
        ..images
    });
    profile.charts = Charts {
        cert_manager: Some(charts.to_owned()),
        controller: Some(charts.to_owned()),
        scale_sets: Some(charts.to_owned()),
    };
    profile
}

/// The reference in a bundle of an image that a lock names; `None` if the profile does not take it from the registry that it
/// is told to. `registry` is that of the profile, `wanted` the references of the profile whose registry is [`NOWHERE`].
pub fn staged(image: &str, registry: Option<&str>, wanted: &BTreeSet<String>) -> Option<String> {
    candidates(image, registry)
        .into_iter()
        .find(|it| wanted.contains(it))
}

/// What a reference may be in a bundle. In a mirror it has the mirror's path before its own, unless the profile names the
/// mirror itself.
pub(super) fn candidates(image: &str, registry: Option<&str>) -> Vec<String> {
    let own = registry.and_then(|it| image.strip_prefix(it.trim_end_matches('/')));
    let own = own.and_then(|it| it.strip_prefix('/'));
    let nowhere = Images {
        registry: Some(NOWHERE.to_owned()),
        ..Images::default()
    };
    let mut found: Vec<String> = own
        .map(|it| format!("{NOWHERE}/{it}"))
        .into_iter()
        .collect();
    found.push(mirrored(Some(&nowhere), image));
    found
}

/// The repository and the tag of a place.
pub fn taken_apart(place: &str) -> (&str, Option<&str>) {
    match place.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (place, None),
    }
}
