//! Whether rows that tie in an order are alike in everything visible.
//!
//! The functional dependencies of a block: rows that agree in a key of a relation are the same row of it,
//! and equalities carry agreement from column to column. There are two notions of agreement: equal by
//! the type's default equality, which keys and orders use, and alike by image, which a
//! reader sees (`1.0` and `1.00` are equal but not alike).

use std::collections::BTreeSet;

use super::maintenance::Partition;
use crate::tree::{Column, ColumnId, Expr, SortKey, Ties, WindowCall};

use super::block::{Block, BlockScan, Branch, Matched};
use super::{Node, keys};

/// Takes from orders the keys at their end that tell no rows apart which are not told apart before: a query whose
/// ties are settled sorts by everything that it reads.
pub(super) fn trim(block: &Block, nodes: &[Node], partition_keys: &[Column], rule: &mut Partition) {
    let reads: BTreeSet<ColumnId> = block.columns.iter().map(|c| c.id).collect();
    let settled = |exprs: &[Expr], order: &[SortKey]| {
        let given = Given::of(partition_keys, exprs, order);
        reads.is_subset(&alike(block, nodes, &given))
    };
    let shorten = |exprs: &[Expr], order: &mut Vec<SortKey>| {
        let is_removable = |key: &SortKey| key.is_default_order || key.is_by_image();
        let kept = order.iter().rposition(|key| !is_removable(key));
        // With more keys rows agree in more, so that the shortest order is found by halving: an order by everything
        // that the query reads may have as many keys as a table has columns.
        let (mut short, mut long) = (kept.map_or(1, |at| at + 1), order.len());
        while short < long {
            let middle = usize::midpoint(short, long);
            match order.get(..middle) {
                Some(rest) if settled(exprs, rest) => long = middle,
                _ => short = middle + 1,
            }
        }
        order.truncate(long);
    };
    match rule {
        Partition::Window { calls, .. } => {
            for call in calls.iter_mut().filter(|c| c.ties != Ties::Harmless) {
                shorten(&call.partition, &mut call.order);
            }
        }
        Partition::TopN {
            order,
            with_ties: false,
            ..
        } => shorten(&[], order),
        Partition::TopN { .. } => {}
    }
}

/// What rows are given to agree in.
struct Given {
    /// By the default equality of the types.
    equal: BTreeSet<ColumnId>,
    /// By image.
    alike: BTreeSet<ColumnId>,
}

impl Given {
    /// Rows of one partition that are equal in these expressions and in the order.
    fn of(partition_keys: &[Column], exprs: &[Expr], order: &[SortKey]) -> Self {
        let sorted = order.iter().filter(|key| key.is_default_order);
        let images = order.iter().filter(|key| key.is_by_image());
        Given {
            equal: (exprs.iter())
                .chain(sorted.map(|key| &key.expr))
                .filter_map(Expr::as_column)
                .chain(partition_keys.iter().map(|c| c.id))
                .collect(),
            alike: images.flat_map(|key| key.expr.columns()).collect(),
        }
    }
}

