//! Routes a call to its operation, and checks its permissions.
//!
//! Pure: no I/O.

use http::Method;
use serde_json::json;

use super::access::{authenticate, not_accessible, spend};
use super::call::{Answer, Call};
use super::examples::Examples;
use super::owner::Owner;
use super::refusal::{Refusal, Told};
use super::state::State;
use super::token::{Token, TokenKind};
use super::{apps, groups, runners, scale_sets, workflows};

/// An answer with what its headers depend on.
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// The token, once it is known to be one.
    pub(super) token: Option<Token>,
    /// The scopes that a classic token could have made the call with.
    pub(super) accepted_scopes: &'static [&'static str],
    /// The permission another token could have made it with.
    pub(super) accepted_permission: Option<&'static str>,
    /// What is told whatever was asked.
    pub(super) told: Option<Told>,
}

/// Answers a call.
pub(super) fn dispatch(state: &mut State, call: &Call<'_>, examples: &Examples<'_>) -> Outcome {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let mut outcome = Outcome {
        answer: Answer::no_content(),
        token: None,
        accepted_scopes: &[],
        accepted_permission: None,
        told: None,
    };
    if let Some(refusing) = &mut state.refusing
        && refusing.refuses(call.path)
    {
        let told = refusing.told;
        outcome.told = Some(told);
        outcome.answer = Refusal::Told(told).into();
        outcome.token = call.token().and_then(|it| state.token(it)).cloned();
        return outcome;
    }
    let result = match segments.as_slice() {
        ["app", rest @ ..] => app(state, call, rest, examples),
        ["actions", "runner-registration"] if *call.method == Method::POST => {
            scale_sets::register(state, call)
        }
        // github.com tells this to anybody; a server in private mode does not.
        ["meta"] if call.token().is_none() && examples.version.is_none() => {
            Ok(Answer::ok(examples.meta()))
        }
        segments => authenticate(state, call).and_then(|token| {
            outcome.token = Some(token.clone());
            if segments != ["rate_limit"] {
                spend(state, &token)?;
            }
            if let Some((owner, _)) = owner_of(segments) {
                outcome.accepted_scopes = owner.classic_scopes();
                outcome.accepted_permission = owner.permission();
            }
            authenticated(state, call, &token, segments, examples)
        }),
    };
    outcome.answer = result.unwrap_or_else(Answer::from);
    outcome
}

fn app(
    state: &mut State,
    call: &Call<'_>,
    rest: &[&str],
    examples: &Examples<'_>,
) -> Result<Answer, Refusal> {
    let app = apps::authenticate(state, call)?;
    match (call.method, rest) {
        (&Method::GET, []) => Ok(Answer::ok(examples.app(&app))),
        (&Method::POST, ["installations", id, "access_tokens"]) => {
            apps::access_token(state, &app, id, &call.json()?)
        }
        _ => Err(Refusal::NotFound),
    }
}

fn authenticated(
    state: &mut State,
    call: &Call<'_>,
    token: &Token,
    segments: &[&str],
    examples: &Examples<'_>,
) -> Result<Answer, Refusal> {
    match (call.method, segments) {
        (&Method::GET, ["meta"]) => Ok(Answer::ok(examples.meta())),
        (&Method::GET, ["rate_limit"]) => match &state.rate_limit {
            Some(limit) => Ok(Answer::ok(Examples::rate_limit(limit))),
            None => Err(Refusal::RateLimitingOff),
        },
        (&Method::GET, ["user"]) => match &token.kind {
            TokenKind::Installation(_) => Err(not_accessible(&token.kind)),
            _ => Ok(Answer::ok(examples.user(&token.login))),
        },
        (&Method::GET, ["user", "orgs"]) => organizations(state, call, token, examples),
        _ => match owner_of(segments) {
            None => Err(Refusal::NotFound),
            Some((owner, rest)) => owned(state, call, token, &owner, rest, examples),
        },
    }
}

