//! What is pushed to stand-ins for registries that take uploads in ways of their own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its registry has failed"
)]

use std::time::Duration;

use arcctl::{
    clients::registry::{Address, Repository},
    error::Error,
    units::{digest::sha256, image::Image},
};
use arcctl_sandbox::image_registry::{ImageRegistry, Like, Options};
use http::StatusCode;
use serde_json::json;
use tokio::runtime::Runtime;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry, and the runtime that it runs in.
struct World {
    registry: ImageRegistry,
    runtime: Runtime,
}

impl World {
    fn start(like: Like) -> Self {
        // Another test may have done it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let runtime = Runtime::new().unwrap();
        let registry = ImageRegistry::start(Options {
            writable: true,
            latency: Duration::ZERO,
            like,
            ..Options::default()
        });
        Self {
            registry: runtime.block_on(registry).unwrap(),
            runtime,
        }
    }

    fn repository(&self, name: &str) -> Repository<'static> {
        let image = format!("{}/{name}:1", self.registry.host());
        let address = Address::of(&Image::parse(&image).unwrap());
        Repository::new(address, Vec::new()).unwrap().for_writing()
    }

    /// Sends a blob, or has it taken from another repository.
    fn put(&self, to: &Repository<'_>, bytes: &[u8], mount: Option<&str>) -> Result<(), Error> {
        let digest = sha256(bytes);
        let source = |at: u64, length: u64| {
            let (from, to) = (usize::try_from(at), usize::try_from(at + length));
            Ok::<_, std::io::Error>(bytes[from.unwrap()..to.unwrap()].to_vec())
        };
        let sent = to.put_blob((&digest, bytes.len() as u64), &source, mount);
        self.runtime.block_on(sent)
    }

    fn violations(&self) -> Vec<String> {
        self.registry.violations()
    }
}

/// Source: dotnet/sdk, `DefaultBlobUploadOperations`; aws/containers-roadmap#2831.
#[test]
fn amazon_ecr_says_created_of_each_piece_and_gets_them_all() {
    let world = World::start(Like::Ecr);
    let blob = vec![7_u8; 20_000_000];
    world.put(&world.repository("a"), &blob, None).unwrap();
    assert_eq!(world.registry.pushed(), (1, 0));
    assert_eq!(world.violations(), Vec::<String>::new());
}

/// Source: oras-project/rust-oci-client#37, ocx-sh/ocx#237.
#[test]
fn a_registry_that_takes_only_short_pieces_gets_them() {
    let world = World::start(Like::Ghcr);
    // One that would be sent whole, and one in pieces.
    for length in [6_000_000, 20_000_000] {
        let repository = world.repository("a");
        world.put(&repository, &vec![7_u8; length], None).unwrap();
        let requests = world.registry.requests();
        world.put(&repository, &vec![8_u8; length], None).unwrap();
        // The second blob is sent in short pieces at once: its upload begins, and ends.
        let pieces = u64::try_from(length.div_ceil(4 << 20)).unwrap();
        assert_eq!(world.registry.requests() - requests, pieces + 2);
    }
    assert_eq!(world.registry.pushed(), (4, 0));
    assert_eq!(world.violations(), Vec::<String>::new());
}

/// A token server does not take a parameter with several scopes apart: then the token is for none of them.
#[test]
fn a_blob_is_taken_from_a_repository_that_the_token_must_be_for_too() {
    let world = World::start(Like::Distribution);
    world.put(&world.repository("a"), b"blob", None).unwrap();
    let other = world.repository("b");
    world.put(&other, b"blob", Some("a")).unwrap();
    assert_eq!(world.registry.pushed(), (1, 1));
    assert_eq!(world.violations(), Vec::<String>::new());
}

#[test]
fn a_blob_that_the_registry_does_not_take_from_elsewhere_is_sent() {
    let world = World::start(Like::Distribution);
    world.put(&world.repository("a"), b"blob", None).unwrap();
    world.registry.refuse_mounts(true);
    let other = world.repository("b");
    world.put(&other, b"blob", Some("a")).unwrap();
    assert_eq!(world.registry.pushed(), (2, 0));
    assert_eq!(world.violations(), Vec::<String>::new());
}

/// Source: aws/containers-roadmap#2671, distribution/distribution#4383.
#[test]
fn a_blob_is_read_where_nobody_may_ask_whether_it_is_there() {
    let world = World::start(Like::EcrPublic);
    world.put(&world.repository("a"), b"blob", None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("blob");
    let repository = world.repository("a");
    let download = |bytes: &[u8]| {
        let digest = sha256(bytes);
        let size = bytes.len() as u64;
        let downloading = repository.download(&digest, size, &file);
        world.runtime.block_on(downloading)
    };
    assert!(download(b"absent").is_err());
    download(b"blob").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"blob");
    assert_eq!(world.violations(), Vec::<String>::new());
}

/// Source: project-zot/zot, `UpdateManifest` in pkg/api/routes.go; #3104.
#[test]
fn a_registry_without_docker_s_manifests_is_told_as_that() {
    let world = World::start(Like::Zot);
    let repository = world.repository("a");
    world.put(&repository, b"{}", None).unwrap();
    let put = |media_type: &str| {
        let config = json!({"mediaType": "config", "digest": sha256(b"{}"), "size": 2});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []});
        let bytes = manifest.to_string().into_bytes();
        let sent = repository.put_manifest("1", media_type, &bytes);
        world.runtime.block_on(sent)
    };
    put(MANIFEST).unwrap();
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let error = put(docker).unwrap_err();
    assert!(error.to_string().contains(docker), "{error}");
    assert!(error.hint.unwrap().contains("docker2s2"));
    // The same status for a manifest of OCI has nothing to do with Docker's.
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    world.registry.refuse_with(Some(status));
    let error = put(MANIFEST).unwrap_err();
    assert!(error.to_string().contains(MANIFEST), "{error}");
    let hint = error.hint.unwrap();
    assert!(hint.contains("does not take OCI artifacts"), "{hint}");
    assert_eq!(world.violations(), Vec::<String>::new());
}

/// Source: moby/buildkit#3776.
#[test]
fn a_tag_that_a_registry_keeps_is_told_as_that() {
    let world = World::start(Like::Ecr);
    let repository = world.repository("a");
    world.put(&repository, b"{}", None).unwrap();
    let put = |number: u32| {
        let config = json!({"mediaType": "config", "digest": sha256(b"{}"), "size": 2});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [],
            "annotations": {"number": number.to_string()}});
        let bytes = manifest.to_string().into_bytes();
        let sent = repository.put_manifest("website", MANIFEST, &bytes);
        world.runtime.block_on(sent)
    };
    world.registry.keep_tags(true);
    put(1).unwrap();
    let error = put(2).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("does not let tag `website`"), "{told}");
    assert!(
        error.causes[0].contains("TAG_INVALID: The image tag"),
        "{told}"
    );
    assert!(
        error.hint.unwrap().contains("put-image-tag-mutability"),
        "{told}"
    );
}
