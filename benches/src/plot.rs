//! A plot with logarithmic axes, as SVG.

use std::fmt::Write;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 520.0;
const MARGIN: f64 = 60.0;
/// Okabe and Ito's colours, which people with colour blindness tell apart.
pub const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// A line of a plot.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    /// Lines of one colour belong together.
    pub colour: usize,
    pub is_dashed: bool,
    /// Positive values.
    pub points: Vec<(f64, f64)>,
}

/// An axis from its least to its greatest power of ten.
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil();
        Axis {
            low: low as i32,
            high: (high as i32).max(low as i32 + 1),
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}

/// Draws the lines; `x` and `y` name the axes.
pub fn log_log(x: &str, y: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let across = Axis::over(points().map(|p| p.0), MARGIN, WIDTH - 160.0);
    let up = Axis::over(points().map(|p| p.1), HEIGHT - MARGIN, 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    // Writing to a string does not fail.
    for value in across.powers() {
        let at = across.at(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {:.1}V{:.1}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>",
            up.from,
            up.to,
            up.from + 18.0
        );
    }
    for value in up.powers() {
        let at = up.at(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            across.from,
            across.to,
            across.from - 6.0,
            at + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x}</text>\n<text x=\"8\" y=\"14\">{y}</text>",
        (across.from + across.to) / 2.0,
        HEIGHT - 16.0
    );
    for (position, line) in lines.iter().enumerate() {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let dashes = if line.is_dashed { "6 4" } else { "none" };
        let mut path = String::new();
        for (number, (px, py)) in line.points.iter().enumerate() {
            let step = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{step}{:.1} {:.1}", across.at(*px), up.at(*py));
        }
        let y = 30.0 + 18.0 * position as f64;
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>\n\
             <path d=\"M{:.1} {y}h24\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - 150.0,
            WIDTH - 120.0,
            y + 4.0,
            line.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_ten_are_equally_far_apart() {
        let axis = Axis::over([0.002, 50.0].into_iter(), 0.0, 100.0);
        assert_eq!((axis.low, axis.high), (-3, 2));
        assert!((axis.at(0.1) - 40.0).abs() < 1e-9);
        assert!((axis.at(1.0) - 60.0).abs() < 1e-9);
    }

    #[test]
    fn each_line_is_drawn_and_named() {
        let line = |name: &str, is_dashed| Line {
            name: name.into(),
            colour: 0,
            is_dashed,
            points: vec![(0.1, 2.0), (100.0, 300.0)],
        };
        let svg = log_log("%", "ms", &[line("a", false), line("b", true)]);
        assert!(svg.contains(">a</text>") && svg.contains(">b</text>"));
        assert_eq!(svg.matches("stroke-dasharray=\"6 4\"").count(), 2);
    }
}
