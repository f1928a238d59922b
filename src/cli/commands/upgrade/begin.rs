//! What an upgrade begins with: what is installed, what is wanted, the path, what is refused, and the question.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    UpgradeArgs,
    steps::{Place, Smoke, Work},
};
use crate::{
    clients::kube::Kube,
    desired::{names, pool::runner_version::day},
    error::{Error, ErrorKind, Result, System},
    inventory::{self, Inventory},
    observe,
    plan::Action,
    profile::{Pool, Profile, edit},
    report::upgrade::Consent,
    resource::{helm::manifest::objects, newest_release},
    run::READING,
    session::{Session, connection::Connection, image_updates, lock},
    terminal::{
        profile_file::{self, ProfileFile},
        prompt,
    },
    upgrade::{
        Stage, Upgrade, api_versions,
        compatibility::{self, Kubernetes},
        versions::{Component, Versions, asked, images_with, key, may_install},
        wanted,
    },
};

/// The word of `--to runner=` for what the registries have.
const NEWEST: &str = "newest";

/// What was read before anything is decided.
pub(super) struct Seen {
    /// The cluster.
    pub(super) kube: Kube,
    /// The inventory.
    pub(super) known: Inventory,
    /// The charts that this profile has installed.
    pub(super) installed: Versions,
}

/// A release that this profile has installed.
struct Release {
    component: Component,
    name: String,
    version: String,
    manifest: String,
}

/// Reads the cluster, for the report too.
pub(super) async fn look(work: &mut Work<'_>, profile: &Profile) -> Result<Seen> {
    let global = work.global;
    let read = async {
        let kube = Box::pin(Connection::open(global, profile)).await?.kube;
        let known = inventory::read(&kube, inventory::Home::of(profile)).await?;
        let releases = releases(&kube, profile).await?;
        let kubernetes = kube.version().await?;
        let apis = apis(&known, &releases, kubernetes);
        Ok((
            Seen {
                kube,
                known,
                installed: versions(releases),
            },
            kubernetes,
            apis,
        ))
    };
    let (seen, kubernetes, apis) = work.limit.within(READING, read).await?;
    work.report.kubernetes = Some(kubernetes);
    work.report.apis = apis;
    if profile.cluster.eks.is_some() {
        work.report.eks = compatibility::eks(kubernetes, day(Timestamp::now()));
    }
    Ok(seen)
}

/// The charts of the releases that this profile has installed.
pub(super) async fn installed(kube: &Kube, profile: &Profile) -> Result<Versions> {
    Ok(versions(releases(kube, profile).await?))
}

fn versions(releases: Vec<Release>) -> Versions {
    let charts = releases.into_iter().map(|it| (it.component, it.version));
    Versions {
        charts: charts.collect(),
        images: BTreeMap::new(),
    }
}

async fn releases(kube: &Kube, profile: &Profile) -> Result<Vec<Release>> {
    let mut found = Vec::new();
    for component in Component::CHARTS {
        if !may_install(profile, component) {
            continue;
        }
        let (namespace, name) = match component {
            Component::CertManager => (&profile.cert_manager.namespace, names::CERT_MANAGER),
            Component::Controller => (
                &profile.controller.namespace,
                profile.controller.release.as_str(),
            ),
            Component::ScaleSets | Component::Runner => {
                (&profile.scale_sets.namespace, names::SCALE_SET_RELEASE)
            }
        };
        let record = newest_release(kube, namespace, name).await?;
        let own = record.filter(|it| it.profile.as_ref() == Some(&profile.name));
        if let Some(record) = own.filter(|it| it.status != "uninstalled") {
            found.push(Release {
                component,
                name: name.to_owned(),
                version: record.chart_version,
                manifest: record.manifest,
            });
        }
    }
    Ok(found)
}

