//! Maps error responses about workflows to a message and a hint, by status and headers
//! (reference: arc.md 5). Pure: no I/O.

use http::StatusCode;

use super::{
    ErrorContext, common,
    forbidden::{missing_scope, next_place, told},
    not_github,
    reason::Ground,
    unauthenticated,
};
use crate::{
    clients::github::{
        auth::token_kind::TokenKind, response::Answer, scope::describe, server::Server,
    },
    error::{Error, ErrorKind, System},
    profile::Scope,
};

/// The requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// Reads the repository.
    Repository,
    /// Dispatches a workflow.
    Dispatch {
        /// The workflow's file.
        file: &'a str,
        /// The branch.
        reference: &'a str,
        /// After a 422: whether the workflow is disabled.
        disabled: Option<bool>,
    },
    /// Reads a run.
    Run,
    /// Cancels a run.
    Cancel,
}

/// The context of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkflowCase<'a> {
    /// The server.
    pub server: &'a Server,
    /// The kind of the credential.
    pub kind: TokenKind,
    /// `OWNER/NAME`.
    pub repository: &'a str,
    /// The request.
    pub asked: Asked<'a>,
}

/// The permissions to dispatch a workflow and to read its run.
const NEEDS: &str = "to dispatch a workflow, the token needs the scope `repo` (classic) or the repository permission `Actions: read and write`, and its owner needs write access; `--token-env VARIABLE` uses another token than the profile's";

/// The error for an error response.
pub(crate) fn workflow_refusal(answer: &Answer, case: &WorkflowCase<'_>) -> Error {
    if answer.status.is_success() {
        return not_github(answer, case.server);
    }
    if let Some(error) = common(answer, case.server) {
        return error;
    }
    let of_runners = ErrorContext {
        server: case.server,
        scope: Scope::Repository(case.repository),
        kind: case.kind,
        visible: None,
    };
    let lacking = || {
        let scopes = answer.scopes()?;
        Some(missing_scope(&scopes, &of_runners)?.hint(NEEDS))
    };
    let error = match answer.status {
        StatusCode::UNAUTHORIZED => unauthenticated(answer, &of_runners),
        StatusCode::FORBIDDEN => by_its_words(answer, case)
            .or_else(lacking)
            .unwrap_or_else(|| may_not(answer, case, &of_runners)),
        // Without the scope, GitHub returns 404 for a private repository.
        StatusCode::NOT_FOUND => match (lacking(), case.asked) {
            (Some(error), Asked::Repository) => error,
            _ => not_found(case),
        },
        StatusCode::UNPROCESSABLE_ENTITY => unprocessable(case),
        _ => Error::failed(
            System::GitHub,
            format!(
                "GitHub rejects a request for repository `{}`",
                case.repository
            ),
        )
        .hint("report this as a bug with the request ID"),
    };
    error
        .object(format!("repository/{}", case.repository))
        .cause(answer.said())
}

/// The error for a 403 with a known reason that is independent of runners and workflows.
fn by_its_words(answer: &Answer, case: &WorkflowCase<'_>) -> Option<Error> {
    let target = describe(Scope::Repository(case.repository));
    told(answer.ground()?, answer, case.server, case.kind, &target)
}

/// The error for a 403 about permissions, or without a known reason.
fn may_not(answer: &Answer, case: &WorkflowCase<'_>, of_runners: &ErrorContext<'_>) -> Error {
    let (who, repository) = (case.kind.describe(), case.repository);
    match answer.ground() {
        Some(
            Ground::NotForIntegrations | Ground::NotForFineGrainedTokens | Ground::NotAdministrator,
        ) => unauthorized(format!(
            "{who} lacks the permission to run workflows of repository `{repository}`"
        ))
        .hint(NEEDS),
        _ => unauthorized(format!(
            "GitHub does not allow {who} to run workflows of repository `{repository}`"
        ))
        .hint(next_place(answer, of_runners)),
    }
}

fn unauthorized(message: String) -> Error {
    Error::new(ErrorKind::Unauthorized, System::GitHub, message)
}

fn not_found(case: &WorkflowCase<'_>) -> Error {
    let (repository, web) = (case.repository, &case.server.web);
    match case.asked {
        Asked::Repository => unauthorized(format!(
            "repository `{repository}` does not exist at GitHub, or is not visible to this token"
        ))
        .hint(format!(
            "check the name: it is the last part of {web}/OWNER/NAME; {NEEDS}"
        )),
        Asked::Dispatch { file, .. } => Error::failed(
            System::GitHub,
            format!("repository `{repository}` has no workflow `.github/workflows/{file}` in its default branch"),
        )
        .hint(format!(
            "`arcctl render DIR` writes it: commit `DIR/.github/workflows/{file}` to the default branch of {web}/{repository}"
        )),
        Asked::Run | Asked::Cancel => Error::failed(
            System::GitHub,
            format!("the workflow run in repository `{repository}` no longer exists"),
        )
        .hint("somebody deleted it: run `arcctl smoke` again"),
    }
}

fn unprocessable(case: &WorkflowCase<'_>) -> Error {
    let (repository, web) = (case.repository, &case.server.web);
    let Asked::Dispatch {
        file,
        reference,
        disabled,
    } = case.asked
    else {
        return Error::failed(
            System::GitHub,
            format!("GitHub cannot process the request for repository `{repository}`"),
        )
        .hint("report this as a bug with the request ID");
    };
    if disabled == Some(true) {
        return Error::failed(
            System::GitHub,
            format!("the workflow `{file}` of repository `{repository}` is disabled"),
        )
        .hint(format!(
            "enable it at {web}/{repository}/actions/workflows/{file}"
        ));
    }
    Error::failed(
        System::GitHub,
        format!("GitHub does not dispatch `{file}` of repository `{repository}` on `{reference}`"),
    )
    .hint(format!(
        "it must be the file that `arcctl render DIR` writes, with its trigger `workflow_dispatch` and its inputs: commit it to `{reference}` and to the default branch of {web}/{repository}"
    ))
}
