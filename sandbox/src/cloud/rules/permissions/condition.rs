//! Evaluates the conditions of a statement for a request. A condition with an unknown operator is never true.
//!
//! Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "set operators". Pure: no I/O.

use std::collections::HashMap;

use serde_json::Value;

use super::{list, matches};

/// The values of each condition key, its name in lower case.
pub(super) type Context = HashMap<String, Vec<String>>;

/// Whether all of `conditions` hold.
pub(super) fn holds(conditions: &Value, context: &Context) -> bool {
    let Some(operators) = conditions.as_object() else {
        return conditions.is_null();
    };
    operators.iter().all(|(operator, keys)| {
        keys.as_object().is_some_and(|keys| {
            keys.iter()
                .all(|(key, wanted)| one(operator, context.get(&key.to_lowercase()), &list(wanted)))
        })
    })
}

fn one(operator: &str, found: Option<&Vec<String>>, wanted: &[String]) -> bool {
    let (set, operator) = operator.split_once(':').unwrap_or(("", operator));
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    if operator == "Null" {
        return wanted.iter().any(|it| (it == "true") == found.is_none());
    }
    let Some(found) = found else {
        return if_exists || set == "ForAllValues" || operator.contains("Not");
    };
    let fits = |value: &String| wanted.iter().any(|it| equal(operator, it, value));
    match set {
        "ForAllValues" => found.iter().all(fits),
        "ForAnyValue" | "" => found.iter().any(fits),
        _ => false,
    }
}

fn equal(operator: &str, wanted: &str, value: &str) -> bool {
    match operator {
        "StringEquals" => wanted == value,
        "StringNotEquals" => wanted != value,
        "StringLike" | "ArnEquals" | "ArnLike" => matches(wanted, value),
        "StringEqualsIgnoreCase" => wanted.eq_ignore_ascii_case(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_and_ed_and_values_or_ed() {
        let context: Context = [
            ("aws:resourcetag/a".to_owned(), vec!["1".to_owned()]),
            (
                "aws:tagkeys".to_owned(),
                vec!["a".to_owned(), "b".to_owned()],
            ),
        ]
        .into();
        for (conditions, expected) in [
            (json!(null), true),
            (
                json!({"StringEquals": {"aws:ResourceTag/a": ["0", "1"]}}),
                true,
            ),
            (json!({"StringEquals": {"aws:ResourceTag/a": "0"}}), false),
            (json!({"StringEquals": {"aws:ResourceTag/c": "1"}}), false),
            (
                json!({"StringEqualsIfExists": {"aws:ResourceTag/c": "1"}}),
                true,
            ),
            (json!({"Null": {"aws:ResourceTag/c": "true"}}), true),
            (json!({"Null": {"aws:ResourceTag/a": "true"}}), false),
            (
                json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b", "c"]}}),
                true,
            ),
            (
                json!({"ForAllValues:StringLike": {"aws:TagKeys": ["a"]}}),
                false,
            ),
            (
                json!({"ForAnyValue:StringLike": {"aws:TagKeys": ["a*"]}}),
                true,
            ),
            (
                json!({"StringEquals": {"aws:ResourceTag/a": "1"}, "Bool": {"x": "true"}}),
                false,
            ),
        ] {
            assert_eq!(holds(&conditions, &context), expected, "{conditions}");
        }
    }
}
