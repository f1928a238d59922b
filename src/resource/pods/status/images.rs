//! Finds why an image cannot be pulled, and what mends it. Pure: no I/O.
//!
//! Sources of the messages: kubelet (`pkg/kubelet/images`), containerd, and the registries that these quote.

use serde_json::Value;

use super::{Maker, maker};
use crate::resource::{events::newest, observed::Readiness};

/// The reasons of a container that waits for its image (kubernetes, `pkg/kubelet/images/types.go`).
pub(super) const REASONS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// Texts in the messages, in lower case, and what mends it; the first entry of which one is found wins.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &["no match for platform", "no matching manifest"],
        "the image is not built for the processors of this node: choose nodes by nodeSelector (`kubernetes.io/arch`), or an image that is built for both",
    ),
    (
        &["toomanyrequests", "too many requests"],
        "the registry limits how often it is asked, most of all without a login: wait, name a Secret with a login under images.pullSecrets, or use a mirror (images.registry) in the profile",
    ),
    (
        &["x509: "],
        "the nodes do not trust the certificate of the registry: add its authority to their container runtime, or name a registry that they trust under images.registry in the profile",
    ),
    (
        &["no space left on device"],
        "the disk of the node is full: give the nodes larger ones",
    ),
    (
        &["pull policy of never"],
        "the nodes must have the image already: load it there, or remove `imagePullPolicy: Never`",
    ),
];

/// Texts of a registry that refuses the login, or that there is none.
const REFUSED: [&str; 7] = [
    "no basic auth credentials",
    "401 unauthorized",
    "403 forbidden",
    "access denied",
    "authorization failed",
    "authentication required",
    "unauthorized: ",
];

/// Texts of a registry that cannot be reached.
const UNREACHED: [&str; 8] = [
    "no such host",
    "i/o timeout",
    "connection refused",
    "connection reset",
    "no route to host",
    "network is unreachable",
    "tls handshake timeout",
    "deadline exceeded",
];

/// The hosts of Amazon ECR, of both kinds of addresses.
const ECR: [&str; 2] = [".dkr.ecr.", ".dkr-ecr."];

/// That the image of a container of `pod` cannot be pulled, by the `message` of its state.
pub(super) fn readiness(pod: &Value, name: &str, message: &str, events: &[Value]) -> Readiness {
    let said = if is_pause(message) {
        failure(pod, events).unwrap_or(message)
    } else {
        message
    };
    Readiness::stuck(
        format!("pod `{name}` cannot pull its image: {said}"),
        hint(pod, said),
    )
}

/// Whether kubelet says only that it waits before it pulls again: before Kubernetes 1.32 it does not repeat why
/// (kubernetes/kubernetes#127918).
fn is_pause(message: &str) -> bool {
    message.starts_with("Back-off pulling image ") && !message.contains(": ")
}

/// What kubelet reported of the pull.
fn failure<'a>(pod: &Value, events: &'a [Value]) -> Option<&'a str> {
    let failed = events.iter().filter(|it| {
        let said = it["message"].as_str().unwrap_or_default();
        it["reason"] == "Failed"
            && it["involvedObject"]["uid"] == pod["metadata"]["uid"]
            && said.starts_with("Failed to pull image ")
    });
    newest(failed)?["message"].as_str()
}

fn hint(pod: &Value, said: &str) -> String {
    let said = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|it| said.contains(it));
    if let Some((_, mends)) = KNOWN.iter().find(|(words, _)| says(words)) {
        return (*mends).to_owned();
    }
    let image = keys(pod);
    if says(&REFUSED) && says(&ECR) {
        format!(
            "the role of the nodes needs the policy AmazonEC2ContainerRegistryPullOnly, and a repository of another account must allow this one; check {image} too"
        )
    } else if says(&REFUSED) {
        format!(
            "name a Secret with a login for the registry under images.pullSecrets, or imagePullSecrets of the pool, in the profile; many registries say the same of an image that is not there: check {image}"
        )
    } else if says(&UNREACHED) {
        format!(
            "the nodes do not reach the registry: check {image}, then their routes, their DNS and the proxy of their container runtime, or name a mirror under images.registry in the profile"
        )
    } else {
        format!("check {image}; for a mirror also images.registry and images.pullSecrets")
    }
}

