//! GitHub Apps: the JWT that authenticates an App, and its installation tokens.
//!
//! Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls::pki_types::SignatureVerificationAlgorithm;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::owner::Owner;
use super::refusal::Refusal;
use super::state::State;
use super::token::{App, HOUR, Token, TokenKind, random};

const NOT_DECODED: Refusal = Refusal::BadJwt("A JSON web token could not be decoded");

/// The App whose JWT a call carries.
pub(super) fn authenticate(state: &State, call: &Call<'_>) -> Result<App, Refusal> {
    let jwt = call
        .token()
        .ok_or(Refusal::BadJwt("A JSON web token could not be decoded"))?;
    let (signed, signature) = jwt.rsplit_once('.').ok_or(NOT_DECODED)?;
    let (header, claims) = signed.split_once('.').ok_or(NOT_DECODED)?;
    if decoded(header)?["alg"] != "RS256" {
        return Err(NOT_DECODED);
    }
    let claims = decoded(claims)?;
    let issuer = match &claims["iss"] {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let app = state
        .apps
        .iter()
        .find(|app| Some(app.id) == issuer)
        .ok_or(Refusal::NotFound)?;
    if let Some(key) = &app.public_key
        && !is_signed(key, signed.as_bytes(), signature)
    {
        return Err(NOT_DECODED);
    }
    check_times(&claims, Timestamp::now().as_second())?;
    Ok(app.clone())
}

/// `POST /app/installations/{id}/access_tokens`: all that the installation may do and reach, or the part of it that is asked
/// for. More than that is refused (docs.github.com: "Create an installation access token for an app").
pub(super) fn access_token(
    state: &mut State,
    app: &App,
    id: &str,
    body: &Value,
) -> Result<Answer, Refusal> {
    let installations = app.installations.iter();
    let found = installations.clone().find(|one| one.id.to_string() == id);
    let installation = found.ok_or(Refusal::NotFound)?;
    let permissions = granted(&installation.permissions, &body["permissions"])?;
    let owners = reached(&installation.owners, &body["repositories"])?;
    let selection = if body["repositories"].is_null() {
        "all"
    } else {
        "selected"
    };
    let token = Token::installation(&app.slug, &[]).administering(owners);
    let token = Token {
        kind: TokenKind::Installation(permissions.clone()),
        ..token
    };
    let mut token = token.expiring_in(HOUR);
    if state.stateless_tokens {
        token.value = stateless(app.id);
    }
    let body = json!({
        "token": token.value,
        "expires_at": token.expires_at.map(|end| end.to_string()),
        "permissions": permissions,
        "repository_selection": selection,
    });
    state.tokens.push(token);
    Ok(Answer::created(body))
}

/// A token of about 500 characters, as github.com makes them since 2026: `ghs_`, the App's id and a JWT (github.blog, changelog of
/// 2026-05-15). A GitHub Enterprise Server makes short ones.
fn stateless(app: u64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"typ": "JWT", "alg": "RS256"}));
    let claims = part(json!({"iss": app.to_string(), "jti": random(80)}));
    // A signature in base64url has both of its marks.
    format!(
        "ghs_{app}_{header}.{claims}.{}-{}_",
        random(100),
        random(240)
    )
}

/// The permissions of a token: those that are asked for, if the installation has them at that level.
fn granted(
    has: &BTreeMap<String, String>,
    asked: &Value,
) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(asked) = asked.as_object() else {
        return Ok(has.clone());
    };
    let level = |(name, level): (&String, &Value)| {
        let level = level.as_str().unwrap_or_default();
        let enough = match has.get(name).map(String::as_str) {
            Some("write") => true,
            Some(other) => other == level,
            None => false,
        };
        enough
            .then(|| (name.clone(), level.to_owned()))
            .ok_or_else(|| {
                Refusal::Unprocessable(
                    "The permissions requested are not granted to this installation.".to_owned(),
                )
            })
    };
    asked.iter().map(level).collect()
}

/// What a token reaches: of the repositories those that are asked for.
fn reached(has: &BTreeSet<Owner>, asked: &Value) -> Result<BTreeSet<Owner>, Refusal> {
    let Some(asked) = asked.as_array() else {
        return Ok(has.clone());
    };
    let named = |owner: &&Owner, wanted: &str| matches!(owner, Owner::Repository(_, name) if name.eq_ignore_ascii_case(wanted));
    let repository = |wanted: &Value| {
        let wanted = wanted.as_str().unwrap_or_default();
        has.iter()
            .find(|owner| named(owner, wanted))
            .cloned()
            .ok_or_else(|| {
                Refusal::Unprocessable(
                "There is at least one repository that does not exist or is not accessible to the \
                 parent installation."
                    .to_owned(),
            )
            })
    };
    asked.iter().map(repository).collect()
}

fn decoded(part: &str) -> Result<Value, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| NOT_DECODED)?;
    serde_json::from_slice(&bytes).map_err(|_| NOT_DECODED)
}

/// An App's JWT may live for ten minutes; a clock may be a minute off.
fn check_times(claims: &Value, now: i64) -> Result<(), Refusal> {
    let issued = claims["iat"].as_i64();
    let ends = claims["exp"].as_i64();
    match (issued, ends) {
        (Some(issued), _) if issued > now + 60 => Err(Refusal::BadJwt(
            "'Issued at' claim ('iat') must be an Integer representing the time that the \
             assertion was issued",
        )),
        (Some(_), Some(ends)) if ends <= now => Err(Refusal::BadJwt(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time \
             at which the assertion expires",
        )),
        (Some(_), Some(ends)) if ends > now + 660 => Err(Refusal::BadJwt(
            "'Expiration time' claim ('exp') is too far in the future",
        )),
        (Some(_), Some(_)) => Ok(()),
        _ => Err(NOT_DECODED),
    }
}

/// Whether a signature (RS256, base64url) is that of an RSA key (PKCS #1, DER).
pub(super) fn is_signed(key: &[u8], message: &[u8], signature: &str) -> bool {
    let signature = URL_SAFE_NO_PAD.decode(signature).ok();
    let valid = |signature: Vec<u8>| {
        rsa_sha256()?
            .verify_signature(key, message, &signature)
            .ok()
    };
    signature.and_then(valid).is_some()
}

fn rsa_sha256() -> Option<&'static dyn SignatureVerificationAlgorithm> {
    let provider = rustls::crypto::ring::default_provider();
    let scheme = rustls::SignatureScheme::RSA_PKCS1_SHA256;
    let mut mapping = provider.signature_verification_algorithms.mapping.iter();
    let algorithms = mapping.find(|(known, _)| *known == scheme)?.1;
    algorithms.first().copied()
}
