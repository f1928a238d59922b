//! The versions that an upgrade changes: read from a profile and from a cluster, put into a profile, asked for on the command
//! line. Pure: no I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::{Auto, CertManager, Controller, Pool, Profile, ScaleSets, edit::Change, path::Path},
    units::{
        image::Image,
        runner::{Flavour, RunnerVersion},
    },
};

/// The key of `--to` for the runners' images.
pub const RUNNER: &str = "runner";

/// What an upgrade changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The issuer of the controller's certificate.
    CertManager,
    /// The community's controller.
    Controller,
    /// GitHub's own controller, with its scale sets.
    ScaleSets,
    /// The images of pools.
    Runner,
}

impl Component {
    /// The charts, in the order in which they are upgraded.
    pub const CHARTS: [Self; 3] = [Self::CertManager, Self::Controller, Self::ScaleSets];

    /// Its word on the command line and in documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CertManager => "cert-manager",
            Self::Controller => "controller",
            Self::ScaleSets => "scale-sets",
            Self::Runner => RUNNER,
        }
    }

    /// The section of the profile with its `chartVersion`.
    const fn section(self) -> &'static str {
        match self {
            Self::CertManager => "certManager",
            Self::Controller => "controller",
            Self::ScaleSets => "scaleSets",
            Self::Runner => "pools",
        }
    }
}

/// The versions of everything that an upgrade changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The versions of the charts; what the profile does not install has none.
    pub charts: BTreeMap<Component, String>,
    /// The images of the pools, by namespace and name: `actions-runner/basic`.
    pub images: BTreeMap<String, String>,
}

/// The key of a pool in [`Versions::images`].
pub fn key(pool: &Pool) -> String {
    format!("{}/{}", pool.namespace, pool.name)
}

/// The chart's version of a component in the profile.
pub fn chart_of(profile: &Profile, component: Component) -> &str {
    match component {
        Component::CertManager => &profile.cert_manager.chart_version,
        Component::Controller => &profile.controller.chart_version,
        Component::ScaleSets | Component::Runner => &profile.scale_sets.chart_version,
    }
}

/// Whether the profile may install a component at all.
pub fn may_install(profile: &Profile, component: Component) -> bool {
    match component {
        Component::CertManager => {
            profile.has_deployments() && profile.cert_manager.install != Auto::Never
        }
        Component::Controller => profile.has_deployments(),
        Component::ScaleSets => profile.has_scale_sets(),
        Component::Runner => true,
    }
}

impl Versions {
    /// The charts that this arcctl installs by itself.
    pub fn defaults() -> Self {
        let charts = [
            (Component::CertManager, CertManager::default().chart_version),
            (Component::Controller, Controller::default().chart_version),
            (Component::ScaleSets, ScaleSets::default().chart_version),
        ];
        Self {
            charts: charts.into(),
            images: BTreeMap::new(),
        }
    }

    /// The images of the profile's pools, without a chart.
    pub fn images_of(profile: &Profile) -> Self {
        let images = profile.pools.iter().map(|it| (key(it), it.image.clone()));
        Self {
            charts: BTreeMap::new(),
            images: images.collect(),
        }
    }

    /// Keeps only the images that differ between the two: the others are none of the upgrade's, and may change meanwhile.
    pub fn keep_changed_images(from: &mut Self, to: &mut Self) {
        from.images.retain(|key, image| {
            let other = to.images.get(key);
            other.is_some_and(|it| *it != *image)
        });
        to.images.retain(|key, _| from.images.contains_key(key));
    }

    /// The profile with these versions; what has none stays.
    pub fn put(&self, profile: &Profile) -> Profile {
        let mut profile = profile.clone();
        for (component, version) in &self.charts {
            let place = match component {
                Component::CertManager => &mut profile.cert_manager.chart_version,
                Component::Controller => &mut profile.controller.chart_version,
                Component::ScaleSets | Component::Runner => &mut profile.scale_sets.chart_version,
            };
            place.clone_from(version);
        }
        for pool in &mut profile.pools {
            if let Some(image) = self.images.get(&key(pool)) {
                pool.image.clone_from(image);
            }
        }
        profile
    }

