//! Checks of AWS: each evaluates the `observe` results of arcctl's resources at AWS. Pure: no I/O.

use crate::{
    clients::aws::error::NO_CREDENTIALS,
    desired::{
        aws::pod_identity_agent, pool::runner_version::day, resource::aws::PodIdentityAssociation,
    },
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{Resource, Snapshot},
    },
    error::ErrorKind,
    profile::{RoleVia, RunnerRole},
    resource::observed::{Observed, Present},
    upgrade::compatibility::{EksSupport, not_known},
};

const NOT_ASKED: &[&str] = &["aws-credentials", "eks-cluster", "api-server-answers"];

/// The length of one of arcctl's policy statements, rounded up.
const STATEMENT: usize = 450;

const MEND: &str = "fix it with `arcctl up`; `arcctl plan` shows every field";

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "aws-credentials",
        category: "aws",
        severity: Severity::Required,
        claim: "AWS credentials are valid",
        causes: &[],
        judge: credentials,
    },
    Check {
        id: "eks-cluster",
        category: "aws",
        severity: Severity::Required,
        claim: "the EKS cluster of the profile exists and can be used",
        causes: &["aws-credentials"],
        judge: cluster,
    },
    Check {
        id: "eks-support",
        category: "aws",
        severity: Severity::Advice,
        claim: "EKS gives the cluster's Kubernetes standard support for 60 more days",
        causes: NOT_ASKED,
        judge: support,
    },
    Check {
        id: "oidc-provider",
        category: "aws",
        severity: Severity::Required,
        claim: "IAM has an OIDC provider for the cluster, with the audience sts.amazonaws.com",
        causes: NOT_ASKED,
        judge: provider,
    },
    Check {
        id: "role-trusts-runners",
        category: "aws",
        severity: Severity::Required,
        claim: "the role exists, and the runners' service account can assume it",
        causes: &[
            "aws-credentials",
            "eks-cluster",
            "api-server-answers",
            "oidc-provider",
        ],
        judge: trusts,
    },
    Check {
        id: "pod-identity-association",
        category: "aws",
        severity: Severity::Required,
        claim: "an EKS Pod Identity association gives the role to the runners' service account",
        causes: &[
            "aws-credentials",
            "eks-cluster",
            "api-server-answers",
            "role-trusts-runners",
        ],
        judge: association,
    },
    Check {
        id: "pod-identity-agent",
        category: "aws",
        severity: Severity::Advice,
        claim: "the EKS Pod Identity Agent runs on every node",
        causes: NOT_ASKED,
        judge: agent,
    },
    Check {
        id: "role-policies",
        category: "aws",
        severity: Severity::Required,
        claim: "the role has the policies that the profile gives it",
        causes: &[
            "aws-credentials",
            "eks-cluster",
            "api-server-answers",
            "role-trusts-runners",
        ],
        judge: policies,
    },
    Check {
        id: "bucket-policies",
        category: "aws",
        severity: Severity::Required,
        claim: "the bucket policies allow the role",
        causes: &[
            "aws-credentials",
            "eks-cluster",
            "api-server-answers",
            "role-trusts-runners",
        ],
        judge: buckets,
    },
    Check {
        id: "trust-policy-has-room",
        category: "aws",
        severity: Severity::Advice,
        claim: "the role's trust policy has room for one more cluster",
        causes: NOT_ASKED,
        judge: room,
    },
    Check {
        id: "aws-wise",
        category: "aws",
        severity: Severity::Advice,
        claim: "nothing that others configured in AWS is risky",
        causes: NOT_ASKED,
        judge: lint,
    },
];

/// Without credentials no call was made: whether they are valid is unknown then.
fn credentials(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let refuses = |error: &crate::error::Error| {
        if error.causes.iter().any(|it| it == NO_CREDENTIALS) {
            Verdict::unknown(error)
        } else {
            Verdict::of(error)
        }
    };
    let caller = snapshot.at_aws.caller.as_ref().map_err(refuses)?;
    Ok(match caller {
        Some(_) => Verdict::Holds,
        None => Verdict::skipped("the profile names nothing at AWS"),
    })
}

fn cluster(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    known(&snapshot.at_aws.caller)?;
    let cluster = snapshot.at_aws.cluster.as_ref().map_err(Verdict::of)?;
    Ok(match cluster {
        Some(_) => Verdict::Holds,
        None => Verdict::skipped("the profile names no cluster of EKS"),
    })
}

/// The days are from the table: EKS is not asked.
fn support(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let cluster = &snapshot.profile.cluster;
    let Some(name) = &cluster.eks else {
        return Ok(Verdict::skipped("the profile names no cluster of EKS"));
    };
    let kubernetes = *known(&snapshot.kubernetes)?;
    let Some(support) = EksSupport::of(kubernetes) else {
        let fix = "use a newer arcctl; `aws eks describe-cluster-versions` tells it";
        return Err(Verdict::not_known(not_known(kubernetes), fix));
    };
    Ok(match support.told(day(snapshot.now)) {
        Some(found) => {
            let region = cluster.region.as_ref();
            let region = region.map_or_else(String::new, |it| format!(" --region {it}"));
            let (major, minor) = (kubernetes.0, kubernetes.1 + 1);
            Verdict::broken(
                found,
                format!(
                    "see with `arcctl upgrade --dry-run` whether what is installed is made for it, and upgrade the control plane, one minor version at a time, with `aws eks update-cluster-version{region} --name {name} --kubernetes-version {major}.{minor}`, and then its nodes"
                ),
            )
        }
        None => Verdict::Holds,
    })
}

