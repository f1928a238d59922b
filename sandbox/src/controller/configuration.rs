//! The configuration of a controller's pod: its arguments, and its environment at its start.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::app::App;
use crate::objects::{Objects, SECRET, at, text};

/// What the controller works with. Read once per pod: a changed Secret does not reach a running one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Configuration {
    pub(super) runner_image: String,
    pub(super) docker_image: String,
    pub(super) docker_gid: String,
    pub(super) docker_registry_mirror: String,
    pub(super) pull_secrets: Vec<String>,
    pub(super) sync_period: Duration,
    pub(super) scale_down_delay: Duration,
    pub(super) watch_namespace: Option<String>,
    pub(super) lease: String,
    pub(super) status_update_hook: bool,
    pub(super) enterprise_url: String,
    pub(super) runner_url: String,
    pub(super) token: String,
    /// Instead of the token, where it has an id.
    pub(super) app: App,
    /// Whether its types have `dockerVarRunVolumeSizeLimit`, as those since v0.27.5 do.
    pub(super) has_var_run_limit: bool,
}

/// Reads the configuration of the container `manager` of a pod.
pub(super) async fn of_pod(objects: &Objects, pod: &Value) -> Result<Configuration> {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let manager = containers.and_then(|all| all.iter().find(|one| one["name"] == "manager"));
    let manager = manager.cloned().unwrap_or_default();
    let mut environment = BTreeMap::new();
    for variable in manager["env"].as_array().into_iter().flatten() {
        if let Some(value) = value_of(objects, at(pod).0, variable).await? {
            environment.insert(text(variable, "/name").to_owned(), value);
        }
    }
    let args = manager["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    Ok(Configuration {
        has_var_run_limit: has_var_run_limit(text(&manager, "/image")),
        ..from(&args.collect::<Vec<_>>(), &environment)
    })
}

/// By the tag of the controller's image; a tag that is no version is a new one.
fn has_var_run_limit(image: &str) -> bool {
    let tagged = image.split('@').next().unwrap_or_default();
    let tag = tagged.rsplit(':').next().unwrap_or_default();
    let mut parts = tag
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.parse().unwrap_or(u64::MAX));
    let mut next = || parts.next().unwrap_or(u64::MAX);
    (next(), next(), next()) >= (0, 27, 5)
}

async fn value_of(objects: &Objects, namespace: &str, variable: &Value) -> Result<Option<String>> {
    let reference = variable.pointer("/valueFrom/secretKeyRef");
    let Some(reference) = reference else {
        return Ok(variable["value"].as_str().map(ToOwned::to_owned));
    };
    let secret = objects
        .get(&SECRET, (namespace, text(reference, "/name")))
        .await?;
    let Some(secret) = secret else {
        return Ok(None);
    };
    let Some(data) = secret["data"][text(reference, "/key")].as_str() else {
        return Ok(None);
    };
    Ok(Some(
        String::from_utf8_lossy(&STANDARD.decode(data)?).into_owned(),
    ))
}

pub(super) fn from(args: &[&str], environment: &BTreeMap<String, String>) -> Configuration {
    let flag = |name: &str, default: &str| {
        let start = format!("--{name}=");
        let value = args
            .iter()
            .rev()
            .find_map(|arg| arg.strip_prefix(start.as_str()));
        value.unwrap_or(default).to_owned()
    };
    let variable = |name: &str| environment.get(name).cloned().unwrap_or_default();
    let watch_namespace = flag("watch-namespace", "");
    Configuration {
        runner_image: flag("runner-image", "summerwind/actions-runner:latest"),
        docker_image: flag("docker-image", "docker:dind"),
        docker_gid: flag("docker-gid", "1001"),
        docker_registry_mirror: flag("docker-registry-mirror", ""),
        pull_secrets: args
            .iter()
            .filter_map(|arg| arg.strip_prefix("--runner-image-pull-secret="))
            .map(ToOwned::to_owned)
            .collect(),
        sync_period: duration(&flag("sync-period", "1m")),
        scale_down_delay: duration(&flag("default-scale-down-delay", "10m")),
        watch_namespace: (!watch_namespace.is_empty()).then_some(watch_namespace),
        lease: flag("leader-election-id", "actions-runner-controller"),
        status_update_hook: args.contains(&"--runner-status-update-hook"),
        enterprise_url: variable("GITHUB_ENTERPRISE_URL"),
        runner_url: flag("runner-github-url", ""),
        token: variable("GITHUB_TOKEN"),
        app: App {
            id: variable("GITHUB_APP_ID"),
            installation: variable("GITHUB_APP_INSTALLATION_ID"),
            key: variable("GITHUB_APP_PRIVATE_KEY"),
        },
        has_var_run_limit: true,
    }
}

/// A duration as Go writes it (`1m30s`); a minute when it is none.
fn duration(written: &str) -> Duration {
    jiff::SignedDuration::try_from(written.parse::<jiff::Span>().unwrap_or_default())
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .unwrap_or(Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_the_defaults() {
        let configuration = from(&[], &BTreeMap::new());
        assert_eq!(
            configuration.runner_image,
            "summerwind/actions-runner:latest"
        );
        assert_eq!(configuration.sync_period, Duration::from_mins(1));
        assert_eq!(configuration.watch_namespace, None);
        assert!(configuration.token.is_empty());
    }

    #[test]
    fn the_types_are_those_of_the_version_in_the_tag() {
        let image = "summerwind/actions-runner-controller";
        assert!(!has_var_run_limit(&format!("{image}:v0.27.4")));
        assert!(has_var_run_limit(&format!("{image}:v0.27.5")));
        assert!(!has_var_run_limit(&format!(
            "127.0.0.1:5000/{image}:v0.27.4@sha256:0"
        )));
        assert!(has_var_run_limit(&format!("127.0.0.1:5000/{image}")));
    }

    #[test]
    fn arguments_and_environment_are_read() {
        let environment = [
            ("GITHUB_TOKEN", "t"),
            ("GITHUB_ENTERPRISE_URL", "http://127.0.0.1:1"),
        ];
        let environment = environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let args = [
            "--sync-period=1m30s",
            "--runner-image-pull-secret=a",
            "--watch-namespace=n",
        ];
        let configuration = from(&args, &environment);
        assert_eq!(configuration.sync_period, Duration::from_secs(90));
        assert_eq!(configuration.pull_secrets, ["a"]);
        assert_eq!(configuration.watch_namespace.as_deref(), Some("n"));
        assert_eq!(configuration.token, "t");
    }
}
