//! Reads the state of an installation: the cluster in a few calls, for any number of pools, and GitHub if a token is
//! available.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    accounts::accounts, connection::Connection, github::at_github, in_each, not_ready, scale_sets,
};
use crate::{
    clients::{
        credential::Sources,
        github::GitHub,
        kube::{Kube, Selection, Target},
    },
    desired::{
        names,
        pool::runner_version::{self, freshness},
    },
    error::{Error, Result},
    inventory,
    profile::{Pool, Profile, schedule::moment},
    report::status::{CertificateStatus, PoolStatus, ReleaseStatus, RunnerStatus, Status},
    resource::{
        is_ready, newest_release,
        runners::{
            account::Account,
            offers::{Offers, offers},
        },
    },
    terminal::{environment::variable, output::Output, pool_names, profile_file::ProfileFile},
    units::runner::RunnerVersion,
};

/// The label that the controller gives to a pool's pods (reference: arc.md 2.1).
const POOL: &str = "runner-deployment-name";

/// The state of a runner at GitHub.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(super) online: bool,
    pub(super) busy: bool,
    pub(super) program: Option<RunnerVersion>,
}

/// What GitHub says of the runners.
pub(crate) struct Runners {
    pub(super) by_name: HashMap<String, Seen>,
    /// The version that it offers to each pool, or why that is not known.
    pub(crate) offers: Result<Offers>,
}

/// The clients for reading the state.
pub(crate) struct State {
    /// The API server.
    pub kube: Kube,
    file: ProfileFile,
    pools: Vec<Pool>,
    github: Result<GitHub>,
    accounts: Vec<Account>,
    /// Asked once: it changes every few weeks.
    offers: OnceCell<Offers>,
}

/// The pod counts of a pool.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) running: usize,
    pub(super) registered: usize,
    pub(super) busy: usize,
    /// The oldest version that an online runner reports.
    pub(super) oldest: Option<RunnerVersion>,
}

impl State {
    /// Connects, for all pools or for the given ones.
    pub(crate) async fn open(
        file: ProfileFile,
        only: &[String],
        connection: Connection,
        output: Output,
    ) -> Result<Self> {
        let pools = chosen(&file.profile, only)?;
        let kube = connection.kube;
        let github = Box::pin(at_github(&file, &kube, connection.aws.as_ref(), output)).await;
        let sources = Sources {
            variable: &variable,
            directory: &file.directory,
            kube: Some(&kube),
            aws: connection.aws.as_ref(),
        };
        let found = match &github {
            Ok(own) => {
                let bundle = own.ca_bundle.as_deref();
                Box::pin(accounts(&file.profile, &sources, bundle, output)).await
            }
            Err(_) => Ok(Vec::new()),
        };
        // If one of the credentials is missing, GitHub is not called, as without the profile's.
        let (github, accounts) = match (github.map(|it| it.github), found) {
            (Ok(github), Ok(accounts)) => (Ok(github), accounts),
            (Ok(_), Err(error)) | (Err(error), _) => (Err(error), Vec::new()),
        };
        Ok(Self {
            kube,
            file,
            pools,
            github,
            accounts,
            offers: OnceCell::new(),
        })
    }

    /// The profile's name.
    pub(super) fn profile(&self) -> &str {
        &self.file.profile.name
    }

    /// The runners at GitHub.
    pub(crate) async fn runners(&self) -> Result<Runners> {
        let github = self.github.as_ref().map_err(Clone::clone)?;
        let Some(scope) = self.file.profile.github.scope() else {
            return Ok(Runners {
                by_name: HashMap::new(),
                offers: Ok(Offers::new()),
            });
        };
        let others = self.accounts.iter().map(|it| async move {
            let Some(scope) = it.part.github.scope() else {
                return Ok(Vec::new());
            };
            it.github.runners(scope).await
        });
        let offers = self.offers.get_or_try_init(|| async {
            Box::pin(offers(github, &self.file.profile, &self.accounts)).await
        });
        let (found, offers) = tokio::join!(
            async {
                tokio::try_join!(github.runners(scope), futures::future::try_join_all(others))
            },
            offers
        );
        let (own, others) = found?;
        let all = own.into_iter().chain(others.into_iter().flatten());
        let seen = all.map(|it| {
            let online = it.status == "online";
            let (busy, program) = (it.busy, it.program());
            let seen = Seen {
                online,
                busy,
                program,
            };
            (it.name, seen)
        });
        Ok(Runners {
            by_name: seen.collect(),
            offers: offers.cloned(),
        })
    }

