//! Rules for volume sources: exactly one per volume, and the required fields of each. Pure: no I/O.

use serde_json::Value;

use super::{Report, items, mounts::leaves, quantity, text, variables};
use crate::{
    profile::{object_names, path::Path},
    units::quantity::Amount,
};

/// The types of a `hostPath`.
const HOST_PATHS: [&str; 7] = [
    "DirectoryOrCreate",
    "Directory",
    "FileOrCreate",
    "File",
    "Socket",
    "CharDevice",
    "BlockDevice",
];

/// The access modes of a claim.
const ACCESS_MODES: [&str; 4] = [
    "ReadWriteOnce",
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOncePod",
];

/// The maximum file mode.
const MODE: i64 = 0o777;

pub(super) fn check(volume: &Value, path: &Path, report: &mut Report) {
    let Some(map) = volume.as_object() else {
        return;
    };
    let given: Vec<&String> = map.keys().filter(|key| *key != "name").collect();
    if let [first, second, ..] = given.as_slice() {
        report.error(
            path.key(second),
            format!("both `{first}` and `{second}` are here, and a volume has one source"),
            "remove one of them, or use `projected` for both",
        );
        return;
    }
    let Some(kind) = given.first() else { return };
    let (source, path) = (&map[*kind], path.key(kind));
    match kind.as_str() {
        "emptyDir" => empty_dir(source, &path, report),
        "hostPath" => host_path(source, &path, report),
        "secret" => {
            let name = json_name(source, "secretName");
            variables::named(&name, "Secret", &path, report);
            files(source, &path, report);
        }
        "configMap" => {
            variables::named(source, "ConfigMap", &path, report);
            files(source, &path, report);
        }
        "persistentVolumeClaim" => {
            let name = json_name(source, "claimName");
            variables::named(&name, "PersistentVolumeClaim", &path, report);
        }
        "downwardAPI" => {
            downward(source, &path, report);
            files(source, &path, report);
        }
        "projected" => projected(source, &path, report),
        "ephemeral" => claim(source, &path, report),
        "csi" if text(source, "driver").is_none_or(str::is_empty) => {
            report.error(path, "no driver is named here", "add `driver`");
        }
        "nfs" => {
            let absolute = text(source, "path").is_some_and(|it| it.starts_with('/'));
            if !absolute {
                report.error(
                    path.key("path"),
                    "the path on the NFS server is not absolute",
                    "begin it with `/`",
                );
            }
        }
        _ => {}
    }
}

/// A reference whose name has another key.
fn json_name(source: &Value, key: &str) -> Value {
    let mut map = serde_json::Map::new();
    if let Some(name) = source.get(key) {
        map.insert("name".into(), name.clone());
    }
    map.into()
}

fn empty_dir(source: &Value, path: &Path, report: &mut Report) {
    if let Some(medium) = text(source, "medium")
        && !["", "Memory", "HugePages"].contains(&medium)
        && !medium.starts_with("HugePages-")
    {
        report.error(
            path.key("medium"),
            format!("`{medium}` is no medium"),
            "write `Memory`, or leave it out for the node's disk",
        );
    }
    let Some(limit) = source.get("sizeLimit").and_then(quantity) else {
        return;
    };
    if limit.starts_with('-') {
        report.error(
            path.key("sizeLimit"),
            format!("`{limit}` is less than nothing"),
            "correct the size",
        );
    } else if limit.ends_with('m') && Amount::parse(&limit).is_some() {
        report.advice(
            path.key("sizeLimit"),
            format!("`{limit}` are thousandths of a byte"),
            "write for example `512Mi`",
        );
    }
}

fn host_path(source: &Value, path: &Path, report: &mut Report) {
    report.one_of(source, "type", &HOST_PATHS, path);
    let place = text(source, "path").unwrap_or_default();
    if place.is_empty() || place.split('/').any(|part| part == "..") {
        report.error(
            path.key("path"),
            format!("`{place}` is no path of a node"),
            "write an absolute path without `..`",
        );
    }
}

/// Checks the modes and items of a Secret or `ConfigMap`.
fn files(source: &Value, path: &Path, report: &mut Report) {
    mode(source, "defaultMode", path, report);
    for (index, item) in items(source, "items").enumerate() {
        let path = path.key("items").index(index);
        mode(item, "mode", &path, report);
        if let Some(place) = text(item, "path")
            && (place.is_empty() || leaves(place))
        {
            report.error(
                path.key("path"),
                format!("`{place}` is not below the volume"),
                "write a relative path without `..`",
            );
        }
    }
}

/// YAML 1.2 parses `0644` as the decimal 644, kubectl's YAML as octal.
fn mode(map: &Value, key: &str, path: &Path, report: &mut Report) {
    let Some(found) = map.get(key).and_then(Value::as_i64) else {
        return;
    };
    if !(0..=MODE).contains(&found) {
        let octal = i64::from_str_radix(&found.to_string(), 8).ok();
        let hint = match octal.filter(|it| (0..=MODE).contains(it)) {
            Some(meant) => format!("write `0o{found}` or {meant}: numbers here are decimal"),
            None => format!("write at most {MODE}, which is `0o777`"),
        };
        report.error(
            path.key(key),
            format!("{found} is more than a file's mode can be"),
            hint,
        );
    } else if found > 0 && [644, 600, 400, 755, 700, 440, 640].contains(&found) {
        let meant = i64::from_str_radix(&found.to_string(), 8).unwrap_or_default();
        report.advice(
            path.key(key),
            format!("{found} is decimal here, and as a mode it is 0o{found:o}"),
            format!("write `0o{found}` or {meant} if that was meant"),
        );
    }
}

