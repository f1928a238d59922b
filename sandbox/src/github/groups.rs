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
            .find(|group| group.id == id && group.owner == *owner)
    });
    let group = group.ok_or(Refusal::NotFound)?;
    match (rest, owner) {
        ([], _) => Ok(Answer::ok(described(group, call))),
        (["runners"], _) => {
            let belongs =
                |runner: &super::Runner| runner.group == group.id && runner.owner == *owner;
            Ok(runners::list(state, call, belongs, examples.shipped))
        }
        (["organizations"], Owner::Enterprise(_)) => {
            let selected = group.selected.iter().flatten();
            let items: Vec<_> = selected.map(|login| examples.organization(login)).collect();
            Ok(call.page("organizations", &items))
        }
        (["repositories"], Owner::Organization(_)) => {
            let selected = group.selected.iter().flatten();
            let items: Vec<_> = selected.map(|name| examples.repository(name)).collect();
            Ok(call.page("repositories", &items))
        }
        _ => Err(Refusal::NotFound),
    }
}

fn list(state: &State, call: &Call<'_>, owner: &Owner) -> Answer {
    let viewer = call
        .query
        .get("visible_to_organization")
        .or_else(|| call.query.get("visible_to_repository"));
    let visible = |group: &&Group| match (viewer, &group.selected) {
        (Some(viewer), Some(selected)) => {
            selected.iter().any(|one| one.eq_ignore_ascii_case(viewer))
        }
        _ => true,
    };
    let items: Vec<_> = state
        .groups
        .iter()
        .filter(|group| group.owner == *owner)
        .filter(visible)
        .map(|group| described(group, call))
        .collect();
    call.page("runner_groups", &items)
}

fn described(group: &Group, call: &Call<'_>) -> Value {
    let (base, owner, id) = (&call.base, &group.owner, group.id);
    let url = format!("{base}/{owner}/actions/runner-groups/{id}");
    let mut body = json!({
        "id": id,
        "name": group.name,
        "visibility": if group.selected.is_some() { "selected" } else { "all" },
        "default": group.default,
        "runners_url": format!("{url}/runners"),
        "allows_public_repositories": group.public,
        "restricted_to_workflows": group.workflows.is_some(),
        "selected_workflows": group.workflows.clone().unwrap_or_default(),
        "workflow_restrictions_read_only": false,
    });
    let organization = matches!(owner, Owner::Organization(_));
    if organization {
        body["inherited"] = json!(false);
    }
    if group.selected.is_some() {
        let (key, last) = if organization {
            ("selected_repositories_url", "repositories")
        } else {
            ("selected_organizations_url", "organizations")
        };
        body[key] = json!(format!("{url}/{last}"));
    }
    body
}
