//! Random tables, trees and changes, drawn from a list of small numbers: proptest shrinks the list,
//! and zeros mean the simplest choice.

use std::collections::BTreeMap;

use crate::tree::testing::{
    aggregate, boolean, bounded, column, condition, conditioned, distinct, equal, expand, filter,
    filtered, full_join, group, integer, join, keyed_scan, left_join, numeric, of_distinct, opaque,
    project, scan, union_all,
};
use crate::tree::{AggregateKind, Crossing, Opaque, Predicate, Relation, Side};

use super::tables::{KEYED, Rows, TABLES};

/// Different values with different display scales.
const NUMBERS: &str = "('{2,1.50,0.1250,-3,1e-20,Infinity,NaN}'::numeric[])";

/// Computed columns of this name, for [`project`] and [`group`].
pub fn named<'v>(name: &'v str, values: &'v [(u32, String)]) -> Vec<(u32, &'v str, &'v str)> {
    values
        .iter()
        .map(|(id, text)| (*id, name, text.as_str()))
        .collect()
}

/// Draws from a list of numbers.
pub struct Draw<'a> {
    numbers: std::slice::Iter<'a, u16>,
    next_id: u32,
    numeric: bool,
    outer: bool,
    images: bool,
}

impl<'a> Draw<'a> {
    /// From this list; beyond its end every choice is the first.
    pub fn new(numbers: &'a [u16]) -> Self {
        Draw {
            numbers: numbers.iter(),
            next_id: 1,
            numeric: false,
            outer: false,
            images: false,
        }
    }

    /// With aggregates over `numeric`: display scales that differ, NaN and the infinities.
    pub fn with_numeric(self) -> Self {
        Draw {
            numeric: true,
            ..self
        }
    }

    /// With outer joins.
    pub fn with_outer_joins(self) -> Self {
        Draw {
            outer: true,
            ..self
        }
    }

    /// With subqueries that are computed whole, and filters by moving bounds.
    pub fn with_images(self) -> Self {
        Draw {
            images: true,
            ..self
        }
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.numbers.next().copied().unwrap_or(0)) % limit.max(1)
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(super) fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Identities for the three columns of a scan, from the one after on.
    pub(super) fn next_base(&mut self) -> u32 {
        let base = self.next_id;
        self.next_id += 3;
        base
    }

    /// An integer column; averages and booleans are left alone.
    pub(super) fn column_of(&mut self, relation: &Relation) -> String {
        let mut columns = relation.columns();
        columns.retain(|c| c.ty == integer());
        match columns.get(self.below(columns.len())) {
            Some(column) => format!("${}", column.id.0),
            None => "1".into(),
        }
    }

    /// An integer expression over the relation's columns.
    pub(super) fn value(&mut self, relation: &Relation) -> String {
        let first = self.column_of(relation);
        match self.below(6) {
            4 => format!("({first} + {})", self.column_of(relation)),
            5 => format!("({first} % 2)"),
            _ => first,
        }
    }

    /// So many values over the relation, each with an identity.
    pub(super) fn values(&mut self, count: usize, relation: &Relation) -> Vec<(u32, String)> {
        (0..count)
            .map(|_| (self.id(), self.value(relation)))
            .collect()
    }

    pub(super) fn truth(&mut self, relation: &Relation) -> String {
        let value = self.value(relation);
        match self.below(5) {
            0 => format!("({value} > 0)"),
            1 => format!("({value} = 1)"),
            2 => format!("({value} IS NULL)"),
            3 => format!("({value} <= {})", self.column_of(relation)),
            _ => format!("(({value} < 2) OR ({value} IS NULL))"),
        }
    }

    pub(super) fn scan(&mut self) -> Relation {
        let (oid, name) = TABLES[self.below(TABLES.len())];
        if self.images && self.one_in(3) {
            let columns = [(self.id(), "x"), (self.id(), "n")];
            let query = format!(
                "WITH RECURSIVE w(x, n) AS (SELECT a, b FROM {name} \
                 UNION SELECT x + 1, n FROM w WHERE x < 2) SELECT x, n FROM w"
            );
            return Relation::Opaque(opaque(&query, &columns, &[oid]));
        }
        let base = self.next_base();
        if oid == KEYED {
            keyed_scan(oid, base, name)
        } else {
            scan(oid, base, name)
        }
    }

    /// A conjunct between two relations.
    pub(super) fn link(&mut self, left: &Relation, right: &Relation) -> Vec<Predicate> {
        let (l, r) = (self.column_of(left), self.column_of(right));
        match self.below(8) {
            0..=2 => vec![equal(&l, &r)],
            3 => vec![equal(&format!("({l} + 1)"), &r)],
            4 => vec![condition(&format!("({l} < {r})"))],
            5 => vec![condition(&format!("({l} IS NOT DISTINCT FROM {r})"))],
            6 => vec![
                equal(&l, &r),
                condition(&format!("({l} + {r} <> {})", self.column_of(right))),
            ],
            _ => Vec::new(),
        }
    }

