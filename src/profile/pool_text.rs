//! Puts a pool into the text of a profile, and takes one out; every other byte stays. Pure.
//!
//! Lines are found by their indentation, which no form of YAML in use breaks. The caller compares what the new text says with
//! what it is to say.

use std::ops::Range;

use super::{
    Pool,
    edit::NotEditable,
    path::Path,
    yaml::{self, Position},
};

/// The order of a pool's keys, as in docs/profile.md; others follow by name.
const ORDER: [&str; 25] = [
    "name",
    "mode",
    "github",
    "namespace",
    "instanceType",
    "image",
    "labels",
    "group",
    "min",
    "max",
    "scaling",
    "schedule",
    "metadata",
    "podMetadata",
    "serviceAccount",
    "containerMode",
    "sharedTmp",
    "resources",
    "gracefulStop",
    "nodeSelector",
    "tolerations",
    "env",
    "imagePullSecrets",
    "fsGroup",
    "template",
];

/// The keys that every pool has.
const REQUIRED: [&str; 4] = ["name", "image", "min", "max"];

/// The lines of a pool.
struct Place {
    /// Their bytes, with the end of the last line.
    bytes: Range<usize>,
    /// What is before its first key: spaces, a dash, spaces.
    begin: String,
}

/// The text with `pool` behind the pool at `index`.
pub fn with_pool(text: &str, index: usize, pool: &Pool) -> Result<String, NotEditable> {
    let place = place(text, index)?;
    let entry = entry(pool).map_err(|why| not_editable(index, &why))?;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (before, after) = text.split_at(place.bytes.end);
    let mut result = before.to_owned();
    if !result.ends_with('\n') {
        result.push_str(end);
    }
    let rest = " ".repeat(place.begin.len());
    for (number, line) in entry.lines().enumerate() {
        // An empty line of a text in several lines stays empty.
        if !line.is_empty() {
            result.push_str(if number == 0 { &place.begin } else { &rest });
        }
        result.push_str(line);
        result.push_str(end);
    }
    result.push_str(after);
    Ok(result)
}

/// The text without the pool at `index`.
pub fn without_pool(text: &str, index: usize) -> Result<String, NotEditable> {
    let place = place(text, index)?;
    let mut result = text.to_owned();
    result.replace_range(place.bytes, "");
    Ok(result)
}

/// A pool as an entry of `pools`, without the dash: also for somebody who puts it there by hand. Keys are in the order of the
/// documentation, and those that only repeat a default are left out.
pub fn entry(pool: &Pool) -> Result<String, String> {
    let map = |pool: &Pool| serde_json::to_value(pool).map_err(|error| error.to_string());
    let (mut left, defaults) = (map(pool)?, map(&Pool::default())?);
    let mut text = String::new();
    let known = ORDER.iter().map(|it| (*it).to_owned());
    let others: Vec<String> = left
        .as_object()
        .into_iter()
        .flat_map(|it| it.keys().cloned())
        .filter(|it| !ORDER.contains(&it.as_str()))
        .collect();
    for key in known.chain(others) {
        let value = left[&key].take();
        let repeats_default = defaults[&key] == value && !REQUIRED.contains(&key.as_str());
        if value.is_null() || repeats_default {
            continue;
        }
        let line = serde_json::json!({key: value});
        let yaml = serde_saphyr::to_string(&line).map_err(|error| error.to_string())?;
        text.push_str(yaml.trim_end());
        text.push('\n');
    }
    Ok(text.trim_end().to_owned())
}

fn place(text: &str, index: usize) -> Result<Place, NotEditable> {
    let cannot = |why: &str| not_editable(index, why);
    let start = start(text, index)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let first = start.line.saturating_sub(1);
    let line = lines.get(first).copied().unwrap_or_default();
    let begin: String = line.chars().take(start.column.saturating_sub(1)).collect();
    let dash = begin.trim_start_matches(' ');
    let is_item = dash
        .strip_prefix('-')
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|it| it == ' '));
    if !is_item {
        return Err(cannot(
            "its first key does not follow a dash on the same line (`- name: …`)",
        ));
    }
    let dash = begin.len() - dash.len();
    let mut last = first;
    for (number, line) in lines.iter().enumerate().skip(first + 1) {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        // Empty lines and comments at its end may be about what follows.
        if content.trim().is_empty() || (content.starts_with('#') && indent <= dash) {
            continue;
        }
        if indent <= dash {
            break;
        }
        last = number;
    }
    let bytes = |lines: &[&str]| lines.iter().map(|it| it.len()).sum::<usize>();
    let end = lines.len().min(last + 1);
    Ok(Place {
        bytes: bytes(&lines[..first])..bytes(&lines[..end]),
        begin,
    })
}

/// Where the first key of a pool is.
fn start(text: &str, index: usize) -> Result<Position, NotEditable> {
    let cannot = |why: &str| not_editable(index, why);
    let tree = match yaml::parse(text) {
        Ok(Some(tree)) => tree,
        Ok(None) => return Err(cannot("the profile is empty")),
        Err(error) => return Err(cannot(&error.message)),
    };
    let pool = tree.at(&path(index));
    pool.map(|it| it.span.start)
        .ok_or_else(|| cannot("it is not there"))
}

