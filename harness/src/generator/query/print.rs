//! Queries as SQL, over whatever tables there are.

use super::super::expr::{Scoped, comparison};
use super::super::schema::Table;
use super::super::types::Ty;
use super::{Aggregate, Item, Join, Select, Shape, Wrap};

/// A query printed, with what must exist before it.
pub struct Printer<'a> {
    tables: &'a [Table],
    next: u32,
    /// Views and stream tables, in order of creation.
    pub objects: Vec<Object>,
}

/// Something that the query reads.
#[derive(Debug, Clone)]
pub enum Object {
    /// `CREATE VIEW`.
    View(String),
    /// A stream table: name and query.
    StreamTable(String, String),
}

/// A printed query.
#[derive(Debug, Clone)]
pub struct Printed {
    /// Its SQL.
    pub sql: String,
    /// Its output columns.
    pub columns: Vec<(String, Ty)>,
}

impl<'a> Printer<'a> {
    /// A printer over these tables, named `t0`, `t1` and so on.
    pub fn new(tables: &'a [Table]) -> Self {
        Self {
            tables,
            next: 0,
            objects: Vec::new(),
        }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    /// Prints a query with its WITH clause and UNION ALL arms.
    pub fn select(&mut self, select: &Select) -> Printed {
        let first = self.arm(select);
        let Some(other) = &select.union else {
            return first;
        };
        let second = self.select(other);
        let (one, two) = (self.fresh("u"), self.fresh("u"));
        let mut left = Vec::new();
        let mut right = Vec::new();
        let mut columns = Vec::new();
        for ((name, ty), (other_name, other_ty)) in first.columns.iter().zip(&second.columns) {
            let same = ty == other_ty;
            let printable = ty.prints_immutably() && other_ty.prints_immutably();
            if !(same || printable) {
                continue;
            }
            let cast = if same { "" } else { "::text" };
            left.push(format!("{one}.{name}{cast} AS {name}"));
            right.push(format!("{two}.{other_name}{cast}"));
            columns.push((name.clone(), if same { *ty } else { Ty::Text }));
        }
        if columns.is_empty() {
            return first;
        }
        Printed {
            sql: format!(
                "SELECT {} FROM ({}) {one} UNION ALL SELECT {} FROM ({}) {two}",
                left.join(", "),
                first.sql,
                right.join(", "),
                second.sql
            ),
            columns,
        }
    }

    /// Prints one arm.
    fn arm(&mut self, select: &Select) -> Printed {
        let mut with = Vec::new();
        let mut scope = Vec::new();
        let mut from = self.item(&select.first, &mut with, &mut scope);
        for (number, join) in select.joins.iter().enumerate() {
            let left = scope.clone();
            let mut right = Vec::new();
            let item = self.item(&join.item, &mut with, &mut right);
            scope.extend(right.iter().cloned());
            let plain = number == 0
                && matches!(select.first, Item::Table(_))
                && matches!(join.item, Item::Table(_));
            from.push_str(&match join.kind {
                2 => format!(" CROSS JOIN {item}"),
                // Further joins after a comma would bind to its right side alone.
                3 if number + 1 == select.joins.len() => format!(", {item}"),
                3 => format!(" CROSS JOIN {item}"),
                4 if plain => format!(" JOIN {item} USING (k)"),
                kind => {
                    let mut on = join_condition(join, kind, &left, &right);
                    if let Some(extra) = &join.extra {
                        on = format!("{on} AND ({})", extra.render(&scope));
                    }
                    format!(" JOIN {item} ON {on}")
                }
            });
        }
        let filter = select
            .filter
            .as_ref()
            .map(|condition| format!(" WHERE {}", condition.render(&scope)))
            .unwrap_or_default();
        let (list, columns, tail) = print_shape(&select.shape, &scope);
        let with = if with.is_empty() {
            String::new()
        } else {
            format!("WITH {} ", with.join(", "))
        };
        Printed {
            sql: format!("{with}SELECT {list} FROM {from}{filter}{tail}"),
            columns,
        }
    }

    /// Prints an entry of the FROM list and adds its columns to the scope.
    fn item(&mut self, item: &Item, with: &mut Vec<String>, scope: &mut Vec<Scoped>) -> String {
        let alias = self.fresh("a");
        let mut add = |name: &str, ty: Ty| {
            scope.push(Scoped {
                sql: format!("{alias}.{name}"),
                ty,
            });
        };
        match item {
            Item::Table(index) => {
                let index = usize::from(*index) % self.tables.len().max(1);
                if let Some(table) = self.tables.get(index) {
                    for column in table.column_infos() {
                        add(&column.name, column.ty);
                    }
                }
                format!("t{index} {alias}")
            }
            Item::Query(wrap, query) => {
                let printed = self.select(query);
                for (name, ty) in &printed.columns {
                    add(name, *ty);
                }
                match wrap {
                    Wrap::Inline => format!("({}) {alias}", printed.sql),
                    Wrap::Cte => {
                        let name = self.fresh("w");
                        with.push(format!("{name} AS ({})", printed.sql));
                        format!("{name} {alias}")
                    }
                    Wrap::View => {
                        let name = self.fresh("v");
                        self.objects.push(Object::View(format!(
                            "CREATE VIEW {name} AS {}",
                            printed.sql
                        )));
                        format!("{name} {alias}")
                    }
                    Wrap::StreamTable => {
                        let name = self.fresh("s");
                        self.objects
                            .push(Object::StreamTable(name.clone(), printed.sql));
                        format!("{name} {alias}")
                    }
                }
            }
        }
    }
}

/// The condition of a join: columns of a type that both sides have.
fn join_condition(join: &Join, kind: u8, left: &[Scoped], right: &[Scoped]) -> String {
    let common: Vec<Ty> = Ty::ALL
        .into_iter()
        .filter(|ty| left.iter().any(|c| c.ty == *ty) && right.iter().any(|c| c.ty == *ty))
        .collect();
    // The first common type twice as often: mostly int, so mostly keys.
    let Some(ty) = common.get((usize::from(join.ty) / 2) % common.len().max(1)) else {
        return "true".into();
    };
    let pick = |scope: &[Scoped], index: u8| {
        let fitting: Vec<&Scoped> = scope.iter().filter(|c| c.ty == *ty).collect();
        fitting
            .get(usize::from(index) % fitting.len().max(1))
            .map_or_else(|| ty.value(0), |column| column.sql.clone())
    };
    let op = if kind == 0 { "=" } else { comparison(join.op) };
    format!("{} {op} {}", pick(left, join.left), pick(right, join.right))
}

/// The select list, its columns, and what follows WHERE.
fn print_shape(shape: &Shape, scope: &[Scoped]) -> (String, Vec<(String, Ty)>, String) {
    let mut list = Vec::new();
    let mut columns = Vec::new();
    let mut tail = String::new();
    let mut put = |sql: String, ty: Option<Ty>| {
        let name = format!("o{}", list.len());
        list.push(format!("{sql} AS {name}"));
        columns.extend(ty.map(|ty| (name, ty)));
    };
    let distinct = matches!(shape, Shape::Distinct(_));
    match shape {
        Shape::Project(exprs) => {
            for typed in exprs {
                let ty = typed.ty(scope);
                put(typed.1.render(ty, scope), Some(ty));
            }
        }
        Shape::Distinct(exprs) => {
            for typed in exprs {
                let ty = typed.ty(scope);
                put(ty.canonical(&typed.1.render(ty, scope)), Some(ty));
            }
        }
        Shape::Group {
            keys,
            shown,
            aggregates,
            having,
        } => {
            let mut group = Vec::new();
            for (index, typed) in keys.iter().enumerate() {
                let ty = typed.ty(scope);
                let key = ty.canonical(&typed.1.render(ty, scope));
                // A literal key would be taken for a column number or be constant anyway.
                let key = format!("({key})");
                if shown & (1 << (index % 8)) != 0 {
                    put(key.clone(), Some(ty));
                }
                group.push(key);
            }
            for aggregate in aggregates {
                let (sql, ty) = aggregate.render(scope);
                put(sql, ty);
            }
            if !group.is_empty() {
                tail = format!(" GROUP BY {}", group.join(", "));
            }
            if let Some((aggregate, op, value)) = having {
                tail.push_str(&match aggregate.render(scope) {
                    (sql, Some(ty)) => {
                        format!(" HAVING {sql} {} {}", comparison(*op), ty.value(*value))
                    }
                    (sql, None) => format!(" HAVING {sql} IS NOT NULL"),
                });
            }
        }
    }
    let word = if distinct { "DISTINCT " } else { "" };
    (format!("{word}{}", list.join(", ")), columns, tail)
}

impl Aggregate {
    /// The call and its result type; none for arrays, which nothing outside looks at.
    fn render(&self, scope: &[Scoped]) -> (String, Option<Ty>) {
        let own = self.argument.ty(scope);
        let argument = |ty: Ty| self.argument.1.render(ty, scope);
        // Sums of plain numerics have a scale of their own to get wrong.
        let number = if own.is_number() && own != Ty::Int {
            own
        } else if scope.iter().any(|column| column.ty == Ty::Numeric) {
            Ty::Numeric
        } else {
            Ty::Int
        };
        let ordered = if own.has_extremes() { own } else { Ty::Text };
        let word = if self.distinct { "DISTINCT " } else { "" };
        // sum(DISTINCT) sees one of the equal values.
        let summand = if self.distinct {
            number.canonical(&argument(number))
        } else {
            argument(number)
        };
        let (call, ty) = match self.function % 12 {
            0 => ("count(*)".into(), Ty::BigInt),
            1 | 2 => {
                let ty = match number {
                    Ty::Int => Ty::BigInt,
                    Ty::Float => Ty::Float,
                    _ => Ty::Numeric,
                };
                (format!("sum({word}{summand})"), ty)
            }
            3 => (format!("count({word}{})", argument(own)), Ty::BigInt),
            4 | 5 => {
                let value = ordered.canonical(&argument(ordered));
                (format!("max({word}{value})"), ordered)
            }
            6 => {
                let value = ordered.canonical(&argument(ordered));
                (format!("min({word}{value})"), ordered)
            }
            7 => {
                let ty = if number == Ty::Float {
                    Ty::Float
                } else {
                    Ty::Numeric
                };
                (format!("avg({word}{summand})"), ty)
            }
            8 => (format!("bool_and({})", argument(Ty::Bool)), Ty::Bool),
            9 => (format!("bool_or({})", argument(Ty::Bool)), Ty::Bool),
            10 => {
                let printed = if own.prints_immutably() {
                    own
                } else {
                    Ty::Text
                };
                let text = format!("{}::text", argument(printed));
                (
                    format!("string_agg({word}{text}, ',' ORDER BY {text})"),
                    Ty::Text,
                )
            }
            _ => {
                let value = ordered.canonical(&argument(ordered));
                (
                    format!("array_agg({word}{value} ORDER BY {value})"),
                    Ty::Text,
                )
            }
        };
        let filter = self
            .filter
            .as_ref()
            .map(|condition| format!(" FILTER (WHERE {})", condition.render(scope)))
            .unwrap_or_default();
        let call = format!("{call}{filter}");
        match (self.function % 12, ty) {
            (11, _) => (call, None),
            // A result without a type modifier.
            (4..=6, Ty::Money) => (call, Some(Ty::Numeric)),
            _ => (call, Some(ty)),
        }
    }
}
