//! The GitHub accounts of pools with another scope or credential than the profile's.

use std::sync::Arc;

use crate::{
    clients::{
        credential::Credential,
        github::{GitHub, Runner},
        requests::Counts,
    },
    error::Result,
    profile::Profile,
    resource::context::{Context, scope},
};

/// The GitHub account of pools that have their own.
pub struct Account {
    /// The profile with this GitHub account instead of its own, and only these pools.
    pub part: Profile,
    /// A client with their credential.
    pub github: GitHub,
    /// The credential for their Secrets.
    pub credential: Credential,
}

impl Account {
    /// Whether it is the account of a pool.
    fn has(&self, pool: &str) -> bool {
        self.part.pools.iter().any(|it| it.name == pool)
    }
}

impl Context {
    fn account(&self, pool: &str) -> Option<&Account> {
        self.accounts.iter().find(|it| it.has(pool))
    }

    /// Whether a pool has its own GitHub account.
    pub fn has_own_account(&self, pool: &str) -> bool {
        self.account(pool).is_some()
    }

    /// The credential of a pool's runners.
    pub fn credential_of(&self, pool: &str) -> &Credential {
        self.account(pool)
            .map_or(&self.credential, |it| &it.credential)
    }

    /// The client for a pool's runners, and the profile for that client.
    pub fn github_of(&self, pool: &str) -> (&GitHub, &Profile) {
        self.account(pool)
            .map_or((&self.github, &self.profile), |it| (&it.github, &it.part))
    }

    /// The runners of all accounts, those of the profile's own first. Their names are pod names, so they are
    /// unique.
    pub(crate) async fn list_runners(&self) -> Result<Arc<Vec<Runner>>> {
        let own = self.github.runners(scope(&self.profile)?);
        let others = self
            .accounts
            .iter()
            .map(|it| async move { it.github.runners(scope(&it.part)?).await });
        let (own, others) = tokio::try_join!(own, futures::future::try_join_all(others))?;
        let mut all = own;
        all.extend(others.into_iter().flatten());
        Ok(Arc::new(all))
    }

    /// Removes a runner at the GitHub account that lists it.
    pub async fn remove_runner(&self, runner: &Runner) -> Result<crate::clients::github::Removed> {
        for account in &self.accounts {
            let scope = scope(&account.part)?;
            let there = account.github.runners(scope).await?;
            if there
                .iter()
                .any(|it| it.id == runner.id && it.name == runner.name)
            {
                return account.github.remove_runner(scope, runner.id).await;
            }
        }
        let scope = scope(&self.profile)?;
        self.github.remove_runner(scope, runner.id).await
    }

    /// The counts of GitHub calls of all accounts.
    pub fn github_requests(&self) -> Counts {
        let others = self.accounts.iter().map(|it| it.github.requests.snapshot());
        others.fold(self.github.requests.snapshot(), |sum, it| Counts {
            reads: sum.reads + it.reads,
            writes: sum.writes + it.writes,
        })
    }
}