/// Refuses a rule whose result depends on the order of rows that tie in its ORDER BY. `is_set`: no
/// two rows of the block are alike in everything.
pub(super) fn check(
    block: &Block,
    nodes: &[Node],
    partition_keys: &[Column],
    is_set: bool,
    rule: &Partition,
) -> Result<(), crate::Error> {
    let given = |exprs: &[Expr], order: &[SortKey]| Given::of(partition_keys, exprs, order);
    match rule {
        Partition::Window { calls, .. } => {
            // Rows that are alike in everything trade places freely in one order, but not in two.
            let by_place = |call: &&WindowCall| call.ties == Ties::Rows;
            let mut orders = calls
                .iter()
                .filter(by_place)
                .map(|c| (&c.partition, &c.order));
            if let Some(first) = orders.next()
                && orders.any(|other| other != first)
                && !is_set
            {
                return Err(crate::Error::AmbiguousOrder {
                    construct: "window functions with different orders over duplicate rows".into(),
                });
            }
            for call in calls {
                let reads: BTreeSet<ColumnId> = match call.ties {
                    Ties::Harmless => continue,
                    Ties::Arguments => call.arguments.iter().flat_map(Expr::columns).collect(),
                    Ties::Rows => block.columns.iter().map(|c| c.id).collect(),
                };
                let given = given(&call.partition, &call.order);
                if !reads.is_subset(&alike(block, nodes, &given)) {
                    return Err(crate::Error::AmbiguousOrder {
                        construct: format!("window function {}", call.column.name),
                    });
                }
            }
        }
        Partition::TopN {
            order,
            offset,
            limit,
            with_ties,
        } => {
            let cuts_between_peers =
                *limit != Some(0) && (*offset > 0 || (limit.is_some() && !with_ties));
            let reads: BTreeSet<ColumnId> = block.columns.iter().map(|c| c.id).collect();
            if cuts_between_peers && !reads.is_subset(&alike(block, nodes, &given(&[], order))) {
                return Err(crate::Error::AmbiguousOrder {
                    construct: if partition_keys.is_empty() {
                        "LIMIT or OFFSET".into()
                    } else {
                        "DISTINCT ON or a LIMIT per row".into()
                    },
                });
            }
        }
    }
    Ok(())
}

/// The columns of a block in which rows are alike that agree in the columns `given`.
fn alike(block: &Block, nodes: &[Node], given: &Given) -> BTreeSet<ColumnId> {
    let is_in = |set: &BTreeSet<ColumnId>, position: usize| {
        let column = block.columns.get(position);
        column.is_some_and(|c| set.contains(&c.id))
    };
    let determined = match block.branches.as_slice() {
        [branch] => Agreement::of(
            branch,
            nodes,
            |position| is_in(&given.equal, position),
            |position| is_in(&given.alike, position),
        )
        .outputs(branch),
        // Rows of different branches have nothing in common but what is given.
        _ => BTreeSet::new(),
    };
    block
        .columns
        .iter()
        .enumerate()
        .filter(|(position, c)| {
            determined.contains(position)
                || given.alike.contains(&c.id)
                || (given.equal.contains(&c.id) && c.ty.image_equality)
        })
        .map(|(_, c)| c.id)
        .collect()
}

/// Columns of a branch's relations in which rows agree.
struct Agreement {
    equal: BTreeSet<ColumnId>,
    alike: BTreeSet<ColumnId>,
}

impl Agreement {
    /// What follows from agreement in the outputs at the positions that are given: by equality, and by image.
    fn of(
        branch: &Branch,
        nodes: &[Node],
        equal: impl Fn(usize) -> bool,
        alike: impl Fn(usize) -> bool,
    ) -> Self {
        let mut agreement = Agreement {
            equal: BTreeSet::new(),
            alike: BTreeSet::new(),
        };
        for (position, output) in branch.outputs.iter().enumerate() {
            if equal(position) {
                agreement.add(output);
            }
            if alike(position)
                && let Some(id) = output.as_column()
            {
                agreement.equal.insert(id);
                agreement.alike.insert(id);
            }
        }
        let mut size = usize::MAX;
        while size != agreement.equal.len() + agreement.alike.len() {
            size = agreement.equal.len() + agreement.alike.len();
            agreement.close(branch, nodes);
        }
        agreement
    }

    /// Rows agree in this value: nothing follows unless it is a column.
    fn add(&mut self, value: &Expr) {
        if let Some(id) = value.as_column() {
            self.equal.insert(id);
            if value.ty.image_equality {
                self.alike.insert(id);
            }
        }
    }

    fn agrees(&self, value: &Expr) -> bool {
        value.columns().is_subset(&self.alike)
            || value.as_column().is_some_and(|id| self.equal.contains(&id))
    }

