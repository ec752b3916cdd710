//! Which rows a changed row affects in the order of a window.

/// Which results of a call a changed row can change, besides that of the rows equal to it in the first key of the
/// window's order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reach {
    /// How the first key of the order compares.
    pub order: Comparisons,
    /// How many rows before it.
    pub back: u64,
    /// Which rows after it.
    pub ahead: Ahead,
}

/// The rows after a changed one whose results it can change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ahead {
    /// So many.
    Rows(u64),
    /// All. Their results follow from that of the last row before the change and from the rows since.
    All(Carry),
}

/// How the result over a whole input follows from `earlier`, the result at the end of its first part, and `later`,
/// that over the rest alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Carry {
    /// `earlier + later`, where `earlier` is the greatest number so far.
    Count,
    /// `earlier + later`, where `earlier` is the number of the rows so far: the greatest rank, with its peers.
    Rank,
    /// `earlier operator later`, or the one that is not NULL.
    Operator(String),
    /// A function of both, which ignores NULLs: `LEAST`, `GREATEST`.
    Function(&'static str),
    /// `earlier`, if there are earlier rows.
    First,
}

/// The comparisons of values of a type, ready to stand between two of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Comparisons {
    /// Whether the order goes down.
    pub descending: bool,
    /// `<`.
    pub less: String,
    /// `<=`.
    pub at_most: String,
    /// `>=`.
    pub at_least: String,
    /// `>`.
    pub greater: String,
}

impl Comparisons {
    /// Comes before, in the order.
    pub fn before(&self) -> &str {
        if self.descending {
            &self.greater
        } else {
            &self.less
        }
    }

    /// Comes before or is equal.
    pub fn until(&self) -> &str {
        if self.descending {
            &self.at_least
        } else {
            &self.at_most
        }
    }

    /// Comes after or is equal.
    pub fn from(&self) -> &str {
        if self.descending {
            &self.at_most
        } else {
            &self.at_least
        }
    }

    /// Comes after.
    pub fn after(&self) -> &str {
        if self.descending {
            &self.less
        } else {
            &self.greater
        }
    }

    /// What sorts values that are not NULL in the order, as an index that goes up has them.
    pub fn forward(&self) -> &'static str {
        if self.descending { DOWN } else { UP }
    }

    /// The opposite.
    pub fn backward(&self) -> &'static str {
        if self.descending { UP } else { DOWN }
    }
}

const UP: &str = "ASC NULLS LAST";
const DOWN: &str = "DESC NULLS FIRST";
