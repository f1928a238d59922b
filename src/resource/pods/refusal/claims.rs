//! Claims of a pod's ephemeral volumes: the API server accepts a pod whose claim will be
//! rejected, and the pod then stays Pending. Pure: no I/O.

use serde_json::{Value, json};

use super::{Refusal, lasts, quota, uncounted_quota, until_counted};

/// A rejected claim of a dry run.
#[derive(Clone, Copy, Debug)]
pub(in crate::resource) struct Tried<'a> {
    /// The pool.
    pub(in crate::resource) pool: &'a str,
    /// How many pods with this volume the pool needs.
    pub(in crate::resource) pods: u32,
    /// Their namespace.
    pub(in crate::resource) namespace: &'a str,
    /// The volume.
    pub(in crate::resource) volume: &'a str,
    /// The key in the profile for the claim.
    pub(in crate::resource) key: &'a str,
}

/// The claim of each ephemeral volume of `pod`, with the volume's name, as the cluster's controller creates it
/// (kubernetes, `pkg/controller/volume/ephemeral`).
pub(in crate::resource) fn of_pod(pod: &Value) -> Vec<(String, Value)> {
    let metadata = &pod["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes
        .filter(|it| it["ephemeral"]["volumeClaimTemplate"].is_object())
        .map(|volume| {
            let template = &volume["ephemeral"]["volumeClaimTemplate"];
            let name = text(&volume["name"]);
            let claim = json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": format!("{}-{name}", text(&metadata["name"])),
                    "namespace": metadata["namespace"],
                    "labels": template["metadata"]["labels"],
                    "annotations": template["metadata"]["annotations"],
                },
                "spec": template["spec"],
            });
            (name, claim)
        })
        .collect()
}

impl Tried<'_> {
    /// The refusal for the message `said`.
    pub(in crate::resource) fn refusal(&self, said: &str) -> Refusal {
        let short = said
            .split_once("\" is ")
            .filter(|(kind, _)| kind.to_lowercase().starts_with("persistentvolumeclaim"))
            .and_then(|(_, rest)| {
                rest.strip_prefix("forbidden: ")
                    .or_else(|| rest.strip_prefix("invalid: "))
            })
            .unwrap_or(said);
        let (pool, namespace, key) = (self.pool, self.namespace, self.key);
        let hint = if let Some(quota) = quota(short) {
            if uncounted_quota(short).is_some() {
                until_counted(namespace, quota)
            } else {
                format!(
                    "lower min or the size in {key} of pool `{pool}` in the profile, or raise the quota: `kubectl -n {namespace} describe resourcequota {quota}`"
                )
            }
        } else if short.contains(" per PersistentVolumeClaim is ") {
            format!(
                "set the size in {key} of pool `{pool}` in the profile to what the namespace's LimitRange allows: `kubectl -n {namespace} describe limitrange`"
            )
        } else {
            format!(
                "change {key} of pool `{pool}` in the profile, or the policy of the cluster that refuses it"
            )
        };
        Refusal {
            said: format!("the claim of volume `{}`: {short}", self.volume),
            hint,
            lasts: lasts(short, self.pods.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Lasts, *};

    #[test]
    fn each_ephemeral_volume_has_a_claim() {
        let spec = json!({"accessModes": ["ReadWriteOnce"]});
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": spec});
        let pod = json!({
            "metadata": {"name": "basic-x", "namespace": "n"},
            "spec": {"volumes": [
                {"name": "work", "ephemeral": {"volumeClaimTemplate": template}},
                {"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}},
            ]},
        });
        let claims = of_pod(&pod);
        assert_eq!(claims.len(), 1);
        let (volume, claim) = &claims[0];
        assert_eq!(volume, "work");
        assert_eq!(claim["metadata"]["name"], "basic-x-work");
        assert_eq!(claim["metadata"]["namespace"], "n");
        assert_eq!(claim["metadata"]["labels"]["a"], "b");
        assert_eq!(claim["spec"], spec);
    }

    #[test]
    fn a_refused_claim_names_its_key() {
        let tried = Tried {
            pool: "basic",
            pods: 2,
            namespace: "n",
            volume: "work",
            key: "containerMode.kubernetes.workVolume",
        };
        for (said, hint, expected) in [
            (
                "forbidden: exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=0, limited: persistentvolumeclaims=0",
                "describe resourcequota q",
                Lasts::UntilChanged,
            ),
            (
                "forbidden: exceeded quota: q, requested: requests.storage=10Gi, used: requests.storage=90Gi, limited: requests.storage=95Gi",
                "the size in containerMode.kubernetes.workVolume",
                Lasts::UntilRoom,
            ),
            (
                "forbidden: status unknown for quota: q, resources: persistentvolumeclaims",
                "wait until the quota is counted",
                Lasts::Perhaps,
            ),
            (
                "forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 10Gi",
                "describe limitrange",
                Lasts::UntilChanged,
            ),
            (
                "forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no",
                "change containerMode.kubernetes.workVolume of pool `basic`",
                Lasts::UntilChanged,
            ),
        ] {
            let full = format!("persistentvolumeclaims \"basic-x-work\" is {said}");
            let refusal = tried.refusal(&full);
            assert!(refusal.hint.contains(hint), "{}", refusal.hint);
            assert_eq!(refusal.lasts, expected, "{said}");
            let short = said.strip_prefix("forbidden: ").unwrap();
            assert_eq!(refusal.said, format!("the claim of volume `work`: {short}"));
        }
    }
}
