//! The registration of a set at GitHub: a scale set of its name and group is found and used, whoever made it, or one is made.

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use super::SET;
use super::names::{GROUP_NAME, ID, SET_NAME, annotation, of_place};
use super::reconciler::Reconciler;
use super::service::{Credential, Failure};
use crate::objects::{at, text};
use crate::query::{percent_decode, percent_encode};

const SCALE_SETS: &str = "runtime/runnerscalesets";

/// The name of a set at GitHub.
pub(super) fn scale_set_name(set: &Value) -> &str {
    let given = text(set, "/spec/runnerScaleSetName");
    if given.is_empty() { at(set).1 } else { given }
}

/// The name of a group as it arrives at the service; `None` if no name does. The original puts it into the address as it is
/// (github/actions/client.go at 0.14, `GetRunnerGroupByName`), which is then read as one: `#` and `&` end the name, `+` is a
/// space, and a value with `;` or with a `%` that begins no escape is left out (Go, `net/url`, `Parse` and `ParseQuery`).
fn asked_for(name: &str) -> Option<String> {
    let value = name.split(['#', '&']).next().unwrap_or_default();
    if value.contains(';') {
        return None;
    }
    let mut escapes = value.split('%').skip(1);
    let is_escape = |it: &str| {
        let digits = it.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.count() == 2
    };
    escapes
        .all(is_escape)
        .then(|| percent_decode(&value.replace('+', " ")))
}

impl Reconciler {
    /// Registers a set, and writes its id to it. What fails is only logged by the controller, and tried again.
    pub(super) async fn register(&mut self, set: &Value) -> Result<()> {
        if !self.has_waited("late registration", set, self.faults.late)
            || self.waits("registration", set)
        {
            return Ok(());
        }
        let Some(credential) = self.credential(set).await? else {
            self.wait("registration", set, self.delays.retry);
            return Ok(());
        };
        match self.found_or_made(set, &credential).await {
            Ok(scale_set) => {
                let annotations = json!({
                    ID: scale_set["id"].to_string(), GROUP_NAME: scale_set["runnerGroupName"],
                    SET_NAME: scale_set["name"],
                });
                let labels = of_place(set);
                let patch = json!({ "metadata": { "annotations": annotations, "labels": labels } });
                self.objects.merge(&SET, at(set), &patch).await?;
            }
            Err(_) => self.wait("registration", set, self.delays.retry),
        }
        Ok(())
    }

    async fn found_or_made(&self, set: &Value, credential: &Credential) -> Result<Value, Failure> {
        let url = text(set, "/spec/githubConfigUrl");
        let (name, group) = (scale_set_name(set), self.group(set, credential).await?);
        let query = format!("runnerGroupId={group}&name={}", percent_encode(name));
        let path = format!("{SCALE_SETS}?{query}");
        let found = self
            .service
            .call((url, credential), Method::GET, &path, None)
            .await?;
        if let Some(found) = found["value"].get(0) {
            return Ok(found.clone());
        }
        let own = set
            .pointer("/spec/runnerScaleSetLabels")
            .and_then(Value::as_array);
        let own = own.into_iter().flatten().filter_map(Value::as_str);
        let labels: Vec<Value> = std::iter::once(name)
            .chain(own.filter(|_| self.configuration.since((0, 14, 0))))
            .map(|label| json!({ "name": label, "type": "System" }))
            .collect();
        let body = json!({
            "name": name, "runnerGroupId": group, "labels": labels,
            "RunnerSetting": { "ephemeral": true, "disableUpdate": true },
        });
        self.service
            .call((url, credential), Method::POST, SCALE_SETS, Some(&body))
            .await
    }

    /// The id of a set's group: 1 where none is asked for.
    async fn group(&self, set: &Value, credential: &Credential) -> Result<u64, Failure> {
        let name = text(set, "/spec/runnerGroup");
        if name.is_empty() {
            return Ok(1);
        }
        let url = text(set, "/spec/githubConfigUrl");
        let mut path = "runtime/runnergroups/".to_owned();
        if let Some(asked) = asked_for(name) {
            path = format!("{path}?groupName={}", percent_encode(&asked));
        }
        let groups = self
            .service
            .call((url, credential), Method::GET, &path, None)
            .await?;
        let found = groups["value"].as_array().map_or(&[][..], Vec::as_slice);
        let id = match found {
            [one] => one["id"].as_u64(),
            _ => None,
        };
        id.ok_or_else(|| Failure {
            status: 404,
            exception: String::new(),
            message: format!("{} runner groups found with name {name:?}", found.len()),
        })
    }

    /// Brings a changed group or name to GitHub; true where there was nothing to do.
    pub(super) async fn is_up_to_date(&mut self, set: &Value, id: u64) -> Result<bool> {
        let group = text(set, "/spec/runnerGroup");
        let name = text(set, "/spec/runnerScaleSetName");
        let same =
            |wanted: &str, known: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(known);
        if same(group, annotation(set, GROUP_NAME)) && same(name, annotation(set, SET_NAME)) {
            return Ok(true);
        }
        if self.waits("registration", set) {
            return Ok(false);
        }
        let credential = self.credential(set).await?.unwrap_or_default();
        let url = text(set, "/spec/githubConfigUrl");
        let path = format!("{SCALE_SETS}/{id}");
        let changed = match self.group(set, &credential).await {
            Ok(group) => {
                let body = json!({ "name": scale_set_name(set), "runnerGroupId": group });
                self.service
                    .call((url, &credential), Method::PATCH, &path, Some(&body))
                    .await
            }
            Err(failure) => Err(failure),
        };
        if let Ok(scale_set) = changed {
            let annotations = json!({
                GROUP_NAME: scale_set["runnerGroupName"], SET_NAME: scale_set["name"],
            });
            let new = json!({ "metadata": { "annotations": annotations } });
            self.objects.merge(&SET, at(set), &new).await?;
        } else {
            self.wait("registration", set, self.delays.retry);
        }
        Ok(false)
    }

    /// Removes a set's scale set at GitHub; false when that has to be tried again. Without its id there is nothing to remove.
    pub(super) async fn is_deregistered(&mut self, set: &Value) -> Result<bool> {
        let id = annotation(set, ID);
        if id.is_empty() {
            return Ok(true);
        }
        if self.waits("deregistration", set) {
            return Ok(false);
        }
        let url = text(set, "/spec/githubConfigUrl");
        let path = format!("{SCALE_SETS}/{id}");
        let removed = match self.credential(set).await? {
            None => None,
            Some(credential) => Some(
                self.service
                    .call((url, &credential), Method::DELETE, &path, None)
                    .await,
            ),
        };
        match removed {
            Some(Ok(_)) => {
                let without = json!({ "metadata": { "annotations": { ID: null } } });
                self.objects.merge(&SET, at(set), &without).await?;
                Ok(true)
            }
            // One that is gone is an error until 0.15, and so it stays.
            Some(Err(failure)) if failure.status == 404 && self.configuration.since((0, 15, 0)) => {
                Ok(true)
            }
            _ => {
                self.wait("deregistration", set, self.delays.retry);
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_group_is_read_as_a_part_of_an_address() {
        let asked = |name: &str| asked_for(name);
        assert_eq!(asked("Team A").unwrap(), "Team A");
        assert_eq!(asked("R&D").unwrap(), "R");
        assert_eq!(asked("C#").unwrap(), "C");
        assert_eq!(asked("C++").unwrap(), "C  ");
        assert_eq!(asked("a%20b").unwrap(), "a b");
        assert_eq!(asked("100%"), None);
        assert_eq!(asked("a;b"), None);
    }
}
