//! Rejections whose status and headers are ambiguous: GitHub's message or the previous success decides, and without these,
//! no cause is made up.

use arcctl_sandbox::github::{Refusing, Told};

use super::{
    app::{GOOD, credential, install},
    *,
};

/// Those that pass.
const PASSING: [Told; 8] = [
    Told::SecondaryLimit,
    Told::SecondaryLimit429,
    Told::Abuse,
    Told::OnlyDescribed,
    Told::Empty429,
    Told::LoginAttempts,
    Told::Maintenance,
    // Not by itself, but after a call that succeeded.
    Told::Empty,
];

fn refusing(told: Told, path: &str, after: u64) -> Refusing {
    Refusing {
        told,
        path: path.into(),
        after,
        times: None,
    }
}

#[tokio::test]
async fn each_refusal_is_told_as_what_it_is() {
    for (name, mode, scope) in [
        ("words_cloud", Mode::Cloud, ORGANIZATION),
        ("words_server", enterprise_server(), REPOSITORY),
    ] {
        let mut table = Table::default();
        for told_as in Told::ALL {
            let github = stand_in(mode.clone()).await;
            github.set_refusing(Some(refusing(told_as, "", 0)));
            let client = client(server(&github, &mode), token(github.token()));
            let result = client.audit(scope, Some("arc-admin")).await;
            let error = result.as_ref().unwrap_err();
            let passing = PASSING.contains(&told_as) && told_as != Told::Empty;
            assert_eq!(error.passing, passing, "{told_as:?}: {error}");
            let hint = error.hint.as_deref().unwrap();
            assert!(!hint.contains("use a classic token"), "{told_as:?}: {hint}");
            table.row(&format!("{told_as:?}"), &told(&result));
            assert_eq!(github.violations(), Vec::<String>::new(), "{told_as:?}");
        }
        table.compare(name);
    }
}

#[tokio::test]
async fn a_call_that_succeeded_before_is_only_limited_now() {
    for told_as in [
        Told::Empty,
        Told::Wordless,
        Told::SecondaryLimit,
        Told::Abuse,
    ] {
        let github = stand_in(enterprise_server()).await;
        let client = client(Server::of(Some(&github.url())), token(github.token()));
        client.runners(ENTERPRISE).await.unwrap();
        github.set_refusing(Some(refusing(told_as, "/actions/runners", 0)));
        let error = client.runners(ENTERPRISE).await.unwrap_err();
        assert!(error.passing, "{told_as:?}: {error}");
        assert_eq!(error.kind.exit_code(), 1, "{told_as:?}: {error}");
        assert!(client.rests_until().is_some(), "{told_as:?}");
        // Another call was not made before: nothing is known of it.
        let other = client.runners(ORGANIZATION).await.unwrap_err();
        let known = told_as != Told::Empty && told_as != Told::Wordless;
        assert_eq!(other.passing, known, "{told_as:?}: {other}");
    }
    // What is told as something else is that, whatever was before.
    for told_as in [
        Told::AddressNotAllowed,
        Told::AccountSuspended,
        Told::FirewallPage,
    ] {
        let github = stand_in(enterprise_server()).await;
        let client = client(Server::of(Some(&github.url())), token(github.token()));
        client.runners(ENTERPRISE).await.unwrap();
        github.set_refusing(Some(refusing(told_as, "/actions/runners", 0)));
        let error = client.runners(ENTERPRISE).await.unwrap_err();
        assert!(!error.passing, "{told_as:?}: {error}");
    }
}

#[tokio::test]
async fn a_limit_in_the_middle_of_many_pages_passes() {
    let github = stand_in(enterprise_server()).await;
    let owner = sandbox::Owner::enterprise("dogecompany");
    for number in 0..450 {
        let runner = sandbox::NewRunner {
            name: format!("basic-{number}"),
            ..sandbox::NewRunner::default()
        };
        github.add_runner(&owner, runner).unwrap();
    }
    let client = client(Server::of(Some(&github.url())), token(github.token()));
    github.set_refusing(Some(refusing(Told::Empty, "/actions/runners", 2)));
    let error = client.runners(ENTERPRISE).await.unwrap_err();
    assert!(error.passing, "{error}");
    github.set_refusing(None);
    assert_eq!(client.runners(ENTERPRISE).await.unwrap().len(), 450);
}

#[tokio::test]
async fn an_app_is_told_why_it_gets_no_token() {
    let mut table = Table::default();
    for told_as in [
        Told::InstallationSuspended,
        Told::AddressNotAllowed,
        Told::Empty,
        Told::Wordless,
        Told::SecondaryLimit,
    ] {
        let github = stand_in(enterprise_server()).await;
        install(&github, &GOOD);
        github.set_refusing(Some(refusing(told_as, "access_tokens", 0)));
        let client = client(Server::of(Some(&github.url())), credential("123", "77"));
        let result = client.audit(ORGANIZATION, None).await;
        table.row(&format!("{told_as:?}"), &told(&result));
    }
    table.compare("words_app");
}
