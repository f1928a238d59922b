//! Rules for the CPU architecture: of the pool's nodes, and in its labels. Pure: no I/O.

use serde_json::Value;

use super::{Pod, Report};
use crate::profile::path::Path;

/// Well-known labels of nodes (kubernetes.io, "Well-Known Labels, Annotations and Taints"), old and new.
const SYSTEM: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];
const ARCHITECTURE: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];

/// The node label values of architectures, and their other names.
const NAMES: [(&str, &[&str]); 2] = [
    ("amd64", &["x64", "x86_64", "x86-64", "amd"]),
    ("arm64", &["aarch64", "arm", "armv8", "arm64v8", "graviton"]),
];

pub(super) fn check(pod: &Pod<'_>, report: &mut Report) {
    let typed = pod.pool.instance_type.as_deref().map(of_instance_type);
    let mut known = typed;
    for (path, key, value) in selected(pod) {
        if SYSTEM.contains(&key.as_str()) && value != "linux" {
            report.error(
                path,
                format!("these runners run Linux, and this asks for nodes with `{value}`"),
                "write `linux`, or remove it: the controller makes no pods for another system",
            );
        } else if ARCHITECTURE.contains(&key.as_str()) {
            let Some((name, _)) = NAMES.iter().find(|(name, _)| *name == value) else {
                report.error(
                    path,
                    format!("no node has the architecture `{value}`"),
                    match named(&value) {
                        Some(name) => format!("did you mean `{name}`?"),
                        None => "write `amd64` or `arm64`".into(),
                    },
                );
                continue;
            };
            if let Some(typed) = typed.filter(|typed| typed != name) {
                let own = pod.pool.instance_type.as_deref().unwrap_or_default();
                report.error(
                    path,
                    format!("`instanceType` is `{own}`, which is `{typed}`: no node is both"),
                    "remove one of them",
                );
            }
            known = known.or(Some(*name));
        }
    }
    labels(pod, known, report);
}

/// Checks the runner labels for an architecture.
fn labels(pod: &Pod<'_>, known: Option<&str>, report: &mut Report) {
    let placed = pod.template.contains_key("affinity");
    for (index, label) in pod.pool.labels.iter().enumerate() {
        let path = pod.base.key("labels").index(index);
        let Some(said) = NAMES.iter().map(|(name, _)| *name).find(|name| {
            let label = label.to_ascii_lowercase();
            label == *name || named(&label) == Some(*name) && label.contains("64")
        }) else {
            continue;
        };
        match known {
            Some(known) if known != said => report.error(
                path,
                format!("the nodes of this pool are `{known}`, and the label says `{label}`"),
                "remove it: jobs for that architecture would land here",
            ),
            None if said == "arm64" && !placed => report.advice(
                path,
                format!("nothing keeps these runners on `{said}` nodes, and the label says `{label}`"),
                "add `nodeSelector: {kubernetes.io/arch: arm64}`, or an `instanceType` of that architecture",
            ),
            _ => {}
        }
    }
}

/// The node labels that the pool and its template select.
fn selected(pod: &Pod<'_>) -> Vec<(Path, String, String)> {
    let own = pod.base.key("nodeSelector");
    let below = pod.place().key("nodeSelector");
    let of_pool = pod.pool.node_selector.iter();
    let of_pool = of_pool.map(|(key, value)| (own.key(key), key.clone(), value.clone()));
    let template = pod.template.get("nodeSelector").and_then(Value::as_object);
    let of_template = template
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((below.key(key), key.clone(), value.as_str()?.to_owned())));
    of_pool.chain(of_template).collect()
}

/// The architecture with this other name.
fn named(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let found = NAMES.iter().find(|(_, others)| others.contains(&&*word));
    found.map(|(name, _)| *name)
}

/// The architecture of an EC2 instance type: Graviton types are `a1` and families with a `g` after their generation
/// (docs.aws.amazon.com, "Amazon EC2 instance type naming conventions").
pub(crate) fn of_instance_type(name: &str) -> &'static str {
    let family = name.split(['.', '-']).next().unwrap_or_default();
    let options = family
        .trim_start_matches(|it: char| it.is_ascii_alphabetic())
        .trim_start_matches(|it: char| it.is_ascii_digit());
    if family == "a1" || options.contains('g') {
        "arm64"
    } else {
        "amd64"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_tells_the_architecture() {
        for name in [
            "a1.large",
            "t4g.small",
            "m7g.large",
            "c6gn.xlarge",
            "x2gd.medium",
            "im4gn.large",
            "is4gen.large",
            "g5g.xlarge",
            "hpc7g.4xlarge",
            "m8gd.large",
        ] {
            assert_eq!(of_instance_type(name), "arm64", "{name}");
        }
        for name in [
            "t3a.large",
            "m7i.large",
            "m7i-flex.large",
            "g4dn.xlarge",
            "g5.xlarge",
            "gr6.4xlarge",
            "p5en.48xlarge",
            "u7i-12tb.224xlarge",
            "inf2.xlarge",
            "x2idn.16xlarge",
            "c7a.large",
        ] {
            assert_eq!(of_instance_type(name), "amd64", "{name}");
        }
    }
}
