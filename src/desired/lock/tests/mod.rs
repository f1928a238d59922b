//! The lock of a small profile: what it needs, what it lacks, and what it pins.

mod pins;

use serde_json::json;

use super::{images::of, *};
use crate::{
    desired::resource::Id,
    profile::{Profile, load},
    units::digest::sha256,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn profile(more: &str) -> Profile {
    let text = format!(
        "apiVersion: arcctl.dev/v1\nname: website\ncluster: {{eks: build, region: ap-northeast-2}}\ngithub: {{repository: example-org/website, token: {{env: ARCCTL_GITHUB_TOKEN}}}}\npools:\n- {{name: basic, image: 'summerwind/actions-runner:v2.338.1-ubuntu-22.04', min: 1, max: 2}}\n- {{name: sets, mode: scaleSet, image: 'ghcr.io/actions/actions-runner:2.338.1', min: 0, max: 2}}\n{more}"
    );
    load(&text, "arcctl.yaml").unwrap().profile
}

/// A lock of what `profile` needs, with what the charts would name.
fn locked(profile: &Profile) -> Lock {
    let needed = needed(profile, NOW).unwrap();
    let charts = needed.charts.iter().map(|it| LockedChart {
        name: it.chart.name.clone(),
        version: it.chart.version.clone(),
        repository: it.repository().to_owned(),
        archive: sha256(it.chart.name.as_bytes()),
        manifest: None,
        values: it.values.clone(),
        provenance: Verification::NotChecked,
        locked: NOW,
    });
    let image = |image: &str, from: BTreeSet<String>| LockedImage {
        image: image.to_owned(),
        digest: sha256(image.as_bytes()),
        platforms: BTreeMap::new(),
        from,
        locked: NOW,
    };
    let mut images: Vec<LockedImage> = needed
        .images
        .iter()
        .map(|(name, ids)| image(name, ids.iter().map(ToString::to_string).collect()))
        .collect();
    for release in &needed.rendered {
        let id = Id::new("helm-release", Some(&release.namespace), &release.name);
        for name in images_of_chart(&release.chart.name) {
            images.push(image(name, BTreeSet::from([id.to_string()])));
        }
    }
    Lock::new(&profile.name, charts.collect(), images)
}

/// The images that a chart names itself, as far as the tests need them.
fn images_of_chart(chart: &str) -> &'static [&'static str] {
    match chart {
        "actions-runner-controller" => &[
            "summerwind/actions-runner-controller:v0.27.6",
            "quay.io/brancz/kube-rbac-proxy:v0.13.1",
        ],
        "cert-manager" => &["quay.io/jetstack/cert-manager-controller:v1.21.1"],
        "gha-runner-scale-set-controller" => {
            &["ghcr.io/actions/gha-runner-scale-set-controller:0.15.1"]
        }
        other => panic!("chart `{other}`"),
    }
}

fn kinds(found: &[Difference]) -> Vec<(&str, Kind)> {
    found.iter().map(|it| (it.name.as_str(), it.kind)).collect()
}

#[test]
fn images_are_found_in_containers_values_arguments_and_variables() {
    let found = of(&json!({
        "metadata": {"annotations": {"image": "no"}, "labels": {"image": "no"}},
        "data": {"image": "no"},
        "spec": {
            "image": "a:1",
            "containers": [
                {"name": "manager", "image": "a:2", "args": ["--docker-image=a:3", "--runner-image=no", "image"],
                 "env": [{"name": "CONTROLLER_MANAGER_CONTAINER_IMAGE", "value": "a:4"}, {"name": "IMAGE", "value": "no"}]},
                {"image": ""},
            ],
            "volumes": [{"name": "models", "image": {"reference": "a:6", "pullPolicy": "Always"}},
                {"name": "none", "image": {"reference": ""}}],
        },
        "image": {"repository": "no", "dindSidecarRepositoryAndTag": "a:5"},
    }));
    let expected = ["a:1", "a:2", "a:3", "a:4", "a:5", "a:6"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(expected));
    let definition = json!({"kind": "CustomResourceDefinition", "spec": {"image": "a:1"}});
    assert_eq!(of_objects(&[definition]), BTreeSet::new());
}

