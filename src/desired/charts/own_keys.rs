//! Maps pass-through keys that arcctl sets itself to the profile key to use, or the reason why there is none. Pure: no
//! I/O.

/// The destination of pass-through values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `pools[].template`
    Template,
    /// `controller.values`
    Controller,
    /// `certManager.values`
    CertManager,
    /// `scaleSets.values`
    ScaleSets,
}

/// Names that arcctl uses to find the chart's objects.
const FOUND_BY_NAME: &str =
    "arcctl finds the chart's objects by the names that the release gives them";

/// Prefixes of template paths, and the profile keys to use instead.
const TEMPLATE: &[(&str, &str)] = &[
    ("containerMode", "`containerMode` of the pool sets it"),
    ("dockerEnabled", "`containerMode` of the pool sets it"),
    ("dockerEnv", "`proxy` of the profile sets it"),
    (
        "dockerVarRunVolumeSizeLimit",
        "the controller's own default is too small for docker, so arcctl sets 50M",
    ),
    (
        "dockerdContainerResources",
        "`resources.docker` of the pool sets it",
    ),
    (
        "dockerdWithinRunnerContainer",
        "`containerMode` of the pool sets it",
    ),
    ("enterprise", "`github` of the profile sets it"),
    (
        "env",
        "`gracefulStop` of the pool, or `proxy` or `github.caBundle` of the profile, sets it",
    ),
    (
        "githubAPICredentialsFrom",
        "`github.token` or `github.app` of the profile is the credential of all pools",
    ),
    ("group", "`group` of the pool sets it"),
    (
        "imagePullSecrets",
        "`images.pullSecrets` of the profile, or `imagePullSecrets` of the pool, sets it",
    ),
    ("image", "`image` of the pool sets it"),
    ("labels", "`labels` of the pool sets it"),
    (
        "nodeSelector",
        "`nodeSelector` or `instanceType` of the pool sets it",
    ),
    ("organization", "`github` of the profile sets it"),
    ("repository", "`github` of the profile sets it"),
    ("resources", "`resources.runner` of the pool sets it"),
    ("securityContext.fsGroup", "`fsGroup` of the pool sets it"),
    (
        "serviceAccountName",
        "`serviceAccount` of the pool, or the role under `aws`, sets it",
    ),
    (
        "terminationGracePeriodSeconds",
        "`gracefulStop` of the pool sets it",
    ),
    ("tolerations", "`tolerations` of the pool sets it"),
    (
        "volumeMounts",
        "`sharedTmp` or `containerMode` of the pool, or `github.caBundle`, mounts something there",
    ),
    (
        "volumes",
        "`sharedTmp` or `containerMode` of the pool, or `github.caBundle`, has a volume of that name: give yours another one",
    ),
    (
        "workVolumeClaimTemplate",
        "`containerMode.kubernetes.workVolume` of the pool sets it",
    ),
];

/// The same for the controller's chart.
const CONTROLLER: &[(&str, &str)] = &[
    (
        "additionalVolume",
        "`github.caBundle` of the profile has one of that name: give yours another one",
    ),
    (
        "authSecret",
        "`github.token` or `github.app` of the profile sets it: helm's history would keep a credential that is a value",
    ),
    (
        "certManagerEnabled",
        "the webhook's certificate comes from cert-manager, which arcctl waits for",
    ),
    ("env", "`proxy` or `github.caBundle` of the profile sets it"),
    ("fullnameOverride", FOUND_BY_NAME),
    (
        "githubEnterpriseServerURL",
        "`github.url` of the profile sets it",
    ),
    ("githubURL", "`github.url` of the profile sets it"),
    (
        "githubWebhookServer.enabled",
        "`scaling.triggers` of a pool sets it",
    ),
    (
        "githubWebhookServer.secret",
        "arcctl makes that Secret itself, as long as a pool has `scaling.triggers`",
    ),
    (
        "image.actionsRunnerImagePullSecrets",
        "`images.pullSecrets` of the profile sets it",
    ),
    (
        "image.dindSidecarRepositoryAndTag",
        "`controller.dockerImage` of the profile sets it",
    ),
    (
        "image.repository",
        "`images.registry` of the profile sets it",
    ),
    (
        "imagePullSecrets",
        "`images.pullSecrets` of the profile sets it",
    ),
    ("metrics.proxy", "`images.registry` of the profile sets it"),
    (
        "metrics.serviceMonitor",
        "`monitoring.serviceMonitor` and `monitoring.labels` of the profile set it",
    ),
    ("nameOverride", FOUND_BY_NAME),
    (
        "podAnnotations",
        "arcctl writes the version of the credential there, so that a new one restarts the controller",
    ),
    ("rbac", "`containerMode: {kubernetes: …}` of a pool sets it"),
    (
        "replicaCount",
        "`controller.replicas` of the profile sets it",
    ),
    (
        "scope",
        "arcctl's controller works for the namespaces of the profile's pools",
    ),
    (
        "syncPeriod",
        "`controller.syncPeriod` of the profile sets it",
    ),
    (
        "webhookPort",
        "`controller.webhookPort` of the profile sets it",
    ),
];

