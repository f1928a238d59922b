//! The messages for GitHub's rejections of a request about runners. They are in one list, so that a test sees that each
//! of them is reached (`tests/cli/github/meanings.rs`). Pure: no I/O.

use crate::error::{Error, ErrorKind, System};

/// One of [`MESSAGES`] with its values. Only the functions of this file make one.
#[derive(Debug)]
pub(super) struct Message(String);

/// An error of the credential or its permissions.
pub(super) fn unauthorized(message: Message) -> Error {
    Error::new(ErrorKind::Unauthorized, System::GitHub, message.0)
}

/// Any other error.
pub(super) fn failed(message: Message) -> Error {
    Error::failed(System::GitHub, message.0)
}

macro_rules! messages {
    ($($name:ident($($value:ident),*) = $text:literal;)*) => {
        /// The messages, with the name of a value in braces where one is put in.
        pub const MESSAGES: &[&str] = &[$($text),*];

        $(pub(super) fn $name($($value: &str),*) -> Message {
            Message(format!($text))
        })*
    };
}

messages! {
    rejected(target) = "GitHub rejects a request for {target}";
    maintenance(api) = "GitHub at `{api}` is in maintenance mode";
    failing(api) = "GitHub at `{api}` failed on every attempt";
    not_the_api(api) = "the server at `{api}` is not the GitHub API";
    renamed() = "the enterprise, organization or repository in the profile has another name at GitHub now";
    redirected(api, to) = "`{api}` redirects to another host, `{to}`; arcctl does not send the token there";

    primary_limit(until) = "GitHub's rate limit for this token is exceeded until {until}";
    secondary_limit(until) = "GitHub's secondary rate limit is exceeded until {until}";
    login_limit(until) = "GitHub blocks this account's tokens until about {until}: too many attempts with a wrong token";

    expired(ended) = "the GitHub token expired on {ended}";
    not_accepted(api) = "GitHub at `{api}` does not accept the token";

    no_access_for_app(target) = "the GitHub App has no access to {target}";
    no_runner_permission(target) = "{target} exists, but this token lacks the permission to manage its runners";
    not_visible(target) = "{target} does not exist at GitHub, or is not visible to this token";

    owner_lacks_permission(target) = "the GitHub token has the scope for {target}, but its owner lacks the permission to manage the runners";
    lacks_permission(who, target) = "{who} lacks the permission to manage the runners of {target}";
    lacks_scope(scope, target) = "the GitHub token lacks the scope `{scope}` that {target} needs";
    not_for_enterprises(who, target) = "{who} cannot manage the runners of {target}: for an enterprise GitHub accepts only classic tokens";
    not_allowed(who, target) = "GitHub does not allow {who} to manage the runners of {target}";
    not_allowed_without_reason(who, target) = "GitHub does not allow {who} to manage the runners of {target}, and returns no reason";

    suspended_installation() = "the installation of the GitHub App is suspended";
    suspended_account() = "the account of the GitHub token is suspended";
    installation_token() = "the GitHub token is that of a GitHub App's installation, and may not do this";

    blocked_address(target) = "the IP allow list of {target} blocks this machine's address";
    no_classic_tokens(target) = "the owner of {target} does not allow classic personal access tokens";
    no_such_fine_grained_tokens(target) = "the owner of {target} does not allow this fine-grained token";
    no_such_oauth_app(target) = "the owner of {target} does not allow tokens of this OAuth app";
    managed_user(target) = "the account of the GitHub token is managed by another enterprise than that of {target}";
    archived(target) = "{target} is archived, or access to it is blocked";
    single_sign_on(target) = "the GitHub token is not authorized for the SAML single sign-on of {target}";
}
