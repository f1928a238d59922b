//! Tests of the Pod Identity association: a role that EKS does not see yet, and associations of other tools.

use serde_json::{Value, json};

use super::samples::association;
use crate::{
    clients::aws::wire::{Wire, answer, operation},
    error::ErrorKind,
    resource::{
        aws::consistency::Writes,
        observed::{Observed, Readiness},
    },
};

const ROLE: &str = "arn:aws:iam::111122223333:role/r";

/// EKS with one association, or none; a write fails with `said`.
fn eks(live: Option<Value>, said: &'static str) -> Wire {
    Wire::new(move |request| {
        let json = |status: u16, body: &Value| answer(status, body.to_string());
        match operation(request).as_str() {
            "ListPodIdentityAssociations" => {
                let found: Vec<Value> = live
                    .iter()
                    .map(|_| json!({"associationId": "a-1"}))
                    .collect();
                json(200, &json!({"associations": found}))
            }
            "DescribePodIdentityAssociation" => json(200, &json!({"association": live})),
            _ => {
                let mut refusal = json(400, &json!({"message": said}));
                let headers = refusal.headers_mut();
                headers.insert("x-amzn-errortype", "InvalidParameterException");
                refusal
            }
        }
    })
}

fn live(more: &Value) -> Value {
    let mut found = json!({"associationId": "a-1", "associationArn": "arn:a", "roleArn": ROLE});
    for (key, value) in more.as_object().unwrap() {
        found[key] = value.clone();
    }
    found
}

fn ours() -> Value {
    live(&json!({"roleArn": "other", "tags": {"arcctl.dev/sid": association().sid}}))
}

#[tokio::test]
async fn a_role_that_eks_does_not_see_yet_passes() {
    const LATE: &str = "Role provided in the request does not exist.";
    for (there, said, passes) in [
        (None, LATE, true),
        (Some(ours()), LATE, true),
        (None, "The namespace is not valid.", false),
        (Some(ours()), "The association is not valid.", false),
    ] {
        let is_there = there.is_some();
        let aws = eks(there, said).aws();
        let writes = Writes::default();
        let error = association().apply(&aws, &writes).await.unwrap_err();
        assert_eq!(error.passing, passes, "{is_there} {said}");
        assert!(error.causes[0].contains(said), "{error:?}");
        // The write failed: the current state is trusted at once.
        let remains = association().remains(&aws, &writes).await.unwrap();
        if let Observed::Present(present) = remains {
            assert_eq!(present.readiness, Readiness::Ready);
        }
    }
}

#[tokio::test]
async fn what_differs_in_an_association_of_others_is_named() {
    for (more, told, not) in [
        (
            json!({"disableSessionTags": true}),
            "its `disableSessionTags` is true instead of false",
            "roleArn",
        ),
        (
            json!({"targetRoleArn": "arn:t"}),
            "its `targetRoleArn` is \"arn:t\" instead of null",
            "roleArn",
        ),
        (
            json!({"roleArn": "arn:o"}),
            "its `roleArn` is \"arn:o\" instead of \"arn:aws:iam::111122223333:role/r\"",
            "disableSessionTags",
        ),
    ] {
        let aws = eks(Some(live(&more)), "").aws();
        let error = association().apply(&aws, &Writes::default()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        let cause = error.causes.join(" ");
        assert!(cause.contains(told) && !cause.contains(not), "{cause}");
        assert!(
            error.message.contains("was not made by arcctl"),
            "{error:?}"
        );
        assert!(!error.message.contains("another role"), "{error:?}");
    }
}

/// EKS refuses session tags beside a policy: arcctl would try it in vain.
#[tokio::test]
async fn a_policy_that_others_put_into_arcctl_s_own_is_named() {
    let more = json!({
        "policy": "{}", "disableSessionTags": true, "tags": {"arcctl.dev/sid": association().sid},
    });
    let wire = eks(Some(live(&more)), "");
    let error = association().apply(&wire.aws(), &Writes::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    let cause = error.causes.join(" ");
    assert!(
        cause.contains("it has a policy, which reduces what the role allows"),
        "{cause}"
    );
    assert!(
        error
            .message
            .ends_with("has a policy that arcctl did not write"),
        "{error:?}"
    );
    let hint = error.hint.unwrap();
    assert!(hint.contains("--association-id a-1"), "{hint}");
    assert!(!wire.asked().iter().any(|it| it.starts_with("Update")));
}

#[tokio::test]
async fn an_association_on_a_later_page_is_found() {
    let wire = Wire::new(|request| match operation(request).as_str() {
        "ListPodIdentityAssociations" if request.uri().contains("nextToken=second") => answer(
            200,
            json!({"associations": [{"associationId": "a-1"}]}).to_string(),
        ),
        "ListPodIdentityAssociations" => answer(
            200,
            json!({"associations": [], "nextToken": "second"}).to_string(),
        ),
        _ => answer(200, json!({"association": live(&json!({}))}).to_string()),
    });
    association()
        .apply(&wire.aws(), &Writes::default())
        .await
        .unwrap();
    assert_eq!(
        wire.asked(),
        [
            "ListPodIdentityAssociations",
            "ListPodIdentityAssociations",
            "DescribePodIdentityAssociation"
        ]
    );
}

#[tokio::test]
async fn one_of_others_that_gives_the_role_is_used() {
    let wire = eks(Some(live(&json!({}))), "");
    association()
        .apply(&wire.aws(), &Writes::default())
        .await
        .unwrap();
    assert_eq!(
        wire.asked(),
        [
            "ListPodIdentityAssociations",
            "DescribePodIdentityAssociation"
        ]
    );
}
