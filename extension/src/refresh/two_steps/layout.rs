//! The tables of a stream table in two steps, for each part `n`:
//!
//! - `part_<id>_<n>`, distributed beside the tables that the part reads, and empty. Each of its shards owns what its
//!   node keeps for the part, so that Citus moves and drops that with the shard, in its own transactions.
//! - `image_<id>_<n>`: shard and hash of each row, then the row. Its comment is the query of the part that it holds.
//! - `taken_<id>_<n>`: the generation of each shard and the position that the image contains.

use pgrx::Spi;
use pgrx::pg_sys;

use super::division::{Divided, PartQuery};
use super::names::{Names, names};
use crate::catalog::StreamTable;
use crate::citus;
use crate::error::{Error, Result};
use crate::pg::spi::Connection;
use crate::pg::table::TableFacts;
use crate::pg::user::OwnerContext;
use crate::pg::{acl, comment, depend, name, replica_identity, type_name, utility};

/// Makes all tables of a new stream table.
pub fn create(table: &StreamTable, divided: &Divided) -> Result<()> {
    for (number, part) in divided.parts.iter().enumerate() {
        create_anchor(table, &names(table.pgt_id, number).anchor, part)?;
    }
    follow(table, divided)
}

/// Makes the images whose part is new or has another query.
pub fn follow(table: &StreamTable, divided: &Divided) -> Result<()> {
    for (number, part) in divided.parts.iter().enumerate() {
        let names = names(table.pgt_id, number);
        let present = name::find_relation(&names.image)?;
        let has_same = |image| comment::on_relation(image).as_ref() == Some(&part.text);
        match present {
            Some(image) if has_same(image) => continue,
            Some(image) => {
                depend::detach(image);
                depend::drop_relation(image, true);
            }
            None => {}
        }
        create_image(table, &names, part)?;
    }
    Ok(())
}

fn create_anchor(table: &StreamTable, anchor: &str, part: &PartQuery) -> Result<()> {
    let column = citus_column(part.beside)?;
    utility::run_as_extension_owner(&format!("CREATE TABLE {anchor} (k {column})"))?;
    let oid = found(anchor)?;
    replica_identity::ensure(oid)?;
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    depend::change_owner(oid, owner);
    {
        let _owner = OwnerContext::extension_owner()?;
        citus::spread(oid, "k", part.beside)?;
    }
    Ok(())
}

/// Drops the distributed tables of a stream table that is gone, and with their shards what nodes keep. By a statement:
/// what merely goes with something else Citus takes for a partition, whose shards it leaves. It is that of who drops the
/// stream table, if he may, since Citus has connections of their own for each user, which would wait for each other.
pub fn drop_anchors(pgt_id: i64) -> Result<()> {
    for part in 0.. {
        let anchor = names(pgt_id, part).anchor;
        let Some(oid) = name::find_relation(&anchor)? else {
            break;
        };
        let drop = format!("DROP TABLE {anchor}");
        match acl::owns_relation(oid) {
            true => utility::run(&drop)?,
            false => utility::run_as_extension_owner(&drop)?,
        }
    }
    Ok(())
}

/// The type of the column by which a table is distributed.
fn citus_column(table: pg_sys::Oid) -> Result<String> {
    let facts = TableFacts::load(table).ok_or(Error::Vanished)?;
    let distribution = crate::pg::citus::distribution(table);
    let column = distribution.and_then(|found| found.column);
    let column = column.and_then(|attnum| facts.attribute(attnum));
    let column = column.ok_or(Error::Vanished)?;
    type_name::definition(column.type_oid, column.typmod, column.collation)
}

fn create_image(table: &StreamTable, names: &Names, part: &PartQuery) -> Result<()> {
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let columns = {
        let _owner = OwnerContext::enter(owner, &table.settings)?;
        Connection::open()?.prepare(&part.text)?.columns()
    };
    let columns = columns.iter().map(|column| {
        let ty = type_name::definition(column.type_oid, column.typmod, column.collation)?;
        Ok(format!("{} {ty}", name::quote(&column.name)))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?.join(", ");
    let Names { image, taken, .. } = names;
    for statement in [
        format!("CREATE TABLE {image} (shard bigint NOT NULL, hash bigint NOT NULL, {columns})"),
        format!("CREATE INDEX ON {image} (hash)"),
        format!(
            "CREATE TABLE {taken} (shard bigint PRIMARY KEY, generation text NOT NULL, position text NOT NULL)"
        ),
    ] {
        utility::run_as_extension_owner(&statement)?;
    }
    let (image, taken) = (found(image)?, found(taken)?);
    comment::set_on_relation(image, &part.text);
    for oid in [image, taken] {
        replica_identity::ensure(oid)?;
        depend::change_owner(oid, owner);
    }
    depend::make_part_of(taken, image);
    depend::make_part_of(image, table.relid);
    Ok(())
}

/// How many rows an image of tables begins with, as Citus counts them now.
pub fn count(part: &PartQuery) -> Result<i64> {
    let count = format!("SELECT pg_catalog.count(*) FROM ({}) AS part", part.text);
    let count = Spi::get_one::<i64>(&count).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(count.unwrap_or_default())
}

fn found(relation: &str) -> Result<pg_sys::Oid> {
    name::find_relation(relation)?
        .ok_or_else(|| Error::Internal(format!("table {relation} does not exist")))
}
