//! The README beside the pull-through rules. Pure: no I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{Form, POLICY, or_known, rule_file, template_file};
use crate::{
    desired::{
        names, placeholder,
        pull_through::{PullThrough, Rule},
    },
    profile::Profile,
    units::pull_through::SECRET_PREFIX,
};

/// What the rules are, how they are made, and what to write into the profile.
pub(super) fn readme(
    profile: &Profile,
    found: &PullThrough,
    form: Form,
    known: &BTreeMap<String, String>,
) -> String {
    let rules = &found.rules;
    let mut text = format!(
        "# Pull-through rules of the profile `{}`\n\n\
         With a rule Amazon ECR fetches an image from its registry when a node pulls it for the first time, and keeps it: the\n\
         nodes reach only ECR. No file here has a credential.\n\n\
         | registry | prefix | login | what comes from it |\n|---|---|---|---|\n",
        profile.name
    );
    for rule in rules {
        let (host, prefix) = (rule.upstream.host, &rule.prefix);
        let login = rule.secret().map_or_else(
            || "none".to_owned(),
            |it| format!("`{}`", or_known(it, known)),
        );
        let charts = rule.charts.iter();
        let charts = charts.map(|it| format!("the chart `{}`", it.name));
        let images = rule.images.iter().map(|it| format!("`{it}`"));
        let all: Vec<String> = images.chain(charts).collect();
        // Writing to a String cannot fail.
        let _ignored = writeln!(
            text,
            "| `{host}` | `{prefix}` | {login} | {} |",
            all.join(", ")
        );
    }
    if !found.others.is_empty() {
        let others: Vec<String> = found.others.iter().map(|it| format!("`{it}`")).collect();
        let _ignored = write!(
            text,
            "\nNot pulled through, since arcctl knows no rule for their registries: {}.\n",
            others.join(", ")
        );
    }
    text.push_str(&logins(rules));
    text.push_str(&steps(rules, form, known));
    text.push_str(&of_profile(rules));
    let missing = placeholder::find(&text.as_str().into());
    if !missing.is_empty() {
        text.push_str("\n## Placeholders\n\n");
        for it in missing {
            let _ignored = writeln!(text, "- `{}`: {}", it.text(), it.meaning);
        }
    }
    text
}

fn logins(rules: &[Rule]) -> String {
    let with_login = rules.iter().filter(|it| it.upstream.needs_login);
    let hosts: Vec<String> = with_login
        .map(|it| format!("`{}`", it.upstream.host))
        .collect();
    if hosts.is_empty() {
        return String::new();
    }
    format!(
        "\n## The logins\n\n\
         ECR has no rule without a login for {}. It reads it from Secrets Manager: a secret in the same account and region,\n\
         whose name begins with `{SECRET_PREFIX}`, encrypted with the default key `aws/secretsmanager`, with the keys\n\
         `username` and `accessToken`.\n",
        hosts.join(" and ")
    )
}

/// How the rules are made.
fn steps(rules: &[Rule], form: Form, known: &BTreeMap<String, String>) -> String {
    let role = or_known(placeholder::NODE_ROLE, known);
    let mut text = "\n## The rules\n\n```sh\n".to_owned();
    match form {
        Form::Documents => {
            for rule in rules {
                let region = &rule.region;
                for (command, file) in [
                    ("create-repository-creation-template", template_file(rule)),
                    ("create-pull-through-cache-rule", rule_file(rule)),
                ] {
                    let _ignored = writeln!(
                        text,
                        "aws ecr {command} --region {region} --cli-input-json file://{file}"
                    );
                }
            }
            let _ignored = writeln!(
                text,
                "aws iam put-role-policy --role-name {role} --policy-name {POLICY} --policy-document file://node-policy.json"
            );
        }
        Form::Terraform => text.push_str("terraform init\nterraform apply\n"),
    }
    let _ignored = write!(
        text,
        "```\n\n\
         The role `{role}` gets `ecr:CreateRepository` and `ecr:BatchImportUpstreamImage` for these repositories. To pull at\n\
         all it needs `AmazonEC2ContainerRegistryPullOnly` or `AmazonEC2ContainerRegistryReadOnly`, as the nodes of EKS have.\n"
    );
    text
}

/// The keys of the profile.
fn of_profile(rules: &[Rule]) -> String {
    let mut text =
        "\n## The profile\n\nIn place of `images.registry`:\n\n```yaml\nimages:\n  registries:\n"
            .to_owned();
    for rule in rules {
        let _ignored = writeln!(text, "    {}: {}", rule.upstream.host, rule.address());
    }
    text.push_str("```\n");
    let charts: BTreeMap<&str, String> = rules
        .iter()
        .flat_map(|rule| rule.charts.iter().map(move |it| (rule, it)))
        .map(|(rule, it)| (key_of(&it.name), rule.chart_location(it)))
        .collect();
    if !charts.is_empty() {
        text.push_str("\nCharts are fetched by arcctl, not by the nodes. ECR's guide does not name them; if `helm pull` gets one\nthrough the rule, write\n\n```yaml\ncharts:\n");
        for (key, location) in charts {
            let _ignored = writeln!(text, "  {key}: {location}");
        }
        text.push_str("```\n");
    }
    let hosts: BTreeSet<(String, &str)> = rules
        .iter()
        .map(|it| (it.host(), it.region.as_str()))
        .collect();
    text.push_str(
        "\nThen `arcctl plan`. `arcctl lock`, and `up` beside a lock, read the registry too: sign in before,\n\n```sh\n",
    );
    for (host, region) in hosts {
        let _ignored = writeln!(
            text,
            "aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {host}"
        );
    }
    text.push_str("```\n");
    text
}

/// The key of `charts` with the place of a chart.
fn key_of(chart: &str) -> &'static str {
    match chart {
        names::CERT_MANAGER => "certManager",
        names::CONTROLLER => "controller",
        _ => "scaleSets",
    }
}
