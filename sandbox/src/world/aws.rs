//! The AWS of a sandbox: the account in moto, the cluster's authenticator, and the rules that moto lacks.

use std::sync::Arc;

use anyhow::Result;

use super::{Options, Pace};
use crate::authenticator::Authenticator;
use crate::cloud::{
    Cloud,
    associations::Associations,
    rules::{self, Rules},
};
use crate::moto::Moto;
use crate::pod_identity::PodIdentity;
use crate::processes::ProcessGroup;

/// The simulated AWS, and who authenticates its users at the cluster.
pub(super) struct Aws {
    pub(super) cloud: Cloud,
    pub(super) authenticator: Authenticator,
    pub(super) associations: Arc<Associations>,
    pub(super) rules: Arc<Rules>,
    _pod_identity: PodIdentity,
}

/// Makes the account once moto answers; each of `nodes` gets the instance it runs on.
pub(super) async fn start(
    processes: &ProcessGroup,
    moto: Option<&Moto>,
    authenticator: Option<Authenticator>,
    client: &kube::Client,
    options: &mut Options,
) -> Result<Option<Aws>> {
    let Some((moto, authenticator)) = moto.zip(authenticator) else {
        return Ok(None);
    };
    moto.wait(processes).await?;
    let cloud = Cloud::make(&moto.url(), &mut options.nodes).await?;
    let associations = Arc::<Associations>::default();
    let rules = Arc::new(Rules::new(match options.pace {
        Pace::Realistic => rules::WINDOW,
        Pace::Fast => rules::WINDOW / 10,
    }));
    rules.know(Arc::clone(&associations));
    if options.alone {
        rules.set_alone();
    }
    Ok(Some(Aws {
        cloud,
        authenticator,
        associations: Arc::clone(&associations),
        rules,
        _pod_identity: PodIdentity::start(client, associations).await?,
    }))
}
