//! `up --bundle`: a bundle is pushed to a real registry on loopback, and installed from there and from nowhere else.

#![expect(clippy::print_stderr, reason = "figures are to be seen")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use arcctl_sandbox::{
    image_registry::{ImageRegistry, Options},
    kubelet::Images,
    processes::{ProcessGroup, free_port},
    proxy::{Effect, System},
    tools,
    world::{self, Pace},
};
use http::StatusCode;
use serde_json::Value;

use crate::{
    harness::{
        cluster::{Cluster, Ended},
        waiting::until,
    },
    torture::ground::Ground,
};

/// The images of the sandbox's profile and charts.
const IMAGES: [(&str, &str); 8] = [
    ("hub/summerwind/actions-runner", "v2.306.0-ubuntu-22.04"),
    ("hub/library/docker", "28-dind"),
    ("hub/summerwind/actions-runner-controller", "v0.27.6"),
    ("hub/brancz/kube-rbac-proxy", "v0.13.1"),
    ("hub/jetstack/cert-manager-controller", "v1.21.1"),
    ("hub/jetstack/cert-manager-acmesolver", "v1.21.1"),
    ("hub/jetstack/cert-manager-cainjector", "v1.21.1"),
    ("hub/jetstack/cert-manager-webhook", "v1.21.1"),
];

/// After how many writes a run is killed: about a tenth of those of an installation.
const TENTH: usize = 8;

/// The registry that has the images, which the cluster cannot reach.
fn origin(cluster: &Cluster) -> ImageRegistry {
    let tags = IMAGES.map(|(repository, tag)| (repository.to_owned(), vec![tag.to_owned()]));
    let options = Options {
        tags: BTreeMap::from(tags),
        latency: Duration::ZERO,
        ..Options::default()
    };
    cluster.block_on(ImageRegistry::start(options)).unwrap()
}

/// A real registry (CNCF Distribution) with its files in `directory`; it ends with its group.
struct Registry {
    _group: ProcessGroup,
    host: String,
}

impl Registry {
    fn start(directory: &Path) -> Self {
        let host = format!("127.0.0.1:{}", free_port().unwrap());
        let storage = directory.join("registry").display().to_string();
        let configuration = serde_json::json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": {"addr": host, "secret": "0"},
        });
        let file = directory.join("registry.yml");
        std::fs::write(&file, configuration.to_string()).unwrap();
        let group = ProcessGroup::new(&directory.join("logs")).unwrap();
        let mut command = Command::new(tools::find("registry").unwrap());
        command.arg("serve").arg(&file);
        group.spawn("registry", &mut command).unwrap();
        until("the registry answers", || {
            std::net::TcpStream::connect(&host).is_ok()
        });
        Self {
            _group: group,
            host,
        }
    }
}

/// A sandbox whose nodes have no image, a profile for the origin, and a bundle of it.
fn bundled(origin: &ImageRegistry, cluster: &Cluster) -> (PathBuf, PathBuf) {
    let mirror = format!("images: {{registry: {}/hub}}\npools:", origin.host());
    let profile = cluster.profile("arcctl", &[("pools:", mirror.as_str())]);
    let bundle = profile.with_extension("tar");
    let began = Instant::now();
    let made = cluster
        .arcctl(&[
            "bundle",
            "create",
            bundle.to_str().unwrap(),
            "-f",
            profile.to_str().unwrap(),
            "-o",
            "json",
        ])
        .expect(0);
    eprintln!(
        "bundle: {} bytes in {:?}",
        made["created"]["bytes"],
        began.elapsed()
    );
    (profile, bundle)
}

fn push(cluster: &Cluster, profile: &Path, bundle: &Path, registry: &str) -> Ended {
    cluster.arcctl(&[
        "bundle",
        "push",
        bundle.to_str().unwrap(),
        registry,
        "-f",
        profile.to_str().unwrap(),
        "-o",
        "json",
    ])
}

