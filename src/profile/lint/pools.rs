//! Rules for pools: names, labels, sizes, container mode; other files have the rest. Pure.

use std::collections::HashMap;

use super::{Path, Report, image, metadata, passthrough, resources, scaling, schedule};
use crate::{
    profile::{
        ContainerMode, Pool, Profile, Scope,
        object_names::{self, is_object_name},
    },
    secret::{name::is_secret, shape::is_credential},
};

/// The node label of the instance type, which `instanceType` selects.
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";

pub(super) fn check(profile: &Profile, report: &mut Report) {
    let mut names = HashMap::new();
    for (index, pool) in profile.pools.iter().enumerate() {
        let path = Path::from(["pools"]).index(index);
        if let Some(first) = names.insert(pool.name.as_str(), index) {
            report.error(
                path.key("name"),
                format!("`{}` is the name of `pools[{first}]` already", pool.name),
                "give each pool a name of its own: it names the objects in the cluster",
            );
        }
        size(pool, &path, report);
        group(profile, pool, &path, report);
        labels(pool, &path.key("labels"), report);
        container_mode(profile, pool, &path, report);
        placement(pool, &path, report);
        service_account(profile, pool, &path, report);
        metadata::check(profile, pool, &path, report);
        image::check(profile, pool, &path, report);
        schedule::check(pool, &path, report);
        resources::check(pool, &path, report);
        // What only the community's controller knows is refused in a scale set: see `scale_sets`.
        if !pool.is_scale_set() {
            scaling::check(profile, pool, &path, report);
            passthrough::check_template(pool, &path, report);
        }
    }
}

fn size(pool: &Pool, path: &Path, report: &mut Report) {
    if pool.min > pool.max {
        report.error(
            path.key("min"),
            format!("`min` {} is more than `max` {}", pool.min, pool.max),
            "raise `max` or lower `min`",
        );
    } else if pool.max == 0 {
        report.advice(
            path.key("max"),
            "`max` is 0: the pool never has a runner",
            "raise `max`, or remove the pool",
        );
    } else if pool.scaling.is_none()
        && pool.max > pool.min
        && pool.schedule.is_none()
        && !pool.is_scale_set()
    {
        report.advice(
            path.key("max"),
            format!(
                "without `scaling` the pool stays at {} and never reaches {}",
                pool.min, pool.max
            ),
            "add `scaling.metrics`, or make `max` equal to `min`",
        );
    }
    if let Some(stop) = pool.graceful_stop {
        let path = path.key("gracefulStop");
        if stop.as_secs() == 0 {
            report.error(
                path,
                "`gracefulStop` is 0: every job would be cut off when its pod is deleted",
                "write for example 90s, or remove it",
            );
        } else if stop.as_secs() > 6 * 3600 {
            report.advice(
                path,
                format!("a pod may hold its node for {stop} while it stops"),
                "nodes that are drained or replaced wait no longer than minutes; 90s is usual",
            );
        }
    }
}

fn group(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    if let (Some(group), Some(Scope::Repository(_))) =
        (&pool.group, profile.github_of(pool).scope())
    {
        report.error(
            path.key("group"),
            format!("runners of a repository are in no group, and `{group}` is given"),
            "remove `group`, or use the scope `organization`",
        );
    }
}

fn labels(pool: &Pool, path: &Path, report: &mut Report) {
    for (index, label) in pool.labels.iter().enumerate() {
        let path = path.index(index);
        if label.is_empty() || label.contains([',', ' ', '\t', '\n']) {
            report.error(
                path,
                format!("`{label}` is not one label: it is empty, or has a comma or a space"),
                "write one label per item",
            );
        } else if label.chars().count() > 256 {
            report.error(
                path,
                "GitHub takes labels of at most 256 characters",
                "shorten it",
            );
        } else if pool.labels[..index]
            .iter()
            .any(|earlier| earlier.eq_ignore_ascii_case(label))
        {
            report.advice(
                path,
                format!("the label `{label}` is listed twice"),
                "keep one of them",
            );
        } else if label.eq_ignore_ascii_case("self-hosted") && !pool.is_scale_set() {
            report.advice(
                path,
                "every self-hosted runner has the label `self-hosted`",
                "remove it",
            );
        } else if ["windows", "macos"].contains(&label.to_ascii_lowercase().as_str()) {
            report.error(
                path,
                format!("these runners run Linux, and the label says `{label}`"),
                "remove it: jobs for that system would land here",
            );
        } else if looks_like_instance_type(label)
            && pool.instance_type.as_ref().is_some_and(|own| own != label)
        {
            let own = pool.instance_type.as_deref().unwrap_or_default();
            report.advice(
                path,
                format!("the label says `{label}`, and the nodes are `{own}`"),
                "remove it: the instance type is a label already",
            );
        }
    }
}

