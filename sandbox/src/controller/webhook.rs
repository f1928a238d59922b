//! The responses of the controller's webhooks.
//!
//! Pure: no I/O.

use serde_json::{Value, json};

use super::GROUP;
use crate::admission::Verdict;
use crate::objects::text;

/// Judges a runner, a set of them or a deployment: `Err` is the field and the words of the first problem.
pub(super) fn validate(request: &Value) -> Verdict {
    let kind = text(request, "/kind/kind");
    let path = match kind {
        "Runner" => "spec",
        "RunnerDeployment" | "RunnerReplicaSet" => "spec.template.spec",
        _ => return Verdict::Allowed,
    };
    let object = &request["object"];
    let pointer = format!("/{}", path.replace('.', "/"));
    let empty = json!({});
    let spec = object.pointer(&pointer).unwrap_or(&empty);
    let causes: Vec<Value> = [scope(spec), work_volume(spec)]
        .into_iter()
        .flatten()
        .map(|(field, value, words)| {
            json!({
                "reason": "FieldValueInvalid", "field": format!("{path}.{field}"),
                "message": format!("Invalid value: {value}: {words}"),
            })
        })
        .collect();
    if causes.is_empty() {
        Verdict::Allowed
    } else {
        Verdict::Denied(invalid(kind, object, &causes))
    }
}

