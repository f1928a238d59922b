//! `arcctl plan`.

use clap::Args;

use crate::{
    desired::{Facts, desired, placeholder, summary::summary},
    error::{Error, ErrorKind, Result, System},
    observe,
    plan::{Action, Plan, Step},
    report::{self, plan::Layout},
    run::{READING, dry_runs::try_pods, install::fetch_charts},
    session::{
        Session, bundle, image_pulls, lock,
        teardown::{self, RemovalArgs},
    },
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::Output,
        profile_file::{self, ProfileFile},
    },
};

/// Show what `up` would change, field by field; write nothing
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct PlanArgs {
    /// Lint and render only; needs no network
    #[arg(long)]
    offline: bool,
    /// Exit with 2 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
    /// Plan to take over an installation that was created by hand
    #[arg(long)]
    adopt: bool,
    /// Plan with the charts and images of a bundle, as `up --bundle` does
    #[arg(long, value_name = "BUNDLE", conflicts_with = "offline")]
    bundle: Option<String>,
    /// Show what `teardown` would delete
    #[arg(long, conflicts_with_all = ["offline", "adopt", "bundle"])]
    teardown: bool,
    #[command(flatten)]
    removal: RemovalArgs,
}

/// Creates and prints the plan.
pub(crate) async fn run(args: &PlanArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    if !args.teardown && args.removal.is_given() {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Local,
            "--name, --force and --crds are about a teardown",
        )
        .hint("give --teardown too"));
    }
    if args.teardown {
        let read = async {
            let session = Box::pin(teardown::open(&args.removal, global, output)).await?;
            output.note_sentence(&session.target(), 2);
            observe::plan(&session.context, &session.desired, false).await
        };
        let plan = RunLimit::reading(output).within(READING, read).await?;
        return Ok(show(
            (&plan, Layout::InOrder),
            args.detailed_exitcode,
            None,
            global,
            output,
        ));
    }
    let file = profile_file::read(global, output)?;
    if args.offline {
        let plan = offline(&file, global, output)?;
        return Ok(show(
            (&plan, Layout::Grouped),
            args.detailed_exitcode,
            None,
            global,
            output,
        ));
    }
    let read = of_cluster(args, file, global, output);
    let (plan, error) = RunLimit::reading(output).within(READING, read).await?;
    Ok(show(
        (&plan, Layout::Grouped),
        args.detailed_exitcode,
        error.as_ref(),
        global,
        output,
    ))
}

/// The plan of what is in the cluster, and the error that its execution would end with.
async fn of_cluster(
    args: &PlanArgs,
    file: ProfileFile,
    global: &GlobalArgs,
    output: Output,
) -> Result<(Plan, Option<Error>)> {
    let source = args.bundle.as_deref();
    let opened = bundle::session(source, file, global, args.adopt, output);
    // The charts of a bundle are there as long as the plan is made.
    let (mut session, _bundle) = Box::pin(opened).await?;
    output.note_sentence(&session.target(), 2);
    session.say_migrations(output);
    let (plan, mut trials) = tokio::join!(
        observe::plan(&session.context, &session.desired, args.adopt),
        Box::pin(try_pods(&session))
    );
    let mut plan = plan.map_err(|error| not_planned(&session, error))?;
    Box::pin(trials.finish(&plan, output)).await;
    trials.tell_untried(output);
    let error = session.lock.check().and_then(|()| trials.check(&plan));
    let mut error = error.err();
    drop(trials);
    if error.is_none() && session.context.helm.is_locked() {
        error = Box::pin(fetch_charts(&session, &plan)).await.err();
    }
    if error.is_none() {
        Box::pin(image_pulls::add(&mut session, &mut plan)).await?;
    }
    plan.steps.extend(session.lock.steps());
    Ok((plan, error))
}

/// The error of a plan that could not be made: a chart that is refused may follow from a profile that is newer than its lock.
fn not_planned(session: &Session, error: Error) -> Error {
    let of_the_lock = || session.lock.check().err();
    let is_refused = error.kind == ErrorKind::Refused;
    is_refused.then(of_the_lock).flatten().unwrap_or(error)
}

/// Prints a plan, and the error that its execution would end with; returns the exit code.
fn show(
    (plan, layout): (&Plan, Layout),
    detailed: bool,
    error: Option<&Error>,
    global: &GlobalArgs,
    output: Output,
) -> u8 {
    global.actions.summarize(&report::markdown::plan(plan));
    if output.is_json() {
        output.document(&report::plan::document(&plan.profile, Some(plan), error));
    } else {
        output.result(&report::plan::text(plan, output.verbosity > 0, layout));
    }
    if let Some(error) = error {
        global.actions.failure(error);
        global.actions.summarize(&report::markdown::failure(error));
        output.print_error(error);
        return error.kind.exit_code();
    }
    if detailed && !plan.is_unchanged() {
        2
    } else {
        0
    }
}

/// The plan for an empty cluster, with a list of the facts that are unknown offline.
fn offline(file: &ProfileFile, global: &GlobalArgs, output: Output) -> Result<Plan> {
    let facts = Facts {
        now: jiff::Timestamp::now(),
        pins: lock::rendered(&file.profile, global)?,
        ..Facts::default()
    };
    let desired = desired(&file.profile, &facts).map_err(|error| file.invalid(&error))?;
    for placeholder in placeholder::needed(&desired) {
        output.note(format!(
            "not known offline: {}: {}",
            placeholder.text(),
            placeholder.meaning
        ));
    }
    let steps = desired.iter().map(|it| Step {
        id: it.id.to_string(),
        kind: it.id.kind().to_owned(),
        name: it.id.name().to_owned(),
        phase: it.phase,
        action: if it.resource.is_proof() {
            Action::Later
        } else {
            Action::Create
        },
        differences: Vec::new(),
        adopts: false,
        ready: false,
        proof: it.resource.is_proof(),
        note: None,
        consequences: Vec::new(),
        summary: summary(it),
    });
    Ok(Plan {
        profile: file.profile.name.clone(),
        steps: steps.collect(),
    })
}
