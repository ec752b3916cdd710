//! The list of metrics, by what they are about.
//!
//! Every query runs as a member of `pg_monitor`, reads the catalog and statistics, and starts with the
//! columns of its labels.

mod buffers;
mod refreshes;
mod runtime;
mod server;
mod stream_tables;

use std::collections::BTreeSet;

use crate::metric::{Group, Kind, Label, Metric};

const DATNAME: Label = Label {
    name: "datname",
    help: "the database",
};
const TABLE: Label = Label {
    name: "stream_table",
    help: "the stream table, qualified where its schema is not on the search path",
};

const fn counter(column: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric {
        column,
        kind: Kind::Counter,
        unit,
        help,
    }
}

const fn gauge(column: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric {
        column,
        kind: Kind::Gauge,
        unit,
        help,
    }
}

/// Every group.
pub fn groups() -> Vec<Group> {
    [
        server::GROUPS,
        runtime::GROUPS,
        stream_tables::GROUPS,
        refreshes::GROUPS,
        buffers::GROUPS,
    ]
    .concat()
}

/// The name of every metric.
pub fn names() -> BTreeSet<String> {
    groups()
        .iter()
        .flat_map(|group| group.metrics.iter().map(|metric| group.name_of(metric)))
        .collect()
}
