//! What is checked before the first write of a run, and what shows that the new pool has a runner.

use super::steps::{Place, Work};
use crate::{
    cli::commands::smoke::{self, SmokeArgs},
    error::Result,
    migration::{Next, peaks::minimum_at},
    report,
    run::READING,
    session::{lock, teardown::advice},
};

impl Work<'_> {
    /// Fails if a run that begins with `first` is refused, before it writes anything.
    pub(super) async fn check(&mut self, place: &Place, first: &Next) -> Result<()> {
        let migration = &place.migration;
        if let Some(goes) = migration.goes() {
            let own = advice::refuse_runner_of(&place.kube, (&migration.from.namespace, goes));
            self.limit.within(READING, own).await?;
        }
        // A pool that is put into the profile is compared with the lock when that is known to be possible.
        if matches!(first, Next::Add(_)) || lock::read(self.global)?.is_none() {
            return Ok(());
        }
        Box::pin(self.open(place.file.clone())).await?.lock.check()
    }

    /// Whether a runner of the new pool has started: by its minimum, or by the job of `--smoke`. Without one it is not known
    /// that one can start, and both pools stay, which is said.
    pub(super) fn has_had_a_runner(&self, place: &Place) -> bool {
        let migration = &place.migration;
        let new = place
            .file
            .profile
            .pool(&migration.from.namespace, &migration.to);
        let minimum = new.map_or(0, |it| minimum_at(it, jiff::Timestamp::now()));
        if minimum > 0 || self.args.smoke.is_some() {
            return true;
        }
        self.output.note(format!(
            "advice: the minimum of pool `{}` in force is 0, so none of its runners has started: both pools are kept; set a minimum, or run the command again with `--smoke OWNER/NAME`",
            migration.to
        ));
        false
    }

    /// Has a job run on the new pool, if a repository with the workflow is named.
    pub(super) async fn smoke(&self, place: &Place) -> Result<()> {
        let Some(repository) = &self.args.smoke else {
            return Ok(());
        };
        let args = SmokeArgs::of_pool(
            place.migration.to.clone(),
            repository.clone(),
            self.args.token_env.clone(),
            self.limit.rest(),
        );
        let ended = Box::pin(smoke::ended(&args, self.global, self.output)).await?;
        self.output.note(report::smoke::text(&ended).trim_end());
        ended.error.map_or(Ok(()), Err)
    }
}
