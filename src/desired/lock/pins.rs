//! Pins images by the digests of a lock: `repository:tag@sha256:…`. Pure: no I/O.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Lock, images::each};
use crate::desired::{
    Desired, names,
    resource::{HelmRelease, Id, Resource},
};

/// An image in the values of a chart: a map with `repository` and `tag`.
pub(super) struct Place {
    /// The chart.
    pub(super) chart: &'static str,
    /// Where the map is.
    pub(super) pointer: &'static str,
    /// The chart's own repository.
    repository: &'static str,
}

/// The images in the values of the charts. Every template writes `repository:tag`, so a tag may be followed by a digest
/// (charts actions-runner-controller 0.23.7, cert-manager v1.12.0 to v1.21.1, gha-runner-scale-set-controller 0.15.1).
/// cert-manager's start-up check is left out: arcctl turns it off.
pub(super) const PLACES: [Place; 7] = [
    Place {
        chart: names::CERT_MANAGER,
        pointer: "/image",
        repository: "quay.io/jetstack/cert-manager-controller",
    },
    Place {
        chart: names::CERT_MANAGER,
        pointer: "/acmesolver/image",
        repository: "quay.io/jetstack/cert-manager-acmesolver",
    },
    Place {
        chart: names::CERT_MANAGER,
        pointer: "/cainjector/image",
        repository: "quay.io/jetstack/cert-manager-cainjector",
    },
    Place {
        chart: names::CERT_MANAGER,
        pointer: "/webhook/image",
        repository: "quay.io/jetstack/cert-manager-webhook",
    },
    Place {
        chart: names::CONTROLLER,
        pointer: "/image",
        repository: "summerwind/actions-runner-controller",
    },
    Place {
        chart: names::CONTROLLER,
        pointer: "/metrics/proxy/image",
        repository: "quay.io/brancz/kube-rbac-proxy",
    },
    Place {
        chart: names::SCALE_SET_CONTROLLER_CHART,
        pointer: "/image",
        repository: "ghcr.io/actions/gha-runner-scale-set-controller",
    },
];

impl Place {
    /// A part of the image that the values give.
    fn given<'a>(&self, key: &str, values: &'a Value) -> Option<&'a str> {
        let given = values.pointer(self.pointer)?;
        given[key].as_str().filter(|it| !it.is_empty())
    }

    /// The repository: that of the values, or the chart's own.
    fn repository(&self, values: &Value) -> String {
        let repository = self.given("repository", values);
        let repository = repository.unwrap_or(self.repository);
        match self.given("registry", values) {
            Some(registry) => format!("{registry}/{repository}"),
            None => repository.to_owned(),
        }
    }
}

/// The repositories of the images of a release that no other value names.
pub(super) fn repositories(release: &HelmRelease) -> impl Iterator<Item = String> {
    let places = PLACES.iter();
    let places = places.filter(move |it| it.chart == release.chart.name);
    places.map(move |it| it.repository(&release.values))
}

/// The digests of images.
#[derive(Clone, Debug, Default)]
pub struct Pins(Vec<Pin>);

#[derive(Clone, Debug)]
struct Pin {
    image: String,
    digest: String,
    from: BTreeSet<String>,
}

impl Pins {
    /// Those of a lock. An image that the profile pins itself is not changed.
    pub fn of(lock: &Lock) -> Self {
        let images = lock.images.iter().filter(|it| !it.image.contains('@'));
        let pins = images.map(|it| Pin {
            image: it.image.clone(),
            digest: it.digest.clone(),
            from: it.from.clone(),
        });
        Self(pins.collect())
    }

    /// Pins every image of the resources.
    pub fn apply(&self, resources: &mut [Desired]) {
        if self.0.is_empty() {
            return;
        }
        for it in resources {
            match &mut it.resource {
                Resource::Object(object) => self.pin(&mut object.manifest),
                Resource::Release(release) => self.pin_release(&it.id, release),
                _ => {}
            }
        }
    }

    /// Pins every image that an object names.
    pub fn pin(&self, value: &mut Value) {
        each(value, &mut |image| {
            if let Some(pin) = self.0.iter().find(|it| it.image == *image) {
                *image = format!("{image}@{}", pin.digest);
            }
        });
    }

    /// Pins the images that the values of a release name, and those that its chart does.
    pub fn pin_release(&self, id: &Id, release: &mut HelmRelease) {
        self.pin(&mut release.values);
        for place in PLACES.iter().filter(|it| it.chart == release.chart.name) {
            self.pin_place(id, place, &mut release.values);
        }
    }

    /// `None` where there is nothing to pin.
    fn pin_place(&self, id: &Id, place: &Place, values: &mut Value) -> Option<()> {
        if place.given("digest", values).is_some() {
            return None;
        }
        let repository = place.repository(values);
        let given = place.given("tag", values);
        let of_image = |pin: &&Pin| {
            let (name, tag) = pin.image.rsplit_once(':').unwrap_or_default();
            let is_meant = match given {
                Some(given) => tag == given,
                // The chart's own version.
                None => pin.from.contains(id.as_str()),
            };
            name == repository && is_meant
        };
        let pin = self.0.iter().find(of_image)?;
        let (_, tag) = pin.image.rsplit_once(':')?;
        let pinned = format!("{tag}@{}", pin.digest);
        map_at(values, place.pointer)?.insert("tag".into(), pinned.into());
        Some(())
    }
}

/// The map at `pointer`, which is made; `None` where something else is in its way.
fn map_at<'a>(values: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    let mut value = values;
    for key in pointer.split('/').skip(1) {
        value = value
            .as_object_mut()?
            .entry(key)
            .or_insert_with(|| json!({}));
    }
    value.as_object_mut()
}
