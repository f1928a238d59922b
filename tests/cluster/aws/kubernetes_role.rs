//! Each role of `docs/rbac.yaml` is enough for its commands, and no more: a permission that the API server's audit log does
//! not show as used has a reason here. And none allows more privilege escalations than documented.

#[path = "../../cli/ways.rs"]
mod ways;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use arcctl_sandbox::{
    github::Token,
    world::{Helm, Options, Pace},
};
use serde_json::{Value, json};

use crate::{
    aws::kubernetes_role_reasons::{DAILY, Elsewhere, INSTALL, TEARDOWN},
    doctor::monitoring::operator,
    harness::cluster::{Cluster, Ended},
    install::refusals::kubeconfig_of,
};

use self::ways::{Right, WAYS, granted, named, namespaces, opens};

pub(crate) const ROLES: &str = include_str!("../../../docs/rbac.yaml");

/// Whose calls the sandbox's API server writes down.
pub(crate) const ACCOUNT: &str = "audited";

const SYSTEM: &str = "actions-runner-system";

const REPOSITORY: &str = "dogecompany/app";

/// What makes the controller's chart have a budget too, the objects for a Prometheus and a Grafana, and a role at AWS for
/// the runners.
const WITH_ALL: [(&str, &str); 4] = [
    ("eks: runners", "eks: runners\n  context: sandbox"),
    (
        "pools:\n",
        "aws:\n  podIdentity:\n    role: actions-runner-role\n    serviceAccount: runner\n\npools:\n",
    ),
    (
        "dockerImage: docker:28-dind\n",
        "dockerImage: docker:28-dind\n  values: {podDisruptionBudget: {enabled: true, maxUnavailable: 1}}\n",
    ),
    (
        "timeouts: {",
        "monitoring: {serviceMonitor: auto, alerts: auto, dashboard: auto}\ntimeouts: {",
    ),
];

/// The checks that a report has as broken.
fn broken(ended: &Ended) -> Vec<String> {
    let document = ended.document();
    let checks = document["checks"].as_array().into_iter().flatten();
    checks
        .filter(|it| it["verdict"] == "broken" && it["severity"] == "required")
        .filter_map(|it| it["id"].as_str().map(str::to_owned))
        .collect()
}

/// Runs arcctl as the account that is bound to the roles.
struct Bound<'a> {
    cluster: &'a Cluster,
    kubeconfig: String,
    file: &'a str,
}

impl Bound<'_> {
    /// With another profile.
    fn with<'a>(&'a self, file: &'a str) -> Bound<'a> {
        Bound {
            cluster: self.cluster,
            kubeconfig: self.kubeconfig.clone(),
            file,
        }
    }

    fn ended(&self, command: &[&str], variables: &[(&str, &str)]) -> Ended {
        let common = [
            "-f",
            self.file,
            "--kubeconfig",
            &self.kubeconfig,
            "-o",
            "json",
        ];
        self.cluster
            .arcctl_with(&[command, &common].concat(), variables)
    }

    /// The API server itself says that the account has no way to an administrator's rights but those of its role.
    fn assert_no_other_way(&self, role: &str) {
        let rights = granted(ROLES, role);
        let mut asked = Vec::new();
        for (index, way) in WAYS.iter().enumerate() {
            for resource in way.resources {
                for (verb, namespace) in way
                    .verbs
                    .iter()
                    .flat_map(|verb| namespaces(way.place).iter().map(move |it| (verb, it)))
                {
                    asked.push((index, review(resource, verb, namespace)));
                }
            }
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": asked.iter().map(|it| &it.1).collect::<Vec<_>>()});
        let create = [
            "--kubeconfig",
            &self.kubeconfig,
            "create",
            "-f",
            "-",
            "-o",
            "json",
        ];
        let answers = self.cluster.kubectl(&create, Some(&list.to_string()));
        // One after the other, and not as a list.
        let answers = serde_json::Deserializer::from_str(&answers).into_iter::<Value>();
        let answers: Vec<Value> = answers.map(Result::unwrap).collect();
        assert_eq!(answers.len(), asked.len());
        let mut open: BTreeMap<usize, bool> = BTreeMap::new();
        for ((index, _), answer) in asked.iter().zip(&answers) {
            *open.entry(*index).or_default() |= answer["status"]["allowed"] == true;
        }
        for (index, way) in WAYS.iter().enumerate() {
            assert_eq!(open[&index], opens(way, &rights), "{role}: {}", way.what);
        }
    }

    fn run(&self, command: &[&str], variables: &[(&str, &str)]) {
        let ended = self.ended(command, variables);
        // No pod of the sandbox has the token of Pod Identity, which is a file of an EKS node.
        let no_role = command.contains(&"--probe") && broken(&ended) == ["probe-takes-role"];
        assert_eq!(
            ended.code,
            i32::from(no_role),
            "{command:?}: {}{}",
            ended.stderr,
            ended.stdout
        );
    }
}

