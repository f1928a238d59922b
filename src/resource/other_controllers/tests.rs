//! Tests of other controllers: who they are, what they share with the profile, and the effect.

use serde_json::json;

use super::*;
use crate::{
    clients::kube::Target,
    error::{Error, ErrorKind},
};

fn configuration(release: &str, namespace: &str, selector: &Value) -> Value {
    let mut webhook = json!({
        "name": "validate.runner.actions.summerwind.dev",
        "clientConfig": {"service": {"namespace": namespace, "name": format!("{release}-webhook")}},
    });
    if !selector.is_null() {
        webhook["namespaceSelector"] = json!({"matchLabels": selector});
    }
    json!({
        "metadata": {"name": format!("{release}-validating-webhook-configuration")},
        "webhooks": [webhook.clone(), webhook],
    })
}

fn profile(controller: &Value, namespace: &str) -> Profile {
    crate::desired::tests::profile(&json!({
        "controller": controller,
        "pools": [{"name": "p", "namespace": namespace, "image": "summerwind/actions-runner:v2.336.0-ubuntu-22.04", "min": 1, "max": 1}],
    }))
}

const OWN: &str = "actions-runner-controller";

#[test]
fn the_own_controller_is_no_other_one() {
    let own = configuration(OWN, "actions-runner-system", &Value::Null);
    let default = profile(&json!({}), "actions-runner");
    assert_eq!(others(std::slice::from_ref(&own), &default), []);
    let moved = profile(&json!({"namespace": "ci"}), "actions-runner");
    assert_eq!(others(&[own], &moved)[0].place(), "actions-runner-system");
    let named = configuration("arc-actions-runner-controller", "ci", &Value::Null);
    let renamed = profile(
        &json!({"namespace": "ci", "release": "arc"}),
        "actions-runner",
    );
    assert_eq!(others(&[named], &renamed), []);
    let issuer = json!({"metadata": {"name": "cert-manager-webhook"}, "webhooks": [{"name": "webhook.cert-manager.io"}]});
    assert_eq!(others(&[issuer], &default), []);
}

#[test]
fn scopes_that_are_apart_share_nothing() {
    let team = |selector: Value| {
        let configuration = configuration("team-actions-runner-controller", "team", &selector);
        others(&[configuration], &profile(&json!({}), "runners")).remove(0)
    };
    let single = team(json!({"kubernetes.io/metadata.name": "team-runners"}));
    assert_eq!(single.watches.as_deref(), Some("team-runners"));
    assert_eq!(team(json!({"name": "old"})).watches.as_deref(), Some("old"));
    assert_eq!(
        team(json!({"tier": "ci"})).watches,
        None,
        "any namespace may have it"
    );
    let ours = |watch: Value| profile(&json!({"watchNamespace": watch}), "runners");
    assert_eq!(single.shares(&ours(json!("runners"))), None);
    assert!(single.shares(&ours(json!("team-runners"))).is_some());
    assert!(single.shares(&ours(Value::Null)).is_some());
    let all = team(Value::Null);
    assert!(all.shares(&ours(json!("runners"))).is_some());
    assert!(all.shares(&ours(Value::Null)).is_some());
}

#[test]
fn the_way_out_names_a_key_that_can_do_it() {
    let single = OtherController {
        configuration: "c".into(),
        release: None,
        services: vec![("team".into(), "s".into())],
        watches: Some("team-runners".into()),
    };
    let way = single.way_out(&profile(&json!({}), "runners"));
    assert!(
        way.contains("`controller.watchNamespace: runners`"),
        "{way}"
    );
    let way = single.way_out(&profile(&json!({}), "team-runners"));
    assert!(way.contains("`pools[].namespace`"), "{way}");
    let all = OtherController {
        watches: None,
        ..single
    };
    let way = all.way_out(&profile(&json!({}), "runners"));
    assert!(
        way.contains("with the tool that installed it (namespace team)"),
        "{way}"
    );
    assert!(!way.contains("helm -n"), "{way}");
}

/// The controllers that `others` finds, by namespace of the release, and the namespaces that they share with the profile.
fn met(configurations: &[Value], profile: &Profile) -> Vec<(String, Option<String>)> {
    let found = others(configurations, profile);
    found
        .iter()
        .map(|it| (it.place(), it.shares(profile)))
        .collect()
}

fn watching(namespace: &str) -> Value {
    json!({"kubernetes.io/metadata.name": namespace})
}

