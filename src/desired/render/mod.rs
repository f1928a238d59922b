//! Renders all manifests as files, for `arcctl render`. Pure: no I/O; the caller writes them.
//!
//! Uses the same resources as `up`: one document per file, named after its id, in the folder of its phase. The same
//! profile and facts give the same bytes.

pub mod gitops;
pub mod pull_through;
pub mod workflow;

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

use super::{
    Desired, DesiredError, Facts, Phase, aws, desired, manages_secret, names,
    placeholder::{self, Placeholder},
    resource::{Chart, CrdSet, HelmRelease, Resource, aws::AwsResource},
};
use crate::{policy::AUDIENCE, profile::Profile};

/// The files of a profile: path relative to the folder, contents; sorted by path.
#[expect(clippy::too_many_lines, reason = "one list, in its order")]
pub fn files(profile: &Profile, facts: &Facts) -> Result<Vec<(String, String)>, DesiredError> {
    let resources = desired(profile, facts)?;
    let mut files = Vec::new();
    let (mut placeholders, mut placeholders_at_aws) = (BTreeSet::new(), BTreeSet::new());
    let mut add = |path: String, title: &str, value: &Value| {
        placeholders.extend(placeholder::find(value));
        let text = serde_saphyr::to_string(value).map_err(|error| DesiredError::Yaml {
            object: path.clone(),
            reason: error.to_string(),
        })?;
        files.push((path, format!("{title}{text}")));
        Ok(())
    };
    for resource in &resources {
        match &resource.resource {
            Resource::Object(object) => add(path(resource), "", &object.manifest)?,
            Resource::Release(release) => {
                let title = format!("# Values of {}.\n", described(&release.chart));
                add(values_path(release), &title, &release.values)?;
            }
            Resource::Crds(CrdSet {
                chart,
                templated: Some(values),
                ..
            }) => {
                let title = format!("# Values that render the CRDs of {}.\n", described(chart));
                add(format!("values/{}-crds.yaml", chart.name), &title, values)?;
            }
            Resource::Aws(aws) => {
                placeholders_at_aws.extend(aws.values().iter().flat_map(placeholder::find));
            }
            Resource::ControllerSecret(_)
            | Resource::Secret(_)
            | Resource::Crds(_)
            | Resource::Probe(_)
            | Resource::ImagePull(_)
            | Resource::Restart(_)
            | Resource::Webhook(_)
            | Resource::RunnerPods(_)
            | Resource::Registration(_)
            | Resource::Drain(_)
            | Resource::ScaleSet(_)
            | Resource::ScaleSetMinimum(_)
            | Resource::ScaleSetRunners(_)
            | Resource::ScaleSetOnline(_)
            | Resource::ScaleSetDrain(_)
            | Resource::Webhooks(_)
            | Resource::Ghosts { .. } => {}
        }
    }
    placeholders.extend(placeholders_at_aws);
    files.push((workflow::PATH.into(), workflow::text(profile)));
    for (path, document) in aws::documents(profile, facts) {
        placeholders.extend(placeholder::find(&document));
        files.push((path, format!("{document:#}\n")));
    }
    for resource in &resources {
        if matches!(&resource.resource, Resource::ControllerSecret(secret) if secret.managed) {
            files.push((path(resource), secret(profile)));
        }
    }
    files.push((
        "README.md".into(),
        readme(profile, &resources, &placeholders),
    ));
    files.sort();
    Ok(files)
}

fn path(resource: &Desired) -> String {
    let folder = match resource.phase {
        Phase::Preflight => "preflight",
        Phase::Base => "base",
        Phase::Wiring => "wiring",
        Phase::Controller => "controller",
        Phase::Runners => "runners",
        _ => "registration",
    };
    format!(
        "{folder}/{}.yaml",
        resource.id.as_str().replace("/-/", "/").replace('/', ".")
    )
}

/// The file with the values of a release. A scale set is named after its pool, which may have the name of another release.
fn values_path(release: &HelmRelease) -> String {
    let (namespace, name) = (&release.namespace, &release.name);
    if release.chart.name == names::SCALE_SET_CHART {
        format!("values/scale-set.{namespace}.{name}.yaml")
    } else {
        format!("values/{name}.yaml")
    }
}

fn described(chart: &Chart) -> String {
    format!(
        "the chart {} {} from {}",
        chart.name, chart.version, chart.location
    )
}

