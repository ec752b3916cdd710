//! Queries over the supported grammar.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::expr::{Expr, expr};
use super::schema::style;
use super::scoped::Scoped;
use super::types::Ty;

mod aggregate;
mod choice;
mod made;
mod ordered;
mod print;
mod recursive;
mod shape;
mod subquery;
mod tied;
mod wide;

use aggregate::{Aggregate, aggregate, sum};
pub use choice::Choice;
use made::{Made, made};
use ordered::{Ordered, ordered, running_totals};
pub use print::{Object, Printer};
use recursive::{Recursive, recursive};
use subquery::{Lookup, Test, lookup, test};
use tied::{Tied, tied};
use wide::{Wide, wide};

/// How a subquery enters the FROM list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// `FROM (SELECT …)`.
    Inline,
    /// A view.
    View,
    /// `WITH … AS (SELECT …)`.
    Cte,
    /// A stream table of its own.
    StreamTable,
}

/// An entry of the FROM list.
#[derive(Debug, Clone)]
pub enum Item {
    /// A table.
    Table(u8),
    /// A subquery.
    Query(Wrap, Box<Select>),
    /// A common table expression that is read already, or a table.
    Again(u8),
    /// A join in parentheses.
    Pair(Box<Item>, Box<Join>),
    /// WITH RECURSIVE.
    Recursive(Recursive),
    /// A join of many relations.
    Wide(Wide),
}

/// How an entry is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `JOIN … ON` an equality.
    Equal,
    /// `JOIN … ON` another comparison.
    Compared,
    /// `CROSS JOIN`.
    Cross,
    /// A comma.
    Comma,
    /// `JOIN … USING`.
    Using,
    /// `LEFT JOIN`, by an equality.
    Left,
    /// `LEFT JOIN`, by another comparison.
    LeftCompared,
    /// `RIGHT JOIN`, by an equality.
    Right,
    /// `FULL JOIN`, by an equality.
    Full,
    /// `FULL JOIN … USING`.
    FullUsing,
    /// `CROSS JOIN` with rows that functions make of the row.
    Made,
    /// `LEFT JOIN` with such rows.
    LeftMade,
    /// `CROSS JOIN` with a subquery that reads the row.
    Lateral,
    /// `LEFT JOIN` with such a subquery.
    LeftLateral,
}

/// A further entry of the FROM list.
#[derive(Debug, Clone)]
pub struct Join {
    kind: Kind,
    item: Item,
    ty: u8,
    left: u8,
    right: u8,
    op: u8,
    extra: Option<Test>,
    made: Made,
    lookup: Lookup,
}

/// An expression with its type: mostly that of a column in scope, so that few of them are
/// constant.
#[derive(Debug, Clone)]
pub struct Typed(u8, Expr);

impl Typed {
    /// The type.
    fn ty(&self, scope: &[Scoped]) -> Ty {
        match scope.get(usize::from(self.0) % (scope.len() + 1)) {
            Some(column) => column.ty,
            None => Ty::ALL[usize::from(self.0) % Ty::ALL.len()],
        }
    }

    /// Its SQL and its type.
    fn plain(&self, scope: &[Scoped]) -> (String, Ty) {
        let ty = self.ty(scope);
        (self.1.render(ty, scope), ty)
    }
}

/// What is selected.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Expressions, rows that functions make, and values looked up for each row.
    Project(Vec<Typed>, Option<Made>, Vec<Lookup>),
    /// `SELECT DISTINCT`.
    Distinct(Vec<Typed>),
    /// Windows, first rows, DISTINCT ON.
    Ordered(Ordered),
    /// The same, by orders that leave ties.
    Tied(Tied),
    /// Groups. The mask says which keys are shown.
    Group {
        /// Group keys.
        keys: Vec<Typed>,
        /// Which are in the output.
        shown: u8,
        /// 0 one grouping, 1 ROLLUP, 2 CUBE, 3 a list of sets.
        sets: u8,
        /// Aggregates.
        aggregates: Vec<Aggregate>,
        /// HAVING: an aggregate, compared with a value, or with one looked up.
        having: Option<(Aggregate, u8, u8, Option<Lookup>)>,
    },
}

/// A comparison of a time with the clock: column, operator, how many milliseconds ago.
#[derive(Debug, Clone)]
pub struct Clock(u8, u8, u8);

/// A query.
#[derive(Debug, Clone)]
pub struct Select {
    first: Item,
    joins: Vec<Join>,
    filter: Option<Test>,
    clock: Option<Clock>,
    /// A comparison with the clock that is a value among those of columns.
    timed: Option<Clock>,
    shape: Shape,
    /// The style of its names.
    names: u8,
    /// Another query, and the operation that combines both.
    combined: Option<(u8, Box<Select>)>,
}

/// A query, some of them over a single table that hide little of what changes there.
pub fn select() -> impl Strategy<Value = Select> {
    prop_oneof![17 => nested(), 2 => plain(), 1 => running()]
}

/// Totals of a table so far, of its columns as they are.
fn running() -> impl Strategy<Value = Select> {
    (any::<u8>(), running_totals(column)).prop_map(|(table, ordered)| Select {
        first: Item::Table(table),
        joins: Vec::new(),
        filter: None,
        clock: None,
        timed: None,
        shape: Shape::Ordered(ordered),
        names: 0,
        combined: None,
    })
}

