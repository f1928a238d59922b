//! Creates the pods that a run leads to as a dry run: the runners', and those of what the plan writes. If the API server
//! rejects one, the run fails before its first write.

use std::{collections::BTreeSet, pin::pin, slice, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::permissions::writes;
use crate::{
    clients::kube::{Selection, Target},
    desired::{
        Desired, Goal,
        resource::{HelmRelease, Id, Registration, Resource, scale_set::ScaleSet},
        scale_set::values::listener_pod,
    },
    error::{Error, Result},
    observe::CONCURRENT,
    plan::{Plan, consequence::makes_pods},
    resource::{
        context::Context,
        helm::manifest::objects,
        pods::{
            dry_run::{self, Refused, Trial},
            new_namespace::{Foreseen, STAND_IN, StandIn},
            parts::{Part, PartPod, of_objects},
            refusal::{Refusal, missing_account},
        },
    },
    session::Session,
    terminal::output::Output,
};

/// Whose pod is tried.
enum Subject {
    /// A runner's.
    Pool(Registration),
    /// Of a controller, a listener or a schedule.
    Part(PartPod),
}

impl Subject {
    fn namespace(&self) -> &str {
        match self {
            Self::Pool(pool) => &pool.namespace,
            Self::Part(part) => part.namespace(),
        }
    }

    /// The id of the resource that waits for the pods.
    fn object(&self) -> String {
        match self {
            Self::Pool(pool) => format!("runner-pods/{}/{}", pool.namespace, pool.pool),
            Self::Part(part) => part.id.to_string(),
        }
    }

    fn short(&self) -> String {
        match self {
            Self::Pool(pool) => format!("pool `{}`", pool.pool),
            Self::Part(part) => format!("`{}`", part.maker),
        }
    }

    fn pods(&self) -> String {
        match self {
            Self::Pool(pool) => format!("the runner pods of pool `{}`", pool.pool),
            Self::Part(part) => format!("the pods of `{}`", part.maker),
        }
    }

    async fn try_pod(&self, context: &Context, coming: &BTreeSet<String>) -> Trial {
        match self {
            Self::Pool(pool) => pool.try_pod(context, coming).await,
            Self::Part(part) => part.try_pod(context).await,
        }
    }

    async fn foresee(&self, context: &Context, stand_in: &StandIn) -> Foreseen {
        match self {
            Self::Pool(pool) => pool.foresee(context, stand_in).await,
            Self::Part(part) => part.foresee(context, stand_in).await,
        }
    }
}

/// What a dry run has shown.
struct Tried {
    subject: Subject,
    trial: Trial,
    /// What is foreseen where the namespace does not exist yet.
    foreseen: Option<Foreseen>,
}

impl Tried {
    /// Why the pods would be refused until something is changed.
    fn lasting(&self) -> Option<&Refusal> {
        match (&self.trial, &self.foreseen) {
            (Trial::Refused(refusal), _) | (_, Some(Foreseen::Refused(refusal))) => {
                Some(refusal).filter(|it| it.is_lasting())
            }
            _ => None,
        }
    }
}

/// The dry-run results.
pub(crate) struct Trials<'a> {
    session: &'a Session,
    tried: Vec<Tried>,
    /// What could not be rendered, so that its pods are not known.
    unknown: Vec<(Id, Error)>,
}

/// Dry-runs a pod of each pool. Resources that an earlier step creates do not count as missing.
pub(crate) async fn try_pods(session: &Session) -> Trials<'_> {
    let pools = session.desired.iter().filter_map(|it| match &it.resource {
        Resource::RunnerPods(pool) if it.goal == Goal::Present => Some(pool.clone()),
        Resource::ScaleSetRunners(set) if it.goal == Goal::Present => Some(as_pool(set)),
        _ => None,
    });
    let pools = pools.map(Subject::Pool).collect();
    let mut trials = Trials {
        session,
        tried: Vec::new(),
        unknown: Vec::new(),
    };
    trials.add(pools).await;
    trials
}

/// What a dry run needs of a scale set.
fn as_pool(set: &ScaleSet) -> Registration {
    Registration {
        namespace: set.namespace.clone(),
        pool: set.name.clone(),
        min: set.min,
        schedule: set.schedule.clone(),
        labels: set.labels.clone(),
    }
}

