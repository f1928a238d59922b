//! Validates a value against a structural schema, like the API server. Pure: no I/O.

use serde_json::{Map, Number, Value, json};

use super::SchemaProblem;

/// Checks a whole object.
pub(super) fn check(schema: &Value, manifest: &Value, problems: &mut Vec<SchemaProblem>) {
    Walk { problems }.value(schema, manifest, "");
}

/// The schema for `{type: object}` metadata in a CRD: the fields of `ObjectMeta` that a client may send.
pub(super) fn object_meta() -> Value {
    let string = json!({"type": "string"});
    let strings = json!({"type": "object", "additionalProperties": string});
    json!({"type": "object", "properties": {
        "name": string, "generateName": string, "namespace": string,
        "labels": strings, "annotations": strings,
        "finalizers": {"type": "array", "items": string},
        "ownerReferences": {"type": "array", "items": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    }})
}

/// `; did you mean …?` if one of `known` is similar to `text`.
pub(super) fn did_you_mean(text: &str, known: &[&str]) -> String {
    let close = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(text, candidate), candidate))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(similarity, _)| *similarity > 0.85);
    close.map_or_else(String::new, |(_, candidate)| {
        format!("; did you mean `{candidate}`?")
    })
}

/// The first integer above the int64 range of Kubernetes.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// JSON has one kind of number: `2.0` is an integer.
fn is_whole(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

struct Walk<'a> {
    problems: &'a mut Vec<SchemaProblem>,
}

impl Walk<'_> {
    fn report(&mut self, path: &str, message: String) {
        self.problems.push(SchemaProblem {
            path: path.to_owned(),
            message,
        });
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        if value.is_null() {
            if !flag("nullable") {
                self.report(path, "must not be null".into());
            }
            return;
        }
        let kind = schema.get("type").and_then(Value::as_str);
        match (kind, value) {
            _ if flag("x-kubernetes-int-or-string") => match value {
                Value::String(text) => self.text(schema, text, path),
                Value::Number(number) if is_whole(number) => {}
                _ => self.wrong_type("an integer or a string", value, path),
            },
            (Some("object"), Value::Object(map)) => self.object(schema, map, path),
            (Some("array"), Value::Array(list)) => self.array(schema, list, path),
            (Some("string"), Value::String(text)) => self.text(schema, text, path),
            (Some("integer"), Value::Number(number)) if is_whole(number) => {
                self.integer(schema, value, path);
            }
            (Some("number"), Value::Number(_)) | (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some(kind), _) => {
                let expected = match kind {
                    "array" => "a list",
                    "object" => "a map",
                    "integer" => "an integer",
                    "boolean" => "a boolean",
                    "number" => "a number",
                    _ => "a string",
                };
                self.wrong_type(expected, value, path);
            }
        }
        self.allowed(schema, value, path);
    }

    fn wrong_type(&mut self, expected: &str, value: &Value, path: &str) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "a map",
        };
        self.report(path, format!("must be {expected}, not {found}"));
    }

    fn object(&mut self, schema: &Value, map: &Map<String, Value>, path: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let preserve =
            schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        for (key, value) in map {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let property = properties.and_then(|properties| properties.get(key));
            match property.or(additional.filter(|schema| schema.is_object())) {
                Some(schema) => self.value(schema, value, &path),
                None if preserve || additional == Some(&Value::Bool(true)) => {}
                None => {
                    let known: Vec<&str> = properties
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name.as_str())
                        .collect();
                    self.report(
                        &path,
                        format!("unknown field `{key}`{}", did_you_mean(key, &known)),
                    );
                }
            }
        }
        for name in strings(schema.get("required")) {
            if !map.contains_key(name) {
                let at = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                };
                self.report(&at, format!("`{name}` is required"));
            }
        }
    }

    fn array(&mut self, schema: &Value, list: &[Value], path: &str) {
        if let Some(items) = schema.get("items") {
            for (index, value) in list.iter().enumerate() {
                self.value(items, value, &format!("{path}[{index}]"));
            }
        }
        let keys: Vec<&str> = strings(schema.get("x-kubernetes-list-map-keys")).collect();
        let kind = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
        let mut seen: Vec<Value> = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let identity = match kind {
                Some("set") => value.clone(),
                Some("map") => {
                    let properties = schema.pointer("/items/properties");
                    keys.iter()
                        .map(|key| identity_part(properties, value, key))
                        .collect()
                }
                _ => return,
            };
            if seen.contains(&identity) {
                self.report(&format!("{path}[{index}]"), "is there twice".into());
            }
            seen.push(identity);
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && let Some(expected) = mismatch(pattern, text)
        {
            self.report(path, format!("`{text}` is not {expected}"));
        }
        let format = schema.get("format").and_then(Value::as_str);
        if format == Some("date-time") && !is_rfc_3339(text) {
            self.report(
                path,
                format!("`{text}` is not a time such as 2026-01-31T00:00:00Z"),
            );
        }
    }

    fn integer(&mut self, schema: &Value, value: &Value, path: &str) {
        let number = value.as_f64().unwrap_or_default();
        let too_big = match schema.get("format").and_then(Value::as_str) {
            Some("int32") => !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number),
            _ => value.as_i64().is_none() && number.abs() >= TWO_TO_63,
        };
        let minimum = schema.get("minimum").and_then(Value::as_f64);
        if too_big {
            self.report(path, format!("{value} is too big"));
        } else if let Some(minimum) = minimum
            && value.as_f64().is_some_and(|number| number < minimum)
        {
            self.report(path, format!("{value} is less than {minimum}"));
        }
    }

    fn allowed(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(allowed) = schema.get("enum").and_then(Value::as_array) else {
            return;
        };
        if !allowed.contains(value) {
            let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            let meant = did_you_mean(value.as_str().unwrap_or_default(), &names);
            self.report(
                path,
                format!("{value} is not one of {}{meant}", names.join(", ")),
            );
        }
    }
}

