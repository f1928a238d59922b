//! The images of the stand-in: small, but whole, with two platforms and the attestation that `BuildKit` adds. The same name,
//! tag and number of moves always give the same bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{INDEX, MANIFEST, digest_of};

/// The size of a layer in bytes.
const LAYER: usize = 40_000;

/// The size of the layer of an image whose tag ends so: more than clients send at once.
const LARGE: (&str, usize) = ("-large", 20_000_000);

/// An image: its index, its manifests and its blobs, by their digests.
pub(super) struct Image {
    pub(super) index: String,
    pub(super) manifests: BTreeMap<String, String>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
}

type Key = (String, String, u32);

/// What was made before: a large layer takes a moment.
static KNOWN: Mutex<BTreeMap<Key, Arc<Image>>> = Mutex::new(BTreeMap::new());

/// The image that a tag names after a number of moves.
pub(super) fn image(name: &str, tag: &str, moves: u32) -> Arc<Image> {
    let key = (name.to_owned(), tag.to_owned(), moves);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let made = known
        .entry(key)
        .or_insert_with(|| Arc::new(Image::new(name, tag, moves)));
    Arc::clone(made)
}

impl Image {
    fn new(name: &str, tag: &str, moves: u32) -> Self {
        let mut image = Self {
            index: String::new(),
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
        };
        let size = if tag.ends_with(LARGE.0) {
            LARGE.1
        } else {
            LAYER
        };
        let mut manifests = Vec::new();
        for (os, architecture) in [
            ("linux", "amd64"),
            ("linux", "arm64"),
            ("unknown", "unknown"),
        ] {
            let platform = format!("{os}/{architecture}");
            let config = json!({"os": os, "architecture": architecture, "image": format!("{name}:{tag} {moves}")});
            let layers = [
                // The same in every image.
                bytes(&format!("base {platform}"), LAYER),
                bytes(&format!("{name}:{tag} {platform} {moves}"), size),
            ];
            let layers: Vec<Value> = layers
                .into_iter()
                .map(|it| image.blob("application/vnd.oci.image.layer.v1.tar+gzip", it))
                .collect();
            let config = config.to_string().into_bytes();
            let config = image.blob("application/vnd.oci.image.config.v1+json", config);
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config,
                "layers": layers,
            })
            .to_string();
            let digest = digest_of(manifest.as_bytes());
            manifests.push(json!({
                "mediaType": MANIFEST,
                "digest": digest,
                "size": manifest.len(),
                "platform": {"os": os, "architecture": architecture},
            }));
            image.manifests.insert(digest, manifest);
        }
        image.index =
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string();
        image
    }

    /// Keeps a blob; its descriptor.
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = digest_of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.blobs.insert(digest, bytes);
        descriptor
    }
}

/// Bytes that follow from a text.
fn bytes(seed: &str, length: usize) -> Vec<u8> {
    let hash = Sha256::digest(seed);
    hash.iter().copied().cycle().take(length).collect()
}
