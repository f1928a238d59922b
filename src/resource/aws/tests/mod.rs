//! Two runs of arcctl, for two clusters, on the trust policy of one role, beside an IAM that answers late, shows writes
//! late, and does as IAM does: whoever writes, writes it all.
#![expect(
    clippy::disallowed_methods,
    reason = "the simulated IAM and the test's own waiting take simulated time"
)]

mod denied;
mod denying;
mod documented;
mod samples;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponents,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{IamRole, writes::Writes};
use crate::{
    clients::aws::Aws,
    policy::{Document, Trust, own_sid, trust_statement},
    resource::{
        observed::{Observed, Ownership, Readiness},
        removal::Removal,
    },
};

const SEEDS: u64 = 1000;

/// How long after a write IAM may show what was there before, in milliseconds.
const LAG: u64 = 800;

/// How long half a call may take, in milliseconds.
const HALF: u64 = 120;

/// The simulated IAM: one role, and what its trust policy was when.
#[derive(Clone, Debug)]
struct Iam(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: u64,
    history: Vec<(Instant, String)>,
    writes: usize,
}

impl State {
    /// A number below `limit`: splitmix64.
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// What is shown now: what was there a moment ago.
    fn shown(&mut self) -> String {
        let lag = Duration::from_millis(self.below(LAG));
        let now = Instant::now();
        let seen = self.history.iter().rev().find(|(at, _)| *at + lag <= now);
        seen.unwrap_or(&self.history[0]).1.clone()
    }
}

impl Iam {
    fn new(seed: u64, document: &Value) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: seed,
            history: vec![(Instant::now(), document.to_string())],
            writes: 0,
        })))
    }

    fn random(&self, limit: u64) -> Duration {
        Duration::from_millis(self.0.lock().unwrap().below(limit))
    }

    fn answer(&self, body: &str) -> String {
        let url = reqwest::Url::parse(&format!("http://iam/?{body}")).unwrap();
        let field = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let mut state = self.0.lock().unwrap();
        match field("Action").as_deref() {
            Some("GetRole") => format!(
                "<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>r</RoleName><RoleId>AROA</RoleId>\
                 <Arn>arn:aws:iam::111122223333:role/r</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
                 <AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument></Role></GetRoleResult></GetRoleResponse>",
                encoded(&state.shown())
            ),
            Some("UpdateAssumeRolePolicy") => {
                state.writes += 1;
                let document = field("PolicyDocument").unwrap();
                assert!(Document::parse(&document).unwrap().size() <= 2048);
                state.history.push((Instant::now(), document));
                "<UpdateAssumeRolePolicyResponse/>".into()
            }
            Some("ListAttachedRolePolicies") => {
                "<ListAttachedRolePoliciesResponse><ListAttachedRolePoliciesResult>\
                 <IsTruncated>false</IsTruncated></ListAttachedRolePoliciesResult></ListAttachedRolePoliciesResponse>"
                    .into()
            }
            other => panic!("the simulated IAM does not know {other:?}"),
        }
    }
}

fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

impl HttpConnector for Iam {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let iam = self.clone();
        HttpConnectorFuture::new(async move {
            sleep(iam.random(HALF)).await;
            let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
            let answer = iam.answer(&body);
            sleep(iam.random(HALF)).await;
            Ok(HttpResponse::new(200.try_into().unwrap(), answer.into()))
        })
    }
}

