//! Finds the region of an S3 bucket: a call that was sent to another region is repeated in the right one.
//!
//! Sources: S3 user guide, "Redirects and request routing"; the SDK does not follow (aws-sdk-rust#183). The region is looked
//! up in the same order as in botocore (`S3RegionRedirectorv2`): a header, the body, `HeadBucket`.

use std::future::Future;

use aws_config::Region;
use aws_sdk_s3::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::Aws;

/// The response header with a bucket's region.
const REGION: &str = "x-amz-bucket-region";

/// A configuration with this region, or an empty one where no region is given.
pub fn in_region(region: Option<Region>) -> aws_sdk_s3::config::Builder {
    let mut change = aws_sdk_s3::config::Config::builder();
    // `None` would clear the region that is already set.
    if let Some(region) = region {
        change.set_region(Some(region));
    }
    change
}

impl Aws {
    /// Makes a call about `bucket` in its region: repeats it once where S3 returns that the bucket is in another region.
    pub async fn at_bucket<T, E, F>(
        &self,
        bucket: &str,
        call: impl Fn(Option<Region>) -> F,
    ) -> Result<T, SdkError<E, HttpResponse>>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let known = self.bucket_region(bucket);
        let first = call(known.clone().map(Region::new)).await;
        let Err(error) = &first else { return first };
        let Some(refusal) = error.raw_response() else {
            return first;
        };
        let status = refusal.status().as_u16();
        let told = match status {
            301 | 302 | 307 | 400 => named(refusal),
            _ => return first,
        };
        let told = match told {
            None if status != 400 => self.region_of(bucket).await,
            told => told,
        };
        let here = known.as_deref().or(self.region());
        match told.filter(|it| Some(it.as_str()) != here) {
            Some(region) => {
                self.set_bucket_region(bucket, &region);
                call(Some(Region::new(region))).await
            }
            None => first,
        }
    }

    /// The region of `bucket`, from the header that S3 sets on every response, also where the caller has no access to it.
    async fn region_of(&self, bucket: &str) -> Option<String> {
        match self.s3().head_bucket().bucket(bucket).send().await {
            Ok(output) => output.bucket_region,
            Err(error) => error.raw_response().and_then(named),
        }
    }
}

/// The region in an S3 response: from a header, or from the XML of an error.
fn named(answer: &HttpResponse) -> Option<String> {
    let header = answer.headers().get(REGION).map(str::to_owned);
    let region = header.or_else(|| {
        let text = std::str::from_utf8(answer.body().bytes()?).ok()?;
        let (_, rest) = text.split_once("<Region>")?;
        let (region, _) = rest.split_once("</Region>")?;
        Some(region.trim().to_owned())
    })?;
    // The region becomes part of a host name.
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    (!region.is_empty() && region.chars().all(plain)).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::aws::wire::{Wire, answer};

    /// S3, with the bucket `b` in Ireland; `refusal` is the response in another region.
    fn s3(refusal: impl Fn() -> HttpResponse + Send + Sync + 'static) -> Wire {
        Wire::new(move |request| {
            let authorization = request.headers().get("authorization").unwrap_or_default();
            let right = authorization.contains("/eu-west-1/s3/");
            if request.method() == "HEAD" {
                // No body, but always the header.
                let mut told = answer(if right { 200 } else { 301 }, "");
                told.headers_mut().insert(REGION, "eu-west-1");
                return told;
            }
            if right {
                return answer(200, r#"{"Statement":[]}"#);
            }
            refusal()
        })
    }

    async fn policy(wire: &Wire) -> Result<Option<String>, u16> {
        let aws = wire.aws();
        let call = |region: Option<Region>| {
            let request = aws.s3().get_bucket_policy().bucket("b.example");
            request
                .customize()
                .config_override(in_region(region))
                .send()
        };
        match aws.at_bucket("b.example", call).await {
            Ok(output) => Ok(output.policy),
            Err(error) => Err(error.raw_response().unwrap().status().as_u16()),
        }
    }

    fn error(status: u16, code: &str, more: &str) -> HttpResponse {
        answer(status, format!("<Error><Code>{code}</Code>{more}</Error>"))
    }

    #[tokio::test]
    async fn the_region_is_read_wherever_s3_names_it() {
        let with_header = s3(|| {
            let mut refusal = error(301, "PermanentRedirect", "");
            refusal.headers_mut().insert(REGION, "eu-west-1");
            refusal
        });
        let in_body = s3(|| {
            let region = "<Region>eu-west-1</Region>";
            error(400, "AuthorizationHeaderMalformed", region)
        });
        let not_at_all = s3(|| error(301, "PermanentRedirect", "<Endpoint>x</Endpoint>"));
        for (wire, asked) in [
            (with_header, vec!["GetBucketPolicy", "GetBucketPolicy"]),
            (in_body, vec!["GetBucketPolicy", "GetBucketPolicy"]),
            (
                not_at_all,
                vec!["GetBucketPolicy", "HeadBucket", "GetBucketPolicy"],
            ),
        ] {
            assert!(policy(&wire).await.unwrap().is_some(), "{asked:?}");
            assert_eq!(wire.asked(), asked);
        }
    }

    #[tokio::test]
    async fn what_names_no_region_stays_a_refusal() {
        let malformed = s3(|| error(400, "MalformedXML", ""));
        assert_eq!(policy(&malformed).await, Err(400));
        assert_eq!(malformed.asked(), ["GetBucketPolicy"]);
        // The value would become a host name.
        let strange = s3(|| error(400, "X", "<Region>eu-west-1.example.com/</Region>"));
        assert_eq!(policy(&strange).await, Err(400));
        assert_eq!(strange.asked(), ["GetBucketPolicy"]);
    }
}
