//! `arcctl images update` against a registry on loopback that is late, gives few tags at a time, and wants a token.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its registry has failed"
)]

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use arcctl::{
    clients::registry::{
        Address, Repository,
        login::{Logins, in_turn},
    },
    units::image::Image,
};
use arcctl_sandbox::image_registry::{ImageRegistry, Options};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::repository::{command, empty};

const REPOSITORY: &str = "summerwind/actions-runner";
const PASSWORD: &str = "hunter2-canary-0123456789";

const TAGS: [&str; 8] = [
    "latest",
    "v2.306.0-ubuntu-22.04",
    "v2.336.0-ubuntu-20.04",
    "v2.336.0-ubuntu-22.04",
    "v2.338.1-ubuntu-20.04",
    "v2.338.1-ubuntu-22.04",
    "v2.338.1-ubuntu-22.04-6ca1ab7",
    "v2.338.1",
];

/// Two builds each of two newer versions: hashes do not tell which is newer, days do.
const BUILDS: [&str; 6] = [
    "v2.336.0-b01e193",
    "v2.337.0-c221b6e",
    "v2.337.0-3ca1152",
    "2.336.0-20260801",
    "2.338.1-20261120",
    "2.338.1-20261024",
];

/// A registry, the runtime that it runs in, and a directory with a profile.
struct World {
    registry: ImageRegistry,
    _runtime: Runtime,
    directory: tempfile::TempDir,
}

/// For the connections of the test itself.
fn runtime() -> Runtime {
    // Another test may have done it.
    drop(rustls::crypto::ring::default_provider().install_default());
    Runtime::new().unwrap()
}

impl World {
    fn start(options: Options) -> Self {
        let runtime = Runtime::new().unwrap();
        let tags = |prefix: &str| {
            let name = format!("{prefix}{REPOSITORY}");
            (name, TAGS.map(str::to_owned).to_vec())
        };
        let registry = runtime.block_on(ImageRegistry::start(Options {
            tags: BTreeMap::from([
                tags(""),
                tags("mirror/"),
                ("team/builds".to_owned(), BUILDS.map(str::to_owned).to_vec()),
            ]),
            ..options
        }));
        Self {
            registry: registry.unwrap(),
            _runtime: runtime,
            directory: empty(),
        }
    }

    /// The repository of the runners' image.
    fn address(&self) -> Address {
        let image = format!("{}/{REPOSITORY}:v2.338.1", self.registry.host());
        Address::of(&Image::parse(&image).unwrap())
    }

    /// A pull secret for the registry.
    fn secret(&self, password: &str) -> Logins {
        let entry = json!({"username": "me", "password": password});
        let config = json!({"auths": {self.registry.host(): entry}});
        Logins::parse(&config.to_string()).unwrap()
    }

