//! The entries of one query level's range table: tables, subqueries, views and CTE references.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, Expr, Index, Piece, Predicate, Relation, Scan, ScanColumn};

use super::analyzer::Analyzer;
use super::derived::{Access, Derived, Needed};
use super::display_scale::Scale;
use super::input::Range;
use super::row_security::columns_of;
use super::scope::Scope;
use crate::capability::{
    CTE, LATERAL, SUBQUERY, TABLE_COLUMN, TABLESAMPLE, UNKNOWN_CONSTRUCT, VIEW,
};
use crate::cdc;
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::table::TableFacts;
use crate::pg::{name, query, types};

impl Analyzer {
    /// Analyses one entry, of which these columns are read.
    pub fn range(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        used: &BTreeSet<i16>,
        scope: &Scope<'_>,
        access: &Access,
    ) -> Result<Range> {
        use pg_sys::RTEKind as K;
        let name = node::entry_name(&entry);
        if !entry.tablesample.is_null() {
            self.refuse(&TABLESAMPLE, format!("TABLESAMPLE of {name}"));
        }
        match entry.rtekind {
            K::RTE_RELATION => self.relation(query, entry, used, access),
            K::RTE_SUBQUERY => match Node::new(entry.subquery).and_then(Node::cast) {
                Some(subquery) => {
                    let (kind, subquery) = if entry.lateral {
                        (&LATERAL, query::flatten_lateral(query, subquery))
                    } else {
                        (&SUBQUERY, subquery)
                    };
                    self.note(kind, name);
                    let derived =
                        self.query(subquery, Some(scope), access, &Needed::Only(used.clone()))?;
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
            K::RTE_FUNCTION | K::RTE_TABLEFUNC | K::RTE_VALUES => {
                Ok(Range::Computed(self.computed(entry, used)))
            }
            _ => {
                self.refuse(&UNKNOWN_CONSTRUCT, format!("range table entry {name}"));
                Ok(Range::Other)
            }
        }
    }

    fn relation(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        used: &BTreeSet<i16>,
        access: &Access,
    ) -> Result<Range> {
        let Some(facts) = self.table(entry.relid) else {
            self.refuse(&UNKNOWN_CONSTRUCT, node::entry_name(&entry));
            return Ok(Range::Other);
        };
        let access = access_of(query, entry, access);
        if facts.kind == pg_sys::RELKIND_VIEW {
            self.note(&VIEW, facts.qualified.clone());
            self.check_privileges(&facts, used, &access);
            let inner = self.view_query(facts.oid)?;
            let access = Access {
                through_view: true,
                roles: access.roles,
            };
            // A view's query stands for itself: it sees no CTE of the query that names it.
            let derived = self.query(inner, None, &access, &Needed::Only(used.clone()))?;
            return Ok(Range::Derived(derived));
        }
        if !self.check_table(&facts, entry.inh, used, &access)? {
            return Ok(Range::Other);
        }
        if matches!(
            facts.kind,
            pg_sys::RELKIND_FOREIGN_TABLE | pg_sys::RELKIND_MATVIEW
        ) {
            return Ok(self.polled_table(&facts, used));
        }
        let policies = self.policies(query, entry, &facts, &access);
        let mut used = used.clone();
        used.extend(columns_of(&policies));
        Ok(self.scan(&facts, entry.inh, &used, policies))
    }

    fn scan(
        &mut self,
        facts: &Rc<TableFacts>,
        with_children: bool,
        used: &BTreeSet<i16>,
        policies: Vec<Node>,
    ) -> Range {
        let mut columns = Vec::new();
        let mut ids = BTreeMap::new();
        let has_parts = facts.has_children || facts.kind == pg_sys::RELKIND_PARTITIONED_TABLE;
        let is_only = !with_children && has_parts;
        let mut only = None;
        if (is_only || used.contains(&cdc::TABLE)) && !facts.is_hypertable {
            let column = self.table_column();
            self.note(&TABLE_COLUMN, facts.qualified.clone());
            only = is_only.then(|| Box::new(is_table(&column.column, facts.oid)));
            ids.insert(column.attnum, column.column.id);
            columns.push(column);
        }
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
                quoted: name::quote(&attribute.name),
            });
        }
        self.use_columns(facts.oid, ids.keys().copied());
        let visible = self.visible(facts, policies, &ids);
        // The rows of children share the parent's columns and not its keys.
        let has_own_keys = is_only || !facts.has_children;
        let not_null = |attnum: i16| {
            facts
                .attribute(attnum)
                .is_some_and(|attribute| attribute.not_null)
        };
        Range::Table {
            scan: Scan {
                oid: facts.oid.to_u32(),
                relation: format!("{}{}", if is_only { "ONLY " } else { "" }, facts.qualified),
                columns,
                indexes: facts
                    .indexes
                    .iter()
                    .map(|index| Index {
                        attnums: index.attnums.clone(),
                        identifies_row: has_own_keys
                            && index.is_unique
                            && index.attnums.iter().all(|a| a.is_some_and(not_null)),
                    })
                    .collect(),
                visible,
            },
            columns: ids,
            only,
        }
    }

    /// The column with the table of a row.
    fn table_column(&mut self) -> ScanColumn {
        let ty = (pg_sys::OIDOID, -1, pg_sys::InvalidOid);
        ScanColumn {
            column: self.add_column("tableoid", ty, false, Scale::Unknown),
            attnum: cdc::TABLE,
            quoted: "tableoid".into(),
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
        if entry.self_reference && self.open_recursion.is_some() {
            return Ok(match self.recursive_reference(entry) {
                Some(rows) => Range::Derived(rows),
                None => {
                    self.refuse(&UNKNOWN_CONSTRUCT, format!("WITH RECURSIVE {name}"));
                    Range::Other
                }
            });
        }
        if cte.cterecursive || entry.self_reference {
            return self.recursive(scope, cte, entry, used, access);
        }
        let Some(inner) = Node::new(cte.ctequery).and_then(Node::cast::<pg_sys::Query>) else {
            self.refuse(&UNKNOWN_CONSTRUCT, format!("WITH {name}"));
            return Ok(Range::Other);
        };
        self.note(&CTE, name);
        let copy = node::copy_query(inner);
        let derived = self.query(copy, Some(scope), access, &Needed::Only(used.clone()))?;
        Ok(Range::Derived(derived))
    }
}

/// That a row is of this table.
fn is_table(column: &Column, table: pg_sys::Oid) -> Predicate {
    let number = format!("'{}'::pg_catalog.oid", table.to_u32());
    let column = Expr::of(column);
    let pieces = [
        Piece::Expr(&column),
        Piece::Sql(" OPERATOR(pg_catalog.=) "),
        Piece::Sql(&number),
    ];
    Predicate {
        expr: Expr::truth(pieces, false),
        equality: None,
    }
}

/// Under whose rights a relation of this level is read.
pub(super) fn access_of(
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
