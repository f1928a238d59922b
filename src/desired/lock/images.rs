//! Where images are named in objects and in the values of charts. Pure: no I/O.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The keys whose text is an image: of containers, and of the values of the controller's chart.
const KEYS: [&str; 2] = ["image", "dindSidecarRepositoryAndTag"];

/// The arguments that name an image of pods that a controller makes: the docker sidecar (chart actions-runner-controller,
/// templates/deployment.yaml) and the solver (chart cert-manager, templates/deployment.yaml). `--runner-image` is left out:
/// each pool names its own image, so it never runs.
const ARGUMENTS: [&str; 2] = ["--docker-image=", "--acme-http01-solver-image="];

/// The variables that name one: the listeners' image (chart gha-runner-scale-set-controller, templates/deployment.yaml).
const VARIABLES: [&str; 1] = ["CONTROLLER_MANAGER_CONTAINER_IMAGE"];

/// Where an image that is a volume has its name, below `image` (kubernetes.io/docs/tasks/configure-pod-container/image-volumes).
const REFERENCE: &str = "reference";

/// Keys below which no image runs.
const OTHERS: [&str; 4] = ["annotations", "labels", "matchLabels", "data"];

/// Calls `visit` with each image, which may change it.
pub(super) fn each(value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::String(text) => argument(text, visit),
                    other => each(other, visit),
                }
            }
        }
        Value::Object(object) => {
            let named = object.get("name").and_then(Value::as_str);
            let is_variable = named.is_some_and(|it| VARIABLES.contains(&it));
            for (key, value) in object.iter_mut() {
                let key = key.as_str();
                let is_image = KEYS.contains(&key) || (is_variable && key == "value");
                match value {
                    Value::String(text) if is_image && !text.is_empty() => visit(text),
                    Value::Object(volume) if key == "image" && volume.contains_key(REFERENCE) => {
                        reference(volume, visit);
                    }
                    _ if OTHERS.contains(&key) => {}
                    other => each(other, visit),
                }
            }
        }
        _ => {}
    }
}

fn reference(volume: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut String)) {
    if let Some(Value::String(text)) = volume.get_mut(REFERENCE)
        && !text.is_empty()
    {
        visit(text);
    }
}

fn argument(text: &mut String, visit: &mut dyn FnMut(&mut String)) {
    for name in ARGUMENTS {
        let Some(image) = text.strip_prefix(name) else {
            continue;
        };
        let mut image = image.to_owned();
        if !image.is_empty() {
            visit(&mut image);
            *text = format!("{name}{image}");
        }
        return;
    }
}

/// The images that an object or the values of a chart name.
pub(super) fn of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    each(&mut value.clone(), &mut |image| {
        found.insert(image.clone());
    });
    found
}

/// The images of the objects of a rendered chart. A `CustomResourceDefinition` has none.
pub fn of_objects(objects: &[Value]) -> BTreeSet<String> {
    let objects = objects
        .iter()
        .filter(|it| it["kind"] != "CustomResourceDefinition");
    objects.flat_map(of).collect()
}
