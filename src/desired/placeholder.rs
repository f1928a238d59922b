//! Named placeholders for unknown facts (`render`, `plan --offline`). Pure: no I/O.

use std::collections::BTreeSet;

use serde_json::Value;

use super::resource::Resource;

/// A fact that may be unknown when rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placeholder {
    /// The name between `${` and `}`.
    pub name: &'static str,
    /// What to replace it with.
    pub meaning: &'static str,
}

/// The resourceVersion of the controller's Secret.
pub const SECRET_VERSION: Placeholder = Placeholder {
    name: "SECRET_VERSION",
    meaning: "the resourceVersion of the Secret `controller-manager` in `actions-runner-system`",
};
/// The certificates of `github.caBundle`.
pub const CA_BUNDLE: Placeholder = Placeholder {
    name: "CA_BUNDLE",
    meaning: "the contents of the file `github.caBundle`, PEM",
};
/// Their digest.
pub const CA_BUNDLE_SHA256: Placeholder = Placeholder {
    name: "CA_BUNDLE_SHA256",
    meaning: "the SHA-256 of the file `github.caBundle`, in hex",
};
/// The role of the runners.
pub const ROLE_ARN: Placeholder = Placeholder {
    name: "ROLE_ARN",
    meaning: "the ARN of the role `aws.irsa.role`",
};

/// The account of the cluster.
pub const AWS_ACCOUNT: Placeholder = Placeholder {
    name: "AWS_ACCOUNT",
    meaning: "the id of the AWS account that the cluster is in",
};
/// Its region, for rules of a registry.
pub const AWS_REGION: Placeholder = Placeholder {
    name: "AWS_REGION",
    meaning: "the region of the private registry of Amazon ECR that the nodes pull from",
};
/// A login at Docker Hub, for a pull-through rule.
pub const DOCKER_HUB_SECRET_ARN: Placeholder = Placeholder {
    name: "DOCKER_HUB_SECRET_ARN",
    meaning: "the ARN of a secret in Secrets Manager with a login of Docker Hub; its name begins with `ecr-pullthroughcache/`",
};
/// A login at GitHub's registry, for a pull-through rule.
pub const GHCR_SECRET_ARN: Placeholder = Placeholder {
    name: "GHCR_SECRET_ARN",
    meaning: "the ARN of a secret in Secrets Manager with a login of ghcr.io; its name begins with `ecr-pullthroughcache/`",
};
/// The role of the nodes, for a pull-through rule.
pub const NODE_ROLE: Placeholder = Placeholder {
    name: "NODE_ROLE",
    meaning: "the name of the IAM role of the worker nodes",
};
/// The issuer of its service accounts' tokens.
pub const OIDC_ISSUER: Placeholder = Placeholder {
    name: "OIDC_ISSUER",
    meaning: "the cluster's OIDC issuer without `https://`: `aws eks describe-cluster --name NAME --query cluster.identity.oidc.issuer`",
};
/// The `Sid` of arcctl's statements.
pub const STATEMENT_ID: Placeholder = Placeholder {
    name: "STATEMENT_ID",
    meaning: "the `Sid` of arcctl's statements: letters and digits, of your choice where you apply them by hand",
};
/// The security group of the control plane.
pub const CLUSTER_SECURITY_GROUP: Placeholder = Placeholder {
    name: "CLUSTER_SECURITY_GROUP",
    meaning: "the security group that EKS made for the cluster",
};
/// The security group of the nodes.
pub const NODE_SECURITY_GROUP: Placeholder = Placeholder {
    name: "NODE_SECURITY_GROUP",
    meaning: "the security group of the worker nodes",
};

