//! The commands that the README and the guide show, run in their order in a folder with a profile.

use crate::harness::cluster::{Cluster, Ended};

/// The arguments of each `$ arcctl …` in the console blocks of a document, without comments.
fn commands(document: &str) -> Vec<Vec<String>> {
    let path = format!("{}/{document}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```console\n").skip(1);
    let lines = blocks.flat_map(|it| it.split("```").next().unwrap_or_default().lines());
    lines
        .filter_map(|it| it.strip_prefix("$ arcctl "))
        .map(|it| {
            let command = it.split('#').next().unwrap_or_default();
            command.split_whitespace().map(str::to_owned).collect()
        })
        .collect()
}

/// Commands that ask questions have tests of their own, at a terminal. For the confirmation `--yes` is the answer.
fn run(cluster: &Cluster, command: &[String]) -> Ended {
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    if matches!(arguments.first(), Some(&("up" | "teardown"))) {
        arguments.push("--yes");
    }
    let folder = cluster.file("arcctl.yaml", &profile(cluster));
    let output = cluster
        .command(&arguments, &[])
        .current_dir(folder.parent().unwrap())
        .output()
        .unwrap();
    let ended = Ended::new(&output);
    cluster.keep(&ended);
    ended
}

fn profile(cluster: &Cluster) -> String {
    std::fs::read_to_string(cluster.profile("documents", &[])).unwrap()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn each_command_that_the_readme_and_the_guide_show_ends_with_0() {
    let cluster = Cluster::fast();
    let mut ran = Vec::new();
    for document in ["README.md", "docs/guide.md"] {
        for command in commands(document) {
            if command[0] == "init" {
                continue;
            }
            let ended = run(&cluster, &command);
            assert_eq!(
                ended.code,
                0,
                "{document}: arcctl {}\n{}",
                command.join(" "),
                ended.stderr
            );
            ran.push(command[0].clone());
        }
    }
    ran.sort();
    ran.dedup();
    let all = ["plan", "render", "schedule", "status", "teardown", "up"];
    assert_eq!(ran, all, "a document has fewer commands than before");
    cluster.finish();
}
