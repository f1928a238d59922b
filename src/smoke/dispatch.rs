//! Checks before the dispatch, and the dispatch.

use serde_json::Value;
use tokio::time::Instant;

use super::{Smoking, job_report::Pods};
use crate::{
    clients::kube::{Selection, Target},
    desired::{names, render::workflow},
    error::{Error, Result, System},
    profile::Pool,
};

impl Smoking<'_> {
    /// Checks the prerequisites in the cluster, and records the existing pods.
    pub(super) async fn look(&mut self) -> Result<()> {
        for pool in &self.pools {
            let (version, kind, id) = if pool.is_scale_set() {
                let version = names::SCALE_SET_API_VERSION;
                (version, "AutoscalingRunnerSet", "scale-set")
            } else {
                let version = names::ARC_API_VERSION;
                (version, "RunnerDeployment", "runner-deployment")
            };
            let target = Target::namespaced(version, kind, &pool.namespace, &pool.name);
            if self.clients.kube.get(&target).await?.is_none() {
                return Err(Error::failed(
                    System::Kubernetes,
                    format!("pool `{}` is not in the cluster", pool.name),
                )
                .object(format!("{id}/{}/{}", pool.namespace, pool.name))
                .hint("`arcctl up` creates it"));
            }
        }
        let pods = self.current_pods().await?;
        self.before = pods.keys().cloned().collect();
        Ok(())
    }

    /// The pods of runners of these pools.
    pub(super) fn pods_of(&self, pools: &[&Pool]) -> Vec<Selection> {
        let mut selections = Vec::new();
        for namespace in self.request.profile.runner_namespaces() {
            for scale_sets in [false, true] {
                let here =
                    |it: &&&Pool| it.namespace == namespace && it.is_scale_set() == scale_sets;
                let names: Vec<&str> = pools
                    .iter()
                    .filter(here)
                    .map(|it| it.name.as_str())
                    .collect();
                if !names.is_empty() {
                    selections.push(pods_of(namespace, scale_sets, &names));
                }
            }
        }
        selections
    }

    /// The existing pods of the profile's pools; also adds them to all pods seen so far.
    pub(super) async fn current_pods(&mut self) -> Result<Pods> {
        let pools: Vec<&Pool> = self.request.profile.pools.iter().collect();
        let of = |pod: &Value| {
            let pool = pool_of(pod)?;
            let known = pools.iter().any(|it| it.name == pool);
            known.then(|| {
                Some((
                    pod["metadata"]["name"].as_str()?.to_owned(),
                    pool.to_owned(),
                ))
            })?
        };
        let mut pods = Pods::new();
        // A page at a time: of thousands of runners only the names are kept.
        let mut see = |it: &Value| pods.extend(of(it));
        for selection in self.pods_of(&pools) {
            self.clients.kube.each(&selection, &mut see).await?;
        }
        self.pods.extend(pods.clone());
        Ok(pods)
    }

    pub(super) async fn dispatch(&mut self) -> Result<()> {
        let request = self.request;
        let mut inputs = serde_json::json!({"nonce": request.nonce});
        if let Some(pool) = request.pool {
            inputs["pool"] = pool.into();
        }
        self.dispatched = Some(Instant::now());
        let (repository, reference) = (&request.repository.full_name, request.reference());
        let asked = self
            .clients
            .actions
            .dispatch(repository, workflow::FILE, reference, &inputs)
            .await;
        match asked {
            Ok(()) => {}
            // Whether the dispatch succeeded is decided by whether a run appears.
            Err(error) if error.passing => {
                self.event(format!(
                    "the dispatch was not answered, so the run is looked for: {}",
                    error.message
                ));
                self.doubt = Some(error);
                return Ok(());
            }
            Err(error) => {
                self.dispatched = None;
                return Err(error);
            }
        }
        self.event(format!(
            "dispatched {} of {repository} on {reference} as `{}`",
            workflow::FILE,
            workflow::run_name(request.nonce)
        ));
        Ok(())
    }
}

/// The maximum number of pools in a selector: a longer one does not fit into a URL.
const NAMED: usize = 50;

/// The labels of a runner's pod with its pool, of each mode.
pub(super) const POOL_LABELS: [&str; 2] = ["runner-deployment-name", names::SCALE_SET_LABEL];

/// The pool of a runner's pod.
pub(super) fn pool_of(pod: &Value) -> Option<&str> {
    let labels = &pod["metadata"]["labels"];
    POOL_LABELS.iter().find_map(|it| labels[*it].as_str())
}

/// The runners' pods of these pools of one mode in a namespace; of all of its pools, where there are too many to name.
fn pods_of(namespace: &str, scale_sets: bool, pools: &[&str]) -> Selection {
    let label = POOL_LABELS[usize::from(scale_sets)];
    let mut labels = match pools.len() {
        1..=NAMED => format!("{label} in ({})", pools.join(",")),
        _ => label.to_owned(),
    };
    if scale_sets {
        // The listener has the label too, and may be in the same namespace.
        labels = format!("{labels},{}=True", names::RUNNER_LABEL);
    }
    Selection::namespaced("v1", "Pod", namespace).labelled(labels)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_pods_of_the_pools_are_listed() {
        let labels = |sets, pools: &[&str]| pods_of("n", sets, pools).labels.unwrap();
        assert_eq!(
            labels(false, &["a", "b"]),
            "runner-deployment-name in (a,b)"
        );
        assert_eq!(labels(false, &["a"; NAMED + 1]), "runner-deployment-name");
        assert_eq!(
            labels(true, &["a"]),
            "actions.github.com/scale-set-name in (a),actions-ephemeral-runner=True"
        );
    }

    #[test]
    fn a_pod_of_either_mode_names_its_pool() {
        for label in POOL_LABELS {
            let pod = json!({"metadata": {"labels": {label: "a"}}});
            assert_eq!(pool_of(&pod), Some("a"));
        }
        assert_eq!(pool_of(&json!({"metadata": {}})), None);
    }
}