/// `GET /user/orgs`: a classic token needs a scope that can read organizations. Those whose single sign-on it is not authorized
/// for are left out, and a header counts them (docs.github.com: "Authenticating to the REST API").
fn organizations(
    state: &State,
    call: &Call<'_>,
    token: &Token,
    examples: &Examples<'_>,
) -> Result<Answer, Refusal> {
    const READING: [&str; 4] = ["admin:org", "read:org", "user", "write:org"];
    match &token.kind {
        TokenKind::Installation(_) => return Err(not_accessible(&token.kind)),
        TokenKind::Classic(scopes) if !READING.iter().any(|it| scopes.contains(*it)) => {
            return Err(Refusal::MissingScope);
        }
        TokenKind::Classic(_) | TokenKind::FineGrained(_) => {}
    }
    let first = call.query.get("page").is_none_or(|it| it == "1");
    let seen = state.owners.iter().filter(|it| token.administers(it));
    let logins = seen.filter_map(|it| match it {
        Owner::Organization(login) if first => Some(login),
        _ => None,
    });
    let (left_out, listed): (Vec<&String>, Vec<&String>) =
        logins.partition(|it| token.single_sign_on_missing.contains(*it));
    let bodies = listed.iter().map(|it| examples.organization(it));
    let answer = Answer::ok(bodies.collect());
    if left_out.is_empty() {
        return Ok(answer);
    }
    let ids = left_out
        .iter()
        .map(|it| examples.organization(it)["id"].to_string());
    let ids: Vec<String> = ids.collect();
    let value = format!("partial-results; organizations={}", ids.join(","));
    Ok(answer.with("x-github-sso", value))
}

fn owned(
    state: &mut State,
    call: &Call<'_>,
    token: &Token,
    owner: &Owner,
    rest: &[&str],
    examples: &Examples<'_>,
) -> Result<Answer, Refusal> {
    match rest {
        [] if *call.method == Method::GET => profile(state, token, owner, examples),
        ["actions", "runners", rest @ ..] => {
            runners::answer(state, call, token, owner, rest, examples.shipped)
        }
        ["actions", "runner-groups", rest @ ..] => {
            groups::answer(state, call, token, owner, rest, examples)
        }
        ["actions", rest @ ..] => workflows::answer(state, call, token, owner, rest, examples),
        _ => Err(Refusal::NotFound),
    }
}

/// `GET /orgs/ORG`, `GET /repos/O/R`; enterprises have no such operation.
fn profile(
    state: &State,
    token: &Token,
    owner: &Owner,
    examples: &Examples<'_>,
) -> Result<Answer, Refusal> {
    if !state.owners.contains(owner) || !token.administers(owner) {
        return Err(Refusal::NotFound);
    }
    if let Some(organization) = owner.guarding_organization()
        && token.single_sign_on_missing.contains(organization)
    {
        return Err(Refusal::SingleSignOn {
            organization: organization.to_owned(),
        });
    }
    // A private repository is not there for a token without the scope.
    let blind = match &token.kind {
        TokenKind::Classic(scopes) => !scopes.contains("repo"),
        TokenKind::FineGrained(_) | TokenKind::Installation(_) => false,
    };
    match owner {
        Owner::Enterprise(_) => Err(Refusal::NotFound),
        Owner::Repository(..) if blind => Err(Refusal::NotFound),
        Owner::Organization(login) => Ok(Answer::ok(json!(examples.organization_profile(login)))),
        Owner::Repository(login, name) => {
            Ok(Answer::ok(examples.repository(&format!("{login}/{name}"))))
        }
    }
}

fn owner_of<'a, 'b>(segments: &'b [&'a str]) -> Option<(Owner, &'b [&'a str])> {
    match segments {
        ["enterprises", slug, rest @ ..] => Some((Owner::enterprise(slug), rest)),
        ["orgs", login, rest @ ..] => Some((Owner::organization(login), rest)),
        ["repos", login, name, rest @ ..] => Some((Owner::repository(login, name), rest)),
        _ => None,
    }
}
