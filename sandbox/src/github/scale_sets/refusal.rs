//! How the Actions service refuses: a status, and the name of an exception that clients look for. Pure: no I/O.

use http::StatusCode;
use serde_json::json;

use super::super::call::Answer;

/// Why a request to the service is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    exception: &'static str,
    message: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, exception: &'static str, message: String) -> Self {
        Self {
            status,
            exception,
            message,
        }
    }

    /// A token that is none, has expired, or is another owner's.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UnauthorizedRequestException",
            "TF400813: The user is not authorized to access this resource.".to_owned(),
        )
    }

    pub(super) fn no_scale_set(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "RunnerScaleSetNotFoundException",
            format!("No runner scale set found with identifier {id}."),
        )
    }

    pub(super) fn no_runner(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "AgentNotFoundException",
            format!("No agent found with identifier {id}."),
        )
    }

    pub(super) fn no_session() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "RunnerScaleSetSessionNotFoundException",
            "The runner scale set session was not found.".to_owned(),
        )
    }

    pub(super) fn conflict(exception: &'static str, message: String) -> Self {
        Self::new(StatusCode::CONFLICT, exception, message)
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "InvalidRequestException",
            message.to_owned(),
        )
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let space = "GitHub.Actions.Runtime.WebApi";
        let exception = refused.exception;
        Self {
            status: refused.status,
            body: Some(json!({
                "$id": "1",
                "innerException": null,
                "message": refused.message,
                "typeName": format!("{space}.{exception}, {space}"),
                "typeKey": exception,
                "errorCode": 0,
                "eventId": 3000,
            })),
            headers: vec![("activityid", super::super::token::random(8).to_lowercase())],
        }
    }
}
