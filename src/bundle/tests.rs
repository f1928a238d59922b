//! The documents of a bundle: read back, in their places, and with everything that the lock names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{place::candidates, *};
use crate::{
    desired::lock::{Lock, Needed},
    profile::Images,
    units::digest::{is_sha256, sha256},
};

fn manifest(platform: Option<&str>, content: &str) -> Descriptor {
    let platform = platform.map(|it| {
        let mut parts = it.split('/');
        let mut found = json!({"os": parts.next(), "architecture": parts.next()});
        if let Some(variant) = parts.next() {
            found["variant"] = variant.into();
        }
        found
    });
    Descriptor {
        platform,
        ..descriptor(MANIFEST, content.as_bytes())
    }
}

fn platforms(found: &[Descriptor]) -> Vec<String> {
    found.iter().filter_map(Descriptor::platform).collect()
}

#[test]
fn an_index_is_reduced_to_the_platforms_that_are_wanted() {
    let all = [
        manifest(Some("linux/amd64"), "1"),
        manifest(Some("linux/arm64/v8"), "2"),
        manifest(Some("linux/arm/v7"), "3"),
        manifest(Some("unknown/unknown"), "attestation"),
        manifest(None, "other"),
    ];
    let wanted = |it: &[&str]| -> Vec<String> { it.iter().map(ToString::to_string).collect() };
    let missing = reduced("index", &all, &wanted(&["linux/amd64", "linux/s390x"])).unwrap_err();
    assert_eq!(missing, ["linux/amd64", "linux/arm64/v8", "linux/arm/v7"]);
    let (index, kept) = reduced("index", &all, &wanted(&["linux/arm64"])).unwrap();
    assert_eq!(platforms(&kept), ["linux/arm64/v8"]);
    assert_eq!(read(&index).unwrap(), Content::Manifests(kept));
    let again = reduced("index", &all, &wanted(&["linux/arm64"])).unwrap();
    assert_eq!(again.0, index, "the same choice has the same digest");
}

