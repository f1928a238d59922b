//! Maps helm's error messages to hints. For an unknown message the hint states that, and names the next thing to check.
//! Pure: no I/O.
//!
//! Sources of the messages: helm's `pkg/action` and `pkg/kube` (v3.13 to v4.3), client-go's errors below them.

/// Texts in helm's messages and their hints; the first entry whose texts are all found wins.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &["another operation", "in progress"],
        "another helm works on this release, or one was ended half-way: `helm -n NAMESPACE history RELEASE` shows which; run the same command again once it has ended",
    ),
    (
        &["cannot re-use a name"],
        "a release of this name is there already: take it over with `--adopt`",
    ),
    (
        &["invalid ownership metadata"],
        "the object that helm names belongs to another release or to nobody: remove it, or give it helm's labels and annotations as its message says",
    ),
    (
        &["failed calling webhook"],
        "the webhook that helm names does not answer: `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations` shows which Service it calls, and that Service's pods must run",
    ),
    (
        &["admission webhook", "denied"],
        "a policy of the cluster refuses the object: change what it names under `values` of that chart in the profile, or the policy",
    ),
    (
        &["is forbidden: user"],
        "grant what docs/rbac.yaml lists to this user, or use another --context",
    ),
    (
        &["attempting to grant rbac permissions"],
        "bind the role `arcctl-install` of docs/rbac.yaml to this user, which may make the chart's roles, or use another --context",
    ),
    (
        &["exceeded quota"],
        "raise the quota that helm names, or ask for less under `values` of that chart in the profile",
    ),
    (
        &["being terminated"],
        "the namespace is on its way out: `kubectl get namespace NAMESPACE -o yaml` shows in its conditions what holds it",
    ),
    (
        &["meet the specifications of the schema"],
        "correct the value that helm names under `values` of that chart in the profile",
    ),
    (
        &["execution error at"],
        "correct the value that helm names under `values` of that chart in the profile",
    ),
    (
        &["nil pointer evaluating"],
        "the chart misses a value: correct `values` of that chart in the profile",
    ),
    (
        &["executable file not found"],
        "install the program that the kubeconfig's context signs in with, and make sure that it is in PATH",
    ),
    (
        &["unauthorized"],
        "renew what this kubeconfig context, or the chart's repository, is signed in to with",
    ),
    (
        &["x509"],
        "trust the certificate that helm refuses: SSL_CERT_FILE for a chart's repository, the kubeconfig's certificate authority for the cluster",
    ),
    (
        &["cluster unreachable"],
        "reach the API server from here: `kubectl version` with the same context",
    ),
    (
        &["no such host"],
        "reach the host that helm names from here; a mirror of the charts is named under `charts` in the profile",
    ),
    (
        &["connection refused"],
        "reach the address that helm names from here: the API server, or the chart's repository",
    ),
    (
        &["timed out waiting"],
        "something of the chart does not come up: `arcctl doctor` names it",
    ),
    (
        &["deadline exceeded"],
        "the API server or a webhook is slow to answer: `kubectl get --raw '/readyz?verbose'` shows the first",
    ),
    (
        &["resource mapping not found"],
        "the cluster lacks a CRD that the chart needs: `arcctl plan` shows which it would create",
    ),
    (
        &["field is immutable"],
        "delete the object that helm names, so that it is made anew, or give it its old value under `values` in the profile",
    ),
];

/// The hint for the error message `words`.
pub(super) fn hint(words: &str) -> String {
    let said = words.to_lowercase();
    let known = KNOWN
        .iter()
        .find(|(words, _)| words.iter().all(|it| said.contains(it)));
    known.map_or_else(
        || "the cause is not known beyond helm's own words: `helm list -A --all` with the same context shows in what state the release is".to_owned(),
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
        ] {
            assert!(hint(words).contains(expected), "{words}: {}", hint(words));
        }
        assert!(hint("something new").contains("not known"));
    }
}
