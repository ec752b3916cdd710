//! Tables and their first rows.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::expr::comparison;
use super::names;
use super::types::{Ty, ty};

/// What identifies a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `id` is the primary key.
    Primary,
    /// `(id, k)` is.
    Composite,
    /// Nothing; duplicates are ordinary.
    None,
}

/// Where the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// In it alone.
    Alone,
    /// In partitions by `k`.
    Partitioned,
    /// In it, and in a child that inherits from it.
    Inherited,
}

/// A table. Every table has `k int`; keyed ones have `id int`; the rest is made up.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its key.
    pub key: Key,
    /// Where its rows are.
    pub spread: Spread,
    /// Types of `c0`, `c1` and so on, and whether they are NOT NULL.
    pub columns: Vec<(Ty, bool)>,
    /// The style of the names of these columns.
    pub names: u8,
    /// First rows, as value indexes.
    pub rows: Vec<Vec<u8>>,
    /// Which rows the owner of the stream tables sees: column, operator, value.
    pub policy: Option<(u8, u8, u8)>,
}

/// The role that owns the stream tables, where a table has a policy.
pub const READER: &str = "pgt_reader";

/// A column as the rest of the generator sees it.
#[derive(Debug, Clone)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// NOT NULL.
    pub required: bool,
}

/// A table.
pub fn table() -> impl Strategy<Value = Table> {
    let key = prop_oneof![3 => Just(Key::Primary), 1 => Just(Key::Composite), 2 => Just(Key::None)];
    let spread = prop_oneof![
        14 => Just(Spread::Alone),
        3 => Just(Spread::Partitioned),
        2 => Just(Spread::Inherited),
    ];
    (
        key,
        spread,
        vec((ty(), prop::bool::weighted(0.3)), 1..4),
        style(),
        vec(row(), 0..9),
        option::weighted(0.05, (any::<u8>(), any::<u8>(), any::<u8>())),
    )
        .prop_map(|(key, spread, columns, names, rows, policy)| Table {
            key,
            spread: match (spread, key) {
                // Its key would have to contain `k`.
                (Spread::Partitioned, Key::Primary) => Spread::Alone,
                (spread, _) => spread,
            },
            columns,
            names,
            rows,
            policy,
        })
}

/// A style of names: mostly the plain one.
pub fn style() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0u8), 1 => any::<u8>()]
}

/// Value indexes for one row.
pub fn row() -> impl Strategy<Value = Vec<u8>> {
    vec(0u8..64, 5)
}

impl Table {
    /// Its columns.
    pub fn column_infos(&self) -> Vec<ColumnInfo> {
        let mut infos = Vec::new();
        if self.key != Key::None {
            infos.push(ColumnInfo {
                name: "id".into(),
                ty: Ty::Int,
                required: true,
            });
        }
        infos.push(ColumnInfo {
            name: "k".into(),
            ty: Ty::Int,
            required: self.key == Key::Composite,
        });
        for (index, (ty, required)) in self.columns.iter().enumerate() {
            infos.push(ColumnInfo {
                name: names::column("c", self.names, index),
                ty: *ty,
                required: *required,
            });
        }
        infos
    }

    /// CREATE TABLE, with partitions.
    pub fn create(&self, name: &str) -> String {
        let mut parts: Vec<String> = self
            .column_infos()
            .iter()
            .map(|column| {
                let null = if column.required { " NOT NULL" } else { "" };
                format!("{} {}{null}", column.name, column.ty.definition())
            })
            .collect();
        match self.key {
            Key::Primary => parts.push("PRIMARY KEY (id)".into()),
            Key::Composite => parts.push("PRIMARY KEY (id, k)".into()),
            Key::None => {}
        }
        let body = parts.join(", ");
        match self.spread {
            Spread::Alone => format!("CREATE TABLE {name} ({body});"),
            Spread::Partitioned => format!(
                "CREATE TABLE {name} ({body}) PARTITION BY LIST (k);\n\
                 CREATE TABLE {name}_a PARTITION OF {name} FOR VALUES IN (1, 2);\n\
                 CREATE TABLE {name}_b PARTITION OF {name} DEFAULT;"
            ),
            Spread::Inherited => format!(
                "CREATE TABLE {name} ({body});\n\
                 CREATE TABLE {name}_a (extra int) INHERITS ({name});"
            ),
        }
    }

