//! `arcctl smoke`: runs a job on the runners of each pool, and follows it from its dispatch until its runner is replaced.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Instant,
};

use clap::Args;

use crate::{
    clients::{
        credential::Credential,
        github::{GitHub, Repository},
        kube::Kube,
    },
    desired::render::workflow,
    error::{Error, ErrorKind, Result, System},
    profile::{KubeDuration, Profile},
    report,
    run::READING,
    secret::Secret,
    session::{
        connection::{Connection, cluster_words},
        github::{SignedIn, at_github},
    },
    smoke::{Clients, Limits, Request, Smoke, SmokeEvent, smoke},
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        environment::{hidden_variables_and, variable},
        output::{BAD, CHANGE, DIM, GOOD, Output, paint},
        pool_names,
        profile_file::{self, ProfileFile},
        signals::stop_on_signals,
    },
};

/// Run a job on each pool: dispatch the workflow that `render` writes, and follow it
#[derive(Args)]
pub(crate) struct SmokeArgs {
    /// Repository with the workflow [default: `github.repository` of the profile]
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Only this pool
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Branch [default: the default branch of the repository]
    #[arg(long = "ref", value_name = "BRANCH")]
    reference: Option<String>,
    /// Environment variable with the token that dispatches the workflow [default: the profile's credential]
    #[arg(long, value_name = "VARIABLE")]
    token_env: Option<String>,
    /// Time limit for the whole run
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: KubeDuration,
}

/// The clients and settings of the command.
struct Session {
    profile: Profile,
    kube: Kube,
    runners: GitHub,
    actions: GitHub,
    repository: Repository,
}

/// Runs the smoke test, and prints its result.
pub(crate) async fn run(args: &SmokeArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let ended = ended(args, global, output).await?;
    if output.is_json() {
        output.document(&report::smoke::document(&ended));
    } else {
        output.result(&painted(&report::smoke::text(&ended)));
    }
    if let Some(error) = &ended.error {
        global.actions.failure(error);
        output.print_error(error);
    }
    Ok(ended.error.map_or(0, |it| it.kind.exit_code()))
}

/// Runs the smoke test; its result, which may be an error.
pub(crate) async fn ended(args: &SmokeArgs, global: &GlobalArgs, output: Output) -> Result<Smoke> {
    let started = Instant::now();
    let file = profile_file::read(global, output)?;
    let repository = args.repository(&file.profile)?.to_owned();
    pool_names::check(&file.profile, &args.pool)?;
    let stop = stop_on_signals();
    let limit = RunLimit::new(args.timeout, stop.clone(), output);
    let opened = open(args, global, file, &repository, output);
    let session = limit.within(READING, opened).await?;
    let request = Request {
        profile: &session.profile,
        pool: args.pool.as_deref(),
        repository: &session.repository,
        reference: args.reference.as_deref(),
        nonce: &nonce(),
    };
    let clients = Clients {
        kube: &session.kube,
        runners: &session.runners,
        actions: &session.actions,
    };
    let mut limits = Limits {
        deadline: limit.deadline(),
        limit: args.timeout,
        stop: stop.subscribe(),
    };
    let tell = |said: SmokeEvent| match said {
        SmokeEvent::Event(text) => output.note(text),
        SmokeEvent::Waiting(text) => output.note(paint(CHANGE, text)),
        SmokeEvent::Still(text) => output.note(paint(DIM, format!("… {text}"))),
    };
    let mut ended = Box::pin(smoke(clients, request, &mut limits, &tell)).await;
    ended.elapsed = started.elapsed();
    Ok(ended)
}

/// Checks that the job could be dispatched: the credential, the repository and the rights in it.
pub(crate) async fn check(args: &SmokeArgs, global: &GlobalArgs, output: Output) -> Result<()> {
    let file = profile_file::read(global, output)?;
    let repository = args.repository(&file.profile)?.to_owned();
    pool_names::check(&file.profile, &args.pool)?;
    let opened = open(args, global, file, &repository, output);
    Box::pin(opened).await.map(drop)
}

impl SmokeArgs {
    /// For one pool, with the workflow of `repository`.
    pub(crate) const fn of_pool(
        pool: String,
        repository: String,
        token_env: Option<String>,
        timeout: KubeDuration,
    ) -> Self {
        Self {
            repository: Some(repository),
            pool: Some(pool),
            reference: None,
            token_env,
            timeout,
        }
    }

