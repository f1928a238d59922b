//! Profile files: shipped ones load, errors are reported well, and nothing panics or shows a secret.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use std::{collections::BTreeSet, fs, path::PathBuf, time::Instant};

use arcctl::{
    desired,
    profile::{Loaded, ProfileErrors, load_with, render, schema},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Loads as the program does, with the rules that look at what a profile becomes.
fn load(text: &str, name: &str) -> Result<Loaded, ProfileErrors> {
    load_with(text, name, &desired::lint::lint)
}

/// The files of a directory of the repository, by name.
fn files(directory: &str) -> Vec<(String, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn shipped() -> Vec<(String, String)> {
    files("profiles")
}

/// Compares a text with the snapshot of that name.
fn told(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "profiles/snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn shipped_profiles_load_without_advice() {
    let profiles = shipped();
    assert_eq!(profiles.len(), 4);
    for (name, text) in profiles {
        let loaded = load(&text, &name).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(loaded.advice, [], "{name}");
        assert!(
            text.starts_with("# yaml-language-server: $schema=profile.schema.json\n"),
            "{name}"
        );
    }
}

#[test]
fn invalid_profiles_tell_their_fault() {
    let profiles = files("tests/cli/profiles/invalid");
    assert!(profiles.len() >= 60, "{}", profiles.len());
    for (name, text) in profiles {
        match load(&text, "arcctl.yaml") {
            Ok(_) => panic!("{name} loads"),
            Err(errors) => told(&format!("invalid_{name}"), &errors.to_string()),
        }
    }
}

#[test]
fn unwise_profiles_load_with_advice() {
    let profiles = files("tests/cli/profiles/advice");
    assert!(profiles.len() >= 10, "{}", profiles.len());
    for (name, text) in profiles {
        let loaded = load(&text, "arcctl.yaml").unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_ne!(loaded.advice, [], "{name}");
        told(
            &format!("advice_{name}"),
            &render(&loaded.advice, &text, "arcctl.yaml"),
        );
    }
}

/// What looks like a fault and is none.
#[test]
fn what_works_is_told_nothing_of() {
    let many = fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cli/profiles/advice/scaling_asks_too_often.yaml"),
    )
    .unwrap();
    let seldom = many.replace("pools:\n", "controller: {syncPeriod: 10m}\npools:\n");
    assert_ne!(seldom, many);
    let enough = many.replace("pools:\n", "controller: {syncPeriod: 1m12s}\npools:\n");
    let role = "apiVersion: arcctl.dev/v1
name: dogecompany
cluster: {eks: runners, region: eu-west-1}
github: {organization: dogecompany, token: {env: TOKEN}}
aws:
  irsa: {role: MyAWSServiceRoleForRunners, serviceAccount: runner}
pools:
  - name: basic
    image: summerwind/actions-runner:v2.336.0-ubuntu-22.04
    min: 1
    max: 4
    scaling: {metrics: [{type: PercentageRunnersBusy}]}
";
    let arn = role.replace(
        "MyAWSServiceRoleForRunners",
        "\"arn:aws:iam::111122223333:role/ci/NotAWSReservedSSO_Admin\"",
    );
    for text in [role, &arn, &seldom, &enough] {
        let loaded = load(text, "arcctl.yaml").unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(loaded.advice, [], "{text}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for (name, text) in files("tests/cli/profiles/invalid")
        .into_iter()
        .chain(files("tests/cli/profiles/advice"))
    {
        let shown = match load(&text, "arcctl.yaml") {
            Ok(loaded) => render(&loaded.advice, &text, "arcctl.yaml"),
            Err(errors) => format!("{errors} {errors:?}"),
        };
        for secret in [
            "ghp_0",
            "ghs_0",
            "github_pat_11",
            "correct-horse",
            "hunter2",
            "0a1b2c3d4e5f",
            "MIIEow",
        ] {
            assert!(!shown.contains(secret), "{name}: {shown}");
        }
    }
}

#[test]
fn a_profile_written_out_again_is_the_same() {
    for (name, text) in shipped() {
        let profile = load(&text, &name).unwrap().profile;
        let written = serde_json::to_string(&profile).unwrap();
        assert_eq!(load(&written, &name).unwrap().profile, profile, "{name}");
    }
}

/// The schema that editors use is the one the program checks against. `UPDATE=1` writes it.
#[test]
fn the_schema_file_is_the_program_s() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles/profile.schema.json");
    let schema = format!("{:#}\n", schema());
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own switch, not an input of the program"
    )]
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        fs::write(&path, &schema).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        schema,
        "run this test with UPDATE=1"
    );
}