    /// The tables that have its rows, or some of them: itself first, and most often.
    fn places(&self, name: &str) -> Vec<String> {
        let part = format!("{name}_a");
        let only = format!("ONLY {name}");
        match self.spread {
            Spread::Alone => vec![name.to_owned()],
            Spread::Partitioned => {
                let whole = [name.to_owned(), name.to_owned(), name.to_owned()];
                [&whole[..], &[part, format!("{name}_b"), only]].concat()
            }
            Spread::Inherited => {
                let whole = [name.to_owned(), name.to_owned()];
                [&whole[..], &[part, only]].concat()
            }
        }
    }

    /// What a query reads for this number.
    pub fn read(&self, name: &str, number: usize) -> String {
        let places = self.places(name);
        let place = places.get(number % places.len().max(1));
        place.cloned().unwrap_or_else(|| name.to_owned())
    }

    /// Which table a statement names for this number; new rows go into one, not into ONLY one.
    pub fn written(&self, name: &str, number: usize) -> String {
        let place = self.read(name, number);
        match (self.spread, place.strip_prefix("ONLY ")) {
            (_, None) => place,
            (Spread::Inherited, Some(_)) => place,
            (_, Some(root)) => root.to_owned(),
        }
    }

    /// Whether a row is in the first of its parts, as SQL over this alias.
    pub fn is_in_part(&self, name: &str, alias: &str) -> Option<String> {
        let is_spread = self.spread != Spread::Alone;
        is_spread.then(|| format!("({alias}.tableoid = '{name}_a'::regclass)"))
    }

    /// What lets the owner of the stream tables see some of its rows, or all.
    pub fn grant(&self, name: &str) -> String {
        let mut sql = format!("GRANT ALL ON {name} TO {READER};");
        if self.spread != Spread::Alone {
            sql.push_str(&format!(" GRANT ALL ON {name}_a TO {READER};"));
        }
        if self.spread == Spread::Partitioned {
            sql.push_str(&format!(" GRANT ALL ON {name}_b TO {READER};"));
        }
        let columns = self.column_infos();
        let policy = self.policy.and_then(|(index, op, value)| {
            let column = columns.get(usize::from(index) % columns.len().max(1))?;
            let op = comparison(op);
            Some(format!(
                " ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; \
                 CREATE POLICY some ON {name} USING ({} {op} {});",
                column.name,
                column.ty.value(value)
            ))
        });
        sql.push_str(&policy.unwrap_or_default());
        sql
    }

    /// The value list of a row. `id` numbers it in keyed tables.
    pub fn values(&self, row: &[u8], id: &str) -> String {
        let values: Vec<String> = self
            .column_infos()
            .iter()
            .enumerate()
            .map(|(position, column)| {
                let index = row.get(position % row.len().max(1)).copied().unwrap_or(0);
                match column.name.as_str() {
                    "id" => id.to_owned(),
                    _ => column.ty.stored(index, column.required),
                }
            })
            .collect();
        format!("({})", values.join(", "))
    }

    /// INSERT of the first rows; nothing if there are none.
    pub fn fill(&self, name: &str) -> Option<String> {
        let rows: Vec<String> = self
            .rows
            .iter()
            .enumerate()
            .map(|(number, row)| self.values(row, &(number + 1).to_string()))
            .collect();
        (!rows.is_empty()).then(|| format!("INSERT INTO {name} VALUES {};", rows.join(", ")))
    }
}
