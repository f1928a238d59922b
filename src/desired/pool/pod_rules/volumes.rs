//! Rules for the volumes of a pod. Pure: no I/O.

use serde_json::Value;

use super::{Pod, Report, items, list, mounts, sources, text};
use crate::profile::{object_names, path::Path};

pub(super) fn check(pod: &Pod<'_>, report: &mut Report) {
    mounts::of_template(pod, report);
    let place = pod.place().key("volumes");
    let mut names: Vec<&str> = Vec::new();
    for (index, volume) in list(pod.template, "volumes").enumerate() {
        let path = place.index(index);
        sources::check(volume, &path, report);
        socket(pod, volume, &path, report);
        let Some(name) = text(volume, "name") else {
            continue;
        };
        named(pod, name, &names, &path, report);
        let is_own = !names.contains(&name) && !pod.controllers_volumes().contains(&name);
        if is_own && !is_mounted(pod, name) {
            report.advice(
                path.key("name"),
                format!("no container mounts `{name}`"),
                "mount it with `volumeMounts`, or remove it",
            );
        }
        names.push(name);
    }
}

/// The node's docker socket, as in mode `dood`: if it is missing, kubelet creates an empty directory.
fn socket(pod: &Pod<'_>, volume: &Value, path: &Path, report: &mut Report) {
    let place = volume.pointer("/hostPath/path").and_then(Value::as_str);
    if !place.is_some_and(|it| ["/var/run/docker.sock", "/run/docker.sock"].contains(&it)) {
        return;
    }
    let (path, hint) = (
        path.key("hostPath").key("path"),
        "use `containerMode: dind`, or `kubernetes` with a work volume",
    );
    if pod.is_eks {
        report.error(
            path,
            "there is no docker on EKS nodes: they run containerd since 1.24",
            hint,
        );
    } else {
        report.advice(
            path,
            "this needs docker on the nodes; Kubernetes nodes run containerd since 1.24",
            hint,
        );
    }
}

fn named(pod: &Pod<'_>, name: &str, names: &[&str], path: &Path, report: &mut Report) {
    if !object_names::is_short_name(name) {
        report.error(
            path.key("name"),
            format!("`{name}` cannot be the name of a volume"),
            format!("write {}", object_names::SHORT_NAME),
        );
    } else if names.contains(&name) {
        report.error(
            path.key("name"),
            format!("`{name}` is the name of another volume of this pod"),
            "give it another name, or remove it",
        );
    } else if pod.runs_job_pods() && name == "work" {
        report.error(
            path.key("name"),
            "in container mode kubernetes the controller makes the volume `work` itself",
            "use `containerMode: {kubernetes: {workVolume: {…}}}`",
        );
    } else if name != "work" && pod.controllers_volumes().contains(&name) {
        report.error(
            path.key("name"),
            format!("`{name}` is the name of a volume that the controller adds, and Kubernetes refuses two"),
            if name == "runner" {
                "give it another name; its size and medium are `volumeSizeLimit` and `volumeStorageMedium`"
            } else {
                "give it another name; its size is `dockerVarRunVolumeSizeLimit`"
            },
        );
    }
}

/// Whether a container mounts it; with docker the controller mounts `work` itself.
fn is_mounted(pod: &Pod<'_>, name: &str) -> bool {
    let in_lists = ["volumeMounts", "dockerVolumeMounts"]
        .iter()
        .flat_map(|key| list(pod.template, key));
    let in_containers = ["containers", "sidecarContainers", "initContainers"]
        .iter()
        .flat_map(|key| list(pod.template, key))
        .flat_map(|container| {
            items(container, "volumeMounts").chain(items(container, "volumeDevices"))
        });
    let named = |mount: &Value| text(mount, "name") == Some(name);
    in_lists.chain(in_containers).any(named) || pod.has_docker() && name == "work"
}