fn path(index: usize) -> Path {
    Path::root().key("pools").index(index)
}

fn not_editable(index: usize, why: &str) -> NotEditable {
    NotEditable {
        path: path(index).to_string(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Mode, Profile, load};

    const HEAD: &str = "apiVersion: arcctl.dev/v1\nname: x\ncluster: {context: c}\n\
        github: {organization: o, token: {env: T}}\n";

    fn profile(text: &str) -> Profile {
        load(text, "arcctl.yaml")
            .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
            .profile
    }

    /// A pool whose values need quotes.
    fn awkward() -> Pool {
        serde_json::from_value(serde_json::json!({
            "name": "new", "mode": "scaleSet", "image": "ghcr.io/actions/actions-runner:2.338.1",
            "labels": ["self-hosted", "1.5", "a:b", "#c", "yes"], "min": 1, "max": 2,
            "schedule": {"timeZone": "Europe/Berlin", "windows": [
                {"name": "night", "from": "20:00", "to": "06:00", "min": 0}]},
            "resources": {"runner": {"requests": {"cpu": "1", "memory": "2Gi"}}},
            "env": [{"name": "A", "value": "one\ntwo\n"}, {"name": "B", "value": "null"}],
            "gracefulStop": "10m",
        }))
        .unwrap()
    }

    const POOLS: [&str; 6] = [
        "pools:\n- name: a # first\n  image: r/r:2.338.1\n  min: 1\n  max: 1\n",
        "pools:\n  # of a\n  - name: a\n    image: r/r:2.338.1\n    min: 1\n    max: 1\n    # still of a\n\n  # of b\n  - name: b\n    image: r/r:2.338.1\n    min: 1\n    max: 1\n",
        "pools:\n  -   name: a\n      image: r/r:2.338.1\n      min: 1\n      max: 1",
        "pools:\n  - {name: a, image: \"r/r:2.338.1\", min: 1, max: 1}\n  - {name: b, image: \"r/r:2.338.1\", min: 1, max: 1}\n",
        "pools:\n  - name: a\n    image: r/r:2.338.1\n    min: 1\n    max: 1\n    env:\n    - name: X\n      value: |\n        # no comment\n\n        - no: pool\n\ntimeouts: {drain: 5m}\n",
        "pools:\r\n  - name: a\r\n    image: r/r:2.338.1\r\n    min: 1\r\n    max: 1\r\n",
    ];

    #[test]
    fn a_pool_is_put_behind_another_and_taken_out_again() {
        for pools in POOLS {
            let text = format!("{HEAD}{pools}");
            let before = profile(&text);
            let with = with_pool(&text, 0, &awkward()).unwrap();
            let mut expected = before.clone();
            expected.pools.insert(1, awkward());
            assert_eq!(profile(&with), expected, "{with}");
            let again = without_pool(&with, 1).unwrap();
            assert_eq!(again.trim_end(), text.trim_end());
            // And the old one goes, with nothing else.
            let without = without_pool(&with, 0).unwrap();
            expected.pools.remove(0);
            assert_eq!(profile(&without), expected, "{without}");
            for comment in pools.lines().filter(|it| it.trim().starts_with("# of")) {
                assert!(without.contains(comment), "{without}");
            }
        }
    }

    #[test]
    fn forms_that_are_not_understood_are_refused() {
        for pools in [
            "pools: [{name: a, image: \"r/r:2.338.1\", min: 1, max: 1}]\n",
            "pools:\n  -\n    name: a\n    image: r/r:2.338.1\n    min: 1\n    max: 1\n",
        ] {
            let text = format!("{HEAD}{pools}");
            let error = with_pool(&text, 0, &awkward()).unwrap_err();
            assert_eq!(error.path, "pools[0]", "{pools}");
            assert!(without_pool(&text, 0).is_err(), "{pools}");
        }
        let text = format!("{HEAD}{}", POOLS[0]);
        assert!(with_pool(&text, 1, &awkward()).is_err());
        assert!(with_pool("", 0, &awkward()).is_err());
        assert!(without_pool("a: [", 0).is_err());
    }

    #[test]
    fn an_entry_has_the_keys_in_the_order_of_the_profile() {
        let pool: Pool = serde_json::from_value(serde_json::json!({
            "name": "a", "image": "r:1", "min": 0, "max": 1, "mode": "runnerDeployment",
            "containerMode": {"kubernetes": {"workVolume": {
                "storageClass": "gp3", "size": "10Gi", "accessMode": "ReadWriteOnce"}}},
        }))
        .unwrap();
        let text = entry(&pool).unwrap();
        assert!(
            text.starts_with("name: a\nimage: r:1\nmin: 0\nmax: 1\ncontainerMode:\n  kubernetes:"),
            "{text}"
        );
        assert!(!text.contains("sharedTmp"), "{text}");
        let text = entry(&awkward()).unwrap();
        assert!(text.starts_with("name: new\nmode: scaleSet\n"), "{text}");
        assert_eq!(awkward().mode, Mode::ScaleSet);
    }
}
