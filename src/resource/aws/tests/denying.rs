//! A fake AWS that denies one operation, with each service's error format, and answers the others.

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
};
use serde_json::{Value, json};

use crate::clients::aws::wire::operation;

/// The tag of arcctl's resources.
pub(super) const OURS: &str =
    "<member><Key>arcctl.dev/sid</Key><Value>Arcctl0000000000000000</Value></member>";

/// The state at AWS.
#[derive(Clone, Debug, Default)]
pub(super) struct There {
    /// The role: its trust policy, and its other fields.
    pub(super) role: Option<(Value, &'static str)>,
    /// The managed policies attached to it.
    pub(super) attached: &'static str,
    /// The clients of the provider, and its tags.
    pub(super) provider: Option<(&'static str, &'static str)>,
    /// The policy in the role, and that of the bucket.
    pub(super) policy: Option<Value>,
    /// The rules of the security group.
    pub(super) rules: String,
    /// The role that the association gives.
    pub(super) association: Option<&'static str>,
}

/// A fake AWS that denies one operation.
#[derive(Clone, Debug)]
pub(super) struct Denying {
    pub(super) operation: String,
    pub(super) there: There,
}

const NOTHING: &str =
    "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no</Message></Error></ErrorResponse>";

impl Denying {
    fn answer(&self, operation: &str) -> (u16, String) {
        let there = &self.there;
        let whole = |result: &str| {
            let text = format!(
                "<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"
            );
            (200, text)
        };
        let none = || (404, NOTHING.to_owned());
        match operation {
            "GetRole" => there.role.as_ref().map_or_else(none, |(trust, more)| {
                whole(&format!(
                    "<Role><Path>/</Path><RoleName>r</RoleName><RoleId>AROA</RoleId><Arn>arn:aws:iam::111122223333:role/r</Arn>\
                     <CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument>{more}</Role>",
                    escaped(trust)
                ))
            }),
            "ListAttachedRolePolicies" => whole(&format!("<AttachedPolicies>{}</AttachedPolicies><IsTruncated>false</IsTruncated>", there.attached)),
            "GetOpenIDConnectProvider" => there.provider.map_or_else(none, |(clients, tags)| {
                whole(&format!("<ClientIDList>{clients}</ClientIDList><Tags>{tags}</Tags>"))
            }),
            "GetPolicy" => whole("<Policy><PolicyName>x</PolicyName></Policy>"),
            "DescribeSecurityGroups" => (200, "<DescribeSecurityGroupsResponse><securityGroupInfo/></DescribeSecurityGroupsResponse>".into()),
            "GetManagedPrefixListEntries" => (200, "<GetManagedPrefixListEntriesResponse><entrySet/></GetManagedPrefixListEntriesResponse>".into()),
            "DescribeNetworkInterfaces" => (200, "<DescribeNetworkInterfacesResponse><networkInterfaceSet/></DescribeNetworkInterfacesResponse>".into()),
            // A raised quota of the account.
            "GetAccountSummary" => whole("<SummaryMap><entry><key>AssumeRolePolicySizeQuota</key><value>4096</value></entry></SummaryMap>"),
            "ListRolePolicies" => whole("<PolicyNames/><IsTruncated>false</IsTruncated>"),
            "ListInstanceProfilesForRole" => whole("<InstanceProfiles/><IsTruncated>false</IsTruncated>"),
            "ListRoles" => whole("<Roles/><IsTruncated>false</IsTruncated>"),
            "GetRolePolicy" => there.policy.as_ref().map_or_else(none, |policy| {
                whole(&format!("<RoleName>r</RoleName><PolicyName>p</PolicyName><PolicyDocument>{}</PolicyDocument>", escaped(policy)))
            }),
            "GetBucketPolicy" => (200, there.policy.as_ref().map(Value::to_string).unwrap_or_default()),
            "DescribeSecurityGroupRules" => (200, format!("<DescribeSecurityGroupRulesResponse><securityGroupRuleSet>{}</securityGroupRuleSet></DescribeSecurityGroupRulesResponse>", there.rules)),
            "ListPodIdentityAssociations" => {
                let found = there.association.map(|_| json!({"associationId": "a-1"}));
                (200, json!({"associations": found.into_iter().collect::<Vec<_>>()}).to_string())
            }
            "DescribePodIdentityAssociation" => (200, json!({"association": {
                "associationId": "a-1", "roleArn": there.association, "tags": {"arcctl.dev/sid": "Arcctl0000000000000000"},
            }}).to_string()),
            _ => whole(""),
        }
    }

    /// In the error format of the service: EC2, IAM, S3, and JSON services.
    fn denied(&self) -> (&'static str, String) {
        let message = format!(
            "User: arn:aws:iam::111122223333:user/me is not authorized to perform: {}",
            self.operation
        );
        let xml =
            |code: &str| format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        match self.operation.as_str() {
            it if ["SecurityGroup", "PrefixList", "NetworkInterface"]
                .iter()
                .any(|part| it.contains(part)) =>
            {
                (
                    "",
                    format!(
                        "<Response><Errors>{}</Errors></Response>",
                        xml("UnauthorizedOperation")
                    ),
                )
            }
            it if it.ends_with("BucketPolicy") => ("", xml("AccessDenied")),
            it if it.contains("PodIdentity")
                || it == "DescribeCluster"
                || it == "GetSecretValue"
                || it == "GetParameter" =>
            {
                (
                    "AccessDeniedException",
                    json!({"message": message}).to_string(),
                )
            }
            _ => (
                "",
                format!("<ErrorResponse>{}</ErrorResponse>", xml("AccessDenied")),
            ),
        }
    }
}

fn escaped(document: &Value) -> String {
    document
        .to_string()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}

impl HttpConnector for Denying {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let response = if operation == self.operation {
            let (kind, text) = self.denied();
            let mut response = HttpResponse::new(403.try_into().unwrap(), text.into());
            if !kind.is_empty() {
                response.headers_mut().insert("x-amzn-errortype", kind);
            }
            response
        } else {
            let (status, text) = self.answer(&operation);
            HttpResponse::new(status.try_into().unwrap(), text.into())
        };
        HttpConnectorFuture::ready(Ok(response))
    }
}
