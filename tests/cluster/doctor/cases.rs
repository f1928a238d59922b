//! The faults of `doctor_fixes`, round by round, and the places of the tests for the other checks.

use std::time::Duration;

use arcctl_sandbox::{
    github::{NewRunner, Owner, Token},
    proxy::System,
};
use serde_json::{Value, json};

use crate::{
    aws::{POLICY, ROLE, foreign},
    doctor::fixes::{Case, Follow, Round, Scene},
    doctor::up,
    harness::cluster::Cluster,
};

pub(crate) use super::elsewhere::{ELSEWHERE, Elsewhere};

const AUTOSCALER: &str = "-n actions-runner patch horizontalrunnerautoscaler basic";

const fn case(id: &'static str, make: fn(&Scene), follow: Follow) -> Case {
    Case { id, make, follow }
}

/// The same fault as the case before it.
fn as_before(_: &Scene) {}

const fn round(cases: &'static [Case]) -> Round {
    Round { more: &[], cases }
}

pub(crate) const ROUNDS: &[Round] = &[
    round(DRIFT),
    round(CONTROLLER_GONE),
    round(&[case(
        "controller-replicas",
        |it| {
            it.kubectl(
                "-n actions-runner-system scale deploy actions-runner-controller --replicas=1",
            );
        },
        Follow::Printed,
    )]),
    round(&[case(
        "controller-fits-kubernetes",
        |it| {
            it.kubectl("-n actions-runner-system set image deploy/actions-runner-controller manager=summerwind/actions-runner-controller:v0.27.4");
        },
        Follow::Printed,
    )]),
    round(&[case(
        "runner-pods-admitted",
        |it| {
            it.kubectl("-n actions-runner create quota compute --hard=limits.cpu=40");
        },
        Follow::Asked("set resources.", |it| {
            it.kubectl("-n actions-runner delete resourcequota compute");
        }),
    )]),
    round(&[case("certificate-lasts", not_renewed, Follow::Printed)]),
    round(&[case("webhook-trusted", stale_authority, Follow::Printed)]),
    round(IMAGES),
    round(&[case(
        "runner-memory-suffices",
        out_of_memory,
        Follow::Asked("give it more with resources.runner", |it| {
            edit(it, &[("memory: 6Gi", "memory: 7Gi")]);
            up(&it.cluster, &it.profile.borrow());
        }),
    )]),
    round(&[
        case("nodes-ready", cordoned, Follow::Printed),
        case(
            "pods-schedulable",
            lose_a_pod,
            Follow::Asked("add nodes that fit", as_before),
        ),
    ]),
    round(&[
        case("resources-ours", unlabelled, Follow::Printed),
        case("no-ghost-runners", a_ghost, Follow::Printed),
    ]),
    round(&[case(
        "runner-version-fresh",
        |it| it.cluster.world().github().ship("2.323.0"),
        Follow::Asked("images update --write", |it| {
            // The image would come from Docker Hub.
            it.cluster.world().github().ship("2.306.0");
        }),
    )]),
    round(OTHERS_AT_AWS),
    Round {
        more: &["--probe"],
        cases: &[
            case(
                "probe-connects",
                |it| it.cluster.world().kubelet().unwrap().cut_off(true),
                Follow::Asked("let the nodes reach it", |it| {
                    it.cluster.world().kubelet().unwrap().cut_off(false);
                }),
            ),
            case(
                "probe-is-answered",
                as_before,
                Follow::Root("probe-connects"),
            ),
        ],
    },
    round(&[case(
        "runners-register",
        no_tokens,
        Follow::Asked("GitHub's error message", Scene::back),
    )]),
    round(HERE),
    round(&[case(
        "aws-credentials",
        expired_session,
        Follow::Asked("renew the AWS credentials", Scene::back),
    )]),
    round(&[case(
        "eks-cluster",
        |it| edit(it, &[("eks: runners", "eks: runner")]),
        Follow::Asked("correct cluster.eks", Scene::back),
    )]),
    round(&[case(
        "eks-support",
        old_kubernetes,
        Follow::Asked("upgrade the control plane", Scene::back),
    )]),
    round(&[case(
        "github-credential",
        |it| token(it, Token::administrator().expired()),
        Follow::Asked("create a new token", Scene::back),
    )]),
    round(&[case(
        "github-credential-wise",
        |it| {
            token(
                it,
                Token::administrator().expiring_in(Duration::from_hours(240)),
            );
        },
        Follow::Asked("make a token", Scene::back),
    )]),
    round(&[case(
        "runner-groups",
        |it| edit(it, &[("group: Default", "group: ci")]),
        Follow::Asked("make or change it at", |it| {
            let github = it.cluster.world().github();
            it.group.set(github.add_group(&owner(), "ci", None));
        }),
    )]),
    round(&[case(
        "runner-groups-wise",
        |it| workflows(it, Some(vec!["dogecompany/app/x.yml@main".into()])),
        Follow::Asked("change it where the group is configured", |it| {
            workflows(it, None);
            it.back();
        }),
    )]),
    round(MONITORING_WANTED),
    round(&[case("monitoring-there", as_before, Follow::Printed)]),
    // The last, since the pool is at its maximum for a while after it.
    round(&[case("reservations-end", reserved, Follow::Printed)]),
];