/// The question whether one may do this.
fn review(resource: &str, verb: &str, namespace: &str) -> Value {
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    // A subresource is named before the group: `certificatesigningrequests/approval.certificates.k8s.io`.
    json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace,
        }},
    })
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn the_documented_roles_are_enough_and_no_more() {
    let cluster = Cluster::with_aws();
    cluster.kubectl(&["create", "serviceaccount", ACCOUNT], None);
    cluster.kubectl(&["apply", "-f", "-"], Some(ROLES));
    cluster.kubectl(&["apply", "-f", "-"], Some(&operator()));
    let profile = cluster.eks_profile("arcctl", &WITH_ALL);
    let bound = Bound {
        cluster: &cluster,
        kubeconfig: kubeconfig_of(&cluster, ACCOUNT),
        file: profile.to_str().unwrap(),
    };

    bind(&cluster, "arcctl");
    bind(&cluster, "arcctl-install");
    let token = install(&bound);
    let used = Used::since(&cluster, 0);
    assert_eq!(used.forbidden, BTreeSet::new());
    used.assert_no_more_than_needed("arcctl-install", INSTALL);

    let before = audited(&cluster).len();
    unbind(&cluster, "arcctl-install");
    daily(&bound, &[("ARCCTL_GITHUB_TOKEN", token.as_str())]);
    let used = Used::since(&cluster, before);
    // `plan` tries the pods of a release that it would write; with this role it says that it could not be found out.
    let mut forbidden = used.forbidden.clone();
    forbidden.retain(|it| (it.1.as_str(), it.2.as_str()) != ("pods", "create"));
    assert_eq!(forbidden, BTreeSet::new());
    used.assert_no_more_than_needed("arcctl", DAILY);
    bound.assert_no_other_way("arcctl");

    unbind(&cluster, "arcctl");
    bind(&cluster, "arcctl-teardown");
    bound.assert_no_other_way("arcctl-teardown");
    let before = audited(&cluster).len();
    bound.run(&["plan", "--teardown"], &[]);
    // Without its controller a teardown does by hand what the controller would have done.
    let stop = [
        "scale",
        "deployment",
        "actions-runner-controller",
        "--replicas=0",
    ];
    cluster.kubectl(&[&["-n", SYSTEM][..], &stop].concat(), None);
    bound.run(&["teardown", "--yes", "--force", "--crds"], &[]);
    let used = Used::since(&cluster, before);
    assert_eq!(used.forbidden, BTreeSet::new());
    used.assert_no_more_than_needed("arcctl-teardown", TEARDOWN);
    let left = "secrets,configmaps,deployments,services,leases";
    let left = cluster.kubectl(&["-n", SYSTEM, "get", left, "-o", "name"], None);
    assert_eq!(left.trim(), "configmap/kube-root-ca.crt");
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn they_are_enough_for_helm_4_too() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        helm: Helm::V4,
        ..Options::default()
    });
    cluster.kubectl(&["create", "serviceaccount", ACCOUNT], None);
    cluster.kubectl(&["apply", "-f", "-"], Some(ROLES));
    let profile = cluster.profile("arcctl", &[]);
    let bound = Bound {
        cluster: &cluster,
        kubeconfig: kubeconfig_of(&cluster, ACCOUNT),
        file: profile.to_str().unwrap(),
    };
    bind(&cluster, "arcctl");
    bind(&cluster, "arcctl-install");
    bound.run(&["up", "--yes"], &[]);
    // Each object of the chart is applied.
    let more = cluster.profile("more", &[("syncPeriod: 1m", "syncPeriod: 2m")]);
    bound
        .with(more.to_str().unwrap())
        .run(&["up", "--yes"], &[]);
    unbind(&cluster, "arcctl-install");
    bound.with(more.to_str().unwrap()).run(&["plan"], &[]);
    unbind(&cluster, "arcctl");
    // Without `get` helm 4 takes what it has deleted for gone, and a teardown would wait minutes for pods that nobody ends.
    let sees = "resources: [services, serviceaccounts]\n    verbs: [get, delete]";
    let blind = ROLES.replace(sees, &sees.replace("get, ", ""));
    assert_ne!(blind, ROLES, "no rule of the roles is this one");
    cluster.kubectl(&["apply", "-f", "-"], Some(&blind));
    bind(&cluster, "arcctl-teardown");
    let writes = cluster.kubernetes_writes();
    let refused = bound.ended(&["teardown", "--yes"], &[]);
    let error = refused.expect(4)["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("not allowed: get services in namespace"),
        "{error:#}"
    );
    assert!(error["hint"].to_string().contains("`arcctl-teardown`"));
    assert_eq!(cluster.kubernetes_writes(), writes, "something was written");
    cluster.kubectl(&["apply", "-f", "-"], Some(ROLES));
    bound.run(&["teardown", "--yes"], &[]);
    assert_eq!(Used::since(&cluster, 0).forbidden, BTreeSet::new());
    cluster.finish();
}

