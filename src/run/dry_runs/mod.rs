//! Tries as dry runs what a run leads to: the objects that the plan writes, the pods of these, and the runners' pods. If the API
//! server rejects one, the run fails before its first write.

mod capacity;
mod objects;
mod subject;
mod together;
mod told;

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::permissions::writes;
use crate::{
    clients::kube::{Selection, Target},
    desired::{
        Desired, Goal,
        resource::{Id, Resource},
    },
    error::{Error, Result},
    observe::CONCURRENT,
    plan::{Plan, consequence::makes_pods},
    resource::pods::{
        dry_run::{self, Refused, Trial},
        new_namespace::{Foreseen, StandIn},
        parts::PartPod,
        quotas::Quotas,
        refusal::{Refusal, missing_account},
    },
    session::Session,
    terminal::output::Output,
};
use objects::Objects;
use subject::{Subject, parts};
use together::{Together, together};

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
    /// The quotas that admit the pods of a namespace one by one, and can never hold all of them.
    together: Vec<Together>,
    /// The namespaces whose quotas could not be read.
    unread: Vec<(String, Error)>,
    /// The objects that the plan writes.
    objects: Objects,
    /// The quotas of the namespaces, as they are when the first pod in each is tried.
    quotas: Quotas,
}

/// Dry-runs a pod of each pool. Resources that an earlier step creates do not count as missing.
pub(crate) async fn try_pods(session: &Session) -> Trials<'_> {
    let pools = session.desired.iter().filter_map(|it| match &it.resource {
        Resource::RunnerPods(pool) if it.goal == Goal::Present => Some(pool.clone()),
        Resource::ScaleSetRunners(set) if it.goal == Goal::Present => Some(set.as_pool()),
        _ => None,
    });
    let pools = pools.map(Subject::Pool).collect();
    let mut trials = Trials {
        session,
        tried: Vec::new(),
        unknown: Vec::new(),
        together: Vec::new(),
        unread: Vec::new(),
        objects: Objects::default(),
        quotas: Quotas::default(),
    };
    trials.add(pools).await;
    trials
}

impl Trials<'_> {
    /// Dry-runs the objects that `plan` writes and the other pods that it leads to, and reports what does not end a run.
    pub(crate) async fn finish(&mut self, plan: &Plan, output: Output) {
        self.try_written(plan).await;
        self.tell(plan, output);
        Box::pin(self.tell_capacity(plan, output)).await;
    }

    /// Dry-runs what `plan` writes, and the pods of that. A chart is rendered once for both.
    async fn try_written(&mut self, plan: &Plan) {
        let objects = Objects::of(self.session, plan);
        let (objects, ()) = tokio::join!(Box::pin(objects), Box::pin(self.try_parts(plan)));
        self.objects = objects;
    }

    /// Dry-runs the pods of what `plan` writes besides the pools: of the charts, the schedules and the listeners.
    async fn try_parts(&mut self, plan: &Plan) {
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
        self.try_together(plan).await;
    }

    /// Compares the quotas of each namespace in which `plan` has pods made with all pods in it that were tried. A namespace
    /// that does not exist yet has no quota.
    async fn try_together(&mut self, plan: &Plan) {
        let kube = &self.session.context.kube;
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        let made = self
            .tried
            .iter()
            .filter(|it| !matches!(it.trial, Trial::TooEarly) && self.is_made(plan, &it.subject));
        let namespaces: BTreeSet<&str> = made.map(|it| it.subject.namespace()).collect();
        for namespace in namespaces {
            let own = self.tried.iter().map(|it| &it.subject);
            let own: Vec<&Subject> = own.filter(|it| it.namespace() == namespace).collect();
            if own.len() < 2 {
                continue;
            }
            match self.quotas.of(kube, namespace).await {
                Ok(quotas) if quotas.is_empty() => {}
                Ok(quotas) => {
                    found.extend(together(&self.session.context, namespace, &quotas, &own));
                }
                Err(error) => unread.push((namespace.to_owned(), error)),
            }
        }
        self.together = found;
        self.unread = unread;
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
        let (coming, quotas) = (&coming, &self.quotas);
        let tried: Vec<Tried> = stream::iter(subjects)
            .map(|subject| async move {
                let trial = subject.try_pod(context, coming, quotas).await;
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

    /// The error of a run that writes objects, or leads to pods, that the API server rejects, with the rejection of each.
    /// Pools that `plan` does not change are ignored.
    pub(crate) fn check(&self, plan: &Plan) -> Result<()> {
        let refused = self.tried.iter().filter_map(|it| {
            let refusal = it.lasting().filter(|_| self.is_made(plan, &it.subject))?;
            Some(Refused {
                what: it.subject.pods(),
                short: it.subject.short(),
                object: it.subject.object(),
                refusal,
            })
        });
        let mut refused: Vec<Refused> = refused.chain(self.objects.refused()).collect();
        if refused.is_empty() {
            refused.extend(self.together.iter().filter_map(|it| {
                let mut own = self.tried.iter().map(|tried| &tried.subject);
                let made = own.find(|subject| {
                    subject.namespace() == it.namespace && self.is_made(plan, subject)
                })?;
                Some(Refused {
                    what: format!("the pods of namespace `{}` together", it.namespace),
                    short: format!("namespace `{}`", it.namespace),
                    object: made.object(),
                    refusal: &it.refusal,
                })
            }));
        }
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
}

/// How long a new namespace may need to get its service account `default`: an instant, or longer in a busy cluster.
const ACCOUNT_COMES: Duration = Duration::from_secs(30);

/// Repeats the dry runs once a run has made the namespaces `made`, before it installs anything, and reports what could still not
/// be found out. Until a namespace has its service account `default`, the API server checks nothing else of a pod.
pub(crate) async fn check_again(
    session: &Session,
    plan: &Plan,
    made: &BTreeSet<String>,
    output: Output,
) -> Result<()> {
    let mut trials = try_pods(session).await;
    trials.try_written(plan).await;
    let without = trials.without_account().into_iter();
    let without: Vec<String> = without.map(str::to_owned).collect();
    if !without.is_empty() {
        for namespace in &without {
            // If it does not appear, or cannot be read, the wait for the pods reports that.
            let _waited = timeout(ACCOUNT_COMES, account_comes(session, namespace)).await;
        }
        let objects = trials.objects;
        trials = try_pods(session).await;
        trials.try_parts(plan).await;
        trials.objects = objects;
    }
    trials.tell_again(plan, made, output);
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
