//! The session of a teardown, and its fallback if the controller or GitHub cannot remove the runners.

pub(crate) mod advice;
pub(super) mod source;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use self::{
    advice::{refuse_own_runner, say_by_hand, say_crds, say_jobs, say_what_stays},
    source::{Source, from_inventory, from_profile, use_secret},
};
use super::{Session, accounts::accounts, set_order};
use crate::{
    clients::{
        credential::{self, Credential, Loaded, Sources},
        github::GitHub,
        helm::Helm,
        kube::{Kube, Selection, Target},
    },
    desired::{
        Desired, names,
        resource::{Id, Resource, scale_set::SetRecord},
        teardown::{self, Records, TeardownOptions},
    },
    error::{Error, ErrorKind, Result},
    inventory, observe,
    profile::Profile,
    resource::{
        context::{Clients, Context, scope},
        deletion::Removal,
        runners::account::Account,
    },
    secret::Secret,
    terminal::{
        args::GlobalArgs,
        environment::{helm_places, hidden_variables, variable},
        output::Output,
    },
};

/// What goes, and how.
#[derive(Args)]
pub(crate) struct RemovalArgs {
    /// Without the profile's file: the name of the profile, whose inventory in the cluster says what is there
    #[arg(long, value_name = "PROFILE")]
    name: Option<String>,
    /// With --name: the EKS cluster, instead of a kubeconfig context
    #[arg(long, value_name = "CLUSTER", requires = "name")]
    pub(super) eks: Option<String>,
    /// AWS region of --eks [default: the region of the environment]
    #[arg(long, value_name = "REGION", requires = "eks")]
    pub(super) region: Option<String>,
    /// End the jobs of busy runners, and continue when GitHub cannot be used
    #[arg(long)]
    force: bool,
    /// Delete the CRDs too, if no custom resource of them is left
    #[arg(long)]
    crds: bool,
}

impl RemovalArgs {
    /// The name that was given.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether any of them was given.
    pub(crate) fn is_given(&self) -> bool {
        self.name.is_some() || self.force || self.crds
    }
}

/// Connects and lists the existing resources to delete.
#[expect(
    clippy::too_many_lines,
    reason = "what is read before a teardown, in its order"
)]
pub(crate) async fn open(
    args: &RemovalArgs,
    global: &GlobalArgs,
    output: Output,
) -> Result<Session> {
    let source = match &args.name {
        Some(name) => Box::pin(from_inventory(name, args, global)).await?,
        None => Box::pin(from_profile(global, output)).await?,
    };
    let Source {
        kube,
        profile,
        records,
        ..
    } = &source;
    let hidden = hidden_variables(&profile.token_sources());
    let helm = Helm::new(&helm_places(), source.access.clone(), hidden)?;
    say_what_stays(records, &profile.name, output);
    if !args.crds {
        say_crds(records, output);
    }
    let (credential, github, mut lost) = Box::pin(connect(&source, output)).await?;
    let accounts = match Box::pin(of_pools(&source, output)).await {
        Ok(accounts) => accounts,
        Err(error) => {
            lost = lost.or(Some(error));
            Vec::new()
        }
    };
    let runs = controller_runs(kube, profile).await?;
    let of_deployments = runners_left(kube, records).await?;
    let left = of_deployments + scale_set_runners_left(kube, records).await?;
    let mut removal = Removal::new(args.force, source.recorded.clone());
    if of_deployments > 0 {
        removal.by_hand = Box::pin(by_hand(&source, runs, &credential, lost.as_ref())).await?;
    }
    if let Some(error) = lost {
        let home = inventory::Home::of(profile);
        let sets = inventory::scale_sets(kube, home).await?;
        let left = Left {
            runners: left,
            sets: &sets,
        };
        removal.without_github = Some(without_github(error, &left, args.force, output)?);
    }
    say_by_hand(&removal, output);
    let options = TeardownOptions {
        crds: args.crds,
        repair: !runs,
    };
    let all = teardown::teardown(records, profile, options);
    let version = kube.version().await?;
    let clients = Clients {
        kube: source.kube,
        aws: source.aws,
        helm,
        github,
        credential,
        accounts,
    };
    let context = Context {
        removal,
        ..Context::new(source.profile, clients, version)
    };
    let mut desired = there(&context, all).await?;
    set_order(&mut desired)?;
    if desired
        .iter()
        .any(|it| matches!(it.resource, Resource::Release(_)))
    {
        context.helm.binary()?;
    }
    refuse_own_runner(&context, &desired).await?;
    if args.force {
        say_jobs(&context, output).await?;
    }
    Ok(Session::of(context, desired, source.eks))
}

