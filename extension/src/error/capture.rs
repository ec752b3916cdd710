//! What can be wrong with a source of changes.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

/// Where the rows of a table of Citus are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CitusTable {
    /// In shards on several nodes, or in one shard on some node.
    Distributed,
    /// On each node, whole.
    Reference,
    /// In one shard on this node.
    Local,
}

/// Why the changes of a relation cannot be captured, or could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// It is not a table that runs triggers.
    #[error("changes of \"{0}\" cannot be captured: it is not a permanent table")]
    NotATable(String),
    /// Its content does not survive a crash, which no trigger sees.
    #[error("changes of \"{0}\" cannot be captured: it is an unlogged table")]
    Unlogged(String),
    /// It is written through its hypertable, whose statements do not show which rows it got.
    #[error("changes of \"{0}\" cannot be captured: it is a chunk of a hypertable")]
    Chunk(String),
    /// One of its partitions is a foreign table.
    #[error(
        "changes of \"{table}\" cannot be captured: its partition \"{child}\" is a foreign table"
    )]
    ForeignChild {
        /// The source.
        table: String,
        /// Its partition.
        child: String,
    },
    /// Its rows are in shards of Citus, which have no triggers here.
    #[error("changes of \"{0}\" cannot be captured: Citus manages it")]
    Citus(String, CitusTable),
    /// It has no change buffer, or one that lacks a column.
    #[error("changes of \"{0}\" are not captured")]
    NotCaptured(String),
    /// A statement on it is still running, its changes are not yet captured.
    #[error("table \"{0}\" is being changed by a running statement of this session")]
    InUse(String),
    /// It was emptied or rewritten after the snapshot of the transaction.
    #[error("could not serialize access to table \"{0}\" due to a concurrent TRUNCATE or rewrite")]
    Rewritten(String),
}

impl CaptureError {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> PgSqlErrorCode {
        match self {
            CaptureError::NotCaptured(_) => {
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            CaptureError::InUse(_) => PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            CaptureError::Rewritten(_) => PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            _ => PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        }
    }

    /// Facts that help to understand it.
    pub fn detail(&self) -> Option<String> {
        let detail = match self {
            CaptureError::Chunk(_) => {
                "Statements on the hypertable change it without firing its own triggers."
            }
            CaptureError::Citus(..) => {
                "Its rows are in shards, and statements on it do not fire its triggers."
            }
            CaptureError::InUse(_) => "Its changes are captured when that statement ends.",
            CaptureError::Rewritten(_) => "This transaction's snapshot is older.",
            _ => return None,
        };
        Some(detail.into())
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            CaptureError::Chunk(_) => "Let the query read the hypertable.",
            CaptureError::NotCaptured(_) => "Refresh with force_full => true.",
            CaptureError::InUse(_) => "Refresh after the statement.",
            CaptureError::Rewritten(_) => "The transaction might succeed if retried.",
            _ => "Use refresh_mode => 'FULL'.",
        };
        Some(hint.into())
    }
}
