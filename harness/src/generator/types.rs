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
    /// `timestamptz`: rows hold times around now, which filters by the clock pass.
    Instant,
    /// An enum.
    Mood,
    /// `int[]`.
    Ints,
    /// `jsonb`, without numbers of several scales.
    Json,
    /// `int4range`.
    Span,
    /// `interval`: a month equals thirty days.
    Interval,
    /// `text` in a collation that ignores case.
    Loose,
    /// A composite type.
    Pair,
    /// A domain over `int`.
    Small,
    /// `text` that says a date.
    Dated,
    /// `text` that says a time span.
    Lasting,
}

/// What types and collations must exist.
pub const TYPES: &str = "CREATE TYPE mood AS ENUM ('low', 'Mid', 'high'); \
     CREATE TYPE pair AS (x int, y text); \
     CREATE DOMAIN small AS int CHECK (VALUE BETWEEN -100 AND 100); \
     CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);";

impl Ty {
    /// All of them, the simplest first.
    pub const ALL: [Self; 23] = [
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
        Self::Instant,
        Self::Mood,
        Self::Ints,
        Self::Json,
        Self::Span,
        Self::Interval,
        Self::Loose,
        Self::Pair,
        Self::Small,
        Self::Dated,
        Self::Lasting,
    ];

    /// The type in a column definition.
    pub fn definition(self) -> &'static str {
        match self {
            Self::TextC => "text COLLATE \"C\"",
            Self::Loose => "text COLLATE loose",
            other => other.cast(),
        }
    }

    /// The type in a cast.
    pub fn cast(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Text | Self::TextC | Self::Dated | Self::Lasting => "text",
            Self::Loose => "text COLLATE loose",
            Self::Money => "numeric(10,2)",
            Self::Numeric => "numeric",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Float => "float8",
            Self::Instant => "timestamptz",
            Self::Mood => "mood",
            Self::Ints => "int[]",
            Self::Json => "jsonb",
            Self::Span => "int4range",
            Self::Interval => "interval",
            Self::Pair => "pair",
            Self::Small => "small",
        }
    }

    /// The values that columns of the type take. Few, so that groups collide and joins match.
    fn pool(self) -> &'static [&'static str] {
        match self {
            Self::Int => &["1", "2", "0", "3", "-1", "7"],
            Self::BigInt => &["1", "2", "0", "30000000000", "-5", "2147483648"],
            Self::Text | Self::TextC => &["a", "b", "", "A", "ä b", "it''s \"$1\""],
            Self::Money => &["1", "2.50", "0", "-1.25", "10", "99999.99"],
            Self::Numeric => &["1", "1.0", "1.00", "0", "-2.5", "0.000", "2.5000"],
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
            Self::Instant => &["2024-01-01 00:00+00", "infinity", "1970-01-01 00:00+00"],
            Self::Mood => &["low", "high", "Mid"],
            Self::Ints => &["{1,2}", "{}", "{2,NULL}", "{1,2,3}", "{2,2}"],
            Self::Json => &[
                "{\"a\": 1}",
                "[1, {\"a\": null}]",
                "null",
                "{\"a\": {\"b\": [2]}}",
                "[]",
                "\"a\"",
            ],
            Self::Span => &["[1,3)", "empty", "[2,)", "(,2]", "[7,9]"],
            Self::Interval => &["1 day", "24:00", "1 mon", "30 days", "-00:00:01", "0"],
            Self::Loose => &["a", "A", "b", "", "B", "ä"],
            Self::Pair => &["(1,a)", "(1,)", "(2,\"a b\")", "(,)"],
            Self::Small => &["1", "2", "0", "3", "-7"],
            Self::Dated => &[
                "2024-01-01",
                "2024-02-29 10:30",
                "1999-12-31",
                "epoch",
                "2024-01-01 00:00+05",
            ],
            Self::Lasting => &["1 day", "24:00", "1 mon", "-00:00:01", "P1D"],
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

    /// What a row holds for this index: the literal, or a moment that passes soon.
    pub fn stored(self, index: u8, required: bool) -> String {
        match (self, index % 8) {
            (Self::Instant, near @ 0..4) => {
                format!("clock_timestamp() + interval '{} ms'", 12 * u32::from(near))
            }
            _ if required => self.value(index),
            _ => self.literal(index),
        }
    }

    /// One value of the pool or another, as a number says; NULL now and then.
    pub fn varied(self, number: &str, required: bool) -> String {
        let mut values: Vec<String> = (0..self.pool().len() as u8)
            .map(|index| self.value(index))
            .collect();
        if !required {
            values.push("NULL".into());
        }
        let count = values.len();
        let arms: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(index, value)| format!("WHEN {index} THEN {value}"))
            .collect();
        format!("CASE ({number}) % {count} {} END", arms.join(" "))
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
            Self::Interval => format!("justify_interval({sql})"),
            Self::Loose => format!("lower({sql})"),
            _ => sql.to_owned(),
        }
    }

    /// Whether the cast to text depends on nothing but settings, and has a collation of its own.
    pub fn prints(self) -> bool {
        !matches!(self, Self::Mood | Self::Loose | Self::Pair)
    }

    /// Whether min and max exist.
    pub fn has_extremes(self) -> bool {
        !matches!(
            self,
            Self::Bool
                | Self::Uuid
                | Self::Ints
                | Self::Json
                | Self::Span
                | Self::Pair
                | Self::Small
        )
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
        4 => Just(Ty::Numeric),
        2 => Just(Ty::Instant),
        5 => (0..Ty::ALL.len()).prop_map(|index| Ty::ALL[index]),
    ]
}