    /// The changes of the profile's text that give it these versions.
    pub fn changes(&self, profile: &Profile) -> Vec<Change> {
        let mut changes = Vec::new();
        for (component, version) in &self.charts {
            if chart_of(profile, *component) != version {
                changes.push(Change {
                    path: Path::root().key(component.section()).key("chartVersion"),
                    to: version.clone(),
                });
            }
        }
        let pools = Path::root().key("pools");
        for (index, pool) in profile.pools.iter().enumerate() {
            let image = self.images.get(&key(pool));
            if let Some(image) = image.filter(|it| **it != pool.image) {
                changes.push(Change {
                    path: pools.index(index).key("image"),
                    to: image.clone(),
                });
            }
        }
        changes
    }
}

/// Reads the values of `--to`: `cert-manager=v1.21.1`, `runner=newest`.
pub fn asked(values: &[String]) -> Result<BTreeMap<Component, String>> {
    let all = [
        Component::CertManager,
        Component::Controller,
        Component::ScaleSets,
        Component::Runner,
    ];
    let mut found = BTreeMap::new();
    for value in values {
        let (word, version) = value.split_once('=').unwrap_or((value, ""));
        let component = all.into_iter().find(|it| it.word() == word);
        let (Some(component), false) = (component, version.is_empty()) else {
            return Err(usage(&format!("invalid value `{value}` for `--to`")).hint(
                "write for example `--to cert-manager=v1.21.1,controller=0.23.7`; the keys are cert-manager, controller, scale-sets and runner",
            ));
        };
        if found.insert(component, version.to_owned()).is_some() {
            return Err(usage(&format!("`--to` sets {word} twice")).hint("set it once"));
        }
    }
    Ok(found)
}

/// The images of the profile's pools with this version of the runner, each of the same flavour.
pub fn images_with(profile: &Profile, version: &str) -> Result<BTreeMap<String, String>> {
    let Some(version) = RunnerVersion::parse(version) else {
        return Err(usage(&format!(
            "`--to runner={version}`: this is not a runner version"
        ))
        .hint("write for example `runner=2.338.1`, or `runner=newest`"));
    };
    let mut images = BTreeMap::new();
    for pool in &profile.pools {
        images.insert(key(pool), image_with(pool, version)?);
    }
    Ok(images)
}

fn image_with(pool: &Pool, version: RunnerVersion) -> Result<String> {
    let refused = |why: &str| {
        usage(&format!(
            "cannot change the runner version in the image `{}` of pool `{}`: {why}",
            pool.image, pool.name
        ))
        .hint("write the image into the profile, and run `arcctl up`; or leave `runner` out of `--to`")
    };
    let image = Image::parse(&pool.image).ok_or_else(|| refused("it is not an image reference"))?;
    if image.digest.is_some() {
        return Err(refused(
            "it is pinned by its digest; only `runner=newest` reads a new digest from the registry",
        ));
    }
    let tag = image.tag.ok_or_else(|| refused("it has no tag"))?;
    let flavour = Flavour::of(tag).ok_or_else(|| refused("its tag contains no version"))?;
    if flavour.version > version {
        return Err(refused("it already has a newer version"));
    }
    if flavour.version < version && flavour.build().is_some() {
        return Err(refused(
            "its tag ends with a build, and another version is another build; use `runner=newest`, which finds the tag at the registry if the version has one build, or write the tag into the profile",
        ));
    }
    let name = pool.image.strip_suffix(tag).unwrap_or(&pool.image);
    Ok(format!("{name}{}", flavour.with(version)))
}

pub(super) fn usage(message: &str) -> Error {
    Error::new(ErrorKind::Usage, System::Local, message)
}
