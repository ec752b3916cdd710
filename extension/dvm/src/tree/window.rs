//! Orders and calls of window functions.

use super::column::{Column, ColumnType};
use super::expr::{Expr, Part};
use super::reach::Reach;

/// One key of an ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// What is sorted by.
    pub expr: Expr,
    /// Operator and place of NULLs, as they stand after it: `DESC NULLS LAST`.
    pub direction: String,
    /// Whether values that the order takes for equal are those that the default equality of the type
    /// takes for equal.
    pub is_default_order: bool,
}

/// When a result depends on which of several rows, equal in the order, comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ties {
    /// Never: the result follows from peer groups as sets.
    Harmless,
    /// When the rows differ in what the function reads.
    Arguments,
    /// When the rows differ in anything: the result follows from a row's own position.
    Rows,
}

/// One call of a window function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowCall {
    /// The column that carries the result.
    pub column: Column,
    /// The call as the server prints it, FILTER included, without OVER.
    pub function: Expr,
    /// What the call reads: its arguments and its FILTER.
    pub arguments: Vec<Expr>,
    /// PARTITION BY, beyond the operator's own partition.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// The frame clause, empty where it is the default.
    pub frame: String,
    /// When ties change the result.
    pub ties: Ties,
    /// How far a changed row reaches, where that is known to have an end or to be carried.
    pub reach: Option<Reach>,
}

/// What orders rows by their images, where values have no order, or equal ones look different.
const BY_IMAGE: &str = "USING OPERATOR(pg_catalog.*<)";

impl SortKey {
    /// The image of these columns as a key.
    pub fn by_image(columns: &[&Column]) -> Self {
        let mut parts = vec![Part::Sql("ROW(".into())];
        for (position, column) in columns.iter().enumerate() {
            if position > 0 {
                parts.push(Part::Sql(", ".into()));
            }
            parts.push(Part::Column(column.id));
        }
        parts.push(Part::Sql(")".into()));
        SortKey {
            expr: Expr {
                parts,
                ty: ColumnType {
                    sql: "record".into(),
                    ..ColumnType::integer()
                },
                nullable: false,
            },
            direction: BY_IMAGE.into(),
            is_default_order: false,
        }
    }

    /// Whether rows that are equal in the key look the same in its columns.
    pub fn is_by_image(&self) -> bool {
        self.direction == BY_IMAGE
    }

    /// The key as it stands in ORDER BY.
    pub fn render(&self, print: impl Fn(&Expr) -> String) -> String {
        format!("{} {}", print(&self.expr), self.direction)
    }
}

impl WindowCall {
    /// Every expression of the call.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        std::iter::once(&self.function)
            .chain(&self.arguments)
            .chain(&self.partition)
            .chain(self.order.iter().map(|key| &key.expr))
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        std::iter::once(&mut self.function)
            .chain(&mut self.arguments)
            .chain(&mut self.partition)
            .chain(self.order.iter_mut().map(|key| &mut key.expr))
    }

    /// The call with its window, in an operator with this partition.
    pub fn render(&self, partition: &[String], print: impl Fn(&Expr) -> String) -> String {
        let mut by = partition.to_vec();
        by.extend(self.partition.iter().map(&print));
        let mut clauses = Vec::new();
        if !by.is_empty() {
            clauses.push(format!("PARTITION BY {}", by.join(", ")));
        }
        if !self.order.is_empty() {
            let order: Vec<String> = self.order.iter().map(|key| key.render(&print)).collect();
            clauses.push(format!("ORDER BY {}", order.join(", ")));
        }
        if !self.frame.is_empty() {
            clauses.push(self.frame.clone());
        }
        format!("{} OVER ({})", print(&self.function), clauses.join(" "))
    }
}
