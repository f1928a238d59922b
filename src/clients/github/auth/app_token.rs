//! The assertion (JWT, RS256) with which arcctl requests an installation token of a GitHub App.
//!
//! Source: GitHub's documentation "Generating a JSON Web Token (JWT) for a GitHub App": `iat` a minute in the past
//! against clock drift, `exp` at most ten minutes ahead, `iss` the App's id.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use crate::{
    clients::cause::fault_of_pem,
    error::{Error, ErrorKind, Result, System},
    secret::Secret,
};

/// The assertion of App `id` at `now`.
pub(super) fn assertion(id: &str, private_key: &Secret, now: Timestamp) -> Result<Secret> {
    let hint = if private_key.expose().contains(r"\n") {
        r"its line breaks are written as `\n`: store the PEM file that GitHub gave with its lines, as it is"
    } else {
        "github.app.privateKey must name the PEM file that GitHub gave (BEGIN RSA PRIVATE KEY)"
    };
    let unusable = |cause: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Unauthorized,
            System::Local,
            format!("the private key of GitHub App `{id}` cannot be used"),
        )
        .cause(cause)
        .hint(hint)
    };
    let key = PrivateKeyDer::from_pem_slice(private_key.expose().as_bytes())
        .map_err(|error| unusable(&fault_of_pem(&error)))?;
    let key = any_supported_type(&key).map_err(|error| unusable(&error))?;
    let signer = key
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .ok_or_else(|| unusable(&"it is not an RSA key"))?;
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!(
        "{}.{}",
        encode(serde_json::json!({"alg": "RS256", "typ": "JWT"})),
        encode(serde_json::json!({
            "iat": now.as_second() - 60,
            "exp": now.as_second() + 540,
            "iss": id,
        }))
    );
    let signature = signer
        .sign(message.as_bytes())
        .map_err(|error| unusable(&error))?;
    Ok(Secret::trimmed(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))).0)
}
