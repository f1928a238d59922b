//! The script that gives scale sets their minimum, run by a shell: its arithmetic against the oracle's.

use std::process::Command;

use arcctl::{
    desired::{Facts, scale_set::schedule::table},
    profile::load,
};
use jiff::Timestamp;

use super::{BEGIN, DAY, SHAPES, Shape, ZONES, done, of_table, with_schedule, years};
use crate::repository::text;

/// The shell evaluates a table as the comparison does: at, before and after each of its edges, and in between.
#[test]
fn the_shell_finds_the_minimum_of_a_table() {
    let Some(years) = years() else {
        compare(BEGIN, "Europe/Berlin", SHAPES[7]);
        compare(BEGIN, "Asia/Seoul", SHAPES[4]);
        return;
    };
    // Each zone in each year, with one shape after the other.
    for year in 0..years {
        let shapes = SHAPES.iter().cycle().skip(usize::try_from(year).unwrap());
        for (zone, shape) in ZONES.iter().zip(shapes) {
            compare(BEGIN + year * 366 * DAY, zone, *shape);
        }
    }
}

fn compare(begin: i64, zone: &str, shape: Shape) {
    let profile = load(&text("profiles/reference.yaml"), "reference")
        .unwrap_or_else(|errors| panic!("{errors}"))
        .profile;
    let script = text("templates/scale_set_minimum/reconcile.sh");
    let functions = script.split("# Begin.").next().unwrap();
    let end = begin + 300 * DAY;
    let pool = with_schedule(&profile, zone, shape.1);
    let facts = Facts {
        now: Timestamp::from_second(begin * 60).unwrap(),
        ..Facts::default()
    };
    let written = table(&pool, &facts).unwrap().unwrap();
    let wanted = done(&of_table(&written), begin..end);
    let changes = (begin + 1..end).filter(|at| {
        let at = usize::try_from(at - begin).unwrap();
        wanted.values[at] != wanted.values[at - 1]
    });
    let mut minutes: Vec<i64> = changes.flat_map(|at| [at - 1, at]).collect();
    minutes.extend((begin..end).step_by(1009));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("basic");
    std::fs::write(&file, &written).unwrap();
    let seconds: Vec<String> = minutes
        .iter()
        .map(|it| (it * 60 + 59).to_string())
        .collect();
    let loops = format!(
        "{functions}\nfor at in {}; do minimum '{}' $at; done\n",
        seconds.join(" "),
        file.display()
    );
    let output = Command::new("/bin/sh")
        .args(["-c", &loops])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<u32> = text.lines().map(|it| it.parse().unwrap()).collect();
    let expected: Vec<u32> = minutes
        .iter()
        .map(|at| wanted.values[usize::try_from(at - begin).unwrap()])
        .collect();
    assert!(found.len() > 400, "{}", found.len());
    assert_eq!(found, expected, "{zone}, {}", shape.0);
}
