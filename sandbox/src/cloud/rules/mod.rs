//! Rules of AWS that moto lacks. The proxy before moto applies them to each call: they reject it, change the request to
//! moto (as AWS stores it), or change moto's response (as AWS shows it).
//!
//! Each rule is in one place and names its source: [`text`] (characters and lengths), [`document`] (policies), [`network`]
//! (rules of security groups), [`late`] (eventual consistency, and conflicts), [`principals`], [`places`] (regions of
//! buckets, managed instances), [`permissions`] (permissions of an identity), [`attached`] (names of roles, and the policies
//! that they can have).

mod attached;
mod call;
mod document;
mod late;
mod network;
mod permissions;
mod places;
mod principals;
mod refusal;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::request::Parts;
use serde_json::Value;

use self::{
    call::Call, document::Kind, late::Late, permissions::Permissions, places::Places,
    principals::Principals, refusal::Refusal,
};
use super::{
    api::{Api, text as first, texts},
    associations::Associations,
    cluster::Answer,
};
use crate::query::{percent_decode, percent_encode};

pub use self::{
    call::OWNER,
    permissions::{Ceiling, allows},
    places::Told,
};

/// How long IAM may show what was there before a write.
pub const WINDOW: Duration = Duration::from_secs(10);

/// The rules, and what they remember of the account.
#[derive(Debug)]
pub struct Rules(Mutex<State>);

#[derive(Debug)]
struct State {
    window: Duration,
    late: Late,
    places: Places,
    principals: Principals,
    permissions: Permissions,
    associations: Option<Arc<Associations>>,
}

/// What is to happen to a call.
pub(crate) enum Judged {
    /// It is answered here.
    Answer(Answer),
    /// It goes on with this body, and its answer comes back with this.
    Forward(Vec<u8>, After),
}

