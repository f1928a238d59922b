//! The backup of an upgrade: what was there before, compressed, in objects beside the inventory. Pure: no I/O.
//!
//! It has CRDs, releases with their values, pools, and the version of the controller's Secret; the Secret's value is in none of
//! them. `gunzip` reads each part: it is JSON.

use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};

use crate::{
    desired::{names, resource::Id},
    error::{Error, Result, System},
};

/// The key of the content.
const KEY: &str = "content.json.gz";
/// The annotation with the upgrade that it is of: when it began.
const UPGRADE: &str = "arcctl.dev/upgrade";
/// The most bytes of one object's content: the API server takes 1 MiB with everything else.
const MOST_BYTES: usize = 900 * 1024;
/// The most bytes of an unpacked part.
const MOST_UNPACKED: u64 = 64 * 1024 * 1024;

/// A part of a backup.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is of: `crd-certificates.cert-manager.io`, `release-cert-manager`, `pools`.
    pub of: String,
    /// Its content.
    pub content: Value,
    /// Whether it may have what others must not read: it is a Secret then.
    pub is_secret: bool,
}

/// The place of a backup: the namespace of the inventory, and the profile's name.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The profile's name.
    pub profile: &'a str,
}

fn prefix(profile: &str) -> String {
    format!("arcctl-{profile}-backup-")
}

/// Whether an id is that of an object of a backup: no other run removes it.
pub fn is_part(id: &Id, profile: &str) -> bool {
    ["config-map", "secret"].contains(&id.kind()) && id.name().starts_with(&prefix(profile))
}

/// Whether an object is of the backup of the upgrade that began then. One that was not finished has parts of the one before.
pub fn is_of(live: &Value, began: &str) -> bool {
    live["metadata"]["annotations"][UPGRADE] == *began
}

/// Of recorded ids those of the profile's backups, without those in `kept`.
pub fn parts_among<'a>(
    ids: impl Iterator<Item = &'a String>,
    profile: &str,
    kept: &[String],
) -> Vec<String> {
    let is_one = |it: &&String| {
        let id = Id::parse(it);
        id.is_some_and(|id| is_part(&id, profile)) && !kept.contains(it)
    };
    ids.filter(is_one).cloned().collect()
}

impl Part {
    /// The id of its object.
    pub fn id(&self, place: Place<'_>) -> Id {
        let kind = if self.is_secret {
            "secret"
        } else {
            "config-map"
        };
        let name = format!("{}{}", prefix(place.profile), self.of);
        Id::new(kind, Some(place.namespace), &name)
    }

    /// What the inventory records of its object.
    pub fn record(&self) -> Value {
        if self.is_secret {
            json!({"managed": true})
        } else {
            json!({"apiVersion": "v1", "kind": "ConfigMap"})
        }
    }

    /// Its object, of the upgrade that `began` then. Fails if it is too large for one.
    pub fn manifest(&self, place: Place<'_>, began: &str) -> Result<Value> {
        let id = self.id(place);
        let packed = packed(&self.content).map_err(|cause| {
            Error::failed(System::Local, format!("cannot compress the backup `{id}`"))
                .object(&id)
                .cause(cause)
                .hint("run the same command again")
        })?;
        if packed.len() > MOST_BYTES {
            return Err(Error::failed(
                System::Local,
                format!(
                    "the backup of `{}` has {} KiB, and an object holds at most {}",
                    self.of,
                    packed.len() / 1024,
                    MOST_BYTES / 1024
                ),
            )
            .object(&id)
            .hint("change the versions in the profile step by step, with `arcctl up` after each: docs/upgrade.md"));
        }
        let data = json!({KEY: STANDARD.encode(packed)});
        let mut manifest = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": id.name(),
                "namespace": place.namespace,
                "labels": names::labels(place.profile),
                "annotations": {UPGRADE: began},
            },
        });
        if self.is_secret {
            manifest["kind"] = json!("Secret");
            manifest["type"] = json!("Opaque");
            manifest["data"] = data;
        } else {
            manifest["binaryData"] = data;
        }
        Ok(manifest)
    }
}

fn packed(content: &Value) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content.to_string().as_bytes())?;
    packer.finish()
}

