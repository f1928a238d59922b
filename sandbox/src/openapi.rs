//! Checks requests and responses against the facts of GitHub's `OpenAPI` description (the crate `arcctl-facts`), and
//! against a short list of facts that are missing there.
//!
//! Pure: no I/O.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::query::{percent_decode, query_pairs};

/// What GitHub's description lacks, each entry with its source.
const EXTRA: &str = include_str!("github/extra_schemas.json");

/// An API description, ready to judge requests and answers.
pub struct OpenApi {
    components: Value,
    operations: Vec<Operation>,
    everywhere: Map<String, Value>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

struct Operation {
    method: String,
    template: String,
    description: Value,
}

/// A request as the validator sees it; the path is without GitHub Enterprise Server's `/api/v3`.
pub struct RequestView<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path, percent-encoded.
    pub path: &'a str,
    /// The query string without `?`.
    pub query: &'a str,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// An answer as the validator sees it.
pub struct AnswerView<'a> {
    /// The status code.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

static DESCRIPTION: LazyLock<Result<OpenApi, String>> = LazyLock::new(|| {
    OpenApi::parse(&arcctl_facts::github_rest_document(), EXTRA)
        .map_err(|error| format!("{error:#}"))
});

impl OpenApi {
    /// The description of GitHub's REST API, parsed once.
    pub fn github() -> anyhow::Result<&'static Self> {
        match &*DESCRIPTION {
            Ok(description) => Ok(description),
            Err(error) => bail!("the OpenAPI description of GitHub cannot be used: {error}"),
        }
    }

