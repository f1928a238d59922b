//! AWS sign-in with a custom CA, and with a session of `aws login`.

use std::path::Path;

use arcctl_sandbox::certificates::Authority;

use super::{
    canary::{healthy_github, output, program, refusing_kubernetes, set_up},
    canned::{Canned, json},
    *,
};

/// A profile that names an EKS cluster, and the rest that `plan` needs.
async fn of_eks(directory: &Path) -> (sandbox::GitHub, Canned) {
    let (github, kubernetes) = (healthy_github().await, refusing_kubernetes().await);
    set_up(directory, &github.url(), &kubernetes.url);
    let profile = directory.join("arcctl.yaml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let cluster = Regex::new(r"(?m)^cluster:\n(  .*\n)+").unwrap();
    assert!(cluster.is_match(&text), "{text}");
    let eks = "cluster:\n  eks: runners\n  region: ap-northeast-2\n";
    std::fs::write(&profile, cluster.replace(&text, eks).as_ref()).unwrap();
    (github, kubernetes)
}

/// `plan` with these variables: its exit code, and its stderr.
async fn planned(directory: &Path, endpoint: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = program(directory, &["plan"]);
    command
        .env("HOME", directory)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_MAX_ATTEMPTS", "1")
        .envs(variables.iter().copied());
    let ended = output(command).await;
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.code().unwrap_or(-1), stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_of_authorities_takes_the_place_of_the_machines() {
    provider();
    let authority = Authority::new("Doge Root CA").unwrap();
    let leaf = authority.server(&["127.0.0.1"]).unwrap();
    let options = Options {
        latency: Duration::ZERO,
        tls: Some(leaf.server_config().unwrap()),
        ..Options::default()
    };
    let aws = sandbox::GitHub::start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let _servers = of_eks(directory).await;
    let other = Authority::new("Other CA").unwrap();
    std::fs::write(directory.join("right.pem"), authority.certificate()).unwrap();
    let both = format!("{}{}", other.certificate(), authority.certificate());
    std::fs::write(directory.join("both.pem"), both).unwrap();
    std::fs::write(directory.join("other.pem"), other.certificate()).unwrap();
    std::fs::write(directory.join("empty.pem"), "").unwrap();
    std::fs::write(
        directory.join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    std::fs::write(
        directory.join("unread.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let begin = "-----BEGIN PRIVATE";
    std::fs::write(
        directory.join("key.pem"),
        format!(r"{begin} KEY-----\nMIIE\n"),
    )
    .unwrap();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ];
    for (bundle, code, words) in [
        // The status is what such a server answers to AWS's calls.
        ("right.pem", 1, "HTTP status 404"),
        ("both.pem", 1, "HTTP status 404"),
        ("other.pem", 1, "certificate"),
        ("missing.pem", 64, "missing.pem"),
        ("empty.pem", 64, "no certificate is in it"),
        ("broken.pem", 64, "broken.pem"),
        ("unread.pem", 64, "certificate 1 in it cannot be read"),
        // Not the parser's words: they have the bytes of the line.
        ("key.pem", 64, "goes on after the second `-----`"),
    ] {
        let path = directory.join(bundle).display().to_string();
        let variables = [&keys[..], &[("AWS_CA_BUNDLE", path.as_str())]].concat();
        let (ended, said) = planned(directory, &aws.url(), &variables).await;
        assert_eq!(ended, code, "{bundle}: {said}");
        assert!(said.contains(words), "{bundle}: {said}");
    }
}

/// What `aws login` leaves behind for this session; its name is the SHA-256 of the session.
const SESSION: &str = "arn:aws:iam::0123456789012:user/Admin";
const CACHE: &str = "36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_aws_login_is_used() {
    provider();
    let aws = Canned::start(|_, _| json(403, "", r#"{"message": "no"}"#)).await;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let _servers = of_eks(directory).await;
    let cache = directory.join(".aws/login/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let config = format!("[default]\nregion = ap-northeast-2\nlogin_session = {SESSION}\n");
    std::fs::write(directory.join(".aws/config"), config).unwrap();

    let (code, said) = planned(directory, &aws.url, &[]).await;
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("run `aws login`"), "{said}");
    assert_eq!(aws.seen(), Vec::<String>::new());

    let token = serde_json::json!({
        "accessToken": {
            "accessKeyId": "AKIDOFTHELOGIN", "secretAccessKey": "key", "sessionToken": "session",
            "accountId": "012345678901", "expiresAt": "2100-01-01T00:00:00Z",
        },
        "tokenType": "aws_sigv4", "refreshToken": "refresh", "idToken": "identity",
        "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": "not read while the session lasts",
    });
    std::fs::write(cache.join(CACHE), token.to_string()).unwrap();
    let (_, said) = planned(directory, &aws.url, &[]).await;
    let signed = |it: &String| it.contains("Credential=AKIDOFTHELOGIN/");
    assert!(aws.seen().iter().any(signed), "{said}");
}
