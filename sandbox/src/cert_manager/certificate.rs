//! The certificates that the stand-in for cert-manager issues.
//!
//! Pure: no I/O besides the random numbers of the keys.

use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::certificates::Leaf;

/// How long a certificate is valid unless its Certificate says otherwise.
pub(super) const VALIDITY: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A self-signed certificate with the request that it answers.
pub(super) struct Issued {
    pub(super) leaf: Leaf,
    pub(super) request: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Makes a self-signed certificate for DNS names.
pub(super) fn self_signed(
    names: &[String],
    common_name: &str,
    now: Timestamp,
    validity: SignedDuration,
) -> Result<Issued> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = distinguished(common_name);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    let key = KeyPair::generate()?;
    let request = params.serialize_request(&key)?.pem()?;
    let not_before = Timestamp::from_second(now.as_second())?;
    let not_after = not_before + validity;
    set_life(&mut params, not_before, not_after);
    let certificate = params.self_signed(&key)?.pem();
    let leaf = Leaf {
        certificate,
        key: key.serialize_pem(),
    };
    Ok(Issued {
        leaf,
        request,
        not_before,
        not_after,
    })
}

/// Makes the authority that the webhook's own certificates come from.
pub(super) fn authority(common_name: &str, now: Timestamp) -> Result<Leaf> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    set_life(&mut params, now, now + SignedDuration::from_hours(365 * 24));
    let key = KeyPair::generate()?;
    Ok(Leaf {
        certificate: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
    })
}

/// Issues a server certificate of an authority.
pub(super) fn issued_by(authority: &Leaf, names: &[String], now: Timestamp) -> Result<Leaf> {
    let key = KeyPair::from_pem(&authority.key)?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, key)?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    set_life(&mut params, now, now + SignedDuration::from_hours(7 * 24));
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Leaf {
        certificate,
        key: key.serialize_pem(),
    })
}

/// What is wrong with the `request` of a `CertificateRequest`, as cert-manager's webhook words it.
pub(super) fn refusal(request: &str) -> Option<String> {
    let bytes = STANDARD.decode(request).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let problem = if !text.contains("-----BEGIN CERTIFICATE REQUEST-----") {
        "error decoding certificate request PEM block"
    } else if CertificateSigningRequestParams::from_pem(&text).is_err() {
        "asn1: structure error"
    } else {
        return None;
    };
    let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:x}")).collect();
    let shown = shown.join(", ");
    Some(format!(
        "spec.request: Invalid value: []byte{{{shown}}}: failed to decode csr: {problem}"
    ))
}

fn distinguished(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !common_name.is_empty() {
        name.push(DnType::CommonName, common_name);
    }
    name
}

/// Sets the life of a certificate. The type of its ends is of a crate that nothing else here needs.
fn set_life(params: &mut CertificateParams, from: Timestamp, to: Timestamp) {
    let since_1970 = |time: Timestamp| Duration::from_secs(time.as_second().unsigned_abs());
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_1970(from);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T20:48:08Z".parse().unwrap()
    }

    #[test]
    fn a_bad_request_is_refused_in_the_recorded_words() {
        let expected = "spec.request: Invalid value: []byte{0x6e, 0x6f, 0x74, 0x20, 0x61, 0x20, 0x63, 0x73, 0x72}: \
                        failed to decode csr: error decoding certificate request PEM block";
        assert_eq!(refusal(&STANDARD.encode("not a csr")).unwrap(), expected);
    }

    #[test]
    fn a_certificate_has_a_valid_request_and_the_recorded_life() {
        let names = ["a.b.svc".to_owned()];
        let issued = self_signed(&names, "", now(), VALIDITY).unwrap();
        assert_eq!(refusal(&STANDARD.encode(&issued.request)), None);
        assert_eq!(issued.not_after.to_string(), "2027-02-21T20:48:08Z");
        issued.leaf.server_config().unwrap();
    }

    #[test]
    fn an_authority_issues_for_the_webhook() {
        let authority = authority("cert-manager-webhook-ca", now()).unwrap();
        let leaf = issued_by(&authority, &["w.n.svc".to_owned()], now()).unwrap();
        leaf.server_config().unwrap();
        assert_ne!(leaf.certificate, authority.certificate);
    }
}
