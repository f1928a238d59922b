//! `arcctl init`, from an empty folder: at a terminal, by flags, and in odd worlds.

mod asked;
mod by_hand;
mod worlds;

use std::path::PathBuf;

use crate::harness::{cluster::Cluster, terminal::Terminal};

/// An empty folder for a profile.
pub(crate) fn folder(cluster: &Cluster, name: &str) -> PathBuf {
    let path = cluster.file(name, "");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    path
}

/// `arcctl init` with `arguments` at a terminal, in `folder`.
pub(crate) fn at_terminal(
    cluster: &Cluster,
    folder: &std::path::Path,
    arguments: &[&str],
    columns: u16,
) -> Terminal {
    let all = [&["init"], arguments].concat();
    arcctl_at_terminal(cluster, folder, &all, columns)
}

/// `arcctl` with `arguments` at a terminal, in `folder`.
pub(crate) fn arcctl_at_terminal(
    cluster: &Cluster,
    folder: &std::path::Path,
    arguments: &[&str],
    columns: u16,
) -> Terminal {
    let mut command = cluster.command(arguments, &[("TZ", "Asia/Seoul")]);
    command.current_dir(folder);
    Terminal::start(&command, columns)
}

/// The answer to a question in the document of `init`.
#[track_caller]
pub(crate) fn answer<'a>(document: &'a serde_json::Value, question: &str) -> &'a str {
    let all = document["answers"].as_array().unwrap();
    let one = all.iter().find(|it| it["question"] == question);
    let one = one.unwrap_or_else(|| panic!("no answer to {question}: {document:#}"));
    one["answer"].as_str().unwrap()
}
