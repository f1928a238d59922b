//! What a lock must have for a profile. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    images::of,
    pins::{PLACES, repositories},
};
use crate::{
    desired::{
        DesiredError, Facts, desired, names,
        resource::{Chart, HelmRelease, Id, Resource},
    },
    profile::Profile,
    units::digest::sha256,
};

/// A chart, and what decides which images it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartNeed {
    /// The chart.
    pub chart: Chart,
    /// The digest of those values that decide which images it runs.
    pub values: String,
    /// The resources that need it.
    pub ids: BTreeSet<Id>,
}

/// What a profile needs.
#[derive(Clone, Debug, Default)]
pub struct Needed {
    /// The charts.
    pub charts: Vec<ChartNeed>,
    /// The images that the profile's own resources name, with the resources.
    pub images: BTreeMap<String, BTreeSet<Id>>,
    /// The releases whose charts name images themselves: they must be rendered to know them.
    pub rendered: Vec<HelmRelease>,
}

impl ChartNeed {
    /// Where it is from, as the lock has it. A path is that of this machine, and depends on the working directory.
    pub fn repository(&self) -> &str {
        if self.chart.is_remote() {
            &self.chart.location
        } else {
            "a path"
        }
    }
}

/// What `profile` needs in an empty cluster.
pub fn needed(profile: &Profile, now: Timestamp) -> Result<Needed, DesiredError> {
    let facts = Facts {
        now,
        ..Facts::default()
    };
    let mut found = Needed::default();
    for it in desired(profile, &facts)? {
        match it.resource {
            Resource::Object(object) => found.add_images(&it.id, &object.manifest),
            Resource::Crds(crds) => found.add_chart(profile, &crds.chart, None, it.id),
            Resource::Release(release) => {
                found.add_images(&it.id, &release.values);
                found.add_chart(profile, &release.chart, Some(&release.values), it.id);
                // The values of a scale set have the whole pod, and its chart adds no image.
                if release.chart.name != names::SCALE_SET_CHART {
                    found.rendered.push(release);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

impl Needed {
    /// The images that resources and values name, and the repositories of those that the charts name themselves, as far as
    /// that is known without rendering them.
    pub fn named(&self) -> BTreeSet<String> {
        let own = self.rendered.iter().flat_map(repositories);
        self.images.keys().cloned().chain(own).collect()
    }

    fn add_images(&mut self, id: &Id, value: &Value) {
        for image in of(value) {
            self.images.entry(image).or_default().insert(id.clone());
        }
    }

    fn add_chart(&mut self, profile: &Profile, chart: &Chart, values: Option<&Value>, id: Id) {
        let known = self.charts.iter_mut().find(|it| it.chart == *chart);
        let digest = values.map(|it| deciding(profile, chart, it));
        if let Some(known) = known {
            known.ids.insert(id);
            if let Some(digest) = digest {
                known.values = digest;
            }
            return;
        }
        self.charts.push(ChartNeed {
            chart: chart.clone(),
            values: digest.unwrap_or_default(),
            ids: BTreeSet::from([id]),
        });
    }
}

/// The digest of the values that decide which images a chart runs: what the profile passes through, and where images come
/// from. arcctl's other values add none.
fn deciding(profile: &Profile, chart: &Chart, values: &Value) -> String {
    let none = Map::new();
    let passed = match chart.name.as_str() {
        names::CERT_MANAGER => &profile.cert_manager.values,
        names::CONTROLLER => &profile.controller.values,
        names::SCALE_SET_CONTROLLER_CHART => &profile.scale_sets.values,
        _ => &none,
    };
    let places = PLACES.iter().filter(|it| it.chart == chart.name);
    let places: Vec<Option<&Value>> = places.map(|it| values.pointer(it.pointer)).collect();
    sha256(json!([passed, places]).to_string().as_bytes())
}
