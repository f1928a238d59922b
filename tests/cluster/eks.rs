//! The cluster as EKS knows it: found, signed in to, and what is said where that fails. AWS is moto, which verifies no
//! signature: that a token has the form EKS asks for is shown, that its signature is right is not.

use std::path::{Path, PathBuf};

use arcctl_sandbox::{
    cloud::ADMINISTRATOR,
    kubelet::NodeSpec,
    proxy::{Effect, Fault, FaultId, Matching, Nth, System},
    world::{Options, Pace},
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Ended};

/// A sandbox with AWS; `None`, and said, never: without moto the test fails.
fn sandbox() -> Cluster {
    Cluster::start(Options {
        pace: Pace::Fast,
        aws: true,
        nodes: (0..2).map(NodeSpec::numbered).collect(),
        ..Options::default()
    })
}

/// Makes AWS answer `DescribeCluster` with `change` made to the cluster it describes.
fn described(cluster: &Cluster, change: impl Fn(&mut Value)) -> FaultId {
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    let mut body = json!({"cluster": {
        "name": "runners",
        "arn": "arn:aws:eks:ap-northeast-2:123456789012:cluster/runners",
        "status": "ACTIVE",
        "endpoint": "https://127.0.0.1:1",
        "certificateAuthority": {"data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="},
        "resourcesVpcConfig": {"endpointPublicAccess": true, "publicAccessCidrs": ["0.0.0.0/0"]},
    }});
    change(&mut body["cluster"]);
    proxy.add_fault(on("/clusters/", answer(200, Some(body.to_string()))))
}

fn on(prefix: &str, effect: Effect) -> Fault {
    Fault {
        matching: Matching {
            prefix: prefix.into(),
            ..Matching::default()
        },
        nth: Nth::Every,
        effect,
    }
}

fn answer(status: u16, body: Option<String>) -> Effect {
    Effect::Respond {
        status,
        body,
        headers: Vec::new(),
    }
}

#[test]
fn a_cluster_is_reached_by_its_name_alone() {
    let cluster = sandbox();
    let profile = cluster.eks_profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    // Nothing of a kubeconfig is used, by helm neither.
    let elsewhere = [("KUBECONFIG", "/nonexistent")];
    let up = || cluster.arcctl_with(&["up", "-f", file, "--yes", "-o", "json"], &elsewhere);
    let fresh = up();
    let document = fresh.expect(0);
    assert_eq!(
        document["requests"]["helm"].as_u64().map(|it| it > 0),
        Some(true)
    );
    assert!(
        fresh.stderr.contains(
            "on EKS cluster runners in ap-northeast-2 of AWS account 123456789012 (Kubernetes 1."
        ),
        "{}",
        fresh.stderr
    );
    let writes = cluster.kubernetes_writes();
    let unchanged = up().expect(0);
    assert_eq!(unchanged["changed"], 0, "{unchanged:#}");
    assert_eq!(
        unchanged["requests"]["aws"],
        json!({"reads": 2, "writes": 0})
    );
    assert_eq!(unchanged["requests"]["helm"], 0);
    assert_eq!(cluster.kubernetes_writes(), writes);
    let status = cluster.arcctl_with(&["status", "-f", file, "-o", "json"], &elsewhere);
    status.expect(0);
    assert!(
        status.stderr.contains("AWS account 123456789012"),
        "{}",
        status.stderr
    );
    let reviews = cluster.world().authenticator().unwrap().reviews();
    assert!(!reviews.is_empty(), "the API server asked nobody");
    for review in reviews {
        assert_eq!(review.verdict.as_deref(), Ok(ADMINISTRATOR));
        cluster.keep_secret(&review.token);
    }
    let counts = cluster.world().proxy(System::Aws).unwrap().counts();
    assert_eq!(counts.writes, 0, "{counts:?}");
    cluster.finish();
}

#[test]
fn a_cluster_that_cannot_be_reached_says_why() {
    let cluster = sandbox();
    let profile = cluster.eks_profile("arcctl", &[]);
    the_cluster(&cluster, &profile);
    the_credentials(&cluster, &profile);
    the_permissions(&cluster, &profile);
    the_context(&cluster);
    assert_eq!(cluster.kubernetes_writes(), 0);
    cluster.finish();
}

/// What an `up` says that ends with `code`, whose fault it is `system`'s.
#[track_caller]
fn fails(ended: &Ended, code: i32, system: &str) -> String {
    assert_eq!(ended.expect(code)["error"]["system"], system);
    ended.failure()
}

fn the_cluster(cluster: &Cluster, profile: &Path) {
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let fault = described(cluster, change);
        let ended = cluster.up(profile, &[]);
        assert!(proxy.remove_fault(fault));
        ended
    };
    let creating = with(&|it| {
        it["status"] = "CREATING".into();
        it["endpoint"] = Value::Null;
    });
    assert_snapshot!("eks_creating", fails(&creating, 1, "aws"));
    let failed = with(&|it| it["status"] = "FAILED".into());
    assert_snapshot!("eks_failed", fails(&failed, 1, "aws"));
    let authority = cluster.certificate_authority();
    let private = with(&|it| {
        it["certificateAuthority"]["data"] = authority.clone().into();
        it["resourcesVpcConfig"] = json!({"endpointPublicAccess": false});
    });
    assert_snapshot!("eks_private", fails(&private, 1, "kubernetes"));
    let other = cluster.eks_profile("other", &[("eks: runners", "eks: runner")]);
    assert_snapshot!("eks_unknown", fails(&cluster.up(&other, &[]), 1, "aws"));
}

