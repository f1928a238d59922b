//! `arcctl init --from-cluster`: the profile of an installation that was made by hand, and what of it a profile does not say.
//!
//! `read` asks the cluster; the rest is pure. Whether the profile is right is not claimed but planned: each difference that
//! `arcctl plan --adopt` would show is listed with its reason.

mod found;
mod pool;
mod profile;
mod read;
pub(crate) mod reasons;
#[cfg(test)]
mod tests;
mod values;
mod windows;
mod yaml;

use std::path::Path;

use found::Installation;
use profile::{Adopted, adopted};
use reasons::{Explained, comments, explained, one_line};

use super::{
    Request,
    answers::{APP, Answers, Key, Place},
    dialog::{FOUND, finding},
    facts::Line,
    look::{cluster::section, places::current},
    outcome::{Written, report, write},
    wizard::{time_zone, unanswered},
};
use crate::{
    desired,
    error::{Error, ErrorKind, Result, System},
    observe,
    plan::Plan,
    profile::{Loaded, load_with},
    run::READING,
    session::{Session, connection::Connection},
    templates::{INIT_ADOPTED, INIT_DIFFERENCES},
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        environment::{hidden_variables, variable},
        output::Output,
        profile_file::ProfileFile,
    },
};

/// Reads the installation, writes its profile, and shows the differences; returns the exit code.
pub(super) async fn run(
    mut request: Request,
    global: &GlobalArgs,
    limit: &RunLimit,
    output: Output,
) -> Result<u8> {
    let place = cluster(&mut request, global)?;
    let reading = async {
        let hidden = hidden_variables(&[]);
        let connection = Box::pin(Connection::to_cluster(global, &section(&place), hidden)).await?;
        read::installation(&connection.kube, request.controller.as_deref()).await
    };
    let found = limit.within(READING, reading).await?;
    credential(&mut request.answers, &found)?;
    let zone = request.answers.whole(Key::TimeZone).map(str::to_owned);
    let zone = zone.or_else(time_zone);
    let adopted = adopted(&found, &request.answers, &request.extras, zone.as_deref());
    let lines = lines(&found, &adopted);
    for line in &lines {
        output.note_sentence(&finding(line), FOUND);
    }
    let head = INIT_ADOPTED.text(&[("SCHEMA", super::text::SCHEMA), ("CLUSTER", &words(&place))]);
    let body = head + &yaml::text(&adopted.value)?;
    let file = global.file.display().to_string();
    let loaded = load_with(&body, &file, &desired::lint::lint);
    let planned = match &loaded {
        Ok(loaded) => Some(Box::pin(planned(loaded, limit, global, output)).await),
        Err(_) => None,
    };
    limit.stopped()?;
    let steps = planned.iter().flatten().flat_map(|it| it.steps.as_slice());
    let steps: Vec<_> = steps.cloned().collect();
    let differences = explained(&steps, &adopted.gaps);
    let text = with_differences(body, &differences);
    let mut written = Written {
        profile: super::text::name(&adopted.answers, &request.extras),
        answers: &adopted.answers,
        found: &lines,
        text,
        advice: loaded
            .as_ref()
            .map_or_else(|_| Vec::new(), |it| it.advice.clone()),
        differences,
        planned: planned.map(|it| it.map(|it| it.changes())),
    };
    written.text = secret_free(written.text)?;
    write(&written, global, output)?;
    if let Err(errors) = loaded {
        return Err(Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            errors.to_string().trim_end(),
        )
        .object(&file)
        .hint(format!(
            "`{file}` is written as found: correct these lines, then run `arcctl plan --adopt`"
        )));
    }
    tell(&written.differences, output);
    report(&written, global, output);
    Ok(0)
}

/// The cluster: that of the flags, or the current context.
fn cluster(request: &mut Request, global: &GlobalArgs) -> Result<Place> {
    if request.answers.place().is_none() {
        let Some(current) = current(global) else {
            return Err(unanswered(&[Key::Cluster]));
        };
        let answer = Some(format!("context:{current}"));
        drop(request.answers.set(Key::Cluster, answer));
    }
    request
        .answers
        .place()
        .ok_or_else(|| unanswered(&[Key::Cluster]))
}

