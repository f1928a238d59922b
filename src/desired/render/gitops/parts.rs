//! The parts of an installation, in the order in which they can be applied. Pure: no I/O.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Options, secrets};
use crate::{
    desired::{
        Desired, Phase, names,
        placeholder::SECRET_VERSION,
        resource::{HelmRelease, Resource},
    },
    profile::Profile,
};

/// The folders of the parts.
pub(super) const NAMESPACES: &str = "namespaces";
pub(super) const CRDS: &str = "crds";
pub(super) const CERT_MANAGER: &str = "cert-manager";
pub(super) const WIRING: &str = "wiring";
pub(super) const CONTROLLER: &str = "controller";
pub(super) const RUNNERS: &str = "runners";
pub(super) const VERIFY: &str = "verify";

/// A part: what is applied at once, after others.
pub(super) struct Part {
    /// Its folder, and the last part of the names of its objects at Flux and Argo CD.
    pub(super) name: &'static str,
    /// The parts that must be ready before.
    pub(super) after: Vec<&'static str>,
    /// Manifests by file name.
    pub(super) manifests: Vec<(String, Value)>,
    /// The charts that are part of it.
    pub(super) releases: Vec<HelmRelease>,
}

/// What no file has, and a person must do.
pub(super) struct Hole {
    /// The file that says what.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
    /// In a list of steps.
    pub(super) title: String,
}

impl Part {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            after: Vec::new(),
            manifests: Vec::new(),
            releases: Vec::new(),
        }
    }

    const fn is_empty(&self) -> bool {
        self.manifests.is_empty() && self.releases.is_empty()
    }

    /// Whether one of its charts is `name`.
    pub(super) fn has_chart(&self, name: &str) -> bool {
        self.releases.iter().any(|it| it.chart.name == name)
    }

    /// Adds a manifest, in a file named after its object.
    pub(super) fn add(&mut self, manifest: Value) {
        let id = names::object_id(&manifest);
        let name = id.as_str().replace("/-/", "/").replace('/', ".");
        self.manifests.push((format!("{name}.yaml"), manifest));
    }
}

/// The order: a part, and those that must be ready before it.
const ORDER: [(&str, &[&str]); 7] = [
    (NAMESPACES, &[]),
    (CRDS, &[]),
    (CERT_MANAGER, &[NAMESPACES, CRDS]),
    (WIRING, &[NAMESPACES]),
    (CONTROLLER, &[NAMESPACES, CRDS, CERT_MANAGER, WIRING]),
    (RUNNERS, &[CONTROLLER]),
    (VERIFY, &[RUNNERS]),
];

/// The parts that the profile has, in order, and what no file has.
pub(super) fn parts(
    profile: &Profile,
    resources: &[Desired],
    crds: Option<&[Value]>,
    options: &Options,
) -> (Vec<Part>, Vec<Hole>) {
    let mut all: Vec<Part> = ORDER.iter().map(|(name, _)| Part::new(name)).collect();
    let mut holes = Vec::new();
    for desired in resources {
        let folder = match (&desired.resource, desired.phase) {
            (_, Phase::Base) => NAMESPACES,
            (Resource::Release(_), Phase::Wiring) => CERT_MANAGER,
            (_, Phase::Wiring) => WIRING,
            (_, Phase::Controller) => CONTROLLER,
            _ => RUNNERS,
        };
        let Some(part) = all.iter_mut().find(|it| it.name == folder) else {
            continue;
        };
        match &desired.resource {
            Resource::Object(object) => part.add(guarded(object.manifest.clone(), options)),
            Resource::Release(release) => part.releases.push(without_versions(release)),
            Resource::Crds(crd_set) if crds.is_none() => {
                holes.push(secrets::crds(crd_set, options));
            }
            _ => match secrets::secret(profile, &desired.resource, options) {
                Some(secrets::Made::Manifest(manifest)) => part.add(guarded(manifest, options)),
                Some(secrets::Made::Hole(hole)) => holes.push(hole),
                None => {}
            },
        }
    }
    for manifest in crds.into_iter().flatten() {
        if let Some(part) = all.iter_mut().find(|it| it.name == CRDS) {
            part.add(guarded(manifest.clone(), options));
        }
    }
    all.retain(|it| !it.is_empty());
    connect(&mut all);
    (all, holes)
}

/// Sets what each part comes after, among those that there are.
pub(super) fn connect(parts: &mut [Part]) {
    let there: Vec<&str> = parts.iter().map(|it| it.name).collect();
    for part in parts {
        let needed = ORDER.iter().find(|(name, _)| *name == part.name);
        let needed = needed.map_or(&[][..], |(_, needed)| needed);
        part.after = needed
            .iter()
            .copied()
            .filter(|it| there.contains(it))
            .collect();
    }
}

/// A part that is added to those of the profile.
pub(super) const fn verify() -> Part {
    Part::new(VERIFY)
}

/// The same, kept when its file is deleted: what others use, and what would take everything in it along.
fn guarded(mut manifest: Value, options: &Options) -> Value {
    let kinds = [
        "Namespace",
        "CustomResourceDefinition",
        "Secret",
        "ExternalSecret",
    ];
    if kinds.iter().any(|kind| manifest["kind"] == *kind) {
        for (key, value) in options.tool.guards() {
            manifest["metadata"]["annotations"][key] = json!(value);
        }
    }
    manifest
}

/// Nobody who writes a file knows the version of the Secret in the cluster: without it a changed credential needs a
/// restart of the controller (docs/gitops.md).
fn without_versions(release: &HelmRelease) -> HelmRelease {
    let mut release = release.clone();
    let version = SECRET_VERSION.text();
    if let Some(values) = release.values.as_object_mut()
        && let Some(annotations) = values
            .get_mut("podAnnotations")
            .and_then(Value::as_object_mut)
    {
        annotations.retain(|_, value| *value != version);
        if annotations.is_empty() {
            values.remove("podAnnotations");
        }
    }
    release
}

/// A digest of all that is applied: what is verified after a sync is verified again when it has changed.
pub(super) fn digest(parts: &[Part]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.name);
        for (name, manifest) in &part.manifests {
            digest.update(name);
            digest.update(manifest.to_string());
        }
        for release in &part.releases {
            digest.update(&release.chart.version);
            digest.update(release.values.to_string());
        }
    }
    let digest = digest.finalize();
    digest
        .iter()
        .take(8)
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
