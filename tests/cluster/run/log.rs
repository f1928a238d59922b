//! The log: `-vv` shows each request to each system with its time, `ARCCTL_LOG` writes everything to a file, without flags
//! there is none, and no line contains a secret.

use std::collections::BTreeSet;

use regex::Regex;

use crate::{aws, harness::cluster::Ended};

#[test]
#[ignore = "slow: `make test-slow`"]
fn requests_are_logged_with_times_and_without_secrets() {
    let (cluster, _account) = aws::sandbox();
    let profile = aws::profile(&cluster, &[]);
    let file = profile.to_str().unwrap();

    let ended = cluster.arcctl(&["up", "-f", file, "--yes", "-o", "json", "-vv"]);
    assert_eq!(ended.expect(0)["outcome"], "ok");
    let request = Regex::new(
        r"^\S+Z debug (?:\[\S+\] )?(kubernetes|github|aws|helm) .+: (\d{3}|exit status: 0), \d+ ms(, attempt \d+)?$",
    )
    .unwrap();
    let lines: Vec<_> = ended
        .stderr
        .lines()
        .filter_map(|it| request.captures(it))
        .collect();
    let systems: BTreeSet<&str> = lines.iter().map(|it| it.get(1).unwrap().as_str()).collect();
    assert_eq!(
        systems,
        BTreeSet::from(["aws", "github", "helm", "kubernetes"]),
        "{}",
        ended.stderr
    );
    for part in [
        "[helm-release/cert-manager/cert-manager] helm upgrade ",
        "[namespace/-/actions-runner] to be created",
        " kubernetes PATCH /api/v1/namespaces/actions-runner?",
        " github POST /enterprises/dogecompany/actions/runners/registration-token: 201, ",
        " aws eks DescribeCluster: 200, ",
        " aws iam CreateRole: 200, ",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains(" trace "), "{}", ended.stderr);

    // The file has everything, what a watch tells too; the terminal is as quiet as ever.
    let path = profile.with_file_name("arcctl.log");
    let variables = [("ARCCTL_LOG", path.to_str().unwrap())];
    let quiet = cluster.arcctl_with(&["teardown", "-f", file, "--yes"], &variables);
    assert_eq!(quiet.code, 0, "{}", quiet.stderr);
    assert!(!quiet.stderr.contains(" debug "), "{}", quiet.stderr);
    let kept = std::fs::read_to_string(&path).unwrap();
    for level in [" info  ", " debug ", " trace "] {
        assert!(kept.contains(level), "{level}: {kept}");
    }
    // What a run wrote is searched for the token at the end.
    cluster.keep(&Ended {
        code: 0,
        stdout: kept,
        stderr: String::new(),
    });
    let unwritable = [("ARCCTL_LOG", "/proc/none/log")];
    let refused = cluster.arcctl_with(&["plan", "-f", file, "-o", "json"], &unwritable);
    let error = &refused.expect(1)["error"];
    assert_eq!(error["object"], "/proc/none/log", "{error:#}");
    cluster.finish();
}
