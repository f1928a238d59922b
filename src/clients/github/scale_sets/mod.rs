//! Runner scale sets at GitHub: found by name and group, read by id, listed, and deleted.
//!
//! A session of a scale set is never opened: there is one for each, and its listener has it (reference: scale-sets.md 8).

pub(crate) mod service;

use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{GitHub, RunnerLabel, error::service::Asked, response::Answer, scope::of_page};
use crate::{clients::requests::Call, error::Result, profile::Scope};

/// The id of the group of runners without one (reference: scale-sets.md 2.1, `runnerGroup`).
const DEFAULT_GROUP: u64 = 1;

/// A runner scale set, as GitHub has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredSet {
    /// Its id.
    pub id: u64,
    /// Its name, unique in its group.
    pub name: String,
    /// The id of its runner group.
    #[serde(default)]
    pub runner_group_id: u64,
    /// The name of its runner group.
    #[serde(default)]
    pub runner_group_name: Option<String>,
    #[serde(default)]
    labels: Option<Vec<RunnerLabel>>,
    /// Its jobs and runners now; GitHub does not return them in every response.
    #[serde(default)]
    pub statistics: Option<Statistics>,
}

/// The jobs and runners of a scale set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Statistics {
    /// Jobs that any scale set may take.
    pub total_available_jobs: u64,
    /// Jobs that its listener has taken.
    pub total_acquired_jobs: u64,
    /// Jobs that are assigned to it, those that run included.
    pub total_assigned_jobs: u64,
    /// Jobs that run.
    pub total_running_jobs: u64,
    /// Runners that are registered.
    pub total_registered_runners: u64,
    /// Runners with a job.
    pub total_busy_runners: u64,
    /// Runners without one.
    pub total_idle_runners: u64,
}

impl RegisteredSet {
    /// Its labels; its name is one of them.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let labels = self.labels.iter().flatten();
        labels.map(|it| it.name.as_str())
    }

    /// Whether jobs may name it by `label`.
    pub fn has_label(&self, label: &str) -> bool {
        self.labels().any(|it| it.eq_ignore_ascii_case(label))
    }

    /// What is known of it, for a message: who uses it cannot be asked, but whether somebody does.
    pub fn in_words(&self) -> String {
        let group = match &self.runner_group_name {
            Some(name) => format!("`{name}`"),
            None => format!("with the id {}", self.runner_group_id),
        };
        let used = match self.statistics {
            None => "GitHub does not say whether it is in use".to_owned(),
            Some(it) => format!(
                "it has {} registered runners, {} of them busy, and {} assigned jobs",
                it.total_registered_runners, it.total_busy_runners, it.total_assigned_jobs
            ),
        };
        format!("id {} in runner group {group}; {used}", self.id)
    }
}

#[derive(Deserialize)]
struct List<T> {
    value: Vec<T>,
}

#[derive(Deserialize)]
struct Group {
    id: u64,
    name: String,
}

impl GitHub {
    /// All scale sets of `scope`.
    pub async fn scale_sets(&self, scope: Scope<'_>) -> Result<Vec<RegisteredSet>> {
        let answer = self.ask_for(scope, "runnerscalesets").await?;
        Ok(self.listed::<RegisteredSet>(scope, &answer)?.value)
    }

    /// The scale set `name` in the group `group` of `scope` (without one: the default group); `None` where there is none, or
    /// no such group.
    pub async fn scale_set_named(
        &self,
        scope: Scope<'_>,
        group: Option<&str>,
        name: &str,
    ) -> Result<Option<RegisteredSet>> {
        let Some(group) = self.group_id(scope, group).await? else {
            return Ok(None);
        };
        let path = format!(
            "runnerscalesets?runnerGroupId={group}&name={}",
            encoded(name)
        );
        let answer = self.ask_for(scope, &path).await?;
        if answer.status == StatusCode::NOT_FOUND && answer.is_json() {
            return Ok(None);
        }
        let found = self.listed::<RegisteredSet>(scope, &answer)?.value;
        Ok(found
            .into_iter()
            .find(|it| it.name.eq_ignore_ascii_case(name)))
    }

