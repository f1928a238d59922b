//! Makes a bundle: finds the charts and images of the lock, and where each is in the bundle.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jiff::Timestamp;

use super::{making::Making, parts::Parts, unwritten};
use crate::{
    bundle::{NOWHERE, sourced, staged},
    clients::{helm::Helm, kube::Access, scratch::Scratch},
    desired::lock::{Lock, LockedChart, LockedImage, Needed, needed, refusal, unsigned},
    error::{Error, ErrorKind, Result, System},
    profile::Profile,
    report::bundle::Created,
    session::{
        lock::{self, make},
        wanted_error,
    },
    terminal::{
        args::GlobalArgs,
        environment::{helm_places, hidden_variables},
        output::Output,
    },
};

/// An image, and its reference in the bundle.
pub(super) struct Placed {
    /// The image of the lock.
    pub(super) image: LockedImage,
    /// Its reference in the bundle.
    pub(super) reference: String,
}

/// Makes the bundle of a profile in `file`, for these platforms; all of each image, if there are none.
pub(crate) async fn create(
    profile: &Profile,
    file: &Path,
    platforms: &[String],
    global: &GlobalArgs,
    output: Output,
) -> Result<Created> {
    let needed = needs(profile)?;
    let lock = locked(profile, &needed, global, output).await?;
    let charts =
        Scratch::new("arcctl-charts-").map_err(|it| unwritten(Path::new("TMPDIR"), &it))?;
    let helm = Helm::new(
        &helm_places(),
        Access::default(),
        hidden_variables(&profile.token_sources()),
    )?
    .locked(Some(&lock));
    let staged = sourced(profile, NOWHERE, &charts.path().display().to_string());
    let mut making = Making::new(Parts::of(file)?, platforms, output);
    for need in &needed.charts {
        let archive = helm.fetched(&need.chart).await?;
        let bytes = std::fs::read(&archive).map_err(|it| unwritten(&archive, &it))?;
        let (name, version) = (&need.chart.name, &need.chart.version);
        let copy = charts.path().join(format!("{name}-{version}.tgz"));
        std::fs::write(&copy, &bytes).map_err(|it| unwritten(&copy, &it))?;
        making.add_chart(name, version, &bytes, need.repository())?;
    }
    let staged = needs(&staged)?;
    let placed = placed(profile, &lock, &helm, &staged).await?;
    making.charts = charts_of(&lock, &staged);
    making.add_images(profile, placed, global, output).await?;
    making.finished(profile, &lock, file).await
}

fn needs(profile: &Profile) -> Result<Needed> {
    needed(profile, Timestamp::now()).map_err(|error| wanted_error(&error))
}

/// The lock beside the profile, or one that is made now. Its charts have the signatures that the profile requires.
async fn locked(
    profile: &Profile,
    needed: &Needed,
    global: &GlobalArgs,
    output: Output,
) -> Result<Lock> {
    let Some(file) = lock::read(global)? else {
        output.note(
            "there is no lock beside the profile: the bundle gets the current charts and images",
        );
        let keyring = make::keyring_of(profile);
        let lock = Box::pin(make::make(profile, keyring, global, output)).await?;
        return match refusal(&unsigned(profile, &lock), &profile.name) {
            Some(error) => Err(error),
            None => Ok(lock),
        };
    };
    let mut differences = file.lock.lacks(needed, &|_| true);
    differences.extend(unsigned(profile, &file.lock));
    match refusal(&differences, &file.path.display().to_string()) {
        Some(error) => Err(error),
        None => Ok(file.lock),
    }
}

/// The charts as the lock of a bundle has them: at a path, with the values of the staged profile.
fn charts_of(lock: &Lock, staged: &Needed) -> Vec<LockedChart> {
    let charts = staged.charts.iter().filter_map(|need| {
        let known = lock.chart(&need.chart.name, &need.chart.version)?;
        Some(LockedChart {
            repository: need.repository().to_owned(),
            manifest: None,
            values: need.values.clone(),
            ..known.clone()
        })
    });
    charts.collect()
}

/// Each image with its reference in the bundle. The charts are rendered with all images at the bundle's registry: an image
/// that is elsewhere then would be pulled from there.
async fn placed(
    profile: &Profile,
    lock: &Lock,
    helm: &Helm,
    staged_needs: &Needed,
) -> Result<Vec<Placed>> {
    let sources = make::sources(helm, staged_needs).await?;
    let wanted: BTreeSet<String> = sources.keys().cloned().collect();
    let mut placed: BTreeMap<String, Placed> = BTreeMap::new();
    for image in &lock.images {
        let Some(reference) = staged(&image.image, profile.images.as_ref(), &wanted) else {
            continue;
        };
        let known = placed.get(&reference);
        if let Some(other) = known.filter(|it| it.image.digest != image.digest) {
            return Err(same_place(&image.image, &other.image.image));
        }
        let from = sources.get(&reference).cloned().unwrap_or_default();
        let image = LockedImage {
            from,
            ..image.clone()
        };
        placed.insert(reference.clone(), Placed { image, reference });
    }
    match wanted.iter().find(|it| !placed.contains_key(*it)) {
        Some(image) => Err(elsewhere(image, sources.get(image))),
        None => Ok(placed.into_values().collect()),
    }
}

fn same_place(one: &str, other: &str) -> Error {
    Error::new(
        ErrorKind::InvalidProfile,
        System::Profile,
        format!(
            "`{one}` and `{other}` would have the same name in the registry, but are different images"
        ),
    )
    .object(one)
    .hint("use the same image for both, or another tag for one")
}

fn elsewhere(image: &str, from: Option<&BTreeSet<String>>) -> Error {
    let from: Vec<&str> = from.into_iter().flatten().map(String::as_str).collect();
    let name = image.strip_prefix(NOWHERE).unwrap_or(image);
    let name = name.trim_start_matches('/');
    Error::new(
        ErrorKind::InvalidProfile,
        System::Profile,
        format!("image `{name}` would not come from the bundle"),
    )
    .object(name)
    .cause(format!("it is the image of {}", from.join(", ")))
    .hint("if the lock is older than the profile, run `arcctl lock`; if the image is in the values of a chart, leave its registry out there: `images.registry` sets it")
}
