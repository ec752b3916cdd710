//! Lines over time, with the faults shaded. Lines differ by colour (Okabe and Ito's, which people with colour
//! blindness tell apart) and by their dashes.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (960, 300);

/// Blue, vermilion, green, purple, orange, sky blue, yellow, black.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xb0, 0xa0, 0x20),
    RGBColor(0x00, 0x00, 0x00),
];

/// A line.
pub struct Line {
    /// Its name.
    pub name: String,
    /// Seconds and values.
    pub points: Vec<(f64, f64)>,
}

/// Draws lines over time as SVG. `shaded` are the times of faults.
pub fn over_time(unit: &str, lines: &[Line], shaded: &[(f64, f64)]) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&root, unit, lines, shaded).map_err(|error| anyhow!("could not draw: {error}"))?;
    }
    Ok(svg)
}

fn draw(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    unit: &str,
    lines: &[Line],
    shaded: &[(f64, f64)],
) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let last = points().map(|p| p.0).fold(1.0, f64::max);
    let top = points().map(|p| p.1).fold(0.0, f64::max);
    let top = if top > 0.0 { top * 1.08 } else { 1.0 };
    let mut chart = ChartBuilder::on(root)
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..last, 0.0..top)?;
    chart.draw_series(shaded.iter().map(|(from, to)| {
        Rectangle::new(
            [(*from, 0.0), (to.min(last), top)],
            BLACK.mix(0.12).filled(),
        )
    }))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .disable_x_mesh()
        .x_desc("seconds")
        .y_desc(unit)
        .y_labels(6)
        .draw()?;
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let style = colour.stroke_width(if number % 2 == 0 { 2 } else { 1 });
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_every_point_and_every_fault() {
        let line = |name: &str, scale: f64| Line {
            name: name.into(),
            points: (0..50)
                .map(|i| (f64::from(i), f64::from(i % 7) * scale))
                .collect(),
        };
        let lines = [line("a", 1.0), line("b", 2.0)];
        let svg = over_time("ms", &lines, &[(3.0, 5.0), (10.0, 12.0)]).unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let drawn: Vec<usize> = document
            .descendants()
            .filter(|node| node.has_tag_name("polyline"))
            .map(|node| {
                node.attribute("points")
                    .unwrap_or("")
                    .split_whitespace()
                    .count()
            })
            .filter(|count| *count > 10)
            .collect();
        assert_eq!(drawn, [50, 50]);
        let shaded = document
            .descendants()
            .filter(|node| node.has_tag_name("rect") && node.attribute("opacity") == Some("0.12"));
        assert_eq!(shaded.count(), 2);
    }

    #[test]
    fn nothing_at_all_is_an_empty_plot() {
        assert!(over_time("ms", &[], &[]).unwrap().contains("<svg"));
    }
}
