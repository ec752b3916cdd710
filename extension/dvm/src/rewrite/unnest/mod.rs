//! Correlated subqueries become joins, whatever they contain.
//!
//! Each [`Relation::Apply`], inner ones first, becomes an uncorrelated relation R and conjuncts p
//! such that the subquery's rows for an outer row l are `σ_p(l)(R)`:
//! - [`pull`] takes the conjuncts that read outer columns out of the subquery, through joins and groupings.
//! - Where it cannot, [`push`] computes the subquery for every distinct value that it depends on.
//!
//! The kind of subquery then determines the join of L with R on p:
//!
//! | kind | join |
//! |---|---|
//! | EXISTS | `L ⟕ M`, M the matching values ([`super::matches`]); an inner join where only rows with a match stay |
//! | ANY | at most two EXISTS: for a true test, for one that is not false |
//! | scalar | `L ⟕ R`, grouped by what p fixes where R could have several rows |
//! | LATERAL | `L ⋈ R`, `L ⟕ R` |
//!
//! A subquery that is one group without keys ([`whole`]) has a row even if R has none: `L ⟕ γ_p(R)` with the
//! aggregates of the empty set in place of NULLs.
//!
//! After Neumann and Kemper, Unnesting Arbitrary Queries (BTW 2015), and Galindo-Legaria and Joshi, Orthogonal
//! Optimization of Subqueries and Aggregation (SIGMOD 2001).

mod any;
mod empty;
mod lateral;
mod pull;
mod push;
mod scalar;
mod semi;
mod whole;

use std::collections::BTreeSet;

use crate::tree::{ApplyKind, Column, ColumnId, Expr, Predicate, Relation};

use super::ColumnAllocator;

/// The tree without dependent joins.
///
/// # Errors
/// [`crate::Error::CannotUnnest`] when values that decide on a match cannot be distinguished.
pub fn unnest(relation: Relation, columns: &mut ColumnAllocator) -> Result<Relation, crate::Error> {
    Unnester { columns }.tree(relation, &BTreeSet::new())
}

/// The parser gives a scalar subquery one column.
const NO_COLUMN: crate::Error = crate::Error::CannotUnnest {
    reason: "a scalar subquery has no column",
};

struct Unnester<'a> {
    columns: &'a mut ColumnAllocator,
}

/// Columns, and how each is computed.
type Outputs = Vec<(Column, Expr)>;

/// What a subquery is for an outer row: the rows of `relation` that satisfy `links`.
struct Linked {
    relation: Relation,
    links: Vec<Predicate>,
}

impl Unnester<'_> {
    /// The tree without dependent joins, given marks that every row must have to be of use.
    fn tree(
        &mut self,
        relation: Relation,
        required: &BTreeSet<ColumnId>,
    ) -> Result<Relation, crate::Error> {
        match relation {
            Relation::Filter { input, predicates } => {
                let mut required = required.clone();
                required.extend(predicates.iter().filter_map(|p| p.expr.as_column()));
                Ok(self.tree(*input, &required)?.filtered(predicates))
            }
            Relation::Apply {
                input,
                subquery,
                kind,
            } => {
                let input = self.tree(*input, required)?;
                let subquery = self.tree(*subquery, &BTreeSet::new())?;
                self.apply(input, subquery, kind, required)
            }
            // It keeps every row.
            Relation::Conditioned { .. } => {
                relation.try_map_inputs(&mut |input| self.tree(input, required))
            }
            other => other.try_map_inputs(&mut |input| self.tree(input, &BTreeSet::new())),
        }
    }

    fn apply(
        &mut self,
        input: Relation,
        subquery: Relation,
        kind: ApplyKind,
        required: &BTreeSet<ColumnId>,
    ) -> Result<Relation, crate::Error> {
        match kind {
            ApplyKind::Exists { present } => {
                let is_required = required.contains(&present.id);
                self.exists(input, subquery, present, is_required)
            }
            ApplyKind::Any { tests, result } => {
                let is_required = required.contains(&result.id);
                self.any(input, subquery, tests, result, is_required)
            }
            ApplyKind::Scalar { value } => self.scalar(input, subquery, value),
            ApplyKind::Cross => self.cross(input, subquery),
            ApplyKind::Left { predicates } => self.left(input, subquery, predicates),
        }
    }

    fn linked(&mut self, input: &Relation, subquery: Relation) -> Result<Linked, crate::Error> {
        match pull::pull(subquery.clone(), self.columns) {
            Some(linked) => Ok(linked),
            None => push::push(input, subquery, self.columns),
        }
    }

    fn truth(&mut self, name: &str) -> Column {
        self.columns.truth(name)
    }
}

