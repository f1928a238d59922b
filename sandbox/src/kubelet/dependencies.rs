//! The Secrets and `ConfigMaps` that a pod cannot start without. Pure: no I/O.

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, ProjectedVolumeSource, Volume};

/// A Secret or a `ConfigMap`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Secret,
    ConfigMap,
}

/// One thing that a volume or a variable needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Dependency {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The keys it must have.
    pub(super) keys: Vec<String>,
    /// Who needs it: the volume or the container.
    pub(super) by: String,
}

/// What a look at the cluster found of a dependency.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found<'a> {
    Absent,
    /// The object is there, without this key.
    WithoutKey(&'a str),
    Whole,
}

impl Dependency {
    fn new(kind: Kind, name: &str, keys: Vec<String>, by: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            keys,
            by: by.to_owned(),
        }
    }

    /// The kubelet's words for a volume that cannot be mounted; `None` when all is there.
    pub(super) fn mount_failure(&self, found: Found<'_>) -> Option<String> {
        let cause = match (found, self.kind) {
            (Found::Whole, _) => return None,
            (Found::Absent, kind) => format!("{} {:?} not found", kind.noun(), self.name),
            (Found::WithoutKey(key), Kind::Secret) => {
                format!("references non-existent secret key: {key}")
            }
            (Found::WithoutKey(key), Kind::ConfigMap) => {
                format!("configmap references non-existent config key: {key}")
            }
        };
        Some(format!(
            "MountVolume.SetUp failed for volume {:?} : {cause}",
            self.by
        ))
    }

    /// The kubelet's words for a variable that has no value; `None` when it has.
    pub(super) fn variable_failure(&self, found: Found<'_>, namespace: &str) -> Option<String> {
        match found {
            Found::Whole => None,
            Found::Absent => Some(format!("{} {:?} not found", self.kind.noun(), self.name)),
            Found::WithoutKey(key) => {
                let kind = if self.kind == Kind::Secret {
                    "Secret"
                } else {
                    "ConfigMap"
                };
                Some(format!(
                    "couldn't find key {key} in {kind} {namespace}/{}",
                    self.name
                ))
            }
        }
    }
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
        }
    }
}

/// What the pod's volumes need.
pub(super) fn of_volumes(pod: &Pod) -> Vec<Dependency> {
    pod.spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
        .flat_map(of_volume)
        .collect()
}

fn of_volume(volume: &Volume) -> Vec<Dependency> {
    let mut all = Vec::new();
    if let Some(secret) = &volume.secret
        && secret.optional != Some(true)
        && let Some(name) = &secret.secret_name
    {
        all.push(Dependency::new(
            Kind::Secret,
            name,
            keys(secret.items.as_ref()),
            &volume.name,
        ));
    }
    if let Some(map) = &volume.config_map
        && map.optional != Some(true)
    {
        all.push(Dependency::new(
            Kind::ConfigMap,
            &map.name,
            keys(map.items.as_ref()),
            &volume.name,
        ));
    }
    if let Some(projected) = &volume.projected {
        all.extend(of_projected(projected, &volume.name));
    }
    all
}

fn of_projected(projected: &ProjectedVolumeSource, volume: &str) -> Vec<Dependency> {
    let mut all = Vec::new();
    for source in projected.sources.iter().flatten() {
        if let Some(secret) = &source.secret
            && secret.optional != Some(true)
        {
            all.push(Dependency::new(
                Kind::Secret,
                &secret.name,
                keys(secret.items.as_ref()),
                volume,
            ));
        }
        if let Some(map) = &source.config_map
            && map.optional != Some(true)
        {
            all.push(Dependency::new(
                Kind::ConfigMap,
                &map.name,
                keys(map.items.as_ref()),
                volume,
            ));
        }
    }
    all
}

fn keys(items: Option<&Vec<KeyToPath>>) -> Vec<String> {
    items
        .into_iter()
        .flatten()
        .map(|item| item.key.clone())
        .collect()
}

