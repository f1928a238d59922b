//! The bearer token of an EKS cluster: a presigned STS `GetCallerIdentity` request.
//!
//! It is presigned for the real regional host even if `AWS_ENDPOINT_URL` is set: EKS accepts no other host.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sdk_sts::error::BoxError;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{secret::Secret, units::Partition};

/// The prefix of an EKS token.
const PREFIX: &str = "k8s-aws-v1.";

/// The expiry of the presigned request. The token itself is valid for [`VALID`].
const EXPIRES: Duration = Duration::from_mins(1);

/// How long EKS accepts the token: 15 minutes, minus one for clock skew.
pub(super) const VALID: Duration = Duration::from_mins(14);

/// What is percent-encoded in a signature's canonical request.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The token of `cluster` for `credentials`, created at `now`.
pub(super) fn token(
    cluster: &str,
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<Secret, BoxError> {
    let url = presigned(cluster, region, credentials, now)?;
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url));
    Ok(Secret::trimmed(&text).0)
}

fn presigned(
    cluster: &str,
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<String, BoxError> {
    let suffix = Partition::of(region).suffix;
    let mut url =
        format!("https://sts.{region}.{suffix}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let headers = std::iter::once(("x-k8s-aws-id", cluster));
    let request = SignableRequest::new("GET", url.clone(), headers, SignableBody::empty())?;
    let (instructions, _signature) = sign(request, &parameters)?.into_parts();
    for (name, value) in instructions.params() {
        // Writing to a String cannot fail.
        let _written = write!(url, "&{name}={}", utf8_percent_encode(value, ENCODED));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(region: &str, session: Option<&str>) -> String {
        let credentials = Credentials::new("KEY", "secret", session.map(Into::into), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(490_896);
        let token = token("runners", region, &credentials, now).unwrap();
        let encoded = token.expose().strip_prefix(PREFIX).unwrap().to_owned();
        String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn it_is_for_the_real_host_of_the_region() {
        for (region, host) in [
            ("ap-northeast-2", "sts.ap-northeast-2.amazonaws.com"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
        ] {
            let start = format!("https://{host}/?Action=GetCallerIdentity&");
            assert!(url(region, None).starts_with(&start), "{region}");
        }
    }

    #[test]
    fn the_cluster_is_signed_and_the_session_is_there() {
        let url = url("ap-northeast-2", Some("a+b/c="));
        for part in [
            "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id",
            "X-Amz-Expires=60",
            "X-Amz-Date=20260101T000000Z",
            "X-Amz-Credential=KEY%2F20260101%2Fap-northeast-2%2Fsts%2Faws4_request",
            "X-Amz-Security-Token=a%2Bb%2Fc%3D",
        ] {
            assert!(url.contains(part), "no {part} in {url}");
        }
        assert!(!url.contains("runners"));
    }
}
