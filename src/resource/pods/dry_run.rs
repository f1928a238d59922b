//! Tests a pod by a dry run before the run waits for it: a runner's rejected pod is only in the controller's log
//! (actions-runner-controller, `processRunnerCreation`: an error of `Create` makes no event).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    owner::with_owner,
    parts::PartPod,
    quota,
    quotas::Quotas,
    refusal::{Lasts, Refusal, Tried, claims, is_about_privileges, missing_account},
};
use crate::{
    clients::kube::{KubeFailure, Mode, Target},
    desired::{
        pod_security::{Level, violations},
        pool::dry_run_pod::{runner_pod, with_default_account},
        resource::Registration,
    },
    error::{Error, ErrorKind, System},
    profile::{AccessMode, ContainerMode, KubernetesMode, Pool, Profile, WorkVolume},
    resource::context::Context,
};

/// The result of a dry run of a pod.
#[derive(Clone, Debug)]
pub enum Trial {
    /// The API server would accept it, as this object.
    Admitted(Box<Value>),
    /// The API server would reject it.
    Refused(Refusal),
    /// Its namespace does not exist yet.
    TooEarly,
    /// The dry run failed for another reason.
    Unknown(Error),
}

impl Registration {
    /// Creates a runner's pod of this pool as a dry run. `coming` are the ids of resources that the run
    /// creates before the pods: a missing service account among them is no reason to reject. `quotas` are those of all pods
    /// that are tried together.
    pub async fn try_pod(
        &self,
        context: &Context,
        coming: &BTreeSet<String>,
        quotas: &Quotas,
    ) -> Trial {
        let Some(pool) = context.profile.pool(&self.namespace, &self.pool) else {
            return Trial::TooEarly;
        };
        let pod = match context.runner_pod(pool) {
            Ok(pod) => owned(&pod, pool),
            Err(error) => {
                let error = Error::new(
                    ErrorKind::InvalidProfile,
                    System::Profile,
                    error.to_string(),
                );
                return Trial::Unknown(error.hint("correct the profile"));
            }
        };
        let comes = |account: &str| coming.contains(&format!("service-account/{account}"));
        let (answer, is_replaced) = create(context, &pod, comes).await;
        let failure = match answer {
            Ok(admitted) => return self.fits(context, pool, &admitted, quotas).await,
            Err(failure) => failure,
        };
        if let Some(untried) = untried(&failure, &pod) {
            return untried;
        }
        let fits = if is_about_privileges(&failure.said()) {
            fitting_modes(context, pool).await
        } else {
            Vec::new()
        };
        let fields = failure.fields();
        let tried = Tried {
            pool: &self.pool,
            pods: self.min_now(),
            pod: &pod,
            fields: &fields,
        };
        let refusal = tried.refusal(&failure.said(), &fits);
        Trial::Refused(refusal.with_account_replaced(is_replaced))
    }

    /// The same for a pool that is tried alone, once everything is there that its pods need.
    pub async fn try_now(&self, context: &Context) -> Trial {
        let (coming, quotas) = (BTreeSet::new(), Quotas::default());
        self.try_pod(context, &coming, &quotas).await
    }

    /// Whether the claims of its ephemeral volumes are accepted, and the pool's minimum fits too, because a dry run tests
    /// only one pod.
    async fn fits(
        &self,
        context: &Context,
        pool: &Pool,
        admitted: &Value,
        quotas: &Quotas,
    ) -> Trial {
        let claims = claims::of_pod(admitted);
        for (volume, claim) in &claims {
            let Err(failure) = context.kube.create(claim, Mode::DryRun).await else {
                continue;
            };
            if let Some(untried) = untried(&failure, claim) {
                return untried;
            }
            let tried = claims::Tried {
                pool: &self.pool,
                pods: self.min_now(),
                namespace: &self.namespace,
                volume,
                key: &claim_key(pool, volume),
            };
            return Trial::Refused(tried.refusal(&failure.said()));
        }
        if self.min_now() < 2 && claims.len() < 2 {
            return Trial::Admitted(Box::new(admitted.clone()));
        }
        let quotas = match quotas.of(&context.kube, &self.namespace).await {
            Ok(quotas) => quotas,
            Err(error) => return Trial::Unknown(error),
        };
        quota::refusal(&quotas, admitted, self.min_now(), &self.pool).map_or_else(
            || Trial::Admitted(Box::new(admitted.clone())),
            Trial::Refused,
        )
    }
}

