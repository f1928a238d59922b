//! The compact schemas in `src/desired/data`, held against the CRDs they are made of.

use std::{collections::BTreeMap, fs, io::Read as _, io::Write as _, path::PathBuf};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use serde_json::{Map, Value};

const VERSIONS: [&str; 2] = ["0.23.3", "0.23.7"];
const PLURALS: [&str; 2] = ["horizontalrunnerautoscalers", "runnerdeployments"];

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn data_file(version: &str) -> PathBuf {
    repository(&format!("src/desired/data/crds-{version}.json.gz"))
}

/// By kind, the schema of a chart's CRDs without what validation does not read.
fn compact(version: &str) -> BTreeMap<String, Value> {
    let folder = repository(&format!(
        "tests/data/crds/actions-runner-controller-{version}"
    ));
    PLURALS
        .map(|plural| {
            let path = folder.join(format!("actions.summerwind.dev_{plural}.yaml"));
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let crd: Value = serde_saphyr::from_str(&text).unwrap();
            let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            let mut schema = stripped(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
            // Only the controller writes it: in a manifest it is an unknown field.
            schema["properties"]
                .as_object_mut()
                .unwrap()
                .remove("status")
                .unwrap();
            (kind, schema)
        })
        .into()
}

/// A schema without descriptions; the names of properties are not keywords.
fn stripped(schema: &Value) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let int_or_string = map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    assert!(
        !map.contains_key("anyOf") || int_or_string,
        "an `anyOf` that the check does not know"
    );
    let mut result = Map::new();
    for (keyword, value) in map {
        let kept = match (keyword.as_str(), value) {
            ("description" | "x-kubernetes-map-type" | "anyOf", _) => continue,
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, value)| (name.clone(), stripped(value)))
                .collect(),
            ("items" | "additionalProperties", value) => stripped(value),
            (_, value) => value.clone(),
        };
        result.insert(keyword.clone(), kept);
    }
    result.into()
}

#[test]
fn schema_data_is_that_of_the_crds() {
    for version in VERSIONS {
        let mut text = String::new();
        let file = fs::File::open(data_file(version)).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let data: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        assert!(
            data == compact(version),
            "the data of {version} is not that of tests/data/crds; write it anew with \
             `cargo test --test cli write_schema_data -- --ignored`"
        );
    }
}

#[test]
#[ignore = "writes src/desired/data; run it when tests/data/crds changes"]
fn write_schema_data() {
    for version in VERSIONS {
        let file = fs::File::create(data_file(version)).unwrap();
        let mut encoder = GzBuilder::new().mtime(0).write(file, Compression::best());
        encoder
            .write_all(&serde_json::to_vec(&compact(version)).unwrap())
            .unwrap();
        encoder.finish().unwrap();
    }
}
