//! One grouping node of a refresh: delta of the groups, look-up of their state, combination,
//! recomputation where needed, and the writes.

use std::collections::HashSet;

use pgrx::pg_sys;
use pgtrickle_dvm::operators::aggregate::CombineLayout;
use pgtrickle_dvm::operators::script::{NodeStage, Statement};
use pgtrickle_dvm::operators::statement::Context;
use pgtrickle_dvm::operators::stored;
use pgtrickle_dvm::plan::{Node, Source, Store};
use pgtrickle_dvm::sql::names::{GROUPS, TOUCHED, key};

use crate::error::{Error, Result};
use crate::pg::memory::MemoryContext;
use crate::pg::row::OwnedRow;
use crate::pg::spi::Connection;
use crate::pg::tuplestore::TupleStore;

use super::block_delta::run_delta;
use super::compiled::Compiled;
use super::delta_set::DeltaSet;
use super::immediate::rows::{Hold, Keys};
use super::inputs::Inputs;
use super::keyed_table::{KeyedTable, Place};
use super::row_parts::{flag, ordinal_of, part, put_ordinal};
use super::row_types::{self, Rows};
use super::sink::Sink;

/// Everything a node's execution reads.
pub struct NodeRun<'a> {
    /// The compiled plan.
    pub compiled: &'a Compiled,
    /// What it brings to the snapshot.
    pub stage: &'a NodeStage<'a>,
    /// Its node.
    pub node: &'a Node,
    /// Deltas so far.
    pub inputs: &'a Inputs,
    /// Where stores are allocated.
    pub memory: &'a MemoryContext,
    /// Which other transactions may change rows at the same time.
    pub hold: Hold<'a>,
}

