//! The operations on self-hosted runners.
//!
//! Pure: no I/O.

use http::Method;
use serde_json::{Value, json};

use super::access::may_manage;
use super::call::{Answer, Call};
use super::owner::Owner;
use super::refusal::Refusal;
use super::state::{Runner, State};
use super::token::Token;

/// Answers `P/actions/runners…`; `rest` is what follows `runners`.
pub(super) fn answer(
    state: &mut State,
    call: &Call<'_>,
    token: &Token,
    owner: &Owner,
    rest: &[&str],
    shipped: &str,
) -> Result<Answer, Refusal> {
    let write = *call.method != Method::GET;
    may_manage(state, token, owner, write)?;
    match (call.method, rest) {
        (&Method::GET, []) => Ok(list(state, call, |runner| runner.owner == *owner, shipped)),
        (&Method::GET, ["downloads"]) => Ok(Answer::ok(downloads(shipped))),
        (&Method::POST, ["registration-token" | "remove-token"]) => {
            let (token, expires_at) = state.new_registration(owner.clone());
            let expires_at = expires_at.to_string();
            Ok(Answer::created(
                json!({"token": token, "expires_at": expires_at}),
            ))
        }
        (&Method::GET, [id]) => {
            let runner = find(state, owner, id)?;
            Ok(Answer::ok(described(runner, shipped)))
        }
        (&Method::DELETE, [id]) => {
            let runner = find(state, owner, id)?;
            if runner.busy {
                return Err(Refusal::Unprocessable(format!(
                    "Bad request - Runner \"{}\" is still running a job\"",
                    runner.name
                )));
            }
            let id = runner.id;
            state.runners.remove(&id);
            Ok(Answer::no_content())
        }
        _ => Err(Refusal::NotFound),
    }
}

/// A page of the runners that `belongs` picks.
pub(super) fn list(
    state: &State,
    call: &Call<'_>,
    belongs: impl Fn(&Runner) -> bool,
    shipped: &str,
) -> Answer {
    let name = call.query.get("name").filter(|_| !state.ignores_names);
    let runners: Vec<_> = state
        .runners
        .values()
        .filter(|runner| belongs(runner) && name.is_none_or(|name| runner.name == *name))
        .collect();
    call.page_of("runners", &runners, |runner| described(runner, shipped))
}

fn find<'a>(state: &'a State, owner: &Owner, id: &str) -> Result<&'a Runner, Refusal> {
    let runner = id.parse().ok().and_then(|id: u64| state.runners.get(&id));
    runner
        .filter(|runner| runner.owner == *owner)
        .ok_or(Refusal::NotFound)
}

fn described(runner: &Runner, version: &str) -> Value {
    // A scale set's runners have its name only; its labels are not shown here.
    let of_scale_set = runner.scale_set.is_some();
    let kind = if of_scale_set { "read-only" } else { "custom" };
    let fixed = ["self-hosted", "Linux", "X64"].map(|name| (name, "read-only"));
    let own = runner.labels.iter().map(|name| (name.as_str(), kind));
    let labels: Vec<_> = fixed
        .into_iter()
        .filter(|_| !of_scale_set)
        .chain(own)
        .zip(1..)
        .map(|((name, kind), id)| json!({"id": id, "name": name, "type": kind}))
        .collect();
    json!({
        "id": runner.id,
        "name": runner.name,
        "os": "linux",
        "status": if runner.online { "online" } else { "offline" },
        "busy": runner.busy,
        "ephemeral": runner.ephemeral,
        "runner_group_id": runner.group,
        "version": runner.version.as_deref().unwrap_or(version),
        "labels": labels,
    })
}

fn downloads(version: &str) -> Value {
    let platforms = [
        ("osx", "x64"),
        ("osx", "arm64"),
        ("linux", "x64"),
        ("linux", "arm64"),
    ];
    let releases = "https://github.com/actions/runner/releases/download";
    platforms
        .map(|(os, architecture)| {
            let filename = format!("actions-runner-{os}-{architecture}-{version}.tar.gz");
            json!({
                "os": os,
                "architecture": architecture,
                "download_url": format!("{releases}/v{version}/{filename}"),
                "filename": filename,
            })
        })
        .into_iter()
        .collect()
}
