//! Custom queries for postgres_exporter (`--extend.query-path`).
//!
//! CloudNativePG reads the same form.

use std::fmt::Write;

use crate::GENERATED;
use crate::metric::Group;

/// The whole file.
pub fn queries(groups: &[Group]) -> String {
    format!("{GENERATED}{}", entries(groups, ""))
}

/// One entry per group, each line behind `indentation`.
pub fn entries(groups: &[Group], indentation: &str) -> String {
    let mut text = String::new();
    for group in groups {
        let mut lines = vec![format!("{}:", group.prefix), "  query: |".to_owned()];
        lines.extend(group.sql_lines().iter().map(|line| format!("    {line}")));
        lines.push(format!("  cache_seconds: {}", group.cache_s));
        lines.push("  metrics:".to_owned());
        for label in group.labels {
            lines.extend(column(label.name, "LABEL", label.help));
        }
        for metric in group.metrics {
            let usage = metric.kind.name().to_ascii_uppercase();
            lines.extend(column(metric.column, &usage, metric.help));
        }
        for line in lines {
            let _ = writeln!(text, "{indentation}{line}");
        }
    }
    text
}

fn column(name: &str, usage: &str, help: &str) -> [String; 3] {
    [
        format!("    - {name}:"),
        format!("        usage: {usage}"),
        format!("        description: \"{}\"", help.replace('"', "\\\"")),
    ]
}
