//! The probe Job, which tests from a runner's environment: GitHub's name, connection, certificate and API, and the AWS
//! role. Pure: no I/O.
//!
//! It has the runners' image, service account, node selector, tolerations and certificates; it returns its results as
//! the termination message, which is part of the pod's status: reading logs is not needed, and it contains no secret.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ca_bundle, containers, image, runner_deployment};
use crate::{
    desired::{DesiredError, names, scale_set},
    profile::{Pool, Profile, api_of},
    templates,
};

/// The label of the Job's pods, with the pool as its value.
pub const LABEL: &str = "arcctl.dev/probe";

/// The deadline of the pod, in seconds.
const DEADLINE: u32 = 75;

/// The TTL of the finished Job, in seconds, for when arcctl was killed.
const KEPT: u32 = 120;

/// The path of the termination message.
const ANSWERS: &str = "/dev/termination-log";

/// The fields that decide the pod's scheduling and service account.
const LIKE_A_RUNNER: [&str; 8] = [
    "affinity",
    "dnsConfig",
    "dnsPolicy",
    "hostNetwork",
    "imagePullSecrets",
    "nodeSelector",
    "serviceAccountName",
    "tolerations",
];

/// The runner's variables that affect its connection to GitHub.
const VARIABLES: [&str; 7] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
];

/// The result of one step of the probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `dns`, `tcp`, `tls`, `api` or `aws`.
    pub step: String,
    /// Its state.
    pub state: State,
    /// The details.
    pub said: String,
}

/// The state of a step of the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Passed.
    Good,
    /// Failed.
    Bad,
    /// It does not apply.
    Skipped,
    /// It could not be tested.
    Unknown,
}

/// The Jobs: one per distinct scheduling of pods, with the pool that it represents.
pub fn jobs(profile: &Profile) -> Result<Vec<(String, Value)>, DesiredError> {
    let mut found: Vec<(String, Value, Value)> = Vec::new();
    for pool in &profile.pools {
        let pod = pod(profile, pool)?;
        if !found.iter().any(|(_, known, _)| *known == pod) {
            let job = job(profile, pool, &pod);
            found.push((pool.name.clone(), pod, job));
        }
    }
    Ok(found
        .into_iter()
        .map(|(pool, _, job)| (pool, job))
        .collect())
}

/// Parses the termination message of a probe; other lines are skipped.
pub fn answers(message: &str) -> Vec<Answer> {
    let parsed = message.lines().filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        let step = words.next()?;
        let state = match words.next()? {
            "ok" => State::Good,
            "no" => State::Bad,
            "skip" => State::Skipped,
            "unknown" => State::Unknown,
            _ => return None,
        };
        Some(Answer {
            step: step.to_owned(),
            state,
            said: words.next().unwrap_or_default().trim().to_owned(),
        })
    });
    parsed.collect()
}

fn job(profile: &Profile, pool: &Pool, pod: &Value) -> Value {
    // The name is also a label value.
    let name: String = format!("arcctl-probe-{}", pool.name)
        .chars()
        .take(63)
        .collect();
    let mut labels = names::labels(&profile.name);
    labels[LABEL] = json!(pool.name);
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": names::metadata(profile, Some(&pool.namespace), &name),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE,
            "ttlSecondsAfterFinished": KEPT,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
}

fn pod(profile: &Profile, pool: &Pool) -> Result<Value, DesiredError> {
    let runner = if pool.is_scale_set() {
        scale_set::pod::template(profile, pool)?["spec"].take()
    } else {
        runner_deployment::runner_deployment(profile, pool)?["spec"]["template"]["spec"].take()
    };
    let mut pod = Map::new();
    for key in LIKE_A_RUNNER {
        if let Some(value) = runner.get(key) {
            pod.insert(key.into(), value.clone());
        }
    }
    let mut environment: Vec<Value> = containers::own_environment(profile, pool)
        .into_iter()
        .filter(|(name, _)| VARIABLES.contains(&name.as_str()))
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let role_by = profile.role_of(pool).map_or("", |(via, _)| via.key());
    let (host, port, api) = server(profile.github.url.as_deref());
    environment.extend(
        [
            ("HOST", host),
            ("PORT", port),
            ("API", api),
            ("ROLE_BY", role_by.to_owned()),
            ("ANSWERS", ANSWERS.to_owned()),
        ]
        .map(|(name, value)| json!({"name": name, "value": value})),
    );
    let mut container = json!({
        "name": "probe",
        "image": image::mirrored(profile.images.as_ref(), &pool.image),
        "command": ["/bin/bash", "-c", templates::PROBE.text(&[])],
        "env": environment,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "terminationMessagePath": ANSWERS,
    });
    if profile.github.ca_bundle.is_some() {
        container["volumeMounts"] = json!([ca_bundle::runner_mount()]);
        pod.insert("volumes".into(), json!([ca_bundle::volume()]));
    }
    pod.insert("restartPolicy".into(), json!("Never"));
    pod.insert("containers".into(), json!([container]));
    Ok(pod.into())
}

