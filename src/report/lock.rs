//! A lock as text and as `arcctl.lock/v1`. Pure: no I/O.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    desired::lock::{
        Difference, Kind, Lock, LockedChart, LockedImage, Publisher, Verification,
        publisher_of_chart, publisher_of_image,
    },
    error::Error,
};

/// What `arcctl lock` has made or checked.
#[derive(Clone, Debug, Default)]
pub struct LockReport {
    /// The profile's name.
    pub profile: String,
    /// The lock's file.
    pub file: String,
    /// Whether the file was written.
    pub written: bool,
    /// Whether it was only compared.
    pub checked: bool,
    /// What the charts and images are now.
    pub lock: Option<Lock>,
    /// What differs from the file as it was.
    pub differences: Vec<Difference>,
}

impl LockReport {
    /// The JSON document.
    pub fn document(&self, error: Option<&Error>) -> Value {
        let lock = self.lock.as_ref();
        let charts: Vec<Value> = lock.map_or_else(Vec::new, |it| {
            it.charts.iter().map(chart_document).collect()
        });
        let images: Vec<Value> = lock.map_or_else(Vec::new, |it| {
            it.images.iter().map(image_document).collect()
        });
        let differences: Vec<Value> = self.differences.iter().map(difference_document).collect();
        json!({
            "schema": "arcctl.lock/v1",
            "profile": self.profile,
            "file": self.file,
            "written": self.written,
            "charts": charts,
            "images": images,
            "differences": differences,
            "error": error.map(Error::document),
        })
    }

    /// The result for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let Some(lock) = &self.lock else {
            return text;
        };
        line(&mut text, "Charts");
        for chart in &lock.charts {
            line(
                &mut text,
                &format!("  {} {}  {}", chart.name, chart.version, chart.repository),
            );
            line(&mut text, &format!("    archive     {}", chart.archive));
            if let Some(manifest) = &chart.manifest {
                line(&mut text, &format!("    manifest    {manifest}"));
            }
            let published = publisher_of_chart(&chart.name);
            let provenance = chart.provenance.words();
            line(
                &mut text,
                &format!("    provenance  {}", with(&provenance, published)),
            );
        }
        line(&mut text, "Images");
        for image in &lock.images {
            line(&mut text, &format!("  {}", image.image));
            let platforms: Vec<&str> = image.platforms.keys().map(String::as_str).collect();
            let platforms = match platforms.as_slice() {
                [] => String::new(),
                some => format!("  {}", some.join(", ")),
            };
            line(
                &mut text,
                &format!("    digest      {}{platforms}", image.digest),
            );
            let published = publisher_of_image(&image.image);
            line(
                &mut text,
                &format!("    signature   {}", with("not checked", published)),
            );
        }
        if !self.differences.is_empty() {
            line(&mut text, "Differences from the lock");
            for difference in &self.differences {
                line(
                    &mut text,
                    &format!("  {} {}", sign(difference.kind), difference.words()),
                );
            }
        }
        line(&mut text, &format!("\n{}", self.closing(lock)));
        text
    }

    fn closing(&self, lock: &Lock) -> String {
        let count = |count: usize, what: &str| {
            let s = if count == 1 { "" } else { "s" };
            format!("{count} {what}{s}")
        };
        let charts = count(lock.charts.len(), "chart");
        let all = format!("{charts} and {}", count(lock.images.len(), "image"));
        match (self.checked, self.differences.len(), self.written) {
            (true, 0, _) => format!("{all} match {}.", self.file),
            (true, 1, _) => format!("1 difference from {}.", self.file),
            (true, count, _) => format!("{count} differences from {}.", self.file),
            (false, _, true) => format!("{all} locked in {}.", self.file),
            (false, 0, false) => format!("{all} match {}; the file is unchanged.", self.file),
            (false, _, false) => format!("{} was not written.", self.file),
        }
    }
}

const fn sign(kind: Kind) -> &'static str {
    match kind {
        Kind::NotLocked => "+",
        Kind::NotNeeded => "-",
        Kind::ValuesChanged | Kind::OtherResources | Kind::Moved | Kind::Gone | Kind::Unsigned => {
            "~"
        }
    }
}

/// What was found, and what is known of the publisher.
fn with(found: &str, publisher: Option<Publisher>) -> String {
    match publisher {
        Some(publisher) => format!("{found}; {}", publisher.words()),
        None => format!("{found}; not known if the publisher signs it"),
    }
}

