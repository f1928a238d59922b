//! Tests of the OIDC provider that profiles of one cluster and other tools share.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{
    denying::OURS,
    samples::{CLIENT, SID, provider},
};
use crate::{
    clients::aws::wire::{Wire, field, of_iam, operation, refused_by_iam},
    resource::{
        aws::consistency::Writes,
        deletion::Removal,
        observed::{Observed, Ownership, Readiness},
    },
};

/// IAM with the provider of the cluster and these clients.
fn provider_with(clients: &Arc<Mutex<Vec<String>>>) -> Wire {
    let clients = Arc::clone(clients);
    Wire::new(move |request| {
        let mut clients = clients.lock().unwrap();
        let operation = operation(request);
        let result = match operation.as_str() {
            "AddClientIDToOpenIDConnectProvider" => {
                let added = field(request, "ClientID");
                assert_eq!(added.as_deref(), Some("sts.amazonaws.com"));
                clients.push("sts.amazonaws.com".into());
                String::new()
            }
            "TagOpenIDConnectProvider" => {
                assert!(clients.len() == 1, "it is marked before it is changed");
                String::new()
            }
            "GetOpenIDConnectProvider" => {
                let list = clients.join("</member><member>");
                format!("<ClientIDList><member>{list}</member></ClientIDList>")
            }
            other => panic!("the simulated IAM does not know {other}"),
        };
        of_iam(&operation, &result)
    })
}

#[tokio::test]
async fn a_shared_provider_gets_sts_beside_its_other_clients() {
    let clients = Arc::new(Mutex::new(vec!["somebody-else".to_owned()]));
    let aws = provider_with(&clients).aws();
    let provider = crate::desired::resource::aws::OidcProvider {
        arn: "arn:aws:iam::111122223333:oidc-provider/i".into(),
        issuer: "i".into(),
        sid: "Arcctl1".into(),
        profile: "p".into(),
    };
    let writes = Writes::default();
    let before = provider.observe(&aws, &writes).await.unwrap();
    let Observed::Present(present) = before else {
        panic!("{before:?}")
    };
    assert_eq!(present.differences[0].path, "clientIds[sts.amazonaws.com]");
    provider.apply(&aws, &writes).await.unwrap();
    let after = provider.observe(&aws, &writes).await.unwrap();
    assert!(
        matches!(&after, Observed::Present(it) if it.differences.is_empty() && it.readiness == Readiness::Ready),
        "{after:?}"
    );
    assert_eq!(
        *clients.lock().unwrap(),
        ["somebody-else", "sts.amazonaws.com"]
    );
}

#[tokio::test]
async fn an_issuer_that_iam_cannot_reach_yet_is_asked_again() {
    for (code, passes) in [
        ("OpenIdIdpCommunicationError", true),
        ("InvalidInput", false),
    ] {
        let wire = Wire::new(move |request| match operation(request).as_str() {
            "GetOpenIDConnectProvider" => refused_by_iam(404, "NoSuchEntity", "no"),
            _ => refused_by_iam(400, code, "no"),
        });
        let applied = provider().apply(&wire.aws(), &Writes::default()).await;
        assert_eq!(applied.unwrap_err().passing, passes, "{code}");
    }
}

/// The tags for a client that arcctl added for another profile, and for a provider that it created for one.
const CLIENT_OF_ANOTHER: &str = "<member><Key>arcctl.dev/client/1111111111111111</Key><Value>sts.amazonaws.com</Value></member>";
const MADE_FOR_ANOTHER: &str = "<member><Key>app.kubernetes.io/managed-by</Key><Value>arcctl</Value></member>\
    <member><Key>arcctl.dev/sid</Key><Value>Arcctl1111111111111111</Value></member>";

/// The statement of profile `sid` that trusts the provider.
fn trusts(sid: &str) -> Value {
    json!({"Sid": sid, "Effect": "Allow", "Principal": {"Federated": provider().arn}, "Action": "sts:AssumeRoleWithWebIdentity"})
}

/// IAM with the provider and its `tags`, and with a role that has `statements`, if any.
fn shared(tags: &'static str, statements: &[Value]) -> Wire {
    shared_since(None, tags, statements)
}

