//! Subqueries in expressions, correlated and not.

use proptest::option;
use proptest::prelude::*;

use super::super::expr::{Condition, comparison, condition};
use super::super::schema::Table;
use super::super::scoped::{Scoped, column};
use super::super::types::Ty;

/// Rows of a table that go with a row around.
#[derive(Debug, Clone)]
pub struct Rows {
    table: u8,
    /// Columns compared with columns around: inner, outer, operator.
    links: Vec<(u8, u8, u8)>,
    filter: Option<Condition>,
}

/// A value of such rows.
#[derive(Debug, Clone)]
pub struct Lookup {
    rows: Rows,
    /// count(*), max, min, count, sum; ARRAY.
    function: u8,
    column: u8,
}

/// A condition with subqueries.
#[derive(Debug, Clone)]
pub enum Test {
    /// One without.
    Plain(Condition),
    /// EXISTS, with a condition inside.
    Exists(Rows, Option<Box<Test>>),
    /// IN, ANY, ALL: which, the column around, the column inside, a second pair of them.
    In(u8, Rows, u8, u8, Option<(u8, u8)>),
    /// A column compared with a value looked up: operator, column.
    Compare(u8, u8, Lookup),
    /// NOT.
    Not(Box<Test>),
    /// AND, OR.
    Both(bool, Box<Test>, Box<Test>),
}

fn rows() -> impl Strategy<Value = Rows> {
    let operator = prop_oneof![5 => Just(0u8), 1 => any::<u8>()];
    (
        any::<u8>(),
        prop::collection::vec((any::<u8>(), any::<u8>(), operator), 0..3),
        option::weighted(0.3, condition()),
    )
        .prop_map(|(table, links, filter)| Rows {
            table,
            links,
            filter,
        })
}

/// A value looked up.
pub fn lookup() -> impl Strategy<Value = Lookup> {
    (rows(), any::<u8>(), any::<u8>()).prop_map(|(rows, function, column)| Lookup {
        rows,
        function,
        column,
    })
}

/// A condition: half of them without subqueries.
pub fn test() -> impl Strategy<Value = Test> {
    let leaf = prop_oneof![
        4 => condition().prop_map(Test::Plain),
        1 => rows().prop_map(|rows| Test::Exists(rows, None)),
        1 => (any::<u8>(), rows(), any::<u8>(), any::<u8>(), option::of((any::<u8>(), any::<u8>())))
            .prop_map(|(kind, rows, outer, inner, second)| Test::In(kind, rows, outer, inner, second)),
        1 => (any::<u8>(), any::<u8>(), lookup())
            .prop_map(|(op, column, lookup)| Test::Compare(op, column, lookup)),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            2 => inner.clone().prop_map(|a| Test::Not(Box::new(a))),
            3 => (any::<bool>(), inner.clone(), inner.clone())
                .prop_map(|(and, a, b)| Test::Both(and, Box::new(a), Box::new(b))),
            1 => (rows(), inner).prop_map(|(rows, test)| Test::Exists(rows, Some(Box::new(test)))),
        ]
    })
}

/// What subqueries are printed over.
#[derive(Debug)]
pub struct Around<'a> {
    /// The tables.
    pub tables: &'a [Table],
    /// The next alias.
    pub next: &'a mut u32,
    /// Whether the query may fail for some rows: nothing is around it that would not ask for it then.
    pub may_fail: bool,
}

/// What stands in FROM for this number, a table or one of its parts, and the table.
pub fn read(tables: &[Table], index: u8) -> (String, Option<&Table>) {
    let count = tables.len().max(1);
    let (number, part) = (usize::from(index) % count, usize::from(index) / count);
    let name = format!("t{number}");
    match tables.get(number) {
        Some(table) => (table.read(&name, part), Some(table)),
        None => (name, None),
    }
}

impl Around<'_> {
    /// A number of rows: one way or another the value of a subquery, or else the number itself. `needed`: NULL is
    /// none.
    pub fn rows(&self, index: u8, number: u8, needed: bool) -> String {
        let table = usize::from(index) % self.tables.len().max(1);
        let value = match index / 4 % 12 {
            0 => format!("SELECT count(*) FROM t{table} WHERE k > 1"),
            1 if !needed => format!("SELECT max(greatest(k, 0)) FROM t{table}"),
            1 | 2 => format!("SELECT coalesce(max(abs(k)), {number}) FROM t{table}"),
            // Negative or NULL now and then.
            3 if self.may_fail => format!("SELECT max(k) FROM t{table} WHERE k < 2"),
            _ => return number.to_string(),
        };
        format!("({value})")
    }
}

impl Rows {
    /// `FROM … WHERE …`, and the columns inside.
    fn render(
        &self,
        scope: &[Scoped],
        around: &mut Around<'_>,
        test: Option<&Test>,
    ) -> (String, Vec<Scoped>) {
        *around.next += 1;
        let alias = format!("i{}", around.next);
        let (item, table) = read(around.tables, self.table);
        let inner: Vec<Scoped> = table
            .into_iter()
            .flat_map(Table::column_infos)
            .map(|column| Scoped {
                sql: format!("{alias}.{}", column.name),
                ty: column.ty,
            })
            .collect();
        let mut both = inner.clone();
        both.extend(scope.iter().cloned());
        let mut conditions: Vec<String> = self
            .links
            .iter()
            .filter_map(|(inside, outside, operator)| {
                let outer = column(scope, *outside)?;
                let fitting = of_type(&inner, outer.ty);
                let inner = column(&fitting, *inside)?;
                Some(format!(
                    "{} {} {}",
                    inner.sql,
                    comparison(*operator),
                    outer.sql
                ))
            })
            .collect();
        conditions.extend(self.filter.iter().map(|f| format!("({})", f.render(&both))));
        conditions.extend(test.map(|test| format!("({})", test.render(&both, around))));
        let filter = match conditions.as_slice() {
            [] => String::new(),
            some => format!(" WHERE {}", some.join(" AND ")),
        };
        (format!("FROM {item} {alias}{filter}"), inner)
    }
}

