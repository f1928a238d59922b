//! GitHub's REST API: the table, and its generation from GitHub's own description.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use serde_json::{Value, json};

use super::{
    super::{github_rest, rest},
    sorted,
    writer::{Writer, title},
};

/// GitHub's own description: `ARCCTL_REFERENCE_OPENAPI=FILE cargo test -p arcctl-facts -- --ignored rest`.
const ORIGINAL: &str = "ARCCTL_REFERENCE_OPENAPI";

#[test]
fn every_line_is_a_fact() {
    let table = github_rest();
    assert_eq!(table.faults, Vec::<String>::new());
    assert_eq!(table.unknown_types(), Vec::<String>::new());
    let document = rest::document(table);
    assert!(document["paths"].as_object().unwrap().len() > 40);
}

fn original() -> Value {
    let file = std::env::var(ORIGINAL).expect("set it to GitHub's description");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// `$ref` to a parameter or an answer → what it refers to; schemas stay references.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(path) => {
            let target = document.pointer(path.trim_start_matches('#')).unwrap();
            resolved(document, target)
        }
        None => value,
    }
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    found
}

#[test]
#[ignore = "needs the original, which is not ours to keep: see ORIGINAL"]
fn every_rest_fact_is_that_of_the_original() {
    let (original, ours) = (original(), rest::document(github_rest()));
    let (theirs, ours_too) = (operations(&original), operations(&ours));
    assert_eq!(theirs.len(), ours_too.len());
    for ((method, path, one), (_, same, other)) in theirs.into_iter().zip(ours_too) {
        assert_eq!(path, same);
        let label = format!("{method} {path}");
        let mut pairs = vec![(
            plain(
                &original,
                &one["requestBody"]["content"]["application/json"]["schema"],
            ),
            plain(
                &ours,
                &other["requestBody"]["content"]["application/json"]["schema"],
            ),
        )];
        assert_eq!(
            parameters(&original, one),
            parameters(&ours, other),
            "{label}"
        );
        for (status, answer) in one["responses"].as_object().unwrap() {
            let schema = |document: &Value, answer: &Value| {
                let answer = resolved(document, answer);
                plain(document, &answer["content"]["application/json"]["schema"])
            };
            pairs.push((
                schema(&original, answer),
                schema(&ours, &other["responses"][status]),
            ));
        }
        for (theirs, ours) in pairs {
            assert_eq!(theirs, ours, "{label}");
        }
    }
}

fn parameters(document: &Value, operation: &Value) -> BTreeMap<String, (Value, Value)> {
    let list = operation["parameters"].as_array().into_iter().flatten();
    list.map(|it| resolved(document, it))
        .filter(|it| it["in"] != "header")
        .map(|it| {
            let name = it["name"].as_str().unwrap().to_owned();
            (name, (it["in"].clone(), plain(document, &it["schema"])))
        })
        .collect()
}

/// A schema with everything it refers to in place, and without text.
fn plain(document: &Value, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    let Value::Object(map) = schema else {
        return match schema {
            Value::Array(list) => list.iter().map(|it| plain(document, it)).collect(),
            other => other.clone(),
        };
    };
    let mut result = json!({});
    for (key, value) in map {
        match key.as_str() {
            "description" | "example" | "title" | "discriminator" | "deprecated" => {}
            "properties" => {
                result[key] = value
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| (name.clone(), plain(document, value)))
                    .collect();
            }
            "enum" | "required" => result[key] = sorted(value),
            "oneOf" | "anyOf" => result["anyOf"] = plain(document, value),
            _ => result[key] = plain(document, value),
        }
    }
    // A name for a kind with constraints of its own is the kind with them.
    if let Some(inner) = result.as_object_mut().and_then(|it| it.remove("allOf")) {
        for (key, value) in inner[0].as_object().unwrap() {
            result[key] = value.clone();
        }
    }
    result
}

#[test]
#[ignore = "writes the table anew from the original: see ORIGINAL"]
fn write_the_rest_table() {
    let original = original();
    let mut writer = Writer::default();
    for (name, schema) in original["components"]["schemas"].as_object().unwrap() {
        writer.component(&title(name), schema);
    }
    let (mut routes, mut paths) = (String::new(), BTreeMap::new());
    for (method, path, operation) in operations(&original) {
        let literal = path.split('/').rfind(|it| !it.starts_with('{'));
        let name = |what: &str| title(&format!("{}-{what}", literal.unwrap_or_default()));
        let mut cells = vec![method.clone(), path.clone()];
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let content = &resolved(&original, answer)["content"]["application/json"];
            let kind = match &content["schema"] {
                Value::Null => String::new(),
                schema => kind(&mut writer, &name("answer"), schema),
            };
            cells.push(format!("{status}={kind}"));
        }
        writeln!(routes, "route\t{}", cells.join("\t")).unwrap();
        let body = &operation["requestBody"];
        if !body.is_null() {
            let schema = &body["content"]["application/json"]["schema"];
            let kind = kind(&mut writer, &name("body"), schema);
            let required = if body["required"] == true {
                "required"
            } else {
                "optional"
            };
            writeln!(routes, "body\t{method} {path}\t{kind}\t{required}").unwrap();
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&original, parameter);
            let field = parameter["name"].as_str().unwrap();
            let (kind, constraints) = writer.kind("", field, &parameter["schema"]);
            let cells = [vec![field.to_owned(), kind], constraints]
                .concat()
                .join("\t");
            match parameter["in"].as_str() {
                Some("path") => assert!(
                    paths
                        .insert(field.to_owned(), cells.clone())
                        .is_none_or(|it| it == cells)
                ),
                Some("query") => writeln!(routes, "query\t{method} {path}\t{cells}").unwrap(),
                other => panic!("{path}: a parameter in {other:?}"),
            }
        }
    }
    let paths = paths
        .values()
        .fold(String::new(), |text, it| text + "path\t" + it + "\n");
    let text = format!(
        "# GitHub's REST API, as far as runners are concerned: facts read from GitHub's OpenAPI description of GitHub Enterprise \
         Server 3.19\n# (github/rest-api-description, npm package @octokit/openapi 23.0.2), without its text. How to read it: src/lib.rs.\n\
         # Made by `write_the_rest_table`, held against the original by `every_rest_fact_is_that_of_the_original`.\n{paths}{routes}{}",
        writer.text()
    );
    fs::write(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tables/github-rest.tsv"),
        text,
    )
    .unwrap();
}

/// The kind of a body; constraints of its own need a name.
fn kind(writer: &mut Writer, name: &str, schema: &Value) -> String {
    if schema["type"] == "object" {
        return writer.define(name, schema, false);
    }
    let (kind, constraints) = writer.kind(name, name, schema);
    assert_eq!(constraints, Vec::<String>::new(), "{name}");
    kind
}
