//! Queries as SQL, over whatever tables there are.

use super::super::expr::comparison;
use super::super::names;
use super::super::schema::Table;
use super::super::scoped::Scoped;
use super::super::types::Ty;
use super::choice::{Choice, decided};
use super::shape::{Shown, print_shape};
use super::subquery::{Around, Test, read};
use super::{Clock, Item, Join, Kind, Select, Wrap};

/// How two queries are combined, the simplest first.
const SET_OPERATIONS: [&str; 6] = [
    "UNION ALL",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "EXCEPT ALL",
    "INTERSECT ALL",
];

/// A query printed, with what must exist before it.
pub struct Printer<'a> {
    tables: &'a [Table],
    next: u32,
    /// How many queries are around what is printed.
    depth: u32,
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
    /// What every right answer has in common, where ties leave several.
    pub choice: Option<Choice>,
}

/// What a FROM clause has so far.
#[derive(Debug, Default)]
struct From {
    /// The style of its aliases.
    style: u8,
    /// Entries.
    places: usize,
    /// Common table expressions.
    with: Vec<(String, Printed)>,
}

impl<'a> Printer<'a> {
    /// A printer over these tables, named `t0`, `t1` and so on.
    pub fn new(tables: &'a [Table]) -> Self {
        Self {
            tables,
            next: 0,
            depth: 0,
            objects: Vec::new(),
        }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    fn around(&mut self) -> Around<'_> {
        Around {
            tables: self.tables,
            next: &mut self.next,
            may_fail: self.depth == 0,
        }
    }

    fn alias(&mut self, from: &mut From) -> String {
        from.places += 1;
        names::alias(from.style, from.places - 1).unwrap_or_else(|| self.fresh("a"))
    }

    /// Prints a query with its WITH clause and what it is combined with.
    pub fn select(&mut self, select: &Select) -> Printed {
        let Some((operation, other)) = &select.combined else {
            return self.arm(select);
        };
        self.depth += 1;
        let first = self.arm(select);
        let second = self.select(other);
        self.depth -= 1;
        // The literal has no type of its own: the operation gives it one.
        let literal = (*operation > 191).then_some("'a' COLLATE \"C\"");
        let operation = SET_OPERATIONS[usize::from(*operation) % SET_OPERATIONS.len()];
        let (one, two) = (self.fresh("u"), self.fresh("u"));
        let mut left = Vec::new();
        let mut right = Vec::new();
        let mut columns = Vec::new();
        for ((name, ty), (other_name, other_ty)) in first.columns.iter().zip(&second.columns) {
            let same = ty == other_ty;
            let printable = ty.prints() && other_ty.prints();
            if !(same || printable) {
                continue;
            }
            // Of equal rows any one may be shown.
            let shown = |ty: &Ty, sql: String| match (same, operation) {
                (false, _) => format!("{}::text", ty.canonical(&sql)),
                (true, "UNION ALL") => sql,
                (true, _) => ty.canonical(&sql),
            };
            left.push(format!("{} AS {name}", shown(ty, format!("{one}.{name}"))));
            if let (Some(literal), true, Ty::Text | Ty::TextC) = (literal, same, ty) {
                right.push(literal.to_owned());
                columns.push((name.clone(), Ty::TextC));
                continue;
            }
            right.push(shown(other_ty, format!("{two}.{other_name}")));
            columns.push((name.clone(), if same { *ty } else { Ty::Text }));
        }
        if columns.is_empty() {
            return first;
        }
        Printed {
            sql: format!(
                "SELECT {} FROM ({}) {one} {operation} SELECT {} FROM ({}) {two}",
                left.join(", "),
                first.sql,
                right.join(", "),
                second.sql
            ),
            columns,
            choice: None,
        }
    }

