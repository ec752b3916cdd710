//! How rows are linked by values of which both may be NULL.
//!
//! `l = r OR l IS NULL AND r IS NULL` is served by an index over either column, but can be neither hashed nor merged: over
//! whole relations it is a nested loop. For these, all links between the same relations are one comparison of hashes, and
//! one of rows, which takes NULLs as equal:
//!
//! ```text
//! hash_record_extended(ROW(l…), 0) = hash_record_extended(ROW(r…), 0) AND record_eq(ROW(l…), ROW(r…))
//! ```
//! Both use the default equality of the values' types. One comparison for all links keeps the planner from taking each for
//! a condition of its own that rows hardly satisfy. A function that compares counts as less selective than an operator.

use std::collections::BTreeSet;

use crate::sql::printing::{Printed, render_over};
use crate::tree::{ColumnId, Expr, Predicate};

/// How stored rows are found through links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// One by one, by an index if there is one. Deltas, which have none, are hashed nevertheless.
    #[default]
    Sought,
    /// All at once: they are hashed or sorted.
    Hashed,
}

/// A condition that two values are equal or both NULL.
#[derive(Debug, Clone)]
pub(super) struct Link {
    left: Value,
    right: Value,
    /// Whether values of their type can be hashed.
    is_hashable: bool,
}

#[derive(Debug, Clone)]
struct Value {
    /// Of the type that both have.
    text: String,
    columns: BTreeSet<ColumnId>,
}

/// What a link is between, as places of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends {
    left: BTreeSet<usize>,
    right: BTreeSet<usize>,
}

impl Ends {
    /// Every place.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.left.iter().chain(&self.right).copied()
    }
}

impl Link {
    /// The link that a conjunct is, if it is one.
    pub fn of(predicate: &Predicate, printed: &Printed) -> Option<Self> {
        let (left, right) = predicate.null_safe()?;
        let ty = &right.ty;
        // Rows are compared only if the types of their columns are the same.
        let value = |expr: &Expr| Value {
            text: format!("({})::{}", render_over(expr, printed), ty.sql),
            columns: expr.columns(),
        };
        Some(Link {
            left: value(left),
            right: value(right),
            is_hashable: ty.hashable,
        })
    }

    /// Between which places of a list it is, where `place` says where a column comes from; `None` when it is not between
    /// different ones.
    pub fn between(&self, place: impl Fn(ColumnId) -> Option<usize>) -> Option<Ends> {
        let places = |value: &Value| -> Option<BTreeSet<usize>> {
            value.columns.iter().map(|id| place(*id)).collect()
        };
        let (left, right) = (places(&self.left)?, places(&self.right)?);
        let is_between = !left.is_empty() && !right.is_empty() && left.is_disjoint(&right);
        is_between.then_some(Ends { left, right })
    }
}

