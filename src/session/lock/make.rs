//! Makes a lock: fetches the charts, renders them, and reads every image at its registry. Needs helm, and no cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::registries::{Read, read};
use crate::{
    clients::{helm::Helm, kube::Access},
    desired::{
        lock::{ChartNeed, Lock, LockedChart, LockedImage, Needed, Pins, needed, of_objects},
        resource::{HelmRelease, Id},
    },
    error::{Error, ErrorKind, Result, System},
    profile::Profile,
    resource::helm::manifest::objects,
    session::wanted_error,
    terminal::{
        args::GlobalArgs,
        environment::{helm_places, hidden_variables},
        output::Output,
    },
};

/// The version of Kubernetes that charts are rendered for. No image depends on it; a chart may refuse old ones.
const KUBERNETES: (u32, u32) = (1, 33);

/// How many charts are fetched, and how many are rendered, at a time.
const CONCURRENT: usize = 4;

/// The keyring that the profile names.
pub(crate) fn keyring_of(profile: &Profile) -> Option<PathBuf> {
    let provenance = profile.provenance.as_ref()?;
    provenance.keyring.as_ref().map(PathBuf::from)
}

/// The lock of a profile, made now. `keyring` has the public keys of the charts' publishers.
pub(crate) async fn make(
    profile: &Profile,
    keyring: Option<PathBuf>,
    global: &GlobalArgs,
    output: Output,
) -> Result<Lock> {
    let now = now();
    let needed = needed(profile, now).map_err(|error| wanted_error(&error))?;
    if let Some(keyring) = &keyring {
        check_keyring(keyring)?;
    }
    let hidden = hidden_variables(&profile.token_sources());
    let helm = Helm::new(&helm_places(), Access::default(), hidden)?.with_keyring(keyring);
    helm.binary()?;
    let charts = charts(&helm, &needed, now, (profile, global, output)).await?;
    let from = sources(&helm, &needed).await?;
    let references: BTreeSet<String> = from.keys().cloned().collect();
    let found = read(profile, &references, Read::Indexes, global, output).await?;
    let mut images = Vec::new();
    for (image, from) in from {
        let Some(manifest) = found.get(&image).cloned().flatten() else {
            return Err(absent(&image, &from));
        };
        images.push(LockedImage {
            image,
            digest: manifest.digest,
            platforms: manifest.platforms,
            from,
            locked: now,
        });
    }
    let lock = Lock::new(&profile.name, charts, images);
    check_pinned(&helm, &needed, &lock).await?;
    Ok(lock)
}

/// Now, in whole seconds.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The charts, each fetched once.
async fn charts(
    helm: &Helm,
    needed: &Needed,
    now: Timestamp,
    (profile, global, output): (&Profile, &GlobalArgs, Output),
) -> Result<Vec<LockedChart>> {
    // The reference by which a registry knows a chart: `+` is no character of a tag (helm.sh/docs/topics/registries).
    let tag = |need: &ChartNeed| {
        let reference = need.chart.oci_reference()?;
        let name = reference.strip_prefix("oci://")?;
        Some(format!("{name}:{}", need.chart.version.replace('+', "_")))
    };
    let references: BTreeSet<String> = needed.charts.iter().filter_map(tag).collect();
    let manifests = read(profile, &references, Read::Digests, global, output).await?;
    let manifest = |need: &ChartNeed| {
        let found = manifests.get(&tag(need)?)?.as_ref()?;
        Some(found.digest.clone())
    };
    let mut locked = Vec::new();
    for need in &needed.charts {
        // One after the other: helm's own cache of an index is not made for several at a time.
        let archive = helm.archive(&need.chart).await?;
        locked.push(LockedChart {
            name: need.chart.name.clone(),
            version: need.chart.version.clone(),
            repository: need.repository().to_owned(),
            archive: archive.digest,
            manifest: manifest(need),
            values: need.values.clone(),
            provenance: archive.provenance,
            locked: now,
        });
    }
    Ok(locked)
}

/// Every image, with the ids of the resources that name it.
pub(crate) async fn sources(
    helm: &Helm,
    needed: &Needed,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut from: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (image, ids) in &needed.images {
        let ids = ids.iter().map(ToString::to_string);
        from.entry(image.clone()).or_default().extend(ids);
    }
    let rendered: Vec<_> = stream::iter(&needed.rendered)
        .map(|release| rendered(helm, release))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    for (id, images) in rendered {
        for image in images {
            from.entry(image).or_default().insert(id.clone());
        }
    }
    Ok(from)
}

/// The id of a release, and the images that its chart runs with its values.
async fn rendered(helm: &Helm, release: &HelmRelease) -> Result<(String, BTreeSet<String>)> {
    let text = helm.render_with_hooks(release, KUBERNETES).await?;
    let objects = objects(&text, &format!("chart `{}`", release.chart.name))?;
    Ok((id(release).to_string(), of_objects(&objects)))
}

fn id(release: &HelmRelease) -> Id {
    Id::new("helm-release", Some(&release.namespace), &release.name)
}

/// Fails if an image that a chart runs would not be pinned: each release is rendered once more, with the digests of `lock`.
async fn check_pinned(helm: &Helm, needed: &Needed, lock: &Lock) -> Result<()> {
    let pins = Pins::of(lock);
    let mut releases = needed.rendered.clone();
    for release in &mut releases {
        pins.pin_release(&id(release), release);
    }
    let found: Vec<_> = stream::iter(&releases)
        .map(|release| rendered(helm, release))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    for (release, (id, images)) in releases.iter().zip(found) {
        if let Some(image) = images.iter().find(|it| !it.contains('@')) {
            return Err(unpinned(image, release, &id));
        }
    }
    Ok(())
}

fn unpinned(image: &str, release: &HelmRelease, id: &str) -> Error {
    let what = format!(
        "chart `{}` would run image `{image}` without its digest",
        release.chart.name
    );
    Error::new(ErrorKind::Refused, System::Local, what)
        .object(id)
        .cause("arcctl knows no value of the chart that sets this image, so it cannot pin the digest")
        .hint("if the profile sets the image in the values of the chart, write it as `REPOSITORY:TAG@sha256:…`; otherwise report this chart and the image as a bug")
}

fn check_keyring(keyring: &std::path::Path) -> Result<()> {
    let metadata = std::fs::metadata(keyring);
    let wrong = match &metadata {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(_) => "it is not a file".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::new(
        ErrorKind::InvalidProfile,
        System::Profile,
        format!("cannot read the keyring `{}`", keyring.display()),
    )
    .object(keyring.display())
    .cause(wrong)
    .hint("correct `provenance.keyring`, which is relative to the profile, or `--keyring`; `gpg --export KEY > FILE` writes one"))
}

fn absent(image: &str, from: &BTreeSet<String>) -> Error {
    let from: Vec<&str> = from.iter().map(String::as_str).collect();
    Error::failed(
        System::Registry,
        format!("the registry has no image `{image}`"),
    )
    .object(image)
    .cause(format!("it is the image of {}", from.join(", ")))
    .hint("correct the image in the profile; a mirror in `images.registry` has only images that were copied to it or pulled through it")
}
