//! Recursive queries over joins.

use super::relation::Relation;

/// A recursion over tables: `R = seed ⊎ step(R)`, or the least set with `R = seed ∪ step(R)`.
///
/// Its columns are numbered apart from those of the tree that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recursion {
    /// The rows that it begins with. Columns by position.
    pub seed: Relation,
    /// The rows that follow from others, which are an [`super::Opaque`] with the text of the recursion.
    pub step: Relation,
    /// UNION: a row counts once, however often it is derived.
    pub distinct: bool,
}

/// Joins of more tables than this are left to be computed whole: each set of changed ones is a term.
const TABLES_MAX: usize = 5;

impl Recursion {
    /// The recursion with this text, if its parts are linear: bag unions of joins, filters and projections
    /// of tables, each of those in `step` with the recursive reference once.
    pub fn new(seed: Relation, step: Relation, distinct: bool, query: &str) -> Option<Self> {
        let fits = |part: &Relation, references| {
            factors(part, query).is_some_and(|factors| {
                factors.references == references && factors.tables <= TABLES_MAX
            })
        };
        (fits(&seed, 0) && fits(&step, 1)).then(|| Recursion {
            seed: seed.shape(),
            step: step.shape(),
            distinct,
        })
    }
}

/// What each product of a linear part is made of.
#[derive(Default)]
struct Factors {
    /// Recursive references, the same number in each.
    references: usize,
    /// Tables, at most.
    tables: usize,
}

/// The factors of a part; `None` if it is not linear in the reference.
fn factors(part: &Relation, query: &str) -> Option<Factors> {
    match part {
        Relation::Scan(_) => Some(Factors {
            references: 0,
            tables: 1,
        }),
        Relation::Opaque(opaque) => (opaque.query == query).then_some(Factors {
            references: 1,
            tables: 0,
        }),
        Relation::SingleRow => Some(Factors::default()),
        Relation::Filter { input, .. }
        | Relation::Project { input, .. }
        | Relation::Expand { input, .. } => factors(input, query),
        Relation::Join { left, right, .. } => {
            let (left, right) = (factors(left, query)?, factors(right, query)?);
            Some(Factors {
                references: left.references.saturating_add(right.references),
                tables: left.tables + right.tables,
            })
        }
        Relation::UnionAll { inputs, .. } => {
            let arms: Option<Vec<Factors>> =
                inputs.iter().map(|(arm, _)| factors(arm, query)).collect();
            arms?.into_iter().reduce(|all, arm| Factors {
                // Arms that differ are as bad as several references.
                references: match all.references == arm.references {
                    true => all.references,
                    false => usize::MAX,
                },
                tables: all.tables.max(arm.tables),
            })
        }
        Relation::Bounded { .. }
        | Relation::Conditioned { .. }
        | Relation::LeftJoin { .. }
        | Relation::FullJoin { .. }
        | Relation::Apply { .. }
        | Relation::Aggregate { .. }
        | Relation::Distinct { .. }
        | Relation::Window { .. }
        | Relation::TopN { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::testing::{
        distinct, equal, join, left_join, opaque, project, scan, union_all,
    };

    const QUERY: &str = "WITH RECURSIVE r …";

    fn reference() -> Relation {
        Relation::Opaque(opaque(QUERY, &[(1, "x")], &[1]))
    }

    fn two() -> Relation {
        join(reference(), scan(1, 10, "t"), vec![equal("$1", "$11")])
    }

    #[test]
    fn parts_are_joins_of_tables_with_one_reference_in_each_step() {
        let seed = || project(scan(1, 20, "t"), &[(31, "x", "$21")]);
        let step = |part: Relation| Recursion::new(seed(), part, true, QUERY).is_some();
        let arm = |relation: Relation| (relation, vec!["$11"]);
        assert!(step(two()));
        assert!(step(union_all(&[(40, "x")], vec![arm(two()), arm(two())])));
        assert!(!step(seed()), "no reference");
        assert!(
            !step(join(two(), reference(), Vec::new())),
            "two references"
        );
        let without = arm(scan(1, 10, "t"));
        assert!(!step(union_all(&[(40, "x")], vec![arm(two()), without])));
        assert!(!step(distinct(two())));
        assert!(!step(left_join(reference(), scan(1, 10, "t"), Vec::new())));
        let other = Relation::Opaque(opaque("SELECT 1", &[(50, "x")], &[1]));
        assert!(!step(join(two(), other, Vec::new())), "another subquery");
        let six = (2..8).fold(reference(), |part, n| {
            join(part, scan(1, 10 * n, "t"), Vec::new())
        });
        assert!(!step(six), "too many tables");
        assert!(Recursion::new(two(), two(), true, QUERY).is_none());
    }

    #[test]
    fn two_analyses_of_one_recursion_are_the_same() {
        let of = |base: u32| {
            let table = || scan(1, base, "t");
            let x = format!("${}", base + 1);
            let rows = Relation::Opaque(opaque(QUERY, &[(base + 9, "x")], &[1]));
            let link = equal(&format!("${}", base + 9), &x);
            let step = project(join(rows, table(), vec![link]), &[(base + 8, "x", &x)]);
            Recursion::new(project(table(), &[(base + 7, "x", &x)]), step, false, QUERY)
        };
        assert!(of(10).is_some());
        assert_eq!(of(10), of(50));
    }
}
