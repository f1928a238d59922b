//! `arcctl status`: the state on one screen, once or with `--watch`.

use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    error::{Error, ErrorKind, Result, System},
    execute::Stop,
    report::{
        self,
        status::{PoolStatus, Status},
    },
    run::READING,
    session::{
        connection::{Connection, cluster_words},
        state::{Runners, State},
    },
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::{BAD, GOOD, Output, paint},
        profile_file,
        signals::stop_on_signals,
    },
};

/// The polling interval for GitHub, which cannot be watched, with `--watch`.
const ASKED: Duration = Duration::from_secs(15);

/// How long changes are collected before the state is read: a growing pool changes many pods.
const GATHERED: Duration = Duration::from_secs(1);

/// Show releases, certificate and pools on one screen
#[derive(Args)]
pub(crate) struct StatusArgs {
    /// Only this pool; can be repeated
    #[arg(long, value_name = "NAME")]
    pool: Vec<String>,
    /// Watch for changes until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Prints the state.
pub(crate) async fn run(args: &StatusArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    if args.watch && output.is_json() {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Local,
            "`--watch` shows state after state, and `-o json` is one document",
        )
        .hint("leave out one of them"));
    }
    let file = profile_file::read(global, output)?;
    let limit = RunLimit::reading(output);
    let opened = async {
        let connection = Box::pin(Connection::open(global, &file.profile)).await?;
        let version = connection.kube.version().await?;
        let cluster = cluster_words(&connection.kube, connection.eks.as_ref(), version);
        let target = format!("profile {} on {cluster}", file.profile.name);
        output.note_sentence(&target, 2);
        State::open(file, &args.pool, connection, output).await
    };
    let state = limit.within(READING, opened).await?;
    let mut watch = Watch {
        state: &state,
        output,
        refusal: None,
        groups: None,
        offers: None,
    };
    if args.watch {
        return Box::pin(watch.until_stopped()).await;
    }
    let read = async {
        let runners = watch.runners().await;
        let status = watch.read(runners.as_ref(), true).await?;
        Ok((runners, status))
    };
    let (runners, status) = limit.within(READING, read).await?;
    tell(&status, runners.is_some(), global, output);
    Ok(0)
}

/// Prints the state, and the summary and output of a step of GitHub Actions.
fn tell(status: &Status, is_counted: bool, global: &GlobalArgs, output: Output) {
    if let Some(summary) = report::status::summary(status) {
        global.actions.summarize(&summary);
    }
    if is_counted {
        let registered = status.pools.iter().filter_map(|it| it.registered).sum();
        global.actions.set("runners-registered", registered);
    }
    if output.is_json() {
        output.document(&report::status::document(status));
    } else {
        output.result(&report::status::text(status, output.verbosity > 0));
        let lacks =
            |it: &&PoolStatus| it.desired.is_some_and(|it| it > 0) && it.registered == Some(0);
        let (lacking, pools) = (
            status.pools.iter().filter(lacks).count(),
            status.pools.len(),
        );
        if lacking > 0 {
            output.note(format!(
                "{lacking} of {pools} pools have no registered runner: `arcctl doctor` shows why"
            ));
        }
    }
}

/// The state of `--watch`.
struct Watch<'a> {
    state: &'a State,
    output: Output,
    /// Why GitHub could not be called, when that was last reported.
    refusal: Option<String>,
    /// What the runner groups block, when that was last reported.
    groups: Option<String>,
    /// Why the offered versions are not known, when that was last reported.
    offers: Option<String>,
}