fn projected(source: &Value, path: &Path, report: &mut Report) {
    mode(source, "defaultMode", path, report);
    for (index, part) in items(source, "sources").enumerate() {
        let Some(map) = part.as_object() else {
            continue;
        };
        let path = path.key("sources").index(index);
        let given: Vec<&String> = map.keys().collect();
        let [kind] = given.as_slice() else {
            report.error(
                path,
                format!(
                    "a source of a projected volume has one key, and this has {}",
                    given.len()
                ),
                "write one item per source",
            );
            continue;
        };
        let (part, path) = (&map[*kind], path.key(kind));
        match kind.as_str() {
            "secret" => variables::named(part, "Secret", &path, report),
            "configMap" => variables::named(part, "ConfigMap", &path, report),
            "downwardAPI" => downward(part, &path, report),
            "serviceAccountToken" => {
                report.in_range(part, "expirationSeconds", 600, 1 << 32, &path);
            }
            _ => {}
        }
        files(part, &path, report);
    }
}

/// The pod fields for a downward API file (kubernetes, `ValidateDownwardAPIVolumeFile`).
const FIELDS: [&str; 5] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels",
    "metadata.annotations",
];

/// Checks downward API files: each with one reference.
fn downward(source: &Value, path: &Path, report: &mut Report) {
    for (index, item) in items(source, "items").enumerate() {
        let path = path.key("items").index(index);
        let given = ["fieldRef", "resourceFieldRef"].map(|key| item.get(key));
        match given {
            [Some(field), None] => {
                let name = text(field, "fieldPath").unwrap_or_default();
                let one_entry = ["metadata.labels['", "metadata.annotations['"]
                    .iter()
                    .any(|start| name.starts_with(start) && name.ends_with("']"));
                if !FIELDS.contains(&name) && !one_entry {
                    report.error(
                        path.key("fieldRef").key("fieldPath"),
                        format!("a file cannot have `{name}`"),
                        super::meant(
                            name,
                            &FIELDS,
                            &format!("write {}", super::quoted(&FIELDS, "or")),
                        ),
                    );
                }
            }
            [None, Some(resource)] => {
                if text(resource, "containerName").is_none_or(str::is_empty) {
                    report.error(
                        path.key("resourceFieldRef"),
                        "a file belongs to no container, and none is named",
                        "add `containerName`",
                    );
                }
            }
            [None, None] => report.error(
                path,
                "nothing says what is in this file",
                "add `fieldRef: {fieldPath: metadata.labels}`, or `resourceFieldRef`",
            ),
            [Some(_), Some(_)] => report.error(
                path,
                "both `fieldRef` and `resourceFieldRef` are here, and only one is possible",
                "remove one of them",
            ),
        }
    }
}

/// Checks a claim template for each pod.
fn claim(source: &Value, path: &Path, report: &mut Report) {
    let path = path.key("volumeClaimTemplate");
    let Some(spec) = source.pointer("/volumeClaimTemplate/spec") else {
        report.error(
            path,
            "an ephemeral volume needs `volumeClaimTemplate.spec`",
            "add it, with `accessModes` and `resources.requests.storage`",
        );
        return;
    };
    let path = path.key("spec");
    let modes: Vec<&str> = items(spec, "accessModes")
        .filter_map(Value::as_str)
        .collect();
    if modes.is_empty() {
        report.error(
            path.clone(),
            "the claim has no access mode",
            "add `accessModes: [ReadWriteOnce]`",
        );
    }
    for (index, mode) in modes.iter().enumerate() {
        if !ACCESS_MODES.contains(mode) {
            report.error(
                path.key("accessModes").index(index),
                format!("`{mode}` is no access mode"),
                super::meant(mode, &ACCESS_MODES, "write `ReadWriteOnce`"),
            );
        }
    }
    if modes.len() > 1 && modes.contains(&"ReadWriteOncePod") {
        report.error(
            path.key("accessModes"),
            "`ReadWriteOncePod` stands alone: no other pod may have the volume",
            "remove it, or the others",
        );
    }
    report.one_of(spec, "volumeMode", &["Filesystem", "Block"], &path);
    size(spec, &path, report);
    if let Some(class) = text(spec, "storageClassName")
        && !class.is_empty()
        && !object_names::is_object_name(class)
    {
        report.error(
            path.key("storageClassName"),
            format!("`{class}` is not the name of a StorageClass"),
            "list them with `kubectl get storageclass`",
        );
    }
}

/// Checks the size of a claim.
fn size(spec: &Value, path: &Path, report: &mut Report) {
    let size = spec.pointer("/resources/requests/storage");
    let at = path.key("resources").key("requests").key("storage");
    // Another rule reports an invalid quantity.
    let is_nothing = |text: &str| {
        let amount = Amount::parse(text);
        text.starts_with('-') || (amount.is_some() && amount <= Amount::parse("0"))
    };
    match size {
        None => report.error(
            path.clone(),
            "the claim does not say how large it is",
            "add `resources: {requests: {storage: 20Gi}}`",
        ),
        Some(size) if quantity(size).is_some_and(|it| is_nothing(&it)) => report.error(
            at,
            "the claim asks for nothing, or for less",
            "write for example `20Gi`",
        ),
        Some(_) => {}
    }
}
