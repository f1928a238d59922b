//! Checks the GitHub runner groups of a profile: access of repositories and workflows. Pure: no I/O.

pub(crate) mod access;
pub(crate) mod read;

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{
    scope::describe,
    server::{Product, Server},
};
use crate::{
    error::{Error, System},
    profile::{Pool, Profile, Scope},
};

/// A runner group, as GitHub returns it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the fields of GitHub's response"
)]
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RunnerGroup {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `all`, `private`, or `selected`.
    pub visibility: String,
    /// Whether it is the default group.
    pub default: bool,
    /// Whether it is the enterprise's, which shares it with the organization. Its name may be that of a group of the
    /// organization (github.blog, changelog of 2022-10-31), and the default groups of both are listed.
    #[serde(default)]
    pub inherited: bool,
    /// Whether public repositories can use it.
    #[serde(default)]
    pub allows_public_repositories: bool,
    /// Whether it is restricted to the workflows below.
    #[serde(default)]
    pub restricted_to_workflows: bool,
    /// These workflows.
    #[serde(default)]
    pub selected_workflows: Vec<String>,
    /// The organizations or repositories (OWNER/NAME) with access to a `selected` group.
    #[serde(skip)]
    pub admitted: Option<Vec<String>>,
}

/// Errors and advice on the groups of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFindings {
    /// Causes for runners that cannot register or jobs that wait forever, one sentence each.
    pub broken: Vec<String>,
    /// Advice, one sentence each.
    pub advice: Vec<String>,
}

impl RunnerGroup {
    /// Whether it is the group `name`, or the default group without a name.
    fn is_named(&self, name: Option<&str>) -> bool {
        match name {
            Some(name) => self.name.eq_ignore_ascii_case(name),
            None => self.default,
        }
    }

    /// Whether jobs of public repositories can use it: `private` excludes them, whatever the other setting is
    /// (docs.github.com: "Create a self-hosted runner group for an organization", `visibility`).
    pub(super) fn takes_public(&self) -> bool {
        self.allows_public_repositories && self.visibility != "private"
    }

    /// Whether jobs of the workflow at `path` of a repository can use it, at some branch, tag or commit. A group names workflows as
    /// `OWNER/NAME/PATH@REF` (docs.github.com: "Changing which workflows can access a runner group").
    fn takes_workflow(&self, repository: &str, path: &str) -> bool {
        let wanted = format!("{repository}/{path}");
        let mut names = self.selected_workflows.iter();
        let path_of = |it: &String| it.split('@').next().map(str::to_lowercase);
        !self.restricted_to_workflows || names.any(|it| path_of(it) == Some(wanted.to_lowercase()))
    }
}

/// The group in which runners with the group `name` are registered (without a name: the default group): the scope's own one
/// before one that it inherits.
pub(super) fn named<'a>(groups: &'a [RunnerGroup], name: Option<&str>) -> Option<&'a RunnerGroup> {
    let of_name = |it: &&RunnerGroup| it.is_named(name);
    let own = groups.iter().filter(|it| !it.inherited).find(of_name);
    own.or_else(|| groups.iter().find(of_name))
}

/// Checks the groups of the pools of `profile`.
pub(super) fn judge(profile: &Profile, groups: &[RunnerGroup], server: &Server) -> GroupFindings {
    let mut findings = GroupFindings::default();
    let Some(scope) = profile.github.scope() else {
        return findings;
    };
    let mut seen = BTreeSet::new();
    for pool in &profile.pools {
        match named(groups, pool.group.as_deref()) {
            None => findings.broken.extend(missing(pool, groups, scope)),
            Some(group) => {
                if seen.insert(group.id) {
                    of_group(group, scope, server, &mut findings);
                    findings.advice.extend(of_the_enterprise(group, scope));
                }
                findings.broken.extend(not_admitted(group, pool, scope));
            }
        }
    }
    findings
}

/// Why the groups prevent the runners of `pool` from registering or from getting jobs.
pub(super) fn trouble(
    profile: &Profile,
    pool: &str,
    groups: &[RunnerGroup],
    server: &Server,
) -> Option<String> {
    let mut one = profile.clone();
    one.pools.retain(|it| it.name == pool);
    judge(&one, groups, server).broken.into_iter().next()
}

