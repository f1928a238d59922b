//! Classifies requests as reads or writes. Dry runs, registration tokens and access reviews change nothing permanently:
//! they are reads.
//!
//! Pure: no I/O.

use http::Method;
use http::request::Parts;
use hyper::body::Bytes;

use crate::query::query_pairs;

/// The systems a proxy stands in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// The GitHub stand-in.
    GitHub,
    /// The Kubernetes API server.
    Kubernetes,
    /// The AWS stand-in (moto).
    Aws,
    /// The chart repository.
    Charts,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It changes nothing that lasts.
    Read,
    /// It changes something.
    Write,
}

/// Whether the kind of a request can be told without its body.
pub(super) fn needs_body(system: System, method: &Method) -> bool {
    system == System::Aws && (*method == Method::POST || *method == Method::PUT)
}

/// What a request does; `body` is empty where it is not needed.
pub(super) fn classify(system: System, request: &Parts, body: &Bytes) -> Kind {
    if matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Kind::Read;
    }
    let path = request.uri.path();
    let reads = match system {
        System::GitHub => [
            "/registration-token",
            "/remove-token",
            "/access_tokens",
            "/runner-registration",
        ]
        .iter()
        .any(|end| path.ends_with(end)),
        System::Kubernetes => {
            let query = query_pairs(request.uri.query().unwrap_or_default());
            query
                .iter()
                .any(|(name, value)| name == "dryRun" && value == "All")
                || path.starts_with("/apis/authorization.k8s.io/")
                || path.starts_with("/apis/authentication.k8s.io/")
        }
        System::Aws => action(request, body).is_some_and(|action| {
            [
                "Describe",
                "List",
                "Get",
                "Head",
                "Lookup",
                "Simulate",
                "AssumeRole",
                "Decode",
            ]
            .iter()
            .any(|start| action.starts_with(start))
        }),
        System::Charts => false,
    };
    if reads { Kind::Read } else { Kind::Write }
}

/// The action of an AWS request: a header of the JSON services, a form field of the older ones. The REST services
/// (EKS, S3) have neither; their methods tell.
pub(super) fn action(request: &Parts, body: &Bytes) -> Option<String> {
    if let Some(target) = request.headers.get("x-amz-target") {
        let target = target.to_str().ok()?;
        return Some(target.rsplit('.').next().unwrap_or(target).to_owned());
    }
    let form = std::str::from_utf8(body).ok()?;
    query_pairs(form)
        .into_iter()
        .find(|(name, _)| name == "Action")
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(system: System, method: &str, uri: &str, target: &str, body: &'static str) -> Kind {
        let mut request = http::Request::builder().method(method).uri(uri);
        if !target.is_empty() {
            request = request.header("x-amz-target", target);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        classify(system, &parts, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_write_is_a_write() {
        let path = "/api/v1/namespaces?fieldManager=arcctl&dryRun=";
        assert_eq!(kind(System::Kubernetes, "PATCH", path, "", ""), Kind::Write);
        assert_eq!(
            kind(
                System::GitHub,
                "DELETE",
                "/orgs/o/actions/runners/1",
                "",
                ""
            ),
            Kind::Write
        );
        assert_eq!(
            kind(System::Aws, "POST", "/", "", "Action=CreateRole&x=Get"),
            Kind::Write
        );
        assert_eq!(
            kind(System::Aws, "POST", "/", "AmazonSSM.PutParameter", ""),
            Kind::Write
        );
        assert_eq!(
            kind(System::Aws, "PUT", "/bucket?policy", "", ""),
            Kind::Write
        );
    }

    #[test]
    fn what_changes_nothing_that_lasts_is_a_read() {
        let path = "/api/v1/namespaces?dryRun=All&fieldManager=arcctl";
        assert_eq!(kind(System::Kubernetes, "PATCH", path, "", ""), Kind::Read);
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert_eq!(kind(System::Kubernetes, "POST", path, "", ""), Kind::Read);
        let path = "/api/v3/orgs/o/actions/runners/registration-token";
        assert_eq!(kind(System::GitHub, "POST", path, "", ""), Kind::Read);
        let body = "Version=1&Action=DescribeSecurityGroups";
        assert_eq!(kind(System::Aws, "POST", "/", "", body), Kind::Read);
        assert_eq!(
            kind(System::Aws, "POST", "/", "AmazonSSM.GetParameter", ""),
            Kind::Read
        );
    }
}
