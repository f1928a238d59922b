//! The kind of a GitHub token, by its prefix
//! (docs.github.com: "About authentication to GitHub", GitHub's token formats). Pure: no I/O.

use crate::{clients::credential::Credential, secret::Secret};

/// The kinds of credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenKind {
    /// A classic personal access token: it has scopes.
    Classic,
    /// A fine-grained personal access token: it has permissions.
    FineGrained,
    /// A user token of an OAuth app, as `gh auth token` prints: it has scopes.
    OAuth,
    /// A user token of a GitHub App: it has permissions.
    UserOfApp,
    /// An installation token that arcctl did not create, for example a job's `GITHUB_TOKEN`.
    Installation,
    /// A GitHub App; arcctl creates its installation tokens.
    App,
    /// A token without a prefix, as old servers create: the response headers show more.
    #[default]
    Unknown,
}

impl TokenKind {
    /// The kind of a credential.
    pub fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Token(token) => Self::of_token(token),
            Credential::App { .. } => Self::App,
        }
    }

    fn of_token(token: &Secret) -> Self {
        let text = token.expose();
        let begins = |prefix: &str| text.starts_with(prefix);
        if begins("ghp_") {
            Self::Classic
        } else if begins("github_pat_") {
            Self::FineGrained
        } else if begins("gho_") {
            Self::OAuth
        } else if begins("ghu_") {
            Self::UserOfApp
        } else if begins("ghs_") || begins("v1.") {
            Self::Installation
        } else {
            Self::Unknown
        }
    }

    /// Whether it has permissions, which no response header lists.
    pub(crate) const fn has_permissions(self) -> bool {
        matches!(
            self,
            Self::FineGrained | Self::UserOfApp | Self::Installation | Self::App
        )
    }

    /// The beginning of a message about it.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::FineGrained => "the fine-grained GitHub token",
            Self::OAuth => "the GitHub token of an OAuth app",
            Self::UserOfApp => "the GitHub token that an App got for a user",
            Self::Installation => "the GitHub installation token",
            Self::App => "the GitHub App",
            Self::Classic | Self::Unknown => "the GitHub token",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> TokenKind {
        TokenKind::of(&Credential::Token(Secret::trimmed(text).0))
    }

    #[test]
    fn a_token_without_a_prefix_is_not_guessed() {
        let old = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(kind(old), TokenKind::Unknown);
        assert_eq!(kind("GHP_abc"), TokenKind::Unknown);
    }

    #[test]
    fn the_prefix_tells_the_kind() {
        for (text, expected) in [
            ("ghp_x", TokenKind::Classic),
            ("github_pat_x", TokenKind::FineGrained),
            ("gho_x", TokenKind::OAuth),
            ("ghu_x", TokenKind::UserOfApp),
            ("ghs_x", TokenKind::Installation),
            ("v1.0123", TokenKind::Installation),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
