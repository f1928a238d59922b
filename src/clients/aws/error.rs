//! Maps errors of AWS calls to messages, hints, exit codes and retries.

use std::{error::Error as _, fmt::Display};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{advice, denial};
use crate::error::{Error, ErrorKind, System};

/// The maximum length of AWS's message in an error: a denial ends with the policy that denies the call, after three ARNs.
const QUOTED: usize = 600;

/// The cause of a call without credentials.
pub const NO_CREDENTIALS: &str = "no AWS credentials found";

/// Codes: the identity lacks the permission.
const DENIED: [&str; 7] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "NotAuthorized",
    "UnauthorizedException",
    "UnauthorizedOperation",
    "Client.UnauthorizedOperation",
];

/// Codes: the credentials have expired.
const EXPIRED: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "TokenRefreshRequired",
];

/// Codes: invalid credentials, or credentials that are not valid in this region.
const UNKNOWN: [&str; 12] = [
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "RegionDisabledException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Codes: throttled, or temporarily unavailable.
const BUSY: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Whether a code is about the credentials themselves or about the moment, and not about what they may do.
pub(super) fn is_no_denial(code: &str) -> bool {
    EXPIRED.contains(&code) || UNKNOWN.contains(&code) || BUSY.contains(&code)
}

/// A call to AWS, for its error message.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The action, after `cannot`: ``read IAM role `runners` ``.
    pub what: &'a str,
    /// The permission it needs: `iam:GetRole`.
    pub action: &'a str,
    /// The resource: an ARN or a name.
    pub resource: &'a str,
}

impl Asked<'_> {
    /// Converts the failure to an arcctl error.
    pub fn failed<E>(self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(refused) => {
                let metadata = refused.err().meta();
                let status = refused.raw().status().as_u16();
                self.refused(metadata.code(), metadata.message(), status)
            }
            SdkError::TimeoutError(_) => self
                .failed_to("no response in time")
                .hint("check that the AWS API is reachable from here, through the proxy if there is one")
                .passing(true),
            SdkError::ResponseError(answer) => self
                .failed_to(format_args!(
                    "the response cannot be read (HTTP status {})",
                    answer.raw().status().as_u16()
                ))
                .hint("check that AWS_ENDPOINT_URL and the proxy, if they are set, lead to AWS")
                .passing(true),
            _ => self.not_sent(error),
        }
    }

    /// All items of all pages.
    pub async fn all<T, E>(
        self,
        pages: impl Future<Output = Result<Vec<T>, SdkError<E, HttpResponse>>>,
    ) -> crate::error::Result<Vec<T>>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        pages.await.map_err(|error| self.failed(&error))
    }

    fn error(self, kind: ErrorKind) -> Error {
        Error::new(kind, System::Aws, format!("cannot {}", self.what)).object(self.resource)
    }

    /// The identity may not make the call, or there is none.
    pub(super) fn unauthorized(self) -> Error {
        self.error(ErrorKind::Unauthorized)
    }

    fn failed_to(self, cause: impl Display) -> Error {
        self.error(ErrorKind::Failed).cause(cause)
    }

    /// AWS returned an error.
    pub(super) fn refused(self, code: Option<&str>, message: Option<&str>, status: u16) -> Error {
        let Self {
            action, resource, ..
        } = self;
        let code = code.unwrap_or_default();
        let said = said(code, message, status);
        if DENIED.contains(&code) {
            let message = message.unwrap_or_default();
            return self
                .unauthorized()
                .cause(said)
                .hint(denial::hint(message, action, resource));
        }
        if EXPIRED.contains(&code) {
            return self
                .unauthorized()
                .cause(said)
                .hint("renew the AWS credentials, for example with `aws sso login`, and check this machine's clock");
        }
        if UNKNOWN.contains(&code) {
            return self.unauthorized().cause(said).hint(
                "check the AWS credentials with `aws sts get-caller-identity`, that the region is enabled for the account, and this machine's clock",
            );
        }
        let busy = BUSY.contains(&code) || status == 429;
        // Services use different codes for a denied call; the status is the same.
        if !busy && (status == 401 || status == 403) {
            return self.unauthorized().cause(said).hint(format!(
                "check that the identity that `aws sts get-caller-identity` shows has `{action}` on `{resource}`, and that no service control policy or resource policy denies it"
            ));
        }
        let conflict = advice::is_conflict(code);
        let passing = busy || conflict || status >= 500;
        self.failed_to(said).passing(passing).hint(if conflict || !passing {
            advice::hint(code, resource)
        } else if busy {
            "AWS throttles the requests: run the command again in a minute".to_owned()
        } else {
            "the AWS service returned an internal error: check the AWS Health Dashboard, and run the command again later".to_owned()
        })
    }

    /// The request was not sent: no credentials, no region, no connection.
    fn not_sent<E>(self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: std::error::Error + 'static,
    {
        if let Some(credentials) = credentials_error(error) {
            return self.without_credentials(credentials);
        }
        let chain = chain(error);
        let last = chain.last().map(String::as_str).unwrap_or_default();
        if chain.iter().any(|it| it.to_lowercase().contains("region")) {
            return self
                .failed_to(last)
                .hint("set the region: cluster.region in the profile, or AWS_REGION");
        }
        let hint = if chain.iter().any(|it| it.contains("dns error")) {
            "the AWS endpoint does not resolve here: check cluster.region in the profile, and this machine's DNS"
        } else {
            "check that the AWS API is reachable from here, through the proxy if there is one"
        };
        self.failed_to(last).hint(hint).passing(true)
    }
}