/// The value of a list map's key; its default if it is omitted.
fn identity_part(properties: Option<&Value>, value: &Value, key: &str) -> Value {
    let default = || {
        properties
            .and_then(|known| known.get(key))
            .and_then(|known| known.get("default"))
    };
    value.get(key).or_else(default).cloned().unwrap_or_default()
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The patterns in these CRDs; a test compares this list with the data.
pub(super) const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
pub(super) const NO_SLASH: &str = "^[^/]+$";
pub(super) const ONE_SLASH: &str = "^[^/]+/[^/]+$";

/// The expected format, if `text` does not match `pattern`.
fn mismatch(pattern: &str, text: &str) -> Option<&'static str> {
    match pattern {
        QUANTITY => (!is_quantity(text)).then_some("a quantity such as 500m or 2Gi"),
        NO_SLASH => (text.is_empty() || text.contains('/')).then_some("a name without `/`"),
        ONE_SLASH => {
            let parts: Vec<&str> = text.split('/').collect();
            (parts.len() != 2 || parts.contains(&"")).then_some("of the form OWNER/NAME")
        }
        _ => None,
    }
}

/// Whether it is an RFC 3339 time: unlike in ISO 8601, seconds and an offset with a colon are required.
fn is_rfc_3339(text: &str) -> bool {
    let shape = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_digit() {
                    '0'
                } else {
                    c.to_ascii_uppercase()
                }
            })
            .collect()
    };
    let Some((time, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    shape(time) == "0000-00-00T00:00:00"
        && ["Z", "+00:00", "-00:00"].contains(&shape(offset).as_str())
        && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_quantity(text: &str) -> bool {
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let number = |text: &str| {
        text.chars().any(|c| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_digit() || c == '.')
            && text.matches('.').count() <= 1
    };
    let text = unsigned(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let suffixes = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let exponent = || {
        suffix
            .strip_prefix(['e', 'E'])
            .is_some_and(|rest| number(&unsigned(rest)))
    };
    number(digits) && (suffixes.contains(&suffix) || exponent())
}
