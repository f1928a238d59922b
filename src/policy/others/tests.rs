//! What the statements of other users grant.

use serde_json::json;

use super::*;
use crate::policy::{Trust, bucket_policy, trust_statement};

const SID: &str = "Arcctl0000000000000000";
const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/A";

fn trust() -> Value {
    trust_of(&["actions-runner"])
}

/// The trust statement for runners in several namespaces.
fn trust_of(namespaces: &[&str]) -> Value {
    let subject = |it: &&str| format!("system:serviceaccount:{it}:runner");
    let subjects: Vec<String> = namespaces.iter().map(subject).collect();
    trust_statement(Trust {
        sid: SID,
        partition: "aws",
        account: "111122223333",
        issuer: ISSUER,
        subjects: &subjects,
    })
}

fn document(statements: &[Value]) -> Document {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    Document::parse(&text).unwrap()
}

/// A statement of another user: arcctl's with another `Sid`, changed.
fn theirs(change: impl Fn(&mut Value)) -> Value {
    let mut statement = trust();
    statement["Sid"] = json!("Theirs");
    change(&mut statement);
    statement
}

#[test]
fn an_equivalent_statement_of_others_is_enough() {
    let sub = format!("{ISSUER}:sub");
    let aud = format!("{ISSUER}:aud");
    let provider = trust()["Principal"]["Federated"].clone();
    for statement in [
        theirs(|_| ()),
        theirs(|it| it["Sid"] = Value::Null),
        theirs(|it| it["Action"] = json!(["sts:TagSession", "STS:AssumeRoleWithWebIdentity"])),
        theirs(|it| it["Action"] = json!("sts:*")),
        theirs(|it| {
            it["Principal"] = json!({"Federated": ["arn:aws:iam::1:saml-provider/x", provider]});
        }),
        theirs(
            |it| it["Condition"] = json!({"StringEquals": {&aud: "sts.amazonaws.com"}, "StringLike": {&sub: "system:serviceaccount:actions-runner:*"}}),
        ),
        theirs(|it| {
            it["Condition"]["StringEquals"][&sub] = json!([
                "system:serviceaccount:a:b",
                "system:serviceaccount:actions-runner:runner"
            ]);
        }),
        theirs(
            |it| it["Condition"] = json!({"ForAnyValue:StringEquals": {&aud: ["sts.amazonaws.com"]}, "StringEquals": {&sub: "system:serviceaccount:actions-runner:runner"}}),
        ),
    ] {
        assert!(
            is_granted(&document(std::slice::from_ref(&statement)), SID, &[trust()]),
            "{statement}"
        );
    }
}

