//! Column types and their pools of values.

use proptest::prelude::*;

/// A column type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    /// `int`.
    Int,
    /// `bigint`.
    BigInt,
    /// `text` in the default collation.
    Text,
    /// `numeric(10,2)`: equality is image equality.
    Money,
    /// `numeric`: `1.0 = 1.00`.
    Numeric,
    /// `bool`.
    Bool,
    /// `date`.
    Date,
    /// `text COLLATE "C"`.
    TextC,
    /// `timestamp`.
    Timestamp,
    /// `uuid`.
    Uuid,
    /// `bytea`.
    Bytea,
    /// `float8`, only with multiples of one half, so that sums are exact in any order.
    Float,
}

impl Ty {
    /// All of them, the simplest first.
    pub const ALL: [Self; 12] = [
        Self::Int,
        Self::Text,
        Self::Money,
        Self::Numeric,
        Self::BigInt,
        Self::Bool,
        Self::Date,
        Self::TextC,
        Self::Timestamp,
        Self::Uuid,
        Self::Bytea,
        Self::Float,
    ];

    /// The type in a column definition.
    pub fn definition(self) -> &'static str {
        match self {
            Self::TextC => "text COLLATE \"C\"",
            other => other.cast(),
        }
    }

    /// The type in a cast.
    pub fn cast(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Text | Self::TextC => "text",
            Self::Money => "numeric(10,2)",
            Self::Numeric => "numeric",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Float => "float8",
        }
    }

    /// The values that columns of the type take. Few, so that groups collide and joins match.
    fn pool(self) -> &'static [&'static str] {
        match self {
            Self::Int => &["1", "2", "0", "3", "-1", "7"],
            Self::BigInt => &["1", "2", "0", "30000000000", "-5", "2147483648"],
            Self::Text | Self::TextC => &["a", "b", "", "A", "ä b", "it''s \"$1\""],
            Self::Money => &["1", "2.50", "0", "-1.25", "10", "99999.99"],
            Self::Numeric => &["1", "1.0", "1.00", "0", "-2.5", "0.000"],
            Self::Bool => &["true", "false"],
            Self::Date => &["2024-01-01", "2024-02-29", "1999-12-31", "infinity"],
            Self::Timestamp => &["2024-01-01 00:00", "2024-01-01 00:00:00.5", "1970-01-01"],
            Self::Uuid => &[
                "00000000-0000-0000-0000-000000000000",
                "00000000-0000-0000-0000-000000000001",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ],
            Self::Bytea => &["\\x", "\\x00", "\\xff01"],
            Self::Float => &["1", "0.5", "0", "-2.5", "1024"],
        }
    }

    /// The value of this index as a typed literal; one index in eight is NULL.
    pub fn literal(self, index: u8) -> String {
        if index % 8 == 7 {
            format!("NULL::{}", self.cast())
        } else {
            self.value(index)
        }
    }

    /// The same, never NULL.
    pub fn value(self, index: u8) -> String {
        let pool = self.pool();
        format!(
            "'{}'::{}",
            pool[usize::from(index) % pool.len()],
            self.cast()
        )
    }

    /// One value of the pool or another, as a number says; NULL now and then.
    pub fn varied(self, number: &str, required: bool) -> String {
        let mut values: Vec<String> = self
            .pool()
            .iter()
            .map(|value| format!("'{value}'::{}", self.cast()))
            .collect();
        if !required {
            values.push("NULL".into());
        }
        format!(
            "(ARRAY[{}])[1 + ({number}) % {}]",
            values.join(", "),
            values.len()
        )
    }

    /// Whether two values of the types can be compared and combined.
    pub fn fits(self, other: Self) -> bool {
        self == other
    }

    /// The expression in a form in which equal values have equal images, as group keys and extremes
    /// need it.
    pub fn canonical(self, sql: &str) -> String {
        match self {
            Self::Numeric => format!("trim_scale({sql})"),
            _ => sql.to_owned(),
        }
    }

    /// Whether the cast to text depends on no setting.
    pub fn prints_immutably(self) -> bool {
        !matches!(self, Self::Date | Self::Timestamp)
    }

    /// Whether min and max exist.
    pub fn has_extremes(self) -> bool {
        !matches!(self, Self::Bool | Self::Uuid)
    }

    /// Whether sum and avg exist.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::Int | Self::BigInt | Self::Money | Self::Numeric | Self::Float
        )
    }
}

/// A type, biased to the simple ones and to the one whose equality is not that of images.
pub fn ty() -> impl Strategy<Value = Ty> {
    prop_oneof![
        6 => Just(Ty::Int),
        2 => Just(Ty::Numeric),
        4 => (0..Ty::ALL.len()).prop_map(|index| Ty::ALL[index]),
    ]
}
