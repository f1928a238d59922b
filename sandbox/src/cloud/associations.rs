//! The EKS Pod Identity associations, which moto does not have: the proxy before moto answers these calls. As at EKS, a
//! service account has one at most, its role must exist, and pods get it only a moment later. A policy of an association
//! takes one without session tags (EKS API reference, `UpdatePodIdentityAssociation`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, request};
use serde_json::{Value, json};

use super::{ACCOUNT, CLUSTER, api::Api};
use crate::moto::REGION;
use crate::query::query_pairs;

/// How long after its creation or its change pods do without it.
const LATE: Duration = Duration::from_millis(1200);

/// Those of the cluster, by their ids.
#[derive(Debug, Default)]
pub struct Associations(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    made: u32,
    all: BTreeMap<String, (Instant, Value)>,
}

/// A status and a document, with the type of an error where it is one.
pub(crate) type Answer = (u16, Option<&'static str>, Value);

impl Associations {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new pods of a service account get a role.
    pub fn gives_role(&self, namespace: &str, account: &str) -> bool {
        let state = self.state();
        state.all.values().any(|(since, it)| {
            it["namespace"] == namespace
                && it["serviceAccount"] == account
                && since.elapsed() >= LATE
        })
    }

    /// The tags of the one that has `id`.
    pub(crate) fn tags(&self, id: &str) -> Value {
        let state = self.state();
        let found = state.all.get(id);
        found.map_or(Value::Null, |(_, it)| it["tags"].clone())
    }

    /// What EKS would say to `request`; `None` where it is about something else. Roles are moto's.
    pub(crate) async fn answer(
        &self,
        request: &request::Parts,
        body: &[u8],
        moto: &Api,
    ) -> Option<Answer> {
        let rest = request
            .uri
            .path()
            .strip_prefix(&format!("/clusters/{CLUSTER}/pod-identity-associations"))?;
        let id = rest.trim_start_matches('/');
        let given: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(role) = given["roleArn"].as_str() {
            let name = role.rsplit('/').next().unwrap_or_default();
            if moto.iam("GetRole", &[("RoleName", name)]).await.is_err() {
                let said = "Role provided in the request does not exist.";
                return Some(refused(400, "InvalidParameterException", said));
            }
        }
        let mut state = self.state();
        Some(match (&request.method, id) {
            (&Method::GET, "") => state.list(request.uri.query().unwrap_or_default()),
            (&Method::POST, "") => state.create(&given),
            _ => state.one(&request.method, id, &given),
        })
    }
}

impl State {
    fn list(&self, query: &str) -> Answer {
        let wanted = query_pairs(query);
        let fits = |it: &Value| wanted.iter().all(|(key, value)| it[key] == *value);
        let found = self.all.values().map(|(_, it)| it).filter(|it| fits(it));
        // A summary has neither the role nor the tags.
        let short = found.map(|it| {
            let keys = [
                "clusterName",
                "namespace",
                "serviceAccount",
                "associationArn",
                "associationId",
            ];
            keys.into_iter()
                .map(|key| (key.to_owned(), it[key].clone()))
                .collect()
        });
        (
            200,
            None,
            json!({"associations": short.collect::<Vec<Value>>()}),
        )
    }

    fn create(&mut self, given: &Value) -> Answer {
        if let Some(refused) = with_tags(given) {
            return refused;
        }
        let same = |it: &Value| {
            ["namespace", "serviceAccount"]
                .iter()
                .all(|key| it[key] == given[key])
        };
        if self.all.values().any(|(_, it)| same(it)) {
            let said = "Association already exists";
            return refused(409, "ResourceInUseException", said);
        }
        self.made += 1;
        let id = format!("a-{:017}", self.made);
        let mut association = given.clone();
        association["clusterName"] = json!(CLUSTER);
        association["associationId"] = json!(id);
        association["associationArn"] = json!(format!(
            "arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{CLUSTER}/{id}"
        ));
        self.all.insert(id, (Instant::now(), association.clone()));
        (200, None, json!({"association": association}))
    }

    /// A call about the one that has `id`.
    fn one(&mut self, method: &Method, id: &str, given: &Value) -> Answer {
        let Some((since, association)) = self.all.get_mut(id) else {
            let said = "The association does not exist";
            return refused(404, "ResourceNotFoundException", said);
        };
        match *method {
            Method::POST => {
                let mut changed = association.clone();
                for key in ["roleArn", "targetRoleArn", "disableSessionTags", "policy"] {
                    if !given[key].is_null() {
                        changed[key] = given[key].clone();
                    }
                }
                if let Some(refused) = with_tags(&changed) {
                    return refused;
                }
                *since = Instant::now();
                *association = changed;
                // An empty one takes the target role away (aws-controllers-k8s/eks-controller#164).
                if association["targetRoleArn"] == "" {
                    association["targetRoleArn"] = Value::Null;
                }
            }
            Method::DELETE => {
                let association = association.take();
                self.all.remove(id);
                return (200, None, json!({"association": association}));
            }
            _ => {}
        }
        (200, None, json!({"association": association}))
    }
}

/// Refuses an association with a policy and with session tags.
fn with_tags(association: &Value) -> Option<Answer> {
    let (policy, tags) = (&association["policy"], &association["disableSessionTags"]);
    let said = "When policy is specified, disableSessionTags must be set to true";
    (policy.is_string() && *tags != true).then(|| refused(400, "InvalidParameterException", said))
}

fn refused(status: u16, kind: &'static str, message: &str) -> Answer {
    (status, Some(kind), json!({"message": message}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_and_pods_get_it_later() {
        let associations = Associations::default();
        let given =
            json!({"namespace": "n", "serviceAccount": "s", "roleArn": "r", "tags": {"a": "b"}});
        let mut state = associations.state();
        let (status, _, made) = state.create(&given);
        assert_eq!(
            (status, &made["association"]["tags"]["a"]),
            (200, &json!("b"))
        );
        assert_eq!(state.create(&given).1, Some("ResourceInUseException"));
        let listed = state.list("namespace=n&serviceAccount=s").2;
        assert_eq!(listed["associations"][0]["tags"], json!(null));
        assert_eq!(state.list("namespace=m").2["associations"], json!([]));
        drop(state);
        assert!(!associations.gives_role("n", "s"), "too early");
    }

    #[test]
    fn one_that_is_not_there_is_said() {
        let mut state = State::default();
        let answer = state.one(&Method::DELETE, "a-1", &Value::Null);
        assert_eq!(answer.1, Some("ResourceNotFoundException"));
    }

    #[test]
    fn a_policy_takes_an_association_without_session_tags() {
        let mut state = State::default();
        let with = |more: Value| {
            let mut given = json!({"namespace": "n", "serviceAccount": "s", "roleArn": "r"});
            for (key, value) in more.as_object().unwrap() {
                given[key] = value.clone();
            }
            given
        };
        let policy = json!({"policy": "{}"});
        let answer = state.create(&with(policy));
        assert_eq!(answer.1, Some("InvalidParameterException"));
        let policy = json!({"policy": "{}", "disableSessionTags": true});
        let (status, _, made) = state.create(&with(policy));
        assert_eq!(status, 200);
        let id = made["association"]["associationId"].as_str().unwrap();
        let answer = state.one(&Method::POST, id, &json!({"disableSessionTags": false}));
        assert_eq!(answer.1, Some("InvalidParameterException"));
        let (_, _, found) = state.one(&Method::GET, id, &Value::Null);
        assert_eq!(found["association"]["disableSessionTags"], true);
    }
}
