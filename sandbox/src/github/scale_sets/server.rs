//! The service's HTTP: below the web address of the server, where a poll for messages stays open until there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Response, request};
use hyper::body::Bytes;

use super::super::call::{Answer, Call};
use super::super::server::{Shared, marked};
use super::{routes, sessions};
use crate::listen::Body;

/// Where the service is, below the web address.
pub(in crate::github) const SERVICES: &str = "/_services/pipelines/";

/// How often an open poll looks for messages.
const LOOK: Duration = Duration::from_millis(50);

/// Answers one request; `path` is what follows [`SERVICES`], with a `/` before it.
pub(in crate::github) async fn handle(
    shared: &Arc<Shared>,
    parts: &request::Parts,
    path: &str,
    body: &Bytes,
) -> Response<Body> {
    tokio::time::sleep(shared.latency).await;
    let query = parts.uri.query().unwrap_or_default();
    let base = shared.origin(&parts.headers);
    let call = Call::new(&parts.method, path, query, &parts.headers, body, base);
    let poll = shared.state().scale_sets.rules.poll;
    let ends = Instant::now() + poll;
    let answer = loop {
        let polled = {
            let mut state = shared.state();
            if sessions::is_poll(&call) {
                sessions::poll(&mut state, &call)
            } else {
                state.scale_sets.requests += 1;
                routes::answer(&mut state, &call).map(Some)
            }
        };
        match polled {
            Ok(Some(answer)) => break answer,
            Err(refused) => break refused.into(),
            Ok(None) if Instant::now() >= ends => {
                break Answer {
                    status: http::StatusCode::ACCEPTED,
                    body: None,
                    headers: Vec::new(),
                };
            }
            Ok(None) => tokio::time::sleep(LOOK.min(poll)).await,
        }
    };
    marked(answer)
}
