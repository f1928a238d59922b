//! Property tests of the merge with generated documents: six properties of each.
#![expect(
    clippy::disallowed_methods,
    reason = "how many documents are tried is the caller's to say"
)]

mod documents;
mod evaluation;

use std::sync::LazyLock;

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use super::*;
use documents::{Form, case, encoded, reordered, written};
use evaluation::{Request, lets_in, requests};

const ISSUER: &str = "oidc.eks.ap-northeast-2.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
const SUBJECT: &str = "system:serviceaccount:actions-runner:actions-runner-role";
const ACCOUNT: &str = "111122223333";

/// How many documents `make test` generates; `make test-slow` and `make torture` set more.
const CASES: u32 = 1_000;

fn cases() -> u32 {
    let wanted = std::env::var("ARCCTL_POLICY_CASES").ok();
    wanted.map_or(CASES, |it| {
        it.parse().expect("ARCCTL_POLICY_CASES is a number")
    })
}

fn sid() -> &'static str {
    static SID: LazyLock<String> = LazyLock::new(|| {
        own_sid(
            "arn:aws:eks:ap-northeast-2:111122223333:cluster/runners",
            "dogecompany",
        )
    });
    &SID
}

fn own() -> Value {
    trust_statement(Trust {
        sid: sid(),
        partition: "aws",
        account: ACCOUNT,
        issuer: ISSUER,
        subjects: &[SUBJECT.to_owned()],
    })
}

fn is_foreign(statement: &Value) -> bool {
    !statement["Sid"]
        .as_str()
        .is_some_and(|it| it.starts_with(sid()))
}

fn values(document: &Document) -> Vec<Value> {
    document
        .statements
        .iter()
        .map(|it| it.value.clone())
        .collect()
}

/// The document after the merge, changed or not.
fn after(document: &Document) -> Document {
    merged(document, sid(), &[own()]).unwrap_or_else(|| document.clone())
}

fn holds(statements: &[Value], form: Form) -> Result<(), TestCaseError> {
    let text = written(statements, form);
    let document =
        Document::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(values(&document), statements, "reading loses nothing");
    let merged_once = after(&document);
    let result = values(&merged_once);

    // Other statements keep their text and order.
    let foreign = |all: &[Value]| {
        all.iter()
            .filter(|it| is_foreign(it))
            .cloned()
            .collect::<Vec<_>>()
    };
    prop_assert_eq!(foreign(&result), foreign(statements));
    // There is exactly one statement of arcctl's, with the wanted content.
    let ours: Vec<&Value> = result.iter().filter(|it| !is_foreign(it)).collect();
    prop_assert_eq!(ours.len(), 1);
    prop_assert!(same(ours[0], &own()));

    // A second merge changes nothing, also after IAM has stored it.
    let stored = Document::parse(&encoded(&merged_once.text())).unwrap();
    prop_assert_eq!(values(&stored), result.clone());
    prop_assert!(merged(&stored, sid(), &[own()]).is_none());
    prop_assert!(differences("p", &stored, sid(), &[own()]).is_empty());

    // The order and spelling do not matter.
    let turned: Vec<Value> = result.iter().rev().map(reordered).collect();
    let turned = Document::parse(&written(&turned, form)).unwrap();
    prop_assert!(merged(&turned, sid(), &[own()]).is_none());
    for statement in &result {
        prop_assert!(same(statement, &reordered(statement)), "{}", statement);
    }

    // It grows by arcctl's statement at most, and its size is that of its shortest text.
    let added = own().to_string().chars().count() + 1;
    prop_assert!(merged_once.size() <= document.size() + added);
    let whole: Value = serde_json::from_str(&merged_once.text()).unwrap();
    prop_assert_eq!(whole.to_string().chars().count(), merged_once.size());

    // Only the wanted principal gains access.
    let asked = Request {
        issuer: ISSUER,
        subject: SUBJECT,
        audience: "sts.amazonaws.com",
    };
    for request in requests() {
        if lets_in(&result, &request) {
            prop_assert!(
                request == asked || lets_in(statements, &request),
                "{:?}",
                request
            );
        }
    }

    // After removal, only the other statements remain.
    let rest = without(&merged_once, sid()).unwrap();
    prop_assert_eq!(values(&rest), foreign(statements));
    Ok(())
}

#[test]
fn a_merge_changes_our_statement_and_nothing_else() {
    let config = ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&case(), |(statements, form)| holds(&statements, form))
        .unwrap();
}