    /// The scale set with this id; `None` where there is none.
    pub async fn scale_set(&self, scope: Scope<'_>, id: u64) -> Result<Option<RegisteredSet>> {
        let answer = self
            .ask_for(scope, &format!("runnerscalesets/{id}"))
            .await?;
        if answer.status == StatusCode::NOT_FOUND && answer.is_json() {
            return Ok(None);
        }
        self.taken(scope, &answer, "the runner scale set").map(Some)
    }

    /// Deletes the scale set with this id; succeeds if there is none.
    pub async fn remove_scale_set(&self, scope: Scope<'_>, id: u64) -> Result<()> {
        let path = format!("runnerscalesets/{id}");
        let answer = self
            .at_service(scope, Call::Write, &Method::DELETE, &path)
            .await?;
        let absent = answer.status == StatusCode::NOT_FOUND && answer.is_json();
        if absent || answer.is_taken() {
            return Ok(());
        }
        Err(self.service_refused(scope, &answer, Asked::Delete))
    }

    /// The scope with the address `page`, at which runners are registered; `None` if it is of another server.
    pub fn scope_at<'a>(&self, page: &'a str) -> Option<Scope<'a>> {
        of_page(page, &self.server.web)
    }

    /// The id of a runner group; `None` where there is no such group.
    async fn group_id(&self, scope: Scope<'_>, name: Option<&str>) -> Result<Option<u64>> {
        let Some(name) = name else {
            return Ok(Some(DEFAULT_GROUP));
        };
        let path = format!("runnergroups/?groupName={}", encoded(name));
        let answer = self.ask_for(scope, &path).await?;
        if answer.status == StatusCode::NOT_FOUND && answer.is_json() {
            return Ok(None);
        }
        let groups = self.listed::<Group>(scope, &answer)?.value;
        let found = groups
            .iter()
            .find(|it| it.name.eq_ignore_ascii_case(name))
            .map(|it| it.id);
        Ok(found)
    }

    async fn ask_for(&self, scope: Scope<'_>, path: &str) -> Result<Answer> {
        self.at_service(scope, Call::Read, &Method::GET, path).await
    }

    fn listed<T: DeserializeOwned>(&self, scope: Scope<'_>, answer: &Answer) -> Result<List<T>> {
        self.taken(scope, answer, "the list of runner scale sets or groups")
    }

    fn taken<T: DeserializeOwned>(
        &self,
        scope: Scope<'_>,
        answer: &Answer,
        what: &str,
    ) -> Result<T> {
        if answer.is_taken() {
            return self.json(answer, what);
        }
        Err(self.service_refused(scope, answer, Asked::Read))
    }
}

/// All characters but those that a URL never needs encoded (RFC 3986, "unreserved").
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A value in a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_set_is_read_with_and_without_what_github_leaves_out() {
        let bare: RegisteredSet =
            serde_json::from_str(r#"{"id": 5, "name": "a", "labels": null}"#).unwrap();
        assert_eq!(bare.labels().count(), 0);
        assert!(
            bare.in_words().contains("does not say"),
            "{}",
            bare.in_words()
        );
        let whole = r#"{"id": 5, "name": "a", "runnerGroupId": 1, "runnerGroupName": "Default",
            "labels": [{"name": "A", "type": "System"}], "statistics": {"totalBusyRunners": 2, "totalRegisteredRunners": 3}}"#;
        let whole: RegisteredSet = serde_json::from_str(whole).unwrap();
        assert!(whole.has_label("a") && !whole.has_label("b"));
        assert_eq!(
            whole.in_words(),
            "id 5 in runner group `Default`; it has 3 registered runners, 2 of them busy, and 0 assigned jobs"
        );
    }

    #[test]
    fn a_name_is_one_value_of_a_query() {
        assert_eq!(encoded("a&b=c d"), "a%26b%3Dc%20d");
        assert_eq!(encoded("fast-2_a.b"), "fast-2_a.b");
    }
}
