//! From operator tree to plan.

use std::collections::HashMap;

use super::maintenance::{Maintenance, Partition};
use super::width::require_narrow;
use crate::rewrite::{ColumnAllocator, normalise};
use crate::tree::{Aggregate, AggregateKind, Column, ColumnId, Expr, Opaque, Predicate, Relation};

use super::block::{Block, BlockScan, Branch, Factor};
use super::branches::first;
use super::placement::{holds_partitions, place_image_indexes, place_state};
use super::{Identity, Image, Node, Output, Plan, Recursion, Store, image, keys};

/// Compiles a tree.
///
/// # Errors
/// [`crate::Error::AmbiguousOrder`] when a result depends on an order that the query does not fix;
/// [`crate::Error::CannotUnnest`] when no join can take the place of a dependent subquery;
/// [`crate::Error::TooWide`] when a statement would have too many columns.
pub fn compile(relation: Relation) -> Result<Plan, crate::Error> {
    let mut columns = ColumnAllocator::above(&relation);
    let relation = normalise(relation, &mut columns)?;
    let output_columns = relation.columns();
    let mut compiler = Compiler {
        nodes: Vec::new(),
        images: Vec::new(),
        known: HashMap::new(),
        keeps_rows: false,
        in_recursion: false,
        columns,
    };
    let branches = compiler.linearise(relation)?;
    let block = Block {
        columns: output_columns.clone(),
        branches,
    };
    let mut nodes = compiler.nodes;
    let mut images = compiler.images;
    let has_images = images.iter().any(|image| !image.is_bound);
    let output = output_of(block, &nodes, has_images);
    place_state(&mut nodes, &output, has_images);
    place_image_indexes(&mut images, &nodes, &output);
    let plan = Plan {
        images,
        nodes,
        output,
        columns: output_columns,
    };
    require_narrow(&plan)?;
    Ok(plan)
}

pub(super) struct Compiler {
    pub(super) nodes: Vec<Node>,
    images: Vec<Image>,
    /// The node of each stateful operator, by the operator's shape.
    pub(super) known: HashMap<Relation, usize>,
    /// Whether there are linear blocks among these.
    pub(super) keeps_rows: bool,
    /// Whether the rows of a recursion are being linearised, which come before any node's.
    pub(super) in_recursion: bool,
    /// Hands out new columns.
    pub(super) columns: ColumnAllocator,
}

impl Compiler {
    /// The branches of a relation. Copies of one stateful operator (references to a CTE, copies that a
    /// rewrite made) share its node.
    pub(super) fn linearise(&mut self, relation: Relation) -> Result<Vec<Branch>, crate::Error> {
        let relation = self.windows_apart(relation)?;
        let columns = match &relation {
            Relation::Aggregate { .. } | Relation::Distinct { .. } => relation.columns(),
            Relation::Window { partition, .. } | Relation::TopN { partition, .. } => {
                first(partition, relation.columns())
            }
            Relation::Join { .. }
            | Relation::LeftJoin { .. }
            | Relation::FullJoin { .. }
            | Relation::UnionAll { .. } => {
                let kept = match self.keeps_rows && !self.in_recursion {
                    true => self.known.get(&relation.shape()),
                    false => None,
                };
                let columns = relation.columns();
                return match kept {
                    Some(node) => Ok(vec![Branch::of_node(*node, columns.clone(), &columns)]),
                    None => self.branches(relation),
                };
            }
            _ => return self.branches(relation),
        };
        let shape = relation.shape();
        if let Some(node) = self.known.get(&shape) {
            return Ok(vec![Branch::of_node(*node, columns, &relation.columns())]);
        }
        let branches = self.branches(relation)?;
        if let Some(last) = self.nodes.last() {
            self.known.insert(shape, last.id);
        }
        Ok(branches)
    }