/// The keys in the profile for the image of a pod.
fn keys(pod: &Value) -> &'static str {
    match maker(pod) {
        Maker::Pool => "the image's name and tag in the profile",
        Maker::Controller => "controller.chartVersion and controller.values.image in the profile",
        Maker::CertManager => "certManager.chartVersion in the profile",
        Maker::ScaleSetController => {
            "scaleSets.chartVersion and scaleSets.values.image in the profile"
        }
        Maker::Other => "the image's name and tag",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::resource::pods::status::readiness;

    use super::*;

    fn told(reason: &str, message: &str, events: &[Value]) -> (String, String) {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"runner-deployment-name": "basic"}},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]},
        });
        match readiness(&pod, events) {
            Readiness::Stuck { reason, hint, .. } => (reason, hint),
            other => panic!("{other:?}"),
        }
    }

    /// Messages of public reports, and a part of the hint for each.
    const REPORTED: &[(&str, &str)] = &[
        (
            "failed to pull and unpack image \"ghcr.io/o/r:1\": failed to resolve reference \"ghcr.io/o/r:1\": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized",
            "images.pullSecrets",
        ),
        (
            "failed to resolve reference \"docker.io/o/r:1\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            "of an image that is not there: check the image's name and tag",
        ),
        (
            "failed to resolve reference \"111122223333.dkr.ecr.eu-west-1.amazonaws.com/r:1\": unexpected status from HEAD request to https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/r/manifests/1: 403 Forbidden",
            "AmazonEC2ContainerRegistryPullOnly",
        ),
        (
            "failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/o/r/manifests/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit",
            "wait, name a Secret with a login",
        ),
        (
            "failed to copy: httpReadSeeker: failed open: unexpected status code https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/r/blobs/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: Rate exceeded",
            "most of all without a login: wait",
        ),
        (
            "failed to unpack image on snapshotter overlayfs: no match for platform in manifest sha256:1: not found",
            "`kubernetes.io/arch`",
        ),
        (
            "failed to do request: Head \"https://r.corp/v2/r/manifests/1\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "add its authority",
        ),
        (
            "failed to do request: Head \"https://ghcr.io/v2/o/r/manifests/1\": dial tcp 140.82.121.33:443: i/o timeout",
            "do not reach the registry",
        ),
        (
            "failed to resolve reference \"docker.pkg.github.com/o/r/i:latest\": docker.pkg.github.com/o/r/i:latest: not found",
            "check the image's name and tag in the profile; for a mirror also",
        ),
    ];

    #[test]
    fn the_words_of_the_registry_choose_the_hint() {
        for (said, expected) in REPORTED {
            let (reason, hint) = told("ErrImagePull", said, &[]);
            assert_eq!(reason, format!("pod `p` cannot pull its image: {said}"));
            assert!(hint.contains(expected), "{said}: {hint}");
        }
        let never = "Container image \"r:1\" is not present with pull policy of Never";
        let (reason, hint) = told("ErrImageNeverPull", never, &[]);
        assert!(
            reason.ends_with(never) && hint.contains("load it there"),
            "{reason} {hint}"
        );
    }

    /// Before Kubernetes 1.32 the state says no more than that, four minutes out of five.
    #[test]
    fn an_older_kubelet_that_waits_is_asked_for_the_failure_before() {
        let waits = "Back-off pulling image \"ghcr.io/o/r:1\"";
        let event = |uid: &str, said: &str, time: &str| {
            json!({"type": "Warning", "reason": "Failed", "message": said, "lastTimestamp": time,
                "involvedObject": {"uid": uid}})
        };
        let events = [
            event(
                "u",
                "Failed to pull image \"ghcr.io/o/r:1\": 403 Forbidden",
                "2026-11-28T07:00:00Z",
            ),
            event("u", "Error: ImagePullBackOff", "2026-11-28T07:00:02Z"),
            event(
                "other",
                "Failed to pull image \"b\": i/o timeout",
                "2026-11-28T07:00:03Z",
            ),
        ];
        let (reason, hint) = told("ImagePullBackOff", waits, &events);
        assert!(
            reason.ends_with("Failed to pull image \"ghcr.io/o/r:1\": 403 Forbidden"),
            "{reason}"
        );
        assert!(
            hint.contains("images.pullSecrets, or imagePullSecrets"),
            "{hint}"
        );
        let newer = format!("{waits}: ErrImagePull: not found");
        for (said, events) in [(newer.as_str(), &events[..]), (waits, &events[..0])] {
            let (reason, _) = told("ImagePullBackOff", said, events);
            assert_eq!(reason, format!("pod `p` cannot pull its image: {said}"));
        }
    }
}
