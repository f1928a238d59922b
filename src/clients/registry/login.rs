//! Logins for registries: docker's configuration file, which the pull secrets of Kubernetes have too. Pure: no I/O.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::Address;
use crate::secret::Secret;

/// A login.
#[derive(Clone)]
pub enum Login {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password, or a token in its place.
        password: Secret,
    },
    /// A token that the registry's token server takes for one of its own.
    Identity(Secret),
}

impl Login {
    /// Its secrets.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        match self {
            Self::Basic { password, .. } => Some(password),
            Self::Identity(token) => Some(token),
        }
        .into_iter()
    }

    /// Whether it is posted to the token server as a form.
    pub(super) const fn is_posted(&self) -> bool {
        matches!(self, Self::Identity(_))
    }

    /// The value of `Authorization`.
    pub(super) fn basic(&self) -> Option<Secret> {
        match self {
            Self::Basic { user, password } => {
                let pair = format!("{user}:{}", password.expose());
                let value = format!("Basic {}", STANDARD.encode(pair));
                Some(Secret::trimmed(&value).0)
            }
            Self::Identity(_) => None,
        }
    }
}

/// The logins of one file or Secret.
#[derive(Clone, Default)]
pub struct Logins {
    known: Vec<(String, Login)>,
    /// The registries whose login a program has, and that program, which arcctl does not start.
    helpers: Vec<(String, String)>,
    /// The program for all others.
    store: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct File {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Logins {
    /// Reads a configuration; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let file: File = serde_json::from_str(text).ok()?;
        let known = file.auths.into_iter();
        Some(Self {
            known: known
                .filter_map(|(key, entry)| Some((key, entry.login()?)))
                .collect(),
            helpers: file.cred_helpers.into_iter().collect(),
            store: file.creds_store,
        })
    }

    /// The logins for a repository, each with the length of its path.
    fn fitting(&self, address: &Address) -> impl Iterator<Item = (usize, &Login)> {
        let all = self.known.iter();
        all.filter_map(move |(key, login)| Some((address.matches(key)?, login)))
    }

    /// The program that has the login for a repository, as docker's configuration names it; arcctl does not start it.
    pub fn helper(&self, address: &Address) -> Option<&str> {
        let mut helpers = self.helpers.iter();
        let own = helpers.find(|(host, _)| address.matches(host).is_some());
        let program = own.map(|(_, it)| it).or(self.store.as_ref())?;
        (!program.is_empty()).then_some(program.as_str())
    }
}

/// The logins for a repository in several files or Secrets, in the order in which they are tried: as the kubelet does it, those
/// for the longest path first.
pub fn in_turn<'a>(all: &'a [Logins], address: &Address) -> Vec<&'a Login> {
    let mut found: Vec<_> = all.iter().flat_map(|it| it.fitting(address)).collect();
    // Stable: among equals the first Secret is the first.
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, login)| login).collect()
}

impl Entry {
    fn login(self) -> Option<Login> {
        if let Some(token) = self.identitytoken.filter(|it| !it.is_empty()) {
            return Some(Login::Identity(Secret::trimmed(&token).0));
        }
        let pair = match self.auth.filter(|it| !it.is_empty()) {
            Some(auth) => {
                let bytes = STANDARD.decode(auth.trim()).ok()?;
                let text = String::from_utf8(bytes).ok()?;
                let (user, password) = text.split_once(':')?;
                (user.to_owned(), password.to_owned())
            }
            None => (self.username?, self.password?),
        };
        let (user, password) = pair;
        (!user.is_empty()).then(|| Login::Basic {
            user,
            password: Secret::trimmed(&password).0,
        })
    }
}

