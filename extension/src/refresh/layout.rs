//! The objects that a plan needs: state tables, their indexes, and the stream table's key index.

use pgrx::pg_sys;
use pgtrickle_dvm::operators::{image, state};
use pgtrickle_dvm::plan::{Identity, Node, Store};
use pgtrickle_dvm::sql::{image_table, state_table};

use crate::catalog;
use crate::error::{Error, Result};
use crate::pg::index_lookup::{self, Over};
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::spi::Connection;
use crate::pg::user::OwnerContext;
use crate::pg::{constraint_index, depend, name, replica_identity, type_name, utility};

use super::compiled::{Compiled, has_table};
use super::guard;
use super::opened::state_index;
use super::state_names::{image_table_oid, state_table_oid, state_tables, table_oid};

/// Creates the state tables, empty. Their columns are those of the statement that fills them, which the owner
/// reads: reading a literal can run the functions that its type is made of.
pub fn create_state_tables(table: &catalog::StreamTable, compiled: &Compiled) -> Result<()> {
    drop_state_tables(table.pgt_id)?;
    let context = compiled.context();
    for image in &compiled.plan.images {
        let relation = image_table(context.state_prefix, image.id);
        create_state_table(table, &relation, &image::content(image))?;
    }
    for node in compiled.plan.nodes.iter().filter(|n| has_table(n)) {
        let relation = state_table(context.state_prefix, node.id);
        create_state_table(table, &relation, &state::initial(context, node))?;
    }
    Ok(())
}

fn create_state_table(table: &catalog::StreamTable, relation: &str, content: &str) -> Result<()> {
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let columns = {
        let _owner = OwnerContext::enter(owner, &table.settings)?;
        Connection::open()?.prepare(content)?.columns()
    };
    let definitions = columns.iter().map(|column| {
        let ty = type_name::definition(column.type_oid, column.typmod, column.collation)?;
        Ok(format!("{} {ty}", name::quote(&column.name)))
    });
    let definitions = definitions.collect::<Result<Vec<_>>>()?.join(", ");
    utility::run_as_extension_owner(&format!("CREATE TABLE {relation} ({definitions})"))?;
    let oid = table_oid(relation)?;
    depend::make_part_of(oid, table.relid);
    depend::change_owner(oid, owner);
    replica_identity::ensure(oid)?;
    guard::attach(oid)
}

/// Drops every state table of a stream table.
pub fn drop_state_tables(pgt_id: i64) -> Result<()> {
    for oid in state_tables(pgt_id)? {
        depend::detach(oid);
        depend::drop_relation(oid, false);
    }
    Ok(())
}

/// Creates the indexes that are not there yet: after the first fill, because that is faster.
pub fn create_indexes(table: &catalog::StreamTable, compiled: &Compiled) -> Result<()> {
    let context = compiled.context();
    for image in &compiled.plan.images {
        let oid = image_table_oid(context.state_prefix, image.id)?;
        if image.recursion.is_some() {
            let all: Vec<usize> = (0..image.opaque.columns.len()).collect();
            ensure_index(oid, None, &all, Over::Image)?;
        }
        for position in &image.indexes {
            ensure_index(oid, None, &[*position], Over::Values)?;
        }
    }
    for node in compiled.plan.nodes.iter().filter(|n| has_table(n)) {
        create_state_indexes(context.state_prefix, node)?;
    }
    let Wanted {
        name,
        columns,
        over,
    } = wanted(table.pgt_id, compiled);
    ensure_index(table.relid, Some(&name), &columns, over)
}

/// The index through which rows of the stream table are found.
struct Wanted {
    name: String,
    /// None are wanted if there is but one row.
    columns: Vec<usize>,
    over: Over,
}

fn wanted(pgt_id: i64, compiled: &Compiled) -> Wanted {
    let key = |columns: Vec<usize>, over| Wanted {
        name: key_index(pgt_id),
        columns,
        over,
    };
    match (
        compiled.partitions_in_output(),
        compiled.plan.output.identity(),
    ) {
        // Rows are found by their partition alone.
        (Some((columns, over)), _) => Wanted {
            name: partition_index(pgt_id),
            columns: columns.to_vec(),
            over,
        },
        (None, Identity::Key { columns, .. }) => key(columns.clone(), compiled.output_index()),
        (None, Identity::Image) => key((0..compiled.plan.columns.len()).collect(), Over::Image),
    }
}

fn create_state_indexes(state_prefix: &str, node: &Node) -> Result<()> {
    let oid = state_table_oid(state_prefix, node.id)?;
    let columns: Vec<usize> = (0..node.keys.len()).collect();
    if !columns.is_empty() {
        ensure_index(oid, None, &columns, state_index(node))?;
    }
    if let Store::Table { indexes } = &node.store {
        for positions in indexes {
            ensure_index(oid, None, positions, Over::Values)?;
        }
    }
    Ok(())
}

