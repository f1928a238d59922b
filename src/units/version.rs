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
}
