//! A policy document that keeps the original text of other users' statements. Pure: no I/O.

use std::{borrow::Cow, fmt};

use percent_encoding::percent_decode_str;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// Why a text is not a valid policy document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Its percent-encoding is broken.
    #[error("the policy document is not percent-encoded UTF-8")]
    Encoding,
    /// It is not JSON, or not an object.
    #[error("the policy document is not JSON: {0}")]
    Json(String),
    /// It has no statements.
    #[error("the policy document has no `Statement`")]
    NoStatement,
    /// A statement is not an object.
    #[error("a statement of the policy document is not an object")]
    NotAStatement,
}

/// A policy document.
#[derive(Clone, Debug)]
pub struct Document {
    /// The other fields (`Version`, `Id`), as written.
    others: Vec<(String, String)>,
    /// The statements, in order.
    pub statements: Vec<Statement>,
}

/// A statement: its text and its parsed value.
#[derive(Clone, Debug)]
pub struct Statement {
    text: String,
    /// The parsed value.
    pub value: Value,
}

impl Statement {
    /// A statement that arcctl writes.
    pub fn new(value: Value) -> Self {
        Self {
            text: value.to_string(),
            value,
        }
    }

    /// Its `Sid`, if it has one.
    pub fn sid(&self) -> Option<&str> {
        self.value["Sid"].as_str()
    }
}

/// The fields of an object in their order, with their original text.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Document {
    /// A document without statements.
    pub fn empty() -> Self {
        Self {
            others: vec![("Version".into(), "\"2012-10-17\"".into())],
            statements: Vec::new(),
        }
    }

    /// Parses a document as IAM returns it: JSON, percent-encoded or not, with one statement or a list of them.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let decoded;
        let text = if text.trim_start().starts_with('{') {
            text
        } else {
            decoded = percent_decoded(text).ok_or(PolicyError::Encoding)?;
            &decoded
        };
        let json = |error: serde_json::Error| PolicyError::Json(error.to_string());
        let Fields(fields) = serde_json::from_str(text).map_err(json)?;
        let mut document = Self {
            others: Vec::new(),
            statements: Vec::new(),
        };
        let mut found = false;
        for (key, raw) in fields {
            if key != "Statement" {
                document.others.push((key, raw.get().to_owned()));
                continue;
            }
            found = true;
            let texts: Vec<Box<RawValue>> = if raw.get().starts_with('[') {
                serde_json::from_str(raw.get()).map_err(json)?
            } else {
                vec![raw]
            };
            for text in texts {
                let value: Value = serde_json::from_str(text.get()).map_err(json)?;
                if !value.is_object() {
                    return Err(PolicyError::NotAStatement);
                }
                let text = text.get().to_owned();
                document.statements.push(Statement { text, value });
            }
        }
        if found {
            Ok(document)
        } else {
            Err(PolicyError::NoStatement)
        }
    }

    /// The document as JSON without white space between its parts.
    pub fn text(&self) -> String {
        let statements: Vec<String> = self
            .statements
            .iter()
            .map(|it| minified(&it.text))
            .collect();
        let others = self.others.iter().map(|(key, raw)| {
            let key = Value::String(key.clone());
            format!("{key}:{},", minified(raw))
        });
        format!(
            "{{{}\"Statement\":[{}]}}",
            others.collect::<String>(),
            statements.join(",")
        )
    }

    /// How many characters count towards a quota: white space between the parts does not.
    pub fn size(&self) -> usize {
        self.text().chars().count()
    }
}

/// JSON text without the white space outside of its strings.
fn minified(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    text.chars()
        .filter(|character| {
            if inside {
                (inside, escaped) = match character {
                    _ if escaped => (true, false),
                    '\\' => (true, true),
                    '"' => (false, false),
                    _ => (true, false),
                };
                return true;
            }
            inside = *character == '"';
            !character.is_ascii_whitespace()
        })
        .collect()
}

/// Decodes percent-encoding (RFC 3986: a `+` is a plus). A broken escape is an error: the document is written back.
fn percent_decoded(text: &str) -> Option<String> {
    let text = text.trim();
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.ok().map(Cow::into_owned)
}
