//! Subqueries that are computed whole: recursion, and tables whose changes cannot be captured.
//!
//! The server prints them. Here they are searched only for what they read and for other things they
//! depend on.

use std::collections::{BTreeMap, BTreeSet};

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, Opaque, OpaqueSource, Relation};

use super::analyzer::Analyzer;
use super::clock::reads_start;
use super::derived::{Access, Derived};
use super::display_scale::Scale;
use super::implied::spell_out;
use super::input::Range;
use super::range::access_of;
use super::scope::Scope;
use super::sources::selected;
use crate::capability::{
    RECURSIVE_CTE, RECURSIVE_CTE_OUTSIDE, RECURSIVE_CTE_WHOLE, ROW_MARKS, TABLESAMPLE, TIME_FILTER,
    UNKNOWN_CONSTRUCT,
};
use crate::error::Result;
use crate::pg::deparse;
use crate::pg::from_item::{self, ItemColumn};
use crate::pg::make_node::{make_null, make_with};
use crate::pg::name;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::table::TableFacts;

/// What an opaque subquery reads.
#[derive(Default)]
struct Reads {
    tables: BTreeMap<u32, BTreeSet<i16>>,
    polled: bool,
}

impl Analyzer {
    /// A table whose changes cannot be captured: each refresh reads it.
    pub fn polled_table(&mut self, facts: &TableFacts, used: &BTreeSet<i16>) -> Range {
        let mut ids = Vec::new();
        let mut columns = Vec::new();
        let mut names = Vec::new();
        for attribute in &facts.attributes {
            let position = usize::try_from(attribute.attnum - 1).unwrap_or(0);
            ids.resize(ids.len().max(position + 1), None);
            if !used.contains(&attribute.attnum) {
                continue;
            }
            let ty = (attribute.type_oid, attribute.typmod, attribute.collation);
            // What another server says of its columns need not be true.
            let column = self.add_column(&attribute.name, ty, true, Scale::Unknown);
            if let Some(id) = ids.get_mut(position) {
                *id = Some(column.id);
            }
            names.push(name::quote(&attribute.name));
            columns.push(column);
        }
        Range::Derived(Derived {
            relation: Relation::Opaque(Opaque {
                query: format!("SELECT {} FROM {}", names.join(", "), facts.qualified),
                columns,
                sources: Vec::new(),
                polled: true,
                recursion: None,
            }),
            columns: ids,
            ordered: false,
        })
    }

    /// A reference to a recursive CTE of the level that `scope` is.
    pub fn recursive(
        &mut self,
        scope: &Scope<'_>,
        cte: NodeOf<pg_sys::CommonTableExpr>,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        used: &BTreeSet<i16>,
        access: &Access,
    ) -> Result<Range> {
        let name = node::text(cte.ctename);
        let Some(needed) = self.needed_ctes(scope.query, cte) else {
            return Ok(Range::Other);
        };
        let mut reads = Reads::default();
        for cte in &needed {
            if let Some(query) = Node::new(cte.ctequery).and_then(Node::cast) {
                reads.polled |= self.check_opaque(query)?;
                self.reads_of(query, access, &mut reads)?;
            }
        }
        let all = from_item::columns(entry);
        let recursion = match reads.polled {
            true => None,
            false => self.recursion(scope, cte, &needed, entry, access)?,
        };
        let kind = match recursion {
            Some(_) => &RECURSIVE_CTE,
            None => &RECURSIVE_CTE_WHOLE,
        };
        self.note(kind, format!("WITH RECURSIVE {name}"));
        // A recursion by deltas keeps its rows as a whole.
        let is_read = |c: &&ItemColumn| recursion.is_some() || used.contains(&c.attnum);
        let read: Vec<&ItemColumn> = all.iter().filter(is_read).collect();
        let mut ids = vec![None; all.len()];
        let columns: Vec<Column> = read
            .iter()
            .map(|ItemColumn { attnum, name, var }| {
                let ty = (var.type_oid(), var.typmod(), var.collation());
                let column = self.add_column(name, ty, true, Scale::Unknown);
                let position = usize::try_from(attnum - 1).unwrap_or(usize::MAX);
                if let Some(id) = ids.get_mut(position) {
                    *id = Some(column.id);
                }
                column
            })
            .collect();
        let Some(text) = with_text(&needed, entry, &read) else {
            self.refuse(&UNKNOWN_CONSTRUCT, format!("WITH RECURSIVE {name}"));
            return Ok(Range::Other);
        };
        let sources = reads.tables.into_iter().map(|(oid, attnums)| {
            self.use_columns(oid.into(), attnums.iter().copied());
            OpaqueSource {
                oid,
                attnums: attnums.into_iter().collect(),
            }
        });
        let sources = sources.collect();
        Ok(Range::Derived(Derived {
            relation: Relation::Opaque(Opaque {
                query: text,
                columns,
                sources,
                polled: reads.polled,
                recursion: recursion.map(Box::new),
            }),
            columns: ids,
            ordered: false,
        }))
    }