/// What is done with the answer.
pub(crate) struct After {
    call: Call,
    before: Vec<(Vec<(&'static str, String)>, late::Reading)>,
}

impl Rules {
    /// Rules by which IAM shows a write up to `window` late.
    pub fn new(window: Duration) -> Self {
        Self(Mutex::new(State {
            window,
            late: Late::default(),
            places: Places::default(),
            principals: Principals::default(),
            permissions: Permissions::default(),
            associations: None,
        }))
    }

    /// The associations of Pod Identity, whose tags conditions may be about.
    pub(crate) fn know(&self, associations: Arc<Associations>) {
        self.state().associations = Some(associations);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long IAM may show what was there before; nothing is late, and no writers meet, with none.
    pub fn set_window(&self, window: Duration) {
        self.state().window = window;
    }

    /// Nobody else writes to the account: no call meets another writer.
    pub fn set_alone(&self) {
        self.state().late.alone();
    }

    /// The bucket lives in `region`, which calls that go elsewhere are `told`.
    pub fn place_bucket(&self, bucket: &str, region: &str, told: Told) {
        self.state().places.moved(bucket, region, told);
    }

    /// The instance is EKS's own (Auto Mode).
    pub fn manage_instance(&self, id: &str) {
        self.state().places.managed.insert(id.to_owned());
    }

    /// From now on whoever is not the owner may do what `policy` allows, and nothing else.
    pub fn allow_only(&self, policy: &Value) {
        self.state().permissions.limit(Some(policy));
    }

    /// From now on whoever is not the owner may not do what `policy`, of this kind, does not allow.
    pub fn cap(&self, ceiling: Ceiling, policy: &Value) {
        self.state().permissions.cap(ceiling, policy);
    }

    /// Everybody may do everything again.
    pub fn allow_all(&self) {
        self.state().permissions.limit(None);
    }

    /// What a policy allows and nobody has used by it: the `Sid` of each statement, with the action.
    pub fn unused(&self, policy: &Value) -> Vec<(String, String)> {
        self.state().permissions.unused(policy)
    }

    /// What is to happen to a call, before moto gets it.
    pub(crate) async fn before(&self, request: &Parts, body: &[u8], moto: &Api) -> Judged {
        let Some(mut call) = Call::read(request, body) else {
            let nothing = After {
                call: Call::default(),
                before: Vec::new(),
            };
            return Judged::Forward(body.to_vec(), nothing);
        };
        match self.judge(&mut call, moto).await {
            Ok(Some((status, answer))) => {
                let headers = vec![("content-type", "text/xml".to_owned())];
                Judged::Answer((status, headers, answer))
            }
            Ok(None) => {
                let body = if network::concerns(&call) {
                    call.form()
                } else {
                    body.to_vec()
                };
                let before = self.readings(&call, moto).await;
                Judged::Forward(body, After { call, before })
            }
            Err(refusal) => Judged::Answer(refusal.answer(&call.service)),
        }
    }

    /// Refuses a call, or answers it with what was there before.
    async fn judge(&self, call: &mut Call, moto: &Api) -> Result<Option<late::Reading>, Refusal> {
        self.permitted(call, moto).await?;
        let refused = {
            let mut state = self.state();
            let window = state.window;
            let late = &mut state.late;
            let shown = if call.is_owner() {
                None
            } else {
                late.shown(call, window)
            };
            if shown.is_some() {
                return Ok(shown);
            }
            let met = if call.is_owner() {
                None
            } else {
                late.refused(call, window)
            };
            text::refused(call)
                .or(met)
                .or_else(|| state.places.refused(call))
        };
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        self.document(call, moto).await?;
        match call.action.as_str() {
            "AttachRolePolicy" => attached::attachable(call, moto).await?,
            "CreateRole" => attached::unique(call, moto).await?,
            _ => {}
        }
        if let Some(boundary) = call.argument("PermissionsBoundary") {
            attached::bounding(boundary, moto).await?;
        }
        if network::concerns(call) {
            network::judge(call, moto).await?;
        }
        Ok(None)
    }

    /// Refuses what the identity may not do.
    async fn permitted(&self, call: &Call, moto: &Api) -> Result<(), Refusal> {
        if call.is_owner() || !self.state().permissions.is_limited() {
            return Ok(());
        }
        let requests = permissions::requests(call, moto, &self.tags(call)).await;
        match self.state().permissions.denied(call, &requests) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// The tags of the association of Pod Identity that a call is about.
    fn tags(&self, call: &Call) -> Value {
        let id = call.path.rsplit('/').next().unwrap_or_default();
        let associations = self.state().associations.clone();
        associations.map_or(Value::Null, |it| it.tags(id))
    }

    /// Refuses a policy document that AWS would not take.
    async fn document(&self, call: &Call, moto: &Api) -> Result<(), Refusal> {
        let Some((kind, text)) = document::written(call) else {
            return Ok(());
        };
        let room = match kind {
            Kind::Trust => document::TRUST,
            Kind::Inline => document::INLINE.saturating_sub(others(call, moto).await),
            Kind::Bucket => document::BUCKET,
        };
        if let Some(refusal) = document::refused(kind, &text, room) {
            return Err(refusal);
        }
        for principal in principals::named(&text) {
            if principals::is_id(&principal) {
                return Err(principals::refusal(kind, &principal));
            }
            let Some((action, argument, name)) = principals::question(&principal) else {
                continue;
            };
            let answer = moto.iam(action, &[(argument, &name)]).await;
            let id = answer
                .ok()
                .and_then(|it| first(&it, "RoleId").or_else(|_| first(&it, "UserId")).ok());
            let mut state = self.state();
            let new = state.late.is_new(&name, state.window) && !call.is_owner();
            match id.filter(|_| !new) {
                Some(id) => state.principals.remember(&principal, &id),
                None => return Err(principals::refusal(kind, &principal)),
            }
        }
        Ok(())
    }

    /// What the readings that a call changes say before it.
    async fn readings(
        &self,
        call: &Call,
        moto: &Api,
    ) -> Vec<(Vec<(&'static str, String)>, late::Reading)> {
        let reads = ["Get", "List"].iter().any(|it| call.action.starts_with(it));
        if reads || call.is_owner() || self.state().window.is_zero() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for form in late::changed(call) {
            let reading = match form.as_slice() {
                [(late::BUCKET, bucket)] => moto.bucket_policy(bucket).await,
                form => moto.reading("iam", form).await,
            };
            if let Ok(reading) = reading {
                found.push((form, reading));
            }
        }
        found
    }

    /// What AWS would show in place of moto's answer.
    pub(crate) async fn after(
        &self,
        after: After,
        status: u16,
        body: &[u8],
        moto: &Api,
    ) -> Option<Vec<u8>> {
        let After { call, before } = after;
        if !(200..300).contains(&status) {
            return None;
        }
        {
            let mut state = self.state();
            for (form, reading) in before {
                state.late.remember(&form, reading);
            }
            if !call.is_owner() {
                state.late.created(&call);
            }
            match call.action.as_str() {
                "CreateBucket" => state.places.created(&call),
                "DescribeInstances" => {
                    let answer = String::from_utf8_lossy(body);
                    return Some(state.places.visible(&call, &answer).into_bytes());
                }
                _ => {}
            }
        }
        match call.action.as_str() {
            "GetRole" | "ListRoles" | "GetBucketPolicy" => self.with_ids(body, moto).await,
            _ => None,
        }
    }

    /// An answer with documents in it, with the ids of the principals that are gone.
    async fn with_ids(&self, body: &[u8], moto: &Api) -> Option<Vec<u8>> {
        const DOCUMENT: &str = "<AssumeRolePolicyDocument>";
        let answer = String::from_utf8_lossy(body).into_owned();
        let plain = answer.trim_start().starts_with('{');
        let documents: Vec<String> = if plain {
            vec![answer.clone()]
        } else {
            let pieces = answer.split(DOCUMENT).skip(1);
            pieces
                .filter_map(|it| it.split('<').next())
                .map(str::to_owned)
                .collect()
        };
        let mut result = answer;
        for written in documents {
            let text = if plain {
                written.clone()
            } else {
                percent_decode(&written)
            };
            let mut gone = Vec::new();
            let known = self.state().principals.known(&text);
            for (arn, id) in known {
                let Some((action, argument, name)) = principals::question(&arn) else {
                    continue;
                };
                let there = moto.iam(action, &[(argument, &name)]).await;
                if !there.is_ok_and(|it| it.contains(&id)) {
                    gone.push((arn, id));
                }
            }
            if !gone.is_empty() {
                let shown = principals::orphaned(&text, &gone);
                let shown = if plain { shown } else { percent_encode(&shown) };
                result = result.replace(&written, &shown);
            }
        }
        Some(result.into_bytes())
    }
}

/// How much room the other inline policies of the role take.
async fn others(call: &Call, moto: &Api) -> usize {
    let role = call.argument("RoleName").unwrap_or_default();
    let own = call.argument("PolicyName").unwrap_or_default();
    let listed = moto.iam("ListRolePolicies", &[("RoleName", role)]).await;
    let listed = listed.unwrap_or_default();
    let mut sum = 0;
    for name in texts(&listed, "member").filter(|it| it != own) {
        let asked = [("RoleName", role), ("PolicyName", &name)];
        let policy = moto.iam("GetRolePolicy", &asked).await;
        let document = policy.and_then(|it| first(&it, "PolicyDocument"));
        sum += document.map_or(0, |it| document::size(&percent_decode(&it)));
    }
    sum
}
