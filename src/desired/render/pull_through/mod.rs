//! The pull-through rules of Amazon ECR as files, for `arcctl render --pull-through`: inputs of the AWS CLI or a Terraform
//! module, what the role of the nodes needs, and what to write into the profile. Pure: no I/O.
//!
//! Sources: Amazon ECR's user guide, "IAM permissions required to sync an upstream registry", "Storing your upstream
//! repository credentials in an AWS Secrets Manager secret" and "Creating a repository creation template"; the inputs of
//! `CreatePullThroughCacheRule` and `CreateRepositoryCreationTemplate` in its API reference; the resources
//! `aws_ecr_pull_through_cache_rule` and `aws_ecr_repository_creation_template` of Terraform's provider.

mod readme;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::gitops::terraform::{document, named, with_variables};
use crate::{
    desired::{
        DesiredError,
        placeholder::{self, Placeholder},
        pull_through::{Rule, rules},
    },
    profile::Profile,
};
use readme::readme;

/// The folder of the files.
const FOLDER: &str = "aws/ecr";

/// The name of the policy in the role of the nodes.
const POLICY: &str = "arcctl-pull-through";

/// How the rules are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As inputs of the AWS CLI.
    Documents,
    /// As a Terraform module.
    Terraform,
}

/// What is written.
#[derive(Debug)]
pub struct Written {
    /// Path relative to the folder of `render`, contents.
    pub files: Vec<(String, String)>,
    /// The facts that are still to be filled in.
    pub placeholders: BTreeSet<Placeholder>,
}

/// The files of a profile's rules. `known` are facts by the name of their placeholder.
pub fn files(
    profile: &Profile,
    now: Timestamp,
    form: Form,
    known: &BTreeMap<String, String>,
) -> Result<Written, DesiredError> {
    let mut found = rules(profile, now)?;
    for rule in &mut found.rules {
        fill(rule, known);
    }
    let documents = match form {
        Form::Documents => documents(&found.rules, known),
        Form::Terraform => vec![("main.tf.json".to_owned(), made(&found.rules, known))],
    };
    let readme = readme(profile, &found, form, known);
    let mut placeholders = placeholder::find(&readme.as_str().into());
    let mut files = vec![(format!("{FOLDER}/README.md"), readme)];
    for (name, value) in documents {
        placeholders.extend(placeholder::find(&value));
        let value = match (form, found.rules.first()) {
            (Form::Terraform, Some(rule)) => {
                let written = format!(
                    "Written by `arcctl render --pull-through terraform` for the profile {}.",
                    profile.name
                );
                // Since 6.0 each resource has a region of its own.
                with_variables(&written, ">= 6.0", Some(&rule.region), &value)
            }
            _ => value,
        };
        files.push((format!("{FOLDER}/{name}"), format!("{value:#}\n")));
    }
    Ok(Written {
        files,
        placeholders,
    })
}

/// Puts known facts in place of the placeholders of a rule.
fn fill(rule: &mut Rule, known: &BTreeMap<String, String>) {
    for (text, placeholder) in [
        (&mut rule.account, placeholder::AWS_ACCOUNT),
        (&mut rule.region, placeholder::AWS_REGION),
    ] {
        if *text == placeholder.text() {
            *text = or_known(placeholder, known);
        }
    }
}

fn or_known(placeholder: Placeholder, known: &BTreeMap<String, String>) -> String {
    placeholder.or(known.get(placeholder.name).map(String::as_str))
}

/// The inputs of the AWS CLI, and the policy for the role of the nodes.
fn documents(rules: &[Rule], known: &BTreeMap<String, String>) -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    for rule in rules {
        let mut input = json!({
            "ecrRepositoryPrefix": rule.prefix,
            "upstreamRegistry": rule.upstream.name,
            "upstreamRegistryUrl": rule.upstream.url,
        });
        if let Some(secret) = rule.secret() {
            input["credentialArn"] = or_known(secret, known).into();
        }
        documents.push((rule_file(rule), input));
        let template = json!({
            "prefix": rule.prefix,
            "description": described(rule),
            "appliedFor": ["PULL_THROUGH_CACHE"],
            // ECR could not renew a tag that has moved at its registry.
            "imageTagMutability": "MUTABLE",
        });
        documents.push((template_file(rule), template));
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [statement(rules)]});
    documents.push(("node-policy.json".into(), policy));
    documents
}

fn rule_file(rule: &Rule) -> String {
    format!("rule.{}.json", rule.upstream.name)
}

fn template_file(rule: &Rule) -> String {
    format!("template.{}.json", rule.upstream.name)
}

fn described(rule: &Rule) -> String {
    format!("Images of {}, pulled through", rule.upstream.host)
}

/// What nodes need beside the right to pull: the first pull of an image imports it, and that of a repository creates it.
fn statement(rules: &[Rule]) -> Value {
    let repositories: BTreeSet<String> = rules.iter().map(Rule::repositories).collect();
    json!({
        "Sid": "ArcctlPullThrough",
        "Effect": "Allow",
        "Action": ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"],
        "Resource": repositories,
    })
}

