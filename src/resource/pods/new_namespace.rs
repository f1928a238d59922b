//! What can be known of pods whose namespace does not exist yet: by a dry run in another namespace.
//!
//! A new namespace has no quota and no `LimitRange`, and no label for Pod Security, because arcctl gives it none. So the
//! cluster's default level is in force in it. That is in a file of the API server (kubernetes, `PodSecurityConfiguration`),
//! which nobody can read, but a namespace without such a label shows it. A policy or webhook may be about one of the two
//! namespaces alone: what it says there is advice. `up` tries the pods again once it has made the namespaces, and ends then
//! before anything is installed.

use serde_json::Value;

use super::{
    dry_run::{Trial, modes_of_level, owned, untried},
    parts::PartPod,
    refusal::{Refusal, Tried, is_pod_security, pod_security_level, sidecar},
};
use crate::{
    clients::kube::{Mode, Target},
    desired::{pool::dry_run_pod::with_default_account, resource::Registration},
    resource::context::Context,
};

/// The namespace of the dry runs: every cluster has it.
pub const STAND_IN: &str = "default";

/// The label of a namespace with the level that is enforced.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What is foreseen of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// The other namespace would take it.
    Nothing,
    /// The cluster's default level of Pod Security refuses it, or an API server that does not know sidecars.
    Refused(Refusal),
    /// Something refuses it in the other namespace, and perhaps in its own.
    Perhaps(Refusal),
    /// It could not be found out.
    Unknown(String),
}

/// The namespace in which pods are tried instead.
#[derive(Clone, Debug)]
pub struct StandIn {
    /// Its own Pod Security level, if it has one; an error where it could not be read.
    level: Result<Option<String>, String>,
}

impl StandIn {
    /// Reads its level.
    pub async fn read(context: &Context) -> Self {
        let namespace = Target::cluster("v1", "Namespace", STAND_IN);
        let level = match context.kube.get(&namespace).await {
            Ok(live) => Ok(live.and_then(|it| {
                let level = it["metadata"]["labels"][ENFORCE].as_str();
                level.map(str::to_owned)
            })),
            Err(error) => Err(error.document().message),
        };
        Self { level }
    }

    /// Tries `pod` there; `refusal` explains what is said of it, with the fields that are named.
    async fn try_pod(
        &self,
        context: &Context,
        pod: &Value,
        refusal: impl FnOnce(&str, &[String]) -> Refusal,
    ) -> Foreseen {
        let namespace = &pod["metadata"]["namespace"];
        let namespace = namespace.as_str().unwrap_or_default().to_owned();
        let mut there = with_default_account(pod);
        there["metadata"]["namespace"] = STAND_IN.into();
        let Err(failure) = context.kube.create(&there, Mode::DryRun).await else {
            return self.admitted();
        };
        match untried(&failure, &there) {
            Some(Trial::Unknown(error)) => return Foreseen::Unknown(error.document().message),
            Some(_) => return Foreseen::Unknown(format!("there is no namespace `{STAND_IN}`")),
            None => {}
        }
        let (said, fields) = (failure.said(), failure.fields());
        let refusal = refusal(&said, &fields);
        // What the API server does not know, it knows in no namespace.
        if sidecar::lost(&there, &said, &fields).is_some() {
            return Foreseen::Refused(refusal);
        }
        self.judged(&namespace, &said, refusal)
    }

    /// What it means that the pod is taken there.
    fn admitted(&self) -> Foreseen {
        match &self.level {
            Ok(None) => Foreseen::Nothing,
            Ok(Some(level)) => Foreseen::Unknown(own_level(level)),
            Err(error) => Foreseen::Unknown(error.clone()),
        }
    }

    /// What it means for `namespace` that the pod is refused there.
    fn judged(&self, namespace: &str, said: &str, refusal: Refusal) -> Foreseen {
        if is_of_the_stand_in(said) {
            return Foreseen::Unknown(format!(
                "a rule of namespace `{STAND_IN}` alone refuses the pod first: {}",
                refusal.said
            ));
        }
        if !is_pod_security(said) {
            return Foreseen::Perhaps(refusal);
        }
        match &self.level {
            Ok(None) => Foreseen::Refused(Refusal {
                hint: with_own_level(namespace, &refusal.hint),
                ..refusal
            }),
            Ok(Some(level)) => Foreseen::Unknown(own_level(level)),
            Err(error) => Foreseen::Unknown(error.clone()),
        }
    }
}

