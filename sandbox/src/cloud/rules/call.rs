//! A call to AWS as input of the rules: service, action, caller, region and arguments.
//!
//! Pure: no I/O.

use http::request::Parts;

use crate::query::{percent_decode, percent_encode, query_pairs};

/// The access key of the account's owner in tests: what it does happened long ago, so IAM shows it at once.
pub const OWNER: &str = "sandbox";

/// One call.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    /// `iam`, `ec2`, `s3`, `eks`, `ssm`…, as the signature names it.
    pub(super) service: String,
    /// `CreateRole`, `PutBucketPolicy`…
    pub(super) action: String,
    /// The form's fields.
    pub(super) arguments: Vec<(String, String)>,
    /// The access key that signs.
    pub(super) key: String,
    /// The region that the signature is for.
    pub(super) region: String,
    /// The path, decoded.
    pub(super) path: String,
    /// The body where it is no form.
    pub(super) body: String,
}

impl Call {
    /// Reads a request; `None` where it is not signed.
    pub(super) fn read(request: &Parts, body: &[u8]) -> Option<Self> {
        let header = request.headers.get("authorization")?.to_str().ok()?;
        let scope = header.split("Credential=").nth(1)?.split(',').next()?;
        let mut scope = scope.split('/');
        let (key, _date) = (scope.next()?, scope.next()?);
        let (region, service) = (scope.next()?, scope.next()?);
        let text = String::from_utf8_lossy(body);
        let mut call = Self {
            service: service.to_owned(),
            key: key.to_owned(),
            region: region.to_owned(),
            path: percent_decode(request.uri.path()),
            ..Self::default()
        };
        let query = request.uri.query().unwrap_or_default();
        if let Some(target) = request.headers.get("x-amz-target") {
            let target = target.to_str().ok()?;
            target.rsplit('.').next()?.clone_into(&mut call.action);
            call.body = text.into_owned();
        } else if service == "s3" {
            call.action = bucket_action(request, query);
            call.body = text.into_owned();
        } else if service == "eks" {
            call.action = eks_action(request.method.as_str(), request.uri.path());
            call.body = text.into_owned();
        } else {
            call.arguments = query_pairs(&text);
            call.arguments.extend(query_pairs(query));
            call.action = call.argument("Action").unwrap_or_default().to_owned();
        }
        Some(call)
    }

    /// A field of the form.
    pub(super) fn argument(&self, name: &str) -> Option<&str> {
        let found = self.arguments.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The bucket that a call to S3 is about.
    pub(super) fn bucket(&self) -> Option<&str> {
        let name = self.path.trim_start_matches('/').split('/').next()?;
        (self.service == "s3" && !name.is_empty()).then_some(name)
    }

    /// Whether the account's owner calls.
    pub(super) fn is_owner(&self) -> bool {
        self.key == OWNER
    }

    /// The form again, with other values.
    pub(super) fn form(&self) -> Vec<u8> {
        let pairs: Vec<String> = self
            .arguments
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
            .collect();
        pairs.join("&").into_bytes()
    }
}

/// The action of a call to S3 about a whole bucket.
fn bucket_action(request: &Parts, query: &str) -> String {
    let about_policy = query_pairs(query).iter().any(|(name, _)| name == "policy");
    let action = match (request.method.as_str(), about_policy) {
        ("GET", true) => "GetBucketPolicy",
        ("PUT", true) => "PutBucketPolicy",
        ("DELETE", true) => "DeleteBucketPolicy",
        ("HEAD", false) => "HeadBucket",
        ("PUT", false) if query.is_empty() || query.starts_with("x-id=CreateBucket") => {
            "CreateBucket"
        }
        ("GET", false) if request.uri.path() == "/" => "ListBuckets",
        _ => "",
    };
    action.to_owned()
}

/// The action of a call to EKS, by method and path.
fn eks_action(method: &str, path: &str) -> String {
    let action = match path.split_once("/pod-identity-associations") {
        Some((_, "" | "/")) if method == "GET" => "ListPodIdentityAssociations",
        Some((_, "" | "/")) => "CreatePodIdentityAssociation",
        Some(_) => match method {
            "GET" => "DescribePodIdentityAssociation",
            "DELETE" => "DeletePodIdentityAssociation",
            _ => "UpdatePodIdentityAssociation",
        },
        None if path.starts_with("/clusters/") && method == "GET" => "DescribeCluster",
        None => "",
    };
    action.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, uri: &str, service: &str, body: &str) -> Call {
        let header = format!(
            "AWS4-HMAC-SHA256 Credential=KEY/20260101/eu-west-1/{service}/aws4_request, Signature=x"
        );
        let request = http::Request::builder().method(method).uri(uri);
        let request = request.header("authorization", header).body(()).unwrap();
        Call::read(&request.into_parts().0, body.as_bytes()).unwrap()
    }

    #[test]
    fn each_protocol_is_read() {
        let call = read("POST", "/", "iam", "Action=GetRole&RoleName=a%2Bb");
        assert_eq!(
            (call.action.as_str(), call.argument("RoleName")),
            ("GetRole", Some("a+b"))
        );
        assert_eq!(call.region, "eu-west-1");
        let call = read("PUT", "/b.example?policy", "s3", "{}");
        assert_eq!(
            (call.action.as_str(), call.bucket()),
            ("PutBucketPolicy", Some("b.example"))
        );
        let call = read(
            "GET",
            "/clusters/c/pod-identity-associations/a-1",
            "eks",
            "",
        );
        assert_eq!(call.action, "DescribePodIdentityAssociation");
    }

    #[test]
    fn a_form_is_written_as_it_was_read() {
        let call = read("POST", "/", "ec2", "Action=X&A.1=10.0.0.1%2F8&B=a+b");
        assert_eq!(call.form(), b"Action=X&A.1=10.0.0.1%2F8&B=a%20b");
    }
}