    fn branches(&mut self, relation: Relation) -> Result<Vec<Branch>, crate::Error> {
        match relation {
            Relation::Scan(scan) => {
                let shown: Vec<Column> = scan.columns.iter().map(|c| c.column.clone()).collect();
                Ok(vec![Branch::of(BlockScan::Table(scan), &shown)])
            }
            Relation::Opaque(opaque) => {
                let shown = opaque.columns.clone();
                let columns = shown.clone();
                let image = self.image(opaque)?;
                let scan = BlockScan::Image { image, columns };
                Ok(vec![Branch::of(scan, &shown)])
            }
            Relation::Bounded {
                input,
                value,
                operator,
                side,
                bound,
            } => {
                let (columns, mut branches) = self.input(*input)?;
                let image = image::intern(&mut self.images, *bound, true);
                for branch in &mut branches {
                    branch.bound(image, &columns, &value, &operator, side);
                }
                Ok(branches)
            }
            Relation::Conditioned { input, condition } => {
                let (columns, mut branches) = self.input(*input)?;
                let image = image::intern(&mut self.images, condition.bound.clone(), true);
                for branch in &mut branches {
                    branch.condition(image, &columns, &condition);
                }
                Ok(branches)
            }
            Relation::SingleRow => Ok(vec![Branch::single_row()]),
            Relation::Filter { input, predicates } => {
                let (columns, mut branches) = self.input(*input)?;
                (branches.iter_mut()).for_each(|branch| branch.filter(&columns, &predicates));
                Ok(branches)
            }
            Relation::Project { input, columns } => {
                self.projected(*input, columns.iter().map(|(_, expr)| expr))
            }
            Relation::Expand {
                input,
                item,
                columns: added,
                key,
            } => {
                let (columns, mut branches) = self.input(*input)?;
                for branch in &mut branches {
                    branch.expand(&columns, &item, &added, key.as_deref());
                }
                Ok(branches)
            }
            Relation::Join {
                left,
                right,
                predicates,
            } => self.join(&left, &right, &predicates),
            Relation::LeftJoin {
                left,
                right,
                predicates,
                present,
            } => self.left_join(*left, *right, predicates, present),
            Relation::FullJoin {
                left,
                right,
                predicates,
            } => self.full_join(*left, *right, predicates),
            // The rewrite leaves none, or has failed.
            Relation::Apply { .. } => Err(crate::Error::CannotUnnest {
                reason: "it was left where no join can take its place",
            }),
            Relation::Window {
                input,
                partition,
                calls,
            } => self.partition(*input, &partition, Partition::Window { calls, order: None }),
            Relation::TopN {
                input,
                partition,
                order,
                offset,
                limit,
                with_ties,
            } => {
                let rule = Partition::TopN {
                    order,
                    offset,
                    limit,
                    with_ties,
                };
                self.partition(*input, &partition, rule)
            }
            Relation::UnionAll { inputs, .. } => self.union_all(inputs),
            Relation::Distinct { input } => {
                let columns = input.columns();
                let keys = columns.iter().map(|c| (c.clone(), Expr::of(c)));
                self.aggregate(*input, keys.collect(), Vec::new())
            }
            Relation::Aggregate {
                input,
                keys,
                aggregates,
            } => self.aggregate(*input, keys, aggregates),
        }
    }

    /// An operator's input: its columns, which the operator's expressions read, and its branches.
    fn input(&mut self, input: Relation) -> Result<(Vec<Column>, Vec<Branch>), crate::Error> {
        Ok((input.columns(), self.linearise(input)?))
    }

