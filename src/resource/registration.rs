//! That the runners of a pool are online at GitHub, by name, with the labels the pool promises.

use std::collections::HashSet;

use super::{Registration, context::Context, observed::Readiness};
use crate::{clients::github::Runner, error::Result};

impl Registration {
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
