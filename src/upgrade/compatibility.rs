//! What works with what: the releases of cert-manager and of the controller, the Kubernetes that each is made for, and until
//! when EKS supports a Kubernetes. Pure: no I/O.

use jiff::civil::Date;

use crate::units::table;

/// The table; its header names the sources.
const TABLE: &str = include_str!("compatibility.tsv");
/// The line of the header with the day of the table.
const AS_OF: &str = "# as of\t";
/// What stands for nothing.
const NONE: &str = "-";

/// A release of Kubernetes, as (1, 33).
pub type Kubernetes = (u32, u32);

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    what: &'static str,
    release: &'static str,
    chart: &'static str,
    first: &'static str,
    last: &'static str,
    note: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    table::rows(TABLE).filter_map(|mut cells| {
        let mut next = || cells.next();
        Some(Row {
            what: next()?,
            release: next()?,
            chart: next()?,
            first: next()?,
            last: next()?,
            note: next()?,
        })
    })
}

/// The day of the table: what was released later is not in it.
pub fn as_of() -> &'static str {
    let line = TABLE.lines().find_map(|it| it.strip_prefix(AS_OF));
    line.unwrap_or_default()
}

fn find(what: &str, release: &str) -> Option<Row> {
    rows().find(|it| it.what == what && it.release == release)
}

fn given(text: &'static str) -> Option<&'static str> {
    (text != NONE).then_some(text)
}

/// A release of Kubernetes, from `1.33`.
pub(super) fn minor(text: &str) -> Option<Kubernetes> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The chart of a minor release of cert-manager: its latest patch, or the one that arcctl installs by itself.
pub fn cert_manager_chart((major, minor): (u64, u64)) -> Option<&'static str> {
    find("cert-manager", &format!("{major}.{minor}")).map(|it| it.chart)
}

/// What to know of an upgrade of `what` to `release`, on this Kubernetes: one sentence each.
pub fn risks(what: &str, release: &str, kubernetes: Kubernetes) -> Vec<String> {
    let Some(row) = find(what, release) else {
        return vec![format!(
            "{what} {release} is not in this arcctl's table of {}",
            as_of()
        )];
    };
    let mut risks: Vec<String> = given(row.note).map(str::to_owned).into_iter().collect();
    let (first, last) = (minor(row.first), minor(row.last));
    let outside = first.is_some_and(|it| kubernetes < it) || last.is_some_and(|it| kubernetes > it);
    if outside {
        let range = match (given(row.first), given(row.last)) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            (Some(first), None) => format!("{first} and later"),
            (None, last) => format!("up to {}", last.unwrap_or_default()),
        };
        risks.push(format!(
            "it supports Kubernetes {range}, and this cluster has {}.{}",
            kubernetes.0, kubernetes.1
        ));
    }
    risks
}

/// From how many days before the end of its standard support on a Kubernetes is told: EKS announces the end as early.
pub const SOON_DAYS: i32 = 60;

/// Until when EKS supports a Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EksSupport {
    kubernetes: Kubernetes,
    standard: Date,
    extended: Date,
}

impl EksSupport {
    /// Of this Kubernetes; `None` where the table does not know it.
    pub fn of(kubernetes: Kubernetes) -> Option<Self> {
        let (major, minor) = kubernetes;
        let row = find("eks", &format!("{major}.{minor}"))?;
        Some(Self {
            kubernetes,
            standard: row.first.parse().ok()?,
            extended: row.last.parse().ok()?,
        })
    }

    /// What to know of it on `today`; `None` while its standard support lasts longer than [`SOON_DAYS`].
    pub fn told(&self, today: Date) -> Option<String> {
        let Self {
            kubernetes: (major, minor),
            standard,
            extended,
        } = self;
        let left = today.until(*standard).map_or(i32::MAX, |it| it.get_days());
        if left > SOON_DAYS {
            return None;
        }
        Some(if left > 0 {
            let s = if left == 1 { "" } else { "s" };
            format!(
                "EKS standard support of Kubernetes {major}.{minor} ends on {standard}, in {left} day{s}: from then on the cluster costs more, or EKS upgrades its control plane, depending on the cluster's upgrade policy"
            )
        } else if today < *extended {
            format!(
                "EKS standard support of Kubernetes {major}.{minor} ended on {standard}; extended support costs more, and ends on {extended}"
            )
        } else {
            format!(
                "EKS extended support of Kubernetes {major}.{minor} ended on {extended}; EKS upgrades the control plane automatically"
            )
        })
    }
}

