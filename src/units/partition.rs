//! AWS partitions: the domain of a region's endpoints, and the prefix of its ARNs. Pure: no I/O.
//!
//! The endpoints come from the SDK's own resolver, which knows every partition and assumes that an unknown region is a
//! commercial one.

use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use futures::FutureExt;

/// An AWS partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The name in ARNs.
    pub name: &'static str,
    /// The DNS suffix of its endpoints.
    pub suffix: String,
}

/// The names of the partitions by their DNS suffix (SDK endpoint rule set, partitions.json). `GovCloud` has the suffix
/// of the commercial partition.
const NAMES: [(&str, &str); 7] = [
    ("amazonaws.com", "aws"),
    ("amazonaws.com.cn", "aws-cn"),
    ("amazonaws.eu", "aws-eusc"),
    ("c2s.ic.gov", "aws-iso"),
    ("sc2s.sgov.gov", "aws-iso-b"),
    ("cloud.adc-e.uk", "aws-iso-e"),
    ("csp.hci.ic.gov", "aws-iso-f"),
];

const GOVCLOUD: &str = "aws-us-gov";

impl Partition {
    /// The partition of `region`.
    pub fn of(region: &str) -> Self {
        let suffix = suffix(region).unwrap_or_else(|| NAMES[0].0.to_owned());
        let found = NAMES.iter().find(|(end, _)| *end == suffix);
        let name = match found {
            _ if region.starts_with("us-gov-") => GOVCLOUD,
            Some((_, name)) => name,
            None => NAMES[0].1,
        };
        Self { name, suffix }
    }

    /// Whether this version of arcctl knows the partition.
    pub fn is_known(name: &str) -> bool {
        name == GOVCLOUD || NAMES.iter().any(|(_, it)| *it == name)
    }
}

/// The DNS suffix of STS in `region`, from the SDK.
fn suffix(region: &str) -> Option<String> {
    let parameters = Params::builder().region(region).build().ok()?;
    let resolver = DefaultResolver::new();
    let endpoint = resolver
        .resolve_endpoint(&parameters)
        .now_or_never()?
        .ok()?;
    let host = endpoint.url().strip_prefix("https://")?;
    let suffix = host.strip_prefix(&format!("sts.{region}."))?;
    Some(suffix.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_one_partition() {
        for (region, name, suffix) in [
            ("ap-northeast-2", "aws", "amazonaws.com"),
            ("us-west-2", "aws", "amazonaws.com"),
            ("mx-central-1", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
            ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
            // A region that does not exist yet.
            ("zz-southwest-17", "aws", "amazonaws.com"),
        ] {
            let partition = Partition::of(region);
            assert_eq!((partition.name, partition.suffix.as_str()), (name, suffix));
            assert!(Partition::is_known(name));
        }
        assert!(!Partition::is_known("aws-new"));
    }
}