/// All of it is taken back by one `arcctl up`, which each of them prints.
const DRIFT: &[Case] = &[
    case(
        "oidc-provider",
        |it| it.account.set_client(&it.account.issuer(), "other"),
        Follow::Printed,
    ),
    case(
        "role-trusts-runners",
        |it| {
            let others = json!({"Version": "2012-10-17", "Statement": foreign(1)});
            it.account.set_trust(ROLE, &others);
        },
        Follow::Printed,
    ),
    case(
        "role-policies",
        |it| it.account.detach(ROLE, POLICY),
        Follow::Printed,
    ),
    case(
        "bucket-policies",
        |it| it.account.delete_bucket_policy("runners.example"),
        Follow::Printed,
    ),
    case(
        "nodes-reach-server",
        |it| {
            let cloud = it.cluster.world().cloud().unwrap();
            let words = "arcctl dogecompany: the runners reach the GitHub server";
            it.account
                .revoke(&cloud.server_group, 443, &cloud.node_group, words);
        },
        Follow::Printed,
    ),
    case(
        "api-reaches-webhook",
        |it| {
            let cloud = it.cluster.world().cloud().unwrap();
            let words = "arcctl dogecompany: the API server reaches the webhooks of the controller";
            it.account
                .revoke(&cloud.node_group, 9443, &cloud.cluster_group, words);
        },
        Follow::Printed,
    ),
    case(
        "resources-there",
        |it| {
            it.kubectl(&format!("-n actions-runner delete serviceaccount {ROLE}"));
        },
        Follow::Printed,
    ),
    case(
        "resources-unchanged",
        |it| it.patch(AUTOSCALER, &json!({"spec": {"maxReplicas": 3}})),
        Follow::Printed,
    ),
    case(
        "schedule-in-force",
        |it| it.patch(AUTOSCALER, &json!({"spec": {"scheduledOverrides": null}})),
        Follow::Printed,
    ),
    case("schedule-horizon", as_before, Follow::Printed),
    case("secret-clean", spaced, Follow::Printed),
    case("controller-reads-secret", as_before, Follow::Printed),
];

/// No controller, no Secret, no certificate, and a cert-manager that does not run.
const CONTROLLER_GONE: &[Case] = &[
    case(
        "controller-scaled",
        |it| {
            it.kubectl(
                "-n actions-runner-system scale deploy actions-runner-controller --replicas=0",
            );
        },
        Follow::Printed,
    ),
    case(
        "controller-runs",
        as_before,
        Follow::Root("controller-scaled"),
    ),
    case(
        "webhook-reachable",
        as_before,
        Follow::Root("controller-scaled"),
    ),
    case(
        "webhook-answers",
        as_before,
        Follow::Root("controller-scaled"),
    ),
    case(
        "secret-complete",
        |it| {
            it.kubectl("-n actions-runner-system delete secret controller-manager");
        },
        Follow::Printed,
    ),
    case(
        "certificate-issued",
        |it| {
            it.kubectl("-n actions-runner-system delete certificate --all");
        },
        Follow::Root("cert-manager-scaled"),
    ),
    case(
        "cert-manager-scaled",
        |it| {
            it.kubectl("-n cert-manager scale deploy cert-manager-webhook --replicas=0");
        },
        Follow::Printed,
    ),
    case(
        "cert-manager-answers",
        as_before,
        Follow::Root("cert-manager-scaled"),
    ),
];

