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
        let names = [image.digest, image.tag].map(|it| it.map(str::to_owned));
        images.push((reference.clone(), names, Address::of(&image)));
    }
    let pools: Vec<&Pool> = profile.pools.iter().collect();
    let logins = &logins(profile, &pools, global, output)?;
    stream::iter(images)
        .map(|(reference, [digest, tag], address)| async move {
            let reading = async |it: &Repository<'_>| {
                named(it, [digest.as_deref(), tag.as_deref()], read).await
            };
            let found = logins.reading(&address, reading).await?;
            Ok::<_, Error>((reference, found))
        })
        .buffer_unordered(CONCURRENT)
        .try_collect()
        .await
}

/// What a digest stands for, or without one a tag. Amazon ECR pulls an image through for its tag only, also where a reference has
/// both (aws/containers-roadmap#2837): then the tag is read, which must stand for that digest.
async fn named(
    repository: &Repository<'_>,
    [digest, tag]: [Option<&str>; 2],
    read: Read,
) -> Result<Option<Manifest>> {
    let Some(digest) = digest else {
        return one(repository, tag.unwrap_or("latest"), read).await;
    };
    let found = one(repository, digest, read).await?;
    if found.is_some() {
        return Ok(found);
    }
    let Some(tag) = tag else { return Ok(None) };
    let found = one(repository, tag, read).await?;
    Ok(found.filter(|it| it.digest == digest))
}

async fn one(repository: &Repository<'_>, reference: &str, read: Read) -> Result<Option<Manifest>> {
    match read {
        Read::Digests => repository.current(reference).await,
        Read::Indexes => repository.manifest(reference).await,
    }
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
