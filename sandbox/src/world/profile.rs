//! The profile for first steps and for tests: the reference profile with the sandbox's addresses. Pure: no I/O.

use crate::cloud::{BUCKET, CLUSTER};
use crate::moto::REGION;

const TEMPLATE: &str = include_str!("../../profile.yaml");

/// The profile's text, for the GitHub and the chart repository at these URLs.
pub(super) fn text(github: &str, charts: &str) -> String {
    TEMPLATE
        .replace("@GITHUB@", github)
        .replace("@CHARTS@", charts)
}

/// The same profile for github.com, which a profile does not name.
pub(super) fn at_github_com(text: &str) -> String {
    text.split_inclusive('\n')
        .filter(|line| !line.starts_with("  url: "))
        .collect()
}

/// The same profile for the cluster as EKS knows it.
pub(super) fn through_eks(text: &str) -> String {
    let context = format!("  context: {}\n", crate::control_plane::CONTEXT);
    let eks = format!("  eks: {CLUSTER}\n  region: {REGION}\n");
    text.replace(&context, &eks)
}

/// The same with what the runners use of AWS: a role, a bucket, and the way to the GitHub server, whose security group is
/// `server`.
pub(super) fn with_aws(text: &str, server: &str) -> String {
    let aws = format!(
        "aws:\n  irsa:\n    role: actions-runner-role\n    serviceAccount: actions-runner-role\n    \
         buckets:\n      - {{name: {BUCKET}, access: readWrite, apply: true}}\n  \
         githubServer: {{securityGroup: {server}}}\n\npools:\n"
    );
    through_eks(text).replace("\npools:\n", &format!("\n{aws}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn github_com_has_no_address() {
        let text = at_github_com(&text("http://127.0.0.1:1", "http://127.0.0.1:2/"));
        let profile: Value = serde_saphyr::from_str(&text).unwrap();
        assert!(profile["github"]["url"].is_null() && profile["github"]["token"].is_object());
    }

    #[test]
    fn eks_takes_the_place_of_the_context() {
        let text = through_eks(&text("http://127.0.0.1:1", "http://127.0.0.1:2/"));
        let profile: Value = serde_saphyr::from_str(&text).unwrap();
        let cluster = serde_json::json!({"eks": CLUSTER, "region": REGION});
        assert_eq!(profile["cluster"], cluster);
    }

    #[test]
    fn aws_comes_beside_eks() {
        let text = with_aws(&text("http://127.0.0.1:1", "http://127.0.0.1:2/"), "sg-1");
        let profile: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(profile["cluster"]["eks"], CLUSTER);
        assert_eq!(profile["aws"]["githubServer"]["securityGroup"], "sg-1");
        assert_eq!(profile["aws"]["irsa"]["buckets"][0]["name"], BUCKET);
        assert!(profile["pools"].is_array());
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        let charts = "http://127.0.0.1:2/";
        let github = "http://127.0.0.1:1";
        let text = text(github, charts);
        let profile: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(profile["github"]["url"], github);
        assert_eq!(profile["charts"]["controller"], charts);
        assert_eq!(profile["cluster"]["context"], crate::control_plane::CONTEXT);
        assert_eq!(profile.get("aws"), None);
        let placeholders = text
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains('@'));
        assert_eq!(placeholders.count(), 0);
    }
}
