//! `arcctl smoke` for a runner scale set: a job for its name and one for each label, each on a runner of its own; and a label that
//! the scale set does not have at GitHub.

use super::*;
use crate::pools::smoke::{commit, rendered, smoke};

#[test]
#[ignore = "slow: `make test-slow`"]
fn each_label_of_a_scale_set_is_proven_by_a_job() {
    let cluster = Cluster::fast();
    let profile = both(&cluster, "arcctl", &[]);
    let absent = smoke(&cluster, &profile, &["--pool", "fast"]);
    assert_eq!(absent.expect(1)["outcome"], "failed");
    assert!(absent.stderr.contains("`fast` is not in the cluster"));
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);

    // The profile has a label that the scale set was made without.
    let more = both(&cluster, "more", &[("labels: [gpu]", "labels: [gpu, big]")]);
    commit(&cluster, &rendered(&cluster, &more));
    let dropped = smoke(&cluster, &more, &["--pool", "fast"]);
    let document = dropped.expect(1);
    let said = "scale set `fast` has no label `big` at GitHub";
    assert!(dropped.stderr.contains(said), "{}", dropped.stderr);
    assert_eq!(document["run"]["cancelled"], true);
    // The other way round: the workflow has a job for a label that the profile does not have.
    let older = smoke(&cluster, &profile, &["--pool", "fast"]);
    assert_eq!(older.expect(1)["run"]["cancelled"], true);
    let said = "has a job `fast with big`, which is of no pool and no label";
    assert!(older.stderr.contains(said), "{}", older.stderr);

    commit(&cluster, &rendered(&cluster, &profile));
    let ended = smoke(&cluster, &profile, &[]);
    let document = ended.expect(0);
    let pools = document["pools"].as_array().unwrap();
    let pool = pools.iter().find(|it| it["name"] == "fast").unwrap();
    assert_eq!(pool["outcome"], "ok", "{pool:#}");
    let labels = pool["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 1, "{pool:#}");
    assert_eq!(labels[0]["label"], "gpu");
    assert_eq!(labels[0]["state"], "success");
    let used = [pool, &labels[0]].map(|it| it["runner"].as_str().unwrap());
    assert_ne!(used[0], used[1]);
    let now = cluster.world().github().runners();
    assert!(!now.iter().any(|it| used.contains(&it.name.as_str())));
    assert!(
        ended.stderr.contains("pool fast with gpu: "),
        "{}",
        ended.stderr
    );
    cluster.finish();
}
