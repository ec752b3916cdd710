//! The relations that a query names, anywhere in it, and which of them can be maintained.

use std::collections::{BTreeMap, BTreeSet};

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use super::derived::Access;
use crate::capability::{
    CATALOG_TABLE, FOREIGN_PARTITION, FOREIGN_TABLE, HYPERTABLE_PART, INHERITANCE,
    INHERITANCE_CHILD, INHERITANCE_ONLY, INHERITANCE_SHARED_CHILD, MATERIALIZED_VIEW, PARTITION,
    PARTITIONED_TABLE, PRIVILEGE_THROUGH_VIEW, SUBSCRIBED_TABLE, TABLE, TEMP_TABLE,
    UNKNOWN_CONSTRUCT, UNLOGGED_TABLE, VIRTUAL_GENERATED_COLUMN,
};
use crate::cdc;
use crate::error::{CaptureError, Result};
use crate::pg::inherit;
use crate::pg::node::{self, NodeOf, Walk};
use crate::pg::table::{self, TableFacts};

/// Attribute numbers by table.
type Named = BTreeMap<u32, BTreeSet<i16>>;

/// Schemas of the extension whose tables it writes itself.
const OWN_SCHEMAS: [&str; 3] = ["pgtrickle", "pgtrickle_changes", "pgtrickle_state"];

impl Analyzer {
    /// Every table below all views and subqueries of a query, supported or not, with the columns
    /// that the server says are read. Refuses what no refresh mode supports.
    pub fn named_sources(&mut self, query: NodeOf<pg_sys::Query>) -> Result<Named> {
        let mut named = Named::new();
        self.collect(query, &mut named, &mut BTreeSet::new())?;
        Ok(named)
    }

    fn collect(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        named: &mut Named,
        views: &mut BTreeSet<u32>,
    ) -> Result<()> {
        node::check_stack_depth();
        let mut entries: Vec<NodeOf<pg_sys::RangeTblEntry>> = Vec::new();
        let mut inner: Vec<NodeOf<pg_sys::Query>> = Vec::new();
        node::walk_query(query, &mut |found| {
            if let Some(entry) = found.cast() {
                entries.push(entry);
                return Walk::Skip;
            }
            if let Some(subquery) = found.cast() {
                inner.push(subquery);
                return Walk::Skip;
            }
            Walk::Descend
        });
        for subquery in inner {
            self.collect(subquery, named, views)?;
        }
        let permissions = node::list_of::<pg_sys::RTEPermissionInfo>(query.rteperminfos);
        for entry in entries {
            if entry.rtekind != pg_sys::RTEKind::RTE_RELATION {
                continue;
            }
            let Some(facts) = self.table(entry.relid) else {
                continue;
            };
            self.check_hard(&facts);
            if facts.kind == pg_sys::RELKIND_VIEW {
                if views.insert(facts.oid.to_u32()) {
                    let inner = self.view_query(facts.oid)?;
                    self.collect(inner, named, views)?;
                }
                continue;
            }
            let info = (entry.perminfoindex as usize)
                .checked_sub(1)
                .and_then(|i| permissions.get(i));
            let columns = info.map_or_else(BTreeSet::new, |info| selected(info, &facts));
            if facts
                .attributes
                .iter()
                .any(|a| a.is_virtual && columns.contains(&a.attnum))
            {
                self.note(&VIRTUAL_GENERATED_COLUMN, facts.qualified.clone());
            }
            named.entry(facts.oid.to_u32()).or_default().extend(columns);
        }
        Ok(())
    }

    fn check_hard(&mut self, facts: &TableFacts) {
        if facts.persistence == pg_sys::RELPERSISTENCE_TEMP {
            self.refuse(&TEMP_TABLE, facts.qualified.clone());
        }
        let is_view = facts.kind == pg_sys::RELKIND_VIEW;
        if !is_view && (facts.is_catalog || OWN_SCHEMAS.contains(&facts.schema.as_str())) {
            self.refuse(&CATALOG_TABLE, facts.qualified.clone());
        }
    }