/// A pool whose group does not exist. A pool without a group uses the default group, which always exists.
fn missing(pool: &Pool, groups: &[RunnerGroup], scope: Scope<'_>) -> Option<String> {
    let group = pool.group.as_ref()?;
    let own = groups.iter().filter(|it| !it.inherited);
    let there: Vec<String> = own.map(|it| format!("`{}`", it.name)).collect();
    Some(format!(
        "{} has no runner group `{group}`, which pool `{}` names; it has {}",
        describe(scope),
        pool.name,
        there.join(", ")
    ))
}

/// A group that the organization only inherits. Its runners are the enterprise's: Actions Runner Controller never looks in it for
/// those of an organization (`simulator/runnergroups.go`). Whether GitHub lets one register there is not documented.
fn of_the_enterprise(group: &RunnerGroup, scope: Scope<'_>) -> Option<String> {
    group.inherited.then(|| {
        format!(
            "runner group `{}` is the enterprise's, which shares it with {}: it is for runners of the enterprise, and those of the organization may not be able to register in it; name a group of the organization, or set github.enterprise",
            group.name,
            describe(scope)
        )
    })
}

fn of_group(group: &RunnerGroup, scope: Scope<'_>, server: &Server, findings: &mut GroupFindings) {
    let name = &group.name;
    let whom = match scope {
        Scope::Enterprise(_) => "organization",
        Scope::Organization(_) | Scope::Repository(_) => "repository",
    };
    if group.admitted.as_ref().is_some_and(Vec::is_empty) {
        findings.broken.push(format!(
            "runner group `{name}` is for selected ones only and admits no {whom}: no job ever comes to its runners"
        ));
    }
    if group.restricted_to_workflows {
        if group.selected_workflows.is_empty() {
            findings.broken.push(format!(
                "runner group `{name}` is restricted to workflows and names none: no job ever comes to its runners"
            ));
        } else {
            findings.advice.push(format!(
                "runner group `{name}` takes jobs of these workflows only: {}",
                group.selected_workflows.join(", ")
            ));
        }
    }
    if group.takes_public() && server.product == Product::Cloud {
        findings.advice.push(format!(
            "runner group `{name}` takes jobs of public repositories: whoever opens a pull request there may run code on its runners"
        ));
    }
}

/// A pool that scales by the queue of a repository without access to the group.
fn not_admitted(group: &RunnerGroup, pool: &Pool, scope: Scope<'_>) -> Option<String> {
    let (Scope::Organization(organization), Some(admitted)) = (scope, &group.admitted) else {
        return None;
    };
    if admitted.is_empty() {
        return None;
    }
    let is_admitted = |name: &str| {
        admitted
            .iter()
            .any(|it| it.eq_ignore_ascii_case(&format!("{organization}/{name}")))
    };
    let metrics = pool.scaling.iter().flat_map(|it| &it.metrics);
    let outside: BTreeSet<String> = metrics
        .flat_map(|it| &it.repositories)
        .filter(|it| !is_admitted(it))
        .map(|it| format!("`{organization}/{it}`"))
        .collect();
    if outside.is_empty() {
        return None;
    }
    let outside: Vec<String> = outside.into_iter().collect();
    Some(format!(
        "runner group `{}` does not admit {}, whose queue pool `{}` scales by",
        group.name,
        outside.join(", "),
        pool.name
    ))
}

/// The settings page of the groups.
pub(super) fn page(scope: Scope<'_>, server: &Server) -> String {
    let path = match scope {
        Scope::Enterprise(name) => format!("enterprises/{name}/settings/actions/runner-groups"),
        Scope::Organization(name) | Scope::Repository(name) => {
            format!("organizations/{name}/settings/actions/runner-groups")
        }
    };
    format!("{}/{path}", server.web)
}

/// The hint to fix them.
pub(super) fn hint(scope: Scope<'_>, server: &Server) -> String {
    format!(
        "make or change it at {}, or name another under `group` of the pool",
        page(scope, server)
    )
}

