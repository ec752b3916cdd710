//! EXISTS: whether an outer row has a match.

use crate::tree::{Aggregate, AggregateKind, ApplyKind, Column, ColumnType, Expr, Relation};

use super::super::matches::{Matches, matches};
use super::whole::Whole;
use super::{Linked, Unnester, kept, projected};

impl Unnester<'_> {
    pub(super) fn exists(
        &mut self,
        input: Relation,
        subquery: Relation,
        present: Column,
        is_required: bool,
    ) -> Result<Relation, crate::Error> {
        let subquery = some_rows_of(subquery);
        if let Some(whole) = Whole::of(&subquery) {
            return self.whole(input, whole, ApplyKind::Exists { present });
        }
        let linked = self.linked(&input, subquery)?;
        self.semi(input, linked, present, is_required)
    }

    /// The input with a mark on rows that have a match; without the others where it is required.
    pub(super) fn semi(
        &mut self,
        input: Relation,
        linked: Linked,
        present: Column,
        is_required: bool,
    ) -> Result<Relation, crate::Error> {
        let mut shown = kept(&input.columns());
        if input == Relation::SingleRow {
            return Ok(self.counted(linked, present));
        }
        let (set, on) = match matches(&input, &linked.relation, &linked.links, self.columns)? {
            Matches::Itself => (linked.relation, linked.links),
            Matches::Set { relation, on, .. } => (relation, on),
        };
        if is_required {
            shown.push((present, Expr::known(true)));
            return Ok(projected(input.joined(set, on), shown));
        }
        let value = Expr::of(&present);
        shown.push((present.clone(), value));
        let marked = input.left_joined(set, on, Some(present));
        Ok(projected(marked, shown))
    }

    /// Whether there are rows at all, as a row.
    fn counted(&mut self, linked: Linked, present: Column) -> Relation {
        let input = linked.relation.filtered(linked.links);
        let count = self.columns.column("count", bigint(), false);
        let counted = input.grouped(Vec::new(), vec![count_star(count.clone())]);
        projected(counted, vec![(present, Expr::of(&count).is(" > 0"))])
    }
}

/// `bigint`.
pub(super) fn bigint() -> ColumnType {
    ColumnType {
        sql: "bigint".into(),
        ..ColumnType::integer()
    }
}

/// `count(*)`.
pub(super) fn count_star(column: Column) -> Aggregate {
    Aggregate {
        call: Expr::constant("count(*)", column.ty.clone(), false),
        column,
        kind: AggregateKind::CountStar,
        argument: None,
        filter: None,
        distinct: false,
    }
}

/// A relation that has rows exactly where this one has.
fn some_rows_of(relation: Relation) -> Relation {
    match relation {
        Relation::Project { input, .. } | Relation::Distinct { input } => some_rows_of(*input),
        Relation::Aggregate { input, keys, .. } if !keys.is_empty() => some_rows_of(*input),
        Relation::Window { input, .. } => some_rows_of(*input),
        Relation::TopN {
            input,
            offset: 0,
            limit,
            ..
        } if limit != Some(0) => some_rows_of(*input),
        other => other,
    }
}
