//! Counts each attempt of a call as a read or a write, by its operation name, and logs it.

use std::{sync::Arc, time::Instant};

use aws_sdk_sts::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef},
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::{orchestrator::Metadata, retries::RequestAttempts};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::{
    clients::requests::{Call, Counter},
    log,
};

/// Prefixes of the names of read operations.
const READS: [&str; 8] = [
    "Get", "List", "Describe", "Head", "Simulate", "Search", "Lookup", "Decode",
];

/// Counts the requests that are sent; a call without credentials is not sent.
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
        bag.interceptor_state().store_put(Sent(Instant::now()));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A call that was not sent (no credentials) is already reported as an error.
        let Some(Sent(began)) = bag.load::<Sent>() else {
            return Ok(());
        };
        let (service, operation) = bag
            .load::<Metadata>()
            .map_or(("", ""), |it| (it.service(), it.name()));
        let action = format!("{} {operation}", service.to_lowercase());
        let attempt = bag
            .load::<RequestAttempts>()
            .map_or(1, RequestAttempts::attempts);
        let status = context.response().map(|it| it.status().as_u16());
        log::answered("aws", action, status.ok_or("no answer"), *began, attempt);
        Ok(())
    }
}

/// When an attempt was sent.
#[derive(Debug)]
struct Sent(Instant);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

/// An operation that is not known to be a read is a write.
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
