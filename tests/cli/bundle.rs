//! `arcctl bundle` with the real helm: made from a registry and a chart repository on loopback, pushed to another registry.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its servers has failed"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Output,
};

use arcctl_sandbox::{
    chart_repository::ChartRepository,
    image_registry::{ImageRegistry, Options},
    tools,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::repository::{command, empty};

const RUNNER: &str = "hub/summerwind/actions-runner";
const TAG: &str = "v2.338.1-ubuntu-22.04";
/// An image whose layer is sent in pieces.
const LARGE: &str = "28-dind-large";

/// The images of the profile and of the stand-in charts, in a mirror.
const IMAGES: [(&str, &str); 8] = [
    (RUNNER, TAG),
    ("hub/library/docker", LARGE),
    ("hub/summerwind/actions-runner-controller", "v0.27.6"),
    ("hub/brancz/kube-rbac-proxy", "v0.13.1"),
    ("hub/jetstack/cert-manager-controller", "v1.21.1"),
    ("hub/jetstack/cert-manager-acmesolver", "v1.21.1"),
    ("hub/jetstack/cert-manager-cainjector", "v1.21.1"),
    ("hub/jetstack/cert-manager-webhook", "v1.21.1"),
];

/// The servers, the runtime that they run in, and a directory with a profile.
struct World {
    from: ImageRegistry,
    to: ImageRegistry,
    charts: ChartRepository,
    _runtime: Runtime,
    directory: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        Self::with_login(None)
    }

    /// The same, where the registry that is pushed to wants a name and a password.
    fn with_login(login: Option<(String, String)>) -> Self {
        let runtime = Runtime::new().unwrap();
        let tags = IMAGES.map(|(repository, tag)| (repository.to_owned(), vec![tag.to_owned()]));
        let fast = || Options {
            latency: std::time::Duration::ZERO,
            ..Options::default()
        };
        let from = Options {
            tags: BTreeMap::from(tags),
            redirects: true,
            ..fast()
        };
        let to = Options {
            writable: true,
            login,
            ..fast()
        };
        let world = Self {
            from: runtime.block_on(ImageRegistry::start(from)).unwrap(),
            to: runtime.block_on(ImageRegistry::start(to)).unwrap(),
            charts: runtime.block_on(ChartRepository::start()).unwrap(),
            _runtime: runtime,
            directory: empty(),
        };
        world.profile("");
        world
    }

    /// Writes the profile, with more keys at its end.
    fn profile(&self, more: &str) {
        let (host, charts) = (self.from.host(), self.charts.url());
        let text = format!(
            "apiVersion: arcctl.dev/v1\nname: website\ncluster: {{eks: build, region: ap-northeast-2}}\ngithub: {{repository: example-org/website, token: {{env: ARCCTL_GITHUB_TOKEN}}}}\nimages: {{registry: {host}/hub}}\ncharts: {{certManager: {charts}, controller: {charts}}}\ncontroller: {{dockerImage: 'docker:{LARGE}'}}\npools:\n- {{name: basic, image: 'summerwind/actions-runner:{TAG}', min: 1, max: 2}}\n{more}"
        );
        fs::write(self.directory.path().join("arcctl.yaml"), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command(self.directory.path(), arguments);
        command.env("ARCCTL_HELM", tools::find("helm3").unwrap());
        let output = command.output().unwrap();
        for registry in [&self.from, &self.to] {
            assert_eq!(registry.violations(), Vec::<String>::new());
        }
        output
    }

    fn document(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn create(&self, code: i32) -> Value {
        self.document(&["bundle", "create", "b.tar"], code)
    }

    fn push(&self, code: i32) -> Value {
        let registry = format!("oci://{}/mirror", self.to.host());
        self.document(&["bundle", "push", "b.tar", &registry], code)
    }

    /// What `up` says of a bundle before it connects to anything else.
    fn refused(&self, bundle: &str, code: i32) -> String {
        let document = self.document(&["up", "--yes", "--bundle", bundle], code);
        assert_eq!(document["schema"], "arcctl.run/v1");
        document["error"].to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// The files of an archive.
fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(path).unwrap());
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.insert(name, bytes);
    }
    found
}

#[test]
fn a_bundle_is_an_image_layout_with_every_chart_and_image_for_the_platform() {
    let world = World::start();
    let made = world.create(0);
    assert_eq!(made["schema"], "arcctl.bundle/v1");
    assert_eq!(made["created"]["images"].as_array().unwrap().len(), 8);
    assert_eq!(made["created"]["charts"].as_array().unwrap().len(), 2);
    for image in made["created"]["images"].as_array().unwrap() {
        assert_eq!(image["platforms"], serde_json::json!(["linux/amd64"]));
    }
    assert!(!world.path("b.tar.parts").exists());
    let files = unpacked(&world.path("b.tar"));
    assert_eq!(
        files["oci-layout"],
        br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()
    );
    for (name, bytes) in &files {
        if let Some(hash) = name.strip_prefix("blobs/sha256/") {
            let digest = arcctl::units::digest::sha256(bytes);
            assert_eq!(digest, format!("sha256:{hash}"));
        }
    }
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let places: BTreeSet<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["annotations"]["dev.arcctl.place"].as_str().unwrap())
        .collect();
    assert!(places.contains("bundle:website"), "{places:?}");
    assert!(places.contains("charts/cert-manager:v1.21.1"), "{places:?}");
    assert!(
        places.contains(format!("library/docker:{LARGE}").as_str()),
        "{places:?}"
    );
    assert_eq!(places.len(), 11);

    // The same again is the same file, whatever was there before.
    let before = fs::read(world.path("b.tar")).unwrap();
    let lock = world.document(&["lock"], 0);
    assert_eq!(lock["written"], true);
    let _first = world.create(0);
    let locked = fs::read(world.path("b.tar")).unwrap();
    let _second = world.create(0);
    assert_eq!(fs::read(world.path("b.tar")).unwrap(), locked);
    assert_eq!(before.len(), locked.len());
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_platform_that_an_image_does_not_have_is_named() {
    let world = World::start();
    let wrong = ["bundle", "create", "b.tar", "--platform", "linux/s390x"];
    let document = world.document(&wrong, 64);
    let said = document["error"]["message"].as_str().unwrap();
    assert!(said.contains("linux/amd64, linux/arm64"), "{said}");
    let nonsense = ["bundle", "create", "b.tar", "--platform", "arm64"];
    assert_eq!(world.document(&nonsense, 64)["created"], Value::Null);
    let all = world.document(&["bundle", "create", "b.tar", "--platform", "all"], 0);
    let platforms = &all["created"]["images"][0]["platforms"];
    assert_eq!(
        *platforms,
        serde_json::json!(["linux/amd64", "linux/arm64"])
    );
}

/// registry.k8s.io sends to another place for manifests: they are read there when the images are packed, too.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_registry_that_sends_elsewhere_for_manifests_is_read_there() {
    let world = World::start();
    world.from.send_to(Some(world.from.open_place()));
    let made = world.create(0);
    assert_eq!(made["created"]["images"].as_array().unwrap().len(), 8);
}

