//! Formats values and keys for messages. Pure.

use serde_json::Value;

use super::{recovery::resolve, secrets::is_hidden, suggestion};
use crate::profile::{
    path::{Path, Segment},
    schema,
    yaml::{Content, Meaning, Node, Scalar},
};

/// The minimum similarity of a suggestion (Jaro-Winkler).
const ALIKE: f64 = 0.84;

/// The name of a path in a message.
pub(super) fn name(path: &Path) -> String {
    match path.last_key() {
        Some(key) => format!("`{key}`"),
        None if path.is_root() => "a profile".into(),
        None => format!("`{path}`"),
    }
}

/// A scalar in a message; `None` for a possible secret and for long text.
pub(super) fn shown(node: &Node, path: &Path) -> Option<String> {
    let Content::Scalar(scalar) = &node.value else {
        return None;
    };
    let text = scalar.text.as_str();
    if is_hidden(path, text) || text.chars().count() > 60 || text.contains('\n') {
        None
    } else if scalar.plain {
        Some(format!("`{text}`"))
    } else {
        Some(format!("`\"{text}\"`"))
    }
}

/// Keys of other manifests, and of the values of GitHub's chart of a scale set, that users write in a pool or a chart's
/// section, and the correct keys.
const OTHER_WORDS: &[(&str, &str, &str)] = &[
    ("pools", "podLabels", "write `podMetadata: {labels: {…}}`"),
    (
        "pools",
        "podAnnotations",
        "write `podMetadata: {annotations: {…}}`",
    ),
    (
        "pools",
        "annotations",
        "write `podMetadata: {annotations: {…}}` for the pods, or `metadata: {annotations: {…}}` for the RunnerDeployment",
    ),
    ("pools", "serviceAccountName", "write `serviceAccount`"),
    (
        "pools",
        "dockerdWithinRunnerContainer",
        "write `containerMode: dindInRunner`",
    ),
    (
        "pools",
        "dockerEnabled",
        "write `containerMode: none` for runners without docker",
    ),
    (
        "pools",
        "dockerdContainerResources",
        "write `resources: {docker: {…}}`",
    ),
    ("pools", "minReplicas", "write `min`"),
    ("pools", "maxReplicas", "write `max`"),
    ("pools", "scheduledOverrides", "write `schedule`"),
    ("pools", "metrics", "write `scaling: {metrics: […]}`"),
    (
        "pools",
        "terminationGracePeriodSeconds",
        "write `gracefulStop`",
    ),
    ("pools", "organization", "write it under `github`"),
    ("pools", "enterprise", "write it under `github`"),
    ("pools", "repository", "write it under `github`"),
    (
        "pools",
        "githubAPICredentialsFrom",
        "write it under `github`",
    ),
    ("pools", "replicas", "write `min` and `max`"),
    ("pools", "runnerGroup", "write `group`"),
    (
        "pools",
        "scaleUpTriggers",
        "write `scaling: {triggers: [{workflowJob: {}}]}`",
    ),
    (
        "pools",
        "scaleDownDelaySecondsAfterScaleOut",
        "write `scaling: {scaleDownDelay: …}`",
    ),
    ("metrics", "repositoryNames", "write `repositories`"),
    (
        "metrics",
        "scaleUpThreshold",
        "write `scaleUp: {threshold: …}`",
    ),
    (
        "metrics",
        "scaleDownThreshold",
        "write `scaleDown: {threshold: …}`",
    ),
    ("metrics", "scaleUpFactor", "write `scaleUp: {factor: …}`"),
    (
        "metrics",
        "scaleDownFactor",
        "write `scaleDown: {factor: …}`",
    ),
    (
        "triggers",
        "githubEvent",
        "write `workflowJob: {}` here, without it",
    ),
    ("pools", "minRunners", "write `min`"),
    ("pools", "maxRunners", "write `max`"),
    ("pools", "runnerScaleSetName", "write `name`"),
    ("pools", "scaleSetLabels", "write `labels`"),
    (
        "pools",
        "githubConfigUrl",
        "remove it: `github` beside `pools` has the scope or, for this pool alone, `github` here",
    ),
    (
        "pools",
        "githubConfigSecret",
        "write `github: {token: …}` or `github: {app: …}`, beside `pools` or, for this pool alone, here",
    ),
    (
        "pools",
        "githubServerTLS",
        "write `github: {caBundle: {file: …}}`, beside `pools`",
    ),
    (
        "pools",
        "listenerTemplate",
        "remove it: the listener has the pool's nodeSelector and tolerations, and the security contexts in `scaleSets.values`",
    ),
    (
        "pools",
        "controllerServiceAccount",
        "remove it: arcctl names the controller's account",
    ),
    (
        "pools",
        "workVolumeClaimTemplate",
        "write `containerMode: {kubernetes: {workVolume: {…}}}`",
    ),
    (
        "containerMode",
        "type",
        "write `containerMode: dind`, or `containerMode: {kubernetes: {workVolume: {…}}}`",
    ),
    (
        "containerMode",
        "kubernetesModeWorkVolumeClaim",
        "write `kubernetes: {workVolume: {storageClass: …, size: …, accessMode: …}}`",
    ),
    ("workVolume", "resources", "write `size`"),
    (
        "controller",
        "imagePullSecrets",
        "write `images: {pullSecrets: […]}`, beside `controller`",
    ),
    (
        "scaleSets",
        "imagePullSecrets",
        "write `images: {pullSecrets: […]}`, beside `scaleSets`",
    ),
];

