//! Source rules that the compiler does not check: pure modules, file lengths, forbidden constructs.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the source has failed"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use regex::Regex;

use crate::repository::{files, files_in, root, text};

/// What is a function of its arguments alone.
const PURE: &[&str] = &[
    "src/units/",
    "src/scheduling/",
    "src/diff.rs",
    "src/printable.rs",
    "src/templates.rs",
    "src/profile/",
    "src/policy/",
    "src/desired/",
    "src/migration/",
    "src/upgrade/",
    "src/bundle/",
    "src/report/",
    "src/plan/",
    "src/secret/",
    "src/doctor/checks/",
    "src/init/adopt/found.rs",
    "src/init/adopt/pool.rs",
    "src/init/adopt/profile.rs",
    "src/init/adopt/reasons.rs",
    "src/init/adopt/windows.rs",
    "src/init/adopt/yaml.rs",
    "src/init/answers/",
    "src/init/facts/",
    "src/init/questions/",
    "src/init/text.rs",
    "src/clients/aws/advice.rs",
    "src/clients/github/response.rs",
    "src/clients/github/error/issuer.rs",
    "src/clients/github/error/forbidden.rs",
    "src/clients/github/error/reason.rs",
    "src/clients/github/groups/mod.rs",
    "src/clients/github/auth/misplaced.rs",
    "src/clients/github/error/mod.rs",
    "src/clients/github/scope.rs",
    "src/clients/github/server.rs",
    "src/clients/github/auth/token_kind.rs",
    "src/clients/github/error/workflow.rs",
    "src/clients/helm/hint.rs",
    "src/clients/kube/target.rs",
];

/// What a pure module may not say. Tests inside such a module may read files.
const IMPURE: [&str; 11] = [
    "async fn",
    ".await",
    "clients::kube",
    "clients::helm",
    "clients::github",
    "tokio::",
    "std::env",
    "std::fs",
    "std::process",
    "::now()",
    "SystemTime",
];

/// How many files a folder may have.
const FILES: usize = 15;

/// The longest a file may be, in lines.
const SOURCE_LINES: usize = 400;
const TEST_LINES: usize = 600;