fn own_level(level: &str) -> String {
    format!(
        "namespace `{STAND_IN}` has a Pod Security level of its own, `{level}`, so that the cluster's default level is not seen"
    )
}

/// Whether a quota, a `LimitRange` or the accounts of the other namespace refuse the pod.
fn is_of_the_stand_in(said: &str) -> bool {
    let words = [
        " quota: ",
        " per Container is ",
        " per Pod is ",
        "error looking up service account ",
        "not yet ready to handle request",
    ];
    words.iter().any(|it| said.contains(it))
}

/// The hint for the cluster's default level: a namespace that is there cannot be labelled yet.
fn with_own_level(namespace: &str, hint: &str) -> String {
    let mode = hint
        .split_once(", which this level admits")
        .map(|(mode, _)| format!("{mode}, which this level admits, or "));
    format!(
        "{}make the namespace first, with a level of its own: `kubectl create namespace {namespace}`, then `kubectl label namespace {namespace} {ENFORCE}=privileged`; arcctl uses it without changes",
        mode.unwrap_or_default()
    )
}

impl Registration {
    /// What is foreseen of a runner's pod of this pool.
    pub async fn foresee(&self, context: &Context, stand_in: &StandIn) -> Foreseen {
        let profile = &context.profile;
        let pool = profile.pool(&self.namespace, &self.pool);
        // A profile without a valid pod has its own error.
        let Some((pool, Ok(pod))) = pool.map(|pool| (pool, context.runner_pod(pool))) else {
            return Foreseen::Nothing;
        };
        let refusal = |said: &str, fields: &[String]| {
            let fits = pod_security_level(said)
                .map(|level| modes_of_level(profile, pool, level))
                .unwrap_or_default();
            let tried = Tried {
                pool: &self.pool,
                pods: self.min_now(),
                pod: &pod,
                fields,
            };
            tried.refusal(said, &fits)
        };
        let made = owned(&pod, pool);
        stand_in.try_pod(context, &made, refusal).await
    }
}

impl PartPod {
    /// What is foreseen of this pod.
    pub async fn foresee(&self, context: &Context, stand_in: &StandIn) -> Foreseen {
        let refusal = |said: &str, _: &[String]| self.refusal(said);
        stand_in.try_pod(context, &self.owned(), refusal).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::pods::refusal::Lasts;

    fn judged(level: Option<&str>, said: &str, hint: &str) -> Foreseen {
        let stand_in = StandIn {
            level: Ok(level.map(str::to_owned)),
        };
        let refusal = Refusal {
            said: said.to_owned(),
            hint: hint.to_owned(),
            lasts: Lasts::UntilChanged,
        };
        stand_in.judged("arc", said, refusal)
    }

    #[test]
    fn the_clusters_default_level_is_a_refusal() {
        let said = "violates PodSecurity \"baseline:latest\": privileged";
        let mode = "set containerMode of pool `basic` in the profile to none, which this level admits, or lower it";
        let Foreseen::Refused(refusal) = judged(None, said, mode) else {
            panic!("it is refused");
        };
        assert!(
            refusal
                .hint
                .starts_with("set containerMode of pool `basic`"),
            "{}",
            refusal.hint
        );
        assert!(
            refusal.hint.contains("`kubectl create namespace arc`"),
            "{}",
            refusal.hint
        );
        assert!(!refusal.hint.contains("lower it"), "{}", refusal.hint);
    }

    #[test]
    fn a_level_that_the_other_namespace_has_itself_says_nothing() {
        let said = "violates PodSecurity \"baseline:latest\": privileged";
        let Foreseen::Unknown(why) = judged(Some("baseline"), said, "") else {
            panic!("it is not known");
        };
        assert!(why.contains("`baseline`"), "{why}");
        let labelled = StandIn {
            level: Ok(Some("privileged".into())),
        };
        assert!(matches!(labelled.admitted(), Foreseen::Unknown(_)));
        let unread = StandIn {
            level: Err("not allowed".into()),
        };
        assert_eq!(unread.admitted(), Foreseen::Unknown("not allowed".into()));
    }

    #[test]
    fn a_policy_may_be_about_the_other_namespace_alone() {
        let said = "admission webhook \"validation.gatekeeper.sh\" denied the request: no team";
        assert!(matches!(judged(None, said, ""), Foreseen::Perhaps(_)));
        for said in [
            "exceeded quota: q, requested: pods=1",
            "maximum cpu usage per Container is 1, but limit is 2",
        ] {
            assert!(
                matches!(judged(None, said, ""), Foreseen::Unknown(_)),
                "{said}"
            );
        }
    }
}