#[test]
fn any_text_is_read_or_refused() {
    let config = ProptestConfig {
        cases: cases() / 10,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let text = prop_oneof!["\\PC{0,40}", "[%{}\\[\\]\":,a-zA-Z0-9 ]{0,60}"];
    TestRunner::new(config)
        .run(&text, |text| {
            if let Ok(document) = Document::parse(&text) {
                prop_assert!(Document::parse(&document.text()).is_ok());
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_broken_escape_is_refused() {
    let whole = "%7b%22Statement%22%3A[]%7D";
    assert!(Document::parse(whole).is_ok());
    for broken in ["%zz", "%+f", "%ff", "%%", "%4\u{e9}"] {
        let text = whole.replace("[]", &format!("[]{broken}"));
        let refused = Document::parse(&text).unwrap_err();
        assert_eq!(refused, PolicyError::Encoding, "{broken}");
    }
    for end in ["%", "%4"] {
        let refused = Document::parse(&format!("{whole}{end}")).unwrap_err();
        assert_eq!(refused, PolicyError::Encoding, "{end}");
    }
}

#[test]
fn a_foreign_statement_keeps_its_very_text() {
    let text = r#"{ "Id" : "a b", "Statement" : { "Effect":"Deny", "Sid":"z", "Condition": {"N": {"x": 1.50, "big": 123456789012345678901234567890}} } }"#;
    let document = Document::parse(text).unwrap();
    let result = merged(&document, sid(), &[own()]).unwrap().text();
    let kept = r#"{"Id":"a b","Statement":[{"Effect":"Deny","Sid":"z","Condition":{"N":{"x":1.50,"big":123456789012345678901234567890}}},"#;
    assert!(result.starts_with(kept), "{result}");
}

#[test]
fn what_means_something_else_differs() {
    let pairs = [
        (json!({"Action": "a:B"}), json!({"Action": "a:B*"})),
        (json!({"Action": "a:B"}), json!({"NotAction": "a:B"})),
        (json!({"Resource": "x"}), json!({"Resource": "X"})),
        (
            json!({"Principal": "*"}),
            json!({"Principal": {"Service": "*"}}),
        ),
        (
            json!({"Condition": {"StringEquals": {"k": "a*"}}}),
            json!({"Condition": {"StringLike": {"k": "a*"}}}),
        ),
        (
            json!({"Condition": {"StringEquals": {"k": ["a", "b"]}}}),
            json!({"Condition": {"StringEquals": {"k": "a"}, "StringLike": {"k": "b"}}}),
        ),
    ];
    for (left, right) in pairs {
        assert!(!same(&left, &right), "{left} {right}");
    }
    let equal = json!({"Condition": {"StringEquals": {"K": "a"}, "Bool": {"s": "true"}}});
    let like = json!({"Condition": {"StringLike": {"k": ["a"]}, "Bool": {"s": [true]}}});
    assert!(same(&equal, &like));
}

#[test]
fn a_difference_names_the_statement_and_the_field() {
    let mut edited = own();
    edited["Condition"]["StringEquals"][format!("{ISSUER}:sub")] =
        json!("system:serviceaccount:a:b");
    let document = Document::parse(&written(&[edited], Form::Compact)).unwrap();
    let found = differences("trustPolicy", &document, sid(), &[own()]);
    let [difference] = found.as_slice() else {
        panic!("{found:?}")
    };
    let key = format!("{ISSUER}:sub");
    let path = format!("trustPolicy[{}].Condition.StringEquals.{key}[0]", sid());
    assert_eq!((&difference.path, &difference.to), (&path, &json!(SUBJECT)));
}

#[test]
fn two_profiles_and_two_clusters_have_sids_of_their_own() {
    let all = [own_sid("a", "p"), own_sid("a", "q"), own_sid("b", "p")];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    assert!(
        all.iter()
            .all(|it| it.len() == 22 && it.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    );
}

#[test]
fn what_is_unwise_is_said() {
    let foreign = |condition: Value| {
        let mut statement = own();
        statement["Sid"] = json!("Theirs");
        statement["Condition"] = condition;
        advice(
            &Document::parse(&written(&[statement, own()], Form::Encoded)).unwrap(),
            sid(),
            ISSUER,
        )
    };
    let (sub, aud) = (format!("{ISSUER}:sub"), format!("{ISSUER}:aud"));
    let good = json!({"StringEquals": {&sub: SUBJECT, &aud: "sts.amazonaws.com"}});
    assert_eq!(foreign(good), Vec::<String>::new());
    let said = |condition: Value, words: &str| {
        let found = foreign(condition);
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
    };
    said(
        json!({"StringEquals": {&sub: SUBJECT}}),
        "no condition on `oidc.eks",
    );
    said(
        json!({"StringEquals": {&aud: "sts.amazonaws.com"}}),
        "every service account of the cluster",
    );
    said(
        json!({"StringEquals": {&aud: "sts.amazonaws.com"}, "StringLike": {&sub: "system:*"}}),
        "like `system:*`",
    );
    said(
        json!({"StringEquals": {&aud: "sts.amazonaws.com", &sub: "system:*"}}),
        "lets nobody in",
    );
}

#[test]
fn buckets_get_the_least_actions() {
    let bucket: crate::profile::Bucket = serde_json::from_value(
        json!({"name": "b.example", "account": "444455556666", "access": "read"}),
    )
    .unwrap();
    let sid = sid();
    let grant = BucketGrant {
        sid,
        partition: "aws-cn",
        bucket: &bucket,
    };
    let statements = bucket_policy(grant, "arn:aws-cn:iam::111122223333:role/r");
    assert_eq!(statements[0]["Action"], "s3:ListBucket");
    assert_eq!(statements[0]["Resource"], "arn:aws-cn:s3:::b.example");
    assert_eq!(
        statements[1]["Action"],
        json!(["s3:GetObject", "s3:GetObjectAcl"])
    );
    assert_eq!(statements[1]["Resource"], "arn:aws-cn:s3:::b.example/*");
    let inline = role_policy(sid, "aws-cn", std::slice::from_ref(&bucket));
    assert!(inline.iter().all(|it| it.get("Principal").is_none()));
}
