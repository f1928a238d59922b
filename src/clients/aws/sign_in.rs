//! Maps errors of the credential chain: why there are no credentials, and what to do.
//!
//! The chain has no typed error for single sign-on: `UnauthorizedException` and `ForbiddenException` are the codes of its
//! `GetRoleCredentials` alone (service models of the SDK's providers).

use std::error::Error as _;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::{
    error::ProvideErrorMetadata,
    operation::{
        assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
    },
};

use super::error::{Asked, NO_CREDENTIALS, chain, is_no_denial, said};
use crate::error::Error;

impl Asked<'_> {
    /// No credentials could be loaded to sign the call.
    pub(super) fn without_credentials(self, error: &CredentialsError) -> Error {
        // First what STS refused: its message names roles, and those of single sign-on have `SSO` in their names.
        if let Some(refused) = of_sts::<AssumeRoleWithWebIdentityError>(error) {
            return self.refused_token(refused.code().unwrap_or_default(), refused.message());
        }
        if let Some(refused) = of_sts::<AssumeRoleError>(error) {
            let code = refused.code().unwrap_or_default();
            if is_no_denial(code) {
                return self.refused(refused.code(), refused.message(), 403);
            }
            return self.refused_role(&said(code, refused.message(), 403));
        }
        let chain = chain(error);
        let last = chain.last().map(String::as_str).unwrap_or_default();
        let has = |words: &str| chain.iter().any(|it| it.contains(words));
        let unauthorized = self.unauthorized();
        match error {
            _ if has("ForbiddenException") => unauthorized
                .cause(format!("single sign-on does not give this account and role: {last}"))
                .hint("correct `sso_account_id` and `sso_role_name` of the AWS profile, or have the administrator of IAM Identity Center assign them"),
            _ if has("UnauthorizedException") || chain.iter().any(|it| names_sso(it)) => unauthorized
                .cause(format!("the single sign-on session cannot be used: {last}"))
                .hint("run `aws sso login`, with `--profile` if AWS_PROFILE is set"),
            _ if has("cached Login token") || has("login/cache") => unauthorized
                .cause(format!("the session of `aws login` cannot be used: {last}"))
                .hint("run `aws login`, with `--profile` if AWS_PROFILE is set"),
            _ if has("AssumeRole") || has("AccessDenied") => self.refused_role(last),
            CredentialsError::CredentialsNotLoaded(_) => self.no_credentials(),
            CredentialsError::InvalidConfiguration(_) => unauthorized
                .cause(format!("the AWS configuration cannot be used: {last}"))
                .hint("correct ~/.aws/config, or name another profile of it with AWS_PROFILE"),
            _ => unauthorized
                .cause(format!("the AWS credentials cannot be read: {last}"))
                .hint("`aws sts get-caller-identity` shows whether they work"),
        }
    }

    /// No credentials are configured.
    pub(super) fn no_credentials(self) -> Error {
        self.unauthorized()
            .cause(NO_CREDENTIALS)
            .hint("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure sso`; `aws sts get-caller-identity` shows whether they work")
    }

    /// STS does not let the identity assume the role of an AWS profile. The SDK for Rust does not support MFA codes
    /// (aws-sdk-rust#527).
    fn refused_role(self, told: &str) -> Error {
        self.unauthorized()
            .cause(format!("the role that the AWS profile names cannot be assumed: {told}"))
            .hint("if that profile has `mfa_serial`, sign in with the aws CLI and export its credentials: `eval \"$(aws configure export-credentials --format env)\"`, with `--profile` if AWS_PROFILE is set; otherwise add this identity to the role's trust policy")
    }

    /// STS does not accept the token of a pod or of a CI job. Source: STS API reference, `AssumeRoleWithWebIdentity`.
    fn refused_token(self, code: &str, message: Option<&str>) -> Error {
        let hint = if ["ExpiredToken", "IDPRejectedClaim"]
            .iter()
            .any(|it| code.starts_with(it))
        {
            "get a new token: one of a CI job is short-lived, one of a pod is renewed in its file; and check this machine's clock"
        } else if code.starts_with("InvalidIdentityToken") {
            "check that IAM in the role's account has an OIDC provider for the token's issuer, with the token's audience among its client IDs: `aws iam list-open-id-connect-providers` lists them"
        } else if code.starts_with("IDPCommunicationError") {
            "AWS could not ask the token's issuer: run the command again in a minute"
        } else if is_no_denial(code) {
            return self.refused(Some(code), message, 403);
        } else {
            "check that the role's trust policy names the token's issuer, and that its conditions on `:sub` and `:aud` fit the token"
        };
        self.unauthorized()
            .cause(format!(
                "the token in AWS_WEB_IDENTITY_TOKEN_FILE (or in `web_identity_token_file` of the AWS profile) gets no credentials of its role: {}",
                said(code, message, 403)
            ))
            .hint(hint)
    }
}

/// The error of a call to STS among the sources of `error`.
fn of_sts<E: std::error::Error + 'static>(error: &CredentialsError) -> Option<&E> {
    std::iter::successors(error.source(), |it| (**it).source())
        .find_map(|it| it.downcast_ref::<E>())
}

