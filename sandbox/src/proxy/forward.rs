//! One request through a proxy: counts it, and applies a fault or forwards it.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, request};
use http_body_util::{BodyDataStream, BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};

use super::Shared;
use super::classify::{System, action, classify, needs_body};
use super::fault::Effect;
use super::refusal::refusal;
use super::upstream::Link;
use crate::cloud::cluster::{Answer, Supplement};
use crate::cloud::rules::{After, Judged};
use crate::listen::{Body, BoxError, Connection, Unanswered, whole};

/// Answers one request.
pub(super) async fn handle(
    shared: Arc<Shared>,
    link: Arc<Link>,
    connection: Connection,
    request: Request<Incoming>,
) -> Result<Response<Body>, Unanswered> {
    let (parts, body) = request.into_parts();
    let (known, body) = if needs_body(shared.system, &parts.method) {
        let known = body.collect().await.map_err(|_| Unanswered)?.to_bytes();
        (known.clone(), whole(known))
    } else {
        (Bytes::new(), body.map_err(BoxError::from).boxed())
    };
    let kind = classify(shared.system, &parts, &known);
    // AWS's older services have one path for everything: a fault tells their calls by the action.
    let is_form = shared.system == System::Aws && parts.method == Method::POST;
    let action = action(&parts, &known).filter(|_| is_form);
    let (index, effect) = shared.arrived(kind, &parts, action.as_deref());
    let effect = match effect {
        Some(Effect::Respond {
            status,
            body,
            headers,
        }) => {
            shared.answered(index, status);
            return Ok(respond(&shared, &parts, status, body, &headers));
        }
        Some(Effect::ResetBefore) => return Err(connection.reset()),
        Some(Effect::Hang) => return std::future::pending().await,
        Some(Effect::Kill) => {
            shared.kill();
            return std::future::pending().await;
        }
        Some(Effect::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            None
        }
        other => other,
    };
    let Some(supplement) = shared.supplement.clone() else {
        let response = passed_on(&shared, &link, index, Request::from_parts(parts, body)).await;
        return returned(&shared, &connection, response, effect).await;
    };
    let (bytes, after) = match supplement
        .rules
        .before(&parts, &known, &supplement.moto)
        .await
    {
        Judged::Forward(bytes, after) => (bytes, after),
        Judged::Answer(answer) => {
            shared.answered(index, answer.0);
            return returned(&shared, &connection, made(answer), effect).await;
        }
    };
    let known = Bytes::from(bytes);
    let lacking = Supplement::concerns(&parts);
    let answer = supplement.answer(&parts, action.as_deref(), &known).await;
    let response = if let Some(answer) = answer {
        shared.answered(index, answer.0);
        made(answer)
    } else {
        let request = if known.is_empty() {
            Request::from_parts(parts, body)
        } else {
            let mut parts = parts;
            parts.headers.insert(CONTENT_LENGTH, known.len().into());
            Request::from_parts(parts, whole(known))
        };
        passed_on(&shared, &link, index, request).await
    };
    let response = completed(&supplement, lacking, after, response).await?;
    returned(&shared, &connection, response, effect).await
}

