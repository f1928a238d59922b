//! A line of JSON per case: what was done, how it ended. A run of many hours is made of short ones: a case that has its
//! line already is not done again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::Write as _,
    path::PathBuf,
    time::Instant,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where lines go; nowhere without a name.
const FILE: &str = "ARCCTL_TORTURE_LOG";

/// For how many seconds cases are begun.
const SECONDS: &str = "ARCCTL_TORTURE_SECONDS";

/// What was done before, and what is done now.
pub(crate) struct Record {
    matrix: &'static str,
    file: Option<PathBuf>,
    done: BTreeSet<String>,
    end: Option<Instant>,
    pub(crate) run: usize,
    pub(crate) failed: Vec<String>,
}

impl Record {
    /// The record of `matrix`, as the environment says.
    pub(crate) fn open(matrix: &'static str) -> Self {
        let file = std::env::var_os(FILE).map(PathBuf::from);
        let text = file
            .as_ref()
            .and_then(|it| std::fs::read_to_string(it).ok())
            .unwrap_or_default();
        let lines = text.lines().map(serde_json::from_str::<Value>);
        let done = lines
            .map(|line| line.unwrap())
            .filter(|line| line["matrix"] == matrix)
            .filter_map(|line| line["case"].as_str().map(str::to_owned))
            .collect();
        let seconds = std::env::var(SECONDS)
            .ok()
            .and_then(|it| it.parse::<u64>().ok());
        Self {
            matrix,
            file,
            done,
            end: seconds.map(|it| Instant::now() + std::time::Duration::from_secs(it)),
            run: 0,
            failed: Vec::new(),
        }
    }

    /// Whether another case may begin.
    pub(crate) fn goes_on(&self) -> bool {
        self.end.is_none_or(|end| Instant::now() < end)
    }

    /// Those of `cases` that are not done, in an order that is the same each time and like a shuffled one: however far it
    /// comes, it is a fair sample.
    pub(crate) fn left<T>(&self, cases: Vec<T>, name: impl Fn(&T) -> String) -> Vec<T> {
        let mut left: Vec<T> = cases
            .into_iter()
            .filter(|case| !self.done.contains(&name(case)))
            .collect();
        left.sort_by_cached_key(|case| Sha256::digest(name(case).as_bytes()).to_vec());
        left
    }

    /// Writes down how `case` ended; `more` is what there is to know beside.
    pub(crate) fn add(
        &mut self,
        case: &str,
        began: Instant,
        ended: &Result<(), String>,
        more: &Value,
    ) {
        self.run += 1;
        let fault = ended.as_ref().err();
        if let Some(fault) = fault {
            self.failed.push(format!("{case}: {fault}"));
        }
        let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let line = json!({
            "matrix": self.matrix, "case": case, "ok": fault.is_none(), "seconds": seconds,
            "fault": fault, "more": more,
        });
        if let Some(file) = &self.file {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(file)
                .unwrap();
            writeln!(file, "{line}").unwrap();
        }
        self.done.insert(case.to_owned());
    }

    /// Fails where a case did, with all of them; without a file to keep them in, that is all there is to see.
    #[track_caller]
    pub(crate) fn assert_all_well(&self) {
        assert!(
            self.failed.is_empty(),
            "{} of {} cases of {}:\n{}",
            self.failed.len(),
            self.run,
            self.matrix,
            self.failed.join("\n\n")
        );
    }
}

/// A line of figures per matrix and kind of case, as docs/reliability.md has them.
#[test]
#[ignore = "it only adds up what `make torture` has written"]
fn figures() {
    let file = std::env::var_os(FILE).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let mut rows: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (matrix, case) = (
            line["matrix"].as_str().unwrap(),
            line["case"].as_str().unwrap(),
        );
        let of = match matrix {
            "race" => case.split(", ").next().unwrap_or_default(),
            _ => case.split([' ', ':']).next().unwrap_or_default(),
        };
        let kills = line["more"]["at"].as_array();
        let kills = kills.map_or(0, |at| at.iter().filter(|it| it.is_string()).count());
        let row = rows.entry(format!("{matrix} | {of}")).or_default();
        row[0] += 1;
        row[1] += kills;
        row[2] += usize::from(line["more"]["code"].as_i64().is_some_and(|it| it != 0));
        row[3] += usize::from(line["ok"] == false);
    }
    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "| matrix | of | cases | kills | ended with an error | failed |"
    )
    .unwrap();
    for (name, [cases, kills, told, failed]) in rows {
        writeln!(stdout, "| {name} | {cases} | {kills} | {told} | {failed} |").unwrap();
    }
}