    /// A join of this many scans; tables repeat.
    pub fn joined(&mut self, scans: usize) -> Relation {
        let mut relation = self.scan();
        for _ in 1..scans {
            let right = self.scan();
            let predicates = self.link(&relation, &right);
            relation = match self.outer && self.one_in(2) {
                false => join(relation, right, predicates),
                true if self.one_in(4) => left_join(right, relation, predicates),
                true => left_join(relation, right, predicates),
            };
            relation = self.expanded(relation);
        }
        if self.one_in(3) {
            let condition_text = self.truth(&relation);
            relation = filter(relation, vec![condition(&condition_text)]);
        }
        if self.images {
            relation = self.bounded(relation);
        }
        relation
    }

    /// Perhaps compared with a bound that follows the number of rows of some table: filtered, or with the result.
    fn bounded(&mut self, relation: Relation) -> Relation {
        let mut relation = relation;
        while self.one_in(2) {
            let (oid, name) = TABLES[self.below(TABLES.len())];
            let (bound, number) = (self.id(), format!("SELECT count(*) % 4 FROM {name}"));
            let moving = opaque(&number, &[(bound, "bound")], &[oid]);
            let value = self.value(&relation);
            if self.one_in(2) {
                relation = self.conditioned(relation, &value, moving, bound);
            } else {
                let operator = [">", ">=", "<", "<="][self.below(4)];
                relation = bounded(relation, &value, operator, moving);
            }
        }
        relation
    }

    /// The integer columns, and one that says whether a condition on the value and the bound holds.
    fn conditioned(
        &mut self,
        relation: Relation,
        value: &str,
        moving: Opaque,
        bound: u32,
    ) -> Relation {
        let mut shown: Vec<(u32, String)> = Vec::new();
        for column in relation.columns() {
            if column.ty == integer() {
                shown.push((self.id(), format!("${}", column.id.0)));
            }
        }
        let (operator, crossing) = [
            (">", Some(Crossing::Between(Side::Above))),
            ("<=", Some(Crossing::Between(Side::Below))),
            ("=", Some(Crossing::At)),
            ("<>", None),
        ][self.below(4)];
        let condition = format!("({value} {operator} ${bound})");
        let id = self.id();
        let text = format!("CASE WHEN ${id} THEN 1 WHEN NOT ${id} THEN 0 END");
        shown.push((self.id(), text));
        let found_by = crossing.map(|crossing| (value, crossing));
        let relation = conditioned(relation, (id, "condition"), &condition, found_by, moving);
        project(relation, &named("x", &shown))
    }

    /// Perhaps with two rows for each row, computed from it.
    fn expanded(&mut self, relation: Relation) -> Relation {
        if !self.one_in(4) {
            return relation;
        }
        let item = format!(
            "unnest(ARRAY[{}, {}])",
            self.column_of(&relation),
            self.column_of(&relation)
        );
        expand(relation, &item, &[(self.id(), "u")])
    }

    /// A left outer join, perhaps with a column that says whether there is a match.
    pub fn left_joined(&mut self, left: Relation, right: Relation) -> Relation {
        let predicates = self.link(&left, &right);
        Relation::LeftJoin {
            left: Box::new(left),
            right: Box::new(right),
            predicates,
            present: self
                .one_in(2)
                .then(|| column(self.id(), "present", boolean())),
        }
    }

    /// A full outer join.
    pub fn full_joined(&mut self, left: Relation, right: Relation) -> Relation {
        let predicates = self.link(&left, &right);
        full_join(left, right, predicates)
    }

    /// A SELECT list over a join of this many scans.
    pub fn joined_and_selected(&mut self, scans: usize) -> Relation {
        let relation = self.joined(scans);
        self.selected(relation)
    }

    /// A SELECT list over the relation.
    pub fn selected(&mut self, relation: Relation) -> Relation {
        let width = 1 + self.below(4);
        let columns = self.values(width, &relation);
        let columns = named("x", &columns);
        project(relation, &columns)
    }

    /// A bag union of two relations.
    pub fn united(&mut self, left: Relation, right: Relation) -> Relation {
        let columns = [(self.id(), "x"), (self.id(), "y")];
        let sides: Vec<(Relation, [String; 2])> = [left, right]
            .into_iter()
            .map(|side| {
                let values = [self.value(&side), self.value(&side)];
                (side, values)
            })
            .collect();
        let inputs = sides
            .iter()
            .map(|(side, values)| (side.clone(), values.iter().map(String::as_str).collect()))
            .collect();
        union_all(&columns, inputs)
    }

