//! `arcctl lock` with the real helm, against a chart repository and a registry on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its servers has failed"
)]

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use arcctl::{
    clients::{
        helm::{Helm, Places},
        kube::Access,
    },
    desired::{lock::Verification, resource::Chart},
    units::digest::sha256,
};
use arcctl_sandbox::{
    chart_repository::ChartRepository,
    image_registry::{ImageRegistry, Like, Options},
    tools,
};
use http::StatusCode;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::repository::{command, empty};

const RUNNER: &str = "hub/summerwind/actions-runner";
const TAG: &str = "v2.338.1-ubuntu-22.04";

/// The images of the profile and of the stand-in charts, in a mirror.
const IMAGES: [(&str, &str); 8] = [
    (RUNNER, TAG),
    ("hub/library/docker", "28-dind"),
    ("hub/summerwind/actions-runner-controller", "v0.27.6"),
    ("hub/brancz/kube-rbac-proxy", "v0.13.1"),
    ("hub/jetstack/cert-manager-controller", "v1.21.1"),
    ("hub/jetstack/cert-manager-acmesolver", "v1.21.1"),
    ("hub/jetstack/cert-manager-cainjector", "v1.21.1"),
    ("hub/jetstack/cert-manager-webhook", "v1.21.1"),
];

/// The two servers, the runtime that they run in, and a directory with a profile.
struct World {
    registry: ImageRegistry,
    charts: ChartRepository,
    runtime: Runtime,
    directory: tempfile::TempDir,
}

/// The charts of the profile.
const CHARTS: [(&str, &str); 2] = [
    ("actions-runner-controller", "0.23.7"),
    ("cert-manager", "v1.21.1"),
];

impl World {
    fn start() -> Self {
        Self::like(Like::Distribution)
    }

    /// The same, with a registry that has the ways of another.
    fn like(like: Like) -> Self {
        let runtime = Runtime::new().unwrap();
        let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (repository, tag) in IMAGES {
            tags.insert(repository.to_owned(), vec![tag.to_owned()]);
        }
        let newer = tags.get_mut("hub/summerwind/actions-runner-controller");
        newer.unwrap().push("v0.27.4".to_owned());
        let options = Options {
            tags,
            like,
            ..Options::default()
        };
        let registry = runtime.block_on(ImageRegistry::start(options)).unwrap();
        let charts = runtime.block_on(ChartRepository::start()).unwrap();
        let world = Self {
            registry,
            charts,
            runtime,
            directory: empty(),
        };
        world.profile("");
        world
    }

    /// Writes the profile, with more keys at its end.
    fn profile(&self, more: &str) {
        let (host, charts) = (self.registry.host(), self.charts.url());
        let text = format!(
            "apiVersion: arcctl.dev/v1\nname: website\ncluster: {{eks: build, region: ap-northeast-2}}\ngithub: {{repository: example-org/website, token: {{env: ARCCTL_GITHUB_TOKEN}}}}\nimages: {{registry: {host}/hub}}\ncharts: {{certManager: {charts}, controller: {charts}}}\npools:\n- {{name: basic, image: 'summerwind/actions-runner:{TAG}', min: 1, max: 2}}\n{more}"
        );
        fs::write(self.directory.path().join("arcctl.yaml"), text).unwrap();
    }

