//! `teardown` and `up` delete arcctl's resources at AWS, and no others. AWS is moto.

use std::{collections::BTreeMap, path::Path, sync::mpsc};

use arcctl_sandbox::{
    cloud::ACCOUNT,
    proxy::{Effect, Fault, FaultId, Matching, MethodMatch, Nth, System},
};
use serde_json::{Value, json};

use crate::{
    aws::{POLICY, ROLE, assert_unchanged, aws_writes, foreign, ids, on, profile, sandbox},
    harness::account::Account,
    harness::cluster::{Cluster, Ended},
    teardown::{at_github, is_of_crds, objects, settled_objects},
};

type Listing = BTreeMap<String, String>;

#[track_caller]
fn assert_same(before: &Listing, after: &Listing) {
    let differing: Vec<_> = before
        .keys()
        .chain(after.keys())
        .filter(|it| before.get(*it) != after.get(*it))
        .map(|it| (it, before.get(it), after.get(it)))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

fn teardown(cluster: &Cluster, file: &Path) -> Ended {
    let file = file.to_str().unwrap();
    cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file])
}

/// The calls of a teardown that delete, with the permission each takes.
const DELETIONS: [(&str, &str); 7] = [
    (
        "Action=RevokeSecurityGroupIngress&",
        "`ec2:RevokeSecurityGroupIngress` on `sg-",
    ),
    (
        "Action=RevokeSecurityGroupEgress&",
        "`ec2:RevokeSecurityGroupEgress` on `sg-",
    ),
    (
        "DELETE ?policy",
        "`s3:DeleteBucketPolicy` on `runners.example`",
    ),
    (
        "Action=DeleteRolePolicy&",
        "`iam:DeleteRolePolicy` on `actions-runner-role`",
    ),
    (
        "Action=DetachRolePolicy&",
        "`iam:DetachRolePolicy` on `actions-runner-role`",
    ),
    (
        "Action=DeleteRole&",
        "`iam:DeleteRole` on `actions-runner-role`",
    ),
    (
        "Action=DeleteOpenIDConnectProvider&",
        "`iam:DeleteOpenIDConnectProvider` on `arn:aws:iam::",
    ),
];

