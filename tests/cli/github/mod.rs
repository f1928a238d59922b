//! The GitHub client against the stand-in: its requests, and the message for each rejection. Every request is checked
//! against GitHub's own description, and no message may contain the token.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its servers has failed"
)]

mod app;
mod app_key;
mod aws_sign_in;
mod calls;
mod canary;
mod canned;
mod children;
mod freshness;
mod groups;
mod levels;
mod listing;
mod meanings;
mod misplaced;
mod network;
mod own_fault;
mod refusals;
mod routes;
mod scale_sets;
mod spelling;
mod workflows;

use std::{fmt::Write as _, time::Duration};

use arcctl::{
    clients::{
        credential::Credential,
        github::{Audit, GitHub, Product, Server},
    },
    error::{Error, Result},
    profile::Scope,
    secret::Secret,
};
use arcctl_sandbox::github::{self as sandbox, Mode, Options};
use regex::Regex;

const ENTERPRISE: Scope<'_> = Scope::Enterprise("dogecompany");
const ORGANIZATION: Scope<'_> = Scope::Organization("dogecompany");
const REPOSITORY: Scope<'_> = Scope::Repository("dogecompany/app");

/// A stand-in that answers at once.
async fn stand_in(mode: Mode) -> sandbox::GitHub {
    provider();
    // github.com always has a rate limit, a server of one's own by default has none.
    let limited = matches!(mode, Mode::Cloud);
    let options = Options {
        mode,
        rate_limit: limited.then(|| sandbox::RateLimit::of(5000)),
        latency: Duration::ZERO,
        ..Options::default()
    };
    sandbox::GitHub::start(options).await.unwrap()
}

/// The provider of TLS is the program's to install, and here the test is the program.
fn provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn enterprise_server() -> Mode {
    Mode::EnterpriseServer("3.19.0".into())
}

/// The stand-in as the client knows it.
fn server(github: &sandbox::GitHub, mode: &Mode) -> Server {
    match mode {
        Mode::EnterpriseServer(_) => Server::of(Some(&github.url())),
        Mode::Cloud => Server {
            api: github.api_url(),
            web: "https://github.com".into(),
            product: Product::Cloud,
        },
    }
}

fn token(value: &str) -> Credential {
    Credential::Token(Secret::trimmed(value).0)
}

/// A client for a server of any kind.
fn client(server: Server, credential: Credential) -> GitHub {
    GitHub::at(server, credential, None).unwrap()
}

/// What a user reads of an audit.
fn told(result: &Result<Audit>) -> String {
    match result {
        Err(error) => {
            assert_eq!(error.document().system, arcctl::error::System::GitHub);
            assert!(error.hint.is_some(), "{error}");
            format!("exit {}: {error}\n", error.kind.exit_code())
        }
        Ok(audit) if audit.advice.is_empty() => "fine\n".into(),
        Ok(audit) => format!("advice: {}\n", audit.advice.join("\nadvice: ")),
    }
}

/// Everything that could be printed of an error.
fn all_of(error: &Error) -> String {
    let document = serde_json::to_string(&error.document()).unwrap();
    format!("{error}\n{error:?}\n{document}")
}

/// A text without what differs from run to run.
fn settled(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, by) in [
        (r"127\.0\.0\.1:\d+", "HOST"),
        (r"request [0-9A-Z]{4}:[0-9A-Z]{8}", "request ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "TIME"),
        (r"authorization_request=\w+", "authorization_request=CODE"),
        (r"clock is \d+ seconds", "clock is N seconds"),
        (r"only \d+ API requests left", "only N API requests left"),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, by)
            .into_owned();
    }
    text
}

/// Rows of a table of messages, as one text.
#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, name: &str, told: &str) {
        let indented = settled(told).trim_end().replace('\n', "\n    ");
        writeln!(self.0, "{name}\n    {indented}\n").unwrap();
    }

    /// Compares with the snapshot of that name.
    fn compare(&self, name: &str) {
        insta::with_settings!({
            snapshot_path => "snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, self.0);
        });
    }
}
