//! Logs each request to the API server, with the time until its response begins, and passes the headers on to the attempt.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use http::{Method, Request, Response, Uri};
use tower::{BoxError, Layer, Service};

use super::attempt::{ATTEMPT, Attempt};
use crate::log;

/// The outermost layer around kube's request handling.
#[derive(Clone, Copy)]
pub(super) struct RequestLog;

impl<S> Layer<S> for RequestLog {
    type Service = Logged<S>;

    fn layer(&self, inner: S) -> Logged<S> {
        Logged { inner }
    }
}

/// A service that logs its requests.
pub(super) struct Logged<S> {
    inner: S,
}

impl<S, A, B> Service<Request<A>> for Logged<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let action = Action(request.method().clone(), request.uri().clone());
        let began = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into);
            // Watches are not started by `call`.
            let attempt = ATTEMPT.try_with(Attempt::clone).ok();
            if let (Some(attempt), Ok(answer)) = (&attempt, &answer) {
                attempt.read(answer.headers());
            }
            let number = attempt.map_or(1, |it| it.number);
            let status = answer.as_ref().map(|it| it.status().as_u16());
            log::answered("kubernetes", action, status, began, number);
            answer
        })
    }
}

/// A request in the log; formatted only if logging is on.
struct Action(Method, Uri);

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.1.path_and_query().map_or("/", |it| it.as_str());
        // kube keeps the `?` of an empty query.
        let path = path.replace("?&", "?");
        write!(formatter, "{} {}", self.0, path.trim_end_matches('?'))
    }
}