/// The same, with the provider created this many minutes ago.
fn shared_since(minutes: Option<i64>, tags: &'static str, statements: &[Value]) -> Wire {
    let made = minutes.map_or_else(String::new, |it| {
        let made = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(it);
        format!("<CreateDate>{made}</CreateDate>")
    });
    let role = (!statements.is_empty()).then(|| {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        let text = document.to_string().replace('"', "&quot;");
        format!(
            "<member><Path>/</Path><RoleName>r</RoleName><RoleId>AROA</RoleId><Arn>arn:aws:iam::111122223333:role/r</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{text}</AssumeRolePolicyDocument></member>"
        )
    });
    let role = role.unwrap_or_default();
    Wire::new(move |request| {
        let operation = operation(request);
        let result = match operation.as_str() {
            "GetOpenIDConnectProvider" => format!(
                "<ClientIDList><member>sts.amazonaws.com</member></ClientIDList>{made}<Tags>{tags}</Tags>"
            ),
            "ListRoles" => format!("<Roles>{role}</Roles><IsTruncated>false</IsTruncated>"),
            "UntagOpenIDConnectProvider" => {
                let keys = (1..).map_while(|it| field(request, &format!("TagKeys.member.{it}")));
                let marked = keys.filter(|it| tags.contains(it.as_str())).count();
                assert_eq!(marked, tags.matches("arcctl.dev/client/").count());
                String::new()
            }
            _ => String::new(),
        };
        of_iam(&operation, &result)
    })
}

async fn remains(wire: &Wire) -> Observed {
    let (writes, removal) = (Writes::default(), Removal::default());
    provider()
        .remains(&wire.aws(), &writes, &removal)
        .await
        .unwrap()
}

/// The requested write operations.
async fn deleted(wire: &Wire) -> Vec<String> {
    let (writes, removal) = (Writes::default(), Removal::default());
    provider()
        .delete(&wire.aws(), &writes, &removal)
        .await
        .unwrap();
    let mut asked = wire.asked();
    asked.retain(|it| !it.starts_with("Get") && !it.starts_with("List"));
    asked
}

#[tokio::test]
async fn the_last_profile_takes_the_client_that_any_of_them_added() {
    let both = [CLIENT, CLIENT_OF_ANOTHER].concat().leak();
    for tags in [CLIENT, CLIENT_OF_ANOTHER, both] {
        let wire = shared(tags, &[]);
        let Observed::Present(left) = remains(&wire).await else {
            panic!("it is there")
        };
        assert!(matches!(left.ownership, Ownership::Shared { .. }));
        assert_eq!(left.differences[0].path, "clientIds[sts.amazonaws.com]");
        assert_eq!(
            deleted(&wire).await,
            [
                "RemoveClientIDFromOpenIDConnectProvider",
                "UntagOpenIDConnectProvider"
            ]
        );
    }
}

#[tokio::test]
async fn the_last_profile_takes_the_provider_that_any_of_them_made() {
    for tags in [OURS, MADE_FOR_ANOTHER] {
        let wire = shared(tags, &[]);
        let Observed::Present(left) = remains(&wire).await else {
            panic!("it is there")
        };
        assert_eq!(left.ownership, Ownership::Ours);
        assert_eq!(deleted(&wire).await, ["DeleteOpenIDConnectProvider"]);
    }
}

/// IAM shows a role for some seconds after its deletion. What others have in it counts all the same.
#[tokio::test]
async fn a_statement_that_this_run_has_taken_out_keeps_no_provider() {
    let recorded = || Removal::new(false, BTreeSet::from(["iam-role/-/r".to_owned()]));
    let (own, others) = (trusts(SID), trusts("Arcctl1111111111111111"));
    for (out, statements, deletes) in [
        (false, vec![own.clone()], false),
        (true, vec![own.clone()], true),
        (true, vec![own, others], false),
    ] {
        let wire = shared(OURS, &statements);
        let (aws, writes, removal) = (wire.aws(), Writes::default(), recorded());
        if out {
            writes.took_out("r");
        }
        let left = provider().remains(&aws, &writes, &removal).await.unwrap();
        let Observed::Present(left) = left else {
            panic!("it is there")
        };
        let goes = left.ownership == Ownership::Ours && left.readiness == Readiness::Ready;
        assert_eq!(goes, deletes, "{left:?}");
        provider().delete(&aws, &writes, &removal).await.unwrap();
        let asked = wire.asked();
        let deleted = asked.iter().any(|it| it == "DeleteOpenIDConnectProvider");
        assert_eq!(deleted, deletes, "{asked:?}");
    }
}