/// A `Status` as the real webhook's library builds it for an invalid object.
fn invalid(kind: &str, object: &Value, causes: &[Value]) -> Value {
    let name = text(object, "/metadata/name");
    let problems: Vec<String> = causes
        .iter()
        .map(|cause| format!("{}: {}", text(cause, "/field"), text(cause, "/message")))
        .collect();
    let problems = match &problems[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    json!({
        "metadata": {}, "status": "Failure", "code": 422, "reason": "Invalid",
        "message": format!("{kind}.{GROUP} \"{name}\" is invalid: {problems}"),
        "details": { "name": name, "group": GROUP, "kind": kind, "causes": causes },
    })
}

type Problem = (&'static str, String, String);

/// Exactly one of enterprise, organization and repository.
fn scope(spec: &Value) -> Option<Problem> {
    let given = ["enterprise", "organization", "repository"]
        .iter()
        .filter(|scope| !spec[**scope].as_str().unwrap_or_default().is_empty())
        .count();
    let words = match given {
        0 => "Spec needs enterprise, organization or repository",
        1 => return None,
        _ => "Spec cannot have many fields defined enterprise, organization and repository",
    };
    let value = format!("{:?}", spec["repository"].as_str().unwrap_or_default());
    Some(("repository", value, words.to_owned()))
}

/// Jobs in pods of their own need a volume that both pods can mount.
fn work_volume(spec: &Value) -> Option<Problem> {
    if spec["containerMode"] != "kubernetes" {
        return None;
    }
    let claim = &spec["workVolumeClaimTemplate"];
    let problem = |value: String, words: String| Some(("workVolumeClaimTemplate", value, words));
    if claim.is_null() {
        let words =
            "Spec.ContainerMode: kubernetes must have workVolumeClaimTemplate field specified";
        return problem("\"null\"".to_owned(), words.to_owned());
    }
    let modes = claim["accessModes"].as_array().cloned().unwrap_or_default();
    if modes.is_empty() {
        let words = "Access mode should have at least one mode specified";
        return problem(claim.to_string(), words.to_owned());
    }
    let wrong = modes
        .iter()
        .find(|mode| *mode != "ReadWriteOnce" && *mode != "ReadWriteMany")?;
    let words = format!(
        "Access mode {} is not supported",
        wrong.as_str().unwrap_or_default()
    );
    problem(claim.to_string(), words)
}

/// What the mutating webhook does to the three kinds: nothing on purpose, but it writes back the fields that its
/// types always have.
pub(super) fn defaults(request: &Value) -> Verdict {
    let object = &request["object"];
    let (root, template) = match text(request, "/kind/kind") {
        "Runner" => ("/spec", false),
        "RunnerDeployment" | "RunnerReplicaSet" => ("/spec/template/spec", true),
        _ => return Verdict::Allowed,
    };
    let mut operations = Vec::new();
    let mut add = |pointer: String, value: Value| {
        if object.pointer(&pointer).is_none() {
            operations.push(json!({ "op": "add", "path": pointer, "value": value }));
        }
    };
    if template {
        add("/spec/effectiveTime".to_owned(), Value::Null);
        add("/spec/selector".to_owned(), Value::Null);
        add("/spec/template/metadata".to_owned(), json!({}));
    }
    if object.pointer(root).is_some() {
        add(format!("{root}/dockerdContainerResources"), json!({}));
        add(format!("{root}/image"), "".into());
        add(format!("{root}/resources"), json!({}));
    }
    if operations.is_empty() {
        Verdict::Allowed
    } else {
        Verdict::Patched(operations.into())
    }
}

/// Puts the registration token into the runner's container of a pod, and its end into an annotation.
pub(super) fn inject_token(pod: &Value, name: &str, token: &str, expires: &str) -> Verdict {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let position = containers.and_then(|all| {
        all.iter()
            .position(|container| container["name"] == "runner")
    });
    let Some(position) = position else {
        return Verdict::Allowed;
    };
    let path = format!("/spec/containers/{position}/env");
    let mut environment = pod
        .pointer(&path)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for (variable, value) in [("RUNNER_NAME", name), ("RUNNER_TOKEN", token)] {
        let wanted = json!({ "name": variable, "value": value });
        match environment
            .iter_mut()
            .find(|known| known["name"] == variable)
        {
            Some(known) => *known = wanted,
            None => environment.push(wanted),
        }
    }
    let mut annotations = pod
        .pointer("/metadata/annotations")
        .cloned()
        .unwrap_or(json!({}));
    annotations["actions-runner-controller/token-expires-at"] = expires.into();
    Verdict::Patched(json!([
        { "op": "add", "path": path, "value": environment },
        { "op": "add", "path": "/metadata/annotations", "value": annotations },
    ]))
}

/// Denies because of an error of the webhook's own.
pub(super) fn failed(message: &str) -> Verdict {
    Verdict::Denied(json!({
        "metadata": {}, "status": "Failure", "code": 500, "message": message,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(spec: &Value) -> Value {
        json!({
            "kind": { "kind": "RunnerDeployment" },
            "object": { "metadata": { "name": "probe" }, "spec": { "template": { "spec": spec } } },
        })
    }

    fn refusal(spec: &Value) -> Value {
        match validate(&deployment(spec)) {
            Verdict::Denied(status) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_deployment_without_a_scope_is_invalid_in_the_recorded_words() {
        let status = refusal(&json!({}));
        assert_eq!(status["reason"], "Invalid");
        assert_eq!(status["code"], 422);
        let cause = &status["details"]["causes"][0];
        assert_eq!(cause["field"], "spec.template.spec.repository");
        let words = "Invalid value: \"\": Spec needs enterprise, organization or repository";
        assert_eq!(cause["message"], words);
        let message = "RunnerDeployment.actions.summerwind.dev \"probe\" is invalid: \
                       spec.template.spec.repository: Invalid value: \"\": \
                       Spec needs enterprise, organization or repository";
        assert_eq!(status["message"], message);
    }

    #[test]
    fn two_scopes_are_too_many() {
        let status = refusal(&json!({ "enterprise": "e", "organization": "o" }));
        let words = "Invalid value: \"\": Spec cannot have many fields defined enterprise, \
                     organization and repository";
        assert_eq!(status["details"]["causes"][0]["message"], words);
    }

    #[test]
    fn kubernetes_mode_needs_a_claim_with_a_known_access_mode() {
        let mut spec = json!({ "enterprise": "e", "containerMode": "kubernetes" });
        assert!(text(&refusal(&spec), "/message").contains("must have workVolumeClaimTemplate"));
        spec["workVolumeClaimTemplate"] = json!({ "accessModes": ["ReadOnlyMany"] });
        assert!(text(&refusal(&spec), "/message").contains("Access mode ReadOnlyMany is not"));
        spec["workVolumeClaimTemplate"] = json!({ "accessModes": ["ReadWriteOnce"] });
        assert_eq!(validate(&deployment(&spec)), Verdict::Allowed);
    }

    #[test]
    fn a_runner_is_judged_by_its_own_spec() {
        let runner = json!({ "kind": { "kind": "Runner" }, "object": { "spec": {} } });
        let Verdict::Denied(status) = validate(&runner) else {
            panic!("it was admitted")
        };
        assert_eq!(status["details"]["causes"][0]["field"], "spec.repository");
    }

    #[test]
    fn the_fields_that_the_types_always_have_are_written_back_once() {
        let mut request = deployment(&json!({ "enterprise": "e", "image": "i" }));
        let Verdict::Patched(operations) = defaults(&request) else {
            panic!("not patched")
        };
        let paths: Vec<&str> = operations
            .as_array()
            .unwrap()
            .iter()
            .map(|one| text(one, "/path"))
            .collect();
        let expected = [
            "/spec/effectiveTime",
            "/spec/selector",
            "/spec/template/metadata",
            "/spec/template/spec/dockerdContainerResources",
            "/spec/template/spec/resources",
        ];
        assert_eq!(paths, expected);
        let spec = &mut request["object"]["spec"];
        spec["effectiveTime"] = Value::Null;
        spec["selector"] = Value::Null;
        spec["template"]["metadata"] = json!({});
        spec["template"]["spec"]["dockerdContainerResources"] = json!({});
        spec["template"]["spec"]["resources"] = json!({});
        assert_eq!(defaults(&request), Verdict::Allowed);
    }

    #[test]
    fn a_token_replaces_an_older_one() {
        let pod = json!({ "spec": { "containers": [
            { "name": "runner", "env": [{ "name": "RUNNER_TOKEN", "value": "old" }] },
        ] } });
        let Verdict::Patched(operations) = inject_token(&pod, "r", "new", "later") else {
            panic!("not patched");
        };
        let expected = json!([
            { "name": "RUNNER_TOKEN", "value": "new" }, { "name": "RUNNER_NAME", "value": "r" },
        ]);
        assert_eq!(operations[0]["value"], expected);
    }
}
