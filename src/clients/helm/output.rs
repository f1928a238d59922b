//! Parses helm's output: its version, chart metadata, errors. Pure: no I/O.

use crate::clients::cause::last_of;

/// The maximum number of lines of helm's output in an error.
const QUOTED_LINES: usize = 4;

/// What helm says of a chart without a provenance: of one in a repository, where a store answers 403 too for a file that is not
/// there, and of one in a registry (helm, `get` in pkg/getter/httpgetter.go, `Pull` in pkg/registry/client.go).
const NO_PROVENANCE: [&str; 4] = [
    " : 403",
    " : 404",
    " : 410",
    "does not contain a layer with mediatype",
];

/// Why helm could not find out whether a chart that it has pulled has a provenance: it only warns, whatever the reason is (helm,
/// `DownloadTo` in `pkg/downloader/chart_downloader.go`).
pub(super) fn unknown_provenance(text: &str) -> Option<&str> {
    let warning = "WARNING: Verification not found for ";
    let said = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(warning))?;
    let is_missing = NO_PROVENANCE.iter().any(|it| said.contains(it));
    (!is_missing).then_some(said)
}

/// The major version in the output of `helm version --short`; labels on a release need 3.13.
pub(super) fn supported(text: &str) -> Result<u32, String> {
    let mut parts = text.trim_start_matches('v').split('.');
    let mut number = || parts.next()?.parse::<u32>().ok();
    match (number(), number()) {
        (Some(3), Some(minor)) if minor < 13 => Err(format!("version {text} is too old")),
        (Some(major), Some(_)) if major >= 3 => Ok(major),
        (Some(_), Some(_)) => Err(format!("version {text} is too old")),
        _ => Err(format!("`{text}` is not a version")),
    }
}

/// The top-level `key` in the output of `helm show chart`; a version without its `v`.
pub(super) fn described(text: &str, key: &str) -> String {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value
        .unwrap_or_default()
        .trim()
        .trim_matches(['"', '\''])
        .trim_start_matches('v')
        .to_owned()
}

/// The last lines of helm's stderr, without its `Error: ` and its warnings.
pub(super) fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("WARNING"))
        .map(|line| line.strip_prefix("Error: ").unwrap_or(line));
    last_of(lines, QUOTED_LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helm_without_labels_is_refused() {
        assert_eq!(supported("v3.13.0+gabc"), Ok(3));
        assert_eq!(supported("v4.3.1"), Ok(4));
        assert!(supported("v3.12.9").is_err() && supported("v2.17.0").is_err());
        assert!(supported("helm").is_err());
    }

    #[test]
    fn errors_quote_the_last_lines_without_warnings() {
        let stderr =
            b"WARNING: Kubernetes configuration file is group-readable\nError: no such chart\n";
        assert_eq!(last_words(stderr), "no such chart");
    }

    #[test]
    fn a_provenance_that_was_not_looked_for_is_not_a_missing_one() {
        let of = |why: &str| {
            let text =
                format!("WARNING: Verification not found for https://x.example/a-1.tgz: {why}\n");
            unknown_provenance(&text).map(str::to_owned)
        };
        for missing in [
            "failed to fetch https://x.example/a-1.tgz.prov : 404 Not Found",
            "failed to fetch https://x.example/a-1.tgz.prov : 403 Forbidden",
            "manifest does not contain a layer with mediatype application/vnd.cncf.helm.chart.provenance.v1.prov",
        ] {
            assert_eq!(of(missing), None, "{missing}");
        }
        for unknown in [
            "failed to fetch https://x.example:404/a-1.tgz.prov : 503 Service Unavailable",
            "Get \"https://x.example/a-1.tgz.prov\": read: connection reset by peer",
        ] {
            assert!(of(unknown).unwrap().ends_with(unknown), "{unknown}");
        }
        assert_eq!(unknown_provenance("Pulled: x.example/a:1\n"), None);
    }

    #[test]
    fn a_chart_is_known_by_its_name_and_version() {
        let text = "apiVersion: v2\nappVersion: v0.27.6\nname: a\nversion: \"v1.2.3\"\n";
        assert_eq!(described(text, "name"), "a");
        assert_eq!(described(text, "version"), "1.2.3");
        assert_eq!(described("", "name"), "");
    }
}
