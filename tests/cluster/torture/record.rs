//! A line of JSON per case: its actions and its result. A run of many hours can be split into short ones: a case that
//! passed is not repeated, and one that failed is, with the fixes made since.

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
            .filter(|line| line["matrix"] == matrix && line["ok"] == true)
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
            "fault": fault, "more": more, "load": load(),
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

/// How many processes have wanted to run in the last minute: what a time says depends on it.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// What there is to say of the cases of one kind.
#[derive(Default)]
struct Row {
    cases: usize,
    kills: usize,
    told: usize,
    mended: usize,
    failed: usize,
    seconds: f64,
    loads: Vec<f64>,
}

/// The last line of each case, and whether one before it failed.
fn last_lines(text: &str) -> BTreeMap<(String, String), (Value, bool)> {
    let mut last: BTreeMap<_, (Value, bool)> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |key: &str| line[key].as_str().unwrap().to_owned();
        let key = (word("matrix"), word("case"));
        let failed = last
            .get(&key)
            .is_some_and(|(before, failed)| *failed || before["ok"] == false);
        last.insert(key, (line, failed));
    }
    last
}

/// A line of figures per matrix and kind of case, as docs/reliability.md has them. A case that was done again counts
/// once, as it ended last.
#[test]
#[ignore = "it only adds up what `make torture` has written"]
fn figures() {
    let file = std::env::var_os(FILE).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for ((matrix, case), (line, failed)) in last_lines(&text) {
        let of = match matrix.as_str() {
            "race" => case.split(", ").next().unwrap_or_default(),
            _ => case.split([' ', ':']).next().unwrap_or_default(),
        };
        let kills = line["more"]["at"].as_array();
        let row = rows.entry(format!("{matrix} | {of}")).or_default();
        row.cases += 1;
        row.kills += kills.map_or(0, |at| at.iter().filter(|it| it.is_string()).count());
        row.told += usize::from(line["more"]["code"].as_i64().is_some_and(|it| it != 0));
        row.mended += usize::from(failed && line["ok"] == true);
        row.failed += usize::from(line["ok"] == false);
        row.seconds += line["seconds"].as_f64().unwrap_or_default();
        row.loads.extend(line["load"].as_f64());
    }
    let mut stdout = std::io::stdout();
    let mut say = |text: String| writeln!(stdout, "{text}").unwrap();
    say("| matrix | of | cases | runs killed | ended with an error | failed, mended since | failed | seconds each | load |".into());
    say("|---|---|---|---|---|---|---|---|---|".into());
    for (name, row) in rows {
        let each = row.seconds / f64::from(u32::try_from(row.cases).unwrap());
        let load = match (
            row.loads.iter().copied().reduce(f64::min),
            row.loads.iter().copied().reduce(f64::max),
        ) {
            (Some(least), Some(most)) => format!("{least:.0} to {most:.0}"),
            _ => "–".into(),
        };
        say(format!(
            "| {name} | {} | {} | {} | {} | {} | {each:.0} | {load} |",
            row.cases, row.kills, row.told, row.mended, row.failed
        ));
    }
}

#[test]
fn a_case_counts_as_it_ended_last() {
    let line = |ok: bool| json!({"matrix": "crash", "case": "up: killed", "ok": ok}).to_string();
    let text = [line(false), line(true)].join("\n");
    let lines = last_lines(&text);
    let (last, failed) = &lines[&("crash".to_owned(), "up: killed".to_owned())];
    assert_eq!((lines.len(), &last["ok"], failed), (1, &json!(true), &true));
}
