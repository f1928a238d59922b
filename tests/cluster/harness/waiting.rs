//! Waits for asynchronous changes of the control plane. With three tests at once on two cores they need up to minutes, so
//! tests wait for a state, and the deadline only ends a test that hangs.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::cluster::{Cluster, Ended};

/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

const PAUSE: Duration = Duration::from_millis(200);

/// How often a run whose limit is short is repeated.
const TRIES: usize = 3;

/// Whether an error only says that something was not finished in time.
fn is_unfinished(message: &str, hint: &str) -> bool {
    hint.contains("the cause is not known yet")
        || hint.starts_with("run the same command again")
        // Nor is it a cause that cert-manager has not come to it yet.
        || message.contains("has not processed")
}

/// Waits until `holds`.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(PAUSE);
    }
}

impl Cluster {
    /// Runs `up` until its limit ends it with a reason that has `said`, at most three times. A limit of seconds, which keeps
    /// a test short, may be over before the cluster has come to what is wrong; the next run continues. Until then a run
    /// only says that something is not finished, and names no cause: a wrong one would be believed.
    #[track_caller]
    pub(crate) fn up_until(&self, profile: &Path, more: &[&str], said: &str) -> Ended {
        for _ in 0..TRIES {
            let ended = self.up(profile, more);
            let error = ended.expect(6)["error"].clone();
            let message = error["message"].as_str().unwrap_or_default();
            if message.contains(said) {
                return ended;
            }
            let hint = error["hint"].as_str().unwrap_or_default();
            assert!(
                is_unfinished(message, hint),
                "another cause than `{said}`: {}",
                ended.stderr
            );
        }
        panic!("no `{said}` in {TRIES} runs");
    }

    /// Whether the API server would make `pod`, or why it refuses it. What is no judgement of the pod, such as no answer
    /// from a server that is busy, is asked again.
    #[track_caller]
    pub(crate) fn judged(&self, pod: &Value) -> Result<(), String> {
        let create = ["create", "--dry-run=server", "-f", "-"];
        let end = Instant::now() + PATIENCE;
        loop {
            let Err(said) = self.try_tool("kubectl", &create, Some(&pod.to_string())) else {
                return Ok(());
            };
            let is_judgement = [
                "(Forbidden)",
                "(Invalid)",
                "(BadRequest)",
                "(NotFound)",
                "denied the request",
                " is invalid",
                "error validating",
            ]
            .iter()
            .any(|it| said.contains(it));
            if is_judgement && !said.contains("not yet ready to handle request") {
                return Err(said);
            }
            assert!(Instant::now() < end, "{said}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until pods can be made in `namespace`: the cluster gives it the account that they have, in its own time.
    #[track_caller]
    pub(crate) fn until_pods_can_be_made(&self, namespace: &str) {
        let account = ["-n", namespace, "get", "serviceaccount", "default"];
        until("the account `default`", || {
            self.try_tool("kubectl", &account, None).is_ok()
        });
    }
}

/// A pod of one container, which has `more`.
pub(crate) fn pod(namespace: &str, more: &Value) -> Value {
    let mut container = json!({"name": "a", "image": "a"});
    for (key, value) in more.as_object().unwrap() {
        container[key] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": namespace},
        "spec": {"containers": [container]}})
}
