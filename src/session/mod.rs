//! The session of a command: clients, credential and facts, and the checks before the first write. The environment is read
//! here.

pub(crate) mod accounts;
mod autoscalers;
pub(crate) mod aws_facts;
pub(crate) mod bundle;
mod cluster_facts;
pub(crate) mod conflicts;
pub(crate) mod connection;
pub(crate) mod doctor;
pub(crate) mod github;
pub(crate) mod image_pulls;
pub(crate) mod image_updates;
pub(crate) mod lock;
mod not_ready;
mod scale_sets;
pub(crate) mod state;
pub(crate) mod teardown;
pub(crate) mod verify;

use std::collections::BTreeSet;

use accounts::{accounts, accounts_of_gone_pools, audits, version_advice};
use cluster_facts::{eks_facts, facts, in_each};
use connection::{Connection, cluster_words};
use github::{SignedIn, at_github};
use lock::{LockFile, Locked};
use teardown::advice::say_what_stays;

use crate::{
    clients::{
        aws::cluster::EksCluster,
        credential::{Credential, Sources},
        github::GitHub,
        helm::Helm,
    },
    desired::{
        Desired, DesiredError, Facts, desired, order,
        pool::pull_proof::ToPull,
        resource::{Id, Resource},
        scale_set::upgrade,
        teardown::Records,
    },
    error::{Error, ErrorKind, Result, System},
    inventory,
    migration::{Migration, held},
    observe,
    profile::Profile,
    resource::{
        context::{Clients, Context, scope},
        kubernetes::crds::known::Known,
        pods::references,
        scale_sets::minor,
    },
    secret::Secret,
    terminal::{
        args::GlobalArgs,
        environment::{helm_places, hidden_variables, variable},
        output::Output,
        profile_file::ProfileFile,
    },
    units::listed::and_more,
    upgrade::backup,
};

/// How many pools a closing line names.
const PROMISED: usize = 5;

/// The connections of one command, and the facts read from them.
pub(super) struct Session {
    /// The clients and facts.
    pub context: Context,
    /// The desired resources.
    pub desired: Vec<Desired>,
    /// Recorded resources that left the profile and no longer exist: a run that writes removes their records.
    pub gone: BTreeSet<String>,
    /// The lock beside the profile, or that of a bundle, compared.
    pub lock: Locked,
    /// What a run must prove before it changes anything: that these images can be pulled in the cluster.
    pub to_pull: ToPull,
    /// The migrations of this profile's pools that are in progress.
    pub migrations: Vec<Migration>,
    /// What is in progress, in words: migrations, and an upgrade.
    notices: Vec<String>,
    ca_bundle: Option<String>,
    eks: Option<EksCluster>,
}

impl Session {
    /// What a successful run has proven of each pool at `at`, for people.
    pub(crate) fn promises(&self, at: jiff::Timestamp) -> String {
        let pools = self.desired.iter().filter_map(|it| match &it.resource {
            Resource::Registration(pool) => Some(pool.promise(at)),
            Resource::ScaleSetOnline(set) => Some(set.promise(at)),
            _ => None,
        });
        let all: Vec<String> = pools.collect();
        let (told, more) = all.split_at(all.len().min(PROMISED));
        let told = told.join(", ");
        match and_more(more.len(), "pool") {
            None => told,
            Some(more) => format!("{told}, {more}"),
        }
    }

    /// Connects, reads the facts, and checks everything that can be checked before the first write.
    pub(super) async fn open(
        global: &GlobalArgs,
        file: ProfileFile,
        adopt: bool,
        output: Output,
    ) -> Result<Self> {
        Box::pin(Self::locked(
            global,
            file,
            lock::read(global)?,
            adopt,
            output,
        ))
        .await
    }

