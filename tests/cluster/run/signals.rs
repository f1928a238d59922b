//! A second signal: the process ends immediately, with its one document, and leaves no token of the cluster.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use serde_json::Value;

use crate::{harness::cluster::Cluster, harness::running::Running};

/// A `helm` that takes its time with whatever it writes, and then is the real one.
const SLOW: &str =
    "#!/bin/sh\ncase \"$1\" in upgrade|uninstall) sleep 30;; esac\nexec HELM \"$@\"\n";

/// An `up` that waits for helm, with temporary files in `temporary`.
fn in_helm(cluster: &Cluster, temporary: &Path, profile: &Path) -> Running {
    let search = cluster.world().environment()["PATH"].clone();
    let real = std::env::split_paths(&search)
        .map(|it| it.join("helm"))
        .find(|it| it.is_file())
        .unwrap();
    let slow = temporary.join("slow");
    std::fs::create_dir_all(&slow).unwrap();
    let text = SLOW.replace("HELM", real.to_str().unwrap());
    std::fs::write(slow.join("helm"), text).unwrap();
    std::fs::set_permissions(slow.join("helm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{search}", slow.display());
    let variables = [
        ("PATH", path.as_str()),
        ("KUBECONFIG", "/nonexistent"),
        ("TMPDIR", temporary.to_str().unwrap()),
    ];
    let file = profile.to_str().unwrap();
    let arguments = ["up", "-f", file, "--yes", "-o", "json"];
    let mut run = cluster.arcctl_in_background_with(&arguments, &variables);
    // The step that begins, and not the line of the plan, which has two spaces.
    run.wait_for("create helm-release/cert-manager/cert-manager");
    run
}

/// What of a run is left among temporary files.
fn left(temporary: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(temporary).unwrap().flatten();
    let names = entries.map(|it| it.file_name().to_string_lossy().into_owned());
    names.filter(|it| it.starts_with("arcctl-")).collect()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_second_signal_ends_the_run_at_once_with_one_document_and_no_token_left() {
    let cluster = Cluster::with_aws();
    let profile = cluster.eks_profile("arcctl", &[]);
    for (first, second, code) in [
        ("INT", "INT", 130),
        ("TERM", "HUP", 129),
        ("HUP", "INT", 130),
    ] {
        let temporary = tempfile::tempdir().unwrap();
        let run = in_helm(&cluster, temporary.path(), &profile);
        assert!(!left(temporary.path()).is_empty(), "no token is there");
        run.signal(first);
        // The write in work is not cut off by the first.
        std::thread::sleep(Duration::from_millis(500));
        let ended = run.end_on(second);
        cluster.keep(&ended);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(document["outcome"], "interrupted");
        assert_eq!(document["error"]["code"], code);
        let steps = document["steps"].as_array().unwrap();
        let outcome = |id: &str| {
            let found = steps.iter().find(|it| it["id"] == id);
            found.map(|it| it["outcome"].clone())
        };
        let release = outcome("helm-release/cert-manager/cert-manager");
        assert_eq!(release, Some("interrupted".into()), "{steps:#?}");
        assert_eq!(left(temporary.path()), Vec::<String>::new());
    }
    cluster.finish();
}
