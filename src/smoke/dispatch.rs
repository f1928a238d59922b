//! Checks before the dispatch, and the dispatch.

use tokio::time::Instant;

use super::{Smoking, job_report::Pods};
use crate::{
    clients::kube::{Selection, Target},
    desired::{names, render::workflow},
    error::{Error, Result, System},
};

impl Smoking<'_> {
    /// Checks the prerequisites in the cluster, and records the existing pods.
    pub(super) async fn look(&mut self) -> Result<()> {
        for pool in &self.pools {
            let deployment = Target::namespaced(
                names::ARC_API_VERSION,
                "RunnerDeployment",
                &pool.namespace,
                &pool.name,
            );
            if self.clients.kube.get(&deployment).await?.is_none() {
                return Err(Error::failed(
                    System::Kubernetes,
                    format!("pool `{}` is not in the cluster", pool.name),
                )
                .object(format!(
                    "runner-deployment/{}/{}",
                    pool.namespace, pool.name
                ))
                .hint("`arcctl up` creates it"));
            }
        }
        let pods = self.current_pods().await?;
        self.before = pods.keys().cloned().collect();
        Ok(())
    }

    /// The pods of runners of these pools, in the namespaces of the profile's pools.
    pub(super) fn pods_of(&self, pools: &[&str]) -> Vec<Selection> {
        let namespaces = self.request.profile.runner_namespaces().into_iter();
        namespaces.map(|it| pods_of(it, pools)).collect()
    }

    /// The existing pods of the profile's pools; also adds them to all pods seen so far.
    pub(super) async fn current_pods(&mut self) -> Result<Pods> {
        let pools = &self.request.profile.pools;
        let of = |pod: &serde_json::Value| {
            let meta = &pod["metadata"];
            let pool = meta["labels"]["runner-deployment-name"].as_str()?;
            let known = pools.iter().any(|it| it.name == pool);
            known.then(|| Some((meta["name"].as_str()?.to_owned(), pool.to_owned())))?
        };
        let mut pods = Pods::new();
        // A page at a time: of thousands of runners only the names are kept.
        let mut see = |it: &serde_json::Value| pods.extend(of(it));
        let names: Vec<&str> = pools.iter().map(|it| it.name.as_str()).collect();
        for selection in self.pods_of(&names) {
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

/// The runners' pods of these pools in a namespace; of all pools, where there are too many to name.
fn pods_of(namespace: &str, pools: &[&str]) -> Selection {
    let selection = Selection::namespaced("v1", "Pod", namespace);
    match pools.len() {
        1..=NAMED => selection.labelled(format!("runner-deployment-name in ({})", pools.join(","))),
        _ => selection.labelled("runner-deployment-name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pods_of_the_pools_are_listed() {
        let labels = |pools: &[&str]| pods_of("n", pools).labels.unwrap();
        assert_eq!(labels(&["a", "b"]), "runner-deployment-name in (a,b)");
        assert_eq!(labels(&["a"; NAMED + 1]), "runner-deployment-name");
    }
}
