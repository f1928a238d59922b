//! Converts a table to structural schemas, as the API server uses them for validation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// A table of facts, read.
#[derive(Debug, Default)]
pub struct Table {
    /// By kind, what is known of its `CustomResourceDefinition` beside the schema.
    pub(crate) crds: BTreeMap<String, BTreeMap<String, String>>,
    /// By kind, the columns of `kubectl get`: name, type, `JSONPath`, priority.
    pub(crate) columns: BTreeMap<String, Vec<[String; 4]>>,
    pub(crate) routes: Vec<Route>,
    /// By method and path, the kind of the request's body and whether it must be there.
    pub(crate) bodies: BTreeMap<String, (String, bool)>,
    /// By name, the parameters in paths.
    pub(crate) paths: BTreeMap<String, Field>,
    /// By method and path, the parameters in the query.
    pub(crate) queries: BTreeMap<String, Vec<Field>>,
    types: BTreeMap<String, Type>,
    /// Lines that are no fact, with their number; a test holds it empty for the tables that are shipped.
    pub(crate) faults: Vec<String>,
}

/// An operation of a REST API.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Status, and the kind of the answer's body; empty where there is none.
    pub(crate) answers: Vec<(String, String)>,
}

/// A named type: fields, or one kind of value with constraints of its own (the field `=`).
type Type = Vec<Field>;

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    kind: String,
    constraints: Vec<String>,
}

impl Field {
    fn read(cells: &[&str]) -> Option<Self> {
        let [name, kind, constraints @ ..] = cells else {
            return None;
        };
        Some(Self {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            constraints: constraints.iter().map(|it| (*it).to_owned()).collect(),
        })
    }
}

/// How a type that a field has is written into its schema.
#[derive(Clone, Copy)]
enum Types {
    /// The whole type, as a structural schema must have it.
    Whole,
    /// `$ref` to `components.schemas`.
    Reference,
}

/// Constraints that are a flag or `key=value`, and the keyword of a schema that each one is.
const KEYWORDS: [(&str, &str); 10] = [
    ("default", "default"),
    ("enum", "enum"),
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("min-length", "minLength"),
    ("max-length", "maxLength"),
    ("min-items", "minItems"),
    ("max-items", "maxItems"),
    ("max-properties", "maxProperties"),
    ("validations", "x-kubernetes-validations"),
];

