//! Masks secrets in JSON: by key names, by the names of list entries, by the kind of the object, and by the format of
//! each text. Pure: no I/O.

use serde_json::{Map, Value};

use super::{
    command::secret_parts,
    name::{is_place, is_secret},
    shape::decoded,
    text::{MASK, Manner, masked_document},
};

/// What the path of a value shows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: only its own format decides.
    Open,
    /// Below a key that names a secret: hidden, unless its own key only describes the secret.
    Named,
    /// In the data of a Secret: hidden.
    Sealed,
}

impl Standing {
    /// The standing of the value of `key`.
    pub(crate) fn below(self, key: &str) -> Self {
        match self {
            Self::Sealed => Self::Sealed,
            _ if is_secret(key) => Self::Named,
            Self::Named if !is_place(key) => Self::Named,
            Self::Named | Self::Open => Self::Open,
        }
    }

    /// The standing of the value of `key` in a map with a name field: `{name: DB_PASSWD, value: …}`.
    pub(crate) fn of_entry(self, key: &str, named: Option<&str>) -> Self {
        match named {
            Some(name) if VALUES.contains(&key) => self.below(name),
            _ => self.below(key),
        }
    }

    /// The standing of a path in an object: `spec.env[DB_PASSWD].value`.
    pub(crate) fn at(path: &str) -> Self {
        let mut standing = Self::Open;
        let mut entry = None;
        for step in path.split('.') {
            let (key, name) = step.split_once('[').unzip();
            let key = key.unwrap_or(step);
            standing = standing.of_entry(key, entry);
            entry = name.map(|it| it.trim_end_matches(']'));
        }
        standing
    }

    /// Whether every text here is hidden.
    pub(crate) fn hides(self) -> bool {
        self != Self::Open
    }
}

/// The keys that hold the name of a list entry, and those that hold its value.
pub(super) const NAMES: [&str; 6] = ["name", "Name", "key", "Key", "header", "variable"];
pub(super) const VALUES: [&str; 4] = ["value", "Value", "default", "defaultValue"];

/// The keys of a Secret that hold its data.
pub(super) const DATA: [&str; 2] = ["data", "stringData"];

/// Masks secrets in `value`, strictly: for files that users share.
pub(crate) fn redacted(value: &Value) -> Value {
    hidden(value, Standing::Open, Manner::Strict)
}

/// Masks secrets in a document that a command prints.
pub(crate) fn told(value: &Value) -> Value {
    hidden(value, Standing::Open, Manner::Lenient)
}

/// Masks secrets in a value with a known standing.
pub(crate) fn hidden(value: &Value, standing: Standing, manner: Manner) -> Value {
    match value {
        Value::String(text) if standing.hides() && !text.is_empty() => MASK.into(),
        Value::String(text) => text_of(text, manner).into(),
        // Only numbers of 4 or more digits, such as a PIN; counts and ports may be shorter.
        Value::Number(number) if standing.hides() && number.to_string().len() > 3 => MASK.into(),
        Value::Array(list) => list_of(&[], list, standing, manner),
        Value::Object(map) => map_of(map, standing, manner),
        other => other.clone(),
    }
}

/// The name in a map of a name and a value.
pub(crate) fn named(map: &Map<String, Value>) -> Option<&str> {
    VALUES
        .iter()
        .any(|it| map.contains_key(*it))
        .then(|| NAMES.iter().find_map(|it| map.get(*it)?.as_str()))?
}

fn map_of(map: &Map<String, Value>, standing: Standing, manner: Manner) -> Value {
    let is_secret_object = map.get("kind").and_then(Value::as_str) == Some("Secret");
    let named = named(map);
    let entry = |(key, value): (&String, &Value)| {
        let standing = if is_secret_object && DATA.contains(&key.as_str()) {
            Standing::Sealed
        } else {
            standing.of_entry(key, named)
        };
        let shown = match (key.as_str(), value, map.get("command")) {
            // `command` and `args` form one command line.
            ("args", Value::Array(list), Some(Value::Array(before))) => {
                list_of(before, list, standing, manner)
            }
            _ => hidden(value, standing, manner),
        };
        (masked_document(key, manner).into_owned(), shown)
    };
    map.iter().map(entry).collect()
}

/// Masks a list: the word after a secret flag is hidden. `before` holds the words that precede the list.
fn list_of(before: &[Value], list: &[Value], standing: Standing, manner: Manner) -> Value {
    let words: Vec<&str> = before
        .iter()
        .chain(list)
        .map(|it| it.as_str().unwrap_or_default())
        .collect();
    let parts = secret_parts(&words);
    let mut flagged = before.last().is_some_and(is_secret_flag);
    let entry = |(value, part): (&Value, &Option<usize>)| {
        let hides = std::mem::take(&mut flagged) && !value.is_array() && !value.is_object();
        flagged = is_secret_flag(value);
        let is_flag = value.as_str().is_some_and(|it| it.starts_with('-'));
        if hides && !is_flag {
            return hidden(value, Standing::Named, manner);
        }
        match (value.as_str(), part) {
            (Some(text), Some(at)) => {
                format!("{}{MASK}", text.get(..*at).unwrap_or_default()).into()
            }
            _ => hidden(value, standing, manner),
        }
    };
    let parts = parts.iter().skip(before.len());
    list.iter().zip(parts).map(entry).collect()
}