/// What is in the account and at GitHub beside what is in the cluster: a teardown brings all of it back to what it was.
fn together(cluster: &Cluster, account: &Account, mut found: Listing) -> Listing {
    found.extend(account.listing());
    let runners = at_github(cluster);
    found.insert("runners at GitHub".into(), format!("{runners:?}"));
    found
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn everything_is_as_it_was_before() {
    let (cluster, account) = sandbox();
    let node = cluster.world().cloud().unwrap().node_group.clone();
    account.revoke_egress(&node);
    let file = profile(&cluster, &[]);
    let before = account.listing();
    let everything = together(&cluster, &account, settled_objects(&cluster, true));

    cluster.up(&file, &[]).expect(0);
    assert_ne!(account.listing(), before);
    each_deletion_that_is_denied_is_named(&cluster, &file);
    let mut but_crds = everything.clone();
    but_crds.retain(|it, _| !is_of_crds(it));
    assert_same(
        &but_crds,
        &together(&cluster, &account, objects(&cluster, false)),
    );
    let writes = aws_writes(&cluster);
    let again = teardown(&cluster, &file);
    assert_eq!(again.expect(0)["changed"], 0, "{}", again.stderr);
    assert_eq!(aws_writes(&cluster), writes);

    // Some of it was removed by hand; the rest goes without profile and kubeconfig.
    cluster.up(&file, &[]).expect(0);
    somebody_was_faster(&cluster, &account);
    let by_name = by_name(&cluster);
    assert_eq!(by_name.expect(0)["outcome"], "ok", "{}", by_name.stderr);
    assert_same(
        &everything,
        &together(&cluster, &account, objects(&cluster, true)),
    );

    cluster.up(&file, &[]).expect(0);
    killed_after_each_write(&cluster, &file);
    assert_same(&before, &account.listing());
    cluster.finish();
}

/// IAM and S3 show each deletion late. Each is sent once AWS has accepted the one that it needs, and the inventory goes once AWS
/// shows all of them.
#[test]
#[ignore = "slow: `make test-slow`"]
fn deletions_at_aws_wait_for_what_is_shown_at_the_same_time() {
    let (cluster, _account) = sandbox();
    let file = profile(&cluster, &[]);
    cluster.up(&file, &[]).expect(0);
    let document = teardown(&cluster, &file).expect(0);
    let steps = document["steps"].as_array().unwrap();
    let times = |id: &str| {
        let mut all = steps.iter();
        let step = all.find(|it| it["id"].as_str().unwrap().starts_with(id));
        let step = step.unwrap_or_else(|| panic!("{id}: {document:#}"));
        let at = |key: &str| step[key].as_f64().unwrap_or_else(|| panic!("{step:#}"));
        (at("begin"), at("end"))
    };
    let (bucket, policy) = (times("bucket-policy/"), times("iam-role-policy/"));
    let (role, provider) = (times("iam-role/"), times("oidc-provider/"));
    assert!(role.0 < bucket.1, "{document:#}");
    assert!(provider.0 < role.1, "{document:#}");
    let memory = times("namespace/-/actions-runner-system");
    for gone in [bucket, policy, role, provider] {
        assert!(gone.1 <= memory.0, "{document:#}");
    }
    cluster.finish();
}

fn each_deletion_that_is_denied_is_named(cluster: &Cluster, file: &Path) {
    let planned = cluster.arcctl(&["plan", "--teardown", "-f", file.to_str().unwrap()]);
    for words in [
        "delete  iam-role/-/actions-runner-role",
        "delete  oidc-provider/-/oidc.eks",
        "delete  bucket-policy/-/runners.example",
        "delete  iam-role-policy/actions-runner-role/Arcctl",
        "/ingress-9443-from-sg-",
        "/ingress-443-from-sg-",
        "/egress-443-to-sg-",
    ] {
        assert!(
            planned.stdout.contains(words),
            "{words}: {}",
            planned.stdout
        );
    }
    // All at once, and each run names one more: what runs concurrently would else be done before its own turn.
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    let mut left: Vec<(&str, FaultId)> = DELETIONS
        .iter()
        .map(|(call, permission)| (*permission, on(cluster, call, Nth::Every, 403)))
        .collect();
    while !left.is_empty() {
        let ended = teardown(cluster, file);
        let error = &ended.expect(4)["error"];
        assert_eq!(error["system"], "aws", "{error}");
        let hint = error["hint"].as_str().unwrap();
        let Some(index) = left.iter().position(|(it, _)| hint.contains(it)) else {
            panic!("{hint} names none of {left:?}");
        };
        proxy.remove_fault(left.remove(index).1);
    }
    teardown(cluster, file).expect(0);
}

fn somebody_was_faster(cluster: &Cluster, account: &Account) {
    let cloud = cluster.world().cloud().unwrap();
    let description = "arcctl dogecompany: the runners reach the GitHub server";
    account.revoke(&cloud.server_group, 443, &cloud.node_group, description);
    account.delete_role(ROLE);
    account.delete_bucket_policy("runners.example");
}

fn by_name(cluster: &Cluster) -> Ended {
    let arguments = [
        "teardown",
        "--yes",
        "-o",
        "json",
        "--name",
        "dogecompany",
        "--eks",
        "runners",
        "--region",
        "ap-northeast-2",
        "--crds",
    ];
    cluster.arcctl_with(&arguments, &[("KUBECONFIG", "/nonexistent")])
}

/// Each run is killed once its first write at AWS is done, before it knows of that; the next one goes on.
fn killed_after_each_write(cluster: &Cluster, file: &Path) {
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    let (killed, was_killed) = mpsc::channel();
    proxy.on_kill(move || {
        let _test_may_have_ended = killed.send(());
    });
    let arguments = ["teardown", "--yes", "-o", "json", "-f"];
    let arguments = [&arguments[..], &[file.to_str().unwrap()]].concat();
    let mut kills = 0;
    loop {
        let fault = proxy.add_fault(Fault {
            matching: Matching {
                method: Some(MethodMatch::Writes),
                ..Matching::default()
            },
            nth: Nth::Only(1),
            effect: Effect::KillAfter,
        });
        let mut run = cluster.arcctl_in_background(&arguments);
        let dies = loop {
            if was_killed
                .recv_timeout(std::time::Duration::from_millis(50))
                .is_ok()
            {
                break true;
            }
            if run.has_ended() {
                break false;
            }
        };
        if dies {
            run.kill();
        }
        let ended = run.end();
        cluster.keep(&ended);
        proxy.remove_fault(fault);
        if !dies {
            ended.expect(0);
            break;
        }
        kills += 1;
        // A dead holder is waited for; that is shown elsewhere.
        let lease = ["-n", "actions-runner-system", "delete", "lease"];
        let lease = [&lease[..], &["arcctl-dogecompany"]].concat();
        let _said = cluster.kubectl(&lease, None);
    }
    // Rules and policies go at the same time; then the attachment, the role, and the provider.
    assert!((4..=8).contains(&kills), "{kills}");
}

/// The profile with another text in place of `from`.
fn edited(
    cluster: &Cluster,
    file: &Path,
    name: &str,
    edits: &[(&str, &str)],
) -> std::path::PathBuf {
    let mut text = std::fs::read_to_string(file).unwrap();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}: {text}");
        text = text.replace(from, to);
    }
    cluster.file(&format!("{name}.yaml"), &text)
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_leaves_the_profile_goes_and_what_others_use_stays() {
    let (cluster, account) = sandbox();
    let theirs = json!([{
        "Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"],
        "Resource": "arn:aws:s3:::runners.example/public/*",
    }]);
    let theirs = format!("{{\"Version\":\"2012-10-17\",\"Statement\":{theirs}}}");
    account.put_bucket_policy("runners.example", &theirs);
    let shared = json!({"Version": "2012-10-17", "Statement": foreign(8)});
    account.make_role(ROLE, &shared);
    // To the byte, as the console and Terraform write it.
    let statements = json!(foreign(8));
    let text = format!("{{\"Version\":\"2012-10-17\",\"Statement\":{statements}}}");
    account.set_trust_text(ROLE, &text);
    account.attach(ROLE, "arn:aws:iam::123456789012:policy/theirs");
    let file = profile(&cluster, &[]);
    let before = account.listing();
    cluster.up(&file, &[]).expect(0);

    let renamed = another_role(&cluster, &account, &file, &before);
    others_join(&cluster, &account, &renamed, &before);
    cluster.finish();
}

