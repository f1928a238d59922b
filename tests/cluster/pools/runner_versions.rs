//! The version of the runners: in `status`, in a plan's advice and in `doctor`, as the server ships newer ones; and newer images
//! from a registry whose login is a pull secret.

use std::{collections::BTreeMap, path::Path};

use arcctl_sandbox::{
    image_registry::{ImageRegistry, Options},
    proxy::{Effect, Fault, Matching, Nth, System},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const PASSWORD: &str = "canary-of-the-registry-0123456789";

fn document(cluster: &Cluster, profile: &Path, command: &str) -> Value {
    let profile = profile.to_str().unwrap();
    let ended = cluster.arcctl(&[command, "-f", profile, "-o", "json"]);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn runners_are_compared_with_their_server_and_newer_images_are_found_with_a_pull_secret() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let _installed = cluster.up(&profile, &[]).expect(0);
    let runner = document(&cluster, &profile, "status")["pools"][0]["runner"].clone();
    assert_eq!(runner["version"], "2.306.0");
    assert_eq!(runner["running"], "2.306.0");
    assert_eq!(runner["offered"], "2.306.0");
    assert_eq!(runner["state"], "current");

    cluster.world().github().ship("2.323.0");
    let runner = document(&cluster, &profile, "status")["pools"][0]["runner"].clone();
    // The runners of the stand-in have updated themselves.
    assert_eq!(runner["running"], "2.323.0");
    assert_eq!(
        (&runner["state"], &runner["jobsEnd"]),
        (&json!("behind"), &Value::Null)
    );
    let planned = cluster.plan(&profile, &[]);
    assert!(
        planned
            .stderr
            .contains("advice: pool `basic` has runner 2.306.0")
            && planned.stderr.contains("the server ships 2.323.0"),
        "{}",
        planned.stderr
    );
    let found = document(&cluster, &profile, "doctor");
    let checks = found["checks"].as_array().unwrap();
    let verdict = |id: &str| checks.iter().find(|it| it["id"] == id).unwrap()["verdict"].clone();
    assert_eq!(verdict("runner-version-fresh"), "broken");
    assert_eq!(verdict("runner-version-accepted"), "holds");
    newer_images(&cluster);
    cluster.finish();
}

fn newer_images(cluster: &Cluster) {
    let tags = ["v2.306.0-ubuntu-22.04", "v2.338.1-ubuntu-22.04"].map(str::to_owned);
    let registry = cluster.block_on(ImageRegistry::start(Options {
        tags: BTreeMap::from([("hub/summerwind/actions-runner".to_owned(), tags.to_vec())]),
        login: Some(("puller".to_owned(), PASSWORD.to_owned())),
        stranger: Some(("puller".to_owned(), "canary-of-docker".to_owned())),
        ..Options::default()
    }));
    let registry = registry.unwrap();
    cluster.keep_secret(PASSWORD);
    let auth = STANDARD.encode(format!("puller:{PASSWORD}"));
    cluster.keep_secret(&auth);
    pull_secrets(cluster, &registry.host(), &auth);
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    let fault = proxy.add_fault(forbidden("/namespaces/actions-runner/secrets/locked"));
    let images = format!(
        "images: {{registry: {}/hub, pullSecrets: [absent, locked, old, registry]}}\npools:",
        registry.host()
    );
    let profile = cluster.profile("mirrored", &[("pools:", &images)]);
    let before = std::fs::read_to_string(&profile).unwrap();
    let file = profile.to_str().unwrap();
    // Docker's login on this machine is an old one, or that of somebody for whom the registry has no such repository: it does
    // not hide the pull secrets.
    let docker = tempfile::tempdir().unwrap();
    let update = |password: &str, more: &[&str]| {
        let old = STANDARD.encode(format!("puller:{password}"));
        let config = json!({"auths": {registry.host(): {"auth": old}}});
        std::fs::write(docker.path().join("config.json"), config.to_string()).unwrap();
        let arguments = ["images", "update", "-f", file, "--detailed-exitcode"];
        let arguments = [&arguments[..], more].concat();
        let variables = [("DOCKER_CONFIG", docker.path().to_str().unwrap())];
        let ended = cluster.arcctl_with(&arguments, &variables);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        ended
    };
    let _read = update("canary-of-last-decade", &[]);
    let ended = update("canary-of-docker", &["--write"]);
    for name in ["absent", "locked"] {
        let told = format!("the pull secret `actions-runner/{name}` is not used");
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    }
    proxy.remove_fault(fault);
    let image = "actions-runner:v2.306.0-ubuntu-22.04";
    let expected = before.replace(image, "actions-runner:v2.338.1-ubuntu-22.04");
    assert_ne!(before, expected);
    assert_eq!(std::fs::read_to_string(&profile).unwrap(), expected);
    assert_eq!(registry.violations(), Vec::<String>::new());
    // The test's own, where the search for secrets at the end would find the password.
    let own = [
        "-n",
        "actions-runner",
        "delete",
        "secret",
        "registry",
        "old",
        "locked",
    ];
    cluster.kubectl(&own, None);
}

/// The right login, one with a password that is no longer right, and one that this user may not read.
fn pull_secrets(cluster: &Cluster, host: &str, right: &str) {
    let old = STANDARD.encode("puller:canary-of-last-year");
    for (name, auth) in [
        ("registry", right),
        ("old", old.as_str()),
        ("locked", old.as_str()),
    ] {
        let config = json!({"auths": {host: {"auth": auth}}});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"namespace": "actions-runner", "name": name},
            "data": {".dockerconfigjson": STANDARD.encode(config.to_string())}});
        cluster.kubectl(&["create", "-f", "-"], Some(&secret.to_string()));
    }
}

/// Every request for this path is refused.
fn forbidden(path: &str) -> Fault {
    Fault {
        matching: Matching {
            substring: path.into(),
            ..Matching::default()
        },
        nth: Nth::Every,
        effect: Effect::Respond {
            status: 403,
            body: None,
            headers: Vec::new(),
        },
    }
}
