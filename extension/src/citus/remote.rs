//! Calling functions of this extension on other nodes.
//!
//! All nodes are asked at once, in sessions that are kept ([`super::sessions`]), under the parameters by which Citus
//! connects ([`super::address`]). A node commits its work independently of the calling transaction.
//!
//! The owner of the extension makes the call, after the coordinator has checked the user's privileges: a role that may
//! refresh a stream table here need not be able to connect to nodes, and has no rights to the tables there.
//!
//! Values are parameters of the statement; nothing is quoted.

use pgrx::Spi;
use pgrx::pg_sys;

use super::address::{self, Node};
use super::sessions::{self, Statement};
use crate::error::{Error, Result};
use crate::pg::name;
use crate::pg::user::OwnerContext;

/// An argument of a function.
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// A text.
    Text(&'a str),
    /// An array of texts.
    Texts(&'a [String]),
}

/// What a node has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The node.
    pub node: Node,
    /// The text that the function returned, or what went wrong.
    pub result: std::result::Result<String, String>,
}

const NODES: &str = "
SELECT DISTINCT n.nodename::pg_catalog.text, n.nodeport::pg_catalog.int4
FROM pg_catalog.pg_dist_shard s
JOIN pg_catalog.pg_dist_placement p ON p.shardid OPERATOR(pg_catalog.=) s.shardid
JOIN pg_catalog.pg_dist_node n ON n.groupid OPERATOR(pg_catalog.=) p.groupid
WHERE s.logicalrelid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass AND n.noderole OPERATOR(pg_catalog.=) 'primary'
ORDER BY 1, 2";

const SPREAD: &str =
    "SELECT pg_catalog.create_distributed_table($1::pg_catalog.regclass, $2, colocate_with => $3)";

/// The longest name, in bytes, with which shards have types of different names. PostgreSQL names the type of a table's
/// arrays by its name, cut to fit; sessions of one transaction that make types of one name wait for each other, which ends
/// in a deadlock. A number and `_` are added to the name of a table, and `_` to that of its type.
const SHARD_NAME_MAX: usize = 50;

const ONE_BY_ONE: &str =
    "SELECT pg_catalog.set_config('citus.multi_shard_modify_mode', 'sequential', true)";

/// The nodes that have shards of a table.
pub fn nodes_of(table: pg_sys::Oid) -> Result<Vec<Node>> {
    Spi::connect(|client| {
        let mut nodes = Vec::new();
        for row in client.select(NODES, None, &[table.into()])? {
            if let (Some(host), Some(port)) = (row.get(1)?, row.get(2)?) {
                nodes.push(Node { host, port });
            }
        }
        Ok::<_, pgrx::spi::Error>(nodes)
    })
    .map_err(|error| Error::Internal(error.to_string()))
}

/// Calls a function of this extension, which returns a text, on these nodes, for the owner of a stream table.
pub fn call(
    nodes: &[Node],
    owner: pg_sys::Oid,
    function: &str,
    arguments: &[Argument<'_>],
) -> Result<Vec<Answer>> {
    let _asker = OwnerContext::extension_owner()?;
    let (sql, parameters) = statement(function, arguments);
    let statement = Statement {
        sql: &sql,
        parameters: &parameters,
    };
    let answers = sessions::run(address::of(nodes)?, owner, statement)?;
    let answers = nodes.iter().cloned().zip(answers);
    Ok(answers
        .map(|(node, result)| Answer { node, result })
        .collect())
}

/// Distributes a table by a column, beside another.
pub fn spread(table: pg_sys::Oid, column: &str, beside: pg_sys::Oid) -> Result<()> {
    let own = name::relation_name(table).ok_or(Error::Vanished)?;
    let beside = name::qualified_name(beside).ok_or(Error::Vanished)?;
    let arguments = [table.into(), column.into(), beside.into()];
    let failed = |error: pgrx::spi::Error| Error::Internal(error.to_string());
    if own.len() > SHARD_NAME_MAX {
        Spi::run(ONE_BY_ONE).map_err(failed)?;
    }
    Spi::run_with_args(SPREAD, &arguments).map_err(failed)
}

/// A call as a statement, and its parameters.
fn statement<'a>(function: &str, arguments: &[Argument<'a>]) -> (String, Vec<&'a str>) {
    let mut parameters = Vec::new();
    let mut hole = |text: &'a str| {
        parameters.push(text);
        format!("${}", parameters.len())
    };
    let arguments = arguments.iter().map(|argument| match argument {
        Argument::Text(text) => hole(text),
        Argument::Texts(texts) => {
            let texts: Vec<_> = texts.iter().map(|text| hole(text)).collect();
            format!("ARRAY[{}]::pg_catalog.text[]", texts.join(", "))
        }
    });
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT pgtrickle.{}({arguments})", name::quote(function));
    (sql, parameters)
}
