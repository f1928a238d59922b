//! AWS's error responses, in the format of each service.
//!
//! Pure: no I/O.

use serde_json::json;

use crate::cloud::cluster::Answer;

/// A call that AWS refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status.
    pub(super) status: u16,
    /// The code.
    pub(super) code: &'static str,
    /// What is said beside it.
    pub(super) message: String,
    /// What else the document of the error has.
    pub(super) details: String,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: String::new(),
            headers: Vec::new(),
        }
    }

    /// The answer of `service`.
    pub(super) fn answer(&self, service: &str) -> Answer {
        let (code, message) = (self.code, escaped(&self.message));
        let error = format!("<Code>{code}</Code><Message>{message}</Message>");
        let mut headers = self.headers.clone();
        let (kind, text) = match service {
            "ec2" => (
                "text/xml",
                format!(
                    "<Response><Errors><Error>{error}</Error></Errors><RequestID>sandbox</RequestID></Response>"
                ),
            ),
            "s3" => (
                "application/xml",
                format!("<Error>{error}{}</Error>", self.details),
            ),
            "eks" => {
                headers.push(("x-amzn-errortype", code.to_owned()));
                (
                    "application/json",
                    json!({"message": self.message}).to_string(),
                )
            }
            "ssm" | "secretsmanager" => (
                "application/x-amz-json-1.1",
                json!({"__type": code, "message": self.message}).to_string(),
            ),
            _ => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>sandbox</RequestId></ErrorResponse>"
                ),
            ),
        };
        headers.push(("content-type", kind.to_owned()));
        (self.status, headers, text.into_bytes())
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