/// Host, port and API of the runners' GitHub server.
fn server(url: Option<&str>) -> (String, String, String) {
    let web = url.map_or("https://github.com", |it| it.trim_end_matches('/'));
    let api = api_of(url);
    // The lint has refused what is no URL.
    let parsed = Url::parse(web).ok();
    let host = parsed.as_ref().and_then(Url::host_str).unwrap_or(web);
    let port = parsed.as_ref().and_then(Url::port_or_known_default);
    (host.to_owned(), port.unwrap_or(443).to_string(), api)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::load;

    fn profile(edits: &[(&str, &str)]) -> Profile {
        let mut text = include_str!("../../../profiles/reference.yaml").to_owned();
        for (from, to) in edits {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        load(&text, "reference").unwrap().profile
    }

    #[test]
    fn the_pod_is_placed_as_a_runner_is_and_marked_as_arcctls() {
        let profile = profile(&[]);
        let jobs = jobs(&profile).unwrap();
        let (_, job) = &jobs[0];
        assert_eq!(job["metadata"]["labels"], names::labels(&profile.name));
        assert_eq!(job["spec"]["ttlSecondsAfterFinished"], KEPT);
        let deployment = runner_deployment::runner_deployment(&profile, &profile.pools[0]).unwrap();
        let (pod, runner) = (
            &job["spec"]["template"]["spec"],
            &deployment["spec"]["template"]["spec"],
        );
        for key in ["nodeSelector", "tolerations", "serviceAccountName"] {
            assert_eq!(pod.get(key), runner.get(key), "{key}");
        }
        assert_eq!(pod["containers"][0]["image"], runner["image"]);
        assert_eq!(pod["restartPolicy"], "Never");
    }

    #[test]
    fn pools_that_are_placed_alike_are_tried_once() {
        let mut profile = profile(&[]);
        let mut second = profile.pools[0].clone();
        second.name = "second".into();
        profile.pools.push(second.clone());
        assert_eq!(jobs(&profile).unwrap().len(), 1);
        second.name = "elsewhere".into();
        second.node_selector.insert("disk".into(), "fast".into());
        profile.pools.push(second);
        let pools: Vec<String> = jobs(&profile).unwrap().into_iter().map(|it| it.0).collect();
        assert_eq!(pools, ["basic", "elsewhere"]);
    }

    #[test]
    fn the_servers_port_is_the_urls() {
        let found = |url| server(url);
        let expected = |host: &str, port: &str, api: &str| (host.into(), port.into(), api.into());
        assert_eq!(
            found(Some("https://ghe.dogecompany.com/")),
            expected(
                "ghe.dogecompany.com",
                "443",
                "https://ghe.dogecompany.com/api/v3"
            )
        );
        assert_eq!(
            found(Some("http://127.0.0.1:8080")),
            expected("127.0.0.1", "8080", "http://127.0.0.1:8080/api/v3")
        );
        assert_eq!(
            found(Some("http://[::1]/")),
            expected("[::1]", "80", "http://[::1]/api/v3")
        );
        assert_eq!(
            found(Some("https://ghe:443")),
            expected("ghe", "443", "https://ghe:443/api/v3")
        );
        assert_eq!(
            found(None),
            expected("github.com", "443", "https://api.github.com")
        );
    }

    #[test]
    fn answers_are_read_line_by_line() {
        let found =
            answers("dns ok 10.0.0.1\ntcp no ghe:443: Connection refused\nnonsense\ntls unknown\n");
        let states: Vec<(&str, State, &str)> = found
            .iter()
            .map(|it| (it.step.as_str(), it.state, it.said.as_str()))
            .collect();
        assert_eq!(
            states,
            [
                ("dns", State::Good, "10.0.0.1"),
                ("tcp", State::Bad, "ghe:443: Connection refused"),
                ("tls", State::Unknown, ""),
            ]
        );
    }
}
