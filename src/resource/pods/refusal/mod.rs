//! Maps the API server's rejection of a pod, or of an object that makes pods or belongs to them, to the profile key that fixes
//! it. Pure: no I/O.
//!
//! Sources of the messages: the API server's admission plugins (kubernetes, `plugin/pkg/admission` and
//! `staging/src/k8s.io/pod-security-admission`), webhooks and policies.

pub(super) mod claims;
mod cluster;
mod object;
mod part;
mod plugins;
mod policy;
pub(super) mod sidecar;

use serde_json::Value;

use cluster::{lower_level, of_the_cluster, until_counted};
use plugins::{PLACES, PLUGINS};
pub use policy::is_about_privileges;

use crate::{
    desired::{
        pod_security::Level,
        pool::dry_run_pod::{DOCKER, RUNNER},
        scale_set::pod::DOCKER as DIND,
    },
    units::quantity::Amount,
};

/// A pod that a dry run rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The API server's message, without the name of the pod.
    pub said: String,
    /// How to fix it.
    pub hint: String,
    /// Whether it is temporary.
    pub lasts: Lasts,
}

/// Whether a refusal is temporary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// No: the profile or the cluster must be changed.
    UntilChanged,
    /// Until other pods of the namespace are deleted: a quota is used up.
    UntilRoom,
    /// Perhaps: a webhook does not respond, a namespace or an account does not exist yet.
    Perhaps,
}

/// The rejected pod.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'a> {
    /// The pool.
    pub pool: &'a str,
    /// How many of them the pool needs.
    pub pods: u32,
    /// Its manifest.
    pub pod: &'a Value,
    /// The invalid fields in the API server's response.
    pub fields: &'a [String],
}

/// Whether `said` is about the Pod Security level that a namespace enforces.
pub fn is_pod_security(said: &str) -> bool {
    said.contains("violates PodSecurity ")
}

/// The level that `said`, a refusal of Pod Security, is about.
pub fn pod_security_level(said: &str) -> Option<Level> {
    let rest = after(said, "violates PodSecurity \"")?;
    Level::parse(rest.split([':', '"']).next()?)
}

/// The missing service account in `said`, as `namespace/name`.
pub fn missing_account(said: &str) -> Option<&str> {
    let rest = after(said, "error looking up service account ")?;
    rest.split(':').next().filter(|it| it.contains('/'))
}

