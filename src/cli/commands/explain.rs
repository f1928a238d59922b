//! `arcctl explain`: what a key of the profile is.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    error::{Error, ErrorKind, Result, System},
    report::explain::{self, Unknown},
    terminal::output::Output,
};

/// Explain a key of the profile: type, default, allowed values, an example; without KEY the whole profile
#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// For example `pools.scaling.metrics`
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// List all keys below it
    #[arg(long)]
    recursive: bool,
}

/// Prints the explanation.
pub(crate) fn run(args: &ExplainArgs, output: Output) -> Result<u8> {
    let key = args.key.as_deref().unwrap_or_default();
    let explained = explain::explain(key).map_err(|it| unknown(&it))?;
    if output.is_json() {
        let mut document = json!({"schema": "arcctl.explain/v1"});
        let fields = serde_json::to_value(&explained).unwrap_or_default();
        if let (Value::Object(document), Value::Object(fields)) = (&mut document, fields) {
            document.extend(fields);
        }
        document["error"] = Value::Null;
        output.document(&document);
    } else if args.recursive {
        output.generated(&explain::tree(key).map_err(|it| unknown(&it))?);
    } else {
        output.generated(&explained.text());
    }
    Ok(0)
}

fn unknown(unknown: &Unknown) -> Error {
    let hint = match unknown {
        Unknown::Key {
            similar: Some(similar),
            ..
        } => format!("did you mean `{similar}`?"),
        Unknown::Key { known, .. } => format!("it has {}", known.join(", ")),
        Unknown::PassedOn(_) => "see the documentation of the chart, or of the pod".into(),
    };
    Error::new(ErrorKind::Usage, System::Local, unknown.to_string()).hint(hint)
}
