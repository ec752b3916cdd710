//! The tables, as Markdown for the README, and the gates.

use crate::capture::{Cost, WRITERS};
use crate::gate::{self, Thresholds};
use crate::growth::{self, Growth};
use crate::refresh::{Cell, Idle, SIZES};
use crate::settings::Settings;
use crate::views::VIEWS;
use anyhow::Result;
use std::fmt::Write;

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    pub cells: Vec<Cell>,
    pub idle: Vec<Idle>,
    pub growth: Vec<Growth>,
    pub capture: Vec<Cost>,
}

impl Report {
    /// All tables.
    pub fn markdown(&self, settings: &Settings) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_refresh(&mut text, settings);
        let _ = self.write_growth(&mut text, settings);
        let _ = self.write_capture(&mut text);
        text
    }

    fn write_refresh(&self, text: &mut String, settings: &Settings) -> std::fmt::Result {
        writeln!(
            text,
            "Medians in ms, commit included; {} rows joined to {}. In brackets: the factor against the SQL that \
             an expert writes by hand for that one view, and how many times faster than \
             `REFRESH MATERIALIZED VIEW` and `… CONCURRENTLY`.\n",
            grouped(settings.rows),
            grouped(settings.rows / 10)
        )?;
        write!(text, "| refresh after | ")?;
        for size in SIZES {
            write!(text, "{} changed | ", grouped(size))?;
        }
        writeln!(text, "none |\n|---|---:|---:|---:|---:|")?;
        for view in VIEWS {
            write!(text, "| ({}) {} | ", view.letter, view.title)?;
            for size in SIZES {
                match self.cell(view.letter, size) {
                    Some(cell) => write!(text, "{} | ", shown(cell))?,
                    None => write!(text, "– | ")?,
                }
            }
            match self.idle.iter().find(|idle| idle.letter == view.letter) {
                Some(idle) => writeln!(
                    text,
                    "{:.2}, {} bytes WAL |",
                    idle.refresh_ms, idle.wal_bytes
                )?,
                None => writeln!(text, "– |")?,
            }
        }
        Ok(())
    }

    fn write_growth(&self, text: &mut String, settings: &Settings) -> std::fmt::Result {
        if self.growth.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "\n| {} changed rows, of | {} | {} | factor |\n|---|---:|---:|---:|",
            growth::CHANGED,
            grouped(settings.rows),
            grouped(settings.growth_rows)
        )?;
        for growth in &self.growth {
            writeln!(
                text,
                "| ({}) | {:.2} | {:.2} | {:.2} |",
                growth.letter,
                growth.base_ms,
                growth.grown_ms,
                growth.factor()
            )?;
        }
        Ok(())
    }

    fn write_capture(&self, text: &mut String) -> std::fmt::Result {
        if self.capture.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "\n| what writers pay | {} |\n|---|---:|---:|---:|",
            WRITERS.join(" | ")
        )?;
        for cost in &self.capture {
            let [none, native, sql] = cost.ms;
            writeln!(
                text,
                "| {} | {none:.3} | {native:.3} ({:.2}×) | {sql:.3} ({:.2}×) |",
                cost.statement,
                cost.factor(1),
                cost.factor(2)
            )?;
        }
        Ok(())
    }

    fn cell(&self, letter: char, changed: u64) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|cell| cell.letter == letter && cell.changed == changed)
    }

    /// What crossed a gate, in words. Refreshes that are slower than recomputing and ones that write
    /// without need cross one as well.
    ///
    /// # Errors
    /// If something was measured that `thresholds.toml` does not know.
    pub fn violations(&self, thresholds: &Thresholds) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for (name, value) in self.ratios() {
            let limit = gate::limit(thresholds, &name)?;
            if value > limit {
                found.push(format!("{name}: {value:.2}, the gate is {limit}"));
            }
        }
        for cell in &self.cells {
            if cell.refresh_ms > cell.materialized_ms.min(cell.concurrently_ms) {
                found.push(format!(
                    "refresh {} {}: recomputing is faster",
                    cell.letter, cell.changed
                ));
            }
        }
        for idle in self.idle.iter().filter(|idle| idle.wal_bytes > 0) {
            found.push(format!(
                "refresh {} of nothing: {} bytes of WAL",
                idle.letter, idle.wal_bytes
            ));
        }
        Ok(found)
    }

    /// The ratios that have a threshold, by its name.
    fn ratios(&self) -> impl Iterator<Item = (String, f64)> {
        let refreshes = self.cells.iter().map(|cell| {
            (
                format!("refresh {} {}", cell.letter, cell.changed),
                cell.ratio,
            )
        });
        let growth = self
            .growth
            .iter()
            .map(|growth| (format!("growth {}", growth.letter), growth.factor()));
        let capture = self
            .capture
            .iter()
            .map(|cost| (format!("capture of {}", cost.statement), cost.factor(1)));
        refreshes.chain(growth).chain(capture)
    }
}

fn shown(cell: &Cell) -> String {
    let faster = |other: f64| format!("{:.0}×", other / cell.refresh_ms);
    format!(
        "{:.2} ({:.2}; {}, {})",
        cell.refresh_ms,
        cell.ratio,
        faster(cell.materialized_ms),
        faster(cell.concurrently_ms)
    )
}

/// `1000000` as `1,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(ratio: f64) -> Cell {
        Cell {
            letter: 'a',
            changed: 100,
            refresh_ms: 2.0,
            by_hand_ms: 2.0,
            ratio,
            materialized_ms: 500.0,
            concurrently_ms: 1000.0,
        }
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(1), "1");
        assert_eq!(grouped(100_000), "100,000");
        assert_eq!(grouped(10_000_000), "10,000,000");
    }

    #[test]
    fn a_cell_shows_time_ratio_and_what_it_saves() {
        assert_eq!(shown(&cell(1.05)), "2.00 (1.05; 250×, 500×)");
    }

    #[test]
    fn only_what_crosses_a_gate_is_a_violation() {
        let thresholds = gate::thresholds().unwrap();
        let limit = thresholds["refresh a 100"].limit;
        let violations = |ratio| {
            let report = Report {
                cells: vec![cell(ratio)],
                ..Report::default()
            };
            report.violations(&thresholds).unwrap()
        };
        assert!(violations(limit).is_empty());
        let above = violations(limit + 1.0);
        assert_eq!(above.len(), 1);
        assert!(above[0].starts_with("refresh a 100: "), "{above:?}");
    }

    #[test]
    fn all_that_is_measured_has_a_threshold() {
        let sizes = SIZES.iter();
        let cells = sizes.flat_map(|changed| VIEWS.iter().map(move |view| (view.letter, *changed)));
        let report = Report {
            cells: cells
                .map(|(letter, changed)| Cell {
                    letter,
                    changed,
                    ..cell(1.0)
                })
                .collect(),
            growth: VIEWS
                .iter()
                .map(|view| Growth {
                    letter: view.letter,
                    base_ms: 1.0,
                    grown_ms: 1.0,
                })
                .collect(),
            capture: crate::capture::STATEMENTS
                .map(|statement| Cost {
                    statement,
                    ms: [1.0; 3],
                })
                .into(),
            ..Report::default()
        };
        assert!(
            report
                .violations(&gate::thresholds().unwrap())
                .unwrap()
                .is_empty()
        );
    }
}
