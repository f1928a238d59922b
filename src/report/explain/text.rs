//! An explained key as text. Pure: no I/O.

use std::fmt::Write as _;

use serde_json::Value;

use super::Explained;

/// The width of the text.
pub(super) const WIDTH: usize = 80;

impl Explained {
    /// The text for people, at most 80 columns wide but for examples.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut head = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<10}{value}");
        };
        if !self.key.is_empty() {
            head("KEY", &self.key);
            head("TYPE", &self.kind);
            head("REQUIRED", if self.required { "yes" } else { "no" });
            if let Some(rule) = &self.rule {
                head("RULE", wrapped(rule, 10).trim_start());
            }
            if !self.default.is_null() {
                head("DEFAULT", &short(&self.default));
            }
            text.push('\n');
        }
        text.push_str(&wrapped(&self.description, 0));
        text.push('\n');
        let values = self.values.iter();
        let values: Vec<_> = values
            .map(|it| (it.value.clone(), it.meaning.clone()))
            .collect();
        listed(&mut text, "VALUES", &values);
        let keys = self.keys.iter().map(|it| {
            let needed = if it.required { ", required" } else { "" };
            let name = format!("{} <{}{needed}>", it.name, it.kind);
            (name, it.description.clone())
        });
        listed(&mut text, "KEYS", &keys.collect::<Vec<_>>());
        if let Some(file) = self.example_file {
            let yaml = serde_saphyr::to_string(&self.example).unwrap_or_default();
            let _ = writeln!(text, "\nEXAMPLE ({file})");
            for line in yaml.trim_end().lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }
}

/// A heading, and below it each name with its meaning.
fn listed(text: &mut String, heading: &str, entries: &[(String, String)]) {
    if entries.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{heading}");
    for (name, meaning) in entries {
        let _ = writeln!(text, "  {name}");
        if !meaning.is_empty() {
            let _ = writeln!(text, "{}", wrapped(meaning, 6));
        }
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `text` in lines of at most 80 columns, each after `indent` blanks.
fn wrapped(text: &str, indent: usize) -> String {
    let blanks = " ".repeat(indent);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = indent + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && longer > WIDTH {
            lines.push(format!("{blanks}{line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(format!("{blanks}{line}"));
    }
    lines.join("\n")
}