    /// A registry for the charts, still without them, which the profile names as `oci://HOST/charts`.
    fn registry_of_charts(&self) -> ImageRegistry {
        let repositories = CHARTS.map(|(name, _)| (format!("charts/{name}"), Vec::new()));
        let options = Options {
            tags: repositories.into(),
            anonymous: true,
            ..Options::default()
        };
        let registry = self
            .runtime
            .block_on(ImageRegistry::start(options))
            .unwrap();
        let path = self.directory.path().join("arcctl.yaml");
        let location = format!("oci://{}/charts", registry.host());
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace(&self.charts.url(), &location)).unwrap();
        registry
    }

    /// Publishes a chart there as it is in the repository now; the digests of its manifest and of its archive.
    fn publish(
        &self,
        registry: &ImageRegistry,
        chart: (&str, &str),
        description: &str,
    ) -> (String, String) {
        let (name, version) = chart;
        let archive = self.charts.archive(name, version).unwrap();
        let repository = format!("charts/{name}");
        let manifest = registry.publish_chart(&repository, chart, &archive, description);
        (manifest, sha256(&archive))
    }

    fn lock(&self, arguments: &[&str]) -> Output {
        let arguments = [&["lock"], arguments].concat();
        let mut command = command(self.directory.path(), &arguments);
        command.env("ARCCTL_HELM", tools::find("helm3").unwrap());
        let output = command.output().unwrap();
        assert_eq!(self.registry.violations(), Vec::<String>::new());
        output
    }

    fn document(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.lock(&[arguments, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn file(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.directory.path().join("arcctl.lock")).unwrap()
    }

    /// The only difference of a check, as its kind and its name.
    fn difference(&self) -> (String, String) {
        let document = self.document(&["--check"], 7);
        let differences = document["differences"].as_array().unwrap();
        assert_eq!(differences.len(), 1, "{document:#}");
        let part = |key: &str| differences[0][key].as_str().unwrap().to_owned();
        assert_eq!(document["error"]["code"], 7);
        assert_eq!(document["written"], false);
        (
            part("kind"),
            part("name").replace(&self.registry.host(), "HOST"),
        )
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_chart_and_every_image_that_will_run_is_locked_by_its_digest() {
    let world = World::start();
    let document = world.document(&[], 0);
    assert_eq!(document["schema"], "arcctl.lock/v1");
    assert_eq!(document["written"], true);
    let lock = world.file();
    assert_eq!(lock["version"], 1);
    let images = lock["images"].as_array().unwrap();
    let host = world.registry.host();
    let mut expected: Vec<String> = IMAGES
        .iter()
        .map(|(repository, tag)| format!("{host}/{repository}:{tag}"))
        .collect();
    expected.sort();
    let found: Vec<&str> = images
        .iter()
        .map(|it| it["image"].as_str().unwrap())
        .collect();
    assert_eq!(found, expected);
    let runner = images
        .iter()
        .find(|it| {
            it["image"]
                .as_str()
                .unwrap()
                .contains(&format!("{RUNNER}:{TAG}"))
        })
        .unwrap();
    assert_eq!(runner["digest"], ImageRegistry::digest(RUNNER, TAG));
    let platforms: Vec<&String> = runner["platforms"].as_object().unwrap().keys().collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(runner["from"][0], "runner-deployment/actions-runner/basic");
    let charts = lock["charts"].as_array().unwrap();
    let names: Vec<&str> = charts
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["actions-runner-controller", "cert-manager"]);
    assert_eq!(charts[0]["provenance"]["state"], "not-checked");
    assert_eq!(document["charts"][0]["publisher"]["signs"], "none");
    assert_eq!(document["charts"][1]["publisher"]["signs"], "provenance");

    // The same again: not a byte changes, also not the times.
    let before = world.text();
    assert_eq!(
        world.document(&["--check"], 0)["differences"],
        serde_json::json!([])
    );
    assert_eq!(world.document(&[], 0)["written"], false);
    assert_eq!(world.text(), before);
}

#[test]
fn a_moved_tag_is_refused_until_it_is_locked() {
    let world = World::start();
    let none = world.lock(&["--check"]);
    assert_eq!(none.status.code(), Some(7), "{none:?}");
    assert!(stderr(&none).contains("there is no lock"), "{none:?}");
    world.document(&[], 0);
    let old = world.file();
    world.registry.move_tag(RUNNER, TAG);
    assert_eq!(
        world.difference(),
        ("moved".into(), format!("HOST/{RUNNER}:{TAG}"))
    );
    let human = world.lock(&["--check"]);
    let said = stderr(&human);
    assert!(
        said.contains("has moved") && said.contains("find out who changed"),
        "{said}"
    );
    world.document(&[], 0);
    let _same = world.document(&["--check"], 0);
    let (old, new) = (old["images"].as_array().unwrap().clone(), world.file());
    let changed = old
        .iter()
        .zip(new["images"].as_array().unwrap())
        .filter(|(old, new)| old != new);
    assert_eq!(changed.count(), 1);
}

#[test]
fn a_republished_chart_is_refused_until_it_is_locked() {
    let world = World::start();
    world.document(&[], 0);
    world.charts.republish("cert-manager", "v1.21.1").unwrap();
    assert_eq!(
        world.difference(),
        ("moved".into(), "cert-manager v1.21.1".into())
    );
    world.document(&[], 0);
    let _same = world.document(&["--check"], 0);
}

#[test]
fn a_chart_in_a_registry_is_locked_by_its_manifest_and_its_archive() {
    let world = World::start();
    let registry = world.registry_of_charts();
    let absent = world.lock(&[]);
    assert_eq!(absent.status.code(), Some(1), "{absent:?}");
    assert!(stderr(&absent).contains("oci://"), "{absent:?}");

    let published: Vec<(String, String)> = CHARTS
        .iter()
        .map(|chart| world.publish(&registry, *chart, "first"))
        .collect();
    world.document(&[], 0);
    let lock = world.file();
    for (index, (manifest, archive)) in published.iter().enumerate() {
        let chart = &lock["charts"][index];
        assert_eq!(chart["name"], CHARTS[index].0);
        assert_eq!(chart["manifest"], *manifest, "{chart}");
        assert_eq!(chart["archive"], *archive, "{chart}");
        let repository = chart["repository"].as_str().unwrap();
        assert!(repository.starts_with("oci://"), "{chart}");
    }
    let _same = world.document(&["--check"], 0);

    // The same archive below another manifest, and then another archive.
    let (name, version) = CHARTS[1];
    let moved = ("moved".to_owned(), format!("{name} {version}"));
    let (manifest, archive) = world.publish(&registry, CHARTS[1], "second");
    assert_eq!(
        (manifest != published[1].0, &archive),
        (true, &published[1].1)
    );
    assert_eq!(world.difference(), moved);
    world.document(&[], 0);
    let _same = world.document(&["--check"], 0);
    world.charts.republish(name, version).unwrap();
    let (_, other) = world.publish(&registry, CHARTS[1], "second");
    assert_ne!(other, archive);
    assert_eq!(world.difference(), moved);
    world.document(&[], 0);
    assert_eq!(world.file()["charts"][1]["archive"], other);
    let _same = world.document(&["--check"], 0);
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn a_profile_that_is_newer_than_its_lock_is_told_what_is_missing() {
    let world = World::start();
    world.document(&[], 0);
    world.profile("controller: {chartVersion: 0.23.3}\n");
    let document = world.document(&["--check"], 7);
    let text = document.to_string();
    assert!(text.contains("actions-runner-controller 0.23.3"), "{text}");
    // Only where nobody else changed anything.
    let said = stderr(&world.lock(&["--check"]));
    assert!(
        said.contains("older than the profile") && said.contains("`arcctl lock`"),
        "{said}"
    );
}

#[test]
fn a_registry_that_sends_something_else_than_it_names_locks_nothing() {
    let world = World::start();
    world.registry.lie(true);
    let output = world.lock(&[]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(
        stderr(&output).contains("returned a manifest with another digest"),
        "{output:?}"
    );
    world.registry.lie(false);
    world
        .registry
        .refuse_with(Some(StatusCode::SERVICE_UNAVAILABLE));
    let output = world.lock(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    world.registry.refuse_with(None);
    world.registry.remove_tag(RUNNER, TAG);
    let output = world.lock(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("has no image"), "{output:?}");
    assert!(!world.directory.path().join("arcctl.lock").exists());
}

#[test]
fn a_registry_that_sends_elsewhere_for_manifests_is_read_without_a_credential() {
    let world = World::start();
    // No end, and a place that is not safe.
    let itself = format!("http://{}/v2", world.registry.host());
    for (place, told) in [
        (itself.as_str(), "redirects the request for"),
        ("http://registry.invalid/v2", "to an insecure address"),
    ] {
        world.registry.send_to(Some(place.to_owned()));
        let output = world.lock(&[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(told), "{output:?}");
    }
    world.registry.send_to(Some(world.registry.open_place()));
    let document = world.document(&[], 0);
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), IMAGES.len());
    let _same = world.document(&["--check"], 0);
}

/// Source: aws/containers-roadmap#2837.
#[test]
fn an_image_with_a_digest_is_pulled_through_by_its_tag() {
    let of_nobody = format!("sha256:{}", "0".repeat(64));
    for (digest, code) in [(ImageRegistry::digest(RUNNER, TAG), 0), (of_nobody, 1)] {
        let world = World::like(Like::PullThrough);
        let path = world.directory.path().join("arcctl.yaml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(TAG, &format!("{TAG}@{digest}"))).unwrap();
        let output = world.lock(&[]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        if code == 0 {
            let locked = world.text();
            assert!(
                locked.contains(&format!("\"digest\": \"{digest}\"")),
                "{locked}"
            );
        } else {
            assert!(stderr(&output).contains("has no image"), "{output:?}");
        }
    }
}

#[test]
fn a_chart_that_must_be_signed_is_refused_without_and_with_a_wrong_signature() {
    let world = World::start();
    fs::write(world.directory.path().join("keys.gpg"), "").unwrap();
    world.profile("provenance: {keyring: keys.gpg, require: [cert-manager]}\n");
    let missing = world.lock(&[]);
    assert_eq!(missing.status.code(), Some(7), "{missing:?}");
    assert!(
        stderr(&missing).contains("has no verified signature"),
        "{missing:?}"
    );
    world.charts.sign_wrongly("cert-manager", "v1.21.1");
    let wrong = world.lock(&[]);
    assert_eq!(wrong.status.code(), Some(7), "{wrong:?}");
    assert!(
        stderr(&wrong).contains("verify the signature of chart `cert-manager-v1.21.1`"),
        "{wrong:?}"
    );
    assert!(!world.directory.path().join("arcctl.lock").exists());
    let absent = world.lock(&["--keyring", "none.gpg"]);
    assert_eq!(absent.status.code(), Some(65), "{absent:?}");
}

/// helm only warns, whatever the reason is why it gets no provenance.
#[test]
fn a_provenance_that_was_not_looked_for_is_not_a_missing_one() {
    let world = World::start();
    fs::write(world.directory.path().join("keys.gpg"), "").unwrap();
    let refuse = |status| world.charts.refuse_provenance_with(Some(status));
    refuse(StatusCode::SERVICE_UNAVAILABLE);
    let unknown = world.lock(&["--keyring", "keys.gpg"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let said = stderr(&unknown);
    assert!(
        said.contains("cannot find out whether chart") && said.contains("503"),
        "{said}"
    );
    assert!(!world.directory.path().join("arcctl.lock").exists());
    // As S3 says it of a file that is not there, to whoever may not list the bucket.
    refuse(StatusCode::FORBIDDEN);
    let missing = world.document(&["--keyring", "keys.gpg"], 0);
    let charts = missing["charts"].as_array().unwrap();
    let is_missing = |it: &Value| it["provenance"]["state"] == "missing";
    assert!(charts.iter().all(is_missing), "{missing:#}");
}

#[test]
fn an_image_whose_digest_would_not_get_into_the_pods_locks_nothing() {
    let world = World::start();
    // The stand-in chart has no such value, so that nothing of it is in the image.
    let digest = format!("sha256:{}", "0".repeat(64));
    world.profile(&format!(
        "certManager: {{values: {{webhook: {{image: {{digest: '{digest}'}}}}}}}}\n"
    ));
    let output = world.lock(&[]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = stderr(&output);
    assert!(
        said.contains("chart `cert-manager` would run image")
            && said.contains("cert-manager-webhook:v1.21.1` without its digest"),
        "{said}"
    );
    assert!(!world.directory.path().join("arcctl.lock").exists());
}

/// A chart of this repository, signed with a key of its own that nobody has any more.
#[test]
fn a_real_signature_is_verified_refused_or_not_read() {
    let signed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/signed");
    let directory = empty();
    for file in ["signed-0.1.0.tgz", "signed-0.1.0.tgz.prov"] {
        fs::copy(signed.join(file), directory.path().join(file)).unwrap();
    }
    let text = directory.path().join("keys.txt");
    fs::write(&text, "no keyring").unwrap();
    let chart = Chart {
        name: "signed".into(),
        version: "0.1.0".into(),
        location: directory.path().display().to_string(),
    };
    let runtime = Runtime::new().unwrap();
    let verified = |keyring: &Path| {
        let places = Places {
            named: Some(tools::find("helm3").unwrap().display().to_string()),
            ..Places::default()
        };
        let helm = Helm::new(&places, Access::default(), Vec::new()).unwrap();
        let helm = helm.with_keyring(Some(keyring.to_owned()));
        runtime.block_on(helm.archive(&chart))
    };
    let archive = verified(&signed.join("keys.gpg")).unwrap();
    let Verification::Verified { by, fingerprint } = archive.provenance else {
        panic!("it is not verified");
    };
    assert!(by.contains("arcctl test data"), "{by}");
    assert_eq!(fingerprint, "450A1F1D55253767AF27CFA821F89FF31399993F");
    let unread = verified(&text).unwrap_err();
    assert_eq!(unread.kind.exit_code(), 1, "{unread}");
    let unknown = verified(&signed.join("others.gpg")).unwrap_err();
    assert_eq!(unknown.kind.exit_code(), 7, "{unknown}");
    fs::write(directory.path().join("signed-0.1.0.tgz.prov"), "").unwrap();
    let none = verified(&signed.join("keys.gpg")).unwrap_err();
    assert_eq!(none.kind.exit_code(), 7, "{none}");
}

#[test]
fn a_lock_that_cannot_be_read_is_replaced_and_not_compared() {
    let world = World::start();
    let file = world.directory.path().join("arcctl.lock");
    fs::write(&file, "{\"version\": 9}").unwrap();
    let output = world.lock(&["--check"]);
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    assert!(stderr(&output).contains("version 9"), "{output:?}");
    assert_eq!(world.document(&[], 0)["written"], true);
    let _same = world.document(&["--check"], 0);
    assert_eq!(world.lock(&["-f", "-"]).status.code(), Some(64));
}

#[test]
fn rendered_files_are_pinned_by_the_lock() {
    let world = World::start();
    let render = || {
        let mut command = command(world.directory.path(), &["render", "files"]);
        command.output().unwrap()
    };
    world.document(&[], 0);
    let output = render();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut texts = String::new();
    let mut directories = vec![world.directory.path().join("files")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                texts.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    for (repository, tag) in IMAGES {
        let pinned = format!("{tag}@{}", ImageRegistry::digest(repository, tag));
        assert!(texts.contains(&pinned), "{repository}:{pinned}");
    }
    world.profile("controller: {dockerImage: 'docker:29-dind'}\n");
    assert_eq!(render().status.code(), Some(7));
}

#[test]
fn crds_are_rendered_of_the_charts_in_the_lock_only() {
    let world = World::start();
    world.document(&[], 0);
    world.charts.republish("cert-manager", "v1.21.1").unwrap();
    for format in ["flux", "argocd"] {
        let arguments = ["render", "files", "--format", format];
        let mut command = command(world.directory.path(), &arguments);
        command.env("ARCCTL_HELM", tools::find("helm3").unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        let said = stderr(&output);
        assert!(said.contains("is not the one in the lock"), "{said}");
    }
}
