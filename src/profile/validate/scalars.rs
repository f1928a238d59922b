//! Checks texts, numbers and choices against the schema. Pure.

use serde_json::{Map, Value, json};

use super::{
    Walk,
    describe::{name, shown, similar},
    meaning,
    recovery::neutral,
    suggestion,
};
use crate::profile::{
    path::Path,
    schema,
    yaml::{Content, Meaning, Node, Position},
};

impl Walk {
    pub(super) fn text(
        &mut self,
        node: &Node,
        at: Position,
        schema: &'static Value,
        path: &Path,
    ) -> Value {
        let Some(Meaning::Text(text)) = meaning(node) else {
            return self.wrong_type(node, at, "text", schema, path);
        };
        let rule = |key: &str| schema.get(key).and_then(Value::as_str);
        let says = rule("patternErrorMessage");
        let short = schema
            .get("minLength")
            .and_then(Value::as_u64)
            .is_some_and(|least| (text.len() as u64) < least);
        let fits = rule("pattern")
            .and_then(schema::pattern)
            .is_none_or(|pattern| pattern.is_match(text));
        if short || !fits {
            let wanted = says.unwrap_or("some text");
            let message = match shown(node, path) {
                Some(value) => format!("{} is {value} and must be {wanted}", name(path)),
                None => format!("{} must be {wanted}", name(path)),
            };
            // Do not repeat a possible secret.
            let meant = shown(node, path).and_then(|_| suggestion::meant(text, schema));
            let hint = meant.map(|it| format!("did you mean `{it}`?"));
            self.report(node.span.start, path, message, hint.as_deref());
            // Only durations are parsed by their type.
            let duration = says.is_some_and(|says| says.contains("duration"));
            return if duration {
                neutral(schema, path)
            } else {
                json!(text)
            };
        }
        json!(text)
    }

    pub(super) fn number(
        &mut self,
        node: &Node,
        at: Position,
        kind: &str,
        schema: &'static Value,
        path: &Path,
    ) -> Value {
        let value = match meaning(node) {
            Some(Meaning::Whole(whole)) => json!(whole),
            Some(Meaning::Number(number)) if kind == "number" => json!(number),
            _ => {
                let wanted = if kind == "integer" {
                    "a whole number"
                } else {
                    "a number"
                };
                return self.wrong_type(node, at, wanted, schema, path);
            }
        };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let number = value.as_f64().unwrap_or_default();
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("from {least} to {most}"),
                (Some(least), None) => format!("at least {least}"),
                (None, most) => format!("at most {}", most.unwrap_or_default()),
            };
            self.report(
                node.span.start,
                path,
                format!("{} is {value} and must be {range}", name(path)),
                None,
            );
            return neutral(schema, path);
        }
        value
    }

    /// An enum of words, or a map with more settings.
    pub(super) fn choice(
        &mut self,
        node: &Node,
        at: Position,
        schema: &'static Value,
        path: &Path,
    ) -> Value {
        let options = || {
            schema
                .get("oneOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let words: Vec<&str> = options()
            .filter_map(|option| option.get("const")?.as_str())
            .collect();
        if let Content::Map(_) = &node.value
            && let Some(option) = options().find(|option| option.get("properties").is_some())
        {
            return self.node(node, at, option, path);
        }
        let Some(Meaning::Text(text)) = meaning(node) else {
            let wanted = format!("one of {}", words.join(", "));
            return self.wrong_type(node, at, &wanted, schema, path);
        };
        if words.contains(&text) {
            return json!(text);
        }
        let maps = options().filter_map(|option| option.get("properties")?.as_object());
        let maps: Vec<&str> = maps.flat_map(Map::keys).map(String::as_str).collect();
        let subject = shown(node, path).unwrap_or_else(|| name(path));
        let (message, hint) = if maps.contains(&text) {
            let message = format!("{subject} needs parameters");
            (message, format!("write `{text}: {{…}}`"))
        } else {
            let known = words.iter().map(|word| format!("`{word}`"));
            let known = known.chain(maps.iter().map(|key| format!("`{key}: {{…}}`")));
            let hint = match similar(text, &words) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("write {}", known.collect::<Vec<_>>().join(", ")),
            };
            (format!("{subject} is not a valid value"), hint)
        };
        self.report(node.span.start, path, message, Some(&hint));
        neutral(schema, path)
    }
}