#[test]
fn of_several_teams_only_the_one_that_is_met_is_told() {
    let configurations = [
        configuration("web-actions-runner-controller", "web", &watching("web-ci")),
        configuration("data-actions-runner-controller", "data", &watching("ci")),
        configuration(OWN, "actions-runner-system", &watching("ci")),
    ];
    let ours = profile(&json!({"watchNamespace": "ci"}), "ci");
    assert_eq!(
        met(&configurations, &ours),
        [
            ("web".to_owned(), None),
            ("data".to_owned(), Some("namespace `ci`".to_owned())),
        ]
    );
}

#[test]
fn a_controller_that_selects_differently_by_kind_is_taken_to_see_everything() {
    let mut mixed = configuration("team-actions-runner-controller", "team", &watching("team"));
    mixed["webhooks"][1]["namespaceSelector"] = json!({"matchLabels": watching("elsewhere")});
    let ours = profile(&json!({"watchNamespace": "ci"}), "ci");
    assert_eq!(
        met(&[mixed], &ours),
        [("team".to_owned(), Some("namespace `ci`".to_owned()))]
    );
}

#[test]
fn one_release_is_told_once_by_its_validating_half() {
    let mut mutating = configuration("team-actions-runner-controller", "team", &Value::Null);
    mutating["metadata"]["name"] =
        "team-actions-runner-controller-mutating-webhook-configuration".into();
    let validating = configuration("team-actions-runner-controller", "team", &Value::Null);
    let found = others(&[mutating, validating], &profile(&json!({}), "runners"));
    let names: Vec<&str> = found.iter().map(|it| it.configuration.as_str()).collect();
    assert_eq!(
        names,
        ["team-actions-runner-controller-validating-webhook-configuration"]
    );
}

#[test]
fn the_same_release_name_in_another_namespace_is_another_teams() {
    let theirs = configuration(
        "arc-actions-runner-controller",
        "team",
        &watching("team-ci"),
    );
    let ours = profile(
        &json!({"namespace": "ci-system", "release": "arc", "watchNamespace": "ci"}),
        "ci",
    );
    assert_eq!(met(&[theirs], &ours), [("team".to_owned(), None)]);
}

#[test]
fn pools_in_several_namespaces_are_told_to_move_together_first() {
    let pool = |name: &str, namespace: &str| json!({"name": name, "namespace": namespace, "image": "summerwind/actions-runner:v2.336.0-ubuntu-22.04", "min": 1, "max": 1});
    let ours = crate::desired::tests::profile(&json!({
        "pools": [pool("a", "ci-a"), pool("b", "ci-b")],
    }));
    let theirs = configuration(
        "team-actions-runner-controller",
        "team",
        &watching("team-ci"),
    );
    let found = others(&[theirs], &ours).remove(0);
    assert!(found.shares(&ours).is_some());
    let way = found.way_out(&ours);
    assert!(way.starts_with("put all pools into one namespace"), "{way}");
    assert!(way.contains("`controller.watchNamespace`"), "{way}");
}

/// The effect of a controller of release `release` in namespace `namespace`, whose Service may be missing.
fn meeting(
    (release, namespace): (&str, &str),
    selector: &Value,
    ours: &Profile,
    (gone, installed): (bool, bool),
) -> Meeting {
    let mut one = configuration(
        &format!("{release}-actions-runner-controller"),
        namespace,
        selector,
    );
    one["metadata"]["annotations"] = json!({
        "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace,
    });
    let found = others(&[one], ours);
    let service = Target::namespaced("v1", "Service", namespace, "webhook");
    found[0].meets(ours, gone.then_some(&service), installed)
}

fn told(meeting: Meeting) -> String {
    match meeting {
        Meeting::Told(words) => words,
        other => panic!("{other:?}"),
    }
}

fn refused(meeting: Meeting) -> Error {
    match meeting {
        Meeting::Refused(error) => error,
        other => panic!("{other:?}"),
    }
}

const TEAM: (&str, &str) = ("team", "team-system");

