//! Finds the reason of an error response in GitHub's message: the same status is used for rate limits, IP allow lists,
//! policies and missing permissions, often without a header. Unknown messages are quoted. Pure: no I/O.
//!
//! Sources of the messages: docs.github.com ("Rate limits for the REST API", "Troubleshooting the REST API", "Managing
//! allowed IP addresses for your organization", "Authenticating to the REST API"); public reports:
//! hub4j/github-api#1805 and #2267, app-sre/github-mirror#62 (limits without headers), aquasecurity/trivy#10567 (addresses),
//! NixOS/org#247 (a token's lifetime).

use crate::clients::github::response::Answer;

/// The reason of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The primary rate limit, per hour.
    PrimaryLimit,
    /// The secondary rate limit: too many requests at once.
    SecondaryLimit,
    /// Too many failed logins of this user: GitHub temporarily rejects all its tokens.
    TooManyLogins,
    /// The address is not in the IP allow list.
    Address,
    /// The token is not authorized for SAML single sign-on.
    SingleSignOn,
    /// The App's installation is suspended.
    SuspendedInstallation,
    /// The account is suspended.
    SuspendedAccount,
    /// The organization or enterprise forbids classic tokens.
    NoClassicTokens,
    /// It forbids fine-grained tokens, or their lifetime is too long.
    NoSuchFineGrainedTokens,
    /// It forbids tokens of this OAuth app.
    NoSuchOAuthApp,
    /// The account is managed by another enterprise.
    ManagedUser,
    /// The repository is archived, or access to it is blocked.
    Repository,
    /// An App's token that the endpoint does not support, or without the permission.
    NotForIntegrations,
    /// The same for a fine-grained token.
    NotForFineGrainedTokens,
    /// The account is not an administrator there.
    NotAdministrator,
    /// The server is in maintenance mode.
    Maintenance,
}

/// Texts that must all be in a message, and the reason; the first match wins.
const WORDS: &[(&[&str], Ground)] = &[
    (&["secondary rate limit"], Ground::SecondaryLimit),
    (&["abuse detection"], Ground::SecondaryLimit),
    (
        &["temporarily blocked from content creation"],
        Ground::SecondaryLimit,
    ),
    (&["submitted too quickly"], Ground::SecondaryLimit),
    (&["rate limit exceeded"], Ground::PrimaryLimit),
    (&["login attempts exceeded"], Ground::TooManyLogins),
    (&["ip allow list"], Ground::Address),
    (&["ip address", "not permitted"], Ground::Address),
    (&["ip address", "not allowed"], Ground::Address),
    (&["saml"], Ground::SingleSignOn),
    (&["single sign-on"], Ground::SingleSignOn),
    (
        &["installation", "suspended"],
        Ground::SuspendedInstallation,
    ),
    (&["account", "suspended"], Ground::SuspendedAccount),
    (&["forbids access", "(classic)"], Ground::NoClassicTokens),
    (
        &["forbids access", "fine-grained"],
        Ground::NoSuchFineGrainedTokens,
    ),
    (&["oauth app access restrictions"], Ground::NoSuchOAuthApp),
    (&["enterprise managed user"], Ground::ManagedUser),
    (&["repository", "archived"], Ground::Repository),
    (&["repository access blocked"], Ground::Repository),
    (
        &["not accessible by integration"],
        Ground::NotForIntegrations,
    ),
    (
        &["not accessible by personal access token"],
        Ground::NotForFineGrainedTokens,
    ),
    (&["must have admin"], Ground::NotAdministrator),
    (&["must be an", "owner"], Ground::NotAdministrator),
    (&["must be an", "admin"], Ground::NotAdministrator),
];

/// Texts in the documentation URL and the reason, where the message is unknown.
const DESCRIPTIONS: &[(&str, Ground)] = &[
    ("secondary-rate-limit", Ground::SecondaryLimit),
    ("abuse-rate-limit", Ground::SecondaryLimit),
    ("rate-limit", Ground::SecondaryLimit),
    ("saml", Ground::SingleSignOn),
    ("allowed-ip-addresses", Ground::Address),
];