/// The blocks of the Terraform module.
fn made(rules: &[Rule], known: &BTreeMap<String, String>) -> Value {
    let mut made = json!({
        "aws_iam_role_policy": {"pull_through": {
            "name": POLICY,
            "role": or_known(placeholder::NODE_ROLE, known),
            "policy": document(&[statement(rules)]),
        }},
    });
    for rule in rules {
        let name = named(rule.upstream.name);
        let mut block = json!({
            "region": rule.region,
            "ecr_repository_prefix": rule.prefix,
            "upstream_registry_url": rule.upstream.url,
        });
        if let Some(secret) = rule.secret() {
            block["credential_arn"] = or_known(secret, known).into();
        }
        made["aws_ecr_pull_through_cache_rule"][&name] = block;
        made["aws_ecr_repository_creation_template"][&name] = json!({
            "region": rule.region,
            "prefix": rule.prefix,
            "description": described(rule),
            "applied_for": ["PULL_THROUGH_CACHE"],
            "image_tag_mutability": "MUTABLE",
        });
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::profile;

    fn rendered(changes: &Value, form: Form, known: &[(&str, &str)]) -> Written {
        let known = known
            .iter()
            .map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned()));
        let profile = profile(changes);
        files(&profile, Timestamp::UNIX_EPOCH, form, &known.collect()).unwrap()
    }

    fn text<'a>(written: &'a Written, name: &str) -> &'a str {
        let path = format!("{FOLDER}/{name}");
        let found = written.files.iter().find(|(it, _)| *it == path);
        &found.unwrap_or_else(|| panic!("no {path}")).1
    }

    fn json_of(written: &Written, name: &str) -> Value {
        serde_json::from_str(text(written, name)).unwrap()
    }

    fn names_of(written: &Written) -> Vec<&str> {
        written.placeholders.iter().map(|it| it.name).collect()
    }

    #[test]
    fn the_rules_are_inputs_of_the_aws_cli() {
        let written = rendered(&json!({}), Form::Documents, &[]);
        let paths: Vec<&str> = written
            .files
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "aws/ecr/README.md",
                "aws/ecr/rule.docker-hub.json",
                "aws/ecr/template.docker-hub.json",
                "aws/ecr/rule.quay.json",
                "aws/ecr/template.quay.json",
                "aws/ecr/node-policy.json",
            ]
        );
        assert_eq!(
            json_of(&written, "rule.docker-hub.json"),
            json!({
                "ecrRepositoryPrefix": "docker-hub",
                "upstreamRegistry": "docker-hub",
                "upstreamRegistryUrl": "registry-1.docker.io",
                "credentialArn": "${DOCKER_HUB_SECRET_ARN}",
            })
        );
        let quay = json_of(&written, "rule.quay.json");
        assert!(quay["credentialArn"].is_null(), "{quay}");
        let policy = json_of(&written, "node-policy.json");
        assert_eq!(
            policy["Statement"][0]["Resource"],
            json!([
                "arn:aws:ecr:${AWS_REGION}:${AWS_ACCOUNT}:repository/docker-hub/*",
                "arn:aws:ecr:${AWS_REGION}:${AWS_ACCOUNT}:repository/quay/*",
            ])
        );
        assert_eq!(
            names_of(&written),
            [
                "AWS_ACCOUNT",
                "AWS_REGION",
                "DOCKER_HUB_SECRET_ARN",
                "NODE_ROLE"
            ]
        );
    }

    #[test]
    fn the_readme_has_the_keys_of_the_profile() {
        let written = rendered(
            &json!({"cluster": {"eks": "c", "region": "us-east-1"}}),
            Form::Documents,
            &[("AWS_ACCOUNT", "111122223333"), ("NODE_ROLE", "nodes")],
        );
        let readme = text(&written, "README.md");
        for line in [
            "    docker.io: 111122223333.dkr.ecr.us-east-1.amazonaws.com/docker-hub\n",
            "    quay.io: 111122223333.dkr.ecr.us-east-1.amazonaws.com/quay\n",
            "aws ecr create-pull-through-cache-rule --region us-east-1 --cli-input-json file://rule.quay.json\n",
            "aws iam put-role-policy --role-name nodes --policy-name arcctl-pull-through ",
            "`ecr-pullthroughcache/`",
        ] {
            assert!(readme.contains(line), "{line}: {readme}");
        }
        assert_eq!(names_of(&written), ["DOCKER_HUB_SECRET_ARN"]);
        assert!(!readme.contains("Not pulled through"), "{readme}");
    }

    #[test]
    fn images_without_a_rule_are_named() {
        let pool =
            json!({"name": "a", "image": "registry.example.com/runner:1", "min": 0, "max": 1});
        let written = rendered(&json!({"pools": [pool]}), Form::Documents, &[]);
        let readme = text(&written, "README.md");
        let said = "Not pulled through, since arcctl knows no rule for their registries: `registry.example.com/runner:1`.";
        assert!(readme.contains(said), "{readme}");
    }

    #[test]
    fn the_module_has_the_same_with_variables() {
        let written = rendered(&json!({}), Form::Terraform, &[]);
        let module = json_of(&written, "main.tf.json");
        let rules = &module["resource"]["aws_ecr_pull_through_cache_rule"];
        assert_eq!(
            rules["docker_hub"],
            json!({
                "region": "${var.aws_region}",
                "ecr_repository_prefix": "docker-hub",
                "upstream_registry_url": "registry-1.docker.io",
                "credential_arn": "${var.docker_hub_secret_arn}",
            })
        );
        assert!(rules["quay"]["credential_arn"].is_null(), "{rules}");
        let templates = &module["resource"]["aws_ecr_repository_creation_template"];
        assert_eq!(
            templates["quay"]["applied_for"],
            json!(["PULL_THROUGH_CACHE"])
        );
        let policy = &module["resource"]["aws_iam_role_policy"]["pull_through"];
        assert_eq!(policy["role"], "${var.node_role}");
        for variable in [
            "aws_account",
            "aws_region",
            "docker_hub_secret_arn",
            "node_role",
        ] {
            let described = &module["variable"][variable]["description"];
            assert!(described.is_string(), "{variable}: {module}");
        }
        assert_eq!(module["provider"]["aws"]["region"], "${var.aws_region}");
        assert!(text(&written, "README.md").contains("terraform apply"));
    }
}
