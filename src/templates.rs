//! The files of `templates/`: text for other programs, with values in place of `@NAME@`. Pure: no I/O.
//!
//! `@NAME@` because `${…}` belongs to shells, to GitHub and to Grafana, and `{{…}}` to Prometheus. A template has no
//! logic: what depends on the profile is decided where it is filled in (docs/decisions/0001-values-not-templates.md).

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A file of `templates/` and the names in it.
#[derive(Debug)]
pub struct Template {
    path: &'static str,
    text: &'static str,
    names: &'static [&'static str],
}

/// Declares each template with its names, and the list of all of them for the tests.
macro_rules! templates {
    ($($(#[$doc:meta])* $constant:ident = $path:literal [$($name:literal),*];)*) => {
        $(
            $(#[$doc])*
            pub const $constant: Template = Template {
                path: $path,
                text: include_str!(concat!("../templates/", $path)),
                names: &[$($name),*],
            };
        )*

        #[cfg(test)]
        const ALL: &[Template] = &[$($constant),*];
    };
}

templates! {
    /// The script of the probe's pod.
    PROBE = "probe.sh" [];
    /// A certificate signing request whose private key was discarded: cert-manager is tried with it.
    PROBE_REQUEST = "probe.csr" [];
    /// The head of the smoke workflow.
    SMOKE_WORKFLOW = "smoke/workflow.yaml" [];
    /// The head of a job of a pool; its steps follow.
    SMOKE_JOB = "smoke/job.yaml" ["ID", "NAME", "POOL", "LABELS"];
    /// The step of each job.
    SMOKE_COMMAND = "smoke/command.sh" [];
    /// The step of a pool with docker.
    SMOKE_DOCKER = "smoke/docker.sh" [];
    /// The step of a pool whose role comes by IRSA. Not every runner image has the aws CLI; STS returns the same for
    /// the token itself. Its response contains credentials: the step prints only the ARN.
    SMOKE_ROLE_BY_IRSA = "smoke/role-by-irsa.sh" ["ROLE"];
    /// The step of a pool whose role comes by Pod Identity. Its agent returns credentials without the role's name.
    SMOKE_ROLE_BY_POD_IDENTITY = "smoke/role-by-pod-identity.sh" ["ROLE"];
    /// The step of a pool with a role and a docker daemon of its own.
    SMOKE_ROLE_IN_DOCKER = "smoke/role-in-docker.sh" ["VARIABLE", "VARIABLES", "IMAGE", "ROLE"];
    /// The alerts of pools that are `RunnerDeployments`.
    DEPLOYMENT_ALERTS = "monitoring/deployment-alerts.yaml"
        ["PROFILE", "NAMESPACE", "NAMESPACES", "LOG_COMMAND", "LEASE", "CERTIFICATE"];
    /// The alerts of pools that are runner scale sets.
    SCALE_SET_ALERTS = "monitoring/scale-set-alerts.yaml"
        ["PROFILE", "NAMESPACE", "NAMESPACES", "LOG_COMMAND", "LEASE", "CRON_JOB"];
    /// The alerts of pools of both modes.
    POOL_ALERTS = "monitoring/pool-alerts.yaml" ["PROFILE"];
    /// The Grafana dashboard; the panels of the modes go above its own.
    DASHBOARD = "monitoring/dashboard.json"
        ["PROFILE", "SCHEDULE", "DEPLOYMENT_NAMESPACES", "SET_NAMESPACES"];
    /// The panels of pools that are `RunnerDeployments`.
    DEPLOYMENT_PANELS = "monitoring/deployment-panels.json"
        ["PROFILE", "NAMESPACE", "NAMESPACES", "CERTIFICATE"];
    /// The panels of pools that are runner scale sets.
    SCALE_SET_PANELS = "monitoring/scale-set-panels.json" ["PROFILE", "NAMESPACE", "NAMESPACES"];
    /// The trust policy statement for IRSA.
    TRUST_IRSA = "policies/trust-irsa.json" ["SID", "PARTITION", "ACCOUNT", "ISSUER", "AUDIENCE", "SUBJECTS"];
    /// The trust policy statement for EKS Pod Identity.
    TRUST_POD_IDENTITY = "policies/trust-pod-identity.json"
        ["SID", "CLUSTER_ARN", "NAMESPACES", "SERVICE_ACCOUNT"];
    /// The Secret that External Secrets Operator makes from a store.
    EXTERNAL_SECRET = "gitops/external-secret.yaml"
        ["NAME", "NAMESPACE", "LABELS", "STORE", "DATA", "KEY", "REMOTE"];
    /// How to make a Secret by hand.
    SECRET_HOLE = "gitops/secret.md" ["NAME", "NAMESPACE", "WHAT", "KEY", "PLAIN"];
    /// How to write a chart's CRDs by hand.
    CRDS_HOLE = "gitops/crds.md" ["CHART", "VERSION", "NAMES", "COMMAND", "GUARD"];
    /// The account of the job that verifies after a sync, and its rights.
    VERIFY_ACCOUNT = "gitops/verify-account.yaml"
        ["NAME", "NAMESPACE", "CERT_MANAGER", "LABELS", "SECRETS"];
    /// Its rights in a namespace of runners.
    VERIFY_RUNNERS = "gitops/verify-runners.yaml"
        ["NAME", "NAMESPACE", "ACCOUNT_NAMESPACE", "LABELS", "SECRETS"];
    /// The job itself.
    VERIFY_JOB = "gitops/verify-job.yaml"
        ["NAME", "NAMESPACE", "LABELS", "ANNOTATIONS", "DIGEST", "IMAGE", "ENVIRONMENT", "SOURCES"];
    /// The README of what is rendered for Flux.
    FLUX_README = "gitops/flux.md" ["PROFILE", "ORDER", "HOLES", "PLACEHOLDERS"];
    /// The README of what is rendered for Argo CD.
    ARGOCD_README = "gitops/argocd.md" ["PROFILE", "ORDER", "HOLES", "PLACEHOLDERS"];
    /// What gives runner scale sets the minimum of their schedule.
    SCALE_SET_MINIMUM = "scale_set_minimum/reconcile.sh" ["MANAGER", "API_VERSION", "NAMESPACE"];
    /// The statements for a bucket.
    BUCKET = "policies/bucket.json" ["SID", "SUFFIX", "PARTITION", "BUCKET", "ACTIONS"];
    /// The profile that `arcctl init` writes; its parts follow.
    INIT_PROFILE = "init/profile.yaml"
        ["SCHEMA", "NAME", "CLUSTER", "GITHUB", "OTHERS", "POOL", "IMAGE", "LABELS", "FIRST_LABEL", "POOL_KEYS"];
    /// An EKS cluster.
    INIT_EKS = "init/eks.yaml" ["NAME", "REGION"];
    /// A context of the kubeconfig.
    INIT_CONTEXT = "init/context.yaml" ["NAME"];
    /// A GitHub Enterprise Server.
    INIT_SERVER = "init/server.yaml" ["URL"];
    /// The scope of the runners.
    INIT_SCOPE = "init/scope.yaml" ["KIND", "NAME"];
    /// The source of the token.
    INIT_TOKEN = "init/token.yaml" ["KIND", "SOURCE"];
    /// A GitHub App.
    INIT_APP = "init/app.yaml" ["ID", "INSTALLATION", "KIND", "SOURCE"];
    /// The login of the token.
    INIT_TOKEN_OWNER = "init/token-owner.yaml" ["LOGIN"];
    /// The server's certificate authority.
    INIT_CA_BUNDLE = "init/ca-bundle.yaml" ["FILE"];
    /// A mirror of the charts.
    INIT_CHARTS = "init/charts.yaml" ["PLACE"];
    /// The port of cert-manager's webhook on Fargate.
    INIT_FARGATE = "init/fargate.yaml" [];
    /// The role of the jobs.
    INIT_ROLE = "init/role.yaml" ["ROLE", "ACCOUNT"];
    /// Nodes of a known instance type.
    INIT_INSTANCE_TYPE = "init/instance-type.yaml" ["TYPE"];
    /// Nodes of an instance type that is not in the table.
    INIT_NODE_SELECTOR = "init/node-selector.yaml" ["TYPE"];
    /// Tainted nodes.
    INIT_TOLERATIONS = "init/tolerations.yaml" ["ITEMS"];
    /// The runner group.
    INIT_GROUP = "init/group.yaml" ["GROUP"];
    /// The number of runners, and their containers.
    INIT_SIZE = "init/size.yaml" ["MIN", "MAX", "CONTAINERS"];
    /// The metric of a pool that grows.
    INIT_SCALING = "init/scaling.yaml" [];
    /// Fewer runners on weekends.
    INIT_WEEKENDS = "init/schedule-weekends.yaml" ["ZONE"];
    /// Fewer runners on weekends and at night.
    INIT_NIGHTS = "init/schedule-nights.yaml" ["ZONE"];
    /// The head of a profile of an installation made by hand.
    INIT_ADOPTED = "init/adopted.yaml" ["SCHEMA", "CLUSTER"];
    /// The head of its list of differences.
    INIT_DIFFERENCES = "init/differences.yaml" [];
}

impl Template {
    /// The text with `values` in it, in one pass: a value that looks like a name stays.
    pub fn text(&self, values: &[(&str, &str)]) -> String {
        self.assert_names(values.iter().map(|(name, _)| *name));
        fill(self.text, &|name| {
            let found = values.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    /// The document (YAML or JSON) with `values` in it. A string that is exactly `@NAME@` becomes the value itself, of
    /// any type; elsewhere in a string or in a key only strings can stand. Nothing needs quoting.
    pub fn value(&self, values: &[(&str, Value)]) -> Value {
        self.assert_names(values.iter().map(|(name, _)| *name));
        let mut document = self.parsed();
        fill_in(&mut document, values);
        document
    }

    /// The items of a document that is a list.
    pub fn items(&self, values: &[(&str, Value)]) -> Vec<Value> {
        match self.value(values) {
            Value::Array(items) => items,
            other => vec![other],
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "the file is part of the program, and a test parses each"
    )]
    fn parsed(&self) -> Value {
        serde_saphyr::from_str(self.text).expect("templates/ has valid documents")
    }

    fn assert_names<'a>(&self, given: impl Iterator<Item = &'a str>) {
        if !cfg!(debug_assertions) {
            return;
        }
        let mut given: Vec<&str> = given.collect();
        let mut names = self.names.to_vec();
        given.sort_unstable();
        names.sort_unstable();
        assert_eq!(given, names, "templates/{}", self.path);
    }
}

fn fill_in(value: &mut Value, values: &[(&str, Value)]) {
    let of = |name: &str| values.iter().find(|(it, _)| *it == name);
    let string = |name: &str| of(name).and_then(|(_, it)| it.as_str().map(Cow::from));
    match value {
        Value::String(text) => {
            let whole = text.strip_prefix('@').and_then(|it| it.strip_suffix('@'));
            *value = match whole.and_then(of) {
                Some((_, typed)) => typed.clone(),
                None => fill(text, &string).into(),
            };
        }
        Value::Array(items) => items.iter_mut().for_each(|it| fill_in(it, values)),
        Value::Object(fields) => {
            let filled: Map<String, Value> = std::mem::take(fields)
                .into_iter()
                .map(|(key, mut value)| {
                    fill_in(&mut value, values);
                    (fill(&key, &string), value)
                })
                .collect();
            *fields = filled;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with each `@NAME@` that has a value replaced.
fn fill<'a>(text: &str, value: &dyn Fn(&str) -> Option<Cow<'a, str>>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        filled.push_str(before);
        match after.split_once('@') {
            Some((name, behind)) if is_name(name) => {
                match value(name) {
                    Some(value) => filled.push_str(&value),
                    None => filled.extend(["@", name, "@"]),
                }
                rest = behind;
            }
            _ => {
                filled.push('@');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_uppercase() || it == b'_')
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        collections::BTreeSet,
        path::{Path, PathBuf},
    };

    use serde_json::json;

    use super::*;

    fn files(directory: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_is_declared() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut found = BTreeSet::new();
        files(&root, &mut found);
        let declared = ALL.iter().map(|it| root.join(it.path)).collect();
        assert_eq!(found, declared);
    }

    #[test]
    fn the_names_in_each_file_are_those_that_are_declared() {
        for template in ALL {
            let seen = RefCell::new(BTreeSet::new());
            fill(template.text, &|name| {
                seen.borrow_mut().insert(name.to_owned());
                None
            });
            // The head of the alerts explains what `@NAME@` is.
            if !template.names.contains(&"NAME") {
                seen.borrow_mut().remove("NAME");
            }
            let declared = template.names.iter().map(ToString::to_string).collect();
            assert_eq!(seen.into_inner(), declared, "{}", template.path);
        }
    }

    #[test]
    fn each_document_can_be_read() {
        for template in ALL {
            let path = Path::new(template.path);
            // The job and what `init` writes are parts of a document, with text in place of the names.
            if path
                .extension()
                .is_some_and(|it| it == "json" || it == "yaml")
                && path != Path::new("smoke/job.yaml")
                && !path.starts_with("init")
            {
                assert!(!template.parsed().is_null(), "{}", template.path);
            }
        }
    }

    #[test]
    fn a_value_keeps_its_type_and_is_not_filled_in_again() {
        const HERE: Template = Template {
            path: "",
            text: "{whole: '@A@', part: 'x @B@ y', '@B@-key': [1, '@B@'], mail: a@b@c}",
            names: &["A", "B"],
        };
        let filled = HERE.value(&[("A", json!(["@B@", 1])), ("B", json!("yes: \"@A@\""))]);
        let expected = json!({
            "whole": ["@B@", 1],
            "part": "x yes: \"@A@\" y",
            "yes: \"@A@\"-key": [1, "yes: \"@A@\""],
            "mail": "a@b@c",
        });
        assert_eq!(filled, expected);
    }

    #[test]
    fn text_is_filled_in_once() {
        const HERE: Template = Template {
            path: "",
            text: "@A@@B@ me@x.y @ @b@",
            names: &["A", "B"],
        };
        assert_eq!(HERE.text(&[("A", "@B@"), ("B", "b")]), "@B@b me@x.y @ @b@");
    }

    #[test]
    #[should_panic(expected = "templates/probe.sh")]
    fn a_value_that_no_file_asks_for_is_a_mistake() {
        PROBE.text(&[("A", "")]);
    }
}