    /// Prints one arm.
    fn arm(&mut self, select: &Select) -> Printed {
        let mut from = From {
            style: select.names,
            ..From::default()
        };
        let mut scope = Vec::new();
        let mut items = self.item(&select.first, &mut from, &mut scope);
        // What ON may read, too, where the first item has a time.
        let timed = |scope: &[Scoped]| select.timed.as_ref()?.value(scope);
        let first = timed(&scope);
        let is_timed = first.is_some();
        scope.extend(first);
        for (number, join) in select.joins.iter().enumerate() {
            let last = number + 1 == select.joins.len();
            let plain = number == 0 && matches!(select.first, Item::Table(_));
            items.push_str(&self.join(join, plain, last, &mut from, &mut scope));
        }
        if !is_timed {
            scope.extend(timed(&scope));
        }
        let mut conditions = Vec::new();
        let filter = select.filter.as_ref();
        conditions.extend(filter.map(|test| test.render(&scope, &mut self.around())));
        conditions.extend(select.clock.as_ref().and_then(|clock| clock.filter(&scope)));
        let filter = match conditions.as_slice() {
            [] => String::new(),
            [one] => format!(" WHERE {one}"),
            more => format!(" WHERE ({})", more.join(") AND (")),
        };
        let Shown {
            word,
            list,
            columns,
            tail,
        } = print_shape(&select.shape, select.names, &scope, &mut self.around());
        let with = if from.with.is_empty() {
            String::new()
        } else {
            let defined = |(name, query): &(String, Printed)| format!("{name} AS ({})", query.sql);
            let defined: Vec<String> = from.with.iter().map(defined).collect();
            format!("WITH {} ", defined.join(", "))
        };
        let choice = decided(select).map(|decided| Choice {
            by: columns.iter().take(decided).map(|c| c.0.clone()).collect(),
            among: format!("SELECT {list} FROM {items}{filter}"),
        });
        Printed {
            sql: format!("{with}SELECT {word}{list} FROM {items}{filter}{tail}"),
            columns,
            choice,
        }
    }

    /// Prints a join behind what stands on its left. `plain` if that is one table, `last` if nothing
    /// follows.
    fn join(
        &mut self,
        join: &Join,
        plain: bool,
        last: bool,
        from: &mut From,
        scope: &mut Vec<Scoped>,
    ) -> String {
        let left = scope.clone();
        if let Kind::Made | Kind::LeftMade | Kind::Lateral | Kind::LeftLateral = join.kind {
            let alias = self.alias(from);
            let (item, columns) = match join.kind {
                Kind::Made | Kind::LeftMade => join.made.item(&alias, &left),
                _ => {
                    let (item, columns) = join.lookup.lateral(&left, &mut self.around());
                    (format!("{item} {alias}"), columns)
                }
            };
            scope.extend(columns.into_iter().map(|(name, ty)| Scoped {
                sql: format!("{alias}.{name}"),
                ty,
            }));
            return match join.kind {
                Kind::LeftMade | Kind::LeftLateral => {
                    let extra = join.extra.as_ref().and_then(Test::plain);
                    let on = extra.map_or_else(|| "true".into(), |extra| extra.render(scope));
                    format!(" LEFT JOIN LATERAL {item} ON {on}")
                }
                _ if last => format!(", LATERAL {item}"),
                _ => format!(" CROSS JOIN LATERAL {item}"),
            };
        }
        let mut right = Vec::new();
        let item = self.item(&join.item, from, &mut right);
        scope.extend(right.iter().cloned());
        let usable = plain && matches!(join.item, Item::Table(_));
        let (word, using) = match join.kind {
            Kind::Cross => return format!(" CROSS JOIN {item}"),
            // Further joins after a comma would bind to its right side alone.
            Kind::Comma if last => return format!(", {item}"),
            Kind::Comma => return format!(" CROSS JOIN {item}"),
            Kind::Using => ("JOIN", usable),
            Kind::FullUsing => ("FULL JOIN", usable),
            Kind::Left | Kind::LeftCompared => ("LEFT JOIN", false),
            Kind::Right => ("RIGHT JOIN", false),
            Kind::Full => ("FULL JOIN", false),
            _ => ("JOIN", false),
        };
        if using {
            if last {
                scope.push(Scoped {
                    sql: "k".into(),
                    ty: Ty::Int,
                });
            }
            return format!(" {word} {item} USING (k)");
        }
        let mut on = join_condition(join, &left, &right);
        // The server joins in full by equalities only.
        if let Some(extra) = join.extra.as_ref().filter(|_| word != "FULL JOIN") {
            on = format!("{on} AND ({})", extra.render(scope, &mut self.around()));
        }
        format!(" {word} {item} ON {on}")
    }

    /// Prints an entry of the FROM list and adds its columns to the scope.
    fn item(&mut self, item: &Item, from: &mut From, scope: &mut Vec<Scoped>) -> String {
        if let Item::Pair(first, join) = item {
            let mut inner = Vec::new();
            let first = self.item(first, from, &mut inner);
            let second = self.join(join, false, false, from, &mut inner);
            scope.extend(inner);
            return format!("({first}{second})");
        }
        let alias = self.alias(from);
        let (sql, columns) = match item {
            Item::Table(index) => self.table(*index),
            Item::Again(index) => match from.with.get(usize::from(*index) % from.with.len().max(1))
            {
                Some((name, query)) => (name.clone(), query.columns.clone()),
                None => self.table(*index),
            },
            Item::Query(wrap, query) => {
                self.depth += 1;
                let printed = self.select(query);
                self.depth -= 1;
                let columns = printed.columns.clone();
                (self.wrapped(*wrap, printed, from), columns)
            }
            Item::Recursive(chain) => chain.render(self.tables),
            Item::Wide(join) => join.render(self.tables),
            Item::Pair(..) => unreachable!("printed above"),
        };
        let part = match item {
            Item::Table(index) => self.part(*index, &sql, &alias),
            _ => None,
        };
        scope.extend(columns.into_iter().map(|(name, ty)| Scoped {
            sql: format!("{alias}.{name}"),
            ty,
        }));
        scope.extend(part);
        format!("{sql} {alias}")
    }

