//! A simulated IAM with one role: it responds late, shows writes late, and replaces whole documents, like IAM. Runs of
//! arcctl use it in simulated time.
#![expect(
    clippy::disallowed_methods,
    reason = "the simulated IAM and the test's own waiting take simulated time"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    clients::aws::Aws,
    desired::resource::aws::IamRole,
    policy::{Document, Trust, own_sid, trust_statement},
    resource::{
        aws::consistency::Writes,
        deletion::Removal,
        observed::{Observed, Ownership, Readiness},
    },
};

/// How long after a write the simulated IAM may show earlier versions, in milliseconds: nearly the
/// assumed maximum.
const LAG: u64 = 9000;

/// The maximum number of reads of a run.
const LOOKS: usize = 400;

/// The maximum duration of half a call, in milliseconds.
const HALF: u64 = 120;

/// The simulated IAM: one role, and the history of its trust policy.
#[derive(Clone, Debug)]
pub(super) struct Iam(pub(super) Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    random: u64,
    pub(super) history: Vec<(Instant, String)>,
    /// The returned versions, each with the number of writes before it.
    pub(super) shown: Vec<(usize, String)>,
    pub(super) writes: usize,
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

    /// The version that a read returns: a recent one.
    fn shown(&mut self) -> String {
        let lag = Duration::from_millis(self.below(LAG));
        let now = Instant::now();
        let seen = self.history.iter().rev().find(|(at, _)| *at + lag <= now);
        let shown = seen.unwrap_or(&self.history[0]).1.clone();
        self.shown.push((self.writes, shown.clone()));
        shown
    }
}

impl Iam {
    /// With these versions; the last one was just written.
    pub(super) fn new(seed: u64, versions: &[&Value]) -> Self {
        let version = |it: &&Value| (Instant::now(), it.to_string());
        Self(Arc::new(Mutex::new(State {
            random: seed,
            history: versions.iter().map(version).collect(),
            shown: Vec::new(),
            writes: 0,
        })))
    }

    /// The current statements, by name.
    pub(super) fn sids(&self) -> Vec<String> {
        sids(&self.0.lock().unwrap().history.last().unwrap().1)
    }

    /// Another tool replaces the document.
    pub(super) fn write(&self, document: &Value) {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap();
        state.history.push((now, document.to_string()));
    }

    pub(super) fn random(&self, limit: u64) -> Duration {
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
                utf8_percent_encode(&state.shown(), NON_ALPHANUMERIC)
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

pub(super) fn sids(text: &str) -> Vec<String> {
    let statements = Document::parse(text).unwrap().statements;
    let sids = statements.iter().filter_map(|it| it.sid());
    sids.map(str::to_owned).collect()
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

/// The role as the run for `cluster` wants it.
pub(super) fn role(cluster: &str) -> IamRole {
    let sid = own_sid(cluster, "p");
    IamRole {
        name: "r".into(),
        arn: None,
        create: false,
        path: None,
        permissions_boundary: None,
        trust: trust_statement(Trust {
            sid: &sid,
            partition: "aws",
            account: "111122223333",
            issuer: &format!("oidc.eks.ap-northeast-2.amazonaws.com/id/{cluster}"),
            subjects: &["system:serviceaccount:actions-runner:runner".to_owned()],
        }),
        sid,
        managed_policies: Vec::new(),
        profile: "p".into(),
    }
}

/// The pauses between two reads, as in the executor.
#[derive(Default)]
struct Pauses(u64);

impl Pauses {
    /// After a write.
    fn begin_anew(&mut self) {
        self.0 = 0;
    }

    async fn next(&mut self) {
        self.0 = (self.0 * 13 / 10).clamp(600, 5000);
        sleep(Duration::from_millis(self.0)).await;
    }
}

/// Reads and writes until the role is ready, like the executor; returns the final message.
pub(super) async fn run(iam: &Iam, role: &IamRole) -> Option<String> {
    let aws = Aws::answered_by(iam.clone());
    let writes = Writes::default();
    sleep(iam.random(1500)).await;
    let mut pauses = Pauses::default();
    for _ in 0..LOOKS {
        let Observed::Present(present) = role.observe(&aws, &writes).await.unwrap() else {
            panic!("the role is there");
        };
        if !present.differences.is_empty() {
            match role.apply(&aws, &writes).await {
                Err(error) if error.passing => pauses.next().await,
                other => {
                    other.unwrap();
                    pauses.begin_anew();
                }
            }
        } else if present.readiness == Readiness::Ready {
            return writes.told(&role.name);
        } else {
            pauses.next().await;
        }
    }
    panic!("not ready after {LOOKS} looks");
}

/// Removes the statement, like the executor.
pub(super) async fn take_out(iam: &Iam, role: &IamRole) {
    let aws = Aws::answered_by(iam.clone());
    let (writes, removal) = (Writes::default(), Removal::default());
    sleep(iam.random(1500)).await;
    let mut pauses = Pauses::default();
    for _ in 0..LOOKS {
        let left = role.remains(&aws, &writes, &removal).await.unwrap();
        match left {
            Observed::Present(present) if present.readiness == Readiness::Ready => {
                assert!(matches!(present.ownership, Ownership::Shared { .. }));
                match role.delete(&aws, &writes).await {
                    Err(error) if error.passing => pauses.next().await,
                    other => {
                        other.unwrap();
                        pauses.begin_anew();
                    }
                }
            }
            Observed::Present(_) => pauses.next().await,
            Observed::Absent => return,
        }
    }
    panic!("not out after {LOOKS} looks");
}

pub(super) fn statements(sids: &[&str]) -> Value {
    let statement = |sid: &&str| json!({"Sid": sid, "Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"});
    let all: Vec<Value> = sids.iter().map(statement).collect();
    json!({"Version": "2012-10-17", "Statement": all})
}

pub(super) fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}