/// The Secret's structure, in comments: its value is only in the cluster.
fn secret(profile: &Profile) -> String {
    let data = match &profile.github.app {
        Some(app) => format!(
            "#   github_app_id: \"{}\"\n#   github_app_installation_id: \"{}\"\n#   github_app_private_key: …\n",
            app.id, app.installation_id
        ),
        None => "#   github_token: …\n".to_owned(),
    };
    format!(
        "# The Secret that the controller reads its GitHub credential from. `arcctl up` writes it from the profile's\n\
         # source; a rendered file never holds the value.\n\
         # apiVersion: v1\n# kind: Secret\n# metadata:\n#   name: {}\n#   namespace: {}\n# stringData:\n{data}",
        names::CONTROLLER_SECRET,
        profile.controller.namespace,
    )
}

fn readme(
    profile: &Profile,
    resources: &[Desired],
    placeholders: &BTreeSet<Placeholder>,
) -> String {
    let mut text = format!(
        "# Profile `{}`, rendered\n\n\
         What `arcctl up` makes of the profile, in its order. Apply the files server-side\n\
         (`kubectl apply --server-side`): the CRDs are too big for a client-side apply.\n\n",
        profile.name
    );
    let steps = resources.iter().filter_map(step);
    for (number, step) in (1..).zip(steps) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{number}. {step}");
    }
    if profile.has_deployments() && !manages_secret(profile) {
        let _ = write!(
            text,
            "\nThe Secret `{}` in `{}` is the profile's own source: someone else manages it.\n",
            names::CONTROLLER_SECRET,
            profile.controller.namespace
        );
    }
    let _ = write!(
        text,
        "\n`arcctl smoke` dispatches `{}`: commit it to the default branch of a repository that may use the runners.\n",
        workflow::PATH
    );
    text.push_str("\n## Placeholders\n\n");
    if placeholders.is_empty() {
        text.push_str("None: every fact was known.\n");
    } else {
        text.push_str("Facts that were not known; replace them before you apply.\n\n");
        for placeholder in placeholders {
            let _ = writeln!(text, "- `{}`: {}", placeholder.text(), placeholder.meaning);
        }
    }
    text
}

/// A one-line description of an AWS resource.
fn at_aws(resource: &AwsResource) -> String {
    match resource {
        AwsResource::Provider(provider) => format!(
            "an IAM OIDC provider for `https://{}`, with `{AUDIENCE}` among its clients",
            provider.issuer
        ),
        AwsResource::Role(role) => format!(
            "the IAM role `{0}`, with the statement of `aws/trust-policy.{0}.json` in its trust policy{1}",
            role.name,
            match role.managed_policies.as_slice() {
                [] => String::new(),
                policies => format!(", and attached: {}", policies.join(", ")),
            }
        ),
        AwsResource::RolePolicy(policy) if policy.statements.is_empty() => {
            format!("no policy for buckets in the role `{}`", policy.role)
        }
        AwsResource::RolePolicy(policy) => format!(
            "the policy `{0}` in the role `{1}`: `aws/role-policy.{1}.json`",
            policy.name, policy.role
        ),
        AwsResource::BucketPolicy(policy) => format!(
            "the statements of `aws/bucket-policy.{0}.json` in the policy of the bucket `{0}`",
            policy.bucket
        ),
        AwsResource::Association(it) => format!(
            "`aws eks create-pod-identity-association --cluster-name {} --namespace {} --service-account {} --role-arn {}`",
            it.cluster, it.namespace, it.service_account, it.role_arn
        ),
        AwsResource::Rule(rule) => format!(
            "in the security group `{}` the rule `TCP {} {} {}`: {}",
            rule.group,
            rule.port,
            rule.direction,
            rule.peer.name(),
            rule.purpose
        ),
    }
}