impl NodeRun<'_> {
    /// Runs a statement of the node that reads so many rows.
    pub(super) fn run(
        &self,
        connection: &Connection,
        statement: Statement,
        rows: u64,
    ) -> Result<TupleStore> {
        let size = [(self.stage.source(), rows)];
        let kind = (Some(self.stage.source()), statement.clone());
        let kept = self
            .compiled
            .statements
            .get(connection, kind, &size, |links| {
                let context = self.compiled.context().linking(links);
                let sql = self.stage.sql(context, &statement);
                sql.unwrap_or_default()
            })?;
        connection.run(&kept, self.memory.as_ptr())
    }

    /// Brings the node's state to the snapshot and hands the changed rows to `sink`. Returns
    /// whether anything was touched.
    pub fn execute(&self, sink: &mut Sink) -> Result<bool> {
        let connection = Connection::open()?;
        let Some(groups) = self.changed_groups(&connection)? else {
            return Ok(false);
        };
        self.change(&connection, &groups, sink)?;
        Ok(true)
    }

    /// The deltas of the groups that are touched, if any are.
    pub fn changed_groups(&self, connection: &Connection) -> Result<Option<TupleStore>> {
        let changed = self.inputs.changed(&self.node.block.sources());
        if changed.is_empty() {
            return Ok(None);
        }
        self.inputs.register(connection, &changed)?;
        let read = || self.group_deltas(connection, &changed);
        let groups = self.hold.read(self.compiled, read)?;
        Ok(groups.filter(|groups| groups.count() > 0))
    }

    /// Brings the state of these groups to the snapshot and hands their changed rows to `sink`.
    pub fn change(
        &self,
        connection: &Connection,
        groups: &TupleStore,
        sink: &mut Sink,
    ) -> Result<()> {
        let mut state = match self.node.store {
            Store::Table { .. } => Some(self.compiled.open_state(self.node)?),
            Store::Output(_) | Store::None => None,
        };
        let touched = match &self.node.store {
            Store::None => self.all_touched(groups)?,
            _ => self.combine(connection, groups, &mut state, sink)?,
        };
        if touched.count() > 0 {
            self.recompute(connection, &touched, &mut state, sink)?;
        }
        if let Some(state) = state {
            state.finish()?;
        }
        Ok(())
    }

    /// Brings the rows that the node keeps to the snapshot, and returns the changed ones.
    pub fn replace_rows(&self) -> Result<Option<TupleStore>> {
        let changed = self.inputs.changed(&self.node.block.sources());
        if changed.is_empty() {
            return Ok(None);
        }
        let connection = Connection::open()?;
        self.inputs.register(&connection, &changed)?;
        let Some(rows) = self.group_deltas(&connection, &changed)? else {
            return Ok(None);
        };
        drop(connection);
        let set = DeltaSet::consolidate(&rows);
        let state = self.compiled.open_state(self.node)?;
        let store = self.rows_of(&set, rows.tuple_desc())?;
        set.apply_by_image(state)?;
        Ok(store)
    }

    /// The rows of the node's block in a set, if it has any. The weight has one type, whichever terms it comes from:
    /// plans that read it are kept.
    pub(super) fn rows_of(
        &self,
        set: &DeltaSet,
        desc: pg_sys::TupleDesc,
    ) -> Result<Option<TupleStore>> {
        let mut sink = Sink::delta(self.memory);
        sink.expect(desc, 0..self.node.block.columns.len())?;
        for (row, weight) in set.rows() {
            sink.weigh(row, weight)?;
        }
        Ok(sink.into_store().filter(|rows| rows.count() > 0))
    }

    /// The keys of groups.
    pub fn keys_of(&self, groups: &TupleStore) -> Result<Keys> {
        let mut keys = Keys::default();
        let mut scan = groups.scan();
        while let Some(slot) = scan.next() {
            let key = part(slot.row(), 0, self.node.keys.len())?;
            keys.add_leading(key, groups.tuple_desc());
        }
        Ok(keys)
    }

    /// Runs the delta statement of the node.
    pub(super) fn group_deltas(
        &self,
        connection: &Connection,
        changed: &[(Source, u64)],
    ) -> Result<Option<TupleStore>> {
        let of = Some(self.stage.source());
        let delta = |context: Context<'_>, sources: &_| self.stage.delta(context, sources);
        run_delta(self.compiled, connection, self.memory, of, changed, &delta)
    }

    /// Looks up each touched group's old state and computes the new one. Returns the groups that
    /// must be recomputed.
    fn combine(
        &self,
        connection: &Connection,
        deltas: &TupleStore,
        state: &mut Option<KeyedTable>,
        sink: &mut Sink,
    ) -> Result<TupleStore> {
        let mut touched = self.touched_store(deltas)?;
        let (groups, places) = self.with_old_state(deltas, state, sink)?;
        connection.register(GROUPS, &groups)?;
        let combined = self.run(connection, Statement::Combine, groups.count())?;
        connection.unregister(GROUPS)?;

        let layout = CombineLayout::of_combine(self.node, &self.stage.emit);
        let keys = self.node.keys.len();
        let outputs = layout.new_keep + 1..layout.new_keep + 1 + layout.outputs;
        sink.expect(combined.tuple_desc(), outputs)?;
        // The statement keeps the rows of the groups as they come: a projection of one scan.
        if combined.count() != groups.count() {
            return Err(Error::Internal(
                "a group got lost between its states".into(),
            ));
        }
        let mut places = places.into_iter();
        let mut scan = combined.scan();
        let mut ordinal = 0_i32;
        while let Some(slot) = scan.next() {
            let row = slot.row();
            let place = places.next().unwrap_or(Place::Unknown);
            if let Some(at) = layout.old_keep
                && flag(row, at)?
            {
                sink.remove(part(row, at + 1, layout.outputs)?)?;
            }
            let key = part(row, layout.state, keys)?;
            if flag(row, 0)? {
                put_ordinal(&mut touched, ordinal, key);
                ordinal += 1;
                continue;
            }
            let present = flag(row, 1)?;
            let mut place_of_output = place;
            if let Some(state) = state {
                let new = part(row, layout.state, layout.state_len)?;
                state.put(key, place, present.then_some(new))?;
                place_of_output = Place::Unknown;
            }
            let new = part(row, layout.new_keep + 1, layout.outputs)?;
            sink.put(key, place_of_output, new, flag(row, layout.new_keep)?)?;
        }
        Ok(touched)
    }

    /// Every group of the delta, to be recomputed.
    pub(super) fn all_touched(&self, deltas: &TupleStore) -> Result<TupleStore> {
        let mut touched = self.touched_store(deltas)?;
        let mut scan = deltas.scan();
        let mut ordinal = 0_i32;
        while let Some(slot) = scan.next() {
            let key = part(slot.row(), 0, self.node.keys.len())?;
            put_ordinal(&mut touched, ordinal, key);
            ordinal += 1;
        }
        Ok(touched)
    }

    /// An empty store for `ord int4` and the keys.
    pub(super) fn touched_store(&self, deltas: &TupleStore) -> Result<TupleStore> {
        let columns = || {
            let mut columns = vec![row_types::plain("ord", pg_sys::INT4OID)];
            let keys = 0..self.node.keys.len();
            columns.extend(row_types::columns_of(deltas.tuple_desc(), keys, |i, _| {
                key(i)
            }));
            columns
        };
        let desc = (self.compiled.row_types).get(self.node.id, Rows::Touched, columns)?;
        Ok(TupleStore::new(self.memory.as_ptr(), desc.as_ptr()))
    }

    /// The groups' deltas beside their old state, and where that is.
    fn with_old_state(
        &self,
        deltas: &TupleStore,
        state: &mut Option<KeyedTable>,
        sink: &mut Sink,
    ) -> Result<(TupleStore, Vec<Place>)> {
        let keys = self.node.keys.len();
        let (table, positions): (&mut KeyedTable, Vec<usize>) = match (&self.node.store, state) {
            (Store::Output(positions), _) => (sink.table()?, positions.clone()),
            (_, Some(state)) => {
                let width = row_types::width(state.tuple_desc());
                (state, (0..width).collect())
            }
            _ => return Err(Error::Internal("a node without state was looked up".into())),
        };
        let columns = || {
            let all = 0..row_types::width(deltas.tuple_desc());
            let mut columns =
                row_types::columns_of(deltas.tuple_desc(), all, |_, name| name.to_owned());
            columns.push(row_types::plain("found", pg_sys::BOOLOID));
            let state_names = stored::names(self.node);
            for (position, name) in positions.iter().zip(&state_names) {
                let one = *position..*position + 1;
                columns.extend(row_types::columns_of(table.tuple_desc(), one, |_, _| {
                    format!("o_{name}")
                }));
            }
            columns
        };
        let desc = (self.compiled.row_types).get(self.node.id, Rows::Groups, columns)?;
        let mut groups = TupleStore::new(self.memory.as_ptr(), desc.as_ptr());
        let mut places = Vec::new();
        let mut scan = deltas.scan();
        let mut group = OwnedRow::default();
        while let Some(slot) = scan.next() {
            let row = slot.row();
            group.clear();
            group.extend(row);
            match table.find(part(row, 0, keys)?) {
                Some(stored) => {
                    places.push(Place::At(stored.tid()));
                    let old = stored.row();
                    group.push(true);
                    group.extend(OwnedRow::columns_of(old, &positions).row());
                }
                None => {
                    places.push(Place::Nowhere);
                    group.push(false);
                    positions.iter().for_each(|_| group.push_null());
                }
            }
            groups.put(group.row());
        }
        Ok((groups, places))
    }

    /// Computes groups again, one statement per combination of NULL keys.
    fn recompute(
        &self,
        connection: &Connection,
        touched: &TupleStore,
        state: &mut Option<KeyedTable>,
        sink: &mut Sink,
    ) -> Result<()> {
        let layout = CombineLayout::of_recompute(self.node, &self.stage.emit);
        let keys = self.node.keys.len();
        for (null_keys, part_of) in self.by_null_keys(touched)? {
            connection.register(TOUCHED, &part_of)?;
            let read = || {
                let again = Statement::Recompute(null_keys.clone());
                self.run(connection, again, part_of.count()).map(Some)
            };
            let fresh = self.hold.read(self.compiled, read)?;
            connection.unregister(TOUCHED)?;
            let Some(fresh) = fresh else { continue };
            let mut seen = HashSet::new();
            let mut scan = fresh.scan();
            while let Some(slot) = scan.next() {
                let row = slot.row();
                seen.insert(ordinal_of(row)?);
                let key = part(row, layout.state, keys)?;
                if let Some(state) = state {
                    let new = part(row, layout.state, layout.state_len)?;
                    state.put(key, Place::Unknown, Some(new))?;
                }
                let new = part(row, layout.new_keep + 1, layout.outputs)?;
                sink.put(key, Place::Unknown, new, flag(row, layout.new_keep)?)?;
            }
            // Groups that have no rows left.
            let mut scan = part_of.scan();
            while let Some(slot) = scan.next() {
                let row = slot.row();
                if !seen.contains(&ordinal_of(row)?) {
                    let key = part(row, 1, keys)?;
                    if let Some(state) = state {
                        state.put(key, Place::Unknown, None)?;
                    }
                    sink.remove_by_key(key)?;
                }
            }
        }
        Ok(())
    }

    /// Splits the touched groups by which of their keys are NULL.
    pub(super) fn by_null_keys(
        &self,
        touched: &TupleStore,
    ) -> Result<Vec<(Vec<bool>, TupleStore)>> {
        let mut parts: Vec<(Vec<bool>, TupleStore)> = Vec::new();
        let mut scan = touched.scan();
        while let Some(slot) = scan.next() {
            let row = slot.row();
            let null_keys = row.nulls.get(1..).unwrap_or_default();
            let at = match parts.iter().position(|(mask, _)| mask == null_keys) {
                Some(at) => at,
                None => {
                    let store = TupleStore::new(self.memory.as_ptr(), touched.tuple_desc());
                    parts.push((null_keys.to_vec(), store));
                    parts.len() - 1
                }
            };
            if let Some((_, store)) = parts.get_mut(at) {
                store.put(row);
            }
        }
        Ok(parts)
    }
}