/// What EKS says of this Kubernetes, on `today`, or that it is not known; `None`: nothing has to be said.
pub fn eks(kubernetes: Kubernetes, today: Date) -> Option<String> {
    match EksSupport::of(kubernetes) {
        Some(support) => support.told(today),
        None => Some(not_known(kubernetes)),
    }
}

/// That the table does not know until when EKS supports a Kubernetes.
pub fn not_known((major, minor): Kubernetes) -> String {
    format!(
        "until when EKS supports Kubernetes {major}.{minor} is not in the table of {}, which this arcctl has",
        as_of()
    )
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{
        profile::{CertManager, Controller},
        units::version::triple,
    };

    #[test]
    fn every_row_is_whole_and_the_day_is_one() {
        let lines = table::rows(TABLE).count();
        assert_eq!(rows().count(), lines);
        assert!(as_of().parse::<Date>().is_ok(), "{}", as_of());
        for row in rows() {
            assert_eq!(row.chart == NONE, row.what == "eks", "{row:?}");
            if row.what == "cert-manager" {
                let (major, minor, _) = triple(row.chart);
                assert_eq!(row.release, format!("{major}.{minor}"));
            }
        }
    }

    #[test]
    fn what_arcctl_installs_by_itself_is_in_the_table() {
        let own = CertManager::default().chart_version;
        let (major, minor, _) = triple(&own);
        assert_eq!(cert_manager_chart((major, minor)), Some(own.as_str()));
        let own = Controller::default().chart_version;
        assert!(find("controller", &own).is_some(), "{own}");
    }

    #[test]
    fn a_kubernetes_outside_of_the_range_is_a_risk() {
        let told = |kubernetes| risks("controller", "0.23.3", kubernetes).join("\n");
        assert_eq!(told((1, 26)), "");
        assert!(told((1, 33)).contains("up to 1.26, and this cluster has 1.33"));
        let told = risks("cert-manager", "1.14", (1, 23)).join("\n");
        assert!(told.contains("1.24 to 1.31"), "{told}");
        assert!(
            risks("cert-manager", "1.99", (1, 33))[0].contains("is not in this arcctl's table")
        );
    }

    /// Others in the cluster have certificates of the same cert-manager (cert-manager/website, release notes of 1.16 and 1.18).
    #[test]
    fn what_may_break_the_certificates_of_others_is_told() {
        for (release, parts) in [
            (
                "1.16",
                ["values that it does not know", "Venafi"].as_slice(),
            ),
            (
                "1.18",
                ["rotationPolicy", "revisionHistoryLimit", "`Exact`"].as_slice(),
            ),
        ] {
            let told = risks("cert-manager", release, (1, 30)).join("\n");
            for part in parts {
                assert!(told.contains(part), "{release}: {told}");
            }
        }
    }

    #[test]
    fn eks_is_quiet_until_its_standard_support_ends_soon() {
        assert_eq!(eks((1, 33), date(2026, 5, 29)), None);
        let soon = eks((1, 33), date(2026, 5, 30)).unwrap();
        assert!(soon.contains("on 2026-07-29, in 60 days: "), "{soon}");
        let last = eks((1, 33), date(2026, 7, 28)).unwrap();
        assert!(last.contains("in 1 day: "), "{last}");
        // It is paid from the beginning of the day on.
        let first = eks((1, 33), date(2026, 7, 29)).unwrap();
        assert!(first.contains("ended on 2026-07-29"), "{first}");
        let extended = eks((1, 33), date(2026, 11, 27)).unwrap();
        assert!(extended.contains("ends on 2027-07-29"), "{extended}");
        let over = eks((1, 30), date(2026, 11, 27)).unwrap();
        assert!(over.contains("upgrades the control plane"), "{over}");
    }

    #[test]
    fn a_kubernetes_that_is_not_in_the_table_is_not_taken_for_a_supported_one() {
        let told = eks((1, 99), date(2026, 11, 27)).unwrap();
        assert!(told.contains("1.99 is not in the table of 2026"), "{told}");
    }

    #[test]
    fn each_kubernetes_of_eks_has_extended_support_for_a_year_after_the_standard_one() {
        let all: Vec<EksSupport> = (29..60)
            .filter_map(|minor| EksSupport::of((1, minor)))
            .collect();
        assert_eq!(all.len(), rows().filter(|it| it.what == "eks").count());
        for it in &all {
            let days = it.standard.until(it.extended).unwrap().get_days();
            assert!((365..=366).contains(&days), "{it:?}");
        }
        assert!(all.windows(2).all(|it| it[0].standard < it[1].standard));
    }
}