/// Events that triggered scaling in controllers before version 0.27.
const OLD_EVENTS: [&str; 3] = ["checkRun", "pullRequest", "push"];

/// A required key that was written with another name.
pub(super) fn stands_for<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let meant = match key {
        "minReplicas" | "minRunners" => "min",
        "maxReplicas" | "maxRunners" => "max",
        "runnerScaleSetName" => "name",
        "type" | "kubernetesModeWorkVolumeClaim" => "kubernetes",
        "resources" => "size",
        _ if key == "githubEvent" || OLD_EVENTS.contains(&key) => "workflowJob",
        _ => return None,
    };
    known.iter().find(|it| **it == meant).copied()
}

/// Fields of a runner's template that are not keys of a pool (reference: arc.md 2.1).
const OF_THE_TEMPLATE: [&str; 26] = [
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "dockerEnv",
    "dockerMTU",
    "dockerRegistryMirror",
    "dockerVarRunVolumeSizeLimit",
    "dockerVolumeMounts",
    "enableServiceLinks",
    "envFrom",
    "ephemeral",
    "hostAliases",
    "imagePullPolicy",
    "initContainers",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "sidecarContainers",
    "topologySpreadConstraints",
    "volumeMounts",
    "volumeSizeLimit",
    "volumeStorageMedium",
    "volumes",
    "workDir",
];

/// Values of charts that are not keys of their sections.
const OF_A_CHART: [&str; 20] = [
    "affinity",
    "env",
    "extraArgs",
    "githubWebhookServer",
    "hostNetwork",
    "image",
    "labels",
    "logLevel",
    "nodeSelector",
    "podAnnotations",
    "podDisruptionBudget",
    "podLabels",
    "podSecurityContext",
    "priorityClassName",
    "resources",
    "securityContext",
    "serviceAccount",
    "tolerations",
    "topologySpreadConstraints",
    "webhook",
];

