//! Routes that GitHub does not have and a stand-in needs: for runners, which use another protocol in reality, and for the
//! administrator who creates and revokes tokens. All below `/_sandbox`, without credentials: loopback only.
//!
//! Pure: no I/O.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Answer;
use super::refusal::Refusal;
use super::scale_sets;
use super::state::{NewRunner, State};
use super::token::Token;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    token: String,
    name: String,
    #[serde(default)]
    labels: Vec<String>,
    group: Option<String>,
    #[serde(default)]
    ephemeral: bool,
    version: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    status: String,
    busy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    repository: String,
    file: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    login: String,
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    token: String,
}

/// Answers a request below `/_sandbox`.
pub(super) fn answer(state: &mut State, method: &Method, path: &str, body: &[u8]) -> Answer {
    routed(state, method, path, body).unwrap_or_else(Answer::from)
}

fn routed(state: &mut State, method: &Method, path: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method, segments.as_slice()) {
        (&Method::GET, ["state"]) => Ok(Answer::ok(snapshot(state))),
        (_, ["jobs"]) => scale_sets::jobs(state, method, body),
        (&Method::POST, ["runners"]) => {
            let Register {
                token,
                name,
                labels,
                group,
                ephemeral,
                version,
            } = parsed(body)?;
            let owner = state
                .registration_owner(&token)
                .ok_or(Refusal::BadCredentials)?;
            let new = NewRunner {
                name,
                labels,
                group,
                ephemeral,
                version,
            };
            let id = state.register(&owner, new).map_err(|group| {
                Refusal::Unprocessable(format!(
                    "Could not find any self-hosted runner group named \"{group}\"."
                ))
            })?;
            Ok(Answer::created(json!({"id": id})))
        }
        (&Method::DELETE, ["runners", id]) => {
            let removed = number(id).and_then(|id| state.runners.remove(&id));
            removed
                .map(|_| Answer::no_content())
                .ok_or(Refusal::NotFound)
        }
        (&Method::POST, ["runners", id, "status"]) => {
            let Status { status, busy } = parsed(body)?;
            let runner = number(id).and_then(|id| state.runners.get_mut(&id));
            let runner = runner.ok_or(Refusal::NotFound)?;
            runner.online = status == "online";
            runner.busy = busy;
            Ok(Answer::no_content())
        }
        (&Method::PUT, ["workflows"]) => {
            let Commit {
                repository,
                file,
                text,
            } = parsed(body)?;
            let committed = state.commit(&repository, &file, &text);
            committed
                .map(|()| Answer::no_content())
                .map_err(|error| Refusal::Unprocessable(format!("{error:#}")))
        }
        (&Method::POST, ["tokens"]) => {
            let NewToken { login, scopes } = parsed(body)?;
            let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
            let token = Token::classic(&login, &scopes);
            let answer = Answer::created(json!({"token": token.value}));
            state.tokens.push(token);
            Ok(answer)
        }
        (&Method::DELETE, ["tokens"]) => {
            let Revoke { token } = parsed(body)?;
            let before = state.tokens.len();
            state.tokens.retain(|known| known.value != token);
            let revoked = state.tokens.len() < before;
            if revoked {
                Ok(Answer::no_content())
            } else {
                Err(Refusal::NotFound)
            }
        }
        _ => Err(Refusal::NotFound),
    }
}

/// What a person or a test wants to see; no token's value is in it.
fn snapshot(state: &State) -> Value {
    let tokens: Vec<_> = state
        .tokens
        .iter()
        .map(|token| json!({"login": token.login, "scopes": token.scopes()}))
        .collect();
    let runs: Vec<_> = state
        .runs
        .values()
        .map(|run| {
            json!({"id": run.id, "repository": run.repository, "title": run.title,
                   "status": run.status(), "conclusion": run.conclusion()})
        })
        .collect();
    json!({
        "simulated": true,
        "requests": state.requests,
        "owners": state.owners.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tokens": tokens,
        "runners": state.runners.values().collect::<Vec<_>>(),
        "groups": state.groups,
        "runs": runs,
        "jobs": state.job_counts(),
        "scale_sets": state.shown_scale_sets(),
        "rate_limit": state.rate_limit,
        "violations": state.violations,
    })
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Unprocessable(error.to_string()))
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}
