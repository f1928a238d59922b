//! A policy document from IAM: statements of other owners are kept, arcctl's are added and removed.

use arcctl::policy::{
    Document, Trust, advice, differences, merged, own_sid, trust_statement, without,
};

const CLUSTER: &str = "arn:aws:eks:ap-northeast-2:111122223333:cluster/ci";
const ISSUER: &str = "oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLE";

/// The texts of the statements that are not ours.
fn foreign(document: &Document, sid: &str) -> Vec<String> {
    let foreign = document
        .statements
        .iter()
        .filter(|it| it.sid().is_none_or(|it| !it.starts_with(sid)));
    foreign.map(|it| it.value.to_string()).collect()
}

/// Merges our statement into the document, reads the result back, and takes it out again.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(document) = Document::parse(text) else {
        return;
    };
    let sid = own_sid(CLUSTER, "ci");
    let own = [trust_statement(Trust {
        sid: &sid,
        partition: "aws",
        account: "111122223333",
        issuer: ISSUER,
        subjects: &["system:serviceaccount:actions-runner:runner".to_owned()],
    })];
    drop(advice(&document, &sid, ISSUER));
    let result = merged(&document, &sid, &own).unwrap_or_else(|| document.clone());
    let read = Document::parse(&result.text())
        .unwrap_or_else(|error| panic!("the merged document cannot be read: {error}"));
    assert_eq!(
        foreign(&document, &sid),
        foreign(&read, &sid),
        "foreign statements changed"
    );
    assert!(
        differences("", &read, &sid, &own).is_empty(),
        "a second merge would change it"
    );
    assert!(
        merged(&read, &sid, &own).is_none(),
        "a second merge would write"
    );
    let rest = without(&read, &sid).unwrap_or_else(|| panic!("our statement is not found again"));
    assert_eq!(
        foreign(&document, &sid),
        foreign(&rest, &sid),
        "foreign statements went with ours"
    );
    assert_eq!(
        rest.statements.len(),
        foreign(&rest, &sid).len(),
        "a part of ours stays"
    );
}
