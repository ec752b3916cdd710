//! What a metric is.

/// How a value moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until it starts again from zero.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// In lower case, as Prometheus writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// A dimension of a group of metrics: a text column of its query.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Column and label.
    pub name: &'static str,
    /// What it tells apart.
    pub help: &'static str,
}

/// A number in a group's query.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The column; with the group's prefix, the name of the metric.
    pub column: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What one of it is.
    pub unit: &'static str,
    /// A phrase without a full stop.
    pub help: &'static str,
}

/// Metrics that one query returns, with the same labels.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// What the metrics' names begin with.
    pub prefix: &'static str,
    /// Text columns of the query.
    pub labels: &'static [Label],
    /// Number columns of the query.
    pub metrics: &'static [Metric],
    /// For how long an exporter may repeat the last answer.
    pub cache_s: u32,
    /// The query. Its columns are the labels, then the metrics.
    pub sql: &'static str,
}

impl Group {
    /// The full name of one of its metrics.
    pub fn name_of(&self, metric: &Metric) -> String {
        format!("{}_{}", self.prefix, metric.column)
    }

    /// Its query without indentation, on as many lines as it has.
    pub fn sql_lines(&self) -> Vec<&'static str> {
        let lines: Vec<&str> = self.sql.trim().lines().collect();
        let indentation = lines
            .iter()
            .skip(1)
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.len() - line.trim_start().len())
            .min()
            .unwrap_or(0);
        lines
            .into_iter()
            .enumerate()
            .map(|(index, line)| {
                if index == 0 {
                    line
                } else {
                    &line[indentation..]
                }
            })
            .collect()
    }
}