/// That the rows of the links' values are the same.
pub(super) fn same_rows(links: &[&Link]) -> String {
    let row = |links: &[&Link], value: fn(&Link) -> &Value| {
        let values: Vec<&str> = links.iter().map(|l| value(l).text.as_str()).collect();
        format!("ROW({})", values.join(", "))
    };
    let (left, right) = (row(links, |l| &l.left), row(links, |l| &l.right));
    let hashable: Vec<&Link> = (links.iter().copied())
        .filter(|link| link.is_hashable)
        .collect();
    if hashable.is_empty() {
        return format!("({left}::record OPERATOR(pg_catalog.=) {right}::record)");
    }
    let hash = |value| {
        let row = row(&hashable, value);
        format!("pg_catalog.hash_record_extended({row}, 0)")
    };
    let (left_hash, right_hash) = (hash(|l| &l.left), hash(|l| &l.right));
    format!(
        "({left_hash} OPERATOR(pg_catalog.=) {right_hash}) AND pg_catalog.record_eq({left}, {right})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::context;
    use crate::operators::{output, state};
    use crate::plan::{Source, compile};
    use crate::tree::testing::{condition, equal, left_join, project, scan};
    use crate::tree::{ColumnType, Relation};

    const EITHER_IS_NULL: &str = " IS NOT DISTINCT FROM NULL AND ";

    fn compared_by_more_than_equality() -> Relation {
        let both = left_join(
            scan(1, 10, "r"),
            scan(2, 20, "s"),
            vec![equal("$11", "$21"), condition("($22 > $12)")],
        );
        project(both, &[(31, "x", "$13"), (32, "y", "$23")])
    }

    #[test]
    fn whole_statements_hash_every_link() {
        let plan = compile(compared_by_more_than_equality()).expect("supported");
        let context = context(&plan);
        let mut statements: Vec<String> = plan
            .nodes
            .iter()
            .map(|node| state::initial(context, node))
            .collect();
        statements.extend(output::initial(context));
        let hashed = "(pg_catalog.hash_record_extended(ROW((s0.a)::integer, (s0.b)::integer), 0) \
                      OPERATOR(pg_catalog.=) pg_catalog.hash_record_extended(ROW((s1.c0)::integer, (s1.c1)::integer), 0)) \
                      AND pg_catalog.record_eq(ROW((s0.a)::integer, (s0.b)::integer), ROW((s1.c0)::integer, (s1.c1)::integer))";
        assert!(
            statements.iter().any(|sql| sql.contains(hashed)),
            "{statements:#?}"
        );
        assert!(
            statements.iter().all(|sql| !sql.contains(EITHER_IS_NULL)),
            "{statements:#?}"
        );
    }

    #[test]
    fn a_delta_is_linked_with_what_is_stored_by_index_and_with_a_delta_by_hash() {
        let plan = compile(compared_by_more_than_equality()).expect("supported");
        let delta = |changed: &[Source]| {
            let changed = changed.iter().copied().collect();
            let terms = output::delta(context(&plan), &changed).terms;
            terms.unwrap_or_default()
        };
        let (table, matches) = (Source::Table(1), Source::Node(plan.nodes.len() - 1));
        let of_one = delta(&[matches]);
        assert!(of_one.contains(EITHER_IS_NULL) && !of_one.contains("record_eq"));
        for term in delta(&[table, matches]).split("UNION ALL") {
            let deltas = term.matches("__pgt_delta").count();
            assert_eq!(term.contains("record_eq"), deltas == 2, "{term}");
        }
    }

    fn link(ty: ColumnType) -> Link {
        let value = |name: &str| Expr::constant(name, ty.clone(), true);
        let same = Predicate::same(&value("l"), &value("r"));
        Link::of(&same, &Printed::new()).expect("a link")
    }

    #[test]
    fn only_values_that_can_be_hashed_are() {
        let money = link(ColumnType {
            sql: "money".into(),
            hashable: false,
            ..ColumnType::integer()
        });
        let integer = link(ColumnType::integer());
        assert_eq!(
            same_rows(&[&money]),
            "(ROW((l)::money)::record OPERATOR(pg_catalog.=) ROW((r)::money)::record)"
        );
        assert_eq!(
            same_rows(&[&money, &integer]),
            "(pg_catalog.hash_record_extended(ROW((l)::integer), 0) \
             OPERATOR(pg_catalog.=) pg_catalog.hash_record_extended(ROW((r)::integer), 0)) \
             AND pg_catalog.record_eq(ROW((l)::money, (l)::integer), ROW((r)::money, (r)::integer))"
        );
    }

    #[test]
    fn a_link_of_what_is_never_null_is_an_equality() {
        let value = |nullable| Expr::constant("x", ColumnType::integer(), nullable);
        for (left, right) in [(false, false), (true, false), (false, true)] {
            let same = Predicate::same(&value(left), &value(right));
            assert!(same.null_safe().is_none());
        }
        assert!(
            Predicate::equality(&value(true), &value(true))
                .null_safe()
                .is_none()
        );
    }
}
