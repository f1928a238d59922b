//! The hint for a rejected pod that is not a runner's: the keys of the profile are those of its part. Pure: no I/O.

use super::{
    Lasts, Refusal,
    cluster::{lower_level, of_the_cluster, until_counted},
    is_limit_range, is_pod_security, lasts, missing_account, quota, quoted_after, uncounted_quota,
    without_name,
};
use crate::resource::pods::parts::{Part, PartPod};

impl Part {
    /// Where the profile has the fields of its pods; `None` where it has none.
    pub(super) const fn values(self) -> Option<&'static str> {
        match self {
            Self::CertManager => Some("certManager.values"),
            Self::Controller => Some("controller.values"),
            Self::ScaleSets => Some("scaleSets.values"),
            Self::Listener | Self::Own => None,
        }
    }

    /// The keys there for the security of its pods and their containers.
    const fn security(self) -> &'static str {
        match self {
            Self::CertManager => "securityContext and containerSecurityContext",
            _ => "podSecurityContext and securityContext",
        }
    }
}

impl PartPod {
    /// The refusal for the message `said`.
    pub(in crate::resource) fn refusal(&self, said: &str) -> Refusal {
        let short = without_name(said);
        Refusal {
            said: short.to_owned(),
            hint: self.hint(short),
            lasts: lasts(short, self.pods.max(1)),
        }
    }

    /// The refusal of all its pods together by a quota that admits the first.
    pub(in crate::resource) fn too_many(&self, quota: &str, said: String) -> Refusal {
        Refusal {
            said,
            hint: self.more_quota(quota),
            lasts: Lasts::UntilChanged,
        }
    }

    /// What to change in the profile, or else elsewhere.
    fn either(&self, change: &str, other: &str) -> String {
        match self.part.values() {
            Some(values) => format!("{change} under `{values}` in the profile, or {other}"),
            None => format!("{other}; the profile has no key for these pods"),
        }
    }

    fn more_quota(&self, quota: &str) -> String {
        let namespace = self.namespace();
        let raise =
            format!("raise the quota: `kubectl -n {namespace} describe resourcequota {quota}`");
        self.either("lower the replicas or resources", &raise)
    }

    fn hint(&self, said: &str) -> String {
        let namespace = self.namespace();
        if let Some(quota) = quota(said) {
            let look = format!("`kubectl -n {namespace} describe resourcequota {quota}`");
            return if uncounted_quota(said).is_some() {
                until_counted(namespace, quota)
            } else if said.contains("must specify") {
                let defaults = format!(
                    "make a LimitRange with defaults in the namespace; what the quota demands shows {look}"
                );
                self.either("set `resources`", &defaults)
            } else {
                self.more_quota(quota)
            };
        }
        if is_limit_range(said) {
            let other = format!(
                "change the namespace's LimitRange: `kubectl -n {namespace} describe limitrange`"
            );
            return self.either("set `resources` to what it allows", &other);
        }
        if is_pod_security(said) {
            let change = format!("set the fields that it names in {}", self.part.security());
            return self.either(&change, &lower_level(namespace));
        }
        if let Some(class) = quoted_after(said, "no PriorityClass with name ") {
            let other = format!(
                "create PriorityClass `{class}`: `kubectl get priorityclasses` lists those that are there"
            );
            return self.either("correct `priorityClassName`", &other);
        }
        if let Some(account) = missing_account(said) {
            let name = account.split_once('/').map_or(account, |(_, name)| name);
            return format!("create it with `kubectl -n {namespace} create serviceaccount {name}`");
        }
        of_the_cluster(said, namespace).unwrap_or_else(|| self.by_a_policy(said))
    }

    fn by_a_policy(&self, said: &str) -> String {
        let namespace = self.namespace();
        let give = "give the pods what the policy asks for (labels, annotations, image, resources, security contexts)";
        if let Some(policy) = quoted_after(said, "ValidatingAdmissionPolicy ") {
            let other =
                format!("change it: `kubectl get validatingadmissionpolicy {policy} -o yaml`");
            return self.either(give, &other);
        }
        if said.starts_with("admission webhook ") {
            let other = format!("have its owner exempt namespace `{namespace}`");
            return self.either(give, &other);
        }
        self.either(
            "change what is refused",
            "the policy of the cluster that refuses it",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::resource::Id;

    fn refused(part: Part, said: &str) -> Refusal {
        let pod = json!({"metadata": {"name": "a", "namespace": "arc"}});
        let pod = PartPod {
            part,
            id: Id::new("helm-release", Some("arc"), "a"),
            maker: "Deployment/a".into(),
            pods: 2,
            pod,
        };
        pod.refusal(&format!("pods \"a-arcct-probe\" is forbidden: {said}"))
    }

    /// The part, what is said, what the hint must name, and whether it lasts.
    const CASES: &[(Part, &str, [&str; 2], bool)] = &[
        (
            Part::Controller,
            "violates PodSecurity \"restricted:latest\": runAsNonRoot != true (container \"manager\" must set it)",
            [
                "securityContext under `controller.values`",
                "enforce=privileged",
            ],
            true,
        ),
        (
            Part::CertManager,
            "violates PodSecurity \"restricted:latest\": seccompProfile",
            [
                "containerSecurityContext under `certManager.values`",
                "namespace arc",
            ],
            true,
        ),
        (
            Part::Controller,
            "failed quota: q: must specify limits.cpu for: manager",
            [
                "set `resources` under `controller.values`",
                "describe resourcequota q",
            ],
            true,
        ),
        (
            Part::ScaleSets,
            "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=1",
            [
                "replicas or resources under `scaleSets.values`",
                "describe resourcequota q",
            ],
            true,
        ),
        (
            Part::Listener,
            "exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5",
            ["raise the quota", "the profile has no key for these pods"],
            false,
        ),
        (
            Part::Controller,
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
            ["set `resources` to what it allows", "describe limitrange"],
            true,
        ),
        (
            Part::Own,
            "ValidatingAdmissionPolicy 'team' with binding 'all' denied request: no team",
            ["get validatingadmissionpolicy team", "no key"],
            true,
        ),
        (
            Part::Controller,
            "no PriorityClass with name high was found",
            [
                "correct `priorityClassName` under `controller.values`",
                "PriorityClass `high`",
            ],
            true,
        ),
    ];

    #[test]
    fn each_refusal_names_its_rule_and_what_mends_it() {
        for (part, said, hints, lasting) in CASES {
            let refusal = refused(*part, said);
            assert_eq!(refusal.said, *said);
            for hint in hints {
                assert!(refusal.hint.contains(hint), "{said}: {}", refusal.hint);
            }
            assert_eq!(refusal.lasts == Lasts::UntilChanged, *lasting, "{said}");
        }
    }

    #[test]
    fn a_webhook_is_quoted_with_its_name() {
        let said = "admission webhook \"validation.gatekeeper.sh\" denied the request: [team] no label `team`";
        let pod = json!({"metadata": {"name": "a", "namespace": "arc"}});
        let pod = PartPod {
            part: Part::Controller,
            id: Id::new("helm-release", Some("arc"), "a"),
            maker: "Deployment/a".into(),
            pods: 1,
            pod,
        };
        let refusal = pod.refusal(said);
        assert_eq!(refusal.said, said);
        assert!(
            refusal.hint.contains("exempt namespace `arc`"),
            "{}",
            refusal.hint
        );
    }
}