#[test]
fn a_chart_that_must_be_signed_is_refused_before_a_download() {
    let world = World::start();
    fs::write(world.path("keys.gpg"), "").unwrap();
    world.profile("provenance: {keyring: keys.gpg, require: [cert-manager]}\n");
    let error = world.create(7)["error"].to_string();
    assert!(error.contains("has no verified signature"), "{error}");
    // With the keyring of the profile: a wrong signature is seen.
    world.charts.sign_wrongly("cert-manager", "v1.21.1");
    let error = world.create(7)["error"].to_string();
    assert!(error.contains("verify the signature of chart"), "{error}");
    assert!(!world.path("b.tar.parts").exists());
}

#[test]
fn an_image_that_would_come_from_elsewhere_is_refused() {
    let world = World::start();
    world.document(&["lock"], 0);
    world.profile("certManager: {chartVersion: v1.12.0}\n");
    let document = world.create(7);
    let said = document["error"]["hint"].as_str().unwrap();
    assert!(said.contains("arcctl lock"), "{said}");
    assert!(!world.path("b.tar").exists());
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_blob_that_ends_early_is_continued_and_another_is_refused() {
    let world = World::start();
    let whole = {
        let _made = world.create(0);
        world.from.blob_bytes()
    };
    world.from.cut(3);
    let _again = world.create(0);
    // Half a blob, and then the other half.
    assert_eq!(world.from.blob_bytes(), 2 * whole);
    world.from.lie(true);
    assert_eq!(world.create(7)["error"]["system"], "registry");
}

#[test]
fn a_bundle_is_pushed_once() {
    let world = World::start();
    let _made = world.create(0);
    world.to.break_pieces(2);
    let pushed = world.push(0);
    let parts = pushed["pushed"]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 11);
    assert!(parts.iter().all(|it| it["present"] == false), "{pushed:#}");
    assert_eq!(parts[10]["place"], "bundle:website");
    let (sent, mounted) = world.to.pushed();
    // The layer that all images have was sent once.
    assert_eq!(mounted, 7);
    let references = world.to.references();
    assert!(references.contains(&format!("mirror/library/docker:{LARGE}")));
    assert!(references.contains(&"mirror/bundle:website".to_owned()));

    let again = world.push(0);
    let parts = again["pushed"]["parts"].as_array().unwrap();
    assert!(parts.iter().all(|it| it["present"] == true), "{again:#}");
    assert_eq!(world.to.pushed(), (sent, mounted));
}