    /// The error if the runner groups at GitHub block jobs.
    pub(crate) async fn group_fault(&self) -> Result<Option<Error>> {
        let github = self.github.as_ref().map_err(Clone::clone)?;
        let own = self.file.profile.own_part();
        let findings = github.group_findings(&own).await?;
        let mut error = github.group_error(&own, &findings);
        for it in &self.accounts {
            let findings = it.github.group_findings(&it.part).await?;
            error = error.or_else(|| it.github.group_error(&it.part, &findings));
        }
        Ok(error)
    }

    /// The objects to watch for changes.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        let (mut all, profile) = (Vec::new(), &self.file.profile);
        if profile.has_deployments() {
            all.extend(self.pods());
            all.extend(self.autoscalers());
        }
        all.extend(scale_sets::selections(profile));
        all
    }

    fn pods(&self) -> Vec<Selection> {
        let all = self.pools.len() == self.file.profile.pools.len();
        let names: Vec<&str> = self.pools.iter().map(|it| it.name.as_str()).collect();
        let labelled = if all {
            POOL.to_owned()
        } else {
            format!("{POOL} in ({})", names.join(","))
        };
        in_each(&self.file.profile, "v1", "Pod")
            .into_iter()
            .map(|it| it.labelled(&labelled))
            .collect()
    }

    /// The current state, and the warnings.
    pub(crate) async fn read(&self, runners: Option<&Runners>) -> Result<(Status, Vec<String>)> {
        let home = inventory::Home::of(&self.file.profile);
        let ((releases, mut advice), certificate, desired, tallies, sets, notices) = tokio::try_join!(
            Box::pin(releases(&self.kube, &self.file.profile)),
            certificate(&self.kube, &self.file.profile),
            self.desired(),
            self.tallies(runners),
            scale_sets::read(&self.kube, &self.file.profile, runners),
            async { Ok::<_, Error>(inventory::notices(&self.kube, home).await) },
        )?;
        advice.extend(notices.iter().map(|it| format!("advice: {it}")));
        let now = Timestamp::now();
        let pool = |pool: &Pool| {
            let moment = moment(pool.schedule.as_ref(), pool.min, now);
            let set = sets.get(&pool.name).filter(|_| pool.is_scale_set());
            let tally = set.map(|it| &it.counts).or_else(|| tallies.get(&pool.name));
            let asked = set.and_then(|it| it.desired);
            PoolStatus {
                name: pool.name.clone(),
                mode: pool.mode,
                min: moment.min,
                max: pool.max,
                desired: asked.or_else(|| desired.get(&pool.name).copied()),
                running: Some(tally.map_or(0, |it| it.running)),
                registered: Some(tally.map_or(0, |it| it.registered)),
                busy: runners.map(|_| tally.map_or(0, |it| it.busy)),
                schedule: pool.schedule.clone().map(|it| (it, pool.min)),
                moment,
                runner: Some(self.runner(pool, tally, runners, now)),
            }
        };
        let status = Status {
            profile: self.profile().to_owned(),
            releases,
            certificate,
            pools: self.pools.iter().map(pool).collect(),
        };
        Ok((status, advice))
    }

    /// The version of a pool's runners.
    fn runner(
        &self,
        pool: &Pool,
        tally: Option<&Counts>,
        runners: Option<&Runners>,
        now: Timestamp,
    ) -> RunnerStatus {
        let offers = runners.and_then(|it| it.offers.as_ref().ok());
        let seen = runner_version::Seen {
            running: tally.and_then(|it| it.oldest),
            offered: offers.and_then(|it| it.get(&pool.name).copied().flatten()),
        };
        RunnerStatus {
            image: pool.image.clone(),
            today: runner_version::day(now),
            freshness: freshness(&self.file.profile, pool, seen, now),
        }
    }

    fn autoscalers(&self) -> Vec<Selection> {
        in_each(
            &self.file.profile,
            names::ARC_API_VERSION,
            "HorizontalRunnerAutoscaler",
        )
    }

    /// The replicas that the autoscalers request, by pool.
    async fn desired(&self) -> Result<HashMap<String, u64>> {
        let mut desired = HashMap::new();
        if !self.file.profile.has_deployments() {
            return Ok(desired);
        }
        let mut see = |autoscaler: &Value| {
            if let (Some(name), Some(replicas)) = (
                autoscaler["metadata"]["name"].as_str(),
                autoscaler["status"]["desiredReplicas"].as_u64(),
            ) {
                desired.insert(name.to_owned(), replicas);
            }
        };
        for selection in self.autoscalers() {
            self.kube.each(&selection, &mut see).await?;
        }
        Ok(desired)
    }

    /// The pods of each pool, counted page by page.
    async fn tallies(&self, runners: Option<&Runners>) -> Result<HashMap<String, Counts>> {
        let mut tallies: HashMap<String, Counts> = HashMap::new();
        if !self.file.profile.has_deployments() {
            return Ok(tallies);
        }
        let mut see = |pod: &Value| {
            let metadata = &pod["metadata"];
            let (Some(pool), Some(name)) =
                (metadata["labels"][POOL].as_str(), metadata["name"].as_str())
            else {
                return;
            };
            let tally = tallies.entry(pool.to_owned()).or_default();
            tally.running += usize::from(is_ready(pod));
            if let Some(runners) = runners {
                let seen = runners.by_name.get(name);
                tally.registered += usize::from(seen.is_some_and(|it| it.online));
                tally.busy += usize::from(seen.is_some_and(|it| it.busy));
                let program = seen.filter(|it| it.online).and_then(|it| it.program);
                tally.oldest = tally.oldest.into_iter().chain(program).min();
            } else {
                // The controller sets this annotation once the runner is registered (reference: arc.md 2.1).
                let marked = metadata["annotations"]["actions-runner/id"].is_string();
                tally.registered += usize::from(marked);
            }
        };
        for selection in self.pods() {
            self.kube.each(&selection, &mut see).await?;
        }
        Ok(tallies)
    }
}

