//! Installs from a bundle: the charts are taken out of it, and the profile has all images at the registry that it was pushed
//! to. Nothing else is asked for a chart or an image.

use std::path::{Path, PathBuf};

use super::{
    OCI,
    archive::{Archive, check_size},
    registry, unusable, unwritten,
};
use crate::{
    bundle::{
        Content, Descriptor, LOCK, NOWHERE, REPOSITORY, at_registry, chart_repository, differences,
        read, sourced, taken_apart,
    },
    clients::{
        registry::{Address, Repository},
        scratch::Scratch,
    },
    desired::{
        lock::{Lock, LockedChart, Needed, needed},
        pool::pull_proof::ToPull,
    },
    error::{Error, ErrorKind, Result, System},
    profile::{Pool, Profile},
    session::{
        image_updates::{Known, logins},
        lock::{self, LockFile},
        wanted_error,
    },
    terminal::{args::GlobalArgs, output::Output, profile_file::ProfileFile},
    units::{digest::sha256, image::Image},
};

/// What a bundle gives to a run.
pub(crate) struct Bundle {
    /// Its lock, with the images at the registry.
    pub(crate) lock: LockFile,
    /// The images that the run must prove to be pulled.
    pub(crate) to_pull: ToPull,
    /// The charts, as long as the run needs them.
    _charts: Scratch,
}

/// Where the documents and the charts of a bundle are read.
enum Place<'a> {
    File(Archive),
    Registry(&'a str, Known<'a>),
}

/// Opens the bundle at `source`, a file or `oci://REGISTRY/PATH`, and gives its sources to the profile.
pub(crate) async fn open(
    source: &str,
    file: &mut ProfileFile,
    global: &GlobalArgs,
    output: Output,
) -> Result<Bundle> {
    let profile = &file.profile;
    let (place, registry) = if source.starts_with(OCI) {
        let registry = registry(source)?;
        let pools: Vec<&Pool> = profile.pools.iter().collect();
        let known = logins(profile, &pools, global, output)?;
        (Place::Registry(registry, known), registry.to_owned())
    } else {
        let named = profile.images.as_ref().and_then(|it| it.registry.clone());
        let named = named.ok_or_else(|| no_registry(source))?;
        let named = named.trim_end_matches('/').to_owned();
        (Place::File(Archive::open(Path::new(source))?), named)
    };
    let lock = place.lock(source, &profile.name).await?;
    let charts =
        Scratch::new("arcctl-charts-").map_err(|it| unwritten(Path::new("TMPDIR"), &it))?;
    let directory = charts.path().display().to_string();
    let wanted = check(&lock, profile, &directory, source)?;
    check_beside(&lock, profile, source, global)?;
    // The names are those of the profile, and not of a file that somebody else has made.
    for need in &wanted.charts {
        let (name, version) = (&need.chart.name, &need.chart.version);
        let Some(chart) = lock.chart(name, version) else {
            continue;
        };
        let bytes = place.chart(source, chart).await?;
        let path = charts.path().join(format!("{name}-{version}.tgz"));
        std::fs::write(&path, bytes).map_err(|it| unwritten(&path, &it))?;
    }
    let profile = sourced(profile, &registry, &directory);
    let needed = needed(&profile, jiff::Timestamp::now()).map_err(|it| wanted_error(&it))?;
    let lock = at_registry(&lock, &registry, &needed);
    output.note(format!(
        "charts from the bundle `{source}`, images from `{registry}`"
    ));
    file.profile = profile;
    Ok(Bundle {
        to_pull: ToPull::of(&lock),
        lock: LockFile {
            path: PathBuf::from(source),
            lock,
        },
        _charts: charts,
    })
}

/// What the profile needs; fails if the bundle does not have it.
fn check(lock: &Lock, profile: &Profile, charts: &str, source: &str) -> Result<Needed> {
    let staged = sourced(profile, NOWHERE, charts);
    let needed = needed(&staged, jiff::Timestamp::now()).map_err(|it| wanted_error(&it))?;
    let lacks = lock.lacks(&needed, &|_| true);
    if lacks.is_empty() {
        return Ok(needed);
    }
    let error = Error::new(
        ErrorKind::Refused,
        System::Local,
        format!("the bundle `{source}` is older than the profile"),
    )
    .object(source);
    let error = lacks.iter().fold(error, |error, it| {
        error.cause(it.words().replace(&format!("{NOWHERE}/"), ""))
    });
    Err(error.hint(
        "create a new one with `arcctl bundle create` and push it, or use the profile that it was made from",
    ))
}

/// Fails if the bundle has other content than the lock beside the profile.
fn check_beside(lock: &Lock, profile: &Profile, source: &str, global: &GlobalArgs) -> Result<()> {
    let Some(beside) = lock::read(global)? else {
        return Ok(());
    };
    let found = differences(lock, &beside.lock, profile.images.as_ref());
    if found.is_empty() {
        return Ok(());
    }
    let name = beside.path.display();
    let error = Error::new(
        ErrorKind::Refused,
        System::Local,
        format!("the bundle `{source}` differs from the lock `{name}`"),
    )
    .object(source);
    let error = found.iter().fold(error, Error::cause);
    Err(error
        .hint("find out which one is correct; `arcctl bundle create` makes a bundle of the lock"))
}

