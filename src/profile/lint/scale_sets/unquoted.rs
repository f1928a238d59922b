//! Rules for names that the chart of a scale set writes into its manifest without quotes, and that the controller puts into an
//! address as they are. Pure.
//!
//! Sources in Actions Runner Controller, at 0.14: charts/gha-runner-scale-set/templates/autoscalingrunnerset.yaml (`name`,
//! `namespace`, `runnerGroup`, `runnerScaleSetName`) and github/actions/client.go (`GetRunnerGroupByName`).
//!
//! Helm, Flux and Argo CD read it with sigs.k8s.io/yaml, whose go-yaml v2 (`resolve.go`, `decode.go`) knows YAML 1.1 without
//! some of its types (yaml.org/type): numbers to the base 60 (`1:30`) and the value `=` are text there, times (`2024-01-01`) stay
//! text, and `<<` has a meaning as a key only.

use super::{Path, Report};
use crate::profile::{Pool, Profile};

/// The words that are no text in YAML 1.1, by whose rules helm reads manifests (sigs.k8s.io/yaml). Some count in some cases
/// only; all are refused.
const WORDS: [&str; 14] = [
    "~", "null", "y", "yes", "on", "true", "n", "no", "off", "false", ".inf", "+.inf", "-.inf",
    ".nan",
];
/// The numbers with a prefix, and their base.
const PREFIXES: [(&str, u32); 6] = [
    ("0x", 16),
    ("0X", 16),
    ("0o", 8),
    ("0O", 8),
    ("0b", 2),
    ("0B", 2),
];
/// What begins a list, a map, a comment, a reference or a quoted text (YAML 1.1, "indicators").
const INDICATORS: &str = ",[]{}#&*!|>'\"%@`";
/// What YAML 1.1 also takes for the end of a line.
const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];
/// What ends a value in the query of an address, or stands for another character there.
const IN_AN_ADDRESS: &str = "&#;%+";

/// Checks the names of a pool that is a scale set.
pub(super) fn check(pool: &Pool, path: &Path, report: &mut Report) {
    name(&pool.name, path.key("name"), report);
    name(&pool.namespace, path.key("namespace"), report);
    if let Some(group) = pool.group.as_deref().filter(|it| !it.is_empty()) {
        self::group(group, path.key("group"), report);
    }
}

/// Checks the name of the controller's namespace.
pub(super) fn controller(profile: &Profile, report: &mut Report) {
    let path = Path::from(["scaleSets", "namespace"]);
    name(&profile.scale_sets.namespace, path, report);
}

fn name(name: &str, path: Path, report: &mut Report) {
    if !is_text(name) {
        report.error(
            path,
            format!("the charts of scale sets write `{name}` without quotes, and YAML does not read that as text: the API server would refuse it"),
            format!("write another name, for example `runners-{name}`"),
        );
    }
}

fn group(group: &str, path: Path, report: &mut Report) {
    let rename = "rename the group at GitHub, or write `mode: runnerDeployment`";
    if !is_text(group) {
        report.error(
            path,
            format!("the chart of a scale set writes `{group}` without quotes, and YAML does not read that as this text"),
            rename,
        );
    } else if let Some(mark) = group.chars().find(|it| IN_AN_ADDRESS.contains(*it)) {
        report.error(
            path,
            format!("the controller of scale sets puts the name of a group into an address as it is, and `{mark}` has a meaning there: it would find another group, or none"),
            rename,
        );
    }
}

/// Whether a text without quotes, as a value in a YAML map, is read as that text.
fn is_text(text: &str) -> bool {
    let is_word = WORDS.iter().any(|it| text.eq_ignore_ascii_case(it));
    !is_word && !is_number(text) && !has_syntax(text)
}

fn is_number(text: &str) -> bool {
    if !text.starts_with(|it: char| it.is_ascii_digit() || "+-.".contains(it)) {
        return false;
    }
    // YAML 1.1 has `_` between digits.
    let plain = text.replace('_', "");
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    for (prefix, base) in PREFIXES {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|it| it.is_digit(base));
        }
    }
    let is_whole = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned, None),
    };
    let has_exponent =
        exponent.is_none_or(|it| is_whole(it.strip_prefix(['+', '-']).unwrap_or(it)));
    has_exponent
        && match number.split_once('.') {
            None => is_whole(number),
            Some(("", part)) => is_whole(part),
            Some((whole, part)) => is_whole(whole) && (part.is_empty() || is_whole(part)),
        }
}

fn has_syntax(text: &str) -> bool {
    let mut characters = text.chars();
    let (first, second) = (characters.next(), characters.next());
    let begins_another = first.is_none_or(|it| INDICATORS.contains(it))
        || (first.is_some_and(|it| "-?:".contains(it)) && second.is_none_or(char::is_whitespace));
    begins_another
        || text.trim() != text
        || text.contains(": ")
        || text.contains(" #")
        || text.ends_with(':')
        || text
            .chars()
            .any(|it| it.is_control() || LINE_ENDS.contains(&it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_reads_otherwise_is_no_text() {
        for text in [
            "", "1", "007", "1_000", "+1", "-1.5", "1.", ".5", "1e3", "1E-3", "0x1f", "0b1", "0o7",
            "true", "No", "y", "null", "~", ".inf", "- a", "-", "?", "a: b", "a:", "a #b", "#a",
            "[a]", "{a", "*a", "&a", "!a", "|", "'a'", "\"a\"", "%a", "@a", "`a`", " a", "a ",
            "a\tb",
        ] {
            assert!(!is_text(text), "{text:?}");
        }
        assert!(!is_text("a\u{2028}b"));
    }

    /// The forms of yaml.org/type, in the order of its pages.
    #[test]
    fn the_types_of_yaml_are_read_as_helm_reads_them() {
        let is_other = |all: &[&str]| {
            for text in all {
                assert!(!is_text(text), "{text:?}");
            }
        };
        // bool, float, int, null
        is_other(&["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE"]);
        is_other(&["on", "On", "ON", "n", "N", "no", "No", "NO"]);
        is_other(&["false", "False", "FALSE", "off", "Off", "OFF"]);
        is_other(&["6.8523015e+5", "685.230_15e+03", "685_230.15"]);
        is_other(&["-.inf", "+.Inf", ".INF", ".nan", ".NaN", ".NAN"]);
        is_other(&["685230", "+685_230", "02472256", "0x_0A_74_AE", "-0b1"]);
        is_other(&["0b1010_0111_0100_1010_1110", "08", "1_", "1e3", "-.5"]);
        is_other(&["~", "null", "Null", "NULL", ""]);
        // What go-yaml leaves as text: the base 60 of float and int, timestamp, value, and merge where it is no key.
        for text in [
            "190:20:30.15",
            "190:20:30",
            "2001-12-15T02:59:43.1Z",
            "2001-12-14 21:59:43.10 -5",
            "2002-12-14",
            "=",
            "<<",
            "_1",
            ".",
            "-.nan",
        ] {
            assert!(is_text(text), "{text:?}");
        }
    }

    #[test]
    fn other_names_are_text() {
        for text in [
            "linux",
            "a1",
            "1a",
            "1-2",
            "1.2.3",
            "0x",
            "0xg",
            "e3",
            "1e",
            "2024-01-01",
            "Team A",
            "a:b",
            "a#b",
            "-a",
            "north",
            "yes-we-can",
            "R&D",
            "C++",
            "100%",
            "a;b",
            "Größe",
            "v1.5",
        ] {
            assert!(is_text(text), "{text:?}");
        }
    }
}