/// The code and message of AWS, once, shortened and without secrets.
pub(super) fn said(code: &str, message: Option<&str>, status: u16) -> String {
    // For a signature mismatch, AWS returns the signed text, which includes the session token.
    let secret = code.contains("Signature");
    let message = message.filter(|_| !secret).unwrap_or_default();
    let line = message
        .split(['\n', '\r'])
        .next()
        .unwrap_or_default()
        .split("Encoded authorization failure message")
        .next()
        .unwrap_or_default()
        .trim();
    let short: String = line.chars().take(QUOTED).collect();
    match (code, short.as_str()) {
        ("", "") => format!("HTTP status {status}"),
        ("", said) => format!("{said} (HTTP status {status})"),
        (code, "") => code.to_owned(),
        (code, said) => format!("{code}: {said}"),
    }
}

/// The messages of an error and of its sources, outermost first.
pub(super) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |it| (**it).source())
        .map(ToString::to_string)
        .collect()
}

/// The credentials error, where it is among the sources of `error`.
fn credentials_error<E>(error: &SdkError<E, HttpResponse>) -> Option<&CredentialsError>
where
    E: std::error::Error + 'static,
{
    std::iter::successors(error.source(), |it| (**it).source())
        .find_map(|it| it.downcast_ref::<CredentialsError>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'static> = Asked {
        what: "read IAM role `runners`",
        action: "iam:GetRole",
        resource: "role/runners",
    };

    #[test]
    fn a_denial_names_action_and_resource() {
        let error = ASKED.refused(Some("AccessDenied"), Some("User: u is not authorized"), 403);
        assert_eq!(error.kind, ErrorKind::Unauthorized);
        assert_eq!(error.causes, ["AccessDenied: User: u is not authorized"]);
        let hint = error.hint.unwrap();
        assert!(hint.contains("`iam:GetRole` on `role/runners`"), "{hint}");
    }

    #[test]
    fn a_no_with_an_unknown_word_is_one_too() {
        for (code, status, kind) in [
            ("AllAccessDisabled", 403, ErrorKind::Unauthorized),
            ("", 403, ErrorKind::Unauthorized),
            ("Whatever", 401, ErrorKind::Unauthorized),
            ("RequestTimeTooSkewed", 403, ErrorKind::Unauthorized),
            ("Whatever", 400, ErrorKind::Failed),
            ("SlowDown", 403, ErrorKind::Failed),
        ] {
            let error = ASKED.refused(Some(code), Some("no"), status);
            assert_eq!(error.kind, kind, "{code} {status}");
            assert_eq!(error.passing, code == "SlowDown", "{code} {status}");
        }
        let error = ASKED.refused(Some("AllAccessDisabled"), Some("no"), 403);
        assert_eq!(error.causes, ["AllAccessDisabled: no"]);
        let hint = error.hint.unwrap();
        assert!(hint.contains("`iam:GetRole` on `role/runners`"), "{hint}");
    }

    #[test]
    fn busy_and_broken_servers_pass() {
        for (code, status, passes) in [
            ("ThrottlingException", 400, true),
            ("RequestLimitExceeded", 503, true),
            ("InternalFailure", 500, true),
            ("", 502, true),
            ("MalformedPolicyDocument", 400, false),
            ("AccessDenied", 403, false),
            ("ConcurrentModification", 409, true),
            ("ConcurrentModificationException", 409, true),
            ("OperationAborted", 409, true),
            ("LimitExceeded", 409, false),
            ("EntityAlreadyExists", 409, false),
        ] {
            let error = ASKED.refused(Some(code), None, status);
            assert_eq!(error.passing, passes, "{code} {status}");
        }
    }

    #[test]
    fn what_to_do_depends_on_what_is_known() {
        for (code, words) in [
            (
                "MalformedPolicyDocument",
                "its message shows the invalid part",
            ),
            ("LimitExceeded", "Service Quotas"),
            ("NoSuchBucket", "not in this account and region"),
            ("InvalidParameterValue", "correct the value in this message"),
            ("PermanentRedirect", "another region"),
            ("Whatever", "not known beyond this message"),
        ] {
            let error = ASKED.refused(Some(code), Some("no"), 400);
            let hint = error.hint.unwrap();
            assert!(hint.contains(words), "{code}: {hint}");
            assert!(!error.passing, "{code}");
        }
        for (code, status, words) in [
            ("OperationAborted", 409, "at the same time"),
            ("ConcurrentModificationException", 409, "at the same time"),
            ("SlowDown", 503, "throttles the requests"),
            ("InternalFailure", 500, "an internal error"),
        ] {
            let error = ASKED.refused(Some(code), Some("no"), status);
            let hint = error.hint.unwrap();
            assert!(hint.contains(words), "{code}: {hint}");
            assert!(error.passing, "{code}");
        }
    }

    #[test]
    fn a_region_that_the_account_has_not_enabled_is_no_missing_permission() {
        for code in ["RegionDisabledException", "OptInRequired"] {
            let error = ASKED.refused(Some(code), Some("no"), 403);
            assert_eq!(error.kind, ErrorKind::Unauthorized);
            let hint = error.hint.unwrap();
            assert!(hint.contains("the region is enabled"), "{code}: {hint}");
        }
    }

    #[test]
    fn what_denies_a_call_is_quoted_to_its_end() {
        let policy = "arn:aws:organizations::111122223333:policy/o-abcdefghij/service_control_policy/p-abcdefgh";
        let denied = format!(
            "You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_AdministratorAccess_0123456789abcdef/somebody.with.a.name@dogecompany.example \
             is not authorized to perform: ec2:AuthorizeSecurityGroupIngress on resource: arn:aws:ec2:ap-northeast-2:111122223333:security-group/sg-0123456789abcdef0 \
             with an explicit deny in a service control policy: {policy}"
        );
        let error = ASKED.refused(Some("UnauthorizedOperation"), Some(&denied), 403);
        assert!(error.causes[0].ends_with(policy), "{error:?}");
        let hint = error.hint.unwrap();
        assert!(
            hint.starts_with("a service control policy") && !hint.contains("grant `"),
            "{hint}"
        );
    }

    #[test]
    fn what_was_signed_is_not_repeated() {
        let said = said(
            "SignatureDoesNotMatch",
            Some("The canonical string was x-amz-security-token:SECRET"),
            403,
        );
        assert_eq!(said, "SignatureDoesNotMatch");
    }

    #[test]
    fn an_encoded_message_is_cut_off() {
        let said = said(
            "UnauthorizedOperation",
            Some("You are not authorized. Encoded authorization failure message: AbCdEf"),
            403,
        );
        assert_eq!(said, "UnauthorizedOperation: You are not authorized.");
    }
}