    /// One round over the relations and the equalities.
    fn close(&mut self, branch: &Branch, nodes: &[Node]) {
        for factor in &branch.scans {
            let own: BTreeSet<ColumnId> = factor.column_ids().into_iter().collect();
            let computed = factor.scan.reads().is_subset(&self.alike);
            let known = |set: &Vec<ColumnId>| set.iter().all(|id| self.equal.contains(id));
            let same_row = match &factor.outer {
                None => computed && keys::unique_sets(&factor.scan, nodes).iter().any(known),
                // A row of NULLs is told apart from a match by a key that is never NULL.
                Some(_) if matches!(factor.scan, BlockScan::Table(_)) => {
                    keys::unique_sets(&factor.scan, nodes).iter().any(known)
                }
                Some(_) => false,
            };
            // The only match of rows that agree in all that decides on it.
            let same_match = factor.outer.as_ref().is_some_and(|outer| {
                matches!(outer.matched, Matched::Itself)
                    && outer.on.iter().all(|p| {
                        let reads = p.expr.columns();
                        reads.difference(&own).all(|id| self.alike.contains(id))
                    })
            });
            let same_group = factor.outer.is_none() && self.is_same_group(&factor.scan, nodes);
            if same_row || same_group || same_match {
                self.equal.extend(&own);
                self.alike.extend(&own);
            }
        }
        for (left, right) in branch.predicates.iter().filter_map(|p| p.equality.as_ref()) {
            for (from, to) in [(left, right), (right, left)] {
                if self.agrees(from) {
                    self.add(to);
                }
            }
        }
    }

    /// Whether the scan is of groups, and rows agree in keys on which the other keys depend.
    fn is_same_group(&self, scan: &BlockScan, nodes: &[Node]) -> bool {
        let BlockScan::Node { node, columns } = scan else {
            return false;
        };
        let Some(node) = nodes.get(*node).filter(|node| node.partition().is_none()) else {
            return false;
        };
        let [branch] = node.block.branches.as_slice() else {
            return false;
        };
        let is_equal = |position: usize| {
            position < node.keys.len()
                && columns
                    .get(position)
                    .is_some_and(|c| self.equal.contains(&c.id))
        };
        let depend = Agreement::of(branch, nodes, is_equal, |_| false).outputs(branch);
        (0..node.keys.len()).all(|position| is_equal(position) || depend.contains(&position))
    }

