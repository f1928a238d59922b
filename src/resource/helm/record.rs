//! Parses helm's record of a release: the Secret `sh.helm.release.v1.NAME.vN`. Pure: no I/O.
//!
//! Needs no helm process (DESIGN 5). Format: base64 of gzip of JSON, in the Secret's own base64
//! (helm 3 and 4, storage driver `secret`).

use std::{collections::BTreeSet, io::Read};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    clients::helm::REVISION, desired::names, resource::observed::Ownership,
    units::version::published,
};

/// A safe maximum: the Secret has at most 1 MiB, and text compresses to a tenth.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The keys in `authSecret` for a credential in the chart's values (reference: arc.md 1.2).
const CREDENTIALS: [&str; 3] = [
    "github_token",
    "github_app_private_key",
    "github_basicauth_password",
];

/// One revision of a release.
#[derive(Clone, Debug)]
pub struct ReleaseRecord {
    /// The name of the Secret.
    pub secret: String,
    /// `deployed`, `failed`, `pending-install`, …
    pub status: String,
    /// The revision.
    pub revision: u64,
    /// When it was last written, as seconds since 1970.
    pub modified: Option<i64>,
    /// The profile that created it.
    pub profile: Option<String>,
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub chart_version: String,
    /// The values of the user.
    pub values: Value,
    /// The rendered objects.
    pub manifest: String,
    /// The paths of differences that an upgrade did not fix.
    pub(super) accepted: BTreeSet<String>,
    /// The Secret's metadata, for preconditions on this version.
    pub(super) seen: Value,
}

/// The annotation with the paths of differences that an upgrade did not fix.
pub(super) const ACCEPTED: &str = "arcctl.dev/not-mended";

impl ReleaseRecord {
    /// Whether a helm process has begun this revision and not finished it.
    pub(super) fn is_unfinished(&self) -> bool {
        self.status.starts_with("pending-") || self.status == "uninstalling"
    }

    /// Whether arcctl's helm created this revision.
    pub(super) fn is_of_arcctl(&self) -> bool {
        is_of_arcctl(&self.seen)
    }

    /// The number of helm's next revision. After a lock is deleted, helm reuses its number.
    pub(super) fn next_revision(&self) -> u64 {
        if self.status.starts_with("pending-") {
            self.revision
        } else {
            self.revision + 1
        }
    }

