//! This node's parts of a two-step stream table: for each shard of a distributed, empty table an ordinary
//! stream table over the co-located shards, which is dropped with that shard. Its change buffer has the changes that the
//! coordinator has not yet applied.
//!
//! A position in these changes is a frontier, as text: `snapshot xid epoch`. Everything sent to the coordinator
//! is committed first, and survives a crash: otherwise a position could refer to a lost history.

use pgrx::Spi;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use crate::catalog;
use crate::cdc;
use crate::error::{Error, Result, SpreadError};
use crate::frontier::{Frontier, epoch};
use crate::pg::citus::{self, Shard};
use crate::pg::local_settings::LocalSettings;
use crate::pg::table::TableFacts;
use crate::pg::user::{self, OwnerContext};
use crate::pg::{acl, cluster, depend, name, transaction, utility};
use crate::refresh::{self, Request, Task};

use super::internal_view::{STATE_SCHEMA, view_name};
use super::remove;
use super::shards::{Definition, is_kept, is_lost, of_this_node, register, view_of};

/// What the coordinator has taken of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    shard: i64,
    generation: String,
    frontier: Frontier,
}

impl Known {
    /// Reads `shard generation snapshot xid epoch`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (shard, generation) = (words.next()?.parse().ok()?, words.next()?.to_owned());
        let (snapshot, xid) = (words.next()?, words.next()?.parse().ok()?);
        let frontier = Frontier::parse(snapshot, xid, words.next()?.parse().ok()?).ok()?;
        Some(Known {
            shard,
            generation,
            frontier,
        })
    }
}

/// Refreshes this node's parts, co-located with the shards of `anchor`, and returns their changes
/// as a JSON array.
pub fn take(
    anchor: pg_sys::Oid,
    definition: &Definition<'_>,
    task: Task,
    known: &[Known],
) -> Result<String> {
    transaction::commit_durably();
    let mut told = Vec::new();
    for shard in of_this_node(anchor) {
        let own = citus::relation_of(anchor, shard.id)?;
        let own = own.ok_or(SpreadError::ShardMissing(shard.id))?;
        let pgt_id = ensure(anchor, &shard, own, definition)?;
        let request = Request {
            force_full: task == Task::Recompute,
            ..Request::default()
        };
        if !is_lost(pgt_id)? {
            refresh::run(pgt_id, request)?;
        }
        let generation = format!("{}/{pgt_id}", cluster::system_identifier());
        let known = known
            .iter()
            .find(|known| known.shard == shard.id && known.generation == generation);
        told.push(tell(&shard, pgt_id, &generation, known, definition)?);
    }
    Ok(format!("[{}]", told.join(",")))
}

/// The qualified name of the stream table beside a shard.
pub fn rows_of(own: pg_sys::Oid) -> String {
    format!("{STATE_SCHEMA}.rows_{}", own.to_u32())
}

/// The stream table beside a shard, made if it is not there.
fn ensure(
    anchor: pg_sys::Oid,
    shard: &Shard,
    own: pg_sys::Oid,
    definition: &Definition<'_>,
) -> Result<i64> {
    let owner = depend::owner_of(own).ok_or(Error::Vanished)?;
    let qualified = rows_of(own);
    let relation = name::find_relation(&qualified)?;
    if let Some(relation) = relation
        && let Some(present) = catalog::load_by_relid(relation)?
        && depend::owner_of(relation) == Some(owner)
        && is_kept(&present, definition)?
    {
        return Ok(present.pgt_id);
    }
    if !acl::owns_relation(anchor) {
        return Err(Error::NotOwner(
            name::relation_name(anchor).unwrap_or_default(),
        ));
    }
    if let Some(relation) = relation {
        if let Some(present) = catalog::load_by_relid(relation)? {
            remove::forget(present.pgt_id)?;
        }
        depend::drop_relation(relation, true);
    }
    let _patience = LocalSettings::enter(&[(c"lock_timeout", c"30s")]);
    let pgt_id = catalog::new_id()?;
    let _owner = OwnerContext::enter(owner, &definition.settings)?;
    let view = view_of(anchor, shard, pgt_id, definition)?;
    utility::run_as_extension_owner(&format!(
        "CREATE TABLE {qualified} AS SELECT * FROM {STATE_SCHEMA}.{} WITH NO DATA",
        view_name(pgt_id)
    ))?;
    let relation = name::find_relation(&qualified)?.ok_or(Error::Vanished)?;
    depend::change_owner(relation, owner);
    depend::drop_with(pg_sys::RelationRelationId, relation, own);
    register(pgt_id, shard, relation, view, definition)?;
    let facts = TableFacts::load(relation).ok_or(Error::Vanished)?;
    let columns: Vec<i16> = facts
        .attributes
        .iter()
        .map(|column| column.attnum)
        .collect();
    cdc::install_buffer_only(relation, &columns)?;
    Ok(pgt_id)
}