/// The correct key for a key of other manifests at this path, before guessing.
pub(super) fn said_otherwise(key: &str, path: &Path) -> Option<String> {
    let segments = path.segments();
    let (_, above) = segments.split_last()?;
    // The map that the key is in, or the list of such maps.
    let section = above.iter().rev().find_map(|it| match it {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Index(_) => None,
    })?;
    if section == "triggers" && OLD_EVENTS.contains(&key) {
        return Some("write `workflowJob: {}`: no other event scales since app 0.27".into());
    }
    if section == "pools" && OF_THE_TEMPLATE.contains(&key) {
        return Some(format!(
            "it belongs under `template`: `template: {{{key}: …}}`"
        ));
    }
    if ["certManager", "controller", "scaleSets"].contains(&section) && OF_A_CHART.contains(&key) {
        return Some(format!("it belongs under `{section}.values`"));
    }
    let other = OTHER_WORDS
        .iter()
        .find(|(place, word, _)| *place == section && *word == key);
    other.map(|(_, _, hint)| (*hint).to_owned())
}

/// A hint for a map in place of the runner's labels.
pub(super) fn said_of_a_map(node: &Node, path: &Path) -> Option<String> {
    let of_a_pool = path.last_key() == Some("labels") && path.through("pools");
    let hint = "these are the runner's labels at GitHub; labels of its pods are `podMetadata: {labels: {…}}`";
    (of_a_pool && matches!(node.value, Content::Map(_))).then(|| hint.to_owned())
}

/// The section, or the list's items, that have the key.
pub(super) fn home(key: &str) -> Option<String> {
    let knows = |schema: &'static Value| {
        let properties = resolve(schema).get("properties")?;
        properties.get(key)
    };
    let root = schema::shared();
    let sections = root.get("properties").and_then(Value::as_object)?;
    sections.iter().find_map(|(name, section)| {
        let items = resolve(section).get("items");
        match items {
            Some(items) => knows(items).map(|_| format!("{name}[]")),
            None => knows(section).map(|_| name.clone()),
        }
    })
}

pub(super) fn hint(scalar: &Scalar, wanted: &str, schema: &'static Value) -> Option<String> {
    let meaning_without_quotes = Scalar {
        plain: true,
        ..scalar.clone()
    };
    match (wanted, scalar.meaning()) {
        ("text", Meaning::Whole(_) | Meaning::Number(_) | Meaning::Boolean(_)) => {
            let rule = |key: &str| schema.get(key).and_then(Value::as_str);
            let fits = rule("pattern")
                .and_then(schema::pattern)
                .is_none_or(|it| it.is_match(&scalar.text));
            // In quotes it would be rejected again.
            Some(
                match suggestion::meant(&scalar.text, schema).filter(|_| !fits) {
                    Some(meant) => format!("write `{meant}`"),
                    None if !fits => {
                        format!("write {}", rule("patternErrorMessage").unwrap_or("text"))
                    }
                    None => format!("put it in quotes: `\"{}\"`", scalar.text),
                },
            )
        }
        ("a whole number" | "a number", Meaning::Text(_)) if !scalar.plain => matches!(
            meaning_without_quotes.meaning(),
            Meaning::Whole(_) | Meaning::Number(_)
        )
        .then(|| "remove the quotes".into()),
        ("`true` or `false`", Meaning::Text("yes" | "on")) => Some("write `true`".into()),
        ("`true` or `false`", Meaning::Text("no" | "off")) => Some("write `false`".into()),
        ("a list", _) => {
            Some(format!("write `[{}]`", scalar.text)).filter(|_| scalar.text.chars().count() < 40)
        }
        _ => None,
    }
}

/// The first sentence of a description as a hint, without the full stop.
pub(super) fn first_sentence(text: &str) -> String {
    let sentence = text
        .split(". ")
        .next()
        .unwrap_or(text)
        .trim_end_matches('.')
        .replace('\n', " ");
    let mut characters = sentence.chars();
    let first = characters
        .next()
        .map(|first| first.to_lowercase().to_string())
        .unwrap_or_default();
    format!("it is {first}{}", characters.as_str())
}

/// The known word most similar to a wrong one.
pub(crate) fn similar<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(word);
    let scored = known.iter().map(|candidate| {
        let candidate_plain = plain(candidate);
        let score = if candidate_plain == wanted {
            2.0
        } else {
            strsim::jaro_winkler(&wanted, &candidate_plain)
        };
        (score, *candidate)
    });
    scored
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