    fn parse(main: &Value, extra: &str) -> anyhow::Result<Self> {
        let extra: Value = serde_json::from_str(extra).context("our own list is not JSON")?;
        let mut components = main["components"].clone();
        strict(&mut components["schemas"]);
        let mut operations = Vec::new();
        for (template, item) in main["paths"].as_object().into_iter().flatten() {
            for (method, description) in item.as_object().into_iter().flatten() {
                operations.push(Operation::new(method, template, description));
            }
        }
        for (template, item) in extra["paths"].as_object().into_iter().flatten() {
            for (method, description) in item.as_object().into_iter().flatten() {
                let method_upper = method.to_uppercase();
                if operations
                    .iter()
                    .any(|o| o.method == method_upper && o.template == *template)
                {
                    bail!("`{method} {template}` is in GitHub's description: remove it from ours");
                }
                if description["x-source"].as_str().is_none_or(str::is_empty) {
                    bail!("`{method} {template}` of our own list names no source (`x-source`)");
                }
                operations.push(Operation::new(method, template, description));
            }
        }
        let everywhere = extra["everywhere"]["responses"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            components,
            operations,
            everywhere,
            validators: Mutex::default(),
        })
    }

    /// A body of a named type with every field there, for answers too large to write by hand: null where that is allowed, else
    /// the first value of its kind.
    pub fn sample(&self, name: &str) -> Value {
        let schema = self.resolve(&self.components["schemas"][name]);
        // Of a type that may be null, the other form is wanted.
        self.sampled(schema["anyOf"].get(0).unwrap_or(schema))
    }

    fn sampled(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        for key in ["anyOf", "allOf"] {
            if let Some(members) = schema[key].as_array() {
                let null = members.iter().any(|it| it["type"] == "null");
                return match members.first() {
                    Some(first) if !null => self.sampled(first),
                    _ => Value::Null,
                };
            }
        }
        let first = schema["enum"].get(0).or(schema.get("default"));
        match (first, schema["type"].as_str()) {
            (Some(value), _) => value.clone(),
            (None, Some("integer" | "number")) => json!(1),
            (None, Some("boolean")) => json!(false),
            (None, Some("array")) => {
                let least = schema["minItems"].as_u64().unwrap_or_default();
                (0..least).map(|_| self.sampled(&schema["items"])).collect()
            }
            (None, Some("object")) => schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, property)| (name.clone(), self.sampled(property)))
                .collect(),
            (None, _) => json!(match schema["format"].as_str() {
                Some("date-time") => "2026-01-01T00:00:00Z",
                Some("uri") => "https://api.github.com/",
                Some("email") => "nobody@example.com",
                _ => "simulated",
            }),
        }
    }

    /// What is wrong with a request; empty when nothing is.
    pub fn check_request(&self, request: &RequestView<'_>) -> Vec<String> {
        let label = format!("{} {}", request.method, request.path);
        let Some((operation, values)) = self.find(request.method, request.path) else {
            return vec![format!("request `{label}`: the API has no such operation")];
        };
        let mut wrong = self.check_parameters(operation, &values, request.query);
        wrong.extend(self.check_request_body(operation, request));
        wrong
            .into_iter()
            .map(|what| format!("request `{label}`: {what}"))
            .collect()
    }

    /// What is wrong with an answer to a request; empty when nothing is.
    pub fn check_answer(&self, method: &str, path: &str, answer: &AnswerView<'_>) -> Vec<String> {
        let label = format!("{} to `{method} {path}`", answer.status);
        let Some((operation, _)) = self.find(method, path) else {
            // The request itself is reported; 404 is the only right answer to it.
            return match answer.status {
                404 => Vec::new(),
                _ => vec![format!("answer {label}: the API has no such operation")],
            };
        };
        let wrong = self.check_answer_body(operation, answer);
        wrong
            .into_iter()
            .map(|what| format!("answer {label}: {what}"))
            .collect()
    }

    /// The operation of a method and path, with the values of the template's parameters. A literal segment wins over
    /// a parameter, as in `/actions/runners/downloads`.
    fn find(&self, method: &str, path: &str) -> Option<(&Operation, HashMap<String, String>)> {
        self.operations
            .iter()
            .filter(|operation| operation.method == method)
            .filter_map(|operation| Some((operation, operation.matches(path)?)))
            .min_by_key(|(_, values)| values.len())
    }

    fn check_parameters(
        &self,
        operation: &Operation,
        path_values: &HashMap<String, String>,
        query: &str,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut given: HashMap<String, String> = query_pairs(query).into_iter().collect();
        let parameters = operation.description["parameters"].as_array();
        for parameter in parameters.into_iter().flatten() {
            let parameter = self.resolve(parameter);
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = match parameter["in"].as_str() {
                Some("path") => path_values.get(name).cloned(),
                Some("query") => given.remove(name),
                _ => continue,
            };
            match value {
                Some(value) if fits(&parameter["schema"], &value) => {}
                Some(value) => wrong.push(format!(
                    "parameter `{name}` has the wrong type or value: {value}"
                )),
                None if parameter["required"] == true => {
                    wrong.push(format!("parameter `{name}` is missing"));
                }
                None => {}
            }
        }
        let mut unknown: Vec<_> = given.into_keys().collect();
        unknown.sort();
        wrong.extend(
            unknown
                .iter()
                .map(|name| format!("parameter `{name}` is unknown")),
        );
        wrong
    }

    fn check_request_body(&self, operation: &Operation, request: &RequestView<'_>) -> Vec<String> {
        let description = self.resolve(&operation.description["requestBody"]);
        if request.body.is_empty() {
            let missing = description["required"] == true;
            return missing
                .then(|| "the body is missing".to_owned())
                .into_iter()
                .collect();
        }
        if description.is_null() {
            return vec!["the operation takes no body".to_owned()];
        }
        let key = format!("{} {} request", operation.method, operation.template);
        self.check_json(key, description, request.content_type, request.body)
    }

    fn check_answer_body(&self, operation: &Operation, answer: &AnswerView<'_>) -> Vec<String> {
        let status = answer.status.to_string();
        let description = operation.description["responses"]
            .get(&status)
            .or_else(|| self.everywhere.get(&status))
            .map(|response| self.resolve(response));
        let Some(description) = description else {
            return vec!["the operation does not list this status".to_owned()];
        };
        if description.get("content").is_none() {
            let extra = !answer.body.is_empty();
            let wrong = || "the answer has a body and should have none".to_owned();
            return extra.then(wrong).into_iter().collect();
        }
        let key = format!("{} {} {status}", operation.method, operation.template);
        self.check_json(key, description, answer.content_type, answer.body)
    }

    fn check_json(
        &self,
        key: String,
        description: &Value,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Vec<String> {
        if !content_type.is_some_and(|found| found.starts_with("application/json")) {
            return vec![format!(
                "the content type is not JSON: {}",
                content_type.unwrap_or("none")
            )];
        }
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return vec!["the body is not JSON".to_owned()];
        };
        match self.validator(key, &description["content"]["application/json"]["schema"]) {
            Err(error) => vec![error],
            Ok(validator) => validator
                .iter_errors(&body)
                .map(|error| format!("{error} (at `{}`)", error.instance_path()))
                .collect(),
        }
    }

    /// The compiled schema, made at its first use: most tests touch three of forty operations.
    fn validator(&self, key: String, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = validators.get(&key) {
            return Ok(Arc::clone(validator));
        }
        let mut root = schema.clone();
        strict(&mut root);
        if let Some(root) = root.as_object_mut() {
            root.insert(
                "components".to_owned(),
                json!({"schemas": self.components["schemas"]}),
            );
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .build(&root)
            .map_err(|error| format!("the schema of `{key}` cannot be used: {error}"))?;
        let validator = Arc::new(validator);
        validators.insert(key, Arc::clone(&validator));
        Ok(validator)
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix("#/components"))
        {
            Some(pointer) => match self.components.pointer(pointer) {
                Some(target) => self.resolve(target),
                None => &Value::Null,
            },
            None => value,
        }
    }
}

