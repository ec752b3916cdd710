//! Row security of the tables that a query names itself, for the owner of the stream table.
//!
//! If the policies depend only on the columns of a row, the scan carries their condition, see
//! [`pgtrickle_dvm::tree::Visible`]. Refused are policies that read other tables, the session or
//! the clock, and all policies under views, where other roles' rights apply than those of a refresh.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pgrx::pg_sys;
use pgtrickle_dvm::sql::names::{CHANGED_ROW, attribute};
use pgtrickle_dvm::tree::{ColumnId, Visible};

use super::analyzer::Analyzer;
use super::derived::Access;
use super::implied::may_say_clock;
use super::spread::Place;
use crate::capability::{ROW_POLICY, ROW_SECURITY};
use crate::pg::node::{Node, NodeOf, Walk};
use crate::pg::row_security;
use crate::pg::table::{self, TableFacts};

impl Analyzer {
    /// What the policies of a table say of its rows, with the columns that they read; none, where nothing is hidden.
    /// Refuses what does not follow from these.
    pub fn policies(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        facts: &TableFacts,
        access: &Access,
    ) -> Vec<Node> {
        if !self.is_secured(facts, access) {
            return Vec::new();
        }
        let is_own = !access.through_view && access.roles == [self.owner];
        let conditions = match is_own && self.place == Place::ThisNode {
            true => row_security::conditions(query, entry),
            false => None,
        };
        let readable = conditions.filter(|conditions| {
            // The server adds the policies to what initialises a stream table, without the function that refuses words
            // of the clock.
            if conditions.iter().any(|condition| may_say_clock(*condition)) {
                return false;
            }
            let columns: Vec<i16> = columns_of(conditions).into_iter().collect();
            let is_stored = |attnum: &i16| facts.attribute(*attnum).is_some_and(|a| !a.is_virtual);
            columns.iter().all(is_stored) && table::may_read(facts.oid, &columns, self.owner)
        });
        readable.unwrap_or_else(|| {
            self.refuse(&ROW_SECURITY, facts.qualified.clone());
            Vec::new()
        })
    }

    /// Refuses a table that the tree reads, or has read, as a whole and of which rows are hidden.
    pub fn refuse_secured(&mut self, facts: &TableFacts, access: &Access) {
        if self.is_secured(facts, access) {
            self.refuse(&ROW_SECURITY, facts.qualified.clone());
        }
    }

    fn is_secured(&mut self, facts: &TableFacts, access: &Access) -> bool {
        let mut roles = access.roles.iter();
        if (roles.clone()).any(|role| row_security::may_apply(facts.oid, *role)) {
            self.define_by(row_security::OF_ROLES);
        }
        roles.any(|role| row_security::applies(facts.oid, *role))
    }

    /// Which rows satisfy the policies, over the columns of their scan.
    pub fn visible(
        &mut self,
        facts: &Rc<TableFacts>,
        policies: Vec<Node>,
        columns: &BTreeMap<i16, ColumnId>,
    ) -> Visible {
        let before = self.findings();
        let mut texts = Vec::with_capacity(policies.len());
        for policy in policies {
            let bound = policy.replace(&mut |node| {
                let var = node.cast::<pg_sys::Var>()?;
                self.parameter(*columns.get(&var.varattno)?)
            });
            let expr = self.expression(bound);
            let name = |id: ColumnId| {
                let attnum = columns.iter().find(|(_, known)| **known == id);
                let name = attribute(attnum.map_or(0, |(attnum, _)| *attnum));
                format!("{CHANGED_ROW}.{name}")
            };
            texts.push(expr.render(name));
        }
        if self.findings().refused > before.refused {
            self.forget_since(before);
            self.refuse(&ROW_SECURITY, facts.qualified.clone());
            return Visible::default();
        }
        if texts.is_empty() {
            return Visible::default();
        }
        self.note(&ROW_POLICY, facts.qualified.clone());
        self.secured.insert(facts.oid.to_u32());
        Visible::where_true(texts.join(") AND ("))
    }
}

/// The columns that policies read; 0 is a whole row.
pub(super) fn columns_of(policies: &[Node]) -> BTreeSet<i16> {
    let mut columns = BTreeSet::new();
    for policy in policies {
        policy.walk(&mut |node| {
            columns.extend(node.cast::<pg_sys::Var>().map(|var| var.varattno));
            Walk::Descend
        });
    }
    columns
}
