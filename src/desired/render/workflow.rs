//! The workflow that `arcctl smoke` dispatches: a job per pool, which tests a command, docker and the AWS role on the
//! pool's runners, if the pool has them; and a job per label of a runner scale set. Pure: no I/O.
//!
//! The labels of a scale set are shown by no page and no list of GitHub, and some servers drop them: only a job proves one
//! (reference: scale-sets.md 4).
//!
//! EKS gives the role to the containers of the pod. Containers that the pod's own dockerd starts get neither the
//! variables nor the token; both must be passed (reference: arc.md 9).

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    desired::pool::{both_modes::runner_labels, image::mirrored, runner_deployment::GIVEN_LABELS},
    profile::{ContainerMode, Pool, Profile, RoleVia},
    templates,
    units::pull_through::Place,
};

/// Its name in `.github/workflows`.
pub const FILE: &str = "arcctl-smoke.yaml";
/// Its path in a repository, and below the directory that `render` writes to.
pub const PATH: &str = ".github/workflows/arcctl-smoke.yaml";

/// The step of each job.
pub const COMMAND: &str = "a command on the runner";
/// The step of a pool with docker.
pub const DOCKER: &str = "docker answers";
/// The step of a pool with a role.
pub const ROLE: &str = "the role in the runner";
/// The step of a pool with a role and a docker daemon of its own.
pub const ROLE_IN_DOCKER: &str = "the role in a container started by docker";

const AWS_CLI: &str = "amazon/aws-cli:2.15.0";
const JOB_IMAGE: &str = "ubuntu:22.04";

/// The run name of the dispatch with `nonce`.
pub fn run_name(nonce: &str) -> String {
    format!("arcctl smoke {nonce}")
}

/// A job of the workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolJob {
    /// Its name at GitHub.
    pub name: String,
    /// Its `runs-on`.
    pub labels: Vec<String>,
    /// The label of the scale set that it proves; `None`: it is the pool's own job.
    pub label: Option<String>,
    /// The names of its steps, in order.
    pub steps: Vec<&'static str>,
}

/// The jobs of `pool`: its own first; then, of a scale set, one for each label.
///
/// The name of a scale set always names it, and it need not have a label `self-hosted`. A job for a label also asks for the name,
/// since other runners may have the same label.
pub fn jobs(profile: &Profile, pool: &Pool) -> Vec<PoolJob> {
    let all = steps(profile, pool).into_iter().map(|it| it.0).collect();
    let own = |labels: Vec<String>| PoolJob {
        name: pool.name.clone(),
        labels,
        label: None,
        steps: all,
    };
    if !pool.is_scale_set() {
        let fixed = std::iter::once("self-hosted".to_owned());
        return vec![own(fixed.chain(runner_labels(pool)).collect())];
    }
    let labels = runner_labels(pool).into_iter();
    let beside_its_name = labels.filter(|it| !it.eq_ignore_ascii_case(&pool.name));
    let found_by = alone(profile, pool);
    let of_labels = beside_its_name.map(|label| {
        let mut labels = found_by.clone();
        if !labels.contains(&label) {
            labels.push(label.clone());
        }
        PoolJob {
            name: format!("{} with {label}", pool.name),
            labels,
            label: Some(label),
            // What the runners can do, the pool's own job shows.
            steps: vec![COMMAND],
        }
    });
    std::iter::once(own(found_by.clone()))
        .chain(of_labels)
        .collect()
}

/// By what a job finds a scale set alone: its name; and where other pools have that as a label, as after a migration there and
/// back, a label that none of them has, if it has one.
fn alone(profile: &Profile, set: &Pool) -> Vec<String> {
    let is_other = |it: &&Pool| it.name != set.name || it.namespace != set.namespace;
    let pools = profile.pools.iter().filter(is_other);
    let others: Vec<&Pool> = pools.filter(|it| has_label(it, &set.name)).collect();
    let mut found_by = vec![set.name.clone()];
    if !others.is_empty() {
        let is_own = |label: &String| {
            let is_name = label.eq_ignore_ascii_case(&set.name);
            !is_name && !others.iter().any(|it| has_label(it, label))
        };
        found_by.extend(runner_labels(set).into_iter().find(is_own));
    }
    found_by
}

