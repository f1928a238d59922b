//! `arcctl render`: writes everything as files, without network access.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::{
    desired::{Facts, desired, placeholder, render},
    error::{Error, Result, System},
    terminal::{args::GlobalArgs, output::Output, profile_file},
};

/// Write all manifests, chart values and policies as files; needs no network
#[derive(Args)]
pub(crate) struct RenderArgs {
    /// Output directory; files of the same names are overwritten
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the files.
pub(crate) fn run(args: &RenderArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let file = profile_file::read(global, output)?;
    let facts = Facts {
        now: jiff::Timestamp::now(),
        ..Facts::default()
    };
    let rendered = render::files(&file.profile, &facts).map_err(|error| file.invalid(&error))?;
    for (name, text) in &rendered {
        write(&args.directory.join(name), text)?;
    }
    let names: Vec<String> = rendered
        .iter()
        .map(|(name, _)| args.directory.join(name).display().to_string())
        .collect();
    let placeholders =
        placeholder::needed(&desired(&file.profile, &facts).map_err(|error| file.invalid(&error))?);
    if output.is_json() {
        let placeholders: Vec<_> = placeholders
            .iter()
            .map(|it| json!({"name": it.name, "meaning": it.meaning}))
            .collect();
        output.document(&json!({
            "schema": "arcctl.render/v1",
            "profile": file.profile.name,
            "files": names,
            "placeholders": placeholders,
            "error": null,
        }));
    } else {
        output.result(&format!("{}\n", names.join("\n")));
        for placeholder in &placeholders {
            output.note(format!(
                "not known offline: {}: {}",
                placeholder.text(),
                placeholder.meaning
            ));
        }
    }
    Ok(0)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| {
            Error::failed(System::Local, format!("cannot write `{}`", path.display()))
                .object(path.display())
                .cause(error)
                .hint("name a directory that can be written")
        })
}