#[test]
fn every_image_of_the_resources_is_needed_with_the_resources_that_name_it() {
    let needed = needed(&profile(""), NOW).unwrap();
    let images: Vec<&str> = needed.images.keys().map(String::as_str).collect();
    for image in [
        "docker:28-dind",
        "ghcr.io/actions/actions-runner:2.338.1",
        "summerwind/actions-runner:v2.338.1-ubuntu-22.04",
    ] {
        assert!(images.contains(&image), "{image}: {images:?}");
    }
    let charts: BTreeSet<&str> = needed
        .charts
        .iter()
        .map(|it| it.chart.name.as_str())
        .collect();
    let expected = [
        "actions-runner-controller",
        "cert-manager",
        "gha-runner-scale-set",
        "gha-runner-scale-set-controller",
    ];
    assert_eq!(charts, BTreeSet::from(expected));
    assert_eq!(
        needed.rendered.len(),
        3,
        "a scale set's values have its images"
    );
}

#[test]
fn a_lock_reads_what_it_writes_and_no_other_format() {
    let lock = locked(&profile(""));
    let text = lock.text().unwrap();
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert!(text.ends_with("}\n"));
    for (wrong, why) in [
        ("", "not JSON"),
        ("{}", "no `version`"),
        ("{\"version\": 2}", "version 2"),
        ("{\"version\": 1}", "missing field"),
    ] {
        let said = Lock::parse(wrong).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn what_has_not_changed_keeps_its_time() {
    let old = locked(&profile(""));
    let mut new = old.clone();
    let later = Timestamp::from_second(1_000_000).unwrap();
    for image in &mut new.images {
        image.locked = later;
    }
    new.images[0].digest = sha256(b"moved");
    for chart in &mut new.charts {
        chart.locked = later;
    }
    let new = new.since(&old);
    assert_eq!((new.images[0].locked, new.images[1].locked), (later, NOW));
    assert_eq!(new.charts, old.charts);
}

#[test]
fn a_profile_that_is_newer_than_its_lock_is_told_to_lock_again() {
    let lock = locked(&profile(""));
    let all = |_: &str| true;
    let same = needed(&profile(""), NOW).unwrap();
    assert_eq!(lock.lacks(&same, &all), []);
    let newer = profile(
        "controller: {chartVersion: 0.23.3, dockerImage: 'docker:29-dind'}\ncertManager: {values: {webhook: {hostNetwork: true, securePort: 10260}}}\n",
    );
    let newer = needed(&newer, NOW).unwrap();
    let found = lock.lacks(&newer, &all);
    assert_eq!(
        kinds(&found),
        [
            ("cert-manager v1.21.1", Kind::ValuesChanged),
            ("actions-runner-controller 0.23.3", Kind::NotLocked),
            ("docker:29-dind", Kind::NotLocked),
        ]
    );
    assert_eq!(
        lock.lacks(&newer, &|_| false),
        [],
        "a resource that is not made needs nothing"
    );
    let error = refusal(&found, "arcctl.lock").unwrap();
    assert_eq!(error.kind.exit_code(), 7);
    assert!(error.message.contains("older than the profile"), "{error}");
    assert!(error.hint.unwrap().contains("`arcctl lock`"));
    assert!(refusal(&[], "arcctl.lock").is_none());
}

#[test]
fn the_images_of_a_chart_are_locked_for_a_release_in_its_namespace_only() {
    let lock = locked(&profile(""));
    let moved = profile("controller: {namespace: arc-system}\n");
    let needed = needed(&moved, NOW).unwrap();
    let found = lock.lacks(&needed, &|_| true);
    let charts: Vec<(&str, Kind)> = found
        .iter()
        .filter(|it| it.of == "chart")
        .map(|it| (it.name.as_str(), it.kind))
        .collect();
    assert_eq!(
        charts,
        [("actions-runner-controller 0.23.7", Kind::OtherResources)]
    );
    let error = refusal(&found, "arcctl.lock").unwrap();
    assert!(error.message.contains("older than the profile"), "{error}");
    let against: Vec<Kind> = lock
        .against(&locked(&moved))
        .iter()
        .map(|it| it.kind)
        .collect();
    assert!(against.contains(&Kind::OtherResources), "{against:?}");
    assert!(lock.lacks(&needed, &|_| false).is_empty());
}

#[test]
fn an_image_is_compared_for_those_that_name_it_now() {
    let mut lock = locked(&profile(""));
    let image = "summerwind/actions-runner:v2.338.1-ubuntu-22.04";
    for it in &mut lock.images {
        it.from = BTreeSet::from(["runner-deployment/actions-runner/of-old".to_owned()]);
    }
    let needed = needed(&profile(""), NOW).unwrap();
    let is_used = |id: &str| id == "runner-deployment/actions-runner/basic";
    let found: Vec<&str> = lock
        .images_of(&needed, &is_used)
        .iter()
        .map(|it| it.image.as_str())
        .collect();
    assert!(found.contains(&image), "{found:?}");
}

#[test]
fn a_mirror_changes_every_image_and_the_values_of_the_charts() {
    let lock = locked(&profile(""));
    let mirrored = needed(&profile("images: {registry: mirror.example}\n"), NOW).unwrap();
    let found = lock.lacks(&mirrored, &|_| true);
    let found = kinds(&found);
    assert!(
        found.contains(&("cert-manager v1.21.1", Kind::ValuesChanged)),
        "{found:?}"
    );
    assert!(
        found.contains(&("mirror.example/library/docker:28-dind", Kind::NotLocked)),
        "{found:?}"
    );
}

#[test]
fn a_moved_tag_and_a_republished_chart_are_told_with_both_digests() {
    let lock = locked(&profile(""));
    let (image, moved) = (&lock.images[0], sha256(b"moved"));
    assert_eq!(Difference::of_image(image, Some(&image.digest)), None);
    let found = Difference::of_image(image, Some(&moved)).unwrap();
    let said = found.words();
    assert!(
        said.contains(&moved) && said.contains(&image.digest),
        "{said}"
    );
    assert_eq!(Difference::of_image(image, None).unwrap().kind, Kind::Gone);

    let mut now = lock.clone();
    now.charts[0].archive = moved.clone();
    let gone = now.images.pop().unwrap();
    let found = lock.against(&now);
    let expected = [
        (
            format!("{} {}", lock.charts[0].name, lock.charts[0].version),
            Kind::Moved,
        ),
        (gone.image, Kind::NotNeeded),
    ];
    let found: Vec<_> = found.into_iter().map(|it| (it.name, it.kind)).collect();
    assert_eq!(found, expected);
    assert_eq!(lock.against(&lock), []);
}

#[test]
fn a_chart_that_must_be_signed_needs_a_verified_provenance() {
    let profile = profile("provenance: {keyring: keys.gpg, require: [cert-manager]}\n");
    let mut lock = locked(&profile);
    let found = unsigned(&profile, &lock);
    assert_eq!(kinds(&found), [("cert-manager v1.21.1", Kind::Unsigned)]);
    let error = refusal(&found, "arcctl.lock").unwrap();
    assert!(error.hint.unwrap().contains("provenance.keyring"));
    for chart in &mut lock.charts {
        chart.provenance = Verification::Verified {
            by: "somebody".into(),
            fingerprint: "00".into(),
        };
    }
    assert_eq!(unsigned(&profile, &lock), []);
}

#[test]
fn publishers_are_known_by_chart_and_by_image_also_in_a_mirror() {
    assert_eq!(
        publisher_of_chart("cert-manager").unwrap().signs,
        "provenance"
    );
    assert_eq!(
        publisher_of_chart("actions-runner-controller")
            .unwrap()
            .signs,
        "none"
    );
    assert_eq!(publisher_of_chart("own"), None);
    for image in [
        "quay.io/jetstack/cert-manager-webhook:v1.21.1",
        "mirror.example:5000/hub/jetstack/cert-manager-webhook:v1.21.1@sha256:00",
    ] {
        assert_eq!(
            publisher_of_image(image).unwrap().signs,
            "cosign",
            "{image}"
        );
    }
    assert_eq!(publisher_of_image("docker:28-dind"), None);
    for publisher in IMAGE_PUBLISHERS.iter() {
        assert!(
            publisher.source.contains('/') && publisher.day.len() == 10,
            "{publisher:?}"
        );
    }
}