/// The answer of a token server.
#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    pub(super) fn value(&self) -> Option<Secret> {
        let texts = [&self.token, &self.access_token].into_iter().flatten();
        texts
            .map(|it| Secret::trimmed(it).0)
            .find(|it| !it.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::units::image::Image;

    fn user(logins: &Logins, image: &str) -> Option<String> {
        let address = Address::of(&Image::parse(image).unwrap());
        match in_turn(std::slice::from_ref(logins), &address).first()? {
            Login::Basic { user, password } => Some(format!("{user}:{}", password.expose())),
            Login::Identity(token) => Some(token.expose().to_owned()),
        }
    }

    #[test]
    fn the_login_for_the_longest_path_is_found() {
        let text = json!({
            "auths": {
                "https://index.docker.io/v1/": {"auth": STANDARD.encode("hub:p:w")},
                "ghcr.io": {"username": "me", "password": "pw"},
                "ghcr.io/team": {"auth": STANDARD.encode("team:pw")},
                "acr.example": {"auth": STANDARD.encode("0:"), "identitytoken": "id"},
                "broken.example": {"auth": "%%"},
                "empty.example": {},
            },
            "credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login"},
            "HttpHeaders": {"User-Agent": "x"},
        });
        let logins = Logins::parse(&text.to_string()).unwrap();
        assert_eq!(user(&logins, "a/b:1").unwrap(), "hub:p:w");
        assert_eq!(user(&logins, "ghcr.io/a/b:1").unwrap(), "me:pw");
        assert_eq!(user(&logins, "ghcr.io/team/b:1").unwrap(), "team:pw");
        assert_eq!(user(&logins, "acr.example/b:1").unwrap(), "id");
        for none in [
            "broken.example/b:1",
            "empty.example/b:1",
            "other.example/b:1",
        ] {
            assert_eq!(user(&logins, none), None, "{none}");
        }
        assert!(Logins::parse("no json").is_none());
    }

    #[test]
    fn a_helper_has_the_login_that_it_is_named_for() {
        let helper = |text: &Value, image| {
            let logins = Logins::parse(&text.to_string()).unwrap();
            let address = Address::of(&Image::parse(image).unwrap());
            logins.helper(&address).map(str::to_owned)
        };
        let ecr = json!({"credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login"}});
        let image = "1.dkr.ecr.eu-west-1.amazonaws.com/b:1";
        assert_eq!(helper(&ecr, image).unwrap(), "ecr-login");
        assert_eq!(helper(&ecr, "ghcr.io/b:1"), None);
        let desktop = json!({"credsStore": "desktop", "auths": {"ghcr.io": {}}});
        assert_eq!(helper(&desktop, "ghcr.io/b:1").unwrap(), "desktop");
        assert_eq!(helper(&json!({"credsStore": ""}), "ghcr.io/b:1"), None);
    }

    #[test]
    fn all_logins_for_a_repository_are_tried_the_longest_path_first() {
        let secret = |entries: &[(&str, &str)]| {
            let entry = |(key, user): &(&str, &str)| {
                let value = json!({"username": user, "password": "pw"});
                ((*key).to_owned(), value)
            };
            let auths: serde_json::Map<String, Value> = entries.iter().map(entry).collect();
            Logins::parse(&json!({"auths": auths}).to_string()).unwrap()
        };
        let all = [
            secret(&[("ghcr.io", "first"), ("other.example", "other")]),
            secret(&[("ghcr.io", "second"), ("ghcr.io/team", "team")]),
        ];
        let users = |image: &str| -> Vec<String> {
            let address = Address::of(&Image::parse(image).unwrap());
            let user = |login: &Login| match login {
                Login::Basic { user, .. } => user.clone(),
                Login::Identity(_) => String::new(),
            };
            in_turn(&all, &address).into_iter().map(user).collect()
        };
        assert_eq!(users("ghcr.io/team/b:1"), ["team", "first", "second"]);
        assert_eq!(users("ghcr.io/a/b:1"), ["first", "second"]);
        assert!(users("quay.io/a/b:1").is_empty());
    }

    #[test]
    fn a_login_cannot_be_printed_by_its_header() {
        let login = Login::Basic {
            user: "me".into(),
            password: Secret::trimmed("hunter22").0,
        };
        let header = login.basic().unwrap();
        assert_eq!(header.expose(), "Basic bWU6aHVudGVyMjI=");
        assert!(!format!("{header:?}").contains("bWU6"));
    }
}
