//! Tests of explained keys.

use super::{text::WIDTH, *};

#[test]
fn a_key_has_its_type_default_values_and_an_example() {
    let mode = explain("pools.containerMode").unwrap();
    assert_eq!(mode.key, "pools[].containerMode");
    assert_eq!(mode.kind, "string or object");
    assert_eq!((mode.required, &mode.default), (false, &json!("dind")));
    let values: Vec<&str> = mode.values.iter().map(|it| it.value.as_str()).collect();
    assert_eq!(
        values,
        ["dind", "dindInRunner", "dood", "none", "{kubernetes: …}"]
    );
    assert_eq!(mode.example, json!({"pools": [{"containerMode": "dind"}]}));
    let text = mode.text();
    assert!(text.contains("A docker daemon beside the runner"), "{text}");
}

#[test]
fn a_path_goes_through_lists_variants_and_maps() {
    for (path, key) in [
        (
            "pools[0].scaling.metrics[].scaleUp",
            "pools[].scaling.metrics[].scaleUp",
        ),
        (
            "pools.containerMode.kubernetes.workVolume.size",
            "pools[].containerMode.kubernetes.workVolume.size",
        ),
        (
            "pools.resources.runner.limits.cpu",
            "pools[].resources.runner.limits.cpu",
        ),
        ("aws.irsa.buckets.access", "aws.irsa.buckets[].access"),
    ] {
        assert_eq!(explain(path).unwrap().key, key, "{path}");
    }
    let metrics = explain("pools.scaling.metrics").unwrap();
    assert_eq!(metrics.kind, "list of objects");
    assert_eq!(metrics.rule.as_deref(), Some("at most 2"));
    assert_eq!(metrics.keys[0].name, "type");
    assert!(metrics.example["pools"][0]["scaling"]["metrics"][0].is_object());
}

#[test]
fn a_wrong_key_offers_a_similar_one() {
    let error = explain("pools.scalling").unwrap_err();
    let Unknown::Key {
        parent, similar, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(parent, "`pools[]`");
    assert_eq!(similar.as_deref(), Some("scaling"));
    let error = explain("nonsense").unwrap_err();
    assert!(
        matches!(&error, Unknown::Key { similar: None, known, .. } if known.contains(&"pools".into()))
    );
    assert_eq!(error.to_string(), "a profile has no key `nonsense`");
    let error = explain("pools.template.hostNetwork").unwrap_err();
    assert_eq!(error, Unknown::PassedOn("pools[].template".into()));
}

#[test]
fn every_key_can_be_explained_and_fits() {
    let mut open = vec![String::new()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let explained = explain(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        seen += 1;
        assert!(!explained.description.is_empty(), "{path} is not described");
        let text = explained.text();
        let described = text.split("\nEXAMPLE").next().unwrap();
        for line in described.lines().filter(|it| !it.starts_with("DEFAULT")) {
            assert!(line.chars().count() <= WIDTH, "{path}: {line}");
        }
        for child in explained.keys {
            open.push(
                format!("{path}.{}", child.name)
                    .trim_start_matches('.')
                    .to_owned(),
            );
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn a_tree_has_all_keys_below() {
    let tree = tree("pools.schedule").unwrap();
    assert!(tree.contains("timeZone  <string, required>"), "{tree}");
    assert!(tree.contains("\n  from  <string, required>"), "{tree}");
}
