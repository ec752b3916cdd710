//! The range table of one query level, and its FROM clause as a tree of joins.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{ColumnId, Index, Relation, Scan, ScanColumn};

use super::analyzer::{Access, Analyzer, Derived, Scope};
use super::scale::Scale;
use crate::capability::{
    CTE, INNER_JOIN, OUTER_JOIN, RECURSIVE_CTE, SET_RETURNING_FUNCTION, SUBQUERY, TABLE_FUNCTION,
    TABLESAMPLE, UNKNOWN_CONSTRUCT, VALUES, VIEW,
};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::table::TableFacts;
use crate::pg::{deparse, query, types};

/// An entry of the range table.
pub(super) enum Range {
    /// A table.
    Table {
        /// The scan.
        scan: Scan,
        /// Its columns by attribute number.
        columns: BTreeMap<i16, ColumnId>,
    },
    /// A subquery, view or CTE reference.
    Derived(Derived),
    /// A join or grouping entry, or something refused.
    Other,
}

/// One query level with its inputs analysed.
pub(super) struct Level {
    /// The query.
    pub query: NodeOf<pg_sys::Query>,
    ranges: Vec<Range>,
    names: Vec<String>,
}

impl Level {
    /// The column that a Var means.
    pub fn column(&self, varno: i32, attnum: i16) -> Option<ColumnId> {
        let range = self
            .ranges
            .get(usize::try_from(varno).ok()?.checked_sub(1)?)?;
        match range {
            Range::Table { columns, .. } => columns.get(&attnum).copied(),
            Range::Derived(derived) => {
                let position = usize::try_from(attnum).ok()?.checked_sub(1)?;
                derived.columns.get(position).copied().flatten()
            }
            Range::Other => None,
        }
    }

    /// Whether an input says ORDER BY.
    pub fn has_ordered_input(&self) -> bool {
        self.ranges
            .iter()
            .any(|range| matches!(range, Range::Derived(derived) if derived.ordered))
    }

    /// Whether a range table entry has columns at all.
    pub fn is_readable(&self, varno: i32) -> bool {
        usize::try_from(varno)
            .ok()
            .and_then(|n| self.ranges.get(n.checked_sub(1)?))
            .is_some_and(|range| !matches!(range, Range::Other))
    }

    /// The name of a range table entry, for messages.
    pub fn name_of(&self, varno: i32) -> &str {
        usize::try_from(varno)
            .ok()
            .and_then(|n| self.names.get(n.checked_sub(1)?))
            .map_or("", String::as_str)
    }
}

/// The output columns of a query that somebody reads.
#[derive(Debug, Clone)]
pub(super) enum Needed {
    /// All of them.
    All,
    /// Those at these positions (from 1).
    Only(BTreeSet<i16>),
}

impl Needed {
    /// Whether the column at this position (from 1) is read.
    pub fn contains(&self, position: i16) -> bool {
        match self {
            Needed::All => true,
            Needed::Only(positions) => positions.contains(&position),
        }
    }
}

/// The columns of each range table entry that a level reads, by range table index.
pub(super) type Usage = BTreeMap<i32, BTreeSet<i16>>;

impl Analyzer {
    /// Analyses the inputs of a level; `roots` are its flattened expressions.
    pub fn level(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        scope: &Scope<'_>,
        access: &Access,
        roots: &[Node],
    ) -> Result<Level> {
        let (usage, members) = usage(roots);
        let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
        let mut level = Level {
            query,
            ranges: Vec::with_capacity(entries.len()),
            names: Vec::with_capacity(entries.len()),
        };
        let nothing = BTreeSet::new();
        for (i, entry) in entries.into_iter().enumerate() {
            let index = i as i32 + 1;
            let used = usage.get(&index).unwrap_or(&nothing);
            level.names.push(entry_name(&entry));
            level.ranges.push(if members.contains(&index) {
                self.range(query, entry, used, scope, access)?
            } else {
                Range::Other
            });
        }
        Ok(level)
    }

