//! The operations on runner groups.
//!
//! Pure: no I/O.

use http::Method;
use serde_json::{Value, json};

use super::access::may_manage;
use super::call::{Answer, Call};
use super::examples::Examples;
use super::owner::Owner;
use super::refusal::Refusal;
use super::runners;
use super::state::{Group, State};
use super::token::Token;

/// Answers `P/actions/runner-groups…`; `rest` is what follows.
pub(super) fn answer(
    state: &State,
    call: &Call<'_>,
    token: &Token,
    owner: &Owner,
    rest: &[&str],
    examples: &Examples<'_>,
) -> Result<Answer, Refusal> {
    // A repository has no groups of its own.
    if matches!(owner, Owner::Repository(..)) || *call.method != Method::GET {
        return Err(Refusal::NotFound);
    }
    may_manage(state, token, owner, false)?;
    let Some((id, rest)) = rest.split_first() else {
        return Ok(list(state, call, owner));
    };
    let group = id.parse().ok().and_then(|id: u64| {
        state
            .groups
            .iter()
            .find(|group| group.id == id && is_listed(group, owner))
    });
    let group = group.ok_or(Refusal::NotFound)?;
    match (rest, owner) {
        ([], _) => Ok(Answer::ok(described(group, owner, call))),
        (["runners"], _) => {
            let belongs =
                |runner: &super::Runner| runner.group == group.id && runner.owner == group.owner;
            Ok(runners::list(state, call, belongs, examples.shipped))
        }
        (["organizations"], Owner::Enterprise(_)) => {
            let selected = group.selected.iter().flatten();
            let items: Vec<_> = selected.map(|login| examples.organization(login)).collect();
            Ok(call.page("organizations", &items))
        }
        (["repositories"], Owner::Organization(_)) => {
            let own = group.owner == *owner;
            let selected = group.selected.iter().flatten().filter(|_| own);
            let items: Vec<_> = selected.map(|name| examples.repository(name)).collect();
            Ok(call.page("repositories", &items))
        }
        _ => Err(Refusal::NotFound),
    }
}

fn list(state: &State, call: &Call<'_>, owner: &Owner) -> Answer {
    let items: Vec<_> = state
        .groups
        .iter()
        .filter(|group| is_listed(group, owner) && is_visible(group, owner, call))
        .map(|group| described(group, owner, call))
        .collect();
    call.page("runner_groups", &items)
}

/// Whether a group is of an owner, or an organization inherits it: GitHub lists those that the enterprise shares with it too
/// (docs.github.com: "List self-hosted runner groups for an organization"). All organizations here are of the one enterprise.
fn is_listed(group: &Group, owner: &Owner) -> bool {
    match (&group.owner, owner) {
        (Owner::Enterprise(_), Owner::Organization(login)) => {
            let selected = group.selected.as_ref();
            selected.is_none_or(|it| it.iter().any(|one| one.eq_ignore_ascii_case(login)))
        }
        (of, _) => of == owner,
    }
}

/// Whether the organization or the repository that the query names may use a group; every group without one. A repository is
/// named without its owner (github/github.go of Actions Runner Controller, `ListOrganizationRunnerGroupsForRepository`).
fn is_visible(group: &Group, owner: &Owner, call: &Call<'_>) -> bool {
    let key = match owner {
        Owner::Enterprise(_) => "visible_to_organization",
        Owner::Organization(_) | Owner::Repository(..) => "visible_to_repository",
    };
    let selected = group.selected.as_ref().filter(|_| group.owner == *owner);
    let (Some(viewer), Some(selected)) = (call.query.get(key), selected) else {
        return true;
    };
    let last = |one: &str| one.rsplit('/').next().map(str::to_lowercase);
    selected
        .iter()
        .any(|one| last(one) == Some(viewer.to_lowercase()))
}

/// A group as `owner` sees it.
fn described(group: &Group, owner: &Owner, call: &Call<'_>) -> Value {
    let (base, id) = (&call.base, group.id);
    let inherited = group.owner != *owner;
    let url = format!("{base}/{owner}/actions/runner-groups/{id}");
    // The enterprise selects organizations; which of its repositories may use the group is for each of them to say, and here it
    // is all.
    let selected = group.selected.is_some() && !inherited;
    let visibility = match (selected, group.private) {
        (true, _) => "selected",
        (false, true) => "private",
        (false, false) => "all",
    };
    let mut body = json!({
        "id": id,
        "name": group.name,
        "visibility": visibility,
        // Of an enterprise's default group too: Actions Runner Controller tells both apart (simulator/runnergroups.go).
        "default": group.default,
        "runners_url": format!("{url}/runners"),
        "allows_public_repositories": group.public,
        "restricted_to_workflows": group.workflows.is_some(),
        "selected_workflows": group.workflows.clone().unwrap_or_default(),
        "workflow_restrictions_read_only": inherited,
    });
    let organization = matches!(owner, Owner::Organization(_));
    if organization {
        body["inherited"] = json!(inherited);
    }
    if inherited {
        body["inherited_allows_public_repositories"] = json!(group.public);
    }
    if selected {
        let (key, last) = if organization {
            ("selected_repositories_url", "repositories")
        } else {
            ("selected_organizations_url", "organizations")
        };
        body[key] = json!(format!("{url}/{last}"));
    }
    body
}
