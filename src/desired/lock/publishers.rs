//! What publishers sign: facts with their sources and the day they were looked up. Pure: no I/O.

use std::sync::LazyLock;

use crate::units::table;

/// What the publisher of a chart or of an image signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// The chart's name, or the path of an image at its publisher's registry.
    pub name: &'static str,
    /// What is published: `provenance`, `cosign` or `none`.
    pub signs: &'static str,
    /// When it was looked up.
    pub day: &'static str,
    /// Where.
    pub source: &'static str,
}

impl Publisher {
    /// It in words.
    pub fn words(&self) -> String {
        let what = match self.signs {
            "none" => "the publisher does not sign it",
            "cosign" => "the publisher signs with cosign, which arcctl does not verify",
            _ => "the publisher signs with a provenance file",
        };
        format!("{what} ({}, {})", self.source, self.day)
    }
}

fn read(kind: &str) -> Vec<Publisher> {
    table::rows(include_str!("publishers.tsv"))
        .filter_map(|mut fields| {
            let found = fields.next()?;
            let publisher = Publisher {
                name: fields.next()?,
                signs: fields.next()?,
                day: fields.next()?,
                source: fields.next()?,
            };
            (found == kind).then_some(publisher)
        })
        .collect()
}

static CHART_PUBLISHERS: LazyLock<Vec<Publisher>> = LazyLock::new(|| read("chart"));

/// Those of images.
pub static IMAGE_PUBLISHERS: LazyLock<Vec<Publisher>> = LazyLock::new(|| read("image"));

/// What the publisher of a chart signs; `None`: not known.
pub fn publisher_of_chart(name: &str) -> Option<Publisher> {
    CHART_PUBLISHERS.iter().find(|it| it.name == name).copied()
}

/// What the publisher of an image signs, by the publisher's own repository or the same path in a mirror; `None`: not known.
pub fn publisher_of_image(reference: &str) -> Option<Publisher> {
    let (name, _) = reference.split_once('@').unwrap_or((reference, ""));
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let end = name[start..].find(':').map_or(name.len(), |it| start + it);
    let name = &name[..end];
    let is_it = |path: &str| name == path || name.ends_with(&format!("/{path}"));
    IMAGE_PUBLISHERS.iter().find(|it| is_it(it.name)).copied()
}