    /// The CTE and those of its level that it names, directly or not, in their order. Refuses one that
    /// reads anything outside of that level.
    fn needed_ctes(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        cte: NodeOf<pg_sys::CommonTableExpr>,
    ) -> Option<Vec<NodeOf<pg_sys::CommonTableExpr>>> {
        let all = node::list_of::<pg_sys::CommonTableExpr>(query.cteList);
        let mut needed = BTreeSet::from([node::text(cte.ctename)]);
        let mut open = vec![cte];
        while let Some(cte) = open.pop() {
            let inner = Node::new(cte.ctequery).and_then(Node::cast)?;
            let mut outside = Outside::default();
            outside.collect(inner, 1);
            if outside.reads_further {
                let name = node::text(cte.ctename);
                self.refuse(&RECURSIVE_CTE_OUTSIDE, format!("WITH RECURSIVE {name}"));
                return None;
            }
            for name in outside.ctes {
                let found = all.iter().find(|cte| node::text(cte.ctename) == name);
                if let Some(found) = found
                    && needed.insert(name)
                {
                    open.push(*found);
                }
            }
        }
        Some(
            all.into_iter()
                .filter(|cte| needed.contains(&node::text(cte.ctename)))
                .collect(),
        )
    }

    /// Refuses what makes the rows depend on more than what is read and the time. Whether they do depend on that.
    fn check_opaque(&mut self, query: NodeOf<pg_sys::Query>) -> Result<bool> {
        node::check_stack_depth();
        if node::list_length(query.rowMarks) > 0 {
            self.refuse(&ROW_MARKS, "FOR UPDATE or FOR SHARE");
        }
        let mut inner = Vec::new();
        let mut follows = false;
        for part in parts(query, &mut inner) {
            let part = spell_out(part);
            follows |= self.check_timed(part);
            self.check_printable(part);
        }
        for entry in node::list_of::<pg_sys::RangeTblEntry>(query.rtable) {
            if !entry.tablesample.is_null() {
                self.refuse(&TABLESAMPLE, "TABLESAMPLE");
            }
        }
        for query in inner {
            follows |= self.check_opaque(query)?;
        }
        Ok(follows)
    }

    /// Refuses what an expression reads besides rows and the start of the transaction. Whether it reads that.
    fn check_timed(&mut self, part: Node) -> bool {
        let mut moments = Vec::new();
        let timeless = part.replace(&mut |node| {
            if !reads_start(node) {
                return None;
            }
            moments.push(node);
            make_null(node.type_oid(), node.typmod(), node.collation())
        });
        for moment in &moments {
            self.note(&TIME_FILTER, deparse::expression(*moment));
            self.check_bound(*moment, None);
        }
        self.check_volatility(timeless);
        !moments.is_empty()
    }