impl HttpClient for Iam {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// The role as the run for `cluster` wants it.
fn role(cluster: &str) -> IamRole {
    let sid = own_sid(cluster, "p");
    IamRole {
        name: "r".into(),
        create: false,
        path: None,
        permissions_boundary: None,
        trust: trust_statement(Trust {
            sid: &sid,
            partition: "aws",
            account: "111122223333",
            issuer: &format!("oidc.eks.ap-northeast-2.amazonaws.com/id/{cluster}"),
            subject: "system:serviceaccount:actions-runner:runner",
        }),
        sid,
        managed_policies: Vec::new(),
        profile: "p".into(),
    }
}

/// Looks and writes until the role is ready, as the executor does.
async fn run(iam: &Iam, role: &IamRole) {
    let aws = Aws::answered_by(SharedHttpClient::new(iam.clone()));
    let writes = Writes::default();
    sleep(iam.random(1500)).await;
    for _ in 0..100 {
        let Observed::Present(present) = role.observe(&aws, &writes).await.unwrap() else {
            panic!("the role is there");
        };
        if !present.differences.is_empty() {
            role.apply(&aws, &writes).await.unwrap();
        } else if present.readiness == Readiness::Ready {
            return;
        } else {
            sleep(Duration::from_millis(600)).await;
        }
    }
    panic!("not ready after a hundred looks");
}

/// Takes the statement out, as the executor does.
async fn take_out(iam: &Iam, role: &IamRole) {
    let aws = Aws::answered_by(SharedHttpClient::new(iam.clone()));
    let (writes, removal) = (Writes::default(), Removal::default());
    sleep(iam.random(1500)).await;
    for _ in 0..100 {
        let left = role.remains(&aws, &writes, &removal).await.unwrap();
        match left {
            Observed::Present(present) if present.readiness == Readiness::Ready => {
                assert!(matches!(present.ownership, Ownership::Shared { .. }));
                role.delete(&aws, &writes).await.unwrap();
            }
            Observed::Present(_) => sleep(Duration::from_millis(600)).await,
            Observed::Absent => return,
        }
    }
    panic!("not out after a hundred looks");
}

/// One run takes its statement out while another puts its own in; how often the policy was written.
fn race_of_a_removal(seed: u64) -> usize {
    let foreign =
        json!({"Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"});
    let (going, coming) = (role("A"), role("B"));
    paused().block_on(async {
        let statements = [&foreign, &going.trust];
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        let iam = Iam::new(seed, &document);
        tokio::join!(take_out(&iam, &going), run(&iam, &coming));
        let state = iam.0.lock().unwrap();
        let last = Document::parse(&state.history.last().unwrap().1).unwrap();
        let values: Vec<&Value> = last.statements.iter().map(|it| &it.value).collect();
        assert_eq!(values, [&foreign, &coming.trust], "seed {seed}");
        state.writes
    })
}

#[test]
fn a_statement_goes_and_takes_no_other_with_it() {
    let writes: Vec<usize> = (0..SEEDS / 10).map(race_of_a_removal).collect();
    assert!(writes.iter().any(|it| *it > 2), "no write was ever undone");
}

#[test]
fn the_last_statement_of_a_role_that_arcctl_did_not_make_stays() {
    let role = role("A");
    let document = json!({"Version": "2012-10-17", "Statement": [&role.trust]});
    paused().block_on(async {
        let iam = Iam::new(1, &document);
        let aws = Aws::answered_by(SharedHttpClient::new(iam.clone()));
        let recorded = ["iam-role/-/r".to_owned()].into();
        let (writes, removal) = (Writes::default(), Removal::new(false, recorded));
        assert!(removal.goes("iam-role/-/r"));
        let Observed::Present(left) = role.remains(&aws, &writes, &removal).await.unwrap() else {
            panic!("it is there");
        };
        let Ownership::Foreign { evidence } = left.ownership else {
            panic!("{left:?}");
        };
        assert!(
            evidence.starts_with("arcctl did not make it; and with it arcctl's statement"),
            "{evidence}"
        );
        // So the provider that it trusts stays too.
        assert!(!removal.goes("iam-role/-/r"));
        role.delete(&aws, &writes).await.unwrap();
        assert_eq!(iam.0.lock().unwrap().writes, 0);
    });
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// One race; how often the policy was written.
fn race(seed: u64) -> usize {
    let foreign: Vec<Value> = (0..3)
        .map(|index| json!({"Sid": format!("F{index}"), "Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"}))
        .collect();
    paused().block_on(async {
        let iam = Iam::new(
            seed,
            &json!({"Version": "2012-10-17", "Statement": foreign}),
        );
        let (one, two) = (role("A"), role("B"));
        tokio::join!(run(&iam, &one), run(&iam, &two));
        let state = iam.0.lock().unwrap();
        let last = Document::parse(&state.history.last().unwrap().1).unwrap();
        let values: Vec<&Value> = last.statements.iter().map(|it| &it.value).collect();
        assert_eq!(values.len(), 5, "seed {seed}: {values:?}");
        let wanted = foreign.iter().chain([&one.trust, &two.trust]);
        for statement in wanted {
            assert!(
                values.contains(&statement),
                "seed {seed}: {statement} is lost"
            );
        }
        state.writes
    })
}

#[test]
fn of_two_writers_none_loses_its_statement() {
    let writes: Vec<usize> = (0..SEEDS).map(race).collect();
    // Without a race nothing would be shown: some of them must have overwritten each other.
    let lost = writes.iter().filter(|it| **it > 2).count();
    assert!(lost > 0, "no writer was ever overwritten");
}

/// The simulated IAM with the provider of the cluster: its clients.
#[derive(Clone, Debug)]
struct Provider(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Provider {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        let mut clients = self.0.lock().unwrap();
        let answer = if body.contains("Action=AddClientIDToOpenIDConnectProvider&") {
            assert!(body.contains("ClientID=sts.amazonaws.com"), "{body}");
            clients.push("sts.amazonaws.com".into());
            "<AddClientIDToOpenIDConnectProviderResponse/>".to_owned()
        } else {
            assert!(body.contains("Action=GetOpenIDConnectProvider&"), "{body}");
            let list = format!("<member>{}</member>", clients.join("</member><member>"));
            format!(
                "<GetOpenIDConnectProviderResponse><GetOpenIDConnectProviderResult><ClientIDList>{list}</ClientIDList>\
                 </GetOpenIDConnectProviderResult></GetOpenIDConnectProviderResponse>"
            )
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(
            200.try_into().unwrap(),
            answer.into(),
        )))
    }
}

impl HttpClient for Provider {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

#[tokio::test]
async fn a_shared_provider_gets_sts_beside_its_other_clients() {
    let iam = Provider(Arc::new(Mutex::new(vec!["somebody-else".into()])));
    let aws = Aws::answered_by(SharedHttpClient::new(iam.clone()));
    let provider = super::OidcProvider {
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
        *iam.0.lock().unwrap(),
        ["somebody-else", "sts.amazonaws.com"]
    );
}