impl PartPod {
    /// Creates the pod as a dry run, and checks whether quotas allow all of them.
    pub async fn try_pod(&self, context: &Context, quotas: &Quotas) -> Trial {
        let pod = self.owned();
        // Its account comes with its chart, or its controller makes it.
        let (answer, is_replaced) = create(context, &pod, |_| true).await;
        let failure = match answer {
            Ok(admitted) => return self.fits(context, admitted, quotas).await,
            Err(failure) => failure,
        };
        if let Some(untried) = untried(&failure, &pod) {
            return untried;
        }
        let refusal = self.refusal(&failure.said());
        Trial::Refused(refusal.with_account_replaced(is_replaced))
    }

    /// Whether quotas allow all of its pods; `admitted` is the first.
    async fn fits(&self, context: &Context, admitted: Value, quotas: &Quotas) -> Trial {
        if self.pods < 2 {
            return Trial::Admitted(Box::new(admitted));
        }
        let quotas = match quotas.of(&context.kube, self.namespace()).await {
            Ok(quotas) => quotas,
            Err(error) => return Trial::Unknown(error),
        };
        let Some((name, allows)) = quota::exceeded(&quotas, &admitted, self.pods) else {
            return Trial::Admitted(Box::new(admitted));
        };
        let said = format!("{allows}, and its {} pods ask for more together", self.pods);
        Trial::Refused(self.too_many(name, said))
    }
}

/// Creates `pod` as a dry run. If its account is missing and `comes` later in the run, it is tried with the account
/// `default`; the second value is whether it was.
async fn create(
    context: &Context,
    pod: &Value,
    comes: impl FnOnce(&str) -> bool,
) -> (Result<Value, KubeFailure>, bool) {
    let failure = match context.kube.create(pod, Mode::DryRun).await {
        Ok(admitted) => return (Ok(admitted), false),
        Err(failure) => failure,
    };
    if !missing_account(&failure.said()).is_some_and(comes) {
        return (Err(failure), false);
    }
    let pod = with_default_account(pod);
    (context.kube.create(&pod, Mode::DryRun).await, true)
}

/// The pod of a runner of `pool` with the owner that will make it, for a dry run.
pub(super) fn owned(pod: &Value, pool: &Pool) -> Value {
    let kind = if pool.is_scale_set() {
        "EphemeralRunner"
    } else {
        "Runner"
    };
    with_owner(pod, kind, &pool.name)
}

/// Failures that do not judge `tried`: a missing namespace, a missing permission, no response, a webhook without dry runs.
pub(super) fn untried(failure: &KubeFailure, tried: &Value) -> Option<Trial> {
    let judged =
        matches!(failure.code(), Some(400 | 403 | 409 | 422)) && !failure.takes_no_dry_run();
    let by_webhook = failure.said().contains("failed calling webhook");
    if failure.code() == Some(404) {
        return Some(Trial::TooEarly);
    }
    if failure.is_unauthorized() || !judged && !by_webhook {
        return Some(match Target::of(tried) {
            Some(target) => Trial::Unknown(failure.about(&target)),
            None => Trial::TooEarly,
        });
    }
    None
}

/// The key in the profile for the claim of a volume of the pool's pods.
fn claim_key(pool: &Pool, volume: &str) -> String {
    match &pool.container_mode {
        ContainerMode::Kubernetes(_) if volume == "work" => {
            "containerMode.kubernetes.workVolume".to_owned()
        }
        _ => format!("volume `{volume}` under template.volumes"),
    }
}

impl Refusal {
    /// Whether it must be fixed before anything is created that waits for the pods.
    pub fn is_lasting(&self) -> bool {
        self.lasts == Lasts::UntilChanged
    }

    /// The refusal of a pod that was tried with the account `default`, if `is_replaced`: what is said of an account may not
    /// hold for its own.
    fn with_account_replaced(self, is_replaced: bool) -> Self {
        let said = self.said.to_lowercase();
        let names_account = ["service account", "serviceaccount", "service-account"]
            .iter()
            .any(|it| said.contains(it));
        if is_replaced && names_account {
            return Self {
                lasts: Lasts::Perhaps,
                ..self
            };
        }
        self
    }
}

/// Pods, or an object, that the API server refuses, for the error of a run.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// What it is, for people: "the runner pods of pool ..".
    pub what: String,
    /// The same in short: "pool ..".
    pub short: String,
    /// The id of the resource.
    pub object: String,
    /// Why.
    pub refusal: &'a Refusal,
}