impl Answer {
    /// The reason, where the response contains one.
    pub(crate) fn ground(&self) -> Option<Ground> {
        if self.status.is_server_error() {
            let page = String::from_utf8_lossy(&self.body).to_lowercase();
            return page.contains("maintenance").then_some(Ground::Maintenance);
        }
        if !matches!(self.status.as_u16(), 401 | 403 | 429 | 451) {
            return None;
        }
        if self.header("x-github-sso").is_some() {
            return Some(Ground::SingleSignOn);
        }
        let message = self.message().unwrap_or_default().to_lowercase();
        let told = |(words, _): &&(&[&str], Ground)| words.iter().all(|it| message.contains(it));
        let description = self.description().unwrap_or_default().to_lowercase();
        WORDS
            .iter()
            .find(told)
            .map(|(_, ground)| *ground)
            .or_else(|| {
                let described = DESCRIPTIONS.iter().find(|(it, _)| description.contains(it));
                described.map(|(_, ground)| *ground)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::github::response::tests::answer;

    fn said(status: u16, message: &str, description: &str) -> Option<Ground> {
        let body = serde_json::json!({"message": message, "documentation_url": description});
        let mut answer = answer(status, &[("content-type", "application/json")]);
        answer.body = body.to_string().into_bytes();
        answer.ground()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table, to be read as one")]
    fn the_words_tell_the_ground() {
        let docs = "https://docs.github.com/rest";
        for (message, expected) in [
            (
                "You have exceeded a secondary rate limit. Please wait a few minutes.",
                Ground::SecondaryLimit,
            ),
            (
                "You have triggered an abuse detection mechanism.",
                Ground::SecondaryLimit,
            ),
            (
                "API rate limit exceeded for user ID 7.",
                Ground::PrimaryLimit,
            ),
            (
                "Maximum number of login attempts exceeded. Please try again later.",
                Ground::TooManyLogins,
            ),
            (
                "Although you appear to have the correct authorization credentials, the `doge` organization has an IP allow list enabled, and your IP address is not permitted",
                Ground::Address,
            ),
            (
                "Resource protected by organization SAML enforcement.",
                Ground::SingleSignOn,
            ),
            (
                "This installation has been suspended",
                Ground::SuspendedInstallation,
            ),
            (
                "Sorry. Your account was suspended.",
                Ground::SuspendedAccount,
            ),
            (
                "`doge` forbids access via a personal access token (classic).",
                Ground::NoClassicTokens,
            ),
            (
                "The 'doge' organization forbids access via a fine-grained personal access tokens if the token's lifetime is greater than 90 days.",
                Ground::NoSuchFineGrainedTokens,
            ),
            (
                "the `doge` organization has enabled OAuth App access restrictions",
                Ground::NoSuchOAuthApp,
            ),
            (
                "As an Enterprise Managed User, you cannot access this content",
                Ground::ManagedUser,
            ),
            ("Repository access blocked", Ground::Repository),
            (
                "Resource not accessible by integration",
                Ground::NotForIntegrations,
            ),
            (
                "Resource not accessible by personal access token",
                Ground::NotForFineGrainedTokens,
            ),
            (
                "Must have admin rights to Repository.",
                Ground::NotAdministrator,
            ),
            (
                "Must be an organization owner or an admin",
                Ground::NotAdministrator,
            ),
        ] {
            assert_eq!(said(403, message, docs), Some(expected), "{message}");
        }
        assert_eq!(said(403, "Forbidden", docs), None);
        assert_eq!(said(404, "API rate limit exceeded", docs), None);
    }

    #[test]
    fn where_the_message_tells_nothing_the_description_may() {
        let limits = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits";
        assert_eq!(said(403, "Forbidden", limits), Some(Ground::SecondaryLimit));
        let old = "https://developer.github.com/v3/#abuse-rate-limits";
        assert_eq!(said(403, "", old), Some(Ground::SecondaryLimit));
    }
}
