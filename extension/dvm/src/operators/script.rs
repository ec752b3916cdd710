//! One refresh as a list of stages, each with its statements. A refresh runs it, `explain_st` prints it, and the oracle
//! replays it.
//!
//! The plan alone determines the list, in the order in which the stages run: images, nodes, output. The changes so far
//! determine which stages are due, and the text of their statements.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::plan::{Block, Identity, Image, Node, Order, Output, Partition, Plan, Source};
use crate::tree::{Expr, WindowCall};

use super::statement::{BlockDelta, Context, Emit};
use super::{aggregate, image, output, partition, reach, recursion, state};

/// Something that a refresh moves to its snapshot.
#[derive(Debug, Clone)]
pub enum Stage<'a> {
    /// An image.
    Image(ImageStage<'a>),
    /// The state of a node.
    Node(NodeStage<'a>),
    /// A linear output.
    Output(OutputStage<'a>),
}

/// A subquery that is computed whole, or a recursion that is maintained round by round.
#[derive(Debug, Clone, Copy)]
pub struct ImageStage<'a> {
    /// The image.
    pub image: &'a Image,
}

/// A node, and where its changed rows go.
#[derive(Debug, Clone)]
pub struct NodeStage<'a> {
    /// The node.
    pub node: &'a Node,
    /// How it is maintained.
    pub way: Way<'a>,
    /// The columns that the consumer reads.
    pub emit: Emit<'a>,
    /// How a row is found in the stream table, for the node whose projection it holds. The rows of others become the
    /// node's delta.
    pub output: Option<&'a Identity>,
}

/// How a node is maintained.
#[derive(Debug, Clone, Copy)]
pub enum Way<'a> {
    /// Its rows are added up by image.
    Rows,
    /// Touched groups are combined with their state, or recomputed.
    Groups,
    /// Touched partitions are recomputed.
    Partitions(&'a Partition),
    /// Windows in an order are recomputed for the rows that changes affect.
    Reach(&'a Order, &'a [WindowCall]),
}

/// The linear block that the stream table holds.
#[derive(Debug, Clone, Copy)]
pub struct OutputStage<'a> {
    /// The block.
    pub block: &'a Block,
    /// How a row is found in the stream table.
    pub identity: &'a Identity,
}

/// A statement of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Statement {
    /// The rows of an image.
    Content,
    /// What changed tables derive in one step of a recursion.
    Derived,
    /// What a round's rows of a recursion derive.
    Round,
    /// What else derives rows of a recursion that were lost; which of their columns are NULL.
    Rederived(Vec<bool>),
    /// A step before the delta.
    Step(usize),
    /// The delta of a block.
    Delta,
    /// From delta and old state to new state and output.
    Combine,
    /// Recomputed groups or partitions; which keys are NULL.
    Recompute(Vec<bool>),
    /// What changes reach in an order.
    Regions,
    /// The stored rows there.
    Stored,
    /// The input rows there.
    Around,
    /// The rows there, from these.
    Results,
    /// The whole state, recomputed.
    Initial,
}

/// The stages of a refresh.
pub fn script(plan: &Plan) -> impl Iterator<Item = Stage<'_>> {
    let images = plan.images.iter().map(|image| ImageStage { image });
    let nodes = plan.nodes.iter().map(|node| NodeStage::of(plan, node));
    let output = match &plan.output {
        Output::Linear { block, identity } => Some(OutputStage { block, identity }),
        Output::Post { .. } => None,
    };
    (images.map(Stage::Image))
        .chain(nodes.map(Stage::Node))
        .chain(output.map(Stage::Output))
}

impl Stage<'_> {
    /// What other stages read of it; `None` is the stream table.
    pub fn makes(&self) -> Option<Source> {
        match self {
            Stage::Image(stage) => Some(stage.source()),
            Stage::Node(stage) => Some(stage.source()),
            Stage::Output(_) => None,
        }
    }

    /// Whether these changes make it due. A polled image is compared at each refresh.
    pub fn is_due(&self, changed: &BTreeSet<Source>) -> bool {
        match self {
            Stage::Image(stage) => {
                changed.contains(&stage.source()) || stage.reads(|source| changed.contains(&source))
            }
            Stage::Node(stage) => !stage.node.block.sources().is_disjoint(changed),
            Stage::Output(stage) => !stage.block.sources().is_disjoint(changed),
        }
    }

    /// Its statements for these changes, by name. Which of those for recomputed groups run, and how often,
    /// depends on the rows.
    pub fn statements(
        &self,
        context: Context<'_>,
        changed: &BTreeSet<Source>,
    ) -> Vec<(Cow<'static, str>, String)> {
        match self {
            Stage::Image(stage) => {
                let statements = stage.statements().into_iter();
                let none = BTreeSet::new();
                let printed = statements.filter_map(|statement| {
                    let changed = match statement {
                        Statement::Round => &none,
                        _ => changed,
                    };
                    let sql = stage.sql(context, &statement, changed)?;
                    Some((statement.name().into(), sql))
                });
                printed.collect()
            }
            Stage::Node(stage) => {
                let mut printed = named(stage.delta(context, changed));
                let more = stage.statements().into_iter();
                printed.extend(more.filter_map(|statement| {
                    let sql = stage.sql(context, &statement)?;
                    Some((statement.name().into(), sql))
                }));
                printed
            }
            Stage::Output(stage) => named(stage.delta(context, changed)),
        }
    }
}

