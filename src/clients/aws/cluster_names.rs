//! Lists the EKS clusters of an account: for `arcctl init`, before a profile names one.

use super::{Aws, error::Asked};
use crate::error::Result;

impl Aws {
    /// The names of the EKS clusters of this account and region, in alphabetical order.
    pub async fn cluster_names(&self) -> Result<Vec<String>> {
        let region = self.region().unwrap_or_default();
        let asked = Asked {
            what: &format!("list the EKS clusters in `{region}`"),
            action: "eks:ListClusters",
            resource: "*",
        };
        let (mut names, mut from) = (Vec::new(), None);
        loop {
            let call = self.eks().list_clusters().set_next_token(from);
            let page = call.send().await.map_err(|error| asked.failed(&error))?;
            names.extend(page.clusters.unwrap_or_default());
            from = page.next_token.filter(|it| !it.is_empty());
            if from.is_none() {
                names.sort_unstable();
                return Ok(names);
            }
        }
    }
}
