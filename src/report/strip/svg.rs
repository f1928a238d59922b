//! The strips of all pools as an SVG picture, for a wiki or a README. Pure: no I/O.

use std::fmt::Write;

use super::Strip;
use crate::report::xml::escaped;

/// A pool's strip and what is written above it.
#[derive(Debug)]
pub struct Titled<'a> {
    /// The pool's name, minimum and maximum.
    pub title: String,
    /// Its days; `None` without a schedule.
    pub strip: Option<&'a Strip>,
}

/// The sizes in pixels: a half hour, a day's row, the labels on the left, the title of a pool.
const CELL: usize = 14;
const ROW: usize = 26;
const LEFT: usize = 90;
const HEAD: usize = 54;

/// The picture. Its colours follow the reader's light or dark theme.
pub fn svg(pools: &[Titled<'_>]) -> String {
    let (mut body, mut top) = (String::new(), 10);
    for pool in pools {
        top = pool_rows(&mut body, top, pool);
    }
    let width = LEFT + 48 * CELL + 20;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {top}\" width=\"{width}\" height=\"{top}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n{STYLE}{body}</svg>\n"
    )
}

const STYLE: &str = "<style>
  text { fill: #1f2328 } .day { fill: #f0f2f4 } .bar { fill: #0969da } .in { fill: #ffffff } .small { font-size: 11px; fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .day { fill: #21262d } .bar { fill: #4493f8 } .in { fill: #0d1117 } .small { fill: #9198a1 }
  }
</style>
";

/// Draws a pool below `top` and returns where the next one begins.
fn pool_rows(body: &mut String, top: usize, pool: &Titled<'_>) -> usize {
    let baseline = top + 20;
    line(
        body,
        &format!(
            "<text x=\"10\" y=\"{baseline}\" font-weight=\"600\">{}</text>",
            escaped(&pool.title)
        ),
    );
    let Some(strip) = pool.strip else {
        return top + 34;
    };
    for hour in (0..24).step_by(3) {
        let (x, y) = (LEFT + hour * 2 * CELL, top + HEAD - 8);
        line(
            body,
            &format!("<text class=\"small\" x=\"{x}\" y=\"{y}\">{hour:02}:00</text>"),
        );
    }
    let mut y = top + HEAD;
    for (date, runs) in strip.runs() {
        let text = y + ROW - 9;
        let label = date.strftime("%a %d %b");
        line(body, &format!("<text x=\"10\" y=\"{text}\">{label}</text>"));
        let (width, height) = (48 * CELL, ROW - 4);
        line(
            body,
            &format!(
                "<rect class=\"day\" x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"3\"/>"
            ),
        );
        for (first, cells, min) in runs {
            bar(body, strip, (LEFT + first * CELL, y), cells, min);
        }
        y += ROW;
    }
    y + 14
}

/// A run of one minimum: as high as its share of the highest minimum, with the number in it where there is room.
fn bar(body: &mut String, strip: &Strip, (x, y): (usize, usize), cells: usize, min: u32) {
    let full = ROW - 4;
    let height = (full * strip.percent(min)).div_ceil(100);
    let (width, top) = (cells * CELL, y + full - height);
    let windows = strip.windows(min);
    let meaning = if windows.is_empty() {
        format!("minimum {min}")
    } else {
        format!("minimum {min}: {windows}")
    };
    let title = escaped(&meaning);
    line(
        body,
        &format!(
            "<rect class=\"bar\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"3\"><title>{title}</title></rect>"
        ),
    );
    if cells >= 3 {
        let class = if strip.percent(min) >= 70 {
            "in"
        } else {
            "small"
        };
        let (x, y) = (x + 6, y + full - 6);
        line(
            body,
            &format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{min}</text>"),
        );
    }
}

fn line(body: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ignored = writeln!(body, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        profile::{Schedule, Window},
        report::strip::strip,
    };

    #[test]
    fn a_picture_has_a_bar_for_each_run_and_no_markup_of_others() {
        let window = Window {
            name: "a<b>&\"c\"".into(),
            from: "Sat 00:00".into(),
            to: "Mon 00:00".into(),
            min: 1,
            ..Window::default()
        };
        let schedule = Schedule {
            time_zone: "Asia/Seoul".into(),
            windows: vec![window],
        };
        let strip = strip(&schedule, 2, "2026-11-26T23:00:00Z".parse().unwrap(), 3).unwrap();
        let pools = [
            Titled {
                title: "basic: min 2, max 16".into(),
                strip: Some(&strip),
            },
            Titled {
                title: "always".into(),
                strip: None,
            },
        ];
        let picture = svg(&pools);
        assert_eq!(picture.matches("class=\"bar\"").count(), 3, "{picture}");
        assert!(
            picture.contains("minimum 1: a&lt;b&gt;&amp;&quot;c&quot;"),
            "{picture}"
        );
        insta::assert_snapshot!(picture);
    }
}
