//! Removing a runner at GitHub.

use http::{Method, StatusCode};

use super::{GitHub, scope::prefix};
use crate::{clients::requests::Call, error::Result, profile::Scope};

/// What became of a runner that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is not there any more.
    Done,
    /// It has a job, and GitHub keeps it.
    Busy,
}

impl GitHub {
    /// Removes the runner `id` of `scope`; one that is not there is removed.
    pub async fn remove_runner(&self, scope: Scope<'_>, id: u64) -> Result<Removed> {
        let path = format!("{}/actions/runners/{id}", prefix(scope));
        let bearer = self.bearer().await?;
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