/// The property paths of the schema, as `pools[].scaling.metrics[].type`.
fn property_paths() -> Vec<String> {
    fn walk(schema: &Value, root: &Value, path: &str, paths: &mut Vec<String>) {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.strip_prefix("#/$defs/").unwrap();
            walk(&root["$defs"][name], root, path, paths);
        }
        for (key, below) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            paths.push(path.clone());
            walk(below, root, &path, paths);
        }
        if let Some(items) = schema.get("items") {
            walk(items, root, &format!("{path}[]"), paths);
        }
        for option in schema
            .get("oneOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            walk(option, root, path, paths);
        }
    }
    let (schema, mut paths) = (schema(), Vec::new());
    walk(&schema, &schema, "", &mut paths);
    paths
}

#[test]
fn every_key_is_documented() {
    let documentation =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/profile.md")).unwrap();
    let paths = property_paths();
    assert!(paths.len() > 90, "{paths:?}");
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| !documentation.contains(&format!("`{path}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/profile.md does not mention {missing:#?}"
    );
}

fn profile_of(pools: usize) -> String {
    let mut text = String::from(
        "apiVersion: arcctl.dev/v1\nname: big\ncluster: {context: build}\n\
         github: {organization: acme, token: {env: ARCCTL_GITHUB_TOKEN}}\npools:\n",
    );
    for index in 0..pools {
        text.push_str(
            &"  - name: pool-N
    image: summerwind/actions-runner:v2.336.0-ubuntu-22.04
    labels: [linux, x64, pool-N]
    min: 1
    max: 4
    scaling:
      metrics: [{type: PercentageRunnersBusy, scaleUp: {threshold: 0.75, factor: 2}}]
    schedule:
      timeZone: Europe/Berlin
      windows:
        - {name: weekend, from: Sat 00:00, to: Mon 00:00, min: 2}
    resources:
      runner:
        requests: {cpu: 500m, memory: 1Gi}
        limits: {cpu: 1500m, memory: 6Gi}
"
            .replace('N', &index.to_string()),
        );
    }
    text
}

#[test]
fn five_hundred_pools_are_checked_in_no_time() {
    let text = profile_of(500);
    // The schema is made once per process, whatever the size.
    assert!(load("", "arcctl.yaml").is_err() && schema().is_object());
    // The best of five: other tests and other people use the machine at the same time.
    let once = || {
        let start = Instant::now();
        let loaded = load(&text, "arcctl.yaml").unwrap();
        assert_eq!(loaded.profile.pools.len(), 500);
        start.elapsed()
    };
    let taken = std::iter::repeat_with(once)
        .take(5)
        .min()
        .unwrap_or_default();
    let budget = if cfg!(debug_assertions) { 2000 } else { 100 };
    assert!(taken.as_millis() < budget, "{taken:?}");
}

/// One change of a profile: at the node found by `steps`, `kind` of change, with `filler`.
#[derive(Clone, Debug)]
struct Mutation {
    steps: Vec<prop::sample::Index>,
    kind: u8,
    filler: Value,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let filler = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        "\\PC{0,12}".prop_map(|value| json!(value)),
        Just(json!("99999999999999999999h")),
        Just(json!([])),
        Just(json!({})),
        Just(json!([1, {"a": null}])),
        Just(json!({"env": "X", "": 1})),
    ];
    let steps = prop::collection::vec(any::<prop::sample::Index>(), 1..8);
    (steps, 0..3_u8, filler).prop_map(|(steps, kind, filler)| Mutation {
        steps,
        kind,
        filler,
    })
}

