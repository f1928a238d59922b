//! Reads what image references stand for at their registries, several at a time.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    clients::registry::{Address, Manifest, Repository},
    error::{Error, ErrorKind, Result, System},
    profile::{Pool, Profile},
    session::image_updates::logins,
    terminal::{args::GlobalArgs, output::Output},
    units::image::Image,
};

/// How many images are read at a time.
const CONCURRENT: usize = 4;

/// How much of an image is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Its digest.
    Digests,
    /// Its index too, with the digests of the platforms.
    Indexes,
}

/// What each reference stands for now; `None` for what its registry does not have.
pub(super) async fn read(
    profile: &Profile,
    references: &BTreeSet<String>,
    read: Read,
    global: &GlobalArgs,
    output: Output,
) -> Result<BTreeMap<String, Option<Manifest>>> {
    let mut images = Vec::new();
    for reference in references {
        let image = Image::parse(reference).ok_or_else(|| no_reference(reference))?;
        let what = image.digest.or(image.tag).unwrap_or("latest");
        images.push((reference.clone(), what.to_owned(), Address::of(&image)));
    }
    let pools: Vec<&Pool> = profile.pools.iter().collect();
    let logins = &logins(profile, &pools, global, output)?;
    stream::iter(images)
        .map(|(reference, what, address)| async move {
            let reading = async |it: &Repository<'_>| match read {
                Read::Digests => it.current(&what).await,
                Read::Indexes => it.manifest(&what).await,
            };
            let found = logins.reading(&address, reading).await?;
            Ok::<_, Error>((reference, found))
        })
        .buffer_unordered(CONCURRENT)
        .try_collect()
        .await
}

fn no_reference(text: &str) -> Error {
    Error::new(
        ErrorKind::InvalidProfile,
        System::Profile,
        format!("`{text}` is not an image reference"),
    )
    .object(text)
    .hint("correct the image in the profile, or in the values of a chart")
}
