//! Makes room for a pool's newest runners, by removing runners of an earlier template that never started.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    earlier::{Earlier, earlier, hash},
    lack::{Lack, lack, lacks_room},
    leaving::{count, listed},
    running::{Newest, RUNNERS},
};
use crate::{
    clients::kube::{Selection, Target},
    desired::resource::Registration,
    diff::Difference,
    error::{ErrorKind, Result},
    resource::{
        context::Context,
        kubernetes::access::to_make_room,
        observed::{Observed, Present, Readiness},
        pods::{dry_run::Trial, refusal::Lasts},
    },
};

/// How to get room for the newest runners.
enum Room {
    /// No earlier template blocks it, or no room is needed.
    Free,
    /// Remove these: none has ever had a job.
    Make(Earlier),
    /// Runners that block it, and how a user can remove them.
    Held(String, String),
}

impl Registration {
    /// Whether enough pods run, and which runners that never started would be removed for them.
    pub(crate) async fn observe_pods(&self, context: &Context) -> Result<Observed> {
        let newest = self.newest(context).await?;
        let readiness = self.pods_readiness(context, newest.as_ref()).await?;
        let mut present = Present::same(readiness);
        let known = matches!(
            present.readiness,
            Readiness::Ready
                | Readiness::Stuck {
                    unauthorized: true,
                    ..
                }
        );
        let Ok(newest) = newest else {
            return Ok(Observed::Present(present));
        };
        if known || self.is_left(context) {
            return Ok(Observed::Present(present));
        }
        match self.room(context, &newest).await? {
            Room::Free => {}
            Room::Make(earlier) => present.differences = vec![difference(&earlier)],
            Room::Held(who, how) => present.readiness = held(&present.readiness, &who, &how),
        }
        Ok(Observed::Present(present))
    }

    /// Removes the runners of earlier templates that never started: scales their set to zero, and then deletes each that
    /// still has not started.
    pub(crate) async fn make_room_for_pods(&self, context: &Context) -> Result<()> {
        context.forget_runners().await;
        let Ok(newest) = self.newest(context).await? else {
            return Ok(());
        };
        let Room::Make(found) = self.room(context, &newest).await? else {
            return Ok(());
        };
        for set in found.to_empty() {
            let metadata = &set["metadata"];
            let name = metadata["name"].as_str().unwrap_or_default();
            let target = Target::namespaced(RUNNERS, "RunnerReplicaSet", &self.namespace, name);
            // The controller would do the same once all new ones run, and never scales it up again.
            let patch = json!({"metadata": {"uid": metadata["uid"]}, "spec": {"replicas": 0}});
            context.kube.merge(&target, &patch).await?;
        }
        self.say_what_goes(context, &found);
        let left = self
            .earlier(context, &newest, &BTreeSet::new(), &Lack::Quota)
            .await?;
        let meant: BTreeSet<String> = found.names().into_iter().collect();
        for (version, kind, objects) in [
            ("v1", "Pod", &left.pods),
            (RUNNERS, "Runner", &left.runners),
        ] {
            for live in objects {
                let name = live["metadata"]["name"].as_str().unwrap_or_default();
                if meant.contains(name) {
                    let target = Target::namespaced(version, kind, &self.namespace, name);
                    context.kube.delete_exactly(&target, live).await?;
                }
            }
        }
        Ok(())
    }

    /// Reports once what is removed: a second read may find changed objects.
    fn say_what_goes(&self, context: &Context, found: &Earlier) {
        let id = format!("runner-pods/{}/{}", self.namespace, self.pool);
        if context.remarks.of(&id).is_none() {
            let names = found.names();
            let said = format!(
                "{} of an earlier template that never started made room for the new ones of pool `{}`: {}",
                count(names.len()),
                self.pool,
                listed(&names)
            );
            context.remarks.say(&id, Some(said));
        }
    }