/// Whether the next word of the command is a secret.
fn is_secret_flag(value: &Value) -> bool {
    let flag = value
        .as_str()
        .filter(|it| it.starts_with('-') && !it.contains('='));
    flag.is_some_and(|it| is_secret(it.trim_start_matches('-')))
}

/// Masks a text, which may itself be JSON, also in base64.
fn text_of(text: &str, manner: Manner) -> String {
    let trimmed = text.trim();
    if trimmed.starts_with(['{', '['])
        && let Ok(document) = serde_json::from_str::<Value>(trimmed)
    {
        let shown = hidden(&document, Standing::Open, manner);
        return if shown == document {
            text.to_owned()
        } else {
            shown.to_string()
        };
    }
    if trimmed.len() >= 16
        && let Some(inner) = decoded(trimmed)
        && inner.contains(['{', ':', '=', '\n'])
        && text_of(&inner, manner) != inner
    {
        return MASK.to_owned();
    }
    masked_document(text, manner).into_owned()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_map_is_hidden_by_its_key_but_for_what_describes_it() {
        let values = json!({
            "githubWebhookServer": {"secret": {
                "create": true, "name": "hook", "github_webhook_secret_token": "hunter2",
            }},
            "authSecret": {"github_token": "hunter2", "name": "controller-manager"},
            "tokens": ["hunter2", "hunter2"],
            "db": {"password": {"inline": "hunter2"}, "pin": 7},
            "credentials": {"user": "me", "anything": "hunter2", "number": 12_345},
        });
        let shown = redacted(&values);
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert!(!shown.to_string().contains("12345"), "{shown}");
        assert_eq!(shown["githubWebhookServer"]["secret"]["name"], "hook");
        assert_eq!(shown["githubWebhookServer"]["secret"]["create"], true);
        assert_eq!(shown["authSecret"]["name"], "controller-manager");
    }

    #[test]
    fn an_entry_is_hidden_by_the_name_that_it_gives_itself() {
        let list = json!([
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "hunter2"},
            {"key": "db_passwd", "value": "hunter2"},
            {"name": "Authorization", "value": "hunter2"},
            {"name": "PLAIN", "value": "shown"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]);
        let shown = redacted(&list);
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert_eq!(shown[3], list[3]);
        assert_eq!(shown[4], list[4]);
    }

    #[test]
    fn the_data_of_a_secret_is_hidden_whatever_its_keys_are() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "a"}, "data": {"name": "aHVudGVy", "x": "eA=="}});
        let shown = redacted(&secret);
        assert_eq!(shown["data"], json!({"name": MASK, "x": MASK}));
        assert_eq!(shown["metadata"], secret["metadata"]);
        let map = json!({"kind": "ConfigMap", "data": {"mode": "fast", "db.password": "hunter2"}});
        assert_eq!(
            redacted(&map)["data"],
            json!({"mode": "fast", "db.password": MASK})
        );
    }

    #[test]
    fn arguments_and_documents_in_texts_are_looked_into() {
        let encoded = STANDARD.encode(r#"{"auths": {"r": {"auth": "aHVudGVyMg=="}}}"#);
        let value = json!({
            "args": ["--user", "me", "--password", "hunter2", "--api-key=hunter2"],
            "config": r#"{"auths": {"r": {"username": "me", "password": "hunter2"}}}"#,
            "yaml": "db:\n  password: hunter2 and more\n",
            "encoded": encoded,
        });
        let shown = redacted(&value).to_string();
        assert!(
            !shown.contains("hunter2") && !shown.contains(&encoded),
            "{shown}"
        );
        assert!(shown.contains("--user") && shown.contains("me"), "{shown}");
    }

    #[test]
    fn a_path_says_what_a_whole_object_says() {
        for path in [
            "spec.template.spec.containers[runner].env[DB_PASSWD].value",
            "authSecret.github_token",
            "secret.anything",
        ] {
            assert!(Standing::at(path).hides(), "{path}");
        }
        for path in [
            "spec.template.spec.containers[secret-sync].image",
            "spec.imagePullSecrets[0].name",
            "spec.template.spec.volumes[token].secret.secretName",
            "metadata.annotations.arcctl.dev/secret-version",
            "spec.automountServiceAccountToken.name",
        ] {
            assert!(!Standing::at(path).hides(), "{path}");
        }
    }
}