impl Tried<'_> {
    /// The refusal for the message `said`. `fits` are the container modes whose pods the API server accepts, if tested.
    pub fn refusal(&self, said: &str, fits: &[&str]) -> Refusal {
        let short = without_name(said);
        Refusal {
            said: short.to_owned(),
            hint: self.hint(short, fits),
            lasts: lasts(short, self.pods.max(1)),
        }
    }

    /// The hint for a refusal by a specific plugin of the API server.
    fn of_a_plugin(&self, said: &str) -> Option<String> {
        let (_, keys, other) = PLUGINS.iter().find(|(words, _, _)| said.contains(words))?;
        let (pool, namespace) = (self.pool, self.namespace());
        Some(format!(
            "change {keys} of pool `{pool}` in the profile, or {}",
            other.replace("NAMESPACE", namespace)
        ))
    }

    fn namespace(&self) -> &str {
        self.pod["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }

    fn hint(&self, said: &str, fits: &[&str]) -> String {
        let (pool, namespace) = (self.pool, self.namespace());
        let own = |keys: &str| format!("set {keys} of pool `{pool}` in the profile");
        if let Some(quota) = quota(said) {
            let look = format!("`kubectl -n {namespace} describe resourcequota {quota}`");
            return if uncounted_quota(said).is_some() {
                until_counted(namespace, quota)
            } else if said.contains("must specify") {
                let keys = self.resource_keys(said);
                format!("{}; what the quota demands shows {look}", own(&keys))
            } else {
                format!(
                    "lower min or the resources of pool `{pool}` in the profile, or raise the quota: {look}"
                )
            };
        }
        if is_limit_range(said) {
            let keys = self.resource_keys("");
            return format!(
                "{} to what the namespace's LimitRange allows: `kubectl -n {namespace} describe limitrange`",
                own(&keys)
            );
        }
        if is_pod_security(said) {
            return self.pod_security(fits);
        }
        if let Some(hint) = self.what_is_missing(said) {
            return hint;
        }
        if let Some(hint) = self.of_a_plugin(said) {
            return hint;
        }
        if let Some(hint) = self.by_a_policy(said, fits) {
            return hint;
        }
        if let Some(name) = sidecar::lost(self.pod, said, self.fields) {
            return sidecar::hint(pool, name);
        }
        match self.fields {
            [] => format!(
                "change what is refused in pool `{pool}` of the profile ({PLACES}), or the policy of the cluster that refuses it"
            ),
            fields => {
                let mut keys: Vec<String> = fields.iter().map(|it| self.key(it)).collect();
                keys.dedup();
                format!(
                    "correct {} of pool `{pool}` in the profile",
                    keys.join(", ")
                )
            }
        }
    }

    /// The hint for a missing object that the pod references or needs.
    fn what_is_missing(&self, said: &str) -> Option<String> {
        let (pool, namespace) = (self.pool, self.namespace());
        if let Some(class) = quoted_after(said, "no PriorityClass with name ") {
            return Some(format!(
                "correct template.priorityClassName of pool `{pool}` in the profile, or create PriorityClass `{class}`: `kubectl get priorityclasses` lists those that are there"
            ));
        }
        if said.contains("RuntimeClass") {
            return Some(format!(
                "correct template.runtimeClassName of pool `{pool}` in the profile, or create it: `kubectl get runtimeclasses` lists those that are there"
            ));
        }
        if let Some(account) = missing_account(said) {
            let (namespace, name) = account.split_once('/').unwrap_or((namespace, account));
            return Some(format!(
                "create it with `kubectl -n {namespace} create serviceaccount {name}`, or name another one in the profile"
            ));
        }
        of_the_cluster(said, namespace)
    }

    fn pod_security(&self, fits: &[&str]) -> String {
        let (pool, lower) = (self.pool, lower_level(self.namespace()));
        match fits {
            [] => format!("no containerMode fits this level as pool `{pool}` is written: {lower}"),
            fits => format!(
                "set containerMode of pool `{pool}` in the profile to {}, which this level admits, or {lower}",
                fits.join(" or ")
            ),
        }
    }

    /// The keys for resources of the containers in `said`; of all where it names none.
    fn resource_keys(&self, said: &str) -> String {
        let is_named = |name: &str| {
            said.split("for: ").skip(1).any(|rest| {
                let names = rest.split(';').next().unwrap_or_default();
                names.split(',').any(|it| it.trim() == name)
            })
        };
        let containers = list(&self.pod["spec"]["containers"]);
        let names: Vec<&str> = containers
            .iter()
            .chain(list(&self.pod["spec"]["initContainers"]))
            .filter_map(|it| it["name"].as_str())
            .collect();
        let any = names.iter().any(|it| is_named(it));
        let mut keys: Vec<String> = Vec::new();
        for name in names.into_iter().filter(|it| !any || is_named(it)) {
            let key = match name {
                RUNNER => "resources.runner".to_owned(),
                DOCKER | DIND => "resources.docker".to_owned(),
                other => format!("resources of container `{other}` under template"),
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys.join(" and ")
    }

    /// The key of the profile for `field` of the pod.
    pub fn key(&self, field: &str) -> String {
        let path = field.strip_prefix("spec.").unwrap_or(field);
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        let (name, index) = head.split_once('[').unwrap_or((head, ""));
        let index: Option<usize> = index.trim_end_matches(']').parse().ok();
        let entry = |of: &str| {
            let found = index.and_then(|it| list(&self.pod["spec"][of]).get(it));
            found.and_then(|it| it["name"].as_str()).unwrap_or_default()
        };
        let part = rest.split(['.', '[']).next().unwrap_or_default();
        match name {
            "containers" => container_key(entry("containers"), part),
            "initContainers" => "template.initContainers".into(),
            "volumes" if entry("volumes") == "work" => {
                "containerMode.kubernetes.workVolume or template.volumes".into()
            }
            "nodeSelector" | "tolerations" | "imagePullSecrets" => name.to_owned(),
            "securityContext" if part == "fsGroup" => "fsGroup".into(),
            "metadata" => match part {
                "name" | "generateName" => "name".into(),
                part => format!("podMetadata.{part}"),
            },
            "serviceAccountName" => "serviceAccount".into(),
            other => format!("template.{other}"),
        }
    }
}

/// The message without the name of the pod.
fn without_name(said: &str) -> &str {
    let said = said.strip_prefix("Error from server: ").unwrap_or(said);
    let kinds = ["pods ", "Pod ", "pod "];
    let short = kinds.iter().find_map(|kind| {
        let rest = said.strip_prefix(kind)?.split_once("\" is ")?.1;
        rest.strip_prefix("forbidden: ")
            .or_else(|| rest.strip_prefix("invalid: "))
    });
    short.unwrap_or(said)
}

/// The key for `part` of the container called `name`.
fn container_key(name: &str, part: &str) -> String {
    let key = match (name, part) {
        (RUNNER, "image") => "image",
        (RUNNER, "env") => "env",
        (RUNNER, "resources") => "resources.runner",
        (RUNNER, "volumeMounts") => "template.volumeMounts",
        (RUNNER, "envFrom") => "template.envFrom",
        (DOCKER | DIND, "image") => {
            return "controller.dockerImage, for the docker container".into();
        }
        (DOCKER, "env") => "template.dockerEnv",
        (DOCKER | DIND, "resources") => "resources.docker",
        (DOCKER, "volumeMounts") => "template.dockerVolumeMounts",
        _ => return format!("container `{name}` under template"),
    };
    key.to_owned()
}

/// Whether a refusal with this message is temporary.
fn lasts(said: &str, pods: u32) -> Lasts {
    if let Some(numbers) = after(said, "exceeded quota: ") {
        return if is_more_than_all(numbers, pods) {
            Lasts::UntilChanged
        } else {
            Lasts::UntilRoom
        };
    }
    let default_account = missing_account(said).is_some_and(|it| it.ends_with("/default"));
    if said.contains("because it is being terminated")
        || failed_webhook(said).is_some()
        || default_account
        || uncounted_quota(said).is_some()
        || said.contains(NOT_READY)
    {
        return Lasts::Perhaps;
    }
    Lasts::UntilChanged
}

/// Whether this many pods request more than the whole quota: `name, requested: a=1,b=2, used: a=0,b=0, limited:
/// a=1,b=1`.
fn is_more_than_all(said: &str, pods: u32) -> bool {
    let part = |name: &str| {
        let rest = after(said, name).unwrap_or_default();
        let end = [", used: ", ", limited: "]
            .iter()
            .filter_map(|it| rest.find(it))
            .min();
        &rest[..end.unwrap_or(rest.len())]
    };
    let pairs = |text: &str| -> Vec<(String, String)> {
        text.split(',')
            .filter_map(|it| it.trim().split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let limited = pairs(part("limited: "));
    pairs(part("requested: ")).iter().any(|(name, asked)| {
        let limit = limited.iter().find(|(it, _)| it == name);
        let (Some(asked), Some(limit)) = (
            Amount::parse(asked),
            limit.and_then(|(_, it)| Amount::parse(it)),
        ) else {
            return false;
        };
        let all = (0..pods).try_fold(asked, |sum, nth| {
            let sum = if nth == 0 { asked } else { sum.plus(asked) };
            (sum <= limit).then_some(sum)
        });
        all.is_none()
    })
}

/// The message of admission plugins right after the API server has started, until their caches are synced.
const NOT_READY: &str = "not yet ready to handle request";

/// The rest of a message about a new quota that is not calculated yet: its free part is unknown.
fn uncounted_quota(said: &str) -> Option<&str> {
    after(said, "status unknown for quota: ")
}

/// The name of the exceeded quota.
fn quota(said: &str) -> Option<&str> {
    let name = after(said, "failed quota: ")
        .or_else(|| after(said, "exceeded quota: "))
        .or_else(|| uncounted_quota(said))?;
    name.split([':', ',']).next()
}

fn is_limit_range(said: &str) -> bool {
    [" per Container is ", " per Pod is "]
        .iter()
        .any(|it| said.contains(it))
}

/// The webhook that could not be called.
fn failed_webhook(said: &str) -> Option<&str> {
    quoted_after(said, "failed calling webhook ")
}

fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.split_once(start).map(|(_, rest)| rest)
}

/// The word after `start`, without its quotes.
fn quoted_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let rest = after(text, start)?;
    rest.trim_start_matches(['"', '\''])
        .split(['"', '\'', ' ', ','])
        .next()
        .filter(|it| !it.is_empty())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
