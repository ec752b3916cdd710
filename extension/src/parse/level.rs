//! One SELECT: FROM, WHERE, grouping, window functions, output columns, DISTINCT, LIMIT.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, ColumnId, Expr, Relation};

use super::analyzer::Analyzer;
use super::computed::{entry_content, with_sets};
use super::derived::{Access, Derived, Needed};
use super::grouping::is_grouped;
use super::grouping_sets::references;
use super::limit::is_by_value;
use super::order;
use super::scope::Scope;
use super::stage::{Stage, shown};
use super::window::Written;
use crate::capability::{DISTINCT, FILTER, PROJECTION, ROW_MARKS, SINGLE_ROW, UNKNOWN_CONSTRUCT};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::{query, types};

/// An output column that is needed.
struct Output {
    /// Position in the result; `None` where it only orders, or only makes rows.
    position: Option<usize>,
    /// Its number.
    number: i16,
    /// Whether a clause that cuts reads it.
    cuts: bool,
    /// What GROUP BY calls it, if it does.
    key: Option<u32>,
    name: String,
    flat: Node,
}

/// Output columns over the relation that they are selected from.
struct Selected {
    columns: Vec<(Column, Expr)>,
    /// Set-returning functions among them.
    sets: Vec<(Column, Expr)>,
    /// The columns by position in the result.
    ids: Vec<Option<ColumnId>>,
    /// The columns by number.
    numbers: Vec<(i16, ColumnId)>,
}

/// Whether each row is shown once.
fn is_distinct(query: &pg_sys::Query) -> bool {
    node::list_length(query.distinctClause) > 0 && !query.hasDistinctOn
}

/// The output columns that are needed.
fn outputs_of(
    query: NodeOf<pg_sys::Query>,
    targets: &[NodeOf<pg_sys::TargetEntry>],
    needed: &Needed,
) -> Vec<Output> {
    let distinct = is_distinct(&query);
    let cutting = order::read_by_cuts(&query);
    let grouping = references(query.groupClause);
    let output = |target: &NodeOf<pg_sys::TargetEntry>| {
        let flat = query::flatten(query, Node::new(target.expr)?);
        let position = (target.resno as usize).checked_sub(1);
        let is_read = distinct || needed.contains(target.resno);
        let position = position.filter(|_| !target.resjunk && is_read);
        let cuts = cutting.contains(&target.resno);
        (position.is_some() || cuts || types::returns_set(flat)).then(|| Output {
            position,
            number: target.resno,
            cuts,
            key: Some(target.ressortgroupref).filter(|r| grouping.contains(r)),
            name: node::text(target.resname),
            flat,
        })
    };
    targets.iter().filter_map(output).collect()
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
        let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
        let width = targets.iter().filter(|t| !t.resjunk).count();
        let outputs = outputs_of(query, &targets, needed);
        let written = Written::of(query, outputs.iter().map(|output| output.flat));
        let mut above: Vec<Node> = outputs.iter().map(|output| output.flat).collect();
        above.extend(written.roots(query));
        let level = self.level(query, parent, access, &roots(query, &above))?;

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
            above.extend(Node::new(query.havingQual).map(|having| query::flatten(query, having)));
            let (grouped, grouping) = self.group(&level, relation, &above)?;
            relation = grouped;
            Some(grouping)
        } else {
            None
        };
        let mut windows = self.windows(&level, grouping.as_ref(), &written)?;
        let known = std::mem::take(&mut windows.known);
        let mut stage = Stage::new(&level, grouping.as_ref());
        stage.windows = &known;
        let mut selected = self.select_list(&mut stage, outputs, width)?;
        if !known.is_empty() {
            let mut read = stage.reads();
            read.extend(selected.sets.iter().flat_map(|(_, expr)| expr.columns()));
            relation = self.windowed(windows, relation, &mut selected.columns, read);
        }
        relation = Relation::Project {
            input: Box::new(with_sets(stage.over(relation), selected.sets)),
            columns: selected.columns,
        };
        let column = |number| {
            let mut known = selected.numbers.iter();
            known.find(|(n, _)| *n == number).map(|(_, id)| *id)
        };
        if query.hasDistinctOn {
            relation = self.first_of_each(query, relation, &column);
        } else if is_distinct(&query) {
            self.note(&DISTINCT, "SELECT DISTINCT");
            relation = self.distinct(relation);
        }
        relation = match is_by_value(&query) {
            true => self.limited_by_value(&level, relation, &column)?,
            false => self.limited(query, relation, &column),
        };
        Ok(Derived {
            relation: shown(relation, &selected.ids),
            columns: selected.ids,
            ordered: node::list_length(query.sortClause) > 0,
        })
    }

    fn select_list(
        &mut self,
        stage: &mut Stage<'_>,
        outputs: Vec<Output>,
        width: usize,
    ) -> Result<Selected> {
        let mut selected = Selected {
            columns: Vec::with_capacity(outputs.len()),
            sets: Vec::new(),
            ids: vec![None; width],
            numbers: Vec::new(),
        };
        for output in outputs {
            let key = (output.key.zip(stage.grouping)).and_then(|(key, g)| g.key(key));
            let bound = match key.and_then(|id| self.parameter(id)) {
                Some(key) => key,
                None => self.bind(stage, output.flat)?,
            };
            let mut expr = self.expression(bound);
            if types::returns_set(bound) {
                let (column, expanded) = self.set_output(bound, expr);
                expr = Expr::of(&column);
                selected.sets.push((column, expanded));
            }
            if output.position.is_none() && !output.cuts {
                continue;
            }
            if expr.as_column().is_none() {
                self.note(&PROJECTION, output.name.clone());
            }
            let scale = self.scale(bound);
            let ty = (bound.type_oid(), bound.typmod(), bound.collation());
            let column = self.add_column(output.name, ty, expr.nullable, scale);
            let explicit = self.says_collate(bound);
            self.set_explicit_collation(column.id, explicit);
            let id = (output.position).and_then(|position| selected.ids.get_mut(position));
            if let Some(id) = id {
                *id = Some(column.id);
            }
            if output.cuts {
                selected.numbers.push((output.number, column.id));
            }
            selected.columns.push((column, expr));
        }
        Ok(selected)
    }

    /// Clauses that are refused, or ignored, as a whole.
    fn check_clauses(&mut self, query: &pg_sys::Query) {
        if query.commandType != pg_sys::CmdType::CMD_SELECT {
            self.refuse(&UNKNOWN_CONSTRUCT, "a statement that is not a SELECT");
        }
        if node::list_length(query.rowMarks) > 0 {
            self.refuse(&ROW_MARKS, "FOR UPDATE or FOR SHARE");
        }
    }
}

/// Every flattened expression of the level that its inputs are read for; `above` are those that stand above
/// its grouping.
fn roots(query: NodeOf<pg_sys::Query>, above: &[Node]) -> Vec<Node> {
    let mut roots = above.to_vec();
    let grouped = references(query.groupClause);
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
