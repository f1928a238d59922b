//! A stand-in for the authenticator of an EKS control plane: an authentication webhook that decodes the token, checks it
//! like aws-iam-authenticator, and looks up the caller in moto's STS.
//!
//! moto does not verify signatures: any token in the right format is accepted. The sandbox proves that the token has EKS's
//! format; it cannot prove that its signature is valid.

pub mod token;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cloud::{self, CLUSTER};
use crate::listen::{Body, Server, Unanswered, whole};
use crate::moto::REGION;

/// A running authenticator.
pub struct Authenticator {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    sts: String,
    client: reqwest::Client,
    entries: Mutex<BTreeSet<String>>,
    reviews: Mutex<Vec<Review>>,
}

/// What became of a token.
#[derive(Clone, Debug)]
pub struct Review {
    /// The token, as the API server handed it on.
    pub token: String,
    /// Whose it is, or why it was refused.
    pub verdict: Result<String, String>,
}

impl Authenticator {
    /// Starts it; `sts` is where moto is. The sandbox's administrator has an access entry.
    pub async fn start(sts: &str) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(10))
            .build()?;
        let shared = Arc::new(Shared {
            sts: sts.to_owned(),
            client,
            entries: Mutex::new([cloud::ADMINISTRATOR.to_owned()].into()),
            reviews: Mutex::default(),
        });
        let handler = Arc::clone(&shared);
        let server = Server::start(0, None, move |_connection| {
            let shared = Arc::clone(&handler);
            move |request| answer(Arc::clone(&shared), request)
        })
        .await?;
        Ok(Self { shared, server })
    }

    /// Where the API server asks.
    pub fn url(&self) -> String {
        format!("http://{}/authenticate", self.server.address())
    }

    /// The ARNs that have an access entry; each is an administrator of the cluster.
    pub fn set_access_entries(&self, arns: &[&str]) {
        let mut entries = self
            .shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *entries = arns.iter().map(ToString::to_string).collect();
    }

    /// The tokens that were reviewed, oldest first.
    pub fn reviews(&self) -> Vec<Review> {
        let reviews = &self.shared.reviews;
        reviews
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Unanswered> {
    let body = request.into_body().collect().await;
    let body = body.map_err(|_| Unanswered)?.to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    let verdict = shared.judge(token).await;
    let status = match &verdict {
        Ok(arn) => json!({"authenticated": true, "user": {
            "username": arn, "uid": arn, "groups": ["system:masters"],
        }}),
        Err(said) => json!({"authenticated": false, "error": said}),
    };
    let review = Review {
        token: token.to_owned(),
        verdict,
    };
    shared
        .reviews
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(review);
    let document = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status,
    });
    let mut response = Response::new(whole(document.to_string()));
    *response.status_mut() = StatusCode::OK;
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

impl Shared {
    /// Whose token it is, if it has an access entry.
    async fn judge(&self, token: &str) -> Result<String, String> {
        let request = token::check(token, REGION, Timestamp::now())?;
        let arn = self
            .caller(&request)
            .await
            .map_err(|error| format!("sts: {error:#}"))?;
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.contains(&arn) {
            Ok(arn)
        } else {
            Err(format!("no access entry of {CLUSTER} has ARN {arn}"))
        }
    }

    async fn caller(&self, request: &token::Request) -> Result<String> {
        let answer = self
            .client
            .get(format!("{}/?{}", self.sts, request.query))
            .header(
                "authorization",
                cloud::authorization("sts", &request.access_key),
            )
            .header(token::CLUSTER_HEADER, CLUSTER)
            .send()
            .await?
            .error_for_status()?;
        cloud::text(&answer.text().await?, "Arn")
    }
}