    /// The branches of an input, showing these expressions over its columns.
    pub(super) fn projected<'e>(
        &mut self,
        input: Relation,
        exprs: impl Iterator<Item = &'e Expr> + Clone,
    ) -> Result<Vec<Branch>, crate::Error> {
        let (columns, mut branches) = self.input(input)?;
        (branches.iter_mut()).for_each(|branch| branch.project(&columns, exprs.clone()));
        Ok(branches)
    }

    fn join(
        &mut self,
        left: &Relation,
        right: &Relation,
        predicates: &[Predicate],
    ) -> Result<Vec<Branch>, crate::Error> {
        let mut columns = left.columns();
        columns.extend(right.columns());
        let (left, right) = self.sides(left, right, |left, right| left * right)?;
        let mut branches = Vec::with_capacity(left.len() * right.len());
        for l in &left {
            for r in &right {
                branches.push(l.product(r, &columns, predicates));
            }
        }
        Ok(branches)
    }

    fn union_all(
        &mut self,
        inputs: Vec<(Relation, Vec<Expr>)>,
    ) -> Result<Vec<Branch>, crate::Error> {
        let mut branches = Vec::new();
        for (input, exprs) in inputs {
            branches.extend(self.projected(input, exprs.iter())?);
        }
        Ok(branches)
    }

    /// The number of a subquery's image. Inside of a recursion its own text stands for its rows.
    fn image(&mut self, mut opaque: Opaque) -> Result<usize, crate::Error> {
        let columns = opaque.columns.clone();
        let recursion = opaque.recursion.take();
        let known = self.images.len();
        let id = image::intern(&mut self.images, opaque, false);
        if let Some(recursion) = recursion
            && id == known
        {
            let mut block = |part| -> Result<Block, crate::Error> {
                self.in_recursion = true;
                let branches = self.linearise(part);
                self.in_recursion = false;
                Ok(Block {
                    columns: columns.clone(),
                    branches: branches?,
                })
            };
            let recursion = Recursion {
                seed: block(recursion.seed)?,
                step: block(recursion.step)?,
                distinct: recursion.distinct,
            };
            if let Some(image) = self.images.get_mut(id) {
                image.recursion = Some(recursion);
            }
        }
        Ok(id)
    }

    /// Adds a node that groups.
    fn aggregate(
        &mut self,
        input: Relation,
        keys: Vec<(Column, Expr)>,
        mut aggregates: Vec<Aggregate>,
    ) -> Result<Vec<Branch>, crate::Error> {
        (aggregates.iter_mut()).for_each(|aggregate| aggregate.call = over_keys(aggregate, &keys));
        let mut reads: Vec<ColumnId> = aggregates
            .iter()
            .flat_map(Aggregate::exprs)
            .flat_map(Expr::columns)
            .collect();
        reads.sort_unstable();
        reads.dedup();
        let read_columns: Vec<Column> = (input.columns().into_iter())
            .filter(|c| reads.contains(&c.id))
            .collect();

        let exprs: Vec<Expr> = keys
            .iter()
            .map(|(_, expr)| expr.clone())
            .chain(read_columns.iter().map(Expr::of))
            .collect();
        let branches = self.projected(input, exprs.iter())?;
        let key_columns: Vec<Column> = keys.into_iter().map(|(column, _)| column).collect();
        let block = Block {
            columns: key_columns.iter().cloned().chain(read_columns).collect(),
            branches,
        };
        let maintenance = Maintenance::of(&key_columns, &aggregates);
        let row_key = Some((0..key_columns.len()).collect());
        let node = self.add(block, key_columns, aggregates, maintenance, row_key);
        let columns = node.columns();
        Ok(vec![Branch::of_node(node.id, columns.clone(), &columns)])
    }

    /// Adds a node.
    pub(super) fn add(
        &mut self,
        block: Block,
        keys: Vec<Column>,
        aggregates: Vec<Aggregate>,
        maintenance: Maintenance,
        row_key: Option<Vec<usize>>,
    ) -> Node {
        let node = Node {
            id: self.nodes.len(),
            block,
            keys,
            aggregates,
            maintenance,
            store: Store::Table {
                indexes: Vec::new(),
            },
            row_key,
        };
        self.nodes.push(node.clone());
        node
    }
}

/// The call, reading a key where it reads the column that the key shows: the server lets a direct argument read
/// nothing else.
fn over_keys(aggregate: &Aggregate, keys: &[(Column, Expr)]) -> Expr {
    if aggregate.kind != AggregateKind::Recompute {
        return aggregate.call.clone();
    }
    let shown = keys
        .iter()
        .filter_map(|(key, expr)| Some((expr.as_column()?, Expr::of(key))));
    let shown: Vec<(ColumnId, Expr)> = shown.collect();
    (aggregate.call).substitute(|id| {
        shown
            .iter()
            .find(|(column, _)| *column == id)
            .map(|(_, e)| e)
    })
}

/// The output part: the last node with a projection where nothing else is joined to it, otherwise
/// a linear block.
fn output_of(block: Block, nodes: &[Node], has_images: bool) -> Output {
    if let [branch] = block.branches.as_slice()
        && let [
            Factor {
                scan: BlockScan::Node { node, .. },
                outer: None,
            },
        ] = branch.scans.as_slice()
        && let Some(last) = nodes.last()
        && last.id == *node
        && !last.keeps_rows()
        && (last.partition().is_none() || (!has_images && holds_partitions(last, &branch.outputs)))
    {
        return Output::Post {
            identity: keys::of_post(last, &branch.outputs),
            predicates: branch.predicates.clone(),
            exprs: branch.outputs.clone(),
        };
    }
    let identity = match block.branches.as_slice() {
        [branch] => keys::of_branch(branch, nodes),
        _ => Identity::Image,
    };
    Output::Linear { block, identity }
}
