//! Loads the resources of a teardown: from the profile and the inventory, or from the inventory alone.

use std::collections::BTreeSet;

use serde_json::Value;

use super::RemovalArgs;
use crate::{
    clients::{
        aws::{Aws, cluster::EksCluster},
        kube::{Access, Kube, Target},
    },
    desired::{
        Desired, EksFacts, Facts,
        aws::{AwsFacts, rule as aws_rule},
        desired, names,
        resource::Resource,
        teardown::{self, Records},
    },
    error::{Error, Result, System},
    inventory::{self, Home, Inventory},
    policy,
    profile::{App, Cluster, KubernetesSecretKey, Profile, TokenSource},
    resource::aws::rules_of,
    session::{
        connection::{self, Connection},
        eks_facts,
        github::ca_bundle,
    },
    terminal::{
        args::GlobalArgs,
        environment::{hidden_variables, shared_files},
        output::Output,
        profile_file,
    },
};

/// Where the profile came from.
pub(super) struct Source {
    pub(super) access: Access,
    pub(super) kube: Kube,
    pub(super) aws: Option<Aws>,
    pub(super) eks: Option<EksCluster>,
    pub(super) profile: Profile,
    pub(super) records: Records,
    /// The ids of resources that surely belong to this profile, even if they lost their labels.
    pub(super) recorded: BTreeSet<String>,
    pub(super) directory: std::path::PathBuf,
    pub(super) ca_bundle: Option<String>,
}

/// The profile file, and the inventory or, without one, the resources with the profile's labels.
pub(super) async fn from_profile(global: &GlobalArgs, output: Output) -> Result<Source> {
    let file = profile_file::read(global, output)?;
    let mut connection = Box::pin(Connection::open(global, &file.profile)).await?;
    let known = inventory::read(&connection.kube, Home::of(&file.profile)).await?;
    connection.reach(&known).await?;
    let bundle = ca_bundle(&file)?;
    let lost = known.records.is_empty() && file.profile.aws.is_some();
    let eks = connection.eks.as_ref().filter(|_| lost).map(eks_facts);
    let facts = Facts {
        now: jiff::Timestamp::now(),
        ca_bundle: bundle.clone(),
        // The rules to delete do not depend on the current nodes: they are found by their tags.
        aws: eks.is_some().then(AwsFacts::default),
        eks,
        ..Facts::default()
    };
    let mut wanted = desired(&file.profile, &facts).map_err(|error| file.invalid(&error))?;
    match (&facts.eks, &connection.aws) {
        (Some(eks), Some(aws)) => wanted.extend(own_rules(aws, eks, &file.profile.name).await?),
        // Resources at AWS are known from the inventory, or from EKS.
        _ => wanted.retain(|it| !matches!(it.resource, Resource::Aws(_))),
    }
    let known = known.records;
    // Labels identify the owner, even if a run died before it wrote the inventory.
    let mut records = teardown::records(&wanted);
    records.retain(|id, _| {
        !id.starts_with("helm-release/") || known.is_empty() || known.contains_key(id)
    });
    // A release without a helm record may be another user's: only the inventory proves that it is arcctl's.
    let is_ours = |id: &&String| !id.starts_with("helm-release/") || known.contains_key(*id);
    let recorded = records.keys().chain(known.keys()).filter(is_ours);
    let recorded = recorded.cloned().collect();
    records.extend(known);
    let Connection {
        access,
        kube,
        aws,
        eks,
    } = connection;
    Ok(Source {
        access,
        kube,
        aws,
        eks,
        records,
        recorded,
        profile: file.profile,
        directory: file.directory,
        ca_bundle: bundle,
    })
}

/// The security group rules created for the profile, if there is no inventory.
async fn own_rules(aws: &Aws, eks: &EksFacts, profile: &str) -> Result<Vec<Desired>> {
    let sid = policy::own_sid(&eks.arn(), profile);
    let found = rules_of(aws, &sid, profile).await?;
    Ok(found.into_iter().map(aws_rule).collect())
}

/// The profile as recorded in the inventory; the credential is the one of the controller.
pub(super) async fn from_inventory(
    name: &str,
    args: &RemovalArgs,
    global: &GlobalArgs,
) -> Result<Source> {
    // The variables that the profile names are unknown until the inventory is read.
    let hidden = hidden_variables(&[]);
    let cluster = Cluster {
        eks: args.eks.clone(),
        region: args.region.clone(),
        context: None,
    };
    let aws = match &cluster {
        Cluster {
            eks: Some(_),
            region,
            ..
        } => {
            let files = shared_files(hidden.clone());
            Some(Aws::new(region.as_deref(), &files, connection::authorities()?).await)
        }
        _ => None,
    };
    let mut connection = Connection::to(global, &cluster, hidden, aws).await?;
    let found = found_by_name(&connection.kube, name).await?;
    connection.reach(&found).await?;
    let Connection {
        access,
        kube,
        aws,
        eks,
    } = connection;
    let Some(mut profile) = found.profile else {
        return Err(Error::failed(
            System::Kubernetes,
            format!("there is no inventory of a profile `{name}` on this cluster"),
        )
        .object(format!("config-map/{}/arcctl-{name}", names::SYSTEM_NAMESPACE))
        .hint("`kubectl get configmaps -A -l app.kubernetes.io/managed-by=arcctl` lists them; or name the profile's file with -f"));
    };
    use_controller_secret(&kube, &mut profile).await?;
    use_pool_secrets(&kube, &mut profile).await?;
    Ok(Source {
        access,
        aws: match aws {
            Some(aws) => Some(aws),
            None => connection::aws(&profile, hidden_variables(&profile.token_sources())).await?,
        },
        eks,
        recorded: found.records.keys().cloned().collect(),
        records: found.records,
        ca_bundle: made_ca_bundle(&kube, &profile).await?,
        profile,
        directory: ".".into(),
        kube,
    })
}

