//! That the runners of a pool are online at GitHub, by name, with the labels the pool promises.

use std::collections::HashSet;

use serde_json::json;

use super::{
    Registration,
    context::{Context, scope},
    difference::Difference,
    observed::{Observed, Present, Readiness},
};
use crate::{
    clients::{
        github::Runner,
        kube::{Selection, Target},
    },
    error::Result,
};

const RUNNERS: &str = "actions.summerwind.dev/v1alpha1";

impl Registration {
    /// Whether the runners are online; after a rotation also whether one of them has registered since.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let open = context.rotation().is_open();
        if open && !context.rotation().is_accepted() {
            context
                .github
                .registration(scope(&context.profile)?)
                .await?;
            context.rotation().accept();
        }
        let readiness = self.readiness(context).await?;
        let mut present = Present::same(readiness);
        if !open || self.min == 0 || present.readiness != Readiness::Ready {
            return Ok(Observed::Present(present));
        }
        let before = match context.rotation().before(&self.pool) {
            None => None,
            Some(None) => return Ok(Observed::Present(present)),
            Some(Some(before)) => Some(before.clone()),
        };
        let Some(before) = before else {
            if self.idle(context).await?.is_none() {
                present.readiness = Readiness::progressing(format!(
                    "all runners of pool `{}` are busy: one that is idle is replaced, to prove the new credential",
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

    /// Deletes one idle runner, so that the controller registers another with the new credential. The controller waits
    /// for a job that comes in between.
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

    /// A runner of the pool that is online and has no job.
    async fn idle(&self, context: &Context) -> Result<Option<String>> {
        let mine = self.names(context).await?;
        let idle = |it: &&Runner| it.status == "online" && !it.busy && mine.contains(&it.name);
        Ok(context
            .runners()
            .await?
            .iter()
            .find(idle)
            .map(|it| it.name.clone()))
    }

    /// Asks GitHub; pod names are runner names (reference: arc.md 2.1).
    pub async fn readiness(&self, context: &Context) -> Result<Readiness> {
        let pods = match self.newest_pods(context).await? {
            Ok(pods) => pods,
            Err(_) if self.min == 0 => return Ok(Readiness::Ready),
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
        let wanted = usize::try_from(self.min).unwrap_or(usize::MAX);
        let promising = online
            .iter()
            .filter(|it| self.lacking(it).is_none())
            .count();
        if promising >= wanted {
            return Ok(Readiness::Ready);
        }
        // Only for the reason: what cannot be read of the groups is no news of the runners.
        if online.is_empty()
            && let Ok(Some((reason, hint))) = context
                .github
                .group_trouble(&context.profile, &self.pool)
                .await
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

    /// A label that the pool promises and `runner` does not have.
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