/// Groups of a table, of its columns as they are, a sum among them.
fn plain() -> impl Strategy<Value = Select> {
    let parts = (
        any::<u8>(),
        vec(column(), 0..2),
        sum(column()),
        vec(aggregate(column()), 0..3),
    );
    parts.prop_map(|(table, keys, sum, aggregates)| Select {
        first: Item::Table(table),
        joins: Vec::new(),
        filter: None,
        clock: None,
        timed: None,
        shape: Shape::Group {
            keys,
            shown: u8::MAX,
            sets: 0,
            aggregates: [vec![sum], aggregates].concat(),
            having: None,
        },
        names: 0,
        combined: None,
    })
}

fn nested() -> impl Strategy<Value = Select> {
    block(leaf()).prop_recursive(2, 4, 2, |inner| {
        let item = prop_oneof![
            3 => leaf(),
            2 => (wrap(), inner.clone())
                .prop_map(|(wrap, query)| Item::Query(wrap, Box::new(query))),
            1 => any::<u8>().prop_map(Item::Again),
        ];
        let operation = prop_oneof![2 => Just(0u8), 3 => any::<u8>()];
        let other = option::weighted(0.3, (operation, inner));
        (block(item.boxed()), other).prop_map(|(mut select, other)| {
            select.combined = other.map(|(operation, select)| (operation, Box::new(select)));
            select
        })
    })
}

/// An entry of FROM without a subquery of the grammar's own.
fn leaf() -> BoxedStrategy<Item> {
    let table = || any::<u8>().prop_map(Item::Table);
    prop_oneof![
        12 => table(),
        2 => (table(), join(table().boxed()))
            .prop_map(|(item, join)| Item::Pair(Box::new(item), Box::new(join))),
        1 => recursive().prop_map(Item::Recursive),
        1 => wide().prop_map(Item::Wide),
    ]
    .boxed()
}

fn wrap() -> impl Strategy<Value = Wrap> {
    prop_oneof![
        3 => Just(Wrap::Inline),
        2 => Just(Wrap::View),
        2 => Just(Wrap::Cte),
        2 => Just(Wrap::StreamTable),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        8 => Just(Kind::Equal),
        1 => Just(Kind::Compared),
        1 => Just(Kind::Cross),
        1 => Just(Kind::Comma),
        1 => Just(Kind::Using),
        3 => Just(Kind::Left),
        1 => Just(Kind::LeftCompared),
        2 => Just(Kind::Right),
        2 => Just(Kind::Full),
        1 => Just(Kind::FullUsing),
        1 => Just(Kind::Made),
        1 => Just(Kind::LeftMade),
        1 => Just(Kind::Lateral),
        1 => Just(Kind::LeftLateral),
    ]
}

/// A join with one of these items.
fn join(item: BoxedStrategy<Item>) -> impl Strategy<Value = Join> {
    (
        kind(),
        item,
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        option::weighted(0.2, test()),
        made(),
        lookup(),
    )
        .prop_map(
            |(kind, item, ty, left, right, op, extra, made, lookup)| Join {
                kind,
                item,
                ty,
                left,
                right,
                op,
                extra,
                made,
                lookup,
            },
        )
}

/// A query without set operations over these items.
fn block(item: BoxedStrategy<Item>) -> BoxedStrategy<Select> {
    let clock = || {
        let parts = (any::<u8>(), any::<u8>(), any::<u8>());
        option::weighted(
            0.2,
            parts.prop_map(|(column, op, ago)| Clock(column, op, ago)),
        )
    };
    (
        item.clone(),
        vec(join(item), 0..3),
        option::weighted(0.5, test()),
        clock(),
        clock(),
        shape(),
        style(),
    )
        .prop_map(
            |(first, joins, filter, clock, timed, shape, names)| Select {
                first,
                joins,
                filter,
                clock,
                timed,
                shape,
                names,
                combined: None,
            },
        )
        .boxed()
}

/// A column as it is.
fn column() -> impl Strategy<Value = Typed> {
    (any::<u8>(), any::<u8>()).prop_map(|(ty, index)| Typed(ty, Expr::Column(index)))
}

fn typed() -> impl Strategy<Value = Typed> {
    let made = (any::<u8>(), expr()).prop_map(|(ty, expr)| Typed(ty, expr));
    prop_oneof![2 => column(), 3 => made]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        3 => (vec(typed(), 1..4), option::weighted(0.1, made()), vec(lookup(), 0..2))
            .prop_map(|(exprs, made, lookups)| Shape::Project(exprs, made, lookups)),
        1 => vec(typed(), 1..3).prop_map(Shape::Distinct),
        2 => ordered().prop_map(Shape::Ordered),
        1 => tied().prop_map(Shape::Tied),
        5 => (
            vec(typed(), 0..3),
            prop_oneof![3 => Just(255u8), 1 => any::<u8>()],
            prop_oneof![6 => Just(0u8), 2 => 1u8..4],
            vec(aggregate(typed()), 1..4),
            option::weighted(0.2, (aggregate(typed()), any::<u8>(), any::<u8>(), option::of(lookup()))),
        )
            .prop_map(|(keys, shown, sets, aggregates, having)| Shape::Group {
                keys,
                shown,
                sets,
                aggregates,
                having,
            }),
    ]
}
