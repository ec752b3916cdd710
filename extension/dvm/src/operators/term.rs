//! A term of a delta: scans in their roles, and the FROM clause that they make.

use std::collections::BTreeSet;

use crate::plan::{BlockScan, Branch, Factor, Matched, Outer, Plan};
use crate::sql::names::{self, PRESENT, image_table, state_table};
use crate::sql::printing::{Printed, render_over};
use crate::tree::{ColumnId, Predicate};

use super::conjunction::conjunction;
use super::links::Links;
use super::order::{Condition, IN_ORDER, Item, ordered};
use super::{bound, condition, stored, visible};

/// What a scan stands for in a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The relation as the snapshot shows it.
    State,
    /// The relation's delta.
    Delta,
    /// A row of NULLs for each row that lost its last match, less one for each that found its first: the
    /// negated delta of the set of matches. Only for null-supplying sides of outer joins.
    Unmatched,
}

/// A factor that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    /// Its position in the branch.
    pub position: usize,
    /// The ways in which it changed: each is a summand of its delta.
    pub roles: Vec<Role>,
}

/// What statements must know of where nodes keep their state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Qualified prefix of state table names; the node's number follows.
    pub state_prefix: &'a str,
    /// How rows are found there through links.
    pub links: Links,
}

impl Stored<'_> {
    /// What stands in FROM for a scan's state, before its alias.
    fn state(&self, scan: &BlockScan, printed: &Printed) -> String {
        match scan {
            BlockScan::Expand { item, .. } => format!("LATERAL {}", render_over(item, printed)),
            BlockScan::Table(table) => table.relation.clone(),
            BlockScan::Node { node, .. } => {
                let output = self.plan.nodes.get(*node).map_or_else(String::new, |node| {
                    stored::output(node, &state_table(self.state_prefix, node.id))
                });
                format!("({output})")
            }
            BlockScan::Image { image, .. } => image_table(self.state_prefix, *image),
            // What it says is an expression.
            BlockScan::Bound { .. } | BlockScan::Condition { .. } => "(SELECT 1 AS one)".into(),
        }
    }
}

/// The FROM clause of a term, built factor by factor, and the conditions that its factors bring.
pub(crate) struct FromClause<'a> {
    stored: Stored<'a>,
    items: Vec<Item>,
    conditions: Vec<Condition>,
    /// The weights to multiply.
    pub weights: Vec<String>,
    /// Whether the product is negated by rows of NULLs.
    pub negative: bool,
    /// How columns print.
    pub printed: Printed,
}

/// A term of up to this many relations leaves their order to the planner.
pub(crate) const PLANNED_FREELY: usize = 8;

impl<'a> FromClause<'a> {
    /// Nothing yet.
    pub fn new(stored: Stored<'a>) -> Self {
        FromClause {
            stored,
            items: Vec::new(),
            conditions: Vec::new(),
            weights: Vec::new(),
            negative: false,
            printed: Printed::new(),
        }
    }

    /// Adds the delta of a prefix, whose columns print as given.
    pub fn add_prefix(&mut self, name: &str, columns: Printed) {
        self.items.push(Item {
            relation: format!("{name} AS p"),
            on: None,
            columns: columns.keys().copied().collect(),
            reads: BTreeSet::new(),
            is_delta: true,
        });
        self.weights.push(format!("p.{}", names::WEIGHT));
        self.printed.extend(columns);
    }

