//! Reads the facts of the cluster from which the resources are computed.

use std::collections::BTreeMap;

use super::{autoscalers, aws_facts, conflicts};
use crate::{
    clients::{
        aws::{Aws, cluster::EksCluster},
        helm::Helm,
        kube::{Kube, Selection, Target},
    },
    desired::{EksFacts, Facts, charts, monitoring, names, resource::Chart, scale_set::schedule},
    error::Result,
    profile::{Auto, Profile, lint::windows_over},
};

/// The facts, and the warnings about them. With `helm` the charts of missing releases are downloaded beside them.
pub(super) async fn facts(
    kube: &Kube,
    at_aws: Option<(&Aws, &EksCluster)>,
    profile: &Profile,
    ca_bundle: Option<String>,
    whom: conflicts::For,
    helm: Option<&Helm>,
) -> Result<(Facts, Vec<String>)> {
    let eks = at_aws.map(|(_, eks)| eks);
    let at_aws = async {
        match at_aws.filter(|_| profile.aws.is_some()) {
            Some((aws, eks)) => Box::pin(aws_facts::read(aws, eks, kube, profile))
                .await
                .map(Some),
            None => Ok(None),
        }
    };
    let autoscalers = in_each(
        profile,
        names::ARC_API_VERSION,
        "HorizontalRunnerAutoscaler",
    );
    let (kubernetes, operator, foreign, autoscalers, at_aws) = tokio::join!(
        kube.version(),
        operator(kube, profile),
        look(kube, profile, whom, helm),
        kube.list_each(&autoscalers),
        at_aws,
    );
    let (kubernetes, operator) = (kubernetes?, operator?);
    conflicts::check_monitoring(profile, operator)?;
    let (mut runner_role_arn, mut advice) = (None, Vec::new());
    let aws = at_aws?.map(|it| {
        runner_role_arn = it.role_arn;
        advice = it.advice;
        advice.extend(it.role_agent);
        it.facts
    });
    let autoscalers = autoscalers?;
    autoscalers::check_names(&autoscalers, profile)?;
    let foreign = foreign?;
    let now = jiff::Timestamp::now();
    advice.extend(foreign.advice);
    advice.extend(windows_over(profile, now));
    let facts = Facts {
        now,
        kubernetes: Some(kubernetes),
        aws,
        runner_role_arn,
        service_monitor_crd: Some(operator.service_monitors),
        pod_monitor_crd: Some(operator.pod_monitors),
        prometheus_rule_crd: Some(operator.rules),
        foreign_cert_manager: Some(foreign.cert_manager),
        no_cert_manager_release: foreign.no_release,
        ca_bundle,
        live_overrides: live_overrides(&autoscalers, profile),
        live_tables: live_tables(kube, profile).await?,
        rivals: autoscalers::rivals(&autoscalers, profile),
        eks: eks.map(eks_facts),
        ..Facts::default()
    };
    Ok((facts, advice))
}

/// What others have in the cluster. Where a release is missing, its chart is downloaded at once: a run needs it, and an
/// unchanged one starts no helm.
async fn look(
    kube: &Kube,
    profile: &Profile,
    whom: conflicts::For,
    helm: Option<&Helm>,
) -> Result<conflicts::Looked> {
    let looked = conflicts::look(kube, profile, whom).await?;
    if let Some(helm) = helm {
        let needed = profile.has_deployments();
        let installs = needed && profile.cert_manager.install != Auto::Never;
        let cert_manager = (installs && looked.no_release && !looked.cert_manager)
            .then(|| charts::cert_manager::chart(profile));
        let controller =
            (needed && looked.no_controller).then(|| charts::controller::chart(profile));
        let missing: Vec<Chart> = cert_manager.into_iter().chain(controller).collect();
        helm.fetch_ahead(&missing).await;
    }
    Ok(looked)
}

/// The objects of a kind in each namespace of the pools.
pub(super) fn in_each(profile: &Profile, api_version: &str, kind: &str) -> Vec<Selection> {
    let namespaces = profile.runner_namespaces().into_iter();
    namespaces
        .map(|namespace| Selection::namespaced(api_version, kind, namespace))
        .collect()
}

pub(super) fn eks_facts(cluster: &EksCluster) -> EksFacts {
    EksFacts {
        name: cluster.name.clone(),
        region: cluster.region.clone(),
        account: cluster.account.clone(),
        partition: cluster.partition.clone(),
        issuer: cluster.issuer.clone(),
        security_group: cluster.security_group.clone(),
        vpc: cluster.vpc.clone(),
    }
}

/// Which CRDs of the Prometheus operator there are; that of `PodMonitors` is looked for only where scale sets have metrics.
async fn operator(kube: &Kube, profile: &Profile) -> Result<conflicts::Operator> {
    let pod_monitors = async {
        if monitoring::watches_scale_sets(profile) {
            has_crd(kube, conflicts::POD_MONITORS).await
        } else {
            Ok(false)
        }
    };
    let (service_monitors, pod_monitors, rules) = tokio::join!(
        has_crd(kube, conflicts::MONITORS),
        pod_monitors,
        has_crd(kube, conflicts::RULES),
    );
    Ok(conflicts::Operator {
        service_monitors: service_monitors?,
        pod_monitors: pod_monitors?,
        rules: rules?,
    })
}

async fn has_crd(kube: &Kube, name: &str) -> Result<bool> {
    let target = Target::cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", name);
    kube.exists(&target).await
}

/// The current tables of the minimums of scale sets, by pool.
async fn live_tables(kube: &Kube, profile: &Profile) -> Result<BTreeMap<String, String>> {
    let name = names::schedule_name(&profile.name);
    let mut tables = BTreeMap::new();
    for namespace in schedule::namespaces(profile) {
        let target = Target::namespaced("v1", "ConfigMap", namespace, &name);
        let live = kube.get(&target).await?.unwrap_or_default();
        let data = live["data"].as_object().into_iter().flatten();
        tables.extend(data.filter_map(|(pool, table)| {
            let known = profile.pool(namespace, pool).is_some();
            Some((pool.clone(), table.as_str().filter(|_| known)?.to_owned()))
        }));
    }
    Ok(tables)
}

/// The current overrides of the autoscalers, by pool.
fn live_overrides(
    autoscalers: &[serde_json::Value],
    profile: &Profile,
) -> BTreeMap<String, serde_json::Value> {
    autoscalers
        .iter()
        .filter_map(|it| {
            let name = it["metadata"]["name"].as_str()?.to_owned();
            let overrides = it["spec"]["scheduledOverrides"].clone();
            let namespace = it["metadata"]["namespace"].as_str()?;
            let known = profile.pool(namespace, &name).is_some();
            (known && !overrides.is_null()).then_some((name, overrides))
        })
        .collect()
}