/// Whether the text is about single sign-on: `SSO`, `sso_region`, `.aws/sso/cache`; not `associated`, `AWSReservedSSO_x`.
fn names_sso(text: &str) -> bool {
    text.split(|it: char| !it.is_ascii_alphanumeric())
        .any(|it| it.eq_ignore_ascii_case("sso"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::error::{ErrorMetadata, SdkError};

    use super::*;
    use crate::{clients::aws::wire::answer, error::ErrorKind};

    const ASKED: Asked<'static> = Asked {
        what: "get the AWS caller identity",
        action: "sts:GetCallerIdentity",
        resource: "*",
    };

    fn metadata(code: &str, message: &str) -> ErrorMetadata {
        ErrorMetadata::builder().code(code).message(message).build()
    }

    /// As the SDK's chain returns it for a role of a profile: one error around another.
    fn of_a_profile(code: &str, message: &str) -> CredentialsError {
        let refused = AssumeRoleError::generic(metadata(code, message));
        let inner =
            CredentialsError::provider_error(SdkError::service_error(refused, answer(403, "")));
        CredentialsError::provider_error(inner)
    }

    fn of_a_token(code: &str, message: &str) -> CredentialsError {
        let refused = AssumeRoleWithWebIdentityError::generic(metadata(code, message));
        CredentialsError::provider_error(SdkError::service_error(refused, answer(400, "")))
    }

    fn told(error: &CredentialsError) -> (String, String) {
        let error = ASKED.without_credentials(error);
        assert_eq!(error.kind, ErrorKind::Unauthorized);
        (error.causes.join(" "), error.hint.unwrap_or_default())
    }

    #[test]
    fn a_role_behind_mfa_is_told_how() {
        let said = "User: u is not authorized to perform: sts:AssumeRole (AccessDenied)";
        let (_, hint) = told(&CredentialsError::provider_error(said));
        assert!(
            hint.contains("mfa_serial") && hint.contains("export-credentials"),
            "{hint}"
        );
    }

    #[test]
    fn a_role_that_a_user_of_single_sign_on_may_not_assume_is_no_expired_session() {
        let said = "User: arn:aws:sts::1:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/me is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/ci";
        let (cause, hint) = told(&of_a_profile("AccessDenied", said));
        assert_eq!(
            cause,
            format!("the role that the AWS profile names cannot be assumed: AccessDenied: {said}")
        );
        assert!(
            hint.contains("trust policy") && !hint.contains("sso login"),
            "{hint}"
        );
    }

    #[test]
    fn what_is_no_denial_is_not_told_as_one() {
        for (code, words) in [
            ("ExpiredToken", "renew the AWS credentials"),
            ("InvalidClientTokenId", "check the AWS credentials"),
            ("SignatureDoesNotMatch", "check the AWS credentials"),
            ("RegionDisabledException", "that the region is enabled"),
            ("Throttling", "in a minute"),
        ] {
            let error = ASKED.without_credentials(&of_a_profile(code, "no"));
            let hint = error.hint.unwrap_or_default();
            assert!(hint.contains(words), "{code}: {hint}");
            if code != "ExpiredToken" {
                let error = ASKED.without_credentials(&of_a_token(code, "no"));
                let hint = error.hint.unwrap_or_default();
                assert!(hint.contains(words), "{code}: {hint}");
            }
        }
    }

    #[test]
    fn what_sts_does_not_accept_of_a_token_is_told() {
        for (code, said, words) in [
            ("ExpiredTokenException", "Token expired", "get a new token"),
            (
                "InvalidIdentityToken",
                "No OpenIDConnect provider found in your account for https://gitlab.example",
                "an OIDC provider for the token's issuer",
            ),
            (
                "IDPCommunicationError",
                "Error communicating with the IdP",
                "run the command again",
            ),
            (
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity",
                "`:sub` and `:aud`",
            ),
        ] {
            let (cause, hint) = told(&of_a_token(code, said));
            assert!(cause.contains("AWS_WEB_IDENTITY_TOKEN_FILE"), "{cause}");
            assert!(cause.ends_with(&format!("{code}: {said}")), "{cause}");
            assert!(
                hint.contains(words) && !hint.contains("mfa_serial"),
                "{code}: {hint}"
            );
        }
    }

    #[test]
    fn single_sign_on_is_known_by_its_words_and_codes() {
        for (said, words) in [
            (
                "the SSO token has expired and cannot be refreshed",
                "aws sso login",
            ),
            ("failed to read `~/.aws/sso/cache/a.json`", "aws sso login"),
            (
                "UnauthorizedException: Session token not found or invalid",
                "aws sso login",
            ),
            ("unhandled error (ForbiddenException)", "sso_role_name"),
            (
                "no credentials are associated with this process",
                "get-caller-identity",
            ),
        ] {
            let (_, hint) = told(&CredentialsError::provider_error(said));
            assert!(hint.contains(words), "{said}: {hint}");
        }
    }
}
