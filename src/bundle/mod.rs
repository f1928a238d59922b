//! A bundle: the charts and images of a lock as one OCI image layout, for a registry that cannot reach theirs. Pure: no I/O.
//!
//! In a bundle every image is at the registry [`NOWHERE`], and every chart at a path. The lock in it is that of the profile
//! with these sources, so that it fits whatever registry the bundle is pushed to: only the name of the registry changes.

mod layout;
mod locked;
mod place;
mod sbom;

pub use layout::{
    Content, Descriptor, EMPTY, LOCK, MANIFEST, PLACE, SBOM, bundle_manifest, chart_manifest,
    descriptor, read, reduced, root,
};
pub use locked::{at_registry, differences};
pub use place::{NOWHERE, REPOSITORY, chart_repository, image_place, sourced, staged, taken_apart};
pub use sbom::{Packed, sbom};

#[cfg(test)]
mod tests;