/// The error of a run that would write what is refused, or wait for pods that are; `None` where nothing is. What is said of
/// several is quoted once.
pub fn error(refused: &[Refused]) -> Option<Error> {
    let (first, more) = refused.split_first()?;
    let error = Error::failed(
        System::Kubernetes,
        format!("the API server refuses {}", first.what),
    )
    .object(&first.object)
    .cause(&first.refusal.said)
    .hint(&first.refusal.hint);
    let (mut told, mut mends) = (vec![&first.refusal.said], vec![&first.refusal.hint]);
    Some(more.iter().fold(error, |error, it| {
        let Refusal { said, hint, .. } = it.refusal;
        let mut text = if told.contains(&said) {
            format!("{} too, for the same reason", it.short)
        } else {
            format!("{} too: {said}", it.short)
        };
        if !mends.contains(&hint) {
            text = format!("{text}; {hint}");
        }
        told.push(said);
        mends.push(hint);
        error.cause(text)
    }))
}

/// The container modes, as in the profile, in which the API server would accept the pool's pods.
async fn fitting_modes(context: &Context, pool: &Pool) -> Vec<&'static str> {
    let mut fits = Vec::new();
    for (word, pool) in in_each_mode(pool) {
        let Ok(mut pod) = runner_pod(&context.profile, &pool) else {
            continue;
        };
        context.pins.pin(&mut pod);
        // The service account of a different pod is not checked here.
        pod = owned(&with_default_account(&pod), &pool);
        if context.kube.create(&pod, Mode::DryRun).await.is_ok() {
            fits.push(word);
        }
    }
    fits
}

/// The container modes in which the pool's pods fit a level of Pod Security.
pub(super) fn modes_of_level(profile: &Profile, pool: &Pool, level: Level) -> Vec<&'static str> {
    let fits = in_each_mode(pool).into_iter().filter(|(_, pool)| {
        let pod = runner_pod(profile, pool);
        pod.is_ok_and(|pod| violations(&pod["spec"], level).is_empty())
    });
    fits.map(|(word, _)| word).collect()
}

/// The pool in each container mode, with the mode's name in the profile.
fn in_each_mode(pool: &Pool) -> [(&'static str, Pool); 3] {
    let volume = WorkVolume {
        storage_class: "any".into(),
        size: "1Gi".into(),
        access_mode: AccessMode::ReadWriteOnce,
    };
    let kubernetes = ContainerMode::Kubernetes(KubernetesMode {
        work_volume: volume,
    });
    let modes = [
        ("none", ContainerMode::None),
        ("kubernetes", kubernetes),
        ("dind", ContainerMode::Dind),
    ];
    modes.map(|(word, container_mode)| {
        let pool = Pool {
            container_mode,
            ..pool.clone()
        };
        (word, pool)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_account_default_may_not_hold_for_another() {
        let refused = |said: &str| Refusal {
            said: said.to_owned(),
            hint: String::new(),
            lasts: Lasts::UntilChanged,
        };
        let account = || refused("policy: no default ServiceAccount");
        let replaced = account().with_account_replaced(true);
        assert_eq!(replaced.lasts, Lasts::Perhaps);
        assert!(account().with_account_replaced(false).is_lasting());
        let other = refused("no label").with_account_replaced(true);
        assert!(other.is_lasting());
    }

    #[test]
    fn what_several_pods_are_refused_for_is_quoted_once() {
        assert!(error(&[]).is_none());
        let refusal = |said: &str| Refusal {
            said: said.to_owned(),
            hint: "mend it".to_owned(),
            lasts: Lasts::UntilChanged,
        };
        let (one, other) = (refusal("no label"), refusal("too large"));
        let refused = |name: &str, refusal| Refused {
            what: format!("the pods of `{name}`"),
            short: format!("`{name}`"),
            object: format!("helm-release/n/{name}"),
            refusal,
        };
        let error = error(&[refused("a", &one), refused("b", &one), refused("c", &other)]);
        let document = error.unwrap().document();
        assert!(
            document.message.contains("refuses the pods of `a`"),
            "{}",
            document.message
        );
        assert_eq!(document.message.matches("no label").count(), 1);
        assert!(document.message.contains("`b` too, for the same reason"));
        assert!(document.message.ends_with("`c` too: too large"));
        assert_eq!(document.hint.as_deref(), Some("mend it"));
    }
}
