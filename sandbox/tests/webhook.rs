//! The way from the real API server to a webhook: refused without endpoints, refused while
//! nothing listens, and then answered by whoever registered.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod scale_sets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arcctl_sandbox::certificates::Authority;
use arcctl_sandbox::egress::EgressFault;
use arcctl_sandbox::world::{Options, Pace, Sandbox};
use axum::{Json, Router, routing};
use base64::Engine as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, from_value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const NAMESPACE: &str = "webhooks";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: a quarter of a minute"]
async fn the_api_server_reaches_a_registered_webhook() {
    let options = Options {
        pace: Pace::Fast,
        ..Options::default()
    };
    let world = Sandbox::start(options).await.unwrap();
    let client = world.kube();
    let authority = Authority::new("webhook").unwrap();
    install(&client, &authority).await;

    let refusal = until(&client, |text| text.contains("no endpoints available")).await;
    assert!(
        refusal.contains("failed calling webhook \"names.example.com\""),
        "{refusal}"
    );

    deploy(&client).await;
    until(&client, |text| {
        text.contains(":9443: connect: connection refused")
    })
    .await;

    let address = serve(&authority).await;
    world.egress().register(NAMESPACE, "names", address);
    let denial = until(&client, |text| text.contains("denied the request")).await;
    assert!(
        denial.contains("no ConfigMap is called `forbidden`"),
        "{denial}"
    );

    world
        .egress()
        .set_fault(NAMESPACE, "names", Some(EgressFault::Reset));
    until(&client, |text| text.contains("connection reset by peer")).await;
    world
        .egress()
        .set_fault(NAMESPACE, "names", Some(EgressFault::Hang));
    until(&client, |text| text.contains("context deadline exceeded")).await;
    world.egress().set_fault(NAMESPACE, "names", None);
    until(&client, |text| text.contains("denied the request")).await;

    world.egress().unregister(NAMESPACE, "names");
    until(&client, |text| text.contains("connection refused")).await;
    world.stop();
}

/// Tries a dry run until the API server's refusal is the expected one.
async fn until(client: &Client, expected: impl Fn(&str) -> bool) -> String {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let map = from_value(json!({"metadata": {"name": "forbidden"}})).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = match maps.create(&dry, &map).await {
            Ok(_) => "admitted".to_owned(),
            Err(kube::Error::Api(status)) => status.message,
            Err(error) => panic!("{error}"),
        };
        if expected(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "the last answer was: {text}");
        tokio::task::yield_now().await;
    }
}

async fn install(client: &Client, authority: &Authority) {
    create::<Namespace>(
        &Api::all(client.clone()),
        json!({"metadata": {"name": NAMESPACE}}),
    )
    .await;
    create::<Service>(
        &Api::namespaced(client.clone(), NAMESPACE),
        json!({"metadata": {"name": "names"}, "spec": {"selector": {"app": "names"},
            "ports": [{"port": 443, "targetPort": 9443}]}}),
    )
    .await;
    let ca = base64::engine::general_purpose::STANDARD.encode(authority.certificate());
    create::<ValidatingWebhookConfiguration>(
        &Api::all(client.clone()),
        json!({"metadata": {"name": "names"}, "webhooks": [{
            "name": "names.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": 1,
            "failurePolicy": "Fail",
            "matchPolicy": "Exact",
            "clientConfig": {"caBundle": ca,
                "service": {"namespace": NAMESPACE, "name": "names", "path": "/names"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["configmaps"]}],
            // The controllers' own objects must pass while nothing answers.
            "matchConditions": [{"name": "forbidden", "expression":
                "object.metadata.name == 'forbidden'"}],
        }]}),
    )
    .await;
}

async fn deploy(client: &Client) {
    create::<Deployment>(
        &Api::namespaced(client.clone(), NAMESPACE),
        json!({"metadata": {"name": "names"}, "spec": {
            "selector": {"matchLabels": {"app": "names"}},
            "template": {"metadata": {"labels": {"app": "names"}}, "spec": {
                "containers": [{"name": "names", "image": "names:1"}]}}}}),
    )
    .await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let deadline = Instant::now() + Duration::from_secs(20);
    while pods
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .is_empty()
    {
        assert!(Instant::now() < deadline, "the Deployment has no pod");
        tokio::task::yield_now().await;
    }
}

async fn create<K>(api: &Api<K>, object: Value)
where
    K: kube::Resource + serde::Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug,
{
    api.create(&PostParams::default(), &from_value(object).unwrap())
        .await
        .unwrap();
}

/// A webhook on loopback that denies everything.
async fn serve(authority: &Authority) -> SocketAddr {
    let leaf = authority.server(&["names.webhooks.svc"]).unwrap();
    let acceptor = TlsAcceptor::from(leaf.server_config().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/names", routing::post(deny));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), Arc::new(router.clone()));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = TowerToHyperService::new(Router::clone(&router));
                let server = auto::Builder::new(TokioExecutor::new());
                let _ended = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn deny(Json(review): Json<Value>) -> Json<Value> {
    Json(
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
        "uid": review["request"]["uid"], "allowed": false,
        "status": {"message": "no ConfigMap is called `forbidden`"}}}),
    )
}
