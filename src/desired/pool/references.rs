//! Objects that runner pods need and other users create. Pure: no I/O.
//!
//! A pod with a missing Secret or claim is created, and stays pending; one with a missing `PriorityClass`,
//! `RuntimeClass` or `ServiceAccount` is rejected.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ca_bundle, runner_deployment};
use crate::{
    desired::{DesiredError, scale_set},
    profile::{Auto, Pool, Profile},
};

/// An object that pods need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace; `None` if cluster-scoped.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// The requirements for an object, and the profile's keys that refer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// The keys it must have.
    pub keys: Vec<String>,
    /// The profile's keys that refer to it.
    pub places: Vec<String>,
}

/// Everything that the pods of `profile` need and arcctl does not create.
pub type Needs = BTreeMap<Reference, Need>;

impl Reference {
    /// The group and version of its kind.
    pub fn api_version(&self) -> &'static str {
        match self.kind {
            "PriorityClass" => "scheduling.k8s.io/v1",
            "RuntimeClass" => "node.k8s.io/v1",
            "StorageClass" => "storage.k8s.io/v1",
            _ => "v1",
        }
    }

    /// The command that creates or shows it.
    pub fn command(&self, keys: &[String]) -> String {
        let (name, namespace) = (&self.name, self.namespace.as_deref().unwrap_or_default());
        let values = |sign: &str| -> String {
            let keys = keys.iter().map(|key| format!(" --from-{sign}={key}=…"));
            keys.collect()
        };
        match self.kind {
            "Secret" if keys.iter().any(|it| it == DOCKER_CONFIG) => format!(
                "create it with `kubectl -n {namespace} create secret generic {name} --type=kubernetes.io/dockerconfigjson --from-file={DOCKER_CONFIG}=FILE`"
            ),
            "Secret" => format!(
                "create it with `kubectl -n {namespace} create secret generic {name}{}`",
                values("file")
            ),
            "ConfigMap" => format!(
                "create it with `kubectl -n {namespace} create configmap {name}{}`",
                values("file")
            ),
            "ServiceAccount" => {
                format!("create it with `kubectl -n {namespace} create serviceaccount {name}`")
            }
            "PersistentVolumeClaim" => format!(
                "create it, and see those that are there with `kubectl -n {namespace} get persistentvolumeclaim`"
            ),
            kind => format!(
                "correct the name, and see those that are there with `kubectl get {}`",
                kind.to_lowercase()
            ),
        }
    }
}

/// The key of a pull secret.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// Collects the requirements of every pod.
pub fn needs(profile: &Profile) -> Result<Needs, DesiredError> {
    let mut needs = Needs::new();
    for (index, pool) in profile.pools.iter().enumerate() {
        of_pool(profile, pool, index, &mut needs)?;
    }
    let pull_secrets = profile.images.iter().flat_map(|it| &it.pull_secrets);
    for name in pull_secrets {
        let cert_manager = &profile.cert_manager;
        let installed = cert_manager.install != Auto::Never;
        let namespaces = installed
            .then_some(cert_manager.namespace.as_str())
            .into_iter()
            .chain(profile.namespaces());
        for namespace in namespaces {
            let keys = vec![DOCKER_CONFIG.to_owned()];
            let place = "images.pullSecrets".to_owned();
            add(&mut needs, "Secret", Some(namespace), name, keys, place);
        }
    }
    Ok(needs)
}

