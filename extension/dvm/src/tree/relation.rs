//! Relational operators.

use std::collections::BTreeSet;

use super::aggregate::Aggregate;
use super::column::{Column, ColumnId};
use super::expr::Expr;
use super::opaque::{Condition, Opaque, Side};
use super::visible::Visible;
use super::window::{SortKey, WindowCall};

/// One column that a scan reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScanColumn {
    /// The column.
    pub column: Column,
    /// Attribute number in the table: its stable identity.
    pub attnum: i16,
    /// Its present name, quoted by the server.
    pub quoted: String,
}

/// An index of a source, as far as delta look-ups can use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Index {
    /// Attribute numbers of its key columns in order; `None` for an expression.
    pub attnums: Vec<Option<i16>>,
    /// Valid, immediate, unique, not partial, every key column NOT NULL and no expression: it
    /// identifies a row.
    pub identifies_row: bool,
}

/// A base table, partitioned table or stream table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scan {
    /// OID of the table.
    pub oid: u32,
    /// Present name, qualified and quoted by the server; with `ONLY ` in front where the query
    /// excludes children.
    pub relation: String,
    /// The columns that the query reads, by rising attribute number. May be empty (`count(*)`).
    pub columns: Vec<ScanColumn>,
    /// The table's indexes. Columns of a row-identifying index may be missing in `columns`.
    pub indexes: Vec<Index>,
    /// Which of its rows are seen.
    pub visible: Visible,
}

/// A conjunct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Predicate {
    /// The condition.
    pub expr: Expr,
    /// Both sides, when the condition is a default btree equality between them, or holds also where both
    /// are NULL. Either way it fixes one side by the other.
    pub equality: Option<(Expr, Expr)>,
}

impl Predicate {
    /// The columns that are not NULL where the condition holds: a plain equality names each of its sides once,
    /// one that holds where both are NULL twice.
    pub fn not_null(&self) -> BTreeSet<ColumnId> {
        let Some((left, right)) = &self.equality else {
            return BTreeSet::new();
        };
        if self.expr.count_columns() != left.count_columns() + right.count_columns() {
            return BTreeSet::new();
        }
        [left, right]
            .into_iter()
            .filter_map(Expr::as_column)
            .collect()
    }

    /// The condition with every expression of it changed by `change`.
    pub fn map(&self, change: impl Fn(&Expr) -> Expr) -> Self {
        Self {
            expr: change(&self.expr),
            equality: self
                .equality
                .as_ref()
                .map(|(left, right)| (change(left), change(right))),
        }
    }
}

/// What a dependent subquery adds to each row of its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ApplyKind {
    /// Whether the subquery has rows.
    Exists {
        /// A boolean column, never NULL.
        present: Column,
    },
    /// `test` over some row of the subquery (`IN`, `= ANY`), in three-valued logic: true if it is so
    /// for some row, else NULL if it is NULL for some row, else false. `ALL` is the negation of ANY with a
    /// negated test.
    Any {
        /// The conjuncts of the test, over columns of the input and of the subquery. Each is NULL only if
        /// one of its operands is, where `equality` names them.
        tests: Vec<Predicate>,
        /// The boolean result.
        result: Column,
    },
    /// The value of the subquery's only column: NULL without a row, an error with several.
    Scalar {
        /// The value.
        value: Column,
    },
    /// The subquery's rows beside the input's (`CROSS JOIN LATERAL`). Adds the subquery's columns.
    Cross,
    /// The same, with NULLs where no row satisfies the conjuncts (`LEFT JOIN LATERAL … ON`). Adds the
    /// subquery's columns.
    Left {
        /// Conjuncts of the ON condition.
        predicates: Vec<Predicate>,
    },
}