/// The part of a file that is not `mod tests`.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[test]
fn pure_modules_do_no_io() {
    let mut found = Vec::new();
    for path in files_in("src/", "rs") {
        if !PURE.iter().any(|it| path.starts_with(it)) || is_test(&path) {
            continue;
        }
        let text = text(&path);
        for (number, line) in product(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap();
            // A client's pure files may use each other.
            let own = |word: &str| path.starts_with(&format!("src/{}/", word.replace("::", "/")));
            let words = IMPURE.iter().filter(|it| code.contains(**it));
            for word in words.filter(|it| !own(it)) {
                found.push(format!("{path}:{}: `{word}`", number + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "pure modules do no I/O; move it to clients/, resource/, observe/, session/ or run/: {found:#?}"
    );
}

/// The modules of the library from the lowest to the highest: the order in which `src/lib.rs` declares them.
fn order() -> Vec<String> {
    let declared = Regex::new(r"(?m)^pub(?:\(crate\))? mod ([a-z_]+);").unwrap();
    let library = text("src/lib.rs");
    let order: Vec<String> = declared
        .captures_iter(&library)
        .map(|it| it[1].to_owned())
        .collect();
    assert!(order.len() > 10, "{order:?}");
    order
}

/// The top-level modules that `code`, which is in the module of `path`, names.
fn imports(path: &str, code: &str) -> BTreeSet<String> {
    let depth = path.trim_end_matches("/mod.rs").matches('/').count();
    // As far up as the root of the crate.
    let root = format!(r"\b(?:crate|{}super)::", "super::".repeat(depth - 1));
    let mut found = BTreeSet::new();
    for start in Regex::new(&root).unwrap().find_iter(code) {
        let rest = &code[start.end()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(first_word(rest));
            continue;
        };
        let mut open = 1;
        let mut item = String::new();
        for character in list.chars() {
            match character {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 || (open == 1 && character == ',') {
                found.insert(first_word(item.trim()));
                item.clear();
            } else {
                item.push(character);
            }
            if open == 0 {
                break;
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|it| it.is_alphanumeric() || *it == '_')
        .collect()
}

/// Why each of `files` (path and text) that imports from above does so.
fn upward(order: &[String], files: &[(String, String)]) -> Vec<String> {
    let place = |name: &str| order.iter().position(|it| it == name);
    let mut found = Vec::new();
    for (path, text) in files {
        let own = first_word(path.strip_prefix("src/").unwrap());
        let Some(here) = place(&own) else { continue };
        let lines = product(text).lines();
        let code: Vec<&str> = lines.map(|it| it.split("//").next().unwrap()).collect();
        for name in imports(path, &code.join("\n")) {
            if place(&name).is_some_and(|it| it > here) {
                found.push(format!(
                    "{path}: `{own}` uses `{name}`, which src/lib.rs declares after it"
                ));
            }
        }
    }
    found
}

#[test]
fn imports_only_go_down() {
    let files: Vec<(String, String)> = files_in("src/", "rs")
        .into_iter()
        .filter(|it| !is_test(it))
        .map(|it| (it.clone(), text(&it)))
        .collect();
    let found = upward(&order(), &files);
    assert!(
        found.is_empty(),
        "the order is that of src/lib.rs: {found:#?}"
    );
}

#[test]
fn an_import_that_goes_up_is_found_in_each_form() {
    let order = order();
    let (low, high) = (&order[0], order.last().unwrap());
    for line in [
        format!("use crate::{high}::x;"),
        format!("use crate::{{{low}::y, {high}}};"),
        format!("use crate::{{\n    {low}::{{y, z}},\n    {high}::x,\n}};"),
        format!("fn f() {{ crate::{high}::x() }}"),
        format!("use super::super::{high}::x;"),
    ] {
        let file = |text: &str| vec![(format!("src/{low}/a.rs"), text.to_owned())];
        assert_eq!(upward(&order, &file(&line)).len(), 1, "{line}");
        let own = file(&line.replace(high, low));
        assert_eq!(upward(&order, &own), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn folders_stay_small() {
    let mut counts = BTreeMap::new();
    for path in [files_in("src/", "rs"), files_in("tests/cluster/", "rs")].concat() {
        let folder = path.rsplit_once('/').unwrap().0.to_owned();
        *counts.entry(folder).or_insert(0) += 1;
    }
    counts.retain(|_, files| *files > FILES);
    assert!(
        counts.is_empty(),
        "more than {FILES} files; make a folder of what belongs together: {counts:#?}"
    );
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<String> = files_in("src/", "rs")
        .into_iter()
        .filter(|path| !text(path).starts_with("//! "))
        .collect();
    assert!(
        silent.is_empty(),
        "begin these with `//!` and what they are for: {silent:#?}"
    );
}

#[test]
fn files_stay_small() {
    let mut wrong = Vec::new();
    for (directory, limit) in [("src/", SOURCE_LINES), ("tests/", TEST_LINES)] {
        for path in files_in(directory, "rs") {
            let lines = text(&path).lines().count();
            if lines > limit {
                wrong.push(format!("{path}: {lines} lines, {limit} allowed: split it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A file that no `mod` declares is compiled by nobody, and its tests run never.
#[test]
fn no_file_is_forgotten() {
    let mut forgotten = Vec::new();
    let mut checked = 0;
    for directory in ["src/", "tests/"] {
        let sources = files_in(directory, "rs");
        for path in &sources {
            let Some(parent) = declared_in(path, &sources) else {
                continue;
            };
            checked += 1;
            let name = module_name(path);
            let declared =
                Regex::new(&format!(r"(?m)^\s*(pub(\([a-z]+\))? )?mod {name};")).unwrap();
            if !declared.is_match(&text(&parent)) {
                forgotten.push(format!("{path} is not declared in {parent}"));
            }
        }
    }
    assert!(checked > 50, "only {checked} files were looked at");
    assert!(forgotten.is_empty(), "{forgotten:#?}");
}

/// `src/a/b.rs` → `b`; `src/a/b/mod.rs` → `b`.
fn module_name(path: &str) -> &str {
    let path = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
    path.rsplit('/').next().unwrap()
}

/// The file that must declare `path`; none for the roots of crates.
fn declared_in(path: &str, sources: &[String]) -> Option<String> {
    let roots = ["src/lib.rs", "src/main.rs"];
    if roots.contains(&path) || path.ends_with("/main.rs") {
        return None;
    }
    let own = path.trim_end_matches("/mod.rs");
    let parent = Path::new(own).parent().unwrap().to_str().unwrap();
    let candidates = ["mod.rs", "lib.rs", "main.rs"].map(|it| format!("{parent}/{it}"));
    let found = candidates.into_iter().find(|it| sources.contains(it));
    Some(found.unwrap_or_else(|| panic!("nothing can declare {path}: `{parent}` has no mod.rs")))
}

/// What would tie the repository to one machine, or to the place its packages came from. In parts, so that this file
/// does not hold it.
fn forbidden() -> Vec<String> {
    [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("proxy.gol", "ang.org"),
        ("sum.gol", "ang.org"),
        ("py", "pi.org"),
        ("files.python", "hosted.org"),
        ("static.cra", "tes.io"),
        ("index.cra", "tes.io"),
    ]
    .map(|(first, second)| format!("{first}{second}"))
    .into()
}

#[test]
fn nothing_of_one_machine_is_in_a_file() {
    let forbidden = forbidden();
    let mut found = Vec::new();
    for path in files() {
        let bytes = fs::read(root().join(&path)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|it| line.contains(it.as_str())) {
                found.push(format!("{path}:{}: `{word}`", number + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "a path of one machine or a registry's host: {found:#?}"
    );
}

/// What a made-up token has in it, and a real one never.
const MADE_UP: [&str; 3] = ["0123456789", "abcdefghij", "AAAAAAAA"];

#[test]
fn no_file_holds_a_token() {
    let token = Regex::new(
        r"\b(gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|A(KIA|SIA)[A-Z0-9]{16})\b",
    )
    .unwrap();
    assert!(token.is_match(&format!("ghp_{}", "x".repeat(36))));
    let mut found = BTreeSet::new();
    for path in files() {
        let bytes = fs::read(root().join(&path)).unwrap();
        for found_token in token.find_iter(&String::from_utf8_lossy(&bytes)) {
            let made_up = MADE_UP.iter().any(|it| found_token.as_str().contains(it));
            if !made_up {
                // The start only: a test must not print what it guards.
                let start: String = found_token.as_str().chars().take(8).collect();
                found.insert(format!("{path}: {start}…"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "this looks like a token; made-up ones contain one of {MADE_UP:?}: {found:#?}"
    );
}