/// The report of a shard: its changes since a position, or all of its rows.
fn tell(
    shard: &Shard,
    pgt_id: i64,
    generation: &str,
    known: Option<&Known>,
    definition: &Definition<'_>,
) -> Result<String> {
    let table = catalog::existing(pgt_id)?;
    let facts = TableFacts::load(table.relid).ok_or(Error::Vanished)?;
    let buffer = cdc::buffer_of(table.relid)?.and_then(name::qualified_name);
    let buffer = buffer.ok_or(Error::Vanished)?;
    let telling = Telling {
        shard: shard.id,
        generation,
        xid: transaction::top_xid_if_any().cast_signed(),
        epoch: epoch::advance(),
    };
    let _reader = OwnerContext::enter(user::extension_owner()?, &definition.settings)?;
    if let Some(known) = known {
        if cdc::wants_cleanup(table.relid)? {
            cdc::cleanup(table.relid, std::slice::from_ref(&known.frontier))?;
        }
        let columns = facts.attributes.iter();
        let columns = columns.map(|column| format!("a{}", column.attnum));
        let row = columns.collect::<Vec<_>>().join(", ");
        if let Some(changes) = telling.changes(&buffer, &row, &known.frontier)? {
            return Ok(changes);
        }
    }
    let columns = facts.attributes.iter();
    let columns = columns.map(|column| name::quote(&column.name));
    telling.all(
        &table.qualified_name(),
        &columns.collect::<Vec<_>>().join(", "),
    )
}

/// The reporting node, and the position of a current snapshot.
struct Telling<'a> {
    shard: i64,
    generation: &'a str,
    xid: i64,
    epoch: i32,
}

impl Telling<'_> {
    /// The changes; none if they are not known one by one.
    fn changes(&self, buffer: &str, row: &str, since: &Frontier) -> Result<Option<String>> {
        let sql = format!(
            "WITH changes AS MATERIALIZED (
                SELECT __pgt_w AS weight, CASE WHEN __pgt_w <> 0 THEN ROW({row})::text END AS row FROM {buffer}
                WHERE NOT CASE WHEN __pgt_xid = $5 THEN __pgt_epoch < $6
                    ELSE pg_visible_in_snapshot(__pgt_xid::text::xid8, $7::pg_snapshot) END
             ), sums AS (
                SELECT row, sum(weight) AS weight FROM changes GROUP BY row HAVING sum(weight) <> 0
             )
             SELECT {} FROM (SELECT coalesce(json_agg(json_build_array(weight, row)), '[]'::json) AS rows FROM sums) AS s
             WHERE NOT EXISTS (SELECT FROM changes WHERE weight = 0)",
            Self::object("false")
        );
        let (xid, epoch) = (since.own_xid().cast_signed(), since.own_epoch());
        self.text(
            &sql,
            vec![xid.into(), epoch.into(), since.to_string().into()],
        )
    }

    /// All rows.
    fn all(&self, table: &str, row: &str) -> Result<String> {
        let sql = format!(
            "SELECT {} FROM (SELECT coalesce(json_agg(json_build_array(1, ROW({row})::text)), '[]'::json) AS rows FROM {table}) AS s",
            Self::object("true")
        );
        let told = self.text(&sql, Vec::new())?;
        told.ok_or_else(|| Error::Internal(format!("{table} has no answer")))
    }

    /// The report of a shard of which `rows` are known.
    fn object(whole: &str) -> String {
        format!(
            "json_build_object('shard', $1::bigint, 'generation', $2::text, 'whole', {whole}, 'rows', rows,
                'position', concat_ws(' ', pg_current_snapshot(), $3::bigint, $4::integer))::text"
        )
    }

    fn text(&self, sql: &str, more: Vec<DatumWithOid<'_>>) -> Result<Option<String>> {
        let mut arguments: Vec<DatumWithOid<'_>> = vec![
            self.shard.into(),
            self.generation.into(),
            self.xid.into(),
            self.epoch.into(),
        ];
        arguments.extend(more);
        let found = Spi::connect_mut(|client| {
            let mut rows = client.update(sql, None, &arguments)?;
            match rows.next() {
                Some(row) => row.get::<String>(1),
                None => Ok(None),
            }
        });
        found.map_err(|error| Error::Internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_or_refused() {
        let known = Known::parse("102008 7/3 10:20:12,15 17 2");
        let frontier = Frontier::parse("10:20:12,15", 17, 2).ok();
        assert_eq!(known.as_ref().map(|known| known.shard), Some(102_008));
        assert_eq!(known.map(|known| known.frontier), frontier);
        for noise in [
            "",
            "1",
            "x 7/3 10:20: 1 1",
            "1 7/3 20:10: 1 1",
            "1 7/3 10:20:",
        ] {
            assert_eq!(Known::parse(noise), None, "{noise}");
        }
    }
}