/// What to know of the API versions that arcctl has made something of: what the inventory has, and the objects of releases.
fn apis(known: &Inventory, releases: &[Release], kubernetes: Kubernetes) -> Vec<String> {
    let mut told = api_versions::told(known.records.values(), "the inventory", kubernetes);
    for release in releases {
        let of = format!("release `{}`", release.name);
        match objects(&release.manifest, &of) {
            Ok(objects) => told.extend(api_versions::told(objects.iter(), &of, kubernetes)),
            Err(error) => told.push(format!(
                "{of}: its API versions could not be found out: {}",
                error.document().message
            )),
        }
    }
    told
}

/// Finds out what is asked for, asks, and does it.
pub(super) async fn upgrade(
    work: &mut Work<'_>,
    args: &UpgradeArgs,
    file: ProfileFile,
    text: String,
) -> Result<()> {
    let to = asked(&args.to)?;
    refuse_lock(work)?;
    let seen = look(work, &file.profile).await?;
    refuse_migrations(&seen.known)?;
    let recorded = seen.known.upgrade.clone();
    let recorded = recorded.filter(Upgrade::is_in_progress);
    let is_new = recorded.is_none();
    let upgrade = match recorded {
        Some(known) => continued(&known, &seen, &to)?,
        None => Box::pin(new(work, &file.profile, &seen, &to)).await?,
    };
    work.report.steps = upgrade.rest()?;
    if is_new && work.report.steps.is_empty() {
        return Ok(());
    }
    work.report.stage = (!is_new).then_some(upgrade.stage);
    let written = with_versions(work, &file, &text, &upgrade.to)?;
    let place = Place {
        kube: seen.kube,
        file,
        text,
        written,
        recorded: seen.known.upgrade,
        upgrade,
        smoke: args.smoke.as_ref().map(|repository| Smoke {
            repository: repository.clone(),
            token_env: args.token_env.clone(),
        }),
    };
    if is_new {
        Box::pin(refuse_pending(work, &place)).await?;
    }
    work.check_smoke(&place).await?;
    work.report.upgrade = Some(place.upgrade.clone());
    if !is_agreed(work, args)? {
        return Ok(());
    }
    Box::pin(work.go(place, !is_new)).await
}

/// Shows the path, and asks; false for a dry run too.
fn is_agreed(work: &mut Work<'_>, args: &UpgradeArgs) -> Result<bool> {
    let told = work.report.path();
    if args.dry_run {
        work.report.consent = Consent::NotAsked;
        if !work.output.is_json() {
            work.output.result(&format!("{told}\n"));
        }
        return Ok(false);
    }
    let question = "Take these steps?";
    let agreed = prompt::confirmed(&told, question, args.yes, &mut work.limit, work.output)?;
    if !agreed {
        work.report.consent = Consent::Declined;
    }
    Ok(agreed)
}

/// An upgrade that has not begun.
async fn new(
    work: &Work<'_>,
    profile: &Profile,
    seen: &Seen,
    to: &BTreeMap<Component, String>,
) -> Result<Upgrade> {
    if seen.installed.charts.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Helm,
            format!(
                "profile `{}` has no installed chart in this cluster",
                profile.name
            ),
        )
        .object(&profile.name)
        .hint("`arcctl up` installs them"));
    }
    let mut from = Versions {
        charts: seen.installed.charts.clone(),
        ..Versions::images_of(profile)
    };
    let mut wanted = wanted(profile, &from, to)?;
    if let Some(version) = to.get(&Component::Runner) {
        wanted.images = if version == NEWEST {
            newest(work, profile).await?
        } else {
            images_with(profile, version)?
        };
    }
    Versions::keep_changed_images(&mut from, &mut wanted);
    Ok(Upgrade {
        now: from.clone(),
        from,
        to: wanted,
        stage: Stage::Saving,
        began: Timestamp::now()
            .strftime("%Y-%m-%d %H:%M:%S UTC")
            .to_string(),
        backup: Vec::new(),
        secret: None,
    })
}

