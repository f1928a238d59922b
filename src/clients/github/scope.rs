//! The three levels of runners (repository, organization, enterprise): API paths, names, required permissions
//! (reference: arc.md 5, table of levels). Pure: no I/O.

use crate::profile::Scope;

/// The API path of a scope.
pub(super) fn prefix(scope: Scope<'_>) -> String {
    match scope {
        Scope::Enterprise(name) => format!("enterprises/{name}"),
        Scope::Organization(name) => format!("orgs/{name}"),
        Scope::Repository(name) => format!("repos/{name}"),
    }
}

/// The URL by which the Actions service knows a scope: that of its page.
pub(super) fn page(scope: Scope<'_>, web: &str) -> String {
    match scope {
        Scope::Enterprise(name) => format!("{web}/enterprises/{name}"),
        Scope::Organization(name) | Scope::Repository(name) => format!("{web}/{name}"),
    }
}

/// The scope whose page at the server `web` is `address`; `None` if it is of another server.
pub(super) fn of_page<'a>(address: &'a str, web: &str) -> Option<Scope<'a>> {
    let path = address.strip_prefix(web)?.strip_prefix('/')?;
    let path = path.trim_end_matches('/');
    match *path.split('/').collect::<Vec<_>>() {
        ["enterprises", name] => Some(Scope::Enterprise(name)),
        [name] if !name.is_empty() => Some(Scope::Organization(name)),
        [_, _] => Some(Scope::Repository(path)),
        _ => None,
    }
}

/// Its name in messages.
pub(super) fn describe(scope: Scope<'_>) -> String {
    match scope {
        Scope::Enterprise(name) => format!("enterprise `{name}`"),
        Scope::Organization(name) => format!("organization `{name}`"),
        Scope::Repository(name) => format!("repository `{name}`"),
    }
}

/// Its key in the profile.
pub(super) const fn key(scope: Scope<'_>) -> &'static str {
    match scope {
        Scope::Enterprise(_) => "github.enterprise",
        Scope::Organization(_) => "github.organization",
        Scope::Repository(_) => "github.repository",
    }
}

/// The role that can manage its runners.
pub(super) const fn administrator(scope: Scope<'_>) -> &'static str {
    match scope {
        Scope::Enterprise(_) => "an owner of the enterprise",
        Scope::Organization(_) => "an owner of the organization",
        Scope::Repository(_) => "an administrator of the repository",
    }
}

/// The scopes of a classic token, of which one is needed; the narrowest first.
pub(super) const fn classic_scopes(scope: Scope<'_>) -> &'static [&'static str] {
    match scope {
        Scope::Enterprise(_) => &["manage_runners:enterprise", "admin:enterprise"],
        Scope::Organization(_) => &["admin:org"],
        Scope::Repository(_) => &["repo"],
    }
}

/// Whether a classic token has a scope that GitHub's pages offer for these runners, and that its API documentation does not name.
/// In 2022 it was of no use (actions/actions-runner-controller#1716), and others rely on it since: only GitHub can tell.
pub(super) fn may_be_enough(scopes: &[String], scope: Scope<'_>) -> bool {
    matches!(scope, Scope::Organization(_)) && scopes.iter().any(|it| it == "manage_runners:org")
}

/// A permission of fine-grained tokens and Apps: its key in the API, and its name on GitHub's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permission {
    /// Its key in responses.
    pub key: &'static str,
    /// Its name on the settings page.
    pub title: &'static str,
}

/// The required permission, with write access; an enterprise has none.
pub(super) const fn permission(scope: Scope<'_>) -> Option<Permission> {
    match scope {
        Scope::Enterprise(_) => None,
        Scope::Organization(_) => Some(Permission {
            key: "organization_self_hosted_runners",
            title: "organization permission `Self-hosted runners: read and write`",
        }),
        Scope::Repository(_) => Some(Permission {
            key: "administration",
            title: "repository permission `Administration: read and write`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enterprise_has_no_permission_for_apps() {
        assert_eq!(permission(Scope::Enterprise("e")), None);
    }

    #[test]
    fn each_level_has_its_own_page() {
        let page = |scope| page(scope, "https://ghe.example");
        assert_eq!(
            page(Scope::Enterprise("e")),
            "https://ghe.example/enterprises/e"
        );
        assert_eq!(page(Scope::Organization("o")), "https://ghe.example/o");
        assert_eq!(page(Scope::Repository("o/r")), "https://ghe.example/o/r");
    }

    #[test]
    fn a_page_is_of_one_scope_of_its_server() {
        let web = "https://ghe.example";
        for scope in [
            Scope::Enterprise("e"),
            Scope::Organization("o"),
            Scope::Repository("o/r"),
        ] {
            assert_eq!(of_page(&page(scope, web), web), Some(scope));
        }
        assert_eq!(of_page("https://github.com/o", web), None);
        assert_eq!(of_page("https://ghe.example.evil/o", web), None);
        assert_eq!(of_page("https://ghe.example/", web), None);
    }

    #[test]
    fn each_level_has_its_own_path() {
        assert_eq!(prefix(Scope::Enterprise("e")), "enterprises/e");
        assert_eq!(prefix(Scope::Organization("o")), "orgs/o");
        assert_eq!(prefix(Scope::Repository("o/r")), "repos/o/r");
    }
}