/// The inventory of a profile by its name: in the default namespace, or in any other.
async fn found_by_name(kube: &Kube, name: &str) -> Result<Inventory> {
    let home = |namespace| Home {
        namespace,
        profile: name,
    };
    let found = inventory::read(kube, home(names::SYSTEM_NAMESPACE)).await?;
    if found.profile.is_some() {
        return Ok(found);
    }
    match inventory::homes(kube, name).await?.as_slice() {
        [] => Ok(found),
        [namespace] => inventory::read(kube, home(namespace)).await,
        several => Err(Error::failed(
            System::Kubernetes,
            format!("there are several inventories of a profile `{name}` on this cluster"),
        )
        .object(format!("config-map/{}/arcctl-{name}", several[0]))
        .cause(format!("in the namespaces {}", several.join(", ")))
        .hint(
            "name the profile's file with -f: its `controller.namespace` tells which one is meant",
        )),
    }
}

/// The CA certificate of the server, if `up` has stored it in the cluster.
async fn made_ca_bundle(kube: &Kube, profile: &Profile) -> Result<Option<String>> {
    if profile.github.ca_bundle.is_none() {
        return Ok(None);
    }
    let target = Target::namespaced(
        "v1",
        "ConfigMap",
        &profile.controller.namespace,
        names::CA_BUNDLE,
    );
    let live = kube.get(&target).await?;
    Ok(live.and_then(|it| Some(it["data"][names::CA_BUNDLE_KEY].as_str()?.to_owned())))
}

pub(super) fn use_secret(profile: &mut Profile, secret: &Value) {
    let namespace = profile.controller.namespace.clone();
    let github = &mut profile.github;
    let place = (namespace.as_str(), names::CONTROLLER_SECRET);
    use_made(place, secret, &mut github.token, &mut github.app);
}

/// Uses the Secret of the controller; where every pool is a scale set, that in one of their namespaces.
async fn use_controller_secret(kube: &Kube, profile: &mut Profile) -> Result<()> {
    let namespace = profile.controller.namespace.clone();
    let secret = Target::namespaced("v1", "Secret", &namespace, names::CONTROLLER_SECRET);
    if let Some(secret) = kube.get(&secret).await? {
        use_secret(profile, &secret);
        return Ok(());
    }
    let namespaces = profile.runner_namespaces().into_iter().map(str::to_owned);
    for namespace in namespaces.collect::<Vec<_>>() {
        let place = (namespace.as_str(), names::SCALE_SET_SECRET);
        let secret = Target::namespaced("v1", "Secret", place.0, place.1);
        if let Some(secret) = kube.get(&secret).await? {
            let github = &mut profile.github;
            use_made(place, &secret, &mut github.token, &mut github.app);
            return Ok(());
        }
    }
    Ok(())
}

/// The same for pools with a credential of their own.
pub(in crate::session) async fn use_pool_secrets(kube: &Kube, profile: &mut Profile) -> Result<()> {
    for pool in &mut profile.pools {
        let Some(name) = pool.credential_secret() else {
            continue;
        };
        let secret = Target::namespaced("v1", "Secret", &pool.namespace, &name);
        if let Some(secret) = kube.get(&secret).await?
            && let Some(github) = &mut pool.github
        {
            let place = (pool.namespace.as_str(), name.as_str());
            use_made(place, &secret, &mut github.token, &mut github.app);
        }
    }
    Ok(())
}

/// Uses the credential in the Secret that `up` created.
fn use_made(
    (namespace, name): (&str, &str),
    secret: &Value,
    token: &mut Option<TokenSource>,
    app: &mut Option<App>,
) {
    let key = |key: &str| {
        (!secret["data"][key].is_null()).then(|| TokenSource {
            kubernetes_secret: Some(KubernetesSecretKey {
                namespace: namespace.into(),
                name: name.into(),
                key: key.into(),
            }),
            ..TokenSource::default()
        })
    };
    if let Some(source) = key("github_token") {
        *token = Some(source);
    } else if let (Some(source), Some(app)) = (key("github_app_private_key"), app.as_mut()) {
        app.private_key = source;
    }
}
