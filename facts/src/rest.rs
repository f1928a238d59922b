//! Converts a table to a REST API as an `OpenAPI` document: routes, parameters, bodies and responses, with types.

use serde_json::{Value, json};

use crate::{Table, table::Route};

/// The operations of a table and their types, as `paths` and `components.schemas`.
pub(crate) fn document(table: &Table) -> Value {
    let mut document = json!({"paths": {}, "components": {"schemas": table.components()}});
    for Route {
        method,
        path,
        answers,
    } in &table.routes
    {
        let mut responses = json!({});
        for (status, kind) in answers {
            responses[status] = if kind.is_empty() {
                json!({})
            } else {
                content(&table.reference(kind))
            };
        }
        let label = format!("{method} {path}");
        let mut operation =
            json!({"responses": responses, "parameters": parameters(table, path, &label)});
        if let Some((kind, required)) = table.bodies.get(&label) {
            let mut body = content(&table.reference(kind));
            body["required"] = json!(required);
            operation["requestBody"] = body;
        }
        document["paths"][path][method.to_lowercase()] = operation;
    }
    document
}

fn content(schema: &Value) -> Value {
    json!({"content": {"application/json": {"schema": schema}}})
}

fn parameters(table: &Table, path: &str, label: &str) -> Vec<Value> {
    let in_path = path
        .split('/')
        .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = table.paths.get(name).map(|it| table.field_reference(it));
            json!({"in": "path", "name": name, "required": true, "schema": schema})
        });
    let in_query = table.queries.get(label).into_iter().flatten().map(
        |field| json!({"in": "query", "name": field.name, "schema": table.field_reference(field)}),
    );
    in_path.chain(in_query).collect()
}