fn no_registry(source: &str) -> Error {
    Error::new(
        ErrorKind::Usage,
        System::Local,
        format!("the nodes cannot pull images from the file `{source}`"),
    )
    .object(source)
    .hint("push it with `arcctl bundle push`, then name the registry: `--bundle oci://REGISTRY/PATH`, or `images.registry` of the profile with the file for the charts")
}

/// A repository of a registry.
fn below(registry: &str, repository: &str) -> Result<Address> {
    let reference = format!("{registry}/{repository}");
    let image = Image::parse(&reference);
    let image = image.ok_or_else(|| unusable(registry, &"it is not the address of a registry"))?;
    Ok(Address::of(&image))
}

impl Place<'_> {
    /// The lock of the bundle of a profile.
    async fn lock(&self, source: &str, profile: &str) -> Result<Lock> {
        let place = format!("{REPOSITORY}:{profile}");
        let bytes = self.layer(source, &place, Some(LOCK)).await?;
        let text = String::from_utf8(bytes).map_err(|it| unusable(source, &it))?;
        Lock::parse(&text).map_err(|it| unusable(source, &it))
    }

    /// The archive of a chart, which has the digest of the lock.
    async fn chart(&self, source: &str, chart: &LockedChart) -> Result<Vec<u8>> {
        let tag = chart.version.replace('+', "_");
        let place = format!("{}:{tag}", chart_repository(&chart.name));
        let bytes = self.layer(source, &place, None).await?;
        let found = sha256(&bytes);
        if found == chart.archive {
            return Ok(bytes);
        }
        Err(Error::new(
            ErrorKind::Refused,
            System::Registry,
            format!(
                "chart `{} {}` is not the one of the bundle's lock",
                chart.name, chart.version
            ),
        )
        .object(source)
        .cause(format!("{} in the lock, {found} in the bundle", chart.archive))
        .hint("push the bundle again with `arcctl bundle push`; if that does not help, somebody else writes to the registry"))
    }

    /// A layer of what is at a place: the one of a type, or the last.
    async fn layer(&self, source: &str, place: &str, media_type: Option<&str>) -> Result<Vec<u8>> {
        let manifest = self.manifest(source, place).await?;
        let blobs = match read(&manifest) {
            Ok(Content::Blobs(blobs)) => blobs,
            Ok(Content::Manifests(_)) => {
                return Err(unusable(source, &format!("`{place}` is an index")));
            }
            Err(why) => return Err(unusable(source, &why)),
        };
        let is_it = |it: &&Descriptor| media_type.is_none_or(|wanted| it.media_type == wanted);
        let layer = blobs.iter().rfind(is_it);
        let layer = layer.ok_or_else(|| unusable(source, &format!("`{place}` lacks a layer")))?;
        match self {
            Self::File(archive) => archive.content(&layer.digest),
            Self::Registry(registry, known) => {
                check_size(source, place, layer.size)?;
                let (repository, _) = taken_apart(place);
                let address = below(registry, repository)?;
                let logins = below(registry, REPOSITORY)?;
                let directory = Scratch::new("arcctl-blob-")
                    .map_err(|it| unwritten(Path::new("TMPDIR"), &it))?;
                let file = directory.path().join("blob");
                let first =
                    async |it: &Repository<'_>| it.download(&layer.digest, layer.size, &file).await;
                let opened = known.opened(&address, &logins, first).await;
                opened.map_err(|it| known.advised(it, &address))?;
                std::fs::read(&file).map_err(|it| unwritten(&file, &it))
            }
        }
    }

    /// The manifest at a place.
    async fn manifest(&self, source: &str, place: &str) -> Result<Vec<u8>> {
        let missing = || {
            let error = Error::failed(
                System::Registry,
                format!("there is no `{place}` in the bundle `{source}`"),
            );
            error.object(source).hint("make the bundle with this profile (its name is the tag), and push it with `arcctl bundle push`")
        };
        match self {
            Self::File(archive) => {
                let known = archive.manifests()?;
                let found = known.into_iter().find(|(it, _)| it == place);
                let (_, descriptor) = found.ok_or_else(missing)?;
                archive.content(&descriptor.digest)
            }
            Self::Registry(registry, known) => {
                let (repository, tag) = taken_apart(place);
                let address = below(registry, repository)?;
                let logins = below(registry, REPOSITORY)?;
                let first = async |it: &Repository<'_>| it.fetched(tag.unwrap_or("latest")).await;
                let opened = known.opened(&address, &logins, first).await;
                let (_, found) = opened.map_err(|it| known.advised(it, &address))?;
                Ok(found.ok_or_else(missing)?.bytes)
            }
        }
    }
}