/// The steps of a delta, and the delta.
fn named(delta: BlockDelta) -> Vec<(Cow<'static, str>, String)> {
    let steps = delta.steps.into_iter();
    let delta_of = (delta.terms).map(|terms| (Statement::Delta.name().into(), terms));
    steps
        .map(|step| (step.name.into(), step.sql))
        .chain(delta_of)
        .collect()
}

impl ImageStage<'_> {
    /// What others read.
    pub fn source(&self) -> Source {
        Source::Image(self.image.id)
    }

    /// Whether the subquery reads a table of which this is so.
    pub fn reads(&self, is_changed: impl Fn(Source) -> bool) -> bool {
        let mut sources = self.image.opaque.sources.iter();
        sources.any(|source| is_changed(Source::Table(source.oid)))
    }

    /// Its statements. A recursion runs the last only after a large change.
    fn statements(&self) -> Vec<Statement> {
        match &self.image.recursion {
            None => vec![Statement::Content],
            Some(rule) => {
                let mut statements = vec![Statement::Derived, Statement::Round];
                if rule.distinct {
                    statements.push(Statement::Rederived(Vec::new()));
                }
                statements.push(Statement::Content);
                statements
            }
        }
    }

    /// The text of a statement; `None` when it derives nothing from these changes. A round reads only the deltas that
    /// exist.
    pub fn sql(
        &self,
        context: Context<'_>,
        statement: &Statement,
        changed: &BTreeSet<Source>,
    ) -> Option<String> {
        let rule = self.image.recursion.as_ref();
        match statement {
            Statement::Content => Some(image::content(self.image)),
            Statement::Derived => recursion::changes(context, rule?, changed),
            Statement::Round => Some(recursion::step(context, self.image, rule?, changed)),
            Statement::Rederived(nulls) => Some(recursion::rederive(context, rule?, nulls)),
            _ => None,
        }
    }
}

impl<'a> NodeStage<'a> {
    fn of(plan: &'a Plan, node: &'a Node) -> Self {
        let is_last = plan.nodes.last().is_some_and(|last| last.id == node.id);
        let (emit, output) = match &plan.output {
            Output::Post {
                predicates,
                exprs,
                identity,
            } if is_last => {
                let emit = Emit {
                    predicates,
                    exprs: exprs.into(),
                    // The stream table finds it by key.
                    with_old: matches!(identity, Identity::Image),
                };
                (emit, Some(identity))
            }
            _ => {
                let emit = Emit {
                    predicates: &[],
                    exprs: node.columns().iter().map(Expr::of).collect(),
                    with_old: true,
                };
                (emit, None)
            }
        };
        let way = match node.partition() {
            None if node.keeps_rows() => Way::Rows,
            None => Way::Groups,
            Some(Partition::Window {
                calls,
                order: Some(order),
            }) if output.is_none() => Way::Reach(order, calls),
            Some(rule) => Way::Partitions(rule),
        };
        NodeStage {
            node,
            way,
            emit,
            output,
        }
    }

    /// What others read.
    pub fn source(&self) -> Source {
        Source::Node(self.node.id)
    }

    /// What is touched by these changes.
    pub fn delta(&self, context: Context<'_>, changed: &BTreeSet<Source>) -> BlockDelta {
        state::delta(context, self.node, changed)
    }

    /// What runs after the delta. Windows are recomputed whole only if a NULL in the order changed.
    fn statements(&self) -> Vec<Statement> {
        use Statement::{Around, Combine, Recompute, Regions, Results, Stored};
        let again = Recompute(Vec::new());
        match self.way {
            Way::Rows => Vec::new(),
            Way::Groups => {
                let combine = self.node.is_combined().then_some(Combine);
                let again = self.node.may_recompute().then_some(again);
                combine.into_iter().chain(again).collect()
            }
            Way::Partitions(_) => vec![again],
            Way::Reach(..) => vec![Regions, Stored, Around, Results, again],
        }
    }

    /// The text of a statement outside the delta; `None` for those that such a node does not have.
    pub fn sql(&self, context: Context<'_>, statement: &Statement) -> Option<String> {
        let node = self.node;
        Some(match (statement, self.way) {
            (Statement::Initial, _) => state::initial(context, node),
            (Statement::Combine, Way::Groups) => aggregate::combine(node, &self.emit),
            (Statement::Recompute(nulls), Way::Groups) => {
                aggregate::recompute(context, node, &self.emit, nulls)
            }
            (Statement::Recompute(nulls), Way::Partitions(_) | Way::Reach(..)) => {
                partition::recompute(context, node, node.partition()?, &self.emit, nulls)
            }
            (Statement::Regions, Way::Reach(order, calls)) => {
                reach::regions(context, node, order, calls)
            }
            (Statement::Stored, Way::Reach(order, _)) => reach::stored(context, node, order),
            (Statement::Around, Way::Reach(order, _)) => reach::rows(context, node, order),
            (Statement::Results, Way::Reach(order, calls)) => reach::results(node, order, calls),
            _ => return None,
        })
    }
}

impl OutputStage<'_> {
    /// How the stream table changes.
    pub fn delta(&self, context: Context<'_>, changed: &BTreeSet<Source>) -> BlockDelta {
        output::delta(context, changed)
    }
}

impl Statement {
    /// What an explanation calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Statement::Content => "content",
            Statement::Derived => "derived rows",
            Statement::Round => "round",
            Statement::Rederived(_) => "rederived rows",
            Statement::Step(_) => "step",
            Statement::Delta => "delta",
            Statement::Combine => "combine",
            Statement::Recompute(_) => "recomputation",
            Statement::Regions => "reach",
            Statement::Stored => "stored rows",
            Statement::Around => "rows around",
            Statement::Results => "results",
            Statement::Initial => "state",
        }
    }
}