fn of_pool(
    profile: &Profile,
    pool: &Pool,
    index: usize,
    needs: &mut Needs,
) -> Result<(), DesiredError> {
    let spec = if pool.is_scale_set() {
        scale_set::pod::runner_pod(profile, pool)?["spec"].take()
    } else {
        runner_deployment::runner_deployment(profile, pool)?["spec"]["template"]["spec"].take()
    };
    let spec = &spec;
    let namespace = Some(pool.namespace.as_str());
    let at = |key: &str| format!("pools[{index}].{key}");
    let mut found = Found {
        namespace,
        needs,
        place: String::new(),
    };
    let own_env = |name: &Value| pool.env.iter().any(|it| it.get("name") == Some(name));
    for variable in items(spec, "env").chain(items(spec, "dockerEnv")) {
        found.place = at(if own_env(&variable["name"]) {
            "env"
        } else {
            "template.env"
        });
        found.variable(variable);
    }
    found.place = at("template.envFrom");
    found.sources(spec);
    for list in ["containers", "sidecarContainers", "initContainers"] {
        found.place = at(&format!("template.{list}"));
        for container in items(spec, list) {
            items(container, "env").for_each(|it| found.variable(it));
            found.sources(container);
        }
    }
    found.place = at("template.volumes");
    let theirs = items(spec, "volumes").filter(|it| **it != ca_bundle::volume());
    theirs.for_each(|it| found.volume(it));
    for name in &pool.image_pull_secrets {
        found.place = at("imagePullSecrets");
        found.named("Secret", Some(name), vec![DOCKER_CONFIG.to_owned()]);
    }
    // The role's service account is arcctl's own.
    found.place = at("serviceAccount");
    let account = pool.service_account.as_deref();
    let theirs = account.filter(|_| profile.role_of(pool).is_none());
    found.named(
        "ServiceAccount",
        theirs.filter(|it| *it != "default"),
        vec![],
    );
    found.namespace = None;
    for (field, kind) in [
        ("priorityClassName", "PriorityClass"),
        ("runtimeClassName", "RuntimeClass"),
    ] {
        found.place = at(&format!("template.{field}"));
        found.named(kind, spec[field].as_str(), vec![]);
    }
    found.place = at("containerMode.kubernetes.workVolume.storageClass");
    let class = spec["workVolumeClaimTemplate"]["storageClassName"].as_str();
    found.named("StorageClass", class, vec![]);
    Ok(())
}

/// Collects the references of a place.
struct Found<'a> {
    namespace: Option<&'a str>,
    needs: &'a mut Needs,
    place: String,
}

impl Found<'_> {
    fn named(&mut self, kind: &'static str, name: Option<&str>, keys: Vec<String>) {
        if let Some(name) = name.filter(|it| !it.is_empty()) {
            let place = self.place.clone();
            add(self.needs, kind, self.namespace, name, keys, place);
        }
    }

    /// A reference that may be `optional`.
    fn object(&mut self, kind: &'static str, reference: &Value, name: &str, keys: Vec<String>) {
        if reference["optional"] != true {
            self.named(kind, reference[name].as_str(), keys);
        }
    }

    fn variable(&mut self, variable: &Value) {
        for (field, kind) in [("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")] {
            let reference = &variable["valueFrom"][field];
            let key = reference["key"].as_str().map(str::to_owned);
            self.object(kind, reference, "name", key.into_iter().collect());
        }
    }

    fn sources(&mut self, container: &Value) {
        for source in items(container, "envFrom") {
            self.object("Secret", &source["secretRef"], "name", vec![]);
            self.object("ConfigMap", &source["configMapRef"], "name", vec![]);
        }
    }

    fn volume(&mut self, volume: &Value) {
        let keys = |source: &Value| -> Vec<String> {
            let keys = items(source, "items").filter_map(|it| it["key"].as_str());
            keys.map(str::to_owned).collect()
        };
        let (secret, map) = (&volume["secret"], &volume["configMap"]);
        self.object("Secret", secret, "secretName", keys(secret));
        self.object("ConfigMap", map, "name", keys(map));
        for source in items(&volume["projected"], "sources") {
            let (secret, map) = (&source["secret"], &source["configMap"]);
            self.object("Secret", secret, "name", keys(secret));
            self.object("ConfigMap", map, "name", keys(map));
        }
        let claim = &volume["persistentVolumeClaim"];
        self.object("PersistentVolumeClaim", claim, "claimName", vec![]);
        let class = &volume["ephemeral"]["volumeClaimTemplate"]["spec"]["storageClassName"];
        let namespace = self.namespace.take();
        self.named("StorageClass", class.as_str(), vec![]);
        self.namespace = namespace;
    }
}