/// The content of an object of a backup; the error says what is wrong with it.
pub fn content(live: &Value) -> Result<Value, String> {
    let data = live["data"][KEY]
        .as_str()
        .or(live["binaryData"][KEY].as_str());
    let data = data.ok_or_else(|| format!("it has no key `{KEY}`"))?;
    let packed = STANDARD.decode(data).map_err(|error| error.to_string())?;
    let mut json = Vec::new();
    GzDecoder::new(packed.as_slice())
        .take(MOST_UNPACKED)
        .read_to_end(&mut json)
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

/// An object as it can be applied again: without what the API server and controllers write. The CA that cert-manager injects into
/// a conversion webhook is left to it.
pub fn as_applied(live: &Value) -> Value {
    let metadata = &live["metadata"];
    let mut kept = json!({"name": metadata["name"]});
    for key in ["namespace", "labels", "annotations"] {
        if !metadata[key].is_null() {
            kept[key] = metadata[key].clone();
        }
    }
    let mut spec = live["spec"].clone();
    let client = spec.pointer_mut("/conversion/webhook/clientConfig");
    if let Some(client) = client.and_then(Value::as_object_mut) {
        client.remove("caBundle");
    }
    json!({
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": kept,
        "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        namespace: "actions-runner-system",
        profile: "website",
    };

    const BEGAN: &str = "2026-11-27 09:00:00 UTC";

    #[test]
    fn the_parts_of_an_upgrade_before_are_found() {
        let ids = [
            "config-map/actions-runner-system/arcctl-website-backup-crd-a",
            "config-map/actions-runner-system/arcctl-website-backup-pools",
            "secret/actions-runner-system/arcctl-website-backup-pools",
            "secret/actions-runner-system/arcctl-other-backup-pools",
            "secret/actions-runner-system/controller-manager",
        ];
        let ids = ids.map(str::to_owned);
        let kept = [ids[0].clone(), ids[2].clone()];
        assert_eq!(parts_among(ids.iter(), "website", &kept), [ids[1].clone()]);
        assert_eq!(parts_among(ids.iter(), "website", &[]), ids[..3]);
    }

    fn part(content: Value) -> Part {
        Part {
            of: "crd-runners.actions.summerwind.dev".into(),
            content,
            is_secret: false,
        }
    }

    #[test]
    fn what_is_packed_is_found_again() {
        let content_of = json!({"spec": {"a": "ä".repeat(10_000)}});
        for is_secret in [false, true] {
            let part = Part {
                is_secret,
                ..part(content_of.clone())
            };
            let manifest = part.manifest(PLACE, BEGAN).unwrap();
            assert!(is_of(&manifest, BEGAN));
            assert!(!is_of(&manifest, "2026-11-27 09:00:01 UTC"));
            assert_eq!(content(&manifest).unwrap(), content_of);
            let id = names::object_id(&manifest);
            assert_eq!(id, part.id(PLACE));
            assert!(is_part(&id, "website") && !is_part(&id, "other"), "{id}");
            assert!(manifest.to_string().len() < 2000);
        }
        assert!(content(&json!({"data": {}})).is_err());
        assert!(content(&json!({"data": {KEY: "!!"}})).is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_it() {
        // Digits of a generator do not compress to less than a third.
        let mut state = 1_u64;
        let mut text = String::new();
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push_str(&(state >> 20).to_string());
        }
        let error = part(json!(text)).manifest(PLACE, BEGAN).unwrap_err();
        assert!(error.message.contains("crd-runners"), "{error}");
    }

    #[test]
    fn an_object_is_kept_as_it_can_be_applied() {
        let live = json!({
            "apiVersion": "v1", "kind": "A",
            "metadata": {
                "name": "a", "uid": "u", "resourceVersion": "1", "managedFields": [], "labels": {"b": "c"},
            },
            "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "x", "service": {}}}}},
            "status": {"x": 1},
        });
        assert_eq!(
            as_applied(&live),
            json!({
                "apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "labels": {"b": "c"}},
                "spec": {"conversion": {"webhook": {"clientConfig": {"service": {}}}}},
            })
        );
    }
}
