//! One thing at a time takes long: what needs it begins after it, and nothing else waits for it. By the begin and end of the
//! steps in the run's document.

use std::{collections::BTreeMap, time::Duration};

use arcctl_sandbox::{
    proxy::{Effect, Fault, Matching, MethodMatch, Nth, System},
    world::{Options, Pace},
};

use crate::{
    aws::{POLICY, profile},
    harness::{account::Account, cluster::Cluster},
};

/// How much later each answer comes.
const LATE: Duration = Duration::from_secs(3);

const CERT_MANAGER_CRDS: &str = "crds/-/cert-manager";
const CERT_MANAGER: &str = "helm-release/cert-manager/cert-manager";
const CERT_MANAGER_WEBHOOK: &str = "webhook/cert-manager/cert-manager-webhook";
const CRDS: &str = "crds/-/actions-runner-controller";
const SECRET: &str = "secret/actions-runner-system/controller-manager";
const CONTROLLER: &str = "helm-release/actions-runner-system/actions-runner-controller";
const CONTROLLER_WEBHOOK: &str = "webhook/actions-runner-system/actions-runner-controller-webhook";
const ACCOUNT: &str = "service-account/actions-runner/actions-runner-role";
const IAM_ROLE: &str = "iam-role/-/actions-runner-role";
const BUCKET: &str = "bucket-policy/-/runners.example";
const POOL: &str = "runner-deployment/actions-runner/basic";
const AUTOSCALER: &str = "horizontal-runner-autoscaler/actions-runner/basic";
const PODS: &str = "runner-pods/actions-runner/basic";
const REGISTRATION: &str = "registration/github/basic";

/// When each step began and ended, in seconds.
struct Steps(BTreeMap<String, (f64, f64)>);

impl Steps {
    /// A fresh installation with AWS, in which answers to `late` requests come later, or with a fault of the sandbox's.
    fn of(faults: &[&str], late: &[(System, &str, &str)]) -> Self {
        let cluster = Cluster::start(Options {
            pace: Pace::Fast,
            aws: true,
            faults: faults.iter().map(ToString::to_string).collect(),
            ..Options::default()
        });
        let account = Account::of(&cluster);
        account.make_bucket("runners.example");
        account.make_policy(POLICY.rsplit('/').next().unwrap());
        let file = profile(&cluster, &[]);
        for (system, method, path) in late {
            cluster.world().proxy(*system).unwrap().add_fault(Fault {
                matching: Matching {
                    method: Some(MethodMatch::Method((*method).to_owned())),
                    substring: (*path).to_owned(),
                    ..Matching::default()
                },
                nth: Nth::Every,
                effect: Effect::Delay(LATE),
            });
        }
        let document = cluster.up(&file, &[]).expect(0);
        cluster.finish();
        let steps = document["steps"].as_array().unwrap().iter();
        let times = steps.map(|it| {
            let at = |key: &str| it[key].as_f64().unwrap_or_else(|| panic!("{it:#}"));
            (
                it["id"].as_str().unwrap().to_owned(),
                (at("begin"), at("end")),
            )
        });
        Self(times.collect())
    }

    #[track_caller]
    fn times(&self, id: &str) -> (f64, f64) {
        let found = self.0.get(id);
        *found.unwrap_or_else(|| panic!("no {id} in {:#?}", self.0))
    }

    /// `late` takes its time; `dependents` begin after its end, `others` before it.
    #[track_caller]
    fn assert_waits(&self, late: &str, dependents: &[&str], others: &[&str]) {
        let (began, ended) = self.times(late);
        assert!(
            ended - began >= LATE.as_secs_f64(),
            "{late} was not late: {:#?}",
            self.0
        );
        for id in dependents {
            assert!(
                self.times(id).0 >= ended,
                "{id} did not wait for {late}: {:#?}",
                self.0
            );
        }
        for id in others {
            assert!(
                self.times(id).0 < ended,
                "{id} waited for {late}: {:#?}",
                self.0
            );
        }
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_does_not_need_cert_manager_does_not_wait_for_it() {
    // Counted from the start of its pod.
    let steps = Steps::of(&["webhook:late=30s@cert-manager"], &[]);
    steps.assert_waits(
        CERT_MANAGER_WEBHOOK,
        &[CONTROLLER, CONTROLLER_WEBHOOK, POOL],
        &[CRDS, SECRET, ACCOUNT, IAM_ROLE, BUCKET],
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn only_the_runners_and_policies_wait_for_iam() {
    // Both the call that makes the role and each that reads it.
    let steps = Steps::of(&[], &[(System::Aws, "POST", "Role&")]);
    steps.assert_waits(
        IAM_ROLE,
        &[POOL],
        &[
            BUCKET,
            CERT_MANAGER,
            CERT_MANAGER_WEBHOOK,
            CRDS,
            SECRET,
            CONTROLLER,
        ],
    );
    // A policy that names the role waits for the call that makes it, not until IAM shows it.
    let (began, _) = steps.times(IAM_ROLE);
    let bucket = steps.times(BUCKET).0;
    assert!(bucket >= began + LATE.as_secs_f64(), "{:#?}", steps.0);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_late_crd_of_the_controller_does_not_hold_cert_manager_up() {
    let crd = "/customresourcedefinitions/runners.actions.summerwind.dev";
    let steps = Steps::of(&[], &[(System::Kubernetes, "PATCH", crd)]);
    steps.assert_waits(
        CRDS,
        &[CONTROLLER, POOL],
        &[CERT_MANAGER_CRDS, CERT_MANAGER, SECRET, IAM_ROLE],
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_late_crd_of_cert_manager_holds_only_its_webhook_up() {
    let crd = "/customresourcedefinitions/issuers.cert-manager.io";
    let steps = Steps::of(&[], &[(System::Kubernetes, "PATCH", crd)]);
    steps.assert_waits(
        CERT_MANAGER_CRDS,
        &[CERT_MANAGER_WEBHOOK, CONTROLLER, POOL],
        &[CERT_MANAGER, CRDS, SECRET, IAM_ROLE],
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn only_the_controller_waits_for_its_secret() {
    let secret = "/secrets/controller-manager";
    let steps = Steps::of(&[], &[(System::Kubernetes, "GET", secret)]);
    steps.assert_waits(
        SECRET,
        &[CONTROLLER, POOL],
        &[CERT_MANAGER_CRDS, CERT_MANAGER, CRDS, ACCOUNT, IAM_ROLE],
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn nothing_waits_for_github() {
    let steps = Steps::of(&[], &[(System::GitHub, "GET", "/actions/runners")]);
    steps.assert_waits(
        REGISTRATION,
        &[],
        &[CERT_MANAGER, CONTROLLER, POOL, AUTOSCALER, PODS],
    );
    let (began, _) = steps.times(REGISTRATION);
    assert!(began >= steps.times(PODS).1, "{:#?}", steps.0);
}
