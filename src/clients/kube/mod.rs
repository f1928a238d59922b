//! A client for the Kubernetes API with plain JSON objects: get, list, server-side apply, delete, watch.
//!
//! Every call has a timeout, is counted, and is retried if the server is busy. Errors name the object.

mod access;
mod attempt;
mod error;
mod kinds;
mod reads;
mod request_log;
mod target;
mod writes;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::{Api, Client, api::DynamicObject, client::ClientBuilder};
use serde_json::Value;

pub use access::Access;
use attempt::{ATTEMPT, Ahead, Attempt};
use error::Reply;
pub use error::{KubeFailure, status};
use request_log::RequestLog;
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
    clock_ahead: Ahead,
}

impl Kube {
    /// Connects with `access`; without a kubeconfig, with the in-cluster configuration. Makes no call yet.
    pub async fn connect(access: &Access) -> Result<Self> {
        let mut config = access.config().await?;
        config.connect_timeout = Some(Duration::from_secs(10));
        // Retries are done in `call`, where they are counted and limited.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        // The kubeconfig's program that signs in may wait for a person or for a network. In a thread of its own it blocks neither
        // signals nor the time limit.
        let built = tokio::task::spawn_blocking(move || ClientBuilder::try_from(config)).await;
        let built = built.map_err(|error| {
            Error::failed(System::Local, "cannot set up a client for the API server")
                .cause(error)
                .hint("report this as a bug")
        })?;
        let builder = built.map_err(|error| {
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
            clock_ahead: Ahead::default(),
        })
    }

    /// The time by the API server's clock, as far as a response has told it: for the age of what is in the cluster, where a clock
    /// of this machine that is ahead would make it older.
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.clock_ahead.load(Ordering::Relaxed));
        let here = Timestamp::now();
        here.checked_sub(ahead).unwrap_or(here)
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
        let mut number = 1;
        loop {
            let attempt = Attempt::new(number, &self.clock_ahead);
            let failed = |reply| KubeFailure {
                what: what.into(),
                reply,
                login: self.login.clone(),
                clock_ahead: self.clock_ahead.load(Ordering::Relaxed),
            };
            if let Some(login) = &self.login
                && let Err(error) = login.renew().await
            {
                return Err(failed(Reply::SignedOut(Box::new(error))));
            }
            self.requests.count(kind);
            let answer = ATTEMPT.scope(attempt.clone(), make());
            let failure = match tokio::time::timeout(CALL_TIMEOUT, answer).await {
                Ok(Ok(value)) => {
                    if let Some(login) = &self.login {
                        login.accept();
                    }
                    return Ok(value);
                }
                Ok(Err(error)) => failed(Reply::Refused(Box::new(attempt.with_pause(error)))),
                Err(_) => failed(Reply::Silence),
            };
            match failure.again(kind, number) {
                Some(length) if number < ATTEMPTS => {
                    log::again("kubernetes", failure.said(), length);
                    pause(length).await;
                }
                _ => return Err(failure),
            }
            number += 1;
        }
    }
}

