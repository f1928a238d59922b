//! A bundle while it is made: reads charts and images, and packs them into one archive.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use futures::{StreamExt, stream};

use super::{create::Placed, parts::Parts};
use crate::{
    bundle::{
        Content, Descriptor, EMPTY, MANIFEST, Packed, REPOSITORY, bundle_manifest, chart_manifest,
        chart_repository, descriptor, image_place, read, reduced, root, sbom,
    },
    clients::registry::{Address, Document, Repository},
    desired::lock::{Lock, LockedChart, LockedImage},
    error::{Error, ErrorKind, Result, System},
    profile::{Pool, Profile},
    report::bundle::Created,
    session::image_updates::{Known, logins},
    terminal::{args::GlobalArgs, output::Output},
    units::{digest::sha256, image::Image},
};

/// How many blobs of an image are downloaded at a time.
const CONCURRENT: usize = 4;

/// A bundle while it is made.
pub(super) struct Making<'a> {
    parts: Parts,
    platforms: &'a [String],
    output: Output,
    /// What `index.json` names.
    manifests: Vec<Descriptor>,
    /// The digests of all blobs and manifests.
    digests: BTreeSet<String>,
    packed: Vec<Packed>,
    images: Vec<LockedImage>,
    /// The charts as the lock in it has them.
    pub(super) charts: Vec<LockedChart>,
}

impl<'a> Making<'a> {
    /// One without content.
    pub(super) fn new(parts: Parts, platforms: &'a [String], output: Output) -> Self {
        Self {
            parts,
            platforms,
            output,
            manifests: Vec::new(),
            digests: BTreeSet::new(),
            packed: Vec::new(),
            images: Vec::new(),
            charts: Vec::new(),
        }
    }