impl Operation {
    fn new(method: &str, template: &str, description: &Value) -> Self {
        let description = description.clone();
        Self {
            method: method.to_uppercase(),
            template: template.to_owned(),
            description,
        }
    }

    fn matches(&self, path: &str) -> Option<HashMap<String, String>> {
        let mut values = HashMap::new();
        let mut segments = path.split('/');
        for expected in self.template.split('/') {
            let segment = segments.next()?;
            match expected
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
            {
                Some(_) if segment.is_empty() => return None,
                Some(name) => drop(values.insert(name.to_owned(), percent_decode(segment))),
                None if expected == segment => {}
                None => return None,
            }
        }
        segments.next().is_none().then_some(values)
    }
}

/// Whether a parameter's text is a value of its schema. Formats are not looked at: GitHub's file calls `created` a
/// date-time, while the page it links to allows `>=2026-01-01`.
fn fits(schema: &Value, text: &str) -> bool {
    let typed = match schema["type"].as_str() {
        Some("integer") => text.parse::<i64>().is_ok(),
        Some("number") => text.parse::<f64>().is_ok(),
        Some("boolean") => matches!(text, "true" | "false"),
        _ => true,
    };
    let listed = schema["enum"]
        .as_array()
        .is_none_or(|list| list.iter().any(|item| item == text));
    typed && listed
}

/// Turns `OpenAPI` 3.0's schema dialect into JSON Schema, and forbids what a schema does not name: a misspelt optional
/// field of the stand-in would pass otherwise.
fn strict(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(strict),
        Value::Object(object) => {
            // Under these keys stand values or names, not schemas.
            for (key, value) in object.iter_mut() {
                match key.as_str() {
                    "enum" | "default" | "example" | "examples" | "required" => {}
                    "properties" => {
                        value
                            .as_object_mut()
                            .into_iter()
                            .flatten()
                            .for_each(|(_, v)| strict(v));
                    }
                    _ => strict(value),
                }
            }
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            if object.remove("nullable") == Some(Value::Bool(true)) {
                let inner = Value::Object(std::mem::take(object));
                object.insert("anyOf".to_owned(), json!([inner, {"type": "null"}]));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