    /// The resourceVersion of the record.
    pub(super) fn version(&self) -> &str {
        self.seen["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
    }

    /// The ownership of the release, for `profile`.
    pub(in crate::resource) fn ownership(&self, profile: &str) -> Ownership {
        match &self.profile {
            Some(name) if name == profile => Ownership::Ours,
            Some(name) => Ownership::OtherProfile { name: name.clone() },
            None => Ownership::Foreign {
                evidence: format!("chart version {}, installed by hand", self.chart_version),
            },
        }
    }
}

/// The newest revision among the Secrets of a release; the error describes a record that cannot be parsed.
pub fn newest(secrets: &[Value]) -> Result<Option<ReleaseRecord>, String> {
    match secrets.iter().max_by_key(|it| revision(it)) {
        Some(secret) => record(secret).map(Some),
        None => Ok(None),
    }
}

/// Whether the highest revision among the Secrets of a release is deployed.
pub(super) fn is_deployed(secrets: &[Value]) -> bool {
    let highest = secrets.iter().max_by_key(|it| revision(it));
    highest.is_some_and(|it| it["metadata"]["labels"]["status"] == "deployed")
}

/// Whether arcctl's helm created the revision of a Secret, by its metadata. Later revisions inherit labels, so a label with
/// another revision is of one that arcctl did not create.
pub(super) fn is_of_arcctl(secret: &Value) -> bool {
    let labels = &secret["metadata"]["labels"];
    let made_as = labels[REVISION].as_str().and_then(|it| it.parse().ok());
    labels[names::PROFILE_LABEL].is_string() && made_as == Some(revision(secret))
}

/// Whether a revision has a GitHub credential in its values.
pub(super) fn has_credential(secret: &Value) -> bool {
    let given = record(secret)
        .ok()
        .map(|it| it.values["authSecret"].clone());
    let given = given.as_ref().and_then(Value::as_object);
    given.into_iter().flatten().any(|(key, value)| {
        CREDENTIALS.contains(&key.as_str()) && value.as_str().is_some_and(|it| !it.is_empty())
    })
}

fn revision(secret: &Value) -> u64 {
    secret["metadata"]["labels"]["version"]
        .as_str()
        .and_then(|it| it.parse().ok())
        .unwrap_or(0)
}

fn record(secret: &Value) -> Result<ReleaseRecord, String> {
    let labels = &secret["metadata"]["labels"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&secret["metadata"]["name"]);
    let release = secret["data"]["release"]
        .as_str()
        .ok_or_else(|| format!("Secret `{name}` has no key `release`"))
        .and_then(|data| decode(data).map_err(|error| format!("Secret `{name}`: {error}")))?;
    Ok(ReleaseRecord {
        status: text(&labels["status"]),
        revision: revision(secret),
        modified: labels["modifiedAt"]
            .as_str()
            .or(labels["createdAt"].as_str())
            .and_then(|it| it.parse().ok()),
        profile: labels[names::PROFILE_LABEL].as_str().map(str::to_owned),
        chart: text(&release["chart"]["metadata"]["name"]),
        chart_version: published(&text(&release["chart"]["metadata"]["version"])).to_owned(),
        values: release["config"].clone(),
        manifest: text(&release["manifest"]),
        accepted: secret["metadata"]["annotations"][ACCEPTED]
            .as_str()
            .and_then(|it| serde_json::from_str(it).ok())
            .unwrap_or_default(),
        seen: json!({"metadata": secret["metadata"]}),
        secret: name,
    })
}

fn decode(data: &str) -> Result<Value, String> {
    let outer = STANDARD.decode(data).map_err(|error| error.to_string())?;
    let inner = STANDARD.decode(outer).map_err(|error| error.to_string())?;
    let mut json = Vec::new();
    flate2::read::GzDecoder::new(inner.as_slice())
        .take(MOST_BYTES)
        .read_to_end(&mut json)
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    fn secret(revision: &str, status: &str) -> Value {
        given(revision, status, &json!({"a": 1}))
    }

    pub(in crate::resource) fn given(revision: &str, status: &str, values: &Value) -> Value {
        of_version("1.2.3", revision, status, values)
    }

    fn of_version(version: &str, revision: &str, status: &str, values: &Value) -> Value {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let release =
            json!({"chart": {"metadata": {"version": version}}, "config": values, "manifest": "x"});
        packed.write_all(release.to_string().as_bytes()).unwrap();
        let data = STANDARD.encode(STANDARD.encode(packed.finish().unwrap()));
        json!({
            "metadata": {"name": format!("r.v{revision}"), "labels": {"version": revision, "status": status}},
            "data": {"release": data},
        })
    }

    #[test]
    fn the_highest_revision_counts_as_a_number() {
        let found = newest(&[secret("9", "superseded"), secret("10", "deployed")])
            .unwrap()
            .unwrap();
        assert_eq!((found.revision, found.status.as_str()), (10, "deployed"));
        assert_eq!(found.values, json!({"a": 1}));
    }

    #[test]
    fn a_chart_that_flux_took_from_a_registry_has_the_version_that_was_published() {
        let secret = of_version("0.14.2+0123456789ab", "1", "deployed", &json!({}));
        let found = newest(&[secret]).unwrap().unwrap();
        assert_eq!(found.chart_version, "0.14.2");
    }

    #[test]
    fn only_revisions_made_by_hand_with_a_credential_are_found() {
        let token = json!({"authSecret": {"github_token": "x"}});
        let mut ours = given("3", "superseded", &token);
        ours["metadata"]["labels"][names::PROFILE_LABEL] = json!("a");
        ours["metadata"]["labels"][REVISION] = json!("3");
        // Adopted: it has the profile's label, but was created manually.
        let mut adopted = given("4", "superseded", &token);
        adopted["metadata"]["labels"][names::PROFILE_LABEL] = json!("a");
        let secrets = [
            adopted,
            given("1", "superseded", &token),
            given(
                "2",
                "superseded",
                &json!({"authSecret": {"github_token": ""}}),
            ),
            ours,
        ];
        let found = secrets
            .iter()
            .filter(|it| !is_of_arcctl(it) && has_credential(it))
            .map(|it| it["metadata"]["name"].clone());
        assert_eq!(found.collect::<Vec<_>>(), ["r.v4", "r.v1"]);
    }

    #[test]
    fn only_a_deployed_revision_is_known_to_be_the_newest() {
        assert!(is_deployed(&[
            secret("2", "failed"),
            secret("10", "deployed")
        ]));
        // After a crash revision 3 may be superseded, and its successor deleted: revision 2 is not the newest.
        assert!(!is_deployed(&[secret("2", "failed")]));
        assert!(!is_deployed(&[
            secret("9", "deployed"),
            secret("10", "pending-upgrade")
        ]));
        assert!(!is_deployed(&[]));
    }

    #[test]
    fn a_broken_record_is_an_error_and_not_an_absent_release() {
        let broken = json!({"metadata": {"name": "x"}, "data": {"release": "!!"}});
        assert!(newest(&[broken]).is_err());
        assert!(newest(&[]).unwrap().is_none());
    }
}
