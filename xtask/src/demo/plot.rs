//! The demo's plot: cost against the size of the change, and medians per stream table.

use super::report::{Outcome, medians};
use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

/// Blue and orange of Okabe and Ito: apart in every kind of colour vision, and as greys.
const REFRESH: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const RECOMPUTE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const SIZE: (u32, u32) = (900, 900);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Writes the SVG.
pub fn write(path: &Path, outcomes: &[Outcome], names: &[&str]) -> Result<()> {
    let dir = path.parent().context("a plot needs a folder")?;
    std::fs::create_dir_all(dir)?;
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    draw(&root, outcomes, names).map_err(|error| anyhow!("could not draw the plot: {error}"))
}

fn draw(
    root: &Area,
    outcomes: &[Outcome],
    names: &[&str],
) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(430);
    draw_growth(&upper, outcomes)?;
    draw_medians(&lower, outcomes, names)?;
    root.present()?;
    Ok(())
}

/// All stream tables together, batch by batch, both axes logarithmic.
fn draw_growth(area: &Area, outcomes: &[Outcome]) -> Result<(), Box<dyn std::error::Error>> {
    let points = |value: fn(&Outcome) -> f64| -> Vec<(f64, f64)> {
        outcomes
            .iter()
            .map(|o| (o.changes.total().max(1) as f64, value(o).max(0.01)))
            .collect()
    };
    let (refresh, recompute) = (points(Outcome::refresh_ms), points(Outcome::recompute_ms));
    let all = || refresh.iter().chain(&recompute);
    let x = range(all().map(|p| p.0));
    let y = range(all().map(|p| p.1));
    let mut chart = ChartBuilder::on(area)
        .caption("Cost follows the change", ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0..y.1).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("changed source rows")
        .y_desc("ms, all stream tables")
        .x_label_formatter(&|v| format!("{v:.0}"))
        .y_label_formatter(&|v| format!("{v}"))
        .draw()?;
    for (points, colour, label) in [
        (&refresh, REFRESH, "refresh"),
        (&recompute, RECOMPUTE, "recomputation"),
    ] {
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|p| Circle::new(*p, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleLeft)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

/// Two bars per stream table on a logarithmic axis, drawn by hand so that the values stand beside them.
fn draw_medians(
    area: &Area,
    outcomes: &[Outcome],
    names: &[&str],
) -> Result<(), Box<dyn std::error::Error>> {
    const LEFT: i32 = 190;
    const TOP: i32 = 48;
    const RIGHT: i32 = 90;
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (width as i32, height as i32);
    area.draw_text(
        "Median per stream table, ms (logarithmic)",
        &("sans-serif", 22).into_text_style(area),
        (LEFT, 12),
    )?;
    let rows: Vec<(&str, f64, f64)> = names
        .iter()
        .map(|name| {
            let (refresh, recompute) = medians(outcomes, name);
            (*name, refresh.max(0.01), recompute.max(0.01))
        })
        .collect();
    let (low, high) = range(rows.iter().flat_map(|row| [row.1, row.2]));
    let scale = f64::from(width - LEFT - RIGHT) / (high / low).ln();
    let x = |value: f64| LEFT + ((value / low).ln() * scale) as i32;
    let step = (height - TOP - 12) / rows.len().max(1) as i32;
    let bar = (step - 8).max(4) / 2;
    let text = ("sans-serif", 13).into_text_style(area);
    for (index, (name, refresh, recompute)) in rows.iter().enumerate() {
        let y = TOP + index as i32 * step;
        area.draw_text(name, &text, (12, y + bar - 7))?;
        for (offset, value, colour) in [(0, *refresh, REFRESH), (bar, *recompute, RECOMPUTE)] {
            let (from, to) = ((LEFT, y + offset), (x(value), y + offset + bar));
            area.draw(&Rectangle::new([from, to], colour.filled()))?;
            area.draw_text(
                &format!("{value:.2}"),
                &text,
                (x(value) + 6, y + offset + bar / 2 - 7),
            )?;
        }
    }
    Ok(())
}

/// From below the smallest to above the largest, for a logarithmic axis.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        (0.1, 10.0)
    } else {
        (low / 2.0, high * 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_room_on_both_sides_and_survives_no_values() {
        assert_eq!(range([1.0, 8.0].into_iter()), (0.5, 16.0));
        assert_eq!(range(std::iter::empty()), (0.1, 10.0));
    }
}