    fn range(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        used: &BTreeSet<i16>,
        scope: &Scope<'_>,
        access: &Access,
    ) -> Result<Range> {
        use pg_sys::RTEKind as K;
        let name = entry_name(&entry);
        if !entry.tablesample.is_null() {
            self.refuse(&TABLESAMPLE, format!("TABLESAMPLE of {name}"));
        }
        match entry.rtekind {
            K::RTE_RELATION => self.relation(query, entry, used, scope, access),
            K::RTE_SUBQUERY => match Node::new(entry.subquery).and_then(Node::cast) {
                Some(subquery) => {
                    self.note(&SUBQUERY, name);
                    let derived = self.query(subquery, Some(scope), access, &needed(used))?;
                    Ok(Range::Derived(derived))
                }
                None => Ok(Range::Other),
            },
            K::RTE_CTE => self.cte(entry, used, scope, access),
            K::RTE_RESULT => Ok(Range::Derived(Derived {
                relation: Relation::SingleRow,
                columns: Vec::new(),
                ordered: false,
            })),
            kind => {
                let (capability, what) = match kind {
                    K::RTE_FUNCTION => (&SET_RETURNING_FUNCTION, "function in FROM:"),
                    K::RTE_TABLEFUNC => (&TABLE_FUNCTION, "table function"),
                    K::RTE_VALUES => (&VALUES, "VALUES list"),
                    _ => (&UNKNOWN_CONSTRUCT, "range table entry"),
                };
                self.refuse(capability, format!("{what} {name}"));
                Ok(Range::Other)
            }
        }
    }

    fn relation(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        used: &BTreeSet<i16>,
        scope: &Scope<'_>,
        access: &Access,
    ) -> Result<Range> {
        let Some(facts) = self.table(entry.relid) else {
            self.refuse(&UNKNOWN_CONSTRUCT, entry_name(&entry));
            return Ok(Range::Other);
        };
        let access = access_of(query, entry, access);
        if facts.kind == pg_sys::RELKIND_VIEW {
            self.note(&VIEW, facts.qualified.clone());
            self.check_privileges(&facts, used, &access);
            let inner = query::of_view(facts.oid)?;
            let access = Access {
                through_view: true,
                roles: access.roles,
            };
            // A view's query stands for itself: it sees no CTE of the query that names it.
            let _ = scope;
            let derived = self.query(inner, None, &access, &needed(used))?;
            return Ok(Range::Derived(derived));
        }
        if !self.check_table(&facts, entry.inh, used, &access)? {
            return Ok(Range::Other);
        }
        Ok(self.scan(&facts, entry.inh, used))
    }

    fn scan(&mut self, facts: &Rc<TableFacts>, with_children: bool, used: &BTreeSet<i16>) -> Range {
        let mut columns = Vec::new();
        let mut ids = BTreeMap::new();
        for attribute in facts.attributes.iter().filter(|a| used.contains(&a.attnum)) {
            let scale = match types::base_type(attribute.type_oid, attribute.typmod) {
                (pg_sys::NUMERICOID, typmod) => Scale::of_typmod(typmod),
                _ => Scale::Unknown,
            };
            let column = self.add_column(
                &attribute.name,
                (attribute.type_oid, attribute.typmod, attribute.collation),
                !attribute.not_null,
                scale,
            );
            ids.insert(attribute.attnum, column.id);
            columns.push(ScanColumn {
                column,
                attnum: attribute.attnum,
                quoted: deparse::quoted(&attribute.name),
            });
        }
        self.use_columns(facts.oid, ids.keys().copied());
        let only = !with_children && facts.kind == pg_sys::RELKIND_RELATION && facts.has_children;
        let not_null = |attnum: i16| {
            facts
                .attribute(attnum)
                .is_some_and(|attribute| attribute.not_null)
        };
        Range::Table {
            scan: Scan {
                oid: facts.oid.to_u32(),
                relation: format!("{}{}", if only { "ONLY " } else { "" }, facts.qualified),
                columns,
                indexes: facts
                    .indexes
                    .iter()
                    .map(|index| Index {
                        attnums: index.attnums.clone(),
                        identifies_row: index.is_unique
                            && index.attnums.iter().all(|a| a.is_some_and(not_null)),
                    })
                    .collect(),
            },
            columns: ids,
        }
    }

    fn cte(
        &mut self,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        used: &BTreeSet<i16>,
        scope: &Scope<'_>,
        access: &Access,
    ) -> Result<Range> {
        let name = node::text(entry.ctename);
        let mut defining = Some(scope);
        for _ in 0..entry.ctelevelsup {
            defining = defining.and_then(|scope| scope.parent);
        }
        let definition = defining.and_then(|scope| {
            node::list_of::<pg_sys::CommonTableExpr>(scope.query.cteList)
                .into_iter()
                .find(|cte| node::text(cte.ctename) == name)
                .map(|cte| (scope, cte))
        });
        let Some((scope, cte)) = definition else {
            self.refuse(&UNKNOWN_CONSTRUCT, format!("WITH {name}"));
            return Ok(Range::Other);
        };
        if cte.cterecursive || entry.self_reference {
            self.refuse(&RECURSIVE_CTE, format!("WITH RECURSIVE {name}"));
            return Ok(Range::Other);
        }
        let Some(inner) = Node::new(cte.ctequery).and_then(Node::cast::<pg_sys::Query>) else {
            self.refuse(&UNKNOWN_CONSTRUCT, format!("WITH {name}"));
            return Ok(Range::Other);
        };
        self.note(&CTE, name);
        let copy = node::copy_query(inner);
        let derived = self.query(copy, Some(scope), access, &needed(used))?;
        Ok(Range::Derived(derived))
    }