/// The kind of the credential is that of the controller's Secret; its place is the flags', or the usual variable.
fn credential(answers: &mut Answers, found: &Installation) -> Result<()> {
    let is_app = found.secret_keys.iter().any(|it| it == "github_app_id");
    let has_token = found.secret_keys.iter().any(|it| it == "github_token");
    if is_app && !has_token && answers.get(Key::Credential).is_none() {
        return Err(unanswered(&[Key::App, Key::AppPem]));
    }
    if answers.get(Key::Credential).is_none() {
        drop(answers.set(Key::Credential, Some("env:ARCCTL_GITHUB_TOKEN".into())));
    }
    debug_assert!(answers.get(Key::Credential) != Some(APP) || answers.app().is_some());
    Ok(())
}

/// What was found, for people and for the document.
fn lines(found: &Installation, adopted: &Adopted) -> Vec<Line> {
    let line = |what, text: String| Line {
        what,
        read: Ok(text),
    };
    let controller = &found.controller;
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    vec![
        line(
            "controller",
            format!(
                "release `{}` in namespace {}, chart {}",
                controller.release, controller.namespace, controller.chart_version
            ),
        ),
        line(
            "runners",
            format!(
                "{}, {}",
                count(found.deployments.len(), "RunnerDeployment"),
                count(found.autoscalers.len(), "HorizontalRunnerAutoscaler")
            ),
        ),
        line(
            "credential",
            format!(
                "keys of the controller's Secret: {}",
                found.secret_keys.join(", ")
            ),
        ),
        line(
            "scope",
            adopted
                .answers
                .get(Key::Scope)
                .unwrap_or("none")
                .replace(':', " "),
        ),
    ]
}

fn words(place: &Place) -> String {
    match place {
        Place::Eks { name, region } => format!("EKS cluster {name} in {region}"),
        Place::Context(name) => format!("the cluster of context {}", one_line(name)),
    }
}

/// What `arcctl plan --adopt` would do with the profile.
async fn planned(
    loaded: &Loaded,
    limit: &RunLimit,
    global: &GlobalArgs,
    output: Output,
) -> Result<Plan> {
    let path = &global.file;
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let file = ProfileFile {
        profile: loaded.profile.clone(),
        directory: directory.unwrap_or(Path::new(".")).to_owned(),
        name: path.display().to_string(),
        advice: Vec::new(),
    };
    let read = async {
        let session = Box::pin(Session::open(global, file, true, output)).await?;
        observe::plan(&session.context, &session.desired, true).await
    };
    limit.within(READING, read).await
}

fn with_differences(body: String, differences: &[Explained]) -> String {
    match differences {
        [] => body,
        all => body + &INIT_DIFFERENCES.text(&[]) + &comments(all),
    }
}

/// A profile is written to a file that somebody may commit: nothing that looks like a secret goes there.
fn secret_free(text: String) -> Result<String> {
    if crate::secret::shape::is_refused(&text)
        || variable("ARCCTL_GITHUB_TOKEN").is_some_and(|it| it.len() > 8 && text.contains(&it))
    {
        return Err(Error::new(
            ErrorKind::Refused,
            System::Local,
            "the installation has a credential in a place that a profile would repeat",
        )
        .hint("move it into a Secret (`env` with `valueFrom`), then run the same command again; nothing was written"));
    }
    Ok(text)
}

fn tell(differences: &[Explained], output: Output) {
    if differences.is_empty() {
        output.note("\n`arcctl plan --adopt` has nothing to change");
        return;
    }
    output.note(format!(
        "\n{} differences are left, listed with their reasons at the end of the profile:",
        differences.len()
    ));
    for line in comments(differences).lines() {
        output.note(line.trim_start_matches("# "));
    }
}
