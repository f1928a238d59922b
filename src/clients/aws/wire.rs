//! A fake AWS for tests: a function answers each request, and the requests are recorded.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
};

use super::Aws;

type Answers = dyn Fn(&HttpRequest) -> HttpResponse + Send + Sync;

/// See the module.
#[derive(Clone)]
pub(crate) struct Wire {
    answers: Arc<Answers>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    /// A fake AWS that uses `answers`.
    pub(crate) fn new(
        answers: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> Self {
        Self {
            answers: Arc::new(answers),
            asked: Arc::default(),
        }
    }

    /// Its clients.
    pub(crate) fn aws(&self) -> Aws {
        Aws::answered_by(self.clone())
    }

    /// The requested operations, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wire")
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.lock().unwrap().push(operation(&request));
        HttpConnectorFuture::ready(Ok((self.answers)(&request)))
    }
}

/// A response.
pub(crate) fn answer(status: u16, text: impl Into<String>) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), text.into().into())
}

/// A response of IAM.
pub(crate) fn of_iam(operation: &str, result: &str) -> HttpResponse {
    let inner = format!("<{operation}Result>{result}</{operation}Result>");
    answer(
        200,
        format!("<{operation}Response>{inner}</{operation}Response>"),
    )
}

/// An error response of IAM.
pub(crate) fn refused_by_iam(status: u16, code: &str, message: &str) -> HttpResponse {
    let error = format!("<Code>{code}</Code><Message>{message}</Message>");
    answer(
        status,
        format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"),
    )
}

/// A form field of a request to IAM or EC2.
pub(crate) fn field(request: &HttpRequest, name: &str) -> Option<String> {
    let body = String::from_utf8_lossy(request.body().bytes()?).into_owned();
    let url = reqwest::Url::parse(&format!("http://aws/?{body}")).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// The requested operation, by its IAM name.
pub(crate) fn operation(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap().to_owned();
    }
    let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
    if let Some((_, action)) = body.split_once("Action=") {
        return action.split('&').next().unwrap().to_owned();
    }
    let url = reqwest::Url::parse(request.uri()).unwrap();
    let (method, path) = (request.method(), url.path());
    match path.split_once("/pod-identity-associations") {
        Some((_, "" | "/")) if method == "GET" => "ListPodIdentityAssociations".into(),
        Some((_, "" | "/")) => "CreatePodIdentityAssociation".into(),
        Some(_) => {
            let verb = match method {
                "GET" => "Describe",
                "DELETE" => "Delete",
                _ => "Update",
            };
            format!("{verb}PodIdentityAssociation")
        }
        None if path.starts_with("/clusters/") => "DescribeCluster".into(),
        None if method == "HEAD" => "HeadBucket".into(),
        None => {
            let verb = method[..1].to_owned() + &method[1..].to_lowercase();
            format!("{verb}BucketPolicy")
        }
    }
}
