//! The environment of child processes: kubeconfig's `exec` and AWS's `credential_process` inherit arcctl's environment,
//! without the GitHub credentials in it.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    canary::{CANARY, given_away, healthy_github, output, program, refusing_kubernetes, set_up},
    canned::{Canned, json},
    *,
};

/// Further variables with a credential: one that no profile names, those of `gh`, and an input of a workflow's action, whose
/// name some shells take and others do not.
const OTHERS: [&str; 4] = [
    "GH_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "SOMETHING_ELSE",
    "INPUT_REPO-TOKEN",
];

/// A program that writes its environment to `seen`, and says `says`. bash hands on what has a name that it does not take.
fn spy(directory: &Path, name: &str, says: &str) -> String {
    let path = directory.join(name);
    let text = format!(
        "#!/bin/bash\nenv >> {}/seen\ncat <<'END'\n{says}\nEND\n",
        directory.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Has the kubeconfig sign in by a spy; `more` are further keys of its `exec`.
fn sign_in_by_program(directory: &Path, more: &str) {
    let says = r#"{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "x"}}"#;
    let spy = spy(directory, "sign-in", says);
    let kubeconfig = directory.join("kubeconfig");
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let user = format!(
        "user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {spy}, interactiveMode: Never{more}}}}}"
    );
    let text = text.replace("user: {}", &user);
    assert!(text.contains("exec"), "{text}");
    std::fs::write(&kubeconfig, text).unwrap();
}

/// Runs `arguments` with credentials in several variables; what the spy saw.
async fn seen(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = program(directory, arguments);
    command.env("PATH", format!("{}:/bin:/usr/bin", directory.display()));
    for name in OTHERS {
        command.env(name, CANARY);
    }
    command.env("REGISTRY_AUTH", STANDARD.encode(format!("user:{CANARY}\n")));
    command.envs(variables.iter().copied());
    let ended = output(command).await;
    let seen = std::fs::read_to_string(directory.join("seen"));
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    seen.unwrap_or_else(|_| panic!("the program was not started: {stderr}"))
}

/// What was seen has the rest of the environment, and no credential.
fn assert_hidden(seen: &str) {
    assert!(seen.contains("HARMLESS"), "{seen}");
    assert_eq!(given_away(seen), None, "{seen}");
    for name in OTHERS
        .into_iter()
        .chain(["ARCCTL_GITHUB_TOKEN", "REGISTRY_AUTH"])
    {
        assert!(!seen.contains(name), "{name}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kubeconfigs_program_sees_no_credential() {
    let (kubernetes, github) = (refusing_kubernetes().await, healthy_github().await);
    for command in [
        &["plan"][..],
        &["up", "--yes"],
        &["status"],
        &["doctor"],
        &["teardown", "--yes"],
        &["teardown", "--yes", "--name", "x"],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        set_up(directory, &github.url(), &kubernetes.url);
        sign_in_by_program(directory, "");
        assert_hidden(&seen(directory, command, &[("HARMLESS", "1")]).await);
    }
}

/// What a kubeconfig says for its own program is no credential of arcctl's environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kubeconfig_gives_its_program_stays() {
    let (kubernetes, github) = (refusing_kubernetes().await, healthy_github().await);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    set_up(directory, &github.url(), &kubernetes.url);
    sign_in_by_program(
        directory,
        ", env: [{name: GH_TOKEN, value: of-the-kubeconfig}, {name: SOMETHING_ELSE}]",
    );
    let seen = seen(directory, &["plan"], &[("HARMLESS", "1")]).await;
    assert!(seen.contains("GH_TOKEN=of-the-kubeconfig\n"), "{seen}");
    assert_eq!(given_away(&seen), None, "{seen}");
}

/// A token of an old form in a variable that only the command line names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_of_a_smoke_test_is_hidden_too() {
    let (kubernetes, github) = (refusing_kubernetes().await, healthy_github().await);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    set_up(directory, &github.url(), &kubernetes.url);
    sign_in_by_program(directory, "");
    let arguments = ["smoke", "--repository", "a/b", "--token-env", "DISPATCHER"];
    let old = "0123456789abcdef0123456789abcdef01234567";
    let seen = seen(
        directory,
        &arguments,
        &[("HARMLESS", "1"), ("DISPATCHER", old)],
    )
    .await;
    assert_hidden(&seen);
    assert!(!seen.contains("DISPATCHER"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_process_of_aws_sees_no_credential() {
    let aws = Canned::start(|_, _| json(403, "", r#"{"message": "no"}"#)).await;
    let github = healthy_github().await;
    let kubernetes = refusing_kubernetes().await;
    let cluster = Regex::new(r"(?m)^cluster:\n(  .*\n)+").unwrap();
    for (file, text, named) in FILES {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        set_up(directory, &github.url(), &kubernetes.url);
        let profile = directory.join("arcctl.yaml");
        let shown = std::fs::read_to_string(&profile).unwrap();
        assert!(cluster.is_match(&shown), "{shown}");
        let eks = "cluster:\n  eks: runners\n  region: ap-northeast-2\n";
        std::fs::write(&profile, cluster.replace(&shown, eks).as_ref()).unwrap();
        let says = r#"{"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "key"}"#;
        let spy = spy(directory, "credentials", says);
        // A shell that hands on a variable whose name it does not take.
        std::os::unix::fs::symlink("/bin/bash", directory.join("sh")).unwrap();
        let path = directory.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("SPY", &spy)).unwrap();
        let home = directory.display().to_string();
        let mut variables = vec![
            ("HARMLESS", "1"),
            ("HOME", home.as_str()),
            ("AWS_ENDPOINT_URL", aws.url.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        variables.extend(named);
        assert_hidden(&seen(directory, &["plan"], &variables).await);
    }
}

/// A file with a program in it, its text, and what the environment says of it.
type File = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const FILES: [File; 8] = [
    (".aws/config", "[default]\ncredential_process = SPY\n", &[]),
    (
        ".aws/credentials",
        "[default]\ncredential_process = SPY\n",
        &[],
    ),
    (
        ".aws/config",
        "[profile work]\nregion = x\ncredential_process = SPY\n",
        &[("AWS_PROFILE", "work")],
    ),
    (
        ".aws/config",
        "[default]\r\nCredential_Process = SPY # it's one\r\n",
        &[],
    ),
    // No shell expands it in the `env` of a workflow.
    (
        "elsewhere/config",
        "[default]\ncredential_process = SPY\n",
        &[("AWS_CONFIG_FILE", "~/elsewhere/config")],
    ),
    (
        "elsewhere/mine",
        "[default]\ncredential_process = SPY\n",
        &[("AWS_SHARED_CREDENTIALS_FILE", "~/elsewhere/mine")],
    ),
    (
        ".aws/credentials",
        "[default]\ncredential_process =\n  A=b\n  SPY \"A = $A\"\n",
        &[("AWS_CONFIG_FILE", "~/there/is/none")],
    ),
    (
        ".aws/config",
        "[profile work]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = base\n[profile base]\ncredential_process = SPY\n",
        &[("AWS_PROFILE", "work")],
    ),
];
