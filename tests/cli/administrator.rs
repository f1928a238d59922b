//! No privilege escalation from a pipeline's permissions in the cluster to an administrator: docs/rbac.yaml against the
//! known ways. docs/ci.md lists the remaining ones, with the numbers that are counted here.

use crate::{
    repository::text,
    ways::{Right, WAYS, granted, opens},
};

/// The roles of docs/rbac.yaml, in the order of the table.
const ROLES: [&str; 3] = ["arcctl", "arcctl-teardown", "arcctl-install"];

/// The ways that a role opens.
fn open(role: &str) -> Vec<&'static str> {
    let rights = granted(&text("docs/rbac.yaml"), role);
    let found = WAYS.iter().filter(|way| opens(way, &rights));
    found.map(|way| way.what).collect()
}

#[test]
fn the_daily_role_and_a_teardown_open_no_way_but_those_that_are_told() {
    let [daily, teardown, install] = ROLES.map(open);
    assert_eq!(
        daily,
        [
            "ask an issuer of the cluster for a certificate",
            "pods in the runners' namespace, privileged ones too",
        ]
    );
    assert_eq!(
        teardown,
        [
            "take guards away: webhooks, policies, quotas",
            "pods in the runners' namespace, privileged ones too",
        ]
    );
    // Whoever installs is an administrator: the ways that matter are found.
    for way in [
        "`escalate`: rights in a role that one has not",
        "write ClusterRoleBindings",
    ] {
        assert!(install.contains(&way), "{install:?}");
    }
}

/// The document's table of ways and roles.
fn table(file: &str) -> String {
    let rights = ROLES.map(|role| granted(file, role));
    let mut text = String::from(
        "| way | `arcctl` | `arcctl-teardown` | `arcctl-install` |\n|---|---|---|---|\n",
    );
    for way in WAYS {
        let open = rights
            .each_ref()
            .map(|it| if opens(way, it) { "open" } else { "" });
        text += &["| ", way.what, " | ", &open.join(" | "), " |\n"].concat();
    }
    text.replace("|  |", "| |").replace("|  |", "| |")
}

#[test]
fn the_document_tells_the_ways_that_are_open() {
    let document = text("docs/ci.md");
    let table = table(&text("docs/rbac.yaml"));
    assert!(
        document.contains(&table),
        "docs/ci.md should have:\n{table}"
    );
    let [daily, teardown, install] = ROLES.map(|role| open(role).len());
    let numbers = format!(
        "Of {} known ways to an administrator's rights, `arcctl` opens {daily}, `arcctl-teardown` {teardown} and `arcctl-install` {install}",
        WAYS.len()
    );
    assert!(
        document.replace('\n', " ").contains(&numbers),
        "docs/ci.md should say: {numbers}"
    );
}

#[test]
fn each_way_is_seen_where_somebody_has_it() {
    for way in WAYS {
        let right: Right = (String::new(), way.resources[0].into(), way.verbs[0].into());
        assert!(opens(way, &[right]), "{}", way.what);
    }
    let everything = ["kube-system", "actions-runner"]
        .map(|namespace| (namespace.to_owned(), "*.*".to_owned(), "*".to_owned()));
    assert!(WAYS.iter().all(|way| opens(way, &everything)));
}
