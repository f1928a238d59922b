//! The checks of aws-iam-authenticator on a token before it calls STS. Pure: no I/O.
//!
//! It checks the format only: STS verifies the signature, and moto does not.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::percent_decode_str;

/// What a token of EKS begins with.
const PREFIX: &str = "k8s-aws-v1.";

/// The longest token it reads.
const LONGEST: usize = 4096;

/// How long after its date a token is good, whatever its expiry says.
const VALID: SignedDuration = SignedDuration::from_mins(15);

/// The header that names the cluster, and must be signed.
pub const CLUSTER_HEADER: &str = "x-k8s-aws-id";

/// The parameters that may be there, each once.
const KNOWN: [&str; 10] = [
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-user-agent",
];

/// A token that has the right form.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The request's query, as it was signed.
    pub query: String,
    /// The access key of whoever signed it.
    pub access_key: String,
}

/// Checks `token` for the region it must be presigned for, at `now`.
pub fn check(token: &str, region: &str, now: Timestamp) -> Result<Request, String> {
    if token.len() > LONGEST {
        return Err("token is too large".into());
    }
    let encoded = token
        .strip_prefix(PREFIX)
        .ok_or_else(|| format!("token is missing expected {PREFIX:?} prefix"))?;
    let url = URL_SAFE_NO_PAD.decode(encoded).map_err(|e| e.to_string())?;
    let url = String::from_utf8(url).map_err(|e| e.to_string())?;
    let rest = url
        .strip_prefix("https://")
        .ok_or("unexpected scheme in pre-signed URL")?;
    let (place, query) = rest.split_once('?').ok_or("pre-signed URL has no query")?;
    let (host, path) = place.find('/').map_or((place, ""), |at| place.split_at(at));
    if host != host_of(region) {
        return Err(format!("unexpected hostname {host:?} in pre-signed URL"));
    }
    if path != "/" {
        return Err("unexpected path in pre-signed URL".into());
    }
    let parameters = parameters(query)?;
    let value = |name: &str| {
        let found = parameters.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    if value("action") != "GetCallerIdentity" {
        return Err("unexpected action parameter in pre-signed URL".into());
    }
    if !value("x-amz-signedheaders")
        .split(';')
        .any(|it| it.eq_ignore_ascii_case(CLUSTER_HEADER))
    {
        return Err(format!(
            "client did not sign the {CLUSTER_HEADER} header in the pre-signed URL"
        ));
    }
    in_time(value("x-amz-date"), value("x-amz-expires"), now)?;
    let access_key = value("x-amz-credential").split('/').next();
    let access_key = access_key.filter(|it| !it.is_empty());
    let access_key = access_key.ok_or("X-Amz-Credential parameter is empty")?;
    if value("x-amz-signature").is_empty() {
        return Err("X-Amz-Signature parameter must be present in pre-signed URL".into());
    }
    Ok(Request {
        query: query.to_owned(),
        access_key: access_key.to_owned(),
    })
}

fn host_of(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("sts.{region}.amazonaws.com{suffix}")
}

fn in_time(date: &str, expires: &str, now: Timestamp) -> Result<(), String> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .and_then(|it| TimeZone::UTC.to_timestamp(it))
        .map_err(|_| format!("error parsing X-Amz-Date parameter {date:?}"))?;
    match expires.parse::<u32>() {
        Ok(0..=900) => {}
        _ => {
            return Err(format!(
                "invalid X-Amz-Expires parameter in pre-signed URL: {expires}"
            ));
        }
    }
    if date + VALID < now {
        return Err("X-Amz-Date parameter is expired (15m0s)".into());
    }
    // STS refuses what is signed in the future.
    if date > now + SignedDuration::from_mins(5) {
        return Err("X-Amz-Date parameter is in the future".into());
    }
    Ok(())
}

/// Names in lower case, values decoded; each known, and there once.
fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = name.to_ascii_lowercase();
        if !KNOWN.contains(&name.as_str()) {
            return Err(format!(
                "non-whitelisted query parameter {name:?} in pre-signed URL"
            ));
        }
        if found.iter().any(|(known, _)| *known == name) {
            return Err(format!("query parameter with multiple values {name:?}"));
        }
        found.push((name, decoded(value).ok_or("malformed query parameter")?));
    }
    Ok(found)
}

/// As Go decodes: a broken escape is an error.
fn decoded(text: &str) -> Option<String> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "https://sts.ap-northeast-2.amazonaws.com/?Action=GetCallerIdentity\
        &Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=KEY%2F20260101%2Fap-northeast-2%2Fsts%2Faws4_request\
        &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60\
        &X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=00";

    fn token(url: &str) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url))
    }

    fn at(minutes: i64) -> Timestamp {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        start + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn what_the_authenticator_refuses_is_refused() {
        for (from, to, said) in [
            ("https://", "http://", "scheme"),
            ("sts.ap-northeast-2", "sts.eu-west-1", "hostname"),
            (
                "sts.ap-northeast-2.amazonaws.com",
                "127.0.0.1:1",
                "hostname",
            ),
            (".com/?", ".com/x?", "path"),
            ("GetCallerIdentity", "AssumeRole", "action"),
            ("&Version", "&Marker=1&Version", "non-whitelisted"),
            ("%3Bx-k8s-aws-id", "", "did not sign"),
            ("Expires=60", "Expires=901", "X-Amz-Expires"),
            ("&X-Amz-Expires=60", "", "X-Amz-Expires"),
            ("20260101T000000Z", "yesterday", "X-Amz-Date"),
            ("KEY%2F", "%2F", "X-Amz-Credential"),
            ("Signature=00", "Signature=", "X-Amz-Signature"),
            ("Signature=00", "Signature=%zz", "malformed"),
            ("Signature=00", "Signature=%+f", "malformed"),
            ("Signature=00", "Signature=%ff", "malformed"),
            ("Signature=00", "Signature=%4", "malformed"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let refused = check(&token(&GOOD.replace(from, to)), "ap-northeast-2", at(1));
            assert!(
                refused.as_ref().is_err_and(|it| it.contains(said)),
                "{from} -> {to}: {refused:?}"
            );
        }
        let padded = format!("{}=", token(GOOD));
        assert!(check(&padded, "ap-northeast-2", at(1)).is_err());
        assert!(check(&GOOD.repeat(20), "ap-northeast-2", at(1)).is_err());
    }

    #[test]
    fn a_token_is_good_for_a_quarter_of_an_hour() {
        assert!(check(&token(GOOD), "ap-northeast-2", at(14)).is_ok());
        let late = check(&token(GOOD), "ap-northeast-2", at(16));
        assert!(late.unwrap_err().contains("expired"));
        let early = check(&token(GOOD), "ap-northeast-2", at(-6));
        assert!(early.unwrap_err().contains("future"));
    }

    #[test]
    fn who_signed_it_is_told() {
        let request = check(&token(GOOD), "ap-northeast-2", at(1)).unwrap();
        assert_eq!(request.access_key, "KEY");
    }
}
