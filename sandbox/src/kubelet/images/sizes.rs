//! The sizes of images, from a table of facts and estimates (`sizes.tsv`). Pure: no I/O.

use std::sync::LazyLock;

use super::name::Name;

/// A layer of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Layer {
    /// What makes it the same layer in two images.
    pub(super) id: String,
    /// Its compressed size, in bytes.
    pub(super) bytes: u64,
}

/// A line of the table.
struct Row {
    repository: &'static str,
    tag: &'static str,
    layers: Vec<(Option<&'static str>, u64)>,
}

/// Every other repository, or every other tag.
const ANY: &str = "*";

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| read(include_str!("sizes.tsv")));

/// Reads the table; a test makes sure that each of its lines can be read.
fn read(text: &'static str) -> Vec<Row> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(row).collect()
}

fn row(line: &'static str) -> Option<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [repository, tag, layers, "known" | "estimate", _source] = cells[..] else {
        return None;
    };
    let layers = layers.split(',').map(|layer| {
        let (name, bytes) = match layer.split_once('=') {
            Some((name, bytes)) => (Some(name), bytes),
            None => (None, layer),
        };
        Some((name, bytes.parse().ok()?))
    });
    Some(Row {
        repository,
        tag,
        layers: layers.collect::<Option<_>>()?,
    })
}

/// The layers of an image.
pub(super) fn layers(image: &Name) -> Vec<Layer> {
    let matches = |row: &&Row| {
        (row.repository == image.repository || row.repository == ANY)
            && (row.tag == image.tag || row.tag == ANY)
    };
    // The repository counts more than the tag: `*` of both is last in the table and last here.
    let exact = |row: &&Row| (row.repository == image.repository, row.tag == image.tag);
    let row = ROWS.iter().filter(matches).max_by_key(exact);
    let layers = row.iter().flat_map(|row| &row.layers).enumerate();
    layers
        .map(|(number, (name, bytes))| Layer {
            id: match name {
                Some(name) => (*name).to_owned(),
                None => format!("{image}#{number}"),
            },
            bytes: *bytes,
        })
        .collect()
}

/// The images that the table names with their tag.
pub(super) fn listed() -> impl Iterator<Item = Name> {
    ROWS.iter().filter(|row| row.tag != ANY).map(|row| Name {
        repository: row.repository.to_owned(),
        tag: row.tag.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(image: &str) -> u64 {
        layers(&Name::of(image)).iter().map(|it| it.bytes).sum()
    }

    #[test]
    fn every_line_of_the_table_can_be_read() {
        let text = include_str!("sizes.tsv");
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(read(text).len(), lines);
        assert!(row("a\tlatest\t1\tguess\tnone").is_none());
        assert!(row("a\tlatest\tx=y\tknown\tnone").is_none());
    }

    #[test]
    fn an_image_is_found_by_tag_then_by_repository_then_not_at_all() {
        assert_eq!(
            size("quay.io/jetstack/cert-manager-webhook:v1.16.1"),
            18_192_443
        );
        assert_eq!(size("docker:29-dind"), 140_239_128);
        assert_eq!(size("summerwind/actions-runner:latest"), 598_600_000);
        assert_eq!(size("summerwind/actions-runner:v9"), 599_500_000);
        assert_eq!(size("mirror.example.com/own:1"), 100_000_000);
    }

    #[test]
    fn two_images_share_the_layers_that_have_a_name() {
        let ids = |image: &str| -> Vec<String> {
            let layers = layers(&Name::of(image));
            layers.into_iter().map(|layer| layer.id).collect()
        };
        let (one, other) = (
            ids("summerwind/actions-runner:v2"),
            ids("summerwind/actions-runner:v3"),
        );
        assert_eq!(one[0], other[0]);
        assert_ne!(one[1], other[1]);
    }
}
