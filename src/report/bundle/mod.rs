//! Bundles as text and as `arcctl.bundle/v1`. Pure: no I/O.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use crate::{desired::lock::Lock, error::Error};

/// A bundle that was made.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its file.
    pub file: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The platforms of its images; all of each image, if there are none.
    pub platforms: Vec<String>,
    /// The lock in it.
    pub lock: Lock,
}

/// A bundle that was pushed.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// Its file.
    pub file: String,
    /// The registry, and the path in it.
    pub registry: String,
    /// What was pushed.
    pub parts: Vec<PushedPart>,
}

/// A chart, an image, or the bundle's own documents at a registry.
#[derive(Clone, Debug, Default)]
pub struct PushedPart {
    /// Its repository and tag.
    pub place: String,
    /// Its digest.
    pub digest: String,
    /// Whether the registry had it.
    pub present: bool,
    /// How many blobs the registry lacked.
    pub blobs: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

/// What a command has done with a bundle.
#[derive(Clone, Debug, Default)]
pub struct BundleReport {
    /// The profile's name.
    pub profile: String,
    /// The bundle that was made.
    pub created: Option<Created>,
    /// The bundle that was pushed.
    pub pushed: Option<Pushed>,
    /// How long it took.
    pub elapsed: Duration,
}

impl PushedPart {
    /// It in words.
    pub fn words(&self) -> String {
        if self.present {
            return "already there".to_owned();
        }
        match self.blobs {
            0 => "pushed, its layers were already there".to_owned(),
            count => format!("pushed, {count} new blobs, {}", size(self.bytes)),
        }
    }
}

impl BundleReport {
    /// The JSON document.
    pub fn document(&self, error: Option<&Error>) -> Value {
        json!({
            "schema": "arcctl.bundle/v1",
            "profile": self.profile,
            "created": self.created.as_ref().map(created),
            "pushed": self.pushed.as_ref().map(pushed),
            "elapsedMs": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "error": error.map(Error::document),
        })
    }

    /// The result for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(it) = &self.created {
            for chart in &it.lock.charts {
                line(
                    &mut text,
                    &format!("  chart {} {}", chart.name, chart.version),
                );
            }
            for image in &it.lock.images {
                let (_, name) = image.image.split_once('/').unwrap_or_default();
                let platforms: Vec<&str> = image.platforms.keys().map(String::as_str).collect();
                line(
                    &mut text,
                    format!("  image {name}  {}", platforms.join(", ")).trim_end(),
                );
            }
            line(
                &mut text,
                &format!(
                    "\nbundle `{}`: {} in {} s",
                    it.file,
                    size(it.bytes),
                    self.elapsed.as_secs()
                ),
            );
        }
        if let Some(it) = &self.pushed {
            let new = it.parts.iter().filter(|part| !part.present).count();
            let bytes: u64 = it.parts.iter().map(|part| part.bytes).sum();
            line(
                &mut text,
                &format!(
                    "bundle `{}` is at oci://{}: {new} of {} charts and images were new, {} in {} s",
                    it.file,
                    it.registry,
                    it.parts.len(),
                    size(bytes),
                    self.elapsed.as_secs()
                ),
            );
        }
        text
    }
}

fn created(it: &Created) -> Value {
    let charts = it.lock.charts.iter().map(
        |chart| json!({"name": chart.name, "version": chart.version, "archive": chart.archive}),
    );
    let images = it.lock.images.iter().map(|image| {
        let (_, name) = image.image.split_once('/').unwrap_or_default();
        let platforms: Vec<&String> = image.platforms.keys().collect();
        json!({"name": name, "digest": image.digest, "platforms": platforms})
    });
    json!({
        "file": it.file,
        "bytes": it.bytes,
        "platforms": it.platforms,
        "charts": charts.collect::<Vec<Value>>(),
        "images": images.collect::<Vec<Value>>(),
    })
}

fn pushed(it: &Pushed) -> Value {
    let parts = it.parts.iter().map(|part| {
        json!({
            "place": part.place,
            "digest": part.digest,
            "present": part.present,
            "blobs": part.blobs,
            "bytes": part.bytes,
        })
    });
    json!({
        "file": it.file,
        "registry": it.registry,
        "parts": parts.collect::<Vec<Value>>(),
    })
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, "{line}");
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!(
            "{}.{} GB",
            bytes / 1_000_000_000,
            bytes % 1_000_000_000 / 100_000_000
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_that_fits() {
        for (bytes, expected) in [
            (0, "0 kB"),
            (1, "1 kB"),
            (2_500_000, "2 MB"),
            (1_250_000_000, "1.2 GB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn what_was_there_is_not_called_pushed() {
        let part = |present, blobs| PushedPart {
            present,
            blobs,
            bytes: 2_000_000,
            ..PushedPart::default()
        };
        assert_eq!(part(true, 0).words(), "already there");
        assert_eq!(
            part(false, 0).words(),
            "pushed, its layers were already there"
        );
        assert_eq!(part(false, 3).words(), "pushed, 3 new blobs, 2 MB");
    }
}
