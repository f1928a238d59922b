//! The version of the runner that GitHub offers to each pool: one question for each scope.

use std::collections::BTreeMap;

use super::account::Account;
use crate::{
    clients::github::GitHub,
    error::Result,
    profile::Profile,
    resource::context::{Context, scope},
    units::runner::RunnerVersion,
};

/// The version by pool; `None`: GitHub names none.
pub type Offers = BTreeMap<String, Option<RunnerVersion>>;

/// Asks GitHub with the profile's credential and with those of its pools.
pub async fn offers(github: &GitHub, profile: &Profile, accounts: &[Account]) -> Result<Offers> {
    let own = profile.own_part();
    let parts = accounts.iter().map(|it| of(&it.github, &it.part));
    let (own, parts) = tokio::try_join!(
        Box::pin(of(github, &own)),
        futures::future::try_join_all(parts)
    )?;
    Ok(own.into_iter().chain(parts.into_iter().flatten()).collect())
}

/// The answer for the pools of one account.
async fn of(github: &GitHub, part: &Profile) -> Result<Offers> {
    if part.pools.is_empty() {
        return Ok(Offers::new());
    }
    let offered = github.offered_runner(scope(part)?).await?;
    let pools = part.pools.iter().map(|it| (it.name.clone(), offered));
    Ok(pools.collect())
}

impl Context {
    /// The version that GitHub offers to each pool.
    pub async fn offers(&self) -> Result<Offers> {
        offers(&self.github, &self.profile, &self.accounts).await
    }
}
