//! The cluster, and how to connect to it. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which cluster, and how it is reached: `eks` with `region`, or `context`, or both for the same cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cluster {
    /// The name of the EKS cluster: its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"),
        extend("patternErrorMessage" = "the name of an EKS cluster: letters, digits, `-` and `_`, at most 100")
    )]
    pub eks: Option<String>,
    /// The AWS region of the EKS cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z]{2,8}(-[a-z]+)+-[0-9]{1,2}$"),
        extend("patternErrorMessage" = "an AWS region, for example `ap-northeast-2`")
    )]
    pub region: Option<String>,
    /// A context of the kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub context: Option<String>,
}
