//! Checks that the runners of a pool are online at GitHub, by name, with the labels of the pool.

use std::collections::HashSet;

use serde_json::json;

use crate::{
    clients::{
        github::Runner,
        kube::{Mode, Selection, Target},
    },
    desired::resource::Registration,
    diff::Difference,
    error::Result,
    resource::{
        context::{Context, scope},
        observed::{Observed, Present, Readiness},
        pods::dry_run::Trial,
        webhooks::error::short,
    },
};

const RUNNERS: &str = "actions.summerwind.dev/v1alpha1";

impl Registration {
    /// The minimum in force at a given time.
    pub fn min_at(&self, at: jiff::Timestamp) -> u32 {
        let schedule = self.schedule.as_ref();
        schedule.map_or(self.min, |it| it.min_at(self.min, at))
    }

    /// What a successful run has proven about it, for a given time.
    pub fn promise(&self, at: jiff::Timestamp) -> String {
        format!("pool {} online (at least {})", self.pool, self.min_at(at))
    }

    /// The minimum in force now.
    pub(crate) fn min_now(&self) -> u32 {
        self.min_at(jiff::Timestamp::now())
    }

    /// Whether the runners are online; after a rotation also whether one of them has registered again.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        // A pool's own credential is used without a restart: there is no rollback for it.
        let open = context.rotation().is_open() && !context.has_own_account(&self.pool);
        if open && !context.rotation().is_accepted() {
            context
                .github
                .registration(scope(&context.profile)?)
                .await?;
            context.rotation().accept();
        }
        let readiness = self.readiness(context).await?;
        let mut present = Present::same(readiness);
        if !open || self.min_now() == 0 || present.readiness != Readiness::Ready {
            return Ok(Observed::Present(present));
        }
        let before = match context.rotation().before(&self.pool) {
            None => None,
            Some(None) => return Ok(Observed::Present(present)),
            Some(Some(before)) => Some(before.clone()),
        };
        let Some(before) = before else {
            if self.refuses_more(context).await {
                return Ok(Observed::Present(present));
            }
            if let Some(refused) = self.refusal(context).await {
                present.readiness = refused;
            } else if self.idle(context).await?.is_none() {
                present.readiness = Readiness::progressing(format!(
                    "all runners of pool `{}` are busy; arcctl replaces the next idle one to verify the new credential",
                    self.pool
                ));
            } else {
                present.differences = vec![Difference {
                    path: "registered".into(),
                    from: json!("with the old credential"),
                    to: json!("with the new one"),
                }];
            }
            return Ok(Observed::Present(present));
        };
        let mine = self.names(context).await?;
        let fresh = |it: &Runner| {
            it.status == "online" && mine.contains(&it.name) && !before.contains(&it.name)
        };
        if !context.runners().await?.iter().any(fresh) {
            present.readiness = Readiness::progressing(format!(
                "no runner of pool `{}` has registered with the new credential yet",
                self.pool
            ));
        }
        Ok(Observed::Present(present))
    }

    /// Whether a deleted runner's new pod would be rejected: then no runner is deleted, and GitHub's acceptance of
    /// the new credential is the proof.
    async fn refuses_more(&self, context: &Context) -> bool {
        let trial = Box::pin(self.try_now(context)).await;
        let Trial::Refused(refusal) = trial else {
            return false;
        };
        if refusal.is_lasting() {
            let id = format!("registration/github/{}", self.pool);
            let said = format!(
                "GitHub accepts the new credential; arcctl did not replace a runner of pool `{}` to verify it, because the API server rejects new runner pods: {}",
                self.pool, refusal.said
            );
            context.remarks.say(&id, Some(said));
        }
        refusal.is_lasting()
    }

    /// Why a deleted runner could not be replaced, by a dry run: leftovers of another controller may
    /// match this namespace, but not the one where the controller's webhooks are tested.
    async fn refusal(&self, context: &Context) -> Option<Readiness> {
        let probe = json!({
            "apiVersion": RUNNERS,
            "kind": "RunnerDeployment",
            "metadata": {"generateName": "arcctl-probe-", "namespace": self.namespace},
            "spec": {"template": {"spec": {"organization": "arcctl-probe"}}},
        });
        let failure = context.kube.create(&probe, Mode::DryRun).await.err()?;
        let said = failure.said();
        Some(Readiness::progressing(format!(
            "the API server rejects new runners in namespace `{}`: {}",
            self.namespace,
            short(&said)
        )))
    }

    /// Deletes one idle runner, so that the controller registers another with the new credential. The controller waits
    /// for a job that starts in between.
    pub async fn make_room(&self, context: &Context) -> Result<()> {
        let before = self.names(context).await?;
        let Some(name) = self.idle(context).await? else {
            return Ok(());
        };
        if !context.rotation().claim(&self.pool, before) {
            return Ok(());
        }
        let runner = Target::namespaced(RUNNERS, "Runner", &self.namespace, &name);
        context.kube.delete(&runner).await
    }

    /// The names of the pool's runners.
    async fn names(&self, context: &Context) -> Result<HashSet<String>> {
        let pods: Selection = self.pods();
        let pods = context.kube.list(&pods).await?;
        let name = |it: &serde_json::Value| it["metadata"]["name"].as_str().map(str::to_owned);
        Ok(pods.iter().filter_map(name).collect())
    }

    /// How many runners of the pool are online.
    pub async fn online(&self, context: &Context) -> Result<usize> {
        let mine = self.names(context).await?;
        let online = |it: &&Runner| it.status == "online" && mine.contains(&it.name);
        Ok(context.runners().await?.iter().filter(online).count())
    }

    /// An idle online runner of the pool's newest template: one of an earlier template
    /// would not be replaced.
    async fn idle(&self, context: &Context) -> Result<Option<String>> {
        let Ok(pods) = self.newest_pods(context).await? else {
            return Ok(None);
        };
        let stays = |it: &&serde_json::Value| it["metadata"]["deletionTimestamp"].is_null();
        let name = |it: &serde_json::Value| it["metadata"]["name"].as_str().map(str::to_owned);
        let mine: HashSet<String> = pods.iter().filter(stays).filter_map(name).collect();
        let idle = |it: &&Runner| it.status == "online" && !it.busy && mine.contains(&it.name);
        Ok(context
            .runners()
            .await?
            .iter()
            .find(idle)
            .map(|it| it.name.clone()))
    }

    /// Reads the runners from GitHub; pod names are runner names (reference: arc.md 2.1).
    pub async fn readiness(&self, context: &Context) -> Result<Readiness> {
        let pods = match self.newest_pods(context).await? {
            Ok(pods) => pods,
            Err(_) if self.min_now() == 0 => return Ok(Readiness::Ready),
            Err(reason) => return Ok(reason),
        };
        let names: HashSet<&str> = pods
            .iter()
            .filter_map(|it| it["metadata"]["name"].as_str())
            .collect();
        let runners = context.runners().await?;
        let mine: Vec<&Runner> = runners
            .iter()
            .filter(|it| names.contains(it.name.as_str()))
            .collect();
        let online: Vec<&&Runner> = mine.iter().filter(|it| it.status == "online").collect();
        let wanted = usize::try_from(self.min_now()).unwrap_or(usize::MAX);
        let promising = online
            .iter()
            .filter(|it| self.is_left(context) || self.lacking(it).is_none())
            .count();
        if promising >= wanted {
            return Ok(Readiness::Ready);
        }
        // Only for the reason: an error of this call is ignored.
        if online.is_empty()
            && let (github, profile) = context.github_of(&self.pool)
            && let Ok(Some((reason, hint))) = github.group_trouble(profile, &self.pool).await
        {
            return Ok(Readiness::stuck(reason, hint));
        }
        let lacking = online
            .iter()
            .find_map(|it| Some((&it.name, self.lacking(it)?)));
        Ok(Readiness::progressing(match lacking {
            Some((runner, label)) => {
                format!("runner `{runner}` has no label `{label}` at GitHub yet")
            }
            None => format!(
                "{} of {wanted} runners of pool `{}` are online at GitHub",
                online.len(),
                self.pool
            ),
        }))
    }

    /// A label of the pool that `runner` does not have.
    fn lacking(&self, runner: &Runner) -> Option<&String> {
        let has = |label: &String| {
            runner
                .labels
                .iter()
                .any(|it| it.name.eq_ignore_ascii_case(label))
        };
        self.labels.iter().find(|label| !has(label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_that_is_told_is_the_one_in_force() {
        let schedule = json!({"timeZone": "Asia/Seoul", "windows": [
            {"name": "weekend", "from": "Sat 00:00", "to": "Mon 00:00", "min": 1}]});
        let pool = Registration {
            namespace: "actions-runner".into(),
            pool: "basic".into(),
            min: 2,
            schedule: Some(serde_json::from_value(schedule).unwrap()),
            labels: Vec::new(),
        };
        let at = |time: &str| pool.promise(time.parse().unwrap());
        // A Sunday and a Tuesday.
        assert_eq!(at("2026-11-22T03:00:00Z"), "pool basic online (at least 1)");
        assert_eq!(at("2026-11-24T03:00:00Z"), "pool basic online (at least 2)");
    }
}