    /// Writes a profile; `HOST` in it is the registry.
    fn profile(&self, pools: &str) -> String {
        let text = format!(
            "# The runners of the website.\napiVersion: arcctl.dev/v1\nname: website\ncluster: {{eks: build, region: ap-northeast-2}}\ngithub: {{repository: example-org/website, token: {{env: ARCCTL_GITHUB_TOKEN}}}}\n{pools}"
        );
        let text = text.replace("HOST", &self.registry.host());
        fs::write(self.file(), &text).unwrap();
        text
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("arcctl.yaml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn update(&self, arguments: &[&str]) -> Output {
        self.update_in(&[], arguments)
    }

    fn update_in(&self, variables: &[(&str, &Path)], arguments: &[&str]) -> Output {
        let arguments = [&["images", "update"], arguments].concat();
        let mut command = command(self.directory.path(), &arguments);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let all = format!("{output:?}");
        assert!(!all.contains(PASSWORD) && !all.contains("token-"), "{all}");
        assert!(
            !all.contains(&STANDARD.encode(format!("me:{PASSWORD}"))),
            "{all}"
        );
        assert_eq!(self.registry.violations(), Vec::<String>::new());
        output
    }

    fn document(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.update(&[arguments, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const POOLS: &str = "pools:\n# The first pool: v2.336.0-ubuntu-22.04 since July\n- name: basic   # ✓ basic\n  image: \"HOST/summerwind/actions-runner:v2.336.0-ubuntu-22.04\" # pinned\n  labels: [ubuntu-22.04]\n  min: 1\n  max: 2\n- {name: old, image: 'HOST/summerwind/actions-runner:v2.336.0-ubuntu-20.04', min: 1, max: 1}\n- {name: newest, image: HOST/summerwind/actions-runner:v2.338.1, min: 1, max: 1}\n- {name: own, image: HOST/team/own:mine, min: 1, max: 1}\n# The end.\n";

#[test]
fn the_newest_image_of_the_same_flavour_is_proposed_and_written_and_nothing_else_changes() {
    let world = World::start(Options::default());
    let before = world.profile(POOLS);
    let proposed = world.update(&["--detailed-exitcode"]);
    assert_eq!(proposed.status.code(), Some(2), "{}", stderr(&proposed));
    let shown = stdout(&proposed).replace(&world.registry.host(), "HOST");
    for part in [
        "HOST/summerwind/actions-runner:v2.336.0-ubuntu-22.04  2.336.0 of about 2026-07-20, ",
        "-> HOST/summerwind/actions-runner:v2.338.1-ubuntu-22.04  2.338.1 of about 2026-10-23, ",
        "-> HOST/summerwind/actions-runner:v2.338.1-ubuntu-20.04",
        "no newer image of the same flavour",
        "not compared: its tag contains no runner version",
        "2 of 4 pools have a newer image.",
    ] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    assert_eq!(world.text(), before, "nothing is written unless asked for");

    let written = world.update(&["--write"]);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    // The comment has the old version too, and keeps it.
    let expected = before
        .replace(
            "runner:v2.336.0-ubuntu-22.04\"",
            "runner:v2.338.1-ubuntu-22.04\"",
        )
        .replace("v2.336.0-ubuntu-20.04'", "v2.338.1-ubuntu-20.04'");
    assert_eq!(world.text(), expected);

    let requests = world.registry.requests();
    let again = world.document(&["--detailed-exitcode"], 0);
    assert_eq!(again["pools"][0]["change"], "none");
    assert_eq!(again["pools"][0]["to"], Value::Null);
    assert_eq!(again["pools"][3]["change"], "unknown");
    // One list of eight tags in pages of three, and one sign-in, for the three pools of one repository.
    assert_eq!(world.registry.requests() - requests, 1 + 1 + 3);
}

#[test]
fn chosen_pools_only_and_a_document_for_programs() {
    let world = World::start(Options::default());
    let before = world.profile(POOLS);
    let document = world.document(&["--pool", "old", "--write"], 0);
    assert_eq!(document["schema"], "arcctl.images/v1");
    assert_eq!(document["written"], true);
    assert_eq!(document["pools"].as_array().unwrap().len(), 1);
    assert_eq!(document["pools"][0]["from"]["version"], "2.336.0");
    assert_eq!(document["pools"][0]["to"]["version"], "2.338.1");
    let expected = before.replace("v2.336.0-ubuntu-20.04", "v2.338.1-ubuntu-20.04");
    assert_eq!(world.text(), expected);
    let unknown = world.update(&["--pool", "none"]);
    assert_eq!(unknown.status.code(), Some(64));
}

/// github.com takes no such runner, so every other command refuses the profile.
#[test]
fn an_image_that_is_too_old_for_the_profile_can_be_updated() {
    let world = World::start(Options::default());
    let pool = "pools:\n- {name: a, image: HOST/summerwind/actions-runner:v2.306.0-ubuntu-22.04, min: 1, max: 1} # 2023\n";
    let before = world.profile(pool);
    let output = world.update(&["--write"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(world.text(), before.replace("v2.306.0", "v2.338.1"));
    assert!(stderr(&output).contains("lets no runner before 2.329.0 register"));
}

/// The hash of a commit in a tag is another one in each version.
#[test]
fn an_image_of_one_build_is_updated_to_the_build_of_the_newest_version() {
    let world = World::start(Options::default());
    let pool = "pools:\n- {name: a, image: HOST/summerwind/actions-runner:v2.336.0-ubuntu-22.04-b01e193, min: 1, max: 1}\n";
    let before = world.profile(pool);
    let document = world.document(&["--write"], 0);
    assert_eq!(document["pools"][0]["change"], "newer");
    let expected = before.replace(
        "v2.336.0-ubuntu-22.04-b01e193",
        "v2.338.1-ubuntu-22.04-6ca1ab7",
    );
    assert_eq!(world.text(), expected);
}

#[test]
fn a_newer_version_in_several_builds_is_not_told_as_none() {
    let world = World::start(Options::default());
    let pool = |name: &str, tag: &str| {
        format!("- {{name: {name}, image: 'HOST/team/builds:{tag}', min: 1, max: 1}}\n")
    };
    let hash = pool("hash", "v2.336.0-b01e193");
    world.profile(&format!("pools:\n{hash}"));
    let shown = stdout(&world.update(&[]));
    for part in [
        "there is a newer version in several builds",
        "v2.337.0-c221b6e",
        "The newer image of 1 of 1 pool could not be chosen.",
    ] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    for part in ["not compared", "No newer image"] {
        assert!(!shown.contains(part), "`{part}` in {shown}");
    }
    let day = pool("day", "2.336.0-20260801");
    world.profile(&format!("pools:\n{hash}{day}"));
    let document = world.document(&[], 0);
    assert_eq!(document["pools"][0]["change"], "unknown");
    let image = document["pools"][1]["to"]["image"].as_str().unwrap();
    assert!(image.ends_with(":2.338.1-20261120"), "{image}");
    let own = pool("own", "v2.337.0-c221b6e");
    world.profile(&format!("pools:\n{own}"));
    let shown = stdout(&world.update(&[]));
    let told = "no newer version; builds of the same version are not compared";
    assert!(shown.contains(told), "{shown}");
}

#[test]
fn after_an_update_the_lock_is_named_first() {
    let world = World::start(Options::default());
    world.profile(POOLS);
    fs::write(world.directory.path().join("arcctl.lock"), "{}").unwrap();
    let shown = stderr(&world.update(&[]));
    assert!(!shown.contains("arcctl lock"), "{shown}");
    let written = world.update(&["--write"]);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    let said = stderr(&written).replace('\n', " ");
    let places = ["`arcctl lock`", "`arcctl plan`", "`arcctl up`"];
    let places = places.map(|it| said.find(it).unwrap_or_else(|| panic!("no {it}: {said}")));
    assert!(places.is_sorted(), "{said}");
}

#[test]
fn the_mirror_of_the_profile_is_asked_and_a_digest_follows_its_tag() {
    let world = World::start(Options::default());
    let old = format!(
        "summerwind/actions-runner:v2.336.0-ubuntu-22.04@sha256:{}",
        "0".repeat(64)
    );
    let before = world.profile(&format!(
        "images: {{registry: HOST/mirror}}\npools:\n- {{name: a, image: \"{old}\", min: 1, max: 1}}\n"
    ));
    let document = world.document(&["--write"], 0);
    let repository = document["pools"][0]["repository"].as_str().unwrap();
    assert!(
        repository.ends_with("/mirror/summerwind/actions-runner"),
        "{repository}"
    );
    let tag = "v2.338.1-ubuntu-22.04";
    let digest = ImageRegistry::digest(&format!("mirror/{REPOSITORY}"), tag);
    let new = format!("summerwind/actions-runner:{tag}@{digest}");
    assert_eq!(world.text(), before.replace(&old, &new));
}

#[test]
fn a_login_is_docker_s_and_never_told() {
    let world = World::start(Options {
        login: Some(("me".into(), PASSWORD.into())),
        // Tokens end in the middle of a list.
        uses: 2,
        ..Options::default()
    });
    world.profile(POOLS);
    let refused = world.update(&[]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let said = stderr(&refused);
    assert!(
        said.contains("docker login") && said.matches("incorrect username").count() == 1,
        "{said}"
    );
    let directory = empty();
    let login = |password: &str| {
        let auth = STANDARD.encode(format!("me:{password}"));
        let config = json!({"auths": {world.registry.host(): {"auth": auth}}});
        fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    };
    login("wrong-canary-password");
    let wrong = world.update_in(&[("DOCKER_CONFIG", directory.path())], &[]);
    assert_eq!(wrong.status.code(), Some(4), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("wrong-canary"), "{wrong:?}");
    login(PASSWORD);
    let read = world.update_in(&[("DOCKER_CONFIG", directory.path())], &["-vv"]);
    assert_eq!(read.status.code(), Some(0), "{}", stderr(&read));
    assert!(stdout(&read).contains("2 of 4 pools have a newer image"));
    fs::write(directory.path().join("config.json"), "nothing").unwrap();
    let broken = world.update_in(&[("DOCKER_CONFIG", directory.path())], &[]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(stderr(&broken).contains("DOCKER_CONFIG"));
}

/// As the kubelet does it: a pull secret of another team, or an old one, does not hide the right one.
#[test]
fn each_login_for_a_registry_is_tried_until_one_is_accepted() {
    let world = World::start(Options {
        login: Some(("me".into(), PASSWORD.into())),
        uses: 1,
        ..Options::default()
    });
    let address = world.address();
    let secret = |password: &str| world.secret(password);
    let secrets = [
        secret("old-canary-password"),
        secret(PASSWORD),
        secret("another-canary"),
    ];
    let runtime = runtime();
    let right = Repository::new(address.clone(), in_turn(&secrets, &address)).unwrap();
    let tags = runtime.block_on(right.tags()).unwrap();
    assert_eq!(tags.len(), TAGS.len());
    let wrong = [secret("old-canary-password"), secret("another-canary")];
    let wrong = Repository::new(address.clone(), in_turn(&wrong, &address)).unwrap();
    let error = runtime.block_on(wrong.tags()).unwrap_err();
    assert_eq!(error.kind.exit_code(), 4);
    let told = error.to_string();
    assert!(told.contains("allows none of 2 logins to read"), "{told}");
    assert!(!told.contains("canary"), "{told}");
    assert_eq!(world.registry.violations(), Vec::<String>::new());
}

/// Some registries answer a login that may not read a repository as if there were none, and a tag may be missing for all.
#[test]
fn a_login_for_which_nothing_is_there_does_not_hide_another() {
    let stranger = "stranger-canary-password";
    let world = World::start(Options {
        login: Some(("me".into(), PASSWORD.into())),
        stranger: Some(("me".into(), stranger.into())),
        ..Options::default()
    });
    let address = world.address();
    let secret = |password: &str| world.secret(password);
    let runtime = runtime();
    let both = [secret(PASSWORD), secret(stranger)];
    let both = Repository::new(address.clone(), in_turn(&both, &address)).unwrap();
    assert_eq!(runtime.block_on(both.current("absent")).unwrap(), None);
    assert!(both.may_be_hidden());
    let found = runtime.block_on(both.current("v2.338.1")).unwrap();
    assert!(found.is_some(), "the login that was tried last hides it");
    assert!(!both.may_be_hidden(), "what was found is not hidden");

    let alone = [secret(stranger)];
    let alone = Repository::new(address.clone(), in_turn(&alone, &address)).unwrap();
    assert!(!alone.may_be_hidden());
    assert_eq!(runtime.block_on(alone.current("v2.338.1")).unwrap(), None);
    assert!(alone.may_be_hidden());
    assert_eq!(world.registry.violations(), Vec::<String>::new());
}

/// Docker's old login does not hide helm's.
#[test]
fn each_login_of_the_machine_is_tried() {
    let world = World::start(Options {
        login: Some(("me".into(), PASSWORD.into())),
        ..Options::default()
    });
    world.profile(POOLS);
    let directory = empty();
    let login = |file: &str, password: &str| {
        let auth = STANDARD.encode(format!("me:{password}"));
        let config = json!({"auths": {world.registry.host(): {"auth": auth}}});
        let path = directory.path().join(file);
        fs::write(&path, config.to_string()).unwrap();
        path
    };
    login("config.json", "old-canary-password");
    let helm = login("helm.json", PASSWORD);
    let variables = [
        ("DOCKER_CONFIG", directory.path()),
        ("HELM_REGISTRY_CONFIG", helm.as_path()),
    ];
    let read = world.update_in(&variables, &[]);
    assert_eq!(read.status.code(), Some(0), "{}", stderr(&read));
    fs::write(&helm, "nothing").unwrap();
    let broken = stderr(&world.update_in(&variables, &[]));
    assert!(
        broken.contains("helm's logins") && broken.contains("HELM_REGISTRY_CONFIG"),
        "{broken}"
    );
}

#[test]
fn a_login_that_a_credential_helper_has_is_named() {
    let world = World::start(Options {
        login: Some(("me".into(), PASSWORD.into())),
        ..Options::default()
    });
    world.profile(POOLS);
    let host = world.registry.host();
    let directory = empty();
    for (config, program) in [
        (
            json!({"credsStore": "desktop", "auths": {host.clone(): {}}}),
            "desktop",
        ),
        (
            json!({"credHelpers": {host.clone(): "ecr-login"}}),
            "ecr-login",
        ),
    ] {
        fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        let refused = world.update_in(&[("DOCKER_CONFIG", directory.path())], &[]);
        assert_eq!(refused.status.code(), Some(4), "{refused:?}");
        let said = stderr(&refused).replace('\n', " ");
        assert!(
            said.contains(&format!("docker-credential-{program}"))
                && said.contains("images.pullSecrets"),
            "{said}"
        );
    }
}

#[test]
fn an_identity_token_is_posted_and_logged_as_that() {
    let world = World::start(Options {
        login: Some(("nobody".into(), "else".into())),
        identity: Some(PASSWORD.into()),
        ..Options::default()
    });
    world.profile(POOLS);
    let directory = empty();
    let entry = json!({"auth": STANDARD.encode("0:"), "identitytoken": PASSWORD});
    let config = json!({"auths": {world.registry.host(): entry}});
    fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    let read = world.update_in(&[("DOCKER_CONFIG", directory.path())], &["-vv"]);
    assert_eq!(read.status.code(), Some(0), "{}", stderr(&read));
    assert!(stdout(&read).contains("2 of 4 pools have a newer image"));
    let log = stderr(&read);
    assert!(
        log.contains("POST 127.0.0.1/token") && !log.contains("GET 127.0.0.1/token"),
        "{log}"
    );
}

#[test]
fn a_registry_that_fails_changes_nothing() {
    let world = World::start(Options::default());
    let before = world.profile(POOLS);
    for (status, code) in [(404, 1), (403, 4), (503, 1), (302, 1)] {
        world
            .registry
            .refuse_with(Some(StatusCode::from_u16(status).unwrap()));
        let output = world.update(&["--write"]);
        assert_eq!(output.status.code(), Some(code), "{status}: {output:?}");
        assert!(stderr(&output).contains("hint:"), "{output:?}");
    }
    world.registry.refuse_with(None);
    world.profile("pools:\n- {name: a, image: HOST/nobody/there:v2.336.0, min: 1, max: 1}\n");
    let absent = world.update(&["--write"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(
        stderr(&absent).contains("has no repository `nobody/there`"),
        "{absent:?}"
    );
    drop(before);
}

#[test]
fn a_profile_from_stdin_has_no_file_to_write() {
    let world = World::start(Options::default());
    let output = world.update(&["-f", "-", "--write"]);
    assert_eq!(output.status.code(), Some(64));
}

/// The job of docs/ci.md reads the output and the summary.
#[test]
fn a_step_of_github_actions_gets_the_number_and_a_summary() {
    let world = World::start(Options::default());
    world.profile(POOLS);
    let (summary, result) = (
        world.directory.path().join("summary"),
        world.directory.path().join("output"),
    );
    let variables: [(&str, &Path); 3] = [
        ("GITHUB_ACTIONS", Path::new("true")),
        ("GITHUB_STEP_SUMMARY", &summary),
        ("GITHUB_OUTPUT", &result),
    ];
    let output = world.update_in(&variables, &["--write"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        fs::read_to_string(result)
            .unwrap()
            .contains("images-newer=2")
    );
    let summary = fs::read_to_string(summary).unwrap();
    assert!(
        summary.contains("<code>basic</code> | ")
            && summary.contains("2.338.1 of about 2026-10-23"),
        "{summary}"
    );
}
