//! One SELECT: FROM, WHERE, grouping, output columns, DISTINCT.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Expr, Relation};

use super::analyzer::{Access, Analyzer, Derived};
use super::computed::{entry_content, with_sets};
use super::grouping::is_grouped;
use super::range::Needed;
use super::scope::Scope;
use super::stage::Stage;
use crate::capability::{
    DISTINCT, DISTINCT_ON, FILTER, LIMIT, ORDER_BY, PROJECTION, ROW_MARKS, SINGLE_ROW,
    UNKNOWN_CONSTRUCT, WINDOW_FUNCTION,
};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::{query, types};

/// An output column that somebody needs.
struct Output {
    /// Position in the result; `None` where it only orders, or only makes rows.
    position: Option<usize>,
    name: String,
    flat: Node,
}

impl Analyzer {
    /// Analyses one query level and everything below it.
    pub fn query(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        parent: Option<&Scope<'_>>,
        access: &Access,
        needed: &Needed,
    ) -> Result<Derived> {
        node::check_stack_depth();
        if !self.enter_level() {
            return Ok(Derived {
                relation: Relation::SingleRow,
                columns: Vec::new(),
                ordered: false,
            });
        }
        self.check_clauses(&query);
        match Node::new(query.setOperations).and_then(Node::cast) {
            Some(operation) => {
                let scope = Scope {
                    query,
                    parent,
                    offered: None,
                };
                self.set_operation(query, operation, &scope, access, needed)
            }
            None => self.select(query, parent, access, needed),
        }
    }

    fn select(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        parent: Option<&Scope<'_>>,
        access: &Access,
        needed: &Needed,
    ) -> Result<Derived> {
        let distinct = node::list_length(query.distinctClause) > 0;
        let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
        let width = targets.iter().filter(|t| !t.resjunk).count();
        let outputs: Vec<Output> = targets
            .iter()
            .filter_map(|target| {
                let flat = query::flatten(query, Node::new(target.expr)?);
                let position = (target.resno as usize).checked_sub(1);
                let is_read = distinct || needed.contains(target.resno);
                let position = position.filter(|_| !target.resjunk && is_read);
                (position.is_some() || types::returns_set(flat)).then(|| Output {
                    position,
                    name: node::text(target.resname),
                    flat,
                })
            })
            .collect();
        let level = self.level(query, parent, access, &roots(query, &outputs))?;

        let from = Node::new(query.jointree).and_then(Node::cast::<pg_sys::FromExpr>);
        if from.is_none_or(|from| node::list_length(from.fromlist) == 0) {
            self.note(&SINGLE_ROW, "no FROM clause");
        }
        let condition = from.and_then(|from| Node::new(from.quals));
        if condition.is_some() {
            self.note(&FILTER, "WHERE");
        }
        let joined = self.inputs_joined(&level)?;
        let mut relation = self.filter(Stage::new(&level, None), joined, condition)?;
        let grouping = if is_grouped(&query) {
            let mut above: Vec<Node> = outputs.iter().map(|output| output.flat).collect();
            above.extend(Node::new(query.havingQual).map(|having| query::flatten(query, having)));
            let (grouped, grouping) = self.group(&level, relation, &above)?;
            relation = grouped;
            Some(grouping)
        } else {
            None
        };
        let stage = Stage::new(&level, grouping.as_ref());
        let mut derived = self.project(stage, relation, outputs, width)?;
        if distinct {
            self.note(&DISTINCT, "SELECT DISTINCT");
            derived.relation = self.distinct(derived.relation);
        }
        Ok(derived)
    }