/// Shapes of trust policies in public modules and reports (terraform-aws-iam#486, configure-aws-credentials#690,
/// server-terraform#291, pulumi-aws#4629).
#[test]
fn conditions_are_read_as_aws_reads_them() {
    let sub = format!("{ISSUER}:sub");
    let aud = format!("{ISSUER}:aud");
    let runner = "system:serviceaccount:actions-runner:runner";
    let granted = |condition: Value| {
        let statement = theirs(|it| it["Condition"] = condition.clone());
        is_granted(&document(&[statement]), SID, &[trust()])
    };
    for condition in [
        json!({"ForAllValues:StringEquals": {&aud: "sts.amazonaws.com", &sub: runner}}),
        json!({"ForAllValues:StringLike": {&sub: "system:serviceaccount:actions-runner:*"}, "StringEquals": {&aud: "sts.amazonaws.com"}}),
        json!({"StringEqualsIgnoreCase": {&aud: "STS.amazonaws.com", &sub: runner}}),
        json!({"StringLike": {&aud: "sts.amazonaws.*", &sub: "system:serviceaccount:*:runner"}}),
        json!({"StringEqualsIfExists": {&aud: "sts.amazonaws.com"}, "StringLikeIfExists": {&sub: "system:serviceaccount:actions-runner:runne?"}}),
        json!({"StringEquals": {&aud: "sts.amazonaws.com", &sub: runner}, "Null": {&sub: "false"}}),
        json!({"StringEquals": {aud.to_uppercase(): "sts.amazonaws.com", &sub: runner}}),
    ] {
        assert!(granted(condition.clone()), "{condition}");
    }
    for condition in [
        // `*` is a literal character here: it matches no service account.
        json!({"StringEquals": {&aud: "sts.amazonaws.com", &sub: "system:serviceaccount:actions-runner:runner*"}}),
        json!({"StringNotEquals": {&sub: "system:serviceaccount:a:b"}, "StringEquals": {&aud: "sts.amazonaws.com"}}),
        json!({"StringEquals": {&aud: "sts.amazonaws.com"}, "Null": {&sub: "false"}}),
        json!({"StringEquals": {&aud: "sts.amazonaws.com", &sub: runner}, "Null": {&sub: "true"}}),
        json!({"StringEquals": {&aud: "sts.amazonaws.com", &sub: runner.to_uppercase()}}),
        json!({"StringEquals": {&aud: "sts.amazonaws.com", &sub: runner}, "Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        json!({"StringEquals": {&aud: "sts.amazonaws.com", "oidc.eks.eu-west-1.amazonaws.com/id/B:sub": runner}}),
    ] {
        assert!(!granted(condition.clone()), "{condition}");
    }
}

#[test]
fn a_statement_of_others_has_to_take_the_runners_of_every_namespace() {
    let sub = format!("{ISSUER}:sub");
    let granted = |subject: Value, operator: &str| {
        let statement = theirs(|it| {
            let condition = it["Condition"]["StringEquals"].as_object_mut().unwrap();
            condition.remove(&sub);
            let mut taken = it["Condition"].clone();
            taken[operator][&sub] = subject.clone();
            it["Condition"] = taken;
        });
        let wanted = trust_of(&["ci-web", "ci-infra"]);
        is_granted(&document(&[statement]), SID, &[wanted])
    };
    let [web, infra] =
        ["ci-web", "ci-infra"].map(|it| format!("system:serviceaccount:{it}:runner"));
    assert!(granted(json!([infra, web]), "StringEquals"));
    assert!(granted(
        json!("system:serviceaccount:ci-*:runner"),
        "StringLike"
    ));
    assert!(!granted(json!(web), "StringEquals"));
    assert!(!granted(
        json!("system:serviceaccount:ci-web:*"),
        "StringLike"
    ));
}

#[test]
fn what_is_narrower_or_open_is_not() {
    let sub = format!("{ISSUER}:sub");
    for statement in [
        theirs(|it| it["Effect"] = json!("Deny")),
        theirs(|it| it["Action"] = json!("sts:AssumeRole")),
        theirs(|it| {
            it["Principal"] = json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/other"});
        }),
        theirs(|it| {
            it["Condition"]["StringEquals"][&sub] =
                json!("system:serviceaccount:actions-runner:other");
        }),
        theirs(|it| {
            it["Condition"]["StringEquals"][&sub] = json!("system:serviceaccount:actions-runner:*");
        }),
        theirs(|it| it["Condition"]["StringEquals"]["aws:SourceIp"] = json!("10.0.0.0/8")),
        theirs(|it| {
            it["Condition"] =
                json!({"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com"}});
        }),
        theirs(|it| it["Condition"] = Value::Null),
        theirs(|it| it["NotAction"] = json!("sts:AssumeRole")),
    ] {
        assert!(
            !is_granted(&document(std::slice::from_ref(&statement)), SID, &[trust()]),
            "{statement}"
        );
    }
    // A `Deny` may override it.
    let denial = json!({"Effect": "Deny", "Principal": "*", "Action": "*"});
    assert!(!is_granted(
        &document(&[theirs(|_| ()), denial]),
        SID,
        &[trust()]
    ));
    // arcctl's own statement exists: it is compared and kept.
    assert!(!is_granted(
        &document(&[theirs(|_| ()), trust()]),
        SID,
        &[trust()]
    ));
}

#[test]
fn so_it_is_with_buckets() {
    let bucket = serde_json::from_value(json!({"name": "b", "access": "read"})).unwrap();
    let grant = super::super::BucketGrant {
        sid: SID,
        partition: "aws",
        bucket: &bucket,
    };
    let wanted = bucket_policy(grant, "arn:aws:iam::1:role/r");
    let wide = json!({"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::1:role/r", "x"]},
        "Action": ["s3:Get*", "s3:List*"], "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]});
    assert!(is_granted(
        &document(std::slice::from_ref(&wide)),
        SID,
        &wanted
    ));
    let mut narrow = wide;
    narrow["Resource"] = json!(["arn:aws:s3:::b", "arn:aws:s3:::b/public/*"]);
    assert!(!is_granted(&document(&[narrow]), SID, &wanted));
}

#[test]
fn principals_that_are_gone_are_named_with_their_statement() {
    let other = |principal: Value| json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
    let mut named = other(json!({"AWS": ["arn:aws:iam::1:root", "AIDAEXAMPLE"]}));
    named["Sid"] = json!("Old");
    let document = document(&[
        named,
        other(json!({"AWS": "AROAEXAMPLE"})),
        other(json!("*")),
        trust(),
    ]);
    let found = orphans(&document, SID);
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.statement.as_str(), it.principal.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("the statement `Old`", "AIDAEXAMPLE"),
            ("statement 2 (it has no Sid)", "AROAEXAMPLE")
        ]
    );
}

#[test]
fn patterns_match() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abb", false),
        ("a?c", "abc", true),
        ("s3:Get*", "s3:GetObjectAcl", true),
        ("*:a:*", "x:a:y", true),
        ("ab", "abc", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}
