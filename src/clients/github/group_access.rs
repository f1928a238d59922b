//! Whether the runners of a group may take jobs of a repository.

use http::Method;
use serde::Deserialize;

use super::{GitHub, Repository, listing::PAGE, scope::prefix};
use crate::{error::Result, profile::Scope};

/// What a runner group says of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupAccess {
    /// It takes its jobs.
    Admitted,
    /// The repository, or its organization, is not among those that the group is for.
    NotSelected,
    /// The repository is public, and the group takes no jobs of public ones.
    Public,
    /// There is no such group.
    NoGroup,
}

#[derive(Deserialize)]
struct Groups {
    runner_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    id: u64,
    name: String,
    visibility: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    allows_public_repositories: bool,
}

/// A page of organizations or of repositories.
#[derive(Deserialize)]
struct Selected {
    #[serde(default)]
    organizations: Vec<Organization>,
    #[serde(default)]
    repositories: Vec<Named>,
}

#[derive(Deserialize)]
struct Organization {
    login: String,
}

#[derive(Deserialize)]
struct Named {
    full_name: String,
}

impl GitHub {
    /// Whether the group `name` of `scope` (the default group without a name) takes jobs of `repository`.
    pub async fn group_access(
        &self,
        scope: Scope<'_>,
        name: Option<&str>,
        repository: &Repository,
    ) -> Result<GroupAccess> {
        if matches!(scope, Scope::Repository(_)) {
            return Ok(GroupAccess::Admitted);
        }
        let Some(group) = self.group(scope, name).await? else {
            return Ok(GroupAccess::NoGroup);
        };
        if !repository.private && !group.allows_public_repositories {
            return Ok(GroupAccess::Public);
        }
        if group.visibility != "selected" || self.is_selected(scope, group.id, repository).await? {
            return Ok(GroupAccess::Admitted);
        }
        Ok(GroupAccess::NotSelected)
    }

    async fn group(&self, scope: Scope<'_>, name: Option<&str>) -> Result<Option<Group>> {
        for page in 1.. {
            let path = format!(
                "{}/actions/runner-groups?per_page={PAGE}&page={page}",
                prefix(scope)
            );
            let answer = self.call(&Method::GET, &path, scope).await?;
            let groups: Groups = self.json(&answer, "the list of runner groups")?;
            let count = groups.runner_groups.len();
            let is_it = |it: &Group| match name {
                Some(name) => it.name.eq_ignore_ascii_case(name),
                None => it.default,
            };
            let found = groups.runner_groups.into_iter().find(is_it);
            if found.is_some() || count < PAGE {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn is_selected(
        &self,
        scope: Scope<'_>,
        id: u64,
        repository: &Repository,
    ) -> Result<bool> {
        let list = match scope {
            Scope::Enterprise(_) => "organizations",
            Scope::Organization(_) | Scope::Repository(_) => "repositories",
        };
        let full_name = &repository.full_name;
        let owner = full_name.split('/').next().unwrap_or_default();
        for page in 1.. {
            let path = format!(
                "{}/actions/runner-groups/{id}/{list}?per_page={PAGE}&page={page}",
                prefix(scope)
            );
            let answer = self.call(&Method::GET, &path, scope).await?;
            let selected: Selected = self.json(&answer, "what a runner group is for")?;
            let count = selected.organizations.len() + selected.repositories.len();
            let organizations = selected.organizations.iter();
            let repositories = selected.repositories.iter();
            if organizations
                .map(|it| &it.login)
                .any(|it| it.eq_ignore_ascii_case(owner))
                || repositories
                    .map(|it| &it.full_name)
                    .any(|it| it.eq_ignore_ascii_case(full_name))
            {
                return Ok(true);
            }
            if count < PAGE {
                break;
            }
        }
        Ok(false)
    }
}
