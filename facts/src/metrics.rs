//! Metrics of other projects' programs, as tables: tab-separated text, one metric per line; `#` starts a comment. The cells are
//! who serves it, its name, its kind (`gauge`, `counter` or `histogram`), and its labels, separated by commas.

/// A metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Who serves it.
    pub program: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `gauge`, `counter` or `histogram`.
    pub kind: &'static str,
    /// Its labels, in the order of the source.
    pub labels: Vec<&'static str>,
}

/// The metrics of GitHub's own controller and of its listeners, as chart 0.14.2 has them.
pub fn gha_0_14_2() -> Vec<Metric> {
    read(include_str!("../tables/gha-metrics-0.14.2.tsv"))
}

/// Reads a table. A line that is no metric is left out: the test counts them.
fn read(text: &'static str) -> Vec<Metric> {
    facts(text).filter_map(metric).collect()
}

fn facts(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|it| !it.starts_with('#'))
}

fn metric(line: &'static str) -> Option<Metric> {
    let mut cells = line.split('\t');
    let metric = Metric {
        program: cells.next()?,
        name: cells.next()?,
        kind: cells.next()?,
        labels: cells.next()?.split(',').collect(),
    };
    cells.next().is_none().then_some(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_metric_with_a_name_of_its_own() {
        let text = include_str!("../tables/gha-metrics-0.14.2.tsv");
        let all = gha_0_14_2();
        assert_eq!(all.len(), facts(text).count());
        for metric in &all {
            let same = all.iter().filter(|it| it.name == metric.name);
            assert_eq!(same.count(), 1, "{metric:?}");
            let total = metric.name.ends_with("_total");
            assert_eq!(metric.kind == "counter", total, "{metric:?}");
            assert!(["gauge", "counter", "histogram"].contains(&metric.kind));
            let of_the_controller = metric.name.starts_with("gha_controller_");
            assert_eq!(metric.program == "controller", of_the_controller);
        }
    }

    #[test]
    fn a_line_that_is_no_metric_is_left_out() {
        assert_eq!(read("a\tb\tgauge"), []);
        assert_eq!(read("a\tb\tgauge\tc\td"), []);
        assert_eq!(read("# x\na\tb\tgauge\tc,d")[0].labels, ["c", "d"]);
    }
}
