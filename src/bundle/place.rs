//! Where charts and images are: in a bundle, and in the registry that it is pushed to. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    desired::pool::image::mirrored,
    profile::{Charts, Images, Profile},
};

/// The registry of the images in a bundle: a name that no server has (RFC 2606).
pub const NOWHERE: &str = "bundle.invalid";

/// The repository of a bundle's own documents; its tag is the name of the profile.
pub const REPOSITORY: &str = "bundle";

/// What the tag of an image begins with that has none of its own. Tags that begin with `sha256-` are those of signatures.
const UNTAGGED: &str = "digest-";

/// How many digits of a digest are in such a tag.
const DIGITS: usize = 12;

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
        registries: BTreeMap::new(),
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
/// is told to. `images` are the mirrors of the profile, `wanted` its references with the registry [`NOWHERE`].
pub fn staged(image: &str, images: Option<&Images>, wanted: &BTreeSet<String>) -> Option<String> {
    candidates(image, images)
        .into_iter()
        .find(|it| wanted.contains(it))
}

/// What a reference may be in a bundle. In a mirror it has the mirror's path before its own, unless the profile names the
/// mirror itself.
pub(super) fn candidates(image: &str, images: Option<&Images>) -> Vec<String> {
    let mirrors = images.into_iter().flat_map(Images::mirrors);
    let own = mirrors.filter_map(|it| image.strip_prefix(it)?.strip_prefix('/'));
    let nowhere = Images {
        registry: Some(NOWHERE.to_owned()),
        ..Images::default()
    };
    let mut found: Vec<String> = own.map(|it| format!("{NOWHERE}/{it}")).collect();
    found.push(mirrored(Some(&nowhere), image));
    found
}

/// The place of an image with this reference in a bundle, and the digest that it has there. One without a tag gets one of its
/// digest: registries delete what no tag names (zot by itself since 2.1.9, Amazon ECR and Harbor by a rule), and with it what the
/// nodes pull.
pub fn image_place(reference: &str, digest: &str) -> String {
    let place = reference.strip_prefix(NOWHERE).unwrap_or(reference);
    let place = place.trim_start_matches('/');
    let (name, _) = place.split_once('@').unwrap_or((place, ""));
    if taken_apart(name).1.is_some() {
        return name.to_owned();
    }
    let (_, hash) = digest.split_once(':').unwrap_or(("", digest));
    let hash = hash.get(..DIGITS).unwrap_or(hash);
    format!("{name}:{UNTAGGED}{hash}")
}

/// The repository and the tag of a place.
pub fn taken_apart(place: &str) -> (&str, Option<&str>) {
    match place.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (place, None),
    }
}
