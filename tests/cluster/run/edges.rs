//! What waits for what: one resource after the other is late, and only what needs it begins after it (issue 14).

use std::collections::BTreeMap;

use arcctl_sandbox::{
    proxy::System,
    world::{Options, Pace},
};
use serde_json::Value;

use crate::{
    aws::profile,
    harness::{account::Account, cluster::Cluster},
};

const ROLE: &str = "iam-role/-/actions-runner-role";
const SECRET: &str = "secret/actions-runner-system/controller-manager";
const CRDS: &str = "crds/-/actions-runner-controller";
const ISSUER: &str = "webhook/cert-manager/cert-manager-webhook";
const RELEASE: &str = "helm-release/actions-runner-system/actions-runner-controller";
const RUNNERS: &str = "runner-deployment/actions-runner/basic";
const ONLINE: &str = "registration/github/basic";

/// How late, in microseconds.
const LATE: u64 = 3_000_000;

/// What makes a resource late, what waits for it, and what does not.
struct Case {
    system: Option<System>,
    fault: &'static str,
    late: &'static str,
    waits: &'static [&'static str],
    others: &'static [&'static str],
}

const CASES: [Case; 5] = [
    Case {
        system: None,
        fault: "webhook:late=3s@cert-manager",
        late: ISSUER,
        waits: &[RELEASE, RUNNERS, ONLINE],
        others: &[ROLE, SECRET, CRDS],
    },
    Case {
        system: Some(System::Aws),
        fault: "delay=3s@POST:CreateRole",
        late: ROLE,
        waits: &[RUNNERS, ONLINE],
        others: &[ISSUER, SECRET, CRDS, RELEASE],
    },
    Case {
        system: Some(System::Kubernetes),
        fault: "delay=3s@write:/customresourcedefinitions/runnersets.",
        late: CRDS,
        waits: &[RELEASE, RUNNERS, ONLINE],
        others: &[ISSUER, SECRET, ROLE],
    },
    Case {
        system: Some(System::Kubernetes),
        fault: "delay=3s@write:/namespaces/actions-runner-system/secrets/controller-manager",
        late: SECRET,
        waits: &[RELEASE, RUNNERS, ONLINE],
        others: &[ISSUER, CRDS, ROLE],
    },
    Case {
        system: Some(System::GitHub),
        fault: "delay=3s@GET:/actions/runners",
        late: ONLINE,
        waits: &[],
        others: &[ISSUER, CRDS, ROLE, SECRET, RELEASE, RUNNERS],
    },
];

/// When a step ran, in microseconds, and the last of the steps that it waited for.
struct Ran {
    began: u64,
    ended: u64,
    waited_for: Option<String>,
}

fn trace(cluster: &Cluster) -> BTreeMap<String, Ran> {
    let (profile, file) = (profile(cluster, &[]), cluster.file("trace.json", ""));
    let trace = file.to_str().unwrap();
    let _document = cluster.up(&profile, &["--trace", trace]).expect(0);
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let ran = |it: &Value| {
        let began = it["ts"].as_u64().unwrap();
        let ran = Ran {
            began,
            ended: began + it["dur"].as_u64().unwrap(),
            waited_for: it["args"]["waitedFor"].as_str().map(str::to_owned),
        };
        (it["name"].as_str().unwrap().to_owned(), ran)
    };
    events.map(ran).collect()
}

/// The steps that `id` waited for, from the last one back.
fn chain<'a>(trace: &'a BTreeMap<String, Ran>, id: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut next = trace[id].waited_for.as_deref();
    while let Some(id) = next {
        found.push(id);
        next = trace.get(id).and_then(|it| it.waited_for.as_deref());
    }
    found
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn only_what_needs_a_late_resource_waits_for_it() {
    for case in &CASES {
        let faults = case.system.is_none().then(|| case.fault.to_owned());
        let cluster = Cluster::start(Options {
            pace: Pace::Fast,
            aws: true,
            faults: faults.into_iter().collect(),
            ..Options::default()
        });
        let account = Account::of(&cluster);
        account.make_bucket("runners.example");
        account.make_policy("pull");
        if let Some(system) = case.system {
            let proxy = cluster.world().proxy(system).unwrap();
            proxy.add_fault(case.fault.parse().unwrap());
        }
        let trace = trace(&cluster);
        let late = &trace[case.late];
        assert!(
            late.ended - late.began >= LATE,
            "{}: nothing was late",
            case.fault
        );
        for id in case.waits {
            assert!(
                trace[*id].began >= late.ended,
                "{id} did not wait for {}",
                case.late
            );
        }
        for id in case.others {
            let chain = chain(&trace, id);
            assert!(
                !chain.contains(&case.late),
                "{id} waited for {}: {chain:?}",
                case.late
            );
        }
        // Nothing else holds a step back once what it needs is done.
        for (id, ran) in &trace {
            let needed = ran.waited_for.as_ref().and_then(|it| trace.get(it));
            let pause = needed.map_or(0, |it| ran.began.saturating_sub(it.ended));
            assert!(
                pause < 1_000_000,
                "{id} began {pause} µs after its last need"
            );
        }
        cluster.finish();
    }
}