/// The newest images of the same flavour, as `arcctl images update` finds them.
async fn newest(work: &Work<'_>, profile: &Profile) -> Result<BTreeMap<String, String>> {
    let pools: Vec<&Pool> = profile.pools.iter().collect();
    let reading = image_updates::find(profile, &pools, work.global, work.output);
    let doing = "reading the tags at the registries";
    let found = work.limit.within(doing, reading).await?;
    let mut images = BTreeMap::new();
    for (pool, found) in pools.iter().zip(found) {
        if let Some(why) = found.found.reason() {
            let name = &pool.name;
            work.output
                .note(format!("advice: pool `{name}` keeps its image: {why}"));
        }
        let image = found.newer().unwrap_or(&pool.image);
        images.insert(key(pool), image.to_owned());
    }
    Ok(images)
}

/// The upgrade that has begun; fails if it goes back, or if other versions are asked for.
fn continued(known: &Upgrade, seen: &Seen, to: &BTreeMap<Component, String>) -> Result<Upgrade> {
    let refused = |message: String| {
        Error::new(ErrorKind::Refused, System::Kubernetes, message)
            .object(format!("the upgrade of {}", known.began))
            .hint(known.notice())
    };
    if known.stage == Stage::Back {
        return Err(refused("a rollback is in progress".to_owned()));
    }
    let other = to.iter().find(|(component, version)| {
        **component != Component::Runner && known.to.charts.get(*component) != Some(*version)
    });
    if let Some((component, version)) = other {
        return Err(refused(format!(
            "an upgrade to other versions is in progress ({}), and `--to` asks for {} {version}",
            known.text(),
            component.word()
        )));
    }
    Ok(known.continued(&seen.installed))
}

/// Checks that the profile can get the versions, before anything is changed; its text with them, and as it was loaded.
pub(super) fn with_versions(
    work: &Work<'_>,
    file: &ProfileFile,
    text: &str,
    versions: &Versions,
) -> Result<String> {
    let changes = versions.changes(&file.profile);
    let written = edit::edited(text, &changes).map_err(|why| {
        file.invalid(&why).hint(
            "add the key to the profile with its default version, and run the same command again",
        )
    })?;
    profile_file::with_text(&written, work.global)?;
    Ok(written)
}

/// A lock pins the versions: each step would differ from it.
pub(super) fn refuse_lock(work: &Work<'_>) -> Result<()> {
    let Some(file) = lock::read(work.global)? else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Refused,
        System::Local,
        format!(
            "the lock `{}` pins the versions that would change",
            file.path.display()
        ),
    )
    .object(file.path.display())
    .hint("move the lock to another directory, run the same command again, and create a new lock with `arcctl lock`"))
}

fn refuse_migrations(known: &Inventory) -> Result<()> {
    let Some(migration) = known.migrations.first() else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        "a pool is being migrated to the other mode",
    )
    .object(format!("pool `{}`", migration.from.name))
    .hint(migration.notice()))
}

/// Fails if anything else than the versions differs from the profile: what a proof finds later would not be the upgrade's, and the
/// way back would not end where it began.
async fn refuse_pending(work: &mut Work<'_>, place: &Place) -> Result<()> {
    let session = Box::pin(work.open(place, &place.upgrade.from)).await?;
    let pending = pending(work, &session).await?;
    if pending == 0 {
        return Ok(());
    }
    Err(Error::failed(
        System::Profile,
        format!(
            "`{}` differs from the cluster in more than versions: {pending} resources would change",
            place.file.name
        ),
    )
    .object(&place.file.name)
    .hint("write the installed versions into the profile; `arcctl plan` then shows only these changes, `arcctl up` applies them; upgrade after that"))
}

/// How many resources a run would change.
pub(super) async fn pending(work: &Work<'_>, session: &Session) -> Result<usize> {
    let plan = observe::plan(&session.context, &session.desired, false);
    let plan = work.limit.within(READING, plan).await?;
    let steps = plan.steps.iter();
    Ok(steps.filter(|it| it.action != Action::Keep).count())
}