#[test]
fn a_second_one_for_all_is_refused_before_arcctl_s_is_there_and_told_after() {
    let ours = profile(&json!({}), "runners");
    let before = refused(meeting(TEAM, &Value::Null, &ours, (false, false)));
    assert_eq!(before.kind, ErrorKind::Refused);
    let after = told(meeting(TEAM, &Value::Null, &ours, (false, true)));
    for text in [&before.to_string(), &after] {
        for part in [
            "Deployment `team-system/team-actions-runner-controller`",
            "release `team` of helm",
            "watches every namespace too",
            "both create and delete the runners there",
            "`controller.watchNamespace: runners`",
            "helm -n team-system upgrade team ",
            "`helm -n team-system uninstall team`",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Lease"), "{text}");
    }
    assert!(after.contains("This run continues"), "{after}");
}

#[test]
fn one_that_arcctl_has_taken_over_is_no_second_one() {
    let mut first = configuration(OWN, "actions-runner-system", &Value::Null);
    first["metadata"]["annotations"] = json!({
        "meta.helm.sh/release-name": OWN, "meta.helm.sh/release-namespace": "actions-runner-system",
    });
    assert_eq!(others(&[first], &profile(&json!({}), "runners")), []);
}

#[test]
fn whoever_looks_at_our_namespace_only_is_met_as_one_for_all_is() {
    for controller in [json!({}), json!({"watchNamespace": "runners"})] {
        let ours = profile(&controller, "runners");
        let before = meeting(TEAM, &watching("runners"), &ours, (false, false));
        assert_eq!(refused(before).kind, ErrorKind::Refused);
        let after = told(meeting(TEAM, &watching("runners"), &ours, (false, true)));
        assert!(after.contains("watches namespace `runners` too"), "{after}");
        assert!(after.contains("kubectl get runners -n runners"), "{after}");
        assert!(
            after.contains("helm -n team-system uninstall team"),
            "{after}"
        );
    }
}

#[test]
fn a_profile_for_one_namespace_beside_one_for_all_has_nothing_more_to_set() {
    let ours = profile(&json!({"watchNamespace": "runners"}), "runners");
    let after = told(meeting(TEAM, &Value::Null, &ours, (false, true)));
    assert!(after.contains("watches namespace `runners` too"), "{after}");
    assert!(!after.contains("controller.watchNamespace"), "{after}");
}

#[test]
fn one_that_is_apart_is_no_matter_but_where_its_webhook_is_left() {
    let ours = profile(&json!({"watchNamespace": "runners"}), "runners");
    for installed in [true, false] {
        let apart = meeting(TEAM, &watching("team"), &ours, (false, installed));
        assert!(matches!(apart, Meeting::Apart), "{apart:?}");
        let left = told(meeting(TEAM, &watching("team"), &ours, (true, installed)));
        assert!(
            left.contains("all runners of namespace team are refused"),
            "{left}"
        );
    }
}

#[test]
fn what_is_left_of_one_that_looked_at_ours_is_refused_before_arcctl_s_is_there_and_told_after() {
    // Its namespace was deleted, or it was half uninstalled, or it is being reinstalled.
    let ours = profile(&json!({}), "runners");
    let command = "kubectl delete validatingwebhookconfiguration/team-actions-runner-controller-validating-webhook-configuration mutatingwebhookconfiguration/team-actions-runner-controller-mutating-webhook-configuration";
    for selector in [Value::Null, watching("runners")] {
        let before = refused(meeting(TEAM, &selector, &ours, (true, false)));
        assert_eq!(before.kind, ErrorKind::Refused);
        let hint = before.hint.unwrap_or_default();
        assert!(hint.contains(command), "{hint}");
        let after = told(meeting(TEAM, &selector, &ours, (true, true)));
        for part in [command, "which does not exist", "This run continues"] {
            assert!(after.contains(part), "{part}: {after}");
        }
    }
}

#[test]
fn in_one_namespace_two_may_share_the_lease() {
    let beside = ("team", "actions-runner-system");
    let ours = profile(&json!({}), "runners");
    let after = told(meeting(beside, &Value::Null, &ours, (false, true)));
    assert!(after.contains("only one of the two leads"), "{after}");
    // A release with another name has its own Lease.
    let named = profile(&json!({"release": "ci"}), "runners");
    let after = told(meeting(beside, &Value::Null, &named, (false, true)));
    assert!(!after.contains("Lease"), "{after}");
}

#[test]
fn one_that_does_not_run_is_told_by_what_its_webhook_then_does() {
    let ours = profile(&json!({}), "runners");
    let after = told(meeting(TEAM, &Value::Null, &ours, (false, true)));
    assert!(
        after.contains("while its webhook does not respond, no runner can be created"),
        "{after}"
    );
}

#[test]
fn one_of_another_naming_is_told_by_its_webhook_configuration() {
    let mut plain = configuration(OWN, "elsewhere", &Value::Null);
    plain["metadata"]["name"] = "validating-webhook-configuration".into();
    let ours = profile(&json!({}), "runners");
    let after = told(others(&[plain], &ours)[0].meets(&ours, None, true));
    assert!(
        after.contains(
            "(webhook configuration `validating-webhook-configuration`, namespace elsewhere)"
        ),
        "{after}"
    );
}