/// The image of the job that verifies after a sync.
pub const ARCCTL_IMAGE: Placeholder = Placeholder {
    name: "ARCCTL_IMAGE",
    meaning: "a container image with arcctl, for the job that verifies after a sync: `--verify-image`",
};
/// Where the files are in the git repository.
pub const REPOSITORY_PATH: Placeholder = Placeholder {
    name: "REPOSITORY_PATH",
    meaning: "the path of this folder in the git repository: `--path`",
};
/// The git repository.
pub const REPOSITORY_URL: Placeholder = Placeholder {
    name: "REPOSITORY_URL",
    meaning: "the URL of the git repository that this folder is committed to: `--repository`",
};
/// The credential in a store.
pub const SECRET_KEY: Placeholder = Placeholder {
    name: "SECRET_KEY",
    meaning: "the name of the credential in the store of External Secrets Operator",
};
/// The store of External Secrets Operator.
pub const SECRET_STORE: Placeholder = Placeholder {
    name: "SECRET_STORE",
    meaning: "the ClusterSecretStore of External Secrets Operator: `--secret-store`",
};

/// All placeholders. Other text such as `${HOME}` belongs to the user.
const ALL: [Placeholder; 18] = [
    ARCCTL_IMAGE,
    AWS_ACCOUNT,
    AWS_REGION,
    CA_BUNDLE,
    CA_BUNDLE_SHA256,
    CLUSTER_SECURITY_GROUP,
    DOCKER_HUB_SECRET_ARN,
    GHCR_SECRET_ARN,
    NODE_ROLE,
    NODE_SECURITY_GROUP,
    OIDC_ISSUER,
    REPOSITORY_PATH,
    REPOSITORY_URL,
    ROLE_ARN,
    SECRET_KEY,
    SECRET_STORE,
    SECRET_VERSION,
    STATEMENT_ID,
];

impl Placeholder {
    /// The placeholder's text.
    pub fn text(self) -> String {
        format!("${{{}}}", self.name)
    }

    /// The fact if it is known, else the placeholder.
    pub fn or(self, fact: Option<&str>) -> String {
        fact.map_or_else(|| self.text(), str::to_owned)
    }
}

/// The names of all placeholders.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|it| it.name)
}

/// The placeholders in `value`, keys included.
pub fn find(value: &Value) -> BTreeSet<Placeholder> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

/// The placeholders in the manifests and values of `desired`.
pub fn needed(desired: &[super::Desired]) -> BTreeSet<Placeholder> {
    desired
        .iter()
        .flat_map(|it| match &it.resource {
            Resource::Object(object) => find(&object.manifest),
            Resource::Release(release) => find(&release.values),
            Resource::Aws(aws) => aws.values().iter().flat_map(find).collect(),
            _ => BTreeSet::new(),
        })
        .collect()
}

fn collect(value: &Value, found: &mut BTreeSet<Placeholder>) {
    let mut text = |text: &str| {
        found.extend(
            ALL.iter()
                .filter(|placeholder| text.contains(&placeholder.text())),
        );
    };
    match value {
        Value::String(string) => text(string),
        Value::Array(list) => list.iter().for_each(|entry| collect(entry, found)),
        Value::Object(map) => {
            for (key, entry) in map {
                collect(&Value::String(key.clone()), found);
                collect(entry, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_foreign_dollar_is_no_placeholder() {
        let value = json!({"a": "${HOME}", "b": ["$SECRET_VERSION", "${SECRET_VERSION", 1, null]});
        assert!(find(&value).is_empty());
    }

    #[test]
    fn placeholders_are_found_at_any_depth() {
        let value = json!({"a": [{"b": "x ${ROLE_ARN} y"}], "${SECRET_VERSION}": true});
        let names: Vec<_> = find(&value)
            .into_iter()
            .map(|placeholder| placeholder.name)
            .collect();
        assert_eq!(names, ["ROLE_ARN", "SECRET_VERSION"]);
    }

    #[test]
    fn a_known_fact_takes_its_place() {
        assert_eq!(SECRET_VERSION.or(Some("42")), "42");
        assert_eq!(SECRET_VERSION.or(None), "${SECRET_VERSION}");
    }
}