#[test]
fn a_registry_that_wants_a_login_is_pushed_to_with_that_of_docker() {
    let password = "hunter2-canary-0123456789";
    let world = World::with_login(Some(("me".to_owned(), password.to_owned())));
    let _made = world.create(0);
    let refused = world.push(4)["error"].to_string();
    assert!(
        refused.contains("does not allow anonymous users to write"),
        "{refused}"
    );
    assert!(refused.contains("docker login"), "{refused}");
    let auth = STANDARD.encode(format!("me:{password}"));
    let logins = serde_json::json!({"auths": {world.to.host(): {"auth": auth}}});
    fs::create_dir(world.path(".docker")).unwrap();
    fs::write(world.path(".docker/config.json"), logins.to_string()).unwrap();
    let registry = format!("oci://{}/mirror", world.to.host());
    let pushed = world.run(&["bundle", "push", "b.tar", &registry, "-vv"]);
    assert_eq!(pushed.status.code(), Some(0), "{pushed:?}");
    let said = String::from_utf8([pushed.stdout, pushed.stderr].concat()).unwrap();
    assert!(!said.contains(password) && !said.contains(&auth), "{said}");
}

#[test]
fn what_is_not_a_bundle_or_not_a_registry_is_told() {
    let world = World::start();
    fs::write(world.path("b.tar"), "no archive").unwrap();
    let document = world.push(1);
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("bundle create"), "{hint}");
    let wrong = ["bundle", "push", "b.tar", "registry.example.com/x"];
    let document = world.document(&wrong, 64);
    assert!(
        document["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("oci://")
    );
}

#[test]
fn up_refuses_a_bundle_that_is_not_that_of_the_profile() {
    let world = World::start();
    let said = world.refused("b.tar", 1);
    assert!(said.contains("bundle create"), "{said}");
    let registry = format!("oci://{}/mirror", world.to.host());
    let said = world.refused(&registry, 1);
    assert!(said.contains("arcctl bundle push"), "{said}");
    let said = world.refused("oci://no-registry", 64);
    assert!(said.contains("oci://REGISTRY/PATH"), "{said}");

    let _made = world.create(0);
    let whole = fs::read(world.path("b.tar")).unwrap();
    world.profile("certManager: {chartVersion: v1.12.0}\n");
    let said = world.refused("b.tar", 7);
    assert!(said.contains("older than the profile"), "{said}");
    assert!(!said.contains("bundle.invalid"), "{said}");
    world.profile("");

    // One byte of the lock in it.
    let mut changed = whole.clone();
    let place = changed
        .windows(15)
        .position(|it| it == b"bundle.invalid/")
        .unwrap();
    changed[place] = b'B';
    fs::write(world.path("b.tar"), changed).unwrap();
    let said = world.refused("b.tar", 1);
    assert!(said.contains("the digest of blob"), "{said}");
    fs::write(world.path("b.tar"), whole).unwrap();

    world.from.move_tag(RUNNER, TAG);
    world.document(&["lock"], 0);
    let said = world.refused("b.tar", 7);
    assert!(said.contains("differs from the lock"), "{said}");
    assert!(said.contains("summerwind/actions-runner:"), "{said}");
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_file_alone_has_no_images_for_the_nodes() {
    let world = World::start();
    let _made = world.create(0);
    let path = world.path("arcctl.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|it| !it.starts_with("images:"));
    fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let said = world.refused("b.tar", 64);
    assert!(said.contains("images.registry"), "{said}");
}

/// A run that ends after each tenth of its requests, and the next that continues: nothing is read or sent twice.
#[test]
#[ignore = "slow: `make test-slow`"]
fn an_interrupted_run_is_continued() {
    let world = World::start();
    let begin = world.from.requests();
    let _made = world.create(0);
    let (requests, bytes) = (world.from.requests() - begin, world.from.blob_bytes());
    fs::remove_file(world.path("b.tar")).unwrap();
    let mut interrupted = 0;
    for tenth in 1..10 {
        world.from.answer_only(Some(requests * tenth / 10));
        let output = world.run(&["bundle", "create", "b.tar"]);
        if output.status.success() {
            break;
        }
        interrupted += 1;
    }
    assert!(interrupted > 0);
    world.from.answer_only(None);
    if !world.path("b.tar").exists() {
        let _continued = world.create(0);
    }
    assert_eq!(world.from.blob_bytes(), 2 * bytes, "no blob is read twice");

    let begin = world.to.requests();
    for tenth in 1..10 {
        world.to.answer_only(Some(tenth * 20));
        let output = world.run(&[
            "bundle",
            "push",
            "b.tar",
            &format!("oci://{}/mirror", world.to.host()),
        ]);
        assert!(output.status.code().is_some());
    }
    world.to.answer_only(None);
    let _pushed = world.push(0);
    assert!(world.to.requests() > begin);
    assert!(
        world
            .to
            .references()
            .contains(&"mirror/bundle:website".to_owned())
    );
}