fn of_type(scope: &[Scoped], ty: Ty) -> Vec<Scoped> {
    scope.iter().filter(|c| c.ty == ty).cloned().collect()
}

impl Lookup {
    /// The subquery, and its type; none for an array.
    pub fn render(&self, scope: &[Scoped], around: &mut Around<'_>) -> (String, Option<Ty>) {
        let (from, inner) = self.rows.render(scope, around, None);
        let chosen = column(&inner, self.column).cloned();
        let (sql, ty) = self.value(chosen.as_ref());
        match ty {
            Some(ty) => (format!("(SELECT {sql} {from})"), Some(ty)),
            None => (format!("ARRAY(SELECT {sql} {from} ORDER BY 1)"), None),
        }
    }

    fn value(&self, chosen: Option<&Scoped>) -> (String, Option<Ty>) {
        let Some(Scoped { sql, ty }) = chosen else {
            return ("count(*)".into(), Some(Ty::BigInt));
        };
        let canonical = ty.canonical(sql);
        let bare = if *ty == Ty::Money { Ty::Numeric } else { *ty };
        match self.function % 6 {
            1 if ty.has_extremes() => (format!("max({canonical})"), Some(bare)),
            2 if ty.has_extremes() => (format!("min({canonical})"), Some(bare)),
            3 => (format!("count({sql})"), Some(Ty::BigInt)),
            4 if *ty == Ty::Int => (format!("sum({sql})"), Some(Ty::BigInt)),
            5 => (canonical, None),
            _ => ("count(*)".into(), Some(Ty::BigInt)),
        }
    }

    /// A LATERAL item: its SQL without an alias, and its columns.
    pub fn lateral(
        &self,
        scope: &[Scoped],
        around: &mut Around<'_>,
    ) -> (String, Vec<(String, Ty)>) {
        let (from, inner) = self.rows.render(scope, around, None);
        let chosen = column(&inner, self.column);
        if self.function.is_multiple_of(2)
            && let Some(Scoped { sql, ty }) = chosen
        {
            return (
                format!("(SELECT {sql} AS x {from})"),
                vec![("x".into(), *ty)],
            );
        }
        let (sql, ty) = self.value(chosen);
        match ty {
            Some(ty) => (
                format!("(SELECT {sql} AS x {from})"),
                vec![("x".into(), ty)],
            ),
            None => (
                format!("(SELECT count(*) AS x {from})"),
                vec![("x".into(), Ty::BigInt)],
            ),
        }
    }
}

impl Test {
    /// The condition, if it has no subquery.
    pub fn plain(&self) -> Option<&Condition> {
        match self {
            Self::Plain(condition) => Some(condition),
            _ => None,
        }
    }

    /// The condition as SQL.
    pub fn render(&self, scope: &[Scoped], around: &mut Around<'_>) -> String {
        match self {
            Self::Plain(condition) => condition.render(scope),
            Self::Exists(rows, test) => {
                let (from, _) = rows.render(scope, around, test.as_deref());
                format!("EXISTS (SELECT {from})")
            }
            Self::In(kind, rows, outer, inner, second) => {
                let (from, inside) = rows.render(scope, around, None);
                let pair = |outer: u8, inner: u8| {
                    let outer = column(scope, outer)?;
                    let fitting = of_type(&inside, outer.ty);
                    let inner = column(&fitting, inner)?;
                    Some((outer.sql.clone(), inner.sql.clone()))
                };
                let Some((x, y)) = pair(*outer, *inner) else {
                    return format!("EXISTS (SELECT {from})");
                };
                match second.and_then(|(outer, inner)| pair(outer, inner)) {
                    Some((x2, y2)) => {
                        let word = ["IN", "NOT IN", "= ANY", "<> ALL", "<> ANY", "= ALL"]
                            [usize::from(*kind) % 6];
                        format!("({x}, {x2}) {word} (SELECT {y}, {y2} {from})")
                    }
                    None => {
                        let word = ["IN", "NOT IN", "> ALL", "<> ALL", "< ANY", "<= ALL"]
                            [usize::from(*kind) % 6];
                        format!("{x} {word} (SELECT {y} {from})")
                    }
                }
            }
            Self::Compare(op, index, lookup) => {
                let (sql, ty) = lookup.render(scope, around);
                let same = ty.map(|ty| of_type(scope, ty)).unwrap_or_default();
                match column(&same, *index) {
                    Some(column) => format!("{} {} {sql}", column.sql, comparison(*op)),
                    None => format!("{sql} IS NOT NULL"),
                }
            }
            Self::Not(test) => format!("NOT ({})", test.render(scope, around)),
            Self::Both(and, a, b) => {
                let word = if *and { "AND" } else { "OR" };
                let (a, b) = (a.render(scope, around), b.render(scope, around));
                format!("({a}) {word} ({b})")
            }
        }
    }
}
