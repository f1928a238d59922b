//! The service's operations on scale sets, groups and runners.
//!
//! Pure: no I/O.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::call::{Answer, Call};
use super::super::owner::Owner;
use super::super::state::{Runner, State};
use super::refusal::Refused;
use super::registration::tenant;
use super::{ScaleSet, service_id, sessions};

/// The version of the API that clients ask for.
const VERSION: &str = "6.0-preview";

/// Answers a call of a connection.
pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Result<Answer, Refused> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    if let [_, "message", set, session, message] = segments.as_slice()
        && *call.method == Method::DELETE
    {
        return sessions::acknowledge(state, call, set, session, message);
    }
    let [called, "_apis", rest @ ..] = segments.as_slice() else {
        return Err(nothing(call));
    };
    let token = call.token().ok_or_else(Refused::unauthorized)?;
    let owner = state.connection(token).cloned();
    let owner = owner
        .filter(|owner| tenant(owner) == *called)
        .ok_or_else(Refused::unauthorized)?;
    if call.query.get("api-version").map(String::as_str) != Some(VERSION) {
        let message = format!(
            "No api-version was supplied for the \"{}\" request. The version must be supplied either as part of the \
             Accept header (e.g. \"application/json; api-version=1.0\") or as a query parameter (e.g. \
             \"?api-version=1.0\").",
            call.method
        );
        return Err(Refused::new(
            StatusCode::BAD_REQUEST,
            "VssVersionNotSpecifiedException",
            message,
        ));
    }
    state.advance();
    match rest {
        ["runtime", "runnerscalesets", rest @ ..] => scale_sets(state, call, &owner, rest),
        ["runtime", "runnergroups"] | ["runtime", "runnergroups", ""] => {
            Ok(groups(state, call, &owner))
        }
        ["distributedtask", "pools", "0", "agents", rest @ ..] => {
            runners(state, call, &owner, rest)
        }
        _ => Err(nothing(call)),
    }
}

fn nothing(call: &Call<'_>) -> Refused {
    let message = format!("The controller for path '{}' was not found.", call.path);
    Refused::new(
        StatusCode::NOT_FOUND,
        "VssResourceNotFoundException",
        message,
    )
}

fn scale_sets(
    state: &mut State,
    call: &Call<'_>,
    owner: &Owner,
    rest: &[&str],
) -> Result<Answer, Refused> {
    match (call.method, rest) {
        (&Method::GET, [] | [""]) => Ok(list(state, call, owner)),
        (&Method::POST, [] | [""]) => create(state, call, owner),
        (method, [id, rest @ ..]) => {
            let set = known(state, owner, id)?.id;
            match (method, rest) {
                (&Method::GET, []) => Ok(Answer::ok(described(state, set))),
                (&Method::PATCH, []) => change(state, call, owner, set),
                (&Method::DELETE, []) => {
                    state.remove_scale_set(set);
                    Ok(Answer::no_content())
                }
                (&Method::POST, ["generatejitconfig"]) => just_in_time(state, call, owner, set),
                (&Method::POST, ["acquirejobs"]) => acquire(state, call, set),
                (_, ["sessions", rest @ ..]) => sessions::answer(state, call, set, rest),
                _ => Err(nothing(call)),
            }
        }
        _ => Err(nothing(call)),
    }
}

/// The scale set of an owner by its id.
fn known<'a>(state: &'a State, owner: &Owner, id: &str) -> Result<&'a ScaleSet, Refused> {
    let sets = &state.scale_sets;
    let found = id.parse().ok().and_then(|id: u64| sets.sets.get(&id));
    found
        .filter(|set| set.owner == *owner && !sets.faults.unknown_id)
        .ok_or_else(|| Refused::no_scale_set(id))
}

