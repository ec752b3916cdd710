//! The tables of a two-step stream table, for each part `n`:
//!
//! - `pgtrickle_part_<id>.part_<n>`, empty, distributed and co-located with the tables that the part reads. Each of its
//!   shards owns the node's objects for the part, so Citus moves and drops them with the shard, in its own transactions, as
//!   the owner of the table. The owner needs CREATE on its schema, so the schema belongs to the owner and has nothing
//!   else.
//! - `image_<id>_<n>`: shard and hash of each row, then the row. Its comment is the query of the part that it holds.
//! - `taken_<id>_<n>`: the generation of each shard and the position that the image contains.

use pgrx::Spi;
use pgrx::pg_sys;

use super::division::{Divided, PartQuery};
use super::names::{Names, names, schema};
use crate::catalog::StreamTable;
use crate::citus;
use crate::error::{Error, Result, SpreadError};
use crate::pg::spi::Connection;
use crate::pg::table::TableFacts;
use crate::pg::user::OwnerContext;
use crate::pg::{acl, comment, depend, name, replica_identity, type_name, user, utility};
use crate::refresh::guard;

/// Makes all tables of a new stream table.
pub fn create(table: &StreamTable, divided: &Divided) -> Result<()> {
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let (schema, owner) = (schema(table.pgt_id), name::quote(&user::name_of(owner)?));
    {
        // As one, for Citus, that makes a schema, sets itself locally to use one connection from then on.
        let _maker = OwnerContext::extension_owner()?;
        utility::run(&format!("CREATE SCHEMA {schema} AUTHORIZATION {owner}"))?;
        for (number, part) in divided.parts.iter().enumerate() {
            create_anchor(table, &names(table.pgt_id, number).anchor, part)?;
        }
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
/// stream table, since Citus has connections of their own for each role, which would wait for each other: so others than
/// its owner do not drop it with what it reads.
pub fn drop_anchors(pgt_id: i64) -> Result<()> {
    let anchors = anchors(pgt_id)?;
    if anchors.iter().any(|anchor| !acl::owns_relation(*anchor)) {
        return Err(SpreadError::OfAnother.into());
    }
    for anchor in anchors {
        let anchor = name::qualified_name(anchor).ok_or(Error::Vanished)?;
        utility::run(&format!("DROP TABLE {anchor}"))?;
    }
    let schema = schema(pgt_id);
    match name::find_namespace(&name::c_string(&schema)?) {
        Some(_) => utility::run(&format!("DROP SCHEMA {schema} CASCADE")),
        None => Ok(()),
    }
}

/// The distributed tables of a stream table, by part.
pub fn anchors(pgt_id: i64) -> Result<Vec<pg_sys::Oid>> {
    let mut found = Vec::new();
    while let Some(anchor) = find_anchor(pgt_id, found.len())? {
        found.push(anchor);
    }
    Ok(found)
}

/// The distributed table of a part. Who may refresh the stream table needs no rights to its schema.
pub fn find_anchor(pgt_id: i64, part: usize) -> Result<Option<pg_sys::Oid>> {
    match name::find_namespace(&name::c_string(&schema(pgt_id))?) {
        Some(schema) => name::relation_in(schema, &format!("part_{part}")),
        None => Ok(None),
    }
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
        guard::attach(oid)?;
    }
    depend::make_part_of(taken, image);
    depend::make_part_of(image, table.relid);
    Ok(())
}

/// Gives all tables of a stream table to another owner. The distributed ones by a statement, which Citus passes on.
pub fn change_owner(table: &StreamTable, owner: pg_sys::Oid) -> Result<()> {
    let anchors = anchors(table.pgt_id)?;
    let is_given = (anchors.iter()).all(|anchor| depend::owner_of(*anchor) == Some(owner));
    let role = name::quote(&user::name_of(owner)?);
    if !is_given {
        let give = format!("ALTER SCHEMA {} OWNER TO {role}", schema(table.pgt_id));
        utility::run_as_extension_owner(&give)?;
    }
    for part in 0..anchors.len() {
        let names = names(table.pgt_id, part);
        if !is_given {
            let give = format!("ALTER TABLE {} OWNER TO {role}", names.anchor);
            utility::run_as_extension_owner(&give)?;
        }
        for relation in [&names.image, &names.taken] {
            if let Some(oid) = name::find_relation(relation)?
                && depend::owner_of(oid) != Some(owner)
            {
                depend::change_owner(oid, owner);
            }
        }
    }
    Ok(())
}

/// What an image of tables is of, with the number of their rows. The role that has made tables beside them asks, since
/// Citus has other connections for each, and no other would see these; hence for rows as such, without the query's
/// expressions.
pub fn describe_rows(part: &PartQuery) -> Result<String> {
    let table = name::qualified_name(part.beside).ok_or(Error::Vanished)?;
    let _owner = OwnerContext::extension_owner()?;
    let count = format!("SELECT pg_catalog.count(*) FROM {table}");
    let count = Spi::get_one::<i64>(&count).map_err(|error| Error::Internal(error.to_string()))?;
    let count = count.unwrap_or_default();
    Ok(format!("rows of {table}, which has {count}"))
}

fn found(relation: &str) -> Result<pg_sys::Oid> {
    name::find_relation(relation)?
        .ok_or_else(|| Error::Internal(format!("table {relation} does not exist")))
}