impl ApplyKind {
    /// The columns that it adds, over a subquery with these columns.
    pub fn columns(&self, subquery: &Relation) -> Vec<Column> {
        match self {
            ApplyKind::Exists { present } => vec![present.clone()],
            ApplyKind::Any { result, .. } => vec![result.clone()],
            ApplyKind::Scalar { value } => vec![value.clone()],
            ApplyKind::Cross => subquery.columns(),
            ApplyKind::Left { .. } => subquery.columns().into_iter().map(nullable).collect(),
        }
    }
}

/// The column as an outer join shows it.
fn nullable(column: Column) -> Column {
    Column {
        nullable: true,
        ..column
    }
}

/// A relational operator over its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Rows of a table.
    Scan(Scan),
    /// A subquery that is computed whole.
    Opaque(Opaque),
    /// Exactly one row without columns (`SELECT 1`).
    SingleRow,
    /// Rows that satisfy every conjunct.
    Filter {
        /// Input.
        input: Box<Relation>,
        /// Conjuncts.
        predicates: Vec<Predicate>,
    },
    /// Rows whose value lies on one side of a bound that moves by itself, as time does.
    Bounded {
        /// Input.
        input: Box<Relation>,
        /// The value, over the input's columns.
        value: Expr,
        /// The comparison, ready to stand between value and bound.
        operator: String,
        /// Which values it keeps.
        side: Side,
        /// The bound: one row with one column.
        bound: Box<Opaque>,
    },
    /// The rows with a condition on a bound that moves by itself. Output: the columns of `input`, then the
    /// condition's.
    Conditioned {
        /// Input.
        input: Box<Relation>,
        /// The condition.
        condition: Box<Condition>,
    },
    /// Computed columns. Also renames: each output column has an identity of its own, or keeps that
    /// of the input column it copies.
    Project {
        /// Input.
        input: Box<Relation>,
        /// Output columns and how each is computed.
        columns: Vec<(Column, Expr)>,
    },
    /// Rows computed from each row of `input` and from nothing else: a set-returning function, a VALUES
    /// list, any subquery in FROM without tables. Output: the columns of `input`, then `columns`.
    Expand {
        /// Input.
        input: Box<Relation>,
        /// What stands in FROM: a function call, or a subquery in parentheses.
        item: Expr,
        /// The columns of `item`.
        columns: Vec<Column>,
        /// Positions in `columns` that distinguish the rows of one input row. Empty: there is at most
        /// one. `None`: nothing does.
        key: Option<Vec<usize>>,
    },
    /// Inner join (a cross join when there are no conjuncts). Output: the left columns, then the
    /// right columns.
    Join {
        /// Left input.
        left: Box<Relation>,
        /// Right input.
        right: Box<Relation>,
        /// Conjuncts of the ON condition.
        predicates: Vec<Predicate>,
    },
    /// Left outer join: a left row without a match has NULL in every right column. Output: the left
    /// columns, the right columns, then `present`.
    LeftJoin {
        /// Preserved input.
        left: Box<Relation>,
        /// Null-supplying input.
        right: Box<Relation>,
        /// Conjuncts of the ON condition.
        predicates: Vec<Predicate>,
        /// A boolean column, never NULL: whether the row has a match.
        present: Option<Column>,
    },
    /// Full outer join: a row of either side without a match has NULL in every column of the other. Output: the
    /// left columns, then the right columns.
    FullJoin {
        /// Left input.
        left: Box<Relation>,
        /// Right input.
        right: Box<Relation>,
        /// Conjuncts of the ON condition.
        predicates: Vec<Predicate>,
    },
    /// A subquery computed for each row of `input`, whose columns it may read anywhere: a dependent
    /// join. [`crate::rewrite`] unnests it; no rule of [`crate::operators`] meets one. Output: the
    /// columns of `input`, then those that `kind` adds.
    Apply {
        /// Input.
        input: Box<Relation>,
        /// The subquery, over its own columns and those of `input`.
        subquery: Box<Relation>,
        /// What the subquery adds to a row.
        kind: ApplyKind,
    },
    /// Bag union.
    UnionAll {
        /// Output columns.
        columns: Vec<Column>,
        /// Inputs, each with one expression per output column over that input's columns, already
        /// coerced to the output column's type.
        inputs: Vec<(Relation, Vec<Expr>)>,
    },
    /// Grouping. Without keys it has exactly one output row, also over an empty input.
    Aggregate {
        /// Input.
        input: Box<Relation>,
        /// Grouping keys: output column and its expression over the input.
        keys: Vec<(Column, Expr)>,
        /// Aggregate calls. Output: the keys, then the aggregates' columns.
        aggregates: Vec<Aggregate>,
    },
    /// One row of each kind.
    Distinct {
        /// Input.
        input: Box<Relation>,
    },
    /// Window functions over each partition of the input. Output: the columns of `input`, then those
    /// of the calls.
    Window {
        /// Input.
        input: Box<Relation>,
        /// Columns of `input` by which every call partitions. Empty: the input is one partition.
        partition: Vec<ColumnId>,
        /// The calls, over the columns of `input`.
        calls: Vec<WindowCall>,
    },
    /// The first rows of each partition of the input in some order: LIMIT, FETCH FIRST, DISTINCT ON.
    TopN {
        /// Input.
        input: Box<Relation>,
        /// Columns of `input` that make the partitions. Empty: the input is one partition.
        partition: Vec<ColumnId>,
        /// The order.
        order: Vec<SortKey>,
        /// How many rows to skip.
        offset: u64,
        /// How many rows to keep after that.
        limit: Option<u64>,
        /// Whether rows that are equal in the order to the last row kept are kept, too.
        with_ties: bool,
    },
}

