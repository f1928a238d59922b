//! Finds the clusters to choose from: those of EKS in the region, and the contexts of the kubeconfig.

use super::{reason, within};
use crate::{
    clients::aws::Aws,
    error::{Error, Result, System},
    init::facts::Places,
    profile::Cluster,
    session::connection::{authorities, named_access},
    terminal::{
        args::GlobalArgs,
        environment::{hidden_variables, shared_files},
    },
};

/// Reads them. `region` replaces that of the environment.
pub(crate) async fn places(global: &GlobalArgs, region: Option<&str>) -> Places {
    let hidden = hidden_variables(&[]);
    let access = named_access(global, &Cluster::default(), hidden.clone());
    let (contexts, current) = match access.contexts() {
        Ok((contexts, current)) => (Ok(contexts), current),
        Err(error) => (Err(reason(&error)), None),
    };
    let mut found = Places {
        region: region.map(str::to_owned),
        contexts,
        current,
        ..Places::default()
    };
    found.eks = Box::pin(within(async {
        let aws = Aws::new(region, &shared_files(hidden), authorities()?).await;
        found.region = aws.region().map(str::to_owned);
        names(&aws).await
    }))
    .await;
    found
}

/// The current context of the kubeconfig.
pub(crate) fn current(global: &GlobalArgs) -> Option<String> {
    let access = named_access(global, &Cluster::default(), hidden_variables(&[]));
    access.contexts().ok()?.1
}

async fn names(aws: &Aws) -> Result<Vec<String>> {
    if aws.region().is_none() {
        return Err(Error::failed(
            System::Aws,
            "no AWS region is set (--region, AWS_REGION)",
        ));
    }
    aws.cluster_names().await
}