/// Whether a job that asks for `label` may run on `pool`.
fn has_label(pool: &Pool, label: &str) -> bool {
    let is_it = |it: &str| it.eq_ignore_ascii_case(label);
    let is_given = if pool.is_scale_set() {
        is_it(&pool.name)
    } else {
        GIVEN_LABELS.iter().any(|it| is_it(it))
    };
    is_given || runner_labels(pool).iter().any(|it| is_it(it))
}

/// The workflow's text.
pub fn text(profile: &Profile) -> String {
    let mut text = templates::SMOKE_WORKFLOW.text(&[]);
    for pool in &profile.pools {
        for (number, job) in jobs(profile, pool).iter().enumerate() {
            text += &job_text(profile, pool, number, job);
        }
    }
    text
}

/// The `number`th job of a pool.
fn job_text(profile: &Profile, pool: &Pool, number: usize, job: &PoolJob) -> String {
    let id = match job.label {
        None => format!("pool-{}", pool.name),
        Some(_) => format!("label-{number}-of-{}", pool.name),
    };
    let quoted = |value: Value| value.to_string();
    let mut text = templates::SMOKE_JOB.text(&[
        ("ID", &id),
        ("NAME", &quoted(job.name.clone().into())),
        ("POOL", &pool.name),
        ("LABELS", &quoted(job.labels.clone().into())),
    ]);
    if matches!(pool.container_mode, ContainerMode::Kubernetes(_)) {
        let image = mirrored(profile.images.as_ref(), JOB_IMAGE);
        // Writing to a String cannot fail.
        let _ignored = writeln!(text, "    container: {image}");
    }
    text.push_str("    steps:\n");
    let all = steps(profile, pool).into_iter();
    for (name, script) in all.filter(|it| job.steps.contains(&it.0)) {
        let _ignored = writeln!(text, "      - name: {name}\n        run: |");
        for line in script.lines() {
            let _ignored = writeln!(text, "          {line}");
        }
    }
    text
}

/// The steps of a pool's job: names and scripts.
fn steps(profile: &Profile, pool: &Pool) -> Vec<(&'static str, String)> {
    let mode = &pool.container_mode;
    let mut steps = vec![(COMMAND, templates::SMOKE_COMMAND.text(&[]))];
    if matches!(
        mode,
        ContainerMode::Dind | ContainerMode::DindInRunner | ContainerMode::Dood
    ) {
        steps.push((DOCKER, templates::SMOKE_DOCKER.text(&[])));
    }
    // In the mode `kubernetes` a job runs in its own pod, with another service account.
    let Some((via, role)) = profile
        .role_of(pool)
        .filter(|_| !matches!(mode, ContainerMode::Kubernetes(_)))
    else {
        return steps;
    };
    let role = role.role.rsplit('/').next().unwrap_or_default();
    let in_the_runner = match via {
        RoleVia::Irsa => templates::SMOKE_ROLE_BY_IRSA,
        RoleVia::PodIdentity => templates::SMOKE_ROLE_BY_POD_IDENTITY,
    };
    steps.push((ROLE, in_the_runner.text(&[("ROLE", role)])));
    if matches!(mode, ContainerMode::Dind | ContainerMode::DindInRunner) {
        let [variable, _] = via.variables();
        let in_docker = templates::SMOKE_ROLE_IN_DOCKER.text(&[
            ("VARIABLE", variable),
            ("VARIABLES", &via.variables().join(" -e ")),
            ("IMAGE", &image_in_docker(profile)),
            ("ROLE", role),
        ]);
        steps.push((ROLE_IN_DOCKER, in_docker));
    }
    steps
}