/// The answer of the system behind the proxy.
async fn passed_on(
    shared: &Arc<Shared>,
    link: &Link,
    index: usize,
    request: Request<Body>,
) -> Response<Body> {
    match link.send(request).await {
        Ok(response) => {
            shared.answered(index, response.status().as_u16());
            let shared = Arc::clone(shared);
            let counted = move |frame: Frame<Bytes>| {
                shared.passed(index, frame.data_ref().map_or(0, Bytes::len));
                frame
            };
            response.map(|body| body.map_frame(counted).map_err(BoxError::from).boxed())
        }
        Err(error) => {
            shared.answered(index, 502);
            let mut response = Response::new(whole(format!("sandbox proxy: {error:#}\n")));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

/// An answer in the system's place.
fn made((status, headers, body): Answer) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    insert(
        &mut response,
        headers.iter().map(|(name, value)| (*name, value.as_str())),
    );
    response
}

/// The other side's answer, with what a fault does to it.
async fn returned(
    shared: &Shared,
    connection: &Connection,
    response: Response<Body>,
    effect: Option<Effect>,
) -> Result<Response<Body>, Unanswered> {
    let (mut parts, body) = response.into_parts();
    // The other side may be an HTTP/1.0 server that closes; this connection stays.
    parts.version = Version::HTTP_11;
    parts.headers.remove(CONNECTION);
    parts.headers.remove(TRANSFER_ENCODING);
    let body = match effect {
        Some(Effect::ResetAfter) => {
            // Its last byte says that the other side is done.
            drop(body.collect().await);
            return Err(connection.reset());
        }
        Some(Effect::HangAfter) => {
            drop(body.collect().await);
            return std::future::pending().await;
        }
        Some(Effect::KillAfter) => {
            drop(body.collect().await);
            shared.kill();
            return std::future::pending().await;
        }
        Some(Effect::Truncate(length)) => truncated(body, length),
        Some(Effect::SlowBody(pause)) => slowed(body, pause),
        _ => body,
    };
    Ok(Response::from_parts(parts, body))
}

/// The answer with what moto does not know, as AWS would show it.
async fn completed(
    supplement: &Supplement,
    lacking: bool,
    after: After,
    response: Response<Body>,
) -> Result<Response<Body>, Unanswered> {
    let (mut parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Unanswered)?.to_bytes();
    let moto = &supplement.moto;
    let status = parts.status.as_u16();
    let shown = supplement.rules.after(after, status, &body, moto).await;
    let shown = if lacking {
        supplement.complete(&body)
    } else {
        shown
    };
    parts.headers.remove(CONTENT_LENGTH);
    let body = shown.map_or(body, Bytes::from);
    Ok(Response::from_parts(parts, whole(body)))
}

fn respond(
    shared: &Shared,
    request: &request::Parts,
    status: u16,
    body: Option<String>,
    headers: &[(String, String)],
) -> Response<Body> {
    let system = refusal(shared.system, status, request);
    let mut response = Response::new(whole(body.unwrap_or(system.body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let own = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let usual = system
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    insert(&mut response, usual.chain(own));
    response
}

fn insert<'a>(response: &mut Response<Body>, headers: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in headers {
        let name = http::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// The first bytes of a body, then an error: the connection ends with the length still owed.
fn truncated(body: Body, length: usize) -> Body {
    let mut left = length;
    let pieces =
        BodyDataStream::new(body)
            .map_err(BoxError::from)
            .map_ok(move |mut piece: Bytes| {
                piece.truncate(left);
                left -= piece.len();
                (piece, left > 0)
            });
    let pieces = pieces.flat_map(|piece| match piece {
        Ok((piece, true)) => stream::iter(vec![Ok(Frame::data(piece))]),
        Ok((piece, false)) => stream::iter(vec![
            Ok(Frame::data(piece)),
            Err("cut off by the sandbox".into()),
        ]),
        Err(error) => stream::iter(vec![Err::<_, BoxError>(error)]),
    });
    let pieces = pieces.then(|piece| async {
        if piece.is_err() {
            // The server drops what it has not sent yet when a body fails: let it send first.
            tokio::task::yield_now().await;
        }
        piece
    });
    http_body_util::BodyExt::boxed(StreamBody::new(pieces))
}

/// How much of a slow body comes at a time.
const PIECE: usize = 1024;

fn slowed(body: Body, pause: Duration) -> Body {
    let pieces = BodyDataStream::new(body)
        .map_err(BoxError::from)
        .flat_map(|piece| {
            stream::iter(match piece {
                Ok(piece) => (0..piece.len())
                    .step_by(PIECE)
                    .map(|start| Ok(piece.slice(start..piece.len().min(start + PIECE))))
                    .collect(),
                Err(error) => vec![Err(error)],
            })
        });
    let pieces = pieces.then(move |piece| async move {
        tokio::time::sleep(pause).await;
        piece.map(Frame::data)
    });
    http_body_util::BodyExt::boxed(StreamBody::new(pieces))
}