impl Table {
    /// Reads a table. A line that is no fact is left out and remembered: see the tests of this crate.
    pub(crate) fn read(text: &str) -> Self {
        let mut table = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let cells: Vec<&str> = line.split('\t').collect();
            if !table.fact(&cells) {
                table.faults.push(format!("line {}: {line}", number + 1));
            }
        }
        table
    }

    fn fact(&mut self, cells: &[&str]) -> bool {
        match cells {
            ["crd", kind, facts @ ..] => {
                let facts: Option<BTreeMap<String, String>> = facts
                    .iter()
                    .map(|it| it.split_once('='))
                    .map(|it| it.map(|(key, value)| (key.to_owned(), value.to_owned())))
                    .collect();
                let known = facts.is_some();
                self.crds
                    .insert((*kind).to_owned(), facts.unwrap_or_default());
                known
            }
            ["column", kind, name, sort, path, priority] => {
                let column = [name, sort, path, priority].map(|it| (*it).to_owned());
                self.columns
                    .entry((*kind).to_owned())
                    .or_default()
                    .push(column);
                true
            }
            ["route", method, path, answers @ ..] => {
                let answers = answers.iter().map(|it| {
                    let (status, kind) = it.split_once('=')?;
                    Some((status.to_owned(), kind.to_owned()))
                });
                let Some(answers) = answers.collect() else {
                    return false;
                };
                self.routes.push(Route {
                    method: (*method).to_owned(),
                    path: (*path).to_owned(),
                    answers,
                });
                true
            }
            ["body", route, kind, required] => {
                let body = ((*kind).to_owned(), *required == "required");
                self.bodies.insert((*route).to_owned(), body);
                true
            }
            ["path", cells @ ..] => match Field::read(cells) {
                Some(field) => self.paths.insert(field.name.clone(), field).is_none(),
                None => false,
            },
            ["query", route, cells @ ..] => {
                let field = Field::read(cells);
                let known = field.is_some();
                self.queries
                    .entry((*route).to_owned())
                    .or_default()
                    .extend(field);
                known
            }
            [owner, cells @ ..] => {
                let field = Field::read(cells);
                let known = field.is_some();
                self.types
                    .entry((*owner).to_owned())
                    .or_default()
                    .extend(field);
                known
            }
            [] => false,
        }
    }

    /// The kinds that the table has a `CustomResourceDefinition` of, in the order of the alphabet.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.crds.keys().map(String::as_str)
    }

    /// The structural schema of a whole object of `kind`, without descriptions; `None` for a kind that is not in the
    /// table.
    pub fn schema(&self, kind: &str) -> Option<Value> {
        let known = self.types.contains_key(kind);
        known.then(|| self.named(kind, Types::Whole))
    }

    /// Each type by its name, with references to the others.
    pub(crate) fn components(&self) -> Value {
        let named = |name: &String| (name.clone(), self.named(name, Types::Reference));
        self.types.keys().map(named).collect()
    }

    /// A kind of value, with references to the types in it.
    pub(crate) fn reference(&self, kind: &str) -> Value {
        self.kind(kind, Types::Reference)
    }

    /// A parameter's kind and constraints.
    pub(crate) fn field_reference(&self, field: &Field) -> Value {
        self.field(field, Types::Reference)
    }

    fn named(&self, name: &str, types: Types) -> Value {
        let Some(fields) = self.types.get(name) else {
            // A name that is nowhere allows nothing: a test finds it, and so does whoever meets it.
            return json!({"type": format!("the table has no type `{name}`")});
        };
        if let [only] = fields.as_slice()
            && only.name == "="
        {
            // The constraints are those of the whole: they must stand beside its fields.
            let mut schema = if self.types.contains_key(&only.kind) {
                self.named(&only.kind, types)
            } else {
                self.kind(&only.kind, types)
            };
            only.constraints
                .iter()
                .for_each(|it| constrain(&mut schema, it));
            return schema;
        }
        let mut properties = Map::new();
        let mut required = BTreeSet::new();
        for field in fields {
            if field.constraints.iter().any(|it| it == "required") {
                required.insert(field.name.as_str());
            }
            properties.insert(field.name.clone(), self.field(field, types));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    fn field(&self, field: &Field, types: Types) -> Value {
        let mut schema = self.kind(&field.kind, types);
        if schema.get("$ref").is_some() && field.constraints.iter().any(|it| it != "required") {
            // What stands beside `$ref` is not looked at.
            schema = json!({"allOf": [schema]});
        }
        for constraint in &field.constraints {
            constrain(&mut schema, constraint);
        }
        schema
    }

    fn kind(&self, kind: &str, types: Types) -> Value {
        if kind.contains('|') {
            let members: Vec<Value> = kind.split('|').map(|it| self.kind(it, types)).collect();
            return json!({"anyOf": members});
        }
        let within = |open: char, close: char| {
            kind.strip_prefix(open)
                .and_then(|rest| rest.strip_suffix(close))
        };
        if let Some(items) = within('[', ']') {
            return json!({"type": "array", "items": self.kind(items, types)});
        }
        if let Some(values) = within('{', '}') {
            return json!({"type": "object", "additionalProperties": self.kind(values, types)});
        }
        let (name, format) = kind
            .split_once(':')
            .map_or((kind, None), |(name, format)| (name, Some(format)));
        let mut schema = match name {
            "string" | "integer" | "number" | "boolean" | "object" => json!({"type": name}),
            "int-or-string" => json!({
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "x-kubernetes-int-or-string": true,
            }),
            "any" => json!({"x-kubernetes-preserve-unknown-fields": true}),
            _ => match types {
                Types::Whole => self.named(name, types),
                Types::Reference => json!({"$ref": format!("#/components/schemas/{name}")}),
            },
        };
        if let Some(format) = format {
            schema["format"] = json!(format);
        }
        schema
    }

    /// Names of types that a field has and the table has not.
    #[cfg(test)]
    pub(crate) fn unknown_types(&self) -> Vec<String> {
        let scalars = [
            "string",
            "integer",
            "number",
            "boolean",
            "object",
            "int-or-string",
            "any",
        ];
        self.types
            .values()
            .flatten()
            .flat_map(|field| field.kind.split('|'))
            .map(|kind| kind.trim_matches(['[', ']', '{', '}']))
            .map(|kind| kind.split(':').next().unwrap_or(kind))
            .filter(|kind| !scalars.contains(kind) && !self.types.contains_key(*kind))
            .map(str::to_owned)
            .collect()
    }
}

fn constrain(schema: &mut Value, constraint: &str) {
    let (key, value) = constraint.split_once('=').unwrap_or((constraint, ""));
    match key {
        "nullable" => schema["nullable"] = json!(true),
        "closed" => schema["additionalProperties"] = json!(false),
        "others" => schema["additionalProperties"] = json!({"type": value}),
        "more" => schema["additionalProperties"] = json!(true),
        "open" => schema["x-kubernetes-preserve-unknown-fields"] = json!(true),
        "pattern" => schema["pattern"] = json!(value),
        "map" => schema["x-kubernetes-map-type"] = json!(value),
        "list" => {
            let (sort, keys) = value.split_once(':').unwrap_or((value, ""));
            schema["x-kubernetes-list-type"] = json!(sort);
            if !keys.is_empty() {
                let keys: Vec<&str> = keys.split(',').collect();
                schema["x-kubernetes-list-map-keys"] = json!(keys);
            }
        }
        _ => {
            let keyword = KEYWORDS.iter().find(|(name, _)| *name == key);
            if let Some((_, keyword)) = keyword {
                schema[*keyword] = serde_json::from_str(value).unwrap_or(Value::Null);
            }
        }
    }
}
