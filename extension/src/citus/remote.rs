//! Calling functions of this extension on other nodes.
//!
//! `master_run_on_worker` of Citus opens a connection to each node with the cluster's connection settings, runs on all
//! nodes at once, and can be cancelled. So no connection string is made here; names of nodes and ports are arguments.
//! A node commits its work independently of the calling transaction.
//!
//! The owner of the extension makes the call, after the coordinator has checked the user's privileges: a role that may
//! refresh a stream table here need not be able to connect to nodes, and has no rights to the tables there.
//!
//! The channel takes statements without parameters. Only [`statement`] makes one, from the name of a
//! function of this extension and values that the server quotes.

use pgrx::Spi;
use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::pg::name;
use crate::pg::user::OwnerContext;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name of its host, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: i32,
}

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

const CALL: &str = "
SELECT node_name, node_port, success, result
FROM pg_catalog.master_run_on_worker($1::pg_catalog.text[], $2::pg_catalog.int4[], $3::pg_catalog.text[], true)";

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

/// Calls a function of this extension, which returns a text, on these nodes.
pub fn call(nodes: &[Node], function: &str, arguments: &[Argument<'_>]) -> Result<Vec<Answer>> {
    let hosts: Vec<&str> = nodes.iter().map(|node| node.host.as_str()).collect();
    let ports: Vec<i32> = nodes.iter().map(|node| node.port).collect();
    let statements = vec![statement(function, arguments); nodes.len()];
    let _asker = OwnerContext::extension_owner()?;
    Spi::connect_mut(|client| {
        let mut answers = Vec::new();
        for row in client.update(CALL, None, &[hosts.into(), ports.into(), statements.into()])? {
            let text = row.get::<String>(4)?.unwrap_or_default();
            answers.push(Answer {
                node: Node {
                    host: row.get(1)?.unwrap_or_default(),
                    port: row.get(2)?.unwrap_or_default(),
                },
                result: match row.get(3)? {
                    Some(true) => Ok(text),
                    _ => Err(text),
                },
            });
        }
        Ok::<_, pgrx::spi::Error>(answers)
    })
    .map_err(|error| Error::Internal(error.to_string()))
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

/// A call as a statement.
fn statement(function: &str, arguments: &[Argument<'_>]) -> String {
    let literal = |text: &str| pgrx::spi::quote_literal(text);
    let arguments = arguments.iter().map(|argument| match argument {
        Argument::Text(text) => literal(text),
        Argument::Texts(texts) => {
            let texts: Vec<_> = texts.iter().map(|text| literal(text)).collect();
            format!("ARRAY[{}]::pg_catalog.text[]", texts.join(", "))
        }
    });
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    format!("SELECT pgtrickle.{}({arguments})", name::quote(function))
}