/// The pods that a resource of the plan would have made.
async fn parts(context: &Context, desired: &Desired) -> Result<Vec<PartPod>> {
    match &desired.resource {
        Resource::Release(release) => {
            let Some(part) = Part::of_chart(&release.chart.name) else {
                return Ok(listener(context, desired, release).into_iter().collect());
            };
            let text = context.helm.render(release, context.kubernetes).await?;
            let objects = objects(&text, &format!("chart `{}`", release.chart.name))?;
            Ok(of_objects(part, &desired.id, &objects, &release.namespace))
        }
        Resource::Object(object) => {
            let namespace = desired.id.namespace().unwrap_or_default();
            let objects = slice::from_ref(&object.manifest);
            Ok(of_objects(Part::Own, &desired.id, objects, namespace))
        }
        _ => Ok(Vec::new()),
    }
}

/// The pod of the listener of a scale set's release. A profile without a valid one has its own error.
fn listener(context: &Context, desired: &Desired, release: &HelmRelease) -> Option<PartPod> {
    let profile = &context.profile;
    let pool = profile.pool(&release.namespace, &release.name)?;
    Some(PartPod {
        part: Part::Listener,
        id: desired.id.clone(),
        maker: format!("AutoscalingListener/{}", pool.name),
        pods: 1,
        pod: listener_pod(profile, pool).ok()?,
    })
}

impl Trials<'_> {
    /// Dry-runs the pods of what `plan` writes besides the pools: of the charts, the schedules and the listeners.
    pub(crate) async fn try_parts(&mut self, plan: &Plan) {
        let session = self.session;
        let written: Vec<&Desired> = session
            .desired
            .iter()
            .filter(|it| it.goal == Goal::Present && writes(plan, it))
            .collect();
        let found: Vec<(Id, Result<Vec<PartPod>>)> = stream::iter(written)
            .map(|it| async move { (it.id.clone(), parts(&session.context, it).await) })
            .buffered(CONCURRENT)
            .collect()
            .await;
        let mut subjects = Vec::new();
        for (id, found) in found {
            match found {
                Ok(pods) => subjects.extend(pods.into_iter().map(Subject::Part)),
                Err(error) => self.unknown.push((id, error)),
            }
        }
        self.add(subjects).await;
    }

    /// Tries the pods, and finds out what it can of those whose namespace does not exist yet.
    async fn add(&mut self, subjects: Vec<Subject>) {
        let session = self.session;
        let context = &session.context;
        let coming: BTreeSet<String> = session
            .desired
            .iter()
            .filter(|it| it.goal == Goal::Present)
            .map(|it| it.id.to_string())
            .collect();
        let coming = &coming;
        let tried: Vec<Tried> = stream::iter(subjects)
            .map(|subject| async move {
                let trial = subject.try_pod(context, coming).await;
                Tried {
                    subject,
                    trial,
                    foreseen: None,
                }
            })
            .buffered(CONCURRENT)
            .collect()
            .await;
        if !tried.iter().any(|it| matches!(it.trial, Trial::TooEarly)) {
            self.tried.extend(tried);
            return;
        }
        let stand_in = &StandIn::read(context).await;
        let tried: Vec<Tried> = stream::iter(tried)
            .map(|mut it| async move {
                if matches!(it.trial, Trial::TooEarly) {
                    it.foreseen = Some(it.subject.foresee(context, stand_in).await);
                }
                it
            })
            .buffered(CONCURRENT)
            .collect()
            .await;
        self.tried.extend(tried);
    }

    /// The error of a run that creates or changes pods that the API server rejects, with the rejection of each.
    /// Pools that `plan` does not change are ignored.
    pub(crate) fn check(&self, plan: &Plan) -> Result<()> {
        let refused = self.tried.iter().filter_map(|it| {
            let refusal = it.lasting().filter(|_| self.is_made(plan, &it.subject))?;
            Some(Refused {
                pods: it.subject.pods(),
                short: it.subject.short(),
                object: it.subject.object(),
                refusal,
            })
        });
        let refused: Vec<Refused> = refused.collect();
        match dry_run::error(&refused) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The namespaces without a service account `default`.
    fn without_account(&self) -> BTreeSet<&str> {
        let lacks = |trial: &Trial| match trial {
            Trial::Refused(refusal) => {
                missing_account(&refusal.said).is_some_and(|it| it.ends_with("/default"))
            }
            _ => false,
        };
        let lacking = self.tried.iter().filter(|it| lacks(&it.trial));
        lacking.map(|it| it.subject.namespace()).collect()
    }

    /// Whether `plan` creates pods from the profile: not for what is adopted unchanged. Parts are only tried where it writes.
    fn is_made(&self, plan: &Plan, subject: &Subject) -> bool {
        match subject {
            Subject::Pool(pool) => {
                !pool.is_left(&self.session.context)
                    && makes_pods(plan, &pool.namespace, &pool.pool)
            }
            Subject::Part(part) => {
                let remarks = &self.session.context.remarks;
                remarks.deferred(part.id.as_str()).is_none()
            }
        }
    }

    /// Reports rejections that may be temporary, that do not affect this plan, or that are unknown. An exhausted quota is
    /// not reported for a pool whose runners exist.
    pub(crate) fn tell(&self, plan: &Plan, output: Output) {
        for tried in &self.tried {
            if let Some(advice) = self.advice(plan, tried) {
                output.note(format!("advice: {advice}"));
            }
        }
        for (id, error) in &self.unknown {
            output.note(format!(
                "advice: whether the API server takes the pods of `{id}` could not be found out: {}",
                error.message
            ));
        }
    }

    fn advice(&self, plan: &Plan, tried: &Tried) -> Option<String> {
        let subject = &tried.subject;
        let pods = subject.pods();
        let object = subject.object();
        let is_ready = plan.steps.iter().any(|it| it.id == object && it.ready);
        match &tried.trial {
            Trial::Refused(refusal) if refusal.is_lasting() => {
                let new = pods.replacen("the runner pods", "new runner pods", 1);
                (!self.is_made(plan, subject)).then(|| {
                    format!(
                        "the API server refuses {new}: {}; the pods that run stay, and others come only after this: {}",
                        refusal.said, refusal.hint
                    )
                })
            }
            Trial::Refused(refusal) => (!is_ready).then(|| {
                format!(
                    "at this moment the API server refuses {pods}: {}. It may pass by itself; if not: {}",
                    refusal.said, refusal.hint
                )
            }),
            Trial::Unknown(error) => Some(format!(
                "whether the API server takes {pods} could not be found out: {}",
                error.document().message
            )),
            Trial::TooEarly => told_of_new(subject, tried.foreseen.as_ref()?),
            Trial::Admitted => None,
        }
    }
}