/// The existing resources of `all`; and if pools are deleted, the runners that they may leave at GitHub.
async fn there(context: &Context, all: Vec<Desired>) -> Result<Vec<Desired>> {
    let ghosts: Vec<Desired> = all
        .iter()
        .filter(|it| matches!(it.resource, Resource::Ghosts { .. }))
        .cloned()
        .collect();
    let found = observe::present(context, all).await?;
    let mut desired: Vec<Desired> = found.into_iter().map(|(desired, _)| desired).collect();
    let drains = desired
        .iter()
        .any(|it| matches!(it.resource, Resource::Drain(_)));
    let known = desired
        .iter()
        .any(|it| matches!(it.resource, Resource::Ghosts { .. }));
    if drains && !known {
        desired.extend(ghosts);
        desired.sort_by_key(|it| it.phase);
    }
    Ok(desired)
}

/// The credential, the GitHub client, and why it cannot be used.
async fn connect(source: &Source, output: Output) -> Result<(Credential, GitHub, Option<Error>)> {
    let sources = Sources {
        variable: &variable,
        directory: &source.directory,
        kube: Some(&source.kube),
        aws: source.aws.as_ref(),
    };
    let profile = &source.profile;
    let (credential, mut lost) = match credential::load(&profile.github, &sources).await {
        Ok(Loaded { credential, .. }) => (credential, None),
        Err(error) => (Credential::Token(Secret::trimmed("").0), Some(error)),
    };
    output.mask(&credential);
    let github = GitHub::new(
        profile.github.url.as_deref(),
        credential.clone(),
        source.ca_bundle.as_deref(),
    )?;
    if lost.is_none() {
        // Only whether GitHub accepts it: an early expiry or another owner is no reason to leave runners there.
        lost = github.registration(scope(profile)?).await.err();
    }
    Ok((credential, github, lost))
}

/// The GitHub clients of pools with a credential of their own, if GitHub accepts it.
async fn of_pools(source: &Source, output: Output) -> Result<Vec<Account>> {
    let sources = Sources {
        variable: &variable,
        directory: &source.directory,
        kube: Some(&source.kube),
        aws: source.aws.as_ref(),
    };
    let ca_bundle = source.ca_bundle.as_deref();
    let accounts = accounts(&source.profile, &sources, ca_bundle, output).await?;
    for account in &accounts {
        account.github.registration(scope(&account.part)?).await?;
    }
    Ok(accounts)
}

/// Whether a pod of the controller is ready.
async fn controller_runs(kube: &Kube, profile: &Profile) -> Result<bool> {
    let target = Target::namespaced(
        "apps/v1",
        "Deployment",
        &profile.controller.namespace,
        &profile.controller.full_name(),
    );
    let live = kube.get(&target).await?;
    Ok(live.is_some_and(|it| it["status"]["readyReplicas"].as_u64().unwrap_or(0) > 0))
}

/// The number of runners left in the namespaces of the recorded pools.
async fn runners_left(kube: &Kube, records: &Records) -> Result<usize> {
    let runners = in_namespaces_of_pools(records.keys(), names::ARC_API_VERSION, "Runner");
    Ok(kube.list_each(&runners).await?.len())
}

/// The number of runners left of the recorded scale sets.
async fn scale_set_runners_left(kube: &Kube, records: &Records) -> Result<usize> {
    let sets = records.keys().filter_map(|id| Id::parse(id));
    let namespaces: BTreeSet<String> = sets
        .filter(|id| id.kind() == "scale-set")
        .filter_map(|id| id.namespace().map(str::to_owned))
        .collect();
    let of = |it| Selection::namespaced(names::SCALE_SET_API_VERSION, "EphemeralRunner", it);
    let runners: Vec<Selection> = namespaces.iter().map(|it| of(it)).collect();
    Ok(kube.list_each(&runners).await?.len())
}

