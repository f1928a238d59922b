//! The new pool, made from the old one.

use super::*;

#[test]
fn the_new_pool_takes_over_what_has_a_counterpart() {
    let found = profile(TEXT);
    let made = counterpart(&found.pools[0], &wish(true)).unwrap();
    let pool = &made.pool;
    assert_eq!(pool.image, "ghcr.io/actions/actions-runner:2.336.0");
    assert_eq!(pool.labels, ["self-hosted", "linux", "x64", "ubuntu-22.04"]);
    assert_eq!((pool.min, pool.max, &pool.scaling), (2, 16, &None));
    assert_eq!(pool.instance_type.as_deref(), Some("t3a.large"));
    assert_eq!(made.differs.len(), 3, "{:?}", made.differs);
    let workflows = Workflows::of(&found, &found.pools[0], pool);
    assert_eq!(workflows.lost, [""; 0]);
    assert_eq!(workflows.runs_on, "basic-ss");
    assert_eq!(
        workflows.search,
        "gh search code 'runs-on ubuntu-22.04 path:.github/workflows' --owner o"
    );
}

#[test]
fn without_labels_only_the_name_finds_it() {
    let found = profile(TEXT);
    let made = counterpart(&found.pools[0], &wish(false)).unwrap();
    let pool = &made.pool;
    assert_eq!((pool.labels.len(), &pool.instance_type), (0, &None));
    let selected = &pool.node_selector["node.kubernetes.io/instance-type"];
    assert_eq!(selected, "t3a.large");
    let resources = pool.resources.as_ref().unwrap();
    assert!(resources.runner.is_some(), "as by the instance type");
    let workflows = Workflows::of(&found, &found.pools[0], pool);
    assert!(workflows.shared.is_empty());
    let told = workflows.text("basic", "basic-ss").join("\n");
    assert!(told.contains("`runs-on: basic-ss`"), "{told}");
    assert!(told.contains("`self-hosted`"), "{told}");
}

#[test]
fn back_the_old_name_stays_a_label() {
    let found = profile(TEXT);
    let there = counterpart(&found.pools[0], &wish(true)).unwrap().pool;
    let wish = Wish {
        name: "basic",
        mode: Mode::RunnerDeployment,
        ..wish(true)
    };
    let back = counterpart(&there, &wish).unwrap().pool;
    assert_eq!(
        back.image,
        "summerwind/actions-runner:v2.336.0-ubuntu-22.04"
    );
    // By its own name a job finds the new pool alone.
    assert_eq!(back.labels, ["ubuntu-22.04", "basic-ss", "basic"]);
    assert!(!found_by(&there).contains(&"basic".to_owned()));
    assert!(back.scaling.is_some());
    assert_eq!(Workflows::of(&found, &there, &back).lost, [""; 0]);
}

/// Else a job that tries the new pool may run on the old one: each has the name of the other as a label by then.
#[test]
fn there_again_each_new_pool_has_a_label_of_its_own() {
    let found = profile(TEXT);
    let deployment = Wish {
        name: "basic",
        mode: Mode::RunnerDeployment,
        ..wish(true)
    };
    let next = |from: &Pool, wish: &Wish<'_>| counterpart(from, wish).unwrap();
    let there = next(&found.pools[0], &wish(true)).pool;
    let back = next(&there, &deployment).pool;
    let again = next(&back, &wish(true));
    assert!(!found_by(&back).contains(&"basic-ss-2".to_owned()));
    assert_eq!(again.pool.labels.last().unwrap(), "basic-ss-2");
    let told = again.differs.join("\n");
    assert!(
        told.contains("`runs-on: [basic-ss, basic-ss-2]` finds it alone"),
        "{told}"
    );
    let workflows = Workflows::of(&found, &back, &again.pool);
    assert_eq!(workflows.runs_on, "[basic-ss, basic-ss-2]");
    assert_eq!(workflows.lost, [""; 0]);

    let home = next(&again.pool, &deployment).pool;
    assert_eq!(home.labels.last().unwrap(), "basic-2");
    assert!(!found_by(&again.pool).contains(&"basic-2".to_owned()));
    // Without labels only the name is left, and nothing is made up.
    assert_eq!(next(&back, &wish(false)).pool.labels, [""; 0]);
}

#[test]
fn an_image_of_somebody_else_must_be_named() {
    let mut own = profile(TEXT).pools.remove(0);
    own.image = "registry.example/summerwind/actions-runner:v2.336.0".into();
    let error = counterpart(&own, &wish(true)).unwrap_err();
    assert_eq!(error.kind.exit_code(), 64);
    assert!(error.hint.unwrap().contains("--image"));
    let image = Some("registry.example/r:1");
    let made = counterpart(
        &own,
        &Wish {
            image,
            ..wish(true)
        },
    )
    .unwrap();
    assert_eq!(made.pool.image, "registry.example/r:1");
}

#[test]
fn keys_without_a_counterpart_are_refused_with_their_line() {
    let text = TEXT.replace("    min: 2", "    template: {dockerMTU: 1400}\n    min: 2");
    let found = profile(&text);
    let made = counterpart(&found.pools[0], &wish(true)).unwrap();
    let file = File {
        name: "arcctl.yaml",
        text: &text,
    };
    let error = file.with("basic", &made.pool).unwrap_err();
    assert_eq!(error.kind.exit_code(), 65);
    assert!(error.to_string().contains("dockerMTU"), "{error}");
    assert!(error.hint.unwrap().contains("to the profile yourself"));
}