impl Relation {
    /// Makes partitions smaller: by these columns of the input, too. Operators without partitions stay.
    pub fn partition_also_by(&mut self, keys: &[ColumnId]) {
        if let Relation::Window { partition, .. } | Relation::TopN { partition, .. } = self {
            for key in keys {
                if !partition.contains(key) {
                    partition.push(*key);
                }
            }
        }
    }

    /// The output columns, in order.
    pub fn columns(&self) -> Vec<Column> {
        match self {
            Relation::Scan(scan) => scan.columns.iter().map(|c| c.column.clone()).collect(),
            Relation::Opaque(opaque) => opaque.columns.clone(),
            Relation::SingleRow => Vec::new(),
            Relation::Filter { input, .. }
            | Relation::Bounded { input, .. }
            | Relation::Distinct { input }
            | Relation::TopN { input, .. } => input.columns(),
            Relation::Conditioned { input, condition } => {
                let mut columns = input.columns();
                columns.push(condition.column.clone());
                columns
            }
            Relation::Window { input, calls, .. } => {
                let mut columns = input.columns();
                columns.extend(calls.iter().map(|call| call.column.clone()));
                columns
            }
            Relation::Project { columns, .. } => {
                columns.iter().map(|(column, _)| column.clone()).collect()
            }
            Relation::Expand { input, columns, .. } => {
                let mut all = input.columns();
                all.extend(columns.iter().cloned());
                all
            }
            Relation::Join { left, right, .. } => {
                let mut columns = left.columns();
                columns.extend(right.columns());
                columns
            }
            Relation::LeftJoin {
                left,
                right,
                present,
                ..
            } => {
                let mut columns = left.columns();
                columns.extend(right.columns().into_iter().map(nullable));
                columns.extend(present.clone());
                columns
            }
            Relation::FullJoin { left, right, .. } => {
                let columns = left.columns().into_iter().chain(right.columns());
                columns.map(nullable).collect()
            }
            Relation::Apply {
                input,
                subquery,
                kind,
            } => {
                let mut columns = input.columns();
                columns.extend(kind.columns(subquery));
                columns
            }
            Relation::UnionAll { columns, .. } => columns.clone(),
            Relation::Aggregate {
                keys, aggregates, ..
            } => keys
                .iter()
                .map(|(column, _)| column.clone())
                .chain(aggregates.iter().map(|a| a.column.clone()))
                .collect(),
        }
    }
}
