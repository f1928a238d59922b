//! arcctl as a step of GitHub Actions, end to end: the log, the step's summary and its outputs.

use std::path::Path;

use crate::harness::cluster::{Cluster, Ended};

/// What a step leaves behind.
pub(crate) struct Step {
    pub(crate) ended: Ended,
    pub(crate) summary: String,
    pub(crate) outputs: String,
}

/// Runs `arguments` with the profile as a step of a workflow whose repository has the profile at its root.
pub(crate) fn step(cluster: &Cluster, profile: &Path, name: &str, arguments: &[&str]) -> Step {
    let (summary, outputs) = (
        cluster.file(&format!("{name}.summary"), ""),
        cluster.file(&format!("{name}.outputs"), ""),
    );
    let workspace = profile.parent().unwrap().to_str().unwrap();
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_WORKSPACE", workspace),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("GITHUB_OUTPUT", outputs.to_str().unwrap()),
    ];
    let [verb, more @ ..] = arguments else {
        panic!("a step runs a command");
    };
    let profile = profile.to_str().unwrap();
    let arguments = [&[*verb, "-f", profile], more].concat();
    let ended = cluster.arcctl_with(&arguments, &variables);
    let read = |path| std::fs::read_to_string(path).unwrap();
    let step = Step {
        ended,
        summary: read(summary),
        outputs: read(outputs),
    };
    step.holds_for_every_step(cluster);
    step
}

impl Step {
    /// The lines that the runner takes for its own.
    pub(crate) fn commands(&self) -> Vec<&str> {
        let lines = self.ended.stdout.lines().chain(self.ended.stderr.lines());
        lines.filter(|it| it.starts_with("::")).collect()
    }

    fn errors(&self) -> Vec<&str> {
        let commands = self.commands();
        commands
            .into_iter()
            .filter(|it| it.starts_with("::error"))
            .collect()
    }

    /// Every group closed, and no token on the log nor in what is kept.
    fn holds_for_every_step(&self, cluster: &Cluster) {
        let commands = self.commands();
        let token = cluster.world().github().token();
        let mut open = 0;
        for command in &commands {
            match command {
                it if it.starts_with("::group::") => open += 1,
                it if it.starts_with("::endgroup::") => open -= 1,
                _ => {}
            }
            assert!((0..=1).contains(&open), "groups do not nest: {commands:#?}");
        }
        assert_eq!(open, 0, "a group is open at the end: {commands:#?}");
        for kept in [&self.summary, &self.outputs] {
            assert!(!kept.contains(token), "a token is kept");
        }
        let log = [self.ended.stdout.as_str(), self.ended.stderr.as_str()].concat();
        assert!(!log.contains(token), "a token is on the log");
    }
}

/// A first `up`, and one that has nothing to do.
pub(crate) fn a_good_up(cluster: &Cluster, profile: &Path) {
    let first = step(cluster, profile, "first", &["up", "--yes"]);
    assert_eq!(first.ended.code, 0, "{}", first.ended.stderr);
    assert!(first.errors().is_empty(), "{:#?}", first.errors());
    let value = |step: &Step, key: &str| -> usize {
        let lines: Vec<&str> = step.outputs.lines().collect();
        let start = format!("{key}=");
        let found: Vec<&str> = lines
            .iter()
            .filter_map(|it| it.strip_prefix(&start))
            .collect();
        assert_eq!(found.len(), 1, "{lines:?}");
        found[0].parse().unwrap()
    };
    let online = |cluster: &Cluster| {
        let runners = cluster.world().github().runners();
        runners.iter().filter(|it| it.online).count()
    };
    assert!(value(&first, "changed") >= 10, "{}", first.outputs);
    assert_eq!(value(&first, "runners-registered"), online(cluster));
    assert!(online(cluster) >= 2);
    for part in ["### arcctl plan: ", "### arcctl up: "] {
        assert!(first.summary.contains(part), "{}", first.summary);
    }
    assert!(
        first
            .commands()
            .iter()
            .any(|it| it.starts_with("::group::")),
        "{:#?}",
        first.commands()
    );
    let again = step(cluster, profile, "again", &["up", "--yes"]);
    assert_eq!(value(&again, "changed"), 0);
    assert_eq!(value(&again, "runners-registered"), online(cluster));
}

/// A run that ends with pods that find no node: the pool's own line is annotated.
pub(crate) fn a_failed_up(cluster: &Cluster, profile: &Path) {
    let failed = step(cluster, profile, "failed", &["up", "--yes"]);
    assert_eq!(failed.ended.code, 6, "{}", failed.ended.stderr);
    let text = std::fs::read_to_string(profile).unwrap();
    let line = 1 + text
        .lines()
        .position(|it| it.contains("name: basic"))
        .unwrap();
    let errors = failed.errors();
    let file = profile.file_name().unwrap().to_str().unwrap();
    let start = format!("::error file={file},line={line},");
    assert!(
        errors.first().is_some_and(|it| it.starts_with(&start)),
        "the pool's line {line} first: {errors:#?}"
    );
    assert!(errors[0].contains("unschedulable"), "{errors:#?}");
    // Worse comes first.
    let levels: Vec<bool> = failed
        .commands()
        .iter()
        .filter(|it| it.starts_with("::error") || it.starts_with("::warning"))
        .map(|it| it.starts_with("::error"))
        .collect();
    assert!(
        levels.is_sorted_by(|a, b| a >= b),
        "{:#?}",
        failed.commands()
    );
    assert!(
        failed.summary.contains("### arcctl up: "),
        "{}",
        failed.summary
    );
    assert!(
        failed.summary.contains("unschedulable"),
        "{}",
        failed.summary
    );
    assert!(failed.outputs.contains("changed="), "{}", failed.outputs);
}

/// A report with findings: the root is annotated and leads the summary.
pub(crate) fn a_doctor_with_findings(cluster: &Cluster, profile: &Path, root: &str) {
    let found = step(cluster, profile, "doctor", &["doctor"]);
    assert_eq!(found.ended.code, 1, "{}", found.ended.stderr);
    let errors = found.errors();
    assert!(errors[0].contains(root), "{errors:#?}");
    assert!(
        found.summary.contains("### arcctl doctor: "),
        "{}",
        found.summary
    );
    let row = found
        .summary
        .lines()
        .find(|it| it.contains('`') || it.contains("<code>"));
    let rows: Vec<&str> = found
        .summary
        .lines()
        .filter(|it| it.starts_with("| "))
        .collect();
    assert!(row.is_some() && rows.len() > 1, "{}", found.summary);
    let first = rows
        .iter()
        .find(|it| !it.contains("| check |") && !it.starts_with("| --"));
    assert!(
        first.is_some_and(|it| it.contains(root)),
        "{}",
        found.summary
    );
}
