//! What can go wrong with stream tables that the nodes of a cluster keep.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

/// Why a spread stream table cannot be made, changed or refreshed.
#[derive(Debug, thiserror::Error)]
pub enum SpreadError {
    /// Nodes have not done what they were asked for.
    #[error("nodes failed to maintain their shards of stream table \"{table}\"")]
    Nodes {
        /// The stream table.
        table: String,
        /// The nodes, each with what went wrong.
        failed: Vec<String>,
    },
    /// What nodes do is no part of a transaction.
    #[error("spread stream table \"{0}\" cannot be refreshed inside a transaction block")]
    InBlock(String),
    /// A change of a property that nodes receive only once.
    #[error("cannot change query, mode or settings of spread stream table \"{0}\"")]
    Fixed(String),
    /// The result is not distributed by a column of this name.
    #[error("the stream table cannot be distributed by column \"{column}\"")]
    BadColumn {
        /// The column.
        column: String,
        /// Why not, as a sentence.
        why: String,
    },
    /// A node has no relation for a shard that it is said to have.
    #[error("shard {0} is not on this node")]
    ShardMissing(i64),
    /// A node cannot maintain its shards, as the coordinator thought that it could.
    #[error("shard {shard} cannot be maintained: {why}")]
    NotMaintained {
        /// The shard.
        shard: i64,
        /// The constructs because of which.
        why: String,
    },
    /// No node, or more than one, has reported a shard.
    #[error("shards of stream table \"{table}\" are on no node, or on several: {shards}")]
    ShardsUnclear {
        /// The stream table.
        table: String,
        /// The shards.
        shards: String,
    },
    /// A table that it reads has been taken away from beside it.
    #[error("table \"{source_table}\" is no longer co-located with stream table \"{table}\"")]
    Apart {
        /// The stream table.
        table: String,
        /// The table that it reads.
        source_table: String,
    },
    /// A row that goes is not in the image of what a node has.
    #[error("the image of stream table \"{0}\" lacks rows that its nodes removed")]
    ImageDiffers(String),
    /// Who drops it with what it reads is not its owner.
    #[error("cannot drop a source together with a two-step stream table of another role")]
    OfAnother,
    /// A task that no node knows.
    #[error("invalid task \"{0}\"")]
    BadTask(String),
}

impl SpreadError {
    /// The SQLSTATE.
    pub(super) fn sqlstate(&self) -> PgSqlErrorCode {
        use PgSqlErrorCode as Code;
        match self {
            SpreadError::Nodes { .. } => Code::ERRCODE_CONNECTION_FAILURE,
            SpreadError::InBlock(_) => Code::ERRCODE_ACTIVE_SQL_TRANSACTION,
            SpreadError::Fixed(_)
            | SpreadError::NotMaintained { .. }
            | SpreadError::BadColumn { .. } => Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            SpreadError::ShardMissing(_) => Code::ERRCODE_UNDEFINED_TABLE,
            SpreadError::ShardsUnclear { .. } | SpreadError::Apart { .. } => {
                Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            SpreadError::ImageDiffers(_) => Code::ERRCODE_DATA_CORRUPTED,
            SpreadError::OfAnother => Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            SpreadError::BadTask(_) => Code::ERRCODE_INVALID_PARAMETER_VALUE,
        }
    }

    /// Facts that help to understand the error.
    pub(super) fn detail(&self) -> Option<String> {
        match self {
            SpreadError::Nodes { failed, .. } => Some(failed.join("\n")),
            SpreadError::InBlock(_) => Some(
                "Its nodes do not see what the transaction has done, and would wait for its locks."
                    .into(),
            ),
            SpreadError::BadColumn { why, .. } => Some(why.clone()),
            SpreadError::Apart { .. } => Some(
                "Its shards may move away from those of the stream table, and no node would have both.".into(),
            ),
            SpreadError::OfAnother => Some(
                "Citus connects to nodes once per role, and the connections would wait for each other."
                    .into(),
            ),
            SpreadError::Fixed(_)
            | SpreadError::NotMaintained { .. }
            | SpreadError::ShardMissing(_)
            | SpreadError::ShardsUnclear { .. }
            | SpreadError::ImageDiffers(_)
            | SpreadError::BadTask(_) => None,
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            SpreadError::Nodes { .. } => {
                Some("Shards on other nodes have been refreshed. Refresh it again.".into())
            }
            SpreadError::InBlock(_) => Some("Refresh it after the commit.".into()),
            SpreadError::Fixed(_) | SpreadError::NotMaintained { .. } => {
                Some("Drop it and create it again.".into())
            }
            SpreadError::Apart { .. } => Some(
                "Co-locate its sources again with update_distributed_table_colocation(), drop it, and create it again.".into(),
            ),
            SpreadError::BadColumn { .. } => {
                Some("Omit output_distribution_column to derive the column.".into())
            }
            SpreadError::ImageDiffers(_) => Some(
                "Recompute it with pgtrickle.refresh_stream_table(name, force_full => true)."
                    .into(),
            ),
            SpreadError::ShardMissing(_) | SpreadError::ShardsUnclear { .. } => {
                Some("It may be moving to another node. Refresh the stream table again.".into())
            }
            SpreadError::OfAnother => Some("Ask its owner or a superuser to drop it first.".into()),
            SpreadError::BadTask(_) => Some("Use 'DEFINE', 'REFRESH' or 'RECOMPUTE'.".into()),
        }
    }
}