/// The columns as they are, for a projection that adds to them.
fn kept(columns: &[Column]) -> Vec<(Column, Expr)> {
    columns.iter().map(|c| (c.clone(), Expr::of(c))).collect()
}

/// A column is NULL where its expression is: what an outer join pads was perhaps declared as never NULL below it,
/// and a link to its values has to find the NULL, too.
fn projected(input: Relation, columns: Vec<(Column, Expr)>) -> Relation {
    let shown = |(column, expr): (Column, Expr)| {
        let nullable = column.nullable || expr.nullable;
        (Column { nullable, ..column }, expr)
    };
    input.projected(columns.into_iter().map(shown).collect())
}

/// The expression with columns replaced by what a projection computes for them.
fn substituted(expr: &Expr, outputs: &[(Column, Expr)]) -> Expr {
    expr.substitute(|id| {
        outputs
            .iter()
            .find(|(column, _)| column.id == id)
            .map(|(_, expr)| expr)
    })
}

#[cfg(test)]
mod tests {
    use crate::plan::compile;
    use crate::rewrite::ColumnAllocator;
    use crate::tree::testing::{
        aggregate, boolean, column, condition, equal, filter, group, integer, keyed_scan, project,
        scan,
    };
    use crate::tree::{AggregateKind, ApplyKind, Predicate, Relation};

    fn apply(subquery: Relation, kind: ApplyKind) -> Relation {
        Relation::Apply {
            input: Box::new(scan(1, 10, "r")),
            subquery: Box::new(subquery),
            kind,
        }
    }

    fn exists(links: Vec<Predicate>, use_of_mark: &str) -> Relation {
        let kind = ApplyKind::Exists {
            present: column(31, "present", boolean()),
        };
        let marked = apply(filter(scan(2, 20, "s"), links), kind);
        let kept = filter(marked, vec![condition(use_of_mark)]);
        project(kept, &[(41, "x", "$11")])
    }

    fn most(links: Vec<Predicate>) -> Relation {
        let grouped = group(
            filter(scan(2, 20, "s"), links),
            &[],
            vec![aggregate(31, AggregateKind::Max, "$22")],
        );
        let kind = ApplyKind::Scalar {
            value: column(32, "value", integer()),
        };
        project(apply(grouped, kind), &[(41, "x", "$11"), (42, "y", "$32")])
    }

    fn nodes(relation: Relation) -> usize {
        compile(relation).expect("supported").nodes.len()
    }

    #[test]
    fn equalities_need_no_values_of_the_outer_rows() {
        for (name, relation, expected) in [
            ("matches", exists(vec![equal("$21", "$11")], "$31"), 1),
            (
                "no matches",
                exists(vec![equal("$21", "$11")], "(NOT $31)"),
                1,
            ),
            ("groups", most(vec![equal("$21", "$11")]), 1),
            ("any row", exists(Vec::new(), "$31"), 1),
            ("one group", most(Vec::new()), 1),
        ] {
            assert_eq!(nodes(relation), expected, "{name}");
        }
    }

    #[test]
    fn other_conditions_are_computed_for_each_value() {
        let below = || vec![condition("($21 < $11)")];
        for (name, relation) in [
            ("matches", exists(below(), "$31")),
            ("groups", most(below())),
        ] {
            assert_eq!(nodes(relation), 2, "{name}");
        }
    }
    #[test]
    fn a_padded_column_is_null_for_what_reads_it() {
        let padded = apply(
            filter(keyed_scan(2, 20, "s"), vec![condition("($21 < $11)")]),
            ApplyKind::Left {
                predicates: Vec::new(),
            },
        );
        let mut columns = ColumnAllocator::above(&padded);
        let unnested = super::unnest(padded, &mut columns).expect("supported");
        let shown = unnested.columns();
        assert_eq!(shown.len(), 6);
        assert!(shown.iter().skip(3).all(|column| column.nullable));
    }
}