/// All scale sets, or those of a name and a group.
fn list(state: &State, call: &Call<'_>, owner: &Owner) -> Answer {
    let name = call.query.get("name");
    let group = call.query.get("runnerGroupId");
    let sets = state.scale_sets.sets.values();
    let found: Vec<Value> = sets
        .filter(|set| set.owner == *owner)
        .filter(|set| name.is_none_or(|name| set.name.eq_ignore_ascii_case(name)))
        .filter(|set| group.is_none_or(|group| set.group.to_string() == *group))
        .map(|set| described(state, set.id))
        .collect();
    Answer::ok(json!({ "count": found.len(), "value": found }))
}

fn create(state: &mut State, call: &Call<'_>, owner: &Owner) -> Result<Answer, Refused> {
    let body = body(call)?;
    let name = body["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Refused::invalid("Name cannot be empty."));
    }
    let group = body["runnerGroupId"].as_u64().unwrap_or(1);
    with_group(state, owner, group)?;
    let labels: Vec<String> = names(&body["labels"]).collect();
    let made = state.add_scale_set(owner, group, name, &labels);
    let id = made.map_err(|_| {
        let message = format!("Runner scale set {name} already exists.");
        Refused::conflict("RunnerScaleSetExistsException", message)
    })?;
    if let Some(set) = state.scale_sets.sets.get_mut(&id) {
        set.disable_update = setting(&body)["disableUpdate"] == true;
    }
    Ok(Answer::ok(described(state, id)))
}

/// Clients write the key with either first letter.
fn setting(body: &Value) -> &Value {
    let lower = &body["runnerSetting"];
    if lower.is_null() {
        &body["RunnerSetting"]
    } else {
        lower
    }
}

fn names(labels: &Value) -> impl Iterator<Item = String> {
    let labels = labels.as_array().into_iter().flatten();
    labels.filter_map(|it| it["name"].as_str().map(ToOwned::to_owned))
}

fn with_group(state: &State, owner: &Owner, group: u64) -> Result<(), Refused> {
    let known = state.group_name(owner, group).is_some();
    known.then_some(()).ok_or_else(|| {
        let message = format!("No runner group found with identifier {group}.");
        Refused::new(
            StatusCode::NOT_FOUND,
            "RunnerGroupNotFoundException",
            message,
        )
    })
}

/// The name and the group can be changed; labels are those of the creation.
fn change(state: &mut State, call: &Call<'_>, owner: &Owner, id: u64) -> Result<Answer, Refused> {
    let body = body(call)?;
    let group = body["runnerGroupId"].as_u64().filter(|it| *it != 0);
    if let Some(group) = group {
        with_group(state, owner, group)?;
    }
    if let Some(set) = state.scale_sets.sets.get_mut(&id) {
        set.group = group.unwrap_or(set.group);
        if let Some(name) = body["name"].as_str().filter(|it| !it.is_empty()) {
            name.clone_into(&mut set.name);
        }
    }
    Ok(Answer::ok(described(state, id)))
}

fn acquire(state: &mut State, call: &Call<'_>, set: u64) -> Result<Answer, Refused> {
    // The token is that of the session, or the connection's: the service takes both.
    let asked = body(call)?;
    let asked: Vec<u64> = asked
        .as_array()
        .ok_or_else(|| Refused::invalid("The body must be a list of request ids."))?
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    let acquired = state.acquire(set, &asked);
    Ok(Answer::ok(
        json!({ "count": acquired.len(), "value": acquired }),
    ))
}

/// Makes a runner that is registered already when it starts.
fn just_in_time(
    state: &mut State,
    call: &Call<'_>,
    owner: &Owner,
    id: u64,
) -> Result<Answer, Refused> {
    let body = body(call)?;
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(Refused::invalid("Name cannot be empty."));
    }
    if state.runner_named(owner, &name).is_some() {
        let message = format!("Agent {name} already exists.");
        return Err(Refused::conflict("AgentExistsException", message));
    }
    let Some(set) = state.scale_sets.sets.get(&id) else {
        return Err(Refused::no_scale_set(&id.to_string()));
    };
    let (label, group) = (set.name.clone(), set.group);
    let group = state.group_of_runners(owner, group);
    let runner = state.add_just_in_time(owner, group, name, label, id);
    let configuration =
        json!({ "agentId": runner.id, "agentName": runner.name, "workFolder": body["workFolder"] });
    Ok(Answer::ok(json!({
        "runner": agent(&runner),
        "encodedJITConfig": STANDARD.encode(configuration.to_string()),
    })))
}

