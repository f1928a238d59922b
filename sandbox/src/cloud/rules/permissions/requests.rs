//! The permissions that a call needs: actions, resources, and condition keys.
//!
//! Source: service authorization reference of IAM, EC2, EKS, S3, SSM and Secrets Manager.

use serde_json::Value;

use super::condition::Context;
use crate::cloud::rules::call::Call;
use crate::cloud::{
    ACCOUNT,
    api::{Api, text, texts},
};
use crate::moto::REGION;

/// One thing that must be allowed.
#[derive(Clone, Debug, Default)]
pub(in crate::cloud::rules) struct Request {
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) context: Context,
}

impl Request {
    fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            context: Context::new(),
        }
    }

    fn with(mut self, key: &str, values: impl IntoIterator<Item = String>) -> Self {
        let values: Vec<String> = values.into_iter().collect();
        if !values.is_empty() {
            self.context.insert(key.to_lowercase(), values);
        }
        self
    }

    /// The tags that the call gives.
    fn with_tags(mut self, tags: &[(String, String)]) -> Self {
        for (key, value) in tags {
            self = self.with(&format!("aws:RequestTag/{key}"), [value.clone()]);
        }
        self.with("aws:TagKeys", tags.iter().map(|(key, _)| key.clone()))
    }
}

impl Request {
    /// The tags of what is there, as IAM's answer `live` has them.
    fn on_tagged(mut self, live: Option<&str>) -> Self {
        let tags = live
            .into_iter()
            .flat_map(|it| texts(it, "Key").zip(texts(it, "Value")));
        for (key, value) in tags.collect::<Vec<_>>() {
            self = self.with(&format!("aws:ResourceTag/{key}"), [value.clone()]);
            self = self.with(&format!("iam:ResourceTag/{key}"), [value]);
        }
        self
    }
}

