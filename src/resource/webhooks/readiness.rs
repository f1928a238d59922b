//! Evaluates the objects of a webhook: its certificate, its CA bundle, its endpoints. Used by `up` and
//! `doctor`. Pure: no I/O.

use serde_json::Value;

use crate::resource::observed::Readiness;

/// Whether a `Certificate` is issued: `Err` contains the issuer's message, if any.
pub fn issued(certificate: &Value) -> Result<(), Option<&str>> {
    let mut conditions = certificate["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    match conditions.find(|it| it["type"] == "Ready") {
        Some(ready) if ready["status"] == "True" => Ok(()),
        Some(ready) => Err(Some(ready["message"].as_str().unwrap_or("no reason given"))),
        None => Err(None),
    }
}

/// The webhooks of a configuration without the CA `ca`; all of them if `ca` is missing.
pub fn without_authority<'a>(
    configuration: &'a Value,
    ca: Option<&'a str>,
) -> impl Iterator<Item = &'a str> {
    configuration["webhooks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(move |it| ca.is_none() || it["clientConfig"]["caBundle"].as_str() != ca)
        .map(|it| it["name"].as_str().unwrap_or_default())
}

/// A label by which a configuration's webhooks select namespaces, and which `namespace` does not have: they are not called for
/// its objects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LackingLabel {
    pub(crate) key: String,
    /// The value that they select.
    pub(crate) value: String,
    /// The value that the namespace has.
    pub(crate) other: Option<String>,
}

impl LackingLabel {
    /// The webhooks are not called for a namespace without their label. The API server sets `kubernetes.io/metadata.name` itself.
    pub(super) fn readiness(&self, namespace: &str) -> Readiness {
        let Self { key, value, other } = self;
        let selects = format!(
            "the controller's webhooks select namespaces with the label `{key}={value}`, and namespace `{namespace}`"
        );
        match other {
            _ if key == "kubernetes.io/metadata.name" => Readiness::stuck(
                format!("{selects} is another one"),
                format!(
                    "let controller.watchNamespace in the profile be `{namespace}`, or take it out"
                ),
            ),
            None => Readiness::stuck(
                format!("{selects} does not have it"),
                format!("add it with `kubectl label namespace {namespace} {key}={value}`"),
            ),
            Some(other) => Readiness::stuck(
                format!("{selects} has `{key}={other}`"),
                format!(
                    "if nobody else needs that value, change it with `kubectl label namespace {namespace} {key}={value} --overwrite`; otherwise use another namespace, or chart 0.23.7"
                ),
            ),
        }
    }
}

/// The first such label.
pub(crate) fn lacking_label(configuration: &Value, namespace: &Value) -> Option<LackingLabel> {
    let labels = &namespace["metadata"]["labels"];
    let webhooks = configuration["webhooks"].as_array();
    let selected = webhooks
        .into_iter()
        .flatten()
        .filter_map(|it| it["namespaceSelector"]["matchLabels"].as_object())
        .flatten();
    selected
        .filter_map(|(key, value)| Some((key, value.as_str()?)))
        .find(|(key, value)| labels[key.as_str()] != **value)
        .map(|(key, value)| LackingLabel {
            key: key.clone(),
            value: value.to_owned(),
            other: labels[key.as_str()].as_str().map(str::to_owned),
        })
}

/// The Services that a configuration's webhooks call, by namespace and name.
pub fn services(configuration: &Value) -> impl Iterator<Item = (&str, &str)> {
    configuration["webhooks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| &it["clientConfig"]["service"])
        .filter_map(|it| Some((it["namespace"].as_str()?, it["name"].as_str()?)))
}

/// Whether a slice of `service` has an endpoint that is ready.
pub fn has_endpoint(slices: &[Value], service: &str) -> bool {
    slices
        .iter()
        .filter(|it| it["metadata"]["labels"]["kubernetes.io/service-name"] == *service)
        .flat_map(|it| it["endpoints"].as_array().into_iter().flatten())
        .any(|it| it["conditions"]["ready"] != false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_certificate_that_nobody_works_on_says_nothing() {
        let with = |conditions: Value| json!({"status": {"conditions": conditions}});
        let ready = with(json!([{"type": "Ready", "status": "True"}]));
        assert_eq!(issued(&ready), Ok(()));
        let waits = with(json!([{"type": "Ready", "status": "False", "message": "m"}]));
        assert_eq!(issued(&waits), Err(Some("m")));
        assert_eq!(issued(&json!({})), Err(None));
    }

    #[test]
    fn an_authority_that_is_missing_is_none_that_is_there() {
        let webhook =
            |name: &str, ca: Value| json!({"name": name, "clientConfig": {"caBundle": ca}});
        let configuration = json!({"webhooks": [webhook("a", json!("x")), webhook("b", json!("y")), webhook("c", Value::Null)]});
        let found: Vec<&str> = without_authority(&configuration, Some("x")).collect();
        assert_eq!(found, ["b", "c"]);
        assert_eq!(without_authority(&configuration, None).count(), 3);
    }

    #[test]
    fn a_namespace_without_the_selected_label_is_not_seen() {
        let selects = |labels: Value| json!({"webhooks": [{"name": "a"}, {"name": "b", "namespaceSelector": {"matchLabels": labels}}]});
        let namespace =
            json!({"metadata": {"name": "ci", "labels": {"kubernetes.io/metadata.name": "ci"}}});
        let lacks = |labels: Value| lacking_label(&selects(labels), &namespace);
        assert_eq!(lacks(json!({"kubernetes.io/metadata.name": "ci"})), None);
        let missing = |key: &str, value: &str, other: Option<&str>| LackingLabel {
            key: key.into(),
            value: value.into(),
            other: other.map(str::to_owned),
        };
        let found = lacks(json!({"name": "ci"}));
        assert_eq!(found, Some(missing("name", "ci", None)));
        let key = "kubernetes.io/metadata.name";
        let found = lacks(json!({key: "other"}));
        assert_eq!(found, Some(missing(key, "other", Some("ci"))));
        let everywhere = json!({"webhooks": [{"name": "a"}]});
        assert_eq!(lacking_label(&everywhere, &json!({"metadata": {}})), None);
    }

    #[test]
    fn only_slices_of_the_service_count() {
        let slice = |service: &str, ready: bool| {
            json!({"metadata": {"labels": {"kubernetes.io/service-name": service}},
                "endpoints": [{"conditions": {"ready": ready}}]})
        };
        assert!(has_endpoint(
            &[slice("other", false), slice("s", true)],
            "s"
        ));
        assert!(!has_endpoint(
            &[slice("other", true), slice("s", false)],
            "s"
        ));
    }
}
