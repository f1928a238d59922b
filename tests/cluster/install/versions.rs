//! The whole installation with helm 4, and with the chart versions of the blog.

use std::os::unix::fs::PermissionsExt;

use arcctl_sandbox::world::{Helm, Options, Pace};
use insta::assert_snapshot;

use crate::harness::cluster::{Cluster, settled};

const SYSTEM: &str = "actions-runner-system";
const CONTROLLER: &str = "actions-runner-controller";

#[test]
fn helm_4_installs_and_mends_and_gets_no_secret() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        helm: Helm::V4,
        ..Options::default()
    });
    assert!(
        cluster
            .helm(&["version", "--short"], None)
            .starts_with("v4.")
    );
    let profile = cluster.profile("arcctl", &[]);
    let (path, log) = recording_helm(&cluster);
    let file = profile.to_str().unwrap();
    let arguments = ["up", "-f", file, "--yes", "-o", "json", "-vv"];
    let fresh = cluster.arcctl_with(&arguments, &[("PATH", &path)]);
    assert_eq!(fresh.expect(0)["changed"], 10);
    let given = std::fs::read_to_string(log).unwrap();
    assert!(
        given.contains("upgrade") && given.contains("replicaCount"),
        "{given}"
    );
    assert!(
        !given.contains(&cluster.tokens()[0]),
        "helm was given the token"
    );
    cluster.assert_secret_is(&cluster.tokens()[0]);
    let unchanged = cluster.up(&profile, &[]).expect(0);
    assert_eq!(unchanged["changed"], 0);
    assert_eq!(unchanged["requests"]["helm"], 0);

    // Server-side apply of helm 4 gives a hand-edited field to its editor: the release takes it back.
    let deployment = format!("deployment/{CONTROLLER}");
    let image = "manager=summerwind/actions-runner-controller:canary";
    cluster.kubectl(&["-n", SYSTEM, "set", "image", &deployment, image], None);
    cluster.kubectl(&["-n", SYSTEM, "scale", &deployment, "--replicas=1"], None);
    let mended = cluster.up(&profile, &[]);
    assert_eq!(mended.expect(0)["changed"], 1);
    let live = cluster.get("deployment", SYSTEM, CONTROLLER);
    assert_eq!(live["spec"]["replicas"], 2);
    assert!(!live.to_string().contains(":canary"), "{live}");
    let again = cluster.up(&profile, &[]).expect(0);
    assert_eq!(again["changed"], 0, "{again:#}");
    assert_eq!(again["requests"]["kubernetes"]["writes"], 0);
    assert_eq!(again["requests"]["helm"], 0);
    cluster.finish();
}

/// A PATH whose `helm` writes down its arguments and its stdin, and where it does.
fn recording_helm(cluster: &Cluster) -> (String, std::path::PathBuf) {
    let path = &cluster.world().environment()["PATH"];
    let real = std::env::split_paths(path)
        .map(|directory| directory.join("helm"))
        .find(|it| it.is_file())
        .unwrap();
    let log = cluster.file("helm.log", "");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >> {log}\ntee -a {log} | {real} \"$@\"\n",
        log = log.display(),
        real = real.display()
    );
    let directory = log.with_file_name("recording");
    std::fs::create_dir(&directory).unwrap();
    let helm = directory.join("helm");
    std::fs::write(&helm, script).unwrap();
    std::fs::set_permissions(&helm, std::fs::Permissions::from_mode(0o755)).unwrap();
    (format!("{}:{path}", directory.display()), log)
}

/// The versions of the blog, whose real manifests are recorded.
#[test]
fn the_blogs_versions_work_with_advice() {
    let cluster = Cluster::fast();
    let old = [
        ("chartVersion: \"v1.21.1\"", "chartVersion: \"v1.12.0\""),
        ("chartVersion: \"0.23.7\"", "chartVersion: \"0.23.3\""),
    ];
    let profile = cluster.profile("old", &old);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok");
    let advice: Vec<&str> = ended
        .stderr
        .lines()
        .take_while(|line| !line.starts_with("profile "))
        .collect();
    assert_snapshot!("advice_on_the_blogs_versions", settled(&advice.join("\n")));
    assert_eq!(cluster.up(&profile, &[]).expect(0)["changed"], 0);
    cluster.finish();
}
