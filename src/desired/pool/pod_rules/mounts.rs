//! Rules for volume mounts. Pure: no I/O.

use serde_json::Value;

use super::{Pod, Report, items, list, meant, text};
use crate::profile::path::Path;

/// A mount path that the controller uses.
struct Taken<'a> {
    path: &'a str,
    hint: String,
}

/// Checks the mounts of a container in `list` (`containers`, `sidecarContainers` or `initContainers`).
pub(super) fn of_container(
    pod: &Pod<'_>,
    list: &str,
    entry: &Value,
    path: &Path,
    report: &mut Report,
) {
    let name = text(entry, "name").unwrap_or_default();
    let mounts: Vec<&Value> = items(entry, "volumeMounts").collect();
    let taken = match (list, name) {
        ("containers", "runner") => taken(pod, &mounts),
        ("containers", "docker") if pod.has_docker() => taken(pod, &mounts),
        _ => Vec::new(),
    };
    check(pod, &mounts, &taken, &path.key("volumeMounts"), report);
    devices(pod, entry, &mounts, &path.key("volumeDevices"), report);
}

/// Checks block devices: of a claim, each at its own path, and not mounted as well.
fn devices(pod: &Pod<'_>, entry: &Value, mounts: &[&Value], path: &Path, report: &mut Report) {
    let mut places: Vec<&str> = Vec::new();
    for (index, device) in items(entry, "volumeDevices").enumerate() {
        let path = path.index(index);
        let name = text(device, "name").unwrap_or_default();
        let volume = list(pod.template, "volumes").find(|it| text(it, "name") == Some(name));
        let of_a_claim = |volume: &Value| {
            volume.get("persistentVolumeClaim").is_some() || volume.get("ephemeral").is_some()
        };
        if volume.is_some_and(|it| !of_a_claim(it)) {
            report.error(
                path.key("name"),
                format!("only a volume of a claim can be a device, and `{name}` is none"),
                "use `persistentVolumeClaim` or `ephemeral`, or mount it with `volumeMounts`",
            );
        } else if mounts.iter().any(|it| text(it, "name") == Some(name)) {
            report.error(
                path.key("name"),
                format!("this container mounts `{name}` as well"),
                "keep one of them",
            );
        } else {
            of_a_volume(pod, name, &path, report);
        }
        let place = text(device, "devicePath").unwrap_or_default();
        if place.is_empty() || places.contains(&place) {
            report.error(
                path.key("devicePath"),
                format!("`{place}` is no place of its own for a device"),
                "write for example `/dev/xvda`",
            );
        }
        places.push(place);
    }
}

/// Checks `volumeMounts` of the runner and `dockerVolumeMounts` in the template.
pub(super) fn of_template(pod: &Pod<'_>, report: &mut Report) {
    for key in ["volumeMounts", "dockerVolumeMounts"] {
        let mounts: Vec<&Value> = list(pod.template, key).collect();
        let path = pod.place().key(key);
        if key == "dockerVolumeMounts" && !mounts.is_empty() && !pod.has_docker() {
            report.advice(
                path.clone(),
                "only `dind` has a docker container",
                "remove it",
            );
            continue;
        }
        check(pod, &mounts, &taken(pod, &mounts), &path, report);
    }
}

/// The mount paths that the controller adds: it skips its own if the user mounts a volume `work`.
fn taken<'a>(pod: &'a Pod<'_>, mounts: &[&Value]) -> Vec<Taken<'a>> {
    let mut taken = Vec::new();
    let remove = || "mount it elsewhere".to_owned();
    if pod.has_runner_volume() {
        taken.push(Taken {
            path: "/runner",
            hint: remove(),
        });
    }
    let brings_work = mounts.iter().any(|it| text(it, "name") == Some("work"));
    if (pod.has_docker() || pod.runs_job_pods()) && !brings_work {
        let hint = if pod.runs_job_pods() {
            "use `containerMode: {kubernetes: {workVolume: {…}}}`".to_owned()
        } else {
            "give the volume the name `work`: the controller gives way to it".to_owned()
        };
        taken.push(Taken {
            path: pod.work_directory(),
            hint,
        });
    }
    if pod.has_docker() {
        taken.push(Taken {
            path: "/run",
            hint: remove(),
        });
    }
    taken
}

fn check(pod: &Pod<'_>, mounts: &[&Value], taken: &[Taken<'_>], path: &Path, report: &mut Report) {
    let mut places: Vec<&str> = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        let path = path.index(index);
        if let Some(name) = text(mount, "name") {
            of_a_volume(pod, name, &path, report);
        }
        if mount.get("subPath").is_some() && mount.get("subPathExpr").is_some() {
            report.error(
                path.key("subPathExpr"),
                "both `subPath` and `subPathExpr` are here, and only one is possible",
                "remove one of them",
            );
        }
        for key in ["subPath", "subPathExpr"] {
            if let Some(below) = text(mount, key)
                && leaves(below)
            {
                report.error(
                    path.key(key),
                    format!("`{below}` leads out of the volume"),
                    "write a path below the volume's root, without `..` and without `/` in front",
                );
            }
        }
        report.one_of(
            mount,
            "mountPropagation",
            &["None", "HostToContainer", "Bidirectional"],
            &path,
        );
        let Some(place) = text(mount, "mountPath") else {
            continue;
        };
        if place.is_empty() || place.contains(':') {
            report.error(
                path.key("mountPath"),
                format!("`{place}` cannot be a place in a container"),
                "write an absolute path without `:`",
            );
        } else if places.contains(&place) {
            report.error(
                path.key("mountPath"),
                format!("something else of this container is mounted at `{place}`"),
                "mount one of them elsewhere",
            );
        } else if let Some(taken) = taken.iter().find(|it| it.path == place) {
            report.error(
                path.key("mountPath"),
                format!(
                    "the controller mounts its own volume at `{place}`, and Kubernetes refuses two"
                ),
                taken.hint.clone(),
            );
        }
        places.push(place);
    }
}

/// Checks that the pod has the volume.
fn of_a_volume(pod: &Pod<'_>, name: &str, path: &Path, report: &mut Report) {
    if pod.runs_job_pods() && name == "work" {
        report.error(
            path.key("name"),
            "in container mode kubernetes the controller refuses to mount `work` another time",
            "remove it: the runner has it at its work directory",
        );
        return;
    }
    let own = list(pod.template, "volumes").filter_map(|it| text(it, "name"));
    let mut known: Vec<&str> = own.chain(pod.controllers_volumes()).collect();
    known.extend(pod.own_volumes.iter().map(String::as_str));
    if !known.contains(&name) {
        report.error(
            path.key("name"),
            format!("the pod has no volume `{name}`"),
            meant(
                name,
                &known,
                "add it to `template.volumes`, or correct the name",
            ),
        );
    }
}

/// Whether a path leaves its root directory.
pub(super) fn leaves(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}