    /// Keeps a document, and counts it to the bundle.
    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        self.parts.put(bytes)?;
        self.digests.insert(sha256(bytes));
        Ok(())
    }

    pub(super) fn add_chart(
        &mut self,
        name: &str,
        version: &str,
        archive: &[u8],
        from: &str,
    ) -> Result<()> {
        let (config, manifest) = chart_manifest(name, version, archive);
        for bytes in [archive, &config, &manifest] {
            self.keep(bytes)?;
        }
        // `+` is no character of a tag (helm.sh/docs/topics/registries).
        let place = format!("{}:{}", chart_repository(name), version.replace('+', "_"));
        self.manifests
            .push(descriptor(MANIFEST, &manifest).at(&place));
        self.packed.push(Packed {
            kind: "helm",
            name: name.to_owned(),
            version: version.to_owned(),
            from: from.to_owned(),
            digest: sha256(archive),
        });
        Ok(())
    }

    pub(super) async fn add_images(
        &mut self,
        profile: &Profile,
        placed: Vec<Placed>,
        global: &GlobalArgs,
        output: Output,
    ) -> Result<()> {
        let pools: Vec<&Pool> = profile.pools.iter().collect();
        let logins = logins(profile, &pools, global, output)?;
        let count = placed.len();
        for (index, it) in placed.into_iter().enumerate() {
            output.note(format!(
                "image {} of {count}: {}",
                index + 1,
                it.image.image
            ));
            Box::pin(self.add_image(it, &logins)).await?;
        }
        Ok(())
    }

    async fn add_image(&mut self, placed: Placed, logins: &Known<'_>) -> Result<()> {
        let image = &placed.image;
        let address = address(&image.image)?;
        let first = async |it: &Repository<'_>| it.fetched(&image.digest).await;
        let opened = logins.opened(&address, &address, first).await;
        let (repository, found) = opened.map_err(|it| logins.advised(it, &address))?;
        let found = found.ok_or_else(|| gone(&image.image, &image.digest))?;
        let (document, platforms) = self.add_document(&repository, image, found).await?;
        let place = image_place(&placed.reference, &document.digest);
        self.manifests
            .push(descriptor(&document.media_type, &document.bytes).at(&place));
        let tag = Image::parse(&image.image).and_then(|it| it.tag);
        self.packed.push(Packed {
            kind: "oci",
            name: image.image.clone(),
            version: tag.unwrap_or_default().to_owned(),
            from: address.to_string(),
            digest: document.digest.clone(),
        });
        self.images.push(LockedImage {
            image: placed.reference.clone(),
            digest: document.digest,
            platforms,
            ..placed.image
        });
        Ok(())
    }

    /// Adds what the digest of an image names; returns what the bundle has in its place, and its platforms.
    async fn add_document(
        &mut self,
        repository: &Repository<'_>,
        image: &LockedImage,
        found: Document,
    ) -> Result<(Document, BTreeMap<String, String>)> {
        let all = match content(&image.image, &found)? {
            Content::Blobs(blobs) => {
                self.add_blobs(repository, &blobs).await?;
                self.keep(&found.bytes)?;
                return Ok((found, BTreeMap::new()));
            }
            Content::Manifests(all) => all,
        };
        // An image that the profile names by its digest must keep it.
        let is_whole = self.platforms.is_empty() || image.image.contains('@');
        let (bytes, kept) = if is_whole {
            (found.bytes, all)
        } else {
            reduced(&found.media_type, &all, self.platforms)
                .map_err(|has| no_platform(&image.image, self.platforms, &has))?
        };
        for it in &kept {
            let manifest = repository.fetched(&it.digest).await?;
            let manifest = manifest.ok_or_else(|| gone(&image.image, &it.digest))?;
            let Content::Blobs(blobs) = content(&image.image, &manifest)? else {
                return Err(odd(&image.image, "an index names another index"));
            };
            self.add_blobs(repository, &blobs).await?;
            self.keep(&manifest.bytes)?;
        }
        self.keep(&bytes)?;
        let platforms = kept
            .iter()
            .filter_map(|it| Some((it.platform()?, it.digest.clone())))
            .collect();
        let digest = sha256(&bytes);
        let media_type = found.media_type;
        let document = Document {
            media_type,
            digest,
            bytes,
        };
        Ok((document, platforms))
    }

    async fn add_blobs(&mut self, repository: &Repository<'_>, blobs: &[Descriptor]) -> Result<()> {
        let parts = &self.parts;
        let results: Vec<Result<()>> = stream::iter(blobs)
            .map(|it| async move {
                let file = parts.blob(&it.digest);
                repository.download(&it.digest, it.size, &file).await
            })
            .buffered(CONCURRENT)
            .collect()
            .await;
        // After all have ended: what one has downloaded is not lost by the failure of another.
        results.into_iter().collect::<Result<()>>()?;
        let digests = blobs.iter().map(|it| it.digest.clone());
        self.digests.extend(digests);
        Ok(())
    }

    /// Adds the lock and the bill, and packs everything.
    pub(super) async fn finished(
        mut self,
        profile: &Profile,
        lock: &Lock,
        file: &Path,
    ) -> Result<Created> {
        let bug = |error: serde_json::Error| {
            Error::failed(System::Local, "the lock cannot be written as JSON")
                .cause(error)
                .hint("report this as a bug")
        };
        let own = Lock::new(
            &profile.name,
            std::mem::take(&mut self.charts),
            std::mem::take(&mut self.images),
        );
        let locked = own.text().map_err(bug)?.into_bytes();
        let times = lock.charts.iter().map(|it| it.locked);
        let newest = times.chain(lock.images.iter().map(|it| it.locked)).max();
        let bill = sbom(&profile.name, newest.unwrap_or_default(), &self.packed);
        let bill = serde_json::to_vec_pretty(&bill).map_err(bug)?;
        let manifest = bundle_manifest(&locked, &bill);
        for bytes in [EMPTY, &locked, &bill, &manifest] {
            self.keep(bytes)?;
        }
        let place = format!("{REPOSITORY}:{}", profile.name);
        // At the end: it is pushed last, so that a bundle in a registry is whole.
        self.manifests
            .push(descriptor(MANIFEST, &manifest).at(&place));
        self.output.note("packing the archive");
        let bytes = self
            .parts
            .packed(root(&self.manifests), self.digests)
            .await?;
        Ok(Created {
            file: file.display().to_string(),
            bytes,
            platforms: self.platforms.to_vec(),
            lock: own,
        })
    }
}

fn address(image: &str) -> Result<Address> {
    // The lint and the lock have checked it.
    let parsed = Image::parse(image).ok_or_else(|| odd(image, "it is not an image reference"))?;
    Ok(Address::of(&parsed))
}

fn content(image: &str, document: &Document) -> Result<Content> {
    read(&document.bytes).map_err(|why| odd(image, &why))
}

fn odd(image: &str, why: &str) -> Error {
    Error::failed(
        System::Registry,
        format!("image `{image}` cannot be put into a bundle"),
    )
    .object(image)
    .cause(why)
    .hint("use an image of the OCI format, or of Docker's version 2")
}

fn gone(image: &str, digest: &str) -> Error {
    Error::failed(
        System::Registry,
        format!("the registry no longer has the locked content of image `{image}`"),
    )
    .object(image)
    .cause(format!("{digest} does not exist"))
    .hint("use another image or a mirror that still has it, then run `arcctl lock`")
}

fn no_platform(image: &str, wanted: &[String], has: &[String]) -> Error {
    Error::new(
        ErrorKind::Usage,
        System::Registry,
        format!(
            "image `{image}` is not available for all of {}",
            wanted.join(", ")
        ),
    )
    .object(image)
    .cause(format!("it is available for {}", has.join(", ")))
    .hint("choose platforms that all images have, with --platform, or another image")
}
