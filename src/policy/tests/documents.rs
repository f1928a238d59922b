//! Generated policy documents.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::{ACCOUNT, ISSUER, SUBJECT, own, sid};

pub(super) fn provider(issuer: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")
}

/// One value, as a string or a list.
pub(super) fn listed(values: &[String], as_list: bool) -> Value {
    match values {
        [one] if !as_list => json!(one),
        _ => json!(values),
    }
}

prop_compose! {
    fn condition()(
        operator in select(vec!["StringEquals", "StringLike", "StringNotEquals", "ForAnyValue:StringLike"]),
        key in select(vec![format!("{ISSUER}:sub"), format!("{ISSUER}:aud"), "aws:PrincipalTag/é\"\\".into()]),
        values in prop::collection::vec(
            select(vec![SUBJECT.to_owned(), "system:serviceaccount:*".into(), "sts.amazonaws.com".into(), "*".into(), " a  b ".into()]), 1..3),
        as_list in any::<bool>(),
    ) -> (String, String, Value) {
        (operator.to_owned(), key, listed(&values, as_list))
    }
}

prop_compose! {
    fn statement()(
        sid in prop::option::of("[A-Za-z0-9]{1,12}"),
        allows in prop::bool::weighted(0.9),
        principal in select(vec![
            json!({"Federated": provider(ISSUER)}),
            json!({"Federated": [provider(ISSUER), provider("oidc.example/id/1")]}),
            json!({"Federated": provider("oidc.example/id/1")}),
            json!({"AWS": "arn:aws:iam::444455556666:root"}),
            json!({"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]}),
        ]),
        actions in prop::collection::vec(
            select(vec!["sts:AssumeRoleWithWebIdentity".to_owned(), "sts:*".into(), "STS:assumerole".into(), "sts:TagSession".into()]), 1..3),
        as_list in any::<bool>(),
        conditions in prop::collection::vec(condition(), 0..3),
        number in prop::option::of(any::<u32>()),
    ) -> Value {
        let mut statement = json!({
            "Effect": if allows { "Allow" } else { "Deny" },
            "Principal": principal,
            "Action": listed(&actions, as_list),
        });
        if let Some(sid) = sid {
            statement["Sid"] = json!(sid);
        }
        let mut condition = json!({});
        for (operator, key, values) in conditions {
            condition[operator][key] = values;
        }
        if let Some(number) = number {
            condition["NumericLessThan"] = json!({"aws:MultiFactorAuthAge": number});
        }
        if condition != json!({}) {
            statement["Condition"] = condition;
        }
        statement
    }
}

/// arcctl's statement, possibly changed by another user.
pub(super) fn left_behind() -> impl Strategy<Value = Option<Value>> {
    let mut wider = own();
    wider["Condition"]["StringEquals"][format!("{ISSUER}:sub")] =
        json!("system:serviceaccount:other:other");
    let mut open = own();
    open["Condition"] = json!({"StringLike": {format!("{ISSUER}:sub"): "*"}});
    let mut other = own();
    other["Sid"] = json!(format!("{}Old", sid()));
    select(vec![
        None,
        Some(own()),
        Some(reordered(&own())),
        Some(wider),
        Some(open),
        Some(other),
    ])
}

/// The same meaning with another spelling.
pub(super) fn reordered(statement: &Value) -> Value {
    let mut other = statement.clone();
    for field in ["Action", "Resource"] {
        match &mut other[field] {
            Value::Array(list) => {
                list.reverse();
                if let Some(first) = list.first().cloned() {
                    list.push(first);
                }
            }
            Value::Null => {
                other.as_object_mut().unwrap().remove(field);
            }
            single => *single = json!([single.clone()]),
        }
    }
    if let Some(operators) = other["Condition"].as_object_mut() {
        for keys in operators.values_mut() {
            let turned: Map<String, Value> = keys
                .as_object()
                .unwrap()
                .iter()
                .map(|(key, values)| (key.to_ascii_uppercase(), turned(values)))
                .collect();
            *keys = Value::Object(turned);
        }
    } else {
        other.as_object_mut().unwrap().remove("Condition");
    }
    other
}

pub(super) fn turned(values: &Value) -> Value {
    match values {
        Value::Array(list) => list.iter().rev().cloned().collect(),
        single => json!([single]),
    }
}

/// The encodings in which a document may be returned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Compact,
    Pretty,
    Encoded,
}

pub(super) fn written(statements: &[Value], form: Form) -> String {
    let document = match statements {
        [one] => json!({"Version": "2012-10-17", "Id": "an id", "Statement": one}),
        _ => json!({"Version": "2012-10-17", "Statement": statements}),
    };
    match form {
        Form::Compact => document.to_string(),
        Form::Pretty => serde_json::to_string_pretty(&document).unwrap(),
        Form::Encoded => encoded(&document.to_string()),
    }
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

pub(super) fn case() -> impl Strategy<Value = (Vec<Value>, Form)> {
    let form = select(vec![Form::Compact, Form::Pretty, Form::Encoded]);
    let foreign = prop::collection::vec(statement(), 0..9);
    (foreign, left_behind(), any::<prop::sample::Index>(), form).prop_map(
        |(mut statements, ours, place, form)| {
            if let Some(ours) = ours {
                let place = place.index(statements.len() + 1);
                statements.insert(place, ours);
            }
            (statements, form)
        },
    )
}