/// Everything that a call asks to be allowed.
pub(in crate::cloud::rules) async fn requests(
    call: &Call,
    moto: &Api,
    tags_of_association: &Value,
) -> Vec<Request> {
    let action = format!("{}:{}", call.service, call.action);
    match call.service.as_str() {
        "iam" => iam(call, &action, moto).await,
        "ec2" => ec2(call, &action, moto).await,
        "eks" => eks(call, &action, tags_of_association),
        "s3" => {
            let bucket = call.bucket().unwrap_or_default();
            vec![Request::new(action, format!("arn:aws:s3:::{bucket}"))]
        }
        "ssm" => {
            let name = body(call, "Name");
            let resource = format!("parameter/{}", name.trim_start_matches('/'));
            vec![Request::new(action, arn("ssm", &resource))]
        }
        "secretsmanager" => {
            let id = body(call, "SecretId");
            // The name of a secret ends with six characters of AWS's own in its ARN.
            let name = arn("secretsmanager", &format!("secret:{id}-AbCdEf"));
            let resource = if id.starts_with("arn:") { id } else { name };
            vec![Request::new(action, resource)]
        }
        // Asking who one is takes no permission.
        _ => Vec::new(),
    }
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

fn body(call: &Call, key: &str) -> String {
    let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
    body[key].as_str().unwrap_or_default().to_owned()
}

/// The pairs of a list of tags in a form.
fn tags(call: &Call, list: &str) -> Vec<(String, String)> {
    let keys = call
        .arguments
        .iter()
        .filter(|(name, _)| name.starts_with(list) && name.ends_with(".Key"));
    keys.map(|(name, key)| {
        let value = name.replace(".Key", ".Value");
        let value = call.argument(&value).unwrap_or_default();
        (key.clone(), value.to_owned())
    })
    .collect()
}

async fn iam(call: &Call, action: &str, moto: &Api) -> Vec<Request> {
    let given = tags(call, "Tags.member.");
    if let Some(provider) = call.argument("OpenIDConnectProviderArn") {
        let request = Request::new(action, provider).with_tags(&given);
        let named = [("OpenIDConnectProviderArn", provider)];
        let live = moto.iam("GetOpenIDConnectProvider", &named).await.ok();
        return vec![request.on_tagged(live.as_deref())];
    }
    if let Some(url) = call.argument("Url") {
        let url = url.trim_start_matches("https://");
        let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{url}");
        return vec![
            Request::new(action, &provider).with_tags(&given),
            Request::new("iam:TagOpenIDConnectProvider", provider).with_tags(&given),
        ];
    }
    let Some(role) = call.argument("RoleName") else {
        let policy = call
            .argument("PolicyArn")
            .filter(|_| call.action == "GetPolicy");
        return vec![Request::new(action, policy.unwrap_or("*"))];
    };
    let live = moto.iam("GetRole", &[("RoleName", role)]).await.ok();
    let path = call.argument("Path").unwrap_or("/");
    let made = format!("arn:aws:iam::{ACCOUNT}:role{path}{role}");
    let name = live.as_deref().and_then(|it| text(it, "Arn").ok());
    let boundary = call.argument("PermissionsBoundary").map(str::to_owned);
    // Of a role that is to be made, what is asked for counts, whatever there is of that name.
    let there = live.as_deref().filter(|_| call.action != "CreateRole");
    let boundary = boundary.or_else(|| text(there?, "PermissionsBoundaryArn").ok());
    let mut request = Request::new(action, name.unwrap_or(made))
        .with_tags(&given)
        .with("aws:TagKeys", listed(call, "TagKeys.member."))
        .with("iam:PermissionsBoundary", boundary)
        .with(
            "iam:PolicyARN",
            call.argument("PolicyArn").map(str::to_owned),
        );
    if !given.is_empty() && call.action == "TagRole" {
        request = request.with("aws:TagKeys", given.iter().map(|(key, _)| key.clone()));
    }
    for (key, value) in live
        .iter()
        .flat_map(|it| texts(it, "Key").zip(texts(it, "Value")))
    {
        request = request.with(&format!("aws:ResourceTag/{key}"), [value.clone()]);
        request = request.with(&format!("iam:ResourceTag/{key}"), [value]);
    }
    if call.action == "CreateRole" && !given.is_empty() {
        let tagging = Request::new("iam:TagRole", &request.resource).with_tags(&given);
        return vec![request, tagging];
    }
    vec![request]
}

fn listed(call: &Call, list: &str) -> Vec<String> {
    let found = call
        .arguments
        .iter()
        .filter(|(name, _)| name.starts_with(list));
    found.map(|(_, value)| value.clone()).collect()
}

async fn ec2(call: &Call, action: &str, moto: &Api) -> Vec<Request> {
    let group = call
        .argument("GroupId")
        .map(|it| arn("ec2", &format!("security-group/{it}")));
    if let Some(list) = call
        .argument("PrefixListId")
        .filter(|_| call.action.starts_with("Get"))
    {
        return vec![Request::new(
            action,
            arn("ec2", &format!("prefix-list/{list}")),
        )];
    }
    let Some(group) = group.filter(|_| !call.action.starts_with("Describe")) else {
        return vec![Request::new(action, "*")];
    };
    let mut found = vec![Request::new(action, group)];
    let any = arn("ec2", "security-group-rule/*");
    let given = tags(call, "TagSpecification.");
    if call.action.starts_with("Authorize") {
        found.push(Request::new(action, &any).with_tags(&given));
        if !given.is_empty() {
            let tagging = Request::new("ec2:CreateTags", any).with_tags(&given);
            found.push(tagging.with("ec2:CreateAction", [call.action.clone()]));
        }
    }
    for id in listed(call, "SecurityGroupRuleId.") {
        let mut request = Request::new(action, arn("ec2", &format!("security-group-rule/{id}")));
        let answer = moto
            .ec2(
                "DescribeSecurityGroupRules",
                &[("SecurityGroupRuleId.1", &id)],
            )
            .await
            .unwrap_or_default();
        for (key, value) in texts(&answer, "key").zip(texts(&answer, "value")) {
            request = request.with(&format!("aws:ResourceTag/{key}"), [value]);
        }
        found.push(request);
    }
    found
}

fn eks(call: &Call, action: &str, tags: &Value) -> Vec<Request> {
    let mut parts = call.path.trim_start_matches('/').split('/').skip(1);
    let cluster = parts.next().unwrap_or_default();
    let id = parts.nth(1).filter(|it| !it.is_empty());
    let of_cluster = arn("eks", &format!("cluster/{cluster}"));
    let association = |id: &str| arn("eks", &format!("podidentityassociation/{cluster}/{id}"));
    let mut request = Request::new(action, id.map_or(of_cluster, association));
    for (key, value) in tags.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().to_owned();
        request = request.with(&format!("aws:ResourceTag/{key}"), [value]);
    }
    let mut found = vec![request];
    let given: Value = serde_json::from_str(&call.body).unwrap_or_default();
    if let Some(tags) = given["tags"]
        .as_object()
        .filter(|_| call.action == "CreatePodIdentityAssociation")
    {
        let tags: Vec<(String, String)> = tags
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        found.push(Request::new("eks:TagResource", association("*")).with_tags(&tags));
    }
    if let Some(role) = given["roleArn"].as_str() {
        let passing = Request::new("iam:PassRole", role);
        let to = ["pods.eks.amazonaws.com".to_owned()];
        found.push(passing.with("iam:PassedToService", to));
    }
    found
}
