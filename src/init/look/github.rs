//! Reads the GitHub server, the credential and the scope.

use std::path::Path;

use super::{reason, within};
use crate::{
    clients::{
        aws::Aws,
        credential::{self, Sources},
        github::{GitHub, TokenKind},
        kube::Kube,
    },
    error::{Error, ErrorKind, Result, System},
    init::{
        answers::{Answers, Key},
        facts::{Account, Group, Read, Registration},
    },
    profile::{App, GitHub as Section, TokenSource},
    terminal::{environment::variable, output::Output},
};

/// Where a credential can be.
pub(crate) struct Stores<'a> {
    /// The directory of the profile.
    pub directory: &'a Path,
    /// The cluster.
    pub kube: Option<&'a Kube>,
    /// AWS.
    pub aws: Option<&'a Aws>,
}

/// The connection to GitHub, and what it says about the credential.
pub(crate) struct Found {
    /// The connection.
    pub github: Option<GitHub>,
    /// The server and the credential.
    pub account: Read<Account>,
    /// Whether the server's certificate is from an authority that this machine does not know.
    pub unknown_authority: bool,
}

/// The environment variables with a token that arcctl and its documents use; those that `gh` reads come last.
pub(crate) fn token_variables() -> Vec<String> {
    [
        "ARCCTL_GITHUB_TOKEN",
        "GH_ENTERPRISE_TOKEN",
        "GITHUB_ENTERPRISE_TOKEN",
        "GH_TOKEN",
        "GITHUB_TOKEN",
    ]
    .into_iter()
    .filter(|name| variable(name).is_some())
    .map(str::to_owned)
    .collect()
}

/// Reads the credential and who it belongs to.
pub(crate) async fn account(answers: &Answers, stores: &Stores<'_>, output: Output) -> Found {
    let unknown = |error: &Error| Found {
        github: None,
        account: Err(reason(error)),
        unknown_authority: error
            .hint
            .as_ref()
            .is_some_and(|it| it.contains("caBundle")),
    };
    let github = match within_error(connect(answers, stores, output)).await {
        Ok(github) => github,
        Err(error) => return unknown(&error),
    };
    match within_error(github.identity()).await {
        Err(error) => Found {
            github: Some(github),
            ..unknown(&error)
        },
        Ok(identity) => Found {
            account: Ok(Account {
                version: identity.version,
                kind: words(identity.kind).to_owned(),
                login: identity.login,
                scopes: identity.scopes,
                organizations: identity.organizations.map_err(|it| reason(&it)),
                left_out: identity.left_out,
            }),
            github: Some(github),
            unknown_authority: false,
        },
    }
}

async fn within_error<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(super::DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(
            ErrorKind::TimedOut,
            System::GitHub,
            format!("no answer within {} s", super::DEADLINE.as_secs()),
        )),
    }
}

async fn connect(answers: &Answers, stores: &Stores<'_>, output: Output) -> Result<GitHub> {
    let url = answers.server().map(str::to_owned);
    let ca_bundle = answers
        .whole(Key::CaBundle)
        .map(|it| stores.directory.join(it));
    let ca_bundle = ca_bundle.map(|path| {
        std::fs::read_to_string(&path).map_err(|error| {
            Error::failed(System::Local, format!("cannot read `{}`", path.display())).cause(error)
        })
    });
    let ca_bundle = ca_bundle.transpose()?;
    let section = section(answers, url.clone());
    let sources = Sources {
        variable: &variable,
        directory: stores.directory,
        kube: stores.kube,
        aws: stores.aws,
    };
    let loaded = Box::pin(credential::load(&section, &sources)).await?;
    output.mask(&loaded.credential);
    GitHub::new(url.as_deref(), loaded.credential, ca_bundle.as_deref())
}

/// The credential in a profile's words.
fn section(answers: &Answers, url: Option<String>) -> Section {
    let source: Option<TokenSource> = answers.source();
    let mut section = Section {
        url,
        ..Section::default()
    };
    match answers.app().filter(|_| answers.is_app()) {
        Some((id, installation)) => {
            section.app = Some(App {
                id: id.to_owned(),
                installation_id: installation.to_owned(),
                private_key: source.unwrap_or_default(),
            });
        }
        None => section.token = source,
    }
    section
}

/// Whether the credential may register runners in the scope, and the scope's groups.
pub(crate) async fn scope(
    github: &GitHub,
    answers: &Answers,
) -> Option<(Read<Registration>, Read<Vec<Group>>)> {
    let scope = answers.scope()?;
    let (audit, groups) = tokio::join!(
        within_error(async { Box::pin(github.audit(scope, None)).await }),
        within(github.named_groups(scope)),
    );
    let registration = match audit {
        Ok(_) => Ok(Registration::Allowed),
        Err(error) if error.kind == ErrorKind::Unauthorized => {
            let hint = error.hint.as_ref().map(|it| format!("; {it}"));
            Ok(Registration::Refused(
                reason(&error) + &hint.unwrap_or_default(),
            ))
        }
        Err(error) => Err(reason(&error)),
    };
    let group = |it: crate::clients::github::NamedGroup| Group {
        name: it.name,
        default: it.default,
        restricted: it.restricted,
    };
    let groups = groups.map(|all| all.into_iter().map(group).collect());
    Some((registration, groups))
}

/// A kind of credential in words.
const fn words(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Classic => "classic token",
        TokenKind::FineGrained => "fine-grained token",
        TokenKind::OAuth => "token of an OAuth app",
        TokenKind::UserOfApp => "user token of a GitHub App",
        TokenKind::Installation => "installation token",
        TokenKind::App => "GitHub App",
        TokenKind::Unknown => "token",
    }
}
