//! Checks whether the runners of a group accept jobs of a workflow of a repository.

use crate::{
    clients::github::{GitHub, Repository, groups, scope::describe},
    error::Result,
    profile::Scope,
};

/// The access of a workflow of a repository to a runner group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupAccess {
    /// The group accepts its jobs.
    Admitted,
    /// The group does not include this: the repository, or for an enterprise its organization.
    NotSelected(String),
    /// The repository is public, and the group does not allow public repositories.
    Public,
    /// The group accepts jobs of these workflows only, each `OWNER/NAME/PATH@REF`.
    OtherWorkflows(Vec<String>),
    /// There is no such group.
    NoGroup,
}

impl GitHub {
    /// The settings page of the runner groups of `scope`.
    pub fn groups_page(&self, scope: Scope<'_>) -> String {
        groups::page(scope, &self.server)
    }

    /// Whether the group `name` of `scope` (without a name: the default group) accepts jobs of the workflow at the path `workflow`
    /// of `repository`.
    pub async fn group_access(
        &self,
        scope: Scope<'_>,
        name: Option<&str>,
        repository: &Repository,
        workflow: &str,
    ) -> Result<GroupAccess> {
        if matches!(scope, Scope::Repository(_)) {
            return Ok(GroupAccess::Admitted);
        }
        let groups = self.runner_groups(scope).await?;
        let Some(group) = groups::named(&groups, name) else {
            return Ok(GroupAccess::NoGroup);
        };
        if !repository.private && !group.takes_public() {
            return Ok(GroupAccess::Public);
        }
        let full_name = repository.full_name.as_str();
        if !group.takes_workflow(full_name, workflow) {
            let others = group.selected_workflows.clone();
            return Ok(GroupAccess::OtherWorkflows(others));
        }
        if group.visibility != "selected" {
            return Ok(GroupAccess::Admitted);
        }
        let (whom, wanted) = match scope {
            Scope::Enterprise(_) => {
                let organization = full_name.split('/').next().unwrap_or_default();
                (Scope::Organization(organization), organization)
            }
            Scope::Organization(_) | Scope::Repository(_) => {
                (Scope::Repository(full_name), full_name)
            }
        };
        let admitted = self.admitted(scope, group.id).await?;
        Ok(
            if admitted.iter().any(|it| it.eq_ignore_ascii_case(wanted)) {
                GroupAccess::Admitted
            } else {
                GroupAccess::NotSelected(describe(whom))
            },
        )
    }
}