/// The same for cert-manager's chart.
const CERT_MANAGER: &[(&str, &str)] = &[
    (
        "crds",
        "arcctl applies the CRDs itself, so that no upgrade deletes them",
    ),
    (
        "global.imagePullSecrets",
        "`images.pullSecrets` of the profile sets it",
    ),
    (
        "installCRDs",
        "arcctl applies the CRDs itself, so that no upgrade deletes them",
    ),
    (
        "startupapicheck",
        "arcctl tries the webhook itself, and helm would wait for it too",
    ),
];

/// The same for the controller of runner scale sets.
const SCALE_SETS: &[(&str, &str)] = &[
    (
        "flags.logLevel",
        "`scaleSets.logLevel` of the profile sets it",
    ),
    (
        "flags.updateStrategy",
        "with another strategy than `immediate` a change of the minimum can delete a listener for good",
    ),
    (
        "flags.healthProbeBindAddress",
        "arcctl waits until the controller is healthy, and asks there",
    ),
    (
        "flags.excludeLabelPropagationPrefixes",
        "Argo CD would delete what has its label",
    ),
    (
        "flags.watchSingleNamespace",
        "the controller works for the namespaces of the profile's pools, and ignores scale sets elsewhere with it",
    ),
    ("fullnameOverride", FOUND_BY_NAME),
    (
        "image.repository",
        "`images.registry` of the profile sets it",
    ),
    (
        "imagePullSecrets",
        "`images.pullSecrets` of the profile sets it",
    ),
    ("metrics", "`scaleSets.metrics` of the profile sets it"),
    ("nameOverride", FOUND_BY_NAME),
    (
        "namespaceOverride",
        "`scaleSets.namespace` of the profile sets it",
    ),
    (
        "replicaCount",
        "`scaleSets.replicas` of the profile sets it",
    ),
];

/// The hint for `path`, which arcctl sets itself.
pub(crate) fn instead(place: Place, path: &str) -> String {
    let table = match place {
        Place::Template => TEMPLATE,
        Place::Controller => CONTROLLER,
        Place::CertManager => CERT_MANAGER,
        Place::ScaleSets => SCALE_SETS,
    };
    let longest = table
        .iter()
        .filter(|(start, _)| path.starts_with(start))
        .max_by_key(|(start, _)| start.len());
    let why = match (longest, place) {
        (Some((_, why)), _) => why,
        // With a mirror arcctl sets the images of the components.
        (None, Place::CertManager) => "`images.registry` of the profile sets it",
        (None, _) => "what arcctl proves depends on it",
    };
    format!("take it out here: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_key_or_the_reason() {
        for (place, path, says) in [
            (
                Place::Template,
                "securityContext.fsGroup",
                "`fsGroup` of the pool",
            ),
            (Place::Template, "image", "`image` of the pool"),
            (
                Place::Template,
                "imagePullSecrets[0]",
                "`images.pullSecrets`",
            ),
            (Place::Template, "env[1]", "`proxy`"),
            (Place::Controller, "env.HTTPS_PROXY", "`proxy`"),
            (Place::Controller, "authSecret.create", "`github.token`"),
            (
                Place::Controller,
                "podAnnotations.arcctl.dev/secret-version",
                "restarts the controller",
            ),
            (
                Place::CertManager,
                "crds.enabled",
                "applies the CRDs itself",
            ),
            (
                Place::CertManager,
                "webhook.image.repository",
                "`images.registry`",
            ),
        ] {
            let hint = instead(place, path);
            assert!(hint.contains(says), "{path}: {hint}");
        }
    }
}
