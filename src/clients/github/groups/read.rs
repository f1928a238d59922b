//! Reads the runner groups of a scope, and the organizations or repositories with access to `selected` groups.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{GroupFindings, RunnerGroup};
use crate::{
    clients::github::{GitHub, groups, runners::PAGE, scope::prefix},
    error::{Error, Result},
    profile::{Profile, Scope},
};

/// How long the groups are cached: short, because users change them by hand and then check the result.
const AGE: Duration = Duration::from_secs(10);

/// The cached groups.
pub(crate) type Groups = tokio::sync::Mutex<Option<(Instant, Arc<Vec<RunnerGroup>>)>>;

#[derive(Deserialize)]
pub(crate) struct Page<T> {
    total_count: usize,
    #[serde(
        alias = "runner_groups",
        alias = "organizations",
        alias = "repositories"
    )]
    pub(crate) items: Vec<T>,
}

/// A runner group to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedGroup {
    /// Its name.
    pub name: String,
    /// Whether it is the group of runners without one.
    pub default: bool,
    /// Whether only selected organizations, repositories or workflows can use it.
    pub restricted: bool,
}

impl GitHub {
    /// The runner groups of `scope` without those that it inherits; none for a repository, which has no groups.
    pub async fn named_groups(&self, scope: Scope<'_>) -> Result<Vec<NamedGroup>> {
        if matches!(scope, Scope::Repository(_)) {
            return Ok(Vec::new());
        }
        let groups = self.runner_groups(scope).await?;
        let own = groups.into_iter().filter(|it| !it.inherited);
        let named = own.map(|it| NamedGroup {
            restricted: it.visibility == "selected" || it.restricted_to_workflows,
            name: it.name,
            default: it.default,
        });
        Ok(named.collect())
    }

    /// The errors and advice on the groups of `profile`.
    pub async fn group_findings(&self, profile: &Profile) -> Result<GroupFindings> {
        let Some(groups) = self.groups_of(profile).await? else {
            return Ok(GroupFindings::default());
        };
        Ok(groups::judge(profile, &groups, &self.server))
    }

    /// The error for `findings`, where something is broken.
    pub fn group_error(&self, profile: &Profile, findings: &GroupFindings) -> Option<Error> {
        groups::error(findings, profile.github.scope()?, &self.server)
    }

    /// Why the groups prevent the runners of `pool` from registering or from getting jobs, and the hint.
    pub async fn group_trouble(
        &self,
        profile: &Profile,
        pool: &str,
    ) -> Result<Option<(String, String)>> {
        let (Some(scope), Some(groups)) = (profile.github.scope(), self.groups_of(profile).await?)
        else {
            return Ok(None);
        };
        let trouble = groups::trouble(profile, pool, &groups, &self.server);
        Ok(trouble.map(|it| (it, groups::hint(scope, &self.server))))
    }

    /// The groups; `None` where the scope has no groups.
    async fn groups_of(&self, profile: &Profile) -> Result<Option<Arc<Vec<RunnerGroup>>>> {
        let scope = match profile.github.scope() {
            None | Some(Scope::Repository(_)) => return Ok(None),
            Some(scope) => scope,
        };
        let mut known = self.groups.lock().await;
        if let Some((taken, groups)) = known.as_ref()
            && taken.elapsed() < AGE
        {
            return Ok(Some(Arc::clone(groups)));
        }
        let mut groups = self.runner_groups(scope).await?;
        let pools = profile.pools.iter();
        let used = pools.filter_map(|it| groups::named(&groups, it.group.as_deref()));
        let used: BTreeSet<u64> = used.map(|it| it.id).collect();
        for group in &mut groups {
            if used.contains(&group.id) && group.visibility == "selected" {
                group.admitted = Some(self.admitted(scope, group.id).await?);
            }
        }
        let groups = Arc::new(groups);
        *known = Some((Instant::now(), Arc::clone(&groups)));
        Ok(Some(groups))
    }

    /// The groups of `scope`, without their organizations or repositories.
    pub(super) async fn runner_groups(&self, scope: Scope<'_>) -> Result<Vec<RunnerGroup>> {
        let path = format!("{}/actions/runner-groups", prefix(scope));
        self.all(&path, scope).await
    }

    /// The members with access to a group: organizations by login, repositories as OWNER/NAME.
    pub(super) async fn admitted(&self, scope: Scope<'_>, id: u64) -> Result<Vec<String>> {
        let (list, key) = match scope {
            Scope::Enterprise(_) => ("organizations", "login"),
            Scope::Organization(_) | Scope::Repository(_) => ("repositories", "full_name"),
        };
        let path = format!("{}/actions/runner-groups/{id}/{list}", prefix(scope));
        let items: Vec<Value> = self.all(&path, scope).await?;
        let name = |it: &Value| it[key].as_str().map(str::to_owned);
        Ok(items.iter().filter_map(name).collect())
    }

    /// All items of a short list.
    async fn all<T: DeserializeOwned>(&self, path: &str, scope: Scope<'_>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        for number in 1.. {
            let path = format!("{path}?per_page={PAGE}&page={number}");
            let answer = self.call(&Method::GET, &path, scope).await?;
            let page: Page<T> = self.json(&answer, "the runner groups")?;
            let full = page.items.len() >= PAGE;
            items.extend(page.items);
            if !full || items.len() >= page.total_count {
                break;
            }
        }
        Ok(items)
    }
}
