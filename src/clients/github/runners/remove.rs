//! Removing a runner at GitHub.

use http::{Method, StatusCode};

use super::{PAGE, RunnerPage};
use crate::{
    clients::{
        github::{GitHub, Runner, auth::app::Purpose, hidden, scope::prefix},
        requests::Call,
    },
    error::Result,
    profile::Scope,
};

/// The result of the removal of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The runner does not exist any more.
    Done,
    /// It runs a job, so GitHub does not remove it.
    Busy,
}

impl GitHub {
    /// The runner of `scope` with this name, as GitHub lists it now. A Kubernetes object name needs no encoding in a
    /// query. An old GitHub Enterprise Server ignores the name and returns the first page of all runners (reference: arc.md 5);
    /// then all pages are read, since a runner that is not found counts as one without a job.
    pub async fn runner_named(&self, scope: Scope<'_>, name: &str) -> Result<Option<Runner>> {
        let path = format!(
            "{}/actions/runners?name={name}&per_page={PAGE}",
            prefix(scope)
        );
        let bearer = self.bearer(Purpose::Runners(scope)).await?;
        let answer = self
            .attempt(Call::Read, &Method::GET, &path, &bearer)
            .await?;
        if !answer.is_taken() {
            return Err(self.refused(&answer, scope, &bearer).await);
        }
        let page = self.json(&answer, "the list of runners");
        let page: RunnerPage = page.map_err(|error| hidden(error, &bearer))?;
        let is_whole = page.runners.len() >= page.total_count;
        let found = page.runners.into_iter().find(|it| it.name == name);
        if found.is_some() || is_whole {
            return Ok(found);
        }
        // Boxed: it is rarely needed, and all callers' futures would be as large.
        let all = Box::pin(self.runners(scope)).await?;
        Ok(all.into_iter().find(|it| it.name == name))
    }

    /// Removes the runner `id` of `scope`; succeeds if it does not exist.
    pub async fn remove_runner(&self, scope: Scope<'_>, id: u64) -> Result<Removed> {
        let path = format!("{}/actions/runners/{id}", prefix(scope));
        let bearer = self.bearer(Purpose::Runners(scope)).await?;
        let answer = self
            .attempt(Call::Write, &Method::DELETE, &path, &bearer)
            .await?;
        match answer.status {
            StatusCode::NO_CONTENT | StatusCode::OK => Ok(Removed::Done),
            StatusCode::NOT_FOUND if answer.is_json() => Ok(Removed::Done),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Removed::Busy),
            _ => Err(self.refused(&answer, scope, &bearer).await),
        }
    }
}