/// The first `up`, another credential, and one that is lost. Returns the credential in force.
fn install(bound: &Bound<'_>) -> String {
    let cluster = bound.cluster;
    bound.run(&["up", "--yes"], &[]);
    let token = cluster.world().github().add_token(Token::administrator());
    cluster.keep_secret(&token);
    let rotated = [("ARCCTL_GITHUB_TOKEN", token.as_str())];
    bound.run(&["up", "--yes"], &rotated);
    let lose = ["-n", SYSTEM, "delete", "secret", "controller-manager"];
    cluster.kubectl(&lose, None);
    bound.run(&["doctor", "--fix", "--yes"], &rotated);
    token
}

/// All that reads, a pool of another name and the first again, and what this role may not do.
fn daily(bound: &Bound<'_>, token: &[(&str, &str)]) {
    let cluster = bound.cluster;
    for command in [
        &["up", "--yes"][..],
        &["doctor", "--probe"],
        &["doctor"],
        &["status"],
        &["plan"],
    ] {
        bound.run(command, token);
    }
    commit_workflow(cluster, bound.file);
    bound.run(&["smoke", "--repository", REPOSITORY], token);
    // A pool of another name takes the place of the first, and then the first its place again.
    let other = cluster.eks_profile(
        "other",
        &[&WITH_ALL[..], &[("- name: basic", "- name: other")]].concat(),
    );
    let other = bound.with(other.to_str().unwrap());
    other.run(&["up", "--yes"], token);
    bound.run(&["up", "--yes"], token);
    // What somebody has changed in a chart's object is seen, and is the installer's to mend.
    let scale = |replicas: u32| {
        let patch = json!({"spec": {"replicas": replicas}}).to_string();
        let edit = [
            "patch",
            "deployment",
            "actions-runner-controller",
            "-p",
            &patch,
        ];
        cluster.kubectl(&[&["-n", SYSTEM][..], &edit].concat(), None);
    };
    scale(3);
    let planned = bound.ended(&["plan"], token);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert!(
        planned.stdout.contains("spec.replicas"),
        "{}",
        planned.stdout
    );
    let writes = cluster.kubernetes_writes();
    let refused = bound.ended(&["up", "--yes"], token);
    assert_eq!(refused.expect(4)["outcome"], "unauthorized");
    let message = refused.document()["error"]["message"].to_string();
    assert!(message.contains("create, patch clusterroles"), "{message}");
    let hint = refused.document()["error"]["hint"].to_string();
    assert!(hint.contains("`arcctl-install`"), "{hint}");
    assert_eq!(cluster.kubernetes_writes(), writes, "something was written");
    scale(2);
}

/// Commits the workflow that `render` writes.
fn commit_workflow(cluster: &Cluster, file: &str) {
    let directory = Path::new(file).with_file_name("rendered");
    let rendered = cluster.arcctl(&["render", directory.to_str().unwrap(), "-f", file]);
    assert_eq!(rendered.code, 0, "{}", rendered.stderr);
    let name = "arcctl-smoke.yaml";
    let text = std::fs::read_to_string(directory.join(".github/workflows").join(name)).unwrap();
    let github = cluster.world().github();
    github.commit(REPOSITORY, name, &text).unwrap();
}

