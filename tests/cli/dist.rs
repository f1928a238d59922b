//! What is released and installed: `tools/dist/` and the names under which the program can be called. The archives themselves
//! are made by `make dist`, and compared by `make dist-check`.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts the script that it is about"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot start a script has failed"
)]

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::repository::{empty, root, stdout};

const BINARY: &str = env!("CARGO_BIN_EXE_arcctl");

/// Runs a script of `tools/dist/`.
fn script(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("bash");
    command.arg(root().join("tools/dist").join(name));
    command.args(arguments).envs(variables.iter().copied());
    command.output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

#[test]
fn an_installation_has_the_program_its_pages_and_its_completions() {
    let directory = empty();
    let at = |path: &str| directory.path().join("usr").join(path);
    let destination = directory.path().to_str().unwrap();
    for _ in 0..2 {
        succeeded(&script(
            "install.sh",
            &[BINARY, "/usr"],
            &[("DESTDIR", destination)],
        ));
    }
    let installed = fs::metadata(at("bin/arcctl")).unwrap();
    assert_eq!(installed.mode() & 0o777, 0o755);
    assert_eq!(installed.len(), fs::metadata(BINARY).unwrap().len());
    assert_eq!(
        fs::read_link(at("bin/kubectl-arc")).unwrap(),
        Path::new("arcctl")
    );

    let pages = fs::read_dir(at("share/man/man1")).unwrap();
    let mut pages: Vec<String> = pages
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(
        pages.contains(&"arcctl.1".into()) && pages.contains(&"arcctl-up.1".into()),
        "{pages:?}"
    );
    for page in &pages {
        let text = fs::read_to_string(at("share/man/man1").join(page)).unwrap();
        // One header: a file is one page.
        assert_eq!(text.matches("\n.TH ").count(), 1, "{page}");
        assert!(
            text.contains(&format!(".TH {} 1", page.trim_end_matches(".1"))),
            "{page}: {text}"
        );
    }
    for (file, start) in [
        ("share/bash-completion/completions/arcctl", "_arcctl()"),
        ("share/zsh/site-functions/_arcctl", "#compdef arcctl"),
        (
            "share/fish/vendor_completions.d/arcctl.fish",
            "complete -c arcctl",
        ),
    ] {
        let text = fs::read_to_string(at(file)).unwrap();
        assert!(text.contains(start) && text.contains("doctor"), "{file}");
    }
    let checked = Command::new("bash")
        .arg("-n")
        .arg(at("share/bash-completion/completions/arcctl"))
        .status();
    assert!(checked.unwrap().success());
}

#[test]
fn an_installation_that_cannot_be_written_says_so() {
    let directory = empty();
    let prefix = directory.path().join("prefix");
    fs::write(&prefix, "").unwrap();
    let output = script("install.sh", &[BINARY, prefix.to_str().unwrap()], &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("prefix"));
}

#[test]
fn a_prefix_with_a_space_is_refused_before_anything_is_built() {
    let directory = empty();
    let first = directory.path().join("my");
    for prefix in [format!("{} tools", first.display()), String::new()] {
        let output = Command::new("make")
            .args(["install", &format!("PREFIX={prefix}")])
            .current_dir(root())
            .env("PATH", with_a_cargo_that_fails(directory.path()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("PREFIX must be one path"), "{said}");
        assert!(!said.contains("cargo ran"), "{said}");
        assert!(!first.exists());
    }
}

/// A `PATH` whose `cargo` says that it ran.
fn with_a_cargo_that_fails(directory: &Path) -> String {
    let cargo = directory.join("cargo");
    fs::write(&cargo, "#!/bin/sh\necho cargo ran >&2\nexit 1\n").unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", directory.display())
}

#[test]
fn the_pages_are_printed_in_one_or_written_one_by_one() {
    let directory = empty();
    let all = stdout(directory.path(), &["man"], 0);
    assert_eq!(stdout(directory.path(), &["man", "pages"], 0), "");
    let pages = fs::read_dir(directory.path().join("pages")).unwrap();
    let mut count = 0;
    for page in pages {
        count += 1;
        assert!(all.contains(&fs::read_to_string(page.unwrap().path()).unwrap()));
    }
    assert_eq!(all.matches("\n.TH ").count(), count);
    fs::write(directory.path().join("file"), "").unwrap();
    stdout(directory.path(), &["man", "file/pages"], 1);
}

/// What the program says on stdout and stderr when it is called by this name.
fn called(name: &str, arguments: &[&str]) -> String {
    let directory = empty();
    let output = Command::new(BINARY)
        .arg0(name)
        .args(arguments)
        .current_dir(directory.path())
        .env_clear()
        .output()
        .unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn as_a_plugin_of_kubectl_the_usage_is_what_was_typed() {
    for (arguments, expected) in [
        (&["--help"][..], "Usage: kubectl arc [OPTIONS] <COMMAND>"),
        (&["up", "--help"], "Usage: kubectl arc up [OPTIONS]"),
        (&["up", "--unknown"], "Usage: kubectl arc up"),
        (&[], "Usage: kubectl arc"),
    ] {
        let text = called("/opt/bin/kubectl-arc", arguments);
        assert!(text.contains(expected), "{arguments:?}: {text}");
        let own = called("arcctl", arguments);
        assert!(
            own.contains(&expected.replace("kubectl arc", "arcctl")),
            "{own}"
        );
    }
    assert!(called("kubectl-arc", &["--version"]).starts_with("arcctl "));
    assert!(called("kubectl-arc", &["schema"]).starts_with('{'));
}

/// A directory as `tools/dist.sh` leaves it, with archives for `targets`; and the text of a file of it.
fn release(targets: &[&str]) -> tempfile::TempDir {
    let directory = empty();
    for (number, target) in targets.iter().enumerate() {
        let name = format!("arcctl-1.2.3-{target}.tar.gz");
        fs::write(directory.path().join(name), format!("{number}")).unwrap();
    }
    fs::write(directory.path().join("arcctl_1.2.3-1_amd64.deb"), "deb").unwrap();
    fs::write(directory.path().join("notes.txt"), "").unwrap();
    succeeded(&script(
        "checksums.sh",
        &[directory.path().to_str().unwrap()],
        &[],
    ));
    directory
}

const ALL: [&str; 4] = [
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "x86_64-unknown-linux-musl",
];

#[test]
fn checksums_are_of_each_file_of_the_release_in_order() {
    let directory = release(&ALL);
    let sums = fs::read_to_string(directory.path().join("SHA256SUMS")).unwrap();
    let names: Vec<&str> = sums
        .lines()
        .map(|it| it.split_once("  ").unwrap().1)
        .collect();
    assert_eq!(names.len(), 5, "{sums}");
    assert!(names.is_sorted() && !sums.contains("notes.txt"), "{sums}");
    let check = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(directory.path())
        .status();
    assert!(check.unwrap().success());
    let nothing = empty();
    let output = script("checksums.sh", &[nothing.path().to_str().unwrap()], &[]);
    assert!(!output.status.success());
}

/// The plugin's platform is that of the target, and its files are those of the archive.
fn is_for(platform: &Value, target: &str) {
    assert_eq!(platform["bin"], "arcctl");
    let labels = &platform["selector"]["matchLabels"];
    let (os, arch) = (
        labels["os"].as_str().unwrap(),
        labels["arch"].as_str().unwrap(),
    );
    assert_eq!(target.contains("apple"), os == "darwin", "{platform}");
    assert_eq!(target.contains("aarch64"), arch == "arm64", "{platform}");
    let file = format!("arcctl-1.2.3-{target}/arcctl");
    assert_eq!(platform["files"][0]["from"], file);
}

#[test]
fn the_formula_and_the_plugin_s_manifest_are_made_from_the_checksums() {
    let home = ("ARCCTL_REPOSITORY", "https://github.example/acme/arcctl");
    for targets in [&ALL[..], &ALL[3..]] {
        let directory = release(targets);
        let path = directory.path().to_str().unwrap();
        succeeded(&script("manifests.sh", &[path, "1.2.3"], &[home]));
        let sums = fs::read_to_string(directory.path().join("SHA256SUMS")).unwrap();
        let sum = |target: &str| {
            let line = sums
                .lines()
                .find(|it| it.ends_with(&format!("{target}.tar.gz")));
            line.unwrap().split(' ').next().unwrap().to_owned()
        };
        let formula = fs::read_to_string(directory.path().join("arcctl.rb")).unwrap();
        let krew = fs::read_to_string(directory.path().join("arc.yaml")).unwrap();
        assert!(
            !formula.contains('@') && !krew.contains('@'),
            "{formula}{krew}"
        );
        assert_eq!(
            formula.matches("sha256 ").count(),
            targets.len(),
            "{formula}"
        );
        assert_eq!(
            formula.matches(" do\n").count() + 1,
            formula.matches("  end\n").count(),
            "{formula}"
        );
        let krew: Value = serde_saphyr::from_str(&krew).unwrap();
        assert_eq!(krew["metadata"]["name"], "arc");
        assert_eq!(krew["spec"]["version"], "v1.2.3");
        let platforms = krew["spec"]["platforms"].as_array().unwrap();
        assert_eq!(platforms.len(), targets.len());
        for target in targets {
            let uri = format!(
                "{}/releases/download/v1.2.3/arcctl-1.2.3-{target}.tar.gz",
                home.1
            );
            let pair = format!("url \"{uri}\"\n      sha256 \"{}\"\n", sum(target));
            assert!(formula.contains(&pair), "{formula}");
            let platform = platforms
                .iter()
                .find(|it| it["uri"] == uri.as_str())
                .unwrap();
            assert_eq!(platform["sha256"], sum(target).as_str());
            is_for(platform, target);
        }
    }
    let other = release(&["riscv64gc-unknown-linux-gnu"]);
    let output = script(
        "manifests.sh",
        &[other.path().to_str().unwrap(), "1.2.3"],
        &[home],
    );
    assert!(!output.status.success(), "there is nothing to install");
}

/// By its path Homebrew refuses a formula (`FromPathLoader` in its formulary.rb), and by a name alone one of a tap that is not
/// trusted (docs.brew.sh/Tap-Trust).
#[test]
fn the_formula_is_installed_from_a_tap_by_its_whole_name() {
    let readme = crate::repository::text("README.md");
    assert!(!readme.contains("brew install ./"));
    let steps = [
        "`brew tap-new my/tools`",
        "`cp arcctl.rb \"$(brew --repository my/tools)/Formula/\"`",
        "`brew install my/tools/arcctl`",
    ];
    let places = steps.map(|it| readme.find(it).unwrap_or_else(|| panic!("no {it}")));
    assert!(places.is_sorted(), "{places:?}");
}

/// `cargo binstall` finds what `tools/dist.sh` makes.
#[test]
fn binstall_looks_for_the_archives_that_are_made() {
    let manifest = crate::repository::text("Cargo.toml");
    let dist = crate::repository::text("tools/dist.sh");
    assert!(dist.contains("local name=arcctl-$version-$1 stage"));
    assert!(dist.contains(r#">"$dist/$name.tar.gz""#));
    assert!(manifest.contains("/v{ version }/{ name }-{ version }-{ target }.tar.gz"));
    assert!(manifest.contains("bin-dir = \"{ name }-{ version }-{ target }/"));
}
