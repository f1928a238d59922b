//! The figures as a table for docs/performance.md, and raw.

use std::{fmt::Write as _, fs, path::Path};

use super::{
    growth::{Along, Cell, Growth, Quantity, fastest},
    measure::COMMANDS,
};

const BEGIN: &str = "<!-- scale: begin -->\n";
const END: &str = "<!-- scale: end -->\n";

/// Every figure, a line per command.
pub(super) fn tsv(cells: &[Cell]) -> String {
    let mut text =
        "command\tpools\trunners\tkubernetes_requests\tgithub_requests\tseconds\tmemory_kib\n"
            .to_owned();
    for it in cells {
        let figures = (it.kubernetes, it.github, it.seconds, it.memory);
        let (kubernetes, github, seconds, memory) = figures;
        let place = format!("{}\t{}\t{}", it.command, it.pools, it.runners);
        writeln!(
            text,
            "{place}\t{kubernetes}\t{github}\t{seconds:.3}\t{memory}"
        )
        .unwrap();
    }
    text
}

/// The table of the figures, and that of the growth.
pub(super) fn markdown(cells: &[Cell], growths: &[Growth]) -> String {
    format!("{}\n{}", figures(cells), exponents(growths))
}

fn figures(cells: &[Cell]) -> String {
    let titles: Vec<String> = COMMANDS.iter().map(|it| format!("`{it}`")).collect();
    let mut text = format!("| pools | runners | {} |\n", titles.join(" | "));
    writeln!(text, "|---:|---:|{}", "---|".repeat(COMMANDS.len())).unwrap();
    let mut places: Vec<(usize, usize)> = cells.iter().map(|it| (it.pools, it.runners)).collect();
    places.dedup();
    for (pools, runners) in places {
        write!(text, "| {pools} | {} |", grouped(runners)).unwrap();
        for command in COMMANDS {
            let mut of_it = cells.iter().filter(|it| it.command == command);
            let cell = of_it.find(|it| (it.pools, it.runners) == (pools, runners));
            let cell = cell.map_or_else(|| "not measured".to_owned(), figure);
            write!(text, " {cell} |").unwrap();
        }
        text.push('\n');
    }
    text
}

fn figure(cell: &Cell) -> String {
    let (kubernetes, github) = (cell.kubernetes, cell.github);
    let megabytes = cell.memory.div_ceil(1024);
    format!(
        "{kubernetes} + {github}; {:.2} s; {megabytes} MB",
        cell.seconds
    )
}

fn exponents(growths: &[Growth]) -> String {
    let mut text = "| growth with | of | ".to_owned();
    let titles: Vec<String> = COMMANDS.iter().map(|it| format!("`{it}`")).collect();
    writeln!(text, "{} |", titles.join(" | ")).unwrap();
    writeln!(text, "|---|---|{}", "---:|".repeat(COMMANDS.len())).unwrap();
    for along in Along::ALL {
        for quantity in Quantity::ALL {
            write!(text, "| {along} | {quantity} |").unwrap();
            for command in COMMANDS {
                let most = fastest(growths, command, quantity, along);
                let most = most.map_or_else(|| "-".to_owned(), |it| format!("{:.2}", it.exponent));
                write!(text, " {most} |").unwrap();
            }
            text.push('\n');
        }
    }
    text
}

/// A number with a space between thousands.
fn grouped(number: usize) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{} {:03}", number / 1000, number % 1000)
}

/// Puts the tables into the document, and the raw figures beside it.
pub(super) fn write(cells: &[Cell], growths: &[Growth]) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::write(docs.join("scale.tsv"), tsv(cells)).unwrap();
    let path = docs.join("performance.md");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, replaced(&text, &markdown(cells, growths))).unwrap();
}

/// The document with `tables` between the marks.
fn replaced(text: &str, tables: &str) -> String {
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    format!("{before}{BEGIN}{tables}{END}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::growth::growths;

    fn cell(runners: usize) -> Cell {
        Cell {
            command: "status",
            pools: 1,
            runners,
            kubernetes: 12,
            github: 3,
            seconds: 0.5,
            memory: 20_000,
        }
    }

    #[test]
    fn the_tables_take_the_place_of_those_before() {
        let cells = [cell(10), cell(1_000)];
        let tables = markdown(&cells, &growths(&cells));
        assert!(
            tables.contains("| 1 | 1 000 | 12 + 3; 0.50 s; 20 MB | not measured |"),
            "{tables}"
        );
        assert!(
            tables.contains("| runners | requests to GitHub | 0.00 | - |"),
            "{tables}"
        );
        let document = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(
            replaced(&document, &tables),
            format!("a\n{BEGIN}{tables}{END}b\n")
        );
    }
}