/// The role in the profile, and how pods assume it.
fn role(snapshot: &Snapshot) -> Result<(RoleVia, &RunnerRole), Verdict> {
    let role = snapshot.profile.runner_role();
    role.ok_or_else(|| Verdict::skipped("the profile has no aws.irsa and no aws.podIdentity"))
}

/// The resources of `kind`, and their state; the first unknown one ends the check.
pub(super) fn of_kind<'a>(
    snapshot: &'a Snapshot,
    kind: &str,
) -> Result<Vec<(&'a Resource, &'a Observed)>, Verdict> {
    known(&snapshot.at_aws.wiring)?;
    known(&snapshot.resources)?
        .iter()
        .filter(|it| it.id.kind() == kind)
        .map(|it| {
            // A resource of another owner is a known state.
            let judged = it.observed.as_ref().map_err(|error| match error.kind {
                ErrorKind::Refused => Verdict::refuted(error),
                _ => Verdict::unknown(error),
            });
            Ok((it, judged?))
        })
        .collect()
}

/// What is wrong with the resources of `kind`, considering the differences that `counts` selects.
fn wrong(
    snapshot: &Snapshot,
    kind: &str,
    counts: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Verdict> {
    let of = |present: &Present| {
        let differs = present.differences.iter().find(|it| counts(&it.path));
        let differs = differs.map(|it| format!("differs at {}", it.path));
        differs.or_else(|| present.readiness.reason().map(str::to_owned))
    };
    Ok(of_kind(snapshot, kind)?
        .into_iter()
        .filter_map(|(resource, observed)| {
            let what = match observed {
                Observed::Absent => "does not exist".to_owned(),
                Observed::Present(present) => of(present)?,
            };
            Some(format!("`{}` {what}", resource.id))
        })
        .collect())
}

fn provider(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    if role(snapshot)?.0 == RoleVia::PodIdentity {
        return Ok(Verdict::skipped("Pod Identity takes no provider"));
    }
    Ok(Verdict::unless(
        &wrong(snapshot, "oidc-provider", |_| true)?,
        MEND,
    ))
}

/// Where the differences of the role's managed policies are.
fn is_attachment(path: &str) -> bool {
    path.starts_with("managedPolicies")
}

fn trusts(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    role(snapshot)?;
    let found = wrong(snapshot, "iam-role", |path| !is_attachment(path))?;
    Ok(Verdict::unless(&found, MEND))
}

/// Ends the check if the runners' pods do not get their role by Pod Identity.
fn by_association(snapshot: &Snapshot) -> Result<(), Verdict> {
    match role(snapshot)?.0 {
        RoleVia::PodIdentity => Ok(()),
        RoleVia::Irsa => Err(Verdict::skipped("the profile has no aws.podIdentity")),
    }
}

fn association(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    by_association(snapshot)?;
    let found = wrong(snapshot, PodIdentityAssociation::KIND, |_| true)?;
    Ok(Verdict::unless(&found, MEND))
}

fn agent(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    by_association(snapshot)?;
    let wiring = known(&snapshot.at_aws.wiring)?.as_ref();
    let auto_mode = wiring.is_some_and(|it| it.auto_mode);
    if auto_mode && !pod_identity_agent::is_needed(auto_mode, known(&snapshot.nodes)?) {
        return Ok(Verdict::skipped(
            "the nodes of EKS Auto Mode have the agent built in",
        ));
    }
    let cluster = known(&snapshot.at_aws.cluster)?
        .as_deref()
        .unwrap_or_default();
    let agent = known(&snapshot.role_agent)?.as_ref();
    Ok(match pod_identity_agent::lack(agent, cluster) {
        None => Verdict::Holds,
        Some(lack) => Verdict::broken(lack.found, lack.fix),
    })
}

fn policies(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    role(snapshot)?;
    let mut found = wrong(snapshot, "iam-role", is_attachment)?;
    found.extend(wrong(snapshot, "iam-role-policy", |_| true)?);
    Ok(Verdict::unless(&found, MEND))
}

fn buckets(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    if role(snapshot)?.1.buckets.iter().all(|it| !it.apply) {
        return Ok(Verdict::skipped(
            "no bucket's policy is arcctl's to write: the role's `buckets` have none with `apply`",
        ));
    }
    Ok(Verdict::unless(
        &wrong(snapshot, "bucket-policy", |_| true)?,
        MEND,
    ))
}

fn room(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let wiring = known(&snapshot.at_aws.wiring)?.as_ref();
    let Some(policy) = wiring.and_then(|it| it.trust_policy.as_ref()) else {
        return Ok(Verdict::skipped("there is no role"));
    };
    let size = policy.size;
    let Some(quota) = policy.quota else {
        let found = format!(
            "the trust policy of the IAM role `{}` has {size} characters, and how many the account allows is not known",
            policy.role
        );
        let fix = "grant `iam:GetAccountSummary` on `*` to the identity that `aws sts get-caller-identity` shows";
        return Err(Verdict::not_known(found, fix));
    };
    Ok(if size + STATEMENT <= quota {
        Verdict::Holds
    } else {
        Verdict::broken(
            format!(
                "the trust policy of the IAM role `{}` has {size} of {quota} characters",
                policy.role
            ),
            "take out statements of clusters that are gone, raise the quota `Role trust policy length` of IAM, or give the runners a role of their own: `role` under aws.irsa or aws.podIdentity",
        )
    })
}

fn lint(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    Ok(match known(&snapshot.at_aws.wiring)? {
        Some(wiring) => Verdict::unless(
            &wiring.advice,
            "let whoever wrote it correct it: arcctl leaves what is not its own",
        ),
        None => Verdict::skipped("the profile has no `aws`"),
    })
}
