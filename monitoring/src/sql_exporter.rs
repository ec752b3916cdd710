//! A collector for sql_exporter.

use std::fmt::Write;

use crate::GENERATED;
use crate::metric::Group;

/// The whole file. Metrics of one group share its query.
pub fn collector(groups: &[Group]) -> String {
    let mut text = format!("{GENERATED}collector_name: pg_trickle\nmin_interval: 15s\nmetrics:\n");
    for group in groups {
        for metric in group.metrics {
            let _ = writeln!(
                text,
                "  - metric_name: {}\n    type: {}\n    help: \"{}\"",
                group.name_of(metric),
                metric.kind.name(),
                metric.help.replace('"', "\\\"")
            );
            let labels: Vec<&str> = group.labels.iter().map(|label| label.name).collect();
            let _ = writeln!(
                text,
                "    key_labels: [{}]\n    values: [{}]\n    query_ref: {}",
                labels.join(", "),
                metric.column,
                group.prefix
            );
        }
    }
    text.push_str("queries:\n");
    for group in groups {
        let _ = writeln!(text, "  - query_name: {}\n    query: |", group.prefix);
        for line in group.sql_lines() {
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}