/// One line of the list; `None` for checks, which are not applied.
fn step(resource: &Desired) -> Option<String> {
    Some(match &resource.resource {
        Resource::Object(_) => format!("`{}`", path(resource)),
        Resource::ControllerSecret(secret) if !secret.managed => {
            format!(
                "nothing for the Secret `{}`: someone else manages it",
                secret.name
            )
        }
        Resource::ControllerSecret(_) => {
            format!("the Secret, with your credential: see `{}`", path(resource))
        }
        Resource::Secret(secret) => format!(
            "the Secret `{}` in `{}`, which `arcctl up` makes: no file has its value",
            secret.name, secret.namespace
        ),
        Resource::Crds(CrdSet {
            chart, templated, ..
        }) => {
            let source = match templated {
                Some(_) => format!("rendered with `values/{}-crds.yaml`", chart.name),
                None => "in its folder `crds/`".to_owned(),
            };
            format!("the CRDs of {}, {source}", described(chart))
        }
        Resource::Release(release) => format!(
            "{}, as release `{}` in `{}` without its CRDs, with `{}`",
            described(&release.chart),
            release.name,
            release.namespace,
            values_path(release)
        ),
        Resource::Aws(aws) => at_aws(aws),
        Resource::Webhook(_) => "wait until its admission webhooks answer".to_owned(),
        Resource::RunnerPods(_)
        | Resource::Registration(_)
        | Resource::Probe(_)
        | Resource::ImagePull(_)
        | Resource::Restart(_)
        | Resource::Drain(_)
        | Resource::ScaleSet(_)
        | Resource::ScaleSetMinimum(_)
        | Resource::ScaleSetRunners(_)
        | Resource::ScaleSetOnline(_)
        | Resource::ScaleSetDrain(_)
        | Resource::Webhooks(_)
        | Resource::Ghosts { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::EksFacts;

    fn rendered(profile: Value, facts: &Facts) -> Vec<(String, String)> {
        files(&serde_json::from_value(profile).unwrap(), facts).unwrap()
    }

    fn profile() -> Value {
        json!({
            "apiVersion": "arcctl.dev/v1",
            "name": "test",
            "cluster": {"context": "c"},
            "github": {"organization": "o", "token": {"env": "SECRET_VALUE"}, "caBundle": {"file": "ca.pem"}},
            "aws": {"irsa": {"role": "r", "serviceAccount": "runner"}},
            "pools": [{"name": "a", "image": "r:1", "min": 0, "max": 1, "labels": ["on", "1e3", "1:30"]}],
        })
    }

    #[test]
    fn every_file_but_the_readme_is_yaml_of_its_id() {
        let files = rendered(profile(), &Facts::default());
        let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                ".github/workflows/arcctl-smoke.yaml",
                "README.md",
                "aws/trust-policy.r.json",
                "base/namespace.actions-runner-system.yaml",
                "base/namespace.actions-runner.yaml",
                "base/namespace.cert-manager.yaml",
                "runners/horizontal-runner-autoscaler.actions-runner.a.yaml",
                "runners/runner-deployment.actions-runner.a.yaml",
                "values/actions-runner-controller.yaml",
                "values/cert-manager-crds.yaml",
                "values/cert-manager.yaml",
                "wiring/config-map.actions-runner-system.arcctl-github-ca.yaml",
                "wiring/config-map.actions-runner.arcctl-github-ca.yaml",
                "wiring/secret.actions-runner-system.controller-manager.yaml",
                "wiring/service-account.actions-runner.runner.yaml",
            ]
        );
        for (path, text) in files
            .iter()
            .filter(|(path, _)| path != "README.md" && !path.contains("secret"))
        {
            let value: Value =
                serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(value.is_object(), "{path}");
        }
    }

    #[test]
    fn the_secret_is_a_comment() {
        let files = rendered(profile(), &Facts::default());
        let (_, text) = files
            .iter()
            .find(|(path, _)| path.contains("/secret."))
            .unwrap();
        assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
        assert!(!text.contains("SECRET_VALUE"), "{text}");
    }

    #[test]
    fn the_readme_lists_placeholders_that_are_there_and_no_others() {
        let readme = |facts: &Facts| rendered(profile(), facts).swap_remove(1).1;
        let unknown = readme(&Facts::default());
        for name in [
            "AWS_ACCOUNT",
            "CA_BUNDLE",
            "CA_BUNDLE_SHA256",
            "OIDC_ISSUER",
            "ROLE_ARN",
            "STATEMENT_ID",
            "SECRET_VERSION",
        ] {
            assert!(unknown.contains(&format!("- `${{{name}}}`: ")), "{unknown}");
        }
        let known = readme(&Facts {
            secret_version: Some("7".into()),
            ca_bundle: Some("pem".into()),
            aws: Some(aws::AwsFacts::default()),
            eks: Some(EksFacts {
                issuer: Some("https://oidc.eks.ap-northeast-2.amazonaws.com/id/1".into()),
                ..EksFacts::default()
            }),
            runner_role_arn: Some("arn:aws:iam::111122223333:role/r".into()),
            ..Facts::default()
        });
        assert!(known.contains("None: every fact was known."), "{known}");
        assert!(!known.contains("${"), "{known}");
    }

    #[test]
    fn texts_that_yaml_1_1_reads_as_something_else_are_quoted() {
        let files = rendered(profile(), &Facts::default());
        let (_, text) = files
            .iter()
            .find(|(path, _)| path.contains("runner-deployment"))
            .unwrap();
        for label in ["on", "1e3", "1:30"] {
            assert!(
                text.contains(&format!("'{label}'")) || text.contains(&format!("\"{label}\"")),
                "{text}"
            );
        }
    }
}
