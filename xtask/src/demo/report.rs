//! What the demo shows: a table per batch that fills while it runs, and the summary.

use super::workload::Changes;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use std::io::{IsTerminal, Write};

/// One refresh, next to the recomputation that it saves.
#[derive(Debug, Clone)]
pub struct Measurement {
    pub stream_table: &'static str,
    pub action: String,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub refresh_ms: f64,
    pub recompute_ms: f64,
    /// The oracle's verdict: the number of rows if exact, else what is wrong.
    pub verdict: Result<u64, String>,
}

impl Measurement {
    /// How many times longer the recomputation takes.
    pub fn ratio(&self) -> f64 {
        self.recompute_ms / self.refresh_ms.max(0.001)
    }
}

/// A batch with what came of it.
pub struct Outcome {
    pub changes: Changes,
    pub measurements: Vec<Measurement>,
}

impl Outcome {
    /// Time of all refreshes.
    pub fn refresh_ms(&self) -> f64 {
        self.measurements.iter().map(|m| m.refresh_ms).sum()
    }

    /// Time of all recomputations.
    pub fn recompute_ms(&self) -> f64 {
        self.measurements.iter().map(|m| m.recompute_ms).sum()
    }
}

/// A table on the terminal that is drawn again when it grows. Elsewhere it is printed once, at the end.
pub struct Live {
    terminal: bool,
    lines: usize,
}

impl Live {
    /// Nothing drawn yet.
    pub fn new() -> Self {
        Self {
            terminal: std::io::stdout().is_terminal(),
            lines: 0,
        }
    }

    /// Draws `table` over its last version.
    pub fn show(&mut self, table: &Table, complete: bool) {
        if !self.terminal && !complete {
            return;
        }
        let text = table.to_string();
        let mut out = std::io::stdout().lock();
        if self.lines > 0 {
            // Up to the first line of the last version, and clear from there.
            let _ = write!(out, "\x1b[{}A\x1b[J", self.lines);
        }
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
        self.lines = text.lines().count();
    }
}

/// The table of one batch so far.
pub fn batch_table(measurements: &[Measurement]) -> Table {
    let mut table = new_table(&[
        "stream table",
        "done by",
        "rows changed",
        "refresh ms",
        "recompute ms",
        "ratio",
        "oracle",
    ]);
    for m in measurements {
        table.add_row([
            Cell::new(m.stream_table),
            action(&m.action),
            number(format!("+{} ~{} -{}", m.inserted, m.updated, m.deleted)),
            number(milliseconds(m.refresh_ms)),
            number(milliseconds(m.recompute_ms)),
            ratio(m.ratio()),
            verdict(&m.verdict),
        ]);
    }
    table
}

/// Medians per stream table over all batches.
pub fn summary_table(outcomes: &[Outcome], titles: &[(&'static str, &'static str)]) -> Table {
    let mut table = new_table(&[
        "stream table",
        "what",
        "refresh ms",
        "recompute ms",
        "ratio",
        "exact",
    ]);
    for (name, title) in titles {
        let of_table: Vec<&Measurement> = measurements_of(outcomes, name).collect();
        let (refresh, recompute) = medians(outcomes, name);
        let exact = of_table.iter().filter(|m| m.verdict.is_ok()).count();
        let all = of_table.len();
        table.add_row([
            Cell::new(name),
            Cell::new(title),
            number(milliseconds(refresh)),
            number(milliseconds(recompute)),
            ratio(recompute / refresh.max(0.001)),
            coloured(
                Cell::new(format!("{exact} of {all}")),
                if exact == all {
                    Color::Green
                } else {
                    Color::Red
                },
            ),
        ]);
    }
    table
}

/// Median refresh and recomputation of one stream table.
pub fn medians(outcomes: &[Outcome], name: &str) -> (f64, f64) {
    (
        median(measurements_of(outcomes, name).map(|m| m.refresh_ms)),
        median(measurements_of(outcomes, name).map(|m| m.recompute_ms)),
    )
}

fn measurements_of<'a>(
    outcomes: &'a [Outcome],
    name: &'a str,
) -> impl Iterator<Item = &'a Measurement> {
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.measurements)
        .filter(move |m| m.stream_table == name)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(
            header
                .iter()
                .map(|title| Cell::new(title).add_attribute(Attribute::Bold)),
        );
    table
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn milliseconds(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.2}")
    } else if ms < 100.0 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

fn ratio(ratio: f64) -> Cell {
    let colour = if ratio >= 1.0 {
        Color::Green
    } else {
        Color::Yellow
    };
    let text = if ratio < 10.0 {
        format!("{ratio:.1}×")
    } else {
        format!("{ratio:.0}×")
    };
    coloured(number(text), colour)
}

fn action(action: &str) -> Cell {
    let cell = Cell::new(action.to_lowercase());
    if action == "FULL" {
        coloured(cell, Color::Yellow)
    } else {
        cell
    }
}

fn verdict(verdict: &Result<u64, String>) -> Cell {
    match verdict {
        Ok(rows) => coloured(Cell::new(format!("exact, {rows} rows")), Color::Green),
        Err(why) => coloured(Cell::new(why), Color::Red),
    }
}

fn coloured(cell: Cell, colour: Color) -> Cell {
    cell.fg(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(refresh_ms: f64, verdict: Result<u64, String>) -> Measurement {
        Measurement {
            stream_table: "t",
            action: "DIFFERENTIAL".to_owned(),
            inserted: 1,
            updated: 2,
            deleted: 3,
            refresh_ms,
            recompute_ms: 100.0,
            verdict,
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn a_batch_shows_changes_times_and_verdict() {
        let text = batch_table(&[
            measurement(2.0, Ok(7)),
            measurement(200.0, Err("wrong: 1 missing".to_owned())),
        ])
        .force_no_tty()
        .to_string();
        for part in [
            "differential",
            "+1 ~2 -3",
            "50×",
            "0.5×",
            "exact, 7 rows",
            "wrong: 1 missing",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