    /// The same with a lock, wherever it is from.
    #[expect(
        clippy::too_many_lines,
        reason = "one thing after the other that has to be set up"
    )]
    pub(super) async fn locked(
        global: &GlobalArgs,
        file: ProfileFile,
        lock_file: Option<LockFile>,
        adopt: bool,
        output: Output,
    ) -> Result<Self> {
        let mut connection = Box::pin(Connection::open(global, &file.profile)).await?;
        let Connection { kube, aws, eks, .. } = &connection;
        let helm_must_not_see = hidden_variables(&file.profile.token_sources());
        let helm = Helm::new(&helm_places(), connection.access.clone(), helm_must_not_see)?
            .locked(lock_file.as_ref().map(|it| &it.lock));
        helm.binary()?;
        let SignedIn {
            credential,
            github,
            ca_bundle,
        } = Box::pin(at_github(&file, kube, aws.as_ref(), output)).await?;
        let sources = Sources {
            variable: &variable,
            directory: &file.directory,
            kube: Some(kube),
            aws: aws.as_ref(),
        };
        let mut accounts = Box::pin(accounts(
            &file.profile,
            &sources,
            ca_bundle.as_deref(),
            output,
        ))
        .await?;
        // Joined, not raced, here and in `facts`: the same fault gives the same error in every run.
        let at_aws = aws.as_ref().zip(eks.as_ref());
        let (audit, facts, missing, versions, inventory) = tokio::join!(
            Box::pin(audits(&github, &file.profile, &accounts)),
            Box::pin(facts(
                kube,
                at_aws,
                &file.profile,
                ca_bundle.clone(),
                conflicts::For::Run,
                Some(&helm),
            )),
            Box::pin(references::missing(kube, &file.profile)),
            Box::pin(version_advice(&github, &file.profile, &accounts)),
            inventory::read(kube, inventory::Home::of(&file.profile))
        );
        #[cfg(debug_assertions)]
        crate::terminal::panic::provoked(&credential).await;
        let (audit, (facts, advice)) = (audit?, facts?);
        let advice = advice.into_iter().chain(audit.advice);
        for advice in advice.chain(missing).chain(versions) {
            output.note(format!("advice: {advice}"));
        }
        let mut desired = wanted(&file.profile, &facts)?;
        let lock = Box::pin(compared(
            lock_file.as_ref(),
            (&file.profile, &desired[..]),
            global,
            output,
        ));
        let (inventory, lock) = (inventory?, lock.await?);
        lock.pins.apply(&mut desired);
        accounts.extend(
            Box::pin(accounts_of_gone_pools(
                &file.profile,
                &inventory,
                &sources,
                ca_bundle.as_deref(),
                output,
            ))
            .await?,
        );
        Box::pin(connection.reach(&inventory)).await?;
        let Connection { kube, aws, eks, .. } = connection;
        let clients = Clients {
            kube,
            aws,
            helm,
            github,
            credential,
            accounts,
        };
        let version = facts.kubernetes.unwrap_or_default();
        let context = Context {
            adopt,
            started: facts.now,
            pins: lock.pins.clone(),
            free_addresses: facts.aws.map(|it| it.free_addresses).unwrap_or_default(),
            crds: Known::new(inventory.crds.clone()),
            ..Context::new(file.profile, clients, version)
        };
        let mut session = Self {
            context,
            desired,
            ca_bundle,
            eks,
            gone: BTreeSet::new(),
            lock,
            to_pull: ToPull::default(),
            migrations: inventory.migrations.clone(),
            notices: inventory.notices(),
        };
        Box::pin(session.add_left_behind(&inventory.records, output)).await?;
        Ok(session)
    }

    /// A session that deletes `desired`.
    pub(super) fn of(context: Context, desired: Vec<Desired>, eks: Option<EksCluster>) -> Self {
        Self {
            context,
            desired,
            ca_bundle: None,
            eks,
            gone: BTreeSet::new(),
            lock: Locked::default(),
            to_pull: ToPull::default(),
            migrations: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Adds the resources that the profile no longer has, to delete them; reports those that only a teardown deletes. Also
    /// the ends of the scale sets that the profile has with another minor version of their charts.
    async fn add_left_behind(&mut self, records: &Records, output: Output) -> Result<()> {
        let context = &mut self.context;
        context.removal.recorded = records.keys().cloned().collect();
        let mut left = observe::left_behind(context, records, &self.desired).await?;
        let name = &context.profile.name;
        let is_held = |id: &Id| {
            backup::is_part(id, name)
                || inventory::is_of_migrations(id, name)
                || self.migrations.iter().any(|it| it.holds(id, name))
        };
        left.goes.retain(|it| !is_held(&it.id));
        for why in &left.stays {
            output.note(format!("advice: no longer in the profile: {why}"));
        }
        let mut unwanted = records.clone();
        let of_this_run = || self.desired.iter().chain(&left.goes);
        unwanted.retain(|id, _| {
            !of_this_run().any(|it| it.id.as_str() == *id)
                && !Id::parse(id).is_some_and(|it| is_held(&it))
        });
        say_what_stays(&unwanted, &context.profile.name, output);
        for id in unwanted.keys() {
            if id.starts_with("helm-release/") || id.starts_with("secret/") {
                output.note(format!(
                    "advice: `{id}` is no longer in the profile, and stays: others may need it; only `arcctl teardown` removes it"
                ));
            }
        }
        self.desired.extend(left.goes);
        self.gone = left.gone;
        let outgoing = minor::outgoing(&self.context).await?;
        held::refuse_outgoing(&self.migrations, &self.context.profile, &outgoing)?;
        let drains = upgrade::drains(&self.context.profile, &outgoing);
        self.desired.extend(drains);
        set_order(&mut self.desired)
    }

    /// Whether GitHub still accepts the previous token in the controller's Secret: a rollback to a revoked one does not
    /// help. If that cannot be checked (an App's key, an unreachable server), it counts as valid.
    pub(super) async fn takes_old_token(&self) -> bool {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let old = self.context.rotation().old().and_then(|it| {
            let bytes = STANDARD.decode(it.get("github_token")?.expose()).ok()?;
            String::from_utf8(bytes).ok()
        });
        let (Some(old), Ok(scope)) = (old, scope(&self.context.profile)) else {
            return true;
        };
        let url = self.context.profile.github.url.as_deref();
        let token = Credential::Token(Secret::trimmed(&old).0);
        match GitHub::new(url, token, self.ca_bundle.as_deref()) {
            Ok(github) => !matches!(
                github.registration(scope).await,
                Err(error) if error.kind == ErrorKind::Unauthorized
            ),
            Err(_) => true,
        }
    }

    /// Reads the facts again and recomputes the desired resources.
    pub(super) async fn refresh(&mut self, output: Output) -> Result<()> {
        let ca_bundle = self.ca_bundle.clone();
        let (kube, profile) = (&self.context.kube, &self.context.profile);
        let at_aws = self.context.aws.as_ref().zip(self.eks.as_ref());
        let (facts, _) = Box::pin(facts(
            kube,
            at_aws,
            profile,
            ca_bundle,
            conflicts::For::Run,
            None,
        ))
        .await?;
        self.desired = wanted(&self.context.profile, &facts)?;
        self.context.pins.apply(&mut self.desired);
        let inventory = {
            let home = inventory::Home::of(&self.context.profile);
            inventory::read(&self.context.kube, home).await?
        };
        self.migrations.clone_from(&inventory.migrations);
        self.add_left_behind(&inventory.records, output).await
    }

    /// Says which migrations are in progress, or that an upgrade is, and what to run.
    pub(crate) fn say_migrations(&self, output: Output) {
        for notice in &self.notices {
            output.note(format!("advice: {notice}"));
        }
    }

    /// The first line of a command that writes: its target.
    pub(super) fn target(&self) -> String {
        target(&self.context, self.eks.as_ref())
    }
}

/// The target of a command that writes.
pub(super) fn target(context: &Context, eks: Option<&EksCluster>) -> String {
    let github = &context.profile.github;
    let levels = [
        ("enterprise", &github.enterprise),
        ("organization", &github.organization),
        ("repository", &github.repository),
    ];
    let scope = levels
        .into_iter()
        .find_map(|(level, name)| Some(format!("{level} {}", name.as_ref()?)))
        .unwrap_or_default();
    format!(
        "profile {} on {}, {scope} at {}",
        context.profile.name,
        cluster_words(&context.kube, eks, context.kubernetes),
        context.github.base(),
    )
}

pub(super) fn wanted(profile: &Profile, facts: &Facts) -> Result<Vec<Desired>> {
    desired(profile, facts).map_err(|error| wanted_error(&error))
}

/// The lock beside the profile, compared with the profile and the registries; nothing without one.
async fn compared(
    lock: Option<&LockFile>,
    (profile, desired): (&Profile, &[Desired]),
    global: &GlobalArgs,
    output: Output,
) -> Result<Locked> {
    match lock {
        Some(lock) => lock.compared(profile, desired, global, output).await,
        None => Ok(Locked::default()),
    }
}

/// Adds to each step what it waits for.
pub(super) fn set_order(steps: &mut [Desired]) -> Result<()> {
    order::connect(steps).map_err(|error| Error::failed(System::Local, error.to_string()))
}

/// The error of a profile from which no resources can be computed.
pub(super) fn wanted_error(error: &DesiredError) -> Error {
    Error::new(
        ErrorKind::InvalidProfile,
        System::Profile,
        error.to_string(),
    )
    .hint("correct the profile")
}