/// What the variables of a container need.
pub(super) fn of_variables(container: &Container) -> Vec<Dependency> {
    let mut all = Vec::new();
    for source in container.env_from.iter().flatten() {
        if let Some(secret) = &source.secret_ref
            && secret.optional != Some(true)
        {
            all.push(Dependency::new(
                Kind::Secret,
                &secret.name,
                Vec::new(),
                &container.name,
            ));
        }
        if let Some(map) = &source.config_map_ref
            && map.optional != Some(true)
        {
            all.push(Dependency::new(
                Kind::ConfigMap,
                &map.name,
                Vec::new(),
                &container.name,
            ));
        }
    }
    let sources = container
        .env
        .iter()
        .flatten()
        .filter_map(|one| one.value_from.as_ref());
    for source in sources {
        if let Some(secret) = &source.secret_key_ref
            && secret.optional != Some(true)
        {
            let key = vec![secret.key.clone()];
            all.push(Dependency::new(
                Kind::Secret,
                &secret.name,
                key,
                &container.name,
            ));
        }
        if let Some(map) = &source.config_map_key_ref
            && map.optional != Some(true)
        {
            let key = vec![map.key.clone()];
            all.push(Dependency::new(
                Kind::ConfigMap,
                &map.name,
                key,
                &container.name,
            ));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn what_is_optional_is_not_needed() {
        let pod: Pod = from_value(json!({"metadata": {}, "spec": {
            "volumes": [
                {"name": "a", "secret": {"secretName": "s", "optional": true}},
                {"name": "b", "configMap": {"name": "c", "optional": true}},
                {"name": "c", "projected": {"sources": [
                    {"secret": {"name": "s", "optional": true}},
                    {"serviceAccountToken": {"path": "token"}}]}}],
            "containers": [{"name": "c",
                "envFrom": [{"secretRef": {"name": "s", "optional": true}}],
                "env": [{"name": "A", "value": "a"}, {"name": "B", "valueFrom": {
                    "secretKeyRef": {"name": "s", "key": "k", "optional": true}}}]}],
        }}))
        .unwrap();
        assert_eq!(
            (
                of_volumes(&pod),
                of_variables(&pod.spec.as_ref().unwrap().containers[0])
            ),
            (Vec::new(), Vec::new())
        );
    }

    #[test]
    fn a_missing_secret_of_a_volume_sounds_as_recorded() {
        let pod: Pod = from_value(json!({"metadata": {}, "spec": {"containers": [], "volumes": [
            {"name": "cert", "secret": {"secretName": "actions-runner-controller-serving-cert"}},
        ]}}))
        .unwrap();
        let dependency = &of_volumes(&pod)[0];
        assert_eq!(
            dependency.mount_failure(Found::Absent).unwrap(),
            "MountVolume.SetUp failed for volume \"cert\" : secret \
             \"actions-runner-controller-serving-cert\" not found"
        );
        assert_eq!(dependency.mount_failure(Found::Whole), None);
    }

    #[test]
    fn a_missing_key_of_a_variable_is_named() {
        let pod: Pod = from_value(json!({"metadata": {}, "spec": {"containers": [{"name": "m",
            "env": [{"name": "T", "valueFrom": {"secretKeyRef": {
                "name": "controller-manager", "key": "github_token"}}}]}]}}))
        .unwrap();
        let dependency = &of_variables(&pod.spec.as_ref().unwrap().containers[0])[0];
        assert_eq!(dependency.keys, ["github_token"]);
        assert_eq!(
            dependency
                .variable_failure(Found::WithoutKey("github_token"), "n")
                .unwrap(),
            "couldn't find key github_token in Secret n/controller-manager"
        );
        let absent = dependency.variable_failure(Found::Absent, "n").unwrap();
        assert_eq!(absent, "secret \"controller-manager\" not found");
    }
}