/// The role is another, the bucket is gone: the shared role has nothing of arcctl's any more, and all that was its own.
fn another_role(
    cluster: &Cluster,
    account: &Account,
    file: &Path,
    before: &Listing,
) -> std::path::PathBuf {
    let bucket = "    buckets:\n      - {name: runners.example, access: readWrite, apply: true}\n";
    let role = format!("role: {ROLE}");
    let edits = [(role.as_str(), "role: other-role"), (bucket, "")];
    let renamed = edited(cluster, file, "renamed", &edits);
    let plan = cluster.plan(&renamed, &[]);
    let shared = format!("iam-role/-/{ROLE}");
    let document = plan.expect(0);
    assert!(ids(&document, "update").contains(&shared), "{document:#}");
    let planned = plan.planned();
    for words in [
        "create iam-role/-/other-role",
        "update bucket-policy/-/runners.example",
        "]: {",
        &format!("managedPolicies[{POLICY}]: \"attached\" -> null"),
        &format!("delete iam-role-policy/{ROLE}/Arcctl"),
    ] {
        assert!(planned.contains(words), "{words}: {planned}");
    }
    // One after the other: the bucket's policy goes before the role that it names.
    for (call, permission) in [
        ("PUT ?policy", "`s3:PutBucketPolicy`"),
        (
            "Action=UpdateAssumeRolePolicy&",
            "`iam:UpdateAssumeRolePolicy`",
        ),
        ("Action=UntagRole&", "`iam:UntagRole`"),
    ] {
        let fault = on(cluster, call, Nth::Every, 403);
        let ended = cluster.up(&renamed, &[]);
        let hint = ended.expect(4)["error"]["hint"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(hint.contains(permission), "{hint}");
        cluster
            .world()
            .proxy(System::Aws)
            .unwrap()
            .remove_fault(fault);
    }
    cluster.up(&renamed, &[]).expect(0);
    assert_unchanged(cluster, &renamed);
    let now = account.listing();
    for what in [
        format!("role {ROLE}"),
        format!("policies of {ROLE}"),
        "bucket runners.example".into(),
    ] {
        assert_eq!(now.get(&what), before.get(&what), "{what}");
    }
    assert!(
        !now.keys()
            .any(|it| it.ends_with(&format!(" of {ROLE}")) && it.starts_with("policy "))
    );
    let inventory = cluster.get("configmap", "actions-runner-system", "arcctl-dogecompany");
    let known = inventory["data"]["resources"].as_str().unwrap();
    assert!(
        !known.contains(&format!("iam-role/-/{ROLE}\"")) && known.contains("iam-role/-/other-role"),
        "{known}"
    );
    renamed
}

/// Others use what arcctl made: that stays, and arcctl's part goes with the section `aws`.
fn others_join(cluster: &Cluster, account: &Account, file: &Path, before: &Listing) {
    let mut trust = account.trust("other-role");
    trust["Statement"]
        .as_array_mut()
        .unwrap()
        .extend(foreign(1));
    account.set_trust("other-role", &trust);
    let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{}", account.issuer());
    let user = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity",
    }]});
    account.make_role("of-the-provider", &user);
    let text = std::fs::read_to_string(file).unwrap();
    let section = text.find("aws:\n").unwrap()..text.find("pools:\n").unwrap();
    let without = text.replace(&text[section], "");
    let without = cluster.file("without.yaml", &without);

    let plan = cluster.plan(&without, &[]);
    plan.expect(0);
    assert!(
        plan.stderr
            .contains("stays: the IAM role `of-the-provider` trusts it"),
        "{}",
        plan.stderr
    );
    let fault = on(cluster, "Action=ListRoles&", Nth::Every, 403);
    let unknown = cluster.plan(&without, &[]);
    cluster
        .world()
        .proxy(System::Aws)
        .unwrap()
        .remove_fault(fault);
    unknown.expect(0);
    assert!(
        unknown
            .stderr
            .contains("cannot see which roles trust the IAM OIDC provider")
            && unknown.stderr.contains("`iam:ListRoles`"),
        "{}",
        unknown.stderr
    );
    assert!(
        !unknown.planned().contains("delete oidc-provider"),
        "{}",
        unknown.planned()
    );

    let ended = cluster.up(&without, &[]);
    assert_eq!(ended.expect(0)["error"], Value::Null);
    assert_eq!(account.trust("other-role")["Statement"], json!(foreign(1)));
    assert_eq!(account.attached("other-role"), [""; 0]);
    assert_eq!(account.clients(&account.issuer()), ["sts.amazonaws.com"]);
    the_rest_goes_once_nobody_uses_it(cluster, account, &without);
    assert_same(before, &account.listing());
}

/// The cluster of what is left is on record; the profile need not name it.
fn the_rest_goes_once_nobody_uses_it(cluster: &Cluster, account: &Account, file: &Path) {
    let by_context = edited(
        cluster,
        file,
        "by-context",
        &[(
            "  eks: runners\n  region: ap-northeast-2\n",
            "  context: sandbox\n",
        )],
    );
    account.delete_role("of-the-provider");
    account.set_trust(
        "other-role",
        &json!({"Version": "2012-10-17", "Statement": foreign(2)}),
    );
    cluster.up(&by_context, &[]).expect(0);
    account.delete_role("other-role");
    assert_unchanged(cluster, &by_context);
}
