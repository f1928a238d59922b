//! Each system's own error response for a status code, for faults that name only the code.
//!
//! Pure: no I/O.

use http::request::Parts;
use serde_json::json;

use super::classify::System;

/// A body, with its content type and further headers.
pub(super) struct Refusal {
    pub(super) body: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// What `system` says with `status`.
pub(super) fn refusal(system: System, status: u16, request: &Parts) -> Refusal {
    match system {
        System::GitHub => github(status),
        System::Kubernetes => kubernetes(status),
        System::Aws => aws(status, request),
        System::Charts => Refusal {
            body: format!("{status}\n"),
            headers: vec![("content-type", "text/plain".to_owned())],
        },
    }
}

fn github(status: u16) -> Refusal {
    let message = match status {
        401 => "Bad credentials",
        403 => "Resource not accessible by personal access token",
        404 => "Not Found",
        422 => "Validation Failed",
        429 => "You have exceeded a secondary rate limit. Please wait a few minutes.",
        503 => "Service Unavailable",
        _ => "Server Error",
    };
    let docs = "https://docs.github.com/rest";
    let body = json!({"message": message, "documentation_url": docs, "status": status.to_string()});
    let headers = vec![
        ("content-type", "application/json; charset=utf-8".to_owned()),
        ("x-github-request-id", "0000:FAULT".to_owned()),
    ];
    Refusal {
        body: body.to_string(),
        headers,
    }
}

fn kubernetes(status: u16) -> Refusal {
    if status == 429 {
        return too_many();
    }
    let (reason, message) = match status {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden: injected by the sandbox"),
        404 => (
            "NotFound",
            "the server could not find the requested resource",
        ),
        409 => (
            "Conflict",
            "the object has been modified; please apply your changes to the latest",
        ),
        500 => (
            "InternalError",
            "an error on the server has prevented the request",
        ),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted",
        ),
        _ => ("", "injected by the sandbox"),
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status,
    });
    Refusal {
        body: body.to_string(),
        headers: vec![("content-type", "application/json".to_owned())],
    }
}

/// The answer where the API server limits requests: a text and a header, and no Status (apiserver, `tooManyRequests`).
fn too_many() -> Refusal {
    Refusal {
        body: "Too many requests, please try again later.\n".to_owned(),
        headers: vec![
            ("content-type", "text/plain; charset=utf-8".to_owned()),
            ("retry-after", "1".to_owned()),
        ],
    }
}

fn aws(status: u16, request: &Parts) -> Refusal {
    let code = match status {
        400 => "ValidationError",
        401 | 403 => "AccessDenied",
        404 => "NoSuchEntity",
        409 => "ConcurrentModification",
        429 => "Throttling",
        503 => "ServiceUnavailable",
        _ => "InternalFailure",
    };
    let message = "injected by the sandbox";
    let form = request.headers.get("content-type").is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    let signed_for = |service: &str| {
        request.headers.get("authorization").is_some_and(|value| {
            String::from_utf8_lossy(value.as_bytes()).contains(&format!("/{service}/aws4_request"))
        })
    };
    if signed_for("s3") {
        return Refusal {
            body: format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"),
            headers: vec![("content-type", "application/xml".to_owned())],
        };
    }
    if !form {
        let body = json!({"__type": code, "message": message});
        let headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amzn-errortype", code.to_owned()),
        ];
        return Refusal {
            body: body.to_string(),
            headers,
        };
    }
    let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    // EC2 has a shape of its own among the services that answer in XML.
    let body = if signed_for("ec2") {
        format!("<Response><Errors>{error}</Errors><RequestID>0</RequestID></Response>")
    } else {
        format!("<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>")
    };
    Refusal {
        body,
        headers: vec![("content-type", "text/xml".to_owned())],
    }
}
