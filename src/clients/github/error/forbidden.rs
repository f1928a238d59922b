//! Maps a 403 that is no rate limit to an error, by GitHub's message and the scopes and kind of the token. If none of them
//! shows the cause, the error states that. Pure: no I/O.

use super::{
    ErrorContext,
    message::{self, Message, unauthorized},
    reason::Ground,
    token_page,
};
use crate::{
    clients::github::{
        auth::token_kind::TokenKind,
        response::Answer,
        scope::{administrator, classic_scopes, describe, permission},
        server::{Product, Server},
    },
    error::Error,
    profile::Scope,
};

/// The error for a 403 that is no rate limit.
pub(super) fn forbidden(answer: &Answer, case: &ErrorContext<'_>) -> Error {
    let target = describe(case.scope);
    if let Some(ground) = answer.ground()
        && let Some(error) = told(ground, answer, case.server, case.kind, &target)
    {
        return error;
    }
    if let Some(scopes) = answer.scopes() {
        if let Some(error) = missing_scope(&scopes, case) {
            return error;
        }
        if answer.ground() == Some(Ground::NotAdministrator) {
            return unauthorized(message::owner_lacks_permission(&target)).hint(format!(
                "make the token's owner {}, or use a token of an account that is",
                administrator(case.scope)
            ));
        }
    }
    let lacks = matches!(
        answer.ground(),
        Some(
            Ground::NotForIntegrations | Ground::NotForFineGrainedTokens | Ground::NotAdministrator
        )
    );
    if lacks {
        return missing_permission(case).unwrap_or_else(|| {
            unauthorized(message::lacks_permission(case.kind.describe(), &target))
                .hint(format!("its owner must be {}", administrator(case.scope)))
        });
    }
    unknown(answer, case, &target)
}

/// The error for a cause in GitHub's message, for any request.
pub(crate) fn told(
    ground: Ground,
    answer: &Answer,
    server: &Server,
    kind: TokenKind,
    target: &str,
) -> Option<Error> {
    if ground == Ground::SingleSignOn {
        return Some(single_sign_on(answer, server, target));
    }
    let (message, hint) = of_the_account(ground, kind)
        .map(|(message, hint)| (message, hint.to_owned()))
        .or_else(|| of_the_target(ground, server, target))?;
    Some(unauthorized(message).hint(hint))
}

/// Causes in the account of the credential, for any request.
fn of_the_account(ground: Ground, kind: TokenKind) -> Option<(Message, &'static str)> {
    match (ground, kind) {
        (Ground::SuspendedInstallation, _) => Some((
            message::suspended_installation(),
            "ask an owner to unsuspend it in the organization's GitHub Apps settings",
        )),
        (Ground::SuspendedAccount, _) => Some((
            message::suspended_account(),
            "use a token of another account, or have the server's administrator unsuspend this one",
        )),
        // An endpoint that App tokens cannot call; the prefix did not tell that it is one.
        (Ground::NotForIntegrations, TokenKind::Unknown) => Some((
            message::installation_token(),
            "use a personal access token, or let arcctl make installation tokens (github.app)",
        )),
        _ => None,
    }
}

/// Causes in the settings of the organization, repository or enterprise.
fn of_the_target(ground: Ground, server: &Server, target: &str) -> Option<(Message, String)> {
    let (message, hint) = match ground {
        Ground::Address => (
            message::blocked_address(target),
            "ask an owner to add the address to the IP allow list in GitHub's settings; the controller and the runners also need the cluster's addresses in it".to_owned(),
        ),
        Ground::NoClassicTokens => (
            message::no_classic_tokens(target),
            "use a GitHub App (github.app) or a fine-grained token; or have an owner allow classic tokens in the settings for personal access tokens".to_owned(),
        ),
        Ground::NoSuchFineGrainedTokens => (
            message::no_such_fine_grained_tokens(target),
            format!("change the token at {} as GitHub's message says", token_page(server, TokenKind::FineGrained)),
        ),
        Ground::NoSuchOAuthApp => (
            message::no_such_oauth_app(target),
            format!("create a personal access token at {} and store it in the source that github.token names", token_page(server, TokenKind::Classic)),
        ),
        Ground::ManagedUser => (
            message::managed_user(target),
            "use a token of an account of that enterprise".to_owned(),
        ),
        Ground::Repository => (
            message::archived(target),
            format!("look at its page below {}", server.web),
        ),
        _ => return None,
    };
    Some((message, hint))
}

