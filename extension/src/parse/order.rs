//! ORDER BY where it decides which rows are in the result: DISTINCT ON, LIMIT, OFFSET.
//!
//! ```text
//! DISTINCT ON (k) … ORDER BY o = the first row of each k in the order o
//! LIMIT n OFFSET m ORDER BY o  = rows m + 1 … m + n in the order o
//! ```

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, ColumnId, Expr, Relation, SortKey};

use super::analyzer::{Analyzer, Slot};
use super::display_scale::Scale;
use crate::capability::{DISTINCT_ON, LIMIT, ORDER_BY};
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::{query, settle, types};

/// A number of rows as LIMIT and OFFSET give it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// None given.
    Absent,
    /// This many.
    Rows(u64),
    /// Not known before the query runs.
    Unknown,
}

/// Whether rows are left out by their place in an order.
pub(super) fn cuts(query: &pg_sys::Query) -> bool {
    query.hasDistinctOn || limits(query)
}

/// Whether LIMIT or OFFSET leaves rows out: `LIMIT ALL` and `OFFSET 0` do not.
pub(super) fn limits(query: &pg_sys::Query) -> bool {
    count(query.limitCount) != Count::Absent
        || !matches!(count(query.limitOffset), Count::Absent | Count::Rows(0))
}

/// How many rows LIMIT or OFFSET gives.
pub(super) fn count(pointer: *mut pg_sys::Node) -> Count {
    let Some(expr) = Node::new(pointer) else {
        return Count::Absent;
    };
    match query::fold(expr).cast::<pg_sys::Const>() {
        Some(constant) if constant.constisnull => Count::Absent,
        Some(constant) => u64::try_from(constant.constvalue.value().cast_signed())
            .map_or(Count::Unknown, Count::Rows),
        None => Count::Unknown,
    }
}

/// The output columns that the clauses that cut read, by number.
pub(super) fn read_by_cuts(query: &pg_sys::Query) -> BTreeSet<i16> {
    if !cuts(query) {
        return BTreeSet::new();
    }
    let lists = [query.sortClause, query.distinctClause];
    lists
        .into_iter()
        .flat_map(node::list_of::<pg_sys::SortGroupClause>)
        .flat_map(|clause| targets_of(query, &clause))
        .collect()
}

/// The output columns that a clause sorts by, by number: those in the row whose image it sorts by.
pub(super) fn targets_of(query: &pg_sys::Query, clause: &pg_sys::SortGroupClause) -> Vec<i16> {
    let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
    let referred = targets
        .iter()
        .find(|target| target.ressortgroupref == clause.tleSortGroupRef);
    let fields = image_fields(clause, referred.and_then(|target| Node::new(target.expr)));
    if fields.is_empty() {
        return referred.map(|target| target.resno).into_iter().collect();
    }
    let number = |field: Node| {
        let mut shown = targets.iter();
        shown
            .find(|target| Node::new(target.expr).is_some_and(|expr| expr.same_as(field)))
            .map(|target| target.resno)
    };
    fields.into_iter().filter_map(number).collect()
}

/// What is in the row whose image a clause sorts by; nothing for other clauses.
pub(super) fn image_fields(clause: &pg_sys::SortGroupClause, expr: Option<Node>) -> Vec<Node> {
    match expr.and_then(Node::cast::<pg_sys::RowExpr>) {
        Some(row) if settle::is_by_image(clause) => node::list(row.args),
        _ => Vec::new(),
    }
}

impl Analyzer {
    /// What DISTINCT ON leaves of `input`; `column` is that of an output column by number.
    pub fn first_of_each(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        input: Relation,
        column: &dyn Fn(i16) -> Option<ColumnId>,
    ) -> Relation {
        self.note(&DISTINCT_ON, "DISTINCT ON");
        let mut partition = Vec::new();
        for clause in node::list_of::<pg_sys::SortGroupClause>(query.distinctClause) {
            let number = targets_of(&query, &clause).first().copied();
            let id = number.and_then(column);
            if let Some(slot) = id.and_then(|id| self.slot(id)) {
                let key = slot.column.clone();
                self.check_key(&key);
                partition.push(key.id);
            }
        }
        Relation::TopN {
            partition,
            order: self.order(query, column),
            offset: 0,
            limit: Some(1),
            with_ties: false,
            input: Box::new(self.storable(input)),
        }
    }

    /// What LIMIT and OFFSET leave of `input`; `column` is that of an output column by number. [`super::limit`] has those
    /// that are not known before.
    pub fn limited(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        input: Relation,
        column: &dyn Fn(i16) -> Option<ColumnId>,
    ) -> Relation {
        if !limits(&query) {
            if node::list_length(query.sortClause) > 0 {
                self.note(&ORDER_BY, "ORDER BY");
            }
            return input;
        }
        let (limit, offset) = (count(query.limitCount), count(query.limitOffset));
        self.note(&LIMIT, "LIMIT or OFFSET");
        let rows = |count| match count {
            Count::Rows(rows) => Some(rows),
            Count::Absent | Count::Unknown => None,
        };
        let limit = rows(limit);
        Relation::TopN {
            partition: Vec::new(),
            order: self.order(query, column),
            offset: rows(offset).unwrap_or(0),
            limit,
            with_ties: query.limitOption == pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES
                && limit != Some(0),
            input: Box::new(self.with_columns(input)),
        }
    }

    pub(super) fn order(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        column: &dyn Fn(i16) -> Option<ColumnId>,
    ) -> Vec<SortKey> {
        let mut keys = Vec::new();
        for clause in node::list_of::<pg_sys::SortGroupClause>(query.sortClause) {
            let ids = targets_of(&query, &clause).into_iter().filter_map(column);
            let slots: Vec<&Slot> = ids.filter_map(|id| self.slot(id)).collect();
            if settle::is_by_image(&clause) {
                let columns: Vec<&Column> = slots.iter().map(|slot| &slot.column).collect();
                keys.push(SortKey::by_image(&columns));
            } else if let Some(slot) = slots.first() {
                keys.push(sort_key(&clause, slot.type_oid, Expr::of(&slot.column)));
            }
        }
        keys
    }

    /// The relation with a column at least: rows that only count must be kept, too.
    pub(super) fn with_columns(&mut self, input: Relation) -> Relation {
        if !input.columns().is_empty() {
            return self.storable(input);
        }
        let integer = (pg_sys::INT4OID, -1, pg_sys::InvalidOid);
        let column = self.add_column("one", integer, false, Scale::Unknown);
        let one = Expr::constant("1", column.ty.clone(), false);
        Relation::Project {
            input: Box::new(input),
            columns: vec![(column, one)],
        }
    }

    /// The relation, if a table can hold its rows.
    pub fn storable(&mut self, relation: Relation) -> Relation {
        for column in relation.columns() {
            self.check_storable(&column);
        }
        relation
    }
}

/// A key of an ORDER BY over an expression of this type.
pub(super) fn sort_key(
    clause: &pg_sys::SortGroupClause,
    type_oid: pg_sys::Oid,
    expr: Expr,
) -> SortKey {
    let ascending = types::sorts_by_default(clause.sortop, type_oid);
    let by = match ascending {
        Some(true) => "ASC".to_owned(),
        Some(false) => "DESC".to_owned(),
        None => format!("USING {}", types::operator_text(clause.sortop)),
    };
    let nulls = if clause.nulls_first { "FIRST" } else { "LAST" };
    SortKey {
        expr,
        direction: format!("{by} NULLS {nulls}"),
        is_default_order: ascending.is_some(),
    }
}
