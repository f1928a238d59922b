//! `up` beside a lock: images are pinned, an unchanged run writes nothing, and what moved is refused before the first write.

use std::{collections::BTreeMap, path::Path};

use arcctl_sandbox::image_registry::{ImageRegistry, Options};
use serde_json::{Value, json};

use crate::harness::cluster::{Cluster, Ended};

const RUNNER: (&str, &str) = ("hub/summerwind/actions-runner", "v2.306.0-ubuntu-22.04");
const CONTROLLER: (&str, &str) = ("hub/summerwind/actions-runner-controller", "v0.27.6");
const WEBHOOK: (&str, &str) = ("hub/jetstack/cert-manager-webhook", "v1.21.1");
const DOCKER: (&str, &str) = ("hub/library/docker", "28-dind");

const IMAGES: [(&str, &str); 8] = [
    RUNNER,
    CONTROLLER,
    WEBHOOK,
    DOCKER,
    ("hub/brancz/kube-rbac-proxy", "v0.13.1"),
    ("hub/jetstack/cert-manager-controller", "v1.21.1"),
    ("hub/jetstack/cert-manager-acmesolver", "v1.21.1"),
    ("hub/jetstack/cert-manager-cainjector", "v1.21.1"),
];

/// A registry with every image of the sandbox's profile and charts.
fn registry(cluster: &Cluster) -> ImageRegistry {
    let tags = IMAGES.map(|(repository, tag)| (repository.to_owned(), vec![tag.to_owned()]));
    let options = Options {
        tags: BTreeMap::from(tags),
        ..Options::default()
    };
    cluster.block_on(ImageRegistry::start(options)).unwrap()
}