/// What is told of pods whose namespace does not exist yet, where it is no refusal.
fn told_of_new(subject: &Subject, foreseen: &Foreseen) -> Option<String> {
    let (pods, namespace) = (subject.pods(), subject.namespace());
    match foreseen {
        Foreseen::Nothing | Foreseen::Refused(_) => None,
        Foreseen::Perhaps(refusal) => Some(format!(
            "the API server would refuse {pods} in namespace `{STAND_IN}`: {}; namespace `{namespace}` does not exist yet, so whether that holds there could not be found out; if so: {}",
            refusal.said, refusal.hint
        )),
        Foreseen::Unknown(why) => Some(format!(
            "whether the API server takes {pods} could not be found out, because namespace `{namespace}` does not exist yet: {why}; `up` tries them once it has made it, before it installs anything"
        )),
    }
}

/// How long a new namespace may need to get its service account `default`: an instant, or longer in a busy cluster.
const ACCOUNT_COMES: Duration = Duration::from_secs(30);

/// Repeats the dry runs in new namespaces, before the run waits for pods. Until a namespace has its service account
/// `default`, the API server checks nothing else of a pod.
pub(crate) async fn check_pods(session: &Session, plan: &Plan) -> Result<(), Error> {
    let mut trials = try_pods(session).await;
    trials.try_parts(plan).await;
    let without = trials.without_account();
    if without.is_empty() {
        return trials.check(plan);
    }
    for namespace in without {
        // If it does not appear, or cannot be read, the wait for the pods reports that.
        let _waited = timeout(ACCOUNT_COMES, account_comes(session, namespace)).await;
    }
    let mut trials = try_pods(session).await;
    trials.try_parts(plan).await;
    trials.check(plan)
}

/// Waits until a namespace has its service account `default`.
async fn account_comes(session: &Session, namespace: &str) -> Result<()> {
    let kube = &session.context.kube;
    let account = Target::namespaced("v1", "ServiceAccount", namespace, "default");
    let accounts = Selection::namespaced("v1", "ServiceAccount", namespace);
    let mut changes = pin!(kube.changes(&[accounts]));
    while kube.get(&account).await?.is_none() && changes.next().await.is_some() {}
    Ok(())
}
