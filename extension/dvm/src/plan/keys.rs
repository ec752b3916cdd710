//! Which output columns identify a row.
//!
//! A join's rows are identified by one key of each relation; a relation whose key is fixed by
//! equalities with the others (or with constants) adds nothing. This is the classic rule of
//! functional dependencies on keys, applied greedily.

use std::collections::BTreeSet;

use super::maintenance::Maintenance;
use crate::tree::{Column, ColumnId, ColumnType, Expr, Predicate};

use super::block::{Block, BlockScan, Branch, Matched, Source};
use super::{Identity, Node};

/// How many columns a btree index can have.
const INDEX_COLUMNS_MAX: usize = 32;

/// Whether a btree index over columns of these types can hold every row.
pub fn fits_index<'a>(types: impl IntoIterator<Item = &'a ColumnType>) -> bool {
    (types.into_iter().enumerate())
        .all(|(at, ty)| at < INDEX_COLUMNS_MAX && ty.bounded && ty.sortable)
}

/// Identity of rows of a node's projected output.
pub(super) fn of_post(node: &Node, exprs: &[Expr]) -> Identity {
    let columns = node.columns();
    let Some(key) = &node.row_key else {
        return Identity::Image;
    };
    let key: Vec<&Column> = key.iter().filter_map(|at| columns.get(*at)).collect();
    match positions_of(&key, exprs) {
        Some(columns) => Identity::Key {
            unique_index: fits_index(key.iter().map(|k| &k.ty)),
            columns,
        },
        None => Identity::Image,
    }
}

/// Where the columns stand among the expressions, if they all do.
pub(super) fn positions_of(columns: &[&Column], exprs: &[Expr]) -> Option<Vec<usize>> {
    columns
        .iter()
        .map(|column| exprs.iter().position(|e| e.as_column() == Some(column.id)))
        .collect()
}

/// Identity of rows of a select-project-join.
pub(super) fn of_branch(branch: &Branch, nodes: &[Node]) -> Identity {
    let mut kept: Vec<bool> = vec![true; branch.scans.len()];
    for (position, factor) in branch.scans.iter().enumerate() {
        // A row has at most one match, or one row of NULLs.
        if let Some(outer) = &factor.outer
            && matches!(outer.matched, Matched::Itself)
        {
            if let Some(kept) = kept.get_mut(position) {
                *kept = false;
            }
            continue;
        }
        let others: BTreeSet<ColumnId> = branch
            .scans
            .iter()
            .zip(&kept)
            .enumerate()
            .filter(|(other, (_, kept))| {
                *other != position && **kept && !is_computed_from(branch, *other, position)
            })
            .flat_map(|(_, (factor, _))| factor.column_ids())
            .collect();
        let fixed = |id: &ColumnId| is_fixed_by(&branch.predicates, *id, &others);
        if factor.outer.is_none()
            && unique_sets(&factor.scan, nodes)
                .iter()
                .any(|set| set.iter().all(fixed))
            && let Some(kept) = kept.get_mut(position)
        {
            *kept = false;
        }
    }
    let mut columns = Vec::new();
    for (factor, _) in branch.scans.iter().zip(&kept).filter(|(_, kept)| **kept) {
        let visible = unique_sets(&factor.scan, nodes)
            .into_iter()
            .find_map(|set| {
                set.into_iter()
                    .map(|id| position_of(branch, id))
                    .collect::<Option<Vec<usize>>>()
            });
        match visible {
            Some(positions) => columns.extend(positions),
            None => return Identity::Image,
        }
    }
    columns.sort_unstable();
    columns.dedup();
    if branch.scans.is_empty() {
        return Identity::Image;
    }
    let key = || columns.iter().filter_map(|p| branch.outputs.get(*p));
    if !key().all(|e| e.ty.sortable) {
        return Identity::Image;
    }
    // One source's key fits in an index, since it does so at the source; several together may not.
    let fits = kept.iter().filter(|kept| **kept).count() <= 1;
    Identity::Key {
        unique_index: fits || fits_index(key().map(|e| &e.ty)),
        columns,
    }
}

