//! Writes a profile as people write it: its keys in the usual order, short values in one line. What is quoted, and how, is up to
//! the library. Pure: no I/O.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use serde_saphyr::{FlowMap, FlowSeq};

use crate::error::{Error, Result, System};

/// The order of keys; those that are not listed follow, by name.
const ORDER: [&str; 46] = [
    "apiVersion",
    "name",
    "from",
    "to",
    "cluster",
    "eks",
    "region",
    "context",
    "github",
    "url",
    "enterprise",
    "organization",
    "repository",
    "token",
    "app",
    "id",
    "installationId",
    "privateKey",
    "tokenOwner",
    "certManager",
    "controller",
    "release",
    "namespace",
    "chartVersion",
    "charts",
    "aws",
    "pools",
    "instanceType",
    "image",
    "labels",
    "group",
    "min",
    "max",
    "scaling",
    "metrics",
    "type",
    "scaleUp",
    "scaleDown",
    "threshold",
    "scaleDownDelay",
    "schedule",
    "timeZone",
    "windows",
    "containerMode",
    "sharedTmp",
    "resources",
];

/// The longest flow collection, in characters.
const SHORT: usize = 90;

/// A profile as YAML.
pub(crate) fn text(profile: &Map<String, Value>) -> Result<String> {
    // Lists are indented, and a long text stays in its line.
    let options = serde_saphyr::ser_options! {
        compact_list_indent: false,
        folded_wrap_chars: usize::MAX,
    };
    let block = Block {
        map: profile,
        indent: 0,
    };
    serde_saphyr::to_string_with_options(&block, options).map_err(|error| {
        Error::failed(System::Local, "the profile cannot be written as YAML")
            .cause(error)
            .hint("report this as a bug")
    })
}

fn ordered(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |key: &str| {
        ORDER
            .iter()
            .position(|it| *it == key)
            .unwrap_or(ORDER.len())
    };
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| place(key));
    entries
}

/// A map with a line, or more, for each key.
struct Block<'a> {
    map: &'a Map<String, Value>,
    /// That of its keys, in spaces.
    indent: usize,
}

impl Serialize for Block<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let indent = self.indent;
        let entries = ordered(self.map).into_iter();
        serializer.collect_map(entries.map(|(key, value)| (key, Entry { value, indent })))
    }
}

/// The value of a key.
struct Entry<'a> {
    value: &'a Value,
    /// That of the key.
    indent: usize,
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { value, indent } = *self;
        match value {
            Value::Object(map) if !map.is_empty() && (indent < 2 || is_long(value)) => Block {
                map,
                indent: indent + 2,
            }
            .serialize(serializer),
            Value::Array(items) if is_list(items, indent) || is_long(value) => {
                serializer.collect_seq(items.iter().map(|value| Item { value, indent }))
            }
            value => InLine(value).serialize(serializer),
        }
    }
}

/// Whether a list has a line for each item, however short it is.
fn is_list(items: &[Value], indent: usize) -> bool {
    indent < 6 && items.iter().any(Value::is_object)
}

/// An item of a list.
struct Item<'a> {
    value: &'a Value,
    /// That of the key of the list.
    indent: usize,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { value, indent } = *self;
        match value {
            Value::Object(map) if indent == 0 || is_long(value) => Block {
                map,
                indent: indent + 4,
            }
            .serialize(serializer),
            value => InLine(value).serialize(serializer),
        }
    }
}

/// Whether a value is too long for one line.
fn is_long(value: &Value) -> bool {
    let text = serde_saphyr::to_string(&InLine(value)).unwrap_or_default();
    text.trim_end().chars().count() > SHORT
}

/// A value in one line.
struct InLine<'a>(&'a Value);

impl Serialize for InLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Only the outermost: the hint of an inner one would hold for what comes after it.
        match self.0 {
            Value::Object(_) => FlowMap(Plain(self.0)).serialize(serializer),
            Value::Array(_) => FlowSeq(Plain(self.0)).serialize(serializer),
            value => value.serialize(serializer),
        }
    }
}

/// A value with its keys in the usual order.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let entries = ordered(map).into_iter();
                serializer.collect_map(entries.map(|(key, value)| (key, Plain(value))))
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Plain)),
            value => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let value = json!({
            "name": "x", "apiVersion": "arcctl.dev/v1", "empty": {}, "none": [],
            "pools": [
                {"name": "a", "min": 1, "image": "i:1", "labels": ["on", "1"],
                 "template": {"volumes": [{"name": "a", "hostPath": {"path": "/a very long path, so that it does not fit into one line of the file"}}],
                    "text": "two\nlines", "number": 1.5, "yes": true, "no": null}},
                {"name": "b", "min": 2, "image": "i:1", "scaling": {"metrics": [{"type": "T"}, {"type": "U"}]},
                 "schedule": {"windows": [{"name": "w", "from": "22:30", "to": "2026-12-24 18:00"}], "timeZone": "Asia/Seoul"},
                 "env": [{"name": "ON", "value": "off"}], "tolerations": [{"key": "a,b: {c}", "operator": "Exists"}]},
            ],
        });
        let text = text(value.as_object().unwrap()).unwrap();
        assert!(
            text.starts_with("apiVersion: arcctl.dev/v1\nname: x\npools:\n  - name: a\n"),
            "{text}"
        );
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, value, "{text}");
        // Short maps are in one line, and what comes after one is not.
        for line in [
            "  - name: b",
            "    scaling: {metrics: [{type: T}, {type: U}]}",
            "    env:",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        assert!(text.contains("      - {name: "), "{text}");
    }
}