    /// A grouping, perhaps with HAVING, perhaps DISTINCT alone.
    pub fn grouped(&mut self, relation: Relation) -> Relation {
        if self.one_in(8) {
            let relation = self.selected(relation);
            return distinct(relation);
        }
        let count = [1, 2, 0][self.below(3)];
        let keys = self.values(count, &relation);
        let keys = named("g", &keys);
        let aggregates = (0..1 + self.below(4))
            .map(|_| {
                let id = self.id();
                let kinds = [
                    AggregateKind::CountStar,
                    AggregateKind::Count,
                    AggregateKind::SumInteger,
                    AggregateKind::AvgInteger,
                    AggregateKind::Min,
                    AggregateKind::Max,
                    AggregateKind::BoolAnd,
                    AggregateKind::BoolOr,
                    AggregateKind::Recompute,
                    AggregateKind::SumNumeric { scale: None },
                    AggregateKind::AvgNumeric { scale: None },
                    AggregateKind::SumNumeric { scale: Some(2) },
                    AggregateKind::AvgNumeric { scale: Some(2) },
                ];
                let kind = match self.numeric {
                    false => kinds[self.below(9)],
                    true => kinds[4 + self.below(9)],
                };
                let call = match kind {
                    AggregateKind::SumNumeric { scale } | AggregateKind::AvgNumeric { scale } => {
                        let index = self.value(&relation);
                        let argument = match scale {
                            None => format!("({NUMBERS}[1 + {index}])"),
                            Some(_) => format!("round({NUMBERS}[1 + {index}], 2)"),
                        };
                        let mut call = aggregate(id, kind, &argument);
                        for expr in call.argument.iter_mut() {
                            expr.ty = numeric();
                        }
                        call
                    }
                    AggregateKind::CountStar => aggregate(id, kind, ""),
                    AggregateKind::BoolAnd | AggregateKind::BoolOr => {
                        aggregate(id, kind, &self.truth(&relation))
                    }
                    _ => aggregate(id, kind, &self.value(&relation)),
                };
                let can_be_distinct = matches!(
                    kind,
                    AggregateKind::Count
                        | AggregateKind::SumInteger
                        | AggregateKind::AvgInteger
                        | AggregateKind::SumNumeric { scale: None }
                        | AggregateKind::AvgNumeric { scale: None }
                );
                let call = if can_be_distinct && self.one_in(3) {
                    of_distinct(call)
                } else {
                    call
                };
                if kind != AggregateKind::Recompute && self.one_in(4) {
                    let condition = self.truth(&relation);
                    filtered(call, &condition)
                } else {
                    call
                }
            })
            .collect();
        let mut relation = group(relation, &keys, aggregates);
        if self.one_in(4) {
            let having = self.truth(&relation);
            relation = filter(relation, vec![condition(&having)]);
        }
        if self.one_in(3) {
            relation = self.selected(relation);
        }
        relation
    }

    /// A query with at least one grouping, perhaps below another or joined with tables.
    pub fn nested(&mut self) -> Relation {
        let scans = 1 + self.below(2);
        let input = self.joined(scans);
        let input = if self.one_in(4) {
            let other = self.joined(1);
            self.united(input, other)
        } else {
            input
        };
        let relation = self.grouped(input);
        match self.below(6) {
            3 => self.grouped(relation),
            4 => {
                let table = self.scan();
                let link = self.link(&relation, &table);
                let both = join(relation, table, link);
                self.selected(both)
            }
            5 => {
                let table = self.scan();
                let link = self.link(&relation, &table);
                let both = join(relation, table, link);
                self.grouped(both)
            }
            _ => relation,
        }
    }

    /// The content of every table.
    pub fn tables(&mut self, rows_max: usize) -> BTreeMap<u32, Rows> {
        TABLES
            .iter()
            .map(|(oid, _)| (*oid, self.rows(*oid, rows_max)))
            .collect()
    }

    /// The next content of some tables.
    pub fn changes(
        &mut self,
        before: &BTreeMap<u32, Rows>,
        rows_max: usize,
    ) -> BTreeMap<u32, Rows> {
        let mut after = BTreeMap::new();
        for (oid, rows) in before {
            let rows = match self.below(6) {
                0 => self.rows(*oid, rows_max),
                1 => {
                    let mut rows = rows.clone();
                    rows.truncate(self.below(rows_max + 1));
                    rows
                }
                2 => {
                    let mut rows = rows.clone();
                    if *oid != KEYED {
                        rows.extend(self.rows(*oid, 2));
                    }
                    rows
                }
                3 | 4 => {
                    let mut rows = rows.clone();
                    let gone = self.below(rows.len());
                    if gone < rows.len() {
                        rows.remove(gone);
                    }
                    rows
                }
                _ => continue,
            };
            after.insert(*oid, rows);
        }
        after
    }

    fn rows(&mut self, oid: u32, rows_max: usize) -> Rows {
        let count = self.below(rows_max + 1).max(self.below(rows_max + 1));
        let mut rows: Rows = (0..count)
            .map(|_| (0..3).map(|_| self.datum()).collect())
            .collect();
        if oid == KEYED {
            let mut keys = std::collections::BTreeSet::new();
            rows.retain(|row| row[0].is_some_and(|key| keys.insert(key)));
        }
        rows
    }

    fn datum(&mut self) -> Option<i64> {
        match self.below(5) {
            4 => None,
            n => i64::try_from(n).ok(),
        }
    }
}
