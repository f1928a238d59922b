//! GitHub Apps: the JWT an App proves itself with, and the installation tokens it gets for it.
//!
//! Pure: no I/O.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls::pki_types::SignatureVerificationAlgorithm;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::refusal::Refusal;
use super::state::State;
use super::token::{App, HOUR, Token, TokenKind};

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

/// `POST /app/installations/{id}/access_tokens`.
pub(super) fn access_token(state: &mut State, app: &App, id: &str) -> Result<Answer, Refusal> {
    let installations = app.installations.iter();
    let found = installations.clone().find(|one| one.id.to_string() == id);
    let installation = found.ok_or(Refusal::NotFound)?;
    let token = Token::installation(&app.slug, &[]).administering(installation.owners.clone());
    let permissions = installation.permissions.clone();
    let token = Token {
        kind: TokenKind::Installation(permissions.clone()),
        ..token
    };
    let token = token.expiring_in(HOUR);
    let body = json!({
        "token": token.value,
        "expires_at": token.expires_at.map(|end| end.to_string()),
        "permissions": permissions,
        "repository_selection": "all",
    });
    state.tokens.push(token);
    Ok(Answer::created(body))
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
