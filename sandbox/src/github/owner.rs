//! The owner of a runner, a group or a token's permissions: an enterprise, an organization or a repository.
//!
//! Pure: no I/O.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;

/// An enterprise, an organization or a repository. Slugs are kept in lower case: GitHub does not tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// An enterprise, by its slug.
    Enterprise(String),
    /// An organization, by its login.
    Organization(String),
    /// A repository, by its owner and name.
    Repository(String, String),
}

impl Owner {
    /// An enterprise.
    pub fn enterprise(slug: &str) -> Self {
        Self::Enterprise(slug.to_lowercase())
    }

    /// An organization.
    pub fn organization(login: &str) -> Self {
        Self::Organization(login.to_lowercase())
    }

    /// A repository.
    pub fn repository(owner: &str, name: &str) -> Self {
        Self::Repository(owner.to_lowercase(), name.to_lowercase())
    }

    /// The organization whose single sign-on guards this, if there is one.
    pub(super) fn guarding_organization(&self) -> Option<&str> {
        match self {
            Self::Enterprise(_) => None,
            Self::Organization(login) | Self::Repository(login, _) => Some(login),
        }
    }

    /// The scopes of a classic token that let it manage the runners here, in the order GitHub lists them.
    pub(super) fn classic_scopes(&self) -> &'static [&'static str] {
        match self {
            Self::Enterprise(_) => &["admin:enterprise", "manage_runners:enterprise"],
            Self::Organization(_) => &["admin:org"],
            Self::Repository(..) => &["repo"],
        }
    }

    /// The permission of a fine-grained token or an App that does; an enterprise knows none.
    pub(super) fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Enterprise(_) => None,
            Self::Organization(_) => Some("organization_self_hosted_runners"),
            Self::Repository(..) => Some("administration"),
        }
    }
}

/// As in the API's paths: `enterprises/ENT`, `orgs/ORG`, `repos/OWNER/NAME`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enterprise(slug) => write!(f, "enterprises/{slug}"),
            Self::Organization(login) => write!(f, "orgs/{login}"),
            Self::Repository(owner, name) => write!(f, "repos/{owner}/{name}"),
        }
    }
}

impl FromStr for Owner {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match *text.split('/').collect::<Vec<_>>() {
            ["enterprises", slug] => Ok(Self::enterprise(slug)),
            ["orgs", login] => Ok(Self::organization(login)),
            ["repos", owner, name] => Ok(Self::repository(owner, name)),
            _ => bail!("`{text}` is none of enterprises/ENT, orgs/ORG, repos/OWNER/NAME"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_owner_is_refused() {
        assert!("dogecompany".parse::<Owner>().is_err());
        assert!("repos/dogecompany".parse::<Owner>().is_err());
    }

    #[test]
    fn an_owner_reads_back_in_lower_case() {
        let owner: Owner = "repos/DogeCompany/App".parse().unwrap();
        assert_eq!(owner.to_string(), "repos/dogecompany/app");
    }
}
