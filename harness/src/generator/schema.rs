//! Tables and their first rows.

use proptest::collection::vec;
use proptest::prelude::*;

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

/// A table. Every table has `k int`; keyed ones have `id int`; the rest is made up.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its key.
    pub key: Key,
    /// Partitioned by `k`.
    pub partitioned: bool,
    /// Types of `c0`, `c1` and so on, and whether they are NOT NULL.
    pub columns: Vec<(Ty, bool)>,
    /// The style of the names of these columns.
    pub names: u8,
    /// First rows, as value indexes.
    pub rows: Vec<Vec<u8>>,
}

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
    (
        key,
        prop::bool::weighted(0.15),
        vec((ty(), prop::bool::weighted(0.3)), 1..4),
        style(),
        vec(row(), 0..9),
    )
        .prop_map(|(key, partitioned, columns, names, rows)| Table {
            key,
            partitioned: partitioned && key != Key::Primary,
            columns,
            names,
            rows,
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
        if self.partitioned {
            format!(
                "CREATE TABLE {name} ({body}) PARTITION BY LIST (k);\n\
                 CREATE TABLE {name}_a PARTITION OF {name} FOR VALUES IN (1, 2);\n\
                 CREATE TABLE {name}_b PARTITION OF {name} DEFAULT;"
            )
        } else {
            format!("CREATE TABLE {name} ({body});")
        }
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
