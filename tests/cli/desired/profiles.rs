//! Any profile: rendering never panics, and its output passes the strict check.

use std::collections::{BTreeMap, BTreeSet};

use arcctl::{
    desired::{
        DesiredError, Facts, crd_schema, desired, placeholder, render::files, resource::Resource,
    },
    profile::{
        AccessMode, ApiVersion, Auto, Aws, Cluster, ContainerMode, FileSource, GitHub, Images,
        KubeDuration, KubernetesMode, Metadata, Metric, MetricType, Mode, Monitoring, Pool,
        PoolResources, Profile, Proxy, Repeat, ResourceRequirements, RunnerRole, ScaleSets,
        Scaling, Schedule, Step, TokenSource, Window, WorkVolume,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

fn container_mode() -> impl Strategy<Value = ContainerMode> {
    let kubernetes =
        (select(vec!["10Gi", "1.5Gi", "5000M"]), any::<bool>()).prop_map(|(size, many)| {
            let access_mode = if many {
                AccessMode::ReadWriteMany
            } else {
                AccessMode::ReadWriteOnce
            };
            let work_volume = WorkVolume {
                storage_class: "gp3".into(),
                size: size.into(),
                access_mode,
            };
            ContainerMode::Kubernetes(KubernetesMode { work_volume })
        });
    prop_oneof![
        Just(ContainerMode::Dind),
        Just(ContainerMode::DindInRunner),
        Just(ContainerMode::Dood),
        Just(ContainerMode::None),
        kubernetes,
    ]
}

fn requirements() -> impl Strategy<Value = ResourceRequirements> {
    let quantity = select(vec!["0.5", "1500m", "2", "6Gi", "0.5Ki", "1e3", "100M"]);
    let map = || {
        proptest::collection::btree_map(
            select(vec!["cpu", "memory", "ephemeral-storage"]),
            quantity.clone(),
            0..3,
        )
        .prop_map(|map| {
            map.into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect::<BTreeMap<_, _>>()
        })
    };
    (map(), map()).prop_map(|(requests, limits)| ResourceRequirements { requests, limits })
}

fn scaling() -> impl Strategy<Value = Scaling> {
    let step = || {
        (
            option::of(0.0..1.0),
            option::of(0.1..10.0),
            option::of(1_u32..100),
        )
            .prop_map(|(threshold, factor, adjustment)| Step {
                threshold,
                factor,
                adjustment,
            })
    };
    let kind = select(vec![
        MetricType::PercentageRunnersBusy,
        MetricType::TotalNumberOfQueuedAndInProgressWorkflowRuns,
    ]);
    let metric = (
        kind,
        vec("[a-z/]{1,8}", 0..3),
        option::of(step()),
        option::of(step()),
    )
        .prop_map(|(kind, repositories, scale_up, scale_down)| Metric {
            kind,
            repositories,
            scale_up,
            scale_down,
        });
    (vec(metric, 1..3), option::of(0_u64..100_000)).prop_map(|(metrics, delay)| Scaling {
        metrics,
        triggers: Vec::new(),
        scale_down_delay: delay.map(KubeDuration::from_secs),
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let zone = select(vec![
        "Asia/Seoul",
        "Europe/Berlin",
        "America/Sao_Paulo",
        "UTC",
        "Nowhere/Else",
    ]);
    let day = || {
        select(vec![
            "",
            "",
            "",
            "Mon ",
            "Wed ",
            "Sat ",
            "Sun ",
            "2026-12-24 ",
            "2027-01-31 ",
            "2026-02-30 ",
        ])
    };
    let time = || {
        (day(), 0_u32..24, select(vec![0_u32, 30]))
            .prop_map(|(d, h, m)| format!("{d}{h:02}:{m:02}"))
    };
    let window = (
        ("[a-z]{1,8}", time(), time(), 0_u32..9),
        option::of(select(vec![
            "Mon-Fri",
            "Sat-Mon",
            "Sun",
            "Mon, Wed,Fri",
            "Mo",
            "",
        ])),
        option::of(select(vec![Repeat::Monthly, Repeat::Yearly])),
        option::of(select(vec!["2027-03-01", "2024-02-29", "2027-02-30", "x"])),
    )
        .prop_map(|((name, from, to, min), days, repeat, until)| Window {
            name,
            days: days.map(str::to_owned),
            from,
            to,
            repeat,
            until: until.map(str::to_owned),
            min,
        });
    (zone, vec(window, 1..4)).prop_map(|(zone, windows)| Schedule {
        time_zone: zone.into(),
        windows,
    })
}

fn image() -> impl Strategy<Value = String> {
    let repository = select(vec![
        "summerwind/actions-runner",
        "runner",
        "quay.io/a/b",
        "ghcr.io/é/x",
        "",
    ]);
    let tag = select(vec![
        "",
        ":v2.306.0-ubuntu-22.04",
        ":ubuntu-20.04",
        ":ubuntu-24.04",
        "@sha256:0",
    ]);
    (repository, tag).prop_map(|(repository, tag)| format!("{repository}{tag}"))
}

/// Keys that arcctl sets and keys that it does not; the values are valid in themselves.
fn template() -> impl Strategy<Value = Map<String, Value>> {
    let entry = select(vec![
        (
            "hostAliases",
            json!([{"ip": "10.0.0.1", "hostnames": ["a"]}]),
        ),
        (
            "volumes",
            json!([{"name": "tmp", "emptyDir": {}}, {"name": "cache", "emptyDir": {}}]),
        ),
        (
            "volumeMounts",
            json!([{"name": "cache", "mountPath": "/cache"}]),
        ),
        ("env", json!([{"name": "A", "value": "b"}])),
        ("securityContext", json!({"runAsUser": 1, "fsGroup": 2})),
        ("image", json!("other")),
        ("enterprise", json!("other")),
        ("labels", json!(["other"])),
        ("resources", json!({"limits": {"cpu": 1}})),
        ("terminationGracePeriodSeconds", json!(5)),
    ]);
    vec(entry, 0..4).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect()
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let entries = || {
        let key = select(vec![
            "team",
            "example.com/team",
            "app.kubernetes.io/managed-by",
        ]);
        proptest::collection::btree_map(key.prop_map(str::to_owned), "[a-z]{0,4}", 0..3)
    };
    (entries(), entries()).prop_map(|(labels, annotations)| Metadata {
        labels,
        annotations,
    })
}

#[expect(clippy::too_many_lines, reason = "one generator")]
fn pool() -> impl Strategy<Value = Pool> {
    let first = (
        "[a-z][a-z0-9-]{0,8}[a-z0-9]",
        option::of(select(vec![
            "t3a.large",
            "m7i.metal-24xl",
            "t3.nano",
            "z9.none",
        ])),
        image(),
        vec("[a-z0-9.]{1,6}", 0..3),
        (0_u32..20, 0_u32..20),
        option::of(scaling()),
        option::of(schedule()),
        container_mode(),
    );
    let second = (
        any::<bool>(),
        option::of((option::of(requirements()), option::of(requirements()))),
        option::of(0_u64..10_000),
        option::of(0_u32..70_000),
        template(),
        vec("[a-z]{1,4}", 0..2),
        any::<bool>(),
        (
            metadata(),
            metadata(),
            option::of(select(vec!["runner", "deployer"])),
            select(vec![
                Mode::RunnerDeployment,
                Mode::RunnerDeployment,
                Mode::ScaleSet,
            ]),
        ),
    );
    (first, second).prop_map(|(first, second)| {
        let (name, instance_type, image, labels, (min, max), scaling, schedule, container_mode) =
            first;
        let (shared_tmp, resources, stop, fs_group, template, image_pull_secrets, tolerant, own) =
            second;
        let (metadata, pod_metadata, service_account, mode) = own;
        let object = |value: Value| value.as_object().cloned().unwrap();
        Pool {
            name,
            mode,
            github: None,
            namespace: "actions-runner".into(),
            instance_type: instance_type.map(str::to_owned),
            image,
            labels,
            group: tolerant.then(|| "Default".into()),
            min,
            max,
            scaling,
            schedule,
            metadata,
            pod_metadata,
            service_account: service_account.map(str::to_owned),
            container_mode,
            shared_tmp,
            resources: resources.map(|(runner, docker)| PoolResources { runner, docker }),
            graceful_stop: stop.map(KubeDuration::from_secs),
            node_selector: BTreeMap::from([("disk".into(), "ssd".into())]),
            tolerations: tolerant
                .then(|| object(json!({"key": "ci", "operator": "Exists"})))
                .into_iter()
                .collect(),
            env: tolerant
                .then(|| object(json!({"name": "HTTP_PROXY", "value": "x"})))
                .into_iter()
                .collect(),
            image_pull_secrets,
            fs_group,
            template,
        }
    })
}

fn github() -> impl Strategy<Value = GitHub> {
    let scope = select(vec![
        GitHub {
            enterprise: Some("e".into()),
            ..GitHub::default()
        },
        GitHub {
            organization: Some("o".into()),
            ..GitHub::default()
        },
        GitHub {
            repository: Some("o/r".into()),
            ..GitHub::default()
        },
        GitHub::default(),
    ]);
    (scope, any::<bool>(), any::<bool>()).prop_map(|(scope, server, ca)| GitHub {
        url: server.then(|| "https://ghe.example".into()),
        token: Some(TokenSource {
            env: Some("TOKEN".into()),
            ..TokenSource::default()
        }),
        ca_bundle: ca.then(|| FileSource {
            file: "ca.pem".into(),
        }),
        ..scope
    })
}

prop_compose! {
    pub(crate) fn profile()(
        github in github(),
        pools in vec(pool(), 1..4),
        chart in select(vec!["0.23.3", "0.23.4", "0.23.5", "0.23.7"]),
        cert_manager in select(vec!["v1.12.0", "v1.21.1"]),
        install in select(vec![Auto::Auto, Auto::Always, Auto::Never]),
        registry in option::of(select(vec!["m.example", "m.example:5000/hub"])),
        proxied in any::<bool>(),
        role in option::of(select(vec!["runner", "arn:aws:iam::111122223333:role/runner"])),
        by_agent in any::<bool>(),
        monitored in option::of(select(vec![Auto::Auto, Auto::Always, Auto::Never])),
    ) -> Profile {
        let controller = arcctl::profile::Controller { chart_version: chart.into(), ..Default::default() };
        let role = role.map(|role| RunnerRole {
            role: role.into(),
            service_account: "runner".into(),
            managed_policies: vec![],
            path: None,
            permissions_boundary: None,
            buckets: vec![],
        });
        Profile {
            api_version: ApiVersion::V1,
            name: "any".into(),
            cluster: Cluster { context: Some("c".into()), ..Cluster::default() },
            github,
            cert_manager: arcctl::profile::CertManager {
                install,
                chart_version: cert_manager.into(),
                namespace: if proxied { "infra".into() } else { "cert-manager".into() },
                values: json!({"webhook": {"securePort": 10260}}).as_object().cloned().unwrap(),
            },
            controller,
            scale_sets: ScaleSets::default(),
            charts: arcctl::profile::Charts::default(),
            provenance: None,
            images: registry.map(|name| Images { registry: Some(name.into()), pull_secrets: vec!["s".into()], ..Images::default() }),
            proxy: proxied.then(|| Proxy { http: None, https: Some("http://p:1".into()), no_proxy: vec![] }),
            aws: role.map(|role| {
                let (irsa, pod_identity) = if by_agent { (None, Some(role)) } else { (Some(role), None) };
                Aws { irsa, pod_identity, github_server: None }
            }),
            pools,
            monitoring: monitored.map(|service_monitor| Monitoring { service_monitor, ..Monitoring::default() }),
            hardening: arcctl::profile::Hardening::default(),
            timeouts: arcctl::profile::Timeouts::default(),
        }
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    (
        0_i64..4_000_000_000,
        option::of(any::<bool>()),
        option::of("[0-9]{1,6}"),
    )
        .prop_map(|(second, known, secret_version)| Facts {
            now: jiff::Timestamp::from_second(second).unwrap(),
            secret_version,
            service_monitor_crd: known,
            prometheus_rule_crd: known,
            foreign_cert_manager: known,
            ca_bundle: known.map(|_| "pem".into()),
            ..Facts::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_rendered_passes_the_strict_check(profile in profile(), facts in facts()) {
        match desired(&profile, &facts) {
            Ok(resources) => {
                let mut checked = 0;
                for resource in resources {
                    let object = match resource.resource {
                        Resource::Object(object) => object,
                        Resource::Release(release) if release.chart.name == "gha-runner-scale-set" => {
                            let pool = profile.pools.iter().find(|it| it.name == release.name).unwrap();
                            // What the lint refuses, and the template of the other mode, is no field of a pod.
                            if pool.template.keys().all(|it| POD.contains(&it.as_str())) {
                                prop_assert_eq!(crd_schema::check_values(&release.values), []);
                            }
                            checked += 2;
                            continue;
                        }
                        _ => continue,
                    };
                    if object.manifest["apiVersion"] == "actions.summerwind.dev/v1alpha1" {
                        prop_assert_eq!(crd_schema::check(&object.manifest, &profile.controller.chart_version), []);
                        checked += 1;
                    }
                }
                prop_assert_eq!(checked, profile.pools.len() * 2);
            }
            Err(DesiredError::Scope) => prop_assert!(profile.github.scope().is_none()),
            Err(DesiredError::ChartAtPath { .. }) => prop_assert!(false, "only for Flux and Argo CD"),
            Err(DesiredError::UnknownInstanceType { instance_type, .. }) => prop_assert_eq!(instance_type, "z9.none"),
            Err(DesiredError::Schedule { pool, .. }) => {
                prop_assert!(profile.pools.iter().any(|known| known.name == pool && known.schedule.is_some()));
            }
            Err(error @ DesiredError::Yaml { .. }) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn files_say_what_the_resources_say(profile in profile(), facts in facts()) {
        let Ok(files) = files(&profile, &facts) else { return Ok(()) };
        let mut rendered = BTreeSet::new();
        let mut documents = Vec::new();
        for (path, text) in &files {
            prop_assert!(rendered.insert(path.clone()) || has_duplicate_names(&profile), "{path} is there twice");
            if path != "README.md" && !path.contains("/secret.") {
                documents.push(serde_saphyr::from_str::<Value>(text).unwrap());
            }
        }
        for resource in desired(&profile, &facts).unwrap() {
            let value = match resource.resource {
                Resource::Object(object) => object.manifest,
                Resource::Release(release) => release.values,
                _ => continue,
            };
            prop_assert!(documents.contains(&value), "{} is in no file", resource.id);
        }
        let (_, readme) = files.iter().find(|(path, _)| path == "README.md").unwrap();
        for placeholder in documents.iter().flat_map(placeholder::find) {
            prop_assert!(readme.contains(placeholder.name), "{}", placeholder.name);
        }
    }
}

/// The keys of the generated templates that a pod has.
const POD: [&str; 4] = [
    "hostAliases",
    "volumes",
    "securityContext",
    "terminationGracePeriodSeconds",
];

fn has_duplicate_names(profile: &Profile) -> bool {
    let names: BTreeSet<_> = profile.pools.iter().map(|pool| &pool.name).collect();
    names.len() < profile.pools.len()
}
