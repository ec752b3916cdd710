//! Recursive CTEs over joins of tables.
//!
//! The parts of the definition are analysed like any query. If they are not linear blocks, the analysis is
//! discarded, and the CTE is computed whole.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, Opaque, Recursion, Relation};

use super::analyzer::Analyzer;
use super::derived::{Access, Derived, Needed, OpenRecursion};
use super::display_scale::Scale;
use super::opaque::with_text;
use super::scope::Scope;
use crate::capability::CYCLE_MARK;
use crate::error::Result;
use crate::pg::from_item::{self, ItemColumn};
use crate::pg::node::{self, Node, NodeOf};

/// Rows are found by a hash of all of their columns, of which a function takes so many.
const COLUMNS_MAX: usize = 100;

impl Analyzer {
    /// How the rows of a recursive CTE follow from each other, if that is by joins.
    pub(super) fn recursion(
        &mut self,
        scope: &Scope<'_>,
        cte: NodeOf<pg_sys::CommonTableExpr>,
        needed: &[NodeOf<pg_sys::CommonTableExpr>],
        entry: NodeOf<pg_sys::RangeTblEntry>,
        access: &Access,
    ) -> Result<Option<Recursion>> {
        self.check_marks(&cte);
        if !cte.search_clause.is_null() || !cte.cycle_clause.is_null() {
            return Ok(None);
        }
        let all = from_item::columns(entry);
        let columns = self.recursion_columns(&all);
        let read: Vec<&ItemColumn> = all.iter().collect();
        let Some(text) = with_text(needed, entry, &read) else {
            return Ok(None);
        };
        let before = self.findings();
        let open = OpenRecursion {
            name: node::text(cte.ctename),
            text,
            columns,
        };
        let outer = self.open_recursion.replace(open);
        let found = self.parts_of(scope, cte, access);
        self.open_recursion = outer;
        let found = found?.filter(|_| self.findings().refused == before.refused);
        if found.is_none() {
            self.forget_since(before);
        }
        Ok(found)
    }

    /// Refuses marks that the server prints with a type, which its grammar does not take there.
    fn check_marks(&mut self, cte: &pg_sys::CommonTableExpr) {
        const BARE: [pg_sys::Oid; 3] = [pg_sys::BOOLOID, pg_sys::INT4OID, pg_sys::NUMERICOID];
        let clause = Node::new(cte.cycle_clause).and_then(Node::cast::<pg_sys::CTECycleClause>);
        if clause.is_some_and(|clause| !BARE.contains(&clause.cycle_mark_type)) {
            self.refuse(&CYCLE_MARK, format!("CYCLE in {}", node::text(cte.ctename)));
        }
    }

    fn parts_of(
        &mut self,
        scope: &Scope<'_>,
        cte: NodeOf<pg_sys::CommonTableExpr>,
        access: &Access,
    ) -> Result<Option<Recursion>> {
        let query = Node::new(cte.ctequery).and_then(Node::cast::<pg_sys::Query>);
        let Some(query) = query.map(node::copy_query) else {
            return Ok(None);
        };
        let operation = Node::new(query.setOperations).and_then(Node::cast);
        let Some(operation) = operation.filter(|_| is_plain(&query)) else {
            return Ok(None);
        };
        let inside = Scope {
            query,
            parent: Some(scope),
            offered: None,
        };
        let Some((seed, step)) = self.recursion_terms(query, operation, &inside, access)? else {
            return Ok(None);
        };
        let alike = |column: &Column| {
            operation.all || (column.ty.image_equality && !column.ty.equality.is_empty())
        };
        let Some(open) = &self.open_recursion else {
            return Ok(None);
        };
        let types = |columns: &[Column]| -> Vec<_> {
            columns.iter().map(|column| column.ty.sql.clone()).collect()
        };
        let fits = (1..=COLUMNS_MAX).contains(&open.columns.len())
            && open.columns.iter().all(alike)
            && types(&open.columns) == types(&seed.columns());
        Ok((fits.then(|| Recursion::new(seed, step, !operation.all, &open.text))).flatten())
    }

    /// The recursive reference itself, of which nothing is known but its rows.
    pub(super) fn recursive_reference(
        &mut self,
        entry: NodeOf<pg_sys::RangeTblEntry>,
    ) -> Option<Derived> {
        let open = self.open_recursion.clone()?;
        let all = from_item::columns(entry);
        let columns = self.recursion_columns(&all);
        let alike = open.columns.len() == columns.len()
            && (open.columns.iter().zip(&columns)).all(|(a, b)| a.ty == b.ty);
        if !alike || open.name != node::text(entry.ctename) {
            return None;
        }
        let ids = columns.iter().map(|column| Some(column.id)).collect();
        Some(Derived {
            relation: Relation::Opaque(Opaque {
                query: open.text,
                columns,
                sources: Vec::new(),
                polled: false,
                recursion: None,
            }),
            columns: ids,
            ordered: false,
        })
    }

    fn recursion_columns(&mut self, all: &[ItemColumn]) -> Vec<Column> {
        all.iter()
            .map(|ItemColumn { name, var, .. }| {
                let ty = (var.type_oid(), var.typmod(), var.collation());
                self.add_column(name, ty, true, Scale::Unknown)
            })
            .collect()
    }

    /// Both terms of a recursive UNION.
    fn recursion_terms(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        operation: NodeOf<pg_sys::SetOperationStmt>,
        scope: &Scope<'_>,
        access: &Access,
    ) -> Result<Option<(Relation, Relation)>> {
        let needed = &Needed::All;
        let Relation::UnionAll {
            columns,
            mut inputs,
        } = self.union_terms(query, operation, scope, access, needed)?
        else {
            return Ok(None);
        };
        let Some(step) = inputs.pop() else {
            return Ok(None);
        };
        let union = |inputs| Relation::UnionAll {
            columns: columns.clone(),
            inputs,
        };
        Ok(Some((union(inputs), union(vec![step]))))
    }
}

/// Whether nothing but a set operation is said.
fn is_plain(query: &pg_sys::Query) -> bool {
    node::list_length(query.sortClause) == 0
        && node::list_length(query.rowMarks) == 0
        && query.limitCount.is_null()
        && query.limitOffset.is_null()
}
