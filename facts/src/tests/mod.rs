//! Tests of the shipped tables: each line is a fact, each type exists; and, if the originals are available, each schema
//! equals the original one.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

mod rest;
mod writer;

use super::*;
use crate::definition::without_descriptions;
use writer::Writer;

/// Where the original files are, a folder per table: `ARCCTL_REFERENCE_CRDS=DIR cargo test -p arcctl-facts -- --ignored`.
const ORIGINALS: &str = "ARCCTL_REFERENCE_CRDS";

fn tables() -> [(&'static str, &'static Table); 4] {
    [
        (
            "actions-runner-controller-0.23.3",
            actions_runner_controller_0_23_3(),
        ),
        (
            "actions-runner-controller-0.23.7",
            actions_runner_controller_0_23_7(),
        ),
        ("cert-manager-v1.21.1", cert_manager_1_21_1()),
        ("gha-runner-scale-set-0.14.2", gha_runner_scale_set_0_14_2()),
    ]
}

/// What the CRDs of runner scale sets take in their repository (`git ls-tree -l` at the tag): the originals that the table
/// is held against have no text.
const SIZES: [(&str, u64); 4] = [
    ("AutoscalingListener", 609_000),
    ("AutoscalingRunnerSet", 1_210_000),
    ("EphemeralRunner", 575_000),
    ("EphemeralRunnerSet", 608_000),
];

#[test]
fn every_line_is_a_fact_and_every_type_is_there() {
    for (name, table) in tables() {
        assert_eq!(table.faults, Vec::<String>::new(), "{name}");
        assert_eq!(table.unknown_types(), Vec::<String>::new(), "{name}");
        assert!(table.kinds().count() >= 4, "{name}");
        for kind in table.kinds() {
            assert!(table.schema(kind).is_some(), "{name}: {kind} has no type");
        }
    }
}

/// Tables of the fields that arcctl writes, and no more.
#[test]
fn the_tables_of_what_is_only_written_are_whole() {
    for (name, table) in [
        ("flux", flux()),
        ("argocd", argo_cd()),
        ("external-secrets", external_secrets()),
    ] {
        assert_eq!(table.faults, Vec::<String>::new(), "{name}");
        assert_eq!(table.unknown_types(), Vec::<String>::new(), "{name}");
        for kind in table.kinds() {
            assert!(
                table.definition(kind).is_some(),
                "{name}: {kind} has no type"
            );
        }
    }
}

#[test]
fn a_line_that_is_no_fact_is_found() {
    let table =
        Table::read("# comment\nType\tfield\ncrd\tKind\tgroup\nA\tb\tMissing\tlist=atomic\n");
    assert_eq!(
        table.faults,
        ["line 2: Type\tfield", "line 3: crd\tKind\tgroup"]
    );
    assert_eq!(table.unknown_types(), ["Missing"]);
}

#[test]
fn a_definition_is_as_large_as_the_original() {
    for (name, table) in tables() {
        for kind in table.kinds() {
            let definition = table.definition(kind).unwrap();
            let size: usize = table.crds[kind]["size"].parse().unwrap();
            let ours = definition.to_string().len();
            // JSON is shorter than the indented YAML that was measured; a tenth off is the same to whoever fails on size.
            assert!(
                ours * 10 > size * 8 && ours * 10 < size * 12,
                "{name} {kind}: {ours} of {size}"
            );
        }
    }
}

fn originals(name: &str) -> BTreeMap<String, (Value, u64)> {
    let root = std::env::var(ORIGINALS).expect("set it to the folder of the original CRDs");
    let folder = Path::new(&root).join(name);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let crd: Value = serde_saphyr::from_str(&text).unwrap();
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        found.insert(kind, (crd, fs::metadata(&path).unwrap().len()));
    }
    found
}

#[test]
#[ignore = "needs the originals, which are not ours to keep: see ORIGINALS"]
fn every_schema_is_that_of_the_original() {
    for (name, table) in tables() {
        let originals = originals(name);
        assert_eq!(
            table.kinds().collect::<Vec<_>>(),
            originals.keys().map(String::as_str).collect::<Vec<_>>()
        );
        for (kind, (crd, _)) in originals {
            let ours = without_descriptions(&table.definition(&kind).unwrap());
            let version = &crd["spec"]["versions"][0];
            let schema = "/spec/versions/0/schema/openAPIV3Schema";
            assert_eq!(
                sorted(&without_descriptions(ours.pointer(schema).unwrap())),
                sorted(&without_descriptions(&version["schema"]["openAPIV3Schema"])),
                "{name} {kind}"
            );
            for path in ["/spec/names", "/spec/group", "/spec/scope"] {
                assert_eq!(
                    ours.pointer(path),
                    crd.pointer(path),
                    "{name} {kind} {path}"
                );
            }
        }
    }
}

/// The order of `required` means nothing.
fn sorted(schema: &Value) -> Value {
    match schema {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(sorted).collect();
            if list.iter().all(Value::is_string) {
                list.sort_by_key(Value::to_string);
            }
            list.into()
        }
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), sorted(value)))
            .collect(),
        other => other.clone(),
    }
}

#[test]
#[ignore = "writes the tables anew from the originals: see ORIGINALS"]
fn write_the_tables() {
    for (name, _) in tables() {
        let mut writer = Writer::default();
        let mut head = String::new();
        for (kind, (crd, size)) in originals(name) {
            let known = SIZES.iter().find(|(name, _)| *name == kind);
            head += &crd_line(&kind, &crd, known.map_or(size, |(_, size)| *size));
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            writer.define(&kind, &without_descriptions(schema), true);
        }
        let text = format!(
            "# The custom resources of {name}: facts read from its chart's CRDs, without their text. How to read it: \
             src/lib.rs.\n# Made by `write_the_tables`, held against the originals by `every_schema_is_that_of_the_original`.\n{head}{}",
            writer.text()
        );
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tables/{name}.tsv"));
        fs::write(path, text).unwrap();
    }
}

fn crd_line(kind: &str, crd: &Value, size: u64) -> String {
    let spec = &crd["spec"];
    let version = &spec["versions"][0];
    assert_eq!(spec["versions"].as_array().unwrap().len(), 1);
    let mut facts = vec![
        format!("group={}", spec["group"].as_str().unwrap()),
        format!("version={}", version["name"].as_str().unwrap()),
        format!("plural={}", spec["names"]["plural"].as_str().unwrap()),
        format!("scope={}", spec["scope"].as_str().unwrap()),
        format!("size={size}"),
    ];
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|it| it.as_str().or(it["jsonPath"].as_str()).unwrap().to_owned())
            .collect()
    };
    for (key, list) in [
        ("short", &spec["names"]["shortNames"]),
        ("categories", &spec["names"]["categories"]),
        ("selectable", &version["selectableFields"]),
    ] {
        let list = texts(list);
        if !list.is_empty() {
            facts.push(format!("{key}={}", list.join(",")));
        }
    }
    let generator = &crd["metadata"]["annotations"]["controller-gen.kubebuilder.io/version"];
    if let Some(generator) = generator.as_str() {
        facts.push(format!("generator={generator}"));
    }
    let mut text = format!("crd\t{kind}\t{}\n", facts.join("\t"));
    for column in version["additionalPrinterColumns"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let cell = |key: &str| column[key].as_str().unwrap().to_owned();
        let priority = column["priority"].as_u64().unwrap_or_default();
        writeln!(
            text,
            "column\t{kind}\t{}\t{}\t{}\t{priority}",
            cell("name"),
            cell("type"),
            cell("jsonPath")
        )
        .unwrap();
    }
    text
}
