//! The session of `verify`: the proofs of the profile alone. It needs the cluster and GitHub, but no helm, no inventory and
//! no owner: who installed what is proven does not matter.

use super::{
    Session, accounts::accounts, connection::Connection, github::at_github, lock, set_order, wanted,
};
use crate::{
    clients::{
        credential::Sources,
        helm::{Helm, Places},
    },
    desired::Facts,
    error::Result,
    profile::Cluster,
    resource::context::{Clients, Context},
    terminal::{
        args::GlobalArgs, environment::variable, output::Output, profile_file::ProfileFile,
    },
};

/// Connects, and computes the proofs. `in_cluster`: the cluster is that of the pod this runs in, or of the kubeconfig in
/// its environment, whatever the profile names.
pub(crate) async fn open(
    global: &GlobalArgs,
    file: ProfileFile,
    in_cluster: bool,
    output: Output,
) -> Result<Session> {
    let mut reached = file.profile.clone();
    if in_cluster {
        // A pod has no kubeconfig, and no right to describe the cluster at EKS. Secrets at AWS need the region.
        let region = reached.cluster.region.take();
        reached.cluster = Cluster {
            region,
            ..Cluster::default()
        };
    }
    let connection = Box::pin(Connection::open(global, &reached)).await?;
    let Connection {
        access,
        kube,
        aws,
        eks,
    } = connection;
    // Not looked for and never started: the context of a run has one.
    let helm = Helm::new(&Places::default(), access, Vec::new())?;
    let signed_in = Box::pin(at_github(&file, &kube, aws.as_ref(), output)).await?;
    let sources = Sources {
        variable: &variable,
        directory: &file.directory,
        kube: Some(&kube),
        aws: aws.as_ref(),
    };
    let ca_bundle = signed_in.ca_bundle.as_deref();
    let (accounts, kubernetes) = tokio::join!(
        Box::pin(accounts(&file.profile, &sources, ca_bundle, output)),
        kube.version()
    );
    let (accounts, kubernetes) = (accounts?, kubernetes?);
    let facts = Facts {
        now: jiff::Timestamp::now(),
        kubernetes: Some(kubernetes),
        ..Facts::default()
    };
    let mut proofs = wanted(&file.profile, &facts)?;
    if let Some(lock) = lock::read(global)? {
        let compared = lock.compared(&file.profile, &proofs, global, output);
        Box::pin(compared).await?.check()?;
    }
    proofs.retain(|it| it.resource.is_proof());
    let ids: Vec<_> = proofs.iter().map(|it| it.id.clone()).collect();
    for proof in &mut proofs {
        // What makes the rest of the run is not part of this one.
        proof.after.retain(|it| ids.contains(it));
    }
    set_order(&mut proofs)?;
    let clients = Clients {
        kube,
        aws,
        helm,
        github: signed_in.github,
        credential: signed_in.credential,
        accounts,
    };
    let context = Context {
        remarks: crate::resource::remarks::Remarks::only_looking(),
        ..Context::new(file.profile, clients, kubernetes)
    };
    Ok(Session::of(context, proofs, eks))
}
