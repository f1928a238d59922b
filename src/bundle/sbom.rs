//! The bill of materials of a bundle: its charts and images with their digests (SPDX 2.3). What is in an image is not
//! looked at. Pure: no I/O.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// A chart or an image of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// `helm` or `oci`: the type of its package URL.
    pub kind: &'static str,
    /// The chart's name, or the reference that the image was read by.
    pub name: String,
    /// The chart's version, or the image's tag.
    pub version: String,
    /// Where it was read from.
    pub from: String,
    /// Its digest: of the archive, or of the index or manifest in the bundle.
    pub digest: String,
}

/// The document. `at` is the time at which the newest part was locked: the same lock has the same bill.
pub fn sbom(profile: &str, at: Timestamp, packed: &[Packed]) -> Value {
    let id = |index: usize| format!("SPDXRef-package-{}", index + 1);
    let packages: Vec<Value> = packed
        .iter()
        .enumerate()
        .map(|(index, it)| package(&id(index), it))
        .collect();
    let relationships: Vec<Value> = (0..packed.len())
        .map(|index| {
            json!({
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": id(index),
            })
        })
        .collect();
    let mut content = crate::units::digest::Sum::default();
    for it in packed {
        content.add(it.digest.as_bytes());
    }
    let content = content.digest().replace(':', "-");
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("arcctl bundle of profile {profile}"),
        "documentNamespace": format!("https://arcctl.dev/bundle/{profile}/{content}"),
        "creationInfo": {
            "created": at.to_string(),
            "creators": [concat!("Tool: arcctl-", env!("CARGO_PKG_VERSION"))],
            "comment": "Charts and images with their digests; the content of the images was not scanned.",
        },
        "packages": packages,
        "relationships": relationships,
    })
}

fn package(id: &str, it: &Packed) -> Value {
    let hash = it.digest.split_once(':').map_or("", |(_, hash)| hash);
    json!({
        "SPDXID": id,
        "name": it.name,
        "versionInfo": it.version,
        "downloadLocation": "NOASSERTION",
        "sourceInfo": format!("read from {}", it.from),
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": hash}],
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": url(it),
        }],
    })
}

/// The package URL (github.com/package-url/purl-spec, types `helm` and `oci`).
fn url(it: &Packed) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    if it.kind == "helm" {
        return format!(
            "pkg:helm/{}@{}?repository_url={}",
            it.name,
            encoded(&it.version),
            encoded(&it.from)
        );
    }
    let name = it.from.rsplit('/').next().unwrap_or_default();
    format!(
        "pkg:oci/{name}@{}?repository_url={}&tag={}",
        encoded(&it.digest),
        encoded(&it.from),
        encoded(&it.version)
    )
}
