//! The Kubernetes API, as plain JSON objects: get, list, server-side apply, delete, watch.
//!
//! Every call has a timeout, is counted, and is repeated when the server was only busy. An error names the object.

mod access;
mod failure;
mod reads;
mod target;
mod writes;

use std::{sync::Arc, time::Duration};

use kube::{Api, Client, api::DynamicObject};
use serde_json::Value;

use self::failure::{Reply, innermost};
pub use self::{
    access::Access,
    failure::{KubeFailure, status},
    target::{Kind, Selection, Target},
    writes::Mode,
};
use super::{
    aws::login::Login,
    requests::{Call, Counter},
};
use crate::error::{Error, ErrorKind, Result, System};

/// The field manager of everything arcctl applies (DESIGN 5).
pub const FIELD_MANAGER: &str = "arcctl";

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a call that only met a busy server is made.
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
}

impl Kube {
    /// Connects as `access` says; without a kubeconfig, as a pod of the cluster. No call is made yet.
    pub async fn connect(access: &Access) -> Result<Self> {
        let mut config = access.config().await?;
        config.connect_timeout = Some(Duration::from_secs(10));
        // Repeating is `call`'s work, where it is counted and has a limit.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| {
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
            client,
            server,
            requests: Arc::default(),
            login: access.login.clone(),
        })
    }

    fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind.resource),
            None => Api::all_with(self.client.clone(), &kind.resource),
        }
    }

    /// Makes one call: with a timeout, counted, repeated while the server is only busy.
    async fn call<T, F>(
        &self,
        kind: Call,
        what: &str,
        make: impl Fn() -> F,
    ) -> Result<T, KubeFailure>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let mut pause = tokio::time::interval(Duration::from_millis(300));
        pause.tick().await;
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
            let failure = match tokio::time::timeout(CALL_TIMEOUT, make()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => failed(Reply::Refused(Box::new(error))),
                Err(_) => failed(Reply::Silence),
            };
            if attempt >= ATTEMPTS || !failure.is_passing(kind) {
                return Err(failure);
            }
            attempt += 1;
            pause.tick().await;
        }
    }
}

fn to_value(object: &DynamicObject) -> Value {
    // A DynamicObject is JSON by construction, so this cannot fail; Null would read as an object without anything.
    serde_json::to_value(object).unwrap_or_default()
}
