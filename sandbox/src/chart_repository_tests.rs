use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::test_client::send;

async fn get(repository: &ChartRepository, file: &str) -> crate::test_client::Answer {
    send("GET", &format!("{}/{file}", repository.url()), &[], "")
        .await
        .unwrap()
}

#[test]
fn a_missing_directory_is_named() {
    let empty = TempDir::new().unwrap();
    let error = format!("{:#}", make(empty.path()).unwrap_err());
    assert!(
        error.contains("charts/actions-runner-controller/Chart.yaml"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_not_served_is_404_and_a_repository_can_refuse() {
    let repository = ChartRepository::start().await.unwrap();
    assert_eq!(
        get(&repository, "cert-manager-v1.0.0.tgz").await.status,
        404
    );
    repository.refuse_with(Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(get(&repository, "index.yaml").await.status, 503);
    repository.refuse_with(None);
    assert_eq!(get(&repository, "index.yaml").await.status, 200);
    assert_eq!(repository.requests(), 3);
}

#[tokio::test]
async fn a_repository_that_is_down_refuses_connections_and_comes_back() {
    let mut repository = ChartRepository::start().await.unwrap();
    let address = repository.url().replace("http://", "");
    repository.down().await;
    let error = tokio::net::TcpStream::connect(&address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    repository.up().await.unwrap();
    assert_eq!(get(&repository, "index.yaml").await.status, 200);
}

#[tokio::test]
async fn the_index_has_the_digest_of_every_package() {
    let repository = ChartRepository::start().await.unwrap();
    let index = get(&repository, "index.yaml").await;
    let index: serde_json::Value =
        serde_saphyr::from_str(std::str::from_utf8(&index.body).unwrap()).unwrap();
    let mut found = Vec::new();
    for (name, entries) in index["entries"].as_object().unwrap() {
        for entry in entries.as_array().unwrap() {
            let package = get(&repository, entry["urls"][0].as_str().unwrap()).await;
            assert_eq!(entry["digest"], hex(&Sha256::digest(&package.body)));
            let part = |key: &str| entry[key].as_str().unwrap().to_owned();
            found.push((name.clone(), part("version"), part("appVersion")));
        }
    }
    let expected = [
        ("actions-runner-controller", "0.23.7", "0.27.6"),
        ("actions-runner-controller", "0.23.3", "0.27.4"),
        ("cert-manager", "v1.21.1", "v1.21.1"),
        ("cert-manager", "v1.20.4", "v1.20.4"),
        ("cert-manager", "v1.19.6", "v1.19.6"),
        ("cert-manager", "v1.18.6", "v1.18.6"),
        ("cert-manager", "v1.17.4", "v1.17.4"),
        ("cert-manager", "v1.16.5", "v1.16.5"),
        ("cert-manager", "v1.15.5", "v1.15.5"),
        ("cert-manager", "v1.14.7", "v1.14.7"),
        ("cert-manager", "v1.13.6", "v1.13.6"),
        ("cert-manager", "v1.12.0", "v1.12.0"),
        ("gha-runner-scale-set", "0.15.1", "0.15.1"),
        ("gha-runner-scale-set", "0.14.2", "0.14.2"),
        ("gha-runner-scale-set", "0.14.1", "0.14.1"),
        ("gha-runner-scale-set", "0.13.1", "0.13.1"),
        ("gha-runner-scale-set-controller", "0.15.1", "0.15.1"),
        ("gha-runner-scale-set-controller", "0.14.2", "0.14.2"),
        ("gha-runner-scale-set-controller", "0.14.1", "0.14.1"),
        ("gha-runner-scale-set-controller", "0.13.1", "0.13.1"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chart = &CHARTS[2];
    assert!(chart.package(root).unwrap() == chart.package(root).unwrap());
}

/// Runs the pinned helm; `None` where the tools are not set up.
async fn helm(home: &TempDir, arguments: &[&str]) -> Option<Result<String, String>> {
    let helm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/helm3");
    if !helm.exists() {
        return None;
    }
    let mut command = Command::new(helm);
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path());
    // The repository runs on this thread's runtime.
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some(if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    })
}

#[tokio::test]
async fn helm_reads_the_repository() {
    let mut repository = ChartRepository::start().await.unwrap();
    let home = TempDir::new().unwrap();
    let url = repository.url();
    let unknown = [
        "pull",
        "cert-manager",
        "--repo",
        &url,
        "--version",
        "v1.0.0",
    ];
    let Some(refused) = helm(&home, &unknown).await else {
        return;
    };
    assert!(refused.unwrap_err().contains("not found"));
    for (name, version) in [
        ("actions-runner-controller", "0.23.3"),
        ("cert-manager", "v1.21.1"),
    ] {
        let pull = ["pull", name, "--repo", &url, "--version", version];
        helm(&home, &pull).await.unwrap().unwrap();
        assert!(home.path().join(format!("{name}-{version}.tgz")).is_file());
    }
    let show = ["show", "crds", "actions-runner-controller", "--repo", &url];
    let crds = helm(&home, &show).await.unwrap().unwrap();
    assert_eq!(
        crds.matches("\nkind: CustomResourceDefinition\n").count(),
        5
    );
    let show = [
        "show",
        "chart",
        "cert-manager",
        "--repo",
        &url,
        "--version",
        "v1.12.0",
    ];
    let chart = helm(&home, &show).await.unwrap().unwrap();
    assert!(
        chart.contains("version: v1.12.0") && chart.contains("appVersion: v1.12.0"),
        "{chart}"
    );
    let template = [
        "template",
        "x",
        "cert-manager",
        "--repo",
        &url,
        "--set",
        "crds.enabled=true",
    ];
    let manifests = helm(&home, &template).await.unwrap().unwrap();
    assert_eq!(
        manifests
            .matches("\nkind: CustomResourceDefinition\n")
            .count(),
        6
    );
    repository.down().await;
    let error = helm(&home, &show).await.unwrap().unwrap_err();
    assert!(error.contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_chart_that_is_published_again_has_other_bytes_and_the_same_content() {
    let repository = ChartRepository::start().await.unwrap();
    let file = "cert-manager-v1.21.1.tgz";
    let content = |bytes: &[u8]| {
        let mut content = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut content).unwrap();
        content
    };
    let old = get(&repository, file).await.body;
    repository.republish("cert-manager", "v1.21.1").unwrap();
    let new = get(&repository, file).await.body;
    assert_ne!(old, new);
    assert_eq!(content(&old), content(&new));
    let index = get(&repository, "index.yaml").await.body;
    let index = std::str::from_utf8(&index).unwrap();
    assert!(index.contains(&hex(&Sha256::digest(&new))));
    assert!(!index.contains(&hex(&Sha256::digest(&old))));
    assert!(repository.republish("cert-manager", "v0.0.0").is_err());
}

#[tokio::test]
async fn a_chart_has_no_provenance_unless_it_is_signed() {
    let repository = ChartRepository::start().await.unwrap();
    let file = "cert-manager-v1.21.1.tgz.prov";
    assert_eq!(get(&repository, file).await.status, 404);
    repository.sign_wrongly("cert-manager", "v1.21.1");
    assert_eq!(get(&repository, file).await.status, 200);
}