/// The objects of a kind in the namespaces of the pools among `ids`, and in the default namespace of pools.
pub(super) fn in_namespaces_of_pools<'a>(
    ids: impl Iterator<Item = &'a String>,
    api_version: &str,
    kind: &str,
) -> Vec<Selection> {
    let pools = ids.filter_map(|id| Id::parse(id));
    let pools = pools.filter(|id| ["runner-deployment", "scale-set"].contains(&id.kind()));
    let namespaces: BTreeSet<String> = pools
        .filter_map(|id| id.namespace().map(str::to_owned))
        .chain([names::RUNNER_NAMESPACE.to_owned()])
        .collect();
    let each = namespaces.iter();
    each.map(|it| Selection::namespaced(api_version, kind, it))
        .collect()
}

/// Why the controller cannot delete its runners.
async fn by_hand(
    source: &Source,
    runs: bool,
    credential: &Credential,
    lost: Option<&Error>,
) -> Result<Option<String>> {
    if !runs {
        return Ok(Some("the controller does not run".into()));
    }
    if let Some(error) = lost {
        return Ok(Some(format!(
            "the controller cannot query GitHub either ({})",
            error.message
        )));
    }
    let secret = Target::namespaced(
        "v1",
        "Secret",
        &source.profile.controller.namespace,
        names::CONTROLLER_SECRET,
    );
    let Some(secret) = source.kube.get(&secret).await? else {
        return Ok(Some("the controller's Secret is gone".into()));
    };
    let mut own = source.profile.clone();
    use_secret(&mut own, &secret);
    let sources = Sources {
        variable: &variable,
        directory: &source.directory,
        kube: Some(&source.kube),
        aws: source.aws.as_ref(),
    };
    let Loaded {
        credential: its, ..
    } = credential::load(&own.github, &sources).await?;
    if its.secret_data() == credential.secret_data() {
        return Ok(None);
    }
    let github = GitHub::new(own.github.url.as_deref(), its, source.ca_bundle.as_deref())?;
    let Some(scope) = own.github.scope() else {
        return Ok(None);
    };
    match github.registration(scope).await {
        Err(error) if error.kind == ErrorKind::Unauthorized => {
            Ok(Some("GitHub does not accept the controller's token".into()))
        }
        _ => Ok(None),
    }
}

/// What is registered at GitHub.
struct Left<'a> {
    runners: usize,
    /// The records of scale sets, by `namespace/name`.
    sets: &'a BTreeMap<String, SetRecord>,
}

impl Left<'_> {
    /// What `--force` leaves there: GitHub removes runners after some time, and no scale set.
    fn stays(&self) -> String {
        let mut parts = Vec::new();
        if self.runners > 0 {
            parts.push(format!(
                "it deletes the {} runners without GitHub, which lists them as offline and removes them itself after 1 day (ephemeral) or 14 days",
                self.runners
            ));
        }
        let named = |(place, it): (&String, &SetRecord)| format!("`{place}` ({})", it.in_words());
        let sets: Vec<String> = self.sets.iter().map(named).collect();
        if !sets.is_empty() {
            parts.push(format!(
                "GitHub keeps the runner scale sets {} until somebody deletes them there",
                sets.join(", ")
            ));
        }
        parts.join("; ")
    }
}

/// GitHub cannot be called: an error while something is registered there, unless `force`.
fn without_github(error: Error, left: &Left<'_>, force: bool, output: Output) -> Result<String> {
    if (left.runners > 0 || !left.sets.is_empty()) && !force {
        let way_out = format!("or run `arcctl teardown --force`: {}", left.stays());
        let hint = match &error.hint {
            Some(hint) => format!("{hint}; {way_out}"),
            None => way_out,
        };
        return Err(error.hint(hint));
    }
    let more = if left.sets.is_empty() {
        String::new()
    } else {
        format!("; {}", left.stays())
    };
    output.note(format!(
        "advice: {}: runners that are registered at GitHub stay there until GitHub removes them{more}",
        error.message
    ));
    Ok(error.message)
}