fn add(
    needs: &mut Needs,
    kind: &'static str,
    namespace: Option<&str>,
    name: &str,
    keys: Vec<String>,
    place: String,
) {
    let reference = Reference {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    };
    let need = needs.entry(reference).or_default();
    for key in keys {
        if !need.keys.contains(&key) {
            need.keys.push(key);
        }
    }
    if !need.places.contains(&place) {
        need.places.push(place);
    }
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::tests::{profile, with_pool};

    /// As `Kind namespace/name [keys] places`.
    fn told(profile: &Profile) -> Vec<String> {
        let all = needs(profile).unwrap();
        let one = |(it, need): (&Reference, &Need)| {
            let namespace = it.namespace.as_deref().unwrap_or("-");
            let (keys, places) = (need.keys.join(","), need.places.join(" "));
            format!("{} {namespace}/{} [{keys}] {places}", it.kind, it.name)
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn all_that_a_pod_names_is_found() {
        let found = told(&with_pool(&json!({
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "npm", "key": "token"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "k", "optional": true}}}],
            "imagePullSecrets": ["regcred"], "serviceAccount": "deployer",
            "template": {
                "priorityClassName": "high", "runtimeClassName": "gvisor",
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "initContainers": [{"name": "i", "env": [
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "npm", "key": "registry"}}}]}],
                "volumes": [
                    {"name": "a", "persistentVolumeClaim": {"claimName": "cache"}},
                    {"name": "b", "secret": {"secretName": "keys", "items": [{"key": "id_rsa", "path": "x"}]}},
                    {"name": "c", "projected": {"sources": [{"configMap": {"name": "more"}}]}},
                    {"name": "d", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "gp3"}}}},
                    {"name": "e", "emptyDir": {}},
                ],
            },
        })));
        assert_eq!(
            found,
            [
                "ConfigMap actions-runner/more [] pools[0].template.volumes",
                "ConfigMap actions-runner/settings [] pools[0].template.envFrom",
                "PersistentVolumeClaim actions-runner/cache [] pools[0].template.volumes",
                "PriorityClass -/high [] pools[0].template.priorityClassName",
                "RuntimeClass -/gvisor [] pools[0].template.runtimeClassName",
                "Secret actions-runner/keys [id_rsa] pools[0].template.volumes",
                "Secret actions-runner/npm [token,registry] pools[0].env pools[0].template.initContainers",
                "Secret actions-runner/regcred [.dockerconfigjson] pools[0].imagePullSecrets",
                "ServiceAccount actions-runner/deployer [] pools[0].serviceAccount",
                "StorageClass -/gp3 [] pools[0].template.volumes",
            ]
        );
    }

    #[test]
    fn pull_secrets_are_needed_in_every_namespace_of_pods() {
        let images =
            json!({"images": {"pullSecrets": ["s"]}, "certManager": {"namespace": "infra"}});
        assert_eq!(
            told(&profile(&images)),
            [
                "Secret actions-runner/s [.dockerconfigjson] images.pullSecrets",
                "Secret actions-runner-system/s [.dockerconfigjson] images.pullSecrets",
                "Secret infra/s [.dockerconfigjson] images.pullSecrets",
            ]
        );
    }

    #[test]
    fn what_arcctl_makes_is_not_asked_for() {
        let own = profile(&json!({
            "github": {"caBundle": {"file": "ca.pem"}},
            "aws": {"irsa": {"role": "r", "serviceAccount": "s"}},
        }));
        assert_eq!(told(&own), Vec::<String>::new());
    }
}
