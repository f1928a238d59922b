//! Errors of Kubernetes API calls: the server's message, whether a retry helps, and the resulting error.

use std::{sync::Arc, time::Duration};

use kube::core::Status;

use super::{CALL_TIMEOUT, Selection, Target};
use crate::{
    clients::{
        aws::auth::Login,
        cause::innermost,
        requests::Call,
        retry::{LONGEST, backoff},
    },
    error::{Error, ErrorKind, System},
    secret::text::masked,
};

/// From what difference of the clocks on an API server may reject a token for it: AWS takes no signature from further ahead (AWS
/// Signature Version 4), and an EKS token of 9 minutes has six left.
const CLOCKS: Duration = Duration::from_mins(5);

/// A failed call, without its context.
#[derive(Debug)]
pub struct KubeFailure {
    pub(super) what: String,
    pub(super) reply: Reply,
    pub(super) login: Option<Arc<Login>>,
    /// How far this machine's clock is ahead of the API server's, in seconds; 0 if that is unknown.
    pub(super) clock_ahead: i64,
}

/// The kinds of failures.
#[derive(Debug)]
pub(super) enum Reply {
    /// An error response, or a connection error.
    Refused(Box<kube::Error>),
    /// Timeout.
    Silence,
    /// Not sent: the credentials have expired.
    SignedOut(Box<Error>),
}

