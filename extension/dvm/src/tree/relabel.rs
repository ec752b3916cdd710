//! Trees with other column identities: a copy to use together with its original, and the shape that
//! all copies share.

use std::collections::HashMap;

use super::column::{Column, ColumnId};
use super::expr::{Expr, Part};
use super::relation::{ApplyKind, Predicate, Relation};

/// Identities of a shape's own columns begin here, beyond those of any query.
const OWN: u32 = 1 << 31;

impl Relation {
    /// The identities that the tree makes, in the order of a fixed walk. Each once, except those that a
    /// projection passes on.
    pub fn made_columns(&self) -> Vec<ColumnId> {
        let mut made = Vec::new();
        self.collect_made(&mut made);
        made
    }

    fn collect_made(&self, made: &mut Vec<ColumnId>) {
        for input in self.inputs() {
            input.collect_made(made);
        }
        let mut add = |column: &Column| made.push(column.id);
        match self {
            Relation::Scan(scan) => scan.columns.iter().for_each(|c| add(&c.column)),
            Relation::Opaque(opaque) => opaque.columns.iter().for_each(add),
            Relation::Bounded { bound, .. } => bound.columns.iter().for_each(add),
            Relation::Conditioned { condition, .. } => {
                let bound = condition.bound.columns.iter();
                bound.chain([&condition.column]).for_each(add);
            }
            Relation::SingleRow
            | Relation::Filter { .. }
            | Relation::Join { .. }
            | Relation::FullJoin { .. }
            | Relation::Distinct { .. }
            | Relation::TopN { .. } => {}
            Relation::Project { columns, .. } => columns.iter().for_each(|(c, _)| add(c)),
            Relation::Expand { columns, .. } | Relation::UnionAll { columns, .. } => {
                columns.iter().for_each(add);
            }
            Relation::LeftJoin { present, .. } => present.iter().for_each(add),
            Relation::Apply { kind, .. } => match kind {
                ApplyKind::Exists { present: column }
                | ApplyKind::Any { result: column, .. }
                | ApplyKind::Scalar { value: column } => add(column),
                ApplyKind::Cross | ApplyKind::Left { .. } => {}
            },
            Relation::Window { calls, .. } => calls.iter().for_each(|call| add(&call.column)),
            Relation::Aggregate {
                keys, aggregates, ..
            } => {
                keys.iter().for_each(|(c, _)| add(c));
                aggregates.iter().for_each(|a| add(&a.column));
            }
        }
    }

    /// The tree with the identities that it makes renumbered. Two copies of one subquery that read
    /// the same rows around them have the same shape.
    pub fn shape(&self) -> Relation {
        let mut names = HashMap::new();
        for id in self.made_columns() {
            let next = ColumnId(OWN + names.len() as u32);
            names.entry(id).or_insert(next);
        }
        self.clone().relabelled(&names)
    }

    /// The tree with identities replaced, wherever they stand. Those that `names` lacks stay.
    pub fn relabelled(mut self, names: &HashMap<ColumnId, ColumnId>) -> Relation {
        self.relabel(names);
        self
    }

    fn relabel(&mut self, names: &HashMap<ColumnId, ColumnId>) {
        let rename = |id: &mut ColumnId| *id = names.get(id).copied().unwrap_or(*id);
        self.inputs_mut()
            .into_iter()
            .for_each(|input| input.relabel(names));
        self.made_mut()
            .into_iter()
            .for_each(|column| rename(&mut column.id));
        self.partition_mut().iter_mut().for_each(rename);
        self.exprs_mut()
            .into_iter()
            .for_each(|expr| expr.relabel(names));
    }
}

impl Expr {
    /// The expression with identities replaced. Those that `names` lacks stay.
    pub fn relabelled(mut self, names: &HashMap<ColumnId, ColumnId>) -> Self {
        self.relabel(names);
        self
    }

    fn relabel(&mut self, names: &HashMap<ColumnId, ColumnId>) {
        for part in &mut self.parts {
            if let Part::Column(id) = part
                && let Some(new) = names.get(id)
            {
                *id = *new;
            }
        }
    }
}

impl Predicate {
    /// The conjunct with identities replaced. Those that `names` lacks stay.
    pub fn relabelled(mut self, names: &HashMap<ColumnId, ColumnId>) -> Self {
        self.exprs_mut().for_each(|expr| expr.relabel(names));
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::testing::{
        aggregate, condition, distinct, equal, filter, group, join, project, scan, union_all,
    };
    use crate::tree::{AggregateKind, Relation};

    /// One of each operator, with identities from `base` on and a reference to the outer column 7.
    fn query(base: u32) -> Relation {
        let of = |n: u32| format!("${}", base + n);
        let both = join(
            scan(1, base, "r"),
            scan(2, base + 3, "s"),
            vec![equal(&of(1), &of(4))],
        );
        let some = filter(both, vec![condition(&format!("({} > $7)", of(2)))]);
        let (value, key) = (format!("({} + 1)", of(2)), of(3));
        let input = project(some, &[(base + 7, "x", &value), (base + 3, "y", &key)]);
        let grouped = group(
            input,
            &[(base + 8, "g", &of(7))],
            vec![aggregate(base + 9, AggregateKind::SumInteger, &of(3))],
        );
        let (first, second) = (of(8), of(9));
        distinct(union_all(
            &[(base + 10, "z")],
            vec![(grouped.clone(), vec![&first]), (grouped, vec![&second])],
        ))
    }

    #[test]
    fn copies_have_one_shape() {
        assert_ne!(query(10), query(50));
        assert_eq!(query(10).shape(), query(50).shape());
    }

    #[test]
    fn what_reads_other_rows_around_it_has_another_shape() {
        let outer = |n: u32| filter(scan(1, 10, "r"), vec![condition(&format!("($11 > ${n})"))]);
        assert_eq!(outer(7).shape(), outer(7).shape());
        assert_ne!(outer(7).shape(), outer(8).shape());
        for other in (0..20).filter(|n| *n != 12) {
            assert_ne!(outer(other).shape(), outer(12).shape());
        }
    }

    #[test]
    fn columns_that_change_places_make_another_shape() {
        let pick = |a: &str, b: &str| project(scan(1, 10, "r"), &[(21, "x", a), (22, "x", b)]);
        assert_ne!(pick("$11", "$12").shape(), pick("$12", "$11").shape());
    }
}
