//! GROUPING SETS, ROLLUP and CUBE: one grouping per set over a copy of the input, with NULL for keys outside
//! the set, also in direct arguments, and `grouping()` a constant of each set.
//!
//! ```text
//! γ {A, B}; f (R) = γ A; f (R) × NULLs(B∖A) ⊎ γ B; f (R′) × NULLs(A∖B)
//! ```

use std::collections::{BTreeSet, HashMap};

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Aggregate, Column, ColumnId, ColumnType, Expr, Relation};

use super::analyzer::Analyzer;
use super::display_scale::Scale;
use super::group_columns::Grouping;
use super::grouping::{Grouped, Key};
use super::scope::Level;
use crate::capability::{GROUPING_SETS, TOO_MANY_GROUPING_SETS};
use crate::pg::levels;
use crate::pg::node::{self, Node, NodeOf, Walk};

/// What a set groups by, by reference.
pub(super) type Set = BTreeSet<u32>;

/// Most sets of one query: each is a state of its own.
const SETS_MAX: usize = 64;

impl Analyzer {
    /// The groupings of a level as one relation. `grouping` is made to speak of its columns.
    pub(super) fn grouped(
        &mut self,
        level: &Level<'_>,
        grouped: Grouped,
        grouping: &mut Grouping,
        outputs: &[Node],
    ) -> Relation {
        let query = level.query;
        let calls = grouping_calls(outputs);
        let plain = node::list_length(query.groupingSets) == 0;
        let sets = if plain {
            Some(vec![references(query.groupClause)])
        } else {
            expand(query.groupingSets, query.groupDistinct)
        };
        let Some(sets) = sets else {
            self.refuse(
                &TOO_MANY_GROUPING_SETS,
                format!("more than {SETS_MAX} grouping sets"),
            );
            return Relation::SingleRow;
        };
        let one = plain
            || matches!(sets.as_slice(), [set] if set.len() == node::list_length(query.groupClause));
        if one && calls.is_empty() {
            return aggregate(
                grouped.input,
                grouped.keys.iter().collect(),
                grouped.aggregates,
            );
        }
        self.note(&GROUPING_SETS, format!("{} sets", sets.len()));
        self.union_of_sets(grouped, grouping, &sets, &calls)
    }

    fn union_of_sets(
        &mut self,
        grouped: Grouped,
        grouping: &mut Grouping,
        sets: &[Set],
        calls: &[NodeOf<pg_sys::GroupingFunc>],
    ) -> Relation {
        let integer = (pg_sys::INT4OID, -1, pg_sys::InvalidOid);
        let mut columns: Vec<Column> = Vec::new();
        let mut names = HashMap::new();
        for key in &grouped.keys {
            let new = self.fresh(key.column.id);
            if !sets.iter().all(|set| is_in(key, set)) {
                self.set_nullable(new);
            }
            names.insert(key.column.id, new);
            columns.extend(self.slot(new).map(|slot| slot.column.clone()));
        }
        for aggregate in &grouped.aggregates {
            let new = self.fresh(aggregate.column.id);
            names.insert(aggregate.column.id, new);
            columns.extend(self.slot(new).map(|slot| slot.column.clone()));
        }
        grouping.renamed(&names);
        for call in calls {
            let column = self.add_column("grouping", integer, false, Scale::Unknown);
            grouping.add(call.node(), column.id);
            columns.push(column);
        }
        let integer = self
            .types
            .column_type(integer.0, integer.1, integer.2, Scale::Unknown);
        let arms = sets.iter();
        let inputs = arms.map(|set| self.grouping_set(&grouped, set, calls, &integer));
        let inputs = inputs.collect();
        Relation::UnionAll { columns, inputs }
    }

    /// The grouping by one set, and the columns of the union over it.
    fn grouping_set(
        &mut self,
        grouped: &Grouped,
        set: &Set,
        calls: &[NodeOf<pg_sys::GroupingFunc>],
        integer: &ColumnType,
    ) -> (Relation, Vec<Expr>) {
        let keys = grouped.keys.iter().filter(|key| is_in(key, set)).collect();
        let others = grouped.keys.iter().filter(|key| !is_in(key, set));
        let nulls: Vec<(ColumnId, Expr)> = others
            .map(|key| (key.column.id, Expr::null(&key.column.ty)))
            .collect();
        let without = |aggregate: &Aggregate| Aggregate {
            call: (aggregate.call)
                .substitute(|id| nulls.iter().find(|(key, _)| *key == id).map(|(_, e)| e)),
            ..aggregate.clone()
        };
        let aggregates = grouped.aggregates.iter().map(without).collect();
        let (arm, names) = self.copy(aggregate(grouped.input.clone(), keys, aggregates));
        let keys = grouped.keys.iter().map(|key| match is_in(key, set) {
            true => Expr::of(&key.column).relabelled(&names),
            false => Expr::null(&key.column.ty),
        });
        let results = grouped.aggregates.iter();
        let results = results.map(|a| Expr::of(&a.column).relabelled(&names));
        let masks = calls.iter().map(|call| mask(call, set).to_string());
        let masks = masks.map(|mask| Expr::constant(mask, integer.clone(), false));
        (arm, keys.chain(results).chain(masks).collect())
    }
}

