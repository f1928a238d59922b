//! Authentication and authorization: credentials, limits, scopes, permissions, single sign-on, roles.
//!
//! Pure: no I/O.

use jiff::Timestamp;

use super::call::Call;
use super::owner::Owner;
use super::refusal::Refusal;
use super::state::{RateLimit, State};
use super::token::{HOUR, Token, TokenKind, after};

/// The token a call is made with.
pub(super) fn authenticate(state: &State, call: &Call<'_>) -> Result<Token, Refusal> {
    if call
        .headers
        .get("user-agent")
        .is_none_or(http::HeaderValue::is_empty)
    {
        return Err(Refusal::NoUserAgent);
    }
    let value = call.token().ok_or(Refusal::NoCredentials)?;
    match state.token(value) {
        Some(token) if !token.is_expired() => Ok(token.clone()),
        _ => Err(Refusal::BadCredentials),
    }
}

/// Counts a call against the limits.
pub(super) fn spend(state: &mut State, token: &Token) -> Result<(), Refusal> {
    if let Some(wait) = state.secondary_limit {
        return Err(Refusal::SecondaryLimit {
            seconds: wait.as_secs(),
        });
    }
    let Some(limit) = &mut state.rate_limit else {
        return Ok(());
    };
    if limit.reset <= Timestamp::now().as_second() {
        *limit = RateLimit {
            remaining: limit.limit,
            reset: after(HOUR).as_second(),
            ..*limit
        };
    }
    let left = limit.remaining.checked_sub(1);
    limit.remaining = left.ok_or_else(|| Refusal::RateLimit {
        login: token.login.clone(),
    })?;
    Ok(())
}

/// Whether a token may manage the runners of an owner (`write`), or look at them.
pub(super) fn may_manage(
    state: &State,
    token: &Token,
    owner: &Owner,
    write: bool,
) -> Result<(), Refusal> {
    may(state, token, owner, owner.permission(), write)
}

/// Whether a token may do what a permission of fine-grained tokens and Apps, or the owner's classic scope, allows.
pub(super) fn may(
    state: &State,
    token: &Token,
    owner: &Owner,
    permission: Option<&str>,
    write: bool,
) -> Result<(), Refusal> {
    if !state.owners.contains(owner) {
        return Err(Refusal::NotFound);
    }
    if let Some(organization) = owner.guarding_organization()
        && token.single_sign_on_missing.contains(organization)
    {
        return Err(Refusal::SingleSignOn {
            organization: organization.to_owned(),
        });
    }
    match &token.kind {
        TokenKind::Classic(scopes) => {
            if !owner
                .classic_scopes()
                .iter()
                .any(|scope| scopes.contains(*scope))
            {
                return Err(Refusal::MissingScope);
            }
        }
        TokenKind::FineGrained(granted) | TokenKind::Installation(granted) => {
            let level = permission
                .and_then(|name| granted.get(name))
                .map(String::as_str);
            let enough = level == Some("write") || (level == Some("read") && !write);
            if !enough {
                return Err(not_accessible(&token.kind));
            }
        }
    }
    if token.administers(owner) {
        Ok(())
    } else {
        Err(Refusal::NotFound)
    }
}

/// How GitHub refuses a kind of token what it cannot do.
pub(super) fn not_accessible(kind: &TokenKind) -> Refusal {
    match kind {
        TokenKind::Classic(_) => Refusal::MissingScope,
        TokenKind::FineGrained(_) => Refusal::NotForFineGrainedTokens,
        TokenKind::Installation(_) => Refusal::NotForIntegrations,
    }
}