/// Whether a label has the form of an EC2 instance type, as `t3a.large`.
fn looks_like_instance_type(label: &str) -> bool {
    label.split_once('.').is_some_and(|(family, size)| {
        family.starts_with(|first: char| first.is_ascii_lowercase())
            && family.bytes().any(|byte| byte.is_ascii_digit())
            && family.len() <= 8
            && (["nano", "micro", "small", "medium", "large", "metal"].contains(&size)
                || size.ends_with("xlarge"))
    })
}

fn container_mode(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    let docker = pool.container_mode == ContainerMode::Dind;
    match &pool.container_mode {
        // Of scale sets there is more to say about it.
        ContainerMode::Dood if pool.is_scale_set() => {}
        ContainerMode::Dood => {
            let path = path.key("containerMode");
            let hint = "use `dind`, or `kubernetes` with a work volume";
            if profile.cluster.eks.is_some() {
                report.error(
                    path,
                    "`dood` needs docker on the nodes, and EKS nodes run containerd since 1.24",
                    hint,
                );
            } else {
                report.advice(
                    path,
                    "`dood` needs docker on the nodes; Kubernetes nodes run containerd since 1.24",
                    hint,
                );
            }
        }
        ContainerMode::Kubernetes(mode) => {
            let volume = path
                .key("containerMode")
                .key("kubernetes")
                .key("workVolume");
            if !is_object_name(&mode.work_volume.storage_class) {
                report.error(
                    volume.key("storageClass"),
                    format!(
                        "`{}` is not the name of a StorageClass",
                        mode.work_volume.storage_class
                    ),
                    "list them with `kubectl get storageclass`",
                );
            }
            resources::quantity(&mode.work_volume.size, volume.key("size"), report);
        }
        ContainerMode::Dind | ContainerMode::DindInRunner | ContainerMode::None => {}
    }
    if !docker && pool.shared_tmp {
        report.advice(
            path.key("sharedTmp"),
            "`sharedTmp` is shared with the docker container, which only `dind` has",
            "remove it",
        );
    }
    if !docker
        && pool
            .resources
            .as_ref()
            .is_some_and(|resources| resources.docker.is_some())
    {
        report.advice(
            path.key("resources").key("docker"),
            "only `dind` has a docker container",
            "remove it",
        );
    }
}

fn service_account(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    let Some(name) = &pool.service_account else {
        return;
    };
    let path = path.key("serviceAccount");
    if !is_object_name(name) {
        report.error(
            path,
            format!("`{name}` is not the name of a ServiceAccount"),
            format!("write {}", object_names::OBJECT_NAME),
        );
        return;
    }
    if let Some((via, role)) = profile.runner_role() {
        if role.service_account == *name {
            report.advice(
                path,
                format!(
                    "the runners run as `{name}` already, by `aws.{}`",
                    via.key()
                ),
                "remove it",
            );
        } else {
            report.advice(
                path,
                format!(
                    "pods that run as `{name}` do not get the role of `aws.{}`, which is for `{}`",
                    via.key(),
                    role.service_account
                ),
                "remove it if these runners need the role",
            );
        }
    } else if matches!(pool.container_mode, ContainerMode::Kubernetes(_)) {
        // Neither controller gives rights to an account that it did not make.
        report.advice(
            path,
            format!("`{name}` needs rights to run jobs in pods; the controller gives them only to accounts of its own"),
            "give it a Role for pods, pods/exec, pods/log, jobs and secrets, or remove `serviceAccount`",
        );
    }
}

fn placement(pool: &Pool, path: &Path, report: &mut Report) {
    let selected = pool.node_selector.get(INSTANCE_TYPE);
    if let (Some(own), Some(selected)) = (&pool.instance_type, selected)
        && own != selected
    {
        report.error(
            path.key("nodeSelector").key(INSTANCE_TYPE),
            format!("`instanceType` is `{own}` and selects by this label already"),
            "remove one of them: no node has two types",
        );
    }
    for (index, name) in pool.image_pull_secrets.iter().enumerate() {
        if !is_object_name(name) {
            report.error(
                path.key("imagePullSecrets").index(index),
                format!("`{name}` is not the name of a Secret"),
                "write the name only",
            );
        }
    }
    for (index, entry) in pool.env.iter().enumerate() {
        let text = |key: &str| entry.get(key).and_then(serde_json::Value::as_str);
        let (Some(name), Some(value)) = (text("name"), text("value")) else {
            continue;
        };
        if (is_secret(name) || is_credential(value)) && !value.is_empty() {
            report.advice(
                path.key("env").index(index).key("name"),
                format!("`{name}` looks like a secret, and everyone who can read this file or a pod reads it"),
                "use `valueFrom: {secretKeyRef: {name: …, key: …}}`",
            );
        }
    }
}