    /// Positions of the outputs that follow.
    fn outputs(&self, branch: &Branch) -> BTreeSet<usize> {
        branch
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, output)| output.columns().is_subset(&self.alike))
            .map(|(position, _)| position)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Partition;
    use crate::plan::compile;
    use crate::tree::testing::{
        aggregate, column, equal, expr, first_rows, group, integer, join, keyed_scan, left_join,
        project, scan, sort_key,
    };
    use crate::tree::{AggregateKind, Relation, SortKey, Ties, WindowCall};

    /// Whether the first row in this order is the same however ties fall.
    fn is_settled(relation: Relation, order: &[&str]) -> bool {
        let keys = order.iter().map(|c| sort_key(c, "ASC NULLS LAST"));
        compile(first_rows(relation, &[], keys.collect(), 0, Some(1), false)).is_ok()
    }

    fn pair() -> Relation {
        let on = vec![equal("$12", "$21")];
        join(keyed_scan(1, 10, "k"), keyed_scan(2, 20, "l"), on)
    }

    #[test]
    fn a_key_settles_what_depends_on_it() {
        for (relation, order, settled) in [
            (keyed_scan(1, 10, "k"), vec!["$11"], true),
            (keyed_scan(1, 10, "k"), vec!["$12", "$11"], true),
            (keyed_scan(1, 10, "k"), vec!["$12", "$13"], false),
            (scan(1, 10, "r"), vec!["$11"], false),
            (scan(1, 10, "r"), vec!["$13", "$12", "$11"], true),
            (
                project(scan(1, 10, "r"), &[(31, "x", "$12")]),
                vec!["$31"],
                true,
            ),
            (project(scan(1, 10, "r"), &[(31, "x", "1")]), vec![], true),
        ] {
            assert_eq!(is_settled(relation, &order), settled, "{order:?}");
        }
    }

    #[test]
    fn an_order_goes_on_no_further_than_it_tells_rows_apart() {
        let kept = |relation: Relation, keys: Vec<SortKey>| {
            let plan = compile(first_rows(relation, &[], keys, 0, Some(1), false));
            match plan.expect("settled").nodes[0].partition() {
                Some(Partition::TopN { order, .. }) => order.len(),
                _ => panic!("first rows are a partition"),
            }
        };
        let sorted = |names: &[&str]| -> Vec<SortKey> {
            let keys = names.iter().map(|c| sort_key(c, "ASC NULLS LAST"));
            keys.collect()
        };
        let all = ["$12", "$11", "$13"];
        assert_eq!(kept(keyed_scan(1, 10, "k"), sorted(&all)), 2);
        assert_eq!(kept(scan(1, 10, "r"), sorted(&all)), 3);
        let columns = scan(1, 10, "r").columns();
        let mut by_image = sorted(&["$12"]);
        by_image.push(SortKey::by_image(&columns.iter().collect::<Vec<_>>()));
        assert_eq!(kept(scan(1, 10, "r"), by_image.clone()), 2);
        by_image.insert(1, sort_key("$11", "ASC NULLS LAST"));
        assert_eq!(kept(keyed_scan(1, 10, "k"), by_image), 2);
    }

    #[test]
    fn equalities_carry_keys_through_joins() {
        assert!(is_settled(pair(), &["$11"]));
        assert!(!is_settled(pair(), &["$21"]));
        let outer = |on| left_join(keyed_scan(1, 10, "k"), keyed_scan(2, 20, "l"), on);
        assert!(is_settled(outer(vec![equal("$12", "$21")]), &["$11"]));
        assert!(!is_settled(outer(vec![equal("$12", "$22")]), &["$11"]));
    }

    #[test]
    fn keys_of_groups_carry_what_depends_on_them() {
        let grouped = |keys: &[(u32, &str, &str)]| {
            group(
                pair(),
                keys,
                vec![aggregate(41, AggregateKind::CountStar, "")],
            )
        };
        let by_key = grouped(&[(31, "x", "$11"), (32, "y", "$13"), (33, "z", "$22")]);
        assert!(is_settled(by_key.clone(), &["$41", "$31"]));
        assert!(!is_settled(by_key, &["$41", "$33"]));
        let by_others = grouped(&[(31, "x", "$12"), (32, "y", "$13"), (33, "z", "$22")]);
        assert!(!is_settled(by_others.clone(), &["$41", "$31"]));
        assert!(is_settled(by_others, &["$31", "$32"]));
    }

    #[test]
    fn duplicates_have_no_places_in_two_orders() {
        let numbered = |id, keys: [&str; 3]| WindowCall {
            column: column(id, "n", integer()),
            function: expr("row_number()"),
            arguments: Vec::new(),
            partition: Vec::new(),
            order: keys.map(|c| sort_key(c, "ASC NULLS LAST")).to_vec(),
            frame: String::new(),
            ties: Ties::Rows,
            reach: None,
        };
        let windowed = |input, other: [&str; 3]| {
            compile(Relation::Window {
                input: Box::new(input),
                partition: Vec::new(),
                calls: vec![numbered(31, ["$11", "$12", "$13"]), numbered(32, other)],
            })
        };
        assert!(windowed(scan(1, 10, "r"), ["$11", "$12", "$13"]).is_ok());
        let refused =
            windowed(scan(1, 10, "r"), ["$13", "$12", "$11"]).map(|plan| plan.to_string());
        insta::assert_snapshot!(refused.expect_err("refused"), @"the result of window functions with different orders over duplicate rows depends on the order of rows that tie in its ORDER BY");
        assert!(windowed(keyed_scan(1, 10, "k"), ["$13", "$12", "$11"]).is_ok());
    }
}