fn single_sign_on(answer: &Answer, server: &Server, target: &str) -> Error {
    let header = answer.header("x-github-sso").unwrap_or_default();
    let url = header.split_once("url=").map_or("", |(_, url)| url.trim());
    unauthorized(message::single_sign_on(target)).hint(if url.is_empty() {
        format!(
            "authorize it with `Configure SSO` at {}/settings/tokens",
            server.web
        )
    } else {
        format!("as the token's owner, open {url} and authorize it")
    })
}

/// The error for an unknown cause.
fn unknown(answer: &Answer, case: &ErrorContext<'_>, target: &str) -> Error {
    let who = case.kind.describe();
    let error = unauthorized(match answer.message() {
        Some(_) => message::not_allowed(who, target),
        None => message::not_allowed_without_reason(who, target),
    });
    let next = next_place(answer, case);
    error.hint(match answer.scopes() {
        Some(_) => format!("the token has the required scope; {next}"),
        None => next,
    })
}

/// The next thing to check.
pub(super) fn next_place(answer: &Answer, case: &ErrorContext<'_>) -> String {
    let log = match (case.scope, case.server.product) {
        (Scope::Organization(name), _) => format!(
            "an owner finds the refusal in the audit log, {}/organizations/{name}/settings/audit-log",
            case.server.web
        ),
        (Scope::Enterprise(name), _) => format!(
            "an owner finds the refusal in the audit log, {}/enterprises/{name}/settings/audit-log",
            case.server.web
        ),
        (Scope::Repository(_), Product::EnterpriseServer) => {
            "the server's administrator finds the refusal in its audit log".to_owned()
        }
        (Scope::Repository(_), Product::Cloud) => {
            "an administrator of the repository's owner finds the refusal in the audit log"
                .to_owned()
        }
    };
    match answer.header("x-github-request-id") {
        Some(_) => log,
        // GitHub sets an id on every response: this one may not be GitHub's.
        None => format!(
            "the response has no GitHub request ID, so it may come from a proxy: ask its administrator; {log}"
        ),
    }
}

/// The error for a token with scopes that lacks all scopes of the level.
pub(crate) fn missing_scope(scopes: &[String], case: &ErrorContext<'_>) -> Option<Error> {
    let needed = classic_scopes(case.scope);
    if scopes.iter().any(|it| needed.contains(&it.as_str())) {
        return None;
    }
    let has = if scopes.is_empty() {
        "it has no scopes".to_owned()
    } else {
        format!("it has `{}`", scopes.join("`, `"))
    };
    let error = unauthorized(message::lacks_scope(needed[0], &describe(case.scope)));
    Some(error.object(&case.server.api).cause(has).hint(format!(
        "add the scope `{}` to the token at {}/settings/tokens, as {}; its value does not change",
        needed[0],
        case.server.web,
        administrator(case.scope)
    )))
}

/// The error for a credential with permissions that lacks the one for the level; `None` for other kinds of credential.
pub(crate) fn missing_permission(case: &ErrorContext<'_>) -> Option<Error> {
    if !case.kind.has_permissions() {
        return None;
    }
    let target = describe(case.scope);
    let Some(needed) = permission(case.scope) else {
        return Some(not_for_enterprises(case));
    };
    let error = unauthorized(message::lacks_permission(case.kind.describe(), &target));
    let owner = match case.scope {
        Scope::Repository(_) => "the repository's owner",
        Scope::Enterprise(_) | Scope::Organization(_) => "the organization",
    };
    let hint = if case.kind == TokenKind::App {
        format!(
            "give the App the {}, accept it in the settings of the installation, and check that the App is installed for {target}",
            needed.title
        )
    } else {
        format!(
            "give it the {} at {}; its resource owner must be {owner}, {} must have created it, and {owner} may have to approve it first",
            needed.title,
            token_page(case.server, case.kind),
            administrator(case.scope)
        )
    };
    Some(error.object(&case.server.api).hint(hint))
}

/// Only tokens with scopes can manage the runners of an enterprise.
pub(crate) fn not_for_enterprises(case: &ErrorContext<'_>) -> Error {
    let target = describe(case.scope);
    unauthorized(message::not_for_enterprises(case.kind.describe(), &target))
    .object(&case.server.api)
    .hint(format!(
        "create a classic token with `{}` at {}/settings/tokens, as {}; or set github.organization in the profile",
        classic_scopes(case.scope)[0],
        case.server.web,
        administrator(case.scope)
    ))
}
