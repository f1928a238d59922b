//! The hint for a rejected object that a run writes: the key of the profile follows from its chart or its kind. Pure: no I/O.

use super::{
    Refusal,
    cluster::{of_the_cluster, until_counted},
    lasts, quota, quoted_after, uncounted_quota,
};
use crate::resource::written::Written;

impl Written {
    /// The refusal for the message `said`.
    pub(in crate::resource) fn refusal(&self, said: &str) -> Refusal {
        let short = self.without_its_name(said);
        Refusal {
            said: short.to_owned(),
            hint: self.hint(short),
            lasts: lasts(short, 1),
        }
    }

    /// The message without the name of the object, so that what is said of several is the same text.
    fn without_its_name<'a>(&self, said: &'a str) -> &'a str {
        let name = format!("\"{}\" is forbidden: ", self.name());
        said.split_once(&name).map_or(said, |(_, rest)| rest)
    }

    fn hint(&self, said: &str) -> String {
        let namespace = self.namespace().unwrap_or_default();
        if let Some(quota) = quota(said) {
            return if uncounted_quota(said).is_some() {
                until_counted(namespace, quota)
            } else {
                format!("raise the quota: `kubectl -n {namespace} describe resourcequota {quota}`")
            };
        }
        of_the_cluster(said, namespace).unwrap_or_else(|| self.by_a_policy(said))
    }

    fn by_a_policy(&self, said: &str) -> String {
        let other = match quoted_after(said, "ValidatingAdmissionPolicy ") {
            Some(policy) => format!(
                "have the policy exempt what it refuses here: `kubectl get validatingadmissionpolicy {policy} -o yaml`"
            ),
            None => "have the owner of the policy exempt what it refuses here".to_owned(),
        };
        match self.change() {
            Some(change) => format!("{change}, or {other}"),
            None => format!("{other}; the profile has no key for it"),
        }
    }

    /// What to change so that the policy is content; `None` where the profile has no key.
    fn change(&self) -> Option<String> {
        if let Some(values) = self.part.values() {
            return Some(format!(
                "give it what the policy asks for under `{values}` in the profile, where the chart has a value for that"
            ));
        }
        let (kind, name) = match self.id.kind() {
            // The release of a scale set, and all that its chart makes, is of the pool of that name.
            "helm-release" => ("AutoscalingRunnerSet", self.id.name()),
            _ => (self.kind(), self.name()),
        };
        let change = match kind {
            "RunnerDeployment" | "AutoscalingRunnerSet" => format!(
                "give pool `{name}` in the profile what the policy asks for (labels and annotations: metadata; of its pods: podMetadata; the rest: image, resources, template)"
            ),
            "HorizontalRunnerAutoscaler" => {
                format!("change min, max or scaling of pool `{name}` in the profile")
            }
            "Namespace" => format!(
                "make the namespace yourself, with what the policy asks for: `kubectl create namespace {name}`; arcctl uses it without changes"
            ),
            "ServiceAccount" => "make the account yourself, as the plan shows it and with what the policy asks for: arcctl uses it without changes".to_owned(),
            "NetworkPolicy" => "leave `hardening.networkPolicies` out of the profile".to_owned(),
            "PodDisruptionBudget" => {
                "leave `hardening.podDisruptionBudgets` out of the profile".to_owned()
            }
            _ => return None,
        };
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        desired::resource::Id,
        resource::pods::{parts::Part, refusal::Lasts},
    };

    fn refused(part: Part, kind: &str, said: &str) -> Refusal {
        let written = Written {
            part,
            id: Id::new("x", Some("arc"), "a"),
            manifest: json!({"kind": kind, "metadata": {"name": "a", "namespace": "arc"}}),
        };
        written.refusal(said)
    }

    const POLICY: &str =
        "ValidatingAdmissionPolicy 'team' with binding 'all' denied request: no team";

    #[test]
    fn each_kind_names_its_key_and_the_policy() {
        for (part, kind, hint) in [
            (Part::Controller, "Deployment", "under `controller.values`"),
            (
                Part::CertManager,
                "ServiceAccount",
                "under `certManager.values`",
            ),
            (Part::ScaleSets, "Role", "under `scaleSets.values`"),
            (
                Part::Own,
                "RunnerDeployment",
                "give pool `a` in the profile",
            ),
            (
                Part::Own,
                "AutoscalingRunnerSet",
                "give pool `a` in the profile",
            ),
            (
                Part::Own,
                "HorizontalRunnerAutoscaler",
                "scaling of pool `a`",
            ),
            (Part::Own, "Namespace", "`kubectl create namespace a`"),
            (Part::Own, "ServiceAccount", "make the account yourself"),
            (Part::Own, "NetworkPolicy", "`hardening.networkPolicies`"),
            (
                Part::Own,
                "PodDisruptionBudget",
                "`hardening.podDisruptionBudgets`",
            ),
            (Part::Own, "Secret", "the profile has no key for it"),
            (Part::Own, "CronJob", "the profile has no key for it"),
        ] {
            let said = format!("things.group \"a\" is forbidden: {POLICY}");
            let refusal = refused(part, kind, &said);
            assert_eq!(refusal.said, POLICY);
            assert_eq!(refusal.lasts, Lasts::UntilChanged);
            assert!(refusal.hint.contains(hint), "{kind}: {}", refusal.hint);
            let look = "get validatingadmissionpolicy team -o yaml";
            assert!(refusal.hint.contains(look), "{kind}: {}", refusal.hint);
        }
    }

    #[test]
    fn what_the_chart_of_a_scale_set_makes_is_of_its_pool() {
        let written = Written {
            part: Part::Own,
            id: Id::new("helm-release", Some("arc"), "linux"),
            manifest: json!({"kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "arc"}}),
        };
        let hint = written.refusal(POLICY).hint;
        assert!(
            hint.starts_with("give pool `linux` in the profile"),
            "{hint}"
        );
    }

    #[test]
    fn a_webhook_is_quoted_whole_and_its_owner_is_named() {
        let said =
            "admission webhook \"validate.kyverno.svc-fail\" denied the request: replicas >= 2";
        let refusal = refused(Part::Controller, "Deployment", said);
        assert_eq!(refusal.said, said);
        let owner = "have the owner of the policy exempt what";
        assert!(refusal.hint.contains(owner), "{}", refusal.hint);
    }

    #[test]
    fn a_quota_of_objects_may_have_room_later() {
        let said = "secrets \"a\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=5, limited: count/secrets=5";
        let refusal = refused(Part::Own, "Secret", said);
        assert_eq!(refusal.lasts, Lasts::UntilRoom);
        assert!(
            refusal.hint.contains("describe resourcequota q"),
            "{}",
            refusal.hint
        );
        let none = said.replace("limited: count/secrets=5", "limited: count/secrets=0");
        assert_eq!(
            refused(Part::Own, "Secret", &none).lasts,
            Lasts::UntilChanged
        );
    }
}
