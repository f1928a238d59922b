//! Rules for labels and annotations: format, reserved keys, and keys that have no effect. Pure.

use std::collections::BTreeMap;

use super::{Path, Report};
use crate::profile::{Metadata, Pool, Profile, object_names};

/// Reserved: the label of owned objects, and the prefix of arcctl's other labels.
const ARCCTL: [&str; 2] = ["app.kubernetes.io/managed-by", "arcctl.dev/"];

/// Labels that the controller sets on runner pods and selects them by (reference: arc.md 2.1, its `constants.go`).
const CONTROLLER: [&str; 7] = [
    "actions-runner",
    "actions-runner-controller/",
    "actions-runner/",
    "pod-template-hash",
    "runner-deployment-name",
    "runner-template-hash",
    "sync-time",
];

/// Keys that are read only from annotations of pods (documentation of Karpenter, Cluster Autoscaler, the Vault agent
/// injector, Prometheus' usual scrape rules, Multus, Calico, Istio, Linkerd and kube2iam).
const ANNOTATIONS: [&str; 10] = [
    "karpenter.sh/do-not-disrupt",
    "karpenter.sh/do-not-evict",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "vault.hashicorp.com/",
    "prometheus.io/",
    "k8s.v1.cni.cncf.io/",
    "cni.projectcalico.org/",
    "proxy.istio.io/",
    "linkerd.io/inject",
    "iam.amazonaws.com/role",
];

/// Prefixes of keys that are read from pods, there also as labels (Istio, "Resource Annotations" and "Resource Labels").
const OF_PODS: [&str; 1] = ["sidecar.istio.io/"];

/// Prefixes of keys that EKS reads only from `ServiceAccounts`, never from pods (amazon-eks-pod-identity-webhook,
/// README).
const OF_SERVICE_ACCOUNTS: [&str; 2] = ["eks.amazonaws.com/role-arn", "eks.amazonaws.com/audience"];

/// The maximum total size of an object's annotations (`TotalAnnotationSizeLimitB`).
const ANNOTATIONS_SIZE: usize = 256 * 1024;

pub(super) fn check(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    let own = path.key("metadata");
    labels(&pool.metadata.labels, &own.key("labels"), &ARCCTL, report);
    annotations(&pool.metadata, &own, &ARCCTL, report);
    of_pods(pool, &own, report);
    let pods = path.key("podMetadata");
    let taken = [&ARCCTL[1..], &CONTROLLER[..]].concat();
    labels(
        &pool.pod_metadata.labels,
        &pods.key("labels"),
        &taken,
        report,
    );
    annotations(&pool.pod_metadata, &pods, &taken, report);
    misplaced(profile, pool, &pods, report);
}

/// Checks labels: `taken` are reserved keys, or prefixes of keys if they end with `/`.
pub(super) fn labels(
    labels: &BTreeMap<String, String>,
    path: &Path,
    taken: &[&str],
    report: &mut Report,
) {
    for (key, value) in labels {
        let path = path.key(key);
        if !key_is_fine("label", key, key, &path, taken, report) {
            continue;
        }
        if !object_names::is_label_value(value) {
            report.error(
                path,
                format!("`{value}` cannot be the value of a label"),
                format!("write {}", object_names::VALUE),
            );
        }
    }
}

fn annotations(metadata: &Metadata, path: &Path, taken: &[&str], report: &mut Report) {
    let path = path.key("annotations");
    for key in metadata.annotations.keys() {
        // Annotations are compared in lower case.
        let plain = key.to_lowercase();
        key_is_fine("annotation", key, &plain, &path.key(key), taken, report);
    }
    let size: usize = metadata
        .annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if size > ANNOTATIONS_SIZE {
        report.error(
            path,
            format!(
                "these annotations are {size} bytes long, and Kubernetes takes {ANNOTATIONS_SIZE}"
            ),
            "shorten them",
        );
    }
}

fn key_is_fine(
    kind: &str,
    key: &str,
    plain: &str,
    path: &Path,
    taken: &[&str],
    report: &mut Report,
) -> bool {
    let is_taken = |it: &&&str| is_among(key, &[**it]);
    if let Some(by) = taken.iter().find(is_taken) {
        let whose = if ARCCTL.contains(by) {
            "arcctl"
        } else {
            "the controller"
        };
        report.error(
            path.clone(),
            format!(
                "`{key}` is a{} {kind} that {whose} sets itself",
                if kind == "annotation" { "n" } else { "" }
            ),
            "remove it",
        );
        return false;
    }
    if !object_names::is_key(plain) {
        report.error(
            path.clone(),
            format!(
                "`{key}` cannot be the name of a{} {kind}",
                if kind == "annotation" { "n" } else { "" }
            ),
            format!("write {}", object_names::KEY),
        );
        return false;
    }
    true
}

/// Reports keys that have no effect where they are set.
fn misplaced(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    for key in pool.pod_metadata.labels.keys() {
        if is_among(key, &ANNOTATIONS) {
            report.advice(
                path.key("labels").key(key),
                format!("`{key}` is read from annotations, and this is a label"),
                "move it to `podMetadata.annotations`",
            );
        }
    }
    let both = [
        ("labels", &pool.pod_metadata.labels),
        ("annotations", &pool.pod_metadata.annotations),
    ];
    for (place, entries) in both {
        for key in entries
            .keys()
            .filter(|key| OF_SERVICE_ACCOUNTS.contains(&key.as_str()))
        {
            let hint = if profile.cluster.eks.is_some() {
                "use `aws.irsa`, or annotate the ServiceAccount that the pool's `serviceAccount` names"
            } else {
                "annotate the ServiceAccount that the pool's `serviceAccount` names"
            };
            report.advice(
                path.key(place).key(key),
                format!("`{key}` has an effect on a ServiceAccount only, and this is a pod"),
                hint,
            );
        }
    }
}

/// Reports keys of pods in the metadata of the object that makes them: the controllers do not hand these on.
fn of_pods(pool: &Pool, path: &Path, report: &mut Report) {
    let own = &pool.metadata;
    for (place, entries) in [("labels", &own.labels), ("annotations", &own.annotations)] {
        for key in entries.keys() {
            let right = if is_among(key, &ANNOTATIONS) {
                "annotations"
            } else if is_among(key, &OF_PODS) {
                place
            } else {
                continue;
            };
            report.advice(
                path.key(place).key(key),
                format!(
                    "`{key}` has an effect on pods only, and `metadata` is not that of the pods"
                ),
                format!("move it to `podMetadata.{right}`"),
            );
        }
    }
}

/// Whether `key` is one of `known`, or begins with one that ends with `/`.
fn is_among(key: &str, known: &[&str]) -> bool {
    known
        .iter()
        .any(|it| key == *it || it.ends_with('/') && key.starts_with(it))
}
