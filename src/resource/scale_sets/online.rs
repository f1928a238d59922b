//! Whether the runners of a scale set are online at GitHub, by name.

use std::collections::HashSet;

use serde_json::Value;

use super::objects::{is_ready, name};
use crate::{
    clients::github::Runner,
    desired::resource::scale_set::ScaleSet,
    error::Result,
    resource::{context::Context, observed::Readiness},
};

impl ScaleSet {
    /// The names of its runners: those of its `EphemeralRunners`.
    async fn names(&self, context: &Context) -> Result<HashSet<String>> {
        let runners = context
            .kube
            .list(&self.place().of("EphemeralRunner"))
            .await?;
        let ready = runners.iter().filter(|it: &&Value| is_ready(it));
        Ok(ready.map(|it| name(it).to_owned()).collect())
    }

    /// How many of its runners are online.
    pub async fn online(&self, context: &Context) -> Result<usize> {
        let mine = self.names(context).await?;
        if mine.is_empty() {
            return Ok(0);
        }
        let online = |it: &&Runner| it.status == "online" && mine.contains(&it.name);
        Ok(context.runners().await?.iter().filter(online).count())
    }

    /// Whether at least the minimum in force is online. Labels are not compared: GitHub's list does not have those of a
    /// scale set (reference: scale-sets.md 4).
    pub(crate) async fn online_readiness(&self, context: &Context) -> Result<Readiness> {
        let wanted = usize::try_from(self.minimum_now()).unwrap_or(usize::MAX);
        if wanted == 0 {
            return Ok(Readiness::Ready);
        }
        let online = self.online(context).await?;
        if online >= wanted {
            return Ok(Readiness::Ready);
        }
        Ok(Readiness::progressing(format!(
            "{online} of {wanted} runners of scale set `{}` are online at GitHub",
            self.name
        )))
    }
}