    /// The tables below a query, checked like those that are read one by one.
    fn reads_of(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        access: &Access,
        reads: &mut Reads,
    ) -> Result<()> {
        node::check_stack_depth();
        let mut inner = Vec::new();
        parts(query, &mut inner);
        for query in inner {
            self.reads_of(query, access, reads)?;
        }
        let permissions = node::list_of::<pg_sys::RTEPermissionInfo>(query.rteperminfos);
        for entry in node::list_of::<pg_sys::RangeTblEntry>(query.rtable) {
            if entry.rtekind != pg_sys::RTEKind::RTE_RELATION {
                continue;
            }
            let Some(facts) = self.table(entry.relid) else {
                continue;
            };
            let access = access_of(query, entry, access);
            let info = (entry.perminfoindex as usize)
                .checked_sub(1)
                .and_then(|i| permissions.get(i));
            let used = info.map_or_else(BTreeSet::new, |info| selected(info, &facts));
            match facts.kind {
                pg_sys::RELKIND_VIEW => {
                    self.check_privileges(&facts, &used, &access);
                    let inner = self.view_query(facts.oid)?;
                    let access = Access {
                        through_view: true,
                        roles: access.roles,
                    };
                    reads.polled |= self.check_opaque(inner)?;
                    self.reads_of(inner, &access, reads)?;
                }
                pg_sys::RELKIND_FOREIGN_TABLE | pg_sys::RELKIND_MATVIEW => {
                    self.check_table(&facts, entry.inh, &used, &access)?;
                    self.refuse_secured(&facts, &access);
                    reads.polled = true;
                }
                _ => {
                    self.check_table(&facts, entry.inh, &used, &access)?;
                    self.refuse_secured(&facts, &access);
                    let read = reads.tables.entry(facts.oid.to_u32()).or_default();
                    read.extend(used);
                }
            }
        }
        Ok(())
    }
}

/// `WITH RECURSIVE … SELECT columns FROM entry`, as the server prints it.
pub(super) fn with_text(
    ctes: &[NodeOf<pg_sys::CommonTableExpr>],
    entry: NodeOf<pg_sys::RangeTblEntry>,
    columns: &[&ItemColumn],
) -> Option<String> {
    let vars: Vec<Node> = columns.iter().map(|column| column.var).collect();
    let whole = make_with(ctes, entry, &vars)?;
    Some(deparse::query(node::map_expressions(whole, &mut spell_out)))
}

/// Whether an expression reads nothing but tables, in subqueries of its own.
pub(super) fn reads_only_tables(expr: Node) -> bool {
    let mut outside = Outside::default();
    let mut inner = Vec::new();
    expr.walk(&mut |node| {
        outside.reads_further |= node.is::<pg_sys::Var>() || node.is::<pg_sys::Aggref>();
        inner.extend(node.cast::<pg_sys::Query>());
        Walk::Descend
    });
    for query in inner {
        outside.collect(query, 1);
    }
    !outside.reads_further && outside.ctes.is_empty()
}

/// What the definition of a CTE reads of the levels around it.
#[derive(Default)]
struct Outside {
    /// CTEs of its own level.
    ctes: BTreeSet<String>,
    /// Whether it reads anything further out.
    reads_further: bool,
}

impl Outside {
    /// Looks at a query that stands `depth` levels inside the level of the CTE.
    fn collect(&mut self, query: NodeOf<pg_sys::Query>, depth: u32) {
        node::check_stack_depth();
        for entry in node::list_of::<pg_sys::RangeTblEntry>(query.rtable) {
            if entry.rtekind == pg_sys::RTEKind::RTE_CTE {
                if entry.ctelevelsup == depth {
                    self.ctes.insert(node::text(entry.ctename));
                }
                self.reads_further |= entry.ctelevelsup > depth;
            }
        }
        let mut inner = Vec::new();
        for part in parts(query, &mut inner) {
            part.walk(&mut |node| {
                if let Some(var) = node.cast::<pg_sys::Var>() {
                    self.reads_further |= var.varlevelsup >= depth;
                } else if let Some(call) = node.cast::<pg_sys::Aggref>() {
                    self.reads_further |= call.agglevelsup >= depth;
                }
                Walk::Descend
            });
        }
        for query in inner {
            self.collect(query, depth + 1);
        }
    }
}

/// The expressions of one query level; the queries one level further in are added to `inner`.
fn parts(query: NodeOf<pg_sys::Query>, inner: &mut Vec<NodeOf<pg_sys::Query>>) -> Vec<Node> {
    let mut parts = Vec::new();
    node::walk_query(query, &mut |found| {
        if !found.is::<pg_sys::RangeTblEntry>() {
            parts.push(found);
        }
        Walk::Skip
    });
    for part in &parts {
        part.walk(&mut |node| {
            inner.extend(node.cast::<pg_sys::Query>());
            Walk::Descend
        });
    }
    parts.retain(|part| !part.is::<pg_sys::Query>());
    parts
}
