//! Columns and what the engine must know about their types.

use std::hash::{Hash, Hasher};

/// Identity of a column, unique in one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// What the engine must know of a column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// The type with its modifier, schema-qualified, as the server prints it: `numeric(12,2)`.
    pub sql: String,
    /// The collation, quoted and qualified, when it is not the type's default.
    pub collation: Option<String>,
    /// The default equality operator of the type, ready to stand between two operands:
    /// `OPERATOR(pg_catalog.=)`. Empty when the type has none.
    pub equality: String,
    /// Whether the default equality of the type (under this collation) holds only for equal
    /// binary images. False for `numeric` without a fixed scale (`1.0 = 1.00`), floats (`-0 = 0`),
    /// `jsonb`, `interval`, non-deterministic collations, and containers of such types.
    pub image_equality: bool,
    /// Whether the type has a default btree operator class.
    pub sortable: bool,
    /// Whether printing a value and reading the text gives a value of the same image. Known for types that are not
    /// `sortable`, false for others.
    pub reads_back: bool,
    /// Whether the server can hash its values so that equal ones have the same hash.
    pub hashable: bool,
    /// Whether a value always fits in a btree entry beside a few others (fixed width, or short by
    /// its modifier; `numeric` counts as bounded).
    pub bounded: bool,
}

/// A plan is known by its hash, and says itself what it reads back. What the server can hash matters to no state.
impl Hash for ColumnType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sql.hash(state);
        self.collation.hash(state);
        self.equality.hash(state);
        self.image_equality.hash(state);
        self.sortable.hash(state);
        self.bounded.hash(state);
    }
}

impl ColumnType {
    /// `integer`.
    pub fn integer() -> Self {
        ColumnType {
            sql: "integer".into(),
            collation: None,
            equality: "OPERATOR(pg_catalog.=)".into(),
            image_equality: true,
            sortable: true,
            reads_back: false,
            hashable: true,
            bounded: true,
        }
    }

    /// `boolean`.
    pub fn boolean() -> Self {
        ColumnType {
            sql: "boolean".into(),
            ..Self::integer()
        }
    }

    /// NULL of the type, as SQL. A domain may refuse a NULL that is cast to it, but not an element of no
    /// array.
    pub fn null_sql(&self) -> String {
        let collate = self
            .collation
            .as_ref()
            .map(|c| format!(" COLLATE {c}"))
            .unwrap_or_default();
        if self.sql.ends_with(']') {
            format!("NULL::{}{collate}", self.sql)
        } else {
            format!("(NULL::{}[])[1]{collate}", self.sql)
        }
    }
}

/// An output column of a relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// Identity in this tree.
    pub id: ColumnId,
    /// Name as the user knows it, not quoted. Only for display and for the names of the stream
    /// table's columns; the engine never refers to a column by it.
    pub name: String,
    /// Type facts.
    pub ty: ColumnType,
    /// Whether the column can be NULL.
    pub nullable: bool,
}
