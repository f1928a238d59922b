//! `arcctl-sandbox commit`: pushes a file to the simulated GitHub.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use crate::say;

/// The arguments of `commit`.
#[derive(Args)]
pub(crate) struct CommitArgs {
    /// The workflow; its name there is that of the file
    file: PathBuf,
    /// The repository, OWNER/NAME
    #[arg(long, default_value = "dogecompany/app")]
    repository: String,
    /// The simulated GitHub; that of the sandbox's environment without
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Commits a workflow to the default branch of a simulated repository.
pub(crate) async fn run(args: CommitArgs) -> Result<ExitCode> {
    let path = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read `{path}`"))?;
    let name = args.file.file_name().and_then(|it| it.to_str());
    let name = name.with_context(|| format!("`{path}` names no file"))?;
    let body = json!({"repository": args.repository, "file": name, "text": text});
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .no_proxy()
        .build()?;
    let server = match args.url {
        Some(url) => url,
        None => std::env::var("ARCCTL_SANDBOX_GITHUB_URL").context(
            "no sandbox's environment is here: run it in `arcctl-sandbox run`, or give `--url`",
        )?,
    };
    let url = format!("{server}/_sandbox/workflows");
    let answer = client
        .put(&url)
        .json(&body)
        .send()
        .await
        .with_context(|| format!("no sandbox answers at `{server}`"))?;
    if !answer.status().is_success() {
        bail!(
            "the simulated GitHub refuses `{path}`: {}",
            answer.text().await?
        );
    }
    say(&format!(
        "simulated: {name} is in the default branch of {}",
        args.repository
    ));
    Ok(ExitCode::SUCCESS)
}
