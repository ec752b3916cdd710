//! The queries as a ConfigMap for `spec.monitoring.customQueriesConfigMap` of CloudNativePG.
//!
//! The operator's exporter puts `cnpg_` in front of every name; the PodMonitor in `cnpg/` takes it off
//! again, so that alerts and dashboard are the same everywhere.

use crate::GENERATED;
use crate::metric::Group;
use crate::postgres_exporter;

/// The whole manifest.
pub fn config_map(groups: &[Group]) -> String {
    format!(
        "{GENERATED}apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: pg-trickle-metrics\n  labels:\n    \
         cnpg.io/reload: \"\"\ndata:\n  queries: |\n{}",
        postgres_exporter::entries(groups, "    ")
    )
}
