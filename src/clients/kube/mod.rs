//! A client for the Kubernetes API with plain JSON objects: get, list, server-side apply, delete, watch.
//!
//! Every call has a timeout, is counted, and is retried if the server is busy. Errors name the object.

mod access;
mod error;
mod kinds;
mod reads;
mod request_log;
mod target;
mod writes;

use std::{sync::Arc, time::Duration};

use kube::{Api, Client, api::DynamicObject, client::ClientBuilder};
use serde_json::Value;

pub use access::Access;
use error::Reply;
pub use error::{KubeFailure, status};
use request_log::{ATTEMPT, RequestLog};
pub use target::{Kind, Selection, Target};
pub use writes::Mode;

use super::{
    aws::auth::Login,
    cause::innermost,
    requests::{Call, Counter},
    retry::pause,
};
use crate::{
    error::{Error, ErrorKind, Result, System},
    log,
};

/// The field manager of all objects that arcctl applies (DESIGN 5).
pub const FIELD_MANAGER: &str = "arcctl";

/// The field manager of a first value that is another program's from then on, so that no later apply of arcctl owns it.
pub const FIRST_VALUE_MANAGER: &str = "arcctl-create";

/// The timeout of one call: two of them are less than a minute, the shortest usual `--timeout`.
const CALL_TIMEOUT: Duration = Duration::from_secs(25);

/// The maximum number of attempts of a call while the server is busy.
const ATTEMPTS: u32 = 4;

/// A connection to the API server.
#[derive(Clone)]
pub struct Kube {
    client: Client,
    /// The API server's URL.
    pub server: String,
    /// The calls made.
    pub requests: Arc<Counter>,
    login: Option<Arc<Login>>,
    kinds: kinds::Kinds,
}

impl Kube {
    /// Connects with `access`; without a kubeconfig, with the in-cluster configuration. Makes no call yet.
    pub async fn connect(access: &Access) -> Result<Self> {
        let mut config = access.config().await?;
        config.connect_timeout = Some(Duration::from_secs(10));
        // Retries are done in `call`, where they are counted and limited.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let builder = ClientBuilder::try_from(config).map_err(|error| {
            let kind = match &error {
                kube::Error::Auth(_) => ErrorKind::Unauthorized,
                _ => ErrorKind::Failed,
            };
            Error::new(
                kind,
                System::Kubernetes,
                format!("cannot use the API server `{server}`"),
            )
            .cause(innermost(&error))
            .hint("check the certificate authority and credentials of the kubeconfig's context; renew single sign-on, for example with `aws sso login`")
        })?;
        Ok(Self {
            client: builder.with_layer(&RequestLog).build(),
            server,
            requests: Arc::default(),
            login: access.login.clone(),
            kinds: kinds::Kinds::default(),
        })
    }

    fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind.resource),
            None => Api::all_with(self.client.clone(), &kind.resource),
        }
    }

    /// Makes one call: with a timeout, counted, retried while the server is busy.
    async fn call<T, F>(
        &self,
        kind: Call,
        what: &str,
        make: impl Fn() -> F,
    ) -> Result<T, KubeFailure>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let mut attempt = 1;
        loop {
            let failed = |reply| KubeFailure {
                what: what.into(),
                reply,
                login: self.login.clone(),
            };
            if let Some(login) = &self.login
                && let Err(error) = login.renew().await
            {
                return Err(failed(Reply::SignedOut(Box::new(error))));
            }
            self.requests.count(kind);
            let failure =
                match tokio::time::timeout(CALL_TIMEOUT, ATTEMPT.scope(attempt, make())).await {
                    Ok(Ok(value)) => return Ok(value),
                    Ok(Err(error)) => failed(Reply::Refused(Box::new(error))),
                    Err(_) => failed(Reply::Silence),
                };
            match failure.again(kind, attempt) {
                Some(length) if attempt < ATTEMPTS => {
                    log::again("kubernetes", failure.said(), length);
                    pause(length).await;
                }
                _ => return Err(failure),
            }
            attempt += 1;
        }
    }
}

fn to_value(object: &DynamicObject) -> Value {
    // A DynamicObject is always valid JSON, so this cannot fail; Null would read as an empty object.
    serde_json::to_value(object).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// An API server that is busy for the first call, and requests a pause.
    async fn busy_once(pause: u32) -> Kube {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut asked = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _length = stream.read(&mut request).await.unwrap();
                asked += 1;
                let (status, body) = if asked == 1 {
                    let body = serde_json::json!({
                        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 429,
                        "reason": "TooManyRequests", "message": "too many requests, please try again later",
                        "details": {"retryAfterSeconds": pause},
                    });
                    ("429 Too Many Requests", body)
                } else {
                    (
                        "200 OK",
                        serde_json::json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a"}}),
                    )
                };
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream
                    .write_all(format!("{head}{body}").as_bytes())
                    .await
                    .unwrap();
            }
        });
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        config.default_retry = false;
        Kube {
            client: Client::try_from(config).unwrap(),
            server: address.to_string(),
            requests: Arc::default(),
            login: None,
            kinds: kinds::Kinds::default(),
        }
    }

    #[tokio::test]
    async fn the_pause_that_a_busy_server_asks_for_is_kept() {
        let target = Target::cluster("v1", "Namespace", "a");
        let kube = busy_once(1).await;
        let began = Instant::now();
        assert!(kube.get(&target).await.unwrap().is_some());
        assert!(
            began.elapsed() >= Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );

        // With a longer pause the call fails.
        let error = busy_once(60).await.get(&target).await.unwrap_err();
        assert!(error.to_string().contains("too many requests"), "{error}");
    }
}
