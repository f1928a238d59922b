//! Documentation tests: compares the documents with the program.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the documents has failed"
)]

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use arcctl::{doctor::check::Severity, error::ErrorKind, profile::load};
use regex::Regex;

use crate::repository::{empty, files_in, root, stdout, text};

const CLI_HEAD: &str = "# The commands

The help of the program itself. Written by `UPDATE=1 cargo test --test cli docs::`; a test compares.

Results go to stdout, everything else to stderr. The JSON documents are in [json.md](json.md), the exit codes in the
[README](../README.md#exit-codes), the keys of the profile in [profile.md](profile.md).
";

/// The program's help for a command; for itself without one.
fn help(command: &[&str]) -> String {
    let directory = empty();
    let arguments = [command, &["--help"]].concat();
    let text = stdout(directory.path(), &arguments, 0);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The subcommands, as the program lists them.
fn commands() -> Vec<String> {
    listed(&help(&[]))
}

/// The subcommands in a help.
fn listed(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap();
    // A long description goes on in the next line, further to the right.
    let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    list.lines()
        .filter(is_name)
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_command_reference_is_the_program_s_help() {
    let mut expected = CLI_HEAD.to_owned();
    write!(expected, "\n## arcctl\n\n```text\n{}\n```\n", help(&[])).unwrap();
    for command in commands() {
        let text = help(&[&command]);
        write!(expected, "\n## arcctl {command}\n\n```text\n{text}\n```\n").unwrap();
        for below in listed(&text) {
            let text = help(&[&command, &below]);
            write!(
                expected,
                "\n## arcctl {command} {below}\n\n```text\n{text}\n```\n"
            )
            .unwrap();
        }
    }
    let path = root().join("docs/cli.md");
    if variable("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == expected,
        "docs/cli.md is not what the program says: run `UPDATE=1 cargo test --test cli docs::` and look at the difference"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment to rewrite its snapshot"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// The text of the section under `heading`.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = format!("\n{heading}\n");
    let rest = text
        .split(&start)
        .nth(1)
        .unwrap_or_else(|| panic!("no heading `{heading}`"));
    rest.split("\n## ").next().unwrap()
}

/// The commands in the first column of the tables in `text`.
fn rows(text: &str) -> BTreeSet<String> {
    let row = Regex::new(r"(?m)^\| `arcctl ([a-z]+)").unwrap();
    row.captures_iter(text).map(|it| it[1].to_owned()).collect()
}

#[test]
fn the_readme_names_exactly_the_commands_there_are() {
    let there: BTreeSet<String> = commands().into_iter().collect();
    assert!(!there.is_empty());
    for (path, heading) in [("README.md", "## Commands"), ("README.ko.md", "## 명령")] {
        assert_eq!(rows(section(&text(path), heading)), there, "{path}");
    }
}

#[test]
fn the_readme_has_every_exit_code() {
    let (english, korean) = (text("README.md"), text("README.ko.md"));
    let tables = [
        section(&english, "## Exit codes"),
        section(&korean, "## 종료 코드"),
    ];
    for kind in [
        ErrorKind::Failed,
        ErrorKind::Unauthorized,
        ErrorKind::Locked,
        ErrorKind::TimedOut,
        ErrorKind::Refused,
        ErrorKind::Usage,
        ErrorKind::InvalidProfile,
        ErrorKind::Interrupted,
        ErrorKind::Terminated,
        ErrorKind::HungUp,
    ] {
        let code = kind.exit_code();
        let row = Regex::new(&format!(r"(?m)^\| ([0-9]+, )*{code}(, [0-9]+)* \|")).unwrap();
        for table in tables {
            assert!(row.is_match(table), "no row for exit code {code}: {table}");
        }
    }
}

#[test]
fn the_long_documents_keep_their_length() {
    for (path, limit) in [("README.md", 150), ("CONTRIBUTING.md", 120)] {
        let lines = text(path).lines().count();
        assert!(lines <= limit, "{path}: {lines} lines, {limit} allowed");
    }
}

/// Terraform deletes what is in its state and no longer in its files.
#[test]
fn who_comes_from_terraform_is_told_to_forget_before_deleting() {
    let document = text("docs/coming-from.md");
    let terraform = section(&document, "## Coming from Terraform");
    let forget = terraform.find("`terraform state rm ").unwrap();
    let delete = terraform.find("then delete it").unwrap();
    assert!(forget < delete);
}

/// A heading as the anchor that GitHub makes of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'))
        .map(|it| if it == ' ' { '-' } else { it })
        .collect()
}

fn anchors(text: &str) -> Vec<String> {
    let heading = Regex::new(r"(?m)^#{1,6} (.+)$").unwrap();
    heading
        .captures_iter(text)
        .map(|it| anchor(&it[1]))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let (mut broken, mut looked_at) = (Vec::new(), 0);
    for path in files_in("", "md") {
        let own = text(&path);
        for found in link.captures_iter(&own) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            looked_at += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let linked = Path::new(&path).parent().unwrap().join(file);
            let there = file.is_empty() || root().join(&linked).exists();
            let there =
                there && (fragment.is_empty() || has_anchor(&path, &linked, file, fragment));
            if !there {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(looked_at > 20, "only {looked_at} links were looked at");
    assert!(broken.is_empty(), "{broken:#?}");
}

fn has_anchor(own: &str, linked: &Path, file: &str, fragment: &str) -> bool {
    let path = if file.is_empty() {
        Path::new(own)
    } else {
        linked
    };
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    anchors(&text).iter().any(|it| it == fragment)
}

/// `src/…`, `tests/…` and the like in backticks are files: a document that names one that went is out of date.
#[test]
fn every_path_in_a_document_is_there() {
    let path = Regex::new(
        r"`((?:src|tests|sandbox|docs|profiles|tools)/[A-Za-z0-9_./-]*|Makefile|[a-z-]+\.toml)`",
    )
    .unwrap();
    let mut missing = Vec::new();
    for document in files_in("", "md") {
        if document.starts_with("tests/") || document.starts_with("docs/decisions/") {
            continue;
        }
        for found in path.captures_iter(&text(&document)) {
            let named = found[1].trim_end_matches('/');
            if !root().join(named).exists() && !named.contains("NNNN") {
                missing.push(format!("{document}: `{named}`"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The folders of `src/` and the files beside them; what is in a folder, its files' own first lines say.
#[test]
fn the_architecture_names_every_folder_of_the_source() {
    let architecture = text("docs/architecture.md");
    let missing: BTreeSet<String> = files_in("src/", "rs")
        .iter()
        .filter_map(|it| it.strip_prefix("src/"))
        .map(|it| match it.split_once('/') {
            Some((folder, _)) => format!("`src/{folder}/`"),
            None => format!("`src/{it}`"),
        })
        .filter(|it| !architecture.contains(it))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/architecture.md has no line for {missing:#?}"
    );
}

/// Every profile that a document shows loads, and is wise.
#[test]
fn every_profile_in_a_document_loads() {
    let block = Regex::new(r"(?s)```yaml\n(apiVersion: arcctl.dev/v1\n.*?)```").unwrap();
    let mut shown = 0;
    for document in files_in("", "md") {
        for found in block.captures_iter(&text(&document)) {
            shown += 1;
            let loaded = load(&found[1], &document).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(loaded.advice, [], "{document}");
        }
    }
    assert!(shown > 0, "no document shows a profile");
}

/// The section that the report of a check names, with the check's own claim.
#[test]
fn every_check_has_a_section_and_every_section_a_check() {
    let document = text("docs/doctor.md");
    let heading = Regex::new(r"(?m)^## ([a-z][a-z-]+)$").unwrap();
    let sections: Vec<String> = heading
        .captures_iter(&document)
        .map(|it| it[1].to_owned())
        .collect();
    let checks = arcctl::doctor::checks();
    let ids: Vec<&str> = checks.iter().map(|it| it.id).collect();
    assert_eq!(sections, ids);
    for check in checks {
        let told = section(&document, &format!("## {}", check.id));
        assert!(told.contains(check.claim), "{}: {}", check.id, check.claim);
    }
}

/// A page that the site's table of contents does not list is not in the site; decisions are listed by the script.
#[test]
fn the_site_has_each_document() {
    let contents = text("tools/docs/contents.md.in");
    let missing: Vec<String> = files_in("docs/", "md")
        .into_iter()
        .filter(|it| !it.starts_with("docs/decisions/"))
        .filter(|it| !contents.contains(&format!("({it})")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(contents.contains("(README.md)") && contents.contains("(CHANGELOG.md)"));
}

/// The Korean page has one row per check, in the same order and with its severity.
#[test]
fn the_korean_page_of_checks_has_each_check() {
    let row = Regex::new(r"(?m)^\| `([a-z-]+)` \| ([RA]) \|").unwrap();
    let document = text("docs/ko/doctor.md");
    let rows: Vec<(&str, &str)> = row
        .captures_iter(&document)
        .map(|it| it.extract())
        .map(|(_, [id, severity])| (id, severity))
        .collect();
    let checks = arcctl::doctor::checks();
    let there: Vec<(&str, &str)> = checks
        .iter()
        .map(|it| {
            (
                it.id,
                if it.severity == Severity::Required {
                    "R"
                } else {
                    "A"
                },
            )
        })
        .collect();
    assert_eq!(rows, there);
}

/// The Korean page of the profile names only keys that the English page has.
#[test]
fn the_korean_page_of_the_profile_names_keys_that_there_are() {
    let key = Regex::new(
        r"`((?:cluster|github|certManager|controller|pools\[\]|aws|timeouts)\.[A-Za-z.\[\]]+)`",
    )
    .unwrap();
    let english = text("docs/profile.md");
    let korean = text("docs/ko/profile.md");
    let keys: BTreeSet<&str> = key
        .captures_iter(&korean)
        .map(|it| it.extract::<1>().1[0])
        .collect();
    assert!(keys.len() > 30, "only {} keys", keys.len());
    let missing: Vec<&str> = keys
        .into_iter()
        .filter(|it| !english.contains(&format!("| `{it}` |")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A hint that names a document is of no use when the document is not there.
#[test]
fn every_document_that_the_program_names_is_there() {
    let path = Regex::new(r"docs/[a-z0-9/-]+\.(md|yaml)").unwrap();
    let mut named = BTreeSet::new();
    for source in files_in("src/", "rs") {
        let text = text(&source);
        named.extend(path.find_iter(&text).map(|it| it.as_str().to_owned()));
    }
    assert!(!named.is_empty());
    let missing: Vec<&String> = named
        .iter()
        .filter(|it| !root().join(it).is_file())
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
