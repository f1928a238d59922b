//! Rules for the `template` of a runner scale set: it is the `spec` of a pod, and not that of a `RunnerDeployment`. Pure.

use super::{Path, Report};
use crate::profile::Pool;

/// Keys of a `RunnerDeployment`'s template that a pod does not have, keys of a pod that the profile has its own for, and
/// what to write instead.
const INSTEAD: [(&str, &str); 34] = [
    ("containerMode", "use the pool's `containerMode`"),
    ("dockerEnabled", "use the pool's `containerMode`"),
    (
        "dockerEnv",
        "write `initContainers: [{name: dind, env: …}]`",
    ),
    (
        "dockerMTU",
        "write `initContainers: [{name: dind, env: …}]`",
    ),
    (
        "dockerRegistryMirror",
        "configure the docker daemon by a file: `initContainers: [{name: dind, volumeMounts: …}]`",
    ),
    (
        "dockerVarRunVolumeSizeLimit",
        "remove it: the volume of the docker socket has no limit here",
    ),
    (
        "dockerVolumeMounts",
        "write `initContainers: [{name: dind, volumeMounts: …}]`",
    ),
    (
        "dockerdContainerResources",
        "use the pool's `resources.docker`",
    ),
    (
        "dockerdWithinRunnerContainer",
        "use the pool's `containerMode`",
    ),
    ("effectiveTime", "remove it: a scale set has no such time"),
    ("enterprise", "use `github.enterprise`"),
    ("env", "use the pool's `env`"),
    (
        "envFrom",
        "write `containers: [{name: runner, envFrom: …}]`",
    ),
    (
        "ephemeral",
        "remove it: every runner of a scale set takes one job",
    ),
    (
        "githubAPICredentialsFrom",
        "use the pool's `github.token` or `github.app`",
    ),
    ("group", "use the pool's `group`"),
    ("image", "use the pool's `image`"),
    (
        "imagePullPolicy",
        "write `containers: [{name: runner, imagePullPolicy: …}]`",
    ),
    (
        "imagePullSecrets",
        "use `images.pullSecrets`, or the pool's `imagePullSecrets`",
    ),
    ("labels", "use the pool's `labels`"),
    ("metadata", "use the pool's `podMetadata`"),
    ("nodeName", "use the pool's `nodeSelector`"),
    ("organization", "use `github.organization`"),
    ("replicas", "use `min` and `max`"),
    ("repository", "use `github.repository`"),
    ("resources", "use the pool's `resources.runner`"),
    (
        "restartPolicy",
        "remove it: a runner takes one job, and its pod is never started again",
    ),
    ("serviceAccountName", "use the pool's `serviceAccount`"),
    ("sidecarContainers", "write `containers`"),
    (
        "spec",
        "write what is in `spec` here, directly below `template`",
    ),
    (
        "volumeMounts",
        "write `containers: [{name: runner, volumeMounts: …}]`",
    ),
    ("volumeSizeLimit", "write `volumes`"),
    (
        "workDir",
        "remove it: the work directory is `/home/runner/_work`",
    ),
    (
        "workVolumeClaimTemplate",
        "use the pool's `containerMode: {kubernetes: …}`",
    ),
];

pub(super) fn check(pool: &Pool, path: &Path, report: &mut Report) {
    for (key, instead) in INSTEAD {
        if pool.template.contains_key(key) {
            report.error(
                path.key("template").key(key),
                format!("`{key}` does not belong in the `template` of a scale set, which is the `spec` of a pod"),
                instead,
            );
        }
    }
}
