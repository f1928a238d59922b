//! Any profile without lint errors: the API server accepts the pod that the controller creates, or has rejected arcctl's
//! dry run too.

use arcctl::{
    desired::{
        Facts,
        charts::controller,
        lint::lint,
        pool::{dry_run_pod::runner_pod, runner_deployment::runner_deployment},
    },
    profile::{Pool, Profile, load_with},
};
use arcctl_sandbox::controller::pod_of;
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use crate::{
    harness::cluster::Cluster,
    harness::waiting::{pod, until},
};

#[path = "../../cli/desired/profiles.rs"]
mod generator;

const NAMESPACE: &str = "actions-runner";

/// How many profiles are tried in each kind of namespace.
const PROFILES: usize = 20;

/// How many may be generated for one that lints clean.
const TRIES: usize = 400;

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_the_controller_makes_is_taken_or_was_refused_before() {
    let cluster = Cluster::fast();
    cluster.kubectl(&["create", "namespace", NAMESPACE], None);
    for account in ["runner", "deployer"] {
        let create = ["-n", NAMESPACE, "create", "serviceaccount", account];
        cluster.kubectl(&create, None);
    }
    cluster.until_pods_can_be_made(NAMESPACE);
    let mut runner = TestRunner::deterministic();
    let (mut taken, mut refused) = (0, 0);
    for kind in [None, Some("quota"), Some("baseline")] {
        restrict(&cluster, kind);
        for _ in 0..PROFILES {
            let profile = clean_profile(&mut runner);
            for pool in &profile.pools {
                let took = agree(&cluster, &profile, pool);
                assert!(took || kind.is_some(), "it lints clean: {pool:#?}");
                if took {
                    taken += 1;
                } else {
                    refused += 1;
                }
            }
        }
    }
    assert!(
        taken > PROFILES && refused > PROFILES / 2,
        "{taken} taken, {refused} refused"
    );
    cluster.finish();
}

/// A namespace that asks for something, once admission, which has caches, is seen to ask for it.
fn restrict(cluster: &Cluster, kind: Option<&str>) {
    match kind {
        Some("quota") => {
            let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
                "metadata": {"name": "limits", "namespace": NAMESPACE},
                "spec": {"hard": {"limits.cpu": "1000", "limits.memory": "1000Gi"}}});
            cluster.kubectl(&["create", "-f", "-"], Some(&quota.to_string()));
            let limits = json!({"resources": {"limits": {"cpu": "1", "memory": "1Mi"}}});
            let (without, with) = (pod(NAMESPACE, &json!({})), pod(NAMESPACE, &limits));
            let refused = |said: String| said.contains("must specify limits.cpu");
            until("the quota asks for limits", || {
                cluster.judged(&without).is_err_and(refused)
            });
            until("the quota is counted", || cluster.judged(&with).is_ok());
        }
        Some(level) => {
            cluster.kubectl(
                &["-n", NAMESPACE, "delete", "resourcequota", "limits"],
                None,
            );
            let label = format!("pod-security.kubernetes.io/enforce={level}");
            cluster.kubectl(&["label", "namespace", NAMESPACE, &label], None);
            let plain = pod(NAMESPACE, &json!({}));
            let privileged = pod(NAMESPACE, &json!({"securityContext": {"privileged": true}}));
            until("the quota has gone", || cluster.judged(&plain).is_ok());
            let refused = |said: String| said.contains("violates PodSecurity");
            until("the level is enforced", || {
                cluster.judged(&privileged).is_err_and(refused)
            });
        }
        None => {}
    }
}

fn clean_profile(runner: &mut TestRunner) -> Profile {
    let mut refused = String::new();
    for _ in 0..TRIES {
        let profile = tidied(generator::profile().new_tree(runner).unwrap().current());
        let text = serde_json::to_string(&profile).unwrap();
        let loaded = match load_with(&text, "any", &lint) {
            Ok(loaded) => loaded,
            Err(problems) => {
                refused = format!("{problems:?}");
                continue;
            }
        };
        // An instance type that is in no table is refused later.
        let pools = &loaded.profile.pools;
        if pools
            .iter()
            .all(|it| runner_pod(&loaded.profile, it).is_ok())
        {
            return loaded.profile;
        }
    }
    panic!("none of {TRIES} profiles lints clean: {refused}");
}

/// The generator makes what must not panic; of that, what pods have nothing to do with is made right here, so that enough
/// profiles lint clean.
fn tidied(mut profile: Profile) -> Profile {
    if profile.github.scope().is_none() {
        profile.github.organization = Some("o".into());
    }
    profile.github.ca_bundle = None;
    profile.cert_manager.install = arcctl::profile::Auto::Auto;
    profile.monitoring = None;
    profile.aws = None;
    for (index, pool) in profile.pools.iter_mut().enumerate() {
        pool.name = format!("pool-{index}");
        pool.image = "summerwind/actions-runner:v2.336.0-ubuntu-22.04".into();
        pool.labels = vec!["any".into()];
        (pool.min, pool.max) = (pool.min.min(pool.max).max(1), pool.max.max(1));
        (pool.scaling, pool.schedule, pool.group) = (None, None, None);
        pool.instance_type = pool.instance_type.take().filter(|it| it == "t3a.large");
        pool.env.clear();
        pool.graceful_stop = None;
        // What arcctl sets itself, and what a pool says by keys of its own.
        for key in [
            "image",
            "enterprise",
            "labels",
            "resources",
            "terminationGracePeriodSeconds",
            "securityContext",
            "env",
        ] {
            pool.template.remove(key);
        }
    }
    profile
}

/// Whether the API server takes the pods of `pool`, on which arcctl's pod and the controller's must agree.
fn agree(cluster: &Cluster, profile: &Profile, pool: &Pool) -> bool {
    let tried = runner_pod(profile, pool).unwrap();
    let deployment = runner_deployment(profile, pool).unwrap();
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"]["runner-deployment-name"] = pool.name.clone().into();
    let web = profile
        .github
        .url
        .as_deref()
        .unwrap_or("https://github.com");
    let name = format!("{}-abcde-fghij", pool.name);
    let mut made = pod_of(&template, (NAMESPACE, &name), &arguments(profile), web).unwrap();
    // Owners and finalizers are of one runner; an account of its own comes with it.
    for key in ["ownerReferences", "finalizers"] {
        made["metadata"].as_object_mut().unwrap().remove(key);
    }
    let (tried_said, made_said) = (cluster.judged(&tried), cluster.judged(&made));
    assert_eq!(
        tried_said.is_ok(),
        made_said.is_ok(),
        "arcctl's pod: {tried_said:?}\n{tried:#}\nthe controller's: {made_said:?}\n{made:#}"
    );
    made_said.is_ok()
}

/// What the chart makes of its values, as far as pods depend on it.
fn arguments(profile: &Profile) -> Vec<String> {
    let values = controller::values(profile, &Facts::default());
    let mut arguments = Vec::new();
    for (pointer, flag) in [
        ("/image/dindSidecarRepositoryAndTag", "docker-image"),
        ("/image/actionsRunnerRepositoryAndTag", "runner-image"),
        ("/dockerRegistryMirror", "docker-registry-mirror"),
    ] {
        if let Some(value) = values.pointer(pointer).and_then(Value::as_str) {
            arguments.push(format!("--{flag}={value}"));
        }
    }
    let secrets = values.pointer("/image/actionsRunnerImagePullSecrets");
    for secret in secrets.and_then(Value::as_array).into_iter().flatten() {
        let secret = secret.as_str().unwrap();
        arguments.push(format!("--runner-image-pull-secret={secret}"));
    }
    arguments
}