/// Whether the rows of one scan are computed from those of another: then they fix nothing of it.
fn is_computed_from(branch: &Branch, scan: usize, other: usize) -> bool {
    let reads = branch.scans.get(scan).map(|factor| factor.scan.reads());
    let earlier = branch.scans.iter().enumerate().take(scan);
    reads.is_some_and(|reads| {
        earlier
            .filter(|(_, earlier)| earlier.column_ids().iter().any(|id| reads.contains(id)))
            .any(|(position, _)| position == other || is_computed_from(branch, position, other))
    })
}

/// Sets of columns that identify a row of a scan, given the rows that it is computed from.
pub(super) fn unique_sets(scan: &BlockScan, nodes: &[Node]) -> Vec<Vec<ColumnId>> {
    match scan {
        BlockScan::Table(table) => table
            .indexes
            .iter()
            .filter(|index| index.identifies_row)
            .filter_map(|index| {
                index
                    .attnums
                    .iter()
                    .map(|attnum| {
                        let attnum = (*attnum)?;
                        table
                            .columns
                            .iter()
                            .find(|c| c.attnum == attnum)
                            .map(|c| c.column.id)
                    })
                    .collect()
            })
            .collect(),
        BlockScan::Node { node, columns } => nodes
            .get(*node)
            .and_then(|node| node.row_key.as_ref())
            .and_then(|key| {
                key.iter()
                    .map(|at| columns.get(*at))
                    .map(|column| {
                        column.filter(|c| c.ty.bounded && c.ty.sortable && c.ty.image_equality)
                    })
                    .map(|column| column.map(|c| c.id))
                    .collect()
            })
            .into_iter()
            .collect(),
        BlockScan::Image { .. } => Vec::new(),
        BlockScan::Bound { .. } | BlockScan::Condition { .. } => vec![Vec::new()],
        BlockScan::Expand { columns, key, .. } => key
            .iter()
            .map(|key| {
                key.iter()
                    .filter_map(|at| columns.get(*at))
                    .map(|c| c.id)
                    .collect()
            })
            .collect(),
    }
}

/// Whether an equality fixes `id`, given the columns of the relations that are kept.
fn is_fixed_by(predicates: &[Predicate], id: ColumnId, given: &BTreeSet<ColumnId>) -> bool {
    equalities_of(predicates, id).any(|other| other.columns().is_subset(given))
}

fn equalities_of<'a>(
    predicates: impl IntoIterator<Item = &'a Predicate>,
    id: ColumnId,
) -> impl Iterator<Item = &'a Expr> {
    predicates
        .into_iter()
        .filter_map(|p| p.equality.as_ref())
        .filter_map(move |(left, right)| {
            if left.as_column() == Some(id) {
                Some(right)
            } else if right.as_column() == Some(id) {
                Some(left)
            } else {
                None
            }
        })
}

/// The output position that shows `id`, or a column of the same type that is equal to it.
fn position_of(branch: &Branch, id: ColumnId) -> Option<usize> {
    let shows = |id: ColumnId| {
        branch
            .outputs
            .iter()
            .position(|e| e.as_column() == Some(id))
    };
    shows(id).or_else(|| {
        equalities_of(&branch.predicates, id)
            .filter(|other| other.ty.image_equality)
            .filter_map(Expr::as_column)
            .find_map(shows)
    })
}

/// The columns of nodes and images that joins of these blocks look up: what is looked up, and the position
/// among its columns.
pub(super) fn looked_up<'a>(blocks: impl Iterator<Item = &'a Block>) -> Vec<(Source, usize)> {
    let mut found = Vec::new();
    for branch in blocks.flat_map(|block| &block.branches) {
        for factor in &branch.scans {
            let (BlockScan::Node { columns, .. } | BlockScan::Image { columns, .. }) = &factor.scan
            else {
                continue;
            };
            let own: BTreeSet<ColumnId> = columns.iter().map(|c| c.id).collect();
            let on = factor.outer.iter().flat_map(|outer| &outer.on);
            let conditions: Vec<&Predicate> = branch.predicates.iter().chain(on).collect();
            let is_equated = |id| {
                equalities_of(conditions.iter().copied(), id).any(|other| {
                    let reads = other.columns();
                    !reads.is_empty() && reads.is_disjoint(&own)
                })
            };
            let positions = columns
                .iter()
                .enumerate()
                .filter(|(_, c)| is_equated(c.id))
                .map(|(position, _)| position);
            found.extend(
                factor
                    .source()
                    .into_iter()
                    .flat_map(|source| positions.clone().map(move |position| (source, position))),
            );
        }
    }
    found
}

