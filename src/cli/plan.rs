//! `arcctl plan`.

use clap::Args;

use super::{
    GlobalArgs, observation, output::Output, profile_file, run_limit::RunLimit, session::Session,
};
use crate::{
    desired::{Facts, desired, placeholder},
    error::Result,
    plan::{Action, Plan, Step},
    report,
};

/// Show what `up` would change, field by field; write nothing
#[derive(Args)]
pub(super) struct PlanArgs {
    /// Lint and render only: no network at all
    #[arg(long)]
    offline: bool,
    /// Exit with 2 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
    /// Plan to take over an installation that was made by hand
    #[arg(long)]
    adopt: bool,
}

/// Makes and prints the plan.
pub(super) async fn run(args: &PlanArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let file = profile_file::read(global, output)?;
    let plan = if args.offline {
        offline(&file, output)?
    } else {
        let read = async {
            let session = Session::open(global, file, args.adopt, output).await?;
            output.note(session.target());
            say_left_behind(&session, output).await?;
            observation::plan(&session, args.adopt).await
        };
        RunLimit::reading(output)
            .within("reading the cluster and GitHub", read)
            .await?
    };
    if output.is_json() {
        output.document(&report::plan::document(&plan.profile, Some(&plan), None));
    } else {
        output.result(&report::plan::text(&plan, output.verbosity > 0));
    }
    Ok(if args.detailed_exitcode && !plan.is_unchanged() {
        2
    } else {
        0
    })
}

/// Says what the profile no longer has.
pub(super) async fn say_left_behind(session: &Session, output: Output) -> Result<()> {
    for id in observation::left_behind(session).await? {
        output.note(format!(
            "advice: `{id}` is no longer in the profile, and stays in the cluster: this version does not remove it"
        ));
    }
    Ok(())
}

/// Everything as if the cluster were empty, with the facts that are not known offline listed.
fn offline(file: &profile_file::ProfileFile, output: Output) -> Result<Plan> {
    let facts = Facts {
        now: jiff::Timestamp::now(),
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
    });
    Ok(Plan {
        profile: file.profile.name.clone(),
        steps: steps.collect(),
    })
}
