//! The tables, as Markdown for the README, and the gates.

use crate::capture::{Cost, WRITERS};
use crate::growth::{self, Growth};
use crate::refresh::{Cell, Idle, SIZES};
use crate::settings::Settings;
use crate::views::VIEWS;
use std::fmt::Write;

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    pub cells: Vec<Cell>,
    pub idle: Vec<Idle>,
    pub growth: Vec<Growth>,
    pub capture: Vec<Cost>,
}

/// Above these factors something has changed that noise does not explain. The targets are lower: 1.2 for
/// small and 1.5 for large changes, 1.3 for growth, 1.35 and 1.25 for capture.
struct Gates {
    by_hand_small: f64,
    by_hand_large: f64,
    growth: f64,
    capture_bulk: f64,
    capture_single: f64,
}

const GATES: Gates = Gates {
    by_hand_small: 2.0,
    by_hand_large: 2.2,
    growth: 1.8,
    capture_bulk: 1.8,
    capture_single: 1.7,
};

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

    /// What crossed a gate, in words.
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut gate = |what: String, value: f64, limit: f64| {
            if value > limit {
                found.push(format!("{what}: {value:.2}, the gate is {limit}"));
            }
        };
        for cell in &self.cells {
            let limit = if cell.changed > 1_000 {
                GATES.by_hand_large
            } else {
                GATES.by_hand_small
            };
            let what = format!(
                "({}) {} changed, against SQL by hand",
                cell.letter, cell.changed
            );
            gate(what, cell.ratio, limit);
            let what = format!(
                "({}) {} changed, against recomputing",
                cell.letter, cell.changed
            );
            gate(
                what,
                cell.refresh_ms / cell.materialized_ms.min(cell.concurrently_ms),
                1.0,
            );
        }
        for idle in &self.idle {
            gate(
                format!("({}) bytes of WAL when idle", idle.letter),
                idle.wal_bytes as f64,
                0.0,
            );
        }
        for growth in &self.growth {
            gate(
                format!("({}) growth", growth.letter),
                growth.factor(),
                GATES.growth,
            );
        }
        for (index, cost) in self.capture.iter().enumerate() {
            let limit = if index == 0 {
                GATES.capture_bulk
            } else {
                GATES.capture_single
            };
            gate(
                format!("native capture, {}", cost.statement),
                cost.factor(1),
                limit,
            );
        }
        found
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
        let report = |ratio| Report {
            cells: vec![cell(ratio)],
            ..Report::default()
        };
        assert!(report(1.3).violations().is_empty());
        assert_eq!(
            report(2.4).violations(),
            ["(a) 100 changed, against SQL by hand: 2.40, the gate is 2"]
        );
    }
}
