//! Maps helm's error messages to hints. For an unknown message the hint states that, and names the next thing to check.
//! Pure: no I/O.
//!
//! Sources of the messages: helm's `pkg/action` and `pkg/kube` (v3.13 to v4.3), client-go's errors below them.

/// Texts in helm's messages and their hints; the first entry whose texts are all found wins.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &["another operation", "in progress"],
        "another helm process is changing this release, or was killed halfway: `helm -n NAMESPACE history RELEASE` shows which; run the same command again when it has ended",
    ),
    (
        &["cannot re-use a name"],
        "a release of this name already exists: adopt it with `--adopt`",
    ),
    (
        &["invalid ownership metadata"],
        "the object in helm's message belongs to another release or to none: delete it, or add the labels and annotations that the message lists",
    ),
    (
        &["failed calling webhook"],
        "the webhook in helm's message does not respond: `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o yaml` shows which Service it calls; the pods of that Service must be ready",
    ),
    (
        &["admission webhook", "denied"],
        "a policy of the cluster rejects the object: change the rejected value under `values` of that chart in the profile, or the policy",
    ),
    (
        &["is forbidden: user"],
        "grant this user the permissions in docs/rbac.yaml, or use another --context",
    ),
    (
        &["attempting to grant rbac permissions"],
        "bind the role `arcctl-install` of docs/rbac.yaml to this user, so that it can create the chart's roles, or use another --context",
    ),
    (
        &["exceeded quota"],
        "raise the quota in helm's message, or lower the requests under `values` of that chart in the profile",
    ),
    (
        &["being terminated"],
        "the namespace is terminating: the conditions in `kubectl get namespace NAMESPACE -o yaml` show what blocks its deletion",
    ),
    (
        &["meet the specifications of the schema"],
        "correct the value in helm's message under `values` of that chart in the profile",
    ),
    (
        &["execution error at"],
        "correct the value in helm's message under `values` of that chart in the profile",
    ),
    (
        &["nil pointer evaluating"],
        "the chart needs a value that is not set: correct `values` of that chart in the profile",
    ),
    (
        &["executable file not found"],
        "install the credential plugin (`exec`) of the kubeconfig context, and make sure that it is in PATH",
    ),
    (
        &["getting credentials", "permission denied"],
        "this user may not execute the credential plugin (`exec`) of the kubeconfig context: `ls -lL FILE` shows the mode and owner of the file in helm's message; the directories above it need the execute permission too, and its file system must not be mounted with `noexec`",
    ),
    (
        &["unauthorized"],
        "renew the credentials of this kubeconfig context or of the chart repository",
    ),
    (
        &["x509"],
        "helm does not trust the certificate: set SSL_CERT_FILE for a chart repository, or the certificate authority in the kubeconfig for the cluster",
    ),
    (
        &["cluster unreachable"],
        "check that the API server is reachable from here: `kubectl version` with the same context",
    ),
    (
        &["no such host"],
        "the host in helm's message does not resolve here: check DNS, or set a mirror under `charts` in the profile",
    ),
    (
        &["connection refused"],
        "check that the address in helm's message is reachable from here: the API server, or the chart repository",
    ),
    (
        &["timed out waiting"],
        "a resource of the chart does not become ready: `arcctl doctor` shows which one",
    ),
    (
        &["deadline exceeded"],
        "the API server or a webhook responds too slowly: `kubectl get --raw '/readyz?verbose'` checks the API server",
    ),
    (
        &["resource mapping not found"],
        "the cluster lacks a CRD that the chart needs: `arcctl plan` shows which ones it would create",
    ),
    (
        &["field is immutable"],
        "delete the object in helm's message, so that helm creates it again, or restore the old value under `values` in the profile",
    ),
];

/// The hint for the error message `words`.
pub(super) fn hint(words: &str) -> String {
    let said = words.to_lowercase();
    let known = KNOWN
        .iter()
        .find(|(words, _)| words.iter().all(|it| said.contains(it)));
    known.map_or_else(
        || "the cause is not known beyond helm's message: `helm list -A --deployed --failed --pending --uninstalling` with the same context shows the status of the release".to_owned(),
        |(_, hint)| (*hint).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helms_words_choose_the_hint() {
        for (words, expected) in [
            (
                "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
                "history",
            ),
            (
                "INSTALLATION FAILED: cannot re-use a name that is still in use",
                "--adopt",
            ),
            (
                "Unable to continue with install: ClusterRole \"x\" in namespace \"\" exists and cannot be imported into the current release: invalid ownership metadata",
                "another release",
            ),
            (
                "Internal error occurred: failed calling webhook \"webhook.cert-manager.io\": no endpoints",
                "Service it calls",
            ),
            (
                "admission webhook \"validate.kyverno.svc\" denied the request: labels",
                "policy",
            ),
            (
                "deployments.apps is forbidden: User \"ci\" cannot create resource",
                "docs/rbac.yaml",
            ),
            (
                "values don't meet the specifications of the schema(s) in the following chart(s)",
                "correct the value",
            ),
            (
                "Kubernetes cluster unreachable: Get \"https://x\": EOF",
                "kubectl version",
            ),
            (
                "Get \"https://x/index.yaml\": dial tcp: lookup x: no such host",
                "`charts`",
            ),
            (
                "exec: \"aws\": executable file not found in $PATH",
                "in PATH",
            ),
            (
                "Kubernetes cluster unreachable: Get \"https://x/version\": getting credentials: exec: fork/exec /opt/aws: permission denied",
                "noexec",
            ),
        ] {
            assert!(hint(words).contains(expected), "{words}: {}", hint(words));
        }
        assert!(hint("something new").contains("not known"));
    }
}
