//! A terminal's screen as an SVG picture. Its colours follow the reader's light or dark theme, as those of the schedule's
//! picture do: a picture per theme would be twice as many. (`anstyle-svg` 0.1.12 has one palette per picture, and no fixed grid, so
//! that columns stand apart where a reader's font is wider.)

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::{
    printable::{BAD, CHANGE, DIM, GOOD},
    report::xml::escaped,
};

/// The sizes in pixels: a column, a row, and what is around the text.
const CELL: usize = 8;
const ROW: usize = 18;
const MARGIN: usize = 12;

const STYLE: &str = "<style>
  text { fill: #1f2328 } .screen { fill: #f6f8fa; stroke: #d1d9e0 } .good { fill: #1a7f37 } .bad { fill: #cf222e; font-weight: 600 }
  .change { fill: #9a6700 } .dim { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .screen { fill: #0d1117; stroke: #3d444d } .good { fill: #3fb950 } .bad { fill: #f85149 }
    .change { fill: #d29922 } .dim { fill: #9198a1 }
  }
</style>
";

/// Characters of one style in a row, with the column of the first.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    column: usize,
    style: &'static str,
    text: String,
}

/// The picture of what a terminal of so many columns and at most so many rows shows.
pub(super) fn svg(title: &str, screen: &str, columns: usize, most: usize) -> String {
    let mut rows = rows(screen, columns);
    rows.drain(..rows.len().saturating_sub(most));
    let width = columns * CELL + 2 * MARGIN;
    let height = rows.len() * ROW + 2 * MARGIN;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" \
         role=\"img\" aria-labelledby=\"t\">\n<title id=\"t\">{}</title>\n{STYLE}\
         <rect class=\"screen\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        escaped(title),
        width - 1,
        height - 1
    );
    for (row, runs) in rows.iter().enumerate() {
        let y = MARGIN + row * ROW + ROW - 5;
        for run in runs {
            write_run(&mut picture, run, y);
        }
    }
    picture + "</svg>\n"
}

/// Words of one style as an element each where more than one space is between them: a reader joins spaces.
fn write_run(picture: &mut String, run: &Run, y: usize) {
    let mut column = run.column;
    for piece in run.text.split("  ") {
        let text = piece.trim();
        if !text.is_empty() {
            let before = width(piece) - width(piece.trim_start());
            let (x, length) = (MARGIN + (column + before) * CELL, width(text) * CELL);
            let class = match run.style {
                "" => String::new(),
                style => format!(" class=\"{style}\""),
            };
            let text = escaped(text);
            writeln!(
                picture,
                "<text{class} x=\"{x}\" y=\"{y}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\">{text}</text>"
            )
            .unwrap();
        }
        column += width(piece) + 2;
    }
}

fn width(text: &str) -> usize {
    text.chars().map(|it| it.width().unwrap_or(0)).sum()
}

/// The rows of a terminal: a line that is too long goes on in the next row, in the middle of a word.
fn rows(screen: &str, columns: usize) -> Vec<Vec<Run>> {
    let codes = [
        ("good", GOOD.render().to_string()),
        ("bad", BAD.render().to_string()),
        ("change", CHANGE.render().to_string()),
        ("dim", DIM.render().to_string()),
        ("", anstyle::Reset.render().to_string()),
    ];
    let mut rows = Vec::new();
    let mut style = "";
    for line in screen.trim_end().lines() {
        let (mut row, mut column, mut rest): (Vec<Run>, usize, &str) = (Vec::new(), 0, line);
        while let Some(character) = rest.chars().next() {
            if character == '\u{1b}' {
                let (new, code) = codes
                    .iter()
                    .find(|(_, code)| rest.starts_with(code.as_str()))
                    .unwrap_or_else(|| {
                        panic!("a sequence that the program does not write: {rest:?}")
                    });
                style = new;
                rest = &rest[code.len()..];
                continue;
            }
            let cells = character.width().unwrap_or(0);
            if column + cells > columns {
                rows.push(std::mem::take(&mut row));
                column = 0;
            }
            match row.last_mut() {
                Some(run) if run.style == style => run.text.push(character),
                _ => row.push(Run {
                    column,
                    style,
                    text: character.into(),
                }),
            }
            column += cells;
            rest = &rest[character.len_utf8()..];
        }
        rows.push(row);
    }
    rows
}

#[test]
fn a_long_line_goes_on_in_the_next_row_with_its_style() {
    let screen = format!("ab {}\n\n한국", crate::printable::paint(GOOD, "cdef"));
    let run = |column, style, text: &str| Run {
        column,
        style,
        text: text.into(),
    };
    assert_eq!(
        rows(&screen, 5),
        [
            vec![run(0, "", "ab "), run(3, "good", "cd")],
            vec![run(0, "good", "ef")],
            vec![],
            vec![run(0, "", "한국")],
        ]
    );
}

#[test]
fn each_piece_stands_in_its_column() {
    let picture = svg("a < b", "above\nx   y <&", 20, 1);
    assert!(
        picture.contains("<title id=\"t\">a &lt; b</title>"),
        "{picture}"
    );
    let (first, second) = (MARGIN, MARGIN + 4 * CELL);
    assert!(picture.contains(&format!("x=\"{first}\" ")), "{picture}");
    let text = format!(
        "x=\"{second}\" y=\"25\" textLength=\"32\" lengthAdjust=\"spacingAndGlyphs\">y &lt;&amp;</text>"
    );
    assert!(picture.contains(&text), "{picture}");
}
