//! An HTTPS server of admission webhooks, for the stand-ins of controllers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Leaf;

/// What a webhook answers: the `response` of an `AdmissionReview` without its `uid`.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Admitted as it is.
    Allowed,
    /// Admitted with JSON patch operations.
    Patched(Value),
    /// Denied; the value is the `Status` that the client gets.
    Denied(Value),
}

/// Judges the `request` of an `AdmissionReview` that came to a path.
pub type Judge = Arc<dyn Fn(String, Value) -> BoxFuture<'static, Verdict> + Send + Sync>;

/// A webhook server on a free port of loopback; it stops when it is dropped.
pub struct AdmissionServer {
    address: SocketAddr,
    tls: Arc<RwLock<Arc<rustls::ServerConfig>>>,
    task: JoinHandle<()>,
}

impl AdmissionServer {
    /// Starts to serve with a certificate.
    pub async fn start(leaf: &Leaf, judge: Judge) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let tls = Arc::new(RwLock::new(leaf.server_config()?));
        let task = tokio::spawn(serve(listener, Arc::clone(&tls), judge));
        Ok(Self { address, tls, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves new connections with another certificate.
    pub fn replace_certificate(&self, leaf: &Leaf) -> Result<()> {
        let config = leaf.server_config()?;
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

impl Drop for AdmissionServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, tls: Arc<RwLock<Arc<rustls::ServerConfig>>>, judge: Judge) {
    // Connections end with the server: the API server keeps them open and would reuse them.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let config = Arc::clone(&tls.read().unwrap_or_else(PoisonError::into_inner));
        let judge = Arc::clone(&judge);
        connections.spawn(async move {
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
                return;
            };
            let service = service_fn(move |request| review(Arc::clone(&judge), request));
            let _closed = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn review(judge: Judge, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let Ok(review) = serde_json::from_slice::<Value>(&body) else {
        let mut refused = Response::new(Full::from("not an AdmissionReview"));
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    let asked = review["request"].clone();
    let uid = asked["uid"].clone();
    let verdict = judge(path, asked).await;
    // v1beta1 and v1 have the same form; the answer is of the version that was asked.
    let answer = json!({
        "apiVersion": review["apiVersion"], "kind": "AdmissionReview",
        "response": response(&uid, &verdict),
    });
    let answer = Full::from(answer.to_string());
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(answer)?)
}

fn response(uid: &Value, verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Allowed => json!({ "uid": uid, "allowed": true }),
        Verdict::Patched(operations) => json!({
            "uid": uid, "allowed": true, "patchType": "JSONPatch",
            "patch": STANDARD.encode(operations.to_string()),
        }),
        Verdict::Denied(status) => json!({ "uid": uid, "allowed": false, "status": status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_carries_the_whole_status() {
        let status = json!({ "code": 422, "reason": "Invalid", "message": "no" });
        let answer = response(&"u".into(), &Verdict::Denied(status.clone()));
        assert_eq!(
            answer,
            json!({ "uid": "u", "allowed": false, "status": status })
        );
    }

    #[test]
    fn a_patch_is_base64_of_its_operations() {
        let operations = json!([{ "op": "add", "path": "/a", "value": 1 }]);
        let answer = response(&"u".into(), &Verdict::Patched(operations.clone()));
        let patch = STANDARD.decode(answer["patch"].as_str().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&patch).unwrap(), operations);
    }
}
