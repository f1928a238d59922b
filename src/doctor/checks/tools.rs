//! Checks of the profile and of helm on this machine. Pure: no I/O.

use crate::doctor::{
    check::{Check, Severity, Verdict},
    snapshot::Snapshot,
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "profile-wise",
        category: "profile",
        severity: Severity::Advice,
        claim: "the profile has no risky setting",
        causes: &[],
        judge: lint,
    },
    Check {
        id: "helm-usable",
        category: "tools",
        severity: Severity::Required,
        claim: "helm is installed in a supported version",
        causes: &[],
        judge: helm,
    },
];

#[expect(clippy::unnecessary_wraps, reason = "the type of every check")]
fn lint(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    Ok(Verdict::unless(
        &snapshot.advice,
        "see each line with `arcctl plan --offline`",
    ))
}

fn helm(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    snapshot.helm.as_ref().map_err(Verdict::of)?;
    Ok(Verdict::Holds)
}