fn mutate(value: &mut Value, mutation: &Mutation, depth: usize) {
    let Some(step) = mutation.steps.get(depth) else {
        return;
    };
    let last = depth + 1 == mutation.steps.len();
    match value {
        Value::Object(map) if !map.is_empty() => {
            let key = step.get(&map.keys().cloned().collect::<Vec<_>>()).clone();
            match (last, mutation.kind) {
                (false, _) => mutate(map.get_mut(&key).unwrap(), mutation, depth + 1),
                (true, 0) => drop(map.remove(&key)),
                (true, 1) => {
                    let below = map.remove(&key).unwrap();
                    map.insert(format!("{key}{}", mutation.filler), below);
                }
                (true, _) => drop(map.insert(key, mutation.filler.clone())),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = step.index(items.len());
            match (last, mutation.kind) {
                (false, _) => mutate(&mut items[index], mutation, depth + 1),
                (true, 0) => drop(items.remove(index)),
                (true, 1) => items.push(items[index].clone()),
                (true, _) => items[index] = mutation.filler.clone(),
            }
        }
        _ => *value = mutation.filler.clone(),
    }
}

/// The JSON pointers of the scalars in a value.
fn scalars(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                scalars(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                scalars(value, &format!("{at}/{index}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

fn shipped_values() -> Vec<Value> {
    let read =
        |(_, text): (String, String)| serde_saphyr::from_str::<Map<String, Value>>(&text).unwrap();
    shipped().into_iter().map(read).map(Value::Object).collect()
}

/// Each key once, whichever profile and item of a list it is in.
#[test]
fn a_credential_is_refused_wherever_it_stands() {
    let mut tried = BTreeSet::new();
    for profile in shipped_values() {
        let mut places = Vec::new();
        scalars(&profile, "", &mut places);
        assert!(places.len() > 5, "{places:?}");
        for place in places {
            let is_key = |it: &&str| it.bytes().any(|byte| !byte.is_ascii_digit());
            let keys: Vec<&str> = place.split('/').filter(is_key).collect();
            if !tried.insert(keys.join("/")) {
                continue;
            }
            let mut changed = profile.clone();
            *changed.pointer_mut(&place).unwrap() = json!("ghp_0123456789abcdefghij");
            let errors = load(&format!("{changed:#}"), "arcctl.yaml").unwrap_err();
            assert!(!format!("{errors} {errors:?}").contains("ghp_"), "{errors}");
        }
    }
    assert!(tried.len() > 60, "{}", tried.len());
}

/// How many profiles are mutated: `make test-slow` has more.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's own switch, not an input of the program"
)]
fn cases() -> u32 {
    let given = std::env::var("ARCCTL_PROFILE_CASES");
    given.map_or(100, |it| it.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn mutated_profiles_never_panic(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut value = which.get(&shipped_values()).clone();
        for mutation in &mutations {
            mutate(&mut value, mutation, 0);
        }
        match load(&format!("{value:#}"), "arcctl.yaml") {
            Ok(loaded) => {
                let written = serde_json::to_string(&loaded.profile).unwrap();
                prop_assert_eq!(load(&written, "arcctl.yaml").unwrap().profile, loaded.profile);
            }
            Err(errors) => prop_assert!(!errors.problems.is_empty()),
        }
    }

    #[test]
    fn mutilated_text_never_panics(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        filler in "[\\PC\t\n:{}\\[\\]&*!|>'\"#-]{0,6}",
    ) {
        let text = which.get(&shipped()).1.clone();
        let characters: Vec<char> = text.chars().collect();
        let start = at.index(characters.len());
        let end = (start + length).min(characters.len());
        let mutilated: String = characters[..start].iter().copied().chain(filler.chars()).chain(characters[end..].iter().copied()).collect();
        if let Err(errors) = load(&mutilated, "arcctl.yaml") {
            prop_assert!(errors.problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1));
        }
    }
}
