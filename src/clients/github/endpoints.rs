//! Decodes GitHub's responses by endpoint: the value, or the error. Pure: no I/O.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::{
    auth::{app::Granted, audit::User, token_kind::TokenKind},
    error::{
        ErrorContext, not_github, refusal,
        workflow::{Asked, WorkflowCase, workflow_refusal},
    },
    groups::{RunnerGroup, read::Page},
    hidden,
    response::Answer,
    runners::{RunnerPage, downloads::Download},
    server::Server,
    workflows::{Jobs, Repository, Run, Runs},
};
use crate::{
    error::{Error, Result, System},
    profile::Scope,
    secret::Secret,
};

/// The error for an unsuccessful response about runners.
pub(super) fn refused(answer: &Answer, case: &ErrorContext<'_>) -> Error {
    if answer.status.is_success() {
        not_github(answer, case.server)
    } else {
        refusal(answer, case)
    }
}

/// The body of a successful response; `what` names the expected content.
pub(super) fn read<T: DeserializeOwned>(answer: &Answer, server: &Server, what: &str) -> Result<T> {
    if !answer.is_json() {
        return Err(not_github(answer, server));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::failed(
            System::GitHub,
            format!("GitHub at `{}` returned an invalid response for {what}", server.api),
        )
        .object(&server.api)
        // Only the position and the kind: the response can contain a token.
        .cause(match error.classify() {
            serde_json::error::Category::Eof => format!("the response is cut off after column {column} of line {line}"),
            serde_json::error::Category::Data => format!("at line {line}, column {column}, a field is missing or has another type"),
            _ => format!("at line {line}, column {column}, it is not JSON"),
        })
        .hint(format!("check with `curl -i {}/meta` whether a proxy changes the responses; otherwise arcctl does not support this version of the server", server.api))
    })
}

/// The endpoints of GitHub that arcctl calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A page of runners.
    Runners,
    /// A page of runner groups.
    Groups,
    /// The user of the token.
    User,
    /// A registration token; its content is not read.
    Registration,
    /// An App's installation token.
    Installation,
    /// The repository.
    Repository,
    /// Dispatches a workflow.
    Dispatch,
    /// The runs of a workflow.
    Runs,
    /// One run.
    Run,
    /// Its jobs.
    Jobs,
    /// Cancels it.
    Cancel,
    /// The runner applications that can be downloaded.
    Downloads,
}

impl Question {
    /// All endpoints.
    pub const ALL: [Self; 12] = [
        Self::Runners,
        Self::Groups,
        Self::User,
        Self::Registration,
        Self::Installation,
        Self::Repository,
        Self::Dispatch,
        Self::Runs,
        Self::Run,
        Self::Jobs,
        Self::Cancel,
        Self::Downloads,
    ];
}

/// The server, scope and credential of a request.
pub struct RequestOrigin<'a> {
    /// `github.url`.
    pub url: Option<&'a str>,
    /// The scope of the runners.
    pub scope: Scope<'a>,
    /// The credential.
    pub token: &'a Secret,
    /// Its kind.
    pub kind: TokenKind,
    /// After a 404: whether the token can read the organization or repository itself.
    pub visible: Option<bool>,
}

/// Evaluates a recorded response like one from the network: the number of items in it, or the error. `None` for values that
/// are not valid HTTP.
pub fn meaning(
    question: Question,
    asker: &RequestOrigin<'_>,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Result<usize>> {
    let answer = received(status, headers, body)?;
    let server = Server::of(asker.url);
    let counted = if answer.is_taken() {
        counted(question, &answer, &server)
    } else {
        Err(declined(question, &answer, &server, asker))
    };
    Some(counted.map_err(|error| hidden(error, asker.token)))
}

fn received(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    Some(Answer {
        status: StatusCode::from_u16(status).ok()?,
        headers: map,
        body: body.to_vec(),
        received: Timestamp::UNIX_EPOCH,
        succeeded_before: false,
    })
}

fn counted(question: Question, answer: &Answer, server: &Server) -> Result<usize> {
    Ok(match question {
        Question::Runners => read::<RunnerPage>(answer, server, "the list of runners")?
            .runners
            .len(),
        Question::Groups => read::<Page<RunnerGroup>>(answer, server, "the runner groups")?
            .items
            .len(),
        Question::User => read::<User>(answer, server, "GET /user").map(|_| 1)?,
        Question::Installation => {
            read::<Granted>(answer, server, "the call for an installation token").map(|_| 1)?
        }
        Question::Repository => read::<Repository>(answer, server, "the repository").map(|_| 1)?,
        Question::Runs => read::<Runs>(answer, server, "the list of runs")?
            .workflow_runs
            .len(),
        Question::Run => read::<Run>(answer, server, "the run").map(|_| 1)?,
        Question::Jobs => read::<Jobs>(answer, server, "the list of jobs")?.jobs.len(),
        Question::Downloads => {
            read::<Vec<Download>>(answer, server, "the list of runner applications")?.len()
        }
        Question::Registration | Question::Dispatch | Question::Cancel => 0,
    })
}

fn declined(
    question: Question,
    answer: &Answer,
    server: &Server,
    asker: &RequestOrigin<'_>,
) -> Error {
    let about = match question {
        Question::Repository => Asked::Repository,
        Question::Dispatch => Asked::Dispatch {
            file: "arcctl-smoke.yaml",
            reference: "main",
            disabled: asker.visible,
        },
        Question::Runs | Question::Run | Question::Jobs => Asked::Run,
        Question::Cancel => Asked::Cancel,
        Question::Runners
        | Question::Groups
        | Question::Downloads
        | Question::User
        | Question::Registration
        | Question::Installation => {
            let case = ErrorContext {
                server,
                scope: asker.scope,
                kind: asker.kind,
                visible: asker.visible,
            };
            return refused(answer, &case);
        }
    };
    let case = WorkflowCase {
        server,
        kind: asker.kind,
        repository: "dogecompany/app",
        asked: about,
    };
    workflow_refusal(answer, &case)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json");
    const RUNNERS: &[u8] = br#"{"total_count": 1, "runners": [{"id": 1, "name": "basic-x", "status": "online", "busy": false}]}"#;

    fn told(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<usize> {
        let asker = RequestOrigin {
            url: None,
            scope: Scope::Organization("dogecompany"),
            token: &Secret::trimmed("ghp_0123456789abcdef").0,
            kind: TokenKind::Classic,
            visible: None,
        };
        meaning(Question::Runners, &asker, status, headers, body).unwrap()
    }

    #[test]
    fn a_list_is_one_with_the_status_of_a_success_only() {
        for status in [300, 304, 400, 404, 409, 422, 429, 500, 503] {
            assert!(told(status, &[JSON], RUNNERS).is_err(), "{status}");
        }
        assert!(told(200, &[("content-type", "text/html")], RUNNERS).is_err());
        assert!(told(204, &[JSON], b"").is_err());
        assert_eq!(told(200, &[JSON], RUNNERS).unwrap(), 1);
    }

    #[test]
    fn what_was_sent_and_comes_back_is_not_told() {
        let body = br#"{"message": "no ghp_0123456789abcdef here"}"#;
        let elsewhere = ("location", "https://evil.example/?t=ghp_0123456789abcdef");
        for status in [302, 401, 404, 422, 500] {
            let error = told(status, &[JSON, elsewhere], body).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("0123456789abcdef"), "{status}: {text}");
        }
    }
}