    fn project(
        &mut self,
        mut stage: Stage<'_>,
        input: Relation,
        outputs: Vec<Output>,
        width: usize,
    ) -> Result<Derived> {
        let mut ids = vec![None; width];
        let mut columns = Vec::with_capacity(outputs.len());
        let mut sets = Vec::new();
        for output in outputs {
            let bound = self.bind(&mut stage, output.flat)?;
            let mut expr = self.expression(bound);
            if types::returns_set(bound) {
                let (column, expanded) = self.set_output(bound, expr);
                expr = Expr::of(&column);
                sets.push((column, expanded));
            }
            let Some(position) = output.position else {
                continue;
            };
            if expr.as_column().is_none() {
                self.note(&PROJECTION, output.name.clone());
            }
            let scale = self.scale(bound);
            let ty = (bound.type_oid(), bound.typmod(), bound.collation());
            let column = self.add_column(output.name, ty, expr.nullable, scale);
            let explicit = self.says_collate(bound);
            self.set_explicit_collation(column.id, explicit);
            if let Some(id) = ids.get_mut(position) {
                *id = Some(column.id);
            }
            columns.push((column, expr));
        }
        let ordered = node::list_length(stage.level.query.sortClause) > 0;
        Ok(Derived {
            relation: Relation::Project {
                input: Box::new(with_sets(stage.over(input), sets)),
                columns,
            },
            columns: ids,
            ordered,
        })
    }

    /// Clauses that are refused, or ignored, as a whole.
    fn check_clauses(&mut self, query: &pg_sys::Query) {
        if query.commandType != pg_sys::CmdType::CMD_SELECT {
            self.refuse(&UNKNOWN_CONSTRUCT, "a statement that is not a SELECT");
        }
        if query.hasDistinctOn {
            self.refuse(&DISTINCT_ON, "DISTINCT ON");
        }
        if query.hasWindowFuncs || node::list_length(query.windowClause) > 0 {
            self.refuse(&WINDOW_FUNCTION, "window function");
        }
        if limits(query) {
            self.refuse(&LIMIT, "LIMIT or OFFSET");
        } else if node::list_length(query.sortClause) > 0 {
            self.note(&ORDER_BY, "ORDER BY");
        }
        if node::list_length(query.rowMarks) > 0 {
            self.refuse(&ROW_MARKS, "FOR UPDATE or FOR SHARE");
        }
    }
}

/// Whether LIMIT or OFFSET leaves rows out: `LIMIT ALL` and `OFFSET 0` do not.
fn limits(query: &pg_sys::Query) -> bool {
    let constant = |pointer| {
        let node = Node::new(pointer)?;
        let inner = match node.cast::<pg_sys::FuncExpr>() {
            Some(call) if call.funcid.to_u32() == pg_sys::F_INT8_INT4 => {
                node::list(call.args).first().copied()?
            }
            _ => node,
        };
        inner.cast::<pg_sys::Const>()
    };
    let counts = !query.limitCount.is_null()
        && constant(query.limitCount).is_none_or(|count| !count.constisnull);
    let skips = !query.limitOffset.is_null()
        && constant(query.limitOffset)
            .is_none_or(|offset| !offset.constisnull && offset.constvalue.value() != 0);
    counts || skips
}

/// Every flattened expression of the level that its inputs are read for.
fn roots(query: NodeOf<pg_sys::Query>, outputs: &[Output]) -> Vec<Node> {
    let mut roots: Vec<Node> = outputs.iter().map(|output| output.flat).collect();
    let grouped: Vec<u32> = node::list_of::<pg_sys::SortGroupClause>(query.groupClause)
        .iter()
        .map(|clause| clause.tleSortGroupRef)
        .collect();
    roots.extend(
        node::list_of::<pg_sys::TargetEntry>(query.targetList)
            .into_iter()
            .filter(|target| target.ressortgroupref > 0)
            .filter(|target| grouped.contains(&target.ressortgroupref))
            .filter_map(|target| Node::new(target.expr)),
    );
    roots.extend(Node::new(query.jointree));
    roots.extend(Node::new(query.havingQual));
    roots.extend(
        node::list_of::<pg_sys::RangeTblEntry>(query.rtable)
            .iter()
            .filter_map(|entry| entry_content(entry)),
    );
    roots
        .into_iter()
        .map(|root| query::flatten(query, root))
        .collect()
}