    /// Adds the factor at `position` of the branch in its role. `marks` says whether the query reads whether it
    /// has a match.
    pub fn add(&mut self, factor: &Factor, role: Role, position: usize, marks: bool) {
        let alias = format!("s{position}");
        match (&factor.outer, role) {
            (None, Role::State) => {
                let state = self.stored.state(&factor.scan, &self.printed);
                let list = column_list(&factor.scan);
                let relation = format!("{state} AS {alias}{list}");
                self.items.push(item(factor, relation, None));
                self.print_scan(&factor.scan, role, &alias);
                self.add_comparison(&factor.scan);
            }
            (None, _) => self.add_delta(&factor.scan, &alias),
            (Some(outer), Role::State) => {
                let state = self.stored.state(&factor.scan, &self.printed);
                let names = state_names(&factor.scan);
                let list = column_list(&factor.scan);
                let mark = mark_beside(&names);
                let relation = if marks {
                    let mut items = names;
                    items.push(format!("true AS {mark}"));
                    format!(
                        "(SELECT {} FROM {state} AS m{list}) AS {alias}",
                        items.join(", ")
                    )
                } else {
                    format!("{state} AS {alias}{list}")
                };
                self.print_scan(&factor.scan, role, &alias);
                let on = self.printed_conditions(&outer.on);
                self.printed
                    .insert(outer.present, format!("({alias}.{mark} IS NOT NULL)"));
                self.items.push(item(factor, relation, Some(on)));
            }
            (Some(outer), Role::Delta) => {
                self.add_delta(&factor.scan, &alias);
                self.add_conditions(&outer.on);
                self.printed.insert(outer.present, "true".into());
            }
            (Some(outer), Role::Unmatched) => {
                match &outer.matched {
                    Matched::Itself => {
                        self.add_delta(&factor.scan, &alias);
                        self.add_conditions(&outer.on);
                    }
                    Matched::Set { node, columns, on } => {
                        let set = BlockScan::Node {
                            node: *node,
                            columns: columns.clone(),
                        };
                        self.add_delta(&set, &alias);
                        self.add_conditions(on);
                    }
                }
                self.negative = !self.negative;
                for column in factor.scan.columns() {
                    self.printed.insert(column.id, column.ty.null_sql());
                }
                self.printed.insert(outer.present, "false".into());
            }
        }
    }

    /// Adds what a comparison with a bound says: a condition, or how its column prints.
    fn add_comparison(&mut self, scan: &BlockScan) {
        let images = self.stored.plan.images.as_slice();
        if let BlockScan::Bound { image, .. } = scan
            && let Some(bound) = images.get(*image)
            && let Some(kept) = bound::state(scan, bound, &self.printed)
        {
            self.add_condition(kept);
        }
        self.printed
            .extend(condition::state(scan, images, &self.printed));
    }

    fn add_delta(&mut self, scan: &BlockScan, alias: &str) {
        let Some(source) = scan.source() else {
            return;
        };
        let compared = condition::delta(scan, source, alias, &self.printed);
        let (relation, condition) = match (compared, scan) {
            (Some(passed), _) => {
                let (id, text) = passed.column;
                self.printed.insert(id, text);
                (passed.item, Some(passed.condition))
            }
            (None, BlockScan::Table(table)) => (visible::delta(table, names::delta(source)), None),
            (None, _) => match bound::delta(scan, source, &self.printed) {
                Some((item, condition)) => (item, Some(condition)),
                None => (names::delta(source), None),
            },
        };
        self.items.push(Item {
            relation: format!("{relation} AS {alias}"),
            on: None,
            columns: scan.column_ids().into_iter().collect(),
            reads: BTreeSet::new(),
            is_delta: true,
        });
        self.weights.push(format!("{alias}.{}", names::WEIGHT));
        match condition {
            Some(condition) => self.add_condition(condition),
            None => self.print_scan(scan, Role::Delta, alias),
        }
    }

    fn print_scan(&mut self, scan: &BlockScan, role: Role, alias: &str) {
        match scan {
            BlockScan::Table(table) => {
                for column in &table.columns {
                    let name = match role {
                        Role::State => column.quoted.clone(),
                        _ => names::attribute(column.attnum),
                    };
                    self.printed
                        .insert(column.column.id, format!("{alias}.{name}"));
                }
            }
            BlockScan::Bound { .. } | BlockScan::Condition { .. } => {}
            BlockScan::Node { columns, .. }
            | BlockScan::Image { columns, .. }
            | BlockScan::Expand { columns, .. } => {
                for (index, column) in columns.iter().enumerate() {
                    self.printed
                        .insert(column.id, format!("{alias}.{}", names::column(index)));
                }
            }
        }
    }

    /// Adds a condition of the engine's own.
    pub fn add_condition(&mut self, text: String) {
        self.add_link(text, BTreeSet::new(), BTreeSet::new());
    }

    /// The same for one that reads these columns, some of which are not NULL where it holds.
    pub fn add_link(
        &mut self,
        text: String,
        columns: BTreeSet<ColumnId>,
        not_null: BTreeSet<ColumnId>,
    ) {
        self.conditions.push(Condition {
            text,
            columns,
            not_null,
            link: None,
        });
    }

