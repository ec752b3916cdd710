//! The Grafana dashboard: a list of panels, printed as JSON.

use serde_json::{Value, json};

struct Panel {
    title: &'static str,
    unit: &'static str,
    /// PromQL and legend.
    series: &'static [(&'static str, &'static str)],
}

const PANELS: &[Panel] = &[
    Panel {
        title: "Staleness",
        unit: "s",
        series: &[(
            "topk(20, pg_trickle_stream_table_staleness_seconds{datname=~\"$database\"})",
            "{{stream_table}}",
        )],
    },
    Panel {
        title: "Refreshes per second",
        unit: "ops",
        series: &[(
            "sum by (action) (rate(pg_trickle_refresh_completed_total{datname=~\"$database\"}[5m]))",
            "{{action}}",
        )],
    },
    Panel {
        title: "Duration of refreshes",
        unit: "s",
        series: &[
            (
                "histogram_quantile(0.5, sum by (le) (rate(pg_trickle_refresh_duration_seconds_bucket{datname=~\"$database\"}[5m])))",
                "median",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(pg_trickle_refresh_duration_seconds_bucket{datname=~\"$database\"}[5m])))",
                "99 of 100",
            ),
        ],
    },
    Panel {
        title: "Rows per second",
        unit: "rowsps",
        series: &[(
            "sum by (kind) (rate(pg_trickle_refresh_rows_total{datname=~\"$database\"}[5m]))",
            "{{kind}}",
        )],
    },
    Panel {
        title: "Recomputed, per hour",
        unit: "short",
        series: &[(
            "sum by (stream_table, reason) (increase(pg_trickle_refresh_completed_total{datname=~\"$database\",action=\"FULL\"}[1h]))",
            "{{stream_table}}: {{reason}}",
        )],
    },
    Panel {
        title: "Failed refreshes, per hour",
        unit: "short",
        series: &[(
            "sum by (stream_table, sqlstate_class) (increase(pg_trickle_refresh_errors_total{datname=~\"$database\"}[1h]))",
            "{{stream_table}}: {{sqlstate_class}}",
        )],
    },
    Panel {
        title: "Change buffers",
        unit: "bytes",
        series: &[(
            "pg_trickle_change_buffer_bytes{datname=~\"$database\"}",
            "{{source}}",
        )],
    },
    Panel {
        title: "Workers",
        unit: "short",
        series: &[
            (
                "max(pg_trickle_workers_busy{datname=~\"$database\"})",
                "busy",
            ),
            ("max(pg_trickle_workers{datname=~\"$database\"})", "running"),
            (
                "max(pg_trickle_workers_max{datname=~\"$database\"})",
                "at most",
            ),
        ],
    },
    Panel {
        title: "Runtime events, per hour",
        unit: "short",
        series: &[
            (
                "max(increase(pg_trickle_invalidation_ring_overflows_total{datname=~\"$database\"}[1h]))",
                "ring overflows",
            ),
            (
                "max(increase(pg_trickle_dag_cycles_detected_total{datname=~\"$database\"}[1h]))",
                "cycles refused",
            ),
            (
                "max(increase(pg_trickle_template_cache_stale_evictions_total{datname=~\"$database\"}[1h]))",
                "stale plans dropped",
            ),
            (
                "max(increase(pg_trickle_drain_timeouts_total{datname=~\"$database\"}[1h]))",
                "drains timed out",
            ),
        ],
    },
    Panel {
        title: "Staleness in WAL",
        unit: "bytes",
        series: &[(
            "topk(20, pg_trickle_stream_table_staleness_wal_bytes{datname=~\"$database\"})",
            "{{stream_table}}",
        )],
    },
    Panel {
        title: "Oldest open transaction",
        unit: "s",
        series: &[(
            "pg_trickle_holder_age_seconds{datname=~\"$database\"}",
            "{{holder}}",
        )],
    },
];

const COLUMNS: usize = 2;
const WIDTH: usize = 24 / COLUMNS;
const HEIGHT: usize = 8;

/// The whole file.
pub fn json() -> String {
    let panels: Vec<Value> = PANELS.iter().enumerate().map(panel).collect();
    let dashboard = json!({
        "uid": "pg-trickle",
        "title": "pg_trickle",
        "tags": ["postgresql", "pg_trickle"],
        "editable": true,
        "refresh": "30s",
        "schemaVersion": 39,
        "time": { "from": "now-3h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source" },
            {
                "name": "database",
                "type": "query",
                "label": "Database",
                "datasource": datasource(),
                "query": "label_values(pg_trickle_extension_info, datname)",
                "refresh": 2,
                "includeAll": true,
                "multi": true,
                "current": { "text": "All", "value": "$__all" },
            },
        ]},
        "panels": panels,
    });
    // A value of our own making: it has no keys that are not strings.
    let mut text = serde_json::to_string_pretty(&dashboard).unwrap_or_default();
    text.push('\n');
    text
}

fn panel((index, panel): (usize, &Panel)) -> Value {
    let targets: Vec<Value> = panel
        .series
        .iter()
        .zip('A'..)
        .map(|((expression, legend), letter)| {
            json!({
                "refId": letter.to_string(),
                "datasource": datasource(),
                "expr": expression,
                "legendFormat": legend,
            })
        })
        .collect();
    json!({
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": datasource(),
        "gridPos": {
            "x": index % COLUMNS * WIDTH, "y": index / COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT,
        },
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "targets": targets,
    })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}
