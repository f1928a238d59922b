//! `arcctl status`: reads the cluster, and GitHub where a token is at hand.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::{
    GlobalArgs,
    connection::{Connection, cluster_words},
    output::Output,
    profile_file::{self, ProfileFile},
    session::variable,
};
use crate::{
    clients::{
        aws::Aws,
        credential::{self, Sources},
        github::{GitHub, Runner},
        kube::{Kube, Selection, Target},
    },
    desired::names,
    error::Result,
    profile::{Pool, schedule::moment},
    report::{
        self,
        status::{CertificateStatus, PoolStatus, ReleaseStatus, Status},
    },
    resource::{is_ready, newest_release},
};

/// How many pools are read at a time.
const CONCURRENT: usize = 16;

/// Prints the state.
pub(super) async fn run(global: &GlobalArgs, output: Output) -> Result<u8> {
    let file = profile_file::read(global, output)?;
    let connection = Box::pin(Connection::open(global, &file.profile)).await?;
    let (kube, eks, aws) = (connection.kube, connection.eks, connection.aws);
    let version = kube.version().await?;
    output.note(format!(
        "profile {} on {}",
        file.profile.name,
        cluster_words(&kube, eks.as_ref(), version)
    ));
    let runners = match github(&file, &kube, aws.as_ref(), output).await {
        Ok(runners) => Some(runners),
        Err(error) => {
            output.note(format!(
                "GitHub could not be asked, so REGISTERED is what the controller saw: {}",
                error.document().message
            ));
            None
        }
    };
    let (releases, certificate) = tokio::try_join!(
        releases(&kube, &file.profile.name, output),
        certificate(&kube)
    )?;
    let pools = stream::iter(&file.profile.pools)
        .map(|pool| pool_status(&kube, pool, runners.as_ref()))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    let status = Status {
        profile: file.profile.name.clone(),
        releases,
        certificate,
        pools,
    };
    if output.is_json() {
        output.document(&report::status::document(&status));
    } else {
        output.result(&report::status::text(&status));
    }
    Ok(0)
}

/// The runners by name.
async fn github(
    file: &ProfileFile,
    kube: &Kube,
    aws: Option<&Aws>,
    output: Output,
) -> Result<HashMap<String, Runner>> {
    let sources = Sources {
        variable: &variable,
        directory: &file.directory,
        kube: Some(kube),
        aws,
    };
    let github = &file.profile.github;
    let credential = Box::pin(credential::load(github, &sources))
        .await?
        .credential;
    output.mask(&credential);
    let ca_bundle = super::session::ca_bundle(file)?;
    let client = GitHub::new(github.url.as_deref(), credential, ca_bundle.as_deref())?;
    let Some(scope) = github.scope() else {
        return Ok(HashMap::new());
    };
    let runners = client.runners(scope).await?;
    Ok(runners
        .into_iter()
        .map(|it| (it.name.clone(), it))
        .collect())
}

async fn releases(kube: &Kube, profile: &str, output: Output) -> Result<Vec<ReleaseStatus>> {
    let mut found = Vec::new();
    for (namespace, name) in [
        (names::CERT_MANAGER_NAMESPACE, names::CERT_MANAGER),
        (names::SYSTEM_NAMESPACE, names::CONTROLLER),
    ] {
        if let Some(record) = newest_release(kube, namespace, name).await? {
            if let Some(other) = record.profile.as_ref().filter(|it| *it != profile) {
                output.note(format!(
                    "advice: release `{name}` belongs to the profile `{other}`, not to `{profile}`"
                ));
            }
            found.push(ReleaseStatus {
                name: format!("{namespace}/{name}"),
                version: record.chart_version,
                status: record.status,
            });
        }
    }
    Ok(found)
}

async fn certificate(kube: &Kube) -> Result<Option<CertificateStatus>> {
    let name = format!("{}-serving-cert", names::CONTROLLER);
    let target = Target::namespaced(
        "cert-manager.io/v1",
        "Certificate",
        names::SYSTEM_NAMESPACE,
        &name,
    );
    let live = kube.get(&target).await?;
    Ok(live.map(|live| CertificateStatus {
        ready: live["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Ready" && it["status"] == "True"),
        not_after: live["status"]["notAfter"].as_str().map(str::to_owned),
    }))
}

async fn pool_status(
    kube: &Kube,
    pool: &Pool,
    runners: Option<&HashMap<String, Runner>>,
) -> Result<PoolStatus> {
    let autoscaler = Target::namespaced(
        names::ARC_API_VERSION,
        "HorizontalRunnerAutoscaler",
        names::RUNNER_NAMESPACE,
        &pool.name,
    );
    let selection = Selection::namespaced("v1", "Pod", names::RUNNER_NAMESPACE)
        .labelled(format!("runner-deployment-name={}", pool.name));
    let (autoscaler, pods) = tokio::try_join!(kube.get(&autoscaler), kube.list(&selection))?;
    let moment = moment(pool.schedule.as_ref(), pool.min, jiff::Timestamp::now());
    let name = |pod: &Value| {
        pod["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let known = |pod: &&Value| runners.and_then(|it| it.get(&name(pod)));
    let online = |pod: &&Value| known(pod).is_some_and(|it| it.status == "online");
    // Without GitHub, the controller's own mark on a pod says that it saw the runner (reference: arc.md 2.1).
    let marked = |pod: &&Value| pod["metadata"]["annotations"]["actions-runner/id"].is_string();
    let registered = match runners {
        Some(_) => pods.iter().filter(online).count(),
        None => pods.iter().filter(marked).count(),
    };
    Ok(PoolStatus {
        name: pool.name.clone(),
        min: moment.min,
        max: pool.max,
        desired: autoscaler.and_then(|it| it["status"]["desiredReplicas"].as_u64()),
        running: Some(pods.iter().filter(|it| is_ready(it)).count()),
        registered: Some(registered),
        busy: runners.map(|_| {
            pods.iter()
                .filter(|pod| known(pod).is_some_and(|it| it.busy))
                .count()
        }),
        moment,
    })
}