/// The images of a workload's pods.
fn images(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> String {
    let object = cluster.get(kind, namespace, name);
    object["spec"]["template"]["spec"].to_string()
}

fn lock(cluster: &Cluster, profile: &Path, more: &[&str]) -> Ended {
    let profile = profile.to_str().unwrap();
    cluster.arcctl(&[&["lock", "-f", profile, "-o", "json"], more].concat())
}

/// Refused with exit code 7, and nothing was written.
fn refused(cluster: &Cluster, run: impl FnOnce() -> Ended) -> Value {
    let writes = cluster.kubernetes_writes();
    let document = run().expect(7);
    assert_eq!(cluster.kubernetes_writes(), writes, "{document:#}");
    assert_eq!(document["error"]["code"], 7);
    document
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_locked_is_pinned_and_what_moved_is_refused_before_the_first_write() {
    let cluster = Cluster::fast();
    let registry = registry(&cluster);
    let mirror = format!("images: {{registry: {}/hub}}\npools:", registry.host());
    let edits = [("pools:", mirror.as_str())];
    let profile = cluster.profile("arcctl", &edits);
    let locked = lock(&cluster, &profile, &[]).expect(0);
    assert_eq!(locked["images"].as_array().unwrap().len(), IMAGES.len());

    // From nothing: a chart that is not the one of the lock installs nothing.
    let charts = cluster.world().chart_repository();
    charts.republish("cert-manager", "v1.21.1").unwrap();
    for command in [Cluster::plan, Cluster::up] {
        let document = refused(&cluster, || command(&cluster, &profile, &[]));
        let said = document["error"]["message"].as_str().unwrap();
        assert!(said.contains("is not the one in the lock"), "{said}");
    }
    let _locked = lock(&cluster, &profile, &[]).expect(0);

    let _installed = cluster.up(&profile, &[]).expect(0);
    pinned(&cluster, &registry);
    let writes = cluster.kubernetes_writes();
    let again = cluster.up(&profile, &[]).expect(0);
    assert_eq!(again["changed"], 0);
    assert_eq!(again["requests"]["helm"], 0);
    assert_eq!(cluster.kubernetes_writes(), writes);
    let _same = cluster.plan(&profile, &["--detailed-exitcode"]).expect(0);

    // A newer profile, with an old lock.
    let other = [
        edits[0],
        ("dockerImage: docker:28-dind", "dockerImage: docker:29-dind"),
    ];
    let profile = cluster.profile("arcctl", &other);
    let document = refused(&cluster, || cluster.up(&profile, &[]));
    assert!(
        document.to_string().contains("`arcctl lock`"),
        "{document:#}"
    );
    // Nor does a repair install what the lock does not have.
    cluster.scale_controller(0);
    let file = profile.to_str().unwrap();
    let fix = ["doctor", "--fix", "--yes", "-f", file, "-o", "json"];
    let document = refused(&cluster, || cluster.arcctl(&fix));
    assert!(
        document.to_string().contains("older than the profile"),
        "{document:#}"
    );
    let profile = cluster.profile("arcctl", &edits);
    let _mended = cluster.up(&profile, &[]).expect(0);

    moved(&cluster, &registry, &profile);
    cluster.finish();
}

/// The pods that run have the digests of the lock.
fn pinned(cluster: &Cluster, registry: &ImageRegistry) {
    let pinned = |(repository, tag): (&str, &str)| {
        let digest = ImageRegistry::digest(repository, tag);
        format!("{}/{repository}:{tag}@{digest}", registry.host())
    };
    for (kind, namespace, name, image) in [
        ("runnerdeployments", "actions-runner", "basic", RUNNER),
        (
            "deployments",
            "actions-runner-system",
            "actions-runner-controller",
            CONTROLLER,
        ),
        (
            "deployments",
            "actions-runner-system",
            "actions-runner-controller",
            DOCKER,
        ),
        (
            "deployments",
            "cert-manager",
            "cert-manager-webhook",
            WEBHOOK,
        ),
    ] {
        let found = images(cluster, kind, namespace, name);
        assert!(found.contains(&pinned(image)), "{image:?}: {found}");
    }
}

/// A moved tag is a difference in a plan, and `up` and `verify` refuse it.
fn moved(cluster: &Cluster, registry: &ImageRegistry, profile: &Path) {
    registry.move_tag(RUNNER.0, RUNNER.1);
    let image = format!("{}/{}:{}", registry.host(), RUNNER.0, RUNNER.1);
    let planned = refused(cluster, || cluster.plan(profile, &[]));
    let steps = planned["steps"].as_array().unwrap();
    let step = steps.iter().find(|it| it["kind"] == "image").unwrap();
    assert_eq!(step["name"], image);
    let difference = &step["differences"][0];
    assert_eq!(
        difference["from"],
        ImageRegistry::digest(RUNNER.0, RUNNER.1)
    );
    assert_ne!(difference["to"], difference["from"]);
    let document = refused(cluster, || cluster.up(profile, &[]));
    assert_eq!(document["outcome"], "refused");
    assert!(document.to_string().contains(&image), "{document:#}");
    let file = profile.to_str().unwrap();
    let verify = ["verify", "-f", file, "-o", "json"];
    let _document = refused(cluster, || cluster.arcctl(&verify));
    a_migration_is_refused(cluster, profile, &image);

    // Could not find out is not fine.
    let status = http::StatusCode::SERVICE_UNAVAILABLE;
    registry.refuse_with(Some(status));
    let writes = cluster.kubernetes_writes();
    let document = cluster.up(profile, &[]).expect(1);
    assert_eq!(document["error"]["system"], json!("registry"));
    assert_eq!(cluster.kubernetes_writes(), writes);
    registry.refuse_with(None);
}

/// A migration is made of runs that install: it compares the lock before it writes the profile or the cluster.
fn a_migration_is_refused(cluster: &Cluster, profile: &Path, image: &str) {
    cluster.world().github().keep_scale_set_labels(true);
    let text = std::fs::read_to_string(profile).unwrap();
    let file = cluster.file("migrated.yaml", &text);
    let lock = |file: &Path| file.with_extension("lock");
    std::fs::copy(lock(profile), lock(&file)).unwrap();
    let command = ["migrate", "basic", "--to", "scaleSet", "-o", "json", "-f"];
    for how in ["--dry-run", "--yes"] {
        let arguments = [&command[..], &[file.to_str().unwrap(), how]].concat();
        let document = refused(cluster, || cluster.arcctl(&arguments));
        assert!(document.to_string().contains(image), "{document:#}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}