/// The images that the stand-in kubelets have pulled.
fn pulled(cluster: &Cluster) -> Vec<String> {
    let nodes = cluster.kubectl(&["get", "nodes", "-o", "json"], None);
    let nodes: Value = serde_json::from_str(&nodes).unwrap();
    let nodes = nodes["items"].as_array().unwrap().iter();
    let images = nodes.flat_map(|it| it["status"]["images"].as_array().unwrap());
    let names = images.flat_map(|it| it["names"].as_array().unwrap());
    let names = names.map(|it| it.as_str().unwrap().to_owned());
    names.filter(|it| !it.contains("/pause")).collect()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_bundle_is_installed_from_a_registry_and_from_nowhere_else() {
    let cluster = Cluster::start(world::Options {
        pace: Pace::Fast,
        images: Images::Absent,
        ..world::Options::default()
    });
    let origin = origin(&cluster);
    let (profile, bundle) = bundled(&origin, &cluster);
    let ground = Ground::on(cluster, profile.clone());
    let cluster = &ground.cluster;
    let registry = Registry::start(profile.parent().unwrap());
    let address = format!("oci://{}/mirror", registry.host);

    // Nothing but the registry is there from now on.
    origin.refuse_with(Some(StatusCode::SERVICE_UNAVAILABLE));
    let charts = cluster.world().chart_repository();
    charts.refuse_with(Some(StatusCode::SERVICE_UNAVAILABLE));
    let asked = (origin.requests(), charts.requests());

    // Before it is pushed nothing is written.
    let writes = cluster.kubernetes_writes();
    let document = cluster.up(&profile, &["--bundle", &address]).expect(1);
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("arcctl bundle push"), "{document:#}");
    assert_eq!(cluster.kubernetes_writes(), writes);

    let began = Instant::now();
    let pushed = push(cluster, &profile, &bundle, &address).expect(0);
    let parts = pushed["pushed"]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), IMAGES.len() + 3);
    eprintln!("pushed in {:?}", began.elapsed());
    let again = push(cluster, &profile, &bundle, &address).expect(0);
    let parts = again["pushed"]["parts"].as_array().unwrap();
    assert!(parts.iter().all(|it| it["present"] == true), "{again:#}");

    // Killed after each tenth of its writes, and continued.
    let file = profile.to_str().unwrap();
    let up = [
        "up", "-f", file, "--yes", "-o", "json", "--bundle", &address,
    ];
    let killed = || {
        let at = ground.killed_at(&up, &[], System::Kubernetes, TENTH, Effect::KillAfter);
        ground.age();
        at
    };
    let killed: Vec<String> = std::iter::from_fn(killed).take(20).collect();
    eprintln!("killed at {killed:?}");
    assert!(killed.len() > 2, "{killed:?}");
    let _installed = cluster.up(&profile, &["--bundle", &address]).expect(0);
    let writes = cluster.kubernetes_writes();
    let unchanged = cluster.up(&profile, &["--bundle", &address]).expect(0);
    assert_eq!(unchanged["changed"], 0);
    assert_eq!(cluster.kubernetes_writes(), writes);

    let same = ["--bundle", &address, "--detailed-exitcode"];
    let _same = cluster.plan(&profile, &same).expect(0);

    let pulled = pulled(cluster);
    let own = format!("{}/mirror/", registry.host);
    assert!(!pulled.is_empty());
    let elsewhere: Vec<&String> = pulled.iter().filter(|it| !it.starts_with(&own)).collect();
    assert_eq!(elsewhere, Vec::<&String>::new());
    assert!(
        pulled.iter().all(|it| it.contains("@sha256:")),
        "{pulled:?}"
    );
    assert_eq!((origin.requests(), charts.requests()), asked);
    let jobs = cluster.kubectl(&["get", "jobs", "-A", "-o", "name"], None);
    assert_eq!(jobs, "", "no proof is left");
    ground.cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_image_that_the_cluster_cannot_pull_is_told_before_anything_is_changed() {
    let cluster = Cluster::start(world::Options {
        pace: Pace::Fast,
        images: Images::Absent,
        faults: vec!["kubelet:image-pull=*/mirror/library/docker*".into()],
        ..world::Options::default()
    });
    let origin = origin(&cluster);
    let (profile, bundle) = bundled(&origin, &cluster);
    let options = Options {
        writable: true,
        latency: Duration::ZERO,
        ..Options::default()
    };
    let registry = cluster.block_on(ImageRegistry::start(options)).unwrap();
    let address = format!("oci://{}/mirror", registry.host());
    let _pushed = push(&cluster, &profile, &bundle, &address).expect(0);
    assert_eq!(registry.violations(), Vec::<String>::new());

    let document = cluster.up(&profile, &["--bundle", &address]).expect(1);
    let said = document["error"]["message"].as_str().unwrap();
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(said.contains("library/docker:28-dind"), "{said}");
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    assert!(!namespaces.contains("actions-runner"), "{namespaces}");
    let jobs = cluster.kubectl(&["get", "jobs", "-A", "-o", "name"], None);
    assert_eq!(jobs, "", "no proof is left");
    cluster.finish();
}
