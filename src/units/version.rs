//! Parses chart versions, to compare them with the version in which a chart changed. Pure: no I/O.

/// Major, minor and patch of `v1.21.1` or `0.23.7`; a part that is not a number counts as the newest, so that an
/// unknown version is handled like a current one.
pub fn triple(text: &str) -> (u64, u64, u64) {
    let core = text
        .trim_start_matches('v')
        .split(['-', '+'])
        .next()
        .unwrap_or_default();
    let mut parts = core.split('.').map(|part| part.parse().unwrap_or(u64::MAX));
    let mut next = || parts.next().unwrap_or(u64::MAX);
    (next(), next(), next())
}

/// The length of what helm-controller appends: the first digits of a digest.
const DIGEST_DIGITS: usize = 12;

/// The version of a chart as it was published. Flux installs a chart of an `OCIRepository` as `0.14.2+0123456789ab`: it appends the
/// digest of the artifact (fluxcd/helm-controller, `mutateChartWithSourceRevision`). Twelve digits without a letter are left: they
/// are rather the time of somebody's build.
pub fn published(version: &str) -> &str {
    match version.split_once('+') {
        Some((published, digest))
            if digest.len() == DIGEST_DIGITS
                && digest
                    .bytes()
                    .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
                && digest.bytes().any(|it| it.is_ascii_lowercase()) =>
        {
            published
        }
        _ => version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(triple("v1.9.0") < triple("v1.15.0"));
        assert!(triple("0.23.3") < triple("0.23.5"));
        assert_eq!(triple("1.21.1-beta.1"), (1, 21, 1));
        assert!(triple("main") > triple("9.9.9"));
    }

    #[test]
    fn only_a_digest_is_no_part_of_a_version() {
        assert_eq!(published("0.14.2+0123456789ab"), "0.14.2");
        assert_eq!(published("v1.21.1+0123456789ab"), "v1.21.1");
        for version in [
            "0.14.2",
            "1.2.3+up4.5.6",
            "1.2.3-rc.1",
            "1.2.3+0123456789AB",
        ] {
            assert_eq!(published(version), version);
        }
    }
}
