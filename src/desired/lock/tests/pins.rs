//! What a lock pins.

use serde_json::Value;

use super::{NOW, locked, profile};
use crate::{
    desired::{
        Facts, desired,
        lock::{Pins, needed},
        resource::Resource,
    },
    units::digest::sha256,
};

#[test]
fn pins_reach_objects_values_and_the_images_that_charts_name() {
    let profile = profile("");
    let lock = locked(&profile);
    let facts = Facts {
        pins: Pins::of(&lock),
        ..Facts::default()
    };
    let resources = desired(&profile, &facts).unwrap();
    let of = |id: &str| {
        let found = resources.iter().find(|it| it.id.as_str() == id).unwrap();
        match &found.resource {
            Resource::Object(object) => object.manifest.clone(),
            Resource::Release(release) => release.values.clone(),
            other => panic!("{other:?}"),
        }
    };
    let pinned = |image: &str| format!("{image}@{}", sha256(image.as_bytes()));
    let deployment = of("runner-deployment/actions-runner/basic");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["image"],
        pinned("summerwind/actions-runner:v2.338.1-ubuntu-22.04")
    );
    let controller = of("helm-release/actions-runner-system/actions-runner-controller");
    assert_eq!(
        controller["image"]["dindSidecarRepositoryAndTag"],
        pinned("docker:28-dind")
    );
    let tag = |image: &str| {
        let (_, tag) = image.rsplit_once(':').unwrap();
        format!("{tag}@{}", sha256(image.as_bytes()))
    };
    assert_eq!(
        controller["image"]["tag"],
        tag("summerwind/actions-runner-controller:v0.27.6")
    );
    assert_eq!(
        controller["metrics"]["proxy"]["image"]["tag"],
        tag("quay.io/brancz/kube-rbac-proxy:v0.13.1")
    );
    // Without that image of its chart in the lock there is nothing to pin.
    let cert_manager = of("helm-release/cert-manager/cert-manager");
    assert_eq!(cert_manager["webhook"]["image"], Value::Null);
    assert_eq!(
        needed(&profile, NOW)
            .unwrap()
            .images
            .keys()
            .find(|it| it.contains('@')),
        None
    );
}

#[test]
fn an_image_that_the_profile_pins_stays_as_it_is() {
    let pinned = format!("docker:28-dind@{}", sha256(b"by hand"));
    let profile = profile(&format!(
        "controller: {{dockerImage: '{pinned}', values: {{image: {{tag: 'v0.27.5@{}'}}}}}}\n",
        sha256(b"by hand too")
    ));
    let lock = locked(&profile);
    let facts = Facts {
        pins: Pins::of(&lock),
        ..Facts::default()
    };
    let resources = desired(&profile, &facts).unwrap();
    let release = resources.iter().find_map(|it| match &it.resource {
        Resource::Release(release) if release.name == "actions-runner-controller" => Some(release),
        _ => None,
    });
    let image = &release.unwrap().values["image"];
    assert_eq!(image["dindSidecarRepositoryAndTag"], pinned);
    assert_eq!(image["tag"], format!("v0.27.5@{}", sha256(b"by hand too")));
}
