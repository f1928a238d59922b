//! One profile with a pool of each mode, at each place where runners can be: github.com and a server, an organization and a
//! repository, a token and an App. What is of an enterprise is in `life`.

use std::collections::BTreeSet;

use arcctl::units::runner::RELEASES;
use arcctl_sandbox::{
    github::{App, Installation, Mode, Options as GitHubOptions},
    world::{Options, Pace},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;

#[path = "../../cli/github/app_key.rs"]
mod app_key;

/// The section of the sandbox's profile that says whose the runners are.
const OF_SANDBOX: &str =
    "  enterprise: dogecompany\n  token:\n    env: ARCCTL_GITHUB_TOKEN\n  tokenOwner: arc-admin\n";

const ORGANIZATION: &str = "  organization: dogecompany\n";
const REPOSITORY: &str = "  repository: dogecompany/app\n";

const APP: &str =
    "  app:\n    id: \"123\"\n    installationId: \"77\"\n    privateKey: {file: app.pem}\n";
const TOKEN: &str = "  token: {env: ARCCTL_GITHUB_TOKEN}\n  tokenOwner: arc-admin\n";

/// An App that may do what the runners of an organization and of a repository need.
fn make_app(cluster: &Cluster) {
    let permissions = ["administration", "organization_self_hosted_runners"];
    let owners = [
        Owner::organization("dogecompany"),
        Owner::repository("dogecompany", "app"),
    ];
    cluster.world().github().add_app(App {
        id: 123,
        slug: "arc".into(),
        public_key: Some(STANDARD.decode(app_key::PUBLIC).unwrap()),
        installations: vec![Installation {
            id: 77,
            owners: BTreeSet::from(owners),
            permissions: permissions
                .map(|it| (it.to_owned(), "write".to_owned()))
                .into(),
        }],
    });
    let (begin, end) = ("-----BEGIN RSA PRIVATE", "-----END RSA PRIVATE");
    let key = app_key::PRIVATE;
    cluster.file(
        "app.pem",
        &format!("{begin} KEY-----\n{key}\n{end} KEY-----\n"),
    );
    cluster.keep_secret(key);
}

/// From nothing to nothing, with no write in between where nothing is to do.
fn lives(github: Mode, scope: &str, credential: &str) {
    let is_cloud = matches!(github, Mode::Cloud);
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        github,
        ..Options::default()
    });
    if credential == APP {
        make_app(&cluster);
    }
    let before = life::listed(&cluster);
    let section = format!("{scope}{credential}");
    // A repository has no groups.
    let mut rest = vec![(OF_SANDBOX, section.as_str()), ("    group: Default\n", "")];
    // github.com takes no jobs for a version that is long behind.
    let newest = RELEASES.newest().unwrap().version;
    let of_deployment = format!("actions-runner:v{newest}-ubuntu-22.04");
    let of_set = format!("actions-runner:{newest}");
    let of_pool = [("actions-runner:2.334.0", of_set.as_str())];
    let of_pool: &[(&str, &str)] = if is_cloud { &of_pool } else { &[] };
    if is_cloud {
        rest.push(("actions-runner:v2.306.0-ubuntu-22.04", &of_deployment));
    }
    let profile = edited(&cluster, "arcctl", of_pool, &rest);
    let place = if scope == REPOSITORY {
        "/dogecompany/app"
    } else {
        "/dogecompany"
    };
    life::fresh(&cluster, &profile, place);
    life::unchanged(&cluster, &profile);
    life::is_as_before(&cluster, &profile, &before);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_organization_at_github_com_with_an_app() {
    lives(Mode::Cloud, ORGANIZATION, APP);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_repository_at_github_com_with_a_token() {
    lives(Mode::Cloud, REPOSITORY, TOKEN);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_organization_of_a_server_with_an_app() {
    lives(GitHubOptions::default().mode, ORGANIZATION, APP);
}
