//! The identity of a plan: what its state depends on, and nothing that a rename changes.

use std::hash::{Hash, Hasher};

use super::maintenance::Maintenance;
use crate::tree::Column;

use super::block::{Block, BlockScan, Matched};
use super::keys::fits_index;
use super::{Output, Plan};

/// Raised when the layout or the meaning of state changes between versions of the engine.
const STATE_VERSION: u32 = 3;

/// In front of a relation whose children the query excludes.
const ONLY: &str = "ONLY ";

impl Plan {
    /// A hash over the plan's meaning and the layout of its state. Table and column names are left
    /// out (objects count by OID and attribute number), as are indexes that the plan does not use.
    /// The value is stored, so the hasher is one with a fixed algorithm.
    /// `also` is anything else that it depends on.
    pub fn fingerprint(&self, also: &impl Hash) -> u64 {
        let mut plan = self.clone();
        for image in &mut plan.images {
            image.opaque.columns.iter_mut().for_each(anonymise);
            if let Some(recursion) = &mut image.recursion {
                anonymise_block(&mut recursion.seed);
                anonymise_block(&mut recursion.step);
            }
        }
        let columns = plan.columns.iter_mut();
        columns.for_each(anonymise);
        for node in &mut plan.nodes {
            node.keys.iter_mut().for_each(anonymise);
            node.aggregates
                .iter_mut()
                .for_each(|a| anonymise(&mut a.column));
            if let Maintenance::Partition(partition) = &mut node.maintenance {
                let calls = partition.calls_mut().iter_mut();
                calls.for_each(|call| anonymise(&mut call.column));
            }
            anonymise_block(&mut node.block);
        }
        if let Output::Linear { block, .. } = &mut plan.output {
            anonymise_block(block);
        }
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        STATE_VERSION.hash(&mut hasher);
        plan.hash(&mut hasher);
        // State that has been indexed by a hash since version 0.2.0.
        for node in &plan.nodes {
            let keys = || node.keys.iter().map(|key| &key.ty);
            if !keys().all(|ty| ty.image_equality) && !fits_index(keys()) {
                node.id.hash(&mut hasher);
            }
        }
        also.hash(&mut hasher);
        hasher.finish()
    }
}

fn anonymise(column: &mut Column) {
    column.name.clear();
}

fn anonymise_block(block: &mut Block) {
    block.columns.iter_mut().for_each(anonymise);
    for factor in block.branches.iter_mut().flat_map(|b| &mut b.scans) {
        if let Some(Matched::Set { columns, .. }) = factor.outer.as_mut().map(|o| &mut o.matched) {
            columns.iter_mut().for_each(anonymise);
        }
        match &mut factor.scan {
            BlockScan::Table(table) => {
                table.indexes.clear();
                // What is left says whether children are excluded.
                let only = if table.relation.starts_with(ONLY) {
                    ONLY.len()
                } else {
                    0
                };
                table.relation.truncate(only);
                for column in &mut table.columns {
                    column.quoted.clear();
                    anonymise(&mut column.column);
                }
            }
            BlockScan::Node { columns, .. }
            | BlockScan::Image { columns, .. }
            | BlockScan::Expand { columns, .. } => columns.iter_mut().for_each(anonymise),
            BlockScan::Bound { .. } => {}
            BlockScan::Condition { column, .. } => anonymise(column),
        }
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo). The standard library promises no fixed algorithm.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::compile;
    use crate::tree::testing::{
        aggregate, column, condition, equal, filter, group, integer, join, opaque, project, scan,
    };
    use crate::tree::{AggregateKind, Index, Recursion, Relation, Scan};

    fn of(relation: Relation) -> u64 {
        compile(relation).expect("supported").fingerprint(&())
    }

    fn table(change: impl FnOnce(&mut Scan)) -> Relation {
        let Relation::Scan(mut table) = scan(1, 10, "public.r") else {
            unreachable!("a scan is a scan");
        };
        change(&mut table);
        group(
            Relation::Scan(table),
            &[(21, "g", "$11")],
            vec![aggregate(22, AggregateKind::SumInteger, "$12")],
        )
    }

    #[test]
    fn a_new_name_is_the_same_plan() {
        let renamed = table(|table| {
            table.relation = "other.s".into();
            table.columns[0].quoted = "\"A\"".into();
            table.columns[0].column.name = "A".into();
        });
        assert_eq!(of(table(|_| {})), of(renamed));
    }

    #[test]
    fn an_index_that_the_plan_does_not_use_is_the_same_plan() {
        let indexed = table(|table| {
            table.indexes.push(Index {
                attnums: vec![Some(2)],
                identifies_row: false,
            });
        });
        assert_eq!(of(table(|_| {})), of(indexed));
    }

    #[test]
    fn an_index_below_a_recursion_is_the_same_plan() {
        let of_recursion = |indexes: Vec<Index>| {
            let table = |base| match scan(1, base, "r") {
                Relation::Scan(table) => Relation::Scan(Scan {
                    indexes: indexes.clone(),
                    ..table
                }),
                other => other,
            };
            let shown = |input, x| project(input, &[(41, "x", x)]);
            let rows = Relation::Opaque(opaque("WITH RECURSIVE r …", &[(1, "x")], &[1]));
            let step = shown(join(rows, table(10), vec![equal("$1", "$11")]), "$12");
            let seed = shown(table(20), "$21");
            let mut whole = opaque("WITH RECURSIVE r …", &[(51, "x")], &[1]);
            whole.recursion = Recursion::new(seed, step, true, &whole.query).map(Box::new);
            assert!(whole.recursion.is_some());
            of(Relation::Opaque(whole))
        };
        let index = Index {
            attnums: vec![Some(2)],
            identifies_row: true,
        };
        assert_eq!(of_recursion(Vec::new()), of_recursion(vec![index]));
    }

    #[test]
    fn whatever_changes_the_content_or_the_state_is_another_plan() {
        let plain = of(table(|_| {}));
        let others = [
            ("another table", table(|table| table.oid = 2)),
            (
                "children excluded",
                table(|table| table.relation.insert_str(0, "ONLY ")),
            ),
            (
                "NOT NULL",
                table(|table| table.columns[1].column.nullable = false),
            ),
            ("another column", table(|table| table.columns[0].attnum = 7)),
            (
                "a condition",
                filter(table(|_| {}), vec![condition("($22 > 1)")]),
            ),
        ];
        for (what, other) in others {
            assert_ne!(plain, of(other), "{what}");
        }
    }

    #[test]
    fn it_depends_on_what_else_is_said() {
        let plan = compile(table(|_| {})).expect("supported");
        assert_ne!(plan.fingerprint(&1), plan.fingerprint(&2));
    }

    #[test]
    fn it_is_stored_so_it_must_not_change_by_itself() {
        // When this fails, state that is stored is not recognised any more: raise STATE_VERSION.
        let plan = compile(Relation::Project {
            input: Box::new(Relation::SingleRow),
            columns: vec![(column(1, "one", integer()), crate::tree::testing::expr("1"))],
        });
        assert_eq!(
            plan.expect("supported").fingerprint(&()),
            16_047_964_673_000_942_247
        );
    }
}
