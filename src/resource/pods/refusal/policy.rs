//! The hint for a runner's pod that a policy of the cluster refuses. Pure: no I/O.
//!
//! Sources of the messages: the API server's validating admission policies; Kyverno and Gatekeeper, which are webhooks; the
//! plugin of `OpenShift` for security context constraints.

use super::{PLACES, Tried, is_pod_security, quoted_after};

/// Whether `said` may be about the docker daemon, which is privileged: another container mode may be admitted then.
pub fn is_about_privileges(said: &str) -> bool {
    is_pod_security(said) || said.to_lowercase().contains("privileged")
}

impl Tried<'_> {
    /// The hint for the message `said` of a policy, `None` for others. `fits` are the container modes that it admits, if
    /// tested.
    pub(super) fn by_a_policy(&self, said: &str, fits: &[&str]) -> Option<String> {
        let other = if let Some(policy) = quoted_after(said, "ValidatingAdmissionPolicy ") {
            format!("change it: `kubectl get validatingadmissionpolicy {policy} -o yaml`")
        } else if said.starts_with("admission webhook ") {
            format!("have its owner exempt namespace `{}`", self.namespace())
        } else if said.contains("security context constraint") {
            "allow it to the pods' ServiceAccount: `kubectl get securitycontextconstraints` lists what there is"
                .to_owned()
        } else {
            return None;
        };
        let change = if fits.is_empty() || !is_about_privileges(said) {
            format!("give the pods what the policy asks for ({PLACES})")
        } else {
            format!(
                "set containerMode of pool `{}` in the profile to {}, which the policy admits",
                self.pool,
                fits.join(" or ")
            )
        };
        Some(format!("{change}, or {other}"))
    }
}
