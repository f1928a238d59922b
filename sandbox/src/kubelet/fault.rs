//! Faults on the nodes, on request. Pure: no I/O.

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt as _;

use super::images::Name;

/// A fault of the containers of some images; in a pattern, `*` stands for anything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KubeletFault {
    /// The image cannot be pulled.
    ImagePull(String),
    /// The container ends with an error again and again.
    Crash(String),
    /// The image has no user but root.
    Root(String),
}

impl KubeletFault {
    /// Reads `image-pull=PATTERN`, `crash=PATTERN` or `root=PATTERN`.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some(("image-pull", pattern)) => Ok(Self::ImagePull(pattern.to_owned())),
            Some(("crash", pattern)) => Ok(Self::Crash(pattern.to_owned())),
            Some(("root", pattern)) => Ok(Self::Root(pattern.to_owned())),
            _ => bail!(
                "`{text}` is not a fault of the kubelet: write `image-pull=IMAGE`, `crash=IMAGE` or `root=IMAGE`"
            ),
        }
    }
}

/// Whether an image cannot be pulled.
pub(super) fn is_pull_broken(faults: &[KubeletFault], image: &str) -> bool {
    faults
        .iter()
        .any(|fault| matches!(fault, KubeletFault::ImagePull(p) if matches(p, image)))
}

/// Whether an image's containers crash.
pub(super) fn is_crashing(faults: &[KubeletFault], image: &str) -> bool {
    faults
        .iter()
        .any(|fault| matches!(fault, KubeletFault::Crash(p) if matches(p, image)))
}

/// Why the kubelet does not start a container of an image whose user is root: it must not be root, and no other user is given
/// (kubernetes, `verifyRunAsNonRoot` in `pkg/kubelet/kuberuntime/security_context.go`).
pub(super) fn refused_root(
    faults: &[KubeletFault],
    pod: &Pod,
    container: &Container,
) -> Option<String> {
    let image = container.image.as_deref().unwrap_or_default();
    let is_root =
        |fault: &KubeletFault| matches!(fault, KubeletFault::Root(p) if matches(p, image));
    if !faults.iter().any(is_root) {
        return None;
    }
    let own = container.security_context.as_ref();
    let all = pod.spec.as_ref()?.security_context.as_ref();
    let is_forbidden = own.and_then(|it| it.run_as_non_root);
    let is_forbidden = is_forbidden.or_else(|| all?.run_as_non_root)?;
    let user = own.and_then(|it| it.run_as_user);
    let user = user.or_else(|| all?.run_as_user);
    (is_forbidden && user.is_none()).then(|| {
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        let uid = pod.uid().unwrap_or_default();
        let container = &container.name;
        format!("container has runAsNonRoot and image will run as root (pod: \"{name}_{namespace}({uid})\", container: {container})")
    })
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            tail.char_indices()
                .map(|(at, _)| at)
                .chain([tail.len()])
                .any(|at| matches(rest, &tail[at..]))
        }),
    }
}

/// What the container runtime says about an image that the registry does not have.
pub(super) fn pull_error(image: &str) -> String {
    let full = Name::of(image).to_string();
    format!("failed to pull and unpack image {full:?}: failed to resolve image: {full}: not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_faults_are_refused() {
        let error = KubeletFault::parse("explode=x").unwrap_err().to_string();
        assert!(
            error.contains("`explode=x`") && error.contains("crash=IMAGE"),
            "{error}"
        );
    }

    #[test]
    fn an_image_of_root_is_started_only_as_another_user_or_where_root_may_be() {
        let faults = [KubeletFault::parse("root=own/*").unwrap()];
        let refused = |all: serde_json::Value, own: serde_json::Value| {
            let pod: Pod = serde_json::from_value(serde_json::json!({
                "metadata": {"name": "p", "namespace": "n", "uid": "u"},
                "spec": {"securityContext": all, "containers": [
                    {"name": "manager", "image": "own/controller:1", "securityContext": own},
                    {"name": "other", "image": "a/b"}]},
            }))
            .unwrap();
            let containers = &pod.spec.as_ref().unwrap().containers;
            assert_eq!(refused_root(&faults, &pod, &containers[1]), None);
            refused_root(&faults, &pod, &containers[0])
        };
        let (forbidden, none) = (
            serde_json::json!({"runAsNonRoot": true}),
            serde_json::json!({}),
        );
        let said = refused(forbidden.clone(), none.clone()).unwrap();
        assert!(
            said.ends_with("(pod: \"p_n(u)\", container: manager)"),
            "{said}"
        );
        let user = serde_json::json!({"runAsUser": 65532});
        assert_eq!(refused(forbidden.clone(), user), None);
        let allowed = serde_json::json!({"runAsNonRoot": false});
        assert_eq!(refused(forbidden, allowed), None);
        assert_eq!(refused(none.clone(), none), None);
    }

    #[test]
    fn a_pattern_may_have_gaps() {
        for (pattern, image, expected) in [
            ("docker:28-dind", "docker:28-dind", true),
            ("docker:28-dind", "docker:28", false),
            ("summerwind/*", "summerwind/actions-runner:v2", true),
            (
                "*actions-runner*",
                "mirror.example.com/actions-runner:v2",
                true,
            ),
            ("*actions-runner", "summerwind/actions-runner:v2", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, image), expected, "{pattern} {image}");
        }
    }

    #[test]
    fn short_names_are_docker_hubs() {
        assert!(pull_error("docker:28-dind").contains("\"docker.io/library/docker:28-dind\""));
        assert!(pull_error("a/b:1").contains("docker.io/a/b:1: not found"));
        assert!(pull_error("quay.io/a/b:1").contains("\"quay.io/a/b:1\""));
    }
}