#[test]
fn what_is_neither_a_manifest_nor_an_index_is_refused() {
    let bad = json!({"config": {"mediaType": "x", "digest": "md5:00", "size": 1}}).to_string();
    for (text, said) in [
        ("", "neither"),
        ("{}", "neither"),
        (r#"{"schemaVersion": 1, "fsLayers": []}"#, "neither"),
        (bad.as_str(), "md5:00"),
    ] {
        let why = read(text.as_bytes()).unwrap_err();
        assert!(why.contains(said), "{text}: {why}");
    }
    let layer = descriptor("layer", b"layer");
    let twice = json!({"config": descriptor("config", b"{}"), "layers": [layer, layer]});
    let Ok(Content::Blobs(blobs)) = read(twice.to_string().as_bytes()) else {
        panic!("{twice}");
    };
    assert_eq!(blobs.len(), 2);
}

#[test]
fn a_chart_and_a_bundle_are_manifests_whose_blobs_are_known() {
    let (config, chart) = chart_manifest("cert-manager", "v1.21.1", b"archive");
    let bundle = bundle_manifest(b"lock", b"sbom");
    for (manifest, blobs) in [
        (chart, [config.as_slice(), b"archive"].as_slice()),
        (bundle, [EMPTY, b"lock", b"sbom"].as_slice()),
    ] {
        let Ok(Content::Blobs(found)) = read(&manifest) else {
            panic!("not a manifest");
        };
        let found: Vec<&str> = found.iter().map(|it| it.digest.as_str()).collect();
        let expected: Vec<String> = blobs.iter().map(|it| sha256(it)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn an_image_has_the_place_that_the_profile_gives_it() {
    let wanted = ["a/b:1", "library/docker:28", "hub/own/x:2"];
    let wanted: BTreeSet<String> = wanted.iter().map(|it| format!("{NOWHERE}/{it}")).collect();
    let mirror = Images {
        registry: Some("m.example/hub/".to_owned()),
        ..Images::default()
    };
    let mut cache = Images::default();
    let quay = ("quay.io".to_owned(), "c.example/quay".to_owned());
    cache.registries.extend([quay]);
    let (mirror, cache) = (Some(&mirror), Some(&cache));
    for (image, images, expected) in [
        ("quay.io/a/b:1", None, Some("a/b:1")),
        ("docker:28", None, Some("library/docker:28")),
        ("m.example/hub/a/b:1", mirror, Some("a/b:1")),
        // The profile names the mirror itself.
        ("m.example/hub/own/x:2", mirror, Some("hub/own/x:2")),
        ("quay.io/a/b:2", None, None),
        ("c.example/quay/a/b:1", cache, Some("a/b:1")),
        ("docker:28", cache, Some("library/docker:28")),
    ] {
        let found = staged(image, images, &wanted);
        let expected = expected.map(|it| format!("{NOWHERE}/{it}"));
        assert_eq!(found, expected, "{image}");
    }
    assert_eq!(candidates("docker:28", None).len(), 1);
    assert_eq!(taken_apart("a/b:1"), ("a/b", Some("1")));
    assert_eq!(taken_apart("a/b"), ("a/b", None));
}

#[test]
fn every_image_gets_a_tag_and_other_programs_find_it_by_its_place() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    for (reference, expected) in [
        ("a/b:1", "a/b:1"),
        ("a/b:1@sha256:00", "a/b:1"),
        ("a/b@sha256:00", "a/b:digest-0123456789ab"),
        ("a/b", "a/b:digest-0123456789ab"),
    ] {
        let place = image_place(&format!("{NOWHERE}/{reference}"), &digest);
        assert_eq!(place, expected);
        let placed = descriptor(MANIFEST, b"x").at(&place);
        assert_eq!(placed.annotations[PLACE], expected);
        let name = &placed.annotations["org.opencontainers.image.ref.name"];
        assert_eq!(name, expected);
    }
}

fn lock(image: &str, digest: &str, platforms: &[(&str, &str)], archive: &str) -> Lock {
    let platforms: BTreeMap<&str, &str> = platforms.iter().copied().collect();
    let text = json!({
        "version": 1, "profile": "website",
        "charts": [{"name": "cert-manager", "version": "v1.21.1", "repository": "a path", "archive": archive,
            "values": "v", "provenance": {"state": "missing"}, "locked": "2026-11-27T00:00:00Z"}],
        "images": [{"image": image, "digest": digest, "platforms": platforms, "from": ["x"],
            "locked": "2026-11-27T00:00:00Z"}],
    });
    Lock::parse(&text.to_string()).unwrap()
}

#[test]
fn a_bundle_with_other_content_than_the_lock_is_told() {
    let both = [("linux/amd64", "one"), ("linux/arm64", "two")];
    let beside = lock("quay.io/a/b:1", "index", &both, "archive");
    let bundle = |digest: &str, platforms: &[(&str, &str)], archive: &str| {
        let bundle = lock("bundle.invalid/a/b:1", digest, platforms, archive);
        differences(&bundle, &beside, None)
    };
    assert_eq!(bundle("other", &both[..1], "archive"), Vec::<String>::new());
    assert_eq!(bundle("index", &[], "archive"), Vec::<String>::new());
    let moved = bundle("other", &[("linux/amd64", "three")], "archive");
    assert!(moved[0].contains("image `a/b:1`"), "{moved:?}");
    assert_eq!(bundle("other", &[], "archive").len(), 1);
    let chart = bundle("index", &both, "other");
    assert!(
        chart[0].contains("chart `cert-manager v1.21.1`"),
        "{chart:?}"
    );
    let none = Lock::new("website", Vec::new(), Vec::new());
    assert_eq!(differences(&beside, &none, None).len(), 2);
}

#[test]
fn at_a_registry_only_its_name_changes() {
    let bundle = lock("bundle.invalid/a/b:1", "index", &[], "archive");
    let found = at_registry(&bundle, "r.example/p", &Needed::default());
    assert_eq!(found.images[0].image, "r.example/p/a/b:1");
    assert_eq!(found.images[0].digest, "index");
    assert_eq!(found.charts, bundle.charts);
}

#[test]
fn the_bill_names_every_part_with_its_digest() {
    let packed = [
        Packed {
            kind: "helm",
            name: "cert-manager".into(),
            version: "v1.21.1".into(),
            from: "https://charts.jetstack.io".into(),
            digest: sha256(b"1"),
        },
        Packed {
            kind: "oci",
            name: "quay.io/a/b:1".into(),
            version: "1".into(),
            from: "quay.io/a/b".into(),
            digest: sha256(b"2"),
        },
    ];
    let at = "2026-11-27T00:00:00Z".parse().unwrap();
    let bill = sbom("website", at, &packed);
    assert_eq!(bill["spdxVersion"], "SPDX-2.3");
    assert_eq!(bill["creationInfo"]["created"], "2026-11-27T00:00:00Z");
    let packages = bill["packages"].as_array().unwrap();
    let hashes: Vec<&Value> = packages
        .iter()
        .map(|it| &it["checksums"][0]["checksumValue"])
        .collect();
    assert_eq!(hashes.len(), 2);
    assert!(is_sha256(&format!(
        "sha256:{}",
        hashes[1].as_str().unwrap()
    )));
    let url = packages[1]["externalRefs"][0]["referenceLocator"].as_str();
    assert!(url.unwrap().starts_with("pkg:oci/b@sha256%3A"), "{url:?}");
    assert_eq!(bill["relationships"].as_array().unwrap().len(), 2);
    assert_eq!(sbom("website", at, &packed), bill);
}