    fn table(&self, index: u8) -> (String, Vec<(String, Ty)>) {
        let (read, table) = read(self.tables, index);
        let columns = table.map(Table::column_infos).into_iter().flatten();
        (
            read,
            columns.map(|column| (column.name, column.ty)).collect(),
        )
    }

    /// Which table a row is of, where the whole of a table with parts is read.
    fn part(&self, index: u8, sql: &str, alias: &str) -> Option<Scoped> {
        let (_, table) = read(self.tables, index);
        let is_whole = !sql.contains(' ') && !sql.contains('_');
        let sql = table?.is_in_part(sql, alias).filter(|_| is_whole)?;
        Some(Scoped { sql, ty: Ty::Bool })
    }

    /// What stands in FROM for a query.
    fn wrapped(&mut self, wrap: Wrap, query: Printed, from: &mut From) -> String {
        let sql = &query.sql;
        match wrap {
            Wrap::Inline => format!("({sql})"),
            Wrap::Cte => {
                let name = self.fresh("w");
                from.with.push((name.clone(), query));
                name
            }
            Wrap::View => {
                let name = self.fresh("v");
                self.objects
                    .push(Object::View(format!("CREATE VIEW {name} AS {sql}")));
                name
            }
            Wrap::StreamTable => {
                let name = self.fresh("st_");
                self.objects
                    .push(Object::StreamTable(name.clone(), query.sql));
                name
            }
        }
    }
}

/// The condition of a join: columns of a type that both sides have.
fn join_condition(join: &Join, left: &[Scoped], right: &[Scoped]) -> String {
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
    let op = match join.kind {
        Kind::Compared | Kind::LeftCompared => comparison(join.op),
        _ => "=",
    };
    format!("{} {op} {}", pick(left, join.left), pick(right, join.right))
}

impl Clock {
    /// The comparison as a condition, if there is a time in scope.
    fn filter(&self, scope: &[Scoped]) -> Option<String> {
        let (column, now) = self.time(scope)?;
        Some(self.compared(&column.sql, &self.ago(now)))
    }

    /// A condition as a value among columns: the same, an equality of whole seconds, which does hold now and then, or
    /// whether a range has begun.
    fn value(&self, scope: &[Scoped]) -> Option<Scoped> {
        let (column, now) = self.time(scope)?;
        let (value, bound) = (&column.sql, self.ago(now));
        let second = |time: &str| format!("date_trunc('second', {time})");
        let sql = match (self.operator(), self.0 / 64) {
            (_, 3) => format!("{}range({value}, NULL) @> {now}", range_of(column.ty)),
            ("=", _) => self.compared(&second(value), &second(&bound)),
            _ => self.compared(value, &bound),
        };
        Some(Scoped {
            sql: format!("({sql})"),
            ty: Ty::Bool,
        })
    }

    /// One of the times in scope, and the clock that goes with it.
    fn time<'s>(&self, scope: &'s [Scoped]) -> Option<(&'s Scoped, &'static str)> {
        let times: Vec<(&Scoped, &str)> = scope
            .iter()
            .filter_map(|column| match column.ty {
                Ty::Instant => Some((column, "now()")),
                Ty::Timestamp => Some((column, "localtimestamp")),
                Ty::Date => Some((column, "CURRENT_DATE")),
                _ => None,
            })
            .collect();
        times.get(usize::from(self.0) % times.len().max(1)).copied()
    }

    fn operator(&self) -> &'static str {
        ["<=", ">", "<", ">=", "="][usize::from(self.1) % 5]
    }

    fn ago(&self, now: &str) -> String {
        match self.2 % 4 {
            0 => now.to_owned(),
            ago => format!("{now} - interval '{} ms'", 8 * u32::from(ago)),
        }
    }

    fn compared(&self, value: &str, bound: &str) -> String {
        let op = self.operator();
        match self.2.is_multiple_of(8) {
            true => format!("{bound} {op} {value}"),
            false => format!("{value} {op} {bound}"),
        }
    }
}

/// What ranges of these times begin with in their name.
fn range_of(ty: Ty) -> &'static str {
    match ty {
        Ty::Instant => "tstz",
        Ty::Timestamp => "ts",
        _ => "date",
    }
}