    /// The FROM clause as a tree: explicit joins, and cross joins between its items.
    pub fn inputs_joined(&mut self, level: &mut Level) -> Relation {
        let from = Node::new(level.query.jointree).and_then(Node::cast::<pg_sys::FromExpr>);
        let items = from.map_or_else(Vec::new, |from| node::list(from.fromlist));
        let mut relation: Option<Relation> = None;
        for item in items {
            let right = self.join_tree(level, item);
            relation = Some(match relation {
                None => right,
                Some(left) => {
                    self.note(&INNER_JOIN, "cross join");
                    Relation::Join {
                        left: Box::new(left),
                        right: Box::new(right),
                        predicates: Vec::new(),
                    }
                }
            });
        }
        relation.unwrap_or(Relation::SingleRow)
    }

    fn join_tree(&mut self, level: &mut Level, item: Node) -> Relation {
        node::check_stack_depth();
        if let Some(reference) = item.cast::<pg_sys::RangeTblRef>() {
            let range = usize::try_from(reference.rtindex)
                .ok()
                .and_then(|n| level.ranges.get(n.checked_sub(1)?));
            return match range {
                Some(Range::Table { scan, .. }) => Relation::Scan(scan.clone()),
                Some(Range::Derived(derived)) => derived.relation.clone(),
                Some(Range::Other) | None => Relation::SingleRow,
            };
        }
        let Some(join) = item.cast::<pg_sys::JoinExpr>() else {
            self.refuse(&UNKNOWN_CONSTRUCT, "item in FROM");
            return Relation::SingleRow;
        };
        let kind = join_kind(join.jointype);
        if join.jointype == pg_sys::JoinType::JOIN_INNER {
            self.note(&INNER_JOIN, kind);
        } else {
            self.refuse(&OUTER_JOIN, kind);
        }
        let mut side = |pointer| {
            Node::new(pointer).map_or(Relation::SingleRow, |node| self.join_tree(level, node))
        };
        let left = Box::new(side(join.larg));
        let right = Box::new(side(join.rarg));
        Relation::Join {
            left,
            right,
            predicates: self.predicates(level, Node::new(join.quals), None),
        }
    }
}

/// Columns read by flattened expressions, and the range table entries that FROM names.
fn usage(roots: &[Node]) -> (Usage, BTreeSet<i32>) {
    let mut usage = Usage::new();
    let mut members = BTreeSet::new();
    for root in roots {
        root.walk(&mut |node| {
            if let Some(var) = node.cast::<pg_sys::Var>() {
                if var.varlevelsup == 0 {
                    usage.entry(var.varno).or_default().insert(var.varattno);
                }
            } else if let Some(reference) = node.cast::<pg_sys::RangeTblRef>() {
                members.insert(reference.rtindex);
            }
            Walk::Descend
        });
    }
    (usage, members)
}

/// Which output columns of a subquery are needed. A whole-row reference needs all.
fn needed(used: &BTreeSet<i16>) -> Needed {
    if used.contains(&0) {
        Needed::All
    } else {
        Needed::Only(used.clone())
    }
}

/// Under whose rights a relation of this level is read.
fn access_of(
    query: NodeOf<pg_sys::Query>,
    entry: NodeOf<pg_sys::RangeTblEntry>,
    access: &Access,
) -> Access {
    let mut access = access.clone();
    let info = (entry.perminfoindex as usize).checked_sub(1).and_then(|i| {
        node::list_of::<pg_sys::RTEPermissionInfo>(query.rteperminfos)
            .get(i)
            .copied()
    });
    if let Some(info) = info
        && info.checkAsUser != pg_sys::InvalidOid
        && !access.roles.contains(&info.checkAsUser)
    {
        access.roles.push(info.checkAsUser);
    }
    access
}

/// The name by which the query knows an entry.
pub(super) fn entry_name(entry: &pg_sys::RangeTblEntry) -> String {
    if entry.eref.is_null() {
        return String::new();
    }
    // SAFETY: every entry that is named has an Alias node here.
    node::text(unsafe { (*entry.eref).aliasname })
}

fn join_kind(kind: pg_sys::JoinType::Type) -> &'static str {
    match kind {
        pg_sys::JoinType::JOIN_INNER => "JOIN",
        pg_sys::JoinType::JOIN_LEFT => "LEFT JOIN",
        pg_sys::JoinType::JOIN_RIGHT => "RIGHT JOIN",
        pg_sys::JoinType::JOIN_FULL => "FULL JOIN",
        _ => "join",
    }
}
