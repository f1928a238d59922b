//! The AWS API: one set of SDK clients, each created at first use.
//!
//! Credentials come from the SDK's default chain: environment, profiles, single sign-on, web identity, containers,
//! `AWS_ENDPOINT_URL` (docs/decisions/0004-the-sdk-reads-its-environment.md). Every attempt has a timeout and is counted.

mod advice;
pub mod auth;
pub mod buckets;
pub mod cluster;
mod cluster_names;
mod denial;
pub mod error;
mod interceptor;
pub mod network;
pub mod secret_store;
pub mod shared_files;
mod sign_in;
mod token;
#[cfg(test)]
pub(crate) mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use interceptor::Counting;
use shared_files::SharedFiles;

use super::requests::Counter;

/// The connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The timeout of a call with all its attempts.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The maximum number of attempts of a call that is throttled; exponential backoff with jitter (standard mode).
const ATTEMPTS: u32 = 4;

/// The clients of one account and region.
pub struct Aws {
    config: SdkConfig,
    /// The attempts made, by all clients.
    pub requests: Arc<Counter>,
    eks: OnceLock<aws_sdk_eks::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    ec2: OnceLock<aws_sdk_ec2::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    ssm: OnceLock<aws_sdk_ssm::Client>,
    secrets_manager: OnceLock<aws_sdk_secretsmanager::Client>,
    /// The regions of buckets in other regions.
    bucket_regions: Mutex<HashMap<String, String>>,
}

/// A typed client, created once, whose attempts are counted.
macro_rules! client {
    ($(#[$documentation:meta])* $name:ident, $sdk:ident) => {
        $(#[$documentation])*
        pub fn $name(&self) -> &$sdk::Client {
            self.$name.get_or_init(|| {
                let config = $sdk::config::Builder::from(&self.config)
                    .interceptor(Counting(Arc::clone(&self.requests)))
                    .build();
                $sdk::Client::from_conf(config)
            })
        }
    };
}

impl Aws {
    /// Loads the default configuration for `region`, or for the configured region. It makes no call, except where the SDK
    /// reads the region from instance metadata. Programs that `files` start do not get the variables that `files` hide.
    /// `authorities` (PEM) replace this machine's CA certificates, like `AWS_CA_BUNDLE` for the aws CLI.
    pub async fn new(
        region: Option<&str>,
        files: &SharedFiles,
        authorities: Option<Vec<u8>>,
    ) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client(authorities))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .profile_files(files.rewritten());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        Self::from_config(loader.load().await)
    }

    fn from_config(config: SdkConfig) -> Self {
        Self {
            config,
            requests: Arc::default(),
            eks: OnceLock::new(),
            iam: OnceLock::new(),
            ec2: OnceLock::new(),
            sts: OnceLock::new(),
            s3: OnceLock::new(),
            ssm: OnceLock::new(),
            secrets_manager: OnceLock::new(),
            bucket_regions: Mutex::default(),
        }
    }

    /// Clients that use `connector` in place of the network.
    #[cfg(test)]
    pub(crate) fn answered_by(
        connector: impl aws_smithy_runtime_api::client::http::HttpConnector + Clone + 'static,
    ) -> Self {
        use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
        use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
        let http = http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone()));
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("ap-northeast-2"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .build();
        Self::from_config(config)
    }

    /// The region, where one is set.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// The cached region of a bucket, where it differs from the client's region.
    fn bucket_region(&self, bucket: &str) -> Option<String> {
        // A poisoned lock only means that another task panicked; the map is still whole.
        let known = self.bucket_regions.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.get(bucket).cloned()
    }

    fn set_bucket_region(&self, bucket: &str, region: &str) {
        let known = self.bucket_regions.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.insert(bucket.to_owned(), region.to_owned());
    }

    /// The credentials provider.
    pub fn credentials(&self) -> Option<aws_credential_types::provider::SharedCredentialsProvider> {
        self.config.credentials_provider()
    }

    client!(
        /// EKS: clusters, add-ons, Pod Identity.
        eks, aws_sdk_eks
    );
    client!(
        /// IAM: roles, policies, OIDC providers.
        iam, aws_sdk_iam
    );
    client!(
        /// EC2: instances and security groups.
        ec2, aws_sdk_ec2
    );
    client!(
        /// STS: the caller identity.
        sts, aws_sdk_sts
    );
    /// S3: bucket policies. With a custom endpoint the bucket's name is in the path, because DNS has no host name for it
    /// there.
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| {
            let config = aws_sdk_s3::config::Builder::from(&self.config)
                .force_path_style(self.config.endpoint_url().is_some())
                .interceptor(Counting(Arc::clone(&self.requests)))
                .build();
            aws_sdk_s3::Client::from_conf(config)
        })
    }

    client!(
        /// SSM Parameter Store.
        ssm, aws_sdk_ssm
    );
    client!(
        /// Secrets Manager.
        secrets_manager, aws_sdk_secretsmanager
    );
}

/// One HTTP client for all services: rustls with ring, with the proxy of the environment, as for GitHub.
fn http_client(authorities: Option<Vec<u8>>) -> aws_sdk_sts::config::SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        let mut builder = builder.tls_provider(tls::Provider::Rustls(CryptoMode::Ring));
        if let Some(authorities) = &authorities {
            let store = TrustStore::empty().with_pem_certificate(authorities.clone());
            // Building it fails only for a provider that is not compiled in: then this machine's CA certificates are used.
            if let Ok(context) = TlsContext::builder().with_trust_store(store).build() {
                builder.set_tls_context(context);
            }
        }
        builder.build()
    })
}