impl KubeFailure {
    /// That of a call which cannot be made: the manifest is no object.
    pub(super) fn unsent(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            reply: Reply::Silence,
            login: None,
            clock_ahead: 0,
        }
    }

    /// The HTTP status, where the server returned one.
    pub fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    /// The server's Status.
    pub fn status(&self) -> Option<&Status> {
        match &self.reply {
            Reply::Refused(error) => status(error),
            Reply::Silence | Reply::SignedOut(_) => None,
        }
    }

    /// The invalid fields in the server's Status.
    pub fn fields(&self) -> Vec<String> {
        let details = self.status().and_then(|it| it.details.as_ref());
        details
            .into_iter()
            .flat_map(|it| &it.causes)
            .map(|it| it.field.clone())
            .filter(|it| !it.is_empty())
            .collect()
    }

    /// The server's message, once. A policy can quote the whole object, so secrets are removed.
    pub fn said(&self) -> String {
        match &self.reply {
            Reply::Silence => format!("no response within {} s", CALL_TIMEOUT.as_secs()),
            Reply::SignedOut(error) => error.document().message,
            Reply::Refused(error) => match error.as_ref() {
                kube::Error::Api(status) => masked(&status.message).into_owned(),
                other => innermost(other),
            },
        }
    }

    /// The pause before a retry; `None` where a retry does not help. A pause that a busy server requests is
    /// used if it is short. After a timeout, the call is repeated once.
    pub(super) fn again(&self, call: Call, attempt: u32) -> Option<Duration> {
        if matches!(self.reply, Reply::Silence) && attempt > 1 {
            return None;
        }
        let asked = self.status().and_then(|it| it.details.as_ref());
        let asked = asked.map_or(0, |it| it.retry_after_seconds);
        let asked = Duration::from_secs(asked.into());
        (self.is_passing(call) && asked <= LONGEST).then(|| asked.max(backoff(attempt)))
    }

    /// Whether the call can be repeated: the server was busy, or (for reads) the connection failed.
    fn is_passing(&self, call: Call) -> bool {
        match self.code() {
            Some(429 | 503 | 504) => true,
            // A dry run that returns 500 met a webhook error; the wait loop repeats it.
            Some(500) => call == Call::Read,
            Some(_) => false,
            // An apply or create may have succeeded: only reads are always repeated.
            None => call != Call::Write && !self.is_unauthenticated(),
        }
    }

    /// Whether no credentials were available: an exec plugin failed, or single sign-on has expired.
    fn is_unauthenticated(&self) -> bool {
        match &self.reply {
            Reply::Refused(error) => matches!(**error, kube::Error::Auth(_)),
            Reply::Silence => false,
            Reply::SignedOut(_) => true,
        }
    }

    /// Whether the caller is not authenticated or lacks the permission. A policy that rejects the object also
    /// returns 403, but does not count.
    pub fn is_unauthorized(&self) -> bool {
        self.kind() == ErrorKind::Unauthorized
    }

    /// Whether an admission policy, a webhook or a quota has judged the object and rejects it, whatever the code: a
    /// `ValidatingAdmissionPolicy` returns 422 unless it says otherwise, a webhook any code.
    pub fn is_by_policy(&self) -> bool {
        self.status().is_some_and(|status| {
            (400..500).contains(&status.code)
                && is_policy(&status.message)
                && !self.takes_no_dry_run()
        })
    }

    /// Whether a webhook takes no dry runs, so that the object was not judged (kubernetes, `NewDryRunUnsupportedErr`: code
    /// 400). Such webhooks were made before Kubernetes 1.22, which asks for `sideEffects: None` or `NoneOnDryRun`.
    pub fn takes_no_dry_run(&self) -> bool {
        self.status()
            .is_some_and(|status| is_without_dry_run(&status.message))
    }

    /// Whether a policy, a quota or a terminating namespace rejects the object, rather than RBAC.
    fn is_policy(&self) -> bool {
        self.status()
            .is_some_and(|status| status.code == 403 && is_policy(&status.message))
    }

    /// What to do where the credentials are rejected and the clocks differ: by the API server's clock a new token may have
    /// expired, or not be valid yet. The SDK of AWS corrects the clock in its own calls, so that these show nothing.
    fn wrong_clock(&self) -> Option<String> {
        let apart = Duration::from_secs(self.clock_ahead.unsigned_abs());
        if self.code() != Some(401) || apart < CLOCKS {
            return None;
        }
        let way = if self.clock_ahead > 0 {
            "ahead of"
        } else {
            "behind"
        };
        Some(format!(
            "this machine's clock is {} minutes {way} the API server's, which may be why its tokens are not valid there: set the clock, then run the command again",
            apart.as_secs() / 60
        ))
    }

    fn kind(&self) -> ErrorKind {
        match self.code() {
            Some(403) if self.is_policy() => ErrorKind::Failed,
            Some(401 | 403) => ErrorKind::Unauthorized,
            None if self.is_unauthenticated() => ErrorKind::Unauthorized,
            _ => ErrorKind::Failed,
        }
    }

    /// Converts it to an error about `target`.
    pub fn about(&self, target: &Target) -> Error {
        self.error(&target.to_string())
    }

    pub(super) fn about_kind(&self, selection: &Selection) -> Error {
        self.error(&format!("{} objects", selection.kind.name()))
    }

    pub(super) fn about_server(&self, server: &str) -> Error {
        self.error(&format!("API server `{server}`"))
    }

    /// What to do, by what the server has returned alone.
    fn hint(&self) -> &'static str {
        match self.code() {
            Some(401) => {
                "the API server rejects the credentials: renew those of this kubeconfig context"
            }
            Some(403) if self.is_policy() => {
                "change the rejected value in the profile, or the policy or quota that rejects it; then run the command again"
            }
            Some(403) => {
                "grant this user the permissions in docs/rbac.yaml, or use another --context"
            }
            Some(409) => "another client changes it at the same time: run the command again",
            Some(400) if self.takes_no_dry_run() => {
                "have the owner of the webhook declare `sideEffects: None` or `NoneOnDryRun`: until then what it rejects is known only once it is written"
            }
            Some(400 | 422) => {
                "correct the field in this message: it comes from the profile, or from the chart's values in it"
            }
            Some(405) => {
                "the API server does not serve this kind now, for example while its CustomResourceDefinition is being deleted: run the command again when `kubectl get crds` lists it"
            }
            Some(413) => {
                "the object is larger than the API server's limit: shorten the values that the profile passes to it"
            }
            Some(429) => {
                "the API server has too many requests at the moment: run the command again in a minute"
            }
            Some(_) => {
                "the API server returned an internal error: check it with `kubectl get --raw '/readyz?verbose'`, then run the command again"
            }
            None if self.is_unauthenticated() => {
                "renew the credentials of this kubeconfig context, for example with `aws sso login`"
            }
            None => "check that the API server is reachable from here: `kubectl version`",
        }
    }

    fn error(&self, object: &str) -> Error {
        if let Reply::SignedOut(error) = &self.reply {
            return (**error).clone();
        }
        let hint = match (&self.login, self.wrong_clock()) {
            (Some(_), Some(clock)) => clock,
            // Without a login of our own the credentials may be at fault all the same.
            (None, Some(clock)) => format!("{}; or {clock}", self.hint()),
            (Some(login), None) if self.code() == Some(401) => login.unknown(),
            (Some(login), None) if self.code().is_none() && !self.is_unauthenticated() => {
                login.unreachable()
            }
            _ => self.hint().to_owned(),
        };
        Error::new(
            self.kind(),
            System::Kubernetes,
            format!("cannot {}", self.what),
        )
        .object(object.replace('`', ""))
        .cause(self.said())
        .hint(hint)
        .passing(
            !self.is_unauthenticated()
                && matches!(self.code(), None | Some(404 | 409 | 429 | 500..)),
        )
    }
}

/// Both are a 403. The authorizers report what a user cannot do, and RBAC's admission reports what they cannot grant, right
/// after `forbidden: `; any text after the name of a policy is the policy's message.
fn is_policy(message: &str) -> bool {
    if message.starts_with("admission webhook ") {
        return true;
    }
    let Some((_, said)) = message.split_once(" is forbidden: ") else {
        return false;
    };
    let of_a_user = said.starts_with("User \"") || said.starts_with("user \"");
    let rights = said.contains("\" cannot ") || said.contains("attempting to grant");
    !(of_a_user && rights)
}