/// Where the state columns of a node stand in the output, if they all do.
pub(super) fn state_in_output(
    node: &Node,
    predicates: &[Predicate],
    exprs: &[Expr],
) -> Option<Vec<usize>> {
    if !predicates.is_empty() || matches!(node.maintenance, Maintenance::Recompute) {
        return None;
    }
    let state = node.state_as_columns()?;
    (state.into_iter())
        .map(|id| exprs.iter().position(|e| e.as_column() == Some(id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::compile;
    use crate::tree::testing::{
        aggregate, column, equal, expr, filter, group, integer, join, keyed_scan, numeric, project,
        scan, scan_of,
    };
    use crate::tree::{AggregateKind, ColumnType, Index, Relation};

    fn identity(relation: Relation) -> Identity {
        let plan = compile(relation).expect("supported");
        plan.output.identity().clone()
    }

    fn key(columns: &[usize]) -> Identity {
        Identity::Key {
            columns: columns.to_vec(),
            unique_index: true,
        }
    }

    fn r_and_s(condition: Predicate) -> Relation {
        join(
            keyed_scan(1, 10, "r"),
            keyed_scan(2, 20, "s"),
            vec![condition],
        )
    }

    #[test]
    fn a_join_is_identified_by_the_keys_that_nothing_else_fixes() {
        let both = || r_and_s(equal("$12", "$22"));
        let by_key = || r_and_s(equal("$12", "$21"));
        let table: [(&str, Relation, Identity); 7] = [
            (
                "one table by its key",
                project(
                    keyed_scan(1, 10, "r"),
                    &[(31, "b", "$12"), (32, "a", "$11")],
                ),
                key(&[1]),
            ),
            (
                "a computed key is not the key",
                project(keyed_scan(1, 10, "r"), &[(31, "a", "($11 + 0)")]),
                Identity::Image,
            ),
            (
                "a table without a key",
                project(scan(1, 10, "r"), &[(31, "a", "$11")]),
                Identity::Image,
            ),
            (
                "neither key fixes the other",
                project(both(), &[(31, "ra", "$11"), (32, "sa", "$21")]),
                key(&[0, 1]),
            ),
            (
                "one of two keys is hidden",
                project(both(), &[(31, "ra", "$11"), (32, "sb", "$22")]),
                Identity::Image,
            ),
            (
                "the key of s is fixed by r",
                project(by_key(), &[(31, "sb", "$22"), (32, "ra", "$11")]),
                key(&[1]),
            ),
            (
                "keys equal to each other show for each other",
                project(
                    r_and_s(equal("$11", "$21")),
                    &[(31, "sa", "$21"), (32, "rb", "$12")],
                ),
                key(&[0]),
            ),
        ];
        for (name, relation, expected) in table {
            assert_eq!(identity(relation), expected, "{name}");
        }
    }

    #[test]
    fn computed_rows_are_told_apart_by_the_row_they_come_from_and_their_own_key() {
        let numbered = |key: Option<Vec<usize>>, conjuncts: Vec<Predicate>| {
            let columns = vec![column(21, "u", integer()), column(22, "n", integer())];
            let item = expr("unnest($12) WITH ORDINALITY").parts;
            let rows = Relation::expand(keyed_scan(1, 10, "r"), item, columns, key);
            let shown = [(31, "a", "$11"), (32, "u", "$21"), (33, "n", "$22")];
            identity(project(filter(rows, conjuncts), &shown))
        };
        let ordinal = || Some(vec![1]);
        assert_eq!(numbered(ordinal(), Vec::new()), key(&[0, 2]));
        assert_eq!(numbered(Some(Vec::new()), Vec::new()), key(&[0]));
        assert_eq!(numbered(None, Vec::new()), Identity::Image);
        // What is computed from a row does not fix that row.
        let same = equal("$11", "$21");
        assert_eq!(numbered(ordinal(), vec![same]), key(&[0, 2]));
    }

    #[test]
    fn a_key_is_fixed_by_computed_rows_that_it_does_not_feed() {
        let columns = vec![column(21, "u", integer()), column(22, "n", integer())];
        let item = expr("unnest($12) WITH ORDINALITY").parts;
        let rows = Relation::expand(keyed_scan(1, 10, "r"), item, columns, Some(vec![1]));
        let both = join(rows, keyed_scan(2, 30, "s"), vec![equal("$21", "$31")]);
        let shown = [(41, "a", "$11"), (42, "n", "$22"), (43, "b", "$32")];
        assert_eq!(identity(project(both, &shown)), key(&[0, 1]));
    }

    #[test]
    fn an_equality_with_itself_fixes_nothing() {
        let odd = filter(keyed_scan(1, 10, "r"), vec![equal("$11", "$12")]);
        assert_eq!(identity(project(odd, &[(31, "c", "$13")])), Identity::Image);
    }

    #[test]
    fn two_tables_that_fix_each_other_keep_one_key() {
        let both = join(
            keyed_scan(1, 10, "r"),
            keyed_scan(2, 20, "s"),
            vec![equal("$11", "$22"), equal("$21", "$12")],
        );
        let shown = project(both, &[(31, "ra", "$11"), (32, "sc", "$23")]);
        // r.a = s.b and s.a = r.b: the row of s fixes that of r, and r.b shows nowhere, but one of
        // the two keys must.
        assert_eq!(identity(shown), Identity::Image);
    }

    #[test]
    fn a_composite_key_must_be_fixed_as_a_whole() {
        let columns = [("a", integer()), ("b", integer()), ("c", integer())];
        let mut lines = scan_of(2, 20, "lines", &columns);
        lines.indexes = vec![Index {
            attnums: vec![Some(1), Some(2)],
            identifies_row: true,
        }];
        let both = join(
            keyed_scan(1, 10, "r"),
            Relation::Scan(lines),
            vec![equal("$11", "$21")],
        );
        let shown = |columns| identity(project(both.clone(), columns));
        assert_eq!(
            shown(&[(31, "a", "$11"), (32, "b", "$22")]),
            key(&[0, 1]),
            "the order is fixed by its line"
        );
        assert_eq!(
            shown(&[(31, "a", "$11"), (32, "c", "$23")]),
            Identity::Image
        );
    }

    fn with_key_of(ty: &ColumnType, oid: u32, base: u32) -> Relation {
        let mut scan = scan_of(oid, base, "r", &[("a", ty.clone())]);
        scan.indexes = vec![Index {
            attnums: vec![Some(1)],
            identifies_row: true,
        }];
        Relation::Scan(scan)
    }

    #[test]
    fn keys_that_may_not_fit_in_an_index_together_are_found_by_a_hash() {
        let long = ColumnType {
            bounded: false,
            ..integer()
        };
        let vague = ColumnType {
            bounded: false,
            ..numeric()
        };
        let pair = |ty: &ColumnType| {
            identity(join(
                with_key_of(ty, 1, 10),
                with_key_of(ty, 2, 20),
                Vec::new(),
            ))
        };
        let unique = |identity| {
            matches!(
                identity,
                Identity::Key {
                    unique_index: true,
                    ..
                }
            )
        };
        assert!(
            unique(identity(with_key_of(&long, 1, 10))),
            "it fits in r's own index"
        );
        assert!(unique(pair(&integer())));
        assert!(!unique(pair(&long)));
        assert!(!unique(pair(&vague)));
    }

    #[test]
    fn an_index_has_32_columns() {
        let key = |n| vec![integer(); n];
        assert!(fits_index(&key(32)));
        assert!(!fits_index(&key(33)));
    }

    #[test]
    fn a_grouping_is_identified_by_its_keys_and_a_single_row_by_nothing() {
        let count = || vec![aggregate(22, AggregateKind::CountStar, "")];
        let grouped = group(scan(1, 10, "r"), &[(21, "g", "$11")], count());
        assert_eq!(identity(grouped), key(&[0]));
        assert_eq!(identity(group(scan(1, 10, "r"), &[], count())), key(&[]));
    }

    #[test]
    fn a_text_key_of_any_length_is_found_by_its_image() {
        let long = ColumnType {
            bounded: false,
            ..integer()
        };
        let scan = Relation::Scan(scan_of(1, 10, "r", &[("a", long.clone())]));
        let distinct = Relation::Distinct {
            input: Box::new(Relation::Project {
                input: Box::new(scan),
                columns: vec![(
                    column(21, "a", long.clone()),
                    Expr::column(ColumnId(11), long, true),
                )],
            }),
        };
        assert_eq!(
            identity(distinct),
            Identity::Key {
                columns: vec![0],
                unique_index: false
            }
        );
    }
}