/// The namespaces in which a role of the file has a part.
fn places(role: &str) -> BTreeSet<String> {
    let rights = granted(ROLES, role).into_iter();
    rights
        .map(|(namespace, ..)| namespace)
        .filter(|it| !it.is_empty())
        .collect()
}

/// Binds the account to a role of the file, as the file says.
pub(crate) fn bind(cluster: &Cluster, role: &str) {
    let whom = format!("--serviceaccount=default:{ACCOUNT}");
    let of_cluster = format!("--clusterrole={role}");
    let binding = ["create", "clusterrolebinding", role, &of_cluster, &whom];
    cluster.kubectl(&binding, None);
    let in_namespace = format!("--role={role}");
    for namespace in places(role) {
        let binding = ["create", "rolebinding", role, &in_namespace, &whom];
        cluster.kubectl(&[&["-n", &namespace][..], &binding].concat(), None);
    }
}

fn unbind(cluster: &Cluster, role: &str) {
    cluster.kubectl(&["delete", "clusterrolebinding", role], None);
    for namespace in places(role) {
        cluster.kubectl(&["-n", &namespace, "delete", "rolebinding", role], None);
    }
}

/// What the account has done, by the API server's audit log, a line for each call.
fn audited(cluster: &Cluster) -> Vec<String> {
    let path = cluster.world().directory().join("control-plane/audit.log");
    let log = std::fs::read_to_string(path).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// The rights that were used, and what was asked for in vain.
#[derive(Default)]
struct Used {
    rights: BTreeSet<Right>,
    forbidden: BTreeSet<Right>,
}

impl Used {
    /// By what was called after the first `before` calls.
    fn since(cluster: &Cluster, before: usize) -> Self {
        let mut all = Self::default();
        for line in audited(cluster).iter().skip(before) {
            all.add(&serde_json::from_str(line).unwrap());
        }
        all
    }

    fn add(&mut self, event: &Value) {
        let object = &event["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource = named(&text(&object["resource"]), &text(&object["apiGroup"]));
        // The API server's own idea of the namespace that a Namespace is in.
        let namespace = match resource.as_str() {
            "namespaces" => String::new(),
            _ => text(&object["namespace"]),
        };
        let right = (namespace, resource, text(&event["verb"]));
        let forbidden = event["annotations"]["authorization.k8s.io/decision"] == "forbid";
        if forbidden {
            // What would be made of a chart's object is asked, and not needed (decision 7).
            let tried = text(&event["requestURI"]).contains("dryRun=All") && right.2 == "patch";
            if !tried {
                self.forbidden.insert(right);
            }
            return;
        }
        // What applies an object that is not there must have the right to create it.
        if right.2 == "patch" && event["responseStatus"]["code"] == 201 {
            let created = (right.0.clone(), right.1.clone(), "create".to_owned());
            self.rights.insert(created);
        }
        self.rights.insert(right);
    }

    /// Each right is granted once in the role, and either used or has its reason; each reason is one of a right that is
    /// granted.
    fn assert_no_more_than_needed(&self, role: &str, reasons: &[Elsewhere]) {
        let granted = granted(ROLES, role);
        let all: BTreeSet<&Right> = granted.iter().collect();
        assert_eq!(all.len(), granted.len(), "granted twice: {granted:?}");
        let wide = |it: &Right| it.1.contains('*') || it.2 == "*";
        assert!(!granted.iter().any(wide), "everything is granted");
        let reasons: BTreeSet<(&str, &str)> = reasons
            .iter()
            .flat_map(|(resource, verbs, _)| verbs.iter().map(|it| (*resource, *it)))
            .collect();
        let known = |it: &&Right| {
            self.rights.contains(*it) || reasons.contains(&(it.1.as_str(), it.2.as_str()))
        };
        let unused: Vec<&Right> = granted.iter().filter(|it| !known(it)).collect();
        let has = |(resource, verb): &(&str, &str)| {
            let mut all = granted.iter();
            all.any(|it| it.1 == *resource && it.2 == *verb)
        };
        let stale: Vec<&(&str, &str)> = reasons.iter().filter(|it| !has(it)).collect();
        assert!(
            unused.is_empty() && stale.is_empty(),
            "neither used nor with a reason: {unused:#?}\nreasons for what is not granted: {stale:#?}"
        );
    }
}
