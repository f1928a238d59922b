//! EKS clusters: discovery, sign-in, and their errors. AWS is moto, which verifies no signature: the tests check the
//! token's format, not its signature.

use std::path::{Path, PathBuf};

use arcctl_sandbox::{
    cloud::{ACCOUNT, ADMINISTRATOR},
    proxy::{Effect, Fault, FaultId, Matching, MethodMatch, Nth, System},
};
use aws_credential_types::Credentials;
use aws_sdk_ssm::types::ParameterType;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::cluster::{Cluster, Ended};

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
#[ignore = "slow: `make test-slow`"]
fn a_cluster_is_reached_by_its_name_alone() {
    let cluster = Cluster::with_aws();
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
    let mut newest = String::new();
    for review in reviews {
        assert_eq!(review.verdict.as_deref(), Ok(ADMINISTRATOR));
        cluster.keep_secret(&review.token);
        newest = review.token;
    }
    the_judge_accepts(&cluster, &newest);
    let counts = cluster.world().proxy(System::Aws).unwrap().counts();
    assert_eq!(counts.writes, 0, "{counts:?}");
    cluster.finish();
}

/// aws-iam-authenticator's own verifier takes arcctl's token, and refuses it where something of it is another's.
fn the_judge_accepts(cluster: &Cluster, token: &str) {
    let judge = |region: &str, token: &str| {
        let endpoint = cluster.world().proxy(System::Aws).unwrap().url();
        let arguments = ["-cluster", "runners", "-region", region, "-endpoint"];
        let arguments = [&arguments[..], &[&endpoint]].concat();
        let judge = arcctl_sandbox::tools::find("eks-token-judge").unwrap();
        cluster.try_tool(judge.to_str().unwrap(), &arguments, Some(token))
    };
    let said: Value = serde_json::from_str(&judge("ap-northeast-2", token).unwrap()).unwrap();
    let key = &cluster.world().cloud().unwrap().key.id;
    let expected = json!({"arn": ADMINISTRATOR, "account": ACCOUNT, "accessKey": key});
    assert_eq!(said, expected);
    // It can say no.
    let (half, _) = token.split_at(token.len() / 2);
    assert!(
        judge("ap-northeast-2", half)
            .unwrap_err()
            .contains("refused")
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_cluster_that_cannot_be_reached_says_why() {
    let cluster = Cluster::with_aws();
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
    let fault = described(cluster, |it| {
        let kubernetes = cluster.world().proxy(System::Kubernetes).unwrap();
        it["endpoint"] = kubernetes.url().into();
        it["certificateAuthority"]["data"] = cluster.certificate_authority().into();
        it["accessConfig"]["authenticationMode"] = "CONFIG_MAP".into();
    });
    let unmapped = cluster.up(profile, &[]);
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    assert!(proxy.remove_fault(fault));
    authenticator.set_access_entries(&[ADMINISTRATOR]);
    assert_snapshot!("eks_no_access_entry", fails(&stranger, 4, "kubernetes"));
    assert_snapshot!("eks_not_in_aws_auth", fails(&unmapped, 4, "kubernetes"));
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
    // STS is asked at the root, EKS below it.
    let mut identity = on("/", answer(403, None));
    identity.matching.method = Some(MethodMatch::Method("POST".into()));
    for (name, fault) in [
        ("eks_may_not_describe", on("/clusters/", answer(403, None))),
        ("eks_may_not_ask_who_it_is", identity),
    ] {
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
    let broken = proxy.add_fault(on("/clusters/", answer(500, None)));
    let before = proxy.counts().reads;
    let ended = cluster.up(profile, &[]);
    assert!(proxy.remove_fault(broken));
    assert_eq!(proxy.counts().reads - before, 5, "four attempts, and STS");
    assert_snapshot!("eks_broken", fails(&ended, 1, "aws"));
}

/// Keeps `value` in the simulated Secrets Manager (`kind` is `None`) or SSM.
pub(crate) fn keep(cluster: &Cluster, name: &str, value: &str, kind: Option<ParameterType>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let environment = cluster.world().environment();
    let (id, secret) = (
        environment["AWS_ACCESS_KEY_ID"].as_str(),
        environment["AWS_SECRET_ACCESS_KEY"].as_str(),
    );
    let loader = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .region(aws_config::Region::new("ap-northeast-2"))
        .endpoint_url(&environment["AWS_ENDPOINT_URL"]);
    runtime.block_on(async {
        let config = loader.load().await;
        if let Some(kind) = kind {
            let ssm = aws_sdk_ssm::Client::new(&config);
            let put = ssm.put_parameter().name(name).value(value).r#type(kind);
            put.send().await.unwrap();
        } else {
            let manager = aws_sdk_secretsmanager::Client::new(&config);
            let create = manager.create_secret().name(name).secret_string(value);
            create.send().await.unwrap();
        }
    });
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_token_is_read_where_aws_keeps_it() {
    let cluster = Cluster::with_aws();
    let token = cluster.tokens()[0].clone();
    keep(&cluster, "arcctl/token", &format!("{token}\n"), None);
    let pair = json!({"token": token}).to_string();
    keep(&cluster, "arcctl/pair", &pair, None);
    keep(
        &cluster,
        "/arcctl/token",
        &token,
        Some(ParameterType::SecureString),
    );
    keep(
        &cluster,
        "/arcctl/open",
        &token,
        Some(ParameterType::String),
    );
    let run = |command: &[&str], source: &str| {
        let edit = [("env: ARCCTL_GITHUB_TOKEN", source)];
        let profile = cluster.profile("kept", &edit);
        let file = ["-f", profile.to_str().unwrap(), "-o", "json"];
        let nothing = [("ARCCTL_GITHUB_TOKEN", "")];
        cluster.arcctl_with(&[command, &file].concat(), &nothing)
    };
    for (source, advice) in [
        ("secretsManager: arcctl/token", "white space"),
        ("ssm: /arcctl/open", "not a SecureString"),
        ("ssm: /arcctl/token", ""),
    ] {
        let ended = run(&["plan"], source);
        ended.expect(0);
        // That 16 runners do not fit is advice too, in each of them.
        let said = ["white space", "not a SecureString"].map(|it| ended.stderr.matches(it).count());
        let said: usize = said.iter().sum();
        assert_eq!(said, usize::from(!advice.is_empty()), "{}", ended.stderr);
        assert!(ended.stderr.contains(advice), "{source}: {}", ended.stderr);
    }
    let fails = |source: &str, code: i32| {
        let ended = run(&["up", "--yes"], source);
        assert_eq!(ended.expect(code)["error"]["system"], "aws");
        ended.failure()
    };
    assert_snapshot!("stored_as_json", fails("secretsManager: arcctl/pair", 1));
    assert_snapshot!("stored_nowhere", fails("secretsManager: arcctl/tokn", 1));
    assert_snapshot!("parameter_nowhere", fails("ssm: /arcctl/tokn", 1));
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    let fault = proxy.add_fault(Fault::always(answer(403, None)));
    assert_snapshot!("parameter_denied", fails("ssm: /arcctl/token", 4));
    assert!(proxy.remove_fault(fault));
    assert_eq!(cluster.kubernetes_writes(), 0);
    cluster.finish();
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
