//! The statement that writes a table's rows into another file: CLUSTER, which 19 made a form of REPACK.

use pgrx::pg_sys::NodeTag;

/// Its node.
#[cfg(not(feature = "pg19"))]
pub const STATEMENT: NodeTag = NodeTag::T_ClusterStmt;
/// Its node.
#[cfg(feature = "pg19")]
pub const STATEMENT: NodeTag = NodeTag::T_RepackStmt;