fn the_credentials(cluster: &Cluster, profile: &Path) {
    let up = |variables: &[(&str, &str)]| {
        let arguments = ["up", "-f", profile.to_str().unwrap(), "--yes", "-o", "json"];
        let nobody = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
        cluster.arcctl_with(&arguments, &[&nobody[..], variables].concat())
    };
    assert_snapshot!("eks_no_credentials", fails(&up(&[]), 4, "aws"));
    let home = expired_session(cluster);
    let ended = up(&[("HOME", home.to_str().unwrap()), ("AWS_PROFILE", "work")]);
    assert_snapshot!("eks_expired_session", fails(&ended, 4, "aws"));
    let authenticator = cluster.world().authenticator().unwrap();
    authenticator.set_access_entries(&[]);
    let stranger = cluster.up(profile, &[]);
    authenticator.set_access_entries(&[ADMINISTRATOR]);
    assert_snapshot!("eks_no_access_entry", fails(&stranger, 4, "kubernetes"));
}

/// A home in which somebody has been signed in until yesterday.
fn expired_session(cluster: &Cluster) -> PathBuf {
    let home = cluster.file("home", "").with_file_name("signed-out");
    let cache = home.join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let config = "[profile work]\nsso_session = me\nsso_account_id = 123456789012\n\
                  sso_role_name = ops\nregion = ap-northeast-2\n\
                  [sso-session me]\nsso_region = ap-northeast-2\n\
                  sso_start_url = https://dogecompany.example/start\n";
    std::fs::write(home.join(".aws/config"), config).unwrap();
    let token = json!({
        "accessToken": "expired", "expiresAt": "2026-01-01T00:00:00Z",
        "region": "ap-northeast-2", "startUrl": "https://dogecompany.example/start",
    });
    // The SDK names the file by the SHA-1 of the session's name.
    let file = cache.join("b1c1d8736f20db3fb6c1c66bb1455ed43909f0d8.json");
    std::fs::write(file, token.to_string()).unwrap();
    home
}

fn the_permissions(cluster: &Cluster, profile: &Path) {
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    for (name, prefix) in [
        ("eks_may_not_describe", "/clusters/"),
        ("eks_may_not_ask_who_it_is", "/?"),
    ] {
        // STS is asked with a body, at the root.
        let prefix = if prefix == "/?" { "/" } else { prefix };
        let mut fault = on(prefix, answer(403, None));
        if prefix == "/" {
            fault.matching.method = Some(arcctl_sandbox::proxy::MethodMatch::Method("POST".into()));
        }
        let fault = proxy.add_fault(fault);
        let ended = cluster.up(profile, &[]);
        assert!(proxy.remove_fault(fault));
        assert_snapshot!(name, fails(&ended, 4, "aws"));
    }
    // What is only busy is asked again, and counted each time.
    let mut busy = on("/clusters/", answer(429, None));
    busy.nth = Nth::Between(1, 2);
    let busy = proxy.add_fault(busy);
    let plan = cluster.plan(profile, &[]);
    assert!(proxy.remove_fault(busy));
    plan.expect(0);
    let mut broken = on("/clusters/", answer(500, None));
    broken.nth = Nth::Every;
    let broken = proxy.add_fault(broken);
    let before = proxy.counts().reads;
    let ended = cluster.up(profile, &[]);
    assert!(proxy.remove_fault(broken));
    assert_eq!(proxy.counts().reads - before, 5, "four attempts, and STS");
    assert_snapshot!("eks_broken", fails(&ended, 1, "aws"));
}

/// A context beside `eks` is another way to the same cluster, and to no other.
fn the_context(cluster: &Cluster) {
    let both = [("eks: runners", "eks: runners\n  context: sandbox")];
    let profile = cluster.eks_profile("both", &both);
    cluster.plan(&profile, &[]).expect(0);
    let fault = described(cluster, |it| {
        it["certificateAuthority"]["data"] = cluster.certificate_authority().into();
    });
    let ended = cluster.up(&profile, &[]);
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    assert!(proxy.remove_fault(fault));
    assert_snapshot!("eks_another_address", fails(&ended, 7, "kubernetes"));
    let fault = described(cluster, |it| {
        let kubernetes = cluster.world().proxy(System::Kubernetes).unwrap();
        it["endpoint"] = kubernetes.url().into();
    });
    let ended = cluster.up(&profile, &[]);
    assert!(proxy.remove_fault(fault));
    assert_snapshot!("eks_another_authority", fails(&ended, 7, "kubernetes"));
}