    /// Checks a table that the tree would read; false when it has no columns to offer.
    pub fn check_table(
        &mut self,
        facts: &TableFacts,
        with_children: bool,
        used: &BTreeSet<i16>,
        access: &Access,
    ) -> Result<bool> {
        let name = facts.qualified.clone();
        match facts.kind {
            pg_sys::RELKIND_RELATION => self.note(&TABLE, name.clone()),
            pg_sys::RELKIND_PARTITIONED_TABLE => {
                self.note(&PARTITIONED_TABLE, name.clone());
            }
            pg_sys::RELKIND_FOREIGN_TABLE => self.note(&FOREIGN_TABLE, name.clone()),
            pg_sys::RELKIND_MATVIEW => self.note(&MATERIALIZED_VIEW, name.clone()),
            _ => {
                self.refuse(&UNKNOWN_CONSTRUCT, format!("relation {name}"));
                return Ok(false);
            }
        }
        let has_children = facts.has_children
            || facts.is_hypertable
            || facts.kind == pg_sys::RELKIND_PARTITIONED_TABLE;
        if has_children && !with_children {
            match facts.is_hypertable {
                true => self.refuse(&HYPERTABLE_PART, format!("ONLY {name}")),
                false => self.note(&INHERITANCE_ONLY, format!("ONLY {name}")),
            }
        } else if facts.has_children {
            self.note(&INHERITANCE, name.clone());
            if cdc::has_shared_child(facts.oid) {
                self.note(&INHERITANCE_SHARED_CHILD, name.clone());
            }
        }
        if inherit::has_parent(facts.oid) {
            match facts.is_partition {
                true => self.note(&PARTITION, name.clone()),
                false => self.note(&INHERITANCE_CHILD, name.clone()),
            }
        }
        if cdc::is_subscribed(facts.oid) {
            self.note(&SUBSCRIBED_TABLE, name.clone());
        }
        if let Some(obstacle) = cdc::obstacle(facts.oid)? {
            self.refuse_capture(facts, &obstacle);
        }
        self.check_privileges(facts, used, access);
        Ok(true)
    }

    /// What keeps the changes of a table from being captured.
    fn refuse_capture(&mut self, facts: &TableFacts, obstacle: &CaptureError) {
        let name = &facts.qualified;
        match obstacle {
            CaptureError::Unlogged(table) => self.refuse(&UNLOGGED_TABLE, table.clone()),
            CaptureError::Chunk(_) => self.refuse(&HYPERTABLE_PART, name.clone()),
            CaptureError::ForeignChild { child, .. } => {
                self.refuse(
                    &FOREIGN_PARTITION,
                    format!("{child}, partition or child of {name}"),
                );
            }
            CaptureError::Citus(_, kind) => self.citus_table(facts, *kind),
            // Other kinds of relations are refused by their kind.
            CaptureError::NotATable(_)
            | CaptureError::NotCaptured(_)
            | CaptureError::InUse(_)
            | CaptureError::Rewritten(_) => {}
        }
    }

    /// Checks that the owner may read a relation itself, since refreshes read tables and captured
    /// changes without the views in between. What the query names directly is an error for any mode.
    pub fn check_privileges(&mut self, facts: &TableFacts, used: &BTreeSet<i16>, access: &Access) {
        let columns: Vec<i16> = used.iter().copied().filter(|attnum| *attnum > 0).collect();
        if table::may_read(facts.oid, &columns, self.owner) {
            return;
        }
        if access.through_view {
            self.refuse(&PRIVILEGE_THROUGH_VIEW, facts.qualified.clone());
        } else {
            table::report_denied(facts, self.owner);
        }
    }
}

/// The columns that a permission entry says are read.
pub(super) fn selected(info: &pg_sys::RTEPermissionInfo, facts: &TableFacts) -> BTreeSet<i16> {
    let all = || facts.attributes.iter().map(|a| a.attnum).collect();
    let mut columns = BTreeSet::new();
    for member in node::bitmap_members(info.selectedCols) {
        match i16::try_from(member + pg_sys::FirstLowInvalidHeapAttributeNumber) {
            Ok(0) => return all(),
            Ok(attnum) if attnum > 0 || attnum == cdc::TABLE => {
                columns.insert(attnum);
            }
            _ => {}
        }
    }
    columns
}
