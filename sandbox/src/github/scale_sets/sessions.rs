//! Sessions: one listener of each scale set, which polls for messages.
//!
//! Pure: no I/O.

use std::time::Instant;

use http::Method;
use serde_json::{Value, json};

use super::super::call::{Answer, Call};
use super::super::state::State;
use super::super::token::{HOUR, after, random};
use super::refusal::Refused;
use super::registration::{jwt, tenant};
use super::routes::{body, described};
use super::server::SERVICES;
use super::{ScaleSet, Session};

/// Answers `…/ID/sessions…`; `rest` is what follows.
pub(super) fn answer(
    state: &mut State,
    call: &Call<'_>,
    set: u64,
    rest: &[&str],
) -> Result<Answer, Refused> {
    match (call.method, rest) {
        (&Method::POST, [] | [""]) => open(state, call, set),
        (&Method::PATCH, [id]) => {
            with_session(state, set, id)?;
            let token = message_token();
            let known = state.scale_sets.sets.get_mut(&set);
            if let Some(session) = known.and_then(|set| set.session.as_mut()) {
                session.token = token;
            }
            Ok(Answer::ok(shown(state, call, set)))
        }
        (&Method::DELETE, [id]) => {
            with_session(state, set, id)?.close();
            Ok(Answer::no_content())
        }
        _ => Err(Refused::no_session()),
    }
}

impl ScaleSet {
    pub(super) fn close(&mut self) {
        (self.session, self.listener) = (None, None);
    }
}

fn with_session<'a>(state: &'a mut State, set: u64, id: &str) -> Result<&'a mut ScaleSet, Refused> {
    let set = state.scale_sets.sets.get_mut(&set);
    set.filter(|it| it.session.as_ref().is_some_and(|it| it.id == id))
        .ok_or_else(Refused::no_session)
}

fn open(state: &mut State, call: &Call<'_>, id: u64) -> Result<Answer, Refused> {
    let body = body(call)?;
    let owner = body["ownerName"].as_str().unwrap_or_default();
    if owner.is_empty() {
        return Err(Refused::invalid("OwnerName cannot be empty."));
    }
    let told = &mut state.scale_sets.faults.session_conflicts;
    let refused = *told > 0;
    *told = told.saturating_sub(1);
    let Some(set) = state.scale_sets.sets.get_mut(&id) else {
        return Err(Refused::no_scale_set(&id.to_string()));
    };
    if refused || set.session.is_some() {
        let message = format!(
            "The actions runner set {} already has an active session for owner {}.",
            set.name,
            set.listener.as_deref().unwrap_or("somebody-else")
        );
        return Err(Refused::conflict(
            "RunnerScaleSetSessionConflictException",
            message,
        ));
    }
    set.listener = Some(owner.to_owned());
    set.session = Some(Session {
        id: random(32).to_lowercase(),
        token: message_token(),
        polled: Instant::now(),
        capacity: None,
    });
    // What the listener before was offered, and did not acquire, is offered again.
    state.offer_again(id);
    Ok(Answer::ok(shown(state, call, id)))
}

fn message_token() -> String {
    jwt(&json!({ "scp": "Messages", "exp": after(HOUR).as_second() }))
}

fn shown(state: &State, call: &Call<'_>, id: u64) -> Value {
    let set = described(state, id);
    let Some(known) = state.scale_sets.sets.get(&id) else {
        return set;
    };
    let session = known.session.as_ref();
    let (session, token) = session.map_or(("", ""), |it| (&it.id, &it.token));
    let queue = format!(
        "{}{SERVICES}{}/message/{id}/{session}",
        call.base,
        tenant(&known.owner)
    );
    json!({
        "sessionId": session,
        "ownerName": known.listener,
        "messageQueueUrl": queue,
        "messageQueueAccessToken": token,
        "statistics": set["statistics"],
        "runnerScaleSet": set,
    })
}

/// Whether a call is a poll for messages.
pub(super) fn is_poll(call: &Call<'_>) -> bool {
    *call.method == Method::GET
        && call.segments.len() == 4
        && call.segments.get(1).is_some_and(|it| it == "message")
}

/// The next message; `None` while there is none.
pub(super) fn poll(state: &mut State, call: &Call<'_>) -> Result<Option<Answer>, Refused> {
    let number = |text: &str| text.parse::<u64>().ok();
    let accept = call.headers.get("accept").and_then(|it| it.to_str().ok());
    if !accept
        .unwrap_or_default()
        .contains("api-version=6.0-preview")
    {
        return Err(Refused::invalid("No api-version was supplied."));
    }
    let (set, session) = (&call.segments[2], &call.segments[3]);
    let id = number(set).ok_or_else(Refused::no_session)?;
    let capacity = call.headers.get("x-scalesetmaxcapacity");
    let capacity = capacity.and_then(|it| it.to_str().ok()).and_then(number);
    authorized(state, call, id, session)?;
    if let Some(session) = with_session(state, id, session)?.session.as_mut() {
        (session.polled, session.capacity) = (Instant::now(), capacity);
    }
    state.advance();
    let last = call.query.get("lastMessageId").and_then(|it| number(it));
    let set = with_session(state, id, session)?;
    if !set.pending.is_empty() {
        set.last_message += 1;
        let events = std::mem::take(&mut set.pending);
        set.messages.push((set.last_message, events));
    }
    let next = set.messages.iter().find(|it| it.0 > last.unwrap_or(0));
    let Some((number, events)) = next.cloned() else {
        return Ok(None);
    };
    Ok(Some(Answer::ok(json!({
        "messageId": number,
        "messageType": "RunnerScaleSetJobMessages",
        "body": Value::from(events).to_string(),
        "statistics": state.statistics(id),
    }))))
}

/// A message that has been acknowledged does not come again.
pub(super) fn acknowledge(
    state: &mut State,
    call: &Call<'_>,
    set: &str,
    session: &str,
    message: &str,
) -> Result<Answer, Refused> {
    let id: u64 = set.parse().map_err(|_| Refused::no_session())?;
    authorized(state, call, id, session)?;
    let set = with_session(state, id, session)?;
    set.messages.retain(|it| it.0.to_string() != message);
    Ok(Answer::no_content())
}

fn authorized(state: &mut State, call: &Call<'_>, id: u64, session: &str) -> Result<(), Refused> {
    let set = with_session(state, id, session)?;
    let token = set.session.as_ref().map(|it| it.token.as_str());
    if token.is_some() && call.token() == token {
        Ok(())
    } else {
        Err(Refused::unauthorized())
    }
}
