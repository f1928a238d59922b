//! ARNs: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`. Pure: no I/O.

/// The parts of an ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`…
    pub partition: &'a str,
    /// `iam`, `eks`…
    pub service: &'a str,
    /// Empty if the service is global.
    pub region: &'a str,
    /// The account; `aws` for resources that AWS owns.
    pub account: &'a str,
    /// The rest: `role/PATH/NAME`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Parses an ARN.
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = *parts.as_slice() else {
            return None;
        };
        (partition.starts_with("aws") && !resource.is_empty()).then_some(Self {
            partition,
            service,
            region,
            account,
            resource,
        })
    }

    /// The resource without its type, if it has that type: `role/a/b` of type `role` is `a/b`.
    pub fn of_type(&self, kind: &str) -> Option<&'a str> {
        let rest = self.resource.strip_prefix(kind)?.strip_prefix('/')?;
        (!rest.is_empty()).then_some(rest)
    }

    /// The last part of the resource: the name of a role or a user.
    pub fn name(&self) -> &'a str {
        self.resource.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the account has the form of an account id.
    pub fn has_account(&self) -> bool {
        self.account.len() == 12 && self.account.bytes().all(|byte| byte.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_taken_apart() {
        let arn = Arn::parse("arn:aws-cn:iam::111122223333:role/a/b/name").unwrap();
        assert_eq!((arn.partition, arn.account), ("aws-cn", "111122223333"));
        assert_eq!(
            (arn.of_type("role"), arn.name()),
            (Some("a/b/name"), "name")
        );
        assert_eq!(arn.of_type("policy"), None);
        assert!(arn.has_account());
        for text in [
            "",
            "role",
            "arn:aws:iam",
            "arn:gcp:iam::1:role/a",
            "arn:aws:iam::1:",
        ] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
