//! Tests of documents that several tools write: when arcctl writes them, when a write is complete, and what it reports.

use std::time::Duration;

use super::samples::bucket;
use crate::{
    desired::resource::{Resource, aws::AwsResource},
    resource::{
        aws::{
            consistency::{Verdict, Writes},
            documents::{FRESH, Lateness, Shared},
        },
        observed::Readiness,
    },
};

fn paused(work: impl Future<Output = ()>) {
    super::late_iam::paused().block_on(work);
}

/// A document with statements of these `Sid`s; ours begin with `O`.
fn text(statements: &[&str]) -> String {
    let statements: Vec<String> = statements
        .iter()
        .map(|it| format!(r#"{{"Sid":"{it}"}}"#))
        .collect();
    format!(r#"{{"Statement":[{}]}}"#, statements.join(","))
}

fn shared() -> Shared<'static> {
    Shared {
        key: "r",
        object: "r",
        sid: "O",
        what: "the trust policy of the IAM role `r`".into(),
        shows: "aws iam get-role".into(),
        writes: "aws iam update-assume-role-policy".into(),
        lateness: Lateness::IAM,
    }
}

fn agree() -> Duration {
    Lateness::IAM.agree()
}

/// Whether a read is trusted once it has not changed for long enough, at the interval of a wait loop.
async fn stays(writes: &Writes, shown: &str) -> bool {
    tokio::time::advance(agree() / 2).await;
    let soon = writes.agrees(&shared(), shown);
    tokio::time::advance(agree() / 2).await;
    !soon && writes.agrees(&shared(), shown)
}

/// Reads until the result is trusted: `versions` are returned one second after the other, then `last`.
async fn end(writes: &Writes, versions: &[String], last: &str) -> Option<String> {
    for version in versions {
        tokio::time::advance(Duration::from_secs(1)).await;
        let as_wanted = version.contains(r#""O""#);
        let verdict = writes.judge_document(&shared(), version, as_wanted);
        assert_ne!(verdict, Verdict::Counts, "{version}");
    }
    for _ in 0..40 {
        tokio::time::advance(Duration::from_secs(1)).await;
        if writes.judge_document(&shared(), last, true) == Verdict::Counts {
            return writes.told("r");
        }
    }
    panic!("it never counts");
}

#[test]
fn a_reading_counts_once_it_has_stayed() {
    paused(async {
        let writes = Writes::default();
        assert!(!writes.agrees(&shared(), "a"));
        assert!(!writes.agrees(&shared(), "a"), "too soon");
        assert!(stays(&writes, "a").await);
        // IAM returns the old and the new version in turn.
        assert!(!writes.agrees(&shared(), "b"));
        tokio::time::advance(agree() / 2).await;
        assert!(!writes.agrees(&shared(), "a"));
        assert!(stays(&writes, "a").await);
        let other = Shared {
            key: "other",
            ..shared()
        };
        assert!(!writes.agrees(&other, "a"), "each thing by itself");
    });
}

#[test]
fn readings_with_a_long_gap_do_not_count_together() {
    paused(async {
        let writes = Writes::default();
        // The plan reads, another tool writes, the user confirms, and IAM returns the older version once more.
        assert!(!writes.agrees(&shared(), "older"));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(!writes.agrees(&shared(), "older"));
        assert!(!writes.agrees(&shared(), "older"));
        assert!(!writes.agrees(&shared(), "newer"));
        assert!(stays(&writes, "newer").await);
        // A series of reads that was long enough is too old now as well.
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(!writes.agrees(&shared(), "newer"));
    });
}

#[test]
fn a_wait_reads_often_enough() {
    let role = AwsResource::Role(super::late_iam::role("A"));
    let bucket = AwsResource::BucketPolicy(bucket());
    for (resource, lateness) in [(role, Lateness::IAM), (bucket, Lateness::S3)] {
        let pause = Resource::Aws(resource).longest_interval();
        assert!(pause + FRESH <= lateness.gap(), "{lateness:?}");
        assert!(lateness.gap() <= lateness.agree(), "{lateness:?}");
    }
}

#[test]
fn what_may_be_older_counts_for_nothing() {
    paused(async {
        let writes = Writes::default();
        writes.record_document(&shared(), &text(&["A"]));
        // Before the write another tool had removed `X`, and IAM returns that again.
        let old = text(&["A", "X"]);
        for _ in 0..19 {
            tokio::time::advance(Duration::from_secs(1)).await;
            let verdict = writes.judge_document(&shared(), &old, false);
            assert!(matches!(verdict, Verdict::NotYet(_)));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        let verdict = writes.judge_document(&shared(), &old, false);
        assert_eq!(verdict, Verdict::Counts, "by now it is what is there");
    });
}

#[test]
fn a_write_settles_and_nothing_is_told() {
    paused(async {
        let writes = Writes::default();
        let (before, ours) = (text(&["A"]), text(&["A", "O"]));
        writes.record_document(&shared(), &before);
        let told = end(&writes, &[before.clone(), ours.clone(), before], &ours).await;
        assert_eq!(told, None);
    });
}

#[test]
fn what_is_shown_after_a_write_can_be_used_while_it_settles() {
    paused(async {
        let writes = Writes::default();
        let (before, ours) = (text(&["A"]), text(&["A", "O"]));
        writes.record_document(&shared(), &before);
        let old = writes.judge_document(&shared(), &before, false);
        assert!(matches!(old, Verdict::NotYet(_)), "{old:?}");
        let new = writes.judge_document(&shared(), &ours, true);
        assert!(matches!(new, Verdict::Settles(_)), "{new:?}");
        assert!(matches!(new.readiness(), Readiness::Settling { .. }));
        tokio::time::advance(Lateness::IAM.settle()).await;
        let last = writes.judge_document(&shared(), &ours, true);
        assert_eq!(last.readiness(), Readiness::Ready);
    });
}

#[test]
fn what_was_seen_before_the_write_is_nobody_s_loss() {
    paused(async {
        let writes = Writes::default();
        let (older, before) = (text(&["A", "X"]), text(&["A"]));
        let ours = text(&["A", "O"]);
        assert!(!writes.agrees(&shared(), &older));
        assert!(!writes.agrees(&shared(), &before));
        assert!(stays(&writes, &before).await);
        writes.record_document(&shared(), &before);
        let told = end(&writes, &[older.clone(), ours.clone(), older], &ours).await;
        assert_eq!(told, None);
    });
}

#[test]
fn what_another_writer_may_have_lost_is_told_by_its_sid() {
    paused(async {
        let writes = Writes::default();
        let ours = text(&["A", "X", "O"]);
        writes.record_document(&shared(), &text(&["A", "X"]));
        // Another tool added `B` and removed `X`.
        let told = end(&writes, &[text(&["A", "B"])], &ours).await.unwrap();
        for words in [
            "the trust policy of the IAM role `r`",
            r#"the statement `B` ({"Sid":"B"}) was in it, and is not now"#,
            "the statement `X` was not in it, and is now",
            "nothing was put back",
            "`aws iam update-assume-role-policy` writes it",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("`A`") && !told.contains("`O`"), "{told}");
    });
}

#[test]
fn what_came_after_the_write_is_no_loss() {
    paused(async {
        let writes = Writes::default();
        let (ours, both) = (text(&["A", "O"]), text(&["A", "B", "O"]));
        writes.record_document(&shared(), &text(&["A"]));
        let versions = [both.clone(), ours.clone(), both.clone(), ours];
        assert_eq!(end(&writes, &versions, &both).await, None);
    });
}

#[test]
fn what_is_shown_in_turn_is_watched_until_one_stays() {
    paused(async {
        let writes = Writes::default();
        let (ours, both) = (text(&["A", "O"]), text(&["A", "B", "O"]));
        writes.record_document(&shared(), &text(&["A"]));
        tokio::time::advance(Lateness::IAM.settle()).await;
        let verdict = writes.judge_document(&shared(), &both, true);
        assert_eq!(
            verdict,
            Verdict::Counts,
            "it has ours, and nothing is missing"
        );
        let verdict = writes.judge_document(&shared(), &ours, true);
        assert!(matches!(verdict, Verdict::NotYet(_)), "which one is newer?");
        tokio::time::advance(agree()).await;
        let verdict = writes.judge_document(&shared(), &ours, true);
        assert_eq!(verdict, Verdict::Counts);
        assert!(writes.told("r").unwrap().contains("`B`"));
    });
}

#[test]
fn what_was_made_whole_is_nobody_else_s() {
    paused(async {
        let writes = Writes::default();
        writes.record("r");
        let verdict = writes.judge_document(&shared(), &text(&["O"]), true);
        assert_eq!(verdict, Verdict::Counts);
    });
}
