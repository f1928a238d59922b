//! Tokens: their owners and their permissions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::distr::{Alphanumeric, SampleString as _};

use super::owner::Owner;

/// An access token and what GitHub knows of it.
#[derive(Clone, Debug)]
pub struct Token {
    /// The secret itself.
    pub value: String,
    /// The login it speaks for; the App's slug for an installation token.
    pub login: String,
    /// Its kind, with the rights that kind has.
    pub kind: TokenKind,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// What its login administers.
    pub administers: Administers,
    /// Organizations whose single sign-on it has not been authorized for.
    pub single_sign_on_missing: BTreeSet<String>,
}

/// The kinds of tokens and the rights each carries.
#[derive(Clone, Debug)]
pub enum TokenKind {
    /// A classic personal access token with its scopes.
    Classic(BTreeSet<String>),
    /// A fine-grained personal access token with its permissions (`administration` → `write`).
    FineGrained(BTreeMap<String, String>),
    /// An App's installation token with its permissions.
    Installation(BTreeMap<String, String>),
}

/// What a token's login administers.
#[derive(Clone, Debug)]
pub enum Administers {
    /// Everything this GitHub has.
    Everything,
    /// These only; the rest answers 404.
    Only(BTreeSet<Owner>),
}

/// A GitHub App, its installations and the key it proves itself with.
#[derive(Clone, Debug)]
pub struct App {
    /// The App's id.
    pub id: u64,
    /// Its slug.
    pub slug: String,
    /// The RSA public key (PKCS #1, DER). Without one, the signature of its JWTs is not checked, the rest of them is.
    pub public_key: Option<Vec<u8>>,
    /// Where it is installed.
    pub installations: Vec<Installation>,
}

/// An installation of an App.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its id.
    pub id: u64,
    /// What it may reach.
    pub owners: BTreeSet<Owner>,
    /// With which permissions.
    pub permissions: BTreeMap<String, String>,
}

impl Token {
    /// A classic personal access token with a random value that administers everything.
    pub fn classic(login: &str, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        Self::new(
            format!("ghp_{}", random(36)),
            login,
            TokenKind::Classic(scopes),
        )
    }

    /// A fine-grained personal access token with a random value that administers everything.
    pub fn fine_grained(login: &str, permissions: &[(&str, &str)]) -> Self {
        let value = format!("github_pat_{}_{}", random(22), random(59));
        Self::new(value, login, TokenKind::FineGrained(map(permissions)))
    }

    /// An installation token of an App that reaches everything.
    pub fn installation(slug: &str, permissions: &[(&str, &str)]) -> Self {
        let kind = TokenKind::Installation(map(permissions));
        Self::new(format!("ghs_{}", random(36)), &format!("{slug}[bot]"), kind).expiring_in(HOUR)
    }

    /// The token the reference profile asks for: all scopes, of the dedicated administrator.
    pub fn administrator() -> Self {
        let scopes = [
            "admin:enterprise",
            "manage_runners:enterprise",
            "admin:org",
            "repo",
        ];
        Self::classic("arc-admin", &scopes)
    }

    fn new(value: String, login: &str, kind: TokenKind) -> Self {
        Self {
            value,
            login: login.to_owned(),
            kind,
            expires_at: None,
            administers: Administers::Everything,
            single_sign_on_missing: BTreeSet::new(),
        }
    }

    /// The same token, ending after this long.
    #[must_use]
    pub fn expiring_in(mut self, duration: Duration) -> Self {
        self.expires_at = Some(after(duration));
        self
    }

    /// The same token, ended already.
    #[must_use]
    pub fn expired(mut self) -> Self {
        self.expires_at = Some(Timestamp::now() - SignedDuration::from_secs(60));
        self
    }

    /// The same token, of a login that administers only these.
    #[must_use]
    pub fn administering(mut self, owners: impl IntoIterator<Item = Owner>) -> Self {
        self.administers = Administers::Only(owners.into_iter().collect());
        self
    }

    /// The same token, not authorized for an organization's single sign-on.
    #[must_use]
    pub fn without_single_sign_on(mut self, organization: &str) -> Self {
        self.single_sign_on_missing
            .insert(organization.to_lowercase());
        self
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|end| end <= Timestamp::now())
    }

    pub(super) fn administers(&self, owner: &Owner) -> bool {
        match &self.administers {
            Administers::Everything => true,
            Administers::Only(owners) => owners.contains(owner),
        }
    }

    /// The scopes of a classic token, as GitHub prints them; none for the other kinds.
    pub(super) fn scopes(&self) -> Option<String> {
        match &self.kind {
            TokenKind::Classic(scopes) => Some(
                scopes
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            TokenKind::FineGrained(_) | TokenKind::Installation(_) => None,
        }
    }
}

/// How long registration tokens and installation tokens live.
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// The moment this long from now.
pub(super) fn after(duration: Duration) -> Timestamp {
    Timestamp::now()
        .checked_add(duration)
        .unwrap_or(Timestamp::MAX)
}

/// Random letters and digits.
pub(super) fn random(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