/// New images that nobody has, of cert-manager and of the runners.
const IMAGES: &[Case] = &[
    case(
        "images-pullable",
        |it| {
            let image = "registry.example/nonexistent:v1-ubuntu-22.04";
            let place = "-n actions-runner patch runnerdeployment basic";
            it.patch(
                place,
                &json!({"spec": {"template": {"spec": {"image": image}}}}),
            );
        },
        Follow::Printed,
    ),
    case(
        "runner-pods-run",
        as_before,
        Follow::Root("images-pullable"),
    ),
    case("runners-online", as_before, Follow::Root("images-pullable")),
    case(
        "cert-manager-runs",
        |it| {
            it.kubectl(
                "-n cert-manager set image deploy/cert-manager *=registry.example/nonexistent:v1",
            );
        },
        // The same `arcctl up` takes it back.
        Follow::Asked("check certManager.chartVersion", as_before),
    ),
];

/// What others wrote into the role, and the room that it takes.
const OTHERS_AT_AWS: &[Case] = &[
    case(
        "trust-policy-has-room",
        |it| {
            let mut trust = it.account.trust(ROLE);
            let issuer = it.account.issuer();

            let anyone = json!({
                "Sid": "Anyone", "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{issuer}")},
            });
            let statements = trust["Statement"].as_array_mut().unwrap();
            statements.retain(|it| !is_theirs(it));
            statements.push(anyone);
            statements.extend(foreign(11));
            it.account.set_trust(ROLE, &trust);
        },
        Follow::Asked("take out statements of clusters that are gone", |it| {
            let mut trust = it.account.trust(ROLE);
            let statements = trust["Statement"].as_array_mut().unwrap();
            statements.retain(|it| !is_theirs(it));
            it.account.set_trust(ROLE, &trust);
        }),
    ),
    case(
        "aws-wise",
        as_before,
        Follow::Asked("let whoever wrote it correct it", as_before),
    ),
];

/// The profile and this machine.
const HERE: &[Case] = &[
    case(
        "profile-wise",
        |it| edit(it, &[("runner:v2.306.0-ubuntu-22.04", "runner:latest")]),
        Follow::Both("see each line", Scene::back),
    ),
    case(
        "helm-usable",
        |it| {
            let nowhere = it.cluster.file("nowhere", "");
            let nowhere = nowhere.parent().unwrap().to_str().unwrap().to_owned();
            it.variables.borrow_mut().push(("PATH".into(), nowhere));
        },
        Follow::Asked("make sure that it is in PATH", Scene::back),
    ),
];

const MONITORING_WANTED: &[Case] = &[
    case(
        "service-monitor-possible",
        |it| {
            let section = "monitoring: {serviceMonitor: always, alerts: always}\ntimeouts: {";
            edit(it, &[("timeouts: {", section)]);
        },
        Follow::Asked("install the Prometheus operator", |it| {
            let operator = crate::doctor::monitoring::operator();
            let apply = ["apply", "--server-side", "-f", "-"];
            it.cluster.kubectl(&apply, Some(&operator));
            it.kubectl("wait crd --all --for=condition=Established --timeout=5m");
        }),
    ),
    case(
        "alerts-possible",
        as_before,
        Follow::Asked("install the Prometheus operator", as_before),
    ),
];

fn edit(scene: &Scene, edits: &[(&str, &str)]) {
    let edited = scene.edited("edited", edits);
    scene.profile.replace(edited);
}

fn token(scene: &Scene, token: Token) {
    let text = scene.cluster.world().github().add_token(token);
    scene.cluster.keep_secret(&text);
    let mut variables = scene.variables.borrow_mut();
    variables.push(("ARCCTL_GITHUB_TOKEN".into(), text));
}

/// Whether a statement is none of arcctl's.
fn is_theirs(statement: &Value) -> bool {
    let sid = statement["Sid"].as_str().unwrap_or_default();
    sid == "Anyone" || sid.starts_with("Foreign")
}

fn owner() -> Owner {
    Owner::enterprise("dogecompany")
}

fn workflows(scene: &Scene, workflows: Option<Vec<String>>) {
    let github = scene.cluster.world().github();
    assert!(github.update_group(scene.group.get(), |it| it.workflows = workflows));
}

fn spaced(scene: &Scene) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let github = scene.cluster.world().github();
    let data = STANDARD.encode(format!("{}\n", github.token()));
    let place = "-n actions-runner-system patch secret controller-manager";
    scene.patch(place, &json!({"data": {"github_token": data}}));
}

fn not_renewed(scene: &Scene) {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let soon = soon.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let place = "-n actions-runner-system patch certificate actions-runner-controller-serving-cert --subresource=status";
    scene.patch(place, &json!({"status": {"notAfter": soon}}));
}