fn is_in(key: &Key, set: &Set) -> bool {
    key.reference
        .is_none_or(|reference| set.contains(&reference))
}

fn aggregate(input: Relation, keys: Vec<&Key>, aggregates: Vec<Aggregate>) -> Relation {
    Relation::Aggregate {
        input: Box::new(input),
        keys: keys
            .into_iter()
            .map(|key| (key.column.clone(), key.expr.clone()))
            .collect(),
        aggregates,
    }
}

/// `grouping(…)` in a set: a bit for each argument, the last one lowest, set where it does not group.
fn mask(call: &pg_sys::GroupingFunc, set: &Set) -> i32 {
    node::int_list(call.refs).into_iter().fold(0, |mask, r| {
        mask << 1 | i32::from(!set.contains(&r.unsigned_abs()))
    })
}

/// The different calls of `grouping` of this level, those in subqueries as they read at this level.
fn grouping_calls(outputs: &[Node]) -> Vec<NodeOf<pg_sys::GroupingFunc>> {
    let mut calls: Vec<NodeOf<pg_sys::GroupingFunc>> = Vec::new();
    for output in outputs {
        levels::walk_levels(*output, &mut |node, level| {
            let call = node.cast::<pg_sys::GroupingFunc>();
            if call.is_some_and(|call| call.agglevelsup == level) {
                let here = levels::shift_levels(node, -(level as i32));
                if !calls.iter().any(|known| known.node().same_as(here)) {
                    calls.extend(here.cast());
                }
            }
            Walk::Descend
        });
    }
    calls
}

/// What the clauses refer to.
pub(super) fn references(clauses: *mut pg_sys::List) -> Set {
    node::list_of::<pg_sys::SortGroupClause>(clauses)
        .iter()
        .map(|clause| clause.tleSortGroupRef)
        .collect()
}

/// The sets that the items of GROUP BY stand for: each with each of the others. None when there are too
/// many.
fn expand(items: *mut pg_sys::List, distinct: bool) -> Option<Vec<Set>> {
    let mut sets = vec![Set::new()];
    for item in node::list_of::<pg_sys::GroupingSet>(items) {
        let alternatives = sets_of(&item)?;
        if sets.len() * alternatives.len() > SETS_MAX {
            return None;
        }
        sets = sets
            .iter()
            .flat_map(|set| {
                alternatives
                    .iter()
                    .map(|other| set.union(other).copied().collect())
            })
            .collect();
    }
    if distinct {
        let mut seen = BTreeSet::new();
        sets.retain(|set| seen.insert(set.clone()));
    }
    Some(sets)
}

/// The sets of one item. None when there are too many.
fn sets_of(item: &pg_sys::GroupingSet) -> Option<Vec<Set>> {
    use pg_sys::GroupingSetKind as K;
    node::check_stack_depth();
    let own = || -> Set {
        node::int_list(item.content)
            .into_iter()
            .map(i32::unsigned_abs)
            .collect()
    };
    // The elements of ROLLUP and CUBE are simple.
    let parts = || -> Vec<Set> {
        node::list_of::<pg_sys::GroupingSet>(item.content)
            .iter()
            .map(|part| {
                node::int_list(part.content)
                    .into_iter()
                    .map(i32::unsigned_abs)
                    .collect()
            })
            .collect()
    };
    let union_of = |chosen: &mut dyn Iterator<Item = &Set>| chosen.flatten().copied().collect();
    let sets = match item.kind {
        K::GROUPING_SET_EMPTY => vec![Set::new()],
        K::GROUPING_SET_SIMPLE => vec![own()],
        K::GROUPING_SET_ROLLUP => {
            let parts = parts();
            (0..=parts.len())
                .rev()
                .map(|count| union_of(&mut parts.iter().take(count)))
                .collect()
        }
        K::GROUPING_SET_CUBE => {
            let parts = parts();
            let count = 1_usize.checked_shl(parts.len() as u32)?;
            if count > SETS_MAX {
                return None;
            }
            (0..count)
                .rev()
                .map(|mask| {
                    let chosen = (0..).zip(&parts).filter(|(i, _)| mask >> i & 1 == 1);
                    union_of(&mut chosen.map(|(_, part)| part))
                })
                .collect()
        }
        _ => {
            let mut sets = Vec::new();
            for part in node::list_of::<pg_sys::GroupingSet>(item.content) {
                sets.extend(sets_of(&part)?);
            }
            sets
        }
    };
    (sets.len() <= SETS_MAX).then_some(sets)
}
