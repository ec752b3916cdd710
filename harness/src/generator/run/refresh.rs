//! Refreshes of the stream tables of a case, and which failures of them are the query's own.

use crate::client::{SERIALIZATION_FAILURE, SqlError, quote_literal};

use super::super::finding::FindingKind;
use super::super::session_settings;
use super::{Run, Stop, TIMEOUT};

/// The SQLSTATE of text that says a date that the clock decides.
const CLOCK_WORD: &str = "22018";

/// SQLSTATEs of a LIMIT, an OFFSET and a frame of too few rows, or of an unknown number.
pub(super) const ROW_COUNTS: [&str; 4] = ["2201W", "2201X", "22013", "22004"];

/// What a refresh reported.
#[derive(Debug)]
pub(super) struct Report {
    pub action: String,
    #[allow(dead_code, reason = "shown by Debug")]
    reason: String,
    pub inserted: i64,
    pub updated: i64,
    pub deleted: i64,
}

impl Run<'_> {
    /// One refresh; none in a transaction that has failed already, or where the query fails too.
    pub(super) async fn refresh(
        &mut self,
        number: usize,
        name: &str,
    ) -> Result<Option<Report>, Stop> {
        let sql = format!(
            "SELECT * FROM pgtrickle.refresh_stream_table({})",
            quote_literal(name)
        );
        match session_settings::table(self.session, number, &sql).await {
            Ok(table) => {
                self.failed.remove(name);
                let number = |column: &str| {
                    table
                        .value(0, column)
                        .and_then(|value| value.parse().ok())
                        .unwrap_or(0)
                };
                let report = Report {
                    action: table.value(0, "action").unwrap_or_default().to_owned(),
                    reason: table.value(0, "reason").unwrap_or_default().to_owned(),
                    inserted: number("rows_inserted"),
                    updated: number("rows_updated"),
                    deleted: number("rows_deleted"),
                };
                let changed = report.inserted + report.updated + report.deleted > 0;
                self.applied += u64::from(changed && report.action == "DIFFERENTIAL");
                Ok(Some(report))
            }
            Err(error) if error.is_connection_loss() => {
                Err(self.found(number, FindingKind::Crash, error.to_string()))
            }
            Err(error) if error.sqlstate == TIMEOUT => Err(Stop::Void),
            Err(error) if self.fails_as_well(name, &error).await => {
                self.failed.insert(name.to_owned());
                Ok(None)
            }
            Err(error) if ["25P02", SERIALIZATION_FAILURE].contains(&error.sqlstate.as_str()) => {
                Ok(None)
            }
            Err(error) => {
                let query = self.queries.get(name).cloned().unwrap_or_default();
                let probe = format!("SELECT * FROM ({query}) q");
                let probe = self.session.execute(&probe).await;
                match probe {
                    // An overflow or the like: not the extension's fault.
                    Err(other) if other.sqlstate == error.sqlstate => Err(Stop::Void),
                    // In a transaction the probe cannot tell any more; values decide.
                    Err(other) if other.sqlstate == "25P02" && error.sqlstate.starts_with("22") => {
                        Err(Stop::Void)
                    }
                    _ => {
                        let kind = FindingKind::RefreshFailed(error.sqlstate.clone());
                        let what = format!("{name}: {error}");
                        Err(self.explained(number, kind, what, name).await)
                    }
                }
            }
        }
    }

    /// One refresh while text says what the clock decides: whether it was not refused.
    pub(super) async fn refresh_guarded(
        &mut self,
        number: usize,
        name: &str,
    ) -> Result<bool, Stop> {
        match self.refresh(number, name).await {
            Ok(report) => Ok(report.is_some()),
            Err(Stop::Found(finding)) => match &finding.kind {
                FindingKind::RefreshFailed(code) if code == CLOCK_WORD => Ok(false),
                _ => Err(Stop::Found(finding)),
            },
            Err(stop) => Err(stop),
        }
    }

    /// Whether the query fails for a number of rows that a subquery gives, as its refresh did.
    async fn fails_as_well(&self, name: &str, error: &SqlError) -> bool {
        if !ROW_COUNTS.contains(&error.sqlstate.as_str()) {
            return false;
        }
        let query = self.queries.get(name).cloned().unwrap_or_default();
        let probe = format!("SELECT * FROM ({query}) q");
        self.become_owner().await;
        let failed = self.session.execute(&probe).await;
        self.become_itself().await;
        // In a transaction that has failed already nothing tells.
        failed.is_err_and(|other| {
            [error.sqlstate.as_str(), "25P02"].contains(&other.sqlstate.as_str())
        })
    }
}
