//! Whether the runners of a scale set are online at GitHub, by name.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    objects::{is_ready, name},
    runners::{made_by, newest},
};
use crate::{
    clients::github::Runner,
    desired::resource::scale_set::ScaleSet,
    error::Result,
    resource::{context::Context, observed::Readiness},
};

impl ScaleSet {
    /// How many of its runners are online, those included that end their jobs with a former template.
    pub async fn online(&self, context: &Context) -> Result<usize> {
        let selection = self.place().of("EphemeralRunner");
        let runners = context.kube.list(&selection).await?;
        online(context, &names(runners.iter())).await
    }

    /// Whether at least the minimum in force is online, of the runners that are proven (`runners`). Labels are not compared:
    /// GitHub's list does not have those of a scale set (reference: scale-sets.md 4).
    pub(crate) async fn online_readiness(&self, context: &Context) -> Result<Readiness> {
        let wanted = usize::try_from(self.minimum_now()).unwrap_or(usize::MAX);
        if wanted == 0 {
            return Ok(Readiness::Ready);
        }
        let place = self.place();
        let (of_sets, of_runners) = (place.of("EphemeralRunnerSet"), place.of("EphemeralRunner"));
        let (sets, runners) =
            tokio::try_join!(context.kube.list(&of_sets), context.kube.list(&of_runners))?;
        let own = newest(&sets).into_iter();
        let mine = names(own.flat_map(|set| made_by(set, &runners)));
        let online = online(context, &mine).await?;
        if online >= wanted {
            return Ok(Readiness::Ready);
        }
        Ok(Readiness::progressing(format!(
            "{online} of {wanted} runners of scale set `{}` are online at GitHub",
            self.name
        )))
    }
}

/// The names of those of `runners`, `EphemeralRunners`, that are ready: GitHub has them under the same names.
fn names<'a>(runners: impl Iterator<Item = &'a Value>) -> HashSet<&'a str> {
    runners.filter(|it| is_ready(it)).map(name).collect()
}

/// How many runners with these names are online.
async fn online(context: &Context, names: &HashSet<&str>) -> Result<usize> {
    if names.is_empty() {
        return Ok(0);
    }
    let is_online = |it: &&Runner| it.status == "online" && names.contains(it.name.as_str());
    Ok(context.runners().await?.iter().filter(is_online).count())
}
