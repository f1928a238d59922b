//! Reads secret values from AWS Secrets Manager and SSM Parameter Store.

use aws_config::Region;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_ssm::{operation::get_parameter::GetParameterError, types::ParameterType};

use super::{Aws, error::Asked};
use crate::{
    error::{Error, ErrorKind, Result, System},
    secret::Secret,
};

/// A value, and advice on how it is stored.
pub struct Stored {
    /// The value, and whether it had leading or trailing white space.
    pub value: (Secret, bool),
    /// Advice, one sentence.
    pub advice: Option<String>,
}

impl Aws {
    /// The current value of the secret `name` (or its ARN, which contains its region).
    pub async fn secret(&self, name: &str) -> Result<Stored> {
        let what = format!("read secret `{name}` of Secrets Manager");
        let asked = Asked {
            what: &what,
            action: "secretsmanager:GetSecretValue",
            resource: name,
        };
        let mut change = aws_sdk_secretsmanager::config::Config::builder();
        // `None` would clear the region that is already set.
        if let Some(region) = region_of(name) {
            change.set_region(Some(region));
        }
        let call = self.secrets_manager().get_secret_value().secret_id(name);
        let answer = call.customize().config_override(change).send().await;
        let answer = answer.map_err(|error| {
            let absent = error
                .as_service_error()
                .is_some_and(GetSecretValueError::is_resource_not_found_exception);
            if absent {
                return self.absent(&what, name, "secretsmanager list-secrets");
            }
            asked.failed(&error)
        })?;
        let text = match (answer.secret_string, answer.secret_binary) {
            (Some(text), _) => Some(text),
            (None, Some(bytes)) => String::from_utf8(bytes.into_inner()).ok(),
            (None, None) => None,
        };
        let text = text.ok_or_else(|| {
            unfit(&what, name, "its value is not text").hint("store only the value, as plain text")
        })?;
        // Key/value pairs, as the console names them. No token or key begins with `{`.
        if text.trim_start().starts_with('{') {
            return Err(unfit(&what, name, "its value is a JSON object")
                .hint("store only the value, as plain text, not as key/value pairs"));
        }
        Ok(Stored {
            value: Secret::trimmed(&text),
            advice: None,
        })
    }

    /// The decrypted value of the parameter `name` (or its ARN, which contains its region).
    pub async fn parameter(&self, name: &str) -> Result<Stored> {
        let what = format!("read parameter `{name}` of SSM");
        let asked = Asked {
            what: &what,
            action: "ssm:GetParameter",
            resource: name,
        };
        let mut change = aws_sdk_ssm::config::Config::builder();
        if let Some(region) = region_of(name) {
            change.set_region(Some(region));
        }
        let call = self.ssm().get_parameter().name(name).with_decryption(true);
        let answer = call.customize().config_override(change).send().await;
        let answer = answer.map_err(|error| {
            let absent = error
                .as_service_error()
                .is_some_and(GetParameterError::is_parameter_not_found);
            if absent {
                return self.absent(&what, name, "ssm describe-parameters");
            }
            asked.failed(&error)
        })?;
        let parameter = answer
            .parameter
            .unwrap_or_else(|| aws_sdk_ssm::types::Parameter::builder().build());
        let open = parameter.r#type != Some(ParameterType::SecureString);
        let advice = format!(
            "parameter `{name}` of SSM is not a SecureString: whoever may read parameters reads it, and it is in the history of changes"
        );
        Ok(Stored {
            value: Secret::trimmed(&parameter.value.unwrap_or_default()),
            advice: open.then_some(advice),
        })
    }

    fn absent(&self, what: &str, name: &str, list: &str) -> Error {
        let region = region_of(name);
        let region = region.as_ref().map(AsRef::as_ref).or(self.region());
        let region = region.unwrap_or_default();
        unfit(
            what,
            name,
            &format!("it does not exist in `{region}` of this account"),
        )
        .hint(format!(
            "`aws {list} --region {region}` lists the existing ones; use an ARN for another region"
        ))
    }
}

fn unfit(what: &str, name: &str, cause: &str) -> Error {
    Error::new(ErrorKind::Failed, System::Aws, format!("cannot {what}"))
        .object(name)
        .cause(cause)
}

/// The region in an ARN.
fn region_of(name: &str) -> Option<Region> {
    let mut parts = name.strip_prefix("arn:")?.split(':').skip(2);
    let region = parts.next().filter(|it| !it.is_empty())?;
    Some(Region::new(region.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_arn_names_a_region() {
        assert_eq!(region_of("/arcctl/token"), None);
        assert_eq!(region_of("arn:aws:ssm"), None);
        let arn = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:token-AbCdEf";
        assert_eq!(region_of(arn).unwrap().as_ref(), "cn-north-1");
    }
}
