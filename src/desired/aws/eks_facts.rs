//! What EKS tells. Pure: no I/O.

/// What EKS tells of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EksFacts {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The account it is in.
    pub account: String,
    /// The partition, as ARNs have it: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The issuer of its service accounts' tokens, a URL.
    pub issuer: Option<String>,
    /// The security group that EKS made with it.
    pub security_group: Option<String>,
    /// Its VPC.
    pub vpc: Option<String>,
}