fn to_value(object: &DynamicObject) -> Value {
    // A DynamicObject is always valid JSON, so this cannot fail; Null would read as an empty object.
    serde_json::to_value(object).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Instant};

    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// An API server that gives `answers` in turn, the last one again and again; and what it was asked.
    async fn answering(answers: Vec<(&'static str, Value)>) -> (Kube, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request[..length]).to_lowercase();
                let index = seen.lock().unwrap().len().min(answers.len() - 1);
                seen.lock().unwrap().push(text);
                let (status, body) = &answers[index];
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
        let kube = Kube {
            client: ClientBuilder::try_from(config)
                .unwrap()
                .with_layer(&RequestLog)
                .build(),
            server: address.to_string(),
            requests: Arc::default(),
            login: None,
            kinds: kinds::Kinds::default(),
            clock_ahead: Ahead::default(),
        };
        (kube, asked)
    }

    fn refused(code: u16, reason: &str, message: &str, details: &Value) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
            "reason": reason, "message": message, "details": details})
    }

    /// An API server that is busy for the first call, and requests a pause.
    async fn busy_once(pause: u32) -> Kube {
        let details = json!({"retryAfterSeconds": pause});
        let said = "too many requests, please try again later";
        let busy = refused(429, "TooManyRequests", said, &details);
        let found = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a"}});
        let answers = vec![("429 Too Many Requests", busy), ("200 OK", found)];
        answering(answers).await.0
    }

    #[tokio::test]
    async fn only_the_metadata_is_read_to_see_whether_an_object_exists() {
        let target = Target::cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", "a");
        let found = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}});
        let none = refused(404, "NotFound", "not found", &json!({}));
        let denied = refused(403, "Forbidden", "may not get it", &json!({}));
        let answers = vec![
            ("200 OK", found),
            ("404 Not Found", none),
            ("403 Forbidden", denied),
        ];
        let (kube, asked) = answering(answers).await;
        assert!(kube.exists(&target).await.unwrap());
        assert!(!kube.exists(&target).await.unwrap());
        let error = kube.exists(&target).await.unwrap_err();
        assert_eq!(error.kind.exit_code(), 4);
        for request in &*asked.lock().unwrap() {
            assert!(request.contains("as=partialobjectmetadata;"), "{request}");
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

    /// An API server that limits requests answers with a text and a header, and no Status.
    #[tokio::test]
    async fn a_pause_in_the_header_alone_is_kept_too() {
        let target = Target::cluster("v1", "Namespace", "a");
        let said = json!("Too many requests, please try again later.");
        let found = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a"}});
        let short = "429 Too Many Requests\r\nretry-after: 2";
        let (kube, asked) = answering(vec![(short, said.clone()), ("200 OK", found)]).await;
        let began = Instant::now();
        assert!(kube.get(&target).await.unwrap().is_some());
        assert!(
            began.elapsed() >= Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(asked.lock().unwrap().len(), 2);

        let long = "429 Too Many Requests\r\nretry-after: 60";
        let (kube, asked) = answering(vec![(long, said)]).await;
        let error = kube.get(&target).await.unwrap_err();
        assert!(error.to_string().contains("Too many requests"), "{error}");
        assert!(error.hint.unwrap().contains("in a minute"));
        assert_eq!(asked.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_clock_of_a_server_that_rejects_the_token_is_looked_at() {
        let target = Target::cluster("v1", "Namespace", "a");
        let denied = refused(401, "Unauthorized", "Unauthorized", &json!({}));
        let early = "401 Unauthorized\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT";
        let (kube, _) = answering(vec![(early, denied)]).await;
        let error = kube.get(&target).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthorized);
        assert!(error.hint.unwrap().contains("ahead of the API server's"));
    }

    #[tokio::test]
    async fn a_program_that_signs_in_and_does_not_end_can_be_given_up() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kubeconfig");
        let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": "sleep", "args": ["3"]});
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "a", "user": {"exec": exec}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        let access = Access {
            kubeconfig: Some(file),
            ..Access::default()
        };
        let connected = tokio::time::timeout(Duration::from_millis(500), Kube::connect(&access));
        assert!(connected.await.is_err(), "it was waited for");
    }

    #[tokio::test]
    async fn ages_are_told_by_the_clock_of_the_api_server() {
        let target = Target::cluster("v1", "Namespace", "a");
        let found = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a"}});
        let early = "200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT";
        let (kube, _) = answering(vec![(early, found)]).await;
        assert!(kube.now().duration_since(Timestamp::now()).as_secs() >= -1);
        kube.get(&target).await.unwrap();
        let server: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let apart = kube.now().duration_since(server).abs();
        assert!(apart < SignedDuration::from_secs(10), "{apart}");
    }
}
