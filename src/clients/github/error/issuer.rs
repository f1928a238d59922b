//! Reads the issuer of a certificate: the part of X.509 (RFC 5280, 4.1) that error messages need. Pure: no I/O.
//!
//! The certificate is not trusted here, and the result is used only in messages.

/// The object identifiers of name attributes, DER-encoded.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The issuer of a certificate (DER): its common name, or its organization.
pub(super) fn issuer(certificate: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if let (VERSION, _, rest) = element(fields)? {
        fields = rest;
    }
    let (_, _serial, fields) = element(fields)?;
    let (_, _algorithm, fields) = element(fields)?;
    let (SEQUENCE, name, _) = element(fields)? else {
        return None;
    };
    part(name, COMMON_NAME).or_else(|| part(name, ORGANIZATION))
}

/// An attribute of a name: a SEQUENCE of SETs of SEQUENCEs of an identifier and a text.
fn part(mut name: &[u8], wanted: &[u8]) -> Option<String> {
    while !name.is_empty() {
        let (_, set, rest) = element(name)?;
        let (_, pair, _) = element(set)?;
        let (tag, identifier, value) = element(pair)?;
        if tag == OBJECT_IDENTIFIER && identifier == wanted {
            let (_, text, _) = element(value)?;
            let text = std::str::from_utf8(text).ok()?;
            return Some(text.chars().filter(|it| !it.is_control()).collect());
        }
        name = rest;
    }
    None
}

/// The first element of a DER value: its tag, its content, and the rest.
fn element(text: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = text.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 4 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        let length = bytes
            .iter()
            .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        (length, rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    fn certificate() -> Vec<u8> {
        let authority = arcctl_sandbox::certificates::Authority::new("Doge Root").unwrap();
        let leaf = authority.server(&["ghe.example"]).unwrap();
        CertificateDer::from_pem_slice(leaf.certificate.as_bytes())
            .unwrap()
            .to_vec()
    }

    #[test]
    fn what_is_cut_off_anywhere_has_no_issuer_and_does_no_harm() {
        let certificate = certificate();
        for length in 0..certificate.len() {
            assert_eq!(issuer(&certificate[..length]), None, "{length}");
        }
        assert_eq!(issuer(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn the_issuer_is_the_authority_and_not_the_server() {
        assert_eq!(issuer(&certificate()).as_deref(), Some("Doge Root"));
    }
}
