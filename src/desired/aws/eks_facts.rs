//! The EKS cluster's properties. Pure: no I/O.

/// The properties of an EKS cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EksFacts {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its account.
    pub account: String,
    /// The partition in its ARNs: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The OIDC issuer URL of its service account tokens.
    pub issuer: Option<String>,
    /// The security group that EKS created with it.
    pub security_group: Option<String>,
    /// Its VPC.
    pub vpc: Option<String>,
}

impl EksFacts {
    /// The cluster's ARN.
    pub fn arn(&self) -> String {
        let Self {
            partition,
            region,
            account,
            name,
            ..
        } = self;
        format!("arn:{partition}:eks:{region}:{account}:cluster/{name}")
    }
}