fn groups(state: &State, call: &Call<'_>, owner: &Owner) -> Answer {
    let name = call.query.get("groupName");
    let wanted = |it: &str| name.is_none_or(|name| it.eq_ignore_ascii_case(name));
    let groups = state.groups.iter();
    let found: Vec<Value> = groups
        .filter(|group| group.owner == *owner && wanted(&group.name))
        .filter(|_| !state.scale_sets.faults.no_group)
        .map(|group| {
            let size = state.runners.values().filter(|it| it.group == group.id);
            json!({
                "id": service_id(group), "name": group.name, "isDefaultGroup": group.default,
                "size": size.count(),
            })
        })
        .collect();
    Answer::ok(json!({ "count": found.len(), "value": found }))
}

fn runners(
    state: &mut State,
    call: &Call<'_>,
    owner: &Owner,
    rest: &[&str],
) -> Result<Answer, Refused> {
    let find = |state: &State, id: &str| {
        let runner = id.parse().ok().and_then(|id: u64| state.runners.get(&id));
        let runner = runner.filter(|it| it.owner == *owner).cloned();
        runner.ok_or_else(|| Refused::no_runner(id))
    };
    match (call.method, rest) {
        (&Method::GET, [] | [""]) => {
            let name = call.query.get("agentName");
            let found: Vec<Value> = state
                .runners
                .values()
                .filter(|it| it.owner == *owner && name.is_none_or(|name| it.name == *name))
                .map(agent)
                .collect();
            Ok(Answer::ok(json!({ "count": found.len(), "value": found })))
        }
        (&Method::GET, [id]) => Ok(Answer::ok(agent(&find(state, id)?))),
        (&Method::DELETE, [id]) => {
            let runner = find(state, id)?;
            if runner.busy {
                let message = format!("Agent {} is still running a job.", runner.name);
                return Err(Refused::new(
                    StatusCode::BAD_REQUEST,
                    "JobStillRunningException",
                    message,
                ));
            }
            state.runners.remove(&runner.id);
            Ok(Answer::no_content())
        }
        _ => Err(nothing(call)),
    }
}

fn agent(runner: &Runner) -> Value {
    json!({
        "id": runner.id, "name": runner.name, "runnerScaleSetId": runner.scale_set.unwrap_or_default(),
        "status": if runner.online { "online" } else { "offline" }, "enabled": true,
    })
}

/// A scale set as the service tells of it.
pub(super) fn described(state: &State, id: u64) -> Value {
    let Some(set) = state.scale_sets.sets.get(&id) else {
        return Value::Null;
    };
    let labels: Vec<Value> = std::iter::once(&set.name)
        .chain(&set.labels)
        .zip(1..)
        .map(|(name, id)| json!({ "id": id, "name": name, "type": "System" }))
        .collect();
    json!({
        "id": set.id,
        "name": set.name,
        "runnerGroupId": set.group,
        "runnerGroupName": state.group_name(&set.owner, set.group),
        "labels": labels,
        "runnerSetting": { "ephemeral": true, "isElastic": true, "disableUpdate": set.disable_update },
        "createdOn": set.created_at.to_string(),
        "enabled": true,
        "statistics": state.statistics(id),
    })
}

pub(super) fn body(call: &Call<'_>) -> Result<Value, Refused> {
    call.json()
        .map_err(|_| Refused::invalid("The body is not JSON."))
}
