//! A GitHub App, as the controllers authenticate with it.
//!
//! Pure: no I/O.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// What a Secret says of an App.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct App {
    /// Its id; empty where a token is used instead.
    pub(crate) id: String,
    /// The id of its installation.
    pub(crate) installation: String,
    /// Its private key, as PEM.
    pub(crate) key: String,
}

impl App {
    /// The JWT with which it proves itself at `now`, in seconds since 1970; `None` without a usable key.
    pub(crate) fn jwt(&self, now: i64) -> Option<String> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).ok()?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
        let signer = key.choose_scheme(&[rustls::SignatureScheme::RSA_PKCS1_SHA256])?;
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({ "iat": now - 60, "exp": now + 540, "iss": self.id });
        let content = format!("{}.{}", part(&header), part(&claims));
        let signature = signer.sign(content.as_bytes()).ok()?;
        Some(format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Where its installation gets a token, below the address of the API.
    pub(crate) fn tokens(&self, api: &str) -> String {
        format!(
            "{api}/app/installations/{}/access_tokens",
            self.installation
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_nothing_is_proven() {
        let app = App {
            id: "1".to_owned(),
            key: "none".to_owned(),
            ..App::default()
        };
        assert_eq!(app.jwt(0), None);
    }
}