fn chosen(profile: &Profile, only: &[String]) -> Result<Vec<Pool>> {
    pool_names::check(profile, only)?;
    let wanted = |pool: &&Pool| only.is_empty() || only.contains(&pool.name);
    Ok(profile.pools.iter().filter(wanted).cloned().collect())
}

/// The releases, with a note on those of another profile.
async fn releases(kube: &Kube, profile: &Profile) -> Result<(Vec<ReleaseStatus>, Vec<String>)> {
    let (mut found, mut advice) = (Vec::new(), Vec::new());
    let controller = &profile.controller;
    let of_deployments = [
        (profile.cert_manager.namespace.as_str(), names::CERT_MANAGER),
        (controller.namespace.as_str(), controller.release.as_str()),
    ];
    let of_scale_sets = (
        profile.scale_sets.namespace.as_str(),
        names::SCALE_SET_RELEASE,
    );
    let of_deployments = of_deployments.into_iter();
    let of_deployments = of_deployments.filter(|_| profile.has_deployments());
    let all = of_deployments.chain(profile.has_scale_sets().then_some(of_scale_sets));
    let reading = all.map(|(namespace, name)| async move {
        let Some(record) = newest_release(kube, namespace, name).await? else {
            return Ok::<_, Error>(None);
        };
        let lacking = not_ready::of_release(kube, namespace, name).await;
        Ok(Some((namespace, name, record, lacking)))
    });
    let read = futures::future::try_join_all(reading).await?;
    for (namespace, name, record, lacking) in read.into_iter().flatten() {
        if let Some(other) = record.profile.as_ref().filter(|it| **it != profile.name) {
            advice.push(format!(
                "advice: release `{name}` belongs to the profile `{other}`, not to `{}`",
                profile.name
            ));
        }
        advice.extend(lacking);
        found.push(ReleaseStatus {
            name: format!("{namespace}/{name}"),
            version: record.chart_version,
            status: record.status,
        });
    }
    Ok((found, advice))
}

async fn certificate(kube: &Kube, profile: &Profile) -> Result<Option<CertificateStatus>> {
    if !profile.has_deployments() {
        return Ok(None);
    }
    let name = profile.controller.serving_certificate();
    let target = Target::namespaced(
        "cert-manager.io/v1",
        "Certificate",
        &profile.controller.namespace,
        &name,
    );
    let live = kube.get(&target).await?;
    Ok(live.map(|live| CertificateStatus {
        ready: live["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Ready" && it["status"] == "True"),
        not_after: live["status"]["notAfter"].as_str().map(str::to_owned),
    }))
}