    /// Adds conditions over the columns so far.
    pub fn add_conditions<'p>(&mut self, predicates: impl IntoIterator<Item = &'p Predicate>) {
        let added = self.printed_conditions(predicates);
        self.conditions.extend(added);
    }

    fn printed_conditions<'p>(
        &self,
        predicates: impl IntoIterator<Item = &'p Predicate>,
    ) -> Vec<Condition> {
        let predicates = predicates.into_iter();
        predicates
            .map(|p| Condition::new(p, &self.printed))
            .collect()
    }

    /// Appends FROM and WHERE. The planner orders up to `free` relations; more are joined in our order.
    pub fn write(self, sql: &mut String, free: usize) {
        let mut conditions = self.conditions;
        let links = self.stored.links;
        let items = if self.items.len() > free {
            let items = ordered(self.items, &mut conditions);
            let from = format!("\nFROM {IN_ORDER} ");
            write_items(sql, &items, links, &from, " CROSS JOIN ");
            items
        } else {
            let has_outer = self.items.iter().any(|item| item.on.is_some());
            // A comma binds weaker than JOIN: what stands before it is not visible in ON.
            let separator = if has_outer { " CROSS JOIN " } else { ", " };
            write_items(sql, &self.items, links, "\nFROM ", separator);
            self.items
        };
        if !conditions.is_empty() {
            sql.push_str("\nWHERE ");
            sql.push_str(&conjunction(&conditions, &items, links));
        }
    }
}

fn write_items(sql: &mut String, items: &[Item], links: Links, from: &str, separator: &str) {
    for (i, item) in items.iter().enumerate() {
        if i == 0 {
            sql.push_str(from);
        }
        match &item.on {
            None => {
                if i > 0 {
                    sql.push_str(separator);
                }
                sql.push_str(&item.relation);
            }
            Some(on) => {
                if i == 0 {
                    sql.push_str("(SELECT 1) AS one");
                }
                sql.push_str(" LEFT JOIN ");
                sql.push_str(&item.relation);
                sql.push_str(" ON (");
                sql.push_str(&conjunction(on, items, links));
                sql.push(')');
            }
        }
    }
}

/// The item of a factor's state.
fn item(factor: &Factor, relation: String, on: Option<Vec<Condition>>) -> Item {
    Item {
        relation,
        on,
        columns: factor.column_ids().into_iter().collect(),
        reads: factor.scan.reads(),
        is_delta: false,
    }
}

/// The names of a scan's columns in its state.
fn state_names(scan: &BlockScan) -> Vec<String> {
    match scan {
        BlockScan::Table(table) => table.columns.iter().map(|c| c.quoted.clone()).collect(),
        BlockScan::Bound { .. } | BlockScan::Condition { .. } => Vec::new(),
        BlockScan::Node { columns, .. }
        | BlockScan::Image { columns, .. }
        | BlockScan::Expand { columns, .. } => (0..columns.len()).map(names::column).collect(),
    }
}

/// Names for the columns of computed rows; other scans have names of their own.
fn column_list(scan: &BlockScan) -> String {
    match scan {
        BlockScan::Expand { columns, .. } if !columns.is_empty() => {
            let names: Vec<String> = (0..columns.len()).map(names::column).collect();
            format!("({})", names.join(", "))
        }
        _ => String::new(),
    }
}

/// A name for the mark of matched rows that none of these columns has.
fn mark_beside(names: &[String]) -> String {
    let mut mark = PRESENT.to_owned();
    while names.contains(&mark) {
        mark.push('_');
    }
    mark
}

/// Whether the branch reads whether this factor has a match: in what later scans are computed from, in
/// conditions, or in its outputs.
pub(crate) fn reads_present(branch: &Branch, factor: &Factor) -> bool {
    let Some(outer) = &factor.outer else {
        return false;
    };
    let computed = |f: &Factor| f.scan.reads().contains(&outer.present);
    if branch.scans.iter().any(computed) {
        return true;
    }
    let later = branch
        .scans
        .iter()
        .filter_map(|f| f.outer.as_ref())
        .flat_map(Outer::conditions);
    branch
        .predicates
        .iter()
        .chain(later)
        .map(|p| &p.expr)
        .chain(&branch.outputs)
        .any(|expr| expr.columns().contains(&outer.present))
}