/// IAM with the provider alone, created this many minutes ago.
fn made(tags: &'static str, minutes: i64) -> Wire {
    shared_since(Some(minutes), tags, &[])
}

/// When the plan is made, this profile's role still trusts it; when the run comes to it, no more. Both say that it stays.
#[tokio::test]
async fn what_another_profile_has_just_made_stays_in_the_plan_too() {
    let recorded = BTreeSet::from(["iam-role/-/r".to_owned()]);
    for (minutes, ownership) in [(14, None), (16, Some(Ownership::Ours))] {
        let wire = shared_since(Some(minutes), MADE_FOR_ANOTHER, &[trusts(SID)]);
        let removal = Removal::new(false, recorded.clone());
        let (aws, writes) = (wire.aws(), Writes::default());
        let left = provider().remains(&aws, &writes, &removal).await.unwrap();
        let Observed::Present(left) = left else {
            panic!("it is there")
        };
        match ownership {
            Some(ownership) => assert_eq!(left.ownership, ownership),
            None => assert!(
                matches!(left.ownership, Ownership::Foreign { .. }),
                "{left:?}"
            ),
        }
    }
}

#[tokio::test]
async fn what_another_profile_has_just_made_stays_for_its_role() {
    let named = [
        MADE_FOR_ANOTHER,
        "<member><Key>arcctl.dev/profile</Key><Value>other</Value></member>",
    ];
    let named = named.concat().leak();
    for (tags, maker) in [
        (&*named, "the profile `other` made it"),
        (MADE_FOR_ANOTHER, "another profile made it"),
        (CLIENT_OF_ANOTHER, "another profile added sts.amazonaws.com"),
    ] {
        let wire = made(tags, 14);
        let Observed::Present(left) = remains(&wire).await else {
            panic!("it is there")
        };
        let Ownership::Foreign { evidence } = left.ownership else {
            panic!("{left:?}")
        };
        assert!(evidence.starts_with(maker), "{evidence}");
        assert_eq!(deleted(&wire).await, [""; 0]);
    }
    // After that time no role is expected any more, and this profile's own provider needs no wait.
    for wire in [made(named, 16), made(OURS, 1)] {
        let Observed::Present(left) = remains(&wire).await else {
            panic!("it is there")
        };
        assert_eq!(left.ownership, Ownership::Ours);
        assert_eq!(deleted(&wire).await, ["DeleteOpenIDConnectProvider"]);
    }
}

#[tokio::test]
async fn what_another_profile_still_needs_stays() {
    let theirs = [trusts("Arcctl1111111111111111")];
    for tags in [CLIENT_OF_ANOTHER, MADE_FOR_ANOTHER] {
        let wire = shared(tags, &theirs);
        assert!(matches!(remains(&wire).await, Observed::Absent), "{tags}");
        assert_eq!(deleted(&wire).await, [""; 0]);
    }
    // What this profile created is reported as kept.
    for tags in [CLIENT, OURS] {
        let wire = shared(tags, &theirs);
        let Observed::Present(left) = remains(&wire).await else {
            panic!("it is there")
        };
        let Ownership::Foreign { evidence } = left.ownership else {
            panic!("{left:?}")
        };
        assert_eq!(evidence, "the IAM role `r` trusts it");
        assert_eq!(deleted(&wire).await, [""; 0]);
    }
    // The same for an unclear case: this profile's statement is in a role that is not in the inventory.
    let wire = shared(MADE_FOR_ANOTHER, &[trusts(SID)]);
    assert_eq!(deleted(&wire).await, [""; 0]);
}
