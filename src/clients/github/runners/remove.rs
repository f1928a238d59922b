//! Removing a runner at GitHub.

use http::{Method, StatusCode};

use super::RunnerPage;
use crate::{
    clients::{
        github::{GitHub, Runner, auth::app::Purpose, hidden, scope::prefix},
        requests::Call,
    },
    error::Result,
    profile::Scope,
};

/// What became of a runner that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is not there any more.
    Done,
    /// It has a job, and GitHub keeps it.
    Busy,
}

impl GitHub {
    /// The runner of `scope` with this name, as GitHub has it now. A name of a Kubernetes object needs no encoding in a
    /// query.
    pub async fn runner_named(&self, scope: Scope<'_>, name: &str) -> Result<Option<Runner>> {
        let path = format!("{}/actions/runners?name={name}", prefix(scope));
        let bearer = self.bearer(Purpose::Runners(scope)).await?;
        let answer = self
            .attempt(Call::Read, &Method::GET, &path, &bearer)
            .await?;
        if !answer.is_taken() {
            return Err(self.refused(&answer, scope, &bearer).await);
        }
        let page = self.json(&answer, "the list of runners");
        let page: RunnerPage = page.map_err(|error| hidden(error, &bearer))?;
        Ok(page.runners.into_iter().find(|it| it.name == name))
    }

    /// Removes the runner `id` of `scope`; one that is not there is removed.
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
