//! The documents of a layout: manifests, indexes and descriptors (OCI image specification 1.1). Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::units::digest::{is_sha256, sha256};

/// The media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The media types of a chart's configuration and of its archive (helm.sh/docs/topics/registries).
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// The media type of the empty configuration, and its content.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// The content of an empty configuration.
pub const EMPTY: &[u8] = b"{}";

/// What a manifest of a bundle is.
const ARTIFACT: &str = "application/vnd.arcctl.bundle.v1";

/// The media type of the lock in a bundle.
pub const LOCK: &str = "application/vnd.arcctl.lock.v1+json";

/// The media type of its SBOM.
pub const SBOM: &str = "application/spdx+json";

/// The annotation with the place of a manifest in a registry, `REPOSITORY:TAG`; `REPOSITORY` in bundles of earlier builds.
pub const PLACE: &str = "dev.arcctl.place";

/// The annotation by which other programs find a manifest in a layout (OCI image specification, image-layout.md). Without it
/// skopeo finds none of several (podman-container-tools/skopeo#1513).
const NAME: &str = "org.opencontainers.image.ref.name";

/// What a document says of another: its type, digest and size in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// The platform that a manifest of an index is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Value>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest or an index names.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The manifests of an index.
    Manifests(Vec<Descriptor>),
    /// The configuration and the layers of a manifest, each once.
    Blobs(Vec<Descriptor>),
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// Reads a manifest or an index, or says why it is neither.
pub fn read(bytes: &[u8]) -> Result<Content, String> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is neither a manifest nor an index: {error}"))?;
    let is_manifest = document.config.is_some();
    let named: Vec<Descriptor> = if is_manifest {
        document.config.into_iter().chain(document.layers).collect()
    } else {
        document.manifests
    };
    if named.is_empty() {
        return Err("it names neither layers nor manifests".to_owned());
    }
    if let Some(wrong) = named.iter().find(|it| !is_sha256(&it.digest)) {
        return Err(format!("`{}` is not a SHA-256 digest", wrong.digest));
    }
    let mut seen = BTreeSet::new();
    let named = named.into_iter();
    let named: Vec<Descriptor> = named.filter(|it| seen.insert(it.digest.clone())).collect();
    Ok(if is_manifest {
        Content::Blobs(named)
    } else {
        Content::Manifests(named)
    })
}

impl Descriptor {
    /// The platform as `linux/amd64`, with the variant where there is one; `None` for what is for no platform, as an
    /// attestation.
    pub fn platform(&self) -> Option<String> {
        let platform = self.platform.as_ref()?;
        let part = |key: &str| platform[key].as_str().filter(|it| *it != "unknown");
        let name = format!("{}/{}", part("os")?, part("architecture")?);
        Some(match part("variant") {
            Some(variant) => format!("{name}/{variant}"),
            None => name,
        })
    }

    /// Whether it is for a platform: `linux/arm64` is any variant of it.
    fn is_for(&self, wanted: &str) -> bool {
        self.platform().is_some_and(|it| {
            it.strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The same, with its place in a registry.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        for annotation in [PLACE, NAME] {
            self.annotations.insert(annotation.into(), place.into());
        }
        self
    }
}

/// The index with only the manifests of some platforms, and these manifests; or the platforms that it has, where one is
/// missing. A registry takes an index only if it has all of its manifests.
pub fn reduced(
    media_type: &str,
    manifests: &[Descriptor],
    wanted: &[String],
) -> Result<(Vec<u8>, Vec<Descriptor>), Vec<String>> {
    let has = |platform: &String| manifests.iter().any(|it| it.is_for(platform));
    if !wanted.iter().all(has) {
        return Err(manifests.iter().filter_map(Descriptor::platform).collect());
    }
    let is_wanted = |it: &&Descriptor| wanted.iter().any(|wanted| it.is_for(wanted));
    let kept: Vec<Descriptor> = manifests.iter().filter(is_wanted).cloned().collect();
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": kept});
    Ok((index.to_string().into_bytes(), kept))
}

/// The descriptor of some bytes.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: sha256(bytes),
        size: bytes.len() as u64,
        platform: None,
        annotations: BTreeMap::new(),
    }
}

/// The configuration and the manifest of a chart, as `helm pull` reads it; of the configuration helm uses nothing.
pub fn chart_manifest(name: &str, version: &str, archive: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let config = json!({"apiVersion": "v2", "name": name, "version": version});
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(HELM_CONFIG, &config),
        "layers": [descriptor(HELM_CHART, archive)],
    });
    (config, manifest.to_string().into_bytes())
}

/// The manifest of a bundle's own documents. Its configuration is [`EMPTY`].
pub fn bundle_manifest(lock: &[u8], sbom: &[u8]) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": descriptor(EMPTY_TYPE, EMPTY),
        "layers": [descriptor(LOCK, lock), descriptor(SBOM, sbom)],
    });
    manifest.to_string().into_bytes()
}

/// The `index.json` of a layout.
pub fn root(manifests: &[Descriptor]) -> Vec<u8> {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    index.to_string().into_bytes()
}