/// The words about a webhook whose `sideEffects` forbid dry runs.
fn is_without_dry_run(message: &str) -> bool {
    message.starts_with("admission webhook ") && message.ends_with(" does not support dry run")
}

/// The Status of a failed call, where the server returned one.
pub fn status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_no_lack_of_rights() {
        for policy in [
            "admission webhook \"validate.kyverno.svc-fail\" denied the request: labels are missing",
            "runnerdeployments.actions.summerwind.dev \"basic\" is forbidden: exceeded quota: runners, requested: count/runnerdeployments.actions.summerwind.dev=1, used: 0, limited: 0",
            "secrets \"controller-manager\" is forbidden: unable to create new content in namespace actions-runner-system because it is being terminated",
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged",
            "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'all' denied request: label \"team\" cannot be empty",
            "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'who' with binding 'all' denied request: User \"ci\" cannot create pods here",
            "admission webhook \"validation.gatekeeper.sh\" denied the request: [quotas] container \"runner\" cannot exceed 2 CPU",
            "admission webhook \"x\" denied the request: user \"ci\" is attempting to grant itself more",
        ] {
            assert!(is_policy(policy), "{policy}");
        }
        for rights in [
            "secrets is forbidden: User \"tester\" cannot list resource \"secrets\" in API group \"\" at the cluster scope",
            "clusterroles.rbac.authorization.k8s.io \"x\" is forbidden: user \"tester\" (groups=[\"a\"]) is attempting to grant RBAC permissions not currently held",
            "pods is forbidden: User \"is forbidden: me\" cannot create resource \"pods\" in API group \"\" in the namespace \"x\": Access Denied",
            "forbidden: User \"system:anonymous\" cannot get path \"/version\"",
            "Forbidden",
        ] {
            assert!(!is_policy(rights), "{rights}");
        }
    }

    /// The answer of an API server with a Status.
    fn answered(code: u16, message: &str) -> KubeFailure {
        let status = Status::failure(message, "").with_code(code);
        KubeFailure {
            what: "apply something".into(),
            reply: Reply::Refused(Box::new(kube::Error::Api(status.boxed()))),
            login: None,
            clock_ahead: 0,
        }
    }

    #[test]
    fn a_policy_judges_with_any_code_and_a_webhook_without_dry_runs_not_at_all() {
        let policy = "deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'team' with binding 'all' denied request: no team";
        let webhook = "admission webhook \"a\" denied the request: no team";
        for (code, message, judged) in [
            (422, policy, true),
            (403, policy, true),
            (400, webhook, true),
            (
                500,
                "Internal error occurred: failed calling webhook \"a\": EOF",
                false,
            ),
            (
                422,
                "Deployment.apps \"a\" is invalid: spec.replicas: Invalid value: -1",
                false,
            ),
            (
                403,
                "secrets is forbidden: User \"a\" cannot patch resource \"secrets\"",
                false,
            ),
            (
                400,
                "admission webhook \"a\" does not support dry run",
                false,
            ),
        ] {
            assert_eq!(answered(code, message).is_by_policy(), judged, "{message}");
        }
        assert!(
            answered(400, "admission webhook \"a\" does not support dry run").takes_no_dry_run()
        );
        assert!(!answered(400, webhook).takes_no_dry_run());
    }

    #[test]
    fn a_token_that_is_rejected_where_the_clocks_differ_is_told_with_the_clock() {
        let target = Target::cluster("v1", "Namespace", "a");
        let hint = |code, clock_ahead| {
            let failure = KubeFailure {
                clock_ahead,
                ..answered(code, "Unauthorized")
            };
            failure.about(&target).hint.unwrap()
        };
        assert!(hint(401, -1260).contains("clock is 21 minutes behind the API server's"));
        assert!(hint(401, 600).contains("clock is 10 minutes ahead of the API server's"));
        // A certificate or a static token of the kubeconfig may be at fault all the same.
        assert!(
            hint(401, 600)
                .contains("renew those of this kubeconfig context; or this machine's clock")
        );
        for (code, ahead) in [(401, 0), (401, -299), (403, -1260), (500, 1260)] {
            assert!(!hint(code, ahead).contains("clock"), "{code} {ahead}");
        }
    }

    #[test]
    fn a_silent_server_is_asked_twice_and_a_busy_one_more_often() {
        let silent = KubeFailure::unsent("read something");
        assert!(silent.again(Call::Read, 1).is_some());
        assert!(silent.again(Call::DryRun, 1).is_some());
        assert!(silent.again(Call::Read, 2).is_none());
        assert!(silent.again(Call::Write, 1).is_none());
        assert!(2 * CALL_TIMEOUT < Duration::from_mins(1));
    }
}