/// The error for broken groups.
pub(super) fn error(findings: &GroupFindings, scope: Scope<'_>, server: &Server) -> Option<Error> {
    let (first, others) = findings.broken.split_first()?;
    let mut error = Error::failed(System::GitHub, first).object(&server.api);
    for other in others {
        error = error.cause(other);
    }
    Some(error.hint(hint(scope, server)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::load;

    fn profile(scope: &str, pool: &str) -> Profile {
        let text = format!(
            "apiVersion: arcctl.dev/v1\nname: test\ncluster: {{context: c}}\ngithub: {{{scope}}}\npools:\n- {{name: a, min: 1, max: 1, image: \"summerwind/actions-runner:v2.336.0-ubuntu-22.04\", {pool}}}\n"
        );
        load(&text, "test")
            .unwrap_or_else(|it| panic!("{it:?}"))
            .profile
    }

    fn default_group() -> RunnerGroup {
        RunnerGroup {
            id: 1,
            name: "Default".into(),
            visibility: "all".into(),
            default: true,
            ..RunnerGroup::default()
        }
    }

    fn judged(profile: &Profile, group: RunnerGroup) -> GroupFindings {
        judge(profile, &[default_group(), group], &Server::of(None))
    }

    const QUEUE: &str = "group: ci, scaling: {metrics: [{type: TotalNumberOfQueuedAndInProgressWorkflowRuns, repositories: [app, web]}]}";

    fn ci() -> RunnerGroup {
        RunnerGroup {
            id: 2,
            name: "CI".into(),
            visibility: "selected".into(),
            admitted: Some(vec!["doge/App".into(), "doge/web".into()]),
            default: false,
            ..default_group()
        }
    }

    #[test]
    fn a_group_that_admits_what_is_named_is_fine() {
        let organization = profile("organization: doge", QUEUE);
        assert_eq!(judged(&organization, ci()), GroupFindings::default());
        let plain = profile("enterprise: doge", "group: default");
        assert_eq!(judged(&plain, ci()), GroupFindings::default());
        let none = profile("organization: doge", "labels: []");
        assert_eq!(judged(&none, ci()), GroupFindings::default());
    }

    #[test]
    fn what_keeps_jobs_away_is_broken_and_named() {
        let organization = profile("organization: doge", QUEUE);
        for (change, words) in [
            (
                (|it| it.name = "other".into()) as fn(&mut RunnerGroup),
                "organization `doge` has no runner group `ci`, which pool `a` names; it has `Default`, `other`",
            ),
            (
                |it| it.admitted = Some(vec!["doge/app".into()]),
                "runner group `CI` does not admit `doge/web`, whose queue pool `a` scales by",
            ),
            (
                |it| it.admitted = Some(Vec::new()),
                "runner group `CI` is for selected ones only and admits no repository",
            ),
            (
                |it| it.restricted_to_workflows = true,
                "runner group `CI` is restricted to workflows and names none",
            ),
        ] {
            let mut group = ci();
            change(&mut group);
            let findings = judged(&organization, group);
            assert_eq!(findings.broken.len(), 1, "{findings:?}");
            assert!(findings.broken[0].starts_with(words), "{findings:?}");
            let scope = Scope::Organization("doge");
            let error = error(&findings, scope, &Server::of(None)).unwrap();
            let hint = error.hint.unwrap();
            assert!(
                hint.contains("github.com/organizations/doge/settings/actions"),
                "{hint}"
            );
        }
        let nobody = RunnerGroup {
            admitted: Some(Vec::new()),
            ..ci()
        };
        let enterprise = profile("enterprise: doge", "group: ci");
        let findings = judged(&enterprise, nobody);
        assert!(
            findings.broken[0].contains("admits no organization"),
            "{findings:?}"
        );
    }

    #[test]
    fn what_is_open_to_all_or_to_few_is_advice() {
        let organization = profile("organization: doge", "group: ci");
        let group = RunnerGroup {
            allows_public_repositories: true,
            restricted_to_workflows: true,
            selected_workflows: vec!["doge/app/.github/workflows/ci.yaml@main".into()],
            ..ci()
        };
        let findings = judged(&organization, group.clone());
        assert_eq!(findings.broken, [""; 0]);
        assert!(findings.advice[0].contains("these workflows only: doge/app/"));
        assert!(findings.advice[1].contains("public repositories"));
        // On GitHub Enterprise Server, logged-in users can see public repositories.
        let own = Server::of(Some("https://ghe.example"));
        assert_eq!(judge(&organization, &[group], &own).advice.len(), 1);
    }
}
