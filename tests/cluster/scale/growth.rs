//! What commands took, and how it grows: the exponent `e` of `n^e` between two neighbours of the grid. Pure: no I/O.

use std::fmt;

/// What a command took with so many pools and runners.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) command: &'static str,
    pub(super) pools: usize,
    pub(super) runners: usize,
    /// Requests to the API server.
    pub(super) kubernetes: u64,
    /// Requests to GitHub.
    pub(super) github: u64,
    /// The median of its runs.
    pub(super) seconds: f64,
    /// The most memory it had, in KiB.
    pub(super) memory: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    Kubernetes,
    GitHub,
    Time,
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    Runners,
    Pools,
}

/// How a quantity grows from one cell to the next one.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    pub(super) command: &'static str,
    pub(super) quantity: Quantity,
    pub(super) along: Along,
    /// Pools and runners of both cells.
    pub(super) from: (usize, usize),
    pub(super) to: (usize, usize),
    /// The quantity in both.
    pub(super) values: (f64, f64),
    /// 1 is linear, 0 is constant.
    pub(super) exponent: f64,
}

/// More than this is faster than linear. A page more than the share of its runners is not.
const LINEAR: f64 = 1.05;

impl Quantity {
    pub(super) const ALL: [Self; 4] = [Self::Kubernetes, Self::GitHub, Self::Time, Self::Memory];

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(super) fn of(self, cell: &Cell) -> f64 {
        match self {
            Self::Kubernetes => cell.kubernetes as f64,
            Self::GitHub => cell.github as f64,
            Self::Time => cell.seconds,
            Self::Memory => cell.memory as f64,
        }
    }

    /// Whether it is the same on every machine.
    fn is_counted(self) -> bool {
        matches!(self, Self::Kubernetes | Self::GitHub)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kubernetes => "requests to Kubernetes",
            Self::GitHub => "requests to GitHub",
            Self::Time => "time",
            Self::Memory => "memory",
        })
    }
}

impl Along {
    pub(super) const ALL: [Self; 2] = [Self::Runners, Self::Pools];

    fn of(self, cell: &Cell) -> usize {
        match self {
            Self::Runners => cell.runners,
            Self::Pools => cell.pools,
        }
    }

    fn across(self, cell: &Cell) -> usize {
        match self {
            Self::Runners => cell.pools,
            Self::Pools => cell.runners,
        }
    }
}

impl fmt::Display for Along {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Runners => "runners",
            Self::Pools => "pools",
        })
    }
}

/// The growth of each quantity between all neighbours.
pub(super) fn growths(cells: &[Cell]) -> Vec<Growth> {
    let mut found = Vec::new();
    for along in Along::ALL {
        for from in cells {
            let next = cells
                .iter()
                .filter(|it| it.command == from.command && along.across(it) == along.across(from))
                .filter(|it| along.of(it) > along.of(from))
                .min_by_key(|it| along.of(it));
            let Some(to) = next else { continue };
            for quantity in Quantity::ALL {
                found.push(growth(along, quantity, from, to));
            }
        }
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn growth(along: Along, quantity: Quantity, from: &Cell, to: &Cell) -> Growth {
    let values = (quantity.of(from), quantity.of(to));
    let times = along.of(to) as f64 / along.of(from) as f64;
    // From no request at all there is no exponent: the first one counts as none.
    let least = if quantity.is_counted() {
        1.0
    } else {
        f64::MIN_POSITIVE
    };
    let grown = values.1.max(least) / values.0.max(least);
    Growth {
        command: from.command,
        quantity,
        along,
        from: (from.pools, from.runners),
        to: (to.pools, to.runners),
        values,
        exponent: grown.ln() / times.ln(),
    }
}

/// The requests that grow faster than linear, each as a sentence.
pub(super) fn faster_than_linear(growths: &[Growth]) -> Vec<String> {
    growths
        .iter()
        .filter(|it| it.quantity.is_counted() && it.exponent > LINEAR)
        .map(|it| {
            format!(
                "`{}`: {} {} with {} pools and {} runners, {} with {} and {}: they grow with the {} to the power of {:.2}",
                it.command, it.values.0, it.quantity, it.from.0, it.from.1, it.values.1, it.to.0, it.to.1, it.along, it.exponent
            )
        })
        .collect()
}

/// The fastest growth of a quantity.
pub(super) fn fastest<'a>(
    growths: &'a [Growth],
    command: &str,
    quantity: Quantity,
    along: Along,
) -> Option<&'a Growth> {
    growths
        .iter()
        .filter(|it| it.command == command && it.quantity == quantity && it.along == along)
        .max_by(|left, right| left.exponent.total_cmp(&right.exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(pools: usize, runners: usize, kubernetes: u64) -> Cell {
        Cell {
            command: "plan",
            pools,
            runners,
            kubernetes,
            github: 3,
            seconds: 0.5,
            memory: 1,
        }
    }

    fn told(cells: &[Cell]) -> Vec<String> {
        faster_than_linear(&growths(cells))
    }

    #[test]
    fn what_is_linear_passes_and_what_is_faster_does_not() {
        assert!(told(&[cell(1, 10, 20), cell(10, 10, 200)]).is_empty());
        let faster = told(&[cell(1, 10, 20), cell(10, 10, 240)]);
        assert_eq!(faster.len(), 1, "{faster:?}");
        assert!(faster[0].contains("with the pools"), "{faster:?}");
        let faster = told(&[cell(1, 10, 1), cell(1, 100, 100)]);
        assert!(
            faster[0].contains("with the runners to the power of 2.00"),
            "{faster:?}"
        );
    }

    #[test]
    fn the_exponent_is_that_of_the_step_whatever_its_width() {
        let found = growths(&[cell(100, 10, 400), cell(200, 10, 1600)]);
        let fastest = fastest(&found, "plan", Quantity::Kubernetes, Along::Pools).unwrap();
        assert!((fastest.exponent - 2.0).abs() < 1e-9, "{fastest:?}");
    }

    #[test]
    fn only_neighbours_are_compared() {
        let cells = [
            cell(1, 10, 1),
            cell(1, 100, 1),
            cell(1, 1000, 1),
            cell(10, 10, 1),
        ];
        let steps: Vec<_> = growths(&cells)
            .iter()
            .filter(|it| it.quantity == Quantity::Kubernetes)
            .map(|it| (it.from, it.to))
            .collect();
        assert_eq!(
            steps,
            [
                ((1, 10), (1, 100)),
                ((1, 100), (1, 1000)),
                ((1, 10), (10, 10))
            ]
        );
    }
}
