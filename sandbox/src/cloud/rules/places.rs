//! Regions of buckets, and instances that EKS manages.
//!
//! Sources: S3 user guide, "Redirects and request routing" (301 `PermanentRedirect`, 400 `AuthorizationHeaderMalformed`, with
//! `x-amz-bucket-region`; aws-sdk-rust#183); botocore's `S3RegionRedirectorv2` (answers without that header: `<Region>` in
//! the body, else a HEAD of the bucket, which always has it); EC2 API reference, `DescribeInstances.IncludeManagedResources` (instances
//! of EKS Auto Mode are hidden without it). Pure: no I/O.

use std::collections::{BTreeSet, HashMap};

use super::{call::Call, refusal::Refusal};
use crate::moto::REGION;

/// How a refused call learns where the bucket lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// By a header.
    #[default]
    Header,
    /// In the body only.
    Body,
    /// Not at all: by a HEAD of the bucket only.
    ByHead,
}

/// Which bucket lives where, and which instances are managed.
#[derive(Debug, Default)]
pub(super) struct Places {
    buckets: HashMap<String, (String, Told)>,
    pub(super) managed: BTreeSet<String>,
}

impl Places {
    /// Remembers where a bucket was created.
    pub(super) fn created(&mut self, call: &Call) {
        let constraint = call.body.split("<LocationConstraint>").nth(1);
        let region = constraint.and_then(|it| it.split('<').next());
        if let Some(bucket) = call.bucket() {
            let region = region.unwrap_or("us-east-1");
            self.moved(bucket, region, Told::Header);
        }
    }

    /// A bucket is in `region`, which refused calls are `told`.
    pub(super) fn moved(&mut self, bucket: &str, region: &str, told: Told) {
        self.buckets
            .insert(bucket.to_owned(), (region.to_owned(), told));
    }

    /// Sends a call about a bucket of another region there.
    pub(super) fn refused(&self, call: &Call) -> Option<Refusal> {
        let bucket = call.bucket().filter(|_| call.action != "CreateBucket")?;
        let known = self.buckets.get(bucket);
        let (region, told) = known.map_or((REGION, Told::Header), |(it, told)| (it, *told));
        if call.region == region {
            return None;
        }
        let mut refusal = if call.region == "us-east-1" {
            let said = format!(
                "The authorization header is malformed; the region 'us-east-1' is wrong; expecting '{region}'"
            );
            Refusal::new(400, "AuthorizationHeaderMalformed", said)
        } else {
            let said = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
            Refusal::new(301, "PermanentRedirect", said)
        };
        if told == Told::Header || call.action == "HeadBucket" {
            refusal
                .headers
                .push(("x-amz-bucket-region", region.to_owned()));
        } else if told == Told::Body {
            refusal.details = format!("<Region>{region}</Region>");
        }
        Some(refusal)
    }

    /// moto's answer to `DescribeInstances` without what was not asked for.
    pub(super) fn visible(&self, call: &Call, answer: &str) -> String {
        if call.argument("IncludeManagedResources") == Some("true") {
            return answer.to_owned();
        }
        self.managed.iter().fold(answer.to_owned(), |answer, id| {
            without(&answer, &format!("<instanceId>{id}</instanceId>")).unwrap_or(answer)
        })
    }
}

/// `xml` without the innermost `item` that directly holds `mark` (an instance begins with its own id).
fn without(xml: &str, mark: &str) -> Option<String> {
    let at = xml.find(mark)?;
    let start = xml[..at].rfind("<item>")?;
    let mut depth = 0_usize;
    let mut end = start;
    loop {
        let rest = &xml[end..];
        let (open, close) = (rest.find("<item>"), rest.find("</item>")?);
        match open {
            Some(open) if open < close => {
                depth += 1;
                end += open + "<item>".len();
            }
            _ => {
                depth -= 1;
                end += close + "</item>".len();
            }
        }
        if depth == 0 {
            return Some(format!("{}{}", &xml[..start], &xml[end..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(region: &str) -> Call {
        Call {
            service: "s3".into(),
            action: "GetBucketPolicy".into(),
            region: region.into(),
            path: "/b".into(),
            ..Call::default()
        }
    }

    #[test]
    fn a_bucket_is_served_by_its_region_only() {
        let mut places = Places::default();
        assert_eq!(places.refused(&call(REGION)), None);
        places.moved("b", "eu-west-1", Told::Header);
        assert_eq!(places.refused(&call("eu-west-1")), None);
        let code = |region: &str| places.refused(&call(region)).map(|it| (it.status, it.code));
        assert_eq!(code(REGION), Some((301, "PermanentRedirect")));
        assert_eq!(
            code("us-east-1"),
            Some((400, "AuthorizationHeaderMalformed"))
        );
    }

    #[test]
    fn the_region_is_told_by_header_body_or_head() {
        let mut places = Places::default();
        let shown = |places: &Places, action: &str| {
            let call = Call {
                action: action.into(),
                ..call(REGION)
            };
            let refusal = places.refused(&call).unwrap();
            let header = refusal
                .headers
                .iter()
                .any(|(it, _)| *it == "x-amz-bucket-region");
            (header, refusal.details)
        };
        places.moved("b", "eu-west-1", Told::Header);
        assert_eq!(shown(&places, "GetBucketPolicy"), (true, String::new()));
        places.moved("b", "eu-west-1", Told::Body);
        let in_body = "<Region>eu-west-1</Region>".to_owned();
        assert_eq!(shown(&places, "GetBucketPolicy"), (false, in_body));
        places.moved("b", "eu-west-1", Told::ByHead);
        assert_eq!(shown(&places, "GetBucketPolicy"), (false, String::new()));
        assert_eq!(shown(&places, "HeadBucket"), (true, String::new()));
    }

    #[test]
    fn managed_instances_are_hidden() {
        let answer = "<s><item><instanceId>i-1</instanceId><g><item>a</item></g></item><item><instanceId>i-2</instanceId></item></s>";
        let mut places = Places::default();
        places.managed.insert("i-1".into());
        assert_eq!(
            places.visible(&Call::default(), answer),
            "<s><item><instanceId>i-2</instanceId></item></s>"
        );
        let mut call = Call::default();
        call.arguments
            .push(("IncludeManagedResources".into(), "true".into()));
        assert_eq!(places.visible(&call, answer), answer);
    }
}
