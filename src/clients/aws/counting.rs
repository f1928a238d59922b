//! Counts each attempt of a call as a read or a write, by the name of its operation.

use std::sync::Arc;

use aws_sdk_sts::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use crate::clients::requests::{Call, Counter};

/// What the names of the operations begin with that change nothing.
const READS: [&str; 8] = [
    "Get", "List", "Describe", "Head", "Simulate", "Search", "Lookup", "Decode",
];

/// Counts what is sent; a call for which there are no credentials is not sent.
#[derive(Debug)]
pub(super) struct Counting(pub(super) Arc<Counter>);

impl Intercept for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = bag.load::<Metadata>().map_or("", Metadata::name);
        self.0.count(kind(operation));
        Ok(())
    }
}

/// An operation that is not known to be harmless is a write.
fn kind(operation: &str) -> Call {
    if READS.iter().any(|it| operation.starts_with(it)) {
        Call::Read
    } else {
        Call::Write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_harmless_is_a_write() {
        for read in [
            "DescribeCluster",
            "GetRole",
            "ListOpenIDConnectProviders",
            "SimulatePrincipalPolicy",
        ] {
            assert_eq!(kind(read), Call::Read, "{read}");
        }
        for write in [
            "UpdateAssumeRolePolicy",
            "AuthorizeSecurityGroupIngress",
            "TagRole",
            "PutBucketPolicy",
            "",
        ] {
            assert_eq!(kind(write), Call::Write, "{write}");
        }
    }
}