/// Name of the index through which the refresh finds rows of the stream table.
fn key_index(pgt_id: i64) -> String {
    format!("pgt_key_{pgt_id}")
}

/// Name of the index through which the refresh finds the rows of a partition in the stream table.
fn partition_index(pgt_id: i64) -> String {
    format!("pgt_partition_{pgt_id}")
}

/// Drops the indexes of an earlier definition, which may be unique where the current one is not: all but that of the name
/// which `compiled` asks for, where it is over the values of the columns by which that finds rows. Hashes are computed again.
///
/// One that a foreign key refers to, or that a constraint is made of, stays in any case; it gets a name of its own if
/// another is to have its name, and is the user's from then on.
pub fn drop_key_index(table: &catalog::StreamTable, compiled: Option<&Compiled>) -> Result<()> {
    let wanted = compiled.map(|compiled| wanted(table.pgt_id, compiled));
    let own = [key_index(table.pgt_id), partition_index(table.pgt_id)];
    let indexes = Relation::open(table.relid, LockMode::AccessShare)?.indexes();
    for index in indexes {
        let Some(name) = name::relation_name(index).filter(|name| own.contains(name)) else {
            continue;
        };
        let namesake = wanted.as_ref().filter(|wanted| wanted.name == name);
        if let Some(wanted) = namesake
            && is_over_values(table.relid, index, wanted)?
        {
            continue;
        }
        if !constraint_index::is_of_constraint(index) {
            depend::drop_relation(index, false);
        } else if namesake.is_some() {
            constraint_index::give_own_name(table.relid, index)?;
        }
    }
    Ok(())
}

/// Whether the index is what would be made, and holds no hashes.
fn is_over_values(table: pg_sys::Oid, index: pg_sys::Oid, wanted: &Wanted) -> Result<bool> {
    let over = index_lookup::settled(table, &wanted.columns, wanted.over)?;
    let is_as_strict = match over {
        Over::Key => true,
        Over::Values => !index_lookup::is_unique(index)?,
        Over::Image | Over::Equality => false,
    };
    Ok(is_as_strict && index_lookup::serves(table, index, &wanted.columns, over)?)
}

/// Whether the index is there. One of the user's, who may drop it, does not stand in for one that has a name.
fn is_indexed(
    table: pg_sys::Oid,
    index_name: Option<&str>,
    columns: &[usize],
    over: Over,
) -> Result<bool> {
    let Some(name) = index_name else {
        return Ok(index_lookup::find_settled(table, columns, over)?.is_some());
    };
    let schema = name::namespace_of(table).ok_or(Error::Vanished)?;
    let Some(index) = name::relation_in(schema, name)? else {
        return Ok(false);
    };
    let serves = index_lookup::serves(table, index, columns, over)?;
    if !serves {
        // An invalid one has the name.
        depend::drop_relation(index, false);
    }
    Ok(serves)
}

fn ensure_index(
    table: pg_sys::Oid,
    index_name: Option<&str>,
    columns: &[usize],
    over: Over,
) -> Result<()> {
    if columns.is_empty() || is_indexed(table, index_name, columns, over)? {
        return Ok(());
    }
    let over = index_lookup::settled(table, columns, over)?;
    let relation = Relation::open(table, LockMode::AccessShare)?;
    let list = match over {
        Over::Image => relation.quoted_columns(index_lookup::image_columns(columns))?,
        Over::Equality => {
            relation.quoted_columns(&index_lookup::equality_columns(&relation, columns))?
        }
        Over::Key | Over::Values => relation.quoted_columns(columns)?,
    };
    let list = list.join(", ");
    let qualified = name::qualified_name(table)
        .ok_or_else(|| Error::Internal("an indexed table does not exist".into()))?;
    drop(relation);
    let index = index_name.map(name::quote).unwrap_or_default();
    let sql = match over {
        Over::Image => {
            format!("CREATE INDEX {index} ON {qualified} (pgtrickle.row_image_hash({list}))")
        }
        Over::Equality => format!(
            "CREATE INDEX {index} ON {qualified} (pg_catalog.hash_record_extended(ROW({list}), 0))"
        ),
        Over::Key => {
            format!("CREATE UNIQUE INDEX {index} ON {qualified} ({list}) NULLS NOT DISTINCT")
        }
        Over::Values => format!("CREATE INDEX {index} ON {qualified} ({list})"),
    };
    utility::run_as_extension_owner(&sql)
}