/// The image of the container that docker starts. The runner's docker has no login at a private registry of Amazon ECR, as the
/// nodes have: then it is pulled from its own.
fn image_in_docker(profile: &Profile) -> String {
    let mirrored = mirrored(profile.images.as_ref(), AWS_CLI);
    if Place::parse(&mirrored).is_some() {
        return AWS_CLI.to_owned();
    }
    mirrored
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(pools: &Value) -> Value {
        rendered_with(pools, "irsa")
    }

    fn rendered_with(pools: &Value, via: &str) -> Value {
        let profile = json!({
            "apiVersion": "arcctl.dev/v1",
            "name": "test",
            "cluster": {"context": "c"},
            "github": {"organization": "o", "token": {"env": "T"}},
            "images": {"registry": "mirror.example"},
            "aws": {via: {"role": "arn:aws:iam::111122223333:role/ci/runner", "serviceAccount": "s"}},
            "pools": pools,
        });
        serde_saphyr::from_str(&text(&serde_json::from_value(profile).unwrap())).unwrap()
    }

    fn names(workflow: &Value, job: &str) -> Vec<String> {
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
        steps.iter().map(name).collect()
    }

    #[test]
    fn each_pool_has_a_job_with_its_labels() {
        let workflow = rendered(&json!([
            {"name": "a", "image": "r:1", "min": 0, "max": 1, "labels": ["on", "x\"y", "1.0"]},
        ]));
        let job = &workflow["jobs"]["pool-a"];
        assert_eq!(job["runs-on"], json!(["self-hosted", "on", "x\"y", "1.0"]));
        assert_eq!(job["name"], "a");
        assert_eq!(workflow["run-name"], run_name("${{ inputs.nonce }}"));
    }

    #[test]
    fn each_label_of_a_scale_set_has_a_job_beside_its_name() {
        let workflow = rendered(&json!([
            {"name": "a", "mode": "scaleSet", "image": "r:1", "min": 0, "max": 1, "labels": ["gpu", "A", "x\"y"]},
            {"name": "b", "mode": "scaleSet", "image": "r:1", "min": 0, "max": 1},
        ]));
        let jobs = workflow["jobs"].as_object().unwrap();
        let ids: Vec<&str> = jobs.keys().map(String::as_str).collect();
        assert_eq!(ids, ["label-1-of-a", "label-2-of-a", "pool-a", "pool-b"]);
        assert_eq!(jobs["pool-a"]["runs-on"], json!(["a"]));
        assert_eq!(jobs["label-1-of-a"]["runs-on"], json!(["a", "gpu"]));
        assert_eq!(jobs["label-2-of-a"]["name"], "a with x\"y");
        assert_eq!(jobs["label-2-of-a"]["if"], jobs["pool-a"]["if"]);
        assert_eq!(names(&workflow, "label-1-of-a"), [COMMAND]);
        assert_eq!(names(&workflow, "pool-a").len(), 4);
    }

    /// After a migration there and back the other pool has the name as a label.
    #[test]
    fn a_job_of_a_scale_set_does_not_run_on_another_pool_that_has_its_name_as_a_label() {
        let set = |labels: Value| json!({"name": "a-ss", "mode": "scaleSet", "image": "r:1", "min": 0, "max": 1, "labels": labels});
        let other =
            json!({"name": "a", "image": "r:1", "min": 0, "max": 1, "labels": ["on", "A-ss", "a"]});
        let asked = |pools: Value| {
            let jobs = rendered(&pools)["jobs"].clone();
            let of = |id: &str| jobs[id]["runs-on"].clone();
            (
                of("pool-a-ss"),
                of("label-2-of-a-ss"),
                of("label-3-of-a-ss"),
            )
        };
        let labels = json!(["linux", "on", "a-ss-2"]);
        let (own, on, second) = asked(json!([other, set(labels.clone())]));
        assert_eq!(own, json!(["a-ss", "a-ss-2"]));
        assert_eq!(on, json!(["a-ss", "a-ss-2", "on"]));
        assert_eq!(second, own);
        // Alone, its name finds it.
        let (own, on, _) = asked(json!([set(labels)]));
        assert_eq!((own, on), (json!(["a-ss"]), json!(["a-ss", "on"])));
        // It has no label of its own: the proof says who took the job.
        let (own, ..) = asked(json!([other, set(json!(["on"]))]));
        assert_eq!(own, json!(["a-ss"]));
    }

    #[test]
    fn a_job_knows_the_steps_that_its_text_has() {
        let pools = json!([{"name": "a", "mode": "scaleSet", "image": "r:1", "min": 0, "max": 1, "labels": ["gpu"]}]);
        let workflow = rendered(&pools);
        let profile: Profile = serde_json::from_value(json!({
            "apiVersion": "arcctl.dev/v1",
            "name": "test",
            "cluster": {"context": "c"},
            "github": {"organization": "o", "token": {"env": "T"}},
            "aws": {"irsa": {"role": "arn:aws:iam::111122223333:role/ci/runner", "serviceAccount": "s"}},
            "pools": pools,
        }))
        .unwrap();
        let jobs = jobs(&profile, &profile.pools[0]);
        assert_eq!(jobs[0].steps, names(&workflow, "pool-a"));
        assert_eq!(jobs[1].steps, names(&workflow, "label-1-of-a"));
    }

    #[test]
    fn steps_are_what_the_container_mode_can_do() {
        let pool = |mode: Value| json!([{"name": "a", "image": "r:1", "min": 0, "max": 1, "containerMode": mode}]);
        for (mode, steps) in [
            ("dind", &[COMMAND, DOCKER, ROLE, ROLE_IN_DOCKER][..]),
            ("dindInRunner", &[COMMAND, DOCKER, ROLE, ROLE_IN_DOCKER]),
            ("dood", &[COMMAND, DOCKER, ROLE]),
            ("none", &[COMMAND, ROLE]),
        ] {
            assert_eq!(names(&rendered(&pool(mode.into())), "pool-a"), steps);
        }
        let volume = json!({"storageClass": "gp3", "size": "1Gi", "accessMode": "ReadWriteOnce"});
        let workflow = rendered(&pool(json!({"kubernetes": {"workVolume": volume}})));
        assert_eq!(names(&workflow, "pool-a"), [COMMAND]);
        let image = &workflow["jobs"]["pool-a"]["container"];
        assert_eq!(image, "mirror.example/library/ubuntu:22.04");
    }

    #[test]
    fn the_role_is_asked_for_by_name_and_the_image_comes_from_the_mirror() {
        let workflow = rendered(&json!([{"name": "a", "image": "r:1", "min": 0, "max": 1}]));
        let script = workflow["jobs"]["pool-a"]["steps"][3]["run"]
            .as_str()
            .unwrap();
        assert!(script.contains("assumed-role/'runner'/"), "{script}");
        assert!(script.contains("mirror.example/amazon/aws-cli"), "{script}");
    }

    #[test]
    fn docker_in_a_runner_pulls_nothing_from_a_registry_that_only_nodes_can_read() {
        let profile = |registry: &str| -> Profile {
            serde_json::from_value(json!({
                "apiVersion": "arcctl.dev/v1",
                "name": "test",
                "cluster": {"context": "c"},
                "github": {"organization": "o", "token": {"env": "T"}},
                "images": {"registries": {"docker.io": registry}},
                "pools": [],
            }))
            .unwrap()
        };
        let cache = profile("111122223333.dkr.ecr.us-east-1.amazonaws.com/docker-hub");
        assert_eq!(image_in_docker(&cache), AWS_CLI);
        let other = profile("harbor.example/hub");
        assert_eq!(
            image_in_docker(&other),
            format!("harbor.example/hub/{AWS_CLI}")
        );
    }

    #[test]
    fn pod_identity_has_variables_of_its_own() {
        let pools = json!([{"name": "a", "image": "r:1", "min": 0, "max": 1}]);
        let workflow = rendered_with(&pools, "podIdentity");
        for step in [2, 3] {
            let script = workflow["jobs"]["pool-a"]["steps"][step]["run"]
                .as_str()
                .unwrap();
            assert!(
                script.contains("${AWS_CONTAINER_CREDENTIALS_FULL_URI:?"),
                "{script}"
            );
            assert!(!script.contains("AWS_ROLE_ARN"), "{script}");
        }
    }
}