/// What injects certificates hears nothing any more, and a webhook has an old one.
pub(crate) fn stale(cluster: &Cluster) {
    let deaf = "-n cert-manager annotate pod -l app.kubernetes.io/component=cainjector arcctl-sandbox/deaf=true";
    cluster.kubectl(&deaf.split(' ').collect::<Vec<_>>(), None);
    let old = cluster.certificate_authority();
    let patch = format!(
        r#"[{{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "{old}"}}]"#
    );
    let configuration = "actions-runner-controller-validating-webhook-configuration";
    let what = [
        "patch",
        "validatingwebhookconfiguration",
        configuration,
        "--type=json",
        "-p",
        &patch,
    ];
    cluster.kubectl(&what, None);
}

fn stale_authority(scene: &Scene) {
    stale(&scene.cluster);
}

fn cordoned(scene: &Scene) {
    for node in scene.kubectl("get nodes -o name").lines() {
        scene.kubectl(&format!("cordon {}", node.trim_start_matches("node/")));
    }
}

fn a_pod(scene: &Scene) -> String {
    let pods = scene.kubectl("-n actions-runner get pods -o name");
    pods.lines().next().unwrap().to_owned()
}

fn lose_a_pod(scene: &Scene) {
    let pod = a_pod(scene);
    scene.kubectl(&format!("-n actions-runner delete {pod} --wait=false"));
}

fn unlabelled(scene: &Scene) {
    // Of an account that does what is wanted it does not matter whose it is; of the autoscaler it does.
    scene.kubectl(
        "-n actions-runner label horizontalrunnerautoscaler basic app.kubernetes.io/managed-by- arcctl.dev/profile-",
    );
}

/// A runner of this cluster whose pod and `Runner` are gone, and which GitHub has not forgotten.
fn a_ghost(scene: &Scene) {
    let sets = scene.kubectl("-n actions-runner get runnerreplicasets -o name");
    let (_, set) = sets.lines().next().unwrap().rsplit_once('/').unwrap();
    let runner = NewRunner {
        name: format!("{set}-ghost"),
        labels: ["t3a.large", "ubuntu-22.04", "v2.306.0"]
            .map(str::to_owned)
            .into(),
        group: None,
        ephemeral: true,
        version: None,
    };
    let github = scene.cluster.world().github();
    let id = github.add_runner(&owner(), runner).unwrap();
    assert!(github.set_runner(id, false, false));
}

fn reserved(scene: &Scene) {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let now = jiff::Timestamp::now();
    let text = |it: jiff::Timestamp| it.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let held = json!([{"name": "lost", "replicas": 99, "effectiveTime": text(now), "expirationTime": text(end)}]);
    scene.patch(AUTOSCALER, &json!({"spec": {"capacityReservations": held}}));
}

fn no_tokens(scene: &Scene) {
    scene.answered(System::GitHub, "registration-token", 500, None);
    // A controller that is new asks for a token, and a runner that is new needs one.
    scene.kubectl("-n actions-runner-system rollout restart deployment/actions-runner-controller");
    scene.kubectl(
        "-n actions-runner-system rollout status deployment/actions-runner-controller --timeout=5m",
    );
    let runners = scene.kubectl("-n actions-runner get runners -o name");
    let runner = runners.lines().next().unwrap();
    scene.kubectl(&format!("-n actions-runner delete {runner} --wait=false"));
}

fn expired_session(scene: &Scene) {
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token \
                included in the request is expired</Message></Error><RequestId>1</RequestId></ErrorResponse>";
    scene.answered(System::Aws, "Action=GetCallerIdentity&", 403, Some(body));
}

/// The API server says that it is of a release that EKS supports no more.
fn old_kubernetes(scene: &Scene) {
    let version = json!({
        "major": "1", "minor": "30", "gitVersion": "v1.30.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2024-04-17T00:00:00Z", "goVersion": "go1.22", "compiler": "gc", "platform": "linux/amd64",
    });
    let body = version.to_string();
    scene.answered(System::Kubernetes, "/version", 200, Some(&body));
}

/// As the kernel of a node would: the sandbox's pods have no memory of their own.
fn out_of_memory(scene: &Scene) {
    let pod = a_pod(scene);
    let text = scene.kubectl(&format!("-n actions-runner get {pod} -o json"));
    let live: Value = serde_json::from_str(&text).unwrap();
    let mut statuses = live["status"]["containerStatuses"].clone();
    let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    statuses[0]["lastState"] = ended;
    let place = format!("-n actions-runner patch {pod} --subresource=status");
    scene.patch(&place, &json!({"status": {"containerStatuses": statuses}}));
}
