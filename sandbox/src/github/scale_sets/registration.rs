//! `POST actions/runner-registration`: changes a registration token for a connection to the Actions service.
//!
//! Pure: no I/O.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::call::{Answer, Call};
use super::super::owner::Owner;
use super::super::refusal::Refusal;
use super::super::state::State;
use super::super::token::random;
use super::server::SERVICES;
use crate::github_com;

/// Answers it.
pub(in crate::github) fn register(state: &mut State, call: &Call<'_>) -> Result<Answer, Refusal> {
    let rules = state.scale_sets.rules;
    if !rules.has_scale_sets || rules.started.elapsed() < state.scale_sets.faults.late {
        return Err(Refusal::NotFound);
    }
    let header = call.headers.get("authorization");
    let header = header.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let (scheme, token) = header.split_once(' ').ok_or(Refusal::NoCredentials)?;
    if !scheme.eq_ignore_ascii_case("remoteauth") {
        return Err(Refusal::NoCredentials);
    }
    let owner = state
        .registration_owner(token.trim())
        .ok_or(Refusal::BadCredentials)?;
    let body = call.json()?;
    let event = body["runner_event"].as_str().unwrap_or_default();
    if !["register", "remove"].contains(&event) {
        return Err(Refusal::Unprocessable("Invalid runner_event".to_owned()));
    }
    // A token of one owner is nothing at the address of another.
    let url = body["url"].as_str().unwrap_or_default();
    if owner_at(url).as_ref() != Some(&owner) {
        return Err(Refusal::NotFound);
    }
    let expires = super::after(super::HOUR).as_second();
    let token =
        jwt(&json!({ "nameid": "service", "scp": "Actions.ManageRunners", "exp": expires }));
    let _expires_at = state.connect(token.clone(), owner.clone());
    // The service of github.com is at a host of its own.
    let root = call.base.trim_end_matches("/api/v3");
    let root = root.replace(github_com::API, github_com::SERVICE);
    let url = format!("{root}{SERVICES}{}/", tenant(&owner));
    Ok(Answer::ok(json!({ "url": url, "token": token })))
}

/// Who is at the address that runners are configured with.
pub(super) fn owner_at(url: &str) -> Option<Owner> {
    let url: http::Uri = url.parse().ok()?;
    let path = url.path().trim_matches('/');
    match *path.split('/').collect::<Vec<_>>() {
        ["enterprises", slug] => Some(Owner::enterprise(slug)),
        [login] if !login.is_empty() => Some(Owner::organization(login)),
        [login, name] => Some(Owner::repository(login, name)),
        _ => None,
    }
}

/// The part of the service's address that is an owner's.
pub(super) fn tenant(owner: &Owner) -> String {
    let text = owner.to_string();
    let letters = text.chars().map(|it| {
        let known = it.is_ascii_alphanumeric();
        if known { it } else { '-' }
    });
    letters.collect()
}

/// A JSON Web Token whose signature nobody can check: only the service reads it.
pub(super) fn jwt(claims: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "typ": "JWT", "alg": "RS256" });
    format!("{}.{}.{}", part(&header), part(claims), random(43))
}