fn chart_document(chart: &LockedChart) -> Value {
    let (state, by, fingerprint) = match &chart.provenance {
        Verification::Verified { by, fingerprint } => ("verified", Some(by), Some(fingerprint)),
        Verification::Missing => ("missing", None, None),
        Verification::NotChecked => ("not-checked", None, None),
    };
    json!({
        "name": chart.name,
        "version": chart.version,
        "repository": chart.repository,
        "archive": chart.archive,
        "manifest": chart.manifest,
        "provenance": {"state": state, "by": by, "fingerprint": fingerprint},
        "publisher": published(publisher_of_chart(&chart.name)),
        "locked": chart.locked,
    })
}

fn image_document(image: &LockedImage) -> Value {
    let platforms = image.platforms.iter();
    let platforms: Vec<Value> = platforms
        .map(|(platform, digest)| json!({"platform": platform, "digest": digest}))
        .collect();
    json!({
        "image": image.image,
        "digest": image.digest,
        "platforms": platforms,
        "from": image.from,
        "publisher": published(publisher_of_image(&image.image)),
        "locked": image.locked,
    })
}

/// What a publisher signs, with the day and the source of that.
fn published(publisher: Option<Publisher>) -> Value {
    publisher.map_or(
        Value::Null,
        |it| json!({"signs": it.signs, "day": it.day, "source": it.source}),
    )
}

fn difference_document(difference: &Difference) -> Value {
    json!({
        "of": difference.of,
        "name": difference.name,
        "kind": difference.kind.name(),
        "locked": difference.locked,
        "found": difference.found,
        "reason": difference.words(),
    })
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> LockReport {
        let lock = json!({
            "version": 1,
            "profile": "x",
            "charts": [{
                "name": "cert-manager", "version": "v1.21.1", "repository": "https://charts.jetstack.io",
                "archive": "sha256:01", "values": "sha256:02", "provenance": {"state": "not-checked"},
                "locked": "2026-11-27T00:00:00Z",
            }],
            "images": [{
                "image": "docker:28-dind", "digest": "sha256:03", "platforms": {"linux/amd64": "sha256:04"},
                "from": ["helm-release/a/b"], "locked": "2026-11-27T00:00:00Z",
            }],
        });
        let lock = Lock::parse(&lock.to_string()).unwrap();
        let mut old = lock.images[0].clone();
        old.digest = "sha256:00".into();
        LockReport {
            profile: "x".into(),
            file: "arcctl.lock".into(),
            written: false,
            checked: true,
            differences: Difference::of_image(&old, Some(&lock.images[0].digest))
                .into_iter()
                .collect(),
            lock: Some(lock),
        }
    }

    #[test]
    fn every_digest_is_shown_and_what_nobody_verified_is_said() {
        let mut report = report();
        let text = report.text();
        for part in [
            "  cert-manager v1.21.1  https://charts.jetstack.io\n    archive     sha256:01\n",
            "    provenance  not checked: no keyring is set; the publisher signs with a provenance file (cert-manager.io/",
            "  docker:28-dind\n    digest      sha256:03  linux/amd64\n    signature   not checked; not known if the publisher signs it\n",
            "  ~ the tag of image `docker:28-dind` has moved: sha256:00 in the lock, sha256:03 at the registry\n",
            "\n1 difference from arcctl.lock.\n",
        ] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        report.differences.clear();
        assert!(
            report
                .text()
                .ends_with("1 chart and 1 image match arcctl.lock.\n")
        );
        report.checked = false;
        assert!(
            report
                .text()
                .ends_with("match arcctl.lock; the file is unchanged.\n")
        );
        report.written = true;
        assert!(report.text().ends_with("locked in arcctl.lock.\n"));
    }

    #[test]
    fn a_lock_that_is_refused_is_not_said_to_be_as_it_was() {
        let mut report = report();
        report.checked = false;
        let text = report.text();
        assert!(text.ends_with("\narcctl.lock was not written.\n"), "{text}");
    }

    #[test]
    fn the_document_has_both_digests_of_a_difference() {
        let document = report().document(None);
        assert_eq!(document["charts"][0]["provenance"]["state"], "not-checked");
        assert_eq!(
            document["images"][0]["platforms"][0]["platform"],
            "linux/amd64"
        );
        assert_eq!(document["differences"][0]["kind"], "moved");
        assert_eq!(document["differences"][0]["found"], "sha256:03");
    }
}
