//! Pushes a bundle to a registry: only what it lacks. What an interrupted run has pushed is not pushed again.

use std::{collections::BTreeMap, path::Path};

use futures::{StreamExt, stream};

use super::{archive::Archive, unusable};
use crate::{
    bundle::{Content, Descriptor, read, taken_apart},
    clients::registry::{Address, Repository},
    error::{Error, Result},
    profile::{Pool, Profile},
    report::bundle::{Pushed, PushedPart},
    session::image_updates::{Known, logins},
    terminal::{args::GlobalArgs, output::Output},
    units::image::Image,
};

/// How many blobs are pushed at a time.
const CONCURRENT: usize = 4;

/// A part of a bundle, and where it goes.
struct Part {
    place: String,
    descriptor: Descriptor,
    address: Address,
}

/// A push, and what it has done.
struct Pushing<'a> {
    archive: &'a Archive,
    logins: &'a Known<'a>,
    /// A repository of the registry that has a blob, for each blob seen so far.
    has: BTreeMap<String, String>,
}

/// Pushes the bundle in `file` to `registry`, `REGISTRY/PATH`, with the logins for the profile's images.
pub(crate) async fn push(
    profile: &Profile,
    file: &Path,
    registry: &str,
    global: &GlobalArgs,
    output: Output,
) -> Result<Pushed> {
    let archive = Archive::open(file)?;
    let mut parts = Vec::new();
    for (place, descriptor) in archive.manifests()? {
        let address = address(&archive, registry, &place)?;
        parts.push(Part {
            place,
            descriptor,
            address,
        });
    }
    let pools: Vec<&Pool> = profile.pools.iter().collect();
    let logins = logins(profile, &pools, global, output)?.for_writing();
    let mut pushing = Pushing {
        archive: &archive,
        logins: &logins,
        has: BTreeMap::new(),
    };
    let mut pushed = Pushed {
        file: archive.name(),
        registry: registry.to_owned(),
        ..Pushed::default()
    };
    let count = parts.len();
    for (index, part) in parts.iter().enumerate() {
        let done = Box::pin(pushing.part(part)).await;
        let done = done.map_err(|it| logins.advised(it, &part.address))?;
        output.note(format!(
            "{} of {count}: {} {}",
            index + 1,
            part.place,
            done.words()
        ));
        pushed.parts.push(done);
    }
    Ok(pushed)
}

/// The repository of a place.
fn address(archive: &Archive, registry: &str, place: &str) -> Result<Address> {
    let reference = format!("{registry}/{place}");
    let image = Image::parse(&reference);
    let image = image.ok_or_else(|| {
        let why = format!("`{place}` is not a place in a registry");
        unusable(&archive.name(), &why)
    })?;
    Ok(Address::of(&image))
}

impl Pushing<'_> {
    /// Pushes a part: the blobs, the manifests of an index, and then what names them.
    async fn part(&mut self, part: &Part) -> Result<PushedPart> {
        let (_, tag) = taken_apart(&part.place);
        let digest = part.descriptor.digest.as_str();
        let reference = tag.unwrap_or(digest);
        let mut done = PushedPart {
            place: part.place.clone(),
            digest: digest.to_owned(),
            ..PushedPart::default()
        };
        let root = self.archive.content(digest)?;
        let first = async |it: &Repository<'_>| it.has_manifest(reference, digest).await;
        let address = &part.address;
        let (repository, is_there) = self.logins.opened(address, address, first).await?;
        if is_there {
            // A registry takes a manifest only with everything that it names.
            done.present = true;
            self.know(&root, &part.address.repository)?;
            return Ok(done);
        }
        match self.named(&root)? {
            Content::Blobs(blobs) => self.blobs(&repository, &blobs, &mut done).await?,
            Content::Manifests(manifests) => {
                for it in manifests {
                    let bytes = self.archive.content(&it.digest)?;
                    if repository.has_manifest(&it.digest, &it.digest).await? {
                        continue;
                    }
                    let Content::Blobs(blobs) = self.named(&bytes)? else {
                        let why = format!("index `{digest}` names another index");
                        return Err(unusable(&self.archive.name(), &why));
                    };
                    self.blobs(&repository, &blobs, &mut done).await?;
                    repository
                        .put_manifest(&it.digest, &it.media_type, &bytes)
                        .await?;
                }
            }
        }
        let media_type = &part.descriptor.media_type;
        repository
            .put_manifest(reference, media_type, &root)
            .await?;
        Ok(done)
    }

    /// Remembers that a repository has the blobs below a manifest or an index.
    fn know(&mut self, bytes: &[u8], repository: &str) -> Result<()> {
        match self.named(bytes)? {
            Content::Blobs(blobs) => {
                let digests = blobs.into_iter().map(|it| it.digest);
                let known = digests.map(|it| (it, repository.to_owned()));
                self.has.extend(known);
            }
            Content::Manifests(manifests) => {
                for it in manifests {
                    let bytes = self.archive.content(&it.digest)?;
                    self.know(&bytes, repository)?;
                }
            }
        }
        Ok(())
    }

    fn named(&self, bytes: &[u8]) -> Result<Content> {
        read(bytes).map_err(|why| unusable(&self.archive.name(), &why))
    }

    /// Pushes the blobs that the repository lacks; one that another repository has is taken from there.
    async fn blobs(
        &mut self,
        repository: &Repository<'_>,
        blobs: &[Descriptor],
        done: &mut PushedPart,
    ) -> Result<()> {
        let (archive, has) = (self.archive, &self.has);
        let results: Vec<Result<(u64, bool)>> = stream::iter(blobs)
            .map(|it| async move {
                if repository.has_blob(&it.digest).await? {
                    return Ok((it.size, true));
                }
                let digest = it.digest.as_str();
                let source = |at: u64, length: u64| archive.piece(digest, at, length);
                let mount = has.get(digest).map(String::as_str);
                repository
                    .put_blob((digest, it.size), &source, mount)
                    .await?;
                Ok::<_, Error>((it.size, false))
            })
            .buffered(CONCURRENT)
            .collect()
            .await;
        // After all have ended: what one has sent is not lost by the failure of another.
        for result in results {
            let (size, was_there) = result?;
            if !was_there {
                done.blobs += 1;
                done.bytes += size;
            }
        }
        let name = &repository.address().repository;
        for it in blobs {
            self.has.insert(it.digest.clone(), name.clone());
        }
        Ok(())
    }
}
