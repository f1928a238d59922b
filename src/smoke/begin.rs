//! What must be there before the dispatch, and the dispatch.

use tokio::time::Instant;

use super::{Smoking, story::Pods};
use crate::{
    clients::kube::{Selection, Target},
    desired::{names, workflow},
    error::{Error, Result, System},
};

impl Smoking<'_> {
    /// What must be there before anything is asked of GitHub's runners, and what is there.
    pub(super) async fn look(&mut self) -> Result<()> {
        for pool in &self.pools {
            let deployment = Target::namespaced(
                names::ARC_API_VERSION,
                "RunnerDeployment",
                names::RUNNER_NAMESPACE,
                &pool.name,
            );
            if self.clients.kube.get(&deployment).await?.is_none() {
                return Err(Error::failed(
                    System::Kubernetes,
                    format!("pool `{}` is not in the cluster", pool.name),
                )
                .object(format!(
                    "runner-deployment/{}/{}",
                    names::RUNNER_NAMESPACE,
                    pool.name
                ))
                .hint("`arcctl up` makes it"));
            }
        }
        let pods = self.current_pods().await?;
        self.before = pods.keys().cloned().collect();
        Ok(())
    }

    /// The pods of the profile's pools that are there now; all that were ever seen are kept too.
    pub(super) async fn current_pods(&mut self) -> Result<Pods> {
        let selection = Selection::namespaced("v1", "Pod", names::RUNNER_NAMESPACE)
            .labelled("runner-deployment-name");
        let pods = self.clients.kube.list(&selection).await?;
        let pools = &self.request.profile.pools;
        let of = |pod: &serde_json::Value| {
            let meta = &pod["metadata"];
            let pool = meta["labels"]["runner-deployment-name"].as_str()?;
            let known = pools.iter().any(|it| it.name == pool);
            known.then(|| Some((meta["name"].as_str()?.to_owned(), pool.to_owned())))?
        };
        let pods: Pods = pods.iter().filter_map(of).collect();
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
            // Whether it was done is seen by whether there is a run.
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