    fn repository<'a>(&'a self, profile: &'a Profile) -> Result<&'a str> {
        let usage = |message: &str| Error::new(ErrorKind::Usage, System::Local, message);
        let named = self.repository.as_deref();
        let Some(name) = named.or(profile.github.repository.as_deref()) else {
            return Err(
                usage("the profile names no repository that has the workflow").hint(
                    "name one that may use the runners: `arcctl smoke --repository OWNER/NAME`",
                ),
            );
        };
        let is_plain = |part: &str| {
            let known = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
            !part.is_empty() && part.chars().all(known) && part.chars().any(|it| it != '.')
        };
        match name.split_once('/') {
            Some((owner, repository)) if is_plain(owner) && is_plain(repository) => Ok(name),
            _ => Err(usage(&format!("`{name}` is no repository"))
                .hint("write it as `--repository OWNER/NAME`")),
        }
    }
}

/// Connects, and reads the repository from GitHub.
async fn open(
    args: &SmokeArgs,
    global: &GlobalArgs,
    file: ProfileFile,
    repository: &str,
    output: Output,
) -> Result<Session> {
    let hidden = hidden_variables_and(&file.profile.token_sources(), args.token_env.as_deref());
    let connection = Box::pin(Connection::hiding(global, &file.profile, hidden)).await?;
    let (kube, aws) = (connection.kube, connection.aws);
    let SignedIn {
        credential,
        github: runners,
        ca_bundle,
    } = at_github(&file, &kube, aws.as_ref(), output).await?;
    let dispatches = match &args.token_env {
        Some(name) => {
            let token = named_token(name)?;
            output.mask(&token);
            token
        }
        None => credential,
    };
    let url = file.profile.github.url.as_deref();
    let actions = GitHub::new(url, dispatches, ca_bundle.as_deref())?;
    let (version, found) = tokio::join!(kube.version(), actions.repository(repository));
    let (version, found) = (version?, found?);
    output.note(format!(
        "profile {} on {}, {} of repository {} at {}",
        file.profile.name,
        cluster_words(&kube, connection.eks.as_ref(), version),
        workflow::FILE,
        found.full_name,
        actions.base(),
    ));
    may_dispatch(&found)?;
    Ok(Session {
        profile: file.profile,
        kube,
        runners,
        actions,
        repository: found,
    })
}

fn named_token(name: &str) -> Result<Credential> {
    let value = variable(name).map(|it| Secret::trimmed(&it).0);
    match value.filter(|it| !it.is_empty()) {
        Some(token) => Ok(Credential::Token(token)),
        None => Err(Error::new(
            ErrorKind::Usage,
            System::Local,
            format!("the variable `{name}` of `--token-env` is not set"),
        )
        .hint(format!(
            "put a token that may dispatch into it: `export {name}=…`"
        ))),
    }
}

/// Without write permission GitHub responds to a dispatch as if the workflow did not exist.
fn may_dispatch(repository: &Repository) -> Result<()> {
    let may = repository
        .permissions
        .as_ref()
        .is_none_or(|it| it.push || !it.pull);
    if may {
        return Ok(());
    }
    let name = &repository.full_name;
    Err(Error::new(
        ErrorKind::Unauthorized,
        System::GitHub,
        format!("the GitHub token can read repository `{name}`, but not run its workflows"),
    )
    .object(format!("repository/{name}"))
    .hint("its owner needs write access to the repository; `--token-env VARIABLE` uses another token than the profile's"))
}

/// A unique name for the run.
fn nonce() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}", random())
}

fn painted(text: &str) -> String {
    text.replace('✓', &paint(GOOD, '✓'))
        .replace('✗', &paint(BAD, '✗'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(github: &serde_json::Value) -> Profile {
        let profile = json!({
            "apiVersion": "arcctl.dev/v1", "name": "x", "cluster": {"context": "c"}, "github": github,
            "pools": [{"name": "a", "image": "r:1", "min": 0, "max": 1}],
        });
        serde_json::from_value(profile).unwrap()
    }

    fn args(repository: Option<&str>) -> SmokeArgs {
        SmokeArgs {
            repository: repository.map(str::to_owned),
            pool: None,
            reference: None,
            token_env: None,
            timeout: KubeDuration::from_secs(1),
        }
    }

    #[test]
    fn the_repository_is_the_profile_s_or_must_be_named() {
        let own = profile(&json!({"repository": "o/r", "token": {"env": "T"}}));
        assert_eq!(args(None).repository(&own).unwrap(), "o/r");
        assert_eq!(args(Some("a/b")).repository(&own).unwrap(), "a/b");
        let enterprise = profile(&json!({"enterprise": "e", "token": {"env": "T"}}));
        let error = args(None).repository(&enterprise).unwrap_err();
        assert_eq!(error.kind.exit_code(), 64);
        for wrong in ["", "r", "o/", "/r", "o/r/x", "o/..", "o/r?x"] {
            let error = args(Some(wrong)).repository(&own).unwrap_err();
            assert_eq!(error.kind.exit_code(), 64, "{wrong}");
        }
    }

    #[test]
    fn no_two_nonces_are_the_same() {
        assert_ne!(nonce(), nonce());
        assert_eq!(nonce().len(), 16);
    }
}