impl Watch<'_> {
    /// GitHub's runners; an error is reported once.
    async fn runners(&mut self) -> Option<Runners> {
        let (runners, groups) =
            tokio::join!(self.state.runners(), Box::pin(self.state.group_fault()));
        match runners {
            Ok(runners) => {
                self.refusal = None;
                self.say_of_groups(groups);
                self.say_of_offers(runners.offers.as_ref().err());
                Some(runners)
            }
            Err(error) => {
                let reason = error.document().message;
                if self.refusal.as_ref() != Some(&reason) {
                    self.output.note(format!(
                        "cannot read the runners from GitHub, so REGISTERED is the controller's number: {reason}"
                    ));
                }
                self.refusal = Some(reason);
                None
            }
        }
    }

    /// Reports that the versions that GitHub offers are not known, once until that changes.
    fn say_of_offers(&mut self, error: Option<&Error>) {
        let said = error.map(|error| {
            format!(
                "which runner version GitHub offers could not be found out: {}",
                error.document().message
            )
        });
        if let Some(said) = said.as_ref().filter(|it| self.offers.as_ref() != Some(it)) {
            self.output.note(said);
        }
        self.offers = said;
    }

    /// Reports what the runner groups block, once until it changes.
    fn say_of_groups(&mut self, fault: Result<Option<Error>>) {
        let said = match fault {
            Ok(fault) => fault.map(|it| {
                let (message, hint) = (it.document().message, it.hint.unwrap_or_default());
                format!(
                    "{} {message}\n{} {hint}",
                    paint(BAD, "no jobs:"),
                    paint(GOOD, "hint:")
                )
            }),
            Err(error) => Some(format!(
                "whether the runner groups take these runners could not be found out: {}",
                error.document().message
            )),
        };
        if let Some(said) = said.as_ref().filter(|it| self.groups.as_ref() != Some(it)) {
            self.output.note(said);
        }
        self.groups = said;
    }

    async fn read(&self, runners: Option<&Runners>, first: bool) -> Result<Status> {
        let (status, advice) = self.state.read(runners).await?;
        if first {
            for advice in advice {
                self.output.note(advice);
            }
        }
        Ok(status)
    }

    /// Shows the state and each change of it. Ctrl-C ends it with 130, as in `kubectl get --watch` and `tail -f`.
    async fn until_stopped(&mut self) -> Result<u8> {
        let stop = stop_on_signals();
        let mut stopped = stop.subscribe();
        tokio::select! {
            ended = self.watch() => ended.map(|never| match never {}),
            reason = stopped.wait_for(Option::is_some) => {
                let stop = reason.ok().and_then(|it| *it);
                let kind = stop.and_then(Stop::signal).map_or(ErrorKind::Interrupted, |(kind, _)| kind);
                Ok(kind.exit_code())
            }
        }
    }

    async fn watch(&mut self) -> Result<std::convert::Infallible> {
        let mut changes = self.state.kube.changes(&self.state.selections()).boxed();
        let mut ticks = tokio::time::interval(ASKED);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut runners = self.runners().await;
        let mut shown: Option<Status> = None;
        let mut failure: Option<String> = None;
        loop {
            match self.read(runners.as_ref(), shown.is_none()).await {
                Ok(status) => {
                    failure = None;
                    self.show(shown.as_ref(), &status);
                    shown = Some(status);
                }
                // An error at the first read, or a missing permission, ends it; other errors may be temporary.
                Err(error) if shown.is_none() || error.kind == ErrorKind::Unauthorized => {
                    return Err(error);
                }
                Err(error) => {
                    let reason = error.document().message;
                    if failure.as_ref() != Some(&reason) {
                        self.output
                            .note(format!("the state is not known now: {reason}"));
                    }
                    failure = Some(reason);
                }
            }
            tokio::select! {
                Some(()) = changes.next() => {
                    let end = Instant::now() + GATHERED;
                    while let Ok(Some(())) = tokio::time::timeout_at(end, changes.next()).await {}
                }
                _ = ticks.tick() => runners = self.runners().await,
            }
        }
    }

    /// On a terminal the screen is redrawn; elsewhere each change is a line.
    fn show(&self, before: Option<&Status>, status: &Status) {
        let verbose = self.output.verbosity > 0;
        let now = jiff::Timestamp::now().strftime("%H:%M:%S UTC");
        if self.output.is_screen() {
            let text = report::status::text(status, verbose);
            self.output
                .screen(&text, &format!("\nas of {now}; Ctrl-C ends"));
            return;
        }
        match before {
            None => self.output.result(&report::status::text(status, verbose)),
            Some(before) => {
                for change in report::status::changes(before, status) {
                    self.output.result(&format!("{now}  {change}\n"));
                }
            }
        }
    }
}