    async fn room(&self, context: &Context, newest: &Newest) -> Result<Room> {
        if newest.sets.iter().all(|it| hash(it) == newest.hash) {
            return Ok(Room::Free);
        }
        let Some(lack) = self.lack(context, newest).await? else {
            return Ok(Room::Free);
        };
        let mut found = self
            .earlier(context, newest, &BTreeSet::new(), &lack)
            .await?;
        if found.is_to_go() {
            // If GitHub cannot be called, a runner does not count as unregistered.
            let why_not = match context.runners().await {
                Err(error) => Some(format!(
                    "arcctl leaves them, since whether GitHub knows them could not be found out ({})",
                    error.message
                )),
                Ok(all) => {
                    let names = all.iter().map(|it| it.name.clone()).collect();
                    found = self.earlier(context, newest, &names, &lack).await?;
                    if !found.is_to_go() {
                        None
                    } else if self.may_make_room(context).await? {
                        return Ok(Room::Make(found));
                    } else {
                        Some("arcctl leaves them, since this user may not patch runnerreplicasets or delete runners and pods (docs/rbac.yaml has these rights)".to_owned())
                    }
                }
            };
            if let Some(why_not) = why_not {
                let who = format!(
                    "{} of the pool's earlier template never started and hold their room: {}; {why_not}",
                    count(found.names().len()),
                    listed(&found.names())
                );
                let how = format!("remove them: {}", found.removal(&self.namespace));
                return Ok(Room::Held(who, how));
            }
        }
        Ok(found
            .others(&self.namespace)
            .map_or(Room::Free, |(who, how)| Room::Held(who, how)))
    }

    /// What the newest pods lack because other pods use it: nodes or a quota. Without the permission to read nodes, the
    /// result is `None`.
    async fn lack(&self, context: &Context, newest: &Newest) -> Result<Option<Lack>> {
        if let Some(pod) = newest.pods.iter().find(|it| lacks_room(it)) {
            return match context.kube.list(&Selection::all("v1", "Node")).await {
                Ok(nodes) => Ok(lack(pod, &nodes)),
                Err(error) if error.kind == ErrorKind::Unauthorized => Ok(None),
                Err(error) => Err(error),
            };
        }
        let wanted = usize::try_from(self.min_now()).unwrap_or(usize::MAX);
        let is_full = newest.pods.len() < wanted
            && matches!(
                Box::pin(self.try_now(context)).await,
                Trial::Refused(refusal) if refusal.lasts == Lasts::UntilRoom
            );
        Ok(is_full.then_some(Lack::Quota))
    }

    async fn earlier(
        &self,
        context: &Context,
        newest: &Newest,
        at_github: &BTreeSet<String>,
        lack: &Lack,
    ) -> Result<Earlier> {
        let (sets, runners, pods) = self.objects(context).await?;
        let all = (&sets[..], &runners[..], &pods[..]);
        Ok(earlier(&newest.hash, all, at_github, lack))
    }

    async fn may_make_room(&self, context: &Context) -> Result<bool> {
        let rights = to_make_room(&self.namespace);
        let answers = rights
            .iter()
            .map(|it| async move { context.kube.allows(&it.review()).await });
        let answers = futures::future::try_join_all(answers).await?;
        Ok(answers.into_iter().all(|it| it))
    }
}

fn difference(earlier: &Earlier) -> Difference {
    Difference {
        path: "room".into(),
        from: json!(format!(
            "held by runners of an earlier template that never started: {}",
            listed(&earlier.names())
        )),
        to: json!("free: they are removed"),
    }
}

/// The lack of the pod itself comes first in the message.
fn held(readiness: &Readiness, who: &str, how: &str) -> Readiness {
    let reason = readiness.reason().unwrap_or_default();
    let hint = match readiness {
        Readiness::Stuck { hint, .. } if !hint.is_empty() => format!("{hint}; or {how}"),
        _ => how.to_owned(),
    };
    Readiness::stuck(format!("{reason}; {who}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheduler_s_words_and_advice_come_first() {
        let said = Readiness::stuck("2 Insufficient cpu", "add nodes that fit");
        let Readiness::Stuck { reason, hint, .. } = held(&said, "`old` has it", "let it go") else {
            panic!("it is stuck");
        };
        assert_eq!(reason, "2 Insufficient cpu; `old` has it");
        assert_eq!(hint, "add nodes that fit; or let it go");
    }
}
